//! The sender's half of reliability: lossless packets on the way, until the peer has said that each of
//! them came (research note `tox.md` 1.6). The ring grows and shrinks with what is on the way.

use core::time::Duration;
use std::collections::VecDeque;

use bytes::Bytes;

use super::round_trip::RoundTrip;
use crate::wire::Time;
use crate::wire::session::{MAX_CRYPTO_DATA, PacketRequest};

/// Most packets between the oldest that is not acknowledged and the newest: what our receiver keeps.
/// (c-toxcore keeps 32 768.)
const MAX_PACKETS: usize = 4096;
/// A packet is lost when one transmitted so many later has come, and long enough after it (RFC 8985).
const REORDERING: u64 = 3;
/// Most distances that fit into a request.
const MAX_DISTANCES: usize = MAX_CRYPTO_DATA - 1;
/// An empty ring with room for more than this is given back to the allocator.
const IDLE_CAPACITY: usize = 64;

/// What a lossless packet carries: it is sealed anew each time it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    /// The data id.
    pub(crate) id: u8,
    head: [u8; 5],
    head_len: u8,
    bytes: Bytes,
}

impl Body {
    /// A packet of `bytes`.
    pub(crate) fn new(id: u8, bytes: Bytes) -> Self {
        Self { id, head: [0; 5], head_len: 0, bytes }
    }

    /// A packet of `head` and then `bytes`, a slice of a message that is not copied.
    pub(crate) fn with_head(id: u8, head: [u8; 5], bytes: Bytes) -> Self {
        Self { id, head, head_len: 5, bytes }
    }

    /// The data behind the id.
    pub(crate) fn parts(&self) -> [&[u8]; 2] {
        [&self.head[..usize::from(self.head_len)], &self.bytes]
    }
}

#[derive(Debug)]
struct Sent {
    body: Body,
    at: Time,
    /// The number of the last transmission; retransmissions count too.
    transmission: u64,
    again: bool,
    lost: bool,
}

/// What was found out by an acknowledgement.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Acknowledged {
    /// Packets acknowledged for the first time.
    pub(crate) count: u32,
    /// Transmission number of the newest of them.
    pub(crate) newest: u64,
    /// Its round trip, if it was sent once only.
    pub(crate) sample: Option<Duration>,
    /// Packets found lost.
    pub(crate) lost: u32,
}

/// Lossless packets on the way.
#[derive(Debug, Default)]
pub(crate) struct SendBuffer {
    ring: VecDeque<Option<Sent>>,
    /// The packet number of the ring's front.
    first: u32,
    /// Sent, neither acknowledged nor lost.
    in_flight: usize,
    /// Numbers of lost packets; some may be acknowledged since.
    lost: VecDeque<u32>,
    next_transmission: u64,
    /// The newest transmission that is acknowledged: its number, and when it was.
    newest_acknowledged: Option<(u64, Time)>,
    /// That was not the packet's first transmission.
    newest_again: bool,
    last_sent: Time,
}

impl SendBuffer {
    /// The number of the oldest packet that is not acknowledged.
    pub(crate) fn first(&self) -> u32 {
        self.first
    }

    /// The number that the next new packet will have.
    pub(crate) fn end(&self) -> u32 {
        self.first.wrapping_add(self.ring.len() as u32)
    }

    /// The number that the next transmission will have.
    pub(crate) fn next_transmission(&self) -> u64 {
        self.next_transmission
    }

    /// Packets sent, neither acknowledged nor lost.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// When a lossless packet was last sent.
    pub(crate) fn last_sent(&self) -> Time {
        self.last_sent
    }

    /// True if there is room for a new packet.
    pub(crate) fn has_room(&self) -> bool {
        self.ring.len() < MAX_PACKETS
    }

    /// True if nothing waits for an acknowledgement.
    pub(crate) fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Adds a packet that is being sent now, and gives it its number.
    pub(crate) fn push(&mut self, now: Time, body: Body) -> u32 {
        let (number, transmission) = (self.end(), self.transmit(now));
        self.ring.push_back(Some(Sent { body, at: now, transmission, again: false, lost: false }));
        number
    }

    fn transmit(&mut self, now: Time) -> u64 {
        self.in_flight += 1;
        self.last_sent = now;
        self.next_transmission += 1;
        self.next_transmission - 1
    }

    /// The next lost packet, which is being sent again now.
    pub(crate) fn resend(&mut self, now: Time) -> Option<(u32, &Body)> {
        let index = loop {
            let number = self.lost.pop_front()?;
            if let Some(index) = self.lost_index(number) {
                break index;
            }
        };
        let (number, transmission) = (self.first.wrapping_add(index as u32), self.transmit(now));
        let sent = self.ring.get_mut(index)?.as_mut()?;
        (sent.at, sent.transmission, sent.again, sent.lost) = (now, transmission, true, false);
        Some((number, &sent.body))
    }

