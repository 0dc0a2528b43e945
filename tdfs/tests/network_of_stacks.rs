//! Whole nodes, mesh and all, on an in-memory network in virtual time: a file outlives the node that
//! stored it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test or a measurement: it says so and stops"
)]

use core::time::Duration;
use std::collections::BTreeMap;

use bytes::Bytes;
use toktok_mesh::{Address, Machine, Output};
use toktok_tdfs::capability::{Capability, FileKind};
use toktok_tdfs::client::{self, GetEvent, IoError, PutEvent, Secrecy, Stored};
use toktok_tdfs::config::{Config, RouteConfig};
use toktok_tdfs::store::{BlockStore, MemoryStore};
use toktok_tdfs::{
    Event, GetId, IoRequest, IoResult, NodeKey, PutId, Rng, Stack, StoreFacts, Time, TransferId,
};

const DELAY: Duration = Duration::from_millis(5);

struct Node {
    stack: Stack,
    store: MemoryStore,
    alive: bool,
    wake: Option<Time>,
    sources: BTreeMap<PutId, Bytes>,
    sinks: BTreeMap<GetId, Vec<u8>>,
    stored: BTreeMap<PutId, Result<Stored, client::PutError>>,
    fetched: BTreeMap<GetId, Result<(), client::GetError>>,
    hops: Vec<u8>,
    joined: bool,
}

struct World {
    now: Time,
    nodes: Vec<Node>,
    flying: BTreeMap<(Time, u64), (usize, usize, Vec<u8>)>,
    count: u64,
}

fn address(node: usize) -> Address {
    Address::udp(([10, 0, 0, node as u8 + 1], 33445).into())
}

fn number(address: &Address) -> Option<usize> {
    match address.as_udp()?.ip() {
        std::net::IpAddr::V4(ip) => usize::from(ip.octets()[3]).checked_sub(1),
        std::net::IpAddr::V6(_) => None,
    }
}

impl World {
    /// `count` nodes that bootstrap from the first and know each other.
    fn settled(seed: u8, count: usize) -> Self {
        let rng = Rng::from_seed([seed; 32]);
        let now = Time::from_secs(1000);
        let mut world = Self { now, nodes: Vec::new(), flying: BTreeMap::new(), count: 0 };
        for number in 0..count {
            let mut rng = rng.child(&format!("node {number}"));
            let store = MemoryStore::new(256 << 20, rng.child("store"));
            let facts = StoreFacts::of(&store).unwrap();
            let mut config = Config::default();
            config.route = RouteConfig::default().with_minimal_puzzle();
            let key = NodeKey::generate(&mut rng);
            let stack = Stack::new(config, key, facts, rng.child("stack"), world.now).unwrap();
            world.nodes.push(Node {
                stack,
                store,
                alive: true,
                wake: Some(world.now),
                sources: BTreeMap::new(),
                sinks: BTreeMap::new(),
                stored: BTreeMap::new(),
                fetched: BTreeMap::new(),
                hops: Vec::new(),
                joined: false,
            });
            if number > 0 {
                let first = world.nodes[0].stack.public_key();
                let now = world.now;
                world.nodes[number].stack.bootstrap(now, address(0), first);
            }
        }
        world.run_until(Duration::from_secs(90), |world| {
            let all = |node: &Node| node.joined && node.stack.neighbours().len() == count - 1;
            world.nodes.iter().all(all)
        });
        world
    }

    /// Runs until `done` or for `most`; gives how long it took.
    fn run_until(&mut self, most: Duration, done: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now;
        while self.now.since(start) < most && !done(self) {
            let datagram = self.flying.first_key_value().map(|((at, _), _)| *at);
            let wakes = self.nodes.iter().filter(|node| node.alive);
            let wake = wakes.filter_map(|node| node.wake).min();
            let Some(next) = [datagram, wake].into_iter().flatten().min() else { break };
            self.now = self.now.max(next);
            if datagram == Some(next) {
                let (_, (from, to, mut bytes)) = self.flying.pop_first().unwrap();
                if self.nodes[to].alive {
                    self.nodes[to].stack.handle_datagram(self.now, address(from), &mut bytes);
                    self.drain(to);
                }
                continue;
            }
            for node in 0..self.nodes.len() {
                if self.nodes[node].alive && self.nodes[node].wake.is_some_and(|w| w <= self.now) {
                    self.drain(node);
                }
            }
        }
        self.now.since(start)
    }

    fn drain(&mut self, node: usize) {
        loop {
            let now = self.now;
            match self.nodes[node].stack.poll(now) {
                Output::Transmit { to, payload } => {
                    if let Some(to) = number(&to).filter(|to| *to < self.nodes.len()) {
                        self.count += 1;
                        self.flying.insert((now + DELAY, self.count), (node, to, payload));
                    }
                }
                Output::Io(token, request) => {
                    let result = self.nodes[node].work(request);
                    self.nodes[node].stack.handle_io(now, token, result);
                }
                Output::Stream(..) => {}
                Output::Event(event) => self.nodes[node].note(event),
                Output::Idle(deadline) => {
                    self.nodes[node].wake =
                        deadline.map(|at| at.max(now + Duration::from_micros(100)));
                    return;
                }
            }
        }
    }

