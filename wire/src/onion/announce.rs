//! Announce requests and responses (Tox Reference, "Onion", announce packets; research note `tox.md`
//! 1.3 for the kinds 0x87 and 0x88, which the Reference does not know).
//!
//! One request serves two ends. Who announces itself seals with its long-term key, shows the ping id
//! that an earlier response gave, and asks for its own key; who searches seals with any key, shows
//! zeros, and asks for another.

use super::{
    ANNOUNCE_REQUEST, ANNOUNCE_RESPONSE, EXTENDED_ANNOUNCE_REQUEST, EXTENDED_ANNOUNCE_RESPONSE,
    MAX_ONION_RESPONSE,
};
use crate::address::PackedNode;
use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::dht::{MAX_NODES, udp_node};
use crate::key::{PublicKey, SharedKey};
use crate::nonce::Nonce;
use crate::sealed::{TAG_LEN, seal_packet};

/// Most bytes of extra data in an extended announce request.
pub const MAX_EXTRA: usize = 136;

/// The plain part of an announce request: kind 1, nonce 24, key 32.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AnnounceRequestHeader {
    /// True for kind 0x87, which may carry extra data and is answered by kind 0x88.
    pub extended: bool,
    /// The box's nonce.
    pub nonce: Nonce,
    /// The box is between this key and the receiver's DHT key. The entry, if one is made, is stored
    /// under it.
    pub requester: PublicKey,
}

impl AnnounceRequestHeader {
    /// Length in bytes.
    pub const LEN: usize = 1 + Nonce::LEN + PublicKey::LEN;
    /// Length of a whole request without extra data: 177.
    pub const PACKET_LEN: usize = Self::LEN + TAG_LEN + AnnounceRequest::LEN;

    const fn kind(&self) -> u8 {
        if self.extended { EXTENDED_ANNOUNCE_REQUEST } else { ANNOUNCE_REQUEST }
    }

    /// Splits a request (its return path is off already) into header and box.
    ///
    /// # Errors
    /// A [`DecodeError`] for another kind, or a length that the kind does not allow.
    pub fn split(packet: &mut [u8]) -> Result<(Self, &mut [u8]), DecodeError> {
        let header = Self::decode(&mut Reader::new(packet))?;
        let (have, need) = (packet.len(), Self::PACKET_LEN);
        if have < need {
            return Err(DecodeError::Truncated { need, have });
        }
        let limit = if header.extended { MAX_EXTRA } else { 0 };
        if have - need > limit {
            return Err(DecodeError::Limit { what: "extra data", limit, got: have - need });
        }
        Ok((header, &mut packet[Self::LEN..]))
    }

    /// The whole packet.
    pub fn seal(&self, key: &SharedKey, payload: &AnnounceRequest<'_>) -> Vec<u8> {
        seal_packet(self, &self.nonce, key, payload)
    }
}

impl Encode for AnnounceRequestHeader {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.kind());
        self.nonce.encode(out);
        self.requester.encode(out);
    }
}

impl<'a> Decode<'a> for AnnounceRequestHeader {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let extended = match reader.u8()? {
            ANNOUNCE_REQUEST => false,
            EXTENDED_ANNOUNCE_REQUEST => true,
            other => return Err(DecodeError::Kind(other)),
        };
        Ok(Self { extended, nonce: Nonce::decode(reader)?, requester: PublicKey::decode(reader)? })
    }
}

/// What the box of an announce request contains: ping id 32, searched key 32, data key 32, sendback 8,
/// and in an extended request up to [`MAX_EXTRA`] bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AnnounceRequest<'a> {
    /// From an earlier response: proves that the requester receives at its address. Zeros to search.
    pub ping_id: [u8; 32],
    /// The key that is searched, and whose neighbourhood is asked for.
    pub target: PublicKey,
    /// The key to which data for the announced key is to be sealed; zeros to search.
    pub data_key: PublicKey,
    /// Repeated in the response; opaque.
    pub sendback: [u8; 8],
    /// Extra data, for group announcements; empty in a request that is not extended.
    pub extra: &'a [u8],
}

impl AnnounceRequest<'_> {
    /// Length in bytes without extra data.
    pub const LEN: usize = 32 + 2 * PublicKey::LEN + 8;
}

impl Encode for AnnounceRequest<'_> {
    fn encoded_len(&self) -> usize {
        Self::LEN + self.extra.len()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.ping_id);
        self.target.encode(out);
        self.data_key.encode(out);
        out.extend_from_slice(&self.sendback);
        out.extend_from_slice(self.extra);
    }
}

impl<'a> Decode<'a> for AnnounceRequest<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let request = Self {
            ping_id: reader.array()?,
            target: PublicKey::decode(reader)?,
            data_key: PublicKey::decode(reader)?,
            sendback: reader.array()?,
            extra: reader.take_rest(),
        };
        match request.extra.len() {
            0..=MAX_EXTRA => Ok(request),
            got => Err(DecodeError::Limit { what: "extra data", limit: MAX_EXTRA, got }),
        }
    }
}

/// The plain part of an announce response: kind 1, sendback 8, nonce 24.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AnnounceResponseHeader {
    /// True for kind 0x88, whose box contains an [`ExtendedAnnounceResponse`].
    pub extended: bool,
    /// The request's.
    pub sendback: [u8; 8],
    /// The box's nonce. The box is between the request's keys.
    pub nonce: Nonce,
}

impl AnnounceResponseHeader {
    /// Length in bytes.
    pub const LEN: usize = 1 + 8 + Nonce::LEN;

