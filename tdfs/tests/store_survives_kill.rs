//! `kill -9` in the middle of writing loses no block that was acknowledged.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and may print"
)]
#![cfg(all(unix, feature = "rocksdb"))]

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use toktok_tdfs::block::{Block, BlockSize};
use toktok_tdfs::runtime::{RocksOptions, RocksStore};
use toktok_tdfs::store::{BlockStore, Write};
use toktok_tdfs::{Rng, Time};

/// Set for the child: the directory to write into, and the first block to write.
const CHILD: &str = "TOKTOK_TEST_STORE";
const FIRST: &str = "TOKTOK_TEST_FIRST";
const EXPIRES: Time = Time::from_secs(5_000_000);

/// Block `number`, the same in both processes.
fn block(number: u64) -> Block {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    let size = if number.is_multiple_of(3) { BlockSize::Bulk } else { BlockSize::Small };
    let mut bytes = vec![0; size.bytes()];
    Rng::from_seed(seed).fill(&mut bytes);
    Block::new(bytes.into()).unwrap()
}

fn open(path: &Path) -> RocksStore {
    let options = RocksOptions::new(1 << 32);
    RocksStore::open(path, options, Rng::from_seed([1; 32])).unwrap()
}

/// Not a test by itself: what the killed process runs. Writes batches for ever, and says the number
/// of each batch's last block once the store has acknowledged it.
#[test]
fn child_writes_until_it_is_killed() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let mut next: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let mut store = open(Path::new(&path));
    for length in (1..=7).cycle() {
        let put = |number| Write::Put { block: block(number), expires: EXPIRES };
        let batch: Vec<_> = (next..next + length).map(put).collect();
        store.write(&batch).unwrap();
        next += length;
        println!("acknowledged {}", next - 1);
        std::io::stdout().flush().unwrap();
    }
}

/// Lets a child write for a while, kills it, and gives the last block that it had acknowledged.
fn write_and_kill(path: &Path, first: u64, after: Duration) -> Option<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_writes_until_it_is_killed", "--nocapture"])
        .env(CHILD, path)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let lines = BufReader::new(stdout).lines().map_while(Result::ok);
        lines.filter_map(|line| line.strip_prefix("acknowledged ")?.parse().ok()).last()
    });
    std::thread::sleep(after);
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success(), "it was killed, not finished");
    reader.join().unwrap()
}

#[test]
fn no_acknowledged_block_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = 0;
    for round in 0..5 {
        let after = Duration::from_millis(250 + 130 * round);
        let last = write_and_kill(directory.path(), first, after);
        let store = open(directory.path());
        for number in 0..last.map_or(first, |last| last + 1) {
            let block = block(number);
            assert_eq!(store.get(&block.address()), Ok(Some(block)), "block {number}");
        }
        // What was written but not acknowledged may be there, too; it is counted right.
        let mut held = 0;
        store.visit(&mut |_| held += 1).unwrap();
        assert_eq!(store.usage().blocks, held);
        first = last.map_or(first, |last| last + 1).max(held);
    }
    assert!(first > 20, "only {first} blocks were written: the test is too fast for this disk");
}
