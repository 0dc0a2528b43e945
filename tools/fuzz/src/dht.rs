//! DHT packets and NAT pings: whole datagrams, and what their boxes contain.

use toktok_wire::Encode;
use toktok_wire::dht::{DhtRequestHeader, Header, MAX_NODES, NodesRequest, NodesResponse, Ping};
use toktok_wire::nat::NatPing;

use crate::check::{canonical, whole};

/// A datagram of the DHT, or a payload of one.
pub fn dht(data: &[u8]) {
    let mut packet = data.to_vec();
    if let Ok((header, boxed)) = Header::split(&mut packet) {
        whole(data, &[&header.to_bytes(), boxed]);
    }
    if let Ok((header, boxed)) = DhtRequestHeader::split(&mut packet) {
        whole(data, &[&header.to_bytes(), boxed]);
    }
    canonical::<Header>(data);
    canonical::<DhtRequestHeader>(data);
    canonical::<Ping>(data);
    canonical::<NodesRequest>(data);
    canonical::<NatPing>(data);
    if let Some(response) = canonical::<NodesResponse>(data) {
        assert!(response.nodes.len() <= MAX_NODES);
    }
}
