//! A network of one map: blocks that are stored are there, unless a test takes them away.
#![allow(dead_code, reason = "each test program uses its own part of this")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use toktok_tdfs::block::{Block, BlockAddress};
use toktok_tdfs::capability::{Capability, FileKind};
use toktok_tdfs::client::{
    BlockFailure, Get, GetConfig, GetError, GetEvent, Io, IoError, IoId, IoResult, OpId, Output,
    Put, PutConfig, PutError, PutEvent, Secrecy, Stored,
};
use toktok_tdfs::{Rng, Time};

/// Blocks by address; what is lost; how often each was asked for.
#[derive(Default)]
pub(crate) struct Network {
    pub(crate) blocks: BTreeMap<BlockAddress, Block>,
    /// Blocks in the order in which they were first stored.
    pub(crate) order: Vec<BlockAddress>,
    pub(crate) lost: BTreeSet<BlockAddress>,
    /// Blocks of which no answer ever comes until this long after they were asked for.
    pub(crate) slow: BTreeMap<BlockAddress, Duration>,
    pub(crate) asked: Vec<BlockAddress>,
    /// Blocks that are refused when they are put.
    pub(crate) refuse: bool,
    /// Virtual time that has passed.
    pub(crate) now: Time,
    /// Most bytes that the machine said it held.
    pub(crate) buffered: usize,
}

pub(crate) const LATENCY: Duration = Duration::from_millis(20);

pub(crate) fn rng(seed: u8) -> Rng {
    Rng::from_seed([seed; 32])
}

pub(crate) fn random_bytes(length: usize, seed: u8) -> Bytes {
    let mut bytes = vec![0; length];
    rng(seed).fill(&mut bytes);
    bytes.into()
}

/// Answers in the order in which they fall due.
struct Due<T>(BTreeMap<(Time, u64), T>, u64);

impl<T> Due<T> {
    fn new() -> Self {
        Self(BTreeMap::new(), 0)
    }

    fn push(&mut self, at: Time, item: T) {
        self.1 += 1;
        self.0.insert((at, self.1), item);
    }

    /// The next answer, or the machine's own deadline, whichever is first.
    fn next(&mut self, now: &mut Time, deadline: Option<Time>) -> Option<T> {
        let first = self.0.first_key_value().map(|((at, _), _)| *at);
        match (first, deadline) {
            (Some(at), Some(deadline)) if deadline < at => *now = deadline.max(*now),
            (Some(at), _) => {
                *now = at.max(*now);
                return self.0.pop_first().map(|(_, item)| item);
            }
            (None, Some(deadline)) => *now = deadline.max(*now),
            (None, None) => panic!("the machine waits for nothing"),
        }
        None
    }
}

impl Network {
    pub(crate) fn put(&mut self, content: &Bytes, seed: u8) -> Result<Stored, PutError> {
        self.put_with(PutConfig::default(), FileKind::File, Secrecy::Random, content, seed)
    }

    pub(crate) fn put_with(
        &mut self,
        config: PutConfig,
        kind: FileKind,
        secrecy: Secrecy,
        content: &Bytes,
        seed: u8,
    ) -> Result<Stored, PutError> {
        let put = Put::new(config, kind, content.len() as u64, secrecy, rng(seed))?;
        self.run_put(put, |offset, length| {
            let start = offset as usize;
            content.get(start..start + length).map(Bytes::copy_from_slice).ok_or(IoError::Shortened)
        })
    }

    pub(crate) fn run_put(
        &mut self,
        mut put: Put,
        mut source: impl FnMut(u64, usize) -> Result<Bytes, IoError>,
    ) -> Result<Stored, PutError> {
        let mut due: Due<(OpId, Result<u8, BlockFailure>)> = Due::new();
        loop {
            self.buffered = self.buffered.max(put.buffered());
            match put.poll(self.now) {
                Output::Io(id, io) => {
                    let result = io.compute().unwrap_or_else(|io| match io {
                        Io::ReadSource { offset, length } => {
                            IoResult::Source(source(offset, length))
                        }
                        other => panic!("{other:?}"),
                    });
                    put.handle_io(id, result);
                }
                Output::PutBlock { op, block, copies, .. } => {
                    let address = block.address();
                    let result =
                        if self.refuse { Err(BlockFailure::Unreachable) } else { Ok(copies) };
                    if !self.refuse && self.blocks.insert(address, block).is_none() {
                        self.order.push(address);
                    }
                    due.push(self.now + LATENCY, (op, result));
                }
                Output::Event(PutEvent::Done(stored)) => {
                    assert!(put.is_finished());
                    return Ok(stored);
                }
                Output::Event(PutEvent::Failed(error)) => return Err(error),
                Output::Event(PutEvent::Progress { blocks_done, blocks_total, .. }) => {
                    assert!(blocks_done <= blocks_total);
                }
                Output::Idle(deadline) => {
                    if let Some((op, result)) = due.next(&mut self.now, deadline) {
                        put.handle_put_result(self.now, op, result);
                    }
                }
                Output::GetBlock { .. } => panic!("a put fetches nothing"),
            }
        }
    }

