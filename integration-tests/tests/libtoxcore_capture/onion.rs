//! The network's onion: every node is a hop, and an announce node that stores whoever asks.

use std::net::SocketAddr;

use toktok_wire::address::IpPort;
use toktok_wire::onion::{
    AnnounceRequest, AnnounceRequestHeader, AnnounceResponse, AnnounceResponseHeader,
    DataRequestHeader, DhtKeyAnnounce, Hop, LastLayer, Layer, OnionData, OnionResponse, ReturnPath,
    SendHeader, Stored, split_request,
};
use toktok_wire::{Decode, Encode, Nonce, PublicKey};

use crate::network::Network;
use crate::node::Node;

/// The ping id that every node gives to everyone.
const PING_ID: [u8; 32] = [0x77; 32];
/// Marks the announce request that node 1 sends without any onion.
const DIRECT: [u8; 8] = *b"directly";

impl Network {
    /// Takes one layer off a request and sends it on.
    pub(crate) fn peel(&mut self, at: usize, from: SocketAddr, packet: &mut [u8]) {
        let node = &self.nodes[at];
        let (header, boxed, back) = SendHeader::split(packet).expect("an onion packet");
        let key = node.keys.secret.shared_key(&header.key);
        let plain = key.open_in_place(&header.nonce, boxed).expect("sealed for this hop");
        let nonce = Nonce::generate(&mut self.rng);
        let back = back
            .extended(&node.return_key, &nonce, &IpPort::udp(from))
            .expect("three hops at most");
        let next = match header.hop {
            Hop::First => Hop::Second,
            Hop::Second => Hop::Third,
            Hop::Third => {
                let layer = LastLayer::from_bytes(plain).expect("the last layer");
                return node
                    .send_to(&layer.destination, &[layer.request, back.as_bytes()].concat());
            }
        };
        let layer = Layer::from_bytes(plain).expect("a layer");
        let header = SendHeader { hop: next, key: layer.key, ..header };
        let packet = [&header.to_bytes(), layer.boxed, back.as_bytes()].concat();
        node.send_to(&layer.next, &packet);
    }

    /// Answers an announce request: the friend is announced here, and whoever shows the ping id is too.
    pub(crate) fn answer_announce(&mut self, at: usize, from: SocketAddr, packet: &mut [u8]) {
        let node = &self.nodes[at];
        let (request, back) = split_request(packet).expect("a request and its return path");
        let (header, boxed) = AnnounceRequestHeader::split(request).expect("an announce request");
        let key = node.keys.secret.shared_key(&header.requester);
        let plain = key.open_in_place(&header.nonce, boxed).expect("sealed for this node");
        let request = AnnounceRequest::from_bytes(plain).expect("an announce request");
        let announced = node.announced || request.ping_id == PING_ID;
        let stored = if request.target == self.friend.real.public {
            Stored::Yes { data_key: self.friend.data.public }
        } else if announced && request.target == header.requester {
            Stored::Own { ping_id: PING_ID }
        } else {
            Stored::No { ping_id: PING_ID }
        };
        let nonce = Nonce::generate(&mut self.rng);
        let answer = AnnounceResponseHeader { extended: false, sendback: request.sendback, nonce };
        let nodes = self.nodes.iter().map(Node::packed).collect();
        assert!(!header.extended, "libtoxcore 0.2.18 announces no groups");
        let response = answer.seal(&key, &AnnounceResponse { stored, nodes });
        let response = OnionResponse::new(back, &response).expect("three hops are left");
        self.nodes[at].announced = announced;
        self.nodes[at].send(from, &response.to_bytes());
    }

    /// Takes one hop off a return path and sends the response on.
    pub(crate) fn return_response(&mut self, at: usize, packet: &[u8]) {
        let node = &self.nodes[at];
        let response = OnionResponse::from_bytes(packet).expect("a response");
        let Ok((to, back)) = response.back().open(&node.return_key) else {
            return self.read_direct_answer(response.response());
        };
        match OnionResponse::new(back, response.response()) {
            Some(response) => node.send_to(&to, &response.to_bytes()),
            None => node.send_to(&to, response.response()),
        }
    }

    /// What libtoxcore tells its friend through the onion: its DHT key.
    pub(crate) fn read_onion_data(&mut self, packet: &mut [u8]) {
        let (request, _back) = split_request(packet).expect("a request and its return path");
        let (header, boxed) = DataRequestHeader::split(request).expect("a data request");
        assert_eq!(header.destination, self.friend.real.public);
        let key = self.friend.data.secret.shared_key(&header.key);
        let plain = key.open_in_place(&header.nonce, boxed).expect("sealed to the data key");
        let data = OnionData::from_bytes(plain).expect("onion data");
        assert_eq!(data.sender, self.peer.real);
        let key = self.friend.real.secret.shared_key(&data.sender);
        let plain = key.open(&header.nonce, data.boxed).expect("sealed to the long-term key");
        let announce = DhtKeyAnnounce::from_bytes(&plain).expect("a DHT key");
        assert_eq!(announce.dht_key, self.peer.dht);
    }

    /// Asks libtoxcore itself as an announce node, with a return path that leads nowhere.
    pub(crate) fn send_direct_announce(&mut self) {
        let node = &self.nodes[0];
        let request = AnnounceRequest {
            ping_id: [0; 32],
            target: self.friend.real.public,
            data_key: PublicKey([0; 32]),
            sendback: DIRECT,
            extra: &[],
        };
        let nonce = Nonce::generate(&mut self.rng);
        let requester = node.keys.public;
        let header = AnnounceRequestHeader { extended: false, nonce, requester };
        let mut packet = header.seal(&node.keys.secret.shared_key(&self.peer.dht), &request);
        packet.extend_from_slice(&[0x42; ReturnPath::MAX_LEN]);
        node.send(self.peer.address, &packet);
    }

    fn read_direct_answer(&self, response: &[u8]) {
        let mut response = response.to_vec();
        let (header, boxed) = AnnounceResponseHeader::split(&mut response).expect("a response");
        assert_eq!(header.sendback, DIRECT);
        let key = self.nodes[0].keys.secret.shared_key(&self.peer.dht);
        let plain = key.open_in_place(&header.nonce, boxed).expect("sealed for node 1");
        let answer = AnnounceResponse::from_bytes(plain).expect("an announce response");
        assert!(matches!(answer.stored, Stored::No { .. }));
    }
}
