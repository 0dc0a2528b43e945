//! Nonces: 24 bytes, a big-endian number that is counted up (Tox Reference, "Nonce").

use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::rng::Rng;

/// A 24-byte nonce.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Nonce(pub [u8; Self::LEN]);

impl Nonce {
    /// Length in bytes.
    pub const LEN: usize = 24;

    /// A random nonce.
    pub fn generate(rng: &mut Rng) -> Self {
        Self(rng.bytes())
    }

    /// The nonce `count` further on; the 192-bit number wraps.
    #[must_use]
    pub fn plus(mut self, count: u32) -> Self {
        let mut carry = u64::from(count);
        for byte in self.0.iter_mut().rev() {
            if carry == 0 {
                break;
            }
            carry += u64::from(*byte);
            *byte = carry as u8;
            carry >>= 8;
        }
        self
    }

    /// The last two bytes as a number: what a crypto data packet shows of its nonce.
    pub const fn low_u16(&self) -> u16 {
        u16::from_be_bytes([self.0[22], self.0[23]])
    }
}

impl Encode for Nonce {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

impl<'a> Decode<'a> for Nonce {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.array().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_big_endian_and_wraps() {
        assert_eq!(Nonce([0xff; 24]).plus(1), Nonce([0; 24]));
        let mut expected = [0; 24];
        expected[22] = 1;
        assert_eq!(Nonce([0; 24]).plus(256), Nonce(expected));
        let mut low = [0; 24];
        low[22] = 0xff;
        low[23] = 0xff;
        assert_eq!(Nonce(low).low_u16(), 0xffff);
        assert_eq!(Nonce(low).plus(1).low_u16(), 0);
        assert_eq!(Nonce(low).plus(1).0[21], 1);
    }
}
