//! The friend: it lets itself be found at node 1, and answers the handshake.

use toktok_wire::dht::DhtRequestHeader;
use toktok_wire::nat::NatPing;
use toktok_wire::onion::{DhtKeyAnnounce, RoutedDhtKey};
use toktok_wire::session::{
    Cookie, CookieContents, CookieRequest, CookieRequestHeader, CookieResponse,
    CookieResponseHeader, CryptoData, DataHeader, Handshake, HandshakeHeader, data_id,
    seal_crypto_data, split_crypto_data,
};
use toktok_wire::{Decode, Encode, KeyPair, Nonce, PublicKey, SecretKey, SharedKey};

use crate::network::Network;

/// Repeated in the cookie response.
const ECHO: [u8; 8] = *b"echo0001";

pub(crate) struct Friend {
    pub(crate) real: KeyPair,
    /// The key of its announcements, to which onion data is sealed.
    pub(crate) data: KeyPair,
    session: KeyPair,
    cookie_key: SharedKey,
    base_nonce: Nonce,
    announcements: u64,
    /// libtoxcore's base nonce and session key.
    theirs: Option<(Nonce, PublicKey)>,
}

impl Friend {
    pub(crate) fn new() -> Self {
        let pair = |byte| KeyPair::from_secret(SecretKey::from_bytes([byte; 32]));
        Self {
            real: pair(0x31),
            data: pair(0x32),
            session: pair(0x33),
            cookie_key: SharedKey::from_bytes([0x34; 32]),
            base_nonce: Nonce([0x35; 24]),
            announcements: 0,
            theirs: None,
        }
    }

    pub(crate) fn secrets(&self) -> [(&'static str, &KeyPair); 3] {
        [("real", &self.real), ("data", &self.data), ("session", &self.session)]
    }
}

impl Network {
    /// Tells libtoxcore, by a DHT request, which DHT key its friend has: that of node 1.
    pub(crate) fn tell_dht_key(&mut self) {
        let (node, friend) = (&self.nodes[0], &mut self.friend);
        friend.announcements += 1;
        let announce = DhtKeyAnnounce {
            counter: friend.announcements,
            dht_key: node.keys.public,
            nodes: vec![node.packed()],
        };
        let nonce = Nonce::generate(&mut self.rng);
        let key = friend.real.secret.shared_key(&self.peer.real);
        let boxed = key.seal(&nonce, &announce.to_bytes());
        let routed = RoutedDhtKey { sender: friend.real.public, nonce, boxed: &boxed };
        let header = DhtRequestHeader {
            receiver: self.peer.dht,
            sender: node.keys.public,
            nonce: Nonce::generate(&mut self.rng),
        };
        let key = node.keys.secret.shared_key(&self.peer.dht);
        node.send(self.peer.address, &header.seal(&key, &routed));
    }

    /// libtoxcore tells its DHT key by a DHT request too, or asks whether a NAT must be crossed.
    pub(crate) fn handle_dht_request(&mut self, at: usize, packet: &mut [u8]) {
        let (header, boxed) = DhtRequestHeader::split(packet).expect("a DHT request");
        assert_eq!(header.sender, self.peer.dht);
        let receiver = self.nodes.iter().find(|node| node.keys.public == header.receiver);
        let Some(receiver) = receiver else {
            panic!("{} gets a DHT request for a stranger", self.nodes[at].name)
        };
        let key = receiver.keys.secret.shared_key(&header.sender);
        let plain = key.open_in_place(&header.nonce, boxed).expect("sealed for its receiver");
        if NatPing::from_bytes(plain).is_ok() {
            return;
        }
        let routed = RoutedDhtKey::from_bytes(plain).expect("a NAT ping or a DHT key");
        let key = self.friend.real.secret.shared_key(&routed.sender);
        let plain = key.open(&routed.nonce, routed.boxed).expect("sealed for the friend");
        let announce = DhtKeyAnnounce::from_bytes(&plain).expect("a DHT key");
        assert_eq!((announce.dht_key, routed.sender), (self.peer.dht, self.peer.real));
    }

