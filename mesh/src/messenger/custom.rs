//! Packets that applications exchange with a friend beside Tox's own (research note `tox.md` 1.10).

use core::ops::RangeInclusive;

use crate::error::PacketError;
use crate::wire::messenger::{MAX_MESSAGE, id};
use crate::wire::session::data_id::{CHANNEL, HELLO, LOSSLESS_CUSTOM, LOSSY, LOSSY_CUSTOM};

/// The lossy ids that calls' sound and pictures have: for applications too.
const CALL_LOSSY: RangeInclusive<u8> = 192..=198;

/// True for ids that applications may use, lossless or lossy. 160 and 161 are TokTok's own.
pub(super) fn is_custom(id: u8) -> bool {
    let lossless =
        (LOSSLESS_CUSTOM.contains(&id) && id != HELLO && id != CHANNEL) || id == id::CALL;
    lossless || CALL_LOSSY.contains(&id) || LOSSY_CUSTOM.contains(&id)
}

/// True for ids of packets that may get lost.
pub(super) fn is_lossy(id: u8) -> bool {
    LOSSY.contains(&id)
}

/// Checks a packet of the user.
///
/// # Errors
/// [`PacketError::Reserved`], [`PacketError::TooLarge`].
pub(super) fn check(id: u8, length: usize) -> Result<(), PacketError> {
    match id {
        _ if length > MAX_MESSAGE => Err(PacketError::TooLarge),
        id if is_custom(id) => Ok(()),
        _ => Err(PacketError::Reserved),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_that_tox_leaves_to_applications_are_taken() {
        let custom: Vec<u8> = (0..=255).filter(|id| is_custom(*id)).collect();
        let expected: Vec<u8> =
            [69].into_iter().chain(162..=191).chain(192..=198).chain(200..=254).collect();
        assert_eq!(custom, expected);
        assert_eq!(check(200, MAX_MESSAGE), Ok(()));
        assert_eq!(check(200, MAX_MESSAGE + 1), Err(PacketError::TooLarge));
        assert_eq!(check(16, 0), Err(PacketError::Reserved));
    }
}
