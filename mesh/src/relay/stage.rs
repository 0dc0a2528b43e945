//! Nodes on one table: each a relay and a pool, with byte streams between them that split as a seed has
//! it.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use super::pool::{Pool, PoolEvent};
use super::server::{Server, ServerEvent};
use crate::crypto::Keys;
use crate::drops::Drops;
use crate::machine::{StreamEvent, StreamId, StreamRequest};
use crate::outbox::{Context, Outbox};
use crate::wire::{KeyPair, PublicKey, Rng, Time};

/// Most steps until nothing moves.
const MAX_STEPS: usize = 2_000_000;

pub(super) struct Node {
    pub(super) key: PublicKey,
    pub(super) keys: Keys,
    pub(super) server: Server,
    pub(super) pool: Pool,
    pub(super) drops: Drops,
    pub(super) events: Vec<PoolEvent>,
    pub(super) requests: Vec<ServerEvent>,
    /// Its listener accepts.
    pub(super) is_up: bool,
    /// It reads nothing any more.
    pub(super) is_stuck: bool,
    pub(super) outbox: Outbox,
}

/// What one end of a connection has written and the other not read.
struct Wire {
    far: (usize, StreamId),
    bytes: VecDeque<u8>,
}

pub(super) struct Stage {
    pub(super) now: Time,
    rng: Rng,
    pub(super) nodes: Vec<Node>,
    wires: BTreeMap<(usize, StreamId), Wire>,
    next_incoming: u64,
}

impl Stage {
    /// So many nodes that know nothing of each other.
    pub(super) fn new(seed: u8, count: usize) -> Self {
        let mut rng = Rng::from_seed([seed; 32]);
        let nodes = (0..count).map(|number| {
            let pair = KeyPair::generate(&mut rng);
            Node {
                key: pair.public,
                keys: Keys::new(pair, &mut rng),
                server: Server::new(rng.child(&format!("server {number}"))),
                pool: Pool::new(rng.child(&format!("pool {number}")), None),
                drops: Drops::default(),
                events: Vec::new(),
                requests: Vec::new(),
                is_up: true,
                is_stuck: false,
                outbox: Outbox::default(),
            }
        });
        let nodes = nodes.collect();
        Self {
            now: Time::from_secs(1_000),
            rng: rng.child("splits"),
            nodes,
            wires: BTreeMap::new(),
            next_incoming: 0,
        }
    }

    pub(super) fn key(&self, node: usize) -> PublicKey {
        self.nodes[node].key
    }

