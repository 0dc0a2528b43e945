//! The first message in each direction (Tox Reference, "TCP server"; research note `tox.md` 1.5).
//!
//! Both boxes are between the client's key and the server's DHT key, and contain [`RelayKeys`]. What
//! follows is sealed with the secret that the two session keys share, each side under its own base
//! nonce, counted up by one a frame.

use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::key::{PublicKey, SharedKey};
use crate::nonce::Nonce;
use crate::sealed::{TAG_LEN, seal_packet};

/// What either side tells the other: session key 32, base nonce 24.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RelayKeys {
    /// The sender's key of this connection only.
    pub session_key: PublicKey,
    /// The sender seals its frames with this nonce and those after it.
    pub base_nonce: Nonce,
}

impl RelayKeys {
    /// Length in bytes.
    pub const LEN: usize = PublicKey::LEN + Nonce::LEN;
}

impl Encode for RelayKeys {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.session_key.encode(out);
        self.base_nonce.encode(out);
    }
}

impl<'a> Decode<'a> for RelayKeys {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { session_key: PublicKey::decode(reader)?, base_nonce: Nonce::decode(reader)? })
    }
}

/// The plain part of the client's hello: key 32, nonce 24.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RelayHelloHeader {
    /// The key by which the relay will know the client.
    pub client: PublicKey,
    /// The box's nonce.
    pub nonce: Nonce,
}

impl RelayHelloHeader {
    /// Length in bytes.
    pub const LEN: usize = PublicKey::LEN + Nonce::LEN;
    /// Length of the whole hello: 128.
    pub const PACKET_LEN: usize = Self::LEN + TAG_LEN + RelayKeys::LEN;

    /// Splits a hello into header and box.
    ///
    /// # Errors
    /// A [`DecodeError`] unless there are exactly [`RelayHelloHeader::PACKET_LEN`] bytes.
    pub fn split(hello: &mut [u8]) -> Result<(Self, &mut [u8]), DecodeError> {
        let (head, boxed) = split_exact(hello, Self::LEN, Self::PACKET_LEN)?;
        Ok((Self::from_bytes(head)?, boxed))
    }

    /// The whole hello.
    pub fn seal(&self, key: &SharedKey, keys: &RelayKeys) -> Vec<u8> {
        seal_packet(self, &self.nonce, key, keys)
    }
}

impl Encode for RelayHelloHeader {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.client.encode(out);
        self.nonce.encode(out);
    }
}

impl<'a> Decode<'a> for RelayHelloHeader {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { client: PublicKey::decode(reader)?, nonce: Nonce::decode(reader)? })
    }
}

/// The plain part of the server's answer: nonce 24.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RelayAnswerHeader {
    /// The box's nonce.
    pub nonce: Nonce,
}

impl RelayAnswerHeader {
    /// Length in bytes.
    pub const LEN: usize = Nonce::LEN;
    /// Length of the whole answer: 96.
    pub const PACKET_LEN: usize = Self::LEN + TAG_LEN + RelayKeys::LEN;

    /// Splits an answer into header and box.
    ///
    /// # Errors
    /// A [`DecodeError`] unless there are exactly [`RelayAnswerHeader::PACKET_LEN`] bytes.
    pub fn split(answer: &mut [u8]) -> Result<(Self, &mut [u8]), DecodeError> {
        let (head, boxed) = split_exact(answer, Self::LEN, Self::PACKET_LEN)?;
        Ok((Self::from_bytes(head)?, boxed))
    }

    /// The whole answer.
    pub fn seal(&self, key: &SharedKey, keys: &RelayKeys) -> Vec<u8> {
        seal_packet(self, &self.nonce, key, keys)
    }
}

impl Encode for RelayAnswerHeader {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.nonce.encode(out);
    }
}

impl<'a> Decode<'a> for RelayAnswerHeader {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { nonce: Nonce::decode(reader)? })
    }
}

/// Splits a message of exactly `len` bytes after `head` of them.
fn split_exact(
    message: &mut [u8],
    head: usize,
    len: usize,
) -> Result<(&[u8], &mut [u8]), DecodeError> {
    let have = message.len();
    if have < len {
        return Err(DecodeError::Truncated { need: len, have });
    }
    if have > len {
        return Err(DecodeError::Trailing(have - len));
    }
    let (head, boxed) = message.split_at_mut(head);
    Ok((head, boxed))
}
