//! A file of 100 MB passes through `Put` and `Get` in bounded memory: it and its blocks lie elsewhere.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and may print"
)]

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use toktok_tdfs::block::{Block, BlockAddress, BlockSize};
use toktok_tdfs::capability::{Capability, FileKind};
use toktok_tdfs::client::{
    BlockFailure, Get, GetConfig, GetEvent, Io, IoId, IoResult, OpId, Output, Put, PutConfig,
    PutEvent, Secrecy,
};
use toktok_tdfs::{Rng, Time};

const LENGTH: u64 = 100_000_000;

/// Blocks in one file, so that they take no memory.
struct Shelf {
    file: File,
    places: HashMap<BlockAddress, (u64, BlockSize)>,
    end: u64,
}

impl Shelf {
    fn put(&mut self, block: &Block) {
        self.file.seek(SeekFrom::Start(self.end)).unwrap();
        self.file.write_all(block.bytes()).unwrap();
        self.places.insert(block.address(), (self.end, block.size()));
        self.end += block.size().bytes() as u64;
    }

    fn get(&mut self, address: BlockAddress) -> Option<Block> {
        let &(at, size) = self.places.get(&address)?;
        let mut bytes = vec![0; size.bytes()];
        self.file.seek(SeekFrom::Start(at)).unwrap();
        self.file.read_exact(&mut bytes).unwrap();
        Block::verify(address, bytes.into()).ok()
    }
}

/// The bytes of the file from `offset` on: each is a function of its place.
fn content(offset: u64, length: usize) -> Vec<u8> {
    let word =
        |at: u64| (at / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()[(at % 8) as usize];
    (offset..offset + length as u64).map(word).collect()
}

/// Stores the file; gives its capability and the most bytes of blocks that waited at once.
fn put(shelf: &mut Shelf) -> (Capability, usize) {
    let rng = Rng::from_seed([1; 32]);
    let mut put =
        Put::new(PutConfig::default(), FileKind::File, LENGTH, Secrecy::Random, rng).unwrap();
    let mut most = 0;
    let mut answers: Vec<(OpId, u8)> = Vec::new();
    loop {
        most = most.max(put.buffered());
        match put.poll(Time::ZERO) {
            Output::Io(id, io) => {
                let result = io.compute().unwrap_or_else(|io| {
                    let Io::ReadSource { offset, length } = io else { panic!("{io:?}") };
                    IoResult::Source(Ok(content(offset, length).into()))
                });
                put.handle_io(id, result);
            }
            Output::PutBlock { op, block, copies, .. } => {
                shelf.put(&block);
                answers.push((op, copies));
            }
            Output::Event(PutEvent::Done(stored)) => return (stored.capability, most),
            Output::Event(PutEvent::Failed(error)) => panic!("{error}"),
            Output::Idle(_) => {
                let (op, copies) = answers.pop().expect("something is under way");
                put.handle_put_result(Time::ZERO, op, Ok(copies));
            }
            _ => {}
        }
    }
}

/// Fetches the file and compares it; gives the most bytes that were held at once.
fn get(shelf: &mut Shelf, capability: &Capability) -> usize {
    let rng = Rng::from_seed([2; 32]);
    let mut get = Get::new(GetConfig::default(), capability, rng).unwrap();
    let (mut most, mut written) = (0, 0);
    let mut requests: Vec<(OpId, BlockAddress)> = Vec::new();
    let mut jobs: Vec<(IoId, IoResult)> = Vec::new();
    loop {
        most = most.max(get.buffered());
        match get.poll(Time::ZERO) {
            Output::Io(id, io) => {
                let result = io.compute().unwrap_or_else(|io| {
                    let Io::WriteSink { offset, bytes } = io else { panic!("{io:?}") };
                    assert!(offset == written && bytes == content(offset, bytes.len()));
                    written += bytes.len() as u64;
                    IoResult::Sink(Ok(()))
                });
                jobs.push((id, result));
            }
            Output::GetBlock { op, address, .. } => requests.push((op, address)),
            Output::Event(GetEvent::Done { bytes, .. }) => {
                assert_eq!((bytes, written), (LENGTH, LENGTH));
                return most;
            }
            Output::Event(GetEvent::Failed(error)) => panic!("{error}"),
            Output::Idle(_) => {
                if let Some((id, result)) = jobs.pop() {
                    get.handle_io(id, result);
                } else {
                    let (op, address) = requests.pop().expect("something is under way");
                    let block = shelf.get(address).ok_or(BlockFailure::NotFound);
                    get.handle_block(Time::ZERO, op, block);
                }
            }
            _ => {}
        }
    }
}

/// The most memory that this process ever had, in bytes, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

#[test]
fn a_hundred_megabytes_pass_in_bounded_memory() {
    let file = tempfile::tempfile().unwrap();
    let mut shelf = Shelf { file, places: HashMap::new(), end: 0 };
    let (capability, most) = put(&mut shelf);
    assert!(shelf.end > 2 * LENGTH, "data and as much parity");
    // What waits when a segment begins, and the blocks of that segment.
    assert!(most <= (8 << 20) + (32 << 20) + 65536, "{most} bytes waited");
    let most = get(&mut shelf, &capability);
    assert!(most <= 3 * (16 << 20), "{most} bytes were held");
    if let Some(peak) = peak_memory() {
        println!("peak memory {} MiB", peak >> 20);
        assert!(peak < 160 << 20, "{} MiB for a file of 95 MiB and 191 MiB of blocks", peak >> 20);
    }
}
