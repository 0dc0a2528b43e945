//! The messenger as a machine: a [`Stack`] with friends on top.

use bytes::Bytes;

use super::carrier::Carrier;
use super::commands::TransferCommand;
use super::conference::Tie;
use super::core::Core;
use super::error::{AddFriendError, FileError, MessageError, ProfileError, UnknownFriend};
use super::event::MessengerEvent;
use super::files::{FileOffer, IoRequest, IoResult, TransferId, TransferState};
use super::friends::Contact;
use super::messages::MessageId;
use super::profile::Profile;
use super::unfinished::Unfinished;
use crate::config::Config;
use crate::drops::Drops;
use crate::error::PacketError;
use crate::event::{Event, PacketNumber};
use crate::machine::{IoToken, Machine, Output, StreamEvent, StreamId};
use crate::stack::Stack;
use crate::wire::messenger::{MessageKind, UserStatus};
use crate::wire::{Address, KeyPair, PublicKey, Rng, Time, ToxId};

/// A person's node: the mesh with a messenger on top of it, sans-IO. See the [module](super).
///
/// After each call, [`poll`](Machine::poll) it until it is idle.
#[derive(Debug)]
pub struct Messenger {
    stack: Stack,
    core: Core,
}

/// The mesh, as what carries friends' packets.
struct Sessions<'a> {
    now: Time,
    stack: &'a mut Stack,
}

impl Carrier for Sessions<'_> {
    fn send(
        &mut self,
        friend: PublicKey,
        id: u8,
        data: Bytes,
    ) -> Result<PacketNumber, PacketError> {
        self.stack.send_packet(self.now, friend, id, data)
    }

    fn waiting(&self, friend: PublicKey) -> usize {
        self.stack.packets_waiting(friend)
    }
}

impl Messenger {
    /// A messenger without friends. Friends know it by `identity`, the DHT by `dht`: a fresh one each
    /// run, so that nobody else can tell where its owner is; or the same, for a provider, whose friends
    /// are nodes of the DHT as it is.
    pub fn new(config: Config, identity: KeyPair, dht: KeyPair, rng: Rng, now: Time) -> Self {
        let config = Config { custom_packets: true, ..config };
        let (epoch, own) = (config.epoch, rng.child("messenger"));
        let stack = if identity.public == dht.public {
            Stack::new(config, identity, rng, now)
        } else {
            Stack::with_identity(config, identity, dht, rng, now)
        };
        let core = Core::new(stack.public_key(), stack.dht_key(), epoch, &own);
        Self { stack, core }
    }

    /// The mesh beneath, to look at.
    pub const fn stack(&self) -> &Stack {
        &self.stack
    }

    /// The mesh beneath, for what is no messenger's business: bootstrapping, channels, relays. Friends
    /// are added and removed by the messenger only.
    pub const fn stack_mut(&mut self) -> &mut Stack {
        &mut self.stack
    }

    pub(super) const fn core(&self) -> &Core {
        &self.core
    }

    pub(super) const fn core_mut(&mut self) -> &mut Core {
        &mut self.core
    }

    /// This node's long-term key.
    pub fn public_key(&self) -> PublicKey {
        self.stack.public_key()
    }

    /// How many packets of friends were dropped, by reason. Those of the mesh are
    /// [its own](Stack::drops).
    pub const fn drops(&self) -> &Drops {
        self.core.drops()
    }

    /// What this node's owner shows of himself.
    pub const fn profile(&self) -> &Profile {
        self.core.profile()
    }

    /// Sets the own name; friends are told.
    ///
    /// # Errors
    /// [`ProfileError::TooLong`].
    pub fn set_name(&mut self, name: &[u8]) -> Result<(), ProfileError> {
        self.core.set_name(name)
    }

    /// Sets the own status message; friends are told.
    ///
    /// # Errors
    /// [`ProfileError::TooLong`].
    pub fn set_status_message(&mut self, message: &[u8]) -> Result<(), ProfileError> {
        self.core.set_status_message(message)
    }

    /// Sets the own status; friends are told.
    pub fn set_status(&mut self, status: UserStatus) {
        self.core.set_status(status);
    }

    /// Shows a friend whether the user types.
    ///
    /// # Errors
    /// [`UnknownFriend`].
    pub fn set_typing(&mut self, friend: PublicKey, typing: bool) -> Result<(), UnknownFriend> {
        self.core.set_typing(friend, typing)
    }

    /// All friends by their keys.
    pub fn friends(&self) -> impl Iterator<Item = (PublicKey, &Contact)> {
        self.core.contacts()
    }

    /// What is known of a friend.
    pub fn friend(&self, friend: PublicKey) -> Option<&Contact> {
        self.core.contact(friend)
    }

