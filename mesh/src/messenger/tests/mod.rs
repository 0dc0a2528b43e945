//! Two messengers and the session between them, in virtual time: packets wait for a window, fly for a
//! while and are acknowledged; disks take their time; sessions break.

mod files;
mod friends;
mod hostile;

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::carrier::Carrier;
use super::core::Core;
use super::event::MessengerEvent as Event;
use super::files::{FileOffer, FileOutcome, IoFailed, IoRequest, IoResult, TransferId};
use crate::error::PacketError;
use crate::event::PacketNumber;
use crate::machine::IoToken;
use crate::wire::messenger::{FileKind, id};
use crate::wire::session::data_id::LOSSY;
use crate::wire::{PublicKey, Rng, Time};

/// One way.
const DELAY: Duration = Duration::from_millis(20);
/// Packets that wait for the window before the session takes no more.
const QUEUE: usize = 128;
/// When the clock showed nothing.
const EPOCH: Duration = Duration::from_secs(1_700_000_000);

/// A messenger without friends.
fn core_of(key: PublicKey, seed: u8) -> Core {
    Core::new(key, key, EPOCH, &Rng::from_seed([seed; 32]))
}

/// What a session does with packets.
#[derive(Debug, Default)]
struct Line {
    up: bool,
    waiting: VecDeque<(PacketNumber, u8, Bytes)>,
    sent: u64,
    acknowledged: u64,
    next: u64,
    /// Ids of all packets taken.
    log: Vec<u8>,
}

impl Carrier for Line {
    fn send(&mut self, _: PublicKey, id: u8, data: Bytes) -> Result<PacketNumber, PacketError> {
        if !self.up {
            return Err(PacketError::NotConnected);
        }
        if self.waiting.len() >= QUEUE {
            return Err(PacketError::Full);
        }
        let number = PacketNumber(self.next);
        self.next += u64::from(!LOSSY.contains(&id));
        self.waiting.push_back((number, id, data));
        self.log.push(id);
        Ok(number)
    }

    fn waiting(&self, _: PublicKey) -> usize {
        self.waiting.len()
    }
}

/// One of the two.
struct End {
    core: Core,
    key: PublicKey,
    line: Line,
    events: Vec<Event>,
    /// What outgoing files contain.
    sources: BTreeMap<TransferId, Vec<u8>>,
    /// What incoming files contain.
    sinks: BTreeMap<TransferId, Vec<u8>>,
    /// How long the slowest piece of work takes.
    disk: Duration,
    written: usize,
}

/// What comes later.
enum Later {
    Packet(u8, Bytes),
    Delivered(PacketNumber),
    Work(IoToken, IoResult),
}

/// Both of them.
struct Duo {
    now: Time,
    ends: [End; 2],
    /// What happens, when, to whom.
    later: BTreeMap<(Time, u64), (usize, Later)>,
    count: u64,
    /// Packets on the way at most.
    window: u64,
    rng: Rng,
}

impl Duo {
    /// Two who know each other and have no session.
    fn strangers(seed: u8) -> Self {
        let keys = [PublicKey([1; 32]), PublicKey([2; 32])];
        let ends = [0, 1].map(|index| {
            let mut core = core_of(keys[index], seed);
            core.add_friend(keys[1 - index], None, false);
            End {
                core,
                key: keys[index],
                line: Line::default(),
                events: Vec::new(),
                sources: BTreeMap::new(),
                sinks: BTreeMap::new(),
                disk: Duration::from_millis(5),
                written: 0,
            }
        });
        let (now, rng) = (Time::from_secs(1000), Rng::from_seed([seed; 32]));
        Self { now, ends, later: BTreeMap::new(), count: 0, window: 256, rng }
    }

    /// Two who are there.
    fn online(seed: u8) -> Self {
        let mut duo = Self::strangers(seed);
        duo.connect();
        duo.run(Duration::from_secs(1));
        assert!((0..2).all(|end| duo.contact(end).online));
        duo.ends.iter_mut().for_each(|end| end.events.clear());
        duo
    }

    /// What an end knows of the other.
    fn contact(&self, end: usize) -> &super::Contact {
        self.ends[end].core.contact(self.ends[1 - end].key).unwrap()
    }

    fn connect(&mut self) {
        for end in 0..2 {
            self.ends[end].line = Line { up: true, ..Line::default() };
            let peer = self.ends[1 - end].key;
            assert!(self.ends[end].core.handle_up(peer));
        }
    }

    /// The session breaks; what is on its way is lost.
    fn cut(&mut self) {
        self.later.retain(|_, (_, later)| matches!(later, Later::Work(..)));
        for end in 0..2 {
            self.ends[end].line = Line::default();
            let peer = self.ends[1 - end].key;
            self.ends[end].core.handle_down(self.now, peer);
            self.settle(end);
        }
    }

    /// An end calls its messenger.
    fn with<T>(&mut self, end: usize, call: impl FnOnce(&mut Core, PublicKey) -> T) -> T {
        let peer = self.ends[1 - end].key;
        let result = call(&mut self.ends[end].core, peer);
        self.settle(end);
        result
    }

