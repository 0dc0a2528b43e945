//! Messages to one friend: kept until its client has them (research note `tox.md` 1.10).
//!
//! A Tox message is a lossless packet without a name of its own. Its receipt is the session's
//! acknowledgement; if the session ends first, nobody can know whether it came, and it is sent again
//! in the next one. So a message is never lost, keeps its place among the others, and comes twice only
//! if the session broke between its arrival and the acknowledgement.

use std::collections::VecDeque;

use bytes::Bytes;

use super::error::MessageError;
use crate::event::PacketNumber;
use crate::wire::messenger::{MAX_MESSAGE, MessageKind, id};

/// Most messages that wait for one friend.
pub const MAX_KEPT_MESSAGES: usize = 1024;
/// Most bytes of messages that wait for one friend.
pub const MAX_KEPT_TEXT: usize = 256 << 10;

/// Names one message of ours; unique within the messenger, also across restarts.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MessageId(pub u64);

/// A message that its friend may not have yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct KeptMessage {
    pub(super) message: MessageId,
    pub(super) kind: MessageKind,
    pub(super) text: Bytes,
}

impl KeptMessage {
    /// The packet's id.
    pub(super) fn packet_id(&self) -> u8 {
        match self.kind {
            MessageKind::Normal => id::MESSAGE,
            MessageKind::Action => id::ACTION,
        }
    }
}

/// The messages to one friend.
#[derive(Debug, Default)]
pub(super) struct Messages {
    /// On their way in the present session, in order.
    sent: VecDeque<(PacketNumber, KeptMessage)>,
    /// To be sent, in order.
    waiting: VecDeque<KeptMessage>,
    /// Bytes of all texts.
    bytes: usize,
}

impl Messages {
    /// Keeps a message until the friend has it.
    ///
    /// # Errors
    /// See [`MessageError`].
    pub(super) fn push(&mut self, message: KeptMessage) -> Result<(), MessageError> {
        let length = message.text.len();
        if length == 0 {
            return Err(MessageError::Empty);
        }
        if length > MAX_MESSAGE {
            return Err(MessageError::TooLong);
        }
        if self.len() >= MAX_KEPT_MESSAGES || self.bytes + length > MAX_KEPT_TEXT {
            return Err(MessageError::Full);
        }
        self.bytes += length;
        self.waiting.push_back(message);
        Ok(())
    }

    /// Messages kept.
    pub(super) fn len(&self) -> usize {
        self.sent.len() + self.waiting.len()
    }

    /// The next one to send.
    pub(super) fn next(&self) -> Option<&KeptMessage> {
        self.waiting.front()
    }

    /// The next one has been sent under this number.
    pub(super) fn sent(&mut self, number: PacketNumber) {
        self.sent.extend(self.waiting.pop_front().map(|message| (number, message)));
    }

    /// The friend has all packets before this one: a message among them, if there is one left.
    pub(super) fn take_delivered(&mut self, before: PacketNumber) -> Option<MessageId> {
        let (_, message) = self.sent.pop_front_if(|(number, _)| *number < before)?;
        self.bytes -= message.text.len();
        Some(message.message)
    }

    /// The session is gone: what was on its way will be sent again.
    pub(super) fn handle_break(&mut self) {
        while let Some((_, message)) = self.sent.pop_back() {
            self.waiting.push_front(message);
        }
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &KeptMessage> {
        self.sent.iter().map(|(_, message)| message).chain(&self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u64, length: usize) -> KeptMessage {
        let text = vec![b'a'; length].into();
        KeptMessage { message: MessageId(number), kind: MessageKind::Normal, text }
    }

    fn ids(messages: &Messages) -> Vec<u64> {
        messages.iter().map(|kept| kept.message.0).collect()
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_again_in_its_place() {
        let mut messages = Messages::default();
        for number in 0..4 {
            messages.push(message(number, 9)).unwrap();
        }
        for number in [5, 7, 8] {
            messages.sent(PacketNumber(number));
        }
        assert_eq!(messages.take_delivered(PacketNumber(5)), None);
        assert_eq!(messages.take_delivered(PacketNumber(8)), Some(MessageId(0)));
        assert_eq!(messages.take_delivered(PacketNumber(8)), Some(MessageId(1)));
        assert_eq!(messages.take_delivered(PacketNumber(8)), None);
        messages.handle_break();
        assert_eq!(ids(&messages), [2, 3]);
        assert_eq!(messages.next(), Some(&message(2, 9)));
        assert_eq!(messages.take_delivered(PacketNumber(u64::MAX)), None);
        assert_eq!(messages.bytes, 18);
    }

    #[test]
    fn what_waits_is_bounded_in_number_and_bytes() {
        let mut messages = Messages::default();
        assert_eq!(messages.push(message(0, 0)), Err(MessageError::Empty));
        assert_eq!(messages.push(message(0, MAX_MESSAGE + 1)), Err(MessageError::TooLong));
        for number in 0..MAX_KEPT_MESSAGES as u64 {
            messages.push(message(number, 1)).unwrap();
        }
        assert_eq!(messages.push(message(0, 1)), Err(MessageError::Full));
        let mut messages = Messages::default();
        let most = MAX_KEPT_TEXT / MAX_MESSAGE;
        assert!((0..most).all(|_| messages.push(message(0, MAX_MESSAGE)).is_ok()));
        assert_eq!(messages.push(message(0, MAX_MESSAGE)), Err(MessageError::Full));
        messages.sent(PacketNumber(0));
        assert!(messages.take_delivered(PacketNumber(1)).is_some());
        assert_eq!(messages.push(message(0, MAX_MESSAGE)), Ok(()));
    }
}
