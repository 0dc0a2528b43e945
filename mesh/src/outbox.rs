//! Datagrams and stream requests that wait to be polled, and what a child is lent for the length of one call.

use std::collections::VecDeque;

use crate::drops::{DropReason, Drops};
use crate::machine::{StreamId, StreamRequest};
use crate::wire::{Address, Time};

/// Most datagrams that wait at once. A driver drains after every call, so only one call's worth waits.
const MAX_WAITING: usize = 4096;

/// Bytes up to which writes to the same stream are joined: fewer and larger system calls.
const MAX_JOINED_WRITE: usize = 16 * 1024;

/// Control packets and stream requests ready to go, each kind in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: VecDeque<(Address, Vec<u8>)>,
    /// Never dropped, for a stream with a hole is useless: whoever writes bounds what it writes.
    streams: VecDeque<(StreamId, StreamRequest)>,
}

impl Outbox {
    /// Queues a datagram; false (and the datagram is gone) when the outbox is full.
    pub(crate) fn push(&mut self, to: Address, payload: Vec<u8>) -> bool {
        let fits = self.waiting.len() < MAX_WAITING;
        if fits {
            self.waiting.push_back((to, payload));
        }
        fits
    }

    /// The next datagram to send.
    pub(crate) fn pop(&mut self) -> Option<(Address, Vec<u8>)> {
        self.waiting.pop_front()
    }

    /// Queues a request; a write is joined to one before it on the same stream.
    pub(crate) fn push_stream(&mut self, stream: StreamId, request: StreamRequest) {
        if let StreamRequest::Write(bytes) = &request
            && let Some((last, StreamRequest::Write(before))) = self.streams.back_mut()
            && *last == stream
            && before.len() + bytes.len() <= MAX_JOINED_WRITE
        {
            before.extend_from_slice(bytes);
        } else {
            self.streams.push_back((stream, request));
        }
    }

    /// The next stream request.
    pub(crate) fn pop_stream(&mut self) -> Option<(StreamId, StreamRequest)> {
        self.streams.pop_front()
    }
}

/// What a child is lent for the length of one call: the moment, the way out, and the drop counters.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    /// Now.
    pub(crate) now: Time,
    /// Where datagrams go.
    pub(crate) outbox: &'a mut Outbox,
    /// Where bad input is counted.
    pub(crate) drops: &'a mut Drops,
}

impl Context<'_> {
    /// Queues a datagram for `to`.
    pub(crate) fn transmit(&mut self, to: Address, payload: Vec<u8>) {
        if !self.outbox.push(to, payload) {
            self.drops.count(DropReason::LimitReached);
        }
    }

    /// Asks for something to be done with a stream.
    pub(crate) fn stream(&mut self, stream: StreamId, request: StreamRequest) {
        self.outbox.push_stream(stream, request);
    }

    /// Counts a dropped packet.
    pub(crate) fn drop_packet(&mut self, reason: DropReason) {
        self.drops.count(reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_to_one_stream_are_joined_and_no_others() {
        let mut outbox = Outbox::default();
        let (a, b) = (StreamId::Outgoing(1), StreamId::Incoming(1));
        let write = |text: &str| StreamRequest::Write(text.into());
        for (stream, request) in [
            (a, write("one")),
            (a, write("two")),
            (b, write("three")),
            (a, write("four")),
            (a, StreamRequest::Close),
            (a, write("five")),
        ] {
            outbox.push_stream(stream, request);
        }
        let left: Vec<_> = core::iter::from_fn(|| outbox.pop_stream()).collect();
        let close = (a, StreamRequest::Close);
        let expected = [
            (a, write("onetwo")),
            (b, write("three")),
            (a, write("four")),
            close,
            (a, write("five")),
        ];
        assert_eq!(left, expected);
        outbox.push_stream(a, StreamRequest::Write(vec![0; MAX_JOINED_WRITE]));
        outbox.push_stream(a, write("more"));
        assert_eq!(core::iter::from_fn(|| outbox.pop_stream()).count(), 2);
    }
}
