//! Friends in a save: 2216 bytes each, of which most are padding, with big-endian lengths.

use super::{MAX_NAME, MAX_SAVED_REQUEST, MAX_STATUS_MESSAGE};
use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::key::PublicKey;

/// A friend, or someone who was asked to be one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Friend {
    /// The long-term key.
    pub key: PublicKey,
    /// How far the friendship is.
    pub state: FriendState,
}

/// How far a friendship is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FriendState {
    /// A friend request waits for its answer and is repeated.
    Requested {
        /// True if it was sent at least once (2 in the file, otherwise 1).
        sent: bool,
        /// The nospam of the friend's Tox ID.
        nospam: [u8; 4],
        /// What the request says, at most [`MAX_SAVED_REQUEST`] bytes.
        message: Vec<u8>,
    },
    /// Both are friends (3 in the file, or more), and this is what was last known of the other.
    Confirmed {
        /// The name, at most [`MAX_NAME`] bytes.
        name: Vec<u8>,
        /// The status message, at most [`MAX_STATUS_MESSAGE`] bytes.
        status_message: Vec<u8>,
        /// 0 none, 1 away, 2 busy.
        status: u8,
        /// When the friend was last online, in seconds since 1970; 0 if never.
        last_seen: u64,
    },
}

const REQUEST_NOT_SENT: u8 = 1;
const REQUEST_SENT: u8 = 2;
const CONFIRMED: u8 = 3;

impl Friend {
    /// Length in a save.
    pub const LEN: usize = 1
        + PublicKey::LEN
        + (MAX_SAVED_REQUEST + 1 + 2)
        + (MAX_NAME + 2)
        + (MAX_STATUS_MESSAGE + 1 + 2)
        + (1 + 3)
        + 4
        + 8;

    /// Reads one record; `None` if it is an empty one (0 in the file), which c-toxcore skips too.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        let state = reader.u8()?;
        let key = PublicKey::decode(reader)?;
        let message = padded(reader, "friend request", MAX_SAVED_REQUEST, 1)?;
        let name = padded(reader, "friend's name", MAX_NAME, 0)?;
        let status_message = padded(reader, "friend's status message", MAX_STATUS_MESSAGE, 1)?;
        let status = reader.u8()?;
        reader.take(3)?;
        let nospam = reader.array()?;
        let last_seen = reader.u64()?;
        let state = match state {
            0 => return Ok(None),
            REQUEST_NOT_SENT | REQUEST_SENT => {
                FriendState::Requested { sent: state == REQUEST_SENT, nospam, message }
            }
            _ => FriendState::Confirmed { name, status_message, status, last_seen },
        };
        Ok(Some(Self { key, state }))
    }
}

/// Reads a text: its field of `limit` bytes, `padding` bytes, and how many of the field count.
fn padded(
    reader: &mut Reader<'_>,
    what: &'static str,
    limit: usize,
    padding: usize,
) -> Result<Vec<u8>, DecodeError> {
    let field = reader.take(limit)?;
    reader.take(padding)?;
    let mut length = *reader;
    let got = usize::from(length.u16()?);
    let text = field.get(..got).ok_or(DecodeError::Limit { what, limit, got })?;
    *reader = length;
    Ok(text.to_vec())
}

/// Appends a text as [`padded`] reads it, cut at its limit.
fn pad(out: &mut Vec<u8>, text: &[u8], limit: usize, padding: usize) {
    let text = &text[..text.len().min(limit)];
    out.extend_from_slice(text);
    out.resize(out.len() + limit - text.len() + padding, 0);
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
}

impl Encode for Friend {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (state, message, name, status_message, status, nospam, last_seen) = match &self.state {
            FriendState::Requested { sent, nospam, message } => {
                let state = if *sent { REQUEST_SENT } else { REQUEST_NOT_SENT };
                (state, &message[..], &[][..], &[][..], 0, *nospam, 0)
            }
            FriendState::Confirmed { name, status_message, status, last_seen } => {
                (CONFIRMED, &[][..], &name[..], &status_message[..], *status, [0; 4], *last_seen)
            }
        };
        out.push(state);
        self.key.encode(out);
        pad(out, message, MAX_SAVED_REQUEST, 1);
        pad(out, name, MAX_NAME, 0);
        pad(out, status_message, MAX_STATUS_MESSAGE, 1);
        out.extend_from_slice(&[status, 0, 0, 0]);
        out.extend_from_slice(&nospam);
        out.extend_from_slice(&last_seen.to_be_bytes());
    }
}
