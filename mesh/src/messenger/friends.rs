//! One friend: what it told of itself, whether it is there, and what waits to be sent to it.

use std::collections::VecDeque;

use bytes::Bytes;

use super::carrier::Carrier;
use super::event::MessengerEvent;
use super::files::{Desk, Files};
use super::messages::Messages;
use super::profile::{Profile, Told};
use crate::drops::DropReason;
use crate::error::PacketError;
use crate::event::PacketNumber;
use crate::wire::messenger::{MessengerPacket, UserStatus, id};
use crate::wire::{PublicKey, Time, ToxId};

/// Pieces of files are sent only while fewer packets than this wait in the session, so that a message
/// never stands behind many of them.
const FILE_QUEUE: usize = 64;
/// Signs of presence that wait at most: a friend that comes and goes faster is answered less often.
const MAX_PRESENCE: usize = 8;

/// What is known of a friend. Texts are what its client sent: UTF-8 by custom only.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Contact {
    /// Its name, at most 128 bytes.
    pub name: Vec<u8>,
    /// Its status message, at most 1007 bytes.
    pub status_message: Vec<u8>,
    /// How it is.
    pub status: UserStatus,
    /// Its client is there.
    pub online: bool,
    /// It is typing.
    pub typing: bool,
    /// When its client was last there, in seconds since 1970; 0 if never.
    pub last_seen: u64,
    /// The request that it is sent until it is there for the first time.
    pub request: Option<(ToxId, Vec<u8>)>,
}

/// What one step of sending did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    /// A packet went.
    Sent,
    /// One waits for room.
    Blocked,
    /// None waits.
    Idle,
}

/// What sending did in all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Pumped {
    /// At least one packet went.
    pub(super) sent: bool,
    /// More wait for room.
    pub(super) blocked: bool,
}

/// A friend.
#[derive(Debug, Default)]
pub(super) struct Friend {
    pub(super) contact: Contact,
    pub(super) messages: Messages,
    pub(super) files: Files,
    /// A session stands.
    connected: bool,
    /// Ids of packets that say that this node is there.
    presence: VecDeque<u8>,
    told: Told,
    /// This side's user is typing.
    typing: bool,
    /// When bytes that came are handed out for writing at the latest.
    pub(super) flush_at: Option<Time>,
}

impl Friend {
    /// A session stands: the friend is told that this node's client is there.
    pub(super) fn handle_up(&mut self) {
        self.connected = true;
        self.presence = VecDeque::from([id::ONLINE]);
    }

    /// The session is gone.
    pub(super) fn handle_down(&mut self, desk: &mut Desk<'_>) {
        self.handle_offline(desk);
        self.connected = false;
        self.presence.clear();
        self.messages.handle_break();
    }

