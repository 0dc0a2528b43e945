//! Stacks find each other by key, and bear with whatever the network does to their packets.

mod support;

use core::time::Duration;
use std::cell::RefCell;
use std::rc::Rc;

use support::{Weather, World, address};
use toktok_mesh::{Config, DropReason, Event};

const LOSSY: Weather = Weather {
    delay: Duration::from_millis(20),
    jitter: Duration::from_millis(30),
    loss: 10,
    doubled: 10,
};

/// `count` nodes that join through node 0, and some seconds to do so.
fn joined(seed: u8, count: usize) -> World {
    let mut world = World::new(seed, LOSSY);
    for number in 0..count {
        world.add(Config::default());
        let first = world.key(0);
        world.with(number, |stack, now| {
            if number > 0 {
                stack.bootstrap(now, address(0), first);
            }
        });
    }
    world.run_for(Duration::from_secs(15));
    world
}

#[test]
fn everyone_is_connected_and_found_from_everywhere() {
    let count = 40;
    let mut world = joined(1, count);
    for node in &world.nodes {
        assert!(node.events.contains(&Event::DhtConnected), "{:?} is not connected", node.address);
    }
    let mut asked = Vec::new();
    for from in 0..count {
        let to = (from * 7 + 3) % count;
        let key = world.key(to);
        if from != to {
            asked.push((from, to, world.with(from, |stack, now| stack.lookup(now, key))));
        }
    }
    world.run_for(Duration::from_secs(10));
    for (from, to, id) in asked {
        let found = world.nodes[from].events.iter().any(|event| {
            matches!(event, Event::LookupDone { lookup, address: Some(at), .. }
                if *lookup == id && *at == address(to))
        });
        assert!(found, "node {from} did not find node {to}");
    }
}

#[test]
fn a_session_needs_nothing_but_the_key() {
    let mut world = joined(2, 20);
    let key = world.key(13);
    world.with(4, |stack, now| stack.connect(now, key, None));
    assert!(world.run_until(Duration::from_secs(15), |world| world.connected(4, 13)));
}

#[test]
fn damaged_copies_of_real_packets_are_dropped_and_counted() {
    let mut world = World::new(3, Weather::default());
    world.add(Config::default());
    world.add(Config::default());
    let seen = Rc::new(RefCell::new(Vec::new()));
    let tap = Rc::clone(&seen);
    world.tap = Some(Box::new(move |_, datagram| {
        tap.borrow_mut().push(datagram.clone());
        true
    }));
    let first = world.key(0);
    world.with(1, |stack, now| stack.bootstrap(now, address(0), first));
    world.run_for(Duration::from_secs(70));
    let seen = seen.take();
    assert!(seen.len() > 10, "requests and responses of both kinds");
    let to_first: Vec<_> = seen.iter().filter(|datagram| datagram.to == address(0)).collect();
    let drops = |world: &World, reason| world.nodes[0].stack.drops()[reason];
    for datagram in &to_first {
        for len in 1..datagram.bytes.len() {
            world.inject(0, datagram.from, &datagram.bytes[..len]);
        }
    }
    let cut: usize = to_first.iter().map(|datagram| datagram.bytes.len() - 1).sum();
    let truncated = drops(&world, DropReason::Truncated) + drops(&world, DropReason::Forged);
    assert_eq!(truncated, cut as u64, "a response cut short may still be long enough for its kind");
    let before = drops(&world, DropReason::Forged);
    for datagram in &to_first {
        let mut bytes = datagram.bytes.clone();
        let last = bytes.len() - 1;
        bytes[last] ^= 0x40;
        world.inject(0, datagram.from, &bytes);
    }
    assert_eq!(drops(&world, DropReason::Forged) - before, to_first.len() as u64);
    let replayed = drops(&world, DropReason::Unsolicited);
    let responses: Vec<_> =
        to_first.iter().filter(|datagram| [1, 4].contains(&datagram.bytes[0])).collect();
    assert!(!responses.is_empty());
    for datagram in &responses {
        world.inject(0, datagram.from, &datagram.bytes);
    }
    assert_eq!(drops(&world, DropReason::Unsolicited) - replayed, responses.len() as u64);
    assert_eq!(world.nodes[0].stack.close_nodes().count(), 1, "nobody came in by any of this");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        let world = joined(5, 20);
        world.nodes.into_iter().map(|node| (node.sent_bytes, node.events)).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}
