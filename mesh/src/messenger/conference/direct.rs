//! What two members tell each other alone: who is there, and what the title is.

use core::time::Duration;

use super::event::ConferenceEvent as Event;
use super::link::Reason;
use super::set::Common;
use super::state::Conference;
use crate::drops::DropReason;
use crate::wire::conference::{ConferencePacket, ConferencePeer, Direct};
use crate::wire::{PublicKey, Time};

/// A peer is asked for the list of members this often at most, and is told it as often: a list may be
/// ten thousand times as long as the question.
const LIST_INTERVAL: Duration = Duration::from_secs(1);

impl Conference {
    /// Asks a peer for the list of members.
    pub(super) fn ask(&mut self, now: Time, peer: PublicKey, common: &mut Common) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        let Some(to) = link.online else { return };
        if link.asked_at.is_some_and(|at| now < at + LIST_INTERVAL) {
            return;
        }
        link.asked_at = Some(now);
        common.send(peer, &ConferencePacket::Direct { to, direct: Direct::Query });
    }

    /// Takes what a member tells this node alone.
    pub(super) fn handle_direct(
        &mut self,
        now: Time,
        from: PublicKey,
        direct: &Direct<'_>,
        common: &mut Common,
    ) -> Result<(), DropReason> {
        let link = self.links.get_mut(&from).ok_or(DropReason::Unsolicited)?;
        match direct {
            Direct::Introduced => self.unlink_for(now, &from, Reason::Introducing, common),
            Direct::Query if link.online.is_some() => {
                let earliest = link.answered_at.map_or(now, |at| now.max(at + LIST_INTERVAL));
                link.answer_at.get_or_insert(earliest);
                self.answer_due(now, common);
            }
            Direct::Query => return Err(DropReason::Unsolicited),
            Direct::Peers(peers) => return self.handle_peers(now, peers, common),
            Direct::Title(title) if !self.title_fresh => self.set_title(None, title, common),
            Direct::Title(_) => {}
        }
        Ok(())
    }

    /// Tells those who asked for it, and not just before, who is there.
    pub(super) fn answer_due(&mut self, now: Time, common: &mut Common) {
        let due = |at: &Option<Time>| at.is_some_and(|at| at <= now);
        let mut asked = Vec::new();
        for link in self.links.iter_mut().filter(|link| due(&link.answer_at)) {
            (link.answer_at, link.answered_at) = (None, Some(now));
            asked.extend(link.online.map(|to| (link.peer, to)));
        }
        for (peer, to) in asked {
            self.tell_members(peer, to, common);
        }
    }

    fn tell_members(&self, peer: PublicKey, to: u16, common: &mut Common) {
        let name = core::mem::take(&mut common.name);
        let own = self.own.map(|number| {
            let (key, dht_key) = (common.me, common.dht_key);
            ConferencePeer { number, key, dht_key, name: &name }
        });
        let others = self.members.present.iter().map(|(number, member)| {
            let (key, dht_key, name) = (member.key, member.dht_key, &member.name[..]);
            ConferencePeer { number: *number, key, dht_key, name }
        });
        for direct in Direct::all_peers(own.into_iter().chain(others)) {
            common.send(peer, &ConferencePacket::Direct { to, direct });
        }
        common.name = name;
        if !self.title.is_empty() {
            let direct = Direct::Title(&self.title);
            common.send(peer, &ConferencePacket::Direct { to, direct });
        }
    }

    /// Takes a list of members: this node is among them if it was taken in.
    fn handle_peers(
        &mut self,
        now: Time,
        peers: &[ConferencePeer<'_>],
        common: &mut Common,
    ) -> Result<(), DropReason> {
        let mut result = Ok(());
        for peer in peers {
            if peer.key == common.me {
                self.learn_own_number(now, peer.number, common);
                continue;
            }
            let keys = (peer.key, peer.dht_key);
            match self.admit(now, peer.number, keys, false, common) {
                Ok(()) => self.learn_name(peer, common),
                refused => result = refused,
            }
        }
        result
    }

    /// This node is a member by this number. What it is called once is what it stays.
    fn learn_own_number(&mut self, now: Time, number: u16, common: &mut Common) {
        if self.is_joined() {
            return;
        }
        self.own = Some(number);
        self.name_untold = true;
        self.ring_changed = true;
        common.tell(self.id, Event::Joined);
        self.remove(now, number, common);
    }

    /// A name in a list is old news to who heard the member itself.
    fn learn_name(&mut self, peer: &ConferencePeer<'_>, common: &mut Common) {
        let Some(member) = self.members.present.get_mut(&peer.number) else { return };
        if !member.name_known {
            self.set_name(peer.number, peer.name, common);
        }
    }

    /// A member has this name.
    pub(super) fn set_name(&mut self, number: u16, name: &[u8], common: &mut Common) {
        let Some(member) = self.members.present.get_mut(&number) else { return };
        member.name_known = true;
        if member.name != name {
            name.clone_into(&mut member.name);
            common.tell(self.id, Event::Name { member: member.key, name: name.to_vec() });
        }
    }

    /// The conference has this title.
    pub(super) fn set_title(
        &mut self,
        member: Option<PublicKey>,
        title: &[u8],
        common: &mut Common,
    ) {
        if self.title != title {
            self.title_fresh = true;
            title.clone_into(&mut self.title);
            common.tell(self.id, Event::Title { member, title: title.to_vec() });
        }
    }
}
