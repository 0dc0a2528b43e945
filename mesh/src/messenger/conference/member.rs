//! Who is in a conference, and who was there and may come back.

use std::collections::BTreeMap;

use super::recent::Recent;
use crate::wire::{PublicKey, Time};

/// Most members of one conference that are there, oneself not counted. Each costs some 300 bytes.
pub const MAX_MEMBERS: usize = 512;
/// Most members of one conference that are away (c-toxcore `MAX_FROZEN_DEFAULT`).
pub const MAX_FROZEN: usize = 128;

/// A member of a conference.
#[derive(Clone, Debug)]
pub struct Member {
    pub(super) key: PublicKey,
    pub(super) dht_key: PublicKey,
    pub(super) name: Vec<u8>,
    /// A message of it was last heard, in its own name.
    pub(super) heard: Time,
    pub(super) recent: Recent,
    /// The DHT key is of its present stay.
    pub(super) dht_key_known: bool,
    /// The name is of its present stay.
    pub(super) name_known: bool,
}

impl Member {
    /// One of whom nothing but keys is known.
    pub(super) fn new(key: PublicKey, dht_key: PublicKey, now: Time) -> Self {
        let (name, recent) = (Vec::new(), Recent::default());
        Self { key, dht_key, name, heard: now, recent, dht_key_known: true, name_known: false }
    }

    /// Its long-term key.
    pub const fn key(&self) -> PublicKey {
        self.key
    }

    /// Its name, at most 128 bytes: what its client sent, UTF-8 by custom only.
    pub fn name(&self) -> &[u8] {
        &self.name
    }
}

/// A member that is away.
#[derive(Clone, Debug)]
pub(super) struct Frozen {
    pub(super) member: Member,
    /// When it was last heard, in seconds since 1970.
    pub(super) last_active: u64,
}

/// All members but oneself, by their numbers. A key has one number, and a number one key.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    pub(super) present: BTreeMap<u16, Member>,
    pub(super) frozen: BTreeMap<u16, Frozen>,
}

impl Members {
    /// True if a member, there or away, has this number.
    pub(super) fn has_number(&self, number: u16) -> bool {
        self.present.contains_key(&number) || self.frozen.contains_key(&number)
    }

    /// The number and key of a member, there or away.
    pub(super) fn number_of(&self, key: &PublicKey) -> Option<u16> {
        self.present_number(key).or_else(|| self.frozen_number(key))
    }

    /// The number of a member that is there.
    pub(super) fn present_number(&self, key: &PublicKey) -> Option<u16> {
        self.present.iter().find(|(_, member)| member.key == *key).map(|(number, _)| *number)
    }

    /// The number of a member that is away.
    pub(super) fn frozen_number(&self, key: &PublicKey) -> Option<u16> {
        self.frozen.iter().find(|(_, it)| it.member.key == *key).map(|(number, _)| *number)
    }

    /// Whose number this is.
    pub(super) fn key_of(&self, number: u16) -> Option<PublicKey> {
        let present = self.present.get(&number).map(|member| member.key);
        present.or_else(|| self.frozen.get(&number).map(|it| it.member.key))
    }

    /// A member that was away is there again; false if it was not away, or if there is no room.
    pub(super) fn thaw(&mut self, number: u16, now: Time) -> bool {
        if self.present.len() >= MAX_MEMBERS {
            return false;
        }
        let Some(Frozen { mut member, .. }) = self.frozen.remove(&number) else { return false };
        member.heard = now;
        (member.dht_key_known, member.name_known) = (false, false);
        self.present.insert(number, member);
        true
    }

    /// Keeps a member that is away. Of too many those go first that are no friends, and of them those
    /// that are away for longest.
    pub(super) fn freeze(
        &mut self,
        number: u16,
        frozen: Frozen,
        is_friend: impl Fn(&PublicKey) -> bool,
    ) {
        self.frozen.insert(number, frozen);
        let worth = |it: &Frozen| (is_friend(&it.member.key), it.last_active);
        while self.frozen.len() > MAX_FROZEN {
            let least = self.frozen.iter().min_by_key(|(_, it)| worth(it)).map(|(it, _)| *it);
            least.and_then(|least| self.frozen.remove(&least));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn friends_are_kept_for_longest() {
        let mut members = Members::default();
        let key = |number: u16| {
            let mut key = [0; 32];
            key[..2].copy_from_slice(&number.to_be_bytes());
            PublicKey(key)
        };
        let is_friend = |other: &PublicKey| *other == key(0);
        for number in 0..1000 {
            let member = Member::new(key(number), key(number), Time::ZERO);
            let frozen = Frozen { member, last_active: u64::from(number) };
            members.freeze(number, frozen, is_friend);
        }
        assert_eq!(members.frozen.len(), MAX_FROZEN);
        assert!(members.thaw(0, Time::ZERO) && !members.thaw(1, Time::ZERO));
        assert_eq!((members.number_of(&key(0)), members.number_of(&key(1))), (Some(0), None));
        assert_eq!(members.frozen_number(&key(999)), Some(999));
    }
}
