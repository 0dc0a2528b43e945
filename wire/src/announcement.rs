//! DHT announcements: small data that nodes near a key keep for a while, for whoever has the key's
//! secret half to renew (packets 0x93 to 0x98). The Tox Reference does not know them; research note
//! `tox.md` 1.4.
//!
//! All six are ordinary DHT packets: a [`Header`](crate::dht::Header) and one box, whose contents end
//! with an id that the response repeats. A [`SearchResponse`] gives a proof that only who receives at
//! the address of the request gets to see; [`RetrieveRequest`] and [`StoreRequest`] have to show it.

use ring::digest;

use crate::address::PackedNode;
use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::dht::{MAX_NODES, MAX_PACKED_NODE, udp_node};
use crate::key::{PublicKey, SharedKey};
use crate::nonce::Nonce;
use crate::sealed::TAG_LEN;

/// Packet kind of a data search request.
pub const SEARCH_REQUEST: u8 = 0x93;
/// Packet kind of its response.
pub const SEARCH_RESPONSE: u8 = 0x94;
/// Packet kind of a data retrieve request.
pub const RETRIEVE_REQUEST: u8 = 0x95;
/// Packet kind of its response.
pub const RETRIEVE_RESPONSE: u8 = 0x96;
/// Packet kind of a store announce request.
pub const STORE_REQUEST: u8 = 0x97;
/// Packet kind of its response.
pub const STORE_RESPONSE: u8 = 0x98;

/// Most bytes of an announcement.
pub const MAX_ANNOUNCEMENT: usize = 512;

const ID: usize = 8;
const HASH: usize = 32;

/// Least and most bytes in the box of a kind.
pub(crate) const fn payload_len(kind: u8) -> Option<(usize, usize)> {
    const KEY: usize = PublicKey::LEN;
    const RETRIEVED: usize = KEY + 1 + ID;
    const STORE: usize = KEY + Nonce::LEN + TAG_LEN + HASH + 4 + 1 + ID;
    const FOUND: usize = KEY + 1 + 2 * HASH + 1 + 1 + MAX_NODES * MAX_PACKED_NODE + ID;
    match kind {
        SEARCH_REQUEST => Some((KEY + ID, KEY + HASH + ID)),
        SEARCH_RESPONSE => Some((KEY + ID, FOUND)),
        RETRIEVE_REQUEST => Some((KEY + 1 + HASH + ID, KEY + 1 + HASH + ID)),
        RETRIEVE_RESPONSE => Some((RETRIEVED, RETRIEVED + MAX_ANNOUNCEMENT)),
        STORE_REQUEST => Some((STORE, STORE + MAX_ANNOUNCEMENT)),
        STORE_RESPONSE => Some((KEY + 4 + 8 + ID, KEY + 4 + 8 + ID)),
        _ => None,
    }
}

/// The SHA-256 hash by which an announcement, or a whole search response, is known again.
pub fn hash(data: &[u8]) -> [u8; 32] {
    let mut hash = [0; HASH];
    hash.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
    hash
}

/// All but the id at the end.
fn before_id<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let have = reader.remaining();
    let len = have.checked_sub(ID).ok_or(DecodeError::Truncated { need: ID, have })?;
    reader.take(len)
}

/// A byte that is 0 or 1.
fn flag(reader: &mut Reader<'_>, what: &'static str) -> Result<bool, DecodeError> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::Invalid(what)),
    }
}

/// What the box of a data search request contains.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SearchRequest {
    /// The key whose announcement is searched.
    pub key: PublicKey,
    /// [`Found::hash`] of an earlier response: a response that would be the same shall be short.
    pub previous: Option<[u8; 32]>,
    /// Chosen by the requester; it must not be guessable.
    pub id: u64,
}

impl Encode for SearchRequest {
    fn encoded_len(&self) -> usize {
        PublicKey::LEN + self.previous.map_or(0, |_| HASH) + ID
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.key.encode(out);
        out.extend(self.previous.iter().flatten());
        out.extend_from_slice(&self.id.to_be_bytes());
    }
}

impl<'a> Decode<'a> for SearchRequest {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let key = PublicKey::decode(reader)?;
        let previous = match reader.remaining() {
            0..=ID => None,
            _ => Some(reader.array()?),
        };
        Ok(Self { key, previous, id: reader.u64()? })
    }
}

/// What the box of a data search response contains.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SearchResponse {
    /// The request's key.
    pub key: PublicKey,
    /// `None` if nothing has changed since the response that the request named.
    pub found: Option<Found>,
    /// The request's id.
    pub id: u64,
}