    pub(crate) fn request_cookie(&mut self) {
        let node = &self.nodes[0];
        let nonce = Nonce::generate(&mut self.rng);
        let header = CookieRequestHeader { sender: node.keys.public, nonce };
        let key = self.friend.real.public;
        let request = CookieRequest { key, unused: [0; 32], echo: ECHO };
        let shared = node.keys.secret.shared_key(&self.peer.dht);
        node.send(self.peer.address, &header.seal(&shared, &request));
    }

    pub(crate) fn handle_cookie_response(&mut self, packet: &mut [u8]) {
        let (header, boxed) = CookieResponseHeader::split(packet).expect("a cookie response");
        let key = self.nodes[0].keys.secret.shared_key(&self.peer.dht);
        let plain = key.open_in_place(&header.nonce, boxed).expect("sealed for node 1");
        let response = CookieResponse::from_bytes(plain).expect("a cookie response");
        assert_eq!(response.echo, ECHO);
    }

    /// A cookie of ours, for libtoxcore.
    fn cookie(&mut self) -> Cookie {
        let contents = CookieContents { time: 0, key: self.peer.real, dht_key: self.peer.dht };
        Cookie::seal(&self.friend.cookie_key, &Nonce::generate(&mut self.rng), &contents)
    }

    pub(crate) fn handle_cookie_request(&mut self, at: usize, packet: &mut [u8]) {
        let (header, boxed) = CookieRequestHeader::split(packet).expect("a cookie request");
        assert_eq!(header.sender, self.peer.dht);
        let key = self.nodes[at].keys.secret.shared_key(&header.sender);
        let plain = key.open_in_place(&header.nonce, boxed).expect("sealed for this node");
        let request = CookieRequest::from_bytes(plain).expect("a cookie request");
        assert_eq!(request.key, self.peer.real);
        let response = CookieResponse { cookie: self.cookie(), echo: request.echo };
        let header = CookieResponseHeader { nonce: Nonce::generate(&mut self.rng) };
        self.nodes[at].send(self.peer.address, &header.seal(&key, &response));
    }

    pub(crate) fn handle_handshake(&mut self, at: usize, packet: &mut [u8]) {
        let (header, boxed) = HandshakeHeader::split(packet).expect("a handshake");
        let cookie = header.cookie.open(&self.friend.cookie_key).expect("a cookie of ours");
        assert_eq!((cookie.key, cookie.dht_key), (self.peer.real, self.peer.dht));
        let key = self.friend.real.secret.shared_key(&self.peer.real);
        let plain = key.open_in_place(&header.nonce, boxed).expect("sealed for the friend");
        let handshake = Handshake::from_bytes(plain).expect("a handshake");
        assert_eq!(handshake.cookie_hash, header.cookie.hash());
        self.friend.theirs = Some((handshake.base_nonce, handshake.session_key));

        let answer = Handshake {
            base_nonce: self.friend.base_nonce,
            session_key: self.friend.session.public,
            cookie_hash: handshake.other_cookie.hash(),
            other_cookie: self.cookie(),
        };
        let nonce = Nonce::generate(&mut self.rng);
        let header = HandshakeHeader { cookie: handshake.other_cookie, nonce };
        self.nodes[at].send(self.peer.address, &header.seal(&key, &answer));

        let session = self.friend.session.secret.shared_key(&handshake.session_key);
        let first = DataHeader { received: 0, number: 0 };
        let nonce = &self.friend.base_nonce;
        let alive = seal_crypto_data(&session, nonce, first, data_id::ALIVE, [&[], &[]]);
        self.nodes[at].send(self.peer.address, &alive);
    }

    pub(crate) fn handle_data(&mut self, packet: &mut [u8]) {
        let (low, boxed) = split_crypto_data(packet).expect("crypto data");
        let (base, session_key) = self.friend.theirs.expect("a handshake comes first");
        let nonce = base.plus(u32::from(low.wrapping_sub(base.low_u16())));
        let key = self.friend.session.secret.shared_key(&session_key);
        let plain = key.open_in_place(&nonce, boxed).expect("sealed for this session");
        let data = CryptoData::from_bytes(plain).expect("crypto data");
        assert_eq!(data.to_bytes(), plain);
    }
}
