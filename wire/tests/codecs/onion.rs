//! Onion packets.

use proptest::prelude::*;
use toktok_wire::onion::announce::MAX_EXTRA;
use toktok_wire::onion::{
    AnnounceRequest, AnnounceRequestHeader, AnnounceResponse, AnnounceResponseHeader,
    DataRequestHeader, DataResponseHeader, DhtKeyAnnounce, ExtendedAnnounceResponse, LastLayer,
    Layer, MAX_ONION_REQUEST, OnionData, OnionResponse, RoutedDhtKey, SendHeader, Stored,
};
use toktok_wire::{Decode, Encode};

use crate::strategies::{
    bytes, endpoint, hop, key, nodes, nonce, packet, return_path, stored, udp_nodes,
};

const REQUESTS: &[u8] = &[0x83, 0x85, 0x87];
const RESPONSES: &[u8] = &[0x84, 0x86, 0x88];

proptest! {
    #[test]
    fn send_headers(hop in hop(), nonce in nonce(), key in key()) {
        assert_exact!(SendHeader, SendHeader { hop, nonce, key });
    }

    #[test]
    fn layers(next in endpoint(), key in key(), boxed in bytes(17..=200)) {
        assert_open_ended!(Layer<'_>, Layer { next, key, boxed: &boxed }, 19 + 32 + 17);
    }

    #[test]
    fn last_layers(destination in endpoint(), request in packet(REQUESTS, MAX_ONION_REQUEST - 1)) {
        assert_open_ended!(LastLayer<'_>, LastLayer { destination, request: &request }, 19 + 1);
    }

    #[test]
    fn responses(back in return_path(), response in packet(RESPONSES, 200)) {
        let least = 1 + back.as_bytes().len() + 1;
        let value = OnionResponse::new(back, &response).expect("a hop is left");
        assert_open_ended!(OnionResponse<'_>, value, least);
    }

    #[test]
    fn announce_requests(
        extended: bool,
        nonce in nonce(),
        keys in (key(), key(), key()),
        ping_id: [u8; 32],
        sendback: [u8; 8],
        extra in bytes(0..=MAX_EXTRA),
    ) {
        let (requester, target, data_key) = keys;
        assert_exact!(AnnounceRequestHeader, AnnounceRequestHeader { extended, nonce, requester });
        let value = AnnounceRequest { ping_id, target, data_key, sendback, extra: &extra };
        assert_open_ended!(AnnounceRequest<'_>, value, AnnounceRequest::LEN);
    }

    #[test]
    fn announce_responses(
        extended: bool,
        sendback: [u8; 8],
        nonce in nonce(),
        stored in stored(),
        nodes in udp_nodes(),
        extra in bytes(0..=100),
    ) {
        assert_exact!(AnnounceResponseHeader, AnnounceResponseHeader { extended, sendback, nonce });
        assert_exact!(Stored, stored);
        let least = Stored::LEN + 1 + nodes.iter().map(Encode::encoded_len).sum::<usize>();
        let value = AnnounceResponse { stored, nodes: nodes.clone() };
        assert_open_ended!(AnnounceResponse, value, Stored::LEN);
        let value = ExtendedAnnounceResponse { stored, nodes, extra: &extra };
        assert_open_ended!(ExtendedAnnounceResponse<'_>, value, least);
    }

    #[test]
    fn data_packets(destination in key(), nonce in nonce(), key in key(), boxed in bytes(17..=200)) {
        let header = DataRequestHeader { destination, nonce, key };
        assert_exact!(DataRequestHeader, header);
        assert_exact!(DataResponseHeader, header.response());
        assert_open_ended!(OnionData<'_>, OnionData { sender: key, boxed: &boxed }, 32 + 17);
        let routed = RoutedDhtKey { sender: key, nonce, boxed: &boxed };
        assert_open_ended!(RoutedDhtKey<'_>, routed, 1 + 32 + 24 + 17);
    }

    #[test]
    fn dht_key_announces(counter: u64, dht_key in key(), nodes in nodes()) {
        assert_open_ended!(DhtKeyAnnounce, DhtKeyAnnounce { counter, dht_key, nodes }, 41);
    }
}
