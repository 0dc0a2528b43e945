//! Packets of encrypted sessions, c-toxcore's `net_crypto` (Tox Reference, "Net crypto"; where it is
//! wrong or silent, research note `tox.md` 1.6): cookie request and response, handshake, crypto data.
//!
//! Each packet is a plain header and one sealed box. A header's `split` checks the exact length before
//! any cryptography; what the opened box contains is a type of its own.

use ring::digest;

use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::key::{PublicKey, SharedKey};
use crate::nonce::Nonce;
use crate::sealed::{Forged, TAG_LEN};

/// Packet kind of a cookie request.
pub const COOKIE_REQUEST: u8 = 0x18;
/// Packet kind of a cookie response.
pub const COOKIE_RESPONSE: u8 = 0x19;
/// Packet kind of a handshake.
pub const HANDSHAKE: u8 = 0x1a;
/// Packet kind of crypto data.
pub const CRYPTO_DATA: u8 = 0x1b;

/// Longest crypto data packet.
pub const MAX_CRYPTO_PACKET: usize = 1400;
/// Bytes of a crypto data packet that are neither padding nor data.
pub const CRYPTO_OVERHEAD: usize = 1 + 2 + TAG_LEN + DataHeader::LEN;
/// Longest data of one crypto packet, its data id included: 1373 bytes.
pub const MAX_CRYPTO_DATA: usize = MAX_CRYPTO_PACKET - CRYPTO_OVERHEAD;
/// Data is padded so that its length leaves the same remainder by this as [`MAX_CRYPTO_DATA`].
const PADDING_BLOCK: usize = 8;

/// Data ids: what is inside a crypto data packet (research note 1.6).
pub mod data_id {
    use core::ops::RangeInclusive;

    /// Padding in front of the data id.
    pub const PADDING: u8 = 0;
    /// Names the packets that are missing and acknowledges the others.
    pub const REQUEST: u8 = 1;
    /// Ends the session.
    pub const KILL: u8 = 2;
    /// Delivered once and in order.
    pub const LOSSLESS: RangeInclusive<u8> = 16..=191;
    /// Delivered if it arrives.
    pub const LOSSY: RangeInclusive<u8> = 192..=254;
    /// "I am here", every eight seconds (friend connections).
    pub const ALIVE: u8 = 16;
    /// Lossless packets that Tox leaves to applications.
    pub const LOSSLESS_CUSTOM: RangeInclusive<u8> = 160..=191;
    /// Lossy packets that Tox leaves to applications.
    pub const LOSSY_CUSTOM: RangeInclusive<u8> = 200..=254;
    /// TokTok: [`crate::channel::Hello`].
    pub const HELLO: u8 = 160;
    /// TokTok: [`crate::channel::Frame`].
    pub const CHANNEL: u8 = 161;
}

/// Splits a datagram of exactly `len` bytes and of one kind after `head` bytes.
fn split_exact(
    packet: &mut [u8],
    kind: u8,
    head: usize,
    len: usize,
) -> Result<(&[u8], &mut [u8]), DecodeError> {
    let have = packet.len();
    match packet.first() {
        None => return Err(DecodeError::Truncated { need: len, have }),
        Some(&first) if first != kind => return Err(DecodeError::Kind(first)),
        Some(_) if have < len => return Err(DecodeError::Truncated { need: len, have }),
        Some(_) if have > len => return Err(DecodeError::Trailing(have - len)),
        Some(_) => {}
    }
    let (head, boxed) = packet.split_at_mut(head);
    Ok((head, boxed))
}

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
        let mut out = Vec::with_capacity(Self::PACKET_LEN);
        self.encode(&mut out);
        payload.encode(&mut out);
        key.seal_suffix(&self.nonce, &mut out, Self::LEN);
        out
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
        let mut out = Vec::with_capacity(Self::PACKET_LEN);
        self.encode(&mut out);
        payload.encode(&mut out);
        key.seal_suffix(&self.nonce, &mut out, Self::LEN);
        out
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
        let mut out = Vec::with_capacity(Self::PACKET_LEN);
        self.encode(&mut out);
        payload.encode(&mut out);
        key.seal_suffix(&self.nonce, &mut out, Self::LEN);
        out
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

/// Splits a crypto data packet into the last two bytes of its nonce and its box.
///
/// # Errors
/// A [`DecodeError`] for another kind, a box without data, or more than [`MAX_CRYPTO_PACKET`] bytes.
pub fn split_crypto_data(packet: &mut [u8]) -> Result<(u16, &mut [u8]), DecodeError> {
    let have = packet.len();
    if have > MAX_CRYPTO_PACKET {
        let limit = MAX_CRYPTO_PACKET;
        return Err(DecodeError::Limit { what: "crypto data", limit, got: have });
    }
    let need = CRYPTO_OVERHEAD + 1;
    let [kind, high, low, boxed @ ..] = packet else {
        return Err(DecodeError::Truncated { need, have });
    };
    match (*kind, have < need) {
        (CRYPTO_DATA, false) => Ok((u16::from_be_bytes([*high, *low]), boxed)),
        (CRYPTO_DATA, true) => Err(DecodeError::Truncated { need, have }),
        (kind, _) => Err(DecodeError::Kind(kind)),
    }
}

