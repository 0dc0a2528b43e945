//! What the hops of a path handle (Tox Reference, "Onion"; research note `tox.md` 1.3).
//!
//! The owner of a path wraps a request in three layers under one nonce; each hop peels one off, and
//! adds to the [`ReturnPath`] behind it a box that only this hop opens: where the packet came from.
//! A response carries the return path in front, and each hop opens its own box again. So a hop
//! remembers nothing.

use super::{MAX_ONION_PACKET, MAX_ONION_REQUEST, check_request, check_response};
use crate::address::IpPort;
use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::key::{PublicKey, SharedKey};
use crate::nonce::Nonce;
use crate::sealed::{Forged, TAG_LEN, seal_packet};

/// The place of a node in a path, counted from the path's owner.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Hop {
    /// Knows the owner, by its DHT key and address.
    First,
    /// Knows the first and the third hop.
    Second,
    /// Knows the second hop and the request's destination.
    Third,
}

/// Bytes that a hop adds to the return path: nonce, authenticator, padded endpoint.
const RETURN_STEP: usize = Nonce::LEN + TAG_LEN + IpPort::PADDED_LEN;
/// Bytes of one layer: key, authenticator, padded endpoint.
const LAYER_OVERHEAD: usize = PublicKey::LEN + TAG_LEN + IpPort::PADDED_LEN;

impl Hop {
    /// All hops from the owner outward.
    pub const ALL: [Self; 3] = [Self::First, Self::Second, Self::Third];

    const fn index(self) -> usize {
        match self {
            Self::First => 0,
            Self::Second => 1,
            Self::Third => 2,
        }
    }

    /// Kind of the packet that this hop receives on the way out: 0x80, 0x81, 0x82.
    pub const fn send_kind(self) -> u8 {
        0x80 + self.index() as u8
    }

    /// Kind of the packet that this hop receives on the way back: 0x8e, 0x8d, 0x8c.
    pub const fn response_kind(self) -> u8 {
        0x8e - self.index() as u8
    }

    /// The hop whose kind on the way out is `kind`.
    pub const fn from_send_kind(kind: u8) -> Option<Self> {
        match kind {
            0x80 => Some(Self::First),
            0x81 => Some(Self::Second),
            0x82 => Some(Self::Third),
            _ => None,
        }
    }

    /// The hop whose kind on the way back is `kind`.
    pub const fn from_response_kind(kind: u8) -> Option<Self> {
        match kind {
            0x8e => Some(Self::First),
            0x8d => Some(Self::Second),
            0x8c => Some(Self::Third),
            _ => None,
        }
    }

    /// Length of the return path once this hop has added to it: 59, 118, 177.
    pub const fn return_len(self) -> usize {
        RETURN_STEP * (self.index() + 1)
    }

    /// Bytes of a packet to this hop that are neither its kind nor the request: 225, 217, 209.
    pub(super) const fn least_send_len(self) -> usize {
        Nonce::LEN + LAYER_OVERHEAD * (3 - self.index()) + RETURN_STEP * self.index()
    }
}

/// The way back, as far as hops have written it: 0, 59, 118 or 177 bytes. Opaque to all but the hop
/// that wrote last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReturnPath {
    /// Hops that have written: 0 to 3.
    hops: u8,
    /// Padded with zeros, so that equality of paths is equality of values.
    bytes: [u8; Self::MAX_LEN],
}

impl ReturnPath {
    /// Longest return path: three hops.
    pub const MAX_LEN: usize = Hop::Third.return_len();

    /// That of a packet which no hop has seen.
    pub const EMPTY: Self = Self { hops: 0, bytes: [0; Self::MAX_LEN] };

