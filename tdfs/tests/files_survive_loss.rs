//! Files come back byte for byte, whatever their length and whichever blocks are lost, up to the limit.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and may print"
)]

mod common;

use common::{Network, random_bytes, rng};
use proptest::prelude::*;
use toktok_tdfs::block::BlockAddress;
use toktok_tdfs::capability::FileKind;
use toktok_tdfs::client::{Get, GetConfig, GetError, PutConfig, PutError, Secrecy};
use toktok_tdfs::file::layout::{INLINE_LIMIT, SMALL_LIMIT};
use toktok_tdfs::file::{Entry, Layout, Manifest};
use toktok_tdfs::wire::{Decode, Encode};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

fn comes_back(length: u64) {
    let content = random_bytes(length as usize, 1);
    let mut network = Network::default();
    let stored = network.put(&content, 2).unwrap();
    assert_eq!(stored.blocks, network.blocks.len() as u64, "length {length}");
    assert_eq!((stored.length, stored.thin_blocks, stored.root_copies), (length, 0, 8));
    assert!(network.get(&stored.capability, 3).unwrap() == content, "length {length}");
}

#[test]
fn lengths_around_every_boundary_come_back() {
    for length in [
        0,
        1,
        INLINE_LIMIT - 1,
        INLINE_LIMIT,
        INLINE_LIMIT + 1,
        4 * KIB - 1,
        4 * KIB,
        4 * KIB + 1,
        64 * KIB - 1,
        64 * KIB,
        64 * KIB + 1,
        SMALL_LIMIT,
        SMALL_LIMIT + 1,
        63 * 64 * KIB,
        63 * 64 * KIB + 1,
    ] {
        comes_back(length);
    }
}

#[test]
fn lengths_around_a_full_segment_come_back() {
    for length in [16 * MIB - 1, 16 * MIB, 16 * MIB + 1] {
        comes_back(length);
    }
}

/// The addresses of all blocks, segment by segment, as a reader of the index would list them. The
/// network saw them in random order, so they are told apart by decoding what the put returned.
fn segments(length: u64) -> Vec<(u16, u16)> {
    let layout = Layout::new(length).unwrap();
    let all = layout
        .levels()
        .iter()
        .flat_map(|level| (0..level.segments()).filter_map(|number| level.segment(number)));
    all.map(|segment| (segment.data, segment.blocks())).collect()
}

/// Loses random blocks until a get fails, and says how many it took.
fn losses_survived(length: u64, seed: u8) -> usize {
    let content = random_bytes(length as usize, seed);
    let mut network = Network::default();
    let stored = network.put(&content, seed).unwrap();
    let mut victims: Vec<BlockAddress> = network.order.clone();
    victims.retain(|address| *address != stored.capability.root);
    rng(seed).shuffle(&mut victims);
    for (count, victim) in victims.into_iter().enumerate() {
        network.lost.insert(victim);
        let config = GetConfig { attempts: 1, heal: 0, ..GetConfig::default() };
        let get = Get::new(config, &stored.capability, rng(seed)).unwrap();
        match network.run_get(get) {
            Ok(got) => assert!(got.content == content),
            Err(error) => {
                assert!(matches!(error, GetError::TooFewBlocks { .. }), "{error}");
                return count;
            }
        }
    }
    panic!("a file without blocks was read");
}

#[test]
fn any_k_of_n_suffice_and_fewer_do_not() {
    // One segment and no index: every loss up to the parity is survived, in any order.
    for length in [4_081, 3 * 4096, 30 * 4096, SMALL_LIMIT + 1] {
        let [(data, blocks)] = segments(length)[..] else { panic!("one segment") };
        for seed in 1..4 {
            assert_eq!(losses_survived(length, seed), usize::from(blocks - data), "{length}");
        }
    }
}

