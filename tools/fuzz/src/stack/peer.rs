//! Peers of the fuzzed node that have keys: what they can say, and what they learn from what they hear.

use std::sync::OnceLock;

use toktok_mesh::wire::address::IpPort;
use toktok_mesh::wire::dht::{DhtRequestHeader, Header};
use toktok_mesh::wire::forwarding::{ForwardReply, ForwardRequest, Forwarding};
use toktok_mesh::wire::onion::{
    AnnounceRequest, AnnounceRequestHeader, AnnounceResponseHeader, DataRequestHeader, Hop,
    LastLayer, Layer, OnionData, OnionResponse, ReturnPath, RoutedDhtKey, SendHeader, Stored,
    split_request,
};
use toktok_mesh::wire::session::{
    Cookie, CookieRequest, CookieRequestHeader, CookieResponse, CookieResponseHeader, CryptoData,
    DataHeader, Handshake, HandshakeHeader, data_id, seal_crypto_data, split_crypto_data,
};
use toktok_mesh::wire::{Decode, Encode, Nonce, SecretKey, SharedKey};
use toktok_mesh::{Address, KeyPair, PublicKey};

/// Peers.
pub(super) const PEERS: usize = 4;
/// Longest data of a packet of a session, and of a forwarded one.
const MAX_DATA: usize = 1_300;
/// Kinds of DHT packets, and of those of announcements.
const DHT_KINDS: [u8; 10] = [0, 1, 2, 4, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98];
/// Kinds of their answers.
const ANSWERS: [u8; 5] = [1, 4, 0x94, 0x96, 0x98];

/// Keys that are the same in all runs: computed once.
pub(super) struct Known {
    /// The node's keys.
    pub(super) identity: KeyPair,
    pub(super) dht: KeyPair,
    /// The peers'.
    pub(super) peers: [PeerKeys; PEERS],
}

/// A peer's keys: its DHT key is its long-term key too.
pub(super) struct PeerKeys {
    pub(super) pair: KeyPair,
    /// For all its sessions, and connections with relays.
    pub(super) session: KeyPair,
    /// Shared with the node's DHT key.
    pub(super) dht: SharedKey,
    /// Shared with the node's long-term key.
    identity: SharedKey,
}

/// The keys of everybody.
pub(super) fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    let pair = |seed| KeyPair::from_secret(SecretKey::from_bytes([seed; 32]));
    KNOWN.get_or_init(|| {
        let (identity, dht) = (pair(1), pair(2));
        let peers = core::array::from_fn(|number| {
            let own = pair(3 + number as u8);
            PeerKeys {
                dht: own.secret.shared_key(&dht.public),
                identity: own.secret.shared_key(&identity.public),
                session: pair(100 + number as u8),
                pair: own,
            }
        });
        Known { identity, dht, peers }
    })
}

/// Bytes as they are.
pub(super) struct Plain<'a>(pub(super) &'a [u8]);

impl Encode for Plain<'_> {
    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

/// What a well-formed plaintext becomes: each pair of bytes says where something changes, and to what.
pub(super) fn tweak(mut plain: Vec<u8>, bytes: &[u8]) -> Vec<u8> {
    for [place, change] in bytes.as_chunks::<2>().0 {
        if let Some(byte) = plain.get_mut(usize::from(*place)) {
            *byte ^= change;
        }
    }
    plain
}

/// A peer in one run.
pub(super) struct Peer {
    keys: &'static PeerKeys,
    number: u8,
    /// Boxes so far.
    boxes: u32,
    /// The id of the node's last request.
    asked: [u8; 8],
    /// That of the node's cookie request.
    echo: Option<[u8; 8]>,
    /// The node's last cookie for us.
    cookie: Option<Cookie>,
    link: Option<Link>,
    /// From the node's last answer to an announce request.
    ping_id: [u8; 32],
    /// Of the last onion packet that the node sent on to us.
    back: Option<ReturnPath>,
    /// From the last packet that the node forwarded to us.
    sendback: Vec<u8>,
}

/// A session with the node.
struct Link {
    shared: SharedKey,
    node_key: PublicKey,
    node_nonce: Nonce,
    /// Packets sent, and lossless ones.
    sent: u32,
    number: u32,
    /// The node's first lossless packet that did not come.
    received: u32,
}

