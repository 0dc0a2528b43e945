//! How sessions begin: in every order of packets, at the same time, and again after a restart.

mod support;

use core::time::Duration;
use std::cell::RefCell;
use std::rc::Rc;

use support::{Datagram, Weather, World, address};
use toktok_mesh::{
    Accept, CloseReason, Config, ConnectError, DropReason, Event, KeyPair, Rng, Stack,
};

const COOKIE_REQUEST: u8 = 0x18;
const COOKIE_RESPONSE: u8 = 0x19;
const HANDSHAKE: u8 = 0x1a;
const DATA: u8 = 0x1b;

fn is(datagram: &Datagram, kind: u8) -> bool {
    datagram.bytes.first() == Some(&kind)
}

/// Keeps a copy of all datagrams that fly.
fn record(world: &mut World) -> Rc<RefCell<Vec<Datagram>>> {
    let log = Rc::new(RefCell::new(Vec::new()));
    let copy = log.clone();
    world.tap = Some(Box::new(move |_, datagram| {
        copy.borrow_mut().push(datagram.clone());
        true
    }));
    log
}

#[test]
fn a_session_stands_after_two_round_trips() {
    let mut world = World::pair(1, Weather::default());
    let start = world.now;
    world.connect(0, 1);
    assert!(world.now.since(start) <= Duration::from_millis(50));
    assert_eq!((world.sessions_up_and_down(0), world.sessions_up_and_down(1)), ((1, 0), (1, 0)));
    world.run_for(Duration::from_secs(60));
    assert!(world.connected(0, 1));
    assert_eq!(world.nodes[0].stack.session_count(), 1);
    assert_eq!(world.nodes[0].stack.drops().total(), 0);
}

#[test]
fn both_sides_at_once_end_in_one_session() {
    for skew in [0, 1, 5, 9, 10, 11, 19, 20, 21, 29, 30, 31, 45] {
        let mut world = World::pair(2, Weather::default());
        let (a, b) = (world.key(0), world.key(1));
        world.with(0, |stack, now| stack.connect(now, b, Some(address(1))));
        world.run_for(Duration::from_millis(skew));
        world.with(1, |stack, now| stack.connect(now, a, Some(address(0))));
        world.run_for(Duration::from_secs(20));
        assert!(world.connected(0, 1), "skew {skew} ms");
        let ups = (world.sessions_up_and_down(0), world.sessions_up_and_down(1));
        assert_eq!(ups, ((1, 0), (1, 0)), "skew {skew} ms");
    }
}

#[test]
fn any_single_packet_of_the_handshake_may_be_lost() {
    for glare in [false, true] {
        for lost in 0..10 {
            let mut world = World::pair(3, Weather::default());
            let mut count = 0;
            world.tap = Some(Box::new(move |_, _| {
                count += 1;
                count - 1 != lost
            }));
            let (a, b) = (world.key(0), world.key(1));
            world.with(0, |stack, now| stack.connect(now, b, Some(address(1))));
            if glare {
                world.with(1, |stack, now| stack.connect(now, a, Some(address(0))));
            }
            world.run_for(Duration::from_secs(10));
            assert!(world.connected(0, 1), "packet {lost} lost, glare {glare}");
            assert_eq!(world.sessions_up_and_down(0), (1, 0), "packet {lost} lost, glare {glare}");
            assert_eq!(world.sessions_up_and_down(1), (1, 0), "packet {lost} lost, glare {glare}");
        }
    }
}

#[test]
fn heavy_loss_reordering_and_doubling_delay_it_only() {
    for seed in 0..40 {
        let (delay, jitter) = (Duration::from_millis(20), Duration::from_millis(200));
        let mut world = World::pair(seed, Weather { delay, jitter, loss: 300, doubled: 200 });
        let (a, b) = (world.key(0), world.key(1));
        world.with(0, |stack, now| stack.connect(now, b, Some(address(1))));
        if seed % 2 == 0 {
            world.with(1, |stack, now| stack.connect(now, a, Some(address(0))));
        }
        world.run_for(Duration::from_secs(25));
        assert!(world.connected(0, 1), "seed {seed}");
        let (channel, there) = world.open(0, 1, "test");
        let messages = support::messages([100, 5000]);
        let limit = Duration::from_secs(30);
        assert!(world.transfer((0, channel), (1, there), &messages, limit), "seed {seed}");
    }
}

