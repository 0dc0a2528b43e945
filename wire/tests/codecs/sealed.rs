//! Whole packets: header and sealed box. They open for the receiver, and cut or damaged ones are
//! refused by their length or by the box.

use proptest::prelude::*;
use toktok_wire::announcement::{RetrieveRequest, SearchRequest};
use toktok_wire::dht::{DhtRequestHeader, Header, NodesRequest, NodesResponse, Ping};
use toktok_wire::nat::NatPing;
use toktok_wire::onion::{
    AnnounceRequest, AnnounceRequestHeader, AnnounceResponse, AnnounceResponseHeader,
    DataRequestHeader, DataResponseHeader, OnionData,
};
use toktok_wire::relay::{RelayAnswerHeader, RelayHelloHeader, RelayKeys};
use toktok_wire::session::{
    CookieRequest, CookieRequestHeader, CookieResponse, CookieResponseHeader, Handshake,
    HandshakeHeader,
};
use toktok_wire::{Decode, SharedKey};

use crate::strategies::{bytes, cookie, key, nonce, stored, udp_nodes};

/// The key of all boxes here.
fn shared() -> SharedKey {
    SharedKey::from_bytes([42; 32])
}

/// Seals `payload` behind `header`, and checks that this packet opens and no other form of it does.
macro_rules! assert_sealed {
    ($header_kind:ty, $header:expr, $payload_kind:ty, $payload:expr) => {{
        let (header, payload) = ($header, $payload);
        let packet = header.seal(&shared(), &payload);
        let open = |packet: &mut [u8]| -> Option<($header_kind, Vec<u8>)> {
            let (header, boxed) = <$header_kind>::split(packet).ok()?;
            let plain = shared().open_in_place(&header.nonce, boxed).ok()?;
            Some((header, plain.to_vec()))
        };
        let (opened, plain) = open(&mut packet.clone()).expect("opens for its receiver");
        prop_assert_eq!(opened, header);
        let decoded = <$payload_kind>::from_bytes(&plain);
        prop_assert_eq!(decoded.as_ref(), Ok(&payload));
        for len in 0..packet.len() {
            prop_assert!(open(&mut packet[..len].to_vec()).is_none(), "prefix of {} bytes", len);
        }
        for at in <$header_kind>::LEN..packet.len() {
            let mut damaged = packet.clone();
            damaged[at] ^= 1;
            prop_assert!(open(&mut damaged).is_none(), "damage at {}", at);
        }
    }};
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn dht_packets(sender in key(), target in key(), nonce in nonce(), nodes in udp_nodes(), id: u64) {
        let header = |kind| Header { kind, sender, nonce };
        assert_sealed!(Header, header(0), Ping, Ping { response: false, id });
        assert_sealed!(Header, header(1), Ping, Ping { response: true, id });
        assert_sealed!(Header, header(2), NodesRequest, NodesRequest { target, id });
        assert_sealed!(Header, header(4), NodesResponse, NodesResponse { nodes, id });
        let request = SearchRequest { key: target, previous: None, id };
        assert_sealed!(Header, header(0x93), SearchRequest, request);
        let retrieve = RetrieveRequest { key: target, proof: [1; 32], id };
        assert_sealed!(Header, header(0x95), RetrieveRequest, retrieve);
        let header = DhtRequestHeader { receiver: target, sender, nonce };
        assert_sealed!(DhtRequestHeader, header, NatPing, NatPing { response: true, id });
    }

    #[test]
    fn session_packets(
        sender in key(),
        key in key(),
        nonce in nonce(),
        cookie in cookie(),
        other_cookie in cookie(),
        echo: [u8; 8],
    ) {
        let header = CookieRequestHeader { sender, nonce };
        let request = CookieRequest { key, unused: [0; 32], echo };
        assert_sealed!(CookieRequestHeader, header, CookieRequest, request);
        let response = CookieResponse { cookie, echo };
        assert_sealed!(CookieResponseHeader, CookieResponseHeader { nonce }, CookieResponse, response);
        let handshake =
            Handshake { base_nonce: nonce, session_key: key, cookie_hash: cookie.hash(), other_cookie };
        assert_sealed!(HandshakeHeader, HandshakeHeader { cookie, nonce }, Handshake, handshake);
    }

    #[test]
    fn onion_packets(
        requester in key(),
        target in key(),
        nonce in nonce(),
        stored in stored(),
        nodes in udp_nodes(),
        boxed in bytes(17..=100),
        sendback: [u8; 8],
    ) {
        for extended in [false, true] {
            let header = AnnounceRequestHeader { extended, nonce, requester };
            let extra = if extended { &boxed[..] } else { &[] };
            let request =
                AnnounceRequest { ping_id: [0; 32], target, data_key: requester, sendback, extra };
            assert_sealed!(AnnounceRequestHeader, header, AnnounceRequest<'_>, request);
        }
        let header = AnnounceResponseHeader { extended: false, sendback, nonce };
        assert_sealed!(AnnounceResponseHeader, header, AnnounceResponse, AnnounceResponse { stored, nodes });
        let header = DataRequestHeader { destination: target, nonce, key: requester };
        let data = OnionData { sender: requester, boxed: &boxed };
        assert_sealed!(DataRequestHeader, header, OnionData<'_>, data);

        let mut request = header.seal(&shared(), &data);
        let (header, boxed) = DataRequestHeader::split(&mut request).expect("sealed just now");
        let mut response = header.response().forward(boxed);
        let (arrived, boxed) = DataResponseHeader::split(&mut response).expect("sent on just now");
        let plain = shared().open_in_place(&arrived.nonce, boxed).expect("the same box");
        prop_assert_eq!(OnionData::from_bytes(plain), Ok(data));
    }

    #[test]
    fn relay_hellos(client in key(), nonce in nonce(), session_key in key(), base_nonce in nonce()) {
        let keys = RelayKeys { session_key, base_nonce };
        assert_sealed!(RelayHelloHeader, RelayHelloHeader { client, nonce }, RelayKeys, keys);
        assert_sealed!(RelayAnswerHeader, RelayAnswerHeader { nonce }, RelayKeys, keys);
    }
}
