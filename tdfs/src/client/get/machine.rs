//! The state machine of a download: root, index, then any blocks that suffice, segment by segment.

use core::cmp::Reverse;
use core::ops::Range;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use toktok_wire::{Rng, Time};

use super::latency::Latency;
use super::range::{Extent, Index, Lookup};
use super::segment::{Change, Fetch};
use super::{GetConfig, GetError, GetEvent};
use crate::block::{Block, BlockSize, FileKeys, Position};
use crate::capability::{Capability, FileKind};
use crate::client::{BlockFailure, Io, IoError, IoId, IoResult, OpId, Output, Window};
use crate::file::root::Body;
use crate::file::{DecodeJob, Decoded, Layout, Root, Segment};

/// What is to be fetched.
#[derive(Clone, Copy, Debug)]
enum Goal {
    Range { offset: u64, length: u64 },
    Verify,
}

/// The fetches in order of urgency: upper levels first, then from the front.
type Place = (Reverse<u8>, u64);

/// What a piece of work under way is for.
#[derive(Debug)]
enum Work {
    Decode { first: u16 },
    Write { bytes: u64 },
}

/// The part that is known once the root is open.
#[derive(Debug)]
struct Plan {
    layout: Layout,
    range: Range<u64>,
    extent: Extent,
    index: Index,
    /// The next segment of the content to begin.
    next: u64,
    /// The next segment of the content to write.
    write_next: u64,
    /// Decoded segments that wait for those before them.
    decoded: BTreeMap<u64, Bytes>,
}

/// Fetches one file. See [`crate::client`] for how it is driven.
#[derive(Debug)]
pub struct Get {
    config: GetConfig,
    kind: FileKind,
    keys: FileKeys,
    goal: Goal,
    rng: Rng,
    plan: Option<Plan>,
    fetches: BTreeMap<Place, Fetch>,
    operations: BTreeMap<OpId, Place>,
    window: Window,
    latency: Latency,
    next_id: u64,
    work: BTreeMap<IoId, Work>,
    decoding: BTreeSet<Place>,
    writing: bool,
    outputs: VecDeque<Output<GetEvent>>,
    heals: Vec<Block>,
    healing: BTreeSet<OpId>,
    healed: usize,
    progressed: bool,
    blocks: u64,
    bytes_done: u64,
    delivered: bool,
    finished: bool,
}

/// Level of the pretended segment that the root block is.
const ROOT_LEVEL: u8 = Position::ROOT.level;

impl Get {
    /// Fetches all of a file.
    ///
    /// # Errors
    /// [`GetError::VerifyOnly`].
    pub fn new(config: GetConfig, capability: &Capability, rng: Rng) -> Result<Self, GetError> {
        Self::range(config, capability, 0, u64::MAX, rng)
    }

    /// Fetches `length` bytes from `offset` on, or as many as there are.
    ///
    /// # Errors
    /// [`GetError::VerifyOnly`].
    pub fn range(
        config: GetConfig,
        capability: &Capability,
        offset: u64,
        length: u64,
        rng: Rng,
    ) -> Result<Self, GetError> {
        if !capability.can_read() {
            return Err(GetError::VerifyOnly);
        }
        Ok(Self::with_goal(config, capability, Goal::Range { offset, length }, rng))
    }

    /// Fetches enough blocks of every segment to know that the file could be read, repairs what is
    /// found missing, and writes nothing. A verify-only capability suffices. Asking is what keeps a
    /// file alive.
    pub fn verify(config: GetConfig, capability: &Capability, rng: Rng) -> Self {
        Self::with_goal(config, &capability.verify_only(), Goal::Verify, rng)
    }

    fn with_goal(config: GetConfig, capability: &Capability, goal: Goal, mut rng: Rng) -> Self {
        let root = Segment {
            level: ROOT_LEVEL,
            number: 0,
            size: BlockSize::Small,
            data: 1,
            parity: 0,
            length: BlockSize::Small.bytes() as u32,
            offset: 0,
        };
        let attempts = config.root_attempts;
        let fetch = Fetch::new(root, vec![capability.root], 0..1, attempts, &mut rng);
        Self {
            config,
            kind: capability.kind,
            keys: capability.keys(),
            goal,
            rng,
            plan: None,
            fetches: BTreeMap::from([((Reverse(ROOT_LEVEL), 0), fetch)]),
            operations: BTreeMap::new(),
            window: Window::new(config.window),
            latency: Latency::INITIAL,
            next_id: 0,
            work: BTreeMap::new(),
            decoding: BTreeSet::new(),
            writing: false,
            outputs: VecDeque::new(),
            heals: Vec::new(),
            healing: BTreeSet::new(),
            healed: 0,
            progressed: false,
            blocks: 0,
            bytes_done: 0,
            delivered: false,
            finished: false,
        }
    }

