//! The messenger without the mesh beneath it: packets of sessions in, packets for sessions out.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::carrier::Carrier;
use super::conference::{Conferences, is_conference};
use super::custom;
use super::event::MessengerEvent;
use super::files::{Desk, IoRequest, IoResult, Ledger, TransferId, TransferState, Work};
use super::friends::Friend;
use super::profile::Profile;
use super::requests::Requests;
use crate::drops::{DropReason, Drops};
use crate::event::PacketNumber;
use crate::machine::IoToken;
use crate::wire::{PublicKey, Rng, Time};

/// Bytes of a file are handed out for writing after this at the latest.
const FLUSH_AFTER: Duration = Duration::from_millis(500);

/// What belongs to all friends together, and is lent to one for the length of a call.
#[derive(Debug, Default)]
pub(super) struct Common {
    pub(super) ledger: Ledger,
    work: Work,
    events: VecDeque<MessengerEvent>,
    pub(super) drops: Drops,
}

impl Common {
    /// For calls on behalf of one friend.
    pub(super) fn desk(&mut self, friend: PublicKey) -> Desk<'_> {
        let Self { ledger, work, events, drops } = self;
        Desk { friend, ledger, work, events, drops }
    }
}

/// All friends, and what goes on with them.
#[derive(Debug)]
pub(crate) struct Core {
    pub(super) me: PublicKey,
    pub(super) profile: Profile,
    pub(super) friends: BTreeMap<PublicKey, Friend>,
    pub(super) requests: Requests,
    pub(super) common: Common,
    pub(super) conferences: Conferences,
    /// Friends for whom something may wait to be sent.
    pub(super) ready: BTreeSet<PublicKey>,
    /// When bytes that came from whom are written at the latest.
    pub(super) flushes: BTreeSet<(Time, PublicKey)>,
    pub(super) next_message: u64,
    /// Time since 1970 at [`Time::ZERO`].
    epoch: Duration,
}

impl Core {
    /// Nobody's friend yet, for a person with these keys. `epoch` is the time since 1970 at
    /// [`Time::ZERO`].
    pub(crate) fn new(me: PublicKey, dht_key: PublicKey, epoch: Duration, rng: &Rng) -> Self {
        Self {
            me,
            profile: Profile::default(),
            friends: BTreeMap::new(),
            requests: Requests::default(),
            common: Common::default(),
            conferences: Conferences::new(me, dht_key, epoch, rng.child("conferences")),
            ready: BTreeSet::new(),
            flushes: BTreeSet::new(),
            next_message: 0,
            epoch,
        }
    }

    /// Bad input that was dropped.
    pub(crate) const fn drops(&self) -> &Drops {
        &self.common.drops
    }

    /// What this node's owner shows of himself.
    pub(crate) const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Somebody wants to be a friend. His request has shown the right nospam.
    pub(crate) fn handle_request(&mut self, from: PublicKey, message: &[u8]) {
        let new = from != self.me && !self.friends.contains_key(&from) && self.requests.admit(from);
        if new && !message.is_empty() {
            let message = message.to_vec();
            self.common.events.push_back(MessengerEvent::FriendRequest { from, message });
        } else {
            self.common.drops.count(DropReason::Refused);
        }
    }

    /// A session with somebody stands. True if he is a friend.
    pub(crate) fn handle_up(&mut self, peer: PublicKey) -> bool {
        let Some(friend) = self.friends.get_mut(&peer) else { return false };
        friend.handle_up();
        self.ready.insert(peer);
        true
    }

    /// A session is gone.
    pub(crate) fn handle_down(&mut self, now: Time, peer: PublicKey) {
        let seconds = self.calendar(now);
        if let Some(friend) = self.friends.get_mut(&peer) {
            if friend.contact.online {
                friend.contact.last_seen = seconds;
            }
            friend.handle_down(&mut self.common.desk(peer));
        }
    }

    /// Seconds since 1970.
    pub(super) fn calendar(&self, now: Time) -> u64 {
        self.epoch.saturating_add(now.since(Time::ZERO)).as_secs()
    }

