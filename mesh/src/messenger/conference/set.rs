//! All conferences of this node, and what they have in common.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::event::ConferenceEvent;
use super::invitation::Invitation;
use super::outbox::{Outbox, Tie};
use super::state::Conference;
use crate::drops::{DropReason, Drops};
use crate::messenger::carrier::Carrier;
use crate::messenger::event::MessengerEvent;
use crate::wire::conference::{ConferenceId, ConferencePacket, id};
use crate::wire::{PublicKey, Rng, Time};

/// Most conferences that this node is in at once.
pub const MAX_CONFERENCES: usize = 64;

/// True for ids of conferences' packets.
pub(crate) const fn is_conference(packet: u8) -> bool {
    matches!(packet, id::INVITE..=id::REJOIN | id::LOSSY)
}

/// What belongs to all conferences together, and is lent to one for the length of a call.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) me: PublicKey,
    pub(super) dht_key: PublicKey,
    pub(super) name: Vec<u8>,
    pub(super) friends: BTreeSet<PublicKey>,
    /// Peers with which a session stands, and their DHT keys.
    pub(super) connected: BTreeMap<PublicKey, PublicKey>,
    pub(super) outbox: Outbox,
    pub(super) drops: Drops,
    pub(super) rng: Rng,
    events: VecDeque<MessengerEvent>,
    /// Time since 1970 at [`Time::ZERO`].
    epoch: Duration,
}

impl Common {
    /// Queues a packet; false if too much waits for this peer.
    pub(super) fn send(&mut self, to: PublicKey, packet: &ConferencePacket<'_>) -> bool {
        let sent = self.outbox.send(to, packet);
        if !sent {
            self.drops.count(DropReason::LimitReached);
        }
        sent
    }

    /// Tells the user what happened in a conference.
    pub(super) fn tell(&mut self, conference: ConferenceId, event: ConferenceEvent) {
        self.events.push_back(MessengerEvent::Conference { conference, event });
    }

    /// Seconds since 1970.
    pub(super) fn calendar(&self, at: Time) -> u64 {
        self.epoch.saturating_add(at.since(Time::ZERO)).as_secs()
    }

    /// The DHT key of a peer with a session.
    pub(super) fn dht_key_of(&self, peer: PublicKey) -> PublicKey {
        self.connected.get(&peer).copied().unwrap_or(peer)
    }
}

/// All conferences that this node is in.
#[derive(Debug)]
pub(crate) struct Conferences {
    pub(super) common: Common,
    pub(super) all: BTreeMap<ConferenceId, Conference>,
    /// What the next one is called towards others.
    next_number: u16,
}

impl Conferences {
    /// None yet, for a person with these keys. `epoch` is the time since 1970 at [`Time::ZERO`].
    pub(crate) fn new(me: PublicKey, dht_key: PublicKey, epoch: Duration, rng: Rng) -> Self {
        let common = Common {
            me,
            dht_key,
            name: Vec::new(),
            friends: BTreeSet::new(),
            connected: BTreeMap::new(),
            outbox: Outbox::default(),
            drops: Drops::default(),
            rng,
            events: VecDeque::new(),
            epoch,
        };
        Self { common, all: BTreeMap::new(), next_number: 0 }
    }