/// What a node knows of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// [`hash`] of the announcement that it keeps.
    pub stored: Option<[u8; 32]>,
    /// To be shown in requests that follow.
    pub proof: [u8; 32],
    /// True if it would keep an announcement of the key now.
    pub accepts: bool,
    /// Nodes nearest to the key that it vouches for and that know announcements.
    pub nodes: Vec<PackedNode>,
}

impl Found {
    /// The hash by which a later request names this response to a search for `key`.
    pub fn hash(&self, key: &PublicKey) -> [u8; 32] {
        let mut bytes = key.to_bytes();
        self.encode(&mut bytes);
        hash(&bytes)
    }
}

impl Encode for Found {
    fn encoded_len(&self) -> usize {
        let nodes = self.nodes.iter().take(MAX_NODES).map(Encode::encoded_len).sum::<usize>();
        1 + self.stored.map_or(0, |_| HASH) + HASH + 1 + 1 + nodes
    }

    /// Nodes beyond [`MAX_NODES`] are left out.
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.stored.is_some().into());
        out.extend(self.stored.iter().flatten());
        out.extend_from_slice(&self.proof);
        out.push(self.accepts.into());
        let nodes = &self.nodes[..self.nodes.len().min(MAX_NODES)];
        out.push(nodes.len() as u8);
        for node in nodes {
            node.encode(out);
        }
    }
}

impl<'a> Decode<'a> for Found {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let stored = if flag(reader, "stored flag")? { Some(reader.array()?) } else { None };
        let (proof, accepts) = (reader.array()?, flag(reader, "accepting flag")?);
        let count = usize::from(reader.u8()?);
        if count > MAX_NODES {
            return Err(DecodeError::Limit { what: "nodes", limit: MAX_NODES, got: count });
        }
        let nodes = (0..count).map(|_| udp_node(reader)).collect::<Result<_, _>>()?;
        Ok(Self { stored, proof, accepts, nodes })
    }
}

impl Encode for SearchResponse {
    fn encoded_len(&self) -> usize {
        PublicKey::LEN + self.found.as_ref().map_or(0, Encode::encoded_len) + ID
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.key.encode(out);
        if let Some(found) = &self.found {
            found.encode(out);
        }
        out.extend_from_slice(&self.id.to_be_bytes());
    }
}

impl<'a> Decode<'a> for SearchResponse {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let key = PublicKey::decode(reader)?;
        let found = match reader.remaining() {
            0..=ID => None,
            _ => Some(Found::decode(reader)?),
        };
        Ok(Self { key, found, id: reader.u64()? })
    }
}

/// What the box of a data retrieve request contains.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RetrieveRequest {
    /// The key whose announcement is asked for.
    pub key: PublicKey,
    /// [`Found::proof`] of the search before.
    pub proof: [u8; 32],
    /// Chosen by the requester; it must not be guessable.
    pub id: u64,
}

impl Encode for RetrieveRequest {
    fn encoded_len(&self) -> usize {
        PublicKey::LEN + 1 + HASH + ID
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.key.encode(out);
        out.push(0);
        out.extend_from_slice(&self.proof);
        out.extend_from_slice(&self.id.to_be_bytes());
    }
}

impl<'a> Decode<'a> for RetrieveRequest {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let key = PublicKey::decode(reader)?;
        if reader.u8()? != 0 {
            return Err(DecodeError::Invalid("retrieve request"));
        }
        Ok(Self { key, proof: reader.array()?, id: reader.u64()? })
    }
}

/// What the box of a data retrieve response contains.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RetrieveResponse<'a> {
    /// The request's key.
    pub key: PublicKey,
    /// The announcement, at most [`MAX_ANNOUNCEMENT`] bytes, if there is one.
    pub data: Option<&'a [u8]>,
    /// The request's id.
    pub id: u64,
}

impl Encode for RetrieveResponse<'_> {
    fn encoded_len(&self) -> usize {
        PublicKey::LEN + 1 + self.data.map_or(0, <[u8]>::len) + ID
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.key.encode(out);
        out.push(self.data.is_some().into());
        out.extend(self.data.into_iter().flatten());
        out.extend_from_slice(&self.id.to_be_bytes());
    }
}

impl<'a> Decode<'a> for RetrieveResponse<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let key = PublicKey::decode(reader)?;
        let data =
            if flag(reader, "data flag")? { Some(announcement(before_id(reader)?)?) } else { None };
        Ok(Self { key, data, id: reader.u64()? })
    }
}

