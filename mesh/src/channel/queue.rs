//! The sending end of a channel: messages that wait, and the credit that the peer gave.

use std::collections::VecDeque;

use bytes::Bytes;

use super::MAX_MESSAGE;
use crate::error::SendError;
use crate::wire::channel::MAX_FRAGMENT;

/// How soon a channel's next fragment shall go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Urgency {
    /// There is none, or no credit for it.
    Idle,
    /// A whole message in one fragment: somebody may wait for it.
    Short,
    /// A piece of a longer message.
    Long,
}

/// Messages that wait to be sent on one channel.
#[derive(Debug)]
pub(super) struct SendQueue {
    messages: VecDeque<Bytes>,
    /// Bytes of the messages.
    queued: usize,
    /// Bytes that may be queued.
    limit: usize,
    /// Bytes that the peer is ready to take. A peer can not make it overflow.
    credit: u64,
    /// A part of the first message has gone.
    begun: bool,
    /// Somebody was told that the queue is full, and waits.
    refused: bool,
}

impl SendQueue {
    pub(super) fn new(limit: usize) -> Self {
        let messages = VecDeque::new();
        Self { messages, queued: 0, limit, credit: 0, begun: false, refused: false }
    }

    /// Bytes that may be queued now.
    pub(super) fn space(&self) -> usize {
        let space = self.limit.saturating_sub(self.queued);
        if self.messages.is_empty() { space.max(MAX_MESSAGE) } else { space }
    }

    /// Queues a message.
    pub(super) fn push(&mut self, message: Bytes) -> Result<(), SendError> {
        if message.len() > MAX_MESSAGE {
            return Err(SendError::TooLarge);
        }
        // An empty message takes a place too: the queue's own limit counts it as one byte.
        if message.len().max(1) > self.space() {
            self.refused = true;
            return Err(SendError::Full);
        }
        self.queued += message.len().max(1);
        self.messages.push_back(message);
        Ok(())
    }

    /// The peer takes so many bytes more.
    pub(super) fn add_credit(&mut self, bytes: u32) {
        self.credit = self.credit.saturating_add(u64::from(bytes));
    }

    /// True if nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// How soon the next fragment shall go.
    pub(super) fn urgency(&self) -> Urgency {
        match self.messages.front() {
            Some(message) if self.credit > 0 || message.is_empty() => {
                let short = !self.begun && message.len() <= MAX_FRAGMENT;
                if short { Urgency::Short } else { Urgency::Long }
            }
            _ => Urgency::Idle,
        }
    }

    /// The next fragment, and whether it is its message's last.
    pub(super) fn next_fragment(&mut self) -> Option<(Bytes, bool)> {
        if self.urgency() == Urgency::Idle {
            return None;
        }
        let message = self.messages.front_mut()?;
        let credit = usize::try_from(self.credit).unwrap_or(usize::MAX);
        let counted = message.len().max(1);
        let fragment = message.split_to(message.len().min(MAX_FRAGMENT).min(credit));
        self.credit -= fragment.len() as u64;
        let last = message.is_empty();
        self.begun = !last;
        self.queued -= if last { counted } else { fragment.len() };
        if last {
            self.messages.pop_front();
        }
        Some((fragment, last))
    }

    /// True once after a refusal, when half of the queue is free again.
    pub(super) fn take_writable(&mut self) -> bool {
        let writable = self.refused && self.queued <= self.limit / 2;
        if writable {
            self.refused = false;
        }
        writable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_up_and_tells_once_when_there_is_space_again() {
        let mut queue = SendQueue::new(3000);
        queue.add_credit(u32::MAX);
        assert_eq!(queue.push(Bytes::from(vec![0; MAX_MESSAGE + 1])), Err(SendError::TooLarge));
        queue.push(vec![1; 5000].into()).unwrap(); // fits because the queue is empty
        assert_eq!((queue.space(), queue.push(Bytes::new())), (0, Err(SendError::Full)));
        let mut sizes = Vec::new();
        while let Some((fragment, last)) = queue.next_fragment() {
            sizes.push((fragment.len(), last, queue.take_writable()));
        }
        let expected = [
            (MAX_FRAGMENT, false, false),
            (MAX_FRAGMENT, false, false),
            (MAX_FRAGMENT, false, true),
            (5000 - 3 * MAX_FRAGMENT, true, false),
        ];
        assert_eq!(sizes, expected);
        assert!(queue.is_empty() && queue.queued == 0);
    }

    #[test]
    fn stops_without_credit_in_the_middle_of_a_message() {
        let mut queue = SendQueue::new(1 << 20);
        queue.push(Bytes::from_static(b"abc")).unwrap();
        queue.push(Bytes::new()).unwrap();
        assert_eq!(queue.next_fragment(), None);
        queue.add_credit(2);
        assert_eq!(queue.urgency(), Urgency::Short);
        assert_eq!(queue.next_fragment(), Some((Bytes::from_static(b"ab"), false)));
        assert_eq!(queue.urgency(), Urgency::Idle);
        queue.add_credit(1);
        assert_eq!(queue.urgency(), Urgency::Long);
        assert_eq!(queue.next_fragment(), Some((Bytes::from_static(b"c"), true)));
        assert_eq!(queue.next_fragment(), Some((Bytes::new(), true)), "empty messages need none");
    }
}