    /// Packets that were dropped.
    pub(crate) const fn drops(&self) -> &Drops {
        &self.common.drops
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Conference> {
        self.all.values()
    }

    /// One of them.
    pub(crate) fn get(&self, conference: ConferenceId) -> Option<&Conference> {
        self.all.get(&conference)
    }

    /// A number that no conference has, and none had for long: late packets reach no other one.
    pub(super) fn take_number(&mut self) -> u16 {
        while self.all.values().any(|it| it.number == self.next_number) {
            self.next_number = self.next_number.wrapping_add(1);
        }
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        number
    }

    /// Somebody is a friend, or is none any more.
    pub(crate) fn set_friend(&mut self, key: PublicKey, is_friend: bool) {
        if is_friend {
            self.common.friends.insert(key);
        } else {
            self.common.friends.remove(&key);
        }
    }

    /// This node's owner has this name.
    pub(crate) fn set_name(&mut self, name: &[u8]) {
        name.clone_into(&mut self.common.name);
        self.all.values_mut().for_each(|conference| conference.name_untold = true);
    }

    /// A session with a peer stands, whose DHT key is this one.
    pub(crate) fn handle_up(&mut self, now: Time, peer: PublicKey, dht_key: PublicKey) {
        self.common.connected.insert(peer, dht_key);
        for conference in self.all.values_mut() {
            conference.handle_up(now, peer, &mut self.common);
        }
    }

    /// It has another DHT key.
    pub(crate) fn handle_dht_key(&mut self, peer: PublicKey, dht_key: PublicKey) {
        self.common.connected.entry(peer).and_modify(|known| *known = dht_key);
    }

    /// The session is gone.
    pub(crate) fn handle_down(&mut self, now: Time, peer: PublicKey) {
        self.common.connected.remove(&peer);
        self.common.outbox.forget(&peer);
        for conference in self.all.values_mut() {
            conference.handle_down(now, &peer, &mut self.common);
        }
    }

    /// Takes a conference's packet of a session. Invitations count only from a friend that is `online`.
    pub(crate) fn handle_packet(
        &mut self,
        now: Time,
        peer: PublicKey,
        online: bool,
        packet_id: u8,
        data: &[u8],
    ) {
        let result = ConferencePacket::from_parts(packet_id, data)
            .map_err(DropReason::from)
            .and_then(|packet| self.heed(now, peer, online, &packet));
        if let Err(reason) = result {
            self.common.drops.count(reason);
        }
    }

    fn heed(
        &mut self,
        now: Time,
        peer: PublicKey,
        online: bool,
        packet: &ConferencePacket<'_>,
    ) -> Result<(), DropReason> {
        match *packet {
            ConferencePacket::Invite { .. }
            | ConferencePacket::Accept { .. }
            | ConferencePacket::Member { .. }
                if !online =>
            {
                Err(DropReason::Refused)
            }
            ConferencePacket::Invite { from, conference } => {
                self.handle_invite(now, peer, Invitation { number: from, conference })
            }
            ConferencePacket::Accept { from, to, conference } => {
                let (it, common) = self.numbered(to, Some(conference))?;
                it.handle_accept(now, peer, from, None, common)
            }
            ConferencePacket::Member { from, to, conference, peer: number } => {
                let (it, common) = self.numbered(to, Some(conference))?;
                it.handle_accept(now, peer, from, Some(number), common)
            }
            ConferencePacket::Online { from, conference } => {
                let it = self.all.get_mut(&conference).ok_or(DropReason::NoRoute)?;
                it.handle_online(now, peer, from, &mut self.common)
            }
            ConferencePacket::Rejoin { conference } => {
                let it = self.all.get_mut(&conference).ok_or(DropReason::NoRoute)?;
                it.handle_rejoin(now, peer, &mut self.common)
            }
            ConferencePacket::Direct { to, ref direct } => {
                let (it, common) = self.numbered(to, None)?;
                it.handle_direct(now, peer, direct, common)
            }
            ConferencePacket::Message { to, ref message } => {
                let (it, common) = self.numbered(to, None)?;
                it.handle_message(now, peer, message, common)
            }
            ConferencePacket::Lossy { .. } => Err(DropReason::UnknownKind),
        }
    }

    /// The conference with this number, which must be `conference` if that is given.
    fn numbered(
        &mut self,
        number: u16,
        conference: Option<ConferenceId>,
    ) -> Result<(&mut Conference, &mut Common), DropReason> {
        let wanted = |it: &&mut Conference| {
            it.number == number && conference.is_none_or(|conference| conference == it.id)
        };
        let found = self.all.values_mut().find(wanted);
        Ok((found.ok_or(DropReason::NoRoute)?, &mut self.common))
    }

    fn handle_invite(
        &mut self,
        now: Time,
        friend: PublicKey,
        invitation: Invitation,
    ) -> Result<(), DropReason> {
        if let Some(known) = self.all.get_mut(&invitation.conference) {
            return known.handle_invite(now, friend, invitation.number, &mut self.common);
        }
        let event = MessengerEvent::ConferenceInvited { friend, invitation };
        self.common.events.push_back(event);
        Ok(())
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let conferences = self.all.values().filter_map(Conference::deadline);
        conferences.chain(self.common.outbox.deadline()).min()
    }

    /// Runs what is due, and what the last calls brought about.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        for conference in self.all.values_mut() {
            conference.handle_timeout(now, &mut self.common);
        }
        self.common.outbox.handle_timeout(now);
    }

    /// The next connection to be kept, or no longer.
    pub(crate) fn poll_tie(&mut self) -> Option<Tie> {
        self.common.outbox.poll_tie()
    }

    /// The next thing that the user wants to know.
    pub(crate) fn poll_event(&mut self) -> Option<MessengerEvent> {
        self.common.events.pop_front()
    }

    /// True if events wait to be polled.
    pub(crate) fn has_events(&self) -> bool {
        !self.common.events.is_empty()
    }

    /// Sends what waits, as far as there is room; true if anything went.
    pub(crate) fn pump(&mut self, carrier: &mut impl Carrier) -> bool {
        self.common.outbox.pump(carrier)
    }
}
