//! What is kept and what goes: scores, eviction, forgetting. No disk, no clock.

use std::collections::{BTreeMap, BTreeSet};

use toktok_wire::{PublicKey, Time};

use super::score::{self, HALF_LIFE};
use super::{Held, StoreKey};
use crate::block::BlockSize;

/// A neighbour's fetches of one block count once in so many microseconds: H/64.
const CREDIT_WINDOW: u64 = HALF_LIFE.as_micros() as u64 / 64;

/// Most (neighbour, block) pairs that are remembered in a window: some 6 MiB. Further fetches in that
/// window are answered but not credited.
const MAX_CREDITS: usize = 65_536;

/// Most blocks that one [`Retention::sweep`] names: a database batch stays small.
pub const SWEEP: usize = 256;

/// What became of a block that shall be stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Admission {
    /// Store it, and first remove those that must make room.
    Store {
        /// When it expires.
        expires: Time,
        /// Blocks with the smallest scores, to be removed.
        evict: Vec<StoreKey>,
    },
    /// It is held already; its expiry is now this.
    Held {
        /// When it expires.
        expires: Time,
    },
    /// Everything held is wanted more than a newcomer.
    Refused,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    size: BlockSize,
    expires: Time,
}

/// The scores of all blocks of one store.
#[derive(Debug)]
pub struct Retention {
    quota: u64,
    bytes: u64,
    entries: BTreeMap<StoreKey, Entry>,
    by_expiry: BTreeSet<(Time, StoreKey)>,
    window: u64,
    credits: BTreeSet<(PublicKey, StoreKey)>,
}

impl Retention {
    /// The policy of an empty store with a quota in bytes.
    pub const fn new(quota: u64) -> Self {
        Self {
            quota,
            bytes: 0,
            entries: BTreeMap::new(),
            by_expiry: BTreeSet::new(),
            window: 0,
            credits: BTreeSet::new(),
        }
    }

    /// Learns of a block that the store has held since before ([`super::BlockStore::visit`]).
    pub fn restore(&mut self, held: Held) {
        self.forget(held.key);
        self.insert(held.key, Entry { size: held.size, expires: held.expires });
    }

    /// Blocks held.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if nothing is held.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of blocks held.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// True if the block is held.
    pub fn contains(&self, key: StoreKey) -> bool {
        self.entries.contains_key(&key)
    }

    /// The block's score now, with 32 fraction bits; `None` if it is not held.
    pub fn score(&self, now: Time, key: StoreKey) -> Option<u64> {
        self.entries.get(&key).map(|entry| score::at(now, entry.expires))
    }

    /// A block that `from` wants stored. A newcomer has score 1 and takes the place of those with the
    /// smallest scores, equals included, but of nobody who is wanted more.
    pub fn admit(
        &mut self,
        now: Time,
        from: PublicKey,
        key: StoreKey,
        size: BlockSize,
    ) -> Admission {
        if let Some(entry) = self.entries.get(&key) {
            let held = entry.expires;
            let expires = self.fetched(now, from, key).unwrap_or(held);
            return Admission::Held { expires };
        }
        let expires = score::fresh(now);
        let need = size.bytes() as u64;
        let mut free = self.quota.saturating_sub(self.bytes);
        let mut evict = Vec::new();
        for (old, victim) in &self.by_expiry {
            if free >= need || *old > expires {
                break;
            }
            free += self.entries.get(victim).map_or(0, |entry| entry.size.bytes() as u64);
            evict.push(*victim);
        }
        if free < need {
            return Admission::Refused;
        }
        evict.iter().for_each(|victim| self.forget(*victim));
        self.insert(key, Entry { size, expires });
        // The insert itself was this neighbour's word for the block in this window.
        self.credit(now, from, key);
        Admission::Store { expires, evict }
    }

    /// A block that was given to `neighbour`: one more on its score, at most once a neighbour in each
    /// H/64. Gives the new expiry, to be written, if it changed.
    pub fn fetched(&mut self, now: Time, neighbour: PublicKey, key: StoreKey) -> Option<Time> {
        let entry = *self.entries.get(&key)?;
        if !self.credit(now, neighbour, key) {
            return None;
        }
        let expires = score::wanted(now, entry.expires);
        self.forget(key);
        self.insert(key, Entry { expires, ..entry });
        Some(expires)
    }

    /// The blocks, at most [`SWEEP`], whose score has fallen to nothing: remove them, full disk or not.
    pub fn sweep(&mut self, now: Time) -> Vec<StoreKey> {
        let due = self.by_expiry.iter().take_while(|(expires, _)| *expires <= now);
        let gone: Vec<_> = due.take(SWEEP).map(|(_, key)| *key).collect();
        gone.iter().for_each(|key| self.forget(*key));
        gone
    }

    /// When the next block falls to nothing.
    pub fn deadline(&self) -> Option<Time> {
        self.by_expiry.first().map(|(expires, _)| *expires)
    }

    /// Forgets a block that the store has lost or could not write.
    pub fn forget(&mut self, key: StoreKey) {
        if let Some(entry) = self.entries.remove(&key) {
            self.by_expiry.remove(&(entry.expires, key));
            self.bytes -= entry.size.bytes() as u64;
        }
    }

    fn insert(&mut self, key: StoreKey, entry: Entry) {
        self.bytes += entry.size.bytes() as u64;
        self.by_expiry.insert((entry.expires, key));
        self.entries.insert(key, entry);
    }