#[test]
fn connecting_twice_changes_nothing() {
    let mut world = World::pair(4, Weather::default());
    let b = world.key(1);
    for _ in 0..3 {
        world.with(0, |stack, now| stack.connect(now, b, Some(address(1))));
    }
    world.run_for(Duration::from_secs(1));
    world.with(0, |stack, now| stack.connect(now, b, Some(address(7))));
    world.run_for(Duration::from_secs(15));
    assert!(world.connected(0, 1));
    assert_eq!(world.sessions_up_and_down(0), (1, 0));
    assert_eq!(world.nodes[0].events.len(), 1);
}

#[test]
fn a_restarted_peer_gets_a_new_session_and_the_old_one_goes() {
    let mut world = World::new(5, Weather::default());
    world.add(Config::default());
    let keys = KeyPair::generate(&mut Rng::from_seed([9; 32]));
    world.add_with(Config::default(), keys.clone(), Rng::from_seed([10; 32]));
    world.connect(0, 1);
    world.run_for(Duration::from_secs(5));
    let (a, b) = (world.key(0), world.key(1));
    let fresh = Stack::new(Config::default(), keys, Rng::from_seed([11; 32]), world.now);
    world.nodes[1].stack = fresh;
    world.nodes[1].events.clear();
    world.with(1, |stack, now| stack.connect(now, a, Some(address(0))));
    world.run_for(Duration::from_secs(2));
    let expected = [
        Event::SessionUp { peer: b },
        Event::SessionDown { peer: b, reason: CloseReason::Replaced },
        Event::SessionUp { peer: b },
    ];
    assert_eq!(world.nodes[0].events, expected);
    assert_eq!(world.nodes[0].stack.session_count(), 1);
    world.open(0, 1, "test");
}

#[test]
fn a_replayed_handshake_does_not_hurt_the_session() {
    let mut world = World::pair(6, Weather::default());
    let log = record(&mut world);
    world.connect(0, 1);
    let recorded = log.take();
    for datagram in recorded.iter().filter(|datagram| !is(datagram, DATA)) {
        let to = usize::from(datagram.to == address(1));
        world.inject(to, datagram.from, &datagram.bytes);
        world.inject(to, address(99), &datagram.bytes);
    }
    world.run_for(Duration::from_secs(20));
    assert!(world.connected(0, 1));
    assert_eq!((world.sessions_up_and_down(0), world.sessions_up_and_down(1)), ((1, 0), (1, 0)));
    let drops = |node: usize| world.nodes[node].stack.drops().clone();
    assert_eq!(drops(0)[DropReason::Replayed] + drops(1)[DropReason::Replayed], 4);
    // The cookie response twice, and the answer to one of the repeated requests.
    assert_eq!(drops(0)[DropReason::Unsolicited], 3);
    // A later replay finds its cookie stale.
    for datagram in recorded.iter().filter(|datagram| is(datagram, HANDSHAKE)) {
        let to = usize::from(datagram.to == address(1));
        world.inject(to, datagram.from, &datagram.bytes);
        assert_eq!(world.nodes[to].stack.drops()[DropReason::StaleCookie], 1);
    }
}

#[test]
fn packets_have_the_lengths_of_the_specification() {
    let mut world = World::pair(7, Weather::default());
    let log = record(&mut world);
    world.connect(0, 1);
    world.run_for(Duration::from_secs(1));
    let log = log.take();
    for (kind, len) in [(COOKIE_REQUEST, 145), (COOKIE_RESPONSE, 161), (HANDSHAKE, 385)] {
        let of_kind: Vec<_> = log.iter().filter(|datagram| is(datagram, kind)).collect();
        assert!(!of_kind.is_empty());
        assert!(of_kind.iter().all(|datagram| datagram.bytes.len() == len), "{kind:#x}");
    }
    assert!(log.iter().filter(|it| is(it, DATA)).all(|it| it.bytes.len() % 8 == 1400 % 8));
}

