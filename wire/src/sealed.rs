//! Sealed boxes as Tox defines them (Tox Reference, "Crypto"): X25519, HSalsa20, XSalsa20-Poly1305 in
//! NaCl's "easy" layout, the 16-byte authenticator before the ciphertext.
//!
//! The same construction serves `crypto_box` (a [`SharedKey`] precomputed between two keys) and
//! `crypto_secretbox` (a random one): only where the key comes from differs.

use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::codec::Encode;
use crate::key::SharedKey;
use crate::nonce::Nonce;
use crate::poly1305;
use crate::salsa::KeyStream;

/// Bytes that a box adds to its plaintext.
pub const TAG_LEN: usize = poly1305::TAG_LEN;

/// The box was not sealed with this key and nonce, or was damaged on the way.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the box does not open: forged, damaged, or sealed for another key")]
pub struct Forged;

/// HSalsa20 of `input` as key and a zero nonce: the last step of `crypto_box_beforenm`.
pub(crate) fn hsalsa20(input: &[u8; 32]) -> [u8; 32] {
    crate::salsa::hsalsa20(input, &[0; 16])
}

/// A packet of a plain header and one box: `header`, then `payload` sealed with `key` and `nonce`.
pub(crate) fn seal_packet<H: Encode, P: Encode>(
    header: &H,
    nonce: &Nonce,
    key: &SharedKey,
    payload: &P,
) -> Vec<u8> {
    let head = header.encoded_len();
    let mut out = Vec::with_capacity(head + TAG_LEN + payload.encoded_len());
    header.encode(&mut out);
    out.resize(head + TAG_LEN, 0);
    payload.encode(&mut out);
    key.seal_in_place(nonce, &mut out[head..]);
    out
}

impl SharedKey {
    /// Seals in place what stands in `out` from `start` on: that part becomes authenticator and
    /// ciphertext, [`TAG_LEN`] bytes longer. What stands before `start` (a packet's header) is untouched.
    pub fn seal_suffix(&self, nonce: &Nonce, out: &mut Vec<u8>, start: usize) {
        let start = start.min(out.len());
        let plain_len = out.len() - start;
        out.resize(out.len() + TAG_LEN, 0);
        out.copy_within(start..start + plain_len, start + TAG_LEN);
        self.seal_in_place(nonce, &mut out[start..]);
    }

    /// Makes a box in place: the plaintext stands behind room for the authenticator, [`TAG_LEN`] bytes.
    /// Less than that is no room for a box, and left as it is.
    pub fn seal_in_place(&self, nonce: &Nonce, room: &mut [u8]) {
        let Some((tag, body)) = room.split_first_chunk_mut::<TAG_LEN>() else { return };
        let stream = KeyStream::new(&self.0, &nonce.0);
        let mac_key = *stream.mac_key();
        stream.apply(body);
        *tag = poly1305::authenticate(&mac_key, body);
    }

    /// A box of `plain` in a fresh vector.
    pub fn seal(&self, nonce: &Nonce, plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(plain.len() + TAG_LEN);
        out.extend_from_slice(plain);
        self.seal_suffix(nonce, &mut out, 0);
        out
    }

    /// Opens a box in place and returns the plaintext, which lies behind its first [`TAG_LEN`] bytes.
    /// A box that does not open is left as it was.
    ///
    /// # Errors
    /// [`Forged`] if the authenticator is wrong or the box is shorter than one.
    pub fn open_in_place<'a>(
        &self,
        nonce: &Nonce,
        boxed: &'a mut [u8],
    ) -> Result<&'a mut [u8], Forged> {
        let (tag, body) = boxed.split_at_mut_checked(TAG_LEN).ok_or(Forged)?;
        let stream = KeyStream::new(&self.0, &nonce.0);
        let expected = poly1305::authenticate(stream.mac_key(), body);
        if bool::from(expected.as_slice().ct_eq(tag)) {
            stream.apply(body);
            Ok(body)
        } else {
            Err(Forged)
        }
    }

    /// Opens a box into a fresh vector.
    ///
    /// # Errors
    /// As [`SharedKey::open_in_place`].
    pub fn open(&self, nonce: &Nonce, boxed: &[u8]) -> Result<Vec<u8>, Forged> {
        let mut copy = boxed.to_vec();
        self.open_in_place(nonce, &mut copy).map(|plain| plain.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{PublicKey, SecretKey};

    #[test]
    fn opens_what_it_sealed_and_nothing_else() {
        let a = SecretKey::from_bytes([1; 32]);
        let b = SecretKey::from_bytes([2; 32]);
        let key = a.shared_key(&b.public_key());
        assert_eq!(key, b.shared_key(&a.public_key()));
        let nonce = Nonce([3; 24]);
        let mut packet = b"header".to_vec();
        packet.extend_from_slice(b"secret");
        key.seal_suffix(&nonce, &mut packet, 6);
        assert_eq!(&packet[..6], b"header");
        assert_eq!(key.open(&nonce, &packet[6..]), Ok(b"secret".to_vec()));
        packet[7] ^= 1;
        assert_eq!(key.open(&nonce, &packet[6..]), Err(Forged));
        assert_eq!(key.open(&nonce, &[]), Err(Forged));
    }

    #[test]
    fn an_empty_message_has_a_box_of_its_own() {
        let key = SecretKey::from_bytes([1; 32]).shared_key(&PublicKey([9; 32]));
        let boxed = key.seal(&Nonce([0; 24]), b"");
        assert_eq!(boxed.len(), TAG_LEN);
        assert_eq!(key.open(&Nonce([0; 24]), &boxed), Ok(Vec::new()));
    }
}
