//! Every fuzz body over its whole seed corpus, and over mutations of it that are the same each time:
//! fuzzing's results stay checked without a fuzzer.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use toktok_fuzz::{Body, TARGETS};
use toktok_wire::Rng;

/// Mutations tried for each target, unless its share of time is over.
const MUTATIONS: usize = 5_000;
/// Time that the mutations of one target may take: some bodies open boxes or run state machines.
const MUTATION_TIME: Duration = Duration::from_millis(500);
/// Longest seed, and longest input that a mutation makes: a message that carries a small block (4 KiB).
const MAX_LEN: usize = 4_608;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The seeds of a target in the order of their names.
fn seeds(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = corpus().join(name);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a directory entry").path())
        .collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read(&path).expect("a seed"))).collect()
}

/// One to eight changes of the kinds a fuzzer makes: flip, set, cut, repeat, insert, splice.
fn mutate(rng: &mut Rng, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut data = seed.to_vec();
    for _ in 0..=rng.below(8) {
        let at = rng.index(data.len());
        match rng.below(6) {
            0 if !data.is_empty() => data[at] ^= 1 << rng.below(8),
            1 if !data.is_empty() => {
                data[at] = *rng.choose(&[0, 1, 0x7f, 0x80, 0xff]).unwrap_or(&0)
            }
            2 => data.truncate(at),
            3 => data.extend_from_within(at..),
            4 => data.insert(at, rng.u64() as u8),
            _ => {
                data.truncate(at);
                data.extend_from_slice(&other[rng.index(other.len())..]);
            }
        }
        data.truncate(MAX_LEN);
    }
    data
}

/// Runs the body; if it panics, says which input did it, so that it can become a seed.
fn run(name: &str, body: Body, data: &[u8]) {
    let outcome = std::panic::catch_unwind(|| body(data));
    assert!(outcome.is_ok(), "target {name} fails on {data:02x?}");
}

#[test]
fn every_target_survives_its_seeds_and_their_mutations() {
    for (name, body) in TARGETS {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "target {name} has no seeds");
        for (_, data) in &seeds {
            run(name, *body, data);
        }
        let mut rng = Rng::from_seed([0xf2; 32]).child(name);
        let end = Instant::now() + MUTATION_TIME;
        for _ in 0..MUTATIONS {
            let (seed, other) =
                (&seeds[rng.index(seeds.len())].1, &seeds[rng.index(seeds.len())].1);
            run(name, *body, &mutate(&mut rng, seed, other));
            if Instant::now() > end {
                break;
            }
        }
    }
}

#[test]
fn every_corpus_belongs_to_a_target_and_stays_small() {
    for entry in fs::read_dir(corpus()).expect("the corpus folder") {
        let name = entry.expect("a directory entry").file_name().into_string().expect("UTF-8");
        assert!(toktok_fuzz::target(&name).is_some(), "corpus/{name} belongs to no target");
        for (path, data) in seeds(&name) {
            assert!(data.len() <= MAX_LEN, "{} is too long for a seed", path.display());
        }
    }
}
