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
use crate::network::synthetic::PORT;
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
    /// When a pair leaves again without a word, counted from its start: `limit` at least.
    pub stay: Duration,
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
            stay: Duration::from_secs(120),
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
    /// Milliseconds until a person's DHT answered.
    pub joined_millis: Summary,
    /// Milliseconds until a person was announced in the onion.
    pub announced_millis: Summary,
    /// The pairs that took longest, or did not connect in time: the slowest first.
    pub slowest: Vec<Slow>,
    /// BLAKE3 over all that happened.
    pub trace_hash: String,
}

impl Outcome {
    /// Whether 99 of 100 pairs connected in time.
    pub fn is_good(&self) -> bool {
        self.connected >= 0.99
    }
}

/// How many pairs [`Outcome::slowest`] holds.
const SLOWEST: usize = 8;

/// A pair that took long.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Slow {
    /// Its number.
    pub pair: usize,
    /// Milliseconds until it was connected; `None` if it never was.
    pub millis: Option<u64>,
    /// Its ends.
    pub ends: [End; 2],
}

/// How far one end of a pair came, in milliseconds since its start.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct End {
    /// Its node in the trace.
    pub node: usize,
    /// What it sits behind.
    pub nat: String,
    /// The DHT answered.
    pub joined: Option<u64>,
    /// The onion announced it.
    pub announced: Option<u64>,
    /// It said that it is connected.
    pub connected: Option<u64>,
}

/// When nodes said first what.
#[derive(Default)]
struct Milestones {
    joined: BTreeMap<NodeIndex, Time>,
    announced: BTreeMap<NodeIndex, Time>,
    /// By the node that says so and its peer.
    up: BTreeMap<(NodeIndex, PublicKey), Time>,
}

