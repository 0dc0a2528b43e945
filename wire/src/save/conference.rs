//! Conferences in a save.

use super::MAX_NAME;
use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::key::PublicKey;

/// A message number is saved so much ahead, so that the save holds until as many more are sent.
pub const MESSAGE_NUMBER_LEAP: u32 = 1 << 16;
/// The same for lossy messages.
pub const LOSSY_NUMBER_LEAP: u16 = 1 << 13;

/// A conference that the person was in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Conference {
    /// 0 text, 1 with sound.
    pub kind: u8,
    /// By what its members know it.
    pub id: [u8; 32],
    /// The number of the next message, [`MESSAGE_NUMBER_LEAP`] ahead of what was sent.
    pub message_number: u32,
    /// The number of the next lossy message, [`LOSSY_NUMBER_LEAP`] ahead of what was sent.
    pub lossy_number: u16,
    /// This person's number in it.
    pub peer_number: u16,
    /// Its title, at most [`MAX_NAME`] bytes.
    pub title: Vec<u8>,
    /// The others in it, those who left for a while among them.
    pub peers: Vec<ConferencePeer>,
}

/// Another person in a conference.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConferencePeer {
    /// The long-term key.
    pub key: PublicKey,
    /// The DHT key of then.
    pub dht_key: PublicKey,
    /// Its number in the conference.
    pub number: u16,
    /// When it was last heard, in seconds since 1970.
    pub last_active: u64,
    /// Its name, at most [`MAX_NAME`] bytes.
    pub name: Vec<u8>,
}

/// Reads a text behind its length in one byte.
fn text(reader: &mut Reader<'_>, what: &'static str) -> Result<Vec<u8>, DecodeError> {
    let mut ahead = *reader;
    let got = usize::from(ahead.u8()?);
    if got > MAX_NAME {
        return Err(DecodeError::Limit { what, limit: MAX_NAME, got });
    }
    *reader = ahead;
    Ok(reader.take(got)?.to_vec())
}

/// Appends a text behind its length, cut at [`MAX_NAME`].
fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    let text = &text[..text.len().min(MAX_NAME)];
    out.push(text.len() as u8);
    out.extend_from_slice(text);
}

impl Encode for ConferencePeer {
    fn encoded_len(&self) -> usize {
        2 * PublicKey::LEN + 2 + 8 + 1 + self.name.len().min(MAX_NAME)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.key.encode(out);
        self.dht_key.encode(out);
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.last_active.to_le_bytes());
        put_text(out, &self.name);
    }
}

impl<'a> Decode<'a> for ConferencePeer {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            key: PublicKey::decode(reader)?,
            dht_key: PublicKey::decode(reader)?,
            number: reader.array().map(u16::from_le_bytes)?,
            last_active: reader.array().map(u64::from_le_bytes)?,
            name: text(reader, "name in a conference")?,
        })
    }
}

impl Encode for Conference {
    fn encoded_len(&self) -> usize {
        let peers = self.peers.iter().map(Encode::encoded_len).sum::<usize>();
        1 + 32 + 4 + 2 + 2 + 4 + 1 + self.title.len().min(MAX_NAME) + peers
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.kind);
        out.extend_from_slice(&self.id);
        out.extend_from_slice(&self.message_number.to_le_bytes());
        out.extend_from_slice(&self.lossy_number.to_le_bytes());
        out.extend_from_slice(&self.peer_number.to_le_bytes());
        out.extend_from_slice(&(self.peers.len() as u32).to_le_bytes());
        put_text(out, &self.title);
        for peer in &self.peers {
            peer.encode(out);
        }
    }
}

impl<'a> Decode<'a> for Conference {
    /// However many peers are claimed: memory is taken only for those that are there.
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let (kind, id) = (reader.u8()?, reader.array()?);
        let message_number = reader.array().map(u32::from_le_bytes)?;
        let lossy_number = reader.array().map(u16::from_le_bytes)?;
        let peer_number = reader.array().map(u16::from_le_bytes)?;
        let count = reader.array().map(u32::from_le_bytes)?;
        let title = text(reader, "conference title")?;
        let mut peers = Vec::new();
        for _ in 0..count {
            peers.push(ConferencePeer::decode(reader)?);
        }
        Ok(Self { kind, id, message_number, lossy_number, peer_number, title, peers })
    }
}
