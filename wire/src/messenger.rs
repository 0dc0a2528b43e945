//! What two friends' clients say to each other over a session: that they are there, who they are and
//! how they are, messages and files (Tox Reference, "Messenger"; where it is wrong or silent, research
//! note `tox.md` 1.10).
//!
//! All of it is lossless. A friend is online from its [`MessengerPacket::Online`] on; before that,
//! nothing else of it counts.

use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::session::MAX_CRYPTO_DATA;

pub mod file;

pub use file::{FileControl, FileControlPacket, FileKind, FileRequest, FileSide};

/// The packets' data ids: their first byte.
pub mod id {
    /// The sender's client is there.
    pub const ONLINE: u8 = 24;
    /// The sender's client goes away.
    pub const OFFLINE: u8 = 25;
    /// The sender's name.
    pub const NAME: u8 = 48;
    /// The sender's status message.
    pub const STATUS_MESSAGE: u8 = 49;
    /// Whether the sender is there, away or busy.
    pub const USER_STATUS: u8 = 50;
    /// Whether the sender is typing.
    pub const TYPING: u8 = 51;
    /// A message.
    pub const MESSAGE: u8 = 64;
    /// A message that says what the sender does.
    pub const ACTION: u8 = 65;
    /// Signals of calls, which applications handle like custom lossless packets.
    pub const CALL: u8 = 69;
    /// The offer of a file.
    pub const FILE_REQUEST: u8 = 80;
    /// Accepts, pauses, ends a file transfer, or moves within it.
    pub const FILE_CONTROL: u8 = 81;
    /// A piece of a file.
    pub const FILE_DATA: u8 = 82;
}

/// Longest name of a person or a conference.
pub const MAX_NAME: usize = 128;
/// Longest status message.
pub const MAX_STATUS_MESSAGE: usize = 1007;
/// Longest message.
pub const MAX_MESSAGE: usize = MAX_CRYPTO_DATA - 1;
/// Most bytes of a file in one packet. A piece of fewer bytes is a transfer's last.
pub const MAX_FILE_DATA: usize = MAX_CRYPTO_DATA - 2;

/// How a person is.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum UserStatus {
    /// 0: there.
    #[default]
    Available,
    /// 1: away.
    Away,
    /// 2: not to be disturbed.
    Busy,
}

impl UserStatus {
    /// The status with this number; `None` if there is no such one. Clients ignore unknown numbers.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Available),
            1 => Some(Self::Away),
            2 => Some(Self::Busy),
            _ => None,
        }
    }

    /// Its number.
    pub const fn byte(self) -> u8 {
        self as u8
    }
}

/// What a message is meant as.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum MessageKind {
    /// What the sender says.
    #[default]
    Normal,
    /// What the sender does ("/me waves").
    Action,
}

