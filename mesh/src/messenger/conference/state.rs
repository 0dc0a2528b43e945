//! One conference as this node sees it.

use core::time::Duration;

use super::event::ConferenceEvent as Event;
use super::link::{Added, Links, Reason};
use super::member::{Frozen, MAX_MEMBERS, Member, Members};
use super::ring;
use super::set::Common;
use crate::drops::DropReason;
use crate::wire::conference::{ConferenceId, ConferencePacket, Direct, MessageBody};
use crate::wire::{PublicKey, Time};

/// Each member is to be heard this often (c-toxcore `GROUP_PING_INTERVAL`).
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// Who was not heard for so long is away (c-toxcore `FREEZE_TIMEOUT`).
pub(super) const FREEZE_TIMEOUT: Duration = Duration::from_secs(60);

/// A conference that this node is in, or joins.
///
/// Nothing proves to a member who said what: each can speak in every other's name.
#[derive(Clone, Debug)]
pub struct Conference {
    pub(super) id: ConferenceId,
    /// What this node calls it towards others.
    pub(super) number: u16,
    /// This node's number among the members, once somebody told it.
    pub(super) own: Option<u16>,
    pub(super) members: Members,
    pub(super) links: Links,
    pub(super) title: Vec<u8>,
    /// A member gave the title since this node is not alone: the one that brings us in knows no better.
    pub(super) title_fresh: bool,
    /// The number of the last message.
    pub(super) message_number: u32,
    /// The number of the next lossy message; none are sent, but saves have it.
    pub(super) lossy_number: u16,
    /// Members have not heard this node's name.
    pub(super) name_untold: bool,
    /// Members have come or gone since neighbours were chosen.
    pub(super) ring_changed: bool,
    pinged_at: Option<Time>,
    /// No member is to be frozen before that.
    freeze_at: Option<Time>,
}

impl Conference {
    /// Which one it is, to all its members.
    pub const fn id(&self) -> ConferenceId {
        self.id
    }

    /// What its members called it, at most 128 bytes; empty until somebody does.
    pub fn title(&self) -> &[u8] {
        &self.title
    }

    /// This node is a member. Until then it waits for an answer of who invited it.
    pub const fn is_joined(&self) -> bool {
        self.own.is_some()
    }

    /// At least one other member is connected: what is said now is heard.
    pub fn is_connected(&self) -> bool {
        self.links.online().next().is_some()
    }

