//! What a member of a conference says to all others. Each hands it on to its own neighbours, who know
//! by its number whether they had it already (research note `tox.md` 1.11, packet 99).

use super::MAX_CONFERENCE_NAME;
use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::key::PublicKey;
use crate::messenger::MessageKind;
use crate::session::MAX_CRYPTO_DATA;

/// Longest message: what is left beside data id, conference, sender, number and kind.
pub const MAX_CONFERENCE_MESSAGE: usize = MAX_CRYPTO_DATA - 1 - 2 - ConferenceMessage::HEAD;

const PING: u8 = 0;
const NEW_PEER: u8 = 16;
const KILL_PEER: u8 = 17;
const FREEZE_PEER: u8 = 18;
const NAME: u8 = 48;
const TITLE: u8 = 49;
const MESSAGE: u8 = 64;
const ACTION: u8 = 65;

/// What a member says to all others. Nothing proves that it does: any neighbour can say it in its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MessageBody<'a> {
    /// 0: I am here.
    Ping,
    /// 16: this peer has come, or has come back.
    NewPeer {
        /// Its number.
        peer: u16,
        /// Its long-term key.
        key: PublicKey,
        /// Its DHT key.
        dht_key: PublicKey,
    },
    /// 17: this peer has left for good. Peers say so of themselves only.
    KillPeer {
        /// Its number.
        peer: u16,
    },
    /// 18: this peer has left and may come back. Peers say so of themselves only.
    FreezePeer {
        /// Its number.
        peer: u16,
    },
    /// 48: my name, up to [`MAX_CONFERENCE_NAME`] bytes.
    Name(&'a [u8]),
    /// 49: the title that I give to the conference, 1 to [`MAX_CONFERENCE_NAME`] bytes.
    Title(&'a [u8]),
    /// 64 and 65: a message.
    Text {
        /// What it is meant as.
        kind: MessageKind,
        /// 1 to [`MAX_CONFERENCE_MESSAGE`] bytes.
        text: &'a [u8],
    },
}

impl MessageBody<'_> {
    /// Its number, which is also what members remember of it.
    pub const fn id(&self) -> u8 {
        match self {
            Self::Ping => PING,
            Self::NewPeer { .. } => NEW_PEER,
            Self::KillPeer { .. } => KILL_PEER,
            Self::FreezePeer { .. } => FREEZE_PEER,
            Self::Name(_) => NAME,
            Self::Title(_) => TITLE,
            Self::Text { kind: MessageKind::Normal, .. } => MESSAGE,
            Self::Text { kind: MessageKind::Action, .. } => ACTION,
        }
    }
}

/// A message on its way: sender 2, number 4, kind 1, and its data. A kind that is not known is
/// refused, as c-toxcore does not hand it on either.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ConferenceMessage<'a> {
    /// The peer whose message it is.
    pub peer: u16,
    /// Grows by one with each of the peer's messages, wraps, and is never 0.
    pub number: u32,
    /// What it says.
    pub body: MessageBody<'a>,
}

impl ConferenceMessage<'_> {
    /// Length without the data.
    pub const HEAD: usize = 2 + 4 + 1;
}

impl Encode for ConferenceMessage<'_> {
    fn encoded_len(&self) -> usize {
        Self::HEAD
            + match self.body {
                MessageBody::Ping => 0,
                MessageBody::NewPeer { .. } => 2 + 2 * PublicKey::LEN,
                MessageBody::KillPeer { .. } | MessageBody::FreezePeer { .. } => 2,
                MessageBody::Name(text)
                | MessageBody::Title(text)
                | MessageBody::Text { text, .. } => text.len(),
            }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.peer.to_be_bytes());
        out.extend_from_slice(&self.number.to_be_bytes());
        out.push(self.body.id());
        match self.body {
            MessageBody::Ping => {}
            MessageBody::NewPeer { peer, key, dht_key } => {
                out.extend_from_slice(&peer.to_be_bytes());
                key.encode(out);
                dht_key.encode(out);
            }
            MessageBody::KillPeer { peer } | MessageBody::FreezePeer { peer } => {
                out.extend_from_slice(&peer.to_be_bytes());
            }
            MessageBody::Name(text) | MessageBody::Title(text) | MessageBody::Text { text, .. } => {
                out.extend_from_slice(text)
            }
        }
    }
}

impl<'a> Decode<'a> for ConferenceMessage<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let (peer, number) = (reader.u16()?, reader.u32()?);
        let body = match reader.u8()? {
            PING => MessageBody::Ping,
            NEW_PEER => MessageBody::NewPeer {
                peer: reader.u16()?,
                key: PublicKey::decode(reader)?,
                dht_key: PublicKey::decode(reader)?,
            },
            KILL_PEER => MessageBody::KillPeer { peer: reader.u16()? },
            FREEZE_PEER => MessageBody::FreezePeer { peer: reader.u16()? },
            NAME => MessageBody::Name(reader.rest_within("name", 0..=MAX_CONFERENCE_NAME)?),
            TITLE => MessageBody::Title(reader.rest_within("title", 1..=MAX_CONFERENCE_NAME)?),
            MESSAGE => MessageBody::Text { kind: MessageKind::Normal, text: text(reader)? },
            ACTION => MessageBody::Text { kind: MessageKind::Action, text: text(reader)? },
            _ => return Err(DecodeError::Invalid("kind of a conference message")),
        };
        Ok(Self { peer, number, body })
    }
}

/// All that is left, as a message.
fn text<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    reader.rest_within("message", 1..=MAX_CONFERENCE_MESSAGE)
}