    pub(crate) fn get(&mut self, capability: &Capability, seed: u8) -> Result<Vec<u8>, GetError> {
        self.run_get(Get::new(GetConfig::default(), capability, rng(seed))?).map(|got| got.content)
    }

    pub(crate) fn get_range(
        &mut self,
        capability: &Capability,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>, GetError> {
        let get = Get::range(GetConfig::default(), capability, offset, length, rng(9))?;
        self.run_get(get).map(|got| got.content)
    }

    pub(crate) fn run_get(&mut self, get: Get) -> Result<Got, GetError> {
        let mut content = Vec::new();
        let mut start = None;
        let healed = self.run_get_into(get, |offset, bytes| {
            let expected = *start.get_or_insert(offset) + content.len() as u64;
            assert_eq!(offset, expected, "content comes in order");
            content.extend_from_slice(bytes);
        })?;
        Ok(Got { content, healed })
    }

    pub(crate) fn run_get_into(
        &mut self,
        mut get: Get,
        mut sink: impl FnMut(u64, &Bytes),
    ) -> Result<Option<usize>, GetError> {
        enum Answer {
            Get(OpId, BlockAddress),
            Put(OpId),
        }
        let mut due: Due<Answer> = Due::new();
        let mut jobs: VecDeque<(IoId, IoResult)> = VecDeque::new();
        loop {
            self.buffered = self.buffered.max(get.buffered());
            match get.poll(self.now) {
                Output::Io(id, io) => {
                    let result = io.compute().unwrap_or_else(|io| match io {
                        Io::WriteSink { offset, bytes } => {
                            sink(offset, &bytes);
                            IoResult::Sink(Ok(()))
                        }
                        other => panic!("{other:?}"),
                    });
                    jobs.push_back((id, result));
                }
                Output::GetBlock { op, address, .. } => {
                    self.asked.push(address);
                    let takes = self.slow.get(&address).copied().unwrap_or(LATENCY);
                    due.push(self.now + takes, Answer::Get(op, address));
                }
                Output::PutBlock { op, block, .. } => {
                    self.lost.remove(&block.address());
                    self.blocks.insert(block.address(), block);
                    due.push(self.now + LATENCY, Answer::Put(op));
                }
                Output::Event(GetEvent::Done { healing: 0, .. }) => {
                    assert!(get.is_finished());
                    return Ok(None);
                }
                Output::Event(GetEvent::Healed { restored }) => return Ok(Some(restored)),
                Output::Event(GetEvent::Failed(error)) => return Err(error),
                Output::Event(_) => {}
                Output::Idle(deadline) => {
                    if let Some((id, result)) = jobs.pop_front() {
                        get.handle_io(id, result);
                        continue;
                    }
                    match due.next(&mut self.now, deadline) {
                        Some(Answer::Get(op, address)) => {
                            let found = self.blocks.get(&address).cloned();
                            let found = found.filter(|_| !self.lost.contains(&address));
                            get.handle_block(self.now, op, found.ok_or(BlockFailure::NotFound));
                        }
                        Some(Answer::Put(op)) => get.handle_put_result(self.now, op, Ok(2)),
                        None => {}
                    }
                }
            }
        }
    }

    /// Loses each block with this chance in a hundred, but never the root.
    pub(crate) fn lose(&mut self, percent: u64, root: BlockAddress, seed: u8) {
        let mut rng = rng(seed);
        let gone = self.order.iter().filter(|a| **a != root && rng.chance(percent, 100));
        self.lost.extend(gone.copied().collect::<Vec<_>>());
    }
}

pub(crate) struct Got {
    pub(crate) content: Vec<u8>,
    pub(crate) healed: Option<usize>,
}
