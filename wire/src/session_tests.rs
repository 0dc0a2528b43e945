//! Properties of the session packets' codecs, and packets that libsodium sealed.

use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::*;
use crate::codec::{Decode, Encode};
use crate::key::{PublicKey, SecretKey, SharedKey};
use crate::nonce::Nonce;
use crate::sealed::Forged;

/// `value` decodes to itself, and neither a strict prefix of it nor more bytes decode at all.
fn holds_for<T>(value: &T)
where
    T: Encode + for<'a> Decode<'a> + PartialEq + core::fmt::Debug,
{
    let bytes = value.to_bytes();
    assert_eq!(T::from_bytes(&bytes).as_ref(), Ok(value));
    assert!((0..bytes.len()).all(|len| T::from_bytes(&bytes[..len]).is_err()));
    let mut longer = bytes;
    longer.push(0);
    assert!(T::from_bytes(&longer).is_err());
}

fn arbitrary_cookie() -> impl Strategy<Value = Cookie> {
    prop::collection::vec(any::<u8>(), Cookie::LEN)
        .prop_map(|bytes| Cookie(bytes.try_into().unwrap()))
}

fn walk(distances: &[u8]) -> Vec<u64> {
    PacketRequest { distances }.missing().collect()
}

proptest! {
    #[test]
    fn cookie_requests_round_trip(key: [u8; 32], unused: [u8; 32], echo: [u8; 8], nonce: [u8; 24]) {
        holds_for(&CookieRequest { key: PublicKey(key), unused, echo });
        holds_for(&CookieRequestHeader { sender: PublicKey(key), nonce: Nonce(nonce) });
    }

    #[test]
    fn cookie_responses_round_trip(cookie in arbitrary_cookie(), echo: [u8; 8], nonce: [u8; 24]) {
        holds_for(&CookieResponse { cookie, echo });
        holds_for(&CookieResponseHeader { nonce: Nonce(nonce) });
        holds_for(&cookie);
    }

    #[test]
    fn handshakes_round_trip(
        cookie in arbitrary_cookie(),
        other_cookie in arbitrary_cookie(),
        nonce: [u8; 24],
        key: [u8; 32],
    ) {
        let (nonce, session_key) = (Nonce(nonce), PublicKey(key));
        holds_for(&HandshakeHeader { cookie, nonce });
        let cookie_hash = cookie.hash();
        holds_for(&Handshake { base_nonce: nonce, session_key, cookie_hash, other_cookie });
    }

    #[test]
    fn cookies_open_for_their_writer_only(time: u64, a: [u8; 32], b: [u8; 32], nonce: [u8; 24]) {
        let contents = CookieContents { time, key: PublicKey(a), dht_key: PublicKey(b) };
        holds_for(&contents);
        let cookie = Cookie::seal(&SharedKey::from_bytes([1; 32]), &Nonce(nonce), &contents);
        prop_assert_eq!(cookie.open(&SharedKey::from_bytes([1; 32])), Ok(contents));
        prop_assert_eq!(cookie.open(&SharedKey::from_bytes([2; 32])), Err(Forged));
    }

    #[test]
    fn crypto_data_round_trips(
        received: u32,
        number: u32,
        padding in 0usize..20,
        id in 1u8..,
        data in prop::collection::vec(any::<u8>(), 0..50),
    ) {
        let header = DataHeader { received, number };
        let value = CryptoData { header, padding, id, data: &data };
        let bytes = value.to_bytes();
        prop_assert_eq!(CryptoData::from_bytes(&bytes), Ok(value));
        prop_assert!((0..=8 + padding).all(|len| CryptoData::from_bytes(&bytes[..len]).is_err()));
    }

    #[test]
    fn crypto_data_packets_open(id in 1u8.., data in prop::collection::vec(any::<u8>(), 0..1372)) {
        let (key, nonce) = (SharedKey::from_bytes([1; 32]), Nonce([0xfe; 24]));
        let header = DataHeader { received: 1, number: 2 };
        let (head, tail) = data.split_at(data.len() / 3);
        let mut packet = seal_crypto_data(&key, &nonce, header, id, [head, tail]);
        prop_assert!(packet.len() <= MAX_CRYPTO_PACKET && packet.len() % 8 == MAX_CRYPTO_PACKET % 8);
        let (low, boxed) = split_crypto_data(&mut packet).unwrap();
        prop_assert_eq!(low, 0xfefe);
        let plain = key.open_in_place(&nonce, boxed).unwrap();
        let opened = CryptoData::from_bytes(plain).unwrap();
        prop_assert_eq!((opened.header, opened.id, opened.data), (header, id, &*data));
    }

    #[test]
    fn requests_name_what_is_missing(
        gaps in prop::collection::vec(0u64..700, 0..40),
        tail in 0u64..1000,
    ) {
        let mut next = 0;
        let missing: Vec<u64> = gaps.iter().map(|gap| { next += gap + 1; next - 1 }).collect();
        let end = next + tail;
        let mut bytes = Vec::new();
        PacketRequest::write(missing.iter().copied(), end, usize::MAX, &mut bytes);
        prop_assert_eq!(walk(&bytes), missing.clone());
        let covered = PacketRequest { distances: &bytes }.covered();
        prop_assert!(covered <= end && end - covered < 255);
        let mut short = vec![9];
        PacketRequest::write(missing.iter().copied(), end, 7, &mut short);
        prop_assert!(short.len() <= 8);
        let named = walk(&short[1..]);
        prop_assert_eq!(&named[..], &missing[..named.len()]);
    }

    #[test]
    fn nothing_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..450), kind in 0x18u8..0x1c) {
        if let Some(first) = bytes.first_mut() {
            *first = kind;
        }
        let _ = CookieRequestHeader::split(&mut bytes);
        let _ = CookieResponseHeader::split(&mut bytes);
        let _ = HandshakeHeader::split(&mut bytes);
        let _ = split_crypto_data(&mut bytes);
        let _ = CryptoData::from_bytes(&bytes);
        walk(&bytes);
    }
}