    /// True if a lost packet waits to be sent again.
    pub(crate) fn has_lost(&mut self) -> bool {
        while let Some(&number) = self.lost.front() {
            if self.lost_index(number).is_some() {
                return true;
            }
            self.lost.pop_front();
        }
        false
    }

    /// Where the packet `number` stands in the ring, if it is lost still.
    fn lost_index(&self, number: u32) -> Option<usize> {
        let index = number.wrapping_sub(self.first) as usize;
        matches!(self.ring.get(index), Some(Some(Sent { lost: true, .. }))).then_some(index)
    }

    /// Takes the acknowledgement of all packets before `number`; one that is late says nothing.
    pub(crate) fn acknowledge_until(&mut self, now: Time, number: u32) -> Acknowledged {
        let mut result = Acknowledged::default();
        let count = number.wrapping_sub(self.first) as usize;
        if count > 0 && count <= self.ring.len() {
            for index in 0..count {
                self.acknowledge(now, index, &mut result);
            }
            self.trim();
        }
        result
    }

    /// Takes a packet request, which counts from the packet `start`.
    pub(crate) fn handle_request(
        &mut self,
        now: Time,
        start: u32,
        request: PacketRequest<'_>,
        path: &RoundTrip,
    ) -> Acknowledged {
        let mut result = Acknowledged::default();
        // Where the request starts in the ring; before its front if a later one came first.
        let start = i64::from(start.wrapping_sub(self.first) as i32);
        let len = self.ring.len() as i64;
        let mut next = start;
        let ends = request.missing().chain([request.covered()]);
        for missing in ends.map(|offset| start + offset as i64) {
            for index in next.max(0)..missing.min(len) {
                self.acknowledge(now, index as usize, &mut result);
            }
            next = missing + 1;
            if missing >= len {
                break;
            }
        }
        for missing in request.missing().map(|offset| start + offset as i64) {
            if missing >= len {
                break;
            }
            if missing >= 0 && self.is_lost(now, missing as usize, path) {
                self.lose(missing as usize);
                result.lost += 1;
            }
        }
        if self.newest_again {
            self.lose_tail(start, request, path, &mut result);
        }
        self.trim();
        result
    }

    /// Gives up what a retransmission overtook and the peer does not know of: all that was on the way
    /// when the way was cut. Other packets beyond what the peer knows are on their way still.
    fn lose_tail(
        &mut self,
        start: i64,
        request: PacketRequest<'_>,
        path: &RoundTrip,
        result: &mut Acknowledged,
    ) {
        let unknown = match request.distances.len() {
            0 => start,
            // There was no room for all that the peer misses.
            MAX_DISTANCES.. => return,
            // Up to 254 packets after the last missing one may have come.
            _ => start + request.covered() as i64 + 254,
        };
        let newest = self.newest_acknowledged.map_or(0, |(newest, _)| newest);
        for index in unknown.max(0) as usize..self.ring.len() {
            if self.is_overtaken(index, path) {
                self.lose(index);
                result.lost += 1;
            }
            if matches!(&self.ring[index], Some(it) if !it.again && it.transmission > newest) {
                break;
            }
        }
    }

    /// Gives up the oldest packet on the way as lost, so that it is sent again as a probe.
    pub(crate) fn probe(&mut self) {
        let on_the_way = |sent: &Option<Sent>| matches!(sent, Some(Sent { lost: false, .. }));
        if let Some(index) = self.ring.iter().position(on_the_way) {
            self.lose(index);
        }
    }

    /// Gives up all packets on the way: they are sent again in their order, as the window allows.
    pub(crate) fn lose_all(&mut self) {
        self.in_flight = 0;
        self.lost.clear();
        for (index, sent) in (0..).zip(&mut self.ring) {
            if let Some(sent) = sent {
                sent.lost = true;
                self.lost.push_back(self.first.wrapping_add(index));
            }
        }
    }

    fn acknowledge(&mut self, now: Time, index: usize, result: &mut Acknowledged) {
        let Some(sent) = self.ring.get_mut(index).and_then(Option::take) else { return };
        if !sent.lost {
            self.in_flight -= 1;
        }
        if result.count == 0 || sent.transmission > result.newest {
            result.newest = sent.transmission;
            result.sample = (!sent.again).then(|| now.since(sent.at));
        }
        result.count += 1;
        if self.newest_acknowledged.is_none_or(|(newest, _)| newest < sent.transmission) {
            self.newest_acknowledged = Some((sent.transmission, sent.at));
            self.newest_again = sent.again;
        }
    }

    /// Decides of a packet that the peer misses: on its way still, or lost?
    fn is_lost(&self, now: Time, index: usize, path: &RoundTrip) -> bool {
        let Some(Some(sent)) = self.ring.get(index) else { return false };
        let late = now.since(sent.at) > path.loss_delay();
        !sent.lost && (late || self.is_overtaken(index, path))
    }

    /// True if packets that were sent long enough after it have come.
    fn is_overtaken(&self, index: usize, path: &RoundTrip) -> bool {
        let Some(Some(sent)) = self.ring.get(index) else { return false };
        let overtaken = self.newest_acknowledged.is_some_and(|(newest, at)| {
            newest >= sent.transmission + REORDERING && at >= sent.at + path.reordering()
        });
        !sent.lost && overtaken
    }

