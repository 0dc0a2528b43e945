//! Disks, sources and sinks of simulated nodes of the file system: in memory, with latency.

use core::time::Duration;
use std::collections::BTreeMap;

use bytes::Bytes;
use toktok_mesh::{Rng, Time};
use toktok_tdfs::client::{self, Io, IoError};
use toktok_tdfs::store::{BlockStore, MemoryStore, StoreError};
use toktok_tdfs::{IoRequest, IoResult, Stack, StoreFacts, TransferId};

use crate::kernel::{IoModel, NodeIndex};

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub struct DiskModel {
    /// Least time of a read or write.
    pub latency_min: Duration,
    /// Most time of a read; a write, which waits for the disk's cache to be flushed, may take twice it.
    pub latency_max: Duration,
    /// Time to code a segment.
    pub coding: Duration,
}

impl Default for DiskModel {
    /// A middling SSD and core.
    fn default() -> Self {
        Self {
            latency_min: Duration::from_micros(100),
            latency_max: Duration::from_millis(4),
            coding: Duration::from_millis(5),
        }
    }
}

/// What a download wrote.
#[derive(Clone, Debug, Default)]
pub struct Sink {
    /// Bytes so far.
    pub length: u64,
    hasher: blake3::Hasher,
}

impl Sink {
    /// BLAKE3 of them.
    pub fn hash(&self) -> blake3::Hash {
        self.hasher.finalize()
    }
}

/// All nodes' disks.
#[derive(Debug)]
pub struct Disks {
    model: DiskModel,
    stores: Vec<MemoryStore>,
    sources: BTreeMap<(NodeIndex, TransferId), Bytes>,
    sinks: BTreeMap<(NodeIndex, TransferId), Sink>,
}

impl Disks {
    /// No disks yet.
    pub fn new(model: DiskModel) -> Self {
        let (stores, sources, sinks) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Self { model, stores, sources, sinks }
    }

    /// Gives the next node a disk of `quota` bytes.
    ///
    /// # Errors
    /// None in memory; the signature is the store's.
    pub fn add(&mut self, quota: u64, rng: Rng) -> Result<StoreFacts, StoreError> {
        let store = MemoryStore::new(quota, rng);
        let facts = StoreFacts::of(&store)?;
        self.stores.push(store);
        Ok(facts)
    }

    /// What an upload reads.
    pub fn set_source(&mut self, node: NodeIndex, transfer: TransferId, content: Bytes) {
        self.sources.insert((node, transfer), content);
    }

    /// What a download wrote so far.
    pub fn sink(&self, node: NodeIndex, transfer: TransferId) -> Option<&Sink> {
        self.sinks.get(&(node, transfer))
    }

    /// Bytes of blocks on all disks.
    pub fn bytes(&self) -> u64 {
        self.stores.iter().map(|store| store.usage().bytes).sum()
    }

    fn latency(&self, writes: bool, rng: &mut Rng) -> Duration {
        let spread = self.model.latency_max.saturating_sub(self.model.latency_min);
        let spread = spread.as_micros() as u64 * if writes { 2 } else { 1 };
        self.model.latency_min + Duration::from_micros(rng.below(spread + 1))
    }

    fn transfer(&mut self, node: NodeIndex, transfer: TransferId, io: Io) -> client::IoResult {
        match io {
            Io::ReadSource { offset, length } => {
                let source = self.sources.get(&(node, transfer));
                client::IoResult::Source(read(source, offset, length))
            }
            Io::WriteSink { offset, bytes } => {
                let sink = self.sinks.entry((node, transfer)).or_default();
                if offset != sink.length {
                    return client::IoResult::Sink(Err(IoError::Denied));
                }
                sink.length += bytes.len() as u64;
                sink.hasher.update(&bytes);
                client::IoResult::Sink(Ok(()))
            }
            // The others compute; this never refuses them.
            coding => coding.compute().unwrap_or(client::IoResult::Sink(Err(IoError::Denied))),
        }
    }
}

/// A part of a source.
fn read(source: Option<&Bytes>, offset: u64, length: usize) -> Result<Bytes, IoError> {
    let source = source.ok_or(IoError::Denied)?;
    let start = usize::try_from(offset).map_err(|_| IoError::Shortened)?;
    let end = start.checked_add(length).filter(|end| *end <= source.len());
    end.map(|end| source.slice(start..end)).ok_or(IoError::Shortened)
}

impl IoModel<Stack> for Disks {
    fn handle_request(
        &mut self,
        _: Time,
        node: NodeIndex,
        request: IoRequest,
        rng: &mut Rng,
    ) -> Option<(Duration, IoResult)> {
        let store = self.stores.get_mut(node.0)?;
        Some(match request {
            IoRequest::Read(address) => {
                let found = store.get(&address);
                (self.latency(false, rng), IoResult::Read(found))
            }
            IoRequest::Write(batch) => {
                let written = store.write(&batch);
                (self.latency(true, rng), IoResult::Written(written))
            }
            IoRequest::Transfer(transfer, io) => {
                let computes = matches!(io, Io::Encode(_) | Io::Decode(_));
                let takes = if computes { self.model.coding } else { self.model.latency_min };
                (takes, IoResult::Transfer(self.transfer(node, transfer, io)))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toktok_tdfs::{GetId, PutId};

    #[test]
    fn sources_are_read_in_parts_and_sinks_in_order() {
        let mut disks = Disks::new(DiskModel::default());
        let node = NodeIndex(0);
        let put = TransferId::Put(PutId(0));
        disks.set_source(node, put, Bytes::from_static(b"hello"));
        let mut read =
            |offset, length| match disks.transfer(node, put, Io::ReadSource { offset, length }) {
                client::IoResult::Source(result) => result,
                other => panic!("{other:?}"),
            };
        assert_eq!(read(1, 3), Ok(Bytes::from_static(b"ell")));
        assert_eq!(read(1, 5), Err(IoError::Shortened));
        assert_eq!(read(u64::MAX, 5), Err(IoError::Shortened));
        let get = TransferId::Get(GetId(0));
        let mut write = |offset, bytes: &'static [u8]| {
            let io = Io::WriteSink { offset, bytes: Bytes::from_static(bytes) };
            matches!(disks.transfer(node, get, io), client::IoResult::Sink(Ok(())))
        };
        assert!(write(0, b"he") && write(2, b"llo") && !write(9, b"x"));
        let sink = disks.sink(node, get).unwrap();
        assert_eq!((sink.length, sink.hash()), (5, blake3::hash(b"hello")));
    }
}