    /// True after the last event: answers that still come are ignored.
    pub const fn is_finished(&self) -> bool {
        self.finished
    }

    /// Bytes of blocks and of decoded content that are held.
    pub fn buffered(&self) -> usize {
        let held = |fetch: &Fetch| fetch.have.len() * fetch.segment.size.bytes();
        let decoded = self.plan.iter().flat_map(|plan| plan.decoded.values());
        self.fetches.values().map(held).sum::<usize>() + decoded.map(Bytes::len).sum::<usize>()
    }

    /// Takes the answer to an [`Output::GetBlock`].
    pub fn handle_block(&mut self, now: Time, op: OpId, result: Result<Block, BlockFailure>) {
        let Some(place) = self.operations.remove(&op) else { return };
        let Some(fetch) = self.fetches.get_mut(&place) else { return };
        if matches!(result, Err(BlockFailure::Busy)) {
            self.window.busy();
        }
        match fetch.handle(now, op, result, self.config.pause, &mut self.rng) {
            Change::Block(took) => {
                self.window.succeeded();
                self.latency.sample(took);
                self.blocks += 1;
                self.progressed = true;
            }
            Change::Failed | Change::None => {}
        }
        if fetch.is_complete() {
            self.complete(place);
        }
    }

    /// Takes the result of an [`Output::PutBlock`]: a missing block that was stored again.
    pub fn handle_put_result(&mut self, _now: Time, op: OpId, result: Result<u8, BlockFailure>) {
        if self.healing.remove(&op) {
            self.healed += usize::from(result.is_ok_and(|receipts| receipts > 0));
        }
    }

    /// Takes the result of an [`Output::Io`].
    pub fn handle_io(&mut self, io: IoId, result: IoResult) {
        let Some(work) = self.work.remove(&io) else { return };
        if self.finished {
            return;
        }
        let outcome = match (work, result) {
            (Work::Decode { first }, IoResult::Decoded(Ok(decoded))) => {
                self.take_decoded(first, decoded);
                Ok(())
            }
            (Work::Decode { .. }, IoResult::Decoded(Err(error))) => Err(error.into()),
            (Work::Write { bytes }, IoResult::Sink(written)) => {
                self.writing = false;
                self.progressed = true;
                self.bytes_done += bytes;
                written.map_err(GetError::from)
            }
            // An answer of another kind than was asked for.
            _ => Err(IoError::Shortened.into()),
        };
        if let Err(error) = outcome {
            self.fail(error);
        }
    }

    /// The next output; see [`crate::client`].
    pub fn poll(&mut self, now: Time) -> Output<GetEvent> {
        if !self.finished && !self.delivered {
            self.advance();
        }
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        if self.finished {
            return Output::Idle(None);
        }
        if self.delivered {
            return self.heal();
        }
        let hedge = self.hedge(now);
        if let Some(request) = self.request(now) {
            return request;
        }
        if core::mem::take(&mut self.progressed) {
            return Output::Event(GetEvent::Progress {
                blocks: self.blocks,
                bytes_done: self.bytes_done,
                bytes_total: self.plan.as_ref().map_or(0, |p| p.range.end - p.range.start),
            });
        }
        let pauses = self.fetches.values().filter_map(Fetch::deadline);
        Output::Idle(pauses.chain(hedge).min())
    }

    /// A new name for an operation or a piece of work.
    const fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Marks what is slow; gives the moment when more will be.
    fn hedge(&mut self, now: Time) -> Option<Time> {
        let patience = self.latency.patience();
        self.fetches.values_mut().filter_map(|fetch| fetch.hedge(now, patience)).min()
    }

