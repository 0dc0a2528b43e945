//! Do friends find each other? A network of public nodes and nodes behind all kinds of NATs lives
//! through churn; then pairs of persons start, each with a fresh DHT key, who know nothing of each
//! other but their identities.

use core::time::Duration;
use std::collections::BTreeMap;

use serde::Serialize;
use toktok_mesh::{Config, Event, KeyPair, PublicKey, Rng, Stack, Time};

use super::world::join_times;
use super::{Summary, World, ratio, seed_rng};
use crate::fault::{Change, Churn};
use crate::kernel::{NoIo, NodeIndex, Observer, Sim};
use crate::network::{Chance, Dependence, NatModel, PortAllocation, Realm};

/// A simulation of mesh stacks.
pub type FriendsSim = Sim<Stack, NoIo>;

/// How many nodes a person begins with, as clients ship lists of them.
const ENTRIES: usize = 4;
const HOUR: Duration = Duration::from_secs(3_600);
/// How finely churn divides time.
const CHURN_TICK: Duration = Duration::from_secs(10);
/// How long a node that went away stays away, on average.
const CHURN_PAUSE: Duration = Duration::from_secs(120);

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many nodes the network has before the friends come.
    pub nodes: usize,
    /// How many of them sit behind a NAT.
    pub natted: Chance,
    /// For how long the network lives before the friends come.
    pub span: Duration,
    /// What share of the nodes goes away each hour.
    pub churn_an_hour: Chance,
    /// How many pairs of friends start.
    pub pairs: usize,
    /// Over which time they start.
    pub pairs_span: Duration,
    /// Within which time a pair must be connected.
    pub limit: Duration,
    /// The seed of everything.
    pub seed: u64,
    /// What lies between them.
    pub world: World,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            nodes: 1_000,
            natted: Chance::percent(50),
            span: Duration::from_secs(3_600),
            churn_an_hour: Chance::percent(20),
            pairs: 1_000,
            pairs_span: Duration::from_secs(600),
            limit: Duration::from_secs(30),
            seed: 1,
            world: World::default(),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Nodes of the network.
    pub nodes: usize,
    /// The seed.
    pub seed: u64,
    /// Virtual seconds.
    pub virtual_seconds: u64,
    /// Times that a node went away or came back.
    pub changes: usize,
    /// Pairs that started.
    pub pairs: usize,
    /// Pairs whose both ends said within the limit that they are connected.
    pub pairs_connected: usize,
    /// The same as a share of all.
    pub connected: f64,
    /// Milliseconds until the second end said so, of those.
    pub connect_millis: Summary,
    /// BLAKE3 over all that happened.
    pub trace_hash: String,
}

impl Outcome {
    /// Whether 99 of 100 pairs connected in time.
    pub fn is_good(&self) -> bool {
        self.connected >= 0.99
    }
}

/// When sessions came up, by the node that says so and its peer.
#[derive(Default)]
struct Sessions {
    up: BTreeMap<(NodeIndex, PublicKey), Time>,
}

impl Observer<Stack> for Sessions {
    fn handle_event(&mut self, at: Time, node: NodeIndex, _: &mut Stack, event: Event) {
        if let Event::SessionUp { peer } = event {
            self.up.entry((node, peer)).or_insert(at);
        }
    }
}

/// A node of the network, to start it again.
struct Member {
    node: NodeIndex,
    pair: KeyPair,
    public: bool,
    starts: u32,
}

/// A person.
struct Person {
    node: NodeIndex,
    identity: PublicKey,
}

/// A run under way.
struct Run<'a> {
    plan: &'a Plan,
    rng: Rng,
    world: Rng,
    sim: FriendsSim,
    members: Vec<Member>,
    sessions: Sessions,
}

