//! Leaks made on purpose, one at a time: a check that finds none of them finds nothing.

use toktok_mesh::wire::address::IpPort;
use toktok_mesh::wire::dht::{DhtRequestHeader, Header, NODES_REQUEST, NodesRequest};
use toktok_mesh::wire::onion::{
    AnnounceRequest, AnnounceRequestHeader, AnnounceResponse, AnnounceResponseHeader, Hop,
    LastLayer, Layer, ReturnPath, RoutedDhtKey, SendHeader, Stored,
};
use toktok_mesh::wire::session::{CookieRequest, CookieRequestHeader};
use toktok_mesh::wire::{Decode, Encode, Nonce};
use toktok_mesh::{Address, KeyPair, PublicKey, Rng};

/// What a careless client might do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Plant {
    /// The identity is the DHT key.
    IdentityAsDhtKey,
    /// It is also the key shown to TCP relays, the only ones that hear of it.
    IdentityShownToRelay,
    /// The announce node is the first hop.
    FirstHopAnnounces,
    /// The first hop is the third one too.
    TwoNodePath,
    /// The announce node is asked without any path.
    NoPath,
    /// A key of one path is used on another one.
    ReusedKey,
    /// A nonce of one path is used on another one.
    ReusedNonce,
    /// A sendback is used twice, on two paths and under two keys.
    ReusedSendback,
    /// A ping id that was fetched without a path is shown along one, under the identity.
    ReusedPingId,
    /// The third hop is shown the DHT key.
    DhtKeyInLayer,
    /// The data key of the announcement is the DHT key.
    DhtKeyAsDataKey,
    /// A DHT request tells a stranger the identity.
    IdentityInDhtRequest,
    /// A cookie request tells a stranger the identity.
    CookieRequestToStranger,
    /// A friend's identity is searched in the DHT.
    FriendSoughtInDht,
}

impl Plant {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::IdentityAsDhtKey,
        Self::IdentityShownToRelay,
        Self::FirstHopAnnounces,
        Self::TwoNodePath,
        Self::NoPath,
        Self::ReusedKey,
        Self::ReusedNonce,
        Self::ReusedSendback,
        Self::ReusedPingId,
        Self::DhtKeyInLayer,
        Self::DhtKeyAsDataKey,
        Self::IdentityInDhtRequest,
        Self::CookieRequestToStranger,
        Self::FriendSoughtInDht,
    ];

    /// True for those that are there from the start on: the person's DHT key is its identity.
    pub const fn is_key(self) -> bool {
        matches!(self, Self::IdentityAsDhtKey | Self::IdentityShownToRelay)
    }

    /// True for those that only relays see.
    pub const fn is_for_relays(self) -> bool {
        matches!(self, Self::IdentityShownToRelay)
    }
}

/// A node that packets are made for.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its DHT key.
    pub key: PublicKey,
    /// Where it is.
    pub address: Address,
}

impl Target {
    fn endpoint(&self) -> IpPort {
        IpPort::udp(self.address.as_udp().unwrap_or_else(|| ([0; 4], 0).into()))
    }
}

/// Who leaks, and with whose help.
#[derive(Debug)]
pub struct Leaker<'a> {
    /// The person's long-term keys.
    pub identity: &'a KeyPair,
    /// Its DHT keys of this run.
    pub dht: &'a KeyPair,
    /// The identity of a friend.
    pub friend: PublicKey,
    /// Four strangers: the first one learns what it should not.
    pub nodes: [Target; 4],
    /// An answer that the first stranger gave without a path, if there is one, and the key that asked.
    pub answer: Option<(Vec<u8>, KeyPair)>,
}

/// The keys and the nonce of a packet's three layers.
struct Layers {
    keys: [KeyPair; 3],
    nonce: Nonce,
}

impl Layers {
    fn new(rng: &mut Rng) -> Self {
        let keys = [(); 3].map(|()| KeyPair::generate(rng));
        Self { keys, nonce: Nonce::generate(rng) }
    }

    /// A request wrapped for a path.
    fn wrap(&self, path: [&Target; 3], end: &Target, request: &[u8]) -> (Address, Vec<u8>) {
        let shared = |hop: usize| self.keys[hop].secret.shared_key(&path[hop].key);
        let last = LastLayer { destination: end.endpoint(), request };
        let third = shared(2).seal(&self.nonce, &last.to_bytes());
        let (next, key) = (path[2].endpoint(), self.keys[2].public);
        let second = shared(1).seal(&self.nonce, &Layer { next, key, boxed: &third }.to_bytes());
        let (next, key) = (path[1].endpoint(), self.keys[1].public);
        let header = SendHeader { hop: Hop::First, nonce: self.nonce, key: self.keys[0].public };
        let layer = Layer { next, key, boxed: &second };
        (path[0].address, header.seal(&shared(0), &layer, &ReturnPath::EMPTY))
    }
}

/// What an announce request says.
struct Words {
    ping_id: [u8; 32],
    data_key: PublicKey,
    sendback: [u8; 8],
}

impl Words {
    fn new(rng: &mut Rng) -> Self {
        Self { ping_id: [0; 32], data_key: PublicKey(rng.bytes()), sendback: rng.bytes() }
    }

    fn ask(&self, rng: &mut Rng, asker: &KeyPair, node: &Target) -> Vec<u8> {
        let nonce = Nonce::generate(rng);
        let header = AnnounceRequestHeader { extended: false, nonce, requester: asker.public };
        let (ping_id, data_key, sendback) = (self.ping_id, self.data_key, self.sendback);
        let target = asker.public;
        let request = AnnounceRequest { ping_id, target, data_key, sendback, extra: &[] };
        header.seal(&asker.secret.shared_key(&node.key), &request)
    }
}