#[test]
fn a_third_of_all_blocks_may_be_lost() {
    let length = 20 * MIB;
    let content = random_bytes(length as usize, 1);
    let mut network = Network::default();
    let stored = network.put(&content, 2).unwrap();
    network.lose(33, stored.capability.root, 3);
    assert!(network.lost.len() > 100);
    assert!(network.get(&stored.capability, 4).unwrap() == content);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn random_lengths_survive_random_loss(length in 0..600 * KIB, seed: u8) {
        let content = random_bytes(length as usize, seed);
        let mut network = Network::default();
        let stored = network.put(&content, seed).unwrap();
        // A fifth is lost. Eight blocks of which one suffices bear it nearly always; if not, it says so.
        network.lose(20, stored.capability.root, seed);
        match network.get(&stored.capability, seed) {
            Ok(got) => prop_assert!(got == content),
            Err(error) => {
                let too_few = matches!(error, GetError::TooFewBlocks { .. });
                prop_assert!(too_few, "{error}");
                prop_assert!(network.lost.len() > 4);
            }
        }
    }

    #[test]
    fn random_ranges_of_a_file_come_back(from in 0..5 * MIB, length in 0..MIB) {
        let content = random_bytes(5 * MIB as usize, 1);
        let mut network = Network::default();
        let stored = network.put(&content, 2).unwrap();
        let got = network.get_range(&stored.capability, from, length).unwrap();
        let end = (from + length).min(5 * MIB);
        prop_assert!(got == content[from as usize..end as usize]);
    }
}

#[test]
fn a_range_reads_only_what_it_needs() {
    let content = random_bytes(40 << 20, 1);
    let mut network = Network::default();
    let stored = network.put(&content, 2).unwrap();
    let got = network.get_range(&stored.capability, 17 * MIB + 5, 70_000).unwrap();
    let at = (17 << 20) + 5;
    assert!(got == content[at..at + 70_000]);
    // The root, the index blocks (small, 16 KiB of addresses), and two bulk blocks.
    assert!(network.asked.len() <= 8, "{} blocks", network.asked.len());
    // With its own block lost, the range is made of the rest of its segment, and nothing of others.
    let data = network.asked.last().copied().unwrap();
    network.lost.insert(data);
    network.asked.clear();
    assert!(network.get_range(&stored.capability, 17 * MIB + 5, 70_000).unwrap() == got);
    assert!((256..300).contains(&network.asked.len()), "{} blocks", network.asked.len());
}

#[test]
fn a_range_behind_the_end_says_so_and_an_empty_one_is_empty() {
    for length in [100, 9_000] {
        let content = random_bytes(length, 1);
        let mut network = Network::default();
        let capability = network.put(&content, 2).unwrap().capability;
        let length = length as u64;
        let beyond = network.get_range(&capability, length + 1, 1);
        assert_eq!(beyond, Err(GetError::BeyondEnd { offset: length + 1, length }));
        assert_eq!(network.get_range(&capability, length, 5), Ok(vec![]));
        assert_eq!(network.get_range(&capability, 5, 0), Ok(vec![]));
        assert_eq!(
            network.get_range(&capability, length - 1, 99).unwrap(),
            content[length as usize - 1..]
        );
    }
}

#[test]
fn blocks_found_missing_are_stored_again() {
    let content = random_bytes(9_000, 1);
    let mut network = Network::default();
    let capability = network.put(&content, 2).unwrap().capability;
    let victims: Vec<_> = network.order.iter().filter(|a| **a != capability.root).take(4).collect();
    network.lost.extend(victims);
    let before = network.lost.len();
    let mut healed = 0;
    // Each get asks for random blocks and heals those it misses.
    for seed in 0..20 {
        let get = Get::new(GetConfig::default(), &capability, rng(seed)).unwrap();
        let got = network.run_get(get).unwrap();
        assert!(got.content == content);
        healed += got.healed.unwrap_or(0);
    }
    assert_eq!((healed, network.lost.len()), (before, 0));
}

