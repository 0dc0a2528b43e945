//! Keys, nonces, endpoints, Tox IDs; the DHT's packets and what is unsealed.

use proptest::prelude::*;
use toktok_wire::address::IpPort;
use toktok_wire::bootstrap_info::{BootstrapInfo, BootstrapInfoRequest, MAX_MOTD};
use toktok_wire::dht::{DhtRequestHeader, Header, NodesRequest, NodesResponse, Ping};
use toktok_wire::lan::LanDiscovery;
use toktok_wire::nat::NatPing;
use toktok_wire::{Decode, Encode, Nonce, PackedNode, PublicKey, Reader, ToxId};

use crate::strategies::{bytes, endpoint, key, nonce, udp_nodes};

proptest! {
    #[test]
    fn keys_nonces_and_arrays(key in key(), nonce in nonce(), array: [u8; 8]) {
        assert_exact!(PublicKey, key);
        assert_exact!(Nonce, nonce);
        assert_exact!([u8; 8], array);
    }

    #[test]
    fn endpoints_and_nodes(endpoint in endpoint(), key in key()) {
        assert_exact!(IpPort, endpoint);
        assert_exact!(PackedNode, PackedNode { endpoint, key });
    }

    #[test]
    fn padded_endpoints(endpoint in endpoint()) {
        let mut padded = Vec::new();
        endpoint.encode_padded(&mut padded);
        prop_assert_eq!(padded.len(), IpPort::PADDED_LEN);
        prop_assert_eq!(IpPort::decode_padded(&mut Reader::new(&padded)), Ok(endpoint));
        for len in 0..padded.len() {
            prop_assert!(IpPort::decode_padded(&mut Reader::new(&padded[..len])).is_err());
        }
    }

    #[test]
    fn tox_ids(key in key(), nospam: [u8; 4]) {
        assert_exact!(ToxId, ToxId { key, nospam });
    }

    #[test]
    fn dht_headers(kind in prop::sample::select(&[0u8, 1, 2, 4][..]), a in key(), b in key(), nonce in nonce()) {
        assert_exact!(Header, Header { kind, sender: a, nonce });
        assert_exact!(DhtRequestHeader, DhtRequestHeader { receiver: a, sender: b, nonce });
    }

    #[test]
    fn pings(response: bool, id: u64) {
        assert_exact!(Ping, Ping { response, id });
        assert_exact!(NatPing, NatPing { response, id });
    }

    #[test]
    fn nodes_requests_and_responses(target in key(), nodes in udp_nodes(), id: u64) {
        assert_exact!(NodesRequest, NodesRequest { target, id });
        assert_exact!(NodesResponse, NodesResponse { nodes, id });
    }

    #[test]
    fn lan_discoveries(key in key()) {
        assert_exact!(LanDiscovery, LanDiscovery { key });
    }

    #[test]
    fn bootstrap_infos(version: u32, motd in bytes(0..=MAX_MOTD)) {
        assert_open_ended!(BootstrapInfo<'_>, BootstrapInfo { version, motd: &motd }, 5);
        assert_exact!(BootstrapInfoRequest, BootstrapInfoRequest);
    }
}