type Packets = Vec<(Address, Vec<u8>)>;

impl Leaker<'_> {
    /// What the leaker sends. For [`Plant::ReusedPingId`] there is a first step, without an answer.
    pub fn packets(&self, plant: Plant, rng: &mut Rng) -> Packets {
        let [a, b, c, d] = &self.nodes;
        let words = Words::new(rng);
        let mut layers = Layers::new(rng);
        match plant {
            Plant::IdentityAsDhtKey | Plant::IdentityShownToRelay => Vec::new(),
            Plant::FirstHopAnnounces => {
                vec![layers.wrap([a, b, c], a, &words.ask(rng, self.identity, a))]
            }
            Plant::TwoNodePath => {
                vec![layers.wrap([a, b, a], d, &words.ask(rng, self.identity, d))]
            }
            Plant::NoPath => vec![Self::without_path(a, words.ask(rng, self.identity, a))],
            Plant::ReusedKey | Plant::ReusedNonce => self.two_paths(plant, rng),
            Plant::ReusedSendback => self.same_sendback(rng),
            Plant::ReusedPingId => self.same_ping_id(rng),
            Plant::DhtKeyInLayer => {
                layers.keys[2] = self.dht.clone();
                vec![layers.wrap([b, c, a], d, &words.ask(rng, self.identity, d))]
            }
            Plant::DhtKeyAsDataKey => {
                let words = Words { data_key: self.dht.public, ..words };
                vec![layers.wrap([b, c, d], a, &words.ask(rng, self.identity, a))]
            }
            Plant::IdentityInDhtRequest
            | Plant::CookieRequestToStranger
            | Plant::FriendSoughtInDht => vec![(a.address, self.direct(plant, rng))],
        }
    }

    /// A request, and in place of the path behind it zeros.
    fn without_path(to: &Target, mut request: Vec<u8>) -> (Address, Vec<u8>) {
        request.extend([0; ReturnPath::MAX_LEN]);
        (to.address, request)
    }

    /// Somebody unknown asks through the first stranger; then the identity announces itself, and the
    /// same stranger is the third hop.
    fn two_paths(&self, plant: Plant, rng: &mut Rng) -> Packets {
        let [a, b, c, d] = &self.nodes;
        let (once, words) = (KeyPair::generate(rng), Words::new(rng));
        let (one, mut other) = (Layers::new(rng), Layers::new(rng));
        if plant == Plant::ReusedKey {
            other.keys[2] = one.keys[0].clone();
        } else {
            other.nonce = one.nonce;
        }
        let first = one.wrap([a, b, c], d, &words.ask(rng, &once, d));
        let words = Words::new(rng);
        vec![first, other.wrap([b, c, a], d, &words.ask(rng, self.identity, d))]
    }

    fn same_sendback(&self, rng: &mut Rng) -> Packets {
        let [a, b, c, d] = &self.nodes;
        let (once, words) = (KeyPair::generate(rng), Words::new(rng));
        let first = Layers::new(rng).wrap([a, b, c], d, &words.ask(rng, &once, d));
        let words = Words { sendback: words.sendback, ..Words::new(rng) };
        vec![first, Layers::new(rng).wrap([b, c, d], a, &words.ask(rng, self.identity, a))]
    }

    fn same_ping_id(&self, rng: &mut Rng) -> Packets {
        let [a, b, c, d] = &self.nodes;
        let Some((answer, asker)) = &self.answer else {
            // The key that will be shown as the asker's: known again from the answer.
            let asker = KeyPair::generate(&mut rng.child("asker"));
            return vec![Self::without_path(a, Words::new(rng).ask(rng, &asker, a))];
        };
        let Some(ping_id) = open_ping_id(answer, asker, a) else { return Vec::new() };
        let words = Words { ping_id, ..Words::new(rng) };
        vec![Layers::new(rng).wrap([b, c, d], a, &words.ask(rng, self.identity, a))]
    }

    fn direct(&self, plant: Plant, rng: &mut Rng) -> Vec<u8> {
        let (to, nonce) = (self.nodes[0].key, Nonce::generate(rng));
        let (shared, sender) = (self.dht.secret.shared_key(&to), self.dht.public);
        match plant {
            Plant::IdentityInDhtRequest => {
                let (sender_key, boxed) = (self.identity.public, rng.bytes::<60>());
                let told = RoutedDhtKey { sender: sender_key, nonce, boxed: &boxed };
                DhtRequestHeader { receiver: to, sender, nonce }.seal(&shared, &told)
            }
            Plant::CookieRequestToStranger => {
                let (key, echo) = (self.identity.public, rng.bytes());
                let request = CookieRequest { key, unused: [0; 32], echo };
                CookieRequestHeader { sender, nonce }.seal(&shared, &request)
            }
            _ => {
                let request = NodesRequest { target: self.friend, id: rng.u64() };
                Header { kind: NODES_REQUEST, sender, nonce }.seal(&shared, &request)
            }
        }
    }
}

/// The ping id in an answer that came without a path.
fn open_ping_id(answer: &[u8], asker: &KeyPair, node: &Target) -> Option<[u8; 32]> {
    let mut response = answer.get(1 + ReturnPath::MAX_LEN..)?.to_vec();
    let (header, boxed) = AnnounceResponseHeader::split(&mut response).ok()?;
    let plain = asker.secret.shared_key(&node.key).open(&header.nonce, boxed).ok()?;
    match AnnounceResponse::from_bytes(&plain).ok()?.stored {
        Stored::No { ping_id } | Stored::Own { ping_id } => Some(ping_id),
        Stored::Yes { .. } => None,
    }
}