#[test]
fn nobody_there_and_nobody_known() {
    let mut world = World::pair(8, Weather::default());
    let b = world.key(1);
    world.with(0, |stack, now| stack.connect(now, b, Some(address(77))));
    let own = world.key(0);
    world.with(0, |stack, now| stack.connect(now, own, None));
    world.run_for(Duration::from_secs(12));
    let expected = [
        Event::ConnectFailed { peer: own, reason: ConnectError::OwnKey },
        Event::ConnectFailed { peer: b, reason: ConnectError::NoAnswer },
    ];
    assert_eq!(world.nodes[0].events, expected);
    world.nodes[0].events.clear();
    world.with(0, |stack, now| stack.connect(now, b, None));
    world.run_for(Duration::from_secs(16));
    let expected = [Event::ConnectFailed { peer: b, reason: ConnectError::NotFound }];
    assert_eq!(world.nodes[0].events, expected);
    world.with(0, |stack, now| stack.connect(now, b, Some(address(77))));
    world.with(0, |stack, now| stack.disconnect(now, b));
    let expected = Event::ConnectFailed { peer: b, reason: ConnectError::Cancelled };
    assert_eq!(world.nodes[0].events.last(), Some(&expected));
}

#[test]
fn a_peer_is_found_by_its_key_alone() {
    let mut world = World::new(9, Weather::default());
    for _ in 0..12 {
        world.add(Config::default());
    }
    let first = world.key(0);
    for node in 1..12 {
        world.with(node, |stack, now| stack.bootstrap(now, address(0), first));
    }
    world.run_for(Duration::from_secs(60));
    let peer = world.key(9);
    world.with(3, |stack, now| stack.connect(now, peer, None));
    assert!(world.run_until(Duration::from_secs(5), |world| world.connected(3, 9)));
    // A hint that is wrong does not keep a session from being made.
    let peer = world.key(10);
    world.with(3, |stack, now| stack.connect(now, peer, Some(address(99))));
    assert!(world.run_until(Duration::from_secs(8), |world| world.connected(3, 10)));
}

#[test]
fn who_is_not_on_the_list_stays_out_unless_called() {
    let mut world = World::new(10, Weather::default());
    let mut config = Config::default();
    config.accept = Accept::Listed([KeyPair::generate(&mut Rng::from_seed([1; 32])).public].into());
    world.add(config);
    world.add(Config::default());
    let (a, b) = (world.key(0), world.key(1));
    world.with(1, |stack, now| stack.connect(now, a, Some(address(0))));
    world.run_for(Duration::from_secs(12));
    assert!(!world.connected(0, 1));
    assert!(world.nodes[0].stack.drops()[DropReason::Refused] > 3);
    assert!(world.nodes[0].events.is_empty());
    world.with(0, |stack, now| stack.connect(now, b, Some(address(1))));
    world.run_for(Duration::from_secs(2));
    assert!(world.connected(0, 1));
}

#[test]
fn damaged_packets_are_counted_by_reason() {
    let mut world = World::pair(11, Weather::default());
    let log = record(&mut world);
    world.connect(0, 1);
    let mut expected = 0;
    for datagram in log.take() {
        for len in 1..datagram.bytes.len() {
            let node = usize::from(datagram.to == address(1));
            world.inject(node, datagram.from, &datagram.bytes[..len]);
            expected += 1;
        }
        let node = usize::from(datagram.to == address(1));
        let mut longer = datagram.bytes.clone();
        longer.resize(1500, 0);
        world.inject(node, datagram.from, &longer);
        expected += 1;
        let mut forged = datagram.bytes.clone();
        *forged.last_mut().unwrap() ^= 1;
        world.inject(node, datagram.from, &forged);
        expected += 1;
    }
    world.run_for(Duration::from_secs(1));
    let drops: Vec<_> = world.nodes.iter().map(|node| node.stack.drops().clone()).collect();
    let sum = |reason| drops.iter().map(|drops| drops[reason]).sum::<u64>();
    assert_eq!(drops.iter().map(|drops| drops.total()).sum::<u64>(), expected);
    for reason in [DropReason::Truncated, DropReason::Oversized, DropReason::Forged] {
        assert!(sum(reason) > 0, "{reason:?}");
    }
    assert!(world.connected(0, 1));
    assert_eq!(world.sessions_up_and_down(0), (1, 0));
}

#[test]
fn a_session_that_hears_nothing_ends_after_32_seconds() {
    let mut world = World::pair(12, Weather::default());
    world.connect(0, 1);
    world.run_for(Duration::from_secs(300));
    assert!(world.connected(0, 1));
    let before = world.now;
    world.tap = Some(Box::new(|_, _| false));
    assert!(world.run_until(Duration::from_secs(60), |world| !world.connected(0, 1)));
    let silent = world.now.since(before);
    assert!((Duration::from_secs(23)..=Duration::from_secs(33)).contains(&silent), "{silent:?}");
    world.run_for(Duration::from_secs(10));
    let peer = world.key(1);
    let down = Event::SessionDown { peer, reason: CloseReason::Timeout };
    assert_eq!(world.nodes[0].events.last(), Some(&down));
    assert_eq!(world.nodes[0].stack.session_count(), 0);
}

