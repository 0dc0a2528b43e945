//! A session's packets once both sides have the keys: sealed, numbered, acknowledged, sent again, and
//! no more of them on the way than the path bears.

use core::time::Duration;

use super::congestion::{Congestion, Progress};
use super::receive::{Arrival, ReceiveBuffer};
use super::record::Record;
use super::round_trip::RoundTrip;
use super::send::{Acknowledged, Body, SendBuffer};
use crate::config::SESSION_TIMEOUT;
use crate::drops::DropReason;
use crate::wire::session::{CryptoData, DataHeader, MAX_CRYPTO_DATA, PacketRequest, data_id};
use crate::wire::{Nonce, PublicKey, Time};

/// Lossless packets after which the peer is told at once that they came: often enough to keep an
/// initial window moving, seldom enough to cost little.
const ACKNOWLEDGE_EVERY: u32 = 8;
/// Otherwise it is told after this. c-toxcore tells every 50 to 1000 ms.
const ACKNOWLEDGE_DELAY: Duration = Duration::from_millis(4);
/// While packets are missing, the peer is told so again after this, then after twice as long …
const REPEAT_REQUEST: Duration = Duration::from_millis(10);
/// … up to this many times as long (c-toxcore tells at least every second).
const REPEAT_BACKOFF: u32 = 6;
/// Probes in vain after which the path counts as changed.
const COLLAPSE_AFTER: u32 = 3;
/// Probes in vain after which another way to the peer is tried, if there is one.
const STALLED_AFTER: u32 = 2;
/// Bytes that a packet which tries a way says of missing packets.
const MAX_ATTEMPT: usize = 32;
/// A session that sent nothing for so long says that it is there, so that NATs keep their mapping, and
/// the peer its patience and the direct way, which is open for 8 s (c-toxcore's friend connections say
/// so every 8 s, but its sessions send something every second).
const KEEPALIVE: Duration = Duration::from_secs(6);

/// What a received packet contained.
#[derive(Debug)]
pub(crate) enum Received<'a> {
    /// A lossless packet, the next in order; [`Link::next_waiting`] may have more.
    Lossless(u8, &'a [u8]),
    /// A lossy packet.
    Lossy(u8, &'a [u8]),
    /// The peer ends the session.
    Kill,
    /// Nothing for those above.
    Nothing,
}

/// A packet that opened: whether the peer's address is now where it came from, and the content.
#[derive(Debug)]
pub(crate) struct Arrived<'a> {
    pub(crate) newest: bool,
    /// What is in it, unless it is of no use: it came before, or breaks a rule.
    pub(crate) received: Result<Received<'a>, DropReason>,
}

/// One side of a session.
#[derive(Debug)]
pub(crate) struct Link {
    record: Record,
    send: SendBuffer,
    receive: ReceiveBuffer,
    round_trip: RoundTrip,
    congestion: Congestion,
    /// Lossless packets that the peer has not been told of.
    unacknowledged: u32,
    /// When the peer is told at the latest.
    acknowledge_at: Option<Time>,
    /// Requests in a row that brought nothing.
    repeats: u32,
    /// Probes in a row without an answer.
    probes: u32,
    /// One packet may go beyond the window: the probe.
    probe_waits: bool,
    last_heard: Time,
    last_sent: Time,
    last_alive: Time,
    /// The peer is one of ours: any packet shows that we live, not [`data_id::ALIVE`] only.
    relaxed: bool,
}

impl Link {
    /// A link that begins now.
    pub(crate) fn new(now: Time, record: Record) -> Self {
        Self {
            record,
            send: SendBuffer::default(),
            receive: ReceiveBuffer::default(),
            round_trip: RoundTrip::default(),
            congestion: Congestion::default(),
            unacknowledged: 0,
            acknowledge_at: None,
            repeats: 0,
            probes: 0,
            probe_waits: false,
            last_heard: now,
            last_sent: now,
            last_alive: now,
            relaxed: false,
        }
    }

    /// The peer's key of this session.
    pub(crate) fn peer_session_key(&self) -> PublicKey {
        self.record.peer_session_key()
    }

    /// See [`Record::send_nonce`].
    pub(crate) fn send_nonce(&self) -> Nonce {
        self.record.send_nonce()
    }

    /// The peer has all lossless packets before this number.
    pub(crate) fn acknowledged(&self) -> u32 {
        self.send.first()
    }

    /// The number of the next lossless packet.
    pub(crate) fn next_number(&self) -> u32 {
        self.send.end()
    }

    /// See [`Record::distance`].
    pub(crate) fn distance(&self, low: u16) -> i16 {
        self.record.distance(low)
    }

