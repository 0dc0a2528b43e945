//! What friends say to each other before and beside messages: friend requests, DHT keys, and the
//! packets of a friend connection (Tox Reference, "Friend connection" and "Friend requests"; research
//! note `tox.md` 1.3, 1.8 and 1.9).
//!
//! A friend request travels through the onion, or over a session that already stands. A DHT key
//! travels through the onion ([`DhtKeyAnnounce`] inside an [`OnionData`](crate::onion::OnionData)) or
//! in a DHT request ([`RoutedDhtKey`]); both stand in [`crate::onion::data`], as the boxes around them
//! do.

use crate::address::{PackedNode, Protocol};
use crate::codec::{Decode, DecodeError, Encode, Reader};
pub use crate::onion::data::{DHT_KEY_ANNOUNCE, DhtKeyAnnounce, FRIEND_REQUEST, RoutedDhtKey};
use crate::session::data_id::ALIVE;

/// Data id of the relays that one is connected to.
pub const SHARE_RELAYS: u8 = 17;
/// Data id of a friend request over a session.
pub const SESSION_FRIEND_REQUEST: u8 = 18;

const NOSPAM_LEN: usize = 4;

/// Longest message of a friend request.
pub const MAX_FRIEND_REQUEST: usize = 921;
/// Most relays in one packet.
pub const MAX_SHARED_RELAYS: usize = 3;

/// A stranger asks to become a friend: the nospam of the Tox ID that it was given 4, and a message.
/// The same behind either first byte, [`FRIEND_REQUEST`] in the onion and
/// [`SESSION_FRIEND_REQUEST`] over a session; as a value of its own it is the former.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FriendRequest<'a> {
    /// The receiver's: a request with another one is dropped.
    pub nospam: [u8; NOSPAM_LEN],
    /// 1 to [`MAX_FRIEND_REQUEST`] bytes, UTF-8 by custom only.
    pub message: &'a [u8],
}

impl<'a> FriendRequest<'a> {
    fn body_len(&self) -> usize {
        NOSPAM_LEN + self.message.len()
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.nospam);
        out.extend_from_slice(self.message);
    }

    fn decode_body(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let nospam = reader.array()?;
        Ok(Self { nospam, message: reader.rest_within("friend request", 1..=MAX_FRIEND_REQUEST)? })
    }
}

impl Encode for FriendRequest<'_> {
    fn encoded_len(&self) -> usize {
        1 + self.body_len()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(FRIEND_REQUEST);
        self.encode_body(out);
    }
}

impl<'a> Decode<'a> for FriendRequest<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.kind(FRIEND_REQUEST)?;
        Self::decode_body(reader)
    }
}

/// TCP relays that the sender is connected to, at least one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SharedRelays {
    relays: [Option<PackedNode>; MAX_SHARED_RELAYS],
}

impl SharedRelays {
    /// The first [`MAX_SHARED_RELAYS`] of `relays` that are reached by TCP; `None` if none is.
    pub fn new(relays: impl IntoIterator<Item = PackedNode>) -> Option<Self> {
        let mut tcp = relays.into_iter().filter(is_relay);
        let relays = core::array::from_fn(|_| tcp.next());
        relays[0].map(|_| Self { relays })
    }

    /// The relays, in the packet's order.
    pub fn iter(&self) -> impl Iterator<Item = PackedNode> + use<> {
        self.relays.into_iter().flatten()
    }
}

fn is_relay(node: &PackedNode) -> bool {
    node.endpoint.protocol == Protocol::Tcp
}

impl Encode for SharedRelays {
    fn encoded_len(&self) -> usize {
        self.iter().map(|relay| relay.encoded_len()).sum()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|relay| relay.encode(out));
    }
}

impl<'a> Decode<'a> for SharedRelays {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut relays = [None; MAX_SHARED_RELAYS];
        for (index, relay) in relays.iter_mut().enumerate() {
            if index > 0 && reader.is_empty() {
                break;
            }
            let node = PackedNode::decode(reader)?;
            if !is_relay(&node) {
                return Err(DecodeError::Invalid("relay's address family"));
            }
            *relay = Some(node);
        }
        Ok(Self { relays })
    }
}

/// A packet of a friend connection. What has none of these ids belongs to the messenger
/// ([`crate::messenger`]), to conferences ([`crate::conference`]), or to applications.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FriendPacket<'a> {
    /// 16: "I am here", every eight seconds; without it the connection ends.
    Alive,
    /// 17: relays through which the sender is reached when nothing else is left.
    ShareRelays(SharedRelays),
    /// 18: a friend request.
    Request(FriendRequest<'a>),
}

