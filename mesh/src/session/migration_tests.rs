//! Sessions whose ways die and come back: two nodes, a direct way and a relay, virtual time.

use core::time::Duration;
use std::collections::BTreeMap;

use super::*;
use crate::config::Config;
use crate::crypto::Keys;
use crate::env::Base;
use crate::event::Event;
use crate::wire::KeyPair;

const SECOND: Duration = Duration::from_secs(1);
const DIRECT_DELAY: Duration = Duration::from_millis(10);
const RELAY_DELAY: Duration = Duration::from_millis(60);
/// Bytes of each packet in the transfers.
const LENGTH: usize = 1000;

struct Node {
    base: Base,
    dht_keys: Keys,
    sessions: Sessions,
    key: PublicKey,
    address: Address,
    /// Numbers in the packets that came.
    came: Vec<u32>,
    sent: u32,
    direct_packets: u64,
    relayed_packets: u64,
    downs: usize,
}

/// What works now, from node 0 to node 1 and back.
#[derive(Clone, Copy)]
struct Ways {
    direct: [bool; 2],
    relay: bool,
}

struct World {
    now: Time,
    nodes: Vec<Node>,
    ways: Ways,
    flying: BTreeMap<(Time, u64), (usize, Path, Vec<u8>)>,
    count: u64,
}

fn node(number: u8) -> Node {
    let mut rng = Rng::from_seed([number; 32]);
    let [identity, dht] = [0; 2].map(|_| KeyPair::generate(&mut rng));
    let (key, sessions) = (identity.public, Sessions::new(&mut rng));
    let identity = Keys::new(identity, &mut rng);
    let config = Config { custom_packets: true, ..Config::default() };
    Node {
        dht_keys: Keys::new(dht, &mut rng),
        base: Base::new(config, Some(identity), rng),
        sessions,
        key,
        address: Address::udp(([10, 0, 0, number], 33445).into()),
        came: Vec::new(),
        sent: 0,
        direct_packets: 0,
        relayed_packets: 0,
        downs: 0,
    }
}

impl World {
    fn new(direct: bool, relay: bool) -> Self {
        let ways = Ways { direct: [direct; 2], relay };
        let (nodes, flying) = (vec![node(1), node(2)], BTreeMap::new());
        Self { now: Time::from_secs(1000), nodes, ways, flying, count: 0 }
    }