#[test]
fn an_idle_session_costs_little() {
    let mut world = World::pair(13, Weather::default());
    world.connect(0, 1);
    world.run_for(Duration::from_secs(10));
    let before = world.nodes[0].sent_bytes + world.nodes[1].sent_bytes;
    world.run_for(Duration::from_secs(800));
    let bytes = world.nodes[0].sent_bytes + world.nodes[1].sent_bytes - before;
    assert!(bytes < 2 * 800 * 10, "{} bytes a second and node", bytes / 1600);
}

#[test]
fn goodbye_ends_the_session_on_both_sides() {
    let mut world = World::pair(14, Weather::default());
    world.connect(0, 1);
    let (a, b) = (world.key(0), world.key(1));
    world.with(0, |stack, now| stack.disconnect(now, b));
    world.run_for(Duration::from_secs(1));
    let local = Event::SessionDown { peer: b, reason: CloseReason::Local };
    let remote = Event::SessionDown { peer: a, reason: CloseReason::Peer };
    assert_eq!(world.nodes[0].events.last(), Some(&local));
    assert_eq!(world.nodes[1].events.last(), Some(&remote));
    world.connect(1, 0);
}

#[test]
fn a_flood_of_handshakes_is_bounded_and_friends_get_through() {
    let mut world = World::new(15, Weather::default());
    let mut config = Config::default();
    config.max_sessions = 40;
    world.add(config);
    for _ in 0..150 {
        world.add(Config::default());
    }
    let target = world.key(0);
    // Strangers that never prove their keys: what comes back to them is lost after the cookie.
    world.tap =
        Some(Box::new(|_, datagram| datagram.from != address(0) || !is(datagram, HANDSHAKE)));
    for node in 1..150 {
        world.with(node, |stack, now| stack.connect(now, target, Some(address(0))));
    }
    world.run_for(Duration::from_secs(3));
    assert!(world.nodes[0].stack.drops()[DropReason::LimitReached] > 0);
    assert_eq!(world.nodes[0].stack.session_count(), 0);
    world.run_for(Duration::from_secs(20));
    world.tap = None;
    world.connect(150, 0);
}

#[test]
fn more_sessions_than_allowed_fail_with_a_reason() {
    let mut world = World::new(16, Weather::default());
    let mut config = Config::default();
    config.max_sessions = 2;
    world.add(config);
    for node in 1..4 {
        world.add(Config::default());
        if node < 3 {
            world.connect(0, node);
        }
    }
    let third = world.key(3);
    world.with(0, |stack, now| stack.connect(now, third, Some(address(3))));
    let failed = Event::ConnectFailed { peer: third, reason: ConnectError::TooManySessions };
    assert_eq!(world.nodes[0].events.last(), Some(&failed));
    let target = world.key(0);
    world.with(3, |stack, now| stack.connect(now, target, Some(address(0))));
    world.run_for(Duration::from_secs(12));
    assert!(!world.connected(0, 3));
    assert_eq!(world.nodes[0].stack.session_count(), 2);
}

#[test]
fn a_session_moves_with_its_peer_but_not_for_a_replay() {
    let mut world = World::pair(17, Weather::default());
    world.connect(0, 1);
    let (channel, there) = world.open(0, 1, "test");
    let log = record(&mut world);
    let first = support::messages([3000]);
    assert!(world.transfer((0, channel), (1, there), &first, Duration::from_secs(1)));
    let group = world.nodes[1].stack.network_group(world.key(0));
    assert!(group.is_some());
    world.nodes[0].address = address(5);
    let limit = Duration::from_secs(1);
    assert!(world.transfer((0, channel), (1, there), &first, limit), "the new address");
    // An old packet from elsewhere does not move it back, or anywhere.
    for datagram in log.take().iter().filter(|it| it.from == address(0)) {
        world.inject(1, address(66), &datagram.bytes);
    }
    assert!(world.transfer((1, there), (0, channel), &first, limit));
    assert_eq!(world.sessions_up_and_down(1), (1, 0));
    assert_eq!(world.nodes[1].stack.network_group(world.key(0)), group, "the same network");
}
