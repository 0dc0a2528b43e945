//! X25519 keys (Tox Reference, "Crypto"): public keys, secret keys, and the secret two of them share.

use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::rng::Rng;

/// An X25519 public key: 32 bytes. Ordered by its bytes; equality is not constant-time, for it is public.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PublicKey(pub [u8; Self::LEN]);

impl PublicKey {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// The key's bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The bitwise XOR with another key: the distance of Kademlia and of Tox's DHT, to be compared
    /// as a big-endian number (Tox Reference, "Distance").
    pub fn distance(&self, other: &Self) -> [u8; Self::LEN] {
        core::array::from_fn(|i| self.0[i] ^ other.0[i])
    }

    /// How many leading bits the two keys share: 0 to 256.
    pub fn common_prefix_bits(&self, other: &Self) -> u32 {
        let mut bits = 0;
        for (a, b) in self.0.iter().zip(&other.0) {
            let zeros = (a ^ b).leading_zeros();
            bits += zeros;
            if zeros < 8 {
                break;
            }
        }
        bits
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Reads exactly `N` bytes of hexadecimal in either case.
pub(crate) fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], ParseKeyError> {
    if text.len() != 2 * N {
        return Err(ParseKeyError::Length { expected: 2 * N, got: text.len() });
    }
    let mut bytes = [0; N];
    for (index, digit) in text.bytes().enumerate() {
        let value = (digit as char).to_digit(16).ok_or(ParseKeyError::Digit { position: index })?;
        bytes[index / 2] = bytes[index / 2] << 4 | value as u8;
    }
    Ok(bytes)
}

/// Why a text is no key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseKeyError {
    /// Too long or too short.
    #[error("{got} characters where {expected} hexadecimal digits are expected")]
    Length {
        /// Hexadecimal digits of such a key.
        expected: usize,
        /// Bytes of the text.
        got: usize,
    },
    /// Not a hexadecimal digit.
    #[error("no hexadecimal digit at position {position} (counted from 0)")]
    Digit {
        /// Byte offset of the offending character.
        position: usize,
    },
    /// The checksum at the end of a Tox ID is wrong.
    #[error("checksum fails: a letter of the id is wrong")]
    Checksum,
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0[..4], f)?;
        f.write_str("…")
    }
}

impl core::str::FromStr for PublicKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        parse_hex(text).map(Self)
    }
}

impl Encode for PublicKey {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

impl<'a> Decode<'a> for PublicKey {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.array().map(Self)
    }
}

/// An X25519 secret key. Never printed, wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// A key from its 32 bytes; clamping happens at use.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The secret bytes: for saving a key, nothing else.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The public key that belongs to it.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(x25519_dalek::x25519(self.0, x25519_dalek::X25519_BASEPOINT_BYTES))
    }

    /// The secret shared with `peer`: HSalsa20 over the X25519 product, as NaCl's `crypto_box_beforenm`.
    /// One Diffie–Hellman costs tens of microseconds: keep the result.
    ///
    /// A `peer` of small order (0, for one) gives a secret that everyone knows, as in NaCl, where
    /// libsodium refuses. It harms nobody but its owner: who claims such a key shares it with all.
    pub fn shared_key(&self, peer: &PublicKey) -> SharedKey {
        let mut product = x25519_dalek::x25519(self.0, peer.0);
        let shared = SharedKey(crate::sealed::hsalsa20(&product));
        product.zeroize();
        shared
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// A secret key and its public key.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// The public half.
    pub public: PublicKey,
    /// The secret half.
    pub secret: SecretKey,
}

impl KeyPair {
    /// A fresh pair from the generator handed in.
    pub fn generate(rng: &mut Rng) -> Self {
        Self::from_secret(SecretKey::from_bytes(rng.bytes()))
    }

    /// The pair of a known secret key.
    pub fn from_secret(secret: SecretKey) -> Self {
        Self { public: secret.public_key(), secret }
    }
}

/// A symmetric key for sealed boxes: precomputed between two keys, or random.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SharedKey(pub(crate) [u8; 32]);

impl SharedKey {
    /// A symmetric key from its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A random symmetric key (cookies and other boxes only their maker opens).
    pub fn generate(rng: &mut Rng) -> Self {
        Self(rng.bytes())
    }
}

impl PartialEq for SharedKey {
    /// Constant-time.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SharedKey {}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_bits_count_to_256() {
        let a = PublicKey([0; 32]);
        let mut b = a;
        assert_eq!(a.common_prefix_bits(&b), 256);
        b.0[1] = 0x10;
        assert_eq!(a.common_prefix_bits(&b), 11);
    }

    #[test]
    fn text_form_round_trips_and_says_where_it_is_wrong() {
        let key = PublicKey([0xab; 32]);
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!(key.to_string().to_uppercase().parse(), Ok(key));
        let bad = format!("x{}", &key.to_string()[1..]);
        assert_eq!(bad.parse::<PublicKey>(), Err(ParseKeyError::Digit { position: 0 }));
        assert_eq!("ab".parse::<PublicKey>(), Err(ParseKeyError::Length { expected: 64, got: 2 }));
    }
}
