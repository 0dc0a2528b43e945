//! Sessions of those whose long-term key is not their DHT key: persons, and Tox clients.

mod support;

use core::time::Duration;

use support::{Weather, World, address};
use toktok_mesh::{CloseReason, Config, DropReason, Event, KeyPair, Rng, Stack};

const SECOND: Duration = Duration::from_secs(1);

/// A person (node 0) and a node of the given kind.
fn world(seed: u8, other_is_person: bool) -> World {
    let mut world = World::new(seed, Weather::default());
    world.add_identity(Config::default());
    if other_is_person {
        world.add_identity(Config::default());
    } else {
        world.add(Config::default());
    }
    world
}

fn connect(world: &mut World, from: usize, to: usize) {
    let (key, dht_key) = (world.key(to), world.nodes[to].stack.dht_key());
    let at = Some(world.nodes[to].address);
    world.with(from, |stack, now| stack.connect_tox(now, key, dht_key, at));
}

/// The DHT keys of others that a node was told of.
fn told(world: &World, node: usize) -> Vec<Event> {
    let told = |event: &&Event| matches!(event, Event::PeerDhtKey { .. });
    world.nodes[node].events.iter().filter(told).cloned().collect()
}

#[test]
fn a_session_is_with_the_identity_whoever_begins() {
    for other_is_person in [false, true] {
        for (from, to) in [(0, 1), (1, 0)] {
            let mut world = world(1, other_is_person);
            assert_ne!(world.key(0), world.nodes[0].stack.dht_key());
            connect(&mut world, from, to);
            world.run_for(SECOND);
            assert!(world.connected(0, 1), "person {other_is_person}, from {from}");
            assert_eq!(world.nodes[0].stack.drops().total(), 0);
            // Who was called learns the caller's DHT key; who called knows it.
            assert!(told(&world, from).is_empty());
            let (peer, dht_key) = (world.key(from), world.nodes[from].stack.dht_key());
            let expected = (peer != dht_key).then_some(Event::PeerDhtKey { peer, dht_key });
            assert_eq!(told(&world, to), Vec::from_iter(expected));
            let (channel, there) = world.open(0, 1, "test");
            let messages = support::messages([10, 5000]);
            assert!(world.transfer((0, channel), (1, there), &messages, SECOND));
        }
    }
}

#[test]
fn persons_who_call_each_other_at_once_have_one_session() {
    for skew in [0, 5, 10, 15, 20, 25, 30, 40] {
        let mut world = world(2, true);
        connect(&mut world, 0, 1);
        world.run_for(Duration::from_millis(skew));
        connect(&mut world, 1, 0);
        world.run_for(10 * SECOND);
        assert!(world.connected(0, 1), "skew {skew} ms");
        let ups = (world.sessions_up_and_down(0), world.sessions_up_and_down(1));
        assert_eq!(ups, ((1, 0), (1, 0)), "skew {skew} ms");
    }
}

#[test]
fn with_an_old_dht_key_nothing_stands_until_the_owner_knows_the_new_one() {
    let mut world = world(3, true);
    let (peer, old) = (world.key(1), KeyPair::generate(&mut Rng::from_seed([9; 32])).public);
    world.with(0, |stack, now| stack.connect_tox(now, peer, old, Some(address(1))));
    world.run_for(SECOND);
    assert!(!world.connected(0, 1));
    assert!(world.nodes[1].stack.drops()[DropReason::Forged] > 0);
    // An address without the key is of no use, nor the other way round.
    let dht_key = world.nodes[1].stack.dht_key();
    world.with(0, |stack, now| stack.set_peer_dht_key(now, peer, dht_key));
    world.run_for(SECOND);
    assert!(!world.connected(0, 1));
    world.with(0, |stack, now| stack.add_address(now, peer, address(1)));
    world.run_for(SECOND);
    assert!(world.connected(0, 1));
    assert!(told(&world, 0).is_empty(), "the owner knew");
}

#[test]
fn without_an_address_a_person_waits_for_the_owner_to_find_one() {
    let mut world = world(4, true);
    let (peer, dht_key) = (world.key(1), world.nodes[1].stack.dht_key());
    world.with(0, |stack, now| stack.connect_tox(now, peer, dht_key, None));
    world.run_for(8 * SECOND);
    assert_eq!(world.nodes[0].sent, 0, "nothing is looked up");
    world.with(0, |stack, now| stack.add_address(now, peer, address(1)));
    assert!(world.run_until(SECOND, |world| world.connected(0, 1)));
}

#[test]
fn a_peer_that_starts_anew_with_another_dht_key_is_recognised() {
    for told_by_owner in [false, true] {
        let mut world = World::new(5, Weather::default());
        world.add_identity(Config::default());
        let pair = |seed| KeyPair::generate(&mut Rng::from_seed([seed; 32]));
        let stack = |seed, now| {
            let rng = Rng::from_seed([seed; 32]);
            Stack::with_identity(Config::default(), pair(100), pair(seed), rng, now)
        };
        let first = stack(101, world.now);
        world.add_stack(first);
        connect(&mut world, 0, 1);
        world.run_for(SECOND);
        assert!(world.connected(0, 1));
        world.nodes[1].stack = stack(102, world.now);
        let (peer, dht_key) = (world.key(1), world.nodes[1].stack.dht_key());
        if told_by_owner {
            world.with(0, |stack, now| stack.set_peer_dht_key(now, peer, dht_key));
            world.with(0, |stack, now| stack.add_address(now, peer, address(1)));
        } else {
            connect(&mut world, 1, 0);
        }
        world.run_for(SECOND);
        assert!(world.connected(0, 1));
        let news = Event::PeerDhtKey { peer, dht_key };
        assert_eq!(told(&world, 0), Vec::from_iter((!told_by_owner).then_some(news)));
        let down = Event::SessionDown { peer, reason: CloseReason::Replaced };
        assert!(world.nodes[0].events.contains(&down));
        assert_eq!(world.sessions_up_and_down(0), (2, 1));
        let (channel, there) = world.open(0, 1, "test");
        let messages = support::messages([10]);
        assert!(world.transfer((0, channel), (1, there), &messages, SECOND));
    }
}
