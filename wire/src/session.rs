//! Packets of encrypted sessions, c-toxcore's `net_crypto` (Tox Reference, "Net crypto"; where it is
//! wrong or silent, research note `tox.md` 1.6): cookie request and response, handshake, crypto data.
//!
//! Each packet is a plain header and one sealed box. A header's `split` checks the exact length before
//! any cryptography; what the opened box contains is a type of its own.

use crate::codec::DecodeError;
use crate::sealed::TAG_LEN;

pub mod cookie;
pub mod data;
pub mod handshake;

pub use cookie::{
    Cookie, CookieContents, CookieRequest, CookieRequestHeader, CookieResponse,
    CookieResponseHeader,
};
pub use data::{CryptoData, DataHeader, PacketRequest, seal_crypto_data, split_crypto_data};
pub use handshake::{Handshake, HandshakeHeader};

/// Packet kind of a cookie request.
pub const COOKIE_REQUEST: u8 = 0x18;
/// Packet kind of a cookie response.
pub const COOKIE_RESPONSE: u8 = 0x19;
/// Packet kind of a handshake.
pub const HANDSHAKE: u8 = 0x1a;
/// Packet kind of crypto data.
pub const CRYPTO_DATA: u8 = 0x1b;

/// Longest crypto data packet.
pub const MAX_CRYPTO_PACKET: usize = 1400;
/// Bytes of a crypto data packet that are neither padding nor data.
pub const CRYPTO_OVERHEAD: usize = 1 + 2 + TAG_LEN + DataHeader::LEN;
/// Longest data of one crypto packet, its data id included: 1373 bytes.
pub const MAX_CRYPTO_DATA: usize = MAX_CRYPTO_PACKET - CRYPTO_OVERHEAD;

/// Data ids: what is inside a crypto data packet (research note 1.6).
pub mod data_id {
    use core::ops::RangeInclusive;

    /// Padding in front of the data id.
    pub const PADDING: u8 = 0;
    /// Names the packets that are missing and acknowledges the others.
    pub const REQUEST: u8 = 1;
    /// Ends the session.
    pub const KILL: u8 = 2;
    /// Delivered once and in order.
    pub const LOSSLESS: RangeInclusive<u8> = 16..=191;
    /// Delivered if it arrives.
    pub const LOSSY: RangeInclusive<u8> = 192..=254;
    /// "I am here", every eight seconds (friend connections).
    pub const ALIVE: u8 = 16;
    /// Lossless packets that Tox leaves to applications.
    pub const LOSSLESS_CUSTOM: RangeInclusive<u8> = 160..=191;
    /// Lossy packets that Tox leaves to applications.
    pub const LOSSY_CUSTOM: RangeInclusive<u8> = 200..=254;
    /// TokTok: [`crate::channel::Hello`].
    pub const HELLO: u8 = 160;
    /// TokTok: [`crate::channel::Frame`].
    pub const CHANNEL: u8 = 161;
}

/// Splits a datagram of exactly `len` bytes and of one kind after `head` bytes.
fn split_exact(
    packet: &mut [u8],
    kind: u8,
    head: usize,
    len: usize,
) -> Result<(&[u8], &mut [u8]), DecodeError> {
    let have = packet.len();
    match packet.first() {
        None => return Err(DecodeError::Truncated { need: len, have }),
        Some(&first) if first != kind => return Err(DecodeError::Kind(first)),
        Some(_) if have < len => return Err(DecodeError::Truncated { need: len, have }),
        Some(_) if have > len => return Err(DecodeError::Trailing(have - len)),
        Some(_) => {}
    }
    let (head, boxed) = packet.split_at_mut(head);
    Ok((head, boxed))
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
