//! Which pairs of NATs do friends cross, and how fast? Whole stacks: persons with the onion, the DHT,
//! hole punching, sessions and relays, a pair for each two kinds of attachment.

use core::time::Duration;

use serde::Serialize;
use toktok_mesh::{Config, Event, KeyPair, PublicKey, Rng, Stack, Time};

use super::world::join_times;
use super::{World, seed_rng};
use crate::kernel::{NoIo, NodeIndex, Sim};
use crate::network::synthetic::PORT;
use crate::network::{Dependence, NatModel, PortAllocation, Realm};

/// A simulation of mesh stacks.
pub type NatSim = Sim<Stack, NoIo>;

/// How many public nodes a person begins with, and how many relays.
const ENTRIES: usize = 4;
/// The network lives so long before the first pair starts.
const SETTLING: Duration = Duration::from_secs(60);
/// Between the starts of two pairs.
const STEP: Duration = Duration::from_secs(3);
/// Pairs are looked at this often.
const TICK: Duration = Duration::from_millis(100);
/// A way that is direct at so many looks in a row is no accident.
const STEADY: u32 = 50;

/// How a person is attached to the Internet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// It has a public address.
    Public,
    /// It sits behind a NAT with this mapping and this filtering.
    Natted(Dependence, Dependence),
}

impl Side {
    /// Every kind: public, then mapping by mapping.
    pub fn all() -> impl Iterator<Item = Self> {
        let filterings =
            |mapping| Dependence::ALL.map(|filtering| Self::Natted(mapping, filtering));
        core::iter::once(Self::Public).chain(Dependence::ALL.into_iter().flat_map(filterings))
    }

    fn model(self, ports: PortAllocation) -> Option<NatModel> {
        let Self::Natted(mapping, filtering) = self else { return None };
        let keeps = mapping == Dependence::EndpointIndependent;
        let ports = if keeps { PortAllocation::Preserving } else { ports };
        Some(NatModel { mapping, filtering, ports, ..NatModel::default() })
    }

    /// Whoever knows of a port that leads to it may send there.
    fn is_open(self) -> bool {
        match self {
            Self::Public => true,
            Self::Natted(_, filtering) => filtering == Dependence::EndpointIndependent,
        }
    }

    /// All the world sees it at the same port.
    fn is_fixed(self) -> bool {
        match self {
            Self::Public => true,
            Self::Natted(mapping, _) => mapping == Dependence::EndpointIndependent,
        }
    }

    fn filters_by_port(self) -> bool {
        matches!(self, Self::Natted(_, Dependence::AddressAndPortDependent))
    }
}

impl core::fmt::Display for Side {
    /// A word of two parts: what it maps by, what it filters by.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Public => f.pad("public"),
            Self::Natted(mapping, filtering) => {
                f.pad(&format!("{}/{}", mapping.name(), filtering.name()))
            }
        }
    }
}

/// Whether a pair must come to speak directly: one side filters endpoint-independently, or one side
/// maps so and filters at most by address, or both map so.
pub fn must_cross(one: Side, other: Side) -> bool {
    let is_easy = |side: Side| side.is_open() || side.is_fixed() && !side.filters_by_port();
    is_easy(one) || is_easy(other) || one.is_fixed() && other.is_fixed()
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Public nodes of the network.
    pub nodes: usize,
    /// The pairs.
    pub pairs: Vec<[Side; 2]>,
    /// Which ports those NATs give whose mapping depends on the remote endpoint.
    pub ports: PortAllocation,
    /// How long a pair has to connect and to become direct.
    pub patience: Duration,
    /// The seed of everything.
    pub seed: u64,
    /// What lies between them.
    pub world: World,
}

impl Default for Plan {
    /// All pairs, each both ways round.
    fn default() -> Self {
        let pairs = Side::all().flat_map(|one| Side::all().map(move |other| [one, other]));
        Self {
            nodes: 60,
            pairs: pairs.collect(),
            ports: PortAllocation::Sequential(1),
            patience: Duration::from_secs(90),
            seed: 1,
            world: World::default(),
        }
    }
}