/// Runs the plan. `prepare` gets the simulation before anything happens.
///
/// The second value says whether the readable trace, if any, was written whole.
pub fn run(plan: &Plan, prepare: impl FnOnce(&mut FriendsSim)) -> (Outcome, std::io::Result<()>) {
    let rng = seed_rng(plan.seed);
    let mut sim = Sim::new(&rng, NoIo);
    prepare(&mut sim);
    let (world, members) = (rng.child("world"), Vec::new());
    let mut run = Run { plan, rng, world, sim, members, sessions: Sessions::default() };
    run.join();
    let changes = run.churn();
    let pairs = run.pairs();
    let outcome = run.sum_up(changes, &pairs);
    (outcome, run.sim.trace().finish_lines())
}

/// The NATs that nodes sit behind, one after the other.
fn nat_model(number: usize) -> NatModel {
    let mappings = Dependence::ALL;
    // Of ten NATs on the Internet about eight map independently of the endpoint.
    let mapping = if number % 5 < 4 { mappings[0] } else { mappings[1 + number / 5 % 2] };
    let filtering = mappings[number / 5 % 3];
    let random = mapping != Dependence::EndpointIndependent;
    let ports = if random { PortAllocation::Sequential(1) } else { PortAllocation::Preserving };
    NatModel { mapping, filtering, ports, ..NatModel::default() }
}