#[test]
fn a_verify_only_capability_keeps_a_file_alive_and_reads_nothing() {
    let content = random_bytes(300_000, 1);
    let mut network = Network::default();
    let capability = network.put(&content, 2).unwrap().capability;
    let verify = capability.verify_only();
    let refused = Get::new(GetConfig::default(), &verify, rng(1)).map(|_| ());
    assert_eq!(refused, Err(GetError::VerifyOnly));
    let victims: Vec<_> = network.order.iter().filter(|a| **a != capability.root).take(4).collect();
    network.lost.extend(victims);
    let lost = network.lost.len();
    for seed in 0..20 {
        let got = network.run_get(Get::verify(GetConfig::default(), &verify, rng(seed))).unwrap();
        assert!(got.content.is_empty());
    }
    assert!(lost == 4 && network.lost.is_empty(), "{} of {lost} left", network.lost.len());
    assert!(network.get(&capability, 3).unwrap() == content);
}

#[test]
fn two_uploads_share_nothing_unless_asked_to() {
    let content = random_bytes(100_000, 1);
    let put = |secrecy: Secrecy, seed| {
        let mut network = Network::default();
        let config = PutConfig::default();
        let stored = network.put_with(config, FileKind::File, secrecy, &content, seed).unwrap();
        (network, stored.capability)
    };
    let (a, _) = put(Secrecy::Random, 1);
    let (b, _) = put(Secrecy::Random, 2);
    assert!(a.blocks.keys().all(|address| !b.blocks.contains_key(address)));
    let (c, first) = put(Secrecy::Convergent([7; 32]), 1);
    let (mut d, second) = put(Secrecy::Convergent([7; 32]), 2);
    assert!(c.blocks == d.blocks && first == second);
    assert!(d.get(&first, 1).unwrap() == content);
    let (e, _) = put(Secrecy::Convergent([8; 32]), 1);
    assert!(e.blocks.keys().all(|address| !c.blocks.contains_key(address)));
}

#[test]
fn a_folder_has_one_capability() {
    let mut network = Network::default();
    let hello = random_bytes(70_000, 1);
    let file = network.put(&hello, 2).unwrap().capability;
    let entry = Entry::new("hello.bin", "application/octet-stream", 70_000, file).unwrap();
    let manifest = Manifest::new(vec![entry]).unwrap();
    let bytes = manifest.to_bytes().into();
    let config = PutConfig::default();
    let folder = network
        .put_with(config, FileKind::Directory, Secrecy::Random, &bytes, 3)
        .unwrap()
        .capability;
    assert_eq!(folder.kind, FileKind::Directory);
    let folder = folder.to_string().parse().unwrap();
    let read = network.get(&folder, 4).unwrap();
    let read = Manifest::from_bytes(&read).unwrap();
    let inner = &read.entry("hello.bin").unwrap().capability;
    assert!(network.get(inner, 5).unwrap() == hello);
}

#[test]
fn slow_answers_are_hedged() {
    let content = random_bytes(200_000, 1);
    let mut network = Network::default();
    let capability = network.put(&content, 2).unwrap().capability;
    let slow: Vec<_> =
        network.order.iter().filter(|a| **a != capability.root).step_by(5).copied().collect();
    network.slow = slow.into_iter().map(|a| (a, std::time::Duration::from_secs(3600))).collect();
    let begin = network.now;
    assert!(network.get(&capability, 3).unwrap() == content);
    assert!(network.now.since(begin) < std::time::Duration::from_secs(60));
}

#[test]
fn failures_say_what_is_wrong() {
    let content = random_bytes(9_000, 1);
    let mut network = Network { refuse: true, ..Network::default() };
    let error = network.put(&content, 2).unwrap_err();
    assert!(matches!(error, PutError::TooFewStored { .. } | PutError::RootNotStored), "{error}");
    let mut network = Network::default();
    let capability = network.put(&content, 2).unwrap().capability;
    network.lost.insert(capability.root);
    assert_eq!(network.get(&capability, 1), Err(GetError::RootNotFound));
    let mut wrong = capability.clone();
    wrong.kind = FileKind::Directory;
    network.lost.clear();
    assert_eq!(network.get(&wrong, 1), Err(GetError::Kind));
    let other = network.put(&content, 5).unwrap().capability;
    wrong = capability;
    wrong.access = other.access;
    assert!(matches!(network.get(&wrong, 1), Err(GetError::Root(_))));
}