/// How one pair fared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// The first side.
    pub one: String,
    /// The other side.
    pub other: String,
    /// It must come to speak directly.
    pub required: bool,
    /// Milliseconds until both ends had their session.
    pub connected: Option<u64>,
    /// Milliseconds until both ends sent directly, and went on to.
    pub direct: Option<u64>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Public nodes of the network.
    pub nodes: usize,
    /// The seed.
    pub seed: u64,
    /// Virtual seconds.
    pub virtual_seconds: u64,
    /// All pairs, in the order of the plan.
    pub cells: Vec<Cell>,
    /// Pairs that did not even connect.
    pub unconnected: usize,
    /// Pairs that had to cross and did not.
    pub uncrossed: usize,
    /// BLAKE3 over all that happened.
    pub trace_hash: String,
}

impl Outcome {
    /// Whether all pairs connected, and those that had to did so directly.
    pub fn is_good(&self) -> bool {
        self.unconnected == 0 && self.uncrossed == 0
    }
}

impl Outcome {
    /// A Markdown table, a line each: milliseconds until a pair spoke directly; `relayed` if it did not,
    /// with `!` if it had to; `-` if it did not even connect.
    pub fn table(&self) -> Vec<String> {
        let (mut ones, mut others): (Vec<&str>, Vec<&str>) = Default::default();
        for Cell { one, other, .. } in &self.cells {
            for (names, name) in [(&mut ones, one), (&mut others, other)] {
                if !names.contains(&name.as_str()) {
                    names.push(name);
                }
            }
        }
        let texts = |one: &str, other: &str| {
            let cells = self.cells.iter().filter(|cell| cell.one == one && cell.other == other);
            cells.map(Cell::text).collect::<Vec<_>>().join(", ")
        };
        let line = |one: &&str| {
            let row: Vec<String> = others.iter().map(|other| texts(one, other)).collect();
            format!("| **{one}** | {} |", row.join(" | "))
        };
        let head = format!("| | {} |", others.join(" | "));
        let rule = format!("|---|{}", "---:|".repeat(others.len()));
        [head, rule].into_iter().chain(ones.iter().map(line)).collect()
    }
}

impl Cell {
    fn text(&self) -> String {
        match (self.direct, self.connected, self.required) {
            (Some(millis), ..) => millis.to_string(),
            (None, Some(_), false) => "relayed".to_owned(),
            (None, Some(_), true) => "relayed!".to_owned(),
            (None, None, _) => "-".to_owned(),
        }
    }
}

/// A pair under way.
struct Pair {
    nodes: [NodeIndex; 2],
    keys: [PublicKey; 2],
    started: Time,
    connected: Option<Time>,
    /// Since when both ends send directly.
    direct: Option<Time>,
    steady: u32,
}

/// A run under way.
struct Run<'a> {
    plan: &'a Plan,
    rng: Rng,
    world: Rng,
    sim: NatSim,
    public: Vec<(NodeIndex, PublicKey)>,
    pairs: Vec<Pair>,
}

/// Nothing is to be said of what nodes say: they are asked.
fn ignore(_: Time, _: NodeIndex, _: &mut Stack, _: Event) {}

/// Runs the plan. `prepare` gets the simulation before anything happens.
///
/// The second value says whether the readable trace, if any, was written whole.
pub fn run(plan: &Plan, prepare: impl FnOnce(&mut NatSim)) -> (Outcome, std::io::Result<()>) {
    let rng = seed_rng(plan.seed);
    let mut sim = Sim::new(&rng, NoIo);
    prepare(&mut sim);
    let (world, public, pairs) = (rng.child("world"), Vec::new(), Vec::new());
    let mut run = Run { plan, rng, world, sim, public, pairs };
    run.join();
    run.try_pairs();
    let outcome = run.sum_up();
    (outcome, run.sim.trace().finish_lines())
}

