//! How the bytes of a file become blocks that nobody can read: one ChaCha20 key a position.
//!
//! There is no tag: a block's address already authenticates its ciphertext. A key is used for one
//! position of one file only, so the nonce is zero (RFC 8439, section 2.4).
//!
//! A file has two keys. The *read key* decrypts the content. The *verify key* is derived from it and
//! opens the root and the index only: enough to find every block, to check it, to repair what is
//! missing (parity is computed over ciphertext) and so to keep a file alive, and not enough to read it.

use core::fmt;

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use toktok_wire::Rng;
use zeroize::Zeroizing;

/// Domain of the verify key under the read key (BLAKE3 `derive_key` context).
const VERIFY_CONTEXT: &str = "toktok tdfs 2026-11 verify key of a read key";
/// Domain of the key that encrypts content, under the read key.
const CONTENT_CONTEXT: &str = "toktok tdfs 2026-11 content key of a read key";
/// Domain of the key of one position, under a content or verify key.
const POSITION_CONTEXT: &str = "toktok tdfs 2026-11 block key of a position";
/// Domain of a convergent read key, under a user's secret and the content's hash.
const CONVERGENT_CONTEXT: &str = "toktok tdfs 2026-11 convergent read key";

/// Length of every key here, in bytes.
pub const KEY_LEN: usize = 32;

/// Where in a file a block stands; no two blocks of a file share a position.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Position {
    /// 0 is the content, 1 the index above it, and so on; [`Position::ROOT`] is the root.
    pub level: u8,
    /// The segment within the level.
    pub segment: u64,
    /// The block within the segment: data blocks first, then parity.
    pub index: u16,
}

impl Position {
    /// The root block.
    pub const ROOT: Self = Self { level: u8::MAX, segment: 0, index: 0 };
    /// The content that lies in the root block itself.
    pub const INLINE: Self = Self { level: u8::MAX, segment: 0, index: 1 };

    /// The key of this position under `key`.
    fn key(self, key: &[u8; KEY_LEN]) -> Zeroizing<[u8; KEY_LEN]> {
        let mut hasher = blake3::Hasher::new_derive_key(POSITION_CONTEXT);
        hasher.update(key);
        hasher.update(&[self.level]);
        hasher.update(&self.segment.to_be_bytes());
        hasher.update(&self.index.to_be_bytes());
        Zeroizing::new(*hasher.finalize().as_bytes())
    }
}

/// Encrypts or decrypts `bytes` in place: ChaCha20 is its own inverse.
fn apply(key: &[u8; KEY_LEN], position: Position, bytes: &mut [u8]) {
    let key = position.key(key);
    ChaCha20::new((&*key).into(), &[0; 12].into()).apply_keystream(bytes);
}

/// A key of which nothing is shown and which is wiped when dropped.
macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Eq, PartialEq)]
        pub struct $name(Zeroizing<[u8; KEY_LEN]>);

        impl $name {
            /// The key with these bytes.
            pub fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
                Self(Zeroizing::new(bytes))
            }

            /// The bytes. They are the secret: show them to nobody.
            pub fn as_bytes(&self) -> &[u8; KEY_LEN] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

secret! {
    /// Decrypts a file's content; the verify key follows from it.
    ReadKey
}

secret! {
    /// Opens a file's root and index, and nothing of its content.
    VerifyKey
}

impl ReadKey {
    /// A random key: two uploads of the same bytes have nothing in common.
    pub fn random(rng: &mut Rng) -> Self {
        Self::from_bytes(rng.bytes())
    }

    /// A key that follows from a user's secret and the content, so that this user's second upload of
    /// the same bytes makes the same blocks. Without the secret nobody can test a guess at the content.
    pub fn convergent(secret: &[u8; KEY_LEN], kind: u8, content: &blake3::Hash) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONVERGENT_CONTEXT);
        hasher.update(secret);
        hasher.update(&[kind]);
        hasher.update(content.as_bytes());
        Self::from_bytes(*hasher.finalize().as_bytes())
    }

    /// The verify key of the same file.
    pub fn verify_key(&self) -> VerifyKey {
        VerifyKey::from_bytes(blake3::derive_key(VERIFY_CONTEXT, self.as_bytes()))
    }
}

