//! Where the values come from.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use proptest::collection::vec;
use proptest::prelude::*;
use toktok_wire::address::{IpPort, Protocol};
use toktok_wire::dht::MAX_NODES;
use toktok_wire::onion::{Hop, ReturnPath, Stored};
use toktok_wire::session::Cookie;
use toktok_wire::{Nonce, PackedNode, PublicKey};

pub(crate) fn bytes(len: RangeInclusive<usize>) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), len)
}

pub(crate) fn key() -> impl Strategy<Value = PublicKey> {
    any::<[u8; 32]>().prop_map(PublicKey)
}

pub(crate) fn nonce() -> impl Strategy<Value = Nonce> {
    any::<[u8; 24]>().prop_map(Nonce)
}

pub(crate) fn udp() -> impl Strategy<Value = IpPort> {
    (any::<IpAddr>(), any::<u16>()).prop_map(|address| IpPort::udp(address.into()))
}

pub(crate) fn endpoint() -> impl Strategy<Value = IpPort> {
    (prop_oneof![Just(Protocol::Udp), Just(Protocol::Tcp)], udp())
        .prop_map(|(protocol, IpPort { address, .. })| IpPort { protocol, address })
}

pub(crate) fn udp_nodes() -> impl Strategy<Value = Vec<PackedNode>> {
    let node = (udp(), key()).prop_map(|(endpoint, key)| PackedNode { endpoint, key });
    vec(node, 0..=MAX_NODES)
}

pub(crate) fn nodes() -> impl Strategy<Value = Vec<PackedNode>> {
    let node = (endpoint(), key()).prop_map(|(endpoint, key)| PackedNode { endpoint, key });
    vec(node, 0..=MAX_NODES)
}

pub(crate) fn cookie() -> impl Strategy<Value = Cookie> {
    vec(any::<u8>(), Cookie::LEN).prop_map(|bytes| Cookie(bytes.try_into().expect("as many")))
}

pub(crate) fn hop() -> impl Strategy<Value = Hop> {
    prop::sample::select(&Hop::ALL[..])
}

/// The way back from a hop.
pub(crate) fn return_path() -> impl Strategy<Value = ReturnPath> {
    hop().prop_flat_map(|hop| {
        vec(any::<u8>(), hop.return_len())
            .prop_map(|bytes| ReturnPath::from_slice(&bytes).expect("one of the three lengths"))
    })
}

/// A packet that a path lets through: its kind is one of `kinds`.
pub(crate) fn packet(kinds: &'static [u8], len: usize) -> impl Strategy<Value = Vec<u8>> {
    (prop::sample::select(kinds), bytes(0..=len)).prop_map(|(kind, mut packet)| {
        packet.insert(0, kind);
        packet
    })
}

pub(crate) fn stored() -> impl Strategy<Value = Stored> {
    (0..3, any::<[u8; 32]>()).prop_map(|(flag, bytes)| match flag {
        0 => Stored::No { ping_id: bytes },
        1 => Stored::Yes { data_key: PublicKey(bytes) },
        _ => Stored::Own { ping_id: bytes },
    })
}
