//! The fake network: it answers as DHT nodes do, and hands the rest to the onion and the friend.

use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use integration_tests::hex;
use toktok_wire::announcement::{self, Found, SearchRequest, SearchResponse};
use toktok_wire::dht::{self, Header, NodesRequest, NodesResponse, Ping};
use toktok_wire::{Decode, Kind, Nonce, Rng};

use crate::capture::Capture;
use crate::node::Node;
use crate::peer::Peer;
use crate::relay::Relay;
use crate::session::Friend;

/// The nodes: enough for a path whose three hops and destination may differ.
const NODES: u8 = 4;
/// How often the network speaks to libtoxcore of its own accord.
const INTRODUCTION_INTERVAL: Duration = Duration::from_secs(1);

pub(crate) struct Network {
    pub(crate) nodes: Vec<Node>,
    pub(crate) friend: Friend,
    pub(crate) peer: Peer,
    pub(crate) capture: Capture,
    pub(crate) rng: Rng,
    relay: Relay,
    next_introduction: Instant,
}

impl Network {
    pub(crate) fn start() -> Self {
        let nodes: Vec<_> = (1..=NODES).map(Node::bind).collect();
        let friend = Friend::new();
        let relay = Relay::bind(&nodes[0].keys);
        let peer = Peer::start(&[
            format!("bootstrap={}:{}", nodes[0].address.port(), nodes[0].keys.public),
            format!("relay={}:{}", relay.port(), nodes[0].keys.public),
            format!("friend={}", friend.real.public),
        ]);
        let mut capture = Capture::default();
        nodes.iter().for_each(|node| capture.note(&node.note()));
        for (name, keys) in friend.secrets() {
            capture.note(&format!("secret {name} 0 {}", hex::encode(keys.secret.expose())));
        }
        capture.note(&format!("secret relay-session 0 {}", hex::encode(relay.session_secret())));
        capture.note(&format!("peer dht {}", peer.dht));
        capture.note(&format!("peer real {}", peer.real));
        let rng = Rng::from_seed([0xca; 32]);
        let next_introduction = Instant::now() + INTRODUCTION_INTERVAL;
        Self { nodes, friend, peer, capture, rng, relay, next_introduction }
    }

    pub(crate) fn has_seen(&self, kinds: &[Kind]) -> bool {
        self.capture.has_seen(kinds)
    }

    pub(crate) fn peer_log(&self) -> Vec<String> {
        self.peer.log()
    }

    pub(crate) fn write_capture(&self, path: &Path) {
        self.capture.write(path);
    }

