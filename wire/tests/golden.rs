//! Packets that libsodium sealed with known keys (`vectors/golden_legacy.txt`, from the research
//! notes): each is opened, decoded, and sealed again to the very same bytes.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use toktok_wire::address::IpPort;
use toktok_wire::dht::{self, Header, NodesRequest, NodesResponse, Ping};
use toktok_wire::relay::{RelayHelloHeader, RelayKeys};
use toktok_wire::session::{
    CookieRequest, CookieRequestHeader, CookieResponse, CookieResponseHeader, CryptoData,
    DataHeader, Handshake, HandshakeHeader, data_id, seal_crypto_data, split_crypto_data,
};
use toktok_wire::{Decode, Encode, Kind, Nonce, PackedNode, PublicKey, SecretKey, SharedKey};

const LEGACY: &str = include_str!("vectors/golden_legacy.txt");

/// The file's secret keys: DHT, long-term and session keys of A and B.
#[derive(Clone, Copy)]
enum Key {
    ADht = 1,
    BDht,
    AReal,
    BReal,
    ASession,
    BSession,
}

impl Key {
    fn secret(self) -> SecretKey {
        SecretKey::from_bytes([self as u8; 32])
    }

    fn public(self) -> PublicKey {
        self.secret().public_key()
    }

    fn with(self, peer: Self) -> SharedKey {
        self.secret().shared_key(&peer.public())
    }
}

/// The packets by name; the length that the file states is checked.
fn packets() -> BTreeMap<&'static str, Vec<u8>> {
    let lines = LEGACY.lines().filter(|line| !line.starts_with("sk "));
    lines
        .map(|line| {
            let (rest, hex) = line.rsplit_once(' ').expect("a packet");
            let (name, len) = rest.trim_end().rsplit_once(' ').expect("its name and length");
            let bytes = HEXLOWER.decode(hex.as_bytes()).expect("hex");
            assert_eq!(len.parse(), Ok(bytes.len()), "{name}");
            (name.trim_end(), bytes)
        })
        .collect()
}

/// The nonce of all boxes in the file: 0, 1, … 23.
fn nonce() -> Nonce {
    Nonce(core::array::from_fn(|i| i as u8))
}

/// Opens a packet's box with `key` and decodes what is in it as an owned value.
fn open<P: for<'a> Decode<'a>>(key: &SharedKey, nonce: &Nonce, boxed: &mut [u8]) -> P {
    let plain = key.open_in_place(nonce, boxed).expect("the box opens");
    P::from_bytes(plain).expect("the payload decodes")
}

#[test]
fn the_files_public_keys_belong_to_its_secret_keys() {
    let keys = [Key::ADht, Key::BDht, Key::AReal, Key::BReal, Key::ASession, Key::BSession];
    let lines: Vec<_> = LEGACY.lines().filter(|line| line.starts_with("sk ")).collect();
    assert_eq!(lines.len(), keys.len());
    for (line, key) in lines.into_iter().zip(keys) {
        assert!(line.contains(&HEXLOWER.encode(key.secret().expose())), "{line}");
        assert!(line.ends_with(&key.public().to_string()), "{line}");
    }
}

#[test]
fn dht_packets() {
    let packets = packets();
    let (to_b, to_a) = (Key::ADht.with(Key::BDht), Key::BDht.with(Key::ADht));

    let packet = &packets["ping A->B"];
    let header = Header { kind: dht::PING_REQUEST, sender: Key::ADht.public(), nonce: nonce() };
    let mut copy = packet.clone();
    let (decoded, boxed) = Header::split(&mut copy).expect("a ping");
    assert_eq!(decoded, header);
    let ping: Ping = open(&to_a, &nonce(), boxed);
    assert!(!ping.response);
    assert_eq!(&header.seal(&to_b, &ping), packet);

    let packet = &packets["nodes req A->B"];
    let header = Header { kind: dht::NODES_REQUEST, ..header };
    let mut copy = packet.clone();
    let (decoded, boxed) = Header::split(&mut copy).expect("a nodes request");
    assert_eq!(decoded, header);
    let request: NodesRequest = open(&to_a, &nonce(), boxed);
    assert_eq!(&header.seal(&to_b, &request), packet);

    let packet = &packets["nodes resp B->A"];
    let header = Header { kind: dht::NODES_RESPONSE, sender: Key::BDht.public(), nonce: nonce() };
    let mut copy = packet.clone();
    let (decoded, boxed) = Header::split(&mut copy).expect("a nodes response");
    assert_eq!(decoded, header);
    let response: NodesResponse = open(&to_b, &nonce(), boxed);
    let [PackedNode { endpoint, .. }] = response.nodes[..] else { panic!("one node") };
    assert_eq!(endpoint, IpPort::udp(endpoint.address));
    assert_eq!(response.id, request.id);
    assert_eq!(&header.seal(&to_a, &response), packet);
}

