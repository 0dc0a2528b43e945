//! Datagrams that wait to be polled, and what a child is lent for the length of one call.

use std::collections::VecDeque;

use crate::drops::{DropReason, Drops};
use crate::wire::{Address, Time};

/// Most datagrams that wait at once. A driver drains after every call, so only one call's worth waits.
const MAX_WAITING: usize = 4096;

/// Control packets ready to go, in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: VecDeque<(Address, Vec<u8>)>,
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

    /// Counts a dropped packet.
    pub(crate) fn drop_packet(&mut self, reason: DropReason) {
        self.drops.count(reason);
    }
}
