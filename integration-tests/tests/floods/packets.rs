//! What strangers send: each packet under a key of its own, and right in all but being wanted.

use toktok_mesh::wire::address::IpPort;
use toktok_mesh::wire::dht::{Header, NODES_REQUEST, NodesRequest};
use toktok_mesh::wire::onion::{
    AnnounceRequest, AnnounceRequestHeader, DataResponseHeader, Hop, Layer, ReturnPath, SendHeader,
};
use toktok_mesh::wire::relay::{RelayHelloHeader, RelayKeys};
use toktok_mesh::wire::session::{Cookie, CookieRequest, CookieRequestHeader, HandshakeHeader};
use toktok_mesh::wire::{Encode, Nonce};
use toktok_mesh::{KeyPair, PublicKey, Rng};

/// Kinds of floods.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Cookie requests, with which handshakes begin.
    CookieRequests,
    /// Handshakes under cookies that are not the node's.
    Handshakes,
    /// Onion packets to be passed on.
    OnionPackets,
    /// Onion announce requests.
    OnionAnnounces,
    /// Requests for nodes of the DHT.
    NodesRequests,
    /// Friend requests, straight at the person.
    FriendRequests,
    /// Connections to the relay, each with a hello.
    RelayConnections,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [
        Self::CookieRequests,
        Self::Handshakes,
        Self::OnionPackets,
        Self::OnionAnnounces,
        Self::NodesRequests,
        Self::FriendRequests,
        Self::RelayConnections,
    ];

    /// A packet of this kind for the node with this key; a relay's hello.
    pub(crate) fn packet(self, node: &PublicKey, rng: &mut Rng) -> Vec<u8> {
        let (pair, nonce) = (KeyPair::generate(rng), Nonce::generate(rng));
        let (sender, shared) = (pair.public, pair.secret.shared_key(node));
        match self {
            Self::CookieRequests => {
                let (key, echo) = (PublicKey(rng.bytes()), rng.bytes());
                let request = CookieRequest { key, unused: [0; 32], echo };
                CookieRequestHeader { sender, nonce }.seal(&shared, &request)
            }
            Self::Handshakes => {
                let cookie = Cookie(rng.bytes());
                let mut packet = HandshakeHeader { cookie, nonce }.to_bytes();
                packet
                    .extend(rng.bytes::<{ HandshakeHeader::PACKET_LEN - HandshakeHeader::LEN }>());
                packet
            }
            Self::OnionPackets => {
                let (next, key) = (IpPort::udp(([127, 0, 0, 1], 9).into()), PublicKey(rng.bytes()));
                let layer = Layer { next, key, boxed: &rng.bytes::<286>() };
                let header = SendHeader { hop: Hop::First, nonce, key: sender };
                header.seal(&shared, &layer, &ReturnPath::EMPTY)
            }
            Self::OnionAnnounces => {
                let header = AnnounceRequestHeader { extended: false, nonce, requester: sender };
                let (target, data_key) = (PublicKey(rng.bytes()), PublicKey(rng.bytes()));
                let (ping_id, sendback) = (rng.bytes(), rng.bytes());
                let request = AnnounceRequest { ping_id, target, data_key, sendback, extra: &[] };
                let mut packet = header.seal(&shared, &request);
                packet.extend([0; ReturnPath::MAX_LEN]);
                packet
            }
            Self::NodesRequests => {
                let request = NodesRequest { target: PublicKey(rng.bytes()), id: rng.u64() };
                Header { kind: NODES_REQUEST, sender, nonce }.seal(&shared, &request)
            }
            Self::FriendRequests => {
                DataResponseHeader { nonce, key: sender }.forward(&rng.bytes::<300>())
            }
            Self::RelayConnections => {
                let (session_key, base_nonce) = (PublicKey(rng.bytes()), Nonce::generate(rng));
                let keys = RelayKeys { session_key, base_nonce };
                RelayHelloHeader { client: sender, nonce }.seal(&shared, &keys)
            }
        }
    }
}
