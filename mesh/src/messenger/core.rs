//! The messenger without the mesh beneath it: packets of sessions in, packets for sessions out.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::carrier::Carrier;
use super::custom;
use super::error::{AddFriendError, FileError, MessageError, ProfileError, UnknownFriend};
use super::event::MessengerEvent;
use super::files::{
    Desk, FileOffer, IoRequest, IoResult, KeptTransfer, Ledger, TransferId, TransferState, Work,
};
use super::friends::{Contact, Friend};
use super::messages::{KeptMessage, MessageId};
use super::profile::{Profile, Told};
use super::requests::Requests;
use crate::drops::{DropReason, Drops};
use crate::error::PacketError;
use crate::event::PacketNumber;
use crate::machine::IoToken;
use crate::wire::messenger::{MessageKind, UserStatus};
use crate::wire::{PublicKey, Time, ToxId};

/// Bytes of a file are handed out for writing after this at the latest.
const FLUSH_AFTER: Duration = Duration::from_millis(500);
/// Longest message of a friend request.
pub const MAX_REQUEST_MESSAGE: usize = 921;

/// What a friend's transfers are lent: all but the friends themselves.
macro_rules! desk {
    ($core:ident, $friend:expr) => {
        Desk {
            friend: $friend,
            ledger: &mut $core.ledger,
            work: &mut $core.work,
            events: &mut $core.events,
            drops: &mut $core.drops,
        }
    };
}

/// What a user can do with a transfer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TransferCommand {
    /// Take it, from this byte on.
    Accept(u64),
    /// Hold it up, or let it go on.
    Pause(bool),
    /// End it.
    Cancel,
}

/// All friends, and what goes on with them.
#[derive(Debug)]
pub(crate) struct Core {
    me: PublicKey,
    pub(super) profile: Profile,
    pub(super) friends: BTreeMap<PublicKey, Friend>,
    requests: Requests,
    pub(super) ledger: Ledger,
    work: Work,
    events: VecDeque<MessengerEvent>,
    drops: Drops,
    /// Friends for whom something may wait to be sent.
    ready: BTreeSet<PublicKey>,
    /// When bytes that came from whom are written at the latest.
    flushes: BTreeSet<(Time, PublicKey)>,
    pub(super) next_message: u64,
    /// What a calendar showed at [`Time::ZERO`], in seconds since 1970.
    epoch: u64,
}

impl Core {
    /// Nobody's friend yet.
    pub(crate) fn new(me: PublicKey) -> Self {
        Self {
            me,
            profile: Profile::default(),
            friends: BTreeMap::new(),
            requests: Requests::default(),
            ledger: Ledger::default(),
            work: Work::default(),
            events: VecDeque::new(),
            drops: Drops::default(),
            ready: BTreeSet::new(),
            flushes: BTreeSet::new(),
            next_message: 0,
            epoch: 0,
        }
    }

    /// Tells what a calendar shows now, in seconds since 1970.
    pub(crate) fn set_calendar(&mut self, now: Time, seconds: u64) {
        self.epoch = seconds.saturating_sub(now.as_secs());
    }

    /// Bad input that was dropped.
    pub(crate) const fn drops(&self) -> &Drops {
        &self.drops
    }

    /// What this node's owner shows of himself.
    pub(crate) const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// See [`Profile::set_name`].
    pub(crate) fn set_name(&mut self, name: &[u8]) -> Result<(), ProfileError> {
        if self.profile.set_name(name)? {
            self.tell_all(|told| told.name = false);
        }
        Ok(())
    }

    /// See [`Profile::set_status_message`].
    pub(crate) fn set_status_message(&mut self, message: &[u8]) -> Result<(), ProfileError> {
        if self.profile.set_status_message(message)? {
            self.tell_all(|told| told.status_message = false);
        }
        Ok(())
    }

    /// See [`Profile::set_status`].
    pub(crate) fn set_status(&mut self, status: UserStatus) {
        if self.profile.set_status(status) {
            self.tell_all(|told| told.status = false);
        }
    }

    fn tell_all(&mut self, change: impl Fn(&mut Told)) {
        for (key, friend) in &mut self.friends {
            friend.tell(&change);
            self.ready.insert(*key);
        }
    }

