//! The invariant that all decoders of `toktok-wire` share.

use toktok_wire::{Decode, Encode};

/// Decodes all of `data` as a `T`. If it is accepted, it must re-encode to the very same bytes, and
/// the length must have been foretold.
///
/// # Panics
/// If the decoder accepts what its encoder does not write: what fuzzing looks for.
pub(crate) fn canonical<'a, T: Decode<'a> + Encode>(data: &'a [u8]) -> Option<T> {
    let value = T::from_bytes(data).ok()?;
    assert_eq!(value.encoded_len(), data.len(), "encoded_len is wrong");
    assert_eq!(value.to_bytes(), data, "accepted bytes do not re-encode to themselves");
    Some(value)
}

/// A packet that was split must be the sum of its parts.
///
/// # Panics
/// If it is not.
pub(crate) fn whole(packet: &[u8], parts: &[&[u8]]) {
    assert_eq!(parts.concat(), packet, "a packet is not the sum of its parts");
}
