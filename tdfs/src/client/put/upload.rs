//! Blocks on their way out: a random order, a window, retries, and what each part of a file has got.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use toktok_wire::{Rng, Time};

use crate::block::Block;
use crate::client::{BlockFailure, OpId, Window, backoff};

/// A part of a file that succeeds or fails as a whole: a segment of a level, or the root.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Part {
    /// The level; that of [`crate::block::Position::ROOT`] for the root.
    pub(super) level: u8,
    /// The segment.
    pub(super) segment: u64,
}

/// When to try again and when to give up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Attempts for a block that nobody has taken.
    pub(super) attempts: u8,
    /// Attempts for a block that fewer nodes took than were wanted.
    pub(super) thin_attempts: u8,
    /// Pause before the first retry.
    pub(super) pause: Duration,
}

#[derive(Debug)]
enum State {
    Ready,
    InFlight,
    Waiting,
}

#[derive(Debug)]
struct Upload {
    part: Part,
    block: Block,
    copies: u8,
    attempt: u8,
    receipts: u8,
    state: State,
}

/// A block for which nothing more will be tried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Settled {
    /// What it belongs to.
    pub(super) part: Part,
    /// Copies of which receipts came; 0 if nobody took it.
    pub(super) receipts: u8,
    /// Copies that were wanted.
    pub(super) wanted: u8,
}

/// An operation to begin.
#[derive(Debug)]
pub(super) struct Begin {
    pub(super) op: OpId,
    pub(super) block: Block,
    pub(super) copies: u8,
    pub(super) attempt: u8,
}

/// All blocks that are made and not yet settled.
#[derive(Debug)]
pub(super) struct Uploads {
    patience: Patience,
    window: Window,
    rng: Rng,
    uploads: BTreeMap<OpId, Upload>,
    ready: Vec<OpId>,
    waiting: BTreeSet<(Time, OpId)>,
    in_flight: usize,
    buffered: usize,
    next_op: u64,
}

impl Uploads {
    /// No blocks yet; at most `window` operations at once.
    pub(super) const fn new(patience: Patience, window: usize, rng: Rng) -> Self {
        Self {
            patience,
            window: Window::new(window),
            rng,
            uploads: BTreeMap::new(),
            ready: Vec::new(),
            waiting: BTreeSet::new(),
            in_flight: 0,
            buffered: 0,
            next_op: 0,
        }
    }

    /// Bytes of the blocks that are not settled.
    pub(super) const fn buffered(&self) -> usize {
        self.buffered
    }

    /// True if every block is settled.
    pub(super) fn is_empty(&self) -> bool {
        self.uploads.is_empty()
    }

    /// Takes a block to be stored.
    pub(super) fn add(&mut self, part: Part, block: Block, copies: u8) {
        let op = OpId(self.next_op);
        self.next_op += 1;
        self.buffered += block.size().bytes();
        let state = State::Ready;
        let upload = Upload { part, block, copies, attempt: 0, receipts: 0, state };
        self.uploads.insert(op, upload);
        self.ready.push(op);
    }

    /// The next operation to begin, if the window has room: any ready block, so that the order on the
    /// wire says nothing about the order in the file.
    pub(super) fn next(&mut self, now: Time) -> Option<Begin> {
        while let Some(&(due, op)) = self.waiting.first()
            && due <= now
        {
            self.waiting.pop_first();
            self.ready.push(op);
        }
        if self.in_flight >= self.window.limit || self.ready.is_empty() {
            return None;
        }
        let op = self.ready.swap_remove(self.rng.index(self.ready.len()));
        let upload = self.uploads.get_mut(&op)?;
        upload.state = State::InFlight;
        self.in_flight += 1;
        let block = upload.block.clone();
        Some(Begin { op, block, copies: upload.copies, attempt: upload.attempt })
    }

