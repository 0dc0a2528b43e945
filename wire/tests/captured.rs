//! Packets that Debian's libtoxcore 0.2.18 sent (`vectors/captured_libtoxcore.txt`, which says how it
//! was made): with the receivers' secret keys each opens, decodes, and re-encodes to what it was.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use toktok_wire::dht::{self, Header, NodesRequest, NodesResponse, Ping};
use toktok_wire::onion::{
    AnnounceRequest, AnnounceRequestHeader, AnnounceResponse, AnnounceResponseHeader,
    DataRequestHeader, DhtKeyAnnounce, LastLayer, Layer, OnionData, OnionResponse, SendHeader,
    split_request,
};
use toktok_wire::relay::{RelayHelloHeader, RelayKeys, RelayPacket, open_frame};
use toktok_wire::session::{
    CookieRequest, CookieRequestHeader, CookieResponse, CookieResponseHeader, CryptoData,
    Handshake, HandshakeHeader, split_crypto_data,
};
use toktok_wire::{Decode, Encode, KeyPair, Kind, Nonce, PublicKey, SecretKey, SharedKey};

/// The file: whose keys are known, and what was received, in the order in which it came.
struct Capture {
    secrets: BTreeMap<&'static str, KeyPair>,
    /// The fake nodes by their UDP port.
    ports: BTreeMap<u16, &'static str>,
    peers: BTreeMap<&'static str, PublicKey>,
    packets: Vec<(&'static str, Vec<u8>)>,
}

fn unhex(hex: &str) -> Vec<u8> {
    HEXLOWER.decode(hex.as_bytes()).expect("hex")
}

fn capture() -> Capture {
    let (mut secrets, mut ports, mut peers) = Default::default();
    let mut packets = Vec::new();
    let lines = include_str!("vectors/captured_libtoxcore.txt").lines();
    for line in lines.filter(|line| !line.starts_with('#')) {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["secret", name, port, hex] => {
                let secret = SecretKey::from_bytes(unhex(hex).try_into().expect("32 bytes"));
                BTreeMap::insert(&mut secrets, name, KeyPair::from_secret(secret));
                BTreeMap::insert(&mut ports, port.parse().expect("a port"), name);
            }
            ["peer", name, key] => {
                BTreeMap::insert(&mut peers, name, key.parse().expect("a key"));
            }
            ["packet", receiver, hex] => packets.push((receiver, unhex(hex))),
            [what, hex] => packets.push((what, unhex(hex))),
            _ => panic!("a line of the file: {line}"),
        }
    }
    Capture { secrets, ports, peers, packets }
}

impl Capture {
    fn shared(&self, ours: &str, theirs: &PublicKey) -> SharedKey {
        self.secrets[ours].secret.shared_key(theirs)
    }

    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
        let names = &self.secrets;
        let all = self.packets.iter().filter(|(receiver, _)| names.contains_key(receiver));
        all.filter(move |(_, packet)| Kind::of(packet) == Some(kind)).cloned()
    }

    /// The one message of this name on the relay's connection, or several.
    fn relay(&self, what: &'static str) -> impl Iterator<Item = Vec<u8>> {
        self.packets.iter().filter(move |(name, _)| *name == what).map(|(_, bytes)| bytes.clone())
    }
}

/// Decodes all of `plain`, and checks that it re-encodes to itself.
macro_rules! decode {
    ($kind:ty, $plain:expr) => {{
        let plain: &[u8] = $plain;
        let value = <$kind>::from_bytes(plain).expect(stringify!($kind));
        assert_eq!(value.to_bytes(), plain, stringify!($kind));
        value
    }};
}

#[test]
fn dht_packets() {
    let capture = capture();
    let kinds = [Kind::PingResponse, Kind::NodesRequest, Kind::NodesResponse];
    for kind in kinds {
        let mut count = 0;
        for (receiver, mut packet) in capture.of_kind(kind) {
            let (header, boxed) = Header::split(&mut packet).expect("a DHT packet");
            assert_eq!(header.sender, capture.peers["dht"]);
            let key = capture.shared(receiver, &header.sender);
            let plain = key.open_in_place(&header.nonce, boxed).expect("opens");
            match header.kind {
                dht::NODES_REQUEST => drop(decode!(NodesRequest, plain)),
                dht::NODES_RESPONSE => drop(decode!(NodesResponse, plain)),
                _ => assert!(decode!(Ping, plain).response),
            }
            count += 1;
        }
        assert!(count > 0, "no {kind:?}");
    }
}

