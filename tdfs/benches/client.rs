//! What the processor spends on a file: `cargo bench -p toktok-tdfs --bench client`.
//!
//! Everything is in memory and in one thread: the numbers are an upper bound of what a node can put
//! and get, to be compared with what its line carries.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first surprise")]

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use toktok_tdfs::Rng;
use toktok_tdfs::block::{Block, FileKeys, ReadKey};
use toktok_tdfs::capability::FileKind;
use toktok_tdfs::client::local;
use toktok_tdfs::file::{DecodeJob, EncodeJob, Encoded, Layout, Segment};
use toktok_tdfs::store::MemoryStore;

/// Seconds that this thread has had a processor: other programs do not count. Where the system does
/// not tell (it does on Linux), seconds by the clock.
fn seconds(begin: Instant) -> f64 {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = schedule.and_then(|s| s.split_whitespace().next()?.parse::<u64>().ok());
    nanoseconds.map_or_else(|| begin.elapsed().as_secs_f64(), |n| n as f64 / 1e9)
}

/// The best of three measurements, in MiB a second. Each runs over at least 64 MiB: the system counts
/// a thread's time in steps of some milliseconds.
fn best(bytes: usize, mut run: impl FnMut()) -> f64 {
    let clock = Instant::now();
    let runs = (64_usize << 20).div_ceil(bytes);
    let seconds = (0..3).map(|_| {
        let begin = seconds(clock);
        (0..runs).for_each(|_| run());
        (seconds(clock) - begin) / runs as f64
    });
    bytes as f64 / f64::from(1 << 20) / seconds.fold(f64::INFINITY, f64::min)
}

fn random(length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    Rng::from_seed([1; 32]).fill(&mut bytes);
    bytes.into()
}

fn keys() -> FileKeys {
    FileKeys::reader(&ReadKey::from_bytes([1; 32]))
}

fn encode(segment: Segment, plaintext: &Bytes) -> Encoded {
    EncodeJob { keys: keys(), segment, plaintext: plaintext.clone() }.run().unwrap()
}

fn decode(encoded: &Encoded, first: u16) {
    let have = (first..first + encoded.segment.data)
        .map(|index| (index, encoded.blocks[usize::from(index)].clone()));
    let job = DecodeJob {
        keys: keys(),
        segment: encoded.segment,
        addresses: encoded.blocks.iter().map(Block::address).collect(),
        have: have.collect(),
        wanted: 0..encoded.segment.data,
        repair: Vec::new(),
    };
    black_box(job.run().unwrap());
}

fn main() {
    for blocks in [8_usize, 64, 256] {
        let content = random(blocks << 16);
        let layout = Layout::new(content.len() as u64).unwrap();
        let segment = layout.level(0).unwrap().segment(0).unwrap();
        let encoded = encode(segment, &content);
        let rate = best(content.len(), || drop(black_box(encode(segment, &content))));
        println!("encode {blocks:>3}+{blocks:<3}                 {rate:8.0} MiB/s of content");
        let rate = best(content.len(), || decode(&encoded, 0));
        println!("decode {blocks:>3}+{blocks:<3}, no block lost  {rate:8.0} MiB/s of content");
        let rate = best(content.len(), || decode(&encoded, segment.data / 2));
        println!("decode {blocks:>3}+{blocks:<3}, half lost      {rate:8.0} MiB/s of content");
        let rate = best(content.len(), || decode(&encoded, segment.data));
        println!("decode {blocks:>3}+{blocks:<3}, all data lost  {rate:8.0} MiB/s of content");
    }
    for length in [1 << 20, 64 << 20] {
        let content = random(length);
        let mut store = MemoryStore::new(1 << 30, Rng::from_seed([2; 32]));
        let mut seed = 0;
        let mut stored = None;
        let rate = best(length, || {
            seed += 1;
            store = MemoryStore::new(1 << 30, Rng::from_seed([2; 32]));
            let rng = Rng::from_seed([seed; 32]);
            stored = Some(local::put(&mut store, FileKind::File, &content, rng).unwrap());
        });
        println!("put {:>2} MiB into memory           {rate:8.0} MiB/s of content", length >> 20);
        let capability = stored.unwrap().capability;
        let rate = best(length, || {
            let got = local::get(&store, &capability, Rng::from_seed([3; 32])).unwrap();
            assert!(got == content);
        });
        println!("get {:>2} MiB, random blocks        {rate:8.0} MiB/s of content", length >> 20);
    }
}