impl Observer<Stack> for Milestones {
    fn handle_event(&mut self, at: Time, node: NodeIndex, _: &mut Stack, event: Event) {
        match event {
            Event::SessionUp { peer } => _ = self.up.entry((node, peer)).or_insert(at),
            Event::DhtConnected => _ = self.joined.entry(node).or_insert(at),
            Event::Announced { announced: true } => _ = self.announced.entry(node).or_insert(at),
            _ => {}
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
    nat: String,
    identity: PublicKey,
}

/// Two friends.
struct Pair {
    started: Time,
    people: [Person; 2],
}

/// A run under way.
struct Run<'a> {
    plan: &'a Plan,
    rng: Rng,
    world: Rng,
    sim: FriendsSim,
    members: Vec<Member>,
    said: Milestones,
}

/// Runs the plan. `prepare` gets the simulation before anything happens.
///
/// The second value says whether the readable trace, if any, was written whole.
pub fn run(plan: &Plan, prepare: impl FnOnce(&mut FriendsSim)) -> (Outcome, std::io::Result<()>) {
    let rng = seed_rng(plan.seed);
    let mut sim = Sim::new(&rng, NoIo);
    prepare(&mut sim);
    let (world, members) = (rng.child("world"), Vec::new());
    let mut run = Run { plan, rng, world, sim, members, said: Milestones::default() };
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
    /// Where the next node stands, and behind which NAT, if any.
    fn place(&mut self, number: usize) -> (NodeIndex, Option<NatModel>) {
        let mut attachment = self.plan.world.attachment(&mut self.world);
        let natted = number >= ENTRIES && self.plan.natted.draw(&mut self.world);
        let nat = natted.then(|| nat_model(number));
        if let Some(nat) = nat {
            attachment.realm = self.sim.network().add_nat(Realm::INTERNET, nat);
        }
        (self.sim.attach(attachment), nat)
    }

    /// Lets the network come together.
    fn join(&mut self) {
        for (index, at) in join_times(self.plan.nodes, Duration::from_secs(60)).enumerate() {
            self.sim.run_until(at, &mut self.said);
            let (node, nat) = self.place(index);
            let pair = KeyPair::generate(&mut self.rng.child(&format!("node {index}")));
            self.sim.listen(node, &[PORT]);
            self.members.push(Member { node, pair, public: nat.is_none(), starts: 0 });
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
        self.sim.start(node, stack, &mut self.said);
        self.introduce(node);
    }

    /// Tells a node of some public ones.
    fn introduce(&mut self, node: NodeIndex) {
        let public: Vec<usize> = self.running_public(node);
        for _ in 0..ENTRIES.min(public.len()) {
            let entry = &self.members[public[self.world.index(public.len())]];
            let (key, address) = (entry.pair.public, self.sim.network().address(entry.node.0));
            self.sim.command(node, &mut self.said, |stack, now| {
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
            self.sim.run_until(at, &mut self.said);
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
        self.sim.run_until(until, &mut self.said);
        changes.len()
    }

    /// Starts the pairs, one after the other, and lets each have its time.
    fn pairs(&mut self) -> Vec<Pair> {
        let mut pairs = Vec::new();
        let mut gone = 0;
        let begin = self.sim.now();
        for (number, after) in join_times(self.plan.pairs, self.plan.pairs_span).enumerate() {
            let at = begin + after.since(Time::ZERO);
            self.end_pairs(&pairs, &mut gone, at);
            self.sim.run_until(at, &mut self.said);
            pairs.push(self.pair(number));
        }
        let end = self.sim.now() + self.plan.limit;
        self.end_pairs(&pairs, &mut gone, end);
        self.sim.run_until(end, &mut self.said);
        pairs
    }

    fn pair(&mut self, number: usize) -> Pair {
        let identity =
            |end: usize| KeyPair::generate(&mut self.rng.child(&format!("person {number} {end}")));
        let keys = [identity(0), identity(1)];
        let people =
            [0, 1].map(|end| self.person(2 * number + end, &keys[end], keys[1 - end].public));
        Pair { started: self.sim.now(), people }
    }

    /// Has the pairs leave whose time is over at `until`, each at its time; `gone` did so before.
    fn end_pairs(&mut self, pairs: &[Pair], gone: &mut usize, until: Time) {
        while let Some(pair) = pairs.get(*gone)
            && pair.started + self.plan.stay <= until
        {
            self.sim.run_until(pair.started + self.plan.stay, &mut self.said);
            for person in &pair.people {
                drop(self.sim.crash(person.node));
            }
            *gone += 1;
        }
    }

    /// Starts a person with one friend.
    fn person(&mut self, number: usize, identity: &KeyPair, friend: PublicKey) -> Person {
        let (node, nat) = self.place(ENTRIES + number);
        let rng = self.rng.child(&format!("person's stack {number}"));
        let dht = KeyPair::generate(&mut rng.child("dht key"));
        let now = self.sim.now();
        let mut stack = Stack::with_identity(Config::person(), identity.clone(), dht, rng, now);
        stack.add_friend(now, friend);
        self.sim.start(node, stack, &mut self.said);
        self.introduce(node);
        self.tell_relays(node);
        let nat = nat.map_or("none".to_owned(), |nat| nat.to_string());
        Person { node, nat, identity: identity.public }
    }

    /// Tells a person of some relays.
    fn tell_relays(&mut self, node: NodeIndex) {
        let public = self.running_public(node);
        for _ in 0..ENTRIES.min(public.len()) {
            let relay = &self.members[public[self.world.index(public.len())]];
            let address = self.sim.network().address(relay.node.0);
            let (key, Some(address)) = (relay.pair.public, address.as_udp()) else { continue };
            self.sim.command(node, &mut self.said, |stack, now| {
                stack.add_relay(now, address, key);
            });
        }
    }

    fn sum_up(&mut self, changes: usize, pairs: &[Pair]) -> Outcome {
        let limit = self.plan.limit.as_millis() as u64;
        let took: Vec<u64> =
            pairs.iter().filter_map(|pair| self.took(pair)).filter(|took| *took <= limit).collect();
        let ends = || pairs.iter().flat_map(|pair| self.ends(pair));
        Outcome {
            nodes: self.members.len(),
            seed: self.plan.seed,
            virtual_seconds: self.sim.now().since(Time::ZERO).as_secs(),
            changes,
            pairs: pairs.len(),
            pairs_connected: took.len(),
            connected: ratio(took.len() as u64, pairs.len() as u64),
            connect_millis: Summary::of(took),
            joined_millis: Summary::of(ends().filter_map(|end| end.joined)),
            announced_millis: Summary::of(ends().filter_map(|end| end.announced)),
            slowest: self.slowest(pairs),
            trace_hash: self.sim.trace().hash(),
        }
    }

    /// Milliseconds until both ends said that they are connected.
    fn took(&self, pair: &Pair) -> Option<u64> {
        let [one, other] = self.ends(pair);
        Some(one.connected?.max(other.connected?))
    }

    fn ends(&self, Pair { started, people }: &Pair) -> [End; 2] {
        let since = |at: Option<&Time>| at.map(|at| at.since(*started).as_millis() as u64);
        let end = |of: &Person, peer: &Person| End {
            node: of.node.0,
            nat: of.nat.clone(),
            joined: since(self.said.joined.get(&of.node)),
            announced: since(self.said.announced.get(&of.node)),
            connected: since(self.said.up.get(&(of.node, peer.identity))),
        };
        let [one, other] = people;
        [end(one, other), end(other, one)]
    }

    fn slowest(&self, pairs: &[Pair]) -> Vec<Slow> {
        let slow = |(pair, it)| Slow { pair, millis: self.took(it), ends: self.ends(it) };
        let mut all: Vec<Slow> = pairs.iter().enumerate().map(slow).collect();
        all.sort_by_key(|slow| core::cmp::Reverse((slow.millis.is_none(), slow.millis)));
        all.truncate(SLOWEST);
        all
    }
}