/// Checks that these bytes are not too many for an announcement.
fn announcement(data: &[u8]) -> Result<&[u8], DecodeError> {
    match data.len() {
        0..=MAX_ANNOUNCEMENT => Ok(data),
        got => Err(DecodeError::Limit { what: "announcement", limit: MAX_ANNOUNCEMENT, got }),
    }
}

/// What the box of a store announce request contains: another box, of the announcement's own key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StoreRequest<'a> {
    /// The key that is announced.
    pub key: PublicKey,
    /// The inner box's nonce.
    pub nonce: Nonce,
    /// [`StoreContents`], sealed with the announced key for the node.
    pub boxed: &'a [u8],
    /// Chosen by the requester; it must not be guessable.
    pub id: u64,
}

impl Encode for StoreRequest<'_> {
    fn encoded_len(&self) -> usize {
        PublicKey::LEN + Nonce::LEN + self.boxed.len() + ID
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.key.encode(out);
        self.nonce.encode(out);
        out.extend_from_slice(self.boxed);
        out.extend_from_slice(&self.id.to_be_bytes());
    }
}

impl<'a> Decode<'a> for StoreRequest<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let (key, nonce) = (PublicKey::decode(reader)?, Nonce::decode(reader)?);
        let boxed = before_id(reader)?;
        let (least, most) = (StoreContents::LEAST + TAG_LEN, StoreContents::MOST + TAG_LEN);
        match boxed.len() {
            have if have < least => Err(DecodeError::Truncated { need: least, have }),
            got if got > most => Err(DecodeError::Limit { what: "store box", limit: most, got }),
            _ => Ok(Self { key, nonce, boxed, id: reader.u64()? }),
        }
    }
}

/// What the inner box of a store announce request contains.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StoreContents<'a> {
    /// [`Found::proof`] of the search before.
    pub proof: [u8; 32],
    /// For how many seconds it is wanted.
    pub timeout: u32,
    /// What to keep.
    pub announcement: Announcement<'a>,
}

/// What to keep.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Announcement<'a> {
    /// 0: these bytes, at most [`MAX_ANNOUNCEMENT`].
    Data(&'a [u8]),
    /// 1: what is kept already, if this is its [`hash`]; if it is not, it goes.
    Refresh([u8; 32]),
}

impl StoreContents<'_> {
    const LEAST: usize = HASH + 4 + 1;
    const MOST: usize = Self::LEAST + MAX_ANNOUNCEMENT;

    /// Seals these contents with the secret that the announced key shares with the node.
    pub fn seal(&self, key: &SharedKey, nonce: &Nonce) -> Vec<u8> {
        key.seal(nonce, &self.to_bytes())
    }
}

impl Encode for StoreContents<'_> {
    fn encoded_len(&self) -> usize {
        Self::LEAST
            + match self.announcement {
                Announcement::Data(data) => data.len(),
                Announcement::Refresh(_) => HASH,
            }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.proof);
        out.extend_from_slice(&self.timeout.to_be_bytes());
        match self.announcement {
            Announcement::Data(data) => {
                out.push(0);
                out.extend_from_slice(data);
            }
            Announcement::Refresh(hash) => {
                out.push(1);
                out.extend_from_slice(&hash);
            }
        }
    }
}

impl<'a> Decode<'a> for StoreContents<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let (proof, timeout) = (reader.array()?, reader.u32()?);
        let announcement = if flag(reader, "announcement type")? {
            Announcement::Refresh(reader.array()?)
        } else {
            Announcement::Data(announcement(reader.take_rest())?)
        };
        Ok(Self { proof, timeout, announcement })
    }
}

/// What the box of a store announce response contains.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StoreResponse {
    /// The request's key.
    pub key: PublicKey,
    /// For how many seconds the announcement is kept.
    pub timeout: u32,
    /// The node's time, in seconds since 1970.
    pub time: u64,
    /// The request's id.
    pub id: u64,
}

impl Encode for StoreResponse {
    fn encoded_len(&self) -> usize {
        PublicKey::LEN + 4 + 8 + ID
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.key.encode(out);
        out.extend_from_slice(&self.timeout.to_be_bytes());
        out.extend_from_slice(&self.time.to_be_bytes());
        out.extend_from_slice(&self.id.to_be_bytes());
    }
}

impl<'a> Decode<'a> for StoreResponse {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            key: PublicKey::decode(reader)?,
            timeout: reader.u32()?,
            time: reader.u64()?,
            id: reader.u64()?,
        })
    }
}