#[test]
fn session_packets() {
    let packets = packets();

    let packet = &packets["cookie req A->B"];
    let header = CookieRequestHeader { sender: Key::ADht.public(), nonce: nonce() };
    let mut copy = packet.clone();
    let (decoded, boxed) = CookieRequestHeader::split(&mut copy).expect("a cookie request");
    assert_eq!(decoded, header);
    let request: CookieRequest = open(&Key::BDht.with(Key::ADht), &nonce(), boxed);
    assert_eq!(request.key, Key::AReal.public());
    assert_eq!(&header.seal(&Key::ADht.with(Key::BDht), &request), packet);

    let packet = &packets["cookie resp B->A"];
    let header = CookieResponseHeader { nonce: nonce() };
    let mut copy = packet.clone();
    let (decoded, boxed) = CookieResponseHeader::split(&mut copy).expect("a cookie response");
    assert_eq!(decoded, header);
    let response: CookieResponse = open(&Key::ADht.with(Key::BDht), &nonce(), boxed);
    assert_eq!(response.echo, request.echo);
    assert_eq!(&header.seal(&Key::BDht.with(Key::ADht), &response), packet);

    let packet = &packets["handshake A->B"];
    let header = HandshakeHeader { cookie: response.cookie, nonce: nonce() };
    let mut copy = packet.clone();
    let (decoded, boxed) = HandshakeHeader::split(&mut copy).expect("a handshake");
    assert_eq!(decoded, header);
    let handshake: Handshake = open(&Key::BReal.with(Key::AReal), &nonce(), boxed);
    assert_eq!(handshake.session_key, Key::ASession.public());
    assert_eq!(handshake.cookie_hash, header.cookie.hash());
    assert_eq!(&header.seal(&Key::AReal.with(Key::BReal), &handshake), packet);

    let packet = &packets["data0 A->B (ALIVE)"];
    let mut copy = packet.clone();
    let (low, boxed) = split_crypto_data(&mut copy).expect("crypto data");
    assert_eq!(low, handshake.base_nonce.low_u16());
    let session = Key::BSession.with(Key::ASession);
    let plain = session.open_in_place(&handshake.base_nonce, boxed).expect("opens");
    let data = CryptoData::from_bytes(plain).expect("decodes");
    assert_eq!(data.to_bytes(), plain);
    assert_eq!((data.id, data.data), (data_id::ALIVE, &[][..]));
    let header = DataHeader { received: 0, number: 0 };
    assert_eq!(data.header, header);
    let session = Key::ASession.with(Key::BSession);
    let sealed =
        seal_crypto_data(&session, &handshake.base_nonce, header, data_id::ALIVE, [&[], &[]]);
    assert_eq!(&sealed, packet);
}

#[test]
fn the_relay_hello() {
    let packet = &packets()["tcp hello A->B"];
    let header = RelayHelloHeader { client: Key::ADht.public(), nonce: nonce() };
    let mut copy = packet.clone();
    let (decoded, boxed) = RelayHelloHeader::split(&mut copy).expect("a hello");
    assert_eq!(decoded, header);
    let keys: RelayKeys = open(&Key::BDht.with(Key::ADht), &nonce(), boxed);
    assert_eq!(keys.session_key, Key::ASession.public());
    assert_eq!(&header.seal(&Key::ADht.with(Key::BDht), &keys), packet);
}

/// Noise comes with a later issue. Until then its handshake must be a kind that is not known, and
/// its data packets, whose plain part is Tox's, must split.
#[test]
fn noise_packets_are_told_apart() {
    let noise: BTreeMap<_, _> = include_str!("vectors/golden_noise.txt")
        .lines()
        .filter_map(|l| l.split_once(' '))
        .collect();
    for name in ["msg1", "msg2"] {
        let packet = HEXLOWER.decode(noise[name].as_bytes()).expect("hex");
        assert_eq!((packet[0], Kind::of(&packet)), (0x1c, None));
    }
    let mut data = HEXLOWER.decode(noise["data0"].as_bytes()).expect("hex");
    assert_eq!(Kind::of(&data), Some(Kind::CryptoData));
    assert_eq!(split_crypto_data(&mut data).map(|(low, _)| low), Ok(0));
}