    /// Calls a node's sessions and lets out what they want to send.
    fn with<T>(&mut self, at: usize, call: impl FnOnce(&mut Sessions, &mut Env<'_>) -> T) -> T {
        let node = &mut self.nodes[at];
        let result = call(&mut node.sessions, &mut node.base.env(self.now, &mut node.dht_keys));
        loop {
            let node = &mut self.nodes[at];
            let mut env = node.base.env(self.now, &mut node.dht_keys);
            if node.sessions.deadline().is_some_and(|at| at <= env.now) {
                node.sessions.handle_timeout(&mut env);
            }
            let polled = node.sessions.poll_transmit(&mut env);
            let control = node.base.outbox.pop().map(|(to, it)| (Path::Direct(to), it));
            let relayed = node.base.relayed.pop_front().map(|(to, it)| (Path::Relayed(to), it));
            let before = self.count;
            for (to, packet) in [polled, control, relayed].into_iter().flatten() {
                self.fly(at, to, packet);
            }
            if self.count == before {
                break;
            }
        }
        self.take_events(at);
        result
    }

    fn take_events(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        while let Some(event) = node.base.events.pop_front() {
            match event {
                Event::Packet { data, .. } => {
                    node.came.extend(data.first_chunk().map(|it| u32::from_be_bytes(*it)));
                }
                Event::SessionDown { .. } => node.downs += 1,
                _ => {}
            }
        }
    }

    fn fly(&mut self, from: usize, to: Path, packet: Vec<u8>) {
        self.count += 1;
        let (sender, other) = (&self.nodes[from], &self.nodes[1 - from]);
        let (works, source, delay) = match to {
            Path::Direct(address) => {
                let works = self.ways.direct[from] && address == other.address;
                (works, Path::Direct(sender.address), DIRECT_DELAY)
            }
            Path::Relayed(key) => {
                let works = self.ways.relay && key == other.dht_keys.public();
                (works, Path::Relayed(sender.dht_keys.public()), RELAY_DELAY)
            }
        };
        match to {
            Path::Direct(_) => self.nodes[from].direct_packets += 1,
            Path::Relayed(_) => self.nodes[from].relayed_packets += 1,
        }
        if works {
            self.flying.insert((self.now + delay, self.count), (1 - from, source, packet));
        }
    }

    /// Hands in new packets, as many as are taken.
    fn feed(&mut self, from: usize, until: u32) {
        let peer = self.nodes[1 - from].key;
        while self.nodes[from].sent < until {
            let mut data = vec![0; LENGTH];
            data[..4].copy_from_slice(&self.nodes[from].sent.to_be_bytes());
            if self.with(from, |it, env| it.send_packet(peer, 170, data.into(), env)).is_err() {
                return;
            }
            self.nodes[from].sent += 1;
        }
    }

    fn run_for(&mut self, duration: Duration, mut each: impl FnMut(&mut Self)) {
        let until = self.now + duration;
        loop {
            let arrival = self.flying.first_key_value().map(|((at, _), _)| *at);
            let timers = self.nodes.iter().filter_map(|node| node.sessions.deadline());
            let next = timers.chain(arrival).min().filter(|at| *at <= until);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            if arrival == Some(next) {
                if let Some((_, (to, from, mut packet))) = self.flying.pop_first() {
                    self.with(to, |it, env| it.handle(from, &mut packet, env));
                }
            } else {
                (0..2).for_each(|at| self.with(at, |_, _| ()));
            }
            each(self);
        }
        self.now = until;
    }

    fn connect(&mut self, from: usize) {
        let other = &self.nodes[1 - from];
        let (key, dht_key, address) = (other.key, other.dht_keys.public(), other.address);
        let address = self.ways.direct[from].then_some(address).into_iter();
        self.with(from, |it, env| it.connect(key, dht_key, address, Search::Owner, env));
    }

    /// Says to both whether a relay leads to the other, as the pool of relays does.
    fn tell_relay(&mut self, relayed: bool) {
        self.ways.relay = relayed;
        for at in 0..2 {
            let peer = self.nodes[1 - at].key;
            self.with(at, |it, env| it.set_relayed(peer, relayed, env));
        }
    }

    fn connected(&self) -> bool {
        (0..2).all(|at| self.nodes[at].sessions.is_connected(&self.nodes[1 - at].key))
    }

    /// Two nodes with a session.
    fn standing(direct: bool, relay: bool) -> Self {
        let mut world = Self::new(direct, relay);
        world.tell_relay(relay);
        world.connect(0);
        world.run_for(SECOND, |_| ());
        assert!(world.connected());
        world
    }

    /// Sends packets 0 to 1 until so many have come in the whole; how long that took.
    fn transfer(&mut self, until: u32, limit: Duration) -> Duration {
        let begun = self.now;
        while self.nodes[1].came.len() < until as usize {
            self.feed(0, until);
            self.run_for(Duration::from_millis(20), |_| ());
            assert!(self.now.since(begun) < limit, "{} came", self.nodes[1].came.len());
        }
        self.check(1);
        self.now.since(begun)
    }

    /// All came once and in order.
    fn check(&self, at: usize) {
        assert!(self.nodes[at].came.iter().copied().eq(0..self.nodes[at].came.len() as u32));
        assert_eq!(self.nodes[at].downs, 0);
    }

    /// Packets that node 0 sent, directly and by relay, while so many more packets go over.
    fn used(&mut self, more: u32) -> (u64, u64) {
        let before = (self.nodes[0].direct_packets, self.nodes[0].relayed_packets);
        let until = self.nodes[0].sent + more;
        self.transfer(until, 20 * SECOND);
        (self.nodes[0].direct_packets - before.0, self.nodes[0].relayed_packets - before.1)
    }
}

#[test]
fn a_session_begins_by_relay_alone_and_goes_direct_when_an_address_is_found() {
    let mut world = World::standing(false, true);
    let (direct, relayed) = world.used(500);
    assert!(direct == 0 && relayed >= 500);
    assert_eq!(world.nodes[0].sessions.address(&world.nodes[1].key), None);
    world.ways.direct = [true; 2];
    for at in 0..2 {
        let (peer, address) = (world.nodes[1 - at].key, world.nodes[1 - at].address);
        world.with(at, |it, env| it.add_address(peer, address, env));
    }
    world.run_for(Duration::from_millis(100), |_| ());
    let (direct, relayed) = world.used(500);
    assert!(direct >= 500 && relayed < 20, "{direct} direct, {relayed} relayed");
    // One address suffices: the peer learns the other from where packets come.
    let mut world = World::standing(false, true);
    world.ways.direct = [true; 2];
    let (peer, address) = (world.nodes[1].key, world.nodes[1].address);
    world.with(0, |it, env| it.add_address(peer, address, env));
    world.run_for(Duration::from_millis(200), |_| ());
    let (direct, relayed) = world.used(500);
    assert!(direct >= 500 && relayed < 20, "{direct} direct, {relayed} relayed");
}

#[test]
fn a_direct_way_that_dies_in_a_transfer_is_replaced_by_a_relay_and_taken_again() {
    let mut world = World::standing(true, true);
    let (_, relayed) = world.used(2000);
    assert!(relayed < 20, "{relayed} relayed");
    world.ways.direct = [false; 2];
    let until = world.nodes[0].sent + 1000;
    world.transfer(until, 5 * SECOND);
    let (_, relayed) = world.used(500);
    assert!(relayed >= 500);
    world.run_for(60 * SECOND, |_| ());
    world.ways.direct = [true; 2];
    world.run_for(20 * SECOND, |_| ());
    let (direct, relayed) = world.used(2000);
    assert!(direct >= 2000 && relayed < 200, "{direct} direct, {relayed} relayed");
}

#[test]
fn a_direct_way_that_works_in_one_direction_only_does_not_stop_a_transfer() {
    for dead in 0..2 {
        let mut world = World::standing(true, true);
        world.used(500);
        world.ways.direct[dead] = false;
        let until = world.nodes[0].sent + 20_000;
        world.transfer(until, 60 * SECOND);
        world.run_for(100 * SECOND, |_| ());
        assert!(world.connected());
        world.check(1);
    }
}

#[test]
fn a_relay_that_goes_leaves_the_direct_way() {
    let mut world = World::standing(true, true);
    world.ways.direct = [false; 2];
    world.used(500);
    world.ways.direct = [true; 2];
    world.tell_relay(false);
    let until = world.nodes[0].sent + 500;
    world.transfer(until, 10 * SECOND);
    world.tell_relay(true);
    world.used(500);
}

#[test]
fn no_way_at_all_for_a_while_loses_nothing() {
    for relay in [false, true] {
        let mut world = World::standing(true, relay);
        world.used(500);
        world.feed(0, 1200);
        world.ways = Ways { direct: [false; 2], relay: false };
        world.run_for(20 * SECOND, |_| ());
        world.ways = Ways { direct: [true; 2], relay };
        world.transfer(1200, 30 * SECOND);
    }
}

#[test]
fn both_begin_at_once_on_all_ways() {
    for (direct, relay) in [(false, true), (true, true), (true, false)] {
        for skew in (0..200).step_by(10) {
            let mut world = World::new(direct, relay);
            world.tell_relay(relay);
            world.connect(0);
            world.run_for(Duration::from_millis(skew), |_| ());
            world.connect(1);
            world.run_for(12 * SECOND, |_| ());
            assert!(world.connected(), "direct {direct}, relay {relay}, skew {skew}");
            assert_eq!((world.nodes[0].downs, world.nodes[1].downs), (0, 0), "skew {skew}");
            world.transfer(200, 10 * SECOND);
        }
    }
}

#[test]
fn the_handshake_finds_the_way_that_works() {
    // The address is wrong or blocked, or the relay does not deliver.
    for (direct, relay) in [(false, true), (true, false)] {
        let mut world = World::new(true, true);
        world.tell_relay(true);
        world.ways = Ways { direct: [direct; 2], relay };
        for at in 0..2 {
            let other = &world.nodes[1 - at];
            let (key, dht_key, address) = (other.key, other.dht_keys.public(), [other.address]);
            world.with(at, |it, env| {
                it.connect(key, dht_key, address.into_iter(), Search::Owner, env);
            });
        }
        world.run_for(SECOND, |_| ());
        assert!(world.connected(), "direct {direct}");
        world.transfer(300, 10 * SECOND);
    }
}

#[test]
fn packets_come_once_and_in_order_whatever_happens_to_the_ways() {
    for seed in 0..12 {
        let mut world = World::standing(true, true);
        let mut rng = Rng::from_seed([seed; 32]);
        for _ in 0..40 {
            let direct = [rng.chance(1, 2), rng.chance(2, 3)];
            world.ways.direct = direct;
            world.ways.relay = rng.chance(2, 3);
            let told = (rng.below(2) as usize, rng.chance(2, 3));
            let peer = world.nodes[1 - told.0].key;
            world.with(told.0, |it, env| it.set_relayed(peer, told.1, env));
            for at in 0..2 {
                let until = world.nodes[at].sent + 150;
                world.feed(at, until);
            }
            world.run_for(Duration::from_millis(rng.below(3000)), |_| ());
        }
        world.ways = Ways { direct: [true; 2], relay: true };
        world.tell_relay(true);
        world.run_for(70 * SECOND, |_| ());
        for at in 0..2 {
            assert_eq!(world.nodes[at].came.len() as u32, world.nodes[1 - at].sent, "seed {seed}");
            world.check(at);
        }
    }
}