impl Run<'_> {
    /// Where the next node stands; true if it is public.
    fn place(&mut self, number: usize) -> (NodeIndex, bool) {
        let mut attachment = self.plan.world.attachment(&mut self.world);
        let public = number < ENTRIES || !self.plan.natted.draw(&mut self.world);
        if !public {
            attachment.realm = self.sim.network().add_nat(Realm::INTERNET, nat_model(number));
        }
        (self.sim.attach(attachment), public)
    }

    /// Lets the network come together.
    fn join(&mut self) {
        for (index, at) in join_times(self.plan.nodes, Duration::from_secs(60)).enumerate() {
            self.sim.run_until(at, &mut self.sessions);
            let (node, public) = self.place(index);
            let pair = KeyPair::generate(&mut self.rng.child(&format!("node {index}")));
            self.members.push(Member { node, pair, public, starts: 0 });
            self.start(index);
        }
    }

    /// Starts a node of the network, or starts it again with the same key.
    fn start(&mut self, index: usize) {
        let member = &mut self.members[index];
        member.starts += 1;
        let rng = self.rng.child(&format!("start {} of {index}", member.starts));
        let mut config = Config::default();
        config.relay_server = member.public;
        let (node, pair) = (member.node, member.pair.clone());
        let stack = Stack::new(config, pair, rng, self.sim.now());
        self.sim.start(node, stack, &mut self.sessions);
        self.introduce(node);
    }

    /// Tells a node of some public ones.
    fn introduce(&mut self, node: NodeIndex) {
        let public: Vec<usize> = self.running_public(node);
        for _ in 0..ENTRIES.min(public.len()) {
            let entry = &self.members[public[self.world.index(public.len())]];
            let (key, address) = (entry.pair.public, self.sim.network().address(entry.node.0));
            self.sim.command(node, &mut self.sessions, |stack, now| {
                stack.bootstrap(now, address, key);
            });
        }
    }

    /// Public nodes that run, other than `except`.
    fn running_public(&self, except: NodeIndex) -> Vec<usize> {
        let fit = |member: &Member| {
            member.public && member.node != except && self.sim.machine(member.node).is_some()
        };
        (0..self.members.len()).filter(|index| fit(&self.members[*index])).collect()
    }

    /// Lets nodes come and go until the friends start; returns how often they did.
    fn churn(&mut self) -> usize {
        let (from, until) = (self.sim.now(), Time::ZERO + self.plan.span);
        let ticks = |span: Duration| (span.as_secs() / CHURN_TICK.as_secs()).max(1) as usize;
        let crash = self.plan.churn_an_hour.of(1_000_000 / ticks(HOUR));
        let churn = Churn {
            tick: CHURN_TICK,
            crash: Chance::per_million(crash as u32),
            restart: Chance::per_million(1_000_000 / ticks(CHURN_PAUSE) as u32),
        };
        // The entries are those of a well-known list: they stay.
        let nodes: Vec<NodeIndex> = self.members.iter().skip(ENTRIES).map(|it| it.node).collect();
        let changes = churn.plan(&nodes, from, until, &mut self.rng.child("churn"));
        for &(at, node, change) in &changes {
            self.sim.run_until(at, &mut self.sessions);
            match change {
                Change::Crash => drop(self.sim.crash(node)),
                Change::Restart => {
                    let index = self.members.iter().position(|member| member.node == node);
                    if let Some(index) = index {
                        self.start(index);
                    }
                }
            }
        }
        self.sim.run_until(until, &mut self.sessions);
        changes.len()
    }

    /// Starts the pairs, and lets the last one have its time.
    fn pairs(&mut self) -> Vec<(Time, [Person; 2])> {
        let mut pairs = Vec::new();
        let begin = self.sim.now();
        for (number, after) in join_times(self.plan.pairs, self.plan.pairs_span).enumerate() {
            self.sim.run_until(begin + after.since(Time::ZERO), &mut self.sessions);
            let identity = |run: &Self, end: usize| {
                KeyPair::generate(&mut run.rng.child(&format!("person {number} {end}")))
            };
            let keys = [identity(self, 0), identity(self, 1)];
            let people =
                [0, 1].map(|end| self.person(2 * number + end, &keys[end], keys[1 - end].public));
            pairs.push((self.sim.now(), people));
        }
        let end = self.sim.now() + self.plan.limit;
        self.sim.run_until(end, &mut self.sessions);
        pairs
    }

    /// Starts a person with one friend.
    fn person(&mut self, number: usize, identity: &KeyPair, friend: PublicKey) -> Person {
        let (node, _) = self.place(ENTRIES + number);
        let rng = self.rng.child(&format!("person's stack {number}"));
        let dht = KeyPair::generate(&mut rng.child("dht key"));
        let now = self.sim.now();
        let mut stack = Stack::with_identity(Config::person(), identity.clone(), dht, rng, now);
        stack.add_friend(now, friend);
        self.sim.start(node, stack, &mut self.sessions);
        self.introduce(node);
        self.tell_relays(node);
        Person { node, identity: identity.public }
    }

    /// Tells a person of some relays.
    fn tell_relays(&mut self, node: NodeIndex) {
        let public = self.running_public(node);
        for _ in 0..ENTRIES.min(public.len()) {
            let relay = &self.members[public[self.world.index(public.len())]];
            let address = self.sim.network().address(relay.node.0);
            let (key, Some(address)) = (relay.pair.public, address.as_udp()) else { continue };
            self.sim.command(node, &mut self.sessions, |stack, now| {
                stack.add_relay(now, address, key);
            });
        }
    }

    fn sum_up(&mut self, changes: usize, pairs: &[(Time, [Person; 2])]) -> Outcome {
        let up =
            |at: &Person, peer: &Person| self.sessions.up.get(&(at.node, peer.identity)).copied();
        let took = pairs.iter().filter_map(|(started, [one, other])| {
            Some(up(one, other)?.max(up(other, one)?).since(*started))
        });
        let took: Vec<u64> = took
            .filter(|took| *took <= self.plan.limit)
            .map(|took| took.as_millis() as u64)
            .collect();
        Outcome {
            nodes: self.members.len(),
            seed: self.plan.seed,
            virtual_seconds: self.sim.now().since(Time::ZERO).as_secs(),
            changes,
            pairs: pairs.len(),
            pairs_connected: took.len(),
            connected: ratio(took.len() as u64, pairs.len() as u64),
            connect_millis: Summary::of(took),
            trace_hash: self.sim.trace().hash(),
        }
    }
}
