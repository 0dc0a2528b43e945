//! How fast and how fair sessions are on a path with a slow link, a queue before it, and loss: two links
//! each, nothing else, in virtual time.

use core::time::Duration;
use std::collections::BTreeMap;

use bytes::Bytes;

use super::link::{Link, Received};
use super::record::Record;
use super::send::Body;
use crate::wire::{Nonce, PublicKey, Rng, SharedKey, Time};

/// Bytes of IP and UDP headers.
const HEADERS: u64 = 28;
/// Data of a packet.
const DATA: usize = 1372;

/// A path that all flows share. What comes back is not slowed down, but delayed and lost as well.
struct Path {
    bits_per_second: u64,
    /// There and back, without the queue.
    round_trip: Duration,
    /// Bytes that wait before the slow link.
    queue: u64,
    /// Of a thousand packets, so many are lost.
    lost: u64,
}

/// A sender, its receiver, and when it begins.
struct Flow {
    ends: [Link; 2],
    begins: Time,
    wakes: [Time; 2],
    /// Data that came, in order.
    received: u64,
}

struct Network {
    path: Path,
    now: Time,
    flows: Vec<Flow>,
    /// Packets under way, by arrival: the flow, the end, the bytes.
    arrivals: BTreeMap<(Time, u64), (usize, usize, Vec<u8>)>,
    sent: u64,
    /// When the slow link will have sent all that waits for it.
    free: Time,
    rng: Rng,
}

fn link_pair(now: Time) -> [Link; 2] {
    let (key, peer) = (SharedKey::from_bytes([1; 32]), PublicKey([0; 32]));
    let nonces = [Nonce([1; 24]), Nonce([2; 24])];
    [(0, 1), (1, 0)].map(|(own, other)| {
        let mut link = Link::new(now, Record::new(key.clone(), peer, nonces[own], nonces[other]));

        link.relax();
        link
    })
}

impl Network {
    fn new(path: Path, begins: &[u64]) -> Self {
        let now = Time::from_secs(10);
        let flow = |millis: &u64| {
            let begins = now + Duration::from_millis(*millis);
            Flow { ends: link_pair(begins), begins, wakes: [begins; 2], received: 0 }
        };
        let flows = begins.iter().map(flow).collect();
        let rng = Rng::from_seed([5; 32]);
        Self { path, now, flows, arrivals: BTreeMap::new(), sent: 0, free: now, rng }
    }

    fn transmit(&mut self, flow: usize, end: usize, packet: Vec<u8>) {
        if self.rng.chance(self.path.lost, 1000) {
            return;
        }
        let mut leaves = self.now;
        if end == 0 {
            let micros = |bytes: u64| bytes * 8_000_000 / self.path.bits_per_second;
            let waits = self.free.since(self.now);
            if waits > Duration::from_micros(micros(self.path.queue)) {
                return;
            }
            let takes = micros(packet.len() as u64 + HEADERS);
            leaves = self.now + waits + Duration::from_micros(takes);
            self.free = leaves;
        }
        self.sent += 1;
        let at = leaves + self.path.round_trip / 2;
        self.arrivals.insert((at, self.sent), (flow, 1 - end, packet));
    }

    /// Lets an end send what it may. The sender has data always.
    fn drain(&mut self, flow: usize, end: usize) {
        loop {
            let now = self.now;
            let link = &mut self.flows[flow].ends[end];
            let packet = link.poll_transmit(now).or_else(|| {
                let sends = end == 0 && link.can_send();
                sends.then(|| link.send(now, Body::new(170, Bytes::from_static(&[7; DATA]))))
            });
            match packet {
                Some(packet) => self.transmit(flow, end, packet),
                None => break,
            }
        }
        let flow = &mut self.flows[flow];
        flow.wakes[end] = flow.ends[end].deadline().max(self.now + Duration::from_micros(1));
    }

    fn receive(&mut self, flow: usize, end: usize, mut packet: Vec<u8>) {
        let (now, it) = (self.now, &mut self.flows[flow]);
        let arrived = it.ends[end].handle_packet(now, &mut packet).expect("it is genuine");
        if let Ok(Received::Lossless(..)) = arrived.received {
            it.received += DATA as u64;
            while it.ends[end].next_waiting().is_some() {
                it.received += DATA as u64;
            }
        }
        self.drain(flow, end);
    }