#[test]
fn a_zero_says_that_255_packets_are_there() {
    // c-toxcore's walk: the byte at a missing packet is its distance from the last one named.
    assert_eq!(walk(&[1, 1, 255, 0, 1]), [0, 1, 256, 512]);
    let mut bytes = Vec::new();
    PacketRequest::write([0, 1, 256, 512].into_iter(), 513, usize::MAX, &mut bytes);
    assert_eq!(bytes, [1, 1, 255, 0, 1]);
}

/// A packet of the research notes' `golden_legacy.txt`, sealed by libsodium with secret keys of one
/// repeated byte: DHT keys 1 and 2, long-term keys 3 and 4, session keys 5 and 6.
fn golden(hex: &str) -> Vec<u8> {
    HEXLOWER.decode(hex.as_bytes()).unwrap()
}

/// The nonce of all golden packets: 0, 1, … 23.
fn counting_nonce() -> Nonce {
    Nonce(core::array::from_fn(|i| i as u8))
}

fn key(secret: u8, peer_secret: u8) -> SharedKey {
    let peer = SecretKey::from_bytes([peer_secret; 32]).public_key();
    SecretKey::from_bytes([secret; 32]).shared_key(&peer)
}

#[test]
fn golden_cookie_request() {
    let packet = golden(concat!(
        "18a4e09292b651c278b9772c569f5fa9bb13d906b46ab68c9df9dc2b4409f8a209000102030405060708090a",
        "0b0c0d0e0f10111213141516172638dd0597754cffc1a5f03ea82f8e11bf315ef8f1e599591bd8999a5a015c",
        "4831800babeb3c118bde5c352304a3039ec66dc588589416d1bb86dd48d4a88ff8c5a9f142d6836b4b7676af",
        "097f858bc6228d9b0a078eadfc"
    ));
    let (header, boxed_key) =
        (CookieRequestHeader::split(&mut packet.clone()).unwrap().0, key(2, 1));
    assert_eq!(header.sender, SecretKey::from_bytes([1; 32]).public_key());
    assert_eq!(header.nonce, counting_nonce());
    let payload = CookieRequest::from_bytes(
        &boxed_key.open(&header.nonce, &packet[CookieRequestHeader::LEN..]).unwrap(),
    )
    .unwrap();
    assert_eq!(payload.key, SecretKey::from_bytes([3; 32]).public_key());
    assert_eq!(header.seal(&key(1, 2), &payload), packet);
}

#[test]
fn golden_cookie_response() {
    let packet = golden(concat!(
        "19000102030405060708090a0b0c0d0e0f101112131415161776d88910aef703542a97d96bef8039bcf3de92",
        "d28b20f727a84769d6dd8d16e9cac26df7b2a6da6310514a333101fdadd77cd499498507c0aa97cc59c5b99e",
        "e9d4b8e053c7927a5a6767be186e949ad7329e891f1399bbe5618e7592fc7d7562ff70e873b3c371e37d4283",
        "64db09d5f6ceba8ede91eae010962073d0bb2d246754d1c097348129a8"
    ));
    let header = CookieResponseHeader::split(&mut packet.clone()).unwrap().0;
    let plain = key(1, 2).open(&header.nonce, &packet[CookieResponseHeader::LEN..]).unwrap();
    let payload = CookieResponse::from_bytes(&plain).unwrap();
    assert_eq!(header.seal(&key(2, 1), &payload), packet);
}

#[test]
fn golden_handshake_and_first_data() {
    let packet = golden(concat!(
        "1a11111111111111111111111111111111111111111111111111111111111111111111111111111111111111",
        "1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111",
        "11111111111111111111111111111111111111111111111111000102030405060708090a0b0c0d0e0f101112",
        "1314151617b7d999734affa65d0c1e04b206be71a9fae24c1008cb1cba6d8c02bd228a8bfdf5f2dbb04ff6e9",
        "839468628f651235933ea2396ed921bca412ca7e5b4ce9dfd5c34a5aefe6bd2df39d34ddcdbe277820223917",
        "652a596e30f410376e8b07369a9101d52f26a7b3ee4eafafa34a294c8f770aa1493620a52bc77d306bc18df5",
        "a280c1f6be3684ad12b856865694ce13052edca62c8f6ea1ee742500e0579f25e07615a2b587fa3297773688",
        "9413d085cf05e902c62e5b086d9f80747998618c0f13f9548848d87096e73beaa46f6b25290ece940c0de74b",
        "060625afe0549a3169e67efcf664a635bbac4c4e5843ab09aedc31af38c0ab2d51"
    ));
    let header = HandshakeHeader::split(&mut packet.clone()).unwrap().0;
    let plain = key(4, 3).open(&header.nonce, &packet[HandshakeHeader::LEN..]).unwrap();
    let payload = Handshake::from_bytes(&plain).unwrap();
    assert_eq!(payload.cookie_hash, header.cookie.hash());
    assert_eq!(payload.session_key, SecretKey::from_bytes([5; 32]).public_key());
    assert_eq!(header.seal(&key(3, 4), &payload), packet);

    let data = golden("1b33337a36e5793cfb90261be6cfd7d9dcffa65815f285573f814a3e913fb825");
    let header = DataHeader { received: 0, number: 0 };
    let sealed =
        seal_crypto_data(&key(5, 6), &payload.base_nonce, header, data_id::ALIVE, [&[], &[]]);
    assert_eq!(sealed, data);
}
