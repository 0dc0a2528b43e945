//! Files over a block store at hand, without a network: an archive on one disk, examples, tests.

use bytes::Bytes;
use toktok_wire::{Rng, Time};

use super::{
    BlockFailure, Get, GetConfig, GetError, GetEvent, Io, IoError, IoResult, Output, Put,
    PutConfig, PutError, PutEvent, Secrecy, Stored,
};
use crate::capability::{Capability, FileKind};
use crate::store::{BlockStore, score};

/// Stores `content` in `store` and gives the capability to it. One copy of each block is all that a
/// single store can give.
///
/// # Errors
/// [`PutError`]; a store that refuses a block counts as a network in which nobody takes it.
pub fn put(
    store: &mut dyn BlockStore,
    kind: FileKind,
    content: &Bytes,
    rng: Rng,
) -> Result<Stored, PutError> {
    let config = PutConfig { copies: 1, root_copies: 1, attempts: 1, ..PutConfig::default() };
    let length = content.len() as u64;
    let mut put = Put::new(config, kind, length, Secrecy::Random, rng)?;
    loop {
        match put.poll(Time::ZERO) {
            Output::Io(id, io) => {
                let result = io.compute().unwrap_or_else(|io| IoResult::Source(read(content, &io)));
                put.handle_io(id, result);
            }
            Output::PutBlock { op, block, .. } => {
                let stored = store.put(&block, score::fresh(Time::ZERO));
                let result = stored.map(|()| 1).map_err(|_| BlockFailure::Unreachable);
                put.handle_put_result(Time::ZERO, op, result);
            }
            Output::Event(PutEvent::Done(stored)) => return Ok(stored),
            Output::Event(PutEvent::Failed(error)) => return Err(error),
            Output::Event(PutEvent::Progress { .. }) | Output::GetBlock { .. } => {}
            // Every request above is answered at once, so that nothing is ever waited for.
            Output::Idle(_) => return Err(PutError::RootNotStored),
        }
    }
}

/// The bytes that a read asks for.
fn read(content: &Bytes, io: &Io) -> Result<Bytes, IoError> {
    let Io::ReadSource { offset, length } = io else { return Err(IoError::Shortened) };
    let start = usize::try_from(*offset).map_err(|_| IoError::Shortened)?;
    let end = start.checked_add(*length).ok_or(IoError::Shortened)?;
    if end > content.len() { Err(IoError::Shortened) } else { Ok(content.slice(start..end)) }
}

/// Reads the content behind a capability out of `store`.
///
/// # Errors
/// [`GetError`] if the capability cannot read, or too few blocks are there.
pub fn get(store: &dyn BlockStore, capability: &Capability, rng: Rng) -> Result<Vec<u8>, GetError> {
    // What is missing here is not to be had by asking again, and there is nowhere to heal it to.
    let config = GetConfig { attempts: 1, root_attempts: 1, heal: 0, ..GetConfig::default() };
    let mut get = Get::new(config, capability, rng)?;
    let mut content = Vec::new();
    loop {
        match get.poll(Time::ZERO) {
            Output::Io(id, io) => {
                let result = io.compute().unwrap_or_else(|io| {
                    if let Io::WriteSink { bytes, .. } = io {
                        content.extend_from_slice(&bytes);
                    }
                    IoResult::Sink(Ok(()))
                });
                get.handle_io(id, result);
            }
            Output::GetBlock { op, address, .. } => {
                let found = store.get(&address).ok().flatten().ok_or(BlockFailure::NotFound);
                get.handle_block(Time::ZERO, op, found);
            }
            Output::Event(GetEvent::Done { .. }) => return Ok(content),
            Output::Event(GetEvent::Failed(error)) => return Err(error),
            Output::Event(_) | Output::PutBlock { .. } => {}
            Output::Idle(_) => return Err(GetError::RootUnreachable),
        }
    }
}
