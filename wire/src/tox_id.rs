//! The Tox ID: what a person gives to another to be found (Tox Reference, "Tox ID").

use core::fmt;
use core::str::FromStr;

use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::key::{ParseKeyError, PublicKey, hex, parse_hex};

/// A long-term public key, a nospam number that friend requests must show, and a checksum:
/// 38 bytes, 76 hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ToxId {
    /// The person's long-term key.
    pub key: PublicKey,
    /// Changed to stop unwanted friend requests.
    pub nospam: [u8; 4],
}

impl ToxId {
    /// Length in bytes.
    pub const LEN: usize = 38;

    /// The XOR of the even and of the odd bytes of key and nospam.
    fn checksum(&self) -> [u8; 2] {
        let mut sum = [0; 2];
        for (i, byte) in self.key.0.iter().chain(&self.nospam).enumerate() {
            sum[i % 2] ^= byte;
        }
        sum
    }
}

impl Encode for ToxId {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.key.encode(out);
        out.extend_from_slice(&self.nospam);
        out.extend_from_slice(&self.checksum());
    }
}

impl<'a> Decode<'a> for ToxId {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let id = Self { key: PublicKey::decode(reader)?, nospam: reader.array()? };
        if reader.array::<2>()? == id.checksum() {
            Ok(id)
        } else {
            Err(DecodeError::Invalid("Tox ID checksum"))
        }
    }
}

impl fmt::Display for ToxId {
    /// Upper-case, as Tox clients show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_bytes().iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl FromStr for ToxId {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let bytes = parse_hex::<{ Self::LEN }>(text)?;
        Self::from_bytes(&bytes).map_err(|_| ParseKeyError::Checksum)
    }
}

impl fmt::LowerHex for ToxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.to_bytes(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_and_a_wrong_letter_is_told() {
        let id = ToxId { key: PublicKey([0x5a; 32]), nospam: [1, 2, 3, 4] };
        let text = id.to_string();
        assert_eq!(text.len(), 76);
        assert_eq!(text.parse(), Ok(id));
        let wrong = text.replacen("5A", "5B", 1);
        assert_eq!(wrong.parse::<ToxId>(), Err(ParseKeyError::Checksum));
    }
}
