//! A small network, a victim in it, and what its friends notice.

use core::time::Duration;
use std::collections::BTreeSet;

use bytes::Bytes;
use toktok_mesh::wire::ToxId;
use toktok_mesh::{Address, Config, Event, KeyPair, PublicKey, Rng, Stack, Time};
use toktok_sim::fault::{Flood, Flooded, Flooder, Victim};
use toktok_sim::scenario::{World, env_seed, seed_rng};
use toktok_sim::{NoIo, NodeIndex, Sim};

/// How long a flood lasts.
pub(crate) const FLOOD: Duration = Duration::from_secs(6);
/// Nodes of the network.
pub(crate) const NODES: usize = 10;
/// Where relays listen.
const PORT: u16 = 33_445;

/// What the nodes told.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) up: BTreeSet<(NodeIndex, PublicKey)>,
    /// Packets that came, with how long they took.
    pub(crate) packets: Vec<Duration>,
    pub(crate) requests: u64,
    /// Sessions that ended.
    pub(crate) ended: usize,
    /// Most sessions that the victim had.
    pub(crate) most: usize,
}

impl Told {
    fn handle(&mut self, now: Time, node: NodeIndex, actor: &mut Flooded, event: Event) {
        if let Flooded::Node(stack) = actor {
            self.most = self.most.max(stack.session_count());
        }
        match event {
            Event::SessionUp { peer } => drop(self.up.insert((node, peer))),
            Event::SessionDown { .. } => self.ended += 1,
            Event::FriendRequest { .. } => self.requests += 1,
            Event::Packet { data, .. } if data.len() == 8 => {
                let sent = u64::from_be_bytes(data[..].try_into().unwrap());
                self.packets.push(now.since(Time::from_micros(sent)));
            }
            _ => {}
        }
    }
}

pub(crate) struct Run {
    pub(crate) rng: Rng,
    world: Rng,
    pub(crate) sim: Sim<Flooded, NoIo>,
    pub(crate) told: Told,
    pub(crate) nodes: Vec<(NodeIndex, PublicKey)>,
}

impl Run {
    pub(crate) fn new() -> Self {
        let rng = seed_rng(env_seed(1));
        let (sim, world) = (Sim::new(&rng, NoIo), rng.child("world"));
        let mut run = Self { rng, world, sim, told: Told::default(), nodes: Vec::new() };
        for index in 0..NODES {
            let keys = KeyPair::generate(&mut run.rng.child(&format!("node {index}")));
            let mut config = Config::default();
            config.relay_server = true;
            config.custom_packets = true;
            let rng = run.rng.child(&format!("stack {index}"));
            let stack = Stack::new(config, keys.clone(), rng, run.sim.now());
            let node = run.start(Flooded::Node(Box::new(stack)));
            run.sim.listen(node, &[PORT]);
            run.nodes.push((node, keys.public));
            run.introduce(node);
        }
        run.pass(Duration::from_secs(20));
        run
    }

    pub(crate) fn start(&mut self, actor: Flooded) -> NodeIndex {
        let node = self.sim.attach(World::default().attachment(&mut self.world));
        let told = &mut self.told;
        self.sim.start(node, actor, &mut |at, node, actor: &mut Flooded, event| {
            told.handle(at, node, actor, event);
        });
        node
    }

    pub(crate) fn pass(&mut self, span: Duration) {
        let (until, told) = (self.sim.now() + span, &mut self.told);
        self.sim.run_until(until, &mut |at, node, actor: &mut Flooded, event| {
            told.handle(at, node, actor, event);
        });
    }

    pub(crate) fn command(&mut self, node: NodeIndex, command: impl FnOnce(&mut Stack, Time)) {
        let told = &mut self.told;
        let mut observer = |at: Time, node: NodeIndex, actor: &mut Flooded, event: Event| {
            told.handle(at, node, actor, event);
        };
        self.sim.command(node, &mut observer, |actor, now| {
            if let Flooded::Node(stack) = actor {
                command(stack, now);
            }
        });
    }

    pub(crate) fn introduce(&mut self, node: NodeIndex) {
        for (other, key) in self.nodes.clone().into_iter().take(4) {
            let address = self.sim.network().address(other.0);
            self.command(node, |stack, now| stack.bootstrap(now, address, key));
        }
    }

    pub(crate) fn flood(&mut self, kind: Flood, victim: usize, person: Option<ToxId>) -> NodeIndex {
        self.flood_again(kind, victim, person, 0)
    }

    /// As [`Run::flood`], by one more who does the same.
    pub(crate) fn flood_again(
        &mut self,
        kind: Flood,
        victim: usize,
        person: Option<ToxId>,
        number: usize,
    ) -> NodeIndex {
        let (node, key) = self.nodes[victim];
        let mut at = self.sim.network().address(node.0);
        if kind == Flood::Relays
            && let Some(mut relay) = at.as_udp()
        {
            relay.set_port(PORT);
            at = Address::udp(relay);
        }
        let rng = self.rng.child(&format!("flooder {kind:?} {victim} {number}"));
        let flooder = Flooder::new(kind, Victim { key, at, person }, rng);
        self.start(Flooded::Flooder(Box::new(flooder)))
    }

    /// A friend of `to` sends a packet each fifth of a second while the flood lasts; all must come.
    pub(crate) fn talk(&mut self, from: NodeIndex, to: PublicKey) {
        self.told.packets.clear();
        let count = FLOOD.as_millis() / 200;
        for _ in 0..count {
            self.command(from, |stack, now| {
                let data = Bytes::copy_from_slice(&now.as_micros().to_be_bytes());
                stack.send_packet(now, to, 170, data).expect("the session stands");
            });
            self.pass(Duration::from_millis(200));
        }
        self.pass(Duration::from_secs(2));
        assert_eq!(self.told.packets.len() as u128, count);
        let late = self.told.packets.iter().max().unwrap();
        assert!(*late < Duration::from_secs(2), "{late:?}");
        assert_eq!(self.told.ended, 0);
    }

    pub(crate) fn answers(&self, flooder: NodeIndex) -> u64 {
        match self.sim.machine(flooder) {
            Some(Flooded::Flooder(flooder)) => flooder.answers(),
            _ => 0,
        }
    }

    pub(crate) fn stack(&self, node: NodeIndex) -> &Stack {
        match self.sim.machine(node) {
            Some(Flooded::Node(stack)) => stack,
            _ => panic!("not a node"),
        }
    }
}