/// Peels all three layers, and reads the announce request in the middle.
#[test]
fn onion_packets_to_their_core() {
    let capture = capture();
    let mut announces = 0;
    for (receiver, mut packet) in capture.of_kind(Kind::OnionSend1) {
        let (header, boxed, _) = SendHeader::split(&mut packet).expect("an onion packet");
        assert_eq!(header.key, capture.peers["dht"], "the first layer is under the DHT key");
        let (mut hop, mut key) = (receiver, header.key);
        let mut boxed = boxed.to_vec();
        for _ in 0..2 {
            let plain = capture.shared(hop, &key).open(&header.nonce, &boxed).expect("opens");
            let layer = decode!(Layer<'_>, &plain);
            (hop, key) = (capture.ports[&layer.next.address.port()], layer.key);
            boxed = layer.boxed.to_vec();
        }
        let plain = capture.shared(hop, &key).open(&header.nonce, &boxed).expect("opens");
        let layer = decode!(LastLayer<'_>, &plain);
        if Kind::of(layer.request) == Some(Kind::AnnounceRequest) {
            let destination = capture.ports[&layer.destination.address.port()];
            let mut request = layer.request.to_vec();
            let (header, boxed) = AnnounceRequestHeader::split(&mut request).expect("a request");
            let key = capture.shared(destination, &header.requester);
            let plain = key.open_in_place(&header.nonce, boxed).expect("opens");
            assert!(decode!(AnnounceRequest<'_>, plain).extra.is_empty());
            announces += 1;
        }
    }
    assert!(announces > 0);
}

#[test]
fn an_announce_response() {
    let capture = capture();
    let mut count = 0;
    for (receiver, packet) in capture.of_kind(Kind::OnionResponse3) {
        let mut response = decode!(OnionResponse<'_>, &packet).response().to_vec();
        let (header, boxed) = AnnounceResponseHeader::split(&mut response).expect("a response");
        assert!(!header.extended);
        let key = capture.shared(receiver, &capture.peers["dht"]);
        decode!(AnnounceResponse, key.open_in_place(&header.nonce, boxed).expect("opens"));
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn a_dht_key_through_the_onion() {
    let capture = capture();
    let mut count = 0;
    for (_, mut packet) in capture.of_kind(Kind::DataRequest) {
        let (request, _back) = split_request(&mut packet).expect("a request, and its way back");
        let (header, boxed) = DataRequestHeader::split(request).expect("a data request");
        assert_eq!(header.destination, capture.secrets["real"].public);
        let key = capture.shared("data", &header.key);
        let data = decode!(OnionData<'_>, key.open_in_place(&header.nonce, boxed).expect("opens"));
        assert_eq!(data.sender, capture.peers["real"]);
        let key = capture.shared("real", &data.sender);
        let announce =
            decode!(DhtKeyAnnounce, &key.open(&header.nonce, data.boxed).expect("opens"));
        assert_eq!(announce.dht_key, capture.peers["dht"]);
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn cookies() {
    let capture = capture();
    let (mut requests, mut responses) = (0, 0);
    for (receiver, mut packet) in capture.of_kind(Kind::CookieRequest) {
        let (header, boxed) = CookieRequestHeader::split(&mut packet).expect("a cookie request");
        assert_eq!(header.sender, capture.peers["dht"]);
        let key = capture.shared(receiver, &header.sender);
        let plain = key.open_in_place(&header.nonce, boxed).expect("opens");
        assert_eq!(decode!(CookieRequest, plain).key, capture.peers["real"]);
        requests += 1;
    }
    for (receiver, mut packet) in capture.of_kind(Kind::CookieResponse) {
        let (header, boxed) = CookieResponseHeader::split(&mut packet).expect("a cookie response");
        let key = capture.shared(receiver, &capture.peers["dht"]);
        decode!(CookieResponse, key.open_in_place(&header.nonce, boxed).expect("opens"));
        responses += 1;
    }
    assert!(requests > 0 && responses > 0);
}

#[test]
fn a_handshake_and_the_data_after_it() {
    let capture = capture();
    let (_, mut packet) = capture.of_kind(Kind::Handshake).last().expect("a handshake");
    let (header, boxed) = HandshakeHeader::split(&mut packet).expect("a handshake");
    let key = capture.shared("real", &capture.peers["real"]);
    let handshake = decode!(Handshake, key.open_in_place(&header.nonce, boxed).expect("opens"));
    assert_eq!(handshake.cookie_hash, header.cookie.hash());

    let key = capture.shared("session", &handshake.session_key);
    let base = handshake.base_nonce;
    let mut count = 0;
    for (_, mut packet) in capture.of_kind(Kind::CryptoData) {
        let (low, boxed) = split_crypto_data(&mut packet).expect("crypto data");
        let nonce = base.plus(u32::from(low.wrapping_sub(base.low_u16())));
        let plain = key.open_in_place(&nonce, boxed).expect("opens");
        decode!(CryptoData<'_>, plain);
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn the_relays_hello_and_frames() {
    let capture = capture();
    let mut hello = capture.relay("relay-hello").next().expect("a hello");
    let (header, boxed) = RelayHelloHeader::split(&mut hello).expect("a hello");
    let key = capture.shared("node1", &header.client);
    let keys = decode!(RelayKeys, key.open_in_place(&header.nonce, boxed).expect("opens"));

    let key = capture.shared("relay-session", &keys.session_key);
    let mut nonce: Nonce = keys.base_nonce;
    let mut frames = 0;
    for mut boxed in capture.relay("relay-frame") {
        let plain = key.open(&nonce, &boxed).expect("opens");
        let packet = decode!(RelayPacket<'_>, &plain);
        assert_eq!(open_frame(&key, &nonce, &mut boxed), Ok(packet));
        nonce = nonce.plus(1);
        frames += 1;
    }
    assert!(frames > 0);
}
