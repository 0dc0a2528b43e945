//! The handshake: both ends show a cookie, prove their long-term keys, and tell the keys of this
//! session (Tox Reference, "Net crypto"; research note `tox.md` 1.6).

use super::{Cookie, HANDSHAKE, split_exact};
use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::key::{PublicKey, SharedKey};
use crate::nonce::Nonce;
use crate::sealed::{TAG_LEN, seal_packet};

/// The plain part of a handshake: kind 1, the receiver's cookie 112, nonce 24.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HandshakeHeader {
    /// Written by the receiver: it says between which long-term keys the box is.
    pub cookie: Cookie,
    /// The box's nonce; the box is between long-term keys.
    pub nonce: Nonce,
}

impl HandshakeHeader {
    /// Length in bytes.
    pub const LEN: usize = 1 + Cookie::LEN + Nonce::LEN;
    /// Length of the whole packet: 385.
    pub const PACKET_LEN: usize = Self::LEN + TAG_LEN + Handshake::LEN;

    /// Splits a datagram into header and box.
    ///
    /// # Errors
    /// A [`DecodeError`] for another kind or length.
    pub fn split(packet: &mut [u8]) -> Result<(Self, &mut [u8]), DecodeError> {
        let (head, boxed) = split_exact(packet, HANDSHAKE, Self::LEN, Self::PACKET_LEN)?;
        Ok((Self::from_bytes(head)?, boxed))
    }

    /// The whole packet.
    pub fn seal(&self, key: &SharedKey, payload: &Handshake) -> Vec<u8> {
        seal_packet(self, &self.nonce, key, payload)
    }
}

impl Encode for HandshakeHeader {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(HANDSHAKE);
        self.cookie.encode(out);
        self.nonce.encode(out);
    }
}

impl<'a> Decode<'a> for HandshakeHeader {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.kind(HANDSHAKE)?;
        Ok(Self { cookie: Cookie::decode(reader)?, nonce: Nonce::decode(reader)? })
    }
}

/// What the box of a handshake contains.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Handshake {
    /// The sender encrypts its data with this nonce and those after it. (The Reference says that the
    /// receiver does, which is wrong: research note 1.20, line 1.)
    pub base_nonce: Nonce,
    /// The sender's key of this session only.
    pub session_key: PublicKey,
    /// [`Cookie::hash`] of the cookie in the header.
    pub cookie_hash: [u8; 64],
    /// Written by the sender: the receiver's answer shows it.
    pub other_cookie: Cookie,
}

impl Handshake {
    /// Length in bytes.
    pub const LEN: usize = Nonce::LEN + PublicKey::LEN + 64 + Cookie::LEN;
}

impl Encode for Handshake {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.base_nonce.encode(out);
        self.session_key.encode(out);
        out.extend_from_slice(&self.cookie_hash);
        self.other_cookie.encode(out);
    }
}

impl<'a> Decode<'a> for Handshake {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            base_nonce: Nonce::decode(reader)?,
            session_key: PublicKey::decode(reader)?,
            cookie_hash: reader.array()?,
            other_cookie: Cookie::decode(reader)?,
        })
    }
}
