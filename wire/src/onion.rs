//! Onion packets: requests that travel through three nodes, of which none knows both ends, and the
//! responses that travel back (Tox Reference, "Onion"; where it is wrong or silent, research note
//! `tox.md` 1.3).
//!
//! - [`path`]: what the three hops handle: layers on the way out, return data on the way back.
//! - [`announce`]: a key is announced to, or searched at, the node behind the path.
//! - [`data`]: that node hands data to a key that is announced there.

use crate::codec::DecodeError;

pub mod announce;
pub mod data;
pub mod path;

pub use announce::{
    AnnounceRequest, AnnounceRequestHeader, AnnounceResponse, AnnounceResponseHeader,
    ExtendedAnnounceResponse, Stored,
};
pub use data::{DataRequestHeader, DataResponseHeader, DhtKeyAnnounce, OnionData, RoutedDhtKey};
pub use path::{Hop, LastLayer, Layer, OnionResponse, ReturnPath, SendHeader, split_request};

/// Packet kind of an announce request.
pub const ANNOUNCE_REQUEST: u8 = 0x83;
/// Packet kind of the response to it.
pub const ANNOUNCE_RESPONSE: u8 = 0x84;
/// Packet kind of a data request: data for a key that is announced at the receiver.
pub const DATA_REQUEST: u8 = 0x85;
/// Packet kind of a data response, which is a data request on its way to the announced key.
pub const DATA_RESPONSE: u8 = 0x86;
/// Packet kind of an announce request that may carry extra data.
pub const EXTENDED_ANNOUNCE_REQUEST: u8 = 0x87;
/// Packet kind of the response to it.
pub const EXTENDED_ANNOUNCE_RESPONSE: u8 = 0x88;

/// Longest onion packet that a hop handles.
pub const MAX_ONION_PACKET: usize = 1400;
/// Longest request that fits through a path.
pub const MAX_ONION_REQUEST: usize = MAX_ONION_PACKET - 1 - Hop::First.least_send_len();
/// Longest response that fits through a path.
pub const MAX_ONION_RESPONSE: usize = MAX_ONION_PACKET - 1 - Hop::Third.return_len();

/// Checks that `packet` is a request that the last hop may send on: anything else would make hops
/// senders of other people's DHT packets.
fn check_request(packet: &[u8]) -> Result<(), DecodeError> {
    match packet.first() {
        Some(&(ANNOUNCE_REQUEST | DATA_REQUEST | EXTENDED_ANNOUNCE_REQUEST)) => Ok(()),
        Some(&kind) => Err(DecodeError::Kind(kind)),
        None => Err(DecodeError::Truncated { need: 1, have: 0 }),
    }
}

/// Checks that `packet` is a response that the first hop may hand to the path's owner.
pub(crate) fn check_response(packet: &[u8]) -> Result<(), DecodeError> {
    match packet.first() {
        Some(&(ANNOUNCE_RESPONSE | DATA_RESPONSE | EXTENDED_ANNOUNCE_RESPONSE)) => Ok(()),
        Some(&kind) => Err(DecodeError::Kind(kind)),
        None => Err(DecodeError::Truncated { need: 1, have: 0 }),
    }
}
