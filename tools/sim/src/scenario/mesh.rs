//! How well the mesh's DHT finds together, and finds: many nodes join through one.

use core::time::Duration;
use std::collections::BTreeMap;

use serde::Serialize;
use toktok_mesh::{Address, Config, Event, KeyPair, LookupId, PublicKey, Rng, Stack, Time};

use super::world::join_times;
use super::{Keys, Summary, World, ratio, seed_rng};
use crate::kernel::{NoIo, NodeIndex, Observer, Sim, Traffic};

/// How many of a node's nearest others it is asked for.
const NEAREST: usize = 8;
/// How many of them it must know to count as converged.
const NEAREST_KNOWN: usize = 7;
/// Within how much virtual time a lookup must be right.
pub const LOOKUP_LIMIT: Duration = Duration::from_secs(10);
/// The lookups begin this long before the end, and come evenly until [`LOOKUP_LIMIT`] before it.
const LOOKUP_SPAN: Duration = Duration::from_secs(60);

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many nodes.
    pub nodes: usize,
    /// For how long, joining included.
    pub span: Duration,
    /// Over which time they join.
    pub join_span: Duration,
    /// How many lookups of random live keys are made near the end.
    pub lookups: usize,
    /// The seed of everything.
    pub seed: u64,
    /// What lies between them.
    pub world: World,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            nodes: 1_000,
            span: Duration::from_secs(600),
            join_span: Duration::from_secs(20),
            lookups: 1_000,
            seed: 1,
            world: World::default(),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Nodes that ran at the end.
    pub nodes: usize,
    /// The seed.
    pub seed: u64,
    /// Virtual seconds.
    pub virtual_seconds: u64,
    /// Nodes whose close list held at least 7 of the true 8 nearest at the end.
    pub converged_nodes: usize,
    /// The same as a share of all.
    pub converged: f64,
    /// Lookups made.
    pub lookups: usize,
    /// Lookups that gave the right address within 10 s.
    pub lookups_right: usize,
    /// The same as a share of all.
    pub lookup_success: f64,
    /// Hops of the right ones.
    pub lookup_hops: Summary,
    /// Milliseconds of the right ones.
    pub lookup_millis: Summary,
    /// Datagrams sent a node and second.
    pub packets_a_node_second: f64,
    /// Their payload bytes, without IP and UDP headers.
    pub bytes_a_node_second: f64,
    /// Datagrams that machines refused, a million sent.
    pub refused_a_million: f64,
    /// Deadlines that were already past when a machine named them: should be none.
    pub stale_deadlines: u64,
    /// BLAKE3 over all that happened.
    pub trace_hash: String,
}

impl Outcome {
    /// Whether the mesh did what it must: 99% of the nodes converged, 99% of the lookups right.
    pub fn is_good(&self) -> bool {
        self.converged >= 0.99 && self.lookup_success >= 0.99
    }
}

/// A lookup that was begun.
#[derive(Clone, Copy)]
struct Begun {
    name: (NodeIndex, LookupId),
    target: PublicKey,
    address: Address,
    at: Time,
}

/// How one ended.
#[derive(Clone, Copy)]
struct Done {
    key: PublicKey,
    address: Option<Address>,
    hops: u32,
    at: Time,
}

/// The lookups of a run.
#[derive(Default)]
struct Lookups {
    begun: Vec<Begun>,
    done: BTreeMap<(NodeIndex, LookupId), Done>,
}

impl Lookups {
    /// Hops and time of those that gave the right address in time.
    fn right(&self) -> Vec<(u32, Duration)> {
        let right = self.begun.iter().filter_map(|begun| {
            let done = self.done.get(&begun.name)?;
            let took = done.at.since(begun.at);
            let is_right = done.key == begun.target && done.address == Some(begun.address);
            (is_right && took <= LOOKUP_LIMIT).then_some((done.hops, took))
        });
        right.collect()
    }
}

impl Observer<Stack> for Lookups {
    fn handle_event(&mut self, at: Time, node: NodeIndex, _: &mut Stack, event: Event) {
        if let Event::LookupDone { lookup, key, address, hops } = event {
            self.done.entry((node, lookup)).or_insert(Done { key, address, hops, at });
        }
    }
}

/// A simulation of mesh stacks.
pub type MeshSim = Sim<Stack, NoIo>;

/// Runs the plan. `prepare` gets the simulation before anything happens: to write a readable trace,
/// to set up faults.
///
/// The second value says whether the readable trace, if any, was written whole.
pub fn run(plan: &Plan, prepare: impl FnOnce(&mut MeshSim)) -> (Outcome, std::io::Result<()>) {
    run_and_look(plan, prepare, |_| ())
}

