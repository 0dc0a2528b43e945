//! Conferences, Tox's old group chats, which live on connections between their members alone (Tox
//! Reference, "Group"; where it is wrong or silent, c-toxcore's `group.c` and research note `tox.md`
//! 1.11).
//!
//! Each member numbers its conferences as it likes. Whoever writes to it names the conference by the
//! receiver's number, which an invitation, its answer or [`ConferencePacket::Online`] told.
//!
//! - [`direct`]: between two members: who is there, and what the title is.
//! - [`message`]: from one member to all, handed on from neighbour to neighbour.

use crate::codec::{Decode, DecodeError, Encode, Reader};

pub mod direct;
pub mod message;

pub use direct::{ConferencePeer, Direct};
pub use message::{ConferenceMessage, MessageBody};

/// The packets' data ids: their first byte. All are lossless but the last.
pub mod id {
    /// Invitations and their answers.
    pub const INVITE: u8 = 96;
    /// The sender takes part, over this connection.
    pub const ONLINE: u8 = 97;
    /// [`super::Direct`].
    pub const DIRECT: u8 = 98;
    /// [`super::ConferenceMessage`].
    pub const MESSAGE: u8 = 99;
    /// The sender was away and takes part again.
    pub const REJOIN: u8 = 100;
    /// Sound, of which some may get lost.
    pub const LOSSY: u8 = 199;
}

/// Longest name of a member, and longest title.
pub const MAX_CONFERENCE_NAME: usize = crate::messenger::MAX_NAME;

/// Kind of lossy packets that carry sound.
pub const LOSSY_AUDIO: u8 = 192;

const INVITATION: u8 = 0;
const ACCEPTANCE: u8 = 1;
const MEMBER: u8 = 2;

/// What is done in a conference.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum ConferenceKind {
    /// 0: people write.
    #[default]
    Text,
    /// 1: people write and talk.
    Audio,
}

/// Which conference: kind 1, random 32. Who knows it and a member can join.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConferenceId {
    /// What is done in it.
    pub kind: ConferenceKind,
    /// Chosen by its founder.
    pub random: [u8; Self::RANDOM_LEN],
}

impl ConferenceId {
    /// Length of the random part.
    pub const RANDOM_LEN: usize = 32;
    /// Length in bytes.
    pub const LEN: usize = 1 + Self::RANDOM_LEN;
}

impl Encode for ConferenceId {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.kind as u8);
        out.extend_from_slice(&self.random);
    }
}

impl<'a> Decode<'a> for ConferenceId {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let kind = match reader.u8()? {
            0 => ConferenceKind::Text,
            1 => ConferenceKind::Audio,
            _ => return Err(DecodeError::Invalid("conference kind")),
        };
        Ok(Self { kind, random: reader.array()? })
    }
}

/// A packet of a conference. `from` is the sender's number of the conference, `to` the receiver's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ConferencePacket<'a> {
    /// 96, 0: the sender invites a friend.
    Invite {
        /// The sender's number of the conference.
        from: u16,
        /// Which conference.
        conference: ConferenceId,
    },
    /// 96, 1: the sender takes the invitation.
    Accept {
        /// The sender's number of the conference.
        from: u16,
        /// The number that the invitation gave.
        to: u16,
        /// Which conference.
        conference: ConferenceId,
    },
    /// 96, 2: the sender is a member already, and answers the invitation with its place.
    Member {
        /// The sender's number of the conference.
        from: u16,
        /// The number that the invitation gave.
        to: u16,
        /// Which conference.
        conference: ConferenceId,
        /// The sender's peer number.
        peer: u16,
    },
    /// 97: the sender takes part, over this connection.
    Online {
        /// The sender's number of the conference.
        from: u16,
        /// Which conference.
        conference: ConferenceId,
    },
    /// 98: between two members.
    Direct {
        /// The receiver's number of the conference.
        to: u16,
        /// What it is about.
        direct: Direct<'a>,
    },
    /// 99: from one member to all.
    Message {
        /// The receiver's number of the conference.
        to: u16,
        /// The message, which stays the same on its way.
        message: ConferenceMessage<'a>,
    },
    /// 100: the sender was away and takes part again.
    Rejoin {
        /// Which conference.
        conference: ConferenceId,
    },
    /// 199: sound, of which some may get lost.
    Lossy {
        /// The receiver's number of the conference.
        to: u16,
        /// Whom it comes from.
        peer: u16,
        /// Grows by one with each packet of this peer, and wraps.
        number: u16,
        /// [`LOSSY_AUDIO`], or something that nobody knows yet.
        kind: u8,
        /// The data.
        data: &'a [u8],
    },
}

