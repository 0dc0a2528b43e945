//! One direction of a node's access to the network: delay, loss, bandwidth, a queue.

use core::time::Duration;

use toktok_mesh::{Rng, Time};

use super::{Chance, Loss, Lost};

/// What a UDP datagram weighs on the line beyond its payload: IPv4 and UDP headers, in bytes.
pub const HEADER_BYTES: u64 = 28;

/// What a TCP segment weighs beyond its payload: IPv4 and TCP headers with options, in bytes.
const SEGMENT_HEADER_BYTES: u64 = 52;

/// How much later a segment arrives that had to be sent again: TCP's least retransmission time-out.
const RETRANSMISSION: Duration = Duration::from_millis(200);

/// A segment that a link loses so often in a row comes through all the same.
const MAX_RETRANSMISSIONS: u32 = 6;

/// A model of one direction of an access link.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LinkModel {
    /// Time that every packet needs.
    pub latency: Duration,
    /// Up to this much more, uniformly. Packets still arrive in order: a late one holds up the next.
    pub jitter: Duration,
    /// How packets get lost.
    pub loss: Loss,
    /// Bytes a second, headers included; `None` is unlimited.
    pub bandwidth: Option<u64>,
    /// Most bytes that wait for a limited line; what comes on top is lost.
    pub queue: u64,
    /// Chance that a packet arrives twice.
    pub duplicate: Chance,
    /// Chance that a packet is held back and arrives after later ones.
    pub reorder: Chance,
    /// How long such a packet is held back.
    pub reorder_delay: Duration,
}

/// When a packet comes out at the far end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Carried {
    /// The packet.
    pub at: Time,
    /// Its copy, if it was duplicated.
    pub copy_at: Option<Time>,
}

/// One direction of a link and what is on it.
#[derive(Clone, Debug, Default)]
pub struct Link {
    /// How it behaves; may be changed at any time.
    pub model: LinkModel,
    burst: bool,
    line_free_at: Time,
    last_arrival: Time,
}

impl Link {
    /// An idle link.
    pub fn new(model: LinkModel) -> Self {
        Self { model, ..Self::default() }
    }

    /// Takes a datagram of `payload` bytes.
    ///
    /// # Errors
    /// [`Lost::Link`] or [`Lost::QueueFull`].
    pub fn carry(&mut self, now: Time, payload: usize, rng: &mut Rng) -> Result<Carried, Lost> {
        if self.model.loss.draw(&mut self.burst, rng) {
            return Err(Lost::Link);
        }
        let sent = self.transmit(now, payload as u64 + HEADER_BYTES)?;
        let base = sent + self.model.latency;
        if self.model.reorder.draw(rng) {
            return Ok(Carried { at: base + self.model.reorder_delay, copy_at: None });
        }
        let at = (base + self.jitter(rng)).max(self.last_arrival);
        self.last_arrival = at;
        let copy_at = self.model.duplicate.draw(rng).then(|| at + self.jitter(rng));
        Ok(Carried { at, copy_at })
    }

    /// When the last byte is on the line.
    fn transmit(&mut self, now: Time, bytes: u64) -> Result<Time, Lost> {
        let Some(bandwidth) = self.model.bandwidth else { return Ok(now) };
        let bandwidth = bandwidth.max(1);
        let start = self.line_free_at.max(now);
        let waiting = u128::from(start.as_micros() - now.as_micros()) * u128::from(bandwidth);
        if waiting / 1_000_000 + u128::from(bytes) > u128::from(self.model.queue) && start > now {
            return Err(Lost::QueueFull);
        }
        Ok(self.occupy(start, bytes, bandwidth))
    }

    /// Keeps the line busy from `start` on with `bytes`; tells until when.
    fn occupy(&mut self, start: Time, bytes: u64, bandwidth: u64) -> Time {
        let micros = (u128::from(bytes) * 1_000_000).div_ceil(u128::from(bandwidth));
        self.line_free_at = start + Duration::from_micros(micros as u64);
        self.line_free_at
    }

    /// Takes a segment of a byte stream: it always arrives, late if it was lost on the way, and its
    /// sender has room for it however long the line's queue is.
    pub fn carry_segment(&mut self, now: Time, payload: usize, rng: &mut Rng) -> Time {
        let bytes = payload as u64 + SEGMENT_HEADER_BYTES;
        let sent = match self.model.bandwidth {
            Some(bandwidth) => self.occupy(self.line_free_at.max(now), bytes, bandwidth.max(1)),
            None => now,
        };
        let mut at = sent + self.model.latency + self.jitter(rng);
        let mut wait = RETRANSMISSION;
        for _ in 0..MAX_RETRANSMISSIONS {
            if !self.model.loss.draw(&mut self.burst, rng) {
                break;
            }
            at += wait;
            wait *= 2;
        }
        at
    }

