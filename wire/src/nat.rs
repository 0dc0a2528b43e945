//! NAT ping: asks a node, through others that know it, whether it wants to be reached too (Tox
//! Reference, "NAT ping"). It travels in a DHT request.

use crate::codec::{Decode, DecodeError, Encode, Reader};

/// Inner kind of a NAT ping in a DHT request.
pub const NAT_PING: u8 = 0xfe;

/// Inner kind 1, direction 1, id 8.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NatPing {
    /// False for a request, true for its response.
    pub response: bool,
    /// Chosen by the requester; it must not be guessable.
    pub id: u64,
}

impl NatPing {
    /// Length in bytes.
    pub const LEN: usize = 10;
}

impl Encode for NatPing {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(NAT_PING);
        out.push(u8::from(self.response));
        out.extend_from_slice(&self.id.to_be_bytes());
    }
}

impl<'a> Decode<'a> for NatPing {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.kind(NAT_PING)?;
        let response = match reader.u8()? {
            0 => false,
            1 => true,
            _ => return Err(DecodeError::Invalid("NAT ping direction")),
        };
        Ok(Self { response, id: reader.u64()? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn round_trips_and_refuses_prefixes(response: bool, id: u64) {
            let ping = NatPing { response, id };
            let bytes = ping.to_bytes();
            prop_assert_eq!(NatPing::from_bytes(&bytes), Ok(ping));
            prop_assert!((0..bytes.len()).all(|len| NatPing::from_bytes(&bytes[..len]).is_err()));
        }

        #[test]
        fn accepted_bytes_encode_to_themselves(bytes: [u8; NatPing::LEN]) {
            if let Ok(ping) = NatPing::from_bytes(&bytes) {
                prop_assert_eq!(ping.to_bytes(), bytes);
            }
        }
    }
}