    /// Takes a packet of a session; false if it is nobody's: its sender is no friend.
    pub(crate) fn handle_packet(
        &mut self,
        now: Time,
        peer: PublicKey,
        id: u8,
        data: &Bytes,
    ) -> bool {
        if is_conference(id) {
            let online = self.friends.get(&peer).is_some_and(|friend| friend.contact.online);
            self.conferences.handle_packet(now, peer, online, id, data);
            return true;
        }
        let seconds = self.calendar(now);
        let Some(friend) = self.friends.get_mut(&peer) else { return false };
        if custom::is_custom(id) {
            if friend.contact.online {
                let (friend, data) = (peer, data.clone());
                self.common.events.push_back(MessengerEvent::CustomPacket { friend, id, data });
            } else {
                self.common.drops.count(DropReason::Refused);
            }
            return true;
        }
        let online = friend.contact.online;
        let waits = friend.handle_packet(id, data, &mut self.common.desk(peer));
        if online && !friend.contact.online {
            friend.contact.last_seen = seconds;
        }
        if waits && friend.flush_at.is_none() {
            friend.flush_at = Some(now + FLUSH_AFTER);
            self.flushes.insert((now + FLUSH_AFTER, peer));
        }
        self.ready.insert(peer);
        true
    }

    /// A peer has all lossless packets before this one.
    pub(crate) fn handle_delivered(&mut self, peer: PublicKey, before: PacketNumber) {
        if let Some(friend) = self.friends.get_mut(&peer) {
            friend.handle_delivered(before, &mut self.common.desk(peer));
            self.ready.insert(peer);
        }
    }

    /// Work has ended.
    pub(crate) fn handle_io(&mut self, token: IoToken, result: IoResult) {
        let Some((peer, transfer)) = self.common.work.take(token) else { return };
        if let Some(friend) = self.friends.get_mut(&peer) {
            friend.files.handle_io(transfer, token, result, &mut self.common.desk(peer));
            self.ready.insert(peer);
        }
    }

    /// How all transfers stand.
    pub(crate) fn transfers(&self) -> impl Iterator<Item = (PublicKey, TransferId, TransferState)> {
        self.friends.iter().flat_map(|(key, friend)| {
            friend.files.states().map(|(transfer, state)| (*key, transfer, state))
        })
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let flush = self.flushes.first().map(|(at, _)| *at);
        flush.into_iter().chain(self.conferences.deadline()).min()
    }

    /// Runs what is due.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        self.conferences.handle_timeout(now);
        while let Some(&(at, peer)) = self.flushes.first() {
            if at > now {
                return;
            }
            self.flushes.pop_first();
            if let Some(friend) = self.friends.get_mut(&peer) {
                friend.flush_at = None;
                friend.files.flush(&mut self.common.desk(peer));
            }
        }
    }

    /// Sends what waits, as far as there is room; true if anything went.
    pub(crate) fn pump(&mut self, carrier: &mut impl Carrier) -> bool {
        let mut sent = self.conferences.pump(carrier);
        for peer in core::mem::take(&mut self.ready) {
            let Some(friend) = self.friends.get_mut(&peer) else { continue };
            let pumped = friend.pump(&self.profile, carrier, &mut self.common.desk(peer));
            sent |= pumped.sent;
            if pumped.blocked {
                self.ready.insert(peer);
            }
        }
        sent
    }

    /// The next thing that the user wants to know.
    pub(crate) fn poll_event(&mut self) -> Option<MessengerEvent> {
        self.common.events.pop_front().or_else(|| self.conferences.poll_event())
    }

    /// The next piece of work to be done.
    pub(crate) fn poll_work(&mut self) -> Option<(IoToken, IoRequest)> {
        self.common.work.poll()
    }

    /// True if something waits to be polled.
    pub(crate) fn has_output(&self) -> bool {
        !self.common.events.is_empty()
            || self.common.work.has_requests()
            || self.conferences.has_events()
    }
}
