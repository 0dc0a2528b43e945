//! The state machine of an upload: reads segment by segment, has it coded, sends blocks until
//! receipts came.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use toktok_wire::{Rng, Time};

use super::upload::{Part, Patience, Settled, Uploads};
use super::{PutConfig, PutError, PutEvent, Secrecy, Stored};
use crate::block::cipher::KEY_LEN;
use crate::block::{BlockAddress, FileKeys, Position, ReadKey};
use crate::capability::{Access, Capability, FileKind};
use crate::client::{BlockFailure, Io, IoError, IoId, IoResult, OpId, Output};
use crate::file::{CodingError, EncodeJob, Encoded, Layout, Root, Segment};

/// How much of the source is read at once where only its hash is wanted, in bytes.
const HASH_CHUNK: usize = 1 << 20;

/// What the one piece of work under way is for.
#[derive(Debug)]
enum Work {
    Hash(usize),
    Read(Segment),
    ReadInline,
    Encode,
}

/// What a level still has to become.
#[derive(Debug, Default)]
struct Coding {
    next: u64,
    stream: Vec<u8>,
}

/// What a segment has got so far.
#[derive(Debug)]
struct Tally {
    left: u16,
    stored: u16,
    needed: u16,
    blocks: u16,
}

/// Stores one file. See [`crate::client`] for how it is driven.
#[derive(Debug)]
pub struct Put {
    config: PutConfig,
    kind: FileKind,
    layout: Layout,
    key: ReadKey,
    keys: FileKeys,
    /// Present until the key is known: the secret, and the hash of the content so far.
    convergence: Option<([u8; KEY_LEN], Box<blake3::Hasher>, u64)>,
    work: Option<(IoId, Work)>,
    next_io: u64,
    coding: Vec<Coding>,
    topmost: Vec<BlockAddress>,
    root: Option<BlockAddress>,
    uploads: Uploads,
    tallies: BTreeMap<Part, Tally>,
    outputs: VecDeque<Output<PutEvent>>,
    progressed: bool,
    finished: bool,
    blocks_done: u64,
    thin_blocks: u64,
    root_copies: u8,
    bytes_coded: u64,
}

/// Blocks of a segment that must be stored for it to count as safe: a fifth more than suffice.
const fn needed(segment: &Segment) -> u16 {
    let margin = segment.data + segment.data.div_ceil(5);
    if margin < segment.blocks() { margin } else { segment.blocks() }
}

/// The root as a part.
const ROOT: Part = Part { level: Position::ROOT.level, segment: 0 };

impl Put {
    /// Begins to store `length` bytes.
    ///
    /// # Errors
    /// [`PutError::TooLong`].
    pub fn new(
        config: PutConfig,
        kind: FileKind,
        length: u64,
        secrecy: Secrecy,
        mut rng: Rng,
    ) -> Result<Self, PutError> {
        let layout = Layout::new(length).ok_or(PutError::TooLong(length))?;
        let key = ReadKey::random(&mut rng);
        let convergence = match secrecy {
            Secrecy::Random => None,
            Secrecy::Convergent(secret) => Some((secret, Box::default(), 0)),
        };
        let patience = Patience {
            attempts: config.attempts,
            thin_attempts: config.thin_attempts,
            pause: config.pause,
        };
        Ok(Self {
            config,
            kind,
            keys: FileKeys::reader(&key),
            key,
            convergence,
            work: None,
            next_io: 0,
            coding: layout.levels().iter().map(|_| Coding::default()).collect(),
            layout,
            topmost: Vec::new(),
            root: None,
            uploads: Uploads::new(patience, config.window, rng.child("order")),
            tallies: BTreeMap::new(),
            outputs: VecDeque::new(),
            progressed: true,
            finished: false,
            blocks_done: 0,
            thin_blocks: 0,
            root_copies: 0,
            bytes_coded: 0,
        })
    }

    /// True after the last event: answers that still come are ignored.
    pub const fn is_finished(&self) -> bool {
        self.finished
    }

    /// Bytes of blocks that are made and not yet stored.
    pub const fn buffered(&self) -> usize {
        self.uploads.buffered()
    }