/// A whole crypto data packet: `header`, padding, `id` and the concatenated `parts` of the data.
/// At most [`MAX_CRYPTO_DATA`] bytes of id and data fit; the caller sees to it.
pub fn seal_crypto_data(
    key: &SharedKey,
    nonce: &Nonce,
    header: DataHeader,
    id: u8,
    parts: [&[u8]; 2],
) -> Vec<u8> {
    let len = 1 + parts[0].len() + parts[1].len();
    debug_assert!(len <= MAX_CRYPTO_DATA);
    let padding = MAX_CRYPTO_DATA.saturating_sub(len) % PADDING_BLOCK;
    let mut out = Vec::with_capacity(CRYPTO_OVERHEAD + padding + len);
    out.push(CRYPTO_DATA);
    out.extend_from_slice(&nonce.low_u16().to_be_bytes());
    header.encode(&mut out);
    out.resize(out.len() + padding, data_id::PADDING);
    out.push(id);
    out.extend_from_slice(parts[0]);
    out.extend_from_slice(parts[1]);
    key.seal_suffix(nonce, &mut out, 3);
    out
}

/// The two numbers at the start of every crypto data packet's box.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DataHeader {
    /// The number of the first lossless packet that the sender has not received: all before it are
    /// acknowledged.
    pub received: u32,
    /// Of a lossless packet its number, of any other the number that the next lossless one will have.
    pub number: u32,
}

impl DataHeader {
    /// Length in bytes.
    pub const LEN: usize = 8;
}

impl Encode for DataHeader {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.received.to_be_bytes());
        out.extend_from_slice(&self.number.to_be_bytes());
    }
}

impl<'a> Decode<'a> for DataHeader {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { received: reader.u32()?, number: reader.u32()? })
    }
}

/// What the box of a crypto data packet contains. How much padding stands in front of the data id is
/// the sender's choice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CryptoData<'a> {
    /// Acknowledgement and number.
    pub header: DataHeader,
    /// Zero bytes in front of the data id.
    pub padding: usize,
    /// See [`data_id`]; never zero.
    pub id: u8,
    /// The data behind the id.
    pub data: &'a [u8],
}

impl Encode for CryptoData<'_> {
    fn encoded_len(&self) -> usize {
        DataHeader::LEN + self.padding + 1 + self.data.len()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.header.encode(out);
        out.resize(out.len() + self.padding, data_id::PADDING);
        out.push(self.id);
        out.extend_from_slice(self.data);
    }
}

impl<'a> Decode<'a> for CryptoData<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let header = DataHeader::decode(reader)?;
        let rest = reader.take_rest();
        let padding = rest
            .iter()
            .position(|byte| *byte != data_id::PADDING)
            .ok_or(DecodeError::Truncated { need: 1, have: 0 })?;
        match rest.get(padding..) {
            Some([id, data @ ..]) => Ok(Self { header, padding, id: *id, data }),
            _ => Err(DecodeError::Invalid("data id")),
        }
    }
}

/// The data of a packet request: distances between the numbers of missing packets. A byte other than
/// zero is the distance to the next missing packet, a zero says that 255 packets in a row are there.
/// Packets that it passes over have been received. Any bytes are a valid request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PacketRequest<'a> {
    /// The distances.
    pub distances: &'a [u8],
}

impl<'a> PacketRequest<'a> {
    /// How many packets the request says something of, and for each missing one its offset. Offsets
    /// count from the acknowledgement in the packet's own header.
    pub fn missing(&self) -> impl Iterator<Item = u64> + use<'a> {
        let mut next = 0_u64;
        self.distances.iter().filter_map(move |&byte| {
            next += if byte == 0 { 255 } else { u64::from(byte) };
            (byte != 0).then(|| next - 1)
        })
    }

    /// How many packets from the acknowledgement on the request speaks of: all of them that are not
    /// [missing](Self::missing) have been received.
    pub fn covered(&self) -> u64 {
        self.distances.iter().map(|&byte| if byte == 0 { 255 } else { u64::from(byte) }).sum()
    }

    /// Appends the distances that name the ascending offsets `missing`, as many as fit into `limit`
    /// bytes, and then tell that the packets up to `end` (exclusive) are there, as far as whole
    /// blocks of 255 can.
    pub fn write(missing: impl Iterator<Item = u64>, end: u64, limit: usize, out: &mut Vec<u8>) {
        let limit = out.len().saturating_add(limit);
        let mut next = 0;
        for offset in missing {
            while offset - next >= 255 && out.len() < limit {
                out.push(0);
                next += 255;
            }
            if out.len() >= limit {
                return;
            }
            out.push((offset - next + 1) as u8);
            next = offset + 1;
        }
        while next + 255 <= end && out.len() < limit {
            out.push(0);
            next += 255;
        }
    }
}

impl Encode for PacketRequest<'_> {
    fn encoded_len(&self) -> usize {
        self.distances.len()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.distances);
    }
}

impl<'a> Decode<'a> for PacketRequest<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { distances: reader.take_rest() })
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