    /// Adds a friend that has asked, or will add this node too. From now on it is looked for.
    ///
    /// # Errors
    /// See [`AddFriendError`].
    pub fn add_friend(&mut self, now: Time, friend: PublicKey) -> Result<(), AddFriendError> {
        self.core.check_friend(friend, None)?;
        if !self.stack.add_friend(now, friend) {
            if self.stack.tox_id().is_some() {
                return Err(AddFriendError::TooMany);
            }
            // A provider's friends are nodes of the DHT themselves.
            self.stack.connect(now, friend, None);
        }
        self.core.add_friend(friend, None, self.stack.is_connected(friend));
        Ok(())
    }

    /// Adds a friend by its Tox ID, and asks it to do the same with a message of 1 to
    /// [`MAX_REQUEST_MESSAGE`](super::MAX_REQUEST_MESSAGE) bytes, until it is there for the first time.
    ///
    /// # Errors
    /// See [`AddFriendError`].
    pub fn request_friend(
        &mut self,
        now: Time,
        id: &ToxId,
        message: &[u8],
    ) -> Result<(), AddFriendError> {
        self.core.check_friend(id.key, Some(message))?;
        if !self.stack.request_friend(now, id, message) {
            let person = self.stack.tox_id().is_some();
            return Err(if person { AddFriendError::TooMany } else { AddFriendError::NoPerson });
        }
        let request = Some((*id, message.to_vec()));
        self.core.add_friend(id.key, request, self.stack.is_connected(id.key));
        Ok(())
    }

    /// Removes a friend. What waited for it is gone; transfers end.
    ///
    /// # Errors
    /// [`UnknownFriend`].
    pub fn remove_friend(&mut self, now: Time, friend: PublicKey) -> Result<(), UnknownFriend> {
        let stack = &mut self.stack;
        self.core.remove_friend(friend, &mut Sessions { now, stack })?;
        if !self.stack.remove_friend(now, friend) {
            self.stack.disconnect(now, friend);
        }
        Ok(())
    }

    /// Sends a message of 1 to 1372 bytes: now, or when the friend is there.
    /// [`MessengerEvent::Receipt`] follows. It is sent again if the session breaks before that, and may
    /// then come twice.
    ///
    /// # Errors
    /// See [`MessageError`].
    pub fn send_message(
        &mut self,
        friend: PublicKey,
        kind: MessageKind,
        text: impl Into<Bytes>,
    ) -> Result<MessageId, MessageError> {
        self.core.send_message(friend, kind, text.into())
    }

    /// Sends an application's packet: it comes once and in order, unless the session breaks. Ids 162 to
    /// 191, and 69 for setting up calls.
    ///
    /// # Errors
    /// See [`PacketError`]; [`PacketError::NotConnected`] while the friend is not online. After
    /// [`PacketError::Full`] the mesh's [`Event::PacketWritable`] tells when there is room again.
    pub fn send_lossless(
        &mut self,
        now: Time,
        friend: PublicKey,
        id: u8,
        data: impl Into<Bytes>,
    ) -> Result<(), PacketError> {
        if super::custom::is_lossy(id) {
            return Err(PacketError::Reserved);
        }
        let stack = &mut self.stack;
        self.core.send_custom(friend, id, data.into(), &mut Sessions { now, stack })
    }

    /// Sends an application's packet, which may get lost: ids 200 to 254, and 192 to 198 for calls.
    ///
    /// # Errors
    /// As [`Self::send_lossless`].
    pub fn send_lossy(
        &mut self,
        now: Time,
        friend: PublicKey,
        id: u8,
        data: impl Into<Bytes>,
    ) -> Result<(), PacketError> {
        if !super::custom::is_lossy(id) {
            return Err(PacketError::Reserved);
        }
        let stack = &mut self.stack;
        self.core.send_custom(friend, id, data.into(), &mut Sessions { now, stack })
    }

    /// Offers a file: now, or when the friend is there. When the friend takes it, its bytes are asked for
    /// by [`IoRequest::Read`]. [`MessengerEvent::FileEnded`] follows at the end.
    ///
    /// # Errors
    /// See [`FileError`].
    pub fn send_file(
        &mut self,
        friend: PublicKey,
        offer: FileOffer,
    ) -> Result<TransferId, FileError> {
        self.core.send_file(friend, offer)
    }

    /// Takes an offered file. Its bytes are handed out by [`IoRequest::Write`].
    ///
    /// # Errors
    /// See [`FileError`].
    pub fn accept_file(&mut self, transfer: TransferId) -> Result<(), FileError> {
        self.accept_file_from(transfer, 0)
    }

    /// Takes an offered file of which the bytes before `position` are here already.
    ///
    /// # Errors
    /// See [`FileError`].
    pub fn accept_file_from(
        &mut self,
        transfer: TransferId,
        position: u64,
    ) -> Result<(), FileError> {
        self.core.with_transfer(transfer, TransferCommand::Accept(position))
    }