    /// A return path from its bytes; `None` unless there are 0, 59, 118 or 177 of them.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        if !bytes.len().is_multiple_of(RETURN_STEP) {
            return None;
        }
        let mut path = Self { hops: (bytes.len() / RETURN_STEP) as u8, ..Self::EMPTY };
        path.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(path)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.hops) * RETURN_STEP]
    }

    /// The hop that wrote last, and is next on the way back.
    pub const fn hop(&self) -> Option<Hop> {
        match self.hops {
            1 => Some(Hop::First),
            2 => Some(Hop::Second),
            3 => Some(Hop::Third),
            _ => None,
        }
    }

    /// This path with one more hop, which received the packet from `back`. `key` is the hop's own
    /// and nobody else's. `None` if three hops have written already.
    pub fn extended(&self, key: &SharedKey, nonce: &Nonce, back: &IpPort) -> Option<Self> {
        let mut out = Vec::with_capacity(Self::MAX_LEN);
        nonce.encode(&mut out);
        back.encode_padded(&mut out);
        out.extend_from_slice(self.as_bytes());
        key.seal_suffix(nonce, &mut out, Nonce::LEN);
        Self::from_slice(&out)
    }

    /// Takes back what [`ReturnPath::extended`] did with the same key: where the packet came from,
    /// and the path as it was.
    ///
    /// # Errors
    /// [`Forged`] if the last hop was another one, or none.
    pub fn open(mut self, key: &SharedKey) -> Result<(IpPort, Self), Forged> {
        let len = self.as_bytes().len();
        let (nonce, boxed) =
            self.bytes[..len].split_first_chunk_mut::<{ Nonce::LEN }>().ok_or(Forged)?;
        let plain = key.open_in_place(&Nonce(*nonce), boxed)?;
        let mut reader = Reader::new(plain);
        let back = IpPort::decode_padded(&mut reader).map_err(|_| Forged)?;
        Ok((back, Self::from_slice(reader.take_rest()).ok_or(Forged)?))
    }
}

/// The plain part of a packet on the way out: kind 1, nonce 24, key 32. A box follows, and then the
/// return path of the hops before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SendHeader {
    /// Who is to handle it.
    pub hop: Hop,
    /// The same for all three boxes of a packet.
    pub nonce: Nonce,
    /// The box is between this key and the hop's DHT key. For the first hop it is the owner's DHT
    /// key, for the others a key of this path only.
    pub key: PublicKey,
}

impl SendHeader {
    /// Length in bytes.
    pub const LEN: usize = 1 + Nonce::LEN + PublicKey::LEN;

    /// Splits a datagram into header, box and return path.
    ///
    /// # Errors
    /// A [`DecodeError`] for another kind, a box that can not hold a request, or more than
    /// [`MAX_ONION_PACKET`] bytes.
    pub fn split(packet: &mut [u8]) -> Result<(Self, &mut [u8], ReturnPath), DecodeError> {
        let header = Self::decode(&mut Reader::new(packet))?;
        let (have, need) = (packet.len(), 1 + header.hop.least_send_len() + 1);
        if have < need {
            return Err(DecodeError::Truncated { need, have });
        }
        check_limit("onion packet", MAX_ONION_PACKET, have)?;
        let back_len = RETURN_STEP * header.hop.index();
        let (rest, back) = packet.split_at_mut(have - back_len);
        let back = ReturnPath::from_slice(back).ok_or(DecodeError::Invalid("return path"))?;
        Ok((header, &mut rest[Self::LEN..], back))
    }

    /// The whole packet: this header, `layer` in a box, and the return path so far.
    pub fn seal<P: Encode>(&self, key: &SharedKey, layer: &P, back: &ReturnPath) -> Vec<u8> {
        let mut out = seal_packet(self, &self.nonce, key, layer);
        out.extend_from_slice(back.as_bytes());
        out
    }
}

impl Encode for SendHeader {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.hop.send_kind());
        self.nonce.encode(out);
        self.key.encode(out);
    }
}

impl<'a> Decode<'a> for SendHeader {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let kind = reader.u8()?;
        let hop = Hop::from_send_kind(kind).ok_or(DecodeError::Kind(kind))?;
        Ok(Self { hop, nonce: Nonce::decode(reader)?, key: PublicKey::decode(reader)? })
    }
}

/// What the first and the second hop find in their box: endpoint 19, key 32, and the next hop's box.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Layer<'a> {
    /// The next hop's endpoint.
    pub next: IpPort,
    /// The key for the next hop's [`SendHeader`].
    pub key: PublicKey,
    /// The next hop's box.
    pub boxed: &'a [u8],
}