impl<'a> ConferencePacket<'a> {
    /// The packet's data id: its first byte.
    pub const fn id(&self) -> u8 {
        match self {
            Self::Invite { .. } | Self::Accept { .. } | Self::Member { .. } => id::INVITE,
            Self::Online { .. } => id::ONLINE,
            Self::Direct { .. } => id::DIRECT,
            Self::Message { .. } => id::MESSAGE,
            Self::Rejoin { .. } => id::REJOIN,
            Self::Lossy { .. } => id::LOSSY,
        }
    }

    /// What follows the data id.
    pub fn body(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        self.encode_body(&mut out);
        out
    }

    /// The packet whose data id and body a session delivered.
    ///
    /// # Errors
    /// [`DecodeError::Kind`] if the id belongs to none of these packets, or as [`Decode::from_bytes`].
    pub fn from_parts(id: u8, body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let packet = Self::decode_body(id, &mut reader)?;
        reader.finish()?;
        Ok(packet)
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Invite { from, conference } => {
                out.push(INVITATION);
                put(out, &[*from], conference);
            }
            Self::Accept { from, to, conference } => {
                out.push(ACCEPTANCE);
                put(out, &[*from, *to], conference);
            }
            Self::Member { from, to, conference, peer } => {
                out.push(MEMBER);
                put(out, &[*from, *to], conference);
                out.extend_from_slice(&peer.to_be_bytes());
            }
            Self::Online { from, conference } => put(out, &[*from], conference),
            Self::Direct { to, direct } => put(out, &[*to], direct),
            Self::Message { to, message } => put(out, &[*to], message),
            Self::Rejoin { conference } => conference.encode(out),
            Self::Lossy { to, peer, number, kind, data } => {
                put(out, &[*to, *peer, *number], &[*kind]);
                out.extend_from_slice(data);
            }
        }
    }

    fn decode_body(id: u8, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(match id {
            id::INVITE => return Self::decode_invite(reader),
            id::ONLINE => {
                Self::Online { from: reader.u16()?, conference: ConferenceId::decode(reader)? }
            }
            id::DIRECT => Self::Direct { to: reader.u16()?, direct: Direct::decode(reader)? },
            id::MESSAGE => {
                Self::Message { to: reader.u16()?, message: ConferenceMessage::decode(reader)? }
            }
            id::REJOIN => Self::Rejoin { conference: ConferenceId::decode(reader)? },
            id::LOSSY => Self::Lossy {
                to: reader.u16()?,
                peer: reader.u16()?,
                number: reader.u16()?,
                kind: reader.u8()?,
                data: reader.take_rest(),
            },
            other => return Err(DecodeError::Kind(other)),
        })
    }

    fn decode_invite(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let step = reader.u8()?;
        let from = reader.u16()?;
        Ok(match step {
            INVITATION => Self::Invite { from, conference: ConferenceId::decode(reader)? },
            ACCEPTANCE => {
                Self::Accept { from, to: reader.u16()?, conference: ConferenceId::decode(reader)? }
            }
            MEMBER => Self::Member {
                from,
                to: reader.u16()?,
                conference: ConferenceId::decode(reader)?,
                peer: reader.u16()?,
            },
            _ => return Err(DecodeError::Invalid("step of an invitation")),
        })
    }
}

/// Appends numbers, and what follows them.
fn put(out: &mut Vec<u8>, numbers: &[u16], rest: &impl Encode) {
    numbers.iter().for_each(|number| out.extend_from_slice(&number.to_be_bytes()));
    rest.encode(out);
}

impl Encode for ConferencePacket<'_> {
    fn encoded_len(&self) -> usize {
        1 + match self {
            Self::Invite { .. } => 1 + 2 + ConferenceId::LEN,
            Self::Accept { .. } => 1 + 4 + ConferenceId::LEN,
            Self::Member { .. } => 1 + 4 + ConferenceId::LEN + 2,
            Self::Online { .. } => 2 + ConferenceId::LEN,
            Self::Direct { direct, .. } => 2 + direct.encoded_len(),
            Self::Message { message, .. } => 2 + message.encoded_len(),
            Self::Rejoin { .. } => ConferenceId::LEN,
            Self::Lossy { data, .. } => 6 + 1 + data.len(),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.id());
        self.encode_body(out);
    }
}

impl<'a> Decode<'a> for ConferencePacket<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let id = reader.u8()?;
        Self::decode_body(id, reader)
    }
}

#[cfg(test)]
#[path = "conference_tests.rs"]
mod tests;
