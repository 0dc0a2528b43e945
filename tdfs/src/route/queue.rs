//! What waits to be sent to one neighbour: small messages first, blocks by turns between those on whose
//! behalf they travel.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use toktok_wire::PublicKey;

use super::message::MAX_ENCODED;

/// Most bytes of requests that wait for one neighbour. At 1 MB/s a full queue is gone in two seconds.
pub(super) const MAX_QUEUED: usize = 2 << 20;
/// Most bytes including answers: the work for these is done already, so they get more room.
pub(super) const MAX_QUEUED_ANSWERS: usize = 2 * MAX_QUEUED;
/// Most small messages that wait.
pub(super) const MAX_SMALL: usize = 4096;
/// Messages up to this many bytes are small.
const SMALL: usize = 2048;

/// On whose behalf a block travels: `None` is this node itself, which gets no better treatment.
pub(super) type Source = Option<PublicKey>;

/// Whether a message asks or answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Request,
    Answer,
}

/// The queue of one neighbour.
#[derive(Debug, Default)]
pub(super) struct Queue {
    small: VecDeque<Bytes>,
    blocks: BTreeMap<Source, VecDeque<Bytes>>,
    /// Whose turn it was last.
    last: Option<Source>,
    queued: usize,
}

impl Queue {
    /// Bytes of blocks that wait.
    pub(super) const fn queued(&self) -> usize {
        self.queued
    }

    /// True if a request with a block fits now. One source gets half of the queue at most.
    pub(super) fn has_room(&self, source: Source) -> bool {
        let own: usize = self.blocks.get(&source).map_or(0, |blocks| blocks.len() << 16);
        let fits = self.queued + MAX_ENCODED <= MAX_QUEUED;
        fits && own < MAX_QUEUED / 2 && self.small.len() < MAX_SMALL / 2
    }

    /// Queues a message; false, and it is gone, when there is no room.
    pub(super) fn push(&mut self, source: Source, kind: Kind, message: Bytes) -> bool {
        if message.len() <= SMALL {
            let fits = self.small.len() < MAX_SMALL;
            if fits {
                self.small.push_back(message);
            }
            return fits;
        }
        let limit = if kind == Kind::Request { MAX_QUEUED } else { MAX_QUEUED_ANSWERS };
        if self.queued + message.len() > limit {
            return false;
        }
        self.queued += message.len();
        self.blocks.entry(source).or_default().push_back(message);
        true
    }

    /// Whose turn it is among those with blocks.
    fn turn(&self) -> Option<Source> {
        let after = self.last.and_then(|last| {
            let beyond = (core::ops::Bound::Excluded(last), core::ops::Bound::Unbounded);
            self.blocks.range(beyond).next()
        });
        after.or_else(|| self.blocks.first_key_value()).map(|(source, _)| *source)
    }

    /// Length of the next message.
    pub(super) fn next_len(&self) -> Option<usize> {
        if let Some(message) = self.small.front() {
            return Some(message.len());
        }
        self.blocks.get(&self.turn()?)?.front().map(Bytes::len)
    }

    /// The next message.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        if let Some(message) = self.small.pop_front() {
            return Some(message);
        }
        let source = self.turn()?;
        let blocks = self.blocks.get_mut(&source)?;
        let message = blocks.pop_front();
        if blocks.is_empty() {
            self.blocks.remove(&source);
        }
        self.last = Some(source);
        self.queued -= message.as_ref().map_or(0, Bytes::len);
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(fill: u8) -> Bytes {
        vec![fill; 65_600].into()
    }

    #[test]
    fn small_messages_overtake_and_sources_take_turns() {
        let mut queue = Queue::default();
        let (a, b) = (Some(PublicKey([1; 32])), Some(PublicKey([2; 32])));
        for source in [a, a, a, b, None] {
            let fill = source.map_or(0, |key| key.0[0]);
            assert!(queue.push(source, Kind::Request, block(fill)));
        }
        assert!(queue.push(None, Kind::Answer, Bytes::from_static(b"small")));
        assert_eq!(queue.next_len(), Some(5));
        let order: Vec<u8> = core::iter::from_fn(|| queue.pop()).map(|m| m[0]).collect();
        assert_eq!(order, [b's', 0, 1, 2, 1, 1]);
        assert_eq!((queue.queued(), queue.next_len()), (0, None));
    }

    #[test]
    fn requests_leave_room_for_answers_and_no_source_takes_all() {
        let mut queue = Queue::default();
        while queue.has_room(None) {
            assert!(queue.push(None, Kind::Request, block(0)));
        }
        assert!(queue.has_room(Some(PublicKey([1; 32]))), "another source finds room");
        while queue.push(None, Kind::Request, block(0)) {}
        assert!(!queue.has_room(Some(PublicKey([1; 32]))));
        assert!(queue.push(None, Kind::Answer, block(0)));
        while queue.push(None, Kind::Answer, block(0)) {}
        assert!(queue.queued() <= MAX_QUEUED_ANSWERS);
    }
}