    /// A session stands.
    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }

    /// The own profile has changed.
    pub(super) fn tell(&mut self, change: impl FnOnce(&mut Told)) {
        change(&mut self.told);
    }

    /// This side's user begins or stops typing.
    pub(super) fn set_typing(&mut self, typing: bool) {
        if self.typing != typing {
            (self.typing, self.told.typing) = (typing, false);
        }
    }

    /// Takes a packet of the friend. True if bytes of a file wait to be written.
    pub(super) fn handle_packet(&mut self, id: u8, data: &[u8], desk: &mut Desk<'_>) -> bool {
        let packet = match MessengerPacket::from_parts(id, data) {
            Ok(packet) => packet,
            Err(error) => {
                desk.drops.count(error.into());
                return false;
            }
        };
        match packet {
            MessengerPacket::Online => self.handle_online(desk),
            _ if !self.contact.online => desk.drops.count(DropReason::Refused),
            MessengerPacket::Offline => self.handle_offline(desk),
            MessengerPacket::FileRequest(request) => self.files.handle_request(&request, desk),
            MessengerPacket::FileControl(control) => self.files.handle_control(control, desk),
            MessengerPacket::FileData { file, data } => {
                return self.files.handle_data(file, data, desk);
            }
            packet => {
                let event = self.handle_word(desk.friend, packet);
                desk.events.extend(event);
            }
        }
        false
    }

    /// Takes what the friend says of itself, or to the user.
    fn handle_word(
        &mut self,
        friend: PublicKey,
        packet: MessengerPacket<'_>,
    ) -> Option<MessengerEvent> {
        Some(match packet {
            MessengerPacket::Name(name) => {
                name.clone_into(&mut self.contact.name);
                MessengerEvent::Name { friend, name: name.to_vec() }
            }
            MessengerPacket::StatusMessage(message) => {
                message.clone_into(&mut self.contact.status_message);
                MessengerEvent::StatusMessage { friend, message: message.to_vec() }
            }
            MessengerPacket::UserStatus(status) => {
                self.contact.status = status;
                MessengerEvent::Status { friend, status }
            }
            MessengerPacket::Typing(typing) => {
                self.contact.typing = typing;
                MessengerEvent::Typing { friend, typing }
            }
            MessengerPacket::Message { kind, text } => {
                let text = Bytes::copy_from_slice(text);
                MessengerEvent::Message { friend, kind, text }
            }
            _ => return None,
        })
    }

    /// The friend's client is there. It is told so once more, as c-toxcore does: it may have missed
    /// the first time if the session stood there later than here.
    fn handle_online(&mut self, desk: &mut Desk<'_>) {
        if self.contact.online {
            return;
        }
        if self.presence.len() < MAX_PRESENCE {
            self.presence.push_back(id::ONLINE);
        }
        self.contact.online = true;
        self.contact.request = None;
        self.told = Told::default();
        desk.events.push_back(MessengerEvent::FriendOnline { friend: desk.friend });
        self.files.handle_online();
    }

    /// The friend's client is gone. What is on its way in a session that still stands may arrive yet.
    fn handle_offline(&mut self, desk: &mut Desk<'_>) {
        if !core::mem::take(&mut self.contact.online) {
            return;
        }
        self.contact.typing = false;
        self.files.handle_break(desk);
        desk.events.push_back(MessengerEvent::FriendOffline { friend: desk.friend });
    }

    /// The friend has all packets before this one.
    pub(super) fn handle_delivered(&mut self, before: PacketNumber, desk: &mut Desk<'_>) {
        while let Some(message) = self.messages.take_delivered(before) {
            desk.events.push_back(MessengerEvent::Receipt { friend: desk.friend, message });
        }
        self.files.handle_delivered(before, desk);
    }

    /// Sends what waits, as far as there is room, and has files read ahead.
    pub(super) fn pump(
        &mut self,
        profile: &Profile,
        carrier: &mut impl Carrier,
        desk: &mut Desk<'_>,
    ) -> Pumped {
        let mut sent = false;
        loop {
            match self.step(desk.friend, profile, carrier) {
                Step::Sent => sent = true,
                step => {
                    self.files.read_ahead(desk);
                    return Pumped { sent, blocked: step == Step::Blocked };
                }
            }
        }
    }

    /// Sends one packet: presence first, then the profile, messages, and files last.
    fn step(&mut self, friend: PublicKey, profile: &Profile, carrier: &mut impl Carrier) -> Step {
        if !self.connected {
            return Step::Idle;
        }
        let mut send = |id, data: Bytes| carrier.send(friend, id, data);
        if let Some(&id) = self.presence.front() {
            return step(send(id, Bytes::new()), |_| {
                self.presence.pop_front();
            });
        }
        if !self.contact.online {
            return Step::Idle;
        }
        if let Some((packet, told)) = untold(profile, self.typing, self.told) {
            return step(send(packet.id(), packet.body().into()), |_| self.told = told);
        }
        if let Some(message) = self.messages.next() {
            let sent = send(message.packet_id(), message.text.clone());
            return step(sent, |number| self.messages.sent(number));
        }
        if let Some((id, data)) = self.files.next_control() {
            let sent = send(*id, Bytes::copy_from_slice(data));
            return step(sent, |_| self.files.control_sent());
        }
        self.piece_step(friend, carrier)
    }

    /// Sends one piece of a file.
    fn piece_step(&mut self, friend: PublicKey, carrier: &mut impl Carrier) -> Step {
        let room = carrier.waiting(friend) < FILE_QUEUE;
        let mut blocked = !room;
        let sent = self.files.send_piece(|data| {
            let sent = room.then(|| carrier.send(friend, id::FILE_DATA, data).ok())?;
            blocked |= sent.is_none();
            sent
        });
        match (sent, blocked) {
            (true, _) => Step::Sent,
            (false, true) => Step::Blocked,
            (false, false) => Step::Idle,
        }
    }
}

/// What a packet's sending means.
fn step(sent: Result<PacketNumber, PacketError>, done: impl FnOnce(PacketNumber)) -> Step {
    match sent {
        Ok(number) => {
            done(number);
            Step::Sent
        }
        Err(PacketError::Full) => Step::Blocked,
        // The session is gone, and its end will be told.
        Err(_) => Step::Idle,
    }
}

/// The next part of the profile that a friend was not told, and what it was told after that.
fn untold<'a>(
    profile: &'a Profile,
    typing: bool,
    told: Told,
) -> Option<(MessengerPacket<'a>, Told)> {
    if !told.name {
        let packet = MessengerPacket::Name(profile.name());
        return Some((packet, Told { name: true, ..told }));
    }
    if !told.status_message {
        let packet = MessengerPacket::StatusMessage(profile.status_message());
        return Some((packet, Told { status_message: true, ..told }));
    }
    if !told.status {
        let packet = MessengerPacket::UserStatus(profile.status());
        return Some((packet, Told { status: true, ..told }));
    }
    (!told.typing).then_some((MessengerPacket::Typing(typing), Told { typing: true, ..told }))
}