    /// Holds a transfer up.
    ///
    /// # Errors
    /// [`FileError::UnknownTransfer`].
    pub fn pause_file(&mut self, transfer: TransferId) -> Result<(), FileError> {
        self.core.with_transfer(transfer, TransferCommand::Pause(true))
    }

    /// Lets a transfer go on that was held up here.
    ///
    /// # Errors
    /// [`FileError::UnknownTransfer`].
    pub fn resume_file(&mut self, transfer: TransferId) -> Result<(), FileError> {
        self.core.with_transfer(transfer, TransferCommand::Pause(false))
    }

    /// Refuses or ends a transfer.
    ///
    /// # Errors
    /// [`FileError::UnknownTransfer`].
    pub fn cancel_file(&mut self, transfer: TransferId) -> Result<(), FileError> {
        self.core.with_transfer(transfer, TransferCommand::Cancel)
    }

    /// How all transfers stand.
    pub fn transfers(&self) -> impl Iterator<Item = (PublicKey, TransferId, TransferState)> {
        self.core.transfers()
    }

    /// Messages that friends may not have yet, and transfers under way: to be kept for the next run.
    pub fn unfinished(&self) -> Unfinished {
        Unfinished::of(&self.core)
    }

    /// Goes on with what an earlier run did not finish, after its friends were added.
    pub fn restore(&mut self, unfinished: Unfinished) {
        unfinished.restore(&mut self.core);
    }

    /// Takes an event of the mesh; gives back what the user may want.
    fn handle_mesh(&mut self, now: Time, event: Event) -> Option<Event> {
        match &event {
            Event::SessionUp { peer } => {
                self.core.handle_up(*peer);
                let dht_key = self.stack.dht_key_of(*peer).unwrap_or(*peer);
                self.core.conferences.handle_up(now, *peer, dht_key);
            }
            Event::SessionDown { peer, .. } => {
                self.core.handle_down(now, *peer);
                self.core.conferences.handle_down(now, *peer);
            }
            Event::PeerDhtKey { peer, dht_key } => {
                self.core.conferences.handle_dht_key(*peer, *dht_key);
            }
            // Packets of strangers are the user's business.
            Event::Packet { peer, id, data } => {
                let known = self.core.handle_packet(now, *peer, *id, data);
                return (!known).then_some(event);
            }
            Event::Delivered { peer, before } => {
                self.core.handle_delivered(*peer, *before);
                return None;
            }
            Event::FriendRequest { from, message } => {
                self.core.handle_request(*from, message);
                return None;
            }
            _ => {}
        }
        Some(event)
    }

    /// Keeps the connections that conferences need; true if there is news of that.
    fn keep_ties(&mut self, now: Time) -> bool {
        let mut news = false;
        while let Some(tie) = self.core.conferences.poll_tie() {
            news = true;
            match tie {
                // If there are too many the conference does without this one.
                Tie::Hold(peer, dht_key) => _ = self.stack.add_acquaintance(now, peer, dht_key),
                Tie::Release(peer) => self.stack.remove_acquaintance(now, peer),
            }
        }
        news
    }
}

impl Machine for Messenger {
    type Event = MessengerEvent;
    type IoRequest = IoRequest;
    type IoResult = IoResult;

    fn handle_datagram(&mut self, now: Time, from: Address, datagram: &mut [u8]) {
        self.stack.handle_datagram(now, from, datagram);
    }

    fn expects(&self, from: &Address, datagram: &[u8]) -> bool {
        self.stack.expects(from, datagram)
    }

    fn handle_stream(&mut self, now: Time, stream: StreamId, event: StreamEvent<'_>) {
        self.stack.handle_stream(now, stream, event);
    }

    fn handle_io(&mut self, _now: Time, token: IoToken, result: IoResult) {
        self.core.handle_io(token, result);
    }

    fn poll(&mut self, now: Time) -> Output<MessengerEvent, IoRequest> {
        loop {
            if let Some(event) = self.core.poll_event() {
                return Output::Event(event);
            }
            if let Some((token, request)) = self.core.poll_work() {
                return Output::Io(token, request);
            }
            let deadline = match self.stack.poll(now) {
                Output::Transmit { to, payload } => return Output::Transmit { to, payload },
                Output::Stream(stream, request) => return Output::Stream(stream, request),
                Output::Io(_, never) => match never {},
                Output::Event(event) => {
                    if let Some(event) = self.handle_mesh(now, event) {
                        return Output::Event(MessengerEvent::Mesh(event));
                    }
                    continue;
                }
                Output::Idle(deadline) => deadline,
            };
            self.core.handle_timeout(now);
            let tied = self.keep_ties(now);
            let stack = &mut self.stack;
            let sent = self.core.pump(&mut Sessions { now, stack });
            if !sent && !tied && !self.core.has_output() {
                let deadlines = [deadline, self.core.deadline()];
                return Output::Idle(deadlines.into_iter().flatten().min());
            }
        }
    }
}