/// The keys at work on one file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileKeys {
    verify: VerifyKey,
    content: Option<Zeroizing<[u8; KEY_LEN]>>,
}

impl FileKeys {
    /// The keys of somebody who may read.
    pub fn reader(key: &ReadKey) -> Self {
        let content = Zeroizing::new(blake3::derive_key(CONTENT_CONTEXT, key.as_bytes()));
        Self { verify: key.verify_key(), content: Some(content) }
    }

    /// The keys of somebody who may only verify and repair.
    pub fn verifier(key: &VerifyKey) -> Self {
        Self { verify: key.clone(), content: None }
    }

    /// True if content can be decrypted.
    pub const fn can_read(&self) -> bool {
        self.content.is_some()
    }

    /// Encrypts or decrypts the structure of a file: its root, its index, and every parity block.
    pub fn apply_structure(&self, position: Position, bytes: &mut [u8]) {
        apply(self.verify.as_bytes(), position, bytes);
    }

    /// Encrypts or decrypts a data block of level `position.level`. False, and the bytes are left
    /// alone, if that level is content and only the verify key is known.
    pub fn apply_data(&self, position: Position, bytes: &mut [u8]) -> bool {
        let is_content = position.level == 0 || position == Position::INLINE;
        match (&self.content, is_content) {
            (_, false) => self.apply_structure(position, bytes),
            (Some(content), true) => apply(content, position, bytes),
            (None, true) => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Position = Position { level: 0, segment: 3, index: 9 };

    #[test]
    fn the_cipher_is_its_own_inverse_and_each_position_has_its_own_key() {
        let keys = FileKeys::reader(&ReadKey::from_bytes([1; 32]));
        let mut here = [5; 100];
        assert!(keys.apply_data(AT, &mut here));
        let mut there = [5; 100];
        assert!(keys.apply_data(Position { index: 10, ..AT }, &mut there));
        assert_ne!(here, there);
        assert!(keys.apply_data(AT, &mut here));
        assert_eq!(here, [5; 100]);
    }

    #[test]
    fn a_verifier_opens_the_structure_and_no_content() {
        let read = ReadKey::from_bytes([1; 32]);
        let (reader, verifier) = (FileKeys::reader(&read), FileKeys::verifier(&read.verify_key()));
        assert!(reader.can_read() && !verifier.can_read());
        let mut bytes = [5; 64];
        reader.apply_structure(Position::ROOT, &mut bytes);
        verifier.apply_structure(Position::ROOT, &mut bytes);
        assert_eq!(bytes, [5; 64]);
        for position in [AT, Position::INLINE] {
            assert!(!verifier.apply_data(position, &mut bytes));
        }
        assert!(verifier.apply_data(Position { level: 1, ..AT }, &mut bytes));
    }

    #[test]
    fn the_key_stream_is_rfc_8439s() {
        // RFC 8439, A.1, test vector 1: the key stream of an all-zero key and nonce, counter 0.
        let mut stream = [0; 16];
        ChaCha20::new(&[0; 32].into(), &[0; 12].into()).apply_keystream(&mut stream);
        let expected = data_encoding::HEXLOWER.decode(b"76b8e0ada0f13d90405d6ae55386bd28").unwrap();
        assert_eq!(stream.as_slice(), expected);
    }

    #[test]
    fn a_convergent_key_needs_the_secret_and_the_content() {
        let hash = blake3::hash(b"content");
        let key = ReadKey::convergent(&[1; 32], 0, &hash);
        assert_eq!(key, ReadKey::convergent(&[1; 32], 0, &hash));
        assert_ne!(key, ReadKey::convergent(&[2; 32], 0, &hash));
        assert_ne!(key, ReadKey::convergent(&[1; 32], 0, &blake3::hash(b"another")));
        assert_eq!(format!("{key:?}"), "ReadKey(…)");
    }
}