impl Run<'_> {
    /// Lets the public nodes come together. Each is a relay.
    fn join(&mut self) {
        for (index, at) in join_times(self.plan.nodes, SETTLING / 4).enumerate() {
            self.sim.run_until(at, &mut ignore);
            let node = self.sim.attach(self.plan.world.attachment(&mut self.world));
            let own = self.rng.child(&format!("node {index}"));
            let pair = KeyPair::generate(&mut own.child("key"));
            let mut config = Config::default();
            config.relay_server = true;
            self.sim.listen(node, &[PORT]);
            let key = pair.public;
            self.sim.start(node, Stack::new(config, pair, own.child("stack"), at), &mut ignore);
            self.introduce(node);
            self.public.push((node, key));
        }
    }

    /// Tells a node of some public ones, which are relays too.
    fn introduce(&mut self, node: NodeIndex) {
        for _ in 0..ENTRIES.min(self.public.len()) {
            let (entry, key) = self.public[self.world.index(self.public.len())];
            let address = self.sim.network().address(entry.0);
            self.sim.command(node, &mut ignore, |stack, now| {
                stack.bootstrap(now, address, key);
                address.as_udp().map(|relay| stack.add_relay(now, relay, key))
            });
        }
    }

    /// Starts the pairs one after the other, watches all of them, and ends each when it is direct or its
    /// time is over.
    fn try_pairs(&mut self) {
        let begin = Time::ZERO + SETTLING;
        let mut now = begin;
        let count = self.plan.pairs.len();
        let end = begin + STEP * count as u32 + self.plan.patience;
        while now <= end {
            self.sim.run_until(now, &mut ignore);
            let begun = self.pairs.len();
            if begun < count && begin + STEP * begun as u32 <= now {
                self.start_pair(begun);
            }
            self.look(now);
            now += TICK;
        }
    }

    fn start_pair(&mut self, number: usize) {
        let rng = self.rng.child(&format!("pair {number}"));
        let identities =
            ["one", "other"].map(|name| KeyPair::generate(&mut rng.child(name).child("identity")));
        let keys = [identities[0].public, identities[1].public];
        let mut nodes = [NodeIndex(0); 2];
        for end in [0, 1] {
            let rng = rng.child(["one", "other"][end]);
            nodes[end] = self.person(number, end, &identities[end], keys[1 - end], rng);
        }
        let (started, connected, direct) = (self.sim.now(), None, None);
        self.pairs.push(Pair { nodes, keys, started, connected, direct, steady: 0 });
    }

    fn person(
        &mut self,
        number: usize,
        end: usize,
        identity: &KeyPair,
        friend: PublicKey,
        rng: Rng,
    ) -> NodeIndex {
        let mut attachment = self.plan.world.attachment(&mut self.world);
        if let Some(model) = self.plan.pairs[number][end].model(self.plan.ports) {
            attachment.realm = self.sim.network().add_nat(Realm::INTERNET, model);
        }
        let node = self.sim.attach(attachment);
        let (dht, now) = (KeyPair::generate(&mut rng.child("dht key")), self.sim.now());
        let mut stack = Stack::with_identity(Config::person(), identity.clone(), dht, rng, now);
        stack.add_friend(now, friend);
        self.sim.start(node, stack, &mut ignore);
        self.introduce(node);
        node
    }

    /// Looks how far the pairs are that run, and ends those whose time is over.
    fn look(&mut self, now: Time) {
        for pair in &mut self.pairs {
            let [Some(one), Some(other)] = pair.nodes.map(|node| self.sim.machine(node)) else {
                continue;
            };
            let ends = [(one, pair.keys[1]), (other, pair.keys[0])];
            if ends.iter().all(|(stack, peer)| stack.is_connected(*peer)) {
                pair.connected.get_or_insert(now);
            }
            if ends.iter().all(|(stack, peer)| stack.is_direct(now, *peer)) {
                pair.direct.get_or_insert(now);
                pair.steady += 1;
            } else {
                (pair.direct, pair.steady) = (None, 0);
            }
            if pair.steady >= STEADY || pair.started + self.plan.patience <= now {
                for node in pair.nodes {
                    drop(self.sim.crash(node));
                }
            }
        }
    }

    fn sum_up(&mut self) -> Outcome {
        let since = |from: Time, at: Option<Time>| at.map(|at| at.since(from).as_millis() as u64);
        let cell = |(sides, pair): (&[Side; 2], &Pair)| Cell {
            one: sides[0].to_string(),
            other: sides[1].to_string(),
            required: must_cross(sides[0], sides[1]),
            connected: since(pair.started, pair.connected),
            direct: since(pair.started, pair.direct.filter(|_| pair.steady >= STEADY)),
        };
        let cells: Vec<Cell> = self.plan.pairs.iter().zip(&self.pairs).map(cell).collect();
        let count = |is_so: fn(&Cell) -> bool| cells.iter().filter(|cell| is_so(cell)).count();
        Outcome {
            nodes: self.plan.nodes,
            seed: self.plan.seed,
            virtual_seconds: self.sim.now().since(Time::ZERO).as_secs(),
            unconnected: count(|cell| cell.connected.is_none()),
            uncrossed: count(|cell| cell.required && cell.direct.is_none()),
            cells,
            trace_hash: self.sim.trace().hash(),
        }
    }
}