impl Encode for Layer<'_> {
    fn encoded_len(&self) -> usize {
        IpPort::PADDED_LEN + PublicKey::LEN + self.boxed.len()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.next.encode_padded(out);
        self.key.encode(out);
        out.extend_from_slice(self.boxed);
    }
}

impl<'a> Decode<'a> for Layer<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let (next, key) = (IpPort::decode_padded(reader)?, PublicKey::decode(reader)?);
        let (have, need) = (reader.remaining(), TAG_LEN + 1);
        if have < need {
            return Err(DecodeError::Truncated { need, have });
        }
        Ok(Self { next, key, boxed: reader.take_rest() })
    }
}

/// What the third hop finds in its box: endpoint 19, and a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LastLayer<'a> {
    /// The endpoint of the node that the request is for.
    pub destination: IpPort,
    /// An announce request or a data request: other kinds are refused.
    pub request: &'a [u8],
}

impl Encode for LastLayer<'_> {
    fn encoded_len(&self) -> usize {
        IpPort::PADDED_LEN + self.request.len()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.destination.encode_padded(out);
        out.extend_from_slice(self.request);
    }
}

impl<'a> Decode<'a> for LastLayer<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let destination = IpPort::decode_padded(reader)?;
        let request = reader.take_rest();
        check_request(request)?;
        check_limit("onion request", MAX_ONION_REQUEST, request.len())?;
        Ok(Self { destination, request })
    }
}

/// Splits a datagram that a third hop sent into the request and its return path of 177 bytes.
///
/// # Errors
/// A [`DecodeError`] if it is no request, has no return path, or is longer than any path lets through.
pub fn split_request(packet: &mut [u8]) -> Result<(&mut [u8], ReturnPath), DecodeError> {
    check_request(packet)?;
    let (have, need) = (packet.len(), ReturnPath::MAX_LEN + 1);
    if have < need {
        return Err(DecodeError::Truncated { need, have });
    }
    check_limit("onion request", MAX_ONION_REQUEST + ReturnPath::MAX_LEN, have)?;
    let (request, back) = packet.split_at_mut(have - ReturnPath::MAX_LEN);
    let back = ReturnPath::from_slice(back).ok_or(DecodeError::Invalid("return path"))?;
    Ok((request, back))
}

/// A packet on the way back: kind 1, return path, and a response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OnionResponse<'a> {
    /// Who is to handle it: the hop that wrote last into `back`.
    hop: Hop,
    back: ReturnPath,
    response: &'a [u8],
}

impl<'a> OnionResponse<'a> {
    /// A response on its way back along `back`; `None` if no hop is left to travel to.
    pub fn new(back: ReturnPath, response: &'a [u8]) -> Option<Self> {
        Some(Self { hop: back.hop()?, back, response })
    }

    /// Who is to handle it.
    pub const fn hop(&self) -> Hop {
        self.hop
    }

    /// The way that is left.
    pub const fn back(&self) -> &ReturnPath {
        &self.back
    }

    /// An announce response or a data response, as the path's owner will receive it.
    pub const fn response(&self) -> &'a [u8] {
        self.response
    }
}

impl Encode for OnionResponse<'_> {
    fn encoded_len(&self) -> usize {
        1 + self.back.as_bytes().len() + self.response.len()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.hop.response_kind());
        out.extend_from_slice(self.back.as_bytes());
        out.extend_from_slice(self.response);
    }
}

impl<'a> Decode<'a> for OnionResponse<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        check_limit("onion packet", MAX_ONION_PACKET, reader.remaining())?;
        let kind = reader.u8()?;
        let hop = Hop::from_response_kind(kind).ok_or(DecodeError::Kind(kind))?;
        let back = ReturnPath::from_slice(reader.take(hop.return_len())?)
            .ok_or(DecodeError::Invalid("return path"))?;
        let response = reader.take_rest();
        check_response(response)?;
        Ok(Self { hop, back, response })
    }
}

/// Refuses a length over its limit.
fn check_limit(what: &'static str, limit: usize, got: usize) -> Result<(), DecodeError> {
    if got > limit { Err(DecodeError::Limit { what, limit, got }) } else { Ok(()) }
}

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
