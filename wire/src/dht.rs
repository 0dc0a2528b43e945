//! DHT packets: ping, nodes request and response, and the routed DHT request (Tox Reference, "DHT
//! Packet", "Ping Service", "Nodes Service", "DHT Request Packets").
//!
//! A DHT packet is a plain [`Header`] and one sealed box. Decoding has two steps, so that whoever
//! holds the shared keys stays in charge of them: [`Header::split`] checks the length and shows who
//! sent it; what the opened box contains is then a [`Ping`], [`NodesRequest`] or [`NodesResponse`].

use crate::address::{PackedNode, Protocol};
use crate::announcement;
use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::key::{PublicKey, SharedKey};
use crate::nonce::Nonce;
use crate::sealed::{TAG_LEN, seal_packet};

/// Packet kind of a ping request.
pub const PING_REQUEST: u8 = 0x00;
/// Packet kind of a ping response.
pub const PING_RESPONSE: u8 = 0x01;
/// Packet kind of a nodes request.
pub const NODES_REQUEST: u8 = 0x02;
/// Packet kind of a nodes response.
pub const NODES_RESPONSE: u8 = 0x04;
/// Packet kind of a DHT request, which a node passes on to a receiver it knows.
pub const DHT_REQUEST: u8 = 0x20;

/// Most nodes in one nodes response (also in an onion announce response).
pub const MAX_NODES: usize = 4;

/// Longest DHT request, header and authenticator included.
pub const MAX_DHT_REQUEST: usize = 1024;

/// Longest packed node: IPv6.
pub(crate) const MAX_PACKED_NODE: usize = 51;

/// The plain part of a DHT packet: kind 1, sender 32, nonce 24.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// One of the four kinds of DHT packets, or of the six of [`announcement`].
    pub kind: u8,
    /// The sender's DHT key.
    pub sender: PublicKey,
    /// The box's nonce.
    pub nonce: Nonce,
}

impl Header {
    /// Length in bytes.
    pub const LEN: usize = 1 + PublicKey::LEN + Nonce::LEN;

    /// Splits a datagram into header and box. The length is checked first, so that a packet that
    /// can not be one costs no key exchange.
    ///
    /// # Errors
    /// A [`DecodeError`] for another kind, or a length that the kind does not allow.
    pub fn split(packet: &mut [u8]) -> Result<(Self, &mut [u8]), DecodeError> {
        let have = packet.len();
        let kind = *packet.first().ok_or(DecodeError::Truncated { need: 1, have })?;
        let (least, most) = payload_len(kind).ok_or(DecodeError::Kind(kind))?;
        let (need, limit) = (Self::LEN + TAG_LEN + least, Self::LEN + TAG_LEN + most);
        if have < need {
            return Err(DecodeError::Truncated { need, have });
        }
        if have > limit {
            return Err(DecodeError::Limit { what: "DHT packet", limit, got: have });
        }
        let (head, boxed) = packet.split_at_mut(Self::LEN);
        Ok((Self::from_bytes(head)?, boxed))
    }

    /// The whole packet: this header and `payload` in a box.
    pub fn seal<P: Encode>(&self, key: &SharedKey, payload: &P) -> Vec<u8> {
        seal_packet(self, &self.nonce, key, payload)
    }
}

/// Least and most bytes in the box of a kind.
const fn payload_len(kind: u8) -> Option<(usize, usize)> {
    match kind {
        PING_REQUEST | PING_RESPONSE => Some((Ping::LEN, Ping::LEN)),
        NODES_REQUEST => Some((NodesRequest::LEN, NodesRequest::LEN)),
        NODES_RESPONSE => Some((1 + 8, 1 + MAX_NODES * MAX_PACKED_NODE + 8)),
        _ => announcement::payload_len(kind),
    }
}

impl Encode for Header {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.kind);
        self.sender.encode(out);
        self.nonce.encode(out);
    }
}

impl<'a> Decode<'a> for Header {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let kind = reader.u8()?;
        payload_len(kind).ok_or(DecodeError::Kind(kind))?;
        Ok(Self { kind, sender: PublicKey::decode(reader)?, nonce: Nonce::decode(reader)? })
    }
}

/// What the box of a ping packet contains: the outer kind once more, and an id that the response
/// repeats.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ping {
    /// False for a request, true for its response.
    pub response: bool,
    /// Chosen by the requester; it must not be guessable.
    pub id: u64,
}

impl Ping {
    /// Length in bytes.
    pub const LEN: usize = 9;

    /// The packet kind, which stands outside and inside of the box.
    pub const fn kind(&self) -> u8 {
        if self.response { PING_RESPONSE } else { PING_REQUEST }
    }
}

impl Encode for Ping {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.kind());
        out.extend_from_slice(&self.id.to_be_bytes());
    }
}

