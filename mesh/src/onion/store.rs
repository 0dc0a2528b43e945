//! Announcements that this node keeps for others.

use core::time::Duration;

use crate::wire::onion::ReturnPath;
use crate::wire::{Address, PublicKey, Time};

/// Announcements kept at once (c-toxcore `ONION_ANNOUNCE_MAX_ENTRIES`): some 50 KiB.
pub(super) const MAX_ENTRIES: usize = 160;

/// An announcement that is not repeated is forgotten after this (c-toxcore
/// `ONION_ANNOUNCE_TIMEOUT`).
pub(super) const LIFETIME: Duration = Duration::from_secs(300);

/// One key's announcement: how data reaches it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The announced key.
    pub(super) key: PublicKey,
    /// The key to which data for it is to be sealed.
    pub(super) data_key: PublicKey,
    /// The last hop of its path.
    pub(super) hop: Address,
    /// The way back along that path.
    pub(super) back: ReturnPath,
    /// When it came.
    pub(super) at: Time,
}

impl Entry {
    fn is_fresh(&self, now: Time) -> bool {
        now < self.at + LIFETIME
    }
}

/// The entries, in no order.
#[derive(Debug, Default)]
pub(super) struct Store {
    entries: Vec<Entry>,
}

impl Store {
    /// The announcement of a key, unless it is too old.
    pub(super) fn entry(&self, key: &PublicKey, now: Time) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == *key && entry.is_fresh(now))
    }

    /// Keeps an announcement: in place of the same key's, of an expired one, or, when full, of the one
    /// furthest from this node's key `own` if the new one is nearer. False if there is no place.
    pub(super) fn insert(&mut self, own: &PublicKey, entry: Entry) -> bool {
        let now = entry.at;
        let same = self.entries.iter().position(|other| other.key == entry.key);
        let place = same.or_else(|| self.entries.iter().position(|other| !other.is_fresh(now)));
        if let Some(place) = place {
            self.entries[place] = entry;
            return true;
        }
        if self.entries.len() < MAX_ENTRIES {
            self.entries.push(entry);
            return true;
        }
        let furthest = self.entries.iter_mut().max_by_key(|other| own.distance(&other.key));
        match furthest {
            Some(other) if own.distance(&other.key) > own.distance(&entry.key) => {
                *other = entry;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Rng;

    fn entry(key: PublicKey, at: Time) -> Entry {
        let hop = Address::udp(([10, 0, 0, 1], 1).into());
        Entry { key, data_key: PublicKey([0; 32]), hop, back: ReturnPath::EMPTY, at }
    }

    #[test]
    fn a_full_store_keeps_the_nearest_and_makes_room_when_entries_expire() {
        let (mut store, mut rng) = (Store::default(), Rng::from_seed([3; 32]));
        let own = PublicKey([0; 32]);
        let mut keys: Vec<_> = (0..400).map(|_| PublicKey(rng.bytes())).collect();
        for key in &keys {
            store.insert(&own, entry(*key, Time::ZERO));
        }
        keys.sort_unstable_by_key(|key| own.distance(key));
        assert_eq!(store.entries.len(), MAX_ENTRIES);
        assert!(keys[..MAX_ENTRIES].iter().all(|key| store.entry(key, Time::ZERO).is_some()));
        let far = PublicKey([0xff; 32]);
        assert!(!store.insert(&own, entry(far, Time::from_secs(299))));
        assert!(store.insert(&own, entry(far, Time::from_secs(300))));
        assert!(store.entry(&far, Time::from_secs(300)).is_some());
        assert!(store.entry(&keys[0], Time::from_secs(300)).is_none());
        assert_eq!(store.entries.len(), MAX_ENTRIES);
    }
}