/// As [`run`]; `look` gets the simulation when all is over, with all nodes in it.
pub fn run_and_look(
    plan: &Plan,
    prepare: impl FnOnce(&mut MeshSim),
    look: impl FnOnce(&mut MeshSim),
) -> (Outcome, std::io::Result<()>) {
    let rng = seed_rng(plan.seed);
    let mut sim = Sim::new(&rng, NoIo);
    let mut lookups = Lookups::default();
    prepare(&mut sim);
    let keys = join(plan, &rng, &mut sim, &mut lookups);
    look_up(plan, &keys, &mut rng.child("lookups"), &mut sim, &mut lookups);
    sim.run_until(Time::ZERO + plan.span, &mut lookups);
    let outcome = sum_up(plan, &mut sim, &lookups);
    let written = sim.trace().finish_lines();
    look(&mut sim);
    (outcome, written)
}

/// Lets all nodes join through the first; returns their keys.
fn join(plan: &Plan, rng: &Rng, sim: &mut MeshSim, lookups: &mut Lookups) -> Vec<PublicKey> {
    let mut world_rng = rng.child("world");
    let mut keys: Vec<PublicKey> = Vec::with_capacity(plan.nodes);
    for (index, at) in join_times(plan.nodes, plan.join_span).enumerate() {
        sim.run_until(at, lookups);
        let node = sim.attach(plan.world.attachment(&mut world_rng));
        let own = rng.child(&format!("node {index}"));
        let pair = KeyPair::generate(&mut own.child("key"));
        let stack = Stack::new(Config::default(), pair, own.child("stack"), at);
        keys.push(stack.public_key());
        sim.start(node, stack, lookups);
        if index > 0 {
            let address = sim.network().address(0);
            let first = keys[0];
            sim.command(node, lookups, |stack, now| stack.bootstrap(now, address, first));
        }
    }
    keys
}

/// Begins the lookups, each from a random node for another one's key.
fn look_up(
    plan: &Plan,
    keys: &[PublicKey],
    rng: &mut Rng,
    sim: &mut MeshSim,
    lookups: &mut Lookups,
) {
    if keys.len() < 2 {
        return;
    }
    let begin = Time::ZERO + plan.span - LOOKUP_SPAN - LOOKUP_LIMIT;
    for at in join_times(plan.lookups, LOOKUP_SPAN) {
        sim.run_until(begin + at.since(Time::ZERO), lookups);
        let asker = NodeIndex(rng.index(keys.len()));
        let other = (asker.0 + 1 + rng.index(keys.len() - 1)) % keys.len();
        let (target, address) = (keys[other], sim.network().address(other));
        let at = sim.now();
        let name = sim.command(asker, lookups, |stack, now| stack.lookup(now, target));
        let Some(id) = name else { continue };
        lookups.begun.push(Begun { name: (asker, id), target, address, at });
    }
}

fn sum_up(plan: &Plan, sim: &mut MeshSim, lookups: &Lookups) -> Outcome {
    let keys = Keys::new(sim.running().map(|(_, stack)| stack.public_key()));
    let converged = sim.running().filter(|(_, stack)| is_converged(stack, &keys)).count();
    let nodes = sim.running().count();
    let refused: u64 = sim.running().map(|(_, stack)| stack.drops().total()).sum();
    let right = lookups.right();
    let node_seconds = nodes as u64 * plan.span.as_secs();
    let Traffic { sent_packets, sent_bytes, .. } = *sim.traffic();
    Outcome {
        nodes,
        seed: plan.seed,
        virtual_seconds: plan.span.as_secs(),
        converged_nodes: converged,
        converged: ratio(converged as u64, nodes as u64),
        lookups: lookups.begun.len(),
        lookups_right: right.len(),
        lookup_success: ratio(right.len() as u64, lookups.begun.len() as u64),
        lookup_hops: Summary::of(right.iter().map(|(hops, _)| u64::from(*hops))),
        lookup_millis: Summary::of(right.iter().map(|(_, took)| took.as_millis() as u64)),
        packets_a_node_second: ratio(sent_packets, node_seconds),
        bytes_a_node_second: ratio(sent_bytes, node_seconds),
        refused_a_million: ratio(refused * 1_000_000, sent_packets),
        stale_deadlines: sim.stale_deadlines(),
        trace_hash: sim.trace().hash(),
    }
}

/// Whether a node's close list holds enough of the nearest live nodes (all, where there are few).
pub fn is_converged(stack: &Stack, keys: &Keys) -> bool {
    let nearest = keys.nearest(&stack.public_key(), NEAREST);
    let known = stack.close_nodes().filter(|(key, _)| nearest.contains(key)).count();
    known >= NEAREST_KNOWN.min(nearest.len())
}
