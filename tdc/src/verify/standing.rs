//! Memory: who was caught, and whose word stands on its own.

use std::collections::{BTreeMap, BTreeSet};

use toktok_wire::PublicKey;

/// Partners remembered for one worker: a handful is enough to vouch for it.
const MAX_PARTNERS: usize = 64;

/// Banned workers remembered; the smallest keys go first when it is full, which only costs catching
/// them again.
const MAX_BANNED: usize = 65_536;

/// What a client knows of its workers' honesty. It outlives a job.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    banned: BTreeSet<PublicKey>,
    /// Agreed with the owner's own computation.
    proven: BTreeSet<PublicKey>,
    /// Who agreed with whom.
    partners: BTreeMap<PublicKey, BTreeSet<PublicKey>>,
}

impl Standing {
    /// True if `worker` was caught lying.
    pub fn is_banned(&self, worker: &PublicKey) -> bool {
        self.banned.contains(worker)
    }

    /// Never again a unit for `worker`; false if it was banned already.
    pub fn ban(&mut self, worker: PublicKey) -> bool {
        if self.banned.len() >= MAX_BANNED {
            self.banned.pop_first();
        }
        self.proven.remove(&worker);
        self.banned.insert(worker)
    }

    /// `worker` said what the owner then computed itself.
    pub fn prove(&mut self, worker: PublicKey) {
        if !self.is_banned(&worker) && self.proven.len() < MAX_BANNED {
            self.proven.insert(worker);
        }
    }

    /// These workers gave the same result for a unit.
    pub fn agree(&mut self, workers: &[PublicKey]) {
        for (index, worker) in workers.iter().enumerate() {
            if !self.partners.contains_key(worker) && self.partners.len() >= MAX_BANNED {
                continue;
            }
            let partners = self.partners.entry(*worker).or_default();
            for (other, partner) in workers.iter().enumerate() {
                if other != index && partners.len() < MAX_PARTNERS {
                    partners.insert(*partner);
                }
            }
        }
    }

    /// Whether a result that these workers agreed on still stands, now that some may be banned: at
    /// least one of them is not, and that one is proven or vouched for by somebody outside the group.
    pub fn stands(&self, group: &[PublicKey]) -> bool {
        group.iter().any(|worker| {
            let vouched =
                |partner: &PublicKey| !self.is_banned(partner) && !group.contains(partner);
            !self.is_banned(worker)
                && (self.proven.contains(worker)
                    || self.partners.get(worker).is_some_and(|p| p.iter().any(vouched)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: PublicKey = PublicKey([1; 32]);
    const B: PublicKey = PublicKey([2; 32]);
    const C: PublicKey = PublicKey([3; 32]);

    #[test]
    fn what_only_liars_agreed_on_falls_with_them() {
        let mut standing = Standing::default();
        standing.agree(&[A, B]);
        assert!(standing.ban(A));
        assert!(!standing.ban(A));
        assert!(!standing.stands(&[A, B]), "B is vouched for by nobody but the liar");
        standing.agree(&[B, C]);
        assert!(standing.stands(&[A, B]), "C vouches for B");
        standing.ban(B);
        assert!(!standing.stands(&[A, B]));
        assert!(!standing.stands(&[B, C]), "and nobody is left to vouch for C");
    }

    #[test]
    fn the_owners_own_word_is_enough() {
        let mut standing = Standing::default();
        standing.agree(&[A, B]);
        standing.prove(B);
        standing.ban(A);
        assert!(standing.stands(&[A, B]));
    }
}
