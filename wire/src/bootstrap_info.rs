//! Bootstrap info: what a node says of itself to anyone who asks, unsealed (Tox Reference,
//! "Bootstrap node info"; research note `tox.md` 1.2, for the Reference's table is wrong here).

use crate::codec::{Decode, DecodeError, Encode, Reader};

/// Packet kind of the request and of the response.
pub const BOOTSTRAP_INFO: u8 = 0xf0;

/// Longest message of the day, in bytes, a trailing NUL included.
pub const MAX_MOTD: usize = 256;

/// The request: kind 1 and 77 bytes that nobody reads, for the response shall not be much longer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BootstrapInfoRequest;

impl BootstrapInfoRequest {
    /// The exact length in bytes.
    pub const LEN: usize = 78;
}

impl Encode for BootstrapInfoRequest {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(BOOTSTRAP_INFO);
        out.extend_from_slice(&[0; Self::LEN - 1]);
    }
}

impl<'a> Decode<'a> for BootstrapInfoRequest {
    /// The 77 bytes behind the kind may be anything.
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.kind(BOOTSTRAP_INFO)?;
        reader.take(Self::LEN - 1)?;
        Ok(Self)
    }
}

/// The response: kind 1, version 4, and a message of the day up to the packet's end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BootstrapInfo<'a> {
    /// The program's version, in its own numbering.
    pub version: u32,
    /// The message of the day, as it came: perhaps no UTF-8, perhaps ended by a NUL.
    pub motd: &'a [u8],
}

impl BootstrapInfo<'_> {
    /// The message without a trailing NUL; empty if it is no UTF-8.
    pub fn text(&self) -> &str {
        let motd = self.motd.strip_suffix(&[0]).unwrap_or(self.motd);
        core::str::from_utf8(motd).unwrap_or_default()
    }
}

impl Encode for BootstrapInfo<'_> {
    fn encoded_len(&self) -> usize {
        1 + 4 + self.motd.len().min(MAX_MOTD)
    }

    /// Bytes of the message beyond [`MAX_MOTD`] are left out.
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(BOOTSTRAP_INFO);
        out.extend_from_slice(&self.version.to_be_bytes());
        out.extend_from_slice(&self.motd[..self.motd.len().min(MAX_MOTD)]);
    }
}

impl<'a> Decode<'a> for BootstrapInfo<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.kind(BOOTSTRAP_INFO)?;
        let version = reader.u32()?;
        let motd = reader.take_rest();
        if motd.len() > MAX_MOTD {
            let (limit, got) = (MAX_MOTD, motd.len());
            return Err(DecodeError::Limit { what: "message of the day", limit, got });
        }
        Ok(Self { version, motd })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn responses_round_trip(version: u32, motd in prop::collection::vec(any::<u8>(), 0..=256)) {
            let info = BootstrapInfo { version, motd: &motd };
            let bytes = info.to_bytes();
            prop_assert_eq!(BootstrapInfo::from_bytes(&bytes), Ok(info));
            prop_assert!((0..5).all(|len| BootstrapInfo::from_bytes(&bytes[..len]).is_err()));
        }
    }

    #[test]
    fn a_request_is_exactly_78_bytes() {
        let bytes = BootstrapInfoRequest.to_bytes();
        assert_eq!(bytes.len(), 78);
        assert!(BootstrapInfoRequest::from_bytes(&[0xf0; 78]).is_ok());
        assert!(BootstrapInfoRequest::from_bytes(&bytes[..77]).is_err());
        assert!(BootstrapInfoRequest::from_bytes(&[0xf0; 79]).is_err());
    }

    #[test]
    fn a_message_that_is_too_long_is_refused_and_a_nul_is_cut() {
        assert!(BootstrapInfo::from_bytes(&[0xf0; 5 + MAX_MOTD + 1]).is_err());
        assert_eq!(BootstrapInfo { version: 0, motd: b"hello\0" }.text(), "hello");
        assert_eq!(BootstrapInfo { version: 0, motd: &[0xff] }.text(), "");
    }
}
