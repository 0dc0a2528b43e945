//! Data through the onion: to a key that is announced at the node behind the path (Tox Reference,
//! "Onion", data packets; research note `tox.md` 1.3).
//!
//! The announce node takes the destination off a [`DataRequestHeader`] and sends the rest, as a
//! [`DataResponseHeader`] and the same box, along the return path that the announcement left. The
//! box is sealed to the announcement's data key and contains an [`OnionData`], whose own box, under
//! the same nonce, is between long-term keys.

use super::{DATA_REQUEST, DATA_RESPONSE, MAX_ONION_REQUEST};
use crate::address::PackedNode;
use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::dht::MAX_NODES;
use crate::key::{PublicKey, SharedKey};
use crate::nonce::Nonce;
use crate::sealed::{TAG_LEN, seal_packet};

/// Inner kind of a friend request in an [`OnionData`] or a DHT request.
pub const FRIEND_REQUEST: u8 = 0x20;
/// Inner kind of a [`DhtKeyAnnounce`].
pub const DHT_KEY_ANNOUNCE: u8 = 0x9c;

/// Most bytes that fit into the inner box of an [`OnionData`], the inner kind included: 1021.
pub const MAX_ONION_DATA: usize =
    MAX_ONION_REQUEST - DataRequestHeader::LEN - TAG_LEN - PublicKey::LEN - TAG_LEN;

/// The plain part of a data request: kind 1, destination 32, nonce 24, key 32.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DataRequestHeader {
    /// The long-term key that the data is for.
    pub destination: PublicKey,
    /// The nonce of both boxes.
    pub nonce: Nonce,
    /// A key of this packet only; the box is between it and the destination's data key.
    pub key: PublicKey,
}

impl DataRequestHeader {
    /// Length in bytes.
    pub const LEN: usize = 1 + PublicKey::LEN + Nonce::LEN + PublicKey::LEN;

    /// Splits a request (its return path is off already) into header and box.
    ///
    /// # Errors
    /// A [`DecodeError`] for another kind, no box, or more than [`MAX_ONION_REQUEST`] bytes.
    pub fn split(packet: &mut [u8]) -> Result<(Self, &mut [u8]), DecodeError> {
        let header = Self::decode(&mut Reader::new(packet))?;
        check_len(packet.len(), Self::LEN + TAG_LEN, MAX_ONION_REQUEST)?;
        Ok((header, &mut packet[Self::LEN..]))
    }

    /// The header under which the announce node sends the box on.
    pub const fn response(&self) -> DataResponseHeader {
        DataResponseHeader { nonce: self.nonce, key: self.key }
    }

    /// The whole packet.
    pub fn seal(&self, key: &SharedKey, payload: &OnionData<'_>) -> Vec<u8> {
        seal_packet(self, &self.nonce, key, payload)
    }
}

impl Encode for DataRequestHeader {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(DATA_REQUEST);
        self.destination.encode(out);
        self.nonce.encode(out);
        self.key.encode(out);
    }
}

impl<'a> Decode<'a> for DataRequestHeader {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.kind(DATA_REQUEST)?;
        Ok(Self {
            destination: PublicKey::decode(reader)?,
            nonce: Nonce::decode(reader)?,
            key: PublicKey::decode(reader)?,
        })
    }
}

/// The plain part of a data response: kind 1, nonce 24, key 32.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DataResponseHeader {
    /// The request's nonce.
    pub nonce: Nonce,
    /// The request's key.
    pub key: PublicKey,
}

impl DataResponseHeader {
    /// Length in bytes.
    pub const LEN: usize = 1 + Nonce::LEN + PublicKey::LEN;

    /// Splits a response into header and box.
    ///
    /// # Errors
    /// A [`DecodeError`] for another kind, no box, or more bytes than a request can bring.
    pub fn split(packet: &mut [u8]) -> Result<(Self, &mut [u8]), DecodeError> {
        let header = Self::decode(&mut Reader::new(packet))?;
        check_len(packet.len(), Self::LEN + TAG_LEN, MAX_ONION_REQUEST - PublicKey::LEN)?;
        Ok((header, &mut packet[Self::LEN..]))
    }

    /// The whole packet: this header and a box as it came with the request.
    pub fn forward(&self, boxed: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::LEN + boxed.len());
        self.encode(&mut out);
        out.extend_from_slice(boxed);
        out
    }
}