    /// The others that are there.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.present.values()
    }

    /// Those that are away and may come back.
    pub fn absent(&self) -> impl Iterator<Item = &Member> {
        self.members.frozen.values().map(|frozen| &frozen.member)
    }

    /// One without members.
    pub(super) fn new(id: ConferenceId, number: u16, own: Option<u16>) -> Self {
        Self {
            id,
            number,
            own,
            members: Members::default(),
            links: Links::default(),
            title: Vec::new(),
            title_fresh: false,
            message_number: 0,
            lossy_number: 0,
            name_untold: false,
            ring_changed: false,
            pinged_at: None,
            freeze_at: None,
        }
    }

    /// Uses the connection with `peer` for this reason too; false if others are needed more.
    pub(super) fn link(
        &mut self,
        now: Time,
        peer: PublicKey,
        dht_key: PublicKey,
        reason: Reason,
        common: &mut Common,
    ) -> bool {
        match self.links.add(peer, reason) {
            Added::Known => {}
            Added::New(given_up) => {
                common.outbox.hold(peer, dht_key);
                if let Some(other) = given_up {
                    common.outbox.release(now, other);
                }
            }
            Added::Refused => common.drops.count(DropReason::LimitReached),
        }
        self.links.get(&peer).is_some()
    }

    /// Uses the connection with `peer` no longer.
    pub(super) fn unlink(&mut self, now: Time, peer: &PublicKey, common: &mut Common) {
        if self.links.remove(peer) {
            common.outbox.release(now, *peer);
        }
    }

    /// The connection with `peer` is not used for this reason any more.
    pub(super) fn unlink_for(
        &mut self,
        now: Time,
        peer: &PublicKey,
        reason: Reason,
        common: &mut Common,
    ) {
        let Some(link) = self.links.get_mut(peer).filter(|link| link.has(reason)) else { return };
        let used = link.take(reason);
        if let Some(to) = link.online.filter(|_| reason == Reason::Introducer) {
            let packet = ConferencePacket::Direct { to, direct: Direct::Introduced };
            common.send(*peer, &packet);
        }
        if !used {
            self.unlink(now, peer, common);
        }
    }

    /// Says that this node takes part over the connection with `peer`.
    pub(super) fn say_online(&self, peer: PublicKey, common: &mut Common) {
        let packet = ConferencePacket::Online { from: self.number, conference: self.id };
        common.send(peer, &packet);
    }

    /// Says something to all; false if nobody is connected, or nothing more can wait.
    pub(super) fn flood(&mut self, body: MessageBody<'_>, common: &mut Common) -> bool {
        use crate::wire::conference::ConferenceMessage;
        let Some(peer) = self.own.filter(|_| self.is_connected()) else { return false };
        self.message_number = self.message_number.wrapping_add(1).max(1);
        let message = ConferenceMessage { peer, number: self.message_number, body };
        self.links.online().fold(false, |sent, (peer, to)| {
            common.send(peer, &ConferencePacket::Message { to, message }) || sent
        })
    }

    /// Somebody tells of a member. `fresh` if that member came just now or spoke, and not if it is one
    /// of a list, of whom some may have left meanwhile.
    ///
    /// # Errors
    /// [`DropReason::Refused`] if its number is another one's, [`DropReason::LimitReached`] if there
    /// are too many.
    pub(super) fn admit(
        &mut self,
        now: Time,
        number: u16,
        (key, dht_key): (PublicKey, PublicKey),
        fresh: bool,
        common: &mut Common,
    ) -> Result<(), DropReason> {
        if self.own == Some(number) || self.members.key_of(number).is_some_and(|it| it != key) {
            return Err(DropReason::Refused);
        }
        if fresh {
            self.note_active(now, number, common);
        }
        if let Some(member) = self.members.present.get_mut(&number) {
            if fresh || !member.dht_key_known {
                (member.dht_key, member.dht_key_known) = (dht_key, true);
            }
            return Ok(());
        }
        if let Some(frozen) = self.members.frozen.get_mut(&number) {
            frozen.member.dht_key = dht_key;
            return Ok(());
        }
        if let Some(old) = self.members.number_of(&key) {
            self.members.frozen.remove(&old);
            self.remove(now, old, common);
        }
        if self.members.present.len() >= MAX_MEMBERS {
            return Err(DropReason::LimitReached);
        }
        self.members.present.insert(number, Member::new(key, dht_key, now));
        self.came(now, key, common);
        Ok(())
    }

    /// A member was heard; false if there is none with this number.
    pub(super) fn note_active(&mut self, now: Time, number: u16, common: &mut Common) -> bool {
        if let Some(member) = self.members.present.get_mut(&number) {
            member.heard = now;
            return true;
        }
        let key = self.members.key_of(number);
        let Some(key) = key.filter(|_| self.members.thaw(number, now)) else { return false };
        self.name_untold = true;
        self.came(now, key, common);
        true
    }

    fn came(&mut self, now: Time, member: PublicKey, common: &mut Common) {
        self.ring_changed = true;
        self.freeze_at.get_or_insert(now + FREEZE_TIMEOUT);
        common.tell(self.id, Event::Came { member });
    }

    /// A member has left for good, or is to be frozen.
    pub(super) fn remove(&mut self, now: Time, number: u16, common: &mut Common) -> Option<Member> {
        let member = self.members.present.remove(&number)?;
        self.ring_changed = true;
        self.unlink(now, &member.key, common);
        common.tell(self.id, Event::Left { member: member.key });
        Some(member)
    }

    /// A member is away. If it is a friend with a session, it is asked to take part again.
    pub(super) fn freeze(&mut self, now: Time, number: u16, common: &mut Common) {
        let Some(member) = self.remove(now, number, common) else { return };
        let (key, last_active) = (member.key, common.calendar(member.heard));
        let friends = &common.friends;
        let frozen = Frozen { member, last_active };
        self.members.freeze(number, frozen, |key| friends.contains(key));
        if self.members.frozen.contains_key(&number) {
            self.rejoin(now, key, common);
        }
    }

    /// Tells a member that is connected that this node takes part again.
    pub(super) fn rejoin(&mut self, now: Time, peer: PublicKey, common: &mut Common) {
        let Some(dht_key) = common.connected.get(&peer).copied() else { return };
        if self.is_joined() && self.link(now, peer, dht_key, Reason::Introducer, common) {
            common.send(peer, &ConferencePacket::Rejoin { conference: self.id });
        }
    }

    /// A session with `peer` stands.
    pub(super) fn handle_up(&mut self, now: Time, peer: PublicKey, common: &mut Common) {
        if self.links.get(&peer).is_some() {
            self.say_online(peer, common);
        }
        if self.members.frozen_number(&peer).is_some() {
            self.rejoin(now, peer, common);
        }
    }

    /// The session with `peer` is gone. If it was the last one, so are all others.
    pub(super) fn handle_down(&mut self, now: Time, peer: &PublicKey, common: &mut Common) {
        let Some(link) = self.links.get_mut(peer) else { return };
        (link.online, link.asked_at, link.answer_at) = (None, None, None);
        if !self.is_connected() {
            let present: Vec<u16> = self.members.present.keys().copied().collect();
            present.into_iter().for_each(|number| self.freeze(now, number, common));
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(super) fn deadline(&self) -> Option<Time> {
        let ping = self.own.filter(|_| self.is_connected()).map(|_| self.ping_at());
        let answers = self.links.iter().filter_map(|link| link.answer_at);
        answers.chain(ping).chain(self.freeze_at).min()
    }

    fn ping_at(&self) -> Time {
        self.pinged_at.map_or(Time::ZERO, |at| at + PING_INTERVAL)
    }

    /// Says that this node is there, if it did not for a while.
    pub(super) fn ping(&mut self, now: Time, common: &mut Common) {
        if self.ping_at() <= now && self.is_joined() && self.is_connected() {
            self.pinged_at = Some(now);
            self.flood(MessageBody::Ping, common);
        }
    }

    /// Runs what is due, and what members' coming and going brings about.
    pub(super) fn handle_timeout(&mut self, now: Time, common: &mut Common) {
        if self.freeze_at.is_some_and(|at| at <= now) {
            self.freeze_silent(now, common);
        }
        self.answer_due(now, common);
        if !self.is_joined() {
            return;
        }
        if core::mem::take(&mut self.ring_changed) {
            self.choose_neighbours(now, common);
        }
        self.ping(now, common);
        if self.name_untold {
            let name = core::mem::take(&mut common.name);
            self.name_untold = !self.flood(MessageBody::Name(&name), common);
            common.name = name;
        }
    }

    /// Freezes those who were not heard for too long.
    fn freeze_silent(&mut self, now: Time, common: &mut Common) {
        let silent = |member: &Member| member.heard + FREEZE_TIMEOUT <= now;
        let present = self.members.present.iter();
        let silent: Vec<u16> = present.filter(|(_, it)| silent(it)).map(|(it, _)| *it).collect();
        silent.into_iter().for_each(|number| self.freeze(now, number, common));
        let next = self.members.present.values().map(|member| member.heard).min();
        self.freeze_at = next.map(|heard| heard + FREEZE_TIMEOUT);
        self.title_fresh &= next.is_some();
    }

    /// Keeps connections with the neighbours of now.
    fn choose_neighbours(&mut self, now: Time, common: &mut Common) {
        let keys = self.members.present.values().map(|member| member.key);
        let chosen = ring::neighbours(&common.me, keys);
        let old = self.links.iter().filter(|link| link.has(Reason::Neighbour));
        let gone: Vec<PublicKey> =
            old.map(|link| link.peer).filter(|peer| !chosen.contains(peer)).collect();
        gone.iter().for_each(|peer| self.unlink_for(now, peer, Reason::Neighbour, common));
        for peer in chosen {
            let member = self.members.present.values().find(|member| member.key == peer);
            let Some(dht_key) = member.map(|member| member.dht_key) else { continue };
            let linked = self.link(now, peer, dht_key, Reason::Neighbour, common);
            let offline = self.links.get(&peer).is_some_and(|link| link.online.is_none());
            if linked && offline && common.connected.contains_key(&peer) {
                self.say_online(peer, common);
            }
        }
    }

    /// Uses no connection any more.
    pub(super) fn unlink_all(&mut self, now: Time, common: &mut Common) {
        let peers: Vec<PublicKey> = self.links.iter().map(|link| link.peer).collect();
        peers.iter().for_each(|peer| self.unlink(now, peer, common));
    }
}
