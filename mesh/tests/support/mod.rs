//! Stacks in virtual time: a network with delay, loss, reordering and doubling, all drawn from a seed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test or a measurement: it says so and stops"
)]
#![allow(dead_code, reason = "each test program uses another part")]

use core::time::Duration;
use std::collections::BTreeMap;

use bytes::Bytes;
use toktok_mesh::{
    Address, ChannelId, Config, Event, KeyPair, Machine, Output, PublicKey, Rng, Stack, Time,
};

/// How the network treats datagrams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// One way.
    pub(crate) delay: Duration,
    /// More delay, drawn for each datagram: reorders.
    pub(crate) jitter: Duration,
    /// Lost, in a thousand.
    pub(crate) loss: u64,
    /// Delivered twice, in a thousand.
    pub(crate) doubled: u64,
}

impl Default for Weather {
    fn default() -> Self {
        let (delay, jitter) = (Duration::from_millis(10), Duration::ZERO);
        Self { delay, jitter, loss: 0, doubled: 0 }
    }
}

/// A node and what happened to it.
pub(crate) struct Node {
    pub(crate) stack: Stack,
    pub(crate) key: PublicKey,
    pub(crate) address: Address,
    pub(crate) events: Vec<Event>,
    wake: Option<Time>,
    /// Datagrams sent.
    pub(crate) sent: u64,
    pub(crate) sent_bytes: u64,
}

/// A datagram on its way.
#[derive(Clone, Debug)]
pub(crate) struct Datagram {
    pub(crate) from: Address,
    pub(crate) to: Address,
    pub(crate) bytes: Vec<u8>,
}

/// What a test does to a datagram before the weather does.
pub(crate) type Tap = Box<dyn FnMut(Time, &mut Datagram) -> bool>;

/// Nodes and what flies between them.
pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) nodes: Vec<Node>,
    pub(crate) weather: Weather,
    /// False drops the datagram.
    pub(crate) tap: Option<Tap>,
    flying: BTreeMap<(Time, u64), Datagram>,
    count: u64,
    rng: Rng,
}

pub(crate) fn address(number: usize) -> Address {
    Address::udp(([10, 0, (number >> 8) as u8, number as u8], 33445).into())
}

impl World {
    pub(crate) fn new(seed: u8, weather: Weather) -> Self {
        Self {
            now: Time::from_secs(1000),
            nodes: Vec::new(),
            weather,
            tap: None,
            flying: BTreeMap::new(),
            count: 0,
            rng: Rng::from_seed([seed; 32]),
        }
    }

    /// Two nodes that know nothing of each other.
    pub(crate) fn pair(seed: u8, weather: Weather) -> Self {
        let mut world = Self::new(seed, weather);
        world.add(Config::default());
        world.add(Config::default());
        world
    }

    /// Two nodes with a session, and a channel "test" that node 0 opened: its id at each end.
    pub(crate) fn with_channel(seed: u8, weather: Weather) -> (Self, ChannelId, ChannelId) {
        let mut world = Self::pair(seed, weather);
        world.connect(0, 1);
        let (a, b) = world.open(0, 1, "test");
        (world, a, b)
    }

    pub(crate) fn add(&mut self, config: Config) -> usize {
        let number = self.nodes.len();
        let rng = self.rng.child(&format!("node {number}"));
        let keys = KeyPair::generate(&mut rng.child("key"));
        self.add_with(config, keys, rng)
    }

    pub(crate) fn add_with(&mut self, config: Config, keys: KeyPair, rng: Rng) -> usize {
        let stack = Stack::new(config, keys, rng, self.now);
        self.add_stack(stack)
    }

    /// A node with a long-term key and another DHT key.
    pub(crate) fn add_identity(&mut self, config: Config) -> usize {
        let rng = self.rng.child(&format!("node {}", self.nodes.len()));
        let [identity, dht] =
            ["identity", "dht key"].map(|it| KeyPair::generate(&mut rng.child(it)));
        self.add_stack(Stack::with_identity(config, identity, dht, rng, self.now))
    }

    pub(crate) fn add_stack(&mut self, stack: Stack) -> usize {
        let number = self.nodes.len();
        let (key, address) = (stack.public_key(), address(number));
        self.nodes.push(Node {
            stack,
            key,
            address,
            events: Vec::new(),
            wake: Some(self.now),
            sent: 0,
            sent_bytes: 0,
        });
        number
    }

    pub(crate) fn key(&self, node: usize) -> PublicKey {
        self.nodes[node].key
    }

    /// Calls a node's stack and drains it.
    pub(crate) fn with<T>(&mut self, node: usize, call: impl FnOnce(&mut Stack, Time) -> T) -> T {
        let result = call(&mut self.nodes[node].stack, self.now);
        self.drain(node);
        result
    }

    /// Hands a datagram to a node as if it came from the network now.
    pub(crate) fn inject(&mut self, node: usize, from: Address, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        self.with(node, |stack, now| stack.handle_datagram(now, from, &mut bytes));
    }

    fn drain(&mut self, node: usize) {
        loop {
            let from = self.nodes[node].address;
            match self.nodes[node].stack.poll(self.now) {
                Output::Transmit { to, payload } => {
                    self.nodes[node].sent += 1;
                    self.nodes[node].sent_bytes += payload.len() as u64;
                    self.fly(Datagram { from, to, bytes: payload });
                }
                Output::Event(event) => self.nodes[node].events.push(event),
                Output::Idle(deadline) => {
                    assert!(deadline.is_none_or(|at| at > self.now), "would spin");
                    self.nodes[node].wake = deadline;
                    return;
                }
                Output::Stream(..) => {}
                Output::Io(_, never) => match never {},
            }
        }
    }