    /// Shows a friend whether the user types.
    pub(crate) fn set_typing(
        &mut self,
        friend: PublicKey,
        typing: bool,
    ) -> Result<(), UnknownFriend> {
        let found = self.friends.get_mut(&friend).ok_or(UnknownFriend)?;
        found.set_typing(typing);
        self.ready.insert(friend);
        Ok(())
    }

    /// All friends.
    pub(crate) fn contacts(&self) -> impl Iterator<Item = (PublicKey, &Contact)> {
        self.friends.iter().map(|(key, friend)| (*key, &friend.contact))
    }

    /// One friend.
    pub(crate) fn contact(&self, friend: PublicKey) -> Option<&Contact> {
        self.friends.get(&friend).map(|friend| &friend.contact)
    }

    /// Adds a friend; `connected` if there is a session with it already.
    ///
    /// # Errors
    /// See [`AddFriendError`].
    pub(crate) fn add_friend(
        &mut self,
        key: PublicKey,
        request: Option<(ToxId, &[u8])>,
        connected: bool,
    ) -> Result<(), AddFriendError> {
        if key == self.me {
            return Err(AddFriendError::OwnKey);
        }
        if self.friends.contains_key(&key) {
            return Err(AddFriendError::AlreadyFriend);
        }
        if request.is_some_and(|(_, text)| !(1..=MAX_REQUEST_MESSAGE).contains(&text.len())) {
            return Err(AddFriendError::MessageLength);
        }
        let mut friend = Friend::default();
        friend.contact.request = request.map(|(id, text)| (id, text.to_vec()));
        self.friends.insert(key, friend);
        if connected {
            self.handle_up(key);
        }
        Ok(())
    }

    /// Removes a friend, after a last word to it. What waited for it is gone.
    pub(crate) fn remove_friend(
        &mut self,
        key: PublicKey,
        carrier: &mut impl Carrier,
    ) -> Result<(), UnknownFriend> {
        let mut friend = self.friends.remove(&key).ok_or(UnknownFriend)?;
        if friend.is_connected() {
            // If there is no room, the end of the session says the same.
            let _ = carrier.send(key, crate::wire::messenger::id::OFFLINE, Bytes::new());
        }
        friend.files.cancel_all(&mut desk!(self, key));
        self.requests.forget(&key);
        self.ready.remove(&key);
        self.flushes.retain(|(_, other)| *other != key);
        Ok(())
    }