    /// Takes the result of an [`Output::Io`].
    pub fn handle_io(&mut self, io: IoId, result: IoResult) {
        if self.finished {
            return;
        }
        let Some((_, work)) = self.work.take_if(|(id, _)| *id == io) else { return };
        let outcome = match (work, result) {
            (Work::Hash(length), IoResult::Source(bytes)) => {
                bytes.map_err(PutError::from).and_then(|bytes| self.hash(length, &bytes))
            }
            (Work::Read(segment), IoResult::Source(bytes)) => {
                bytes.map_err(PutError::from).map(|bytes| self.encode(segment, bytes))
            }
            (Work::ReadInline, IoResult::Source(bytes)) => {
                bytes.map_err(PutError::from).and_then(|bytes| self.finish_inline(&bytes))
            }
            (Work::Encode, IoResult::Encoded(encoded)) => {
                encoded.map_err(PutError::from).map(|encoded| self.take_encoded(encoded))
            }
            // An answer of another kind than was asked for: the source gave nothing.
            _ => Err(IoError::Shortened.into()),
        };
        if let Err(error) = outcome {
            self.fail(error);
        }
    }

    /// Takes the result of an [`Output::PutBlock`]: copies of which receipts came, or why none did.
    pub fn handle_put_result(&mut self, now: Time, op: OpId, result: Result<u8, BlockFailure>) {
        if let Some(settled) = self.uploads.settle(now, op, result)
            && !self.finished
        {
            self.blocks_done += 1;
            self.progressed = true;
            self.thin_blocks += u64::from(settled.receipts < settled.wanted);
            if let Err(error) = self.count(settled) {
                self.fail(error);
            }
        }
    }

    /// The next output; see [`crate::client`].
    pub fn poll(&mut self, now: Time) -> Output<PutEvent> {
        if !self.finished {
            self.advance();
        }
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        if self.finished {
            return Output::Idle(None);
        }
        if let Some(begin) = self.uploads.next(now) {
            let (op, block) = (begin.op, begin.block);
            return Output::PutBlock { op, block, copies: begin.copies, attempt: begin.attempt };
        }
        if core::mem::take(&mut self.progressed) {
            return Output::Event(PutEvent::Progress {
                blocks_done: self.blocks_done,
                blocks_total: self.layout.blocks(),
                bytes_coded: self.bytes_coded,
                length: self.layout.length(),
            });
        }
        Output::Idle(self.uploads.deadline())
    }

    /// Begins the next work, or ends.
    fn advance(&mut self) {
        if self.work.is_some() {
            return;
        }
        if let Some((_, _, offset)) = &self.convergence {
            let (offset, left) = (*offset, self.layout.length() - *offset);
            let length = HASH_CHUNK.min(usize::try_from(left).unwrap_or(HASH_CHUNK));
            self.request(Work::Hash(length), Io::ReadSource { offset, length });
        } else if self.root.is_none() {
            if self.uploads.buffered() < self.config.buffered {
                self.next_segment();
            }
        } else if self.uploads.is_empty() {
            self.finish();
        }
    }

    /// Asks for work.
    fn request(&mut self, work: Work, io: Io) {
        let id = IoId(self.next_io);
        self.next_io += 1;
        self.work = Some((id, work));
        self.outputs.push_back(Output::Io(id, io));
    }

    /// Feeds the hash of a convergent key, and makes the key when all is read.
    fn hash(&mut self, expected: usize, bytes: &Bytes) -> Result<(), PutError> {
        let Some((secret, hasher, offset)) = &mut self.convergence else { return Ok(()) };
        if bytes.len() != expected {
            return Err(IoError::Shortened.into());
        }
        hasher.update(bytes);
        *offset += bytes.len() as u64;
        if *offset == self.layout.length() {
            self.key = ReadKey::convergent(secret, self.kind.code(), &hasher.finalize());
            self.keys = FileKeys::reader(&self.key);
            self.convergence = None;
        }
        Ok(())
    }