impl<'a> FriendPacket<'a> {
    /// The packet's data id: its first byte.
    pub const fn id(&self) -> u8 {
        match self {
            Self::Alive => ALIVE,
            Self::ShareRelays(_) => SHARE_RELAYS,
            Self::Request(_) => SESSION_FRIEND_REQUEST,
        }
    }

    /// What follows the data id.
    pub fn body(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        self.encode_body(&mut out);
        out
    }

    /// The packet whose data id and body a session delivered.
    ///
    /// # Errors
    /// [`DecodeError::Kind`] if the id belongs to none of these packets, or as [`Decode::from_bytes`].
    pub fn from_parts(id: u8, body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let packet = Self::decode_body(id, &mut reader)?;
        reader.finish()?;
        Ok(packet)
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Alive => {}
            Self::ShareRelays(relays) => relays.encode(out),
            Self::Request(request) => request.encode_body(out),
        }
    }

    fn decode_body(id: u8, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        match id {
            ALIVE => Ok(Self::Alive),
            SHARE_RELAYS => SharedRelays::decode(reader).map(Self::ShareRelays),
            SESSION_FRIEND_REQUEST => FriendRequest::decode_body(reader).map(Self::Request),
            other => Err(DecodeError::Kind(other)),
        }
    }
}

impl Encode for FriendPacket<'_> {
    fn encoded_len(&self) -> usize {
        1 + match self {
            Self::Alive => 0,
            Self::ShareRelays(relays) => relays.encoded_len(),
            Self::Request(request) => request.body_len(),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.id());
        self.encode_body(out);
    }
}

impl<'a> Decode<'a> for FriendPacket<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let id = reader.u8()?;
        Self::decode_body(id, reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::PublicKey;

    fn relay(last: u8, protocol: Protocol) -> PackedNode {
        let mut node =
            PackedNode::udp(([192, 0, 2, last], 33_445).into(), PublicKey([last; PublicKey::LEN]));
        node.endpoint.protocol = protocol;
        node
    }

    /// Written by hand from the layouts in the research note.
    #[test]
    fn golden_bytes() {
        let request = FriendRequest { nospam: [1, 2, 3, 4], message: b"hello" };
        assert_eq!(request.to_bytes(), *b"\x20\x01\x02\x03\x04hello");
        assert_eq!(FriendPacket::Request(request).to_bytes(), *b"\x12\x01\x02\x03\x04hello");
        assert_eq!(FriendPacket::Alive.to_bytes(), [0x10]);

        let relays = SharedRelays::new([relay(7, Protocol::Tcp)]).expect("a relay");
        let mut bytes = vec![0x11, 0x82, 192, 0, 2, 7, 0x82, 0xa5];
        bytes.extend([7; 32]);
        assert_eq!(FriendPacket::ShareRelays(relays).to_bytes(), bytes);
        assert_eq!(FriendPacket::ShareRelays(relays).body(), bytes[1..]);
    }

    #[test]
    fn a_friend_request_has_a_message_of_bounded_length() {
        let with = |len: usize| {
            let message = vec![b'a'; len];
            FriendRequest::from_bytes(
                &FriendRequest { nospam: [0; 4], message: &message }.to_bytes(),
            )
            .map(|request| request.message.len())
        };
        assert_eq!(with(0), Err(DecodeError::Truncated { need: 1, have: 0 }));
        assert_eq!(with(1), Ok(1));
        assert_eq!(with(MAX_FRIEND_REQUEST), Ok(MAX_FRIEND_REQUEST));
        let limit = MAX_FRIEND_REQUEST;
        let over = DecodeError::Limit { what: "friend request", limit, got: limit + 1 };
        assert_eq!(with(limit + 1), Err(over));
    }

    #[test]
    fn only_relays_are_shared_and_no_more_than_three() {
        let (udp, tcp) = (relay(1, Protocol::Udp), relay(2, Protocol::Tcp));
        assert_eq!(SharedRelays::new([udp]), None);
        assert_eq!(SharedRelays::new([udp, tcp]).map(|relays| relays.iter().count()), Some(1));
        let relays = SharedRelays::new([tcp; 5]).expect("relays");
        assert_eq!(relays.iter().count(), MAX_SHARED_RELAYS);

        let family = Err(DecodeError::Invalid("relay's address family"));
        assert_eq!(FriendPacket::from_parts(SHARE_RELAYS, &udp.to_bytes()), family);
        let four = tcp.to_bytes().repeat(4);
        let trailing = Err(DecodeError::Trailing(tcp.encoded_len()));
        assert_eq!(FriendPacket::from_parts(SHARE_RELAYS, &four), trailing);
    }

    #[test]
    fn other_ids_are_somebody_elses() {
        assert_eq!(FriendPacket::from_parts(24, b""), Err(DecodeError::Kind(24)));
        assert_eq!(FriendPacket::from_parts(ALIVE, b"x"), Err(DecodeError::Trailing(1)));
    }
}