impl Encode for DataResponseHeader {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(DATA_RESPONSE);
        self.nonce.encode(out);
        self.key.encode(out);
    }
}

impl<'a> Decode<'a> for DataResponseHeader {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.kind(DATA_RESPONSE)?;
        Ok(Self { nonce: Nonce::decode(reader)?, key: PublicKey::decode(reader)? })
    }
}

/// What the box to a data key contains: sender 32, and a box between long-term keys, whose first
/// byte is an inner kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OnionData<'a> {
    /// The sender's long-term key.
    pub sender: PublicKey,
    /// The box between the sender's and the receiver's long-term key, under the packet's nonce.
    pub boxed: &'a [u8],
}

impl Encode for OnionData<'_> {
    fn encoded_len(&self) -> usize {
        PublicKey::LEN + self.boxed.len()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.sender.encode(out);
        out.extend_from_slice(self.boxed);
    }
}

impl<'a> Decode<'a> for OnionData<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let sender = PublicKey::decode(reader)?;
        let boxed = reader.take_rest();
        check_len(boxed.len(), TAG_LEN + 1, TAG_LEN + MAX_ONION_DATA)?;
        Ok(Self { sender, boxed })
    }
}

/// Inner kind 0x9c: a friend tells its DHT key of the day. Kind 1, counter 8, DHT key 32, and up to
/// [`MAX_NODES`] packed nodes through which it is reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DhtKeyAnnounce {
    /// Grows with each announcement: older ones are replays.
    pub counter: u64,
    /// The sender's DHT key.
    pub dht_key: PublicKey,
    /// TCP relays that it is connected to, and DHT nodes near to it.
    pub nodes: Vec<PackedNode>,
}

impl Encode for DhtKeyAnnounce {
    fn encoded_len(&self) -> usize {
        let nodes = self.nodes.iter().take(MAX_NODES).map(Encode::encoded_len).sum::<usize>();
        1 + 8 + PublicKey::LEN + nodes
    }

    /// Nodes beyond [`MAX_NODES`] are left out.
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(DHT_KEY_ANNOUNCE);
        out.extend_from_slice(&self.counter.to_be_bytes());
        self.dht_key.encode(out);
        for node in self.nodes.iter().take(MAX_NODES) {
            node.encode(out);
        }
    }
}

impl<'a> Decode<'a> for DhtKeyAnnounce {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.kind(DHT_KEY_ANNOUNCE)?;
        let (counter, dht_key) = (reader.u64()?, PublicKey::decode(reader)?);
        let mut nodes = Vec::new();
        while !reader.is_empty() {
            if nodes.len() == MAX_NODES {
                return Err(DecodeError::Trailing(reader.remaining()));
            }
            nodes.push(PackedNode::decode(reader)?);
        }
        Ok(Self { counter, dht_key, nodes })
    }
}

/// A [`DhtKeyAnnounce`] that travels in a DHT request instead of the onion, between friends who know
/// each other's DHT keys: kind 1, sender 32, nonce 24, and a box between long-term keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RoutedDhtKey<'a> {
    /// The sender's long-term key.
    pub sender: PublicKey,
    /// The box's nonce.
    pub nonce: Nonce,
    /// Contains a [`DhtKeyAnnounce`], whose DHT key must be that of the DHT request's sender.
    pub boxed: &'a [u8],
}

impl Encode for RoutedDhtKey<'_> {
    fn encoded_len(&self) -> usize {
        1 + PublicKey::LEN + Nonce::LEN + self.boxed.len()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(DHT_KEY_ANNOUNCE);
        self.sender.encode(out);
        self.nonce.encode(out);
        out.extend_from_slice(self.boxed);
    }
}

impl<'a> Decode<'a> for RoutedDhtKey<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.kind(DHT_KEY_ANNOUNCE)?;
        let (sender, nonce) = (PublicKey::decode(reader)?, Nonce::decode(reader)?);
        let boxed = reader.take_rest();
        check_len(boxed.len(), TAG_LEN + 1, TAG_LEN + MAX_ONION_DATA)?;
        Ok(Self { sender, nonce, boxed })
    }
}

/// Refuses a length out of `need..=limit`.
fn check_len(have: usize, need: usize, limit: usize) -> Result<(), DecodeError> {
    if have < need {
        Err(DecodeError::Truncated { need, have })
    } else if have > limit {
        Err(DecodeError::Limit { what: "onion data", limit, got: have })
    } else {
        Ok(())
    }
}
