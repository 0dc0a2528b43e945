//! The receiver's half of reliability: lossless packets are handed up once and in order; those that
//! came too early wait (research note `tox.md` 1.6).

use std::collections::BTreeMap;

use crate::drops::DropReason;
use crate::wire::session::PacketRequest;

/// How far beyond the next packet one may be. Also the most that wait: 5.6 MB.
const MAX_AHEAD: u32 = 4096;

/// What a lossless packet's arrival means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Arrival {
    /// It is the next one: hand it up, then what [`ReceiveBuffer::next_waiting`] gives.
    Next,
    /// It waits for others.
    Early {
        /// Nothing between it and the packets before it was known to be missing until now.
        new_gap: bool,
    },
}

/// Lossless packets that came.
#[derive(Debug, Default)]
pub(crate) struct ReceiveBuffer {
    /// The number of the next packet to be handed up, without wrapping.
    next: u64,
    /// One beyond the newest packet that is known to exist.
    end: u64,
    early: BTreeMap<u64, (u8, Vec<u8>)>,
}

impl ReceiveBuffer {
    /// The number of the next packet to be handed up: the acknowledgement.
    pub(crate) fn next(&self) -> u32 {
        self.next as u32
    }

    /// True if packets are missing that exist.
    pub(crate) fn has_gaps(&self) -> bool {
        self.end > self.next
    }

    /// Takes a lossless packet.
    pub(crate) fn receive(
        &mut self,
        number: u32,
        id: u8,
        data: &[u8],
    ) -> Result<Arrival, DropReason> {
        let ahead = number.wrapping_sub(self.next());
        if ahead > u32::MAX / 2 {
            return Err(DropReason::Replayed);
        }
        if ahead >= MAX_AHEAD {
            return Err(DropReason::LimitReached);
        }
        let number = self.next + u64::from(ahead);
        let new_gap = number > self.end;
        if ahead == 0 {
            self.next += 1;
            self.end = self.end.max(self.next);
            return Ok(Arrival::Next);
        }
        if self.early.contains_key(&number) {
            return Err(DropReason::Replayed);
        }
        self.early.insert(number, (id, data.to_vec()));
        self.end = self.end.max(number + 1);
        Ok(Arrival::Early { new_gap })
    }

    /// The next packet, if it waits here.
    pub(crate) fn next_waiting(&mut self) -> Option<(u8, Vec<u8>)> {
        let packet = self.early.remove(&self.next)?;
        self.next += 1;
        Some(packet)
    }

    /// Learns that all packets before `end` were sent; true if some of them are new gaps.
    pub(crate) fn learn_end(&mut self, end: u32) -> bool {
        let ahead = end.wrapping_sub(self.next());
        let end = self.next + u64::from(ahead);
        let news = ahead <= MAX_AHEAD && end > self.end;
        if news {
            self.end = end;
        }
        news
    }

    /// Appends the data of a packet request that names what is missing, at most `limit` bytes.
    pub(crate) fn write_request(&self, limit: usize, out: &mut Vec<u8>) {
        let mut from = self.next;
        let held = self.early.keys().copied().chain([self.end]);
        let missing = held.flat_map(|held| {
            let gap = from..held;
            from = held + 1;
            gap
        });
        let missing = missing.map(|number| number - self.next);
        PacketRequest::write(missing, self.end - self.next, limit, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(buffer: &ReceiveBuffer) -> Vec<u8> {
        let mut out = Vec::new();
        buffer.write_request(1372, &mut out);
        out
    }

    #[test]
    fn hands_up_once_and_in_order_across_the_wrap() {
        let start = u64::from(u32::MAX) - 1;
        let mut buffer = ReceiveBuffer { next: start, end: start, ..Default::default() };
        assert_eq!(buffer.receive(0, 17, b"c"), Ok(Arrival::Early { new_gap: true }));
        assert_eq!(buffer.receive(1, 17, b"d"), Ok(Arrival::Early { new_gap: false }));
        assert_eq!(buffer.receive(0, 17, b"c"), Err(DropReason::Replayed));
        assert_eq!(request(&buffer), [1, 1]);
        assert_eq!(buffer.receive(u32::MAX - 1, 17, b"a"), Ok(Arrival::Next));
        assert_eq!(buffer.next_waiting(), None);
        assert_eq!(buffer.receive(u32::MAX, 17, b"b"), Ok(Arrival::Next));
        assert_eq!(buffer.next_waiting(), Some((17, b"c".to_vec())));
        assert_eq!(buffer.next_waiting(), Some((17, b"d".to_vec())));
        assert_eq!(buffer.next_waiting(), None);
        assert_eq!(buffer.receive(u32::MAX, 17, b"b"), Err(DropReason::Replayed));
        assert!(!buffer.has_gaps() && request(&buffer).is_empty());
        assert_eq!(buffer.next(), 2);
    }

    #[test]
    fn learns_of_lost_tails_and_refuses_what_is_far_ahead() {
        let mut buffer = ReceiveBuffer::default();
        assert!(buffer.learn_end(2) && !buffer.learn_end(1));
        assert_eq!(request(&buffer), [1, 1]);
        assert_eq!(buffer.receive(MAX_AHEAD, 17, b""), Err(DropReason::LimitReached));
        assert!(!buffer.learn_end(MAX_AHEAD + 1) && !buffer.learn_end(u32::MAX));
    }
}
