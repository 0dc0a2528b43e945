//! Frames: how packets follow each other on a TCP connection (Tox Reference, "TCP server"; research
//! note `tox.md` 1.5): length 2, and a sealed box of that many bytes.

use thiserror::Error;

use super::packet::RelayPacket;
use crate::codec::{Decode, DecodeError, Encode};
use crate::key::SharedKey;
use crate::nonce::Nonce;
use crate::sealed::{Forged, TAG_LEN};

/// Longest box of a frame, by c-toxcore's rule: who announces more is disconnected.
pub const MAX_FRAME: usize = 2048;
/// Longest packet in a frame, its id included.
pub const MAX_RELAY_PACKET: usize = MAX_FRAME - TAG_LEN;
/// Bytes of a frame's length.
const LENGTH_LEN: usize = 2;
/// Shortest box: an id and one byte.
const MIN_FRAME: usize = TAG_LEN + 2;

/// Splits the first frame off what a connection has brought so far: its box, and what follows it.
/// `None` if it is not complete yet.
///
/// # Errors
/// A [`DecodeError`] if the length is one that no frame has: then the connection is beyond repair.
#[expect(clippy::type_complexity, reason = "the frame and what follows it, both still mutable")]
pub fn split_frame(stream: &mut [u8]) -> Result<Option<(&mut [u8], &mut [u8])>, DecodeError> {
    let Some((length, rest)) = stream.split_first_chunk_mut::<LENGTH_LEN>() else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes(*length));
    if length < MIN_FRAME {
        return Err(DecodeError::Truncated { need: MIN_FRAME, have: length });
    }
    if length > MAX_FRAME {
        return Err(DecodeError::Limit { what: "frame", limit: MAX_FRAME, got: length });
    }
    Ok(rest.split_at_mut_checked(length))
}

/// Why a frame is refused; either way the connection is closed.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum FrameError {
    /// The box does not open.
    #[error(transparent)]
    Forged(#[from] Forged),
    /// The box contains no packet.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// Opens a frame's box in place and reads the packet in it.
///
/// # Errors
/// A [`FrameError`] if it does not open, or contains no packet.
pub fn open_frame<'a>(
    key: &SharedKey,
    nonce: &Nonce,
    boxed: &'a mut [u8],
) -> Result<RelayPacket<'a>, FrameError> {
    Ok(RelayPacket::from_bytes(key.open_in_place(nonce, boxed)?)?)
}

/// Appends a frame with `packet` to what is to be sent.
///
/// # Errors
/// [`DecodeError::Limit`] if it is longer than [`MAX_RELAY_PACKET`]: `out` is then as it was.
pub fn seal_frame(
    key: &SharedKey,
    nonce: &Nonce,
    packet: &RelayPacket<'_>,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let (len, limit) = (packet.encoded_len(), MAX_RELAY_PACKET);
    if len > limit {
        return Err(DecodeError::Limit { what: "relay packet", limit, got: len });
    }
    out.extend_from_slice(&((len + TAG_LEN) as u16).to_be_bytes());
    let start = out.len();
    packet.encode(out);
    key.seal_suffix(nonce, out, start);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_follow_each_other_on_a_stream() {
        let key = SharedKey::from_bytes([1; 32]);
        let (first, second) = (RelayPacket::Ping { id: 7 }, RelayPacket::Pong { id: 8 });
        let nonce = Nonce([0xff; 24]);
        let mut stream = Vec::new();
        seal_frame(&key, &nonce, &first, &mut stream).unwrap();
        seal_frame(&key, &nonce.plus(1), &second, &mut stream).unwrap();
        for len in 0..stream.len() / 2 {
            assert_eq!(split_frame(&mut stream[..len]), Ok(None));
        }
        let (boxed, rest) = split_frame(&mut stream).unwrap().unwrap();
        assert_eq!(open_frame(&key, &nonce, boxed), Ok(first));
        let (boxed, rest) = split_frame(rest).unwrap().unwrap();
        assert_eq!(open_frame(&key, &nonce, boxed), Err(Forged.into()));
        assert_eq!(open_frame(&key, &nonce.plus(1), boxed), Ok(second));
        assert!(rest.is_empty());
    }

    #[test]
    fn impossible_lengths_are_refused_before_the_frame_is_there() {
        assert!(matches!(split_frame(&mut [0, 17]), Err(DecodeError::Truncated { .. })));
        assert_eq!(split_frame(&mut [0, 18]), Ok(None));
        assert_eq!(split_frame(&mut [8, 0]), Ok(None));
        assert!(matches!(split_frame(&mut [8, 1]), Err(DecodeError::Limit { .. })));
    }

    #[test]
    fn a_packet_that_is_too_long_is_not_sealed() {
        let connection = crate::relay::ConnectionId::new(16).unwrap();
        let data = [0; MAX_RELAY_PACKET];
        let mut out = Vec::new();
        let key = SharedKey::from_bytes([1; 32]);
        let packet = RelayPacket::Data { connection, data: &data };
        assert!(seal_frame(&key, &Nonce([0; 24]), &packet, &mut out).is_err());
        assert!(out.is_empty());
        let packet = RelayPacket::Data { connection, data: &data[1..] };
        assert_eq!(seal_frame(&key, &Nonce([0; 24]), &packet, &mut out), Ok(()));
        assert_eq!(out.len(), 2 + MAX_FRAME);
    }
}