    fn put(&mut self, node: usize, content: &Bytes) -> Result<Stored, client::PutError> {
        let length = content.len() as u64;
        let at = &mut self.nodes[node];
        let id = at.stack.put(FileKind::File, length, Secrecy::Random)?;
        at.sources.insert(id, content.clone());
        self.drain(node);
        let took = self.run_until(Duration::from_secs(300), |world| {
            world.nodes[node].stored.contains_key(&id)
        });
        assert!(took < Duration::from_secs(120), "the upload took {took:?}");
        self.nodes[node].stored.remove(&id).expect("the upload ended")
    }

    fn get(&mut self, node: usize, capability: &Capability) -> Result<Vec<u8>, client::GetError> {
        let at = &mut self.nodes[node];
        let id = at.stack.get(capability)?;
        at.sinks.insert(id, Vec::new());
        self.drain(node);
        self.run_until(Duration::from_secs(300), |world| {
            world.nodes[node].fetched.contains_key(&id)
        });
        let at = &mut self.nodes[node];
        at.fetched.remove(&id).expect("the download ended")?;
        Ok(at.sinks.remove(&id).unwrap())
    }
}

impl Node {
    fn work(&mut self, request: IoRequest) -> IoResult {
        match request {
            IoRequest::Read(address) => IoResult::Read(self.store.get(&address)),
            IoRequest::Write(batch) => IoResult::Written(self.store.write(&batch)),
            IoRequest::Transfer(id, io) => {
                IoResult::Transfer(io.compute().unwrap_or_else(|io| self.serve(id, io)))
            }
        }
    }

    fn serve(&mut self, id: TransferId, io: client::Io) -> client::IoResult {
        match (id, io) {
            (TransferId::Put(id), client::Io::ReadSource { offset, length }) => {
                let start = offset as usize;
                let source = self.sources.get(&id).filter(|s| s.len() >= start + length);
                let bytes = source.map(|source| source.slice(start..start + length));
                client::IoResult::Source(bytes.ok_or(IoError::Shortened))
            }
            (TransferId::Get(id), client::Io::WriteSink { bytes, .. }) => {
                self.sinks.entry(id).or_default().extend_from_slice(&bytes);
                client::IoResult::Sink(Ok(()))
            }
            _ => client::IoResult::Sink(Err(IoError::Denied)),
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Joined { .. } => self.joined = true,
            Event::Put(id, PutEvent::Done(stored)) => {
                self.stored.insert(id, Ok(stored));
            }
            Event::Put(id, PutEvent::Failed(error)) => {
                self.stored.insert(id, Err(error));
            }
            Event::Get(id, GetEvent::Done { .. }) => {
                self.fetched.insert(id, Ok(()));
            }
            Event::Get(id, GetEvent::Failed(error)) => {
                self.fetched.insert(id, Err(error));
            }
            Event::BlockFetched { hops, .. } => self.hops.push(hops),
            _ => {}
        }
    }
}

fn content(length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    Rng::from_seed([9; 32]).fill(&mut bytes);
    bytes.into()
}

#[test]
fn a_file_outlives_the_node_that_stored_it_and_a_quarter_of_the_others() {
    let mut world = World::settled(1, 12);
    for node in &world.nodes {
        assert!(node.joined, "a node has not joined");
        assert!((6..=11).contains(&node.stack.neighbours().len()));
    }
    let letter = content(3 << 20);
    let stored = world.put(3, &letter).unwrap();
    assert_eq!(stored.length, 3 << 20);
    for dead in [3, 0, 6, 9] {
        world.nodes[dead].alive = false;
    }
    assert_eq!(world.get(10, &stored.capability).unwrap(), letter);
    let hops = &world.nodes[10].hops;
    assert!(hops.len() >= 48 && hops.iter().any(|hops| *hops > 1), "{hops:?}");
}

#[test]
fn three_nodes_are_a_network() {
    let mut world = World::settled(2, 3);
    for length in [100, 5_000, 300_000] {
        let letter = content(length);
        let stored = world.put(0, &letter).unwrap();
        assert_eq!(world.get(2, &stored.capability).unwrap(), letter);
    }
}

#[test]
fn what_was_never_stored_is_not_found() {
    let mut world = World::settled(3, 4);
    let stored = world.put(0, &content(1000)).unwrap();
    let mut capability = stored.capability;
    capability.root.0[0] ^= 1;
    assert_eq!(world.get(1, &capability), Err(client::GetError::RootNotFound));
}