    /// True if this is the neighbour's first fetch of the block in this window.
    fn credit(&mut self, now: Time, neighbour: PublicKey, key: StoreKey) -> bool {
        let window = now.as_micros() / CREDIT_WINDOW;
        if window != self.window {
            self.window = window;
            self.credits.clear();
        }
        self.credits.len() < MAX_CREDITS && self.credits.insert((neighbour, key))
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    const NOW: Time = Time::from_secs(1_000_000_000);
    const SMALL: u64 = BlockSize::Small.bytes() as u64;

    fn key(byte: u8) -> StoreKey {
        StoreKey([byte; StoreKey::LEN])
    }

    fn neighbour(byte: u8) -> PublicKey {
        PublicKey([byte; 32])
    }

    fn admit(retention: &mut Retention, now: Time, byte: u8) -> Admission {
        retention.admit(now, neighbour(0), key(byte), BlockSize::Small)
    }

    #[test]
    fn the_least_wanted_makes_room() {
        let mut retention = Retention::new(2 * SMALL);
        assert!(matches!(admit(&mut retention, NOW, 1), Admission::Store { .. }));
        let later = NOW + Duration::from_secs(60);
        assert!(matches!(admit(&mut retention, later, 2), Admission::Store { .. }));
        assert!(retention.fetched(later, neighbour(9), key(1)).is_some());
        let admission = admit(&mut retention, later, 3);
        assert!(matches!(admission, Admission::Store { evict, .. } if evict == [key(2)]));
        assert_eq!((retention.len(), retention.bytes()), (2, 2 * SMALL));
    }

    #[test]
    fn a_newcomer_displaces_nobody_who_is_wanted_more() {
        let mut retention = Retention::new(SMALL);
        admit(&mut retention, NOW, 1);
        retention.fetched(NOW, neighbour(9), key(1));
        assert_eq!(admit(&mut retention, NOW, 2), Admission::Refused);
        // Two half-lives later, the popular block of then has half a newcomer's score.
        let later = NOW + 2 * HALF_LIFE;
        assert!(matches!(admit(&mut retention, later, 2), Admission::Store { .. }));
    }

    #[test]
    fn a_large_block_displaces_several_small_ones() {
        let quota = BlockSize::Bulk.bytes() as u64;
        let mut retention = Retention::new(quota);
        (0..16).for_each(|byte| drop(admit(&mut retention, NOW, byte)));
        let admission = retention.admit(NOW, neighbour(0), key(99), BlockSize::Bulk);
        assert!(matches!(admission, Admission::Store { evict, .. } if evict.len() == 16));
        assert_eq!(retention.bytes(), quota);
        let mut tiny = Retention::new(SMALL);
        let refused = tiny.admit(NOW, neighbour(0), key(1), BlockSize::Bulk);
        assert_eq!(refused, Admission::Refused);
    }

    #[test]
    fn nobody_can_pump() {
        let mut retention = Retention::new(SMALL);
        admit(&mut retention, NOW, 1);
        assert_eq!(retention.fetched(NOW, neighbour(0), key(1)), None, "the insert counted");
        assert!(retention.fetched(NOW, neighbour(1), key(1)).is_some());
        for _ in 0..100 {
            assert_eq!(retention.fetched(NOW, neighbour(1), key(1)), None);
        }
        let held = retention.score(NOW, key(1)).unwrap();
        assert!(held.abs_diff(2 * score::ONE) < 1000);
        let next = NOW + Duration::from_micros(CREDIT_WINDOW);
        assert!(retention.fetched(next, neighbour(1), key(1)).is_some());
    }

    #[test]
    fn inserting_again_counts_like_a_fetch() {
        let mut retention = Retention::new(SMALL);
        admit(&mut retention, NOW, 1);
        let first = retention.deadline().unwrap();
        assert_eq!(admit(&mut retention, NOW, 1), Admission::Held { expires: first });
        let other = retention.admit(NOW, neighbour(5), key(1), BlockSize::Small);
        assert!(matches!(other, Admission::Held { expires } if expires > first));
        assert_eq!(retention.len(), 1);
    }

    #[test]
    fn what_nobody_asks_for_is_forgotten_even_when_the_disk_is_free() {
        let mut retention = Retention::new(1 << 30);
        for byte in 0..5 {
            admit(&mut retention, NOW, byte);
        }
        retention.fetched(NOW, neighbour(9), key(3));
        let deadline = retention.deadline().unwrap();
        assert_eq!(deadline, score::fresh(NOW));
        assert!(retention.sweep(deadline - Duration::from_secs(1)).is_empty());
        assert_eq!(retention.sweep(deadline).len(), 4);
        assert!(retention.contains(key(3)));
        assert_eq!(retention.sweep(deadline + HALF_LIFE).len(), 1);
        assert!(retention.is_empty() && retention.bytes() == 0);
    }

    #[test]
    fn credits_are_bounded() {
        let mut retention = Retention::new(SMALL);
        admit(&mut retention, NOW, 1);
        for i in 0..MAX_CREDITS as u32 + 10 {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&i.to_be_bytes());
            retention.fetched(NOW, PublicKey(bytes), key(1));
        }
        assert_eq!(retention.credits.len(), MAX_CREDITS);
    }
}