    fn lose(&mut self, index: usize) {
        if let Some(Some(sent)) = self.ring.get_mut(index) {
            sent.lost = true;
            self.in_flight -= 1;
            self.lost.push_back(self.first.wrapping_add(index as u32));
        }
    }

    /// Drops acknowledged packets from the front.
    fn trim(&mut self) {
        while let Some(None) = self.ring.front() {
            self.ring.pop_front();
            self.first = self.first.wrapping_add(1);
        }
        if self.ring.is_empty() && self.ring.capacity() > IDLE_CAPACITY && self.lost.is_empty() {
            self.ring = VecDeque::new();
            self.lost = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_secs(1);

    fn buffer(count: usize) -> SendBuffer {
        let mut buffer = SendBuffer { first: u32::MAX - 1, ..Default::default() };
        for _ in 0..count {
            buffer.push(NOW, Body::new(16, Bytes::new()));
        }
        buffer
    }

    #[test]
    fn numbers_wrap_and_late_acknowledgements_say_nothing() {
        let mut buffer = buffer(5);
        let later = NOW + Duration::from_millis(20);
        let result = buffer.acknowledge_until(later, 1);
        assert_eq!((result.count, result.newest), (3, 2));
        assert_eq!(result.sample, Some(Duration::from_millis(20)));
        assert_eq!((buffer.in_flight(), buffer.end()), (2, 3));
        assert_eq!(buffer.acknowledge_until(later, u32::MAX), Acknowledged::default());
        assert_eq!(buffer.acknowledge_until(later, 4), Acknowledged::default());
    }

    #[test]
    fn a_request_acknowledges_what_it_passes_over() {
        let mut buffer = buffer(10);
        let path = RoundTrip::default();
        // Numbers 0 and 4 of 10 are missing; 5 to 9 are not spoken of.
        let request = PacketRequest { distances: &[1, 4] };
        let result = buffer.handle_request(NOW, u32::MAX - 1, request, &path);
        assert_eq!((result.count, result.lost), (3, 1));
        assert_eq!(buffer.resend(NOW).map(|(number, _)| number), Some(u32::MAX - 1));
        assert!(!buffer.has_lost());
        assert_eq!(buffer.in_flight(), 7);
        let beyond = PacketRequest { distances: &[0] };
        assert_eq!(buffer.handle_request(NOW, 8, beyond, &path).count, 0);
        let all = PacketRequest { distances: &[0] };
        assert_eq!(buffer.handle_request(NOW, u32::MAX - 1, all, &path).count, 7);
        assert!(buffer.is_empty());
        assert_eq!(buffer.in_flight(), 0);
    }

    #[test]
    fn a_probe_that_comes_through_shows_that_all_before_it_is_lost() {
        let mut buffer = buffer(600);
        let path = RoundTrip::default();
        let at = |millis| NOW + Duration::from_millis(millis);
        for round in 0..3 {
            buffer.probe();
            assert!(buffer.resend(at(100 * round)).is_some());
        }
        let second = buffer.first().wrapping_add(1);
        assert_eq!(buffer.acknowledge_until(at(300), second).count, 1);
        // Of what comes up to 254 packets after the last missing one, a request says nothing.
        let some = PacketRequest { distances: &[1] };
        assert_eq!(buffer.handle_request(at(300), second, some, &path).lost, 1 + 599 - 255);
        let nothing = PacketRequest { distances: &[] };
        assert_eq!(buffer.handle_request(at(300), second, nothing, &path).lost, 254);
        assert_eq!(buffer.in_flight(), 0);
    }

    #[test]
    fn what_is_given_up_all_at_once_is_sent_again_in_order() {
        let mut buffer = buffer(5);
        let request = PacketRequest { distances: &[3] };
        let start = buffer.first();
        buffer.handle_request(NOW + Duration::from_secs(1), start, request, &RoundTrip::default());
        buffer.probe();
        buffer.lose_all();
        assert_eq!(buffer.in_flight(), 0);
        let again = core::iter::from_fn(|| buffer.resend(NOW).map(|(number, _)| number));
        assert_eq!(again.collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(buffer.in_flight(), 3);
    }

    #[test]
    fn what_is_named_missing_too_early_is_not_sent_again() {
        let mut buffer = buffer(3);
        let path = RoundTrip::default();
        let request = PacketRequest { distances: &[1, 1, 1] };
        assert_eq!(buffer.handle_request(NOW, u32::MAX - 1, request, &path).lost, 0);
        let later = NOW + Duration::from_secs(1);
        assert_eq!(buffer.handle_request(later, u32::MAX - 1, request, &path).lost, 3);
        buffer.acknowledge_until(later, 0);
        assert_eq!(buffer.resend(later).map(|(number, _)| number), Some(0));
        assert_eq!(buffer.acknowledge_until(later, 1).sample, None);
    }
}