    /// The next block request, if the window has room for one. Fails when a segment cannot succeed.
    fn request(&mut self, now: Time) -> Option<Output<GetEvent>> {
        if self.operations.len() >= self.window.limit {
            return None;
        }
        let mut found = None;
        for (place, fetch) in &mut self.fetches {
            if let Some((index, attempt)) = fetch.next(now) {
                found = Some((*place, index, attempt));
                break;
            }
            if fetch.is_exhausted() {
                let error = exhausted(fetch);
                self.fail(error);
                return self.outputs.pop_front();
            }
        }
        let (place, index, attempt) = found?;
        let op = OpId(self.new_id());
        let fetch = self.fetches.get_mut(&place)?;
        let address = *fetch.addresses.get(usize::from(index))?;
        fetch.begin(now, op, index);
        self.operations.insert(op, place);
        Some(Output::GetBlock { op, address, size: fetch.segment.size, attempt })
    }

    /// A fetch has enough: decode it.
    fn complete(&mut self, place: Place) {
        let Some(fetch) = self.fetches.remove(&place) else { return };
        for op in fetch.operations() {
            self.operations.remove(&op);
        }
        if fetch.segment.level == ROOT_LEVEL {
            if let Some(block) = fetch.have.into_values().next() {
                self.open(&block);
            }
            return;
        }
        let room = self.config.heal.saturating_sub(self.heals.len());
        let job = DecodeJob {
            keys: self.keys.clone(),
            segment: fetch.segment,
            addresses: fetch.addresses,
            have: fetch.have,
            wanted: fetch.wanted,
            repair: fetch.missing.into_iter().take(room).collect(),
        };
        self.decoding.insert(place);
        let id = IoId(self.new_id());
        self.work.insert(id, Work::Decode { first: job.wanted.start });
        self.outputs.push_back(Output::Io(id, Io::Decode(Box::new(job))));
    }

    /// Opens the root.
    fn open(&mut self, block: &Block) {
        let root = match Root::open(block, &self.keys) {
            Ok(root) if root.kind() == self.kind => root,
            Ok(_) => return self.fail(GetError::Kind),
            Err(error) => return self.fail(error.into()),
        };
        let length = root.layout().length();
        let range = match self.goal {
            Goal::Verify => 0..length,
            Goal::Range { offset, .. } if offset > length => {
                return self.fail(GetError::BeyondEnd { offset, length });
            }
            Goal::Range { offset, length: asked } => {
                offset..length.min(offset.saturating_add(asked))
            }
        };
        self.outputs.push_back(Output::Event(GetEvent::Opened { kind: self.kind, length }));
        let layout = root.layout().clone();
        let extent = Extent::new(&layout, &range);
        let content = root.content(&self.keys);
        let index = match root.body() {
            Body::Inline(_) => Index::default(),
            Body::Addresses(addresses) => Index::new(addresses.clone()),
        };
        let segments = extent.segments();
        let (next, write_next) = (segments.start, segments.start);
        let mut plan =
            Plan { layout, range, extent, index, next, write_next, decoded: BTreeMap::new() };
        if let Some(content) = content {
            // Content in the root counts as a segment that is decoded already.
            plan.next = 1;
            plan.decoded.insert(0, content);
        } else if plan.layout.is_inline() {
            self.bytes_done = length;
        }
        self.plan = Some(plan);
    }

    /// Takes a decoded segment: index blocks are kept, content waits for its turn.
    fn take_decoded(&mut self, first: u16, decoded: Decoded) {
        let segment = decoded.segment;
        self.decoding.remove(&(Reverse(segment.level), segment.number));
        let room = self.config.heal.saturating_sub(self.heals.len());
        self.heals.extend(decoded.repaired.into_iter().take(room));
        let Some(plan) = &mut self.plan else { return };
        if segment.level > 0 {
            plan.index.insert(&segment, first, &decoded.plaintext);
        } else if matches!(self.goal, Goal::Verify) {
            self.bytes_done += u64::from(segment.length);
            self.progressed = true;
        } else {
            let at = segment.offset + u64::from(first) * segment.size.bytes() as u64;
            let end = at + decoded.plaintext.len() as u64;
            let clip = |byte: u64| (byte.clamp(at, end) - at) as usize;
            let content = decoded.plaintext.slice(clip(plan.range.start)..clip(plan.range.end));
            plan.decoded.insert(segment.number, content);
        }
    }