    /// Handles what comes in during this time.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            for at in 0..self.nodes.len() {
                while let Some((from, packet)) = self.nodes[at].receive() {
                    self.handle(at, from, packet);
                }
            }
            self.relay.poll(&mut self.capture);
            if Instant::now() >= self.next_introduction {
                self.next_introduction += INTRODUCTION_INTERVAL;
                self.introduce();
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Speaks to libtoxcore as a DHT node does, and as a friend and an announcer do.
    fn introduce(&mut self) {
        let id = self.rng.u64();
        let target = self.nodes[0].keys.public;
        self.send_dht(0, dht::PING_REQUEST, &Ping { response: false, id });
        self.send_dht(0, dht::NODES_REQUEST, &NodesRequest { target, id });
        let search = SearchRequest { key: self.friend.data.public, previous: None, id };
        self.send_dht(0, announcement::SEARCH_REQUEST, &search);
        self.send_direct_announce();
        self.request_cookie();
        // Friends in session tell each other no DHT keys: so libtoxcore first has to tell its own,
        // through the onion. (It would by a DHT request too, if it did not reach its friend itself.)
        if self.has_seen(&[Kind::DataRequest]) {
            self.tell_dht_key();
        }
    }

    /// A DHT packet from this node to libtoxcore.
    fn send_dht<P: toktok_wire::Encode>(&mut self, at: usize, kind: u8, payload: &P) {
        let node = &self.nodes[at];
        let nonce = Nonce::generate(&mut self.rng);
        let header = Header { kind, sender: node.keys.public, nonce };
        let key = node.keys.secret.shared_key(&self.peer.dht);
        node.send(self.peer.address, &header.seal(&key, payload));
    }

    fn handle(&mut self, at: usize, from: SocketAddr, mut packet: Vec<u8>) {
        let kind = Kind::of(&packet);
        let kind = kind.unwrap_or_else(|| panic!("unknown kind {:#04x}", packet[0]));
        // The second and third hop's packets are our own work, and what is in them, with all three
        // keys at hand, is in the first hop's. A data request alone is kept: few there are.
        if from == self.peer.address || kind == Kind::DataRequest {
            self.capture.datagram(kind, &self.nodes[at].name, &packet);
        }
        match kind {
            Kind::PingRequest
            | Kind::PingResponse
            | Kind::NodesRequest
            | Kind::NodesResponse
            | Kind::SearchRequest
            | Kind::SearchResponse => self.handle_dht(at, &mut packet),
            Kind::DhtRequest => self.handle_dht_request(at, &mut packet),
            Kind::CookieRequest => self.handle_cookie_request(at, &mut packet),
            Kind::CookieResponse => self.handle_cookie_response(&mut packet),
            Kind::Handshake => self.handle_handshake(at, &mut packet),
            Kind::CryptoData => self.handle_data(&mut packet),
            Kind::OnionSend1 | Kind::OnionSend2 | Kind::OnionSend3 => {
                self.peel(at, from, &mut packet);
            }
            Kind::AnnounceRequest | Kind::ExtendedAnnounceRequest => {
                self.answer_announce(at, from, &mut packet);
            }
            Kind::DataRequest => self.read_onion_data(&mut packet),
            Kind::OnionResponse1 | Kind::OnionResponse2 | Kind::OnionResponse3 => {
                self.return_response(at, &packet);
            }
            other => panic!("libtoxcore does not send {other:?} by itself"),
        }
    }

    fn handle_dht(&mut self, at: usize, packet: &mut [u8]) {
        let (header, boxed) = Header::split(packet).expect("a DHT packet");
        assert_eq!(header.sender, self.peer.dht);
        let key = self.nodes[at].keys.secret.shared_key(&header.sender);
        let plain = key.open_in_place(&header.nonce, boxed).expect("sealed for this node");
        match header.kind {
            dht::NODES_REQUEST => {
                let request = NodesRequest::from_bytes(plain).expect("a nodes request");
                let nodes = self.nodes.iter().map(Node::packed).collect();
                let response = NodesResponse { nodes, id: request.id };
                self.send_dht(at, dht::NODES_RESPONSE, &response);
            }
            dht::NODES_RESPONSE => {
                NodesResponse::from_bytes(plain).expect("a nodes response");
            }
            announcement::SEARCH_REQUEST => {
                let request = SearchRequest::from_bytes(plain).expect("a search");
                let found = Found {
                    stored: None,
                    proof: [0x44; 32],
                    accepts: true,
                    nodes: self.nodes.iter().map(Node::packed).collect(),
                };
                let response =
                    SearchResponse { key: request.key, found: Some(found), id: request.id };
                self.send_dht(at, announcement::SEARCH_RESPONSE, &response);
            }
            announcement::SEARCH_RESPONSE => {
                let response = SearchResponse::from_bytes(plain).expect("what a search found");
                assert_eq!(response.key, self.friend.data.public);
            }
            _ => {
                let ping = Ping::from_bytes(plain).expect("a ping");
                assert_eq!(ping.kind(), header.kind);
                if !ping.response {
                    self.send_dht(at, dht::PING_RESPONSE, &Ping { response: true, ..ping });
                }
            }
        }
    }
}