    /// When the next pause ends.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.waiting.first().map(|(due, _)| *due)
    }

    /// Takes the result of an operation: receipts, or why there are none. Gives the block's end if this
    /// was it. An operation that is not under way is ignored.
    pub(super) fn settle(
        &mut self,
        now: Time,
        op: OpId,
        result: Result<u8, BlockFailure>,
    ) -> Option<Settled> {
        let upload = self.uploads.get_mut(&op)?;
        if !matches!(upload.state, State::InFlight) {
            return None;
        }
        self.in_flight -= 1;
        match result {
            Ok(receipts) => {
                self.window.succeeded();
                upload.receipts = upload.receipts.max(receipts);
                upload.attempt = upload.attempt.saturating_add(1);
            }
            Err(BlockFailure::Busy) => self.window.busy(),
            Err(BlockFailure::NotFound | BlockFailure::Unreachable) => {
                upload.attempt = upload.attempt.saturating_add(1);
            }
        }
        let most = match upload.receipts {
            0 => self.patience.attempts,
            _ => self.patience.thin_attempts,
        };
        if upload.receipts < upload.copies && upload.attempt < most {
            upload.state = State::Waiting;
            let due = now + backoff(self.patience.pause, upload.attempt);
            self.waiting.insert((due, op));
            return None;
        }
        let upload = self.uploads.remove(&op)?;
        self.buffered -= upload.block.size().bytes();
        Some(Settled { part: upload.part, receipts: upload.receipts, wanted: upload.copies })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: Part = Part { level: 0, segment: 0 };

    fn uploads(window: usize) -> Uploads {
        let pause = Duration::from_secs(1);
        let patience = Patience { attempts: 3, thin_attempts: 2, pause };
        let mut uploads = Uploads::new(patience, window, Rng::from_seed([1; 32]));
        for fill in 0..8 {
            uploads.add(PART, Block::new(vec![fill; 4096].into()).unwrap(), 2);
        }
        uploads
    }

    #[test]
    fn the_window_holds_and_the_order_is_not_the_files() {
        let mut uploads = uploads(3);
        let ops: Vec<_> =
            core::iter::from_fn(|| uploads.next(Time::ZERO)).map(|b| b.op.0).collect();
        assert_eq!(ops.len(), 3);
        assert_ne!(ops, [0, 1, 2]);
        let settled = uploads.settle(Time::ZERO, OpId(ops[0]), Ok(2)).unwrap();
        assert_eq!(settled, Settled { part: PART, receipts: 2, wanted: 2 });
        assert!(uploads.next(Time::ZERO).is_some() && uploads.next(Time::ZERO).is_none());
        assert_eq!(uploads.buffered(), 7 * 4096);
    }

    #[test]
    fn a_block_that_nobody_takes_is_given_up_after_its_attempts() {
        let mut uploads = uploads(1);
        let op = uploads.next(Time::ZERO).unwrap().op;
        let failed = Err(BlockFailure::Unreachable);
        assert_eq!(uploads.settle(Time::ZERO, op, failed), None);
        assert_eq!(uploads.deadline(), Some(Time::from_secs(1)));
        assert_eq!(uploads.settle(Time::ZERO, op, Ok(2)), None, "it was not under way");
        // Two more attempts, at 1 s and 3 s; the others go first, for they are ready.
        let mut now = Time::ZERO;
        let mut attempts = 1;
        loop {
            while let Some(begin) = uploads.next(now) {
                if begin.op != op {
                    uploads.settle(now, begin.op, Ok(2)).unwrap();
                } else if let Some(end) = uploads.settle(now, op, failed) {
                    assert_eq!((end.receipts, begin.attempt, attempts), (0, 2, 2));
                    assert!(now >= Time::from_secs(3) && uploads.is_empty());
                    return;
                } else {
                    attempts += 1;
                }
            }
            now = uploads.deadline().unwrap();
        }
    }

    #[test]
    fn too_few_copies_are_tried_once_more_and_then_accepted_as_thin() {
        let mut uploads = uploads(8);
        let op = uploads.next(Time::ZERO).unwrap().op;
        assert_eq!(uploads.settle(Time::ZERO, op, Ok(1)), None);
        let now = Time::from_secs(1);
        while uploads.next(now).is_some_and(|begin| begin.op != op) {}
        let settled = uploads.settle(now, op, Err(BlockFailure::NotFound)).unwrap();
        assert_eq!((settled.receipts, settled.wanted), (1, 2));
    }

    #[test]
    fn busy_is_not_an_attempt() {
        let mut uploads = uploads(8);
        let op = uploads.next(Time::ZERO).unwrap().op;
        let mut now = Time::ZERO;
        for _ in 0..20 {
            assert_eq!(uploads.settle(now, op, Err(BlockFailure::Busy)), None);
            now = uploads.deadline().unwrap();
            while let Some(begin) = uploads.next(now) {
                assert_eq!(begin.attempt, 0);
                if begin.op != op {
                    uploads.settle(now, begin.op, Ok(2)).unwrap();
                }
            }
        }
    }
}