    /// Hands an end a packet as if it came now.
    fn inject(&mut self, end: usize, id: u8, data: &[u8]) {
        let (now, data) = (self.now, Bytes::copy_from_slice(data));
        self.with(end, |core, peer| core.handle_packet(now, peer, id, &data));
    }

    fn push(&mut self, after: Duration, end: usize, later: Later) {
        self.count += 1;
        self.later.insert((self.now + after, self.count), (end, later));
    }

    /// Lets an end send and work until nothing more moves.
    fn settle(&mut self, end: usize) {
        loop {
            self.ends[end].core.handle_timeout(self.now);
            let this = &mut self.ends[end];
            let pumped = this.core.pump(&mut this.line);
            while let Some(event) = self.ends[end].core.poll_event() {
                self.ends[end].events.push(event);
            }
            while let Some((token, request)) = self.ends[end].core.poll_work() {
                let result = self.ends[end].work(request);
                let after = self.rng.below(self.ends[end].disk.as_micros() as u64);
                self.push(Duration::from_micros(after), end, Later::Work(token, result));
            }
            if !self.transmit(end) && !pumped {
                return;
            }
        }
    }

    /// Sends what the window lets go.
    fn transmit(&mut self, end: usize) -> bool {
        let mut sent = false;
        loop {
            let line = &mut self.ends[end].line;
            if line.sent - line.acknowledged >= self.window {
                return sent;
            }
            let Some((number, id, data)) = line.waiting.pop_front() else { return sent };
            sent = true;
            self.push(DELAY, 1 - end, Later::Packet(id, data));
            if !LOSSY.contains(&id) {
                self.ends[end].line.sent += 1;
                self.push(2 * DELAY, end, Later::Delivered(PacketNumber(number.0 + 1)));
            }
        }
    }

    /// Lets time pass.
    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        (0..2).for_each(|end| self.settle(end));
        loop {
            let flush = self.ends.iter().filter_map(|end| end.core.deadline()).min();
            let next = self.later.first_key_value().map(|((at, _), _)| *at);
            let Some(at) = flush.into_iter().chain(next).min().filter(|at| *at <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(at);
            if next == Some(at) {
                self.happen();
            } else {
                (0..2).for_each(|end| self.settle(end));
            }
        }
    }

    fn happen(&mut self) {
        let Some((_, (end, later))) = self.later.pop_first() else { return };
        let (now, peer) = (self.now, self.ends[1 - end].key);
        let core = &mut self.ends[end].core;
        match later {
            Later::Packet(id, data) => {
                core.handle_packet(now, peer, id, &data);
            }
            Later::Delivered(before) => {
                core.handle_delivered(peer, before);
                self.ends[end].line.acknowledged = before.0;
            }
            Later::Work(token, result) => core.handle_io(token, result),
        }
        self.settle(end);
    }

    /// Offers a file of these bytes.
    fn offer(&mut self, end: usize, name: u8, bytes: &[u8], size: u64) -> TransferId {
        let offer = FileOffer { kind: FileKind::DATA, size, file_id: [name; 32], name: vec![name] };
        let transfer = self.with(end, |core, peer| core.send_file(peer, offer)).unwrap();
        self.ends[end].sources.insert(transfer, bytes.to_vec());
        transfer
    }

    /// The files that were offered to an end and that it has not been told the end of.
    fn offered(&self, end: usize) -> Vec<TransferId> {
        let ended = |transfer: &TransferId| self.outcome(end, *transfer).is_none();
        let offers = self.ends[end].events.iter().filter_map(|event| match event {
            Event::FileOffered { transfer, .. } => Some(*transfer),
            _ => None,
        });
        offers.filter(ended).collect()
    }

    /// How a transfer ended for one end.
    fn outcome(&self, end: usize, transfer: TransferId) -> Option<FileOutcome> {
        self.ends[end].events.iter().rev().find_map(|event| match event {
            Event::FileEnded { transfer: ended, outcome, .. } if *ended == transfer => {
                Some(*outcome)
            }
            _ => None,
        })
    }
}

impl End {
    /// Does a disk's work.
    fn work(&mut self, request: IoRequest) -> IoResult {
        match request {
            IoRequest::Read { transfer, range } => {
                let bytes = self.sources.get(&transfer).ok_or(IoFailed);
                IoResult::Read(bytes.map(|bytes| {
                    let end = (range.end as usize).min(bytes.len());
                    Bytes::copy_from_slice(&bytes[(range.start as usize).min(end)..end])
                }))
            }
            IoRequest::Write { transfer, position, data } => {
                let (sink, position) = (self.sinks.entry(transfer).or_default(), position as usize);
                sink.resize(sink.len().max(position + data.len()), 0);
                sink[position..position + data.len()].copy_from_slice(&data);
                self.written += data.len();
                IoResult::Written(Ok(()))
            }
        }
    }

    /// Texts of messages that came.
    fn texts(&self) -> Vec<Bytes> {
        let texts = self.events.iter().filter_map(|event| match event {
            Event::Message { text, .. } => Some(text.clone()),
            _ => None,
        });
        texts.collect()
    }
}

/// Bytes that are not the same anywhere.
fn bytes(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    Rng::from_seed([9; 32]).fill(&mut bytes);
    bytes
}
