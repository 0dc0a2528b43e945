//! Packed endpoints and nodes.

use toktok_wire::address::{IpPort, PackedNode};
use toktok_wire::{Address, Reader};

use crate::check::canonical;

/// An endpoint, its padded form, and a packed node.
pub fn address(data: &[u8]) {
    if let Some(endpoint) = canonical::<IpPort>(data) {
        let address = Address::udp(endpoint.address);
        assert!(address.as_udp().is_some());
        let _ = address.is_lan();
    }
    canonical::<PackedNode>(data);
    padded(data);
}

/// The 19-byte form of onion packets.
fn padded(data: &[u8]) {
    let mut reader = Reader::new(data);
    if let Ok(endpoint) = IpPort::decode_padded(&mut reader) {
        let mut out = Vec::new();
        endpoint.encode_padded(&mut out);
        assert_eq!(out.len(), IpPort::PADDED_LEN);
        assert_eq!(Some(&*out), data.get(..IpPort::PADDED_LEN));
    }
}