impl Peer {
    pub(super) fn new(keys: &'static PeerKeys, number: usize) -> Self {
        Self {
            keys,
            number: number as u8,
            boxes: 0,
            asked: [0; 8],
            echo: None,
            cookie: None,
            link: None,
            ping_id: [0; 32],
            back: None,
            sendback: Vec::new(),
        }
    }

    /// One that no other box of the peer's has.
    pub(super) fn nonce(&mut self) -> Nonce {
        self.boxes += 1;
        Nonce([self.number; 24]).plus(self.boxes)
    }

    /// The first nonce of its packets in sessions and to relays: soon it wraps.
    pub(super) fn base_nonce(&self) -> Nonce {
        let mut nonce = [0xff; 24];
        nonce[23] -= self.number * 2;
        Nonce(nonce)
    }

    /// A DHT packet or one of announcements.
    pub(super) fn dht_packet(&mut self, kind: usize, plain: &[u8]) -> Vec<u8> {
        self.sealed(DHT_KINDS[kind % DHT_KINDS.len()], plain)
    }

    /// An answer to what the node asked last.
    pub(super) fn dht_answer(&mut self, kind: usize, plain: &[u8]) -> Vec<u8> {
        let plain = [plain, &self.asked].concat();
        self.sealed(ANSWERS[kind % ANSWERS.len()], &plain)
    }

    fn sealed(&mut self, kind: u8, plain: &[u8]) -> Vec<u8> {
        let header = Header { kind, sender: self.keys.pair.public, nonce: self.nonce() };
        header.seal(&self.keys.dht, &Plain(plain))
    }

    /// A DHT request. The node passes it on unless it is the receiver.
    pub(super) fn dht_request(&mut self, receiver: PublicKey, plain: &[u8]) -> Vec<u8> {
        let sender = self.keys.pair.public;
        let header = DhtRequestHeader { receiver, sender, nonce: self.nonce() };
        header.seal(&self.keys.dht, &Plain(plain))
    }

    /// A DHT request that tells a friend something.
    pub(super) fn routed_dht_key(&mut self, receiver: PublicKey, plain: &[u8]) -> Vec<u8> {
        let nonce = self.nonce();
        let boxed = self.keys.identity.seal(&nonce, plain);
        let sender = self.keys.pair.public;
        self.dht_request(receiver, &RoutedDhtKey { sender, nonce, boxed: &boxed }.to_bytes())
    }

    /// An onion packet of which the node is this hop.
    pub(super) fn onion_layer(
        &mut self,
        hop: Hop,
        is_raw: bool,
        next: Address,
        bytes: &[u8],
    ) -> Vec<u8> {
        let key = self.keys.pair.public;
        let header = SendHeader { hop, nonce: self.nonce(), key };
        let back = [self.number; ReturnPath::MAX_LEN];
        let len = if hop == Hop::First { 0 } else { hop.return_len() - Hop::First.return_len() };
        let back = ReturnPath::from_slice(&back[..len]).unwrap_or(ReturnPath::EMPTY);
        let next = next.as_udp().map(IpPort::udp);
        let layer = match (next, hop) {
            (Some(next), Hop::First | Hop::Second) if !is_raw => {
                Layer { next, key, boxed: bytes }.to_bytes()
            }
            (Some(destination), Hop::Third) if !is_raw => {
                LastLayer { destination, request: bytes }.to_bytes()
            }
            _ => bytes.to_vec(),
        };
        header.seal(&self.keys.dht, &Plain(&layer), &back)
    }

    /// An announce request for `target`'s key, with the node's last ping id: whoever has one from before
    /// is announced.
    pub(super) fn announce_request(
        &mut self,
        target: PublicKey,
        extended: bool,
        bytes: &[u8],
    ) -> Vec<u8> {
        let requester = self.keys.pair.public;
        let header = AnnounceRequestHeader { extended, nonce: self.nonce(), requester };
        let (ping_id, data_key, sendback) = (self.ping_id, self.keys.session.public, [1; 8]);
        let request = AnnounceRequest { ping_id, target, data_key, sendback, extra: &[] };
        let plain = tweak(request.to_bytes(), bytes);
        let mut packet = header.to_bytes();
        packet.extend(self.keys.dht.seal(&header.nonce, &plain));
        packet.extend([self.number; ReturnPath::MAX_LEN]);
        packet
    }