impl<'a> Decode<'a> for Ping {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let response = match reader.u8()? {
            PING_REQUEST => false,
            PING_RESPONSE => true,
            other => return Err(DecodeError::Kind(other)),
        };
        Ok(Self { response, id: reader.u64()? })
    }
}

/// What the box of a nodes request contains.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NodesRequest {
    /// The key whose neighbourhood is asked for.
    pub target: PublicKey,
    /// Chosen by the requester; it must not be guessable.
    pub id: u64,
}

impl NodesRequest {
    /// Length in bytes.
    pub const LEN: usize = PublicKey::LEN + 8;
}

impl Encode for NodesRequest {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.target.encode(out);
        out.extend_from_slice(&self.id.to_be_bytes());
    }
}

impl<'a> Decode<'a> for NodesRequest {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { target: PublicKey::decode(reader)?, id: reader.u64()? })
    }
}

/// What the box of a nodes response contains: count 1, up to [`MAX_NODES`] packed nodes, id 8.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodesResponse {
    /// The nodes nearest to the target that the responder vouches for. Reached by UDP, all of them.
    pub nodes: Vec<PackedNode>,
    /// The request's id.
    pub id: u64,
}

impl Encode for NodesResponse {
    fn encoded_len(&self) -> usize {
        1 + self.nodes.iter().take(MAX_NODES).map(Encode::encoded_len).sum::<usize>() + 8
    }

    /// Nodes beyond [`MAX_NODES`] are left out.
    fn encode(&self, out: &mut Vec<u8>) {
        let nodes = &self.nodes[..self.nodes.len().min(MAX_NODES)];
        out.push(nodes.len() as u8);
        for node in nodes {
            node.encode(out);
        }
        out.extend_from_slice(&self.id.to_be_bytes());
    }
}

impl<'a> Decode<'a> for NodesResponse {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = usize::from(reader.u8()?);
        if count > MAX_NODES {
            return Err(DecodeError::Limit { what: "nodes", limit: MAX_NODES, got: count });
        }
        let nodes = (0..count).map(|_| udp_node(reader)).collect::<Result<_, _>>()?;
        Ok(Self { nodes, id: reader.u64()? })
    }
}

/// A packed node that is reached by UDP; a TCP relay has no place in a nodes response.
pub(crate) fn udp_node(reader: &mut Reader<'_>) -> Result<PackedNode, DecodeError> {
    let node = PackedNode::decode(reader)?;
    match node.endpoint.protocol {
        Protocol::Udp => Ok(node),
        Protocol::Tcp => Err(DecodeError::Invalid("node by TCP in a nodes response")),
    }
}

/// The plain part of a DHT request: kind 1, receiver 32, sender 32, nonce 24. The box contains an
/// inner kind and its data: [`crate::nat::NatPing`], or a friend request or DHT key of the onion.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DhtRequestHeader {
    /// Who shall open it; any other node passes it on.
    pub receiver: PublicKey,
    /// The sender's DHT key.
    pub sender: PublicKey,
    /// The box's nonce.
    pub nonce: Nonce,
}

impl DhtRequestHeader {
    /// Length in bytes.
    pub const LEN: usize = 1 + 2 * PublicKey::LEN + Nonce::LEN;

    /// Splits a datagram into header and box.
    ///
    /// # Errors
    /// A [`DecodeError`] for another kind, a box without an inner kind, or more than
    /// [`MAX_DHT_REQUEST`] bytes.
    pub fn split(packet: &mut [u8]) -> Result<(Self, &mut [u8]), DecodeError> {
        let (have, need) = (packet.len(), Self::LEN + TAG_LEN + 1);
        if have < need {
            return Err(DecodeError::Truncated { need, have });
        }
        if have > MAX_DHT_REQUEST {
            let limit = MAX_DHT_REQUEST;
            return Err(DecodeError::Limit { what: "DHT request", limit, got: have });
        }
        let (head, boxed) = packet.split_at_mut(Self::LEN);
        Ok((Self::from_bytes(head)?, boxed))
    }

    /// The whole packet: this header and `payload` (inner kind and data) in a box.
    pub fn seal<P: Encode>(&self, key: &SharedKey, payload: &P) -> Vec<u8> {
        seal_packet(self, &self.nonce, key, payload)
    }
}

impl Encode for DhtRequestHeader {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(DHT_REQUEST);
        self.receiver.encode(out);
        self.sender.encode(out);
        self.nonce.encode(out);
    }
}

impl<'a> Decode<'a> for DhtRequestHeader {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.kind(DHT_REQUEST)?;
        Ok(Self {
            receiver: PublicKey::decode(reader)?,
            sender: PublicKey::decode(reader)?,
            nonce: Nonce::decode(reader)?,
        })
    }
}

#[cfg(test)]
#[path = "dht_tests.rs"]
mod tests;
