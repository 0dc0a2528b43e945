//! The announcements that this node keeps: 32 buckets of 8, as c-toxcore's. In a full bucket a key
//! nearer to this node's takes the place of the furthest one, never the other way round.

use crate::wire::announcement::{self, MAX_ANNOUNCEMENT};
use crate::wire::{PublicKey, Time};

/// A bucket's number is so many bits.
const BUCKET_BITS: u32 = 5;
/// Buckets.
pub(super) const BUCKETS: usize = 1 << BUCKET_BITS;
/// Announcements in one bucket; with 512 bytes each all of them are 128 KiB.
pub(super) const BUCKET_SIZE: usize = 8;

/// An announcement.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    key: PublicKey,
    /// At most [`MAX_ANNOUNCEMENT`] bytes.
    pub(super) data: Vec<u8>,
    until: Time,
}

impl Entry {
    /// The hash by which others know it.
    pub(super) fn hash(&self) -> [u8; 32] {
        announcement::hash(&self.data)
    }
}

/// All announcements. An entry that is over counts as absent, and its place as free.
#[derive(Debug)]
pub(super) struct Store {
    own: PublicKey,
    /// Made with the first announcement.
    buckets: Vec<Vec<Entry>>,
}

/// The [`BUCKET_BITS`] bits behind the first one in which `key` differs from `own`, differences as ones:
/// keys at every distance spread over all buckets.
fn bucket_of(own: &PublicKey, key: &PublicKey) -> usize {
    let distance = own.distance(key);
    let first = own.common_prefix_bits(key) as usize + 1;
    let bit = |at: usize| distance.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
    (first..first + BUCKET_BITS as usize).fold(0, |number, at| number << 1 | usize::from(bit(at)))
}

impl Store {
    /// Keeps nothing yet; `own` is this node's DHT key.
    pub(super) fn new(own: PublicKey) -> Self {
        Self { own, buckets: Vec::new() }
    }

    fn bucket(&self, key: &PublicKey) -> &[Entry] {
        self.buckets.get(bucket_of(&self.own, key)).map_or(&[], Vec::as_slice)
    }

    /// The announcement of `key`.
    pub(super) fn entry(&self, key: &PublicKey, now: Time) -> Option<&Entry> {
        self.bucket(key).iter().find(|entry| entry.key == *key && now < entry.until)
    }

    /// Where an announcement of `key` would go: `Ok` over an entry that gives way, or `Err` into free
    /// space; `None` if there is no place for it.
    fn place(&self, key: &PublicKey, now: Time) -> Option<Result<usize, ()>> {
        let bucket = self.bucket(key);
        let gives_way = |entry: &Entry| entry.key == *key;
        let known = bucket.iter().position(gives_way);
        let over = || bucket.iter().position(|entry| entry.until <= now);
        if let Some(index) = known.or_else(over) {
            return Some(Ok(index));
        }
        if bucket.len() < BUCKET_SIZE {
            return Some(Err(()));
        }
        let shared = |entry: &Entry| self.own.common_prefix_bits(&entry.key);
        let furthest = (0..bucket.len()).min_by_key(|index| shared(&bucket[*index]))?;
        let is_nearer = shared(&bucket[furthest]) < self.own.common_prefix_bits(key);
        is_nearer.then_some(Ok(furthest))
    }

    /// True if an announcement of `key` would be kept now.
    pub(super) fn accepts(&self, key: &PublicKey, now: Time) -> bool {
        self.place(key, now).is_some()
    }

    /// Keeps an announcement until then; false if it is too long or there is no place for it.
    pub(super) fn insert(&mut self, key: PublicKey, data: &[u8], now: Time, until: Time) -> bool {
        if data.len() > MAX_ANNOUNCEMENT {
            return false;
        }
        let Some(place) = self.place(&key, now) else { return false };
        if self.buckets.is_empty() {
            self.buckets.resize_with(BUCKETS, Vec::new);
        }
        let bucket = &mut self.buckets[bucket_of(&self.own, &key)];
        let entry = Entry { key, data: data.to_vec(), until };
        match place {
            Ok(index) => bucket[index] = entry,
            Err(()) => bucket.push(entry),
        }
        true
    }

    /// Keeps the announcement of `key` until then if its hash is this one. If it is another, the
    /// announcement goes: who has the key's secret half says that it is outdated.
    pub(super) fn refresh(
        &mut self,
        key: &PublicKey,
        hash: &[u8; 32],
        now: Time,
        until: Time,
    ) -> bool {
        let bucket = self.buckets.get_mut(bucket_of(&self.own, key));
        let Some(bucket) = bucket else { return false };
        let is_it = |entry: &Entry| entry.key == *key && now < entry.until;
        let Some(index) = bucket.iter().position(is_it) else { return false };
        if bucket[index].hash() != *hash {
            bucket.remove(index);
            return false;
        }
        bucket[index].until = until;
        true
    }

