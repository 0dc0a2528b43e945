//! A lookup against answers made by hand.

use super::*;

const DEADLINE: Time = Time::from_secs(10);

fn key(first: u8) -> PublicKey {
    let mut bytes = [0; 32];
    bytes[0] = first;
    PublicKey(bytes)
}

fn address(port: u16) -> Address {
    Address::udp(([10, 0, 0, 1], port).into())
}

/// A lookup of key 0, seeded with `seeds`.
fn lookup(seeds: &[u8], restarts: bool) -> Lookup {
    let mut lookup = Lookup::new(key(0xff), key(0), 3, DEADLINE, restarts);
    assert_eq!(lookup.step(Time::ZERO), Step::Seed);
    for &seed in seeds {
        lookup.seed(key(seed), address(seed.into()));
    }
    lookup
}

/// Everyone that the lookup asks now.
fn asked(lookup: &mut Lookup, now: Time) -> Vec<u8> {
    let mut asked = Vec::new();
    while let Step::Ask(key, _) = lookup.step(now) {
        asked.push(key.0[0]);
    }
    asked
}

fn answer(lookup: &mut Lookup, from: u8, tells: &[u8]) {
    let nodes: Vec<_> = tells.iter().map(|&k| (key(k), address(k.into()))).collect();
    lookup.answered(key(from), address(from.into()), nodes.into_iter());
}

#[test]
fn asks_the_nearest_three_and_counts_the_hops_to_the_target() {
    let mut lookup = lookup(&[9, 8, 7, 6], false);
    assert_eq!(asked(&mut lookup, Time::ZERO), [6, 7, 8]);
    answer(&mut lookup, 7, &[3]);
    assert_eq!(asked(&mut lookup, Time::ZERO), [3]);
    answer(&mut lookup, 3, &[0]);
    assert_eq!(asked(&mut lookup, Time::ZERO), [0]);
    assert_eq!(lookup.found(), None, "the target has not answered itself yet");
    answer(&mut lookup, 0, &[]);
    assert_eq!(lookup.found(), Some((address(0), 2)));
    assert_eq!(lookup.step(Time::ZERO), Step::Done);
}

#[test]
fn a_silent_node_is_asked_again_and_does_not_hold_up_the_others() {
    let mut lookup = lookup(&[6, 7, 8, 9, 10], false);
    assert_eq!(asked(&mut lookup, Time::ZERO), [6, 7, 8]);
    let mut now = Time::ZERO + LOOKUP_HEDGE;
    assert_eq!(lookup.step(Time::ZERO), Step::Wait(now));
    assert_eq!(asked(&mut lookup, now), [6, 7, 8]);
    now += LOOKUP_HEDGE;
    assert_eq!(asked(&mut lookup, now), [6, 7, 8]);
    now += LOOKUP_HEDGE;
    assert_eq!(asked(&mut lookup, now), [9, 10], "the silent ones are given up");
    answer(&mut lookup, 9, &[]);
    answer(&mut lookup, 10, &[]);
    assert_eq!(lookup.step(now), Step::Done);
    assert_eq!(lookup.found(), None);
}

#[test]
fn begins_anew_when_nothing_was_found_and_ends_in_bounded_time() {
    let mut lookup = lookup(&[5], true);
    for round in 0..=LOOKUP_RESTARTS {
        let now = Time::from_secs(round.into());
        assert_eq!(asked(&mut lookup, now), [5]);
        answer(&mut lookup, 5, &[]);
        if round < LOOKUP_RESTARTS {
            assert_eq!(lookup.step(now), Step::Wait(now + LOOKUP_PAUSE));
            assert_eq!(lookup.step(now + LOOKUP_PAUSE), Step::Seed);
            lookup.seed(key(5), address(5));
        }
    }
    assert_eq!(lookup.step(Time::from_secs(2)), Step::Done);
}

#[test]
fn without_nodes_it_waits_for_some_until_its_deadline() {
    let mut lookup = lookup(&[], true);
    let mut now = Time::ZERO;
    let mut rounds = 0;
    loop {
        match lookup.step(now) {
            Step::Wait(until) => now = until,
            Step::Seed => rounds += 1,
            Step::Done => break,
            Step::Ask(..) => unreachable!("there is nobody to ask"),
        }
    }
    assert_eq!(now, DEADLINE);
    assert!(rounds >= 8);
}

#[test]
fn what_a_liar_tells_is_bounded() {
    let mut lookup = lookup(&[5], false);
    assert_eq!(asked(&mut lookup, Time::ZERO), [5]);
    let lies = (0..100).map(|port| (key(0), address(port)));
    lookup.answered(key(5), address(5), lies);
    let more = (0..200).map(|k| (key(k), address(1)));
    lookup.answered(key(5), address(5), more);
    assert_eq!(lookup.candidates.len(), LOOKUP_CANDIDATES);
    let same = lookup.candidates.iter().filter(|candidate| candidate.key == key(0)).count();
    assert_eq!(same, LOOKUP_ADDRESSES);
}
