//! Packets of DHT announcements and forwarding that libsodium sealed (`vectors/golden_announcements.txt`):
//! each opens, says what it should, and is sealed again to the very same bytes.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use toktok_wire::address::IpPort;
use toktok_wire::announcement::{
    Announcement, Found, RetrieveRequest, RetrieveResponse, SearchRequest, SearchResponse,
    StoreContents, StoreRequest, StoreResponse, hash,
};
use toktok_wire::dht::Header;
use toktok_wire::forwarding::{ForwardReply, Forwarding, ReturnRoute, forward_chain};
use toktok_wire::{Decode, Encode, KeyPair, Nonce, PackedNode, PublicKey, SecretKey, SharedKey};

const DATA: &[u8] = b"an announcement";
const ID: u64 = 0x0102_0304_0506_0708;
const TIMEOUT: u32 = 300;

fn packets() -> BTreeMap<&'static str, Vec<u8>> {
    let lines = include_str!("vectors/golden_announcements.txt").lines();
    lines
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once(' ').expect("name and hex"))
        .map(|(name, hex)| (name, HEXLOWER.decode(hex.as_bytes()).expect("hex")))
        .collect()
}

fn pair(byte: u8) -> KeyPair {
    KeyPair::from_secret(SecretKey::from_bytes([byte; 32]))
}

fn shared() -> SharedKey {
    pair(1).secret.shared_key(&pair(2).public)
}

fn key() -> PublicKey {
    pair(3).public
}

fn proof() -> [u8; 32] {
    core::array::from_fn(|i| 0xa0 + i as u8 % 16)
}

fn endpoint() -> IpPort {
    IpPort::udp(([192, 0, 2, 7], 33_445).into())
}

fn found() -> Found {
    let node = PackedNode { endpoint: endpoint(), key: pair(1).public };
    Found { stored: Some(hash(DATA)), proof: proof(), accepts: true, nodes: vec![node] }
}

/// Checks a packet of requester or node against what its box should contain.
macro_rules! assert_packet {
    ($name:literal, $kind:literal, $payload_kind:ty, $payload:expr) => {{
        let (packet, payload) = (packets().remove($name).expect($name), $payload);
        let sender = if $kind % 2 == 1 { pair(1).public } else { pair(2).public };
        let header =
            Header { kind: $kind, sender, nonce: Nonce(core::array::from_fn(|i| i as u8)) };
        assert_eq!(header.seal(&shared(), &payload), packet, $name);
        let mut packet = packet;
        let (split, boxed) = Header::split(&mut packet).expect($name);
        assert_eq!(split, header);
        let plain = shared().open_in_place(&header.nonce, boxed).expect($name);
        assert_eq!(<$payload_kind>::from_bytes(plain).as_ref(), Ok(&payload), $name);
    }};
}

#[test]
fn searches_and_retrievals() {
    let (key, id, proof) = (key(), ID, proof());
    assert_packet!("search", 0x93, SearchRequest, SearchRequest { key, previous: None, id });
    let previous = Some(found().hash(&key));
    assert_packet!("search_again", 0x93, SearchRequest, SearchRequest { key, previous, id });
    let response = |found| SearchResponse { key, found, id };
    assert_packet!("found", 0x94, SearchResponse, response(Some(found())));
    assert_packet!("unchanged", 0x94, SearchResponse, response(None));
    let nothing = Found { stored: None, proof, accepts: false, nodes: Vec::new() };
    assert_packet!("nothing", 0x94, SearchResponse, response(Some(nothing)));
    assert_packet!("retrieve", 0x95, RetrieveRequest, RetrieveRequest { key, proof, id });
    let response = |data| RetrieveResponse { key, data, id };
    assert_packet!("retrieved", 0x96, RetrieveResponse<'_>, response(Some(DATA)));
    assert_packet!("absent", 0x96, RetrieveResponse<'_>, response(None));
}

#[test]
fn stores() {
    let (key, id, proof, timeout) = (key(), ID, proof(), TIMEOUT);
    let nonce = Nonce(core::array::from_fn(|i| 100 + i as u8));
    let inner = pair(3).secret.shared_key(&pair(2).public);
    let boxed = |announcement| StoreContents { proof, timeout, announcement }.seal(&inner, &nonce);
    let store = boxed(Announcement::Data(DATA));
    let request = StoreRequest { key, nonce, boxed: &store, id };
    assert_packet!("store", 0x97, StoreRequest<'_>, request);
    let refresh = boxed(Announcement::Refresh(hash(DATA)));
    let request = StoreRequest { key, nonce, boxed: &refresh, id };
    assert_packet!("refresh", 0x97, StoreRequest<'_>, request);
    let response = StoreResponse { key, timeout, time: 1_700_000_000, id };
    assert_packet!("stored", 0x98, StoreResponse, response);
}

#[test]
fn forwarded_packets() {
    let packets = packets();
    let search = &packets["search"];
    let chain = forward_chain(&[pair(1).public, pair(2).public], search);
    assert_eq!(chain.as_ref(), Some(&packets["forward_chain"]));
    let sendback = [&proof()[..], &ReturnRoute::Requester(endpoint()).to_bytes()].concat();
    let forwarding = Forwarding { sendback: &sendback, data: search };
    assert_eq!(Forwarding::from_bytes(&packets["forwarding"]), Ok(forwarding));
    assert_eq!(forwarding.to_bytes(), packets["forwarding"]);
    let reply = ForwardReply { sendback: &sendback, data: b"reply" };
    assert_eq!(ForwardReply::from_bytes(&packets["forward_reply"]), Ok(reply));
    assert_eq!(reply.to_bytes(), packets["forward_reply"]);
}