    /// Somebody wants to be a friend. His request has shown the right nospam.
    #[cfg_attr(not(test), expect(dead_code, reason = "the mesh does not take requests yet"))]
    pub(crate) fn handle_request(&mut self, from: PublicKey, message: &[u8]) {
        let new = from != self.me && !self.friends.contains_key(&from) && self.requests.admit(from);
        if new && !message.is_empty() {
            let message = message.to_vec();
            self.events.push_back(MessengerEvent::FriendRequest { from, message });
        } else {
            self.drops.count(DropReason::Refused);
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
        if let Some(friend) = self.friends.get_mut(&peer) {
            let online = friend.contact.online;
            friend.handle_down(&mut desk!(self, peer));
            if online {
                friend.contact.last_seen = self.epoch.saturating_add(now.as_secs());
            }
        }
    }

    /// Takes a packet of a session; false if its sender is no friend.
    pub(crate) fn handle_packet(
        &mut self,
        now: Time,
        peer: PublicKey,
        id: u8,
        data: &Bytes,
    ) -> bool {
        let Some(friend) = self.friends.get_mut(&peer) else { return false };
        if custom::is_custom(id) {
            if friend.contact.online {
                let (friend, data) = (peer, data.clone());
                self.events.push_back(MessengerEvent::CustomPacket { friend, id, data });
            } else {
                self.drops.count(DropReason::Refused);
            }
            return true;
        }
        let online = friend.contact.online;
        let waits = friend.handle_packet(id, data, &mut desk!(self, peer));
        if online && !friend.contact.online {
            friend.contact.last_seen = self.epoch.saturating_add(now.as_secs());
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
            friend.handle_delivered(before, &mut desk!(self, peer));
            self.ready.insert(peer);
        }
    }

    /// Work has ended.
    pub(crate) fn handle_io(&mut self, token: IoToken, result: IoResult) {
        let Some((peer, transfer)) = self.work.take(token) else { return };
        if let Some(friend) = self.friends.get_mut(&peer) {
            friend.files.handle_io(transfer, token, result, &mut desk!(self, peer));
            self.ready.insert(peer);
        }
    }

    /// Keeps a message until the friend has it.
    pub(crate) fn send_message(
        &mut self,
        friend: PublicKey,
        kind: MessageKind,
        text: Bytes,
    ) -> Result<MessageId, MessageError> {
        let found = self.friends.get_mut(&friend).ok_or(MessageError::UnknownFriend)?;
        let message = MessageId(self.next_message);
        found.messages.push(KeptMessage { message, kind, text })?;
        self.next_message += 1;
        self.ready.insert(friend);
        Ok(message)
    }

    /// Sends an application's packet now or not at all.
    pub(crate) fn send_custom(
        &mut self,
        friend: PublicKey,
        id: u8,
        data: Bytes,
        carrier: &mut impl Carrier,
    ) -> Result<(), PacketError> {
        custom::check(id, data.len())?;
        let online = self.friends.get(&friend).is_some_and(|friend| friend.contact.online);
        if !online {
            return Err(PacketError::NotConnected);
        }
        carrier.send(friend, id, data).map(|_| ())
    }

    /// Takes what an earlier run did not finish. Of more than is kept, the rest is gone.
    pub(super) fn restore(
        &mut self,
        key: PublicKey,
        messages: Vec<KeptMessage>,
        transfers: Vec<KeptTransfer>,
    ) {
        let Some(friend) = self.friends.get_mut(&key) else { return };
        for message in messages {
            if friend.messages.push(message).is_err() {
                self.drops.count(DropReason::LimitReached);
            }
        }
        for transfer in transfers {
            friend.files.restore(transfer, &mut desk!(self, key));
        }
        self.ready.insert(key);
    }

    /// Offers a file, now or when the friend is there.
    pub(crate) fn send_file(
        &mut self,
        friend: PublicKey,
        offer: FileOffer,
    ) -> Result<TransferId, FileError> {
        let found = self.friends.get_mut(&friend).ok_or(FileError::UnknownFriend)?;
        let online = found.contact.online;
        let transfer = found.files.send(offer, online, &mut desk!(self, friend))?;
        self.ready.insert(friend);
        Ok(transfer)
    }

    /// Does something with a transfer.
    pub(crate) fn with_transfer(
        &mut self,
        transfer: TransferId,
        command: TransferCommand,
    ) -> Result<(), FileError> {
        let peer = self.ledger.owner(transfer).ok_or(FileError::UnknownTransfer)?;
        let friend = self.friends.get_mut(&peer).ok_or(FileError::UnknownTransfer)?;
        self.ready.insert(peer);
        let mut desk = desk!(self, peer);
        match command {
            TransferCommand::Accept(position) => friend.files.accept(transfer, position, &mut desk),
            TransferCommand::Pause(paused) => friend.files.set_paused(transfer, paused, &mut desk),
            TransferCommand::Cancel => friend.files.cancel(transfer, &mut desk),
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
        self.flushes.first().map(|(at, _)| *at)
    }

    /// Runs what is due.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        while let Some(&(at, peer)) = self.flushes.first() {
            if at > now {
                return;
            }
            self.flushes.pop_first();
            if let Some(friend) = self.friends.get_mut(&peer) {
                friend.flush_at = None;
                friend.files.flush(&mut desk!(self, peer));
            }
        }
    }

    /// Sends what waits, as far as there is room; true if anything went.
    pub(crate) fn pump(&mut self, carrier: &mut impl Carrier) -> bool {
        let mut sent = false;
        for peer in core::mem::take(&mut self.ready) {
            let Some(friend) = self.friends.get_mut(&peer) else { continue };
            let pumped = friend.pump(&self.profile, carrier, &mut desk!(self, peer));
            sent |= pumped.sent;
            if pumped.blocked {
                self.ready.insert(peer);
            }
        }
        sent
    }

    /// The next thing that the user wants to know.
    pub(crate) fn poll_event(&mut self) -> Option<MessengerEvent> {
        self.events.pop_front()
    }

    /// The next piece of work to be done.
    pub(crate) fn poll_work(&mut self) -> Option<(IoToken, IoRequest)> {
        self.work.poll()
    }

    /// True if something waits to be polled.
    pub(crate) fn has_output(&self) -> bool {
        !self.events.is_empty() || self.work.has_requests()
    }
}