    fn fly(&mut self, mut datagram: Datagram) {
        if let Some(tap) = &mut self.tap
            && !tap(self.now, &mut datagram)
        {
            return;
        }
        if self.rng.chance(self.weather.loss, 1000) {
            return;
        }
        let copies = 1 + usize::from(self.rng.chance(self.weather.doubled, 1000));
        for _ in 0..copies {
            let jitter = self.rng.below(self.weather.jitter.as_micros() as u64 + 1);
            let at = self.now + self.weather.delay + Duration::from_micros(jitter);
            self.count += 1;
            self.flying.insert((at, self.count), datagram.clone());
        }
    }

    /// Goes on to the next thing that happens, unless that is after `until`.
    pub(crate) fn step(&mut self, until: Time) -> bool {
        let arrival = self.flying.first_key_value().map(|((at, _), _)| *at);
        let wake = self.nodes.iter().filter_map(|node| node.wake).min();
        let Some(next) = arrival.into_iter().chain(wake).min().filter(|at| *at <= until) else {
            self.now = self.now.max(until);
            return false;
        };
        self.now = self.now.max(next);
        if arrival == Some(next) {
            if let Some((_, datagram)) = self.flying.pop_first() {
                let to = self.nodes.iter().position(|node| node.address == datagram.to);
                if let Some(node) = to {
                    self.inject(node, datagram.from, &datagram.bytes);
                }
            }
        } else if let Some(node) = self.nodes.iter().position(|node| node.wake == Some(next)) {
            self.drain(node);
        }
        true
    }

    pub(crate) fn run_for(&mut self, duration: Duration) {
        let until = self.now + duration;
        while self.step(until) {}
    }

    /// Runs until `done`, at most `limit` of virtual time; true if it was done.
    pub(crate) fn run_until(
        &mut self,
        limit: Duration,
        mut done: impl FnMut(&Self) -> bool,
    ) -> bool {
        let until = self.now + limit;
        while !done(self) {
            if !self.step(until) {
                return done(self);
            }
        }
        true
    }

    /// Makes a session between two nodes.
    pub(crate) fn connect(&mut self, from: usize, to: usize) {
        let (key, address) = (self.key(to), self.nodes[to].address);
        self.with(from, |stack, now| stack.connect(now, key, Some(address)));
        assert!(self.run_until(Duration::from_secs(15), |world| world.connected(from, to)));
    }

    pub(crate) fn connected(&self, a: usize, b: usize) -> bool {
        self.nodes[a].stack.is_connected(self.key(b))
            && self.nodes[b].stack.is_connected(self.key(a))
    }

    /// Opens a channel between connected nodes: its id at each end.
    pub(crate) fn open(
        &mut self,
        from: usize,
        to: usize,
        protocol: &str,
    ) -> (ChannelId, ChannelId) {
        let key = self.key(to);
        self.with(to, |stack, _| stack.listen(protocol));
        let ours = self.with(from, |stack, now| stack.open(now, key, protocol)).unwrap();
        let opened = |node: &Node| {
            node.events.iter().rev().find_map(|event| match event {
                Event::ChannelOpened { channel, protocol: name, .. } if name == protocol => {
                    Some(*channel)
                }
                _ => None,
            })
        };
        let both = |world: &Self| {
            opened(&world.nodes[from]) == Some(ours) && opened(&world.nodes[to]).is_some()
        };
        assert!(self.run_until(Duration::from_secs(9), both), "channel opens");
        (ours, opened(&self.nodes[to]).unwrap())
    }

    /// Messages that came to a node on a channel.
    pub(crate) fn messages(&self, node: usize, on: ChannelId) -> Vec<Bytes> {
        let messages = self.nodes[node].events.iter().filter_map(|event| match event {
            Event::Message { channel, message, .. } if *channel == on => Some(message.clone()),
            _ => None,
        });
        messages.collect()
    }

    /// Sends all messages, as the channel takes them, and waits for their arrival.
    pub(crate) fn transfer(
        &mut self,
        (from, channel): (usize, ChannelId),
        (to, at): (usize, ChannelId),
        messages: &[Bytes],
        limit: Duration,
    ) -> bool {
        let until = self.now + limit;
        let mut queued = 0;
        let start = self.messages(to, at).len();
        loop {
            while queued < messages.len() {
                let message = messages[queued].clone();
                if self.with(from, |stack, now| stack.send(now, channel, message)).is_err() {
                    break;
                }
                queued += 1;
            }
            let seen = self.nodes[to].events.len() + self.nodes[from].events.len();
            let more = self.run_until(until.since(self.now), |world| {
                world.nodes[to].events.len() + world.nodes[from].events.len() > seen
            });
            if queued == messages.len() && self.messages(to, at).len() - start == messages.len() {
                return self.messages(to, at)[start..] == *messages;
            }
            if !more {
                return false;
            }
        }
    }

    /// Kinds of events of a node, for short assertions.
    pub(crate) fn sessions_up_and_down(&self, node: usize) -> (usize, usize) {
        let events = &self.nodes[node].events;
        let up = events.iter().filter(|event| matches!(event, Event::SessionUp { .. })).count();
        let down = events.iter().filter(|event| matches!(event, Event::SessionDown { .. })).count();
        (up, down)
    }
}

/// Messages of these lengths with distinct content.
pub(crate) fn messages(lengths: impl IntoIterator<Item = usize>) -> Vec<Bytes> {
    let mut rng = Rng::from_seed([42; 32]);
    lengths
        .into_iter()
        .map(|len| {
            let mut message = vec![0; len];
            rng.fill(&mut message);
            message.into()
        })
        .collect()
}
