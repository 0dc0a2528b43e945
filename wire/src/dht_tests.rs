//! Properties of the DHT packets' codecs, and packets that libsodium sealed.

use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::*;
use crate::address::IpPort;
use crate::key::SecretKey;

fn arbitrary_node() -> impl Strategy<Value = PackedNode> {
    (any::<std::net::IpAddr>(), any::<u16>(), any::<[u8; 32]>()).prop_map(|(ip, port, key)| {
        PackedNode { endpoint: IpPort::udp((ip, port).into()), key: PublicKey(key) }
    })
}

fn arbitrary_response() -> impl Strategy<Value = NodesResponse> {
    (prop::collection::vec(arbitrary_node(), 0..=MAX_NODES), any::<u64>())
        .prop_map(|(nodes, id)| NodesResponse { nodes, id })
}

/// `value` decodes to itself, and no strict prefix of it decodes at all.
fn holds_for<T>(value: &T)
where
    T: Encode + for<'a> Decode<'a> + PartialEq + core::fmt::Debug,
{
    let bytes = value.to_bytes();
    assert_eq!(T::from_bytes(&bytes).as_ref(), Ok(value));
    for len in 0..bytes.len() {
        assert!(T::from_bytes(&bytes[..len]).is_err());
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(T::from_bytes(&longer).is_err());
}

proptest! {
    #[test]
    fn pings_round_trip(response: bool, id: u64) {
        holds_for(&Ping { response, id });
    }

    #[test]
    fn nodes_requests_round_trip(target: [u8; 32], id: u64) {
        holds_for(&NodesRequest { target: PublicKey(target), id });
    }

    #[test]
    fn nodes_responses_round_trip(response in arbitrary_response()) {
        holds_for(&response);
    }

    #[test]
    fn headers_round_trip(a: [u8; 32], b: [u8; 32], nonce: [u8; 24]) {
        let (receiver, sender, nonce) = (PublicKey(a), PublicKey(b), Nonce(nonce));
        holds_for(&DhtRequestHeader { receiver, sender, nonce });
        holds_for(&Header { kind: NODES_RESPONSE, sender, nonce });
    }

    #[test]
    fn accepted_bytes_encode_to_themselves(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(response) = NodesResponse::from_bytes(&bytes) {
            prop_assert_eq!(response.to_bytes(), bytes.clone());
        }
        if let Ok((header, boxed)) = Header::split(&mut bytes.clone()) {
            let mut again = header.to_bytes();
            again.extend_from_slice(boxed);
            prop_assert_eq!(again, bytes);
        }
    }
}

#[test]
fn lengths_are_checked_before_any_key_exchange() {
    for (kind, len) in [(PING_REQUEST, 82), (PING_RESPONSE, 82), (NODES_REQUEST, 113)] {
        let mut packet = vec![kind; len + 1];
        assert!(matches!(Header::split(&mut packet), Err(DecodeError::Limit { .. })));
        packet.truncate(len);
        assert!(Header::split(&mut packet).is_ok());
        packet.truncate(len - 1);
        assert!(matches!(Header::split(&mut packet), Err(DecodeError::Truncated { .. })));
    }
    assert_eq!(Header::split(&mut [0x03; 100]), Err(DecodeError::Kind(3)));
    assert!(DhtRequestHeader::split(&mut [DHT_REQUEST; MAX_DHT_REQUEST + 1]).is_err());
}

#[test]
fn a_relay_among_the_nodes_is_refused() {
    let mut bytes = vec![1, 0x82, 127, 0, 0, 1, 0, 1];
    bytes.extend_from_slice(&[0; 32 + 8]);
    assert!(matches!(NodesResponse::from_bytes(&bytes), Err(DecodeError::Invalid(_))));
}

/// `golden_legacy.txt` of the research notes: sealed by libsodium with secret keys 01…, 02… and the
/// nonce 00 01 … 17.
#[test]
fn packets_sealed_by_libsodium_open_and_seal_alike() {
    let a = SecretKey::from_bytes([1; 32]);
    let b = SecretKey::from_bytes([2; 32]);
    let key = a.shared_key(&b.public_key());
    let nonce = Nonce(core::array::from_fn(|i| i as u8));
    let golden = "00a4e09292b651c278b9772c569f5fa9bb13d906b46ab68c9df9dc2b4409f8a209\
                  000102030405060708090a0b0c0d0e0f101112131415161725c500b298025d028f79eba475fb3e50\
                  e2ce81c09e34e031b1";
    let golden = HEXLOWER.decode(golden.as_bytes()).unwrap();
    let mut packet = golden.clone();
    let (header, boxed) = Header::split(&mut packet).unwrap();
    assert_eq!(header, Header { kind: PING_REQUEST, sender: a.public_key(), nonce });
    let ping = Ping::from_bytes(key.open_in_place(&nonce, boxed).unwrap()).unwrap();
    assert_eq!(header.seal(&key, &ping), golden);
}