/// A packet between friends' clients. Texts are UTF-8 by custom only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MessengerPacket<'a> {
    /// 24: the sender's client is there.
    Online,
    /// 25: the sender's client goes away, and need not be waited for.
    Offline,
    /// 48: the sender's name, up to [`MAX_NAME`] bytes.
    Name(&'a [u8]),
    /// 49: the sender's status message, up to [`MAX_STATUS_MESSAGE`] bytes.
    StatusMessage(&'a [u8]),
    /// 50: how the sender is. An unknown status is refused, as c-toxcore ignores it.
    UserStatus(UserStatus),
    /// 51: whether the sender is typing. c-toxcore writes 0 and 1, as this does, and takes any other
    /// byte for yes; here any other byte is refused.
    Typing(bool),
    /// 64 and 65: a message.
    Message {
        /// What it is meant as.
        kind: MessageKind,
        /// 1 to [`MAX_MESSAGE`] bytes.
        text: &'a [u8],
    },
    /// 80: the offer of a file.
    FileRequest(FileRequest<'a>),
    /// 81: accepts, pauses, ends a file transfer, or moves within it.
    FileControl(FileControlPacket),
    /// 82: the next piece of a file.
    FileData {
        /// The number that its sender gave it.
        file: u8,
        /// Up to [`MAX_FILE_DATA`] bytes; fewer, also none, in the last piece.
        data: &'a [u8],
    },
}

impl<'a> MessengerPacket<'a> {
    /// The packet's data id: its first byte.
    pub const fn id(&self) -> u8 {
        match self {
            Self::Online => id::ONLINE,
            Self::Offline => id::OFFLINE,
            Self::Name(_) => id::NAME,
            Self::StatusMessage(_) => id::STATUS_MESSAGE,
            Self::UserStatus(_) => id::USER_STATUS,
            Self::Typing(_) => id::TYPING,
            Self::Message { kind: MessageKind::Normal, .. } => id::MESSAGE,
            Self::Message { kind: MessageKind::Action, .. } => id::ACTION,
            Self::FileRequest(_) => id::FILE_REQUEST,
            Self::FileControl(_) => id::FILE_CONTROL,
            Self::FileData { .. } => id::FILE_DATA,
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
            Self::Online | Self::Offline => {}
            Self::Name(text) | Self::StatusMessage(text) | Self::Message { text, .. } => {
                out.extend_from_slice(text);
            }
            Self::UserStatus(status) => out.push(status.byte()),
            Self::Typing(typing) => out.push(u8::from(*typing)),
            Self::FileRequest(request) => request.encode(out),
            Self::FileControl(control) => control.encode(out),
            Self::FileData { file, data } => {
                out.push(*file);
                out.extend_from_slice(data);
            }
        }
    }

    fn decode_body(id: u8, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(match id {
            id::ONLINE => Self::Online,
            id::OFFLINE => Self::Offline,
            id::NAME => Self::Name(reader.rest_within("name", 0..=MAX_NAME)?),
            id::STATUS_MESSAGE => {
                Self::StatusMessage(reader.rest_within("status message", 0..=MAX_STATUS_MESSAGE)?)
            }
            id::USER_STATUS => Self::UserStatus(
                UserStatus::from_byte(reader.u8()?).ok_or(DecodeError::Invalid("user status"))?,
            ),
            id::TYPING => Self::Typing(match reader.u8()? {
                0 => false,
                1 => true,
                _ => return Err(DecodeError::Invalid("typing")),
            }),
            id::MESSAGE => Self::Message { kind: MessageKind::Normal, text: message(reader)? },
            id::ACTION => Self::Message { kind: MessageKind::Action, text: message(reader)? },
            id::FILE_REQUEST => Self::FileRequest(FileRequest::decode(reader)?),
            id::FILE_CONTROL => Self::FileControl(FileControlPacket::decode(reader)?),
            id::FILE_DATA => Self::FileData {
                file: reader.u8()?,
                data: reader.rest_within("file data", 0..=MAX_FILE_DATA)?,
            },
            other => return Err(DecodeError::Kind(other)),
        })
    }
}

/// All that is left, as a message.
fn message<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    reader.rest_within("message", 1..=MAX_MESSAGE)
}

impl Encode for MessengerPacket<'_> {
    fn encoded_len(&self) -> usize {
        1 + match self {
            Self::Online | Self::Offline => 0,
            Self::UserStatus(_) | Self::Typing(_) => 1,
            Self::Name(text) | Self::StatusMessage(text) | Self::Message { text, .. } => text.len(),
            Self::FileRequest(request) => request.encoded_len(),
            Self::FileControl(control) => control.encoded_len(),
            Self::FileData { data, .. } => 1 + data.len(),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.id());
        self.encode_body(out);
    }
}

impl<'a> Decode<'a> for MessengerPacket<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let id = reader.u8()?;
        Self::decode_body(id, reader)
    }
}

#[cfg(test)]
#[path = "messenger_tests.rs"]
mod tests;
