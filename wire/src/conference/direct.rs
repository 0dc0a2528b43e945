//! What two members of a conference say to each other alone: one asks who is there, the other tells
//! (research note `tox.md` 1.11, packet 98).

use super::MAX_CONFERENCE_NAME;
use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::key::PublicKey;
use crate::session::MAX_CRYPTO_DATA;

/// Longest list of members in one packet: what is left beside data id, conference and kind.
pub const MAX_PEERS_LEN: usize = MAX_CRYPTO_DATA - 1 - 2 - 1;
/// Most members in one packet: 20, if none has a name.
pub const MAX_PEERS: usize = MAX_PEERS_LEN / ConferencePeer::HEAD;

const INTRODUCED: u8 = 1;
const QUERY: u8 = 8;
const PEERS: u8 = 9;
const TITLE: u8 = 10;

/// A member as others tell of it: number 2, long-term key 32, DHT key 32, length of the name 1, name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ConferencePeer<'a> {
    /// Its number, the same for all members.
    pub number: u16,
    /// Its long-term key.
    pub key: PublicKey,
    /// Its DHT key when it was last heard of, by which others can connect to it.
    pub dht_key: PublicKey,
    /// Up to [`MAX_CONFERENCE_NAME`] bytes.
    pub name: &'a [u8],
}

impl ConferencePeer<'_> {
    /// Length without the name.
    pub const HEAD: usize = 2 + 2 * PublicKey::LEN + 1;
}

impl Encode for ConferencePeer<'_> {
    fn encoded_len(&self) -> usize {
        Self::HEAD + self.name.len()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        debug_assert!(self.name.len() <= MAX_CONFERENCE_NAME);
        out.extend_from_slice(&self.number.to_be_bytes());
        self.key.encode(out);
        self.dht_key.encode(out);
        out.push(self.name.len() as u8);
        out.extend_from_slice(self.name);
    }
}

impl<'a> Decode<'a> for ConferencePeer<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let number = reader.u16()?;
        let (key, dht_key) = (PublicKey::decode(reader)?, PublicKey::decode(reader)?);
        let got = usize::from(reader.u8()?);
        if got > MAX_CONFERENCE_NAME {
            let limit = MAX_CONFERENCE_NAME;
            return Err(DecodeError::Limit { what: "name of a member", limit, got });
        }
        Ok(Self { number, key, dht_key, name: reader.take(got)? })
    }
}

/// What one member says to another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Direct<'a> {
    /// 1: I hear you through others; you need not keep this connection for my sake.
    Introduced,
    /// 8: who is there?
    Query,
    /// 9: these are there; at least one. Several packets tell of many.
    Peers(Vec<ConferencePeer<'a>>),
    /// 10: the title, 1 to [`MAX_CONFERENCE_NAME`] bytes.
    Title(&'a [u8]),
}

impl<'a> Direct<'a> {
    /// As many packets as it takes to tell of all `peers`.
    pub fn all_peers(peers: impl IntoIterator<Item = ConferencePeer<'a>>) -> Vec<Self> {
        let mut packets = Vec::new();
        let (mut peers_here, mut len) = (Vec::new(), 0);
        for peer in peers {
            if len + peer.encoded_len() > MAX_PEERS_LEN {
                packets.push(Self::Peers(core::mem::take(&mut peers_here)));
                len = 0;
            }
            len += peer.encoded_len();
            peers_here.push(peer);
        }
        if !peers_here.is_empty() {
            packets.push(Self::Peers(peers_here));
        }
        packets
    }
}

impl Encode for Direct<'_> {
    fn encoded_len(&self) -> usize {
        1 + match self {
            Self::Introduced | Self::Query => 0,
            Self::Peers(peers) => peers.iter().map(Encode::encoded_len).sum(),
            Self::Title(title) => title.len(),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Introduced => out.push(INTRODUCED),
            Self::Query => out.push(QUERY),
            Self::Peers(peers) => {
                out.push(PEERS);
                peers.iter().for_each(|peer| peer.encode(out));
            }
            Self::Title(title) => {
                out.push(TITLE);
                out.extend_from_slice(title);
            }
        }
    }
}

impl<'a> Decode<'a> for Direct<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            INTRODUCED => Self::Introduced,
            QUERY => Self::Query,
            PEERS => Self::Peers(peers(reader)?),
            TITLE => Self::Title(reader.rest_within("title", 1..=MAX_CONFERENCE_NAME)?),
            _ => return Err(DecodeError::Invalid("kind of a direct packet")),
        })
    }
}

/// All that is left, as members: one or more, and as many as fit into a packet.
fn peers<'a>(reader: &mut Reader<'a>) -> Result<Vec<ConferencePeer<'a>>, DecodeError> {
    let mut reader = Reader::new(reader.rest_within("list of members", 1..=MAX_PEERS_LEN)?);
    let mut peers = Vec::with_capacity(reader.remaining() / ConferencePeer::HEAD);
    while !reader.is_empty() {
        peers.push(ConferencePeer::decode(&mut reader)?);
    }
    Ok(peers)
}
