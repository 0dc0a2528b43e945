//! Cookies: a session begins with the proof that both ends receive at their addresses (Tox Reference,
//! "Net crypto"; research note `tox.md` 1.6).

use ring::digest;

use super::{COOKIE_REQUEST, COOKIE_RESPONSE, split_exact};
use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::key::{PublicKey, SharedKey};
use crate::nonce::Nonce;
use crate::sealed::{Forged, TAG_LEN, seal_packet};

/// The plain part of a cookie request: kind 1, sender's DHT key 32, nonce 24.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CookieRequestHeader {
    /// The sender's DHT key; the box is between DHT keys.
    pub sender: PublicKey,
    /// The box's nonce.
    pub nonce: Nonce,
}

impl CookieRequestHeader {
    /// Length in bytes.
    pub const LEN: usize = 1 + PublicKey::LEN + Nonce::LEN;
    /// Length of the whole packet: 145.
    pub const PACKET_LEN: usize = Self::LEN + TAG_LEN + CookieRequest::LEN;

    /// Splits a datagram into header and box.
    ///
    /// # Errors
    /// A [`DecodeError`] for another kind or length.
    pub fn split(packet: &mut [u8]) -> Result<(Self, &mut [u8]), DecodeError> {
        let (head, boxed) = split_exact(packet, COOKIE_REQUEST, Self::LEN, Self::PACKET_LEN)?;
        Ok((Self::from_bytes(head)?, boxed))
    }

    /// The whole packet.
    pub fn seal(&self, key: &SharedKey, payload: &CookieRequest) -> Vec<u8> {
        seal_packet(self, &self.nonce, key, payload)
    }
}

impl Encode for CookieRequestHeader {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(COOKIE_REQUEST);
        self.sender.encode(out);
        self.nonce.encode(out);
    }
}

impl<'a> Decode<'a> for CookieRequestHeader {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.kind(COOKIE_REQUEST)?;
        Ok(Self { sender: PublicKey::decode(reader)?, nonce: Nonce::decode(reader)? })
    }
}

/// What the box of a cookie request contains.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CookieRequest {
    /// The sender's long-term key.
    pub key: PublicKey,
    /// Once another key, sent as zeros, never read.
    pub unused: [u8; 32],
    /// Repeated in the response; opaque.
    pub echo: [u8; 8],
}

impl CookieRequest {
    /// Length in bytes.
    pub const LEN: usize = 2 * PublicKey::LEN + 8;
}

impl Encode for CookieRequest {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.key.encode(out);
        out.extend_from_slice(&self.unused);
        out.extend_from_slice(&self.echo);
    }
}

impl<'a> Decode<'a> for CookieRequest {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let key = PublicKey::decode(reader)?;
        Ok(Self { key, unused: reader.array()?, echo: reader.array()? })
    }
}

/// The plain part of a cookie response: kind 1, nonce 24. Who sent it, its address must tell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CookieResponseHeader {
    /// The box's nonce; the box is between DHT keys.
    pub nonce: Nonce,
}

impl CookieResponseHeader {
    /// Length in bytes.
    pub const LEN: usize = 1 + Nonce::LEN;
    /// Length of the whole packet: 161.
    pub const PACKET_LEN: usize = Self::LEN + TAG_LEN + CookieResponse::LEN;

    /// Splits a datagram into header and box.
    ///
    /// # Errors
    /// A [`DecodeError`] for another kind or length.
    pub fn split(packet: &mut [u8]) -> Result<(Self, &mut [u8]), DecodeError> {
        let (head, boxed) = split_exact(packet, COOKIE_RESPONSE, Self::LEN, Self::PACKET_LEN)?;
        Ok((Self::from_bytes(head)?, boxed))
    }

    /// The whole packet.
    pub fn seal(&self, key: &SharedKey, payload: &CookieResponse) -> Vec<u8> {
        seal_packet(self, &self.nonce, key, payload)
    }
}

impl Encode for CookieResponseHeader {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(COOKIE_RESPONSE);
        self.nonce.encode(out);
    }
}

impl<'a> Decode<'a> for CookieResponseHeader {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.kind(COOKIE_RESPONSE)?;
        Ok(Self { nonce: Nonce::decode(reader)? })
    }
}

/// What the box of a cookie response contains.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CookieResponse {
    /// To be shown in the handshake.
    pub cookie: Cookie,
    /// The request's.
    pub echo: [u8; 8],
}

impl CookieResponse {
    /// Length in bytes.
    pub const LEN: usize = Cookie::LEN + 8;
}

impl Encode for CookieResponse {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.cookie.encode(out);
        out.extend_from_slice(&self.echo);
    }
}

impl<'a> Decode<'a> for CookieResponse {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { cookie: Cookie::decode(reader)?, echo: reader.array()? })
    }
}

/// A note that a node writes to itself and lets a stranger carry, so that it need not remember the
/// stranger: nonce 24, and a box that only its writer opens. Opaque to everyone else.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cookie(pub [u8; Self::LEN]);

impl Cookie {
    /// Length in bytes.
    pub const LEN: usize = Nonce::LEN + TAG_LEN + CookieContents::LEN;

    /// A cookie with these contents.
    pub fn seal(key: &SharedKey, nonce: &Nonce, contents: &CookieContents) -> Self {
        let mut out = Vec::with_capacity(Self::LEN);
        nonce.encode(&mut out);
        contents.encode(&mut out);
        key.seal_suffix(nonce, &mut out, Nonce::LEN);
        let mut bytes = [0; Self::LEN];
        bytes.copy_from_slice(&out);
        Self(bytes)
    }

    /// What the cookie says, if it was sealed with `key`.
    ///
    /// # Errors
    /// [`Forged`] if it was not.
    pub fn open(&self, key: &SharedKey) -> Result<CookieContents, Forged> {
        let mut bytes = self.0;
        let (nonce, boxed) = bytes.split_at_mut(Nonce::LEN);
        let nonce = Nonce::from_bytes(nonce).map_err(|_| Forged)?;
        let plain = key.open_in_place(&nonce, boxed)?;
        CookieContents::from_bytes(plain).map_err(|_| Forged)
    }

    /// The SHA-512 hash by which a handshake's box repeats the cookie.
    pub fn hash(&self) -> [u8; 64] {
        let mut hash = [0; 64];
        hash.copy_from_slice(digest::digest(&digest::SHA512, &self.0).as_ref());
        hash
    }
}

impl Encode for Cookie {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

impl<'a> Decode<'a> for Cookie {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.array().map(Self)
    }
}

/// What a node notes down in a cookie.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CookieContents {
    /// When, by the writer's own clock and in its own unit.
    pub time: u64,
    /// The stranger's long-term key.
    pub key: PublicKey,
    /// The stranger's DHT key.
    pub dht_key: PublicKey,
}

impl CookieContents {
    /// Length in bytes.
    pub const LEN: usize = 8 + 2 * PublicKey::LEN;
}

impl Encode for CookieContents {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.time.to_be_bytes());
        self.key.encode(out);
        self.dht_key.encode(out);
    }
}

impl<'a> Decode<'a> for CookieContents {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let time = reader.u64()?;
        Ok(Self { time, key: PublicKey::decode(reader)?, dht_key: PublicKey::decode(reader)? })
    }
}