    fn jitter(&self, rng: &mut Rng) -> Duration {
        let micros = self.model.jitter.as_micros() as u64;
        if micros == 0 { Duration::ZERO } else { Duration::from_micros(rng.below(micros + 1)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rng() -> Rng {
        Rng::from_seed([8; 32])
    }

    #[test]
    fn latency_and_jitter_stay_in_bounds_and_in_order() {
        let (latency, jitter) = (Duration::from_millis(30), Duration::from_millis(10));
        let mut link = Link::new(LinkModel { latency, jitter, ..LinkModel::default() });
        let (mut rng, mut last, mut spread) = (rng(), Time::ZERO, Vec::new());
        for ms in (0..5_000).step_by(50) {
            let now = Time::from_millis(ms);
            let at = link.carry(now, 100, &mut rng).unwrap().at;
            assert!(at >= now + latency && at <= now + latency + jitter && at >= last);
            last = at;
            spread.push(at.since(now));
        }
        assert!(spread.iter().max() > spread.iter().min());
    }

    #[test]
    fn a_burst_leaves_in_order_even_with_jitter() {
        let jitter = Duration::from_millis(10);
        let mut link = Link::new(LinkModel { jitter, ..LinkModel::default() });
        let (mut rng, mut last) = (rng(), Time::ZERO);
        for _ in 0..100 {
            let at = link.carry(Time::ZERO, 100, &mut rng).unwrap().at;
            assert!(at >= last);
            last = at;
        }
    }

    #[test]
    fn bandwidth_spaces_packets_and_the_queue_is_bounded() {
        let model = LinkModel { bandwidth: Some(1_000_000), queue: 10_000, ..LinkModel::default() };
        let (mut link, mut rng) = (Link::new(model), rng());
        let size = 1_000 - HEADER_BYTES as usize;
        let arrivals: Vec<_> = (0..20).map(|_| link.carry(Time::ZERO, size, &mut rng)).collect();
        for (i, arrival) in arrivals.iter().enumerate() {
            let expected = (i < 10).then(|| Time::from_millis(i as u64 + 1));
            assert_eq!(arrival.map(|carried| carried.at).ok(), expected);
        }
        assert_eq!(arrivals[10], Err(Lost::QueueFull));
        let later = link.carry(Time::from_secs(1), size, &mut rng).unwrap().at;
        assert_eq!(later, Time::from_millis(1_001));
    }

    #[test]
    fn segments_share_the_line_and_arrive_always() {
        let latency = Duration::from_millis(10);
        let model = LinkModel {
            latency,
            loss: Loss::Independent(Chance::percent(50)),
            bandwidth: Some(1_000_000),
            queue: 1_000,
            ..LinkModel::default()
        };
        let (mut link, mut rng) = (Link::new(model), rng());
        let size = 1_000 - SEGMENT_HEADER_BYTES as usize;
        let mut late = 0;
        for i in 1..=200 {
            let least = Time::from_millis(i) + latency;
            let at = link.carry_segment(Time::ZERO, size, &mut rng);
            assert!(at >= least && at <= least + RETRANSMISSION * 64);
            late += u32::from(at > least);
        }
        assert!((60..140).contains(&late), "{late} of 200 at 50%");
    }

    #[test]
    fn duplicates_and_reorders() {
        let twice = LinkModel { duplicate: Chance::ALWAYS, ..LinkModel::default() };
        let carried = Link::new(twice).carry(Time::ZERO, 1, &mut rng()).unwrap();
        assert_eq!(carried.copy_at, Some(Time::ZERO));
        let model = LinkModel {
            reorder: Chance::percent(20),
            reorder_delay: Duration::from_millis(5),
            ..LinkModel::default()
        };
        let (mut link, mut rng) = (Link::new(model), rng());
        let arrivals: Vec<Time> =
            (0..100).map(|i| link.carry(Time::from_millis(i), 1, &mut rng).unwrap().at).collect();
        assert!(arrivals.windows(2).any(|pair| pair[0] > pair[1]));
    }
}