    /// Begins the next segment: of an index level if one is complete (it frees memory), or of the
    /// content.
    fn next_segment(&mut self) {
        if self.layout.is_inline() {
            let length = self.layout.length() as usize;
            return self.request(Work::ReadInline, Io::ReadSource { offset: 0, length });
        }
        for (level, coding) in self.layout.levels().iter().zip(&mut self.coding).skip(1).rev() {
            if let Some(segment) = level.segment(coding.next)
                && coding.stream.len() >= segment.length as usize
            {
                coding.next += 1;
                let rest = coding.stream.split_off(segment.length as usize);
                let plaintext = core::mem::replace(&mut coding.stream, rest);
                return self.encode(segment, plaintext.into());
            }
        }
        let content = self.layout.levels().first().zip(self.coding.first_mut());
        if let Some((level, coding)) = content
            && let Some(segment) = level.segment(coding.next)
        {
            coding.next += 1;
            let (offset, length) = (segment.offset, segment.length as usize);
            self.request(Work::Read(segment), Io::ReadSource { offset, length });
        }
    }

    /// Has a segment coded.
    fn encode(&mut self, segment: Segment, plaintext: Bytes) {
        if segment.level == 0 {
            self.bytes_coded += plaintext.len() as u64;
            self.progressed = true;
        }
        let keys = self.keys.clone();
        self.request(Work::Encode, Io::Encode(EncodeJob { keys, segment, plaintext }));
    }

    /// Takes a coded segment: its blocks go out, its addresses go up.
    fn take_encoded(&mut self, encoded: Encoded) {
        let segment = encoded.segment;
        let part = Part { level: segment.level, segment: segment.number };
        let blocks = segment.blocks();
        let tally = Tally { left: blocks, stored: 0, needed: needed(&segment), blocks };
        self.tallies.insert(part, tally);
        let above = self.coding.get_mut(usize::from(segment.level) + 1);
        let addresses = encoded.blocks.iter().map(|block| block.address());
        match above {
            Some(above) => addresses.for_each(|address| above.stream.extend(address.as_bytes())),
            None => self.topmost.extend(addresses),
        }
        for block in encoded.blocks {
            self.uploads.add(part, block, self.config.copies);
        }
        if self.topmost.len() == self.layout.root_addresses() {
            let topmost = core::mem::take(&mut self.topmost);
            let root = Root::above(self.kind, self.layout.clone(), topmost);
            self.take_root(root);
        }
    }

    /// Makes the root of inline content.
    fn finish_inline(&mut self, content: &Bytes) -> Result<(), PutError> {
        if content.len() as u64 != self.layout.length() {
            return Err(IoError::Shortened.into());
        }
        self.bytes_coded = self.layout.length();
        let root = Root::inline(self.kind, content, &self.keys);
        self.take_root(root);
        Ok(())
    }

    /// Sends the root out among the others.
    fn take_root(&mut self, root: Option<Root>) {
        match root.and_then(|root| root.seal(&self.keys).ok()) {
            Some(block) => {
                self.root = Some(block.address());
                self.uploads.add(ROOT, block, self.config.root_copies);
            }
            // Our own layout and our own addresses always make a root.
            None => self.fail(CodingError::VerifyOnly.into()),
        }
    }

    /// Counts a settled block; an error as soon as its part cannot become safe any more.
    fn count(&mut self, settled: Settled) -> Result<(), PutError> {
        if settled.part == ROOT {
            self.root_copies = settled.receipts;
            return if settled.receipts == 0 { Err(PutError::RootNotStored) } else { Ok(()) };
        }
        let Some(tally) = self.tallies.get_mut(&settled.part) else { return Ok(()) };
        tally.left = tally.left.saturating_sub(1);
        tally.stored += u16::from(settled.receipts > 0);
        let (level, segment) = (settled.part.level, settled.part.segment);
        let (stored, needed, blocks) = (tally.stored, tally.needed, tally.blocks);
        if stored + tally.left < needed {
            return Err(PutError::TooFewStored { level, segment, stored, needed, blocks });
        }
        if tally.left == 0 {
            self.tallies.remove(&settled.part);
        }
        Ok(())
    }

    /// Everything is stored.
    fn finish(&mut self) {
        let Some(root) = self.root else { return };
        let access = Access::Read(self.key.clone());
        self.finished = true;
        self.outputs.push_back(Output::Event(PutEvent::Done(Stored {
            capability: Capability { kind: self.kind, root, access },
            length: self.layout.length(),
            blocks: self.layout.blocks(),
            thin_blocks: self.thin_blocks,
            root_copies: self.root_copies,
        })));
    }

    /// Ends with an error.
    fn fail(&mut self, error: PutError) {
        self.finished = true;
        self.outputs.clear();
        self.outputs.push_back(Output::Event(PutEvent::Failed(error)));
    }
}
