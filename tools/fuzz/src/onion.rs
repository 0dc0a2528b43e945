//! Onion packets: whole datagrams, layers, return paths, and what the boxes contain.

use toktok_wire::address::IpPort;
use toktok_wire::dht::MAX_NODES;
use toktok_wire::onion::{
    AnnounceRequest, AnnounceRequestHeader, AnnounceResponse, AnnounceResponseHeader,
    DataRequestHeader, DataResponseHeader, DhtKeyAnnounce, ExtendedAnnounceResponse, LastLayer,
    Layer, OnionData, OnionResponse, ReturnPath, RoutedDhtKey, SendHeader, split_request,
};
use toktok_wire::{Encode, Nonce, SharedKey};

use crate::check::{canonical, whole};

/// A datagram of the onion, or a payload of one.
pub fn onion(data: &[u8]) {
    datagrams(data);
    canonical::<OnionResponse<'_>>(data);
    canonical::<Layer<'_>>(data);
    canonical::<LastLayer<'_>>(data);
    canonical::<AnnounceRequest<'_>>(data);
    canonical::<OnionData<'_>>(data);
    canonical::<RoutedDhtKey<'_>>(data);
    let nodes = [
        canonical::<AnnounceResponse>(data).map(|packet| packet.nodes),
        canonical::<ExtendedAnnounceResponse<'_>>(data).map(|packet| packet.nodes),
        canonical::<DhtKeyAnnounce>(data).map(|packet| packet.nodes),
    ];
    assert!(nodes.iter().flatten().all(|nodes| nodes.len() <= MAX_NODES));
    return_paths(data);
}

fn datagrams(data: &[u8]) {
    let mut packet = data.to_vec();
    if let Ok((header, boxed, back)) = SendHeader::split(&mut packet) {
        whole(data, &[&header.to_bytes(), boxed, back.as_bytes()]);
    }
    if let Ok((request, back)) = split_request(&mut packet) {
        whole(data, &[request, back.as_bytes()]);
    }
    if let Ok((header, boxed)) = AnnounceRequestHeader::split(&mut packet) {
        whole(data, &[&header.to_bytes(), boxed]);
    }
    if let Ok((header, boxed)) = AnnounceResponseHeader::split(&mut packet) {
        whole(data, &[&header.to_bytes(), boxed]);
    }
    if let Ok((header, boxed)) = DataResponseHeader::split(&mut packet) {
        whole(data, &[&header.to_bytes(), boxed]);
    }
    if let Ok((header, boxed)) = DataRequestHeader::split(&mut packet) {
        whole(data, &[&header.to_bytes(), boxed]);
        assert!(DataResponseHeader::split(&mut header.response().forward(boxed)).is_ok());
    }
}

/// Bytes of the right length are a return path, which a hop can add to and take off again; nobody
/// but that hop can open it.
fn return_paths(data: &[u8]) {
    let Some(path) = ReturnPath::from_slice(data) else { return };
    assert_eq!(path.as_bytes(), data);
    let (key, back) =
        (SharedKey::from_bytes([1; 32]), IpPort::udp(([192, 0, 2, 1], 33_445).into()));
    assert!(path.open(&key).is_err(), "a forged return path opens");
    if let Some(longer) = path.extended(&key, &Nonce([2; 24]), &back) {
        assert_eq!(longer.open(&key), Ok((back, path)));
    }
}