    /// Entries and their bytes, those that are over included.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize) {
        let entries = || self.buckets.iter().flatten();
        (entries().count(), entries().map(|entry| entry.data.len()).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Rng;

    const OWN: PublicKey = PublicKey([0; 32]);
    const NOW: Time = Time::from_secs(100);
    const LATER: Time = Time::from_secs(200);

    /// A key that differs from ours first in this bit and then has these bits.
    fn key(first: usize, bits: u8, number: u8) -> PublicKey {
        let mut key = [0; 32];
        let number_bits = (0x20 | u64::from(bits)) << (58 - first);
        key[..8].copy_from_slice(&number_bits.to_be_bytes());
        key[31] = number;
        PublicKey(key)
    }

    #[test]
    fn buckets_are_the_bits_behind_the_first_difference() {
        for first in [0, 3, 5, 40] {
            for bits in 0..32 {
                assert_eq!(bucket_of(&OWN, &key(first, bits, 9)), usize::from(bits));
            }
        }
        assert_eq!(bucket_of(&OWN, &OWN), 0);
        let mut last = [0; 32];
        last[31] = 0b10;
        assert_eq!(bucket_of(&OWN, &PublicKey(last)), 0, "bits behind the end are zeros");
        last[31] = 0b11;
        assert_eq!(bucket_of(&OWN, &PublicKey(last)), 16);
    }

    #[test]
    fn a_full_bucket_gives_the_furthest_place_to_a_nearer_key_only() {
        let mut store = Store::new(OWN);
        for number in 0..8 {
            let first = if number == 3 { 1 } else { 2 };
            assert!(store.insert(key(first, 7, number), b"old", NOW, LATER));
        }
        assert!(!store.accepts(&key(1, 7, 100), NOW), "no nearer than the furthest");
        assert!(!store.insert(key(1, 7, 100), b"new", NOW, LATER));
        assert!(store.accepts(&key(1, 8, 100), NOW), "another bucket");
        assert!(store.insert(key(2, 7, 100), b"new", NOW, LATER));
        assert!(store.entry(&key(1, 7, 3), NOW).is_none(), "the furthest made room");
        assert!(store.insert(key(2, 7, 5), b"newer", NOW, LATER), "known keys are always welcome");
        assert_eq!(
            store.entry(&key(2, 7, 5), NOW).map(|entry| &entry.data[..]),
            Some(&b"newer"[..])
        );
        assert!(!store.accepts(&key(2, 7, 101), NOW));
        assert!(store.accepts(&key(1, 7, 101), LATER), "those that are over make room");
    }

    #[test]
    fn an_announcement_ends_is_refreshed_by_its_hash_and_goes_by_a_wrong_one() {
        let mut store = Store::new(OWN);
        let key = key(0, 1, 1);
        let hash = announcement::hash(b"data");
        assert!(!store.refresh(&key, &hash, NOW, LATER), "there is none");
        assert!(store.insert(key, b"data", NOW, LATER));
        assert!(store.entry(&key, LATER).is_none());
        assert!(!store.refresh(&key, &hash, LATER, Time::from_secs(300)), "it is over");
        assert!(store.refresh(&key, &hash, NOW, Time::from_secs(300)));
        assert_eq!(store.entry(&key, LATER).map(Entry::hash), Some(hash));
        assert!(!store.refresh(&key, &[1; 32], LATER, Time::from_secs(400)));
        assert!(store.entry(&key, LATER).is_none(), "it is outdated");
    }

    #[test]
    fn a_flood_stays_within_the_bounds() {
        let (mut store, mut rng) = (Store::new(OWN), Rng::from_seed([7; 32]));
        for _ in 0..20_000 {
            let mut key: [u8; 32] = rng.bytes();
            key[0] = (u16::from(key[0]) >> rng.below(9)) as u8;
            store.insert(PublicKey(key), &[1; MAX_ANNOUNCEMENT], NOW, LATER);
        }
        assert!(!store.insert(key(9, 1, 1), &[1; MAX_ANNOUNCEMENT + 1], NOW, LATER));
        assert_eq!(store.size(), (BUCKETS * BUCKET_SIZE, BUCKETS * BUCKET_SIZE * MAX_ANNOUNCEMENT));
    }
}