    /// Where a node's relay listens.
    pub(super) fn address(node: usize) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::new(203, 0, 113, node as u8), 443))
    }

    /// Lets a node do something, and everything that follows at once.
    pub(super) fn act<R>(
        &mut self,
        node: usize,
        act: impl FnOnce(&mut Pool, &mut Context<'_>) -> R,
    ) -> R {
        let now = self.now;
        let Node { pool, outbox, drops, .. } = &mut self.nodes[node];
        let result = act(pool, &mut Context { now, outbox, drops });
        self.run();
        result
    }

    /// The same with its relay.
    pub(super) fn serve<R>(
        &mut self,
        node: usize,
        act: impl FnOnce(&mut Server, &mut Context<'_>) -> R,
    ) -> R {
        let now = self.now;
        let Node { server, outbox, drops, .. } = &mut self.nodes[node];
        let result = act(server, &mut Context { now, outbox, drops });
        self.run();
        result
    }

    /// Opens a raw stream from nowhere to a node's relay.
    pub(super) fn accept(&mut self, node: usize) -> StreamId {
        let id = StreamId::Incoming(self.next_incoming);
        self.next_incoming += 1;
        let from = SocketAddr::from((Ipv4Addr::new(198, 51, 100, 7), 1024));
        self.tell(node, id, StreamEvent::Accepted { from, local_port: 443 });
        id
    }

    /// Tells a node what happened to a stream, without what follows.
    pub(super) fn tell(&mut self, node: usize, id: StreamId, event: StreamEvent<'_>) {
        let now = self.now;
        let Node { server, pool, keys, outbox, drops, .. } = &mut self.nodes[node];
        let mut cx = Context { now, outbox, drops };
        match id {
            StreamId::Incoming(number) => server.handle_stream(&mut cx, keys, number, event),
            StreamId::Outgoing(number) => pool.handle_stream(&mut cx, keys, number, event),
        }
    }

    /// What a node asks for next, when nobody runs the stage.
    pub(super) fn next_request(&mut self, node: usize) -> Option<(StreamId, StreamRequest)> {
        self.nodes[node].outbox.pop_stream()
    }

    /// Lets everything happen that takes no time.
    pub(super) fn run(&mut self) {
        for _ in 0..MAX_STEPS {
            self.gather();
            let mut requests = Vec::new();
            for node in 0..self.nodes.len() {
                while let Some((id, request)) = self.nodes[node].outbox.pop_stream() {
                    requests.push((node, id, request));
                }
            }
            let is_quiet = requests.is_empty();
            for (node, id, request) in requests {
                self.request(node, id, request);
            }
            if !self.carry() && is_quiet {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    fn gather(&mut self) {
        for node in &mut self.nodes {
            node.events.extend(core::iter::from_fn(|| node.pool.poll_event()));
            node.requests.extend(core::iter::from_fn(|| node.server.poll_event()));
        }
    }

    fn request(&mut self, node: usize, id: StreamId, request: StreamRequest) {
        match request {
            StreamRequest::Connect(to) => {
                let host = (0..self.nodes.len()).find(|host| Self::address(*host) == to);
                let Some(host) = host.filter(|host| self.nodes[*host].is_up) else {
                    return self.tell(node, id, StreamEvent::Closed);
                };
                let far = (host, StreamId::Incoming(self.next_incoming));
                self.next_incoming += 1;
                self.wires.insert((node, id), Wire { far, bytes: VecDeque::new() });
                self.wires.insert(far, Wire { far: (node, id), bytes: VecDeque::new() });
                let from = SocketAddr::from((Ipv4Addr::new(203, 0, 113, node as u8), 49152));
                self.tell(host, far.1, StreamEvent::Accepted { from, local_port: 443 });
                self.tell(node, id, StreamEvent::Connected);
            }
            StreamRequest::Write(bytes) => {
                if let Some(wire) = self.wires.get_mut(&(node, id)) {
                    wire.bytes.extend(bytes);
                }
            }
            StreamRequest::Close => self.end((node, id)),
        }
    }

    /// One end is gone: the other one hears of it.
    fn end(&mut self, near: (usize, StreamId)) {
        let Some(wire) = self.wires.remove(&near) else { return };
        if self.wires.remove(&wire.far).is_some() {
            let rest: Vec<u8> = wire.bytes.into();
            if !rest.is_empty() {
                self.tell(wire.far.0, wire.far.1, StreamEvent::Received(&rest));
            }
            self.tell(wire.far.0, wire.far.1, StreamEvent::Closed);
        }
    }

    /// Moves some bytes of each wire; false when there are none to move.
    fn carry(&mut self) -> bool {
        let ends: Vec<_> = self.wires.keys().copied().collect();
        let mut moved = false;
        for near in ends {
            let Some(wire) = self.wires.get_mut(&near) else { continue };
            let far = wire.far;
            if wire.bytes.is_empty() || self.nodes[far.0].is_stuck {
                continue;
            }
            let len = 1 + self.rng.index(wire.bytes.len().min(3_000));
            let bytes: Vec<u8> = wire.bytes.drain(..len).collect();
            self.tell(far.0, far.1, StreamEvent::Received(&bytes));
            self.tell(near.0, near.1, StreamEvent::Sent(len));
            moved = true;
        }
        moved
    }

    /// A node loses all its connections, as when its machine is switched off and on again.
    pub(super) fn cut(&mut self, node: usize) {
        let ends: Vec<_> = self.wires.keys().filter(|(of, _)| *of == node).copied().collect();
        for near in ends {
            if let Some(wire) = self.wires.remove(&near) {
                self.wires.remove(&wire.far);
                self.tell(near.0, near.1, StreamEvent::Closed);
                self.tell(wire.far.0, wire.far.1, StreamEvent::Closed);
            }
        }
        self.run();
    }

    /// A node's cable is pulled: nothing arrives any more, and nobody is told.
    pub(super) fn pull(&mut self, node: usize) {
        self.wires.retain(|(near, _), wire| *near != node && wire.far.0 != node);
        self.nodes[node].is_up = false;
    }

    /// Lets time pass.
    pub(super) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let deadlines = self.nodes.iter().flat_map(|node| {
                [node.server.deadline(), node.pool.deadline()].into_iter().flatten()
            });
            let Some(next) = deadlines.min().filter(|at| *at <= until) else { break };
            self.now = self.now.max(next);
            for node in 0..self.nodes.len() {
                let now = self.now;
                let Node { server, pool, outbox, drops, .. } = &mut self.nodes[node];
                let mut cx = Context { now, outbox, drops };
                server.handle_timeout(&mut cx);
                pool.handle_timeout(&mut cx);
                let due = [server.deadline(), pool.deadline()];
                assert!(due.into_iter().flatten().all(|at| at > now), "node {node} would spin");
            }
            self.run();
        }
        self.now = until;
    }

    /// What a node's pool has told since the last time.
    pub(super) fn events(&mut self, node: usize) -> Vec<PoolEvent> {
        core::mem::take(&mut self.nodes[node].events)
    }

    /// The packets among them.
    pub(super) fn packets(&mut self, node: usize) -> Vec<(PublicKey, Vec<u8>)> {
        let packet = |event| match event {
            PoolEvent::Packet { peer, packet } => Some((peer, packet)),
            _ => None,
        };
        self.events(node).into_iter().filter_map(packet).collect()
    }

    /// Makes `a` and `b` peers of each other, both at node `relay`.
    pub(super) fn introduce(&mut self, a: usize, b: usize, relay: usize) {
        for (me, other) in [(a, b), (b, a)] {
            let (peer, key) = (self.key(other), self.key(relay));
            self.act(me, |pool, cx| {
                pool.add_peer(cx, peer);
                assert!(pool.add_peer_relay(cx, peer, key, Self::address(relay)));
            });
        }
    }
}