    fn run_until(&mut self, until: Time) {
        loop {
            let arrival = self.arrivals.first_key_value().map(|((at, _), _)| *at);
            let places = (0..self.flows.len()).flat_map(|flow| [(flow, 0), (flow, 1)]);
            let wake = places.map(|(flow, end)| (self.flows[flow].wakes[end], flow, end)).min();
            let (wakes, flow, end) = wake.expect("there are flows");
            if until < wakes && arrival.is_none_or(|at| until < at) {
                break;
            }
            if arrival.is_some_and(|at| at <= wakes) {
                let ((at, _), (flow, end, packet)) =
                    self.arrivals.pop_first().expect("there is one");
                self.now = at;
                self.receive(flow, end, packet);
            } else {
                self.now = wakes.max(self.flows[flow].begins);
                assert!(self.flows[flow].ends[end].handle_timeout(self.now), "it breaks");
                self.drain(flow, end);
            }
        }
        self.now = until;
    }

    /// Bits a second that each flow carries within these seconds from the beginning on.
    fn measure(&mut self, from: u64, until: u64) -> Vec<u64> {
        self.run_until(Time::from_secs(10 + from));
        let before: Vec<u64> = self.flows.iter().map(|flow| flow.received).collect();
        self.run_until(Time::from_secs(10 + until));
        let received = self.flows.iter().zip(before).map(|(flow, before)| flow.received - before);
        received.map(|bytes| bytes * 8 / (until - from)).collect()
    }
}

const MBIT: u64 = 1_000_000;

fn path(bits_per_second: u64, millis: u64, lost: u64) -> Path {
    let round_trip = Duration::from_millis(millis);
    let queue = (bits_per_second / 8 * millis / 1000).max(100_000);
    Path { bits_per_second, round_trip, queue, lost }
}

/// The share of a link of 50 Mbit/s that one flow fills from the fourth second to the eighth, in percent.
fn share(millis: u64, lost: u64) -> u64 {
    let mut network = Network::new(path(50 * MBIT, millis, lost), &[0]);
    network.measure(4, 8)[0] * 100 / (50 * MBIT)
}

#[test]
fn fills_a_link_that_loses_packets() {
    // Where a window is small, chance looks like a full queue: 40 of 100 are left then.
    for (millis, lost, least) in [
        (10, 0, 75),
        (10, 10, 40),
        (10, 50, 60),
        (40, 50, 70),
        (100, 0, 90),
        (100, 10, 85),
        (100, 20, 85),
        (100, 50, 85),
    ] {
        let share = share(millis, lost);
        assert!(share >= least, "{millis} ms, {lost} of 1000 lost: {share} % of the link");
    }
}

#[test]
fn never_stands_still() {
    for lost in [5, 10, 30, 80] {
        let mut network = Network::new(path(50 * MBIT, 10, lost), &[0]);
        for second in 0..8 {
            let rate = network.measure(second, second + 1)[0];
            assert!(rate > 2 * MBIT, "{lost} of 1000 lost, second {second}: {rate} bit/s");
        }
    }
}

#[test]
fn fills_a_long_and_wide_path_as_far_as_the_window_goes() {
    let rates = Network::new(path(1000 * MBIT, 100, 0), &[0]).measure(2, 3);
    assert!(rates[0] >= 400 * MBIT, "{} Mbit/s", rates[0] / MBIT);
}

#[test]
fn bears_a_short_queue() {
    let mut network = Network::new(Path { queue: 40_000, ..path(20 * MBIT, 40, 0) }, &[0]);
    let rates = network.measure(5, 15);
    assert!(rates[0] >= 8 * MBIT, "{} Mbit/s", rates[0] / MBIT);
}

#[test]
fn shares_with_another_flow() {
    for (millis, lost) in [(10, 0), (40, 0), (40, 10)] {
        let rates = Network::new(path(20 * MBIT, millis, lost), &[0, 3000]).measure(20, 40);
        let [a, b] = rates[..] else { panic!("two flows") };
        assert!(a < 2 * b && b < 2 * a, "{millis} ms, {lost} of 1000 lost: {a} and {b}");
        assert!(a + b > 12 * MBIT, "{millis} ms, {lost} of 1000 lost: {a} and {b}");
    }
}
