//! What the disk spends on blocks: `cargo bench -p toktok-tdfs --bench store`.
//!
//! Every batch is in the synced write-ahead log before it is acknowledged, so that the size of a batch
//! decides. Also: bytes that reached the disk for each byte of blocks, as Linux counts them.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first surprise")]

use std::path::PathBuf;
use std::time::Instant;

use toktok_tdfs::block::{Block, BlockSize};
use toktok_tdfs::runtime::{RocksOptions, RocksStore};
use toktok_tdfs::store::{BlockStore, Write};
use toktok_tdfs::{Rng, Time};

const MIB: f64 = (1 << 20) as f64;

fn block(size: BlockSize, number: u64) -> Block {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    let mut bytes = vec![0; size.bytes()];
    Rng::from_seed(seed).fill(&mut bytes);
    Block::new(bytes.into()).unwrap()
}

/// Bytes that this process sent to disks, where the system tells.
fn written() -> Option<u64> {
    let io = std::fs::read_to_string("/proc/self/io").ok()?;
    io.lines().find_map(|line| line.strip_prefix("write_bytes: "))?.trim().parse().ok()
}

fn open(path: &std::path::Path) -> RocksStore {
    let options = RocksOptions::new(1 << 34);
    RocksStore::open(path, options, Rng::from_seed([1; 32])).unwrap()
}

fn main() {
    // Not in /tmp, which may be memory: beside the build, unless told otherwise.
    let place = std::env::var_os("BENCH_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from);
    for (size, batch, batches) in [
        (BlockSize::Bulk, 1, 200),
        (BlockSize::Bulk, 8, 100),
        (BlockSize::Bulk, 64, 40),
        (BlockSize::Small, 1, 200),
        (BlockSize::Small, 64, 40),
    ] {
        let directory = tempfile::tempdir_in(&place).unwrap();
        let mut store = open(directory.path());
        let count = batch * batches;
        let blocks: Vec<_> = (0..count).map(|number| block(size, number)).collect();
        let before = written();
        let begin = Instant::now();
        for part in blocks.chunks(batch as usize) {
            let put = |block: &Block| Write::Put { block: block.clone(), expires: Time::MAX };
            store.write(&part.iter().map(put).collect::<Vec<_>>()).unwrap();
        }
        let put = begin.elapsed().as_secs_f64();
        store.flush().unwrap();
        let begin = Instant::now();
        for block in &blocks {
            assert_eq!(store.get(&block.address()).unwrap().as_ref(), Some(block));
        }
        let get = begin.elapsed().as_secs_f64();
        drop(store);
        let bytes = (count as usize * size.bytes()) as f64;
        let amplification = before.zip(written()).map(|(a, b)| (b - a) as f64 / bytes);
        println!(
            "{size:?} blocks, {batch:>2} a batch: put {:7.1} MiB/s ({:6.2} ms a batch), get {:7.1} MiB/s, {:.2} bytes written a byte",
            bytes / MIB / put,
            put * 1e3 / batches as f64,
            bytes / MIB / get,
            amplification.unwrap_or(f64::NAN),
        );
    }
}
