//! Conferences in a Tox client's save file (research note `tox.md` 1.13, section 20).

use super::member::{Frozen, Member};
use super::set::{Common, Conferences, MAX_CONFERENCES};
use super::state::Conference;
use crate::wire::conference::{ConferenceId, ConferenceKind};
use crate::wire::save::{self, LOSSY_NUMBER_LEAP, MESSAGE_NUMBER_LEAP};
use crate::wire::{PublicKey, Time};

impl Conferences {
    /// What is kept of those that were joined.
    pub(crate) fn save(&self) -> Vec<save::Conference> {
        self.all.values().filter_map(|conference| saved(conference, &self.common)).collect()
    }

    /// Goes on with conferences of an earlier run: all members are away until they are heard of. Gives
    /// back how many were not taken: known already, of an unknown kind, or too many.
    pub(crate) fn load(&mut self, now: Time, conferences: &[save::Conference]) -> usize {
        let mut refused = 0;
        for conference in conferences {
            refused += usize::from(!self.load_one(now, conference));
        }
        refused
    }

    fn load_one(&mut self, now: Time, saved: &save::Conference) -> bool {
        let kind = match saved.kind {
            0 => ConferenceKind::Text,
            1 => ConferenceKind::Audio,
            _ => return false,
        };
        let id = ConferenceId { kind, random: saved.id };
        if self.all.contains_key(&id) || self.all.len() >= MAX_CONFERENCES {
            return false;
        }
        let number = self.take_number();
        let mut it = Conference::new(id, number, Some(saved.peer_number));
        it.message_number = saved.message_number;
        it.lossy_number = saved.lossy_number;
        saved.title.clone_into(&mut it.title);
        saved.peers.iter().for_each(|peer| self.load_member(now, peer, &mut it));
        self.all.insert(id, it);
        true
    }

    fn load_member(&self, now: Time, peer: &save::ConferencePeer, into: &mut Conference) {
        let known = into.members.has_number(peer.number)
            || into.own == Some(peer.number)
            || into.members.number_of(&peer.key).is_some();
        if known || peer.key == self.common.me {
            return;
        }
        let mut member = Member::new(peer.key, peer.dht_key, now);
        peer.name.clone_into(&mut member.name);
        let frozen = Frozen { member, last_active: peer.last_active };
        let friends = &self.common.friends;
        into.members.freeze(peer.number, frozen, |key: &PublicKey| friends.contains(key));
    }
}

fn saved(conference: &Conference, common: &Common) -> Option<save::Conference> {
    let peer = |number: u16, member: &Member, last_active| save::ConferencePeer {
        key: member.key,
        dht_key: member.dht_key,
        number,
        last_active,
        name: member.name.clone(),
    };
    let present = conference.members.present.iter();
    let frozen = conference.members.frozen.iter();
    let peers = present
        .map(|(number, member)| peer(*number, member, common.calendar(member.heard)))
        .chain(frozen.map(|(number, it)| peer(*number, &it.member, it.last_active)));
    Some(save::Conference {
        kind: conference.id.kind as u8,
        id: conference.id.random,
        message_number: conference.message_number.wrapping_add(MESSAGE_NUMBER_LEAP),
        lossy_number: conference.lossy_number.wrapping_add(LOSSY_NUMBER_LEAP),
        peer_number: conference.own?,
        title: conference.title.clone(),
        peers: peers.collect(),
    })
}