    /// Splits a response into header and box.
    ///
    /// # Errors
    /// A [`DecodeError`] for another kind, or a length that the kind does not allow.
    pub fn split(packet: &mut [u8]) -> Result<(Self, &mut [u8]), DecodeError> {
        let header = Self::decode(&mut Reader::new(packet))?;
        let least = Stored::LEN + usize::from(header.extended);
        let (have, need) = (packet.len(), Self::LEN + TAG_LEN + least);
        if have < need {
            return Err(DecodeError::Truncated { need, have });
        }
        if have > MAX_ONION_RESPONSE {
            let limit = MAX_ONION_RESPONSE;
            return Err(DecodeError::Limit { what: "onion response", limit, got: have });
        }
        Ok((header, &mut packet[Self::LEN..]))
    }

    /// The whole packet. `payload` is an [`AnnounceResponse`], or an [`ExtendedAnnounceResponse`] if
    /// the header says so.
    pub fn seal<P: Encode>(&self, key: &SharedKey, payload: &P) -> Vec<u8> {
        seal_packet(self, &self.nonce, key, payload)
    }
}

impl Encode for AnnounceResponseHeader {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(if self.extended { EXTENDED_ANNOUNCE_RESPONSE } else { ANNOUNCE_RESPONSE });
        out.extend_from_slice(&self.sendback);
        self.nonce.encode(out);
    }
}

impl<'a> Decode<'a> for AnnounceResponseHeader {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let extended = match reader.u8()? {
            ANNOUNCE_RESPONSE => false,
            EXTENDED_ANNOUNCE_RESPONSE => true,
            other => return Err(DecodeError::Kind(other)),
        };
        Ok(Self { extended, sendback: reader.array()?, nonce: Nonce::decode(reader)? })
    }
}

/// Whether the searched key is announced here: flag 1, and 32 bytes that the flag explains.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stored {
    /// It is not. To announce oneself, repeat the request with this ping id.
    No {
        /// Valid for some minutes, for the requester's key and address only.
        ping_id: [u8; 32],
    },
    /// It is, by somebody else.
    Yes {
        /// Data for the searched key is sealed to this key.
        data_key: PublicKey,
    },
    /// It is, by the requester.
    Own {
        /// The ping id for the next announcement.
        ping_id: [u8; 32],
    },
}

impl Stored {
    /// Length in bytes.
    pub const LEN: usize = 33;
}

impl Encode for Stored {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (flag, bytes) = match self {
            Self::No { ping_id } => (0, ping_id),
            Self::Yes { data_key } => (1, &data_key.0),
            Self::Own { ping_id } => (2, ping_id),
        };
        out.push(flag);
        out.extend_from_slice(bytes);
    }
}

impl<'a> Decode<'a> for Stored {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let (flag, bytes) = (reader.u8()?, reader.array()?);
        match flag {
            0 => Ok(Self::No { ping_id: bytes }),
            1 => Ok(Self::Yes { data_key: PublicKey(bytes) }),
            2 => Ok(Self::Own { ping_id: bytes }),
            _ => Err(DecodeError::Invalid("announce flag")),
        }
    }
}

/// What the box of an announce response contains: [`Stored`], and up to [`MAX_NODES`] packed nodes
/// until its end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AnnounceResponse {
    /// Whether the searched key is announced here.
    pub stored: Stored,
    /// The nodes nearest to the searched key that the responder knows. Reached by UDP, all of them.
    pub nodes: Vec<PackedNode>,
}

impl Encode for AnnounceResponse {
    fn encoded_len(&self) -> usize {
        Stored::LEN + self.nodes.iter().take(MAX_NODES).map(Encode::encoded_len).sum::<usize>()
    }

    /// Nodes beyond [`MAX_NODES`] are left out.
    fn encode(&self, out: &mut Vec<u8>) {
        self.stored.encode(out);
        for node in self.nodes.iter().take(MAX_NODES) {
            node.encode(out);
        }
    }
}

impl<'a> Decode<'a> for AnnounceResponse {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let stored = Stored::decode(reader)?;
        let mut nodes = Vec::new();
        while !reader.is_empty() {
            if nodes.len() == MAX_NODES {
                return Err(DecodeError::Trailing(reader.remaining()));
            }
            nodes.push(udp_node(reader)?);
        }
        Ok(Self { stored, nodes })
    }
}

/// What the box of an extended announce response contains: [`Stored`], count 1, up to [`MAX_NODES`]
/// packed nodes, and extra data until its end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExtendedAnnounceResponse<'a> {
    /// Whether the searched key is announced here.
    pub stored: Stored,
    /// The nodes nearest to the searched key that the responder knows. Reached by UDP, all of them.
    pub nodes: Vec<PackedNode>,
    /// Extra data, for group announcements.
    pub extra: &'a [u8],
}

impl Encode for ExtendedAnnounceResponse<'_> {
    fn encoded_len(&self) -> usize {
        let nodes = self.nodes.iter().take(MAX_NODES).map(Encode::encoded_len).sum::<usize>();
        Stored::LEN + 1 + nodes + self.extra.len()
    }

    /// Nodes beyond [`MAX_NODES`] are left out.
    fn encode(&self, out: &mut Vec<u8>) {
        let nodes = &self.nodes[..self.nodes.len().min(MAX_NODES)];
        self.stored.encode(out);
        out.push(nodes.len() as u8);
        for node in nodes {
            node.encode(out);
        }
        out.extend_from_slice(self.extra);
    }
}

impl<'a> Decode<'a> for ExtendedAnnounceResponse<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let stored = Stored::decode(reader)?;
        let count = usize::from(reader.u8()?);
        if count > MAX_NODES {
            return Err(DecodeError::Limit { what: "nodes", limit: MAX_NODES, got: count });
        }
        let nodes = (0..count).map(|_| udp_node(reader)).collect::<Result<_, _>>()?;
        Ok(Self { stored, nodes, extra: reader.take_rest() })
    }
}
