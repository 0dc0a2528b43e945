//! What does a person's node cost who does nothing? A small network of persons without friends stands for
//! a while; each node's own account says what it sent of its own accord, and what for others.

use core::time::Duration;
use std::collections::BTreeMap;

use serde::Serialize;
use toktok_mesh::traffic::PacketPurpose;
use toktok_mesh::{Config, Event, KeyPair, PublicKey, Stack, Time, Traffic};

use super::world::join_times;
use super::{World, ratio, seed_rng};
use crate::kernel::{NoIo, NodeIndex, Sim};

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many nodes.
    pub nodes: usize,
    /// Before anything is counted.
    pub warm_up: Duration,
    /// How long it is counted.
    pub span: Duration,
    /// The seed of everything.
    pub seed: u64,
    /// What lies between them.
    pub world: World,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            nodes: 24,
            warm_up: Duration::from_secs(120),
            span: Duration::from_secs(600),
            seed: 1,
            world: World::default(),
        }
    }
}

/// What came of it: of the mean node, unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Nodes.
    pub nodes: usize,
    /// The seed.
    pub seed: u64,
    /// Virtual seconds.
    pub virtual_seconds: u64,
    /// Bytes of IP packets a second that it sent of its own accord.
    pub own_bytes_a_second: f64,
    /// The same of the node that sent most.
    pub most_own_bytes_a_second: f64,
    /// Bytes of IP packets a second that it sent for others.
    pub served_bytes_a_second: f64,
    /// Packets that it answered or passed on, as a share of those that it was to.
    pub served: f64,
    /// Bytes of IP packets a second, by purpose.
    pub bytes_by_purpose: BTreeMap<String, f64>,
    /// Nodes whose identity could be found at the end.
    pub announced: usize,
    /// Nodes that the mean node knew at the end.
    pub known: f64,
}

impl Outcome {
    /// Whether an idle node costs at most 300 bytes a second and serves others, and all can be found.
    pub fn is_good(&self) -> bool {
        self.own_bytes_a_second <= 300.0 && self.served >= 0.99 && self.announced == self.nodes
    }
}

/// Who can be found.
#[derive(Default)]
struct Announced(BTreeMap<NodeIndex, bool>);

impl crate::kernel::Observer<Stack> for Announced {
    fn handle_event(&mut self, _: Time, node: NodeIndex, _: &mut Stack, event: Event) {
        if let Event::Announced { announced } = event {
            self.0.insert(node, announced);
        }
    }
}

type IdleSim = Sim<Stack, NoIo>;

/// Runs the plan.
pub fn run(plan: &Plan) -> Outcome {
    let rng = seed_rng(plan.seed);
    let (mut sim, mut announced) = (IdleSim::new(&rng, NoIo), Announced::default());
    let mut world = rng.child("world");
    let mut first: Option<(NodeIndex, PublicKey)> = None;
    for (index, at) in join_times(plan.nodes, Duration::from_secs(10)).enumerate() {
        sim.run_until(at, &mut announced);
        let node = sim.attach(plan.world.attachment(&mut world));
        let own = rng.child(&format!("node {index}"));
        let key = |name| KeyPair::generate(&mut own.child(name));
        let (identity, dht) = (key("identity"), key("dht"));
        let stack = Stack::with_identity(Config::person(), identity, dht, own.child("stack"), at);
        let dht_key = stack.dht_key();
        sim.start(node, stack, &mut announced);
        let (entry, key) = *first.get_or_insert((node, dht_key));
        let address = sim.network().address(entry.0);
        sim.command(node, &mut announced, |stack, now| stack.bootstrap(now, address, key));
    }
    sim.run_until(Time::ZERO + plan.warm_up, &mut announced);
    let before = accounts(&sim);
    sim.run_until(Time::ZERO + plan.warm_up + plan.span, &mut announced);
    sum_up(plan, &sim, &before, &announced)
}

fn accounts(sim: &IdleSim) -> Vec<Traffic> {
    sim.running().map(|(_, stack)| stack.traffic().clone()).collect()
}

fn sum_up(plan: &Plan, sim: &IdleSim, before: &[Traffic], announced: &Announced) -> Outcome {
    let after = accounts(sim);
    let pairs = || before.iter().zip(&after);
    let grown = |count: &dyn Fn(&Traffic) -> u64| -> u64 {
        pairs().map(|(before, after)| count(after) - count(before)).sum()
    };
    let (nodes, seconds) = (after.len() as u64, plan.span.as_secs());
    let a_second = |count: &dyn Fn(&Traffic) -> u64| ratio(grown(count), nodes * seconds);
    let own = |it: &Traffic| it.own().ip_bytes();
    let most = pairs().map(|(before, after)| own(after) - own(before)).max().unwrap_or(0);
    let by_purpose = PacketPurpose::ALL
        .into_iter()
        .map(|purpose| (format!("{purpose:?}"), a_second(&|it| it.sent(purpose).ip_bytes())));
    let known: usize = sim.running().map(|(_, stack)| stack.close_nodes().count()).sum();
    Outcome {
        nodes: after.len(),
        seed: plan.seed,
        virtual_seconds: (plan.warm_up + plan.span).as_secs(),
        own_bytes_a_second: a_second(&own),
        most_own_bytes_a_second: ratio(most, seconds),
        served_bytes_a_second: a_second(&|it| it.served().ip_bytes()),
        served: ratio(grown(&|it| it.served().packets), grown(&|it| it.asked().packets)),
        bytes_by_purpose: by_purpose.filter(|(_, bytes)| *bytes > 0.0).collect(),
        announced: announced.0.values().filter(|announced| **announced).count(),
        known: ratio(known as u64, nodes),
    }
}
