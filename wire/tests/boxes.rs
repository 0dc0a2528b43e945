//! Sealed boxes are NaCl's: the vector of its own tests, which libsodium publishes too.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use toktok_wire::{KeyPair, Nonce, PublicKey, SecretKey, SharedKey};

/// The lines `name hex` of the vector file.
fn vector() -> BTreeMap<&'static str, Vec<u8>> {
    include_str!("vectors/nacl_box.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once(' ').expect("name and hex"))
        .map(|(name, hex)| (name, HEXLOWER.decode(hex.as_bytes()).expect("hex")))
        .collect()
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the right length")
}

#[test]
fn keys_and_the_secret_they_share_are_those_of_nacl() {
    let vector = vector();
    let alice = KeyPair::from_secret(SecretKey::from_bytes(array(&vector["alice_secret"])));
    let bob = KeyPair::from_secret(SecretKey::from_bytes(array(&vector["bob_secret"])));
    assert_eq!(alice.public, PublicKey(array(&vector["alice_public"])));
    assert_eq!(bob.public, PublicKey(array(&vector["bob_public"])));
    let shared = SharedKey::from_bytes(array(&vector["shared"]));
    assert_eq!(alice.secret.shared_key(&bob.public), shared);
    assert_eq!(bob.secret.shared_key(&alice.public), shared);
}

#[test]
fn boxes_are_those_of_nacl_and_any_damage_shows() {
    let vector = vector();
    let key = SharedKey::from_bytes(array(&vector["shared"]));
    let nonce = Nonce(array(&vector["nonce"]));
    let (plain, boxed) = (&vector["plain"], &vector["boxed"]);
    assert_eq!(&key.seal(&nonce, plain), boxed);
    assert_eq!(key.open(&nonce, boxed).as_ref(), Ok(plain));
    assert!(key.open(&nonce.plus(1), boxed).is_err());
    for bit in 0..boxed.len() * 8 {
        let mut damaged = boxed.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let before = damaged.clone();
        assert!(key.open_in_place(&nonce, &mut damaged).is_err(), "bit {bit}");
        assert_eq!(damaged, before, "a box that does not open is left as it was");
    }
    for len in 0..boxed.len() {
        assert!(key.open(&nonce, &boxed[..len]).is_err(), "{len} bytes");
    }
}

#[test]
fn a_key_of_small_order_still_gives_a_box_of_its_own() {
    // NaCl's crypto_box does not refuse them either: the shared key is then no secret.
    let key = SecretKey::from_bytes([7; 32]).shared_key(&PublicKey([0; 32]));
    assert_eq!(key, SecretKey::from_bytes([8; 32]).shared_key(&PublicKey([0; 32])));
    let nonce = Nonce([1; 24]);
    assert_eq!(key.open(&nonce, &key.seal(&nonce, b"public")), Ok(b"public".to_vec()));
}
