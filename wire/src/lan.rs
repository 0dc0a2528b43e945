//! LAN discovery: a node shouts its DHT key into the local network (Tox Reference, "LAN discovery").

use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::key::PublicKey;

/// Packet kind of a LAN discovery.
pub const LAN_DISCOVERY: u8 = 0x21;

/// Kind 1, DHT key 32.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LanDiscovery {
    /// The sender's DHT key. Nothing proves it: whoever is interested asks that node.
    pub key: PublicKey,
}

impl LanDiscovery {
    /// Length in bytes.
    pub const LEN: usize = 1 + PublicKey::LEN;
}

impl Encode for LanDiscovery {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(LAN_DISCOVERY);
        self.key.encode(out);
    }
}

impl<'a> Decode<'a> for LanDiscovery {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.kind(LAN_DISCOVERY)?;
        Ok(Self { key: PublicKey::decode(reader)? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn round_trips_and_refuses_prefixes(key: [u8; 32]) {
            let packet = LanDiscovery { key: PublicKey(key) };
            let bytes = packet.to_bytes();
            prop_assert_eq!(LanDiscovery::from_bytes(&bytes), Ok(packet));
            for len in 0..bytes.len() {
                prop_assert!(LanDiscovery::from_bytes(&bytes[..len]).is_err());
            }
        }
    }
}
