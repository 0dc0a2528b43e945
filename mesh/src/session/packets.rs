//! Packets of a session that are no channel's: numbered, and told of when the peer has them.

use std::collections::VecDeque;

use super::send::Body;
use crate::event::PacketNumber;

/// Packets that wait at once: 1.4 MB at most.
pub(super) const MAX_WAITING: usize = 1024;

/// Lossless packets of the user, from the moment he hands them in until the peer has them.
#[derive(Debug, Default)]
pub(super) struct Packets {
    waiting: VecDeque<Body>,
    /// The session's numbers of those that are on the way, in order.
    on_the_way: VecDeque<u32>,
    /// All before this one have come.
    delivered: u64,
    /// Somebody was told that the queue is full, and waits.
    refused: bool,
}

impl Packets {
    /// The number of the next packet.
    pub(super) fn next(&self) -> PacketNumber {
        PacketNumber(self.delivered + (self.on_the_way.len() + self.waiting.len()) as u64)
    }

    /// Packets that may be queued now.
    pub(super) fn space(&self) -> usize {
        MAX_WAITING.saturating_sub(self.waiting.len())
    }

    /// Packets that wait for their first transmission.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Queues a packet; `None` if too many wait.
    pub(super) fn push(&mut self, packet: Body) -> Option<PacketNumber> {
        if self.space() == 0 {
            self.refused = true;
            return None;
        }
        let number = self.next();
        self.waiting.push_back(packet);
        Some(number)
    }

    /// True if none waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The next packet, which goes now as the session's packet `number`.
    pub(super) fn next_packet(&mut self, number: u32) -> Option<Body> {
        let packet = self.waiting.pop_front()?;
        self.on_the_way.push_back(number);
        Some(packet)
    }

    /// The peer has all of the session's packets before `number`; tells which of the user's, if that
    /// is news.
    pub(super) fn acknowledge(&mut self, number: u32) -> Option<PacketNumber> {
        let before = self.delivered;
        while self.on_the_way.front().is_some_and(|it| (it.wrapping_sub(number) as i32) < 0) {
            self.on_the_way.pop_front();
            self.delivered += 1;
        }
        if self.on_the_way.is_empty() && self.waiting.is_empty() {
            (self.on_the_way, self.waiting) = (VecDeque::new(), VecDeque::new());
        }
        (self.delivered > before).then_some(PacketNumber(self.delivered))
    }

    /// True once after a refusal, when half of the queue is free again.
    pub(super) fn take_writable(&mut self) -> bool {
        let writable = self.refused && self.waiting.len() <= MAX_WAITING / 2;
        if writable {
            self.refused = false;
        }
        writable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> Body {
        Body::new(170, bytes::Bytes::new())
    }

    #[test]
    fn numbers_go_on_and_deliveries_follow_them_across_the_wrap() {
        let mut packets = Packets::default();
        for number in 0..4 {
            assert_eq!(packets.push(packet()), Some(PacketNumber(number)));
        }
        for number in [u32::MAX - 1, u32::MAX, 5] {
            assert!(packets.next_packet(number).is_some());
        }
        assert_eq!(packets.acknowledge(u32::MAX - 1), None);
        assert_eq!(packets.acknowledge(u32::MAX), Some(PacketNumber(1)));
        assert_eq!(packets.acknowledge(5), Some(PacketNumber(2)));
        assert_eq!(packets.acknowledge(5), None);
        assert_eq!(packets.push(packet()), Some(PacketNumber(4)));
        assert_eq!(packets.acknowledge(9), Some(PacketNumber(3)));
        assert_eq!(packets.next(), PacketNumber(5));
    }

    #[test]
    fn a_full_queue_tells_once_when_there_is_room() {
        let mut packets = Packets::default();
        while packets.push(packet()).is_some() {}
        assert_eq!(packets.space(), 0);
        let mut told = 0;
        for number in 0..MAX_WAITING as u32 {
            assert!(packets.next_packet(number).is_some());
            told += usize::from(packets.take_writable());
        }
        assert_eq!((told, packets.space()), (1, MAX_WAITING));
    }
}