    /// Data for whoever is announced at the node.
    pub(super) fn data_request(&mut self, destination: PublicKey, bytes: &[u8]) -> Vec<u8> {
        let sender = self.keys.pair.public;
        let header = DataRequestHeader { destination, nonce: self.nonce(), key: sender };
        let mut packet = header.seal(&self.keys.dht, &OnionData { sender, boxed: bytes });
        packet.extend([self.number; ReturnPath::MAX_LEN]);
        packet
    }

    /// What comes back along the path that the node is a hop of.
    pub(super) fn onion_response(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        Some(OnionResponse::new(self.back?, bytes)?.to_bytes())
    }

    /// A packet of forwarding: an answer, a request, or the node's as the end of a way.
    pub(super) fn forwarding(&mut self, form: u8, bytes: &[u8]) -> Vec<u8> {
        let data = &bytes[..bytes.len().min(MAX_DATA)];
        match form % 4 {
            0 => ForwardReply { sendback: &self.sendback, data }.to_bytes(),
            1 => ForwardRequest { next: self.keys.pair.public, data }.to_bytes(),
            2 => Forwarding { sendback: &[1; 20], data }.to_bytes(),
            _ => {
                let data = self.sealed(0x93, bytes);
                Forwarding { sendback: &[], data: &data }.to_bytes()
            }
        }
    }

    /// Begins a session.
    pub(super) fn cookie_request(&mut self, bytes: &[u8]) -> Vec<u8> {
        let sender = self.keys.pair.public;
        let request = CookieRequest { key: sender, unused: [0; 32], echo: [7; 8] };
        let (nonce, plain) = (self.nonce(), tweak(request.to_bytes(), bytes));
        let mut packet = CookieRequestHeader { sender, nonce }.to_bytes();
        packet.extend(self.keys.dht.seal(&nonce, &plain));
        packet
    }

    /// Answers the node's cookie request, if it made one.
    pub(super) fn cookie_response(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let response = CookieResponse { cookie: self.own_cookie(), echo: self.echo? };
        let plain = tweak(response.to_bytes(), bytes);
        let nonce = self.nonce();
        let mut packet = CookieResponseHeader { nonce }.to_bytes();
        packet.extend(self.keys.dht.seal(&nonce, &plain));
        Some(packet)
    }

    fn own_cookie(&self) -> Cookie {
        Cookie([self.number; Cookie::LEN])
    }

    /// The peer's half of the session's key, if it has a cookie of the node's.
    pub(super) fn handshake(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let (cookie, nonce) = (self.cookie?, self.nonce());
        let handshake = Handshake {
            base_nonce: self.base_nonce(),
            session_key: self.keys.session.public,
            cookie_hash: cookie.hash(),
            other_cookie: self.own_cookie(),
        };
        let plain = tweak(handshake.to_bytes(), bytes);
        let mut packet = HandshakeHeader { cookie, nonce }.to_bytes();
        packet.extend(self.keys.identity.seal(&nonce, &plain));
        Some(packet)
    }

    /// A packet of the session, if there is one. `bytes` begin with its data id; if it is `odd`, with the
    /// low bytes of the numbers in its header.
    pub(super) fn session_packet(&mut self, odd: bool, bytes: &[u8]) -> Option<Vec<u8>> {
        let nonce = self.base_nonce();
        let link = self.link.as_mut()?;
        let mut header = DataHeader { received: link.received, number: link.number };
        let bytes = match bytes {
            [received, number, rest @ ..] if odd => {
                header.received = header.received.wrapping_add_signed(i32::from(*received as i8));
                header.number = header.number.wrapping_add_signed(i32::from(*number as i8));
                rest
            }
            _ => bytes,
        };
        let (id, data) = bytes.split_first()?;
        let data = &data[..data.len().min(MAX_DATA)];
        let packet =
            seal_crypto_data(&link.shared, &nonce.plus(link.sent), header, *id, [data, &[]]);
        link.sent += 1;
        if !odd && data_id::LOSSLESS.contains(id) {
            link.number += 1;
        }
        Some(packet)
    }