    /// Begins fetches and writes; ends when all is delivered.
    fn advance(&mut self) {
        if let Err(error) = self.begin_segments() {
            return self.fail(error);
        }
        let Some(plan) = &mut self.plan else { return };
        if !self.writing
            && let Some(bytes) = plan.decoded.remove(&plan.write_next)
        {
            let (start, end) = (plan.range.start, plan.range.end);
            let whole_range = if plan.layout.is_inline() {
                bytes.slice(start as usize..end as usize)
            } else {
                bytes
            };
            let offset = start + self.bytes_done;
            plan.write_next += 1;
            self.writing = true;
            let id = IoId(self.new_id());
            self.work.insert(id, Work::Write { bytes: whole_range.len() as u64 });
            let write = Io::WriteSink { offset, bytes: whole_range };
            self.outputs.push_back(Output::Io(id, write));
        }
        let idle = self.fetches.is_empty() && self.decoding.is_empty() && !self.writing;
        if idle && self.plan.as_ref().is_some_and(|p| p.decoded.is_empty()) {
            self.deliver();
        }
    }

    /// Begins segments of the content, and of the index where it is needed for them.
    fn begin_segments(&mut self) -> Result<(), GetError> {
        loop {
            let Some(plan) = &mut self.plan else { return Ok(()) };
            let content = |place: &&Place| place.0 == Reverse(0);
            let active = self.fetches.keys().filter(content).count()
                + self.decoding.iter().filter(content).count()
                + plan.decoded.len()
                + usize::from(self.writing);
            if active >= self.config.segments || plan.next >= plan.extent.segments().end {
                return Ok(());
            }
            let level = plan.layout.level(0).ok_or(GetError::Index)?;
            let mut segment = level.segment(plan.next).ok_or(GetError::Index)?;
            let mut wanted = plan.extent.within(&segment);
            // Climb until the addresses of a segment are known.
            let addresses = loop {
                match plan.index.lookup(&plan.layout, &plan.extent, &segment) {
                    None => return Err(GetError::Index),
                    Some(Lookup::Addresses(addresses)) => break addresses,
                    Some(Lookup::Needs(above, blocks)) => (segment, wanted) = (above, blocks),
                }
            };
            let place = (Reverse(segment.level), segment.number);
            if self.fetches.contains_key(&place) || self.decoding.contains(&place) {
                return Ok(());
            }
            plan.next += u64::from(segment.level == 0);
            let attempts = self.config.attempts;
            let fetch = Fetch::new(segment, addresses, wanted, attempts, &mut self.rng);
            self.fetches.insert(place, fetch);
        }
    }

    /// All is written.
    fn deliver(&mut self) {
        self.delivered = true;
        self.finished = self.heals.is_empty();
        let bytes = self.bytes_done;
        let healing = self.heals.len();
        self.outputs.push_back(Output::Event(GetEvent::Done { bytes, healing }));
    }

    /// Stores a missing block again, or ends.
    fn heal(&mut self) -> Output<GetEvent> {
        if self.healing.len() >= self.window.limit {
            return Output::Idle(None);
        }
        if let Some(block) = self.heals.pop() {
            let op = OpId(self.new_id());
            self.healing.insert(op);
            return Output::PutBlock { op, block, copies: self.config.heal_copies, attempt: 0 };
        }
        if !self.healing.is_empty() {
            return Output::Idle(None);
        }
        self.finished = true;
        Output::Event(GetEvent::Healed { restored: self.healed })
    }

    /// Ends with an error.
    fn fail(&mut self, error: GetError) {
        self.finished = true;
        self.fetches.clear();
        self.operations.clear();
        self.outputs.clear();
        self.outputs.push_back(Output::Event(GetEvent::Failed(error)));
    }
}

/// What went wrong with a fetch for which nothing is left to try.
fn exhausted(fetch: &Fetch) -> GetError {
    match (fetch.segment.level, fetch.missing.is_empty()) {
        (ROOT_LEVEL, true) => GetError::RootUnreachable,
        (ROOT_LEVEL, false) => GetError::RootNotFound,
        (level, _) => GetError::TooFewBlocks {
            level,
            segment: fetch.segment.number,
            have: fetch.have.len(),
            need: fetch.need(),
            missing: fetch.missing.len(),
        },
    }
}