    /// The peer is one of ours.
    pub(crate) fn relax(&mut self) {
        self.relaxed = true;
    }

    /// Takes a crypto data packet; one that does not open is left as it was.
    pub(crate) fn handle_packet<'a>(
        &mut self,
        now: Time,
        packet: &'a mut [u8],
    ) -> Result<Arrived<'a>, DropReason> {
        let opened = self.record.open(packet)?;
        self.last_heard = now;
        let (newest, data) = (opened.newest, opened.data);
        let acknowledged = self.send.acknowledge_until(now, data.header.received);
        self.apply(acknowledged);
        let received = self.handle_data(now, data);
        Ok(Arrived { newest, received })
    }

    fn handle_data<'a>(
        &mut self,
        now: Time,
        data: CryptoData<'a>,
    ) -> Result<Received<'a>, DropReason> {
        if data_id::LOSSLESS.contains(&data.id) {
            return self.handle_lossless(now, data);
        }
        if self.receive.learn_end(data.header.number) {
            self.hurry(now);
        }
        match data.id {
            data_id::REQUEST => {
                let request = PacketRequest { distances: data.data };
                let (start, path) = (data.header.received, &self.round_trip);
                let acknowledged = self.send.handle_request(now, start, request, path);
                self.apply(acknowledged);
                Ok(Received::Nothing)
            }
            data_id::KILL => Ok(Received::Kill),
            id if data_id::LOSSY.contains(&id) => Ok(Received::Lossy(id, data.data)),
            _ => Err(DropReason::UnknownKind),
        }
    }

    fn handle_lossless<'a>(
        &mut self,
        now: Time,
        data: CryptoData<'a>,
    ) -> Result<Received<'a>, DropReason> {
        let arrival = self.receive.receive(data.header.number, data.id, data.data);
        if matches!(arrival, Ok(Arrival::Early { new_gap: true }) | Err(DropReason::Replayed)) {
            // Something is missing, or the peer missed that this one came.
            self.hurry(now);
        }
        self.unacknowledged += 1;
        self.repeats = 0;
        let at = now + ACKNOWLEDGE_DELAY;
        self.acknowledge_at = Some(self.acknowledge_at.map_or(at, |before| before.min(at)));
        Ok(match arrival? {
            Arrival::Next => Received::Lossless(data.id, data.data),
            Arrival::Early { .. } => Received::Nothing,
        })
    }

    /// The next lossless packet in order that came before it was its turn.
    pub(crate) fn next_waiting(&mut self) -> Option<(u8, Vec<u8>)> {
        self.receive.next_waiting()
    }

    /// Tells the peer at the next poll.
    fn hurry(&mut self, now: Time) {
        self.acknowledge_at = Some(now);
    }

    fn apply(&mut self, acknowledged: Acknowledged) {
        self.congestion.lose(acknowledged.lost);
        if acknowledged.count == 0 {
            return;
        }
        self.probes = 0;
        if let Some(sample) = acknowledged.sample {
            self.round_trip.sample(sample);
        }
        let in_use = self.send.in_flight() + acknowledged.count as usize;
        let progress = Progress {
            count: acknowledged.count,
            newest: acknowledged.newest,
            next: self.send.next_transmission(),
            sample: acknowledged.sample,
            limited: in_use * 2 > self.congestion.window(),
        };
        self.congestion.acknowledge(progress, &self.round_trip);
    }

    /// True if a new lossless packet may go now.
    pub(crate) fn can_send(&mut self) -> bool {
        !self.send.has_lost()
            && self.send.in_flight() < self.congestion.window()
            && self.send.has_room()
    }

    /// Seals a new lossless packet. The caller has asked [`Self::can_send`].
    pub(crate) fn send(&mut self, now: Time, body: Body) -> Vec<u8> {
        let idle = self.send.is_empty() && now.since(self.send.last_sent()) > 4 * self.rest_after();
        if idle {
            self.congestion.rest();
        }
        if body.id == data_id::ALIVE {
            self.last_alive = now;
        }
        let header = DataHeader { received: self.receive.next(), number: self.send.end() };
        let packet = self.record.seal(header, body.id, body.parts());
        self.send.push(now, body);
        self.sent(now, false);
        packet
    }

    fn rest_after(&self) -> Duration {
        self.round_trip.probe_delay(0)
    }

    /// Seals a lossy packet.
    pub(crate) fn send_lossy(&mut self, now: Time, id: u8, data: &[u8]) -> Vec<u8> {
        let packet = self.seal_unnumbered(id, data);
        self.sent(now, false);
        packet
    }

    /// Seals the packet that ends the session.
    pub(crate) fn send_kill(&mut self) -> Vec<u8> {
        self.seal_unnumbered(data_id::KILL, &[])
    }

    fn seal_unnumbered(&mut self, id: u8, data: &[u8]) -> Vec<u8> {
        let header = DataHeader { received: self.receive.next(), number: self.send.end() };
        self.record.seal(header, id, [data, &[]])
    }

    /// Notes that a packet goes now. Each one acknowledges what came in order; a request, the rest too.
    fn sent(&mut self, now: Time, request: bool) {
        self.last_sent = now;
        if request || !self.receive.has_gaps() {
            (self.unacknowledged, self.acknowledge_at) = (0, None);
        }
    }

    /// The next packet that the link itself wants to send: an acknowledgement that is due, a lost
    /// packet once more, a sign of life.
    pub(crate) fn poll_transmit(&mut self, now: Time) -> Option<Vec<u8>> {
        let due = self.acknowledge_at.is_some_and(|at| at <= now);
        if due || self.unacknowledged >= ACKNOWLEDGE_EVERY {
            return Some(self.send_request(now));
        }
        if self.probe_waits || self.send.in_flight() < self.congestion.window() {
            let received = self.receive.next();
            if let Some((number, body)) = self.send.resend(now) {
                let header = DataHeader { received, number };
                let packet = self.record.seal(header, body.id, body.parts());
                self.probe_waits = false;
                self.sent(now, false);
                return Some(packet);
            }
            self.probe_waits = false;
        }
        (self.relaxed && self.keepalive_at() <= now).then(|| self.send_request(now))
    }

    /// True if the session was silent for so long that it shall say that it is there.
    pub(crate) fn is_silent(&self, now: Time) -> bool {
        self.keepalive_at() <= now
    }

    /// True if a plain Tox friend is owed a sign of life: a lossless packet, as only that counts there.
    pub(crate) fn owes_alive(&self, now: Time) -> bool {
        !self.relaxed && self.keepalive_at() <= now
    }

    fn keepalive_at(&self) -> Time {
        let since = if self.relaxed { self.last_sent } else { self.last_alive };
        since + KEEPALIVE
    }

    /// Seals a small packet that may get lost: one that tries a way.
    pub(crate) fn send_attempt(&mut self) -> Vec<u8> {
        self.seal_request(MAX_ATTEMPT)
    }

    /// Seals a packet that says what came and what is missing, in at most so many bytes.
    fn seal_request(&mut self, limit: usize) -> Vec<u8> {
        let mut data = Vec::new();
        self.receive.write_request(limit, &mut data);
        self.seal_unnumbered(data_id::REQUEST, &data)
    }

    fn send_request(&mut self, now: Time) -> Vec<u8> {
        let packet = self.seal_request(MAX_CRYPTO_DATA - 1);
        self.sent(now, true);
        if self.receive.has_gaps() {
            self.acknowledge_at = Some(now + REPEAT_REQUEST * (1 << self.repeats));
            self.repeats = (self.repeats + 1).min(REPEAT_BACKOFF);
        }
        packet
    }

    /// True if several probes in a row stayed without an answer.
    pub(crate) fn is_stalled(&self) -> bool {
        self.probes >= STALLED_AFTER
    }

    /// Packets go another way from now on: nothing is known of it.
    pub(crate) fn change_path(&mut self) {
        (self.round_trip, self.congestion) = (RoundTrip::default(), Congestion::default());
        self.probes = 0;
    }

    fn probe_at(&self) -> Option<Time> {
        (self.send.in_flight() > 0)
            .then(|| self.send.last_sent() + self.round_trip.probe_delay(self.probes))
    }

    /// When the link has something to do at the latest.
    pub(crate) fn deadline(&self) -> Time {
        let silence = self.last_heard + SESSION_TIMEOUT;
        let soonest = silence.min(self.keepalive_at());
        let soonest = soonest.min(self.acknowledge_at.unwrap_or(Time::MAX));
        soonest.min(self.probe_at().unwrap_or(Time::MAX))
    }

    /// Runs the timers; false when the peer has been silent for too long.
    pub(crate) fn handle_timeout(&mut self, now: Time) -> bool {
        if self.probe_at().is_some_and(|at| at <= now) {
            self.probes += 1;
            self.probe_waits = true;
            self.send.probe();
            if self.probes == COLLAPSE_AFTER {
                self.congestion.collapse();
                self.send.lose_all();
            }
        }
        now.since(self.last_heard) < SESSION_TIMEOUT
    }
}