    /// Takes a packet of the node's, however it came.
    pub(super) fn hear(&mut self, mut packet: Vec<u8>) {
        match packet.first() {
            Some(0x18) => self.hear_cookie_request(&mut packet),
            Some(0x19) => self.hear_cookie(&mut packet),
            Some(0x1a) => self.hear_handshake(&mut packet),
            Some(0x1b) => self.hear_data(&mut packet),
            Some(0x80..=0x82) => {
                self.back = SendHeader::split(&mut packet).ok().map(|(_, _, back)| back);
            }
            Some(0x83 | 0x85 | 0x87) => {
                self.back = split_request(&mut packet).ok().map(|(_, back)| back);
            }
            Some(0x8c) => self.hear_announce_response(&packet),
            Some(0x91) => {
                if let Ok(forwarding) = Forwarding::from_bytes(&packet) {
                    self.sendback = forwarding.sendback.to_vec();
                }
            }
            _ => self.hear_dht(&mut packet),
        }
    }

    fn hear_dht(&mut self, packet: &mut [u8]) {
        let Ok((header, boxed)) = Header::split(packet) else { return };
        let Ok(plain) = self.keys.dht.open_in_place(&header.nonce, boxed) else { return };
        if let Some(id) = plain.last_chunk::<8>() {
            self.asked = *id;
        }
    }

    fn hear_cookie_request(&mut self, packet: &mut [u8]) {
        let Ok((header, boxed)) = CookieRequestHeader::split(packet) else { return };
        let plain = self.keys.dht.open_in_place(&header.nonce, boxed);
        if let Some(Ok(request)) = plain.ok().map(|plain| CookieRequest::from_bytes(plain)) {
            self.echo = Some(request.echo);
        }
    }

    fn hear_cookie(&mut self, packet: &mut [u8]) {
        let Ok((header, boxed)) = CookieResponseHeader::split(packet) else { return };
        let plain = self.keys.dht.open_in_place(&header.nonce, boxed);
        if let Some(Ok(response)) = plain.ok().map(|plain| CookieResponse::from_bytes(plain)) {
            self.cookie = Some(response.cookie);
        }
    }

    fn hear_handshake(&mut self, packet: &mut [u8]) {
        let Ok((header, boxed)) = HandshakeHeader::split(packet) else { return };
        let plain = self.keys.identity.open_in_place(&header.nonce, boxed);
        let Some(Ok(theirs)) = plain.ok().map(|plain| Handshake::from_bytes(plain)) else { return };
        self.cookie = Some(theirs.other_cookie);
        let node_key = theirs.session_key;
        if self.link.as_ref().is_none_or(|link| link.node_key != node_key) {
            let shared = self.keys.session.secret.shared_key(&node_key);
            let node_nonce = theirs.base_nonce;
            let (sent, number, received) = (0, 0, 0);
            self.link = Some(Link { shared, node_key, node_nonce, sent, number, received });
        }
    }

    /// Notes which lossless packets came, so that they count as received.
    fn hear_data(&mut self, packet: &mut [u8]) {
        let Some(link) = &mut self.link else { return };
        let Ok((low, boxed)) = split_crypto_data(packet) else { return };
        let nonce = link.node_nonce.plus(low.wrapping_sub(link.node_nonce.low_u16()).into());
        let plain = link.shared.open_in_place(&nonce, boxed);
        if let Some(Ok(data)) = plain.ok().map(|plain| CryptoData::from_bytes(plain))
            && data_id::LOSSLESS.contains(&data.id)
        {
            link.received = link.received.max(data.header.number.wrapping_add(1));
        }
    }

    fn hear_announce_response(&mut self, packet: &[u8]) {
        let Ok(response) = OnionResponse::from_bytes(packet) else { return };
        let mut answer = response.response().to_vec();
        let Ok((header, boxed)) = AnnounceResponseHeader::split(&mut answer) else { return };
        let Ok(plain) = self.keys.dht.open_in_place(&header.nonce, boxed) else { return };
        // What is behind it differs by kind.
        let stored = plain.get(..Stored::LEN).map(Stored::from_bytes);
        if let Some(Ok(Stored::No { ping_id } | Stored::Own { ping_id })) = stored {
            self.ping_id = ping_id;
        }
    }
}
