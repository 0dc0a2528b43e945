//! This node's key pair and the secrets it shares with others. A Diffie–Hellman costs about 40 µs,
//! a sealed box one: what was computed is kept, within a bound.

use crate::wire::{KeyPair, PublicKey, Rng, SharedKey};

/// Sets of the cache; a peer's key belongs to one of them.
const SETS: usize = 256;

/// Keys in one set: 1,024 in all, as c-toxcore keeps, are at most 80 KiB. A node of a large network
/// corresponds with some 200 others.
const KEYS_PER_SET: usize = 4;

/// A secret shared with one peer.
struct Slot {
    peer: PublicKey,
    shared: SharedKey,
    used: u32,
}

/// A key pair with a bounded cache of shared keys, the least recently used of a set forgotten first.
pub(crate) struct Keys {
    pair: KeyPair,
    salt: u64,
    clock: u32,
    sets: Box<[Vec<Slot>]>,
}

impl Keys {
    /// An empty cache. The salt from `rng` keeps strangers from choosing which set their keys fill.
    pub(crate) fn new(pair: KeyPair, rng: &mut Rng) -> Self {
        let sets = core::iter::repeat_with(Vec::new).take(SETS).collect();
        Self { pair, salt: rng.u64(), clock: 0, sets }
    }

    /// This node's public key.
    pub(crate) fn public(&self) -> PublicKey {
        self.pair.public
    }

    /// The secret shared with `peer`.
    pub(crate) fn shared(&mut self, peer: &PublicKey) -> &SharedKey {
        self.clock = self.clock.wrapping_add(1);
        let (clock, set) = (self.clock, set_of(self.salt, peer));
        let slots = &mut self.sets[set];
        let index = match slots.iter().position(|slot| slot.peer == *peer) {
            Some(index) => index,
            None => {
                let shared = self.pair.secret.shared_key(peer);
                insert(slots, Slot { peer: *peer, shared, used: clock }, clock)
            }
        };
        slots[index].used = clock;
        &slots[index].shared
    }

    /// The secret shared with `peer`, not kept: for those who come once and stay long, and for
    /// strangers, who shall not push out those that are asked for often.
    pub(crate) fn shared_once(&self, peer: &PublicKey) -> SharedKey {
        self.pair.secret.shared_key(peer)
    }

    /// Shared keys that are kept now.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.sets.iter().map(Vec::len).sum()
    }
}

impl core::fmt::Debug for Keys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Keys({:?})", self.pair.public)
    }
}

/// The set of a key: a multiplication mixes salt and key well enough, for the salt is secret.
fn set_of(salt: u64, peer: &PublicKey) -> usize {
    let mut hash = salt;
    for chunk in peer.0.as_chunks::<8>().0 {
        hash = (hash ^ u64::from_le_bytes(*chunk)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 29;
    }
    (hash >> 32) as usize % SETS
}

/// Adds a slot, in place of the one unused for longest if the set is full; tells where.
fn insert(slots: &mut Vec<Slot>, slot: Slot, clock: u32) -> usize {
    if slots.len() < KEYS_PER_SET {
        // Most sets hold one key or none: room for four would weigh more than all keys together.
        slots.reserve_exact(1);
        slots.push(slot);
        return slots.len() - 1;
    }
    let age = |slot: &Slot| clock.wrapping_sub(slot.used);
    let oldest = (0..slots.len()).max_by_key(|&i| age(&slots[i])).unwrap_or(0);
    slots[oldest] = slot;
    oldest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_key_is_the_computed_one() {
        let mut rng = Rng::from_seed([1; 32]);
        let a = KeyPair::generate(&mut rng);
        let b = KeyPair::generate(&mut rng);
        let mut keys = Keys::new(a.clone(), &mut rng);
        for _ in 0..2 {
            assert_eq!(*keys.shared(&b.public), b.secret.shared_key(&a.public));
        }
        assert_eq!(keys.len(), 1);
    }

    #[test]
    fn a_flood_of_keys_stays_within_the_bound_and_recent_peers_stay() {
        let mut rng = Rng::from_seed([2; 32]);
        let mut keys = Keys::new(KeyPair::generate(&mut rng), &mut rng);
        let friend = PublicKey([9; 32]);
        for _ in 0..3 * SETS * KEYS_PER_SET {
            keys.shared(&PublicKey(rng.bytes()));
            keys.shared(&friend);
        }
        assert!(keys.len() <= SETS * KEYS_PER_SET);
        assert!(keys.len() > SETS * (KEYS_PER_SET - 1), "keys spread over all sets");
        let set = &keys.sets[set_of(keys.salt, &friend)];
        assert!(set.iter().any(|slot| slot.peer == friend));
    }
}
