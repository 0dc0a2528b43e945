//! What the user asks of the messenger.

use bytes::Bytes;

use super::carrier::Carrier;
use super::core::Core;
use super::custom;
use super::error::{AddFriendError, FileError, MessageError, ProfileError, UnknownFriend};
use super::files::{FileOffer, KeptTransfer, TransferId};
use super::friends::{Contact, Friend};
use super::messages::{KeptMessage, MessageId};
use super::profile::Told;
use crate::drops::DropReason;
use crate::error::PacketError;
use crate::wire::friend::MAX_FRIEND_REQUEST;
use crate::wire::messenger::{MessageKind, UserStatus, id};
use crate::wire::{PublicKey, ToxId};

/// Longest message of a friend request.
pub const MAX_REQUEST_MESSAGE: usize = MAX_FRIEND_REQUEST;

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

impl Core {
    /// See [`Profile::set_name`].
    pub(crate) fn set_name(&mut self, name: &[u8]) -> Result<(), ProfileError> {
        if self.profile.set_name(name)? {
            self.conferences.set_name(name);
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

    /// What is known of a friend, to be changed.
    pub(super) fn contact_mut(&mut self, friend: PublicKey) -> Option<&mut Contact> {
        self.friends.get_mut(&friend).map(|friend| &mut friend.contact)
    }

    /// Checks whether somebody can be made a friend, and asked to with this message.
    ///
    /// # Errors
    /// See [`AddFriendError`].
    pub(crate) fn check_friend(
        &self,
        key: PublicKey,
        message: Option<&[u8]>,
    ) -> Result<(), AddFriendError> {
        if key == self.me {
            return Err(AddFriendError::OwnKey);
        }
        if self.friends.contains_key(&key) {
            return Err(AddFriendError::AlreadyFriend);
        }
        match message.map(<[u8]>::len) {
            Some(length) if !(1..=MAX_REQUEST_MESSAGE).contains(&length) => {
                Err(AddFriendError::MessageLength)
            }
            _ => Ok(()),
        }
    }

    /// Adds a friend that was [checked](Self::check_friend); `connected` if there is a session with it
    /// already.
    pub(crate) fn add_friend(
        &mut self,
        key: PublicKey,
        request: Option<(ToxId, Vec<u8>)>,
        connected: bool,
    ) {
        let mut friend = Friend::default();
        friend.contact.request = request;
        self.friends.insert(key, friend);
        self.conferences.set_friend(key, true);
        if connected {
            self.handle_up(key);
        }
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
            let _ = carrier.send(key, id::OFFLINE, Bytes::new());
        }
        friend.files.cancel_all(&mut self.common.desk(key));
        self.requests.forget(&key);
        self.conferences.set_friend(key, false);
        self.ready.remove(&key);
        self.flushes.retain(|(_, other)| *other != key);
        Ok(())
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
                self.common.drops.count(DropReason::LimitReached);
            }
        }
        for transfer in transfers {
            friend.files.restore(transfer, &mut self.common.desk(key));
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
        let transfer = found.files.send(offer, online, &mut self.common.desk(friend))?;
        self.ready.insert(friend);
        Ok(transfer)
    }

    /// Does something with a transfer.
    pub(crate) fn with_transfer(
        &mut self,
        transfer: TransferId,
        command: TransferCommand,
    ) -> Result<(), FileError> {
        let peer = self.common.ledger.owner(transfer).ok_or(FileError::UnknownTransfer)?;
        let friend = self.friends.get_mut(&peer).ok_or(FileError::UnknownTransfer)?;
        self.ready.insert(peer);
        let mut desk = self.common.desk(peer);
        match command {
            TransferCommand::Accept(position) => friend.files.accept(transfer, position, &mut desk),
            TransferCommand::Pause(paused) => friend.files.set_paused(transfer, paused, &mut desk),
            TransferCommand::Cancel => friend.files.cancel(transfer, &mut desk),
        }
    }
}
