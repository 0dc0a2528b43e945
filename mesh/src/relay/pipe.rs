//! Frames on a byte stream: what came in until a frame is whole, and the secrets of both directions.

use crate::machine::{StreamId, StreamRequest};
use crate::outbox::Context;
use crate::wire::relay::{RelayPacket, seal_frame, split_frame};
use crate::wire::sealed::{Forged, TAG_LEN};
use crate::wire::{DecodeError, Encode, Nonce, SharedKey};

/// Unsent bytes beyond which packets that may be lost are (data, out-of-band, onion).
pub(super) const MAX_UNSENT_DATA: usize = 64 * 1024;
/// Unsent bytes beyond which the connection is closed: who reads so slowly that even answers and
/// notifications pile up is not served.
pub(super) const MAX_UNSENT: usize = 2 * MAX_UNSENT_DATA;
/// What a stream has brought and nobody has read yet.
#[derive(Debug, Default)]
pub(super) struct Input {
    bytes: Vec<u8>,
    read: usize,
}

impl Input {
    /// Adds what came.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next `len` bytes, once they are all there.
    pub(super) fn take(&mut self, len: usize) -> Option<&mut [u8]> {
        let end = self.read.checked_add(len)?;
        let taken = self.bytes.get_mut(self.read..end)?;
        self.read = end;
        Some(taken)
    }

    /// The box of the next frame, once it is whole.
    ///
    /// # Errors
    /// A [`DecodeError`] if the stream is beyond repair.
    pub(super) fn frame(&mut self) -> Result<Option<&mut [u8]>, DecodeError> {
        let Self { bytes, read } = self;
        let len = bytes.len();
        let Some((boxed, rest)) = split_frame(&mut bytes[*read..])? else { return Ok(None) };
        *read = len - rest.len();
        Ok(Some(boxed))
    }

    /// Forgets what was read; an empty input keeps no memory.
    pub(super) fn compact(&mut self) {
        if self.read == self.bytes.len() {
            self.bytes = Vec::new();
        } else if self.read > 0 {
            self.bytes = self.bytes[self.read..].to_vec();
        }
        self.read = 0;
    }

    /// Bytes that wait.
    #[cfg_attr(not(test), allow(dead_code, reason = "tests look at it"))]
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.read
    }
}

/// What became of a packet that was to be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub(super) enum Sending {
    /// It is on its way.
    Sent,
    /// It was dropped: too much waits already, or it is too long.
    Dropped,
    /// The other side reads too slowly: close the connection.
    Stuck,
}

/// A connection whose two sides share a secret.
#[derive(Debug)]
pub(super) struct Pipe {
    stream: StreamId,
    secret: SharedKey,
    seal: Nonce,
    open: Nonce,
    unsent: usize,
}

impl Pipe {
    /// A pipe over `stream`: we seal with `seal` and those after it, the other side with `open`.
    pub(super) fn new(stream: StreamId, secret: SharedKey, seal: Nonce, open: Nonce) -> Self {
        Self { stream, secret, seal, open, unsent: 0 }
    }

    /// Sends a packet that must not be lost.
    pub(super) fn send(&mut self, cx: &mut Context<'_>, packet: &RelayPacket<'_>) -> Sending {
        if self.unsent > MAX_UNSENT { Sending::Stuck } else { self.write(cx, packet) }
    }

    /// Sends a packet that may be lost, if not more than `limit` bytes wait already.
    pub(super) fn offer(
        &mut self,
        cx: &mut Context<'_>,
        packet: &RelayPacket<'_>,
        limit: usize,
    ) -> Sending {
        if self.unsent > limit { Sending::Dropped } else { self.write(cx, packet) }
    }

    fn write(&mut self, cx: &mut Context<'_>, packet: &RelayPacket<'_>) -> Sending {
        let mut frame = Vec::with_capacity(2 + TAG_LEN + packet.encoded_len());
        if seal_frame(&self.secret, &self.seal, packet, &mut frame).is_err() {
            return Sending::Dropped;
        }
        self.seal = self.seal.plus(1);
        self.unsent += frame.len();
        cx.stream(self.stream, StreamRequest::Write(frame));
        Sending::Sent
    }

    /// Counts bytes that were written past the pipe.
    pub(super) fn note_written(&mut self, bytes: usize) {
        self.unsent += bytes;
    }

    /// Opens the next frame's box.
    ///
    /// # Errors
    /// [`Forged`]: the connection is beyond repair.
    pub(super) fn open<'a>(&mut self, boxed: &'a mut [u8]) -> Result<&'a [u8], Forged> {
        let plain = self.secret.open_in_place(&self.open, boxed)?;
        self.open = self.open.plus(1);
        Ok(plain)
    }

    /// So many bytes have left; returns by how much the queue is shorter.
    pub(super) fn note_sent(&mut self, bytes: usize) -> usize {
        let left = bytes.min(self.unsent);
        self.unsent -= left;
        left
    }

    /// Bytes that were written and have not left.
    pub(super) fn unsent(&self) -> usize {
        self.unsent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drops::Drops;
    use crate::outbox::Outbox;
    use crate::wire::Decode;
    use crate::wire::Time;
    use crate::wire::relay::MAX_FRAME;

    #[test]
    fn input_keeps_what_is_not_whole_and_nothing_else() {
        let mut input = Input::default();
        input.extend(b"hello");
        assert_eq!(input.take(6), None);
        assert_eq!(input.take(2).map(|bytes| bytes.to_vec()), Some(b"he".to_vec()));
        input.compact();
        assert_eq!((input.len(), input.bytes.len()), (3, 3));
        assert_eq!(input.take(3).map(|bytes| bytes.to_vec()), Some(b"llo".to_vec()));
        input.compact();
        assert_eq!(input.bytes.capacity(), 0);
        assert_eq!(input.take(usize::MAX), None);
    }

    #[test]
    fn frames_are_read_one_by_one_and_queues_are_bounded() {
        let (mut outbox, mut drops) = (Outbox::default(), Drops::default());
        let mut cx = Context { now: Time::ZERO, outbox: &mut outbox, drops: &mut drops };
        let (key, stream) = (SharedKey::from_bytes([1; 32]), StreamId::Outgoing(1));
        let [a, b] = [Nonce([1; 24]), Nonce([2; 24])];
        let mut here = Pipe::new(stream, key.clone(), a, b);
        let mut there = Pipe::new(stream, key, b, a);
        let mut dropped = 0;
        while here.send(&mut cx, &RelayPacket::Ping { id: 1 }) == Sending::Sent {
            let sending = here.offer(&mut cx, &RelayPacket::Ping { id: 2 }, MAX_UNSENT_DATA);
            dropped += u32::from(sending == Sending::Dropped);
        }
        assert!(dropped > 0 && here.unsent() <= MAX_UNSENT + MAX_FRAME);
        let mut input = Input::default();
        while let Some((_, StreamRequest::Write(bytes))) = outbox.pop_stream() {
            input.extend(&bytes);
        }
        assert_eq!(here.note_sent(input.len() + 1), input.len());
        let mut pings = 0;
        while let Some(boxed) = input.frame().unwrap() {
            let packet = RelayPacket::from_bytes(there.open(boxed).unwrap()).unwrap();
            assert!(matches!(packet, RelayPacket::Ping { .. }));
            pings += 1;
        }
        assert!(pings > 1_000);
        input.compact();
        assert_eq!(input.len(), 0);
    }
}
