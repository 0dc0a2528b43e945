//! Can anybody tell where persons are? A network of nodes and relays under churn, in which persons
//! live, by UDP or by relays only, who make friends, ask in vain, and start again; each node is watched
//! ([`crate::privacy`]).

use core::time::Duration;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde::Serialize;
use toktok_mesh::{Config, Event, KeyPair, PublicKey, Rng, Stack, Time};

use super::world::join_times;
use super::{World, seed_rng};
use crate::fault::{Change, Churn};
use crate::kernel::{NoIo, NodeIndex, Observer, Sim};
use crate::network::{Chance, NatModel, Realm};
use crate::privacy::{Leaker, Link, Person, Plant, Target, Watch, Watched};

/// How many nodes a newcomer begins with.
const ENTRIES: usize = 4;
const RELAY_PORT: u16 = 33_445;
/// Time for the network to come together.
const JOIN: Duration = Duration::from_secs(30);
/// Time between the starts of persons.
const PERSON_PAUSE: Duration = Duration::from_millis(700);
const CHURN_TICK: Duration = Duration::from_secs(5);

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Nodes of the network.
    pub nodes: usize,
    /// How many of them sit behind a NAT.
    pub natted: Chance,
    /// Pairs of friends with UDP.
    pub udp_pairs: usize,
    /// Pairs of friends that reach relays only.
    pub relay_pairs: usize,
    /// How long persons live, once all have started.
    pub span: Duration,
    /// The chance that a node goes away in five seconds; it stays away for half a minute.
    pub churn: Chance,
    /// Let every second person start again halfway, under another DHT key.
    pub restarts: bool,
    /// Let paths be short where few nodes are known.
    pub short_paths: bool,
    /// What the first person does wrong.
    pub plant: Option<Plant>,
    /// The seed of everything.
    pub seed: u64,
    /// What lies between them.
    pub world: World,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            nodes: 60,
            natted: Chance::percent(25),
            udp_pairs: 6,
            relay_pairs: 3,
            span: Duration::from_secs(600),
            churn: Chance::per_million(5_000),
            restarts: true,
            short_paths: false,
            plant: None,
            seed: 1,
            world: World::default(),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Nodes of the network.
    pub nodes: usize,
    /// Persons.
    pub people: usize,
    /// Pairs of friends.
    pub pairs: usize,
    /// Pairs that were connected at some time, both ends.
    pub pairs_connected: usize,
    /// Virtual seconds.
    pub virtual_seconds: u64,
    /// What was seen, by all nodes together.
    pub sights: usize,
    /// Nodes that saw an identity.
    pub saw_identity: usize,
    /// Nodes that saw where some person is.
    pub saw_place: usize,
    /// Where identity and place came together, in words.
    pub links: Vec<String>,
}

impl Outcome {
    /// Whether nobody could tell, though there was something to see.
    pub fn is_good(&self) -> bool {
        let was_tried = self.saw_identity > 0 && self.saw_place > 0;
        was_tried && self.links.is_empty() && self.pairs_connected == self.pairs
    }
}

type PrivacySim = Sim<Watched, NoIo>;

/// A node of the network.
struct Member {
    node: NodeIndex,
    keys: KeyPair,
    is_public: bool,
}

/// One who lives in it.
struct Inhabitant {
    node: NodeIndex,
    person: Person,
    identity: KeyPair,
    dht: KeyPair,
    has_udp: bool,
}

/// What persons were told.
#[derive(Default)]
struct Told {
    up: BTreeMap<NodeIndex, Vec<PublicKey>>,
    /// Whose request each host is to accept.
    accepts: BTreeMap<NodeIndex, PublicKey>,
}

impl Observer<Watched> for Told {
    fn handle_event(&mut self, now: Time, node: NodeIndex, watched: &mut Watched, event: Event) {
        match event {
            Event::SessionUp { peer } => self.up.entry(node).or_default().push(peer),
            Event::FriendRequest { from, .. } if self.accepts.get(&node) == Some(&from) => {
                watched.stack().add_friend(now, from);
            }
            _ => {}
        }
    }
}

struct Run<'a> {
    plan: &'a Plan,
    rng: Rng,
    world: Rng,
    sim: PrivacySim,
    watch: Rc<RefCell<Watch>>,
    members: Vec<Member>,
    people: Vec<Inhabitant>,
    told: Told,
    starts: u32,
}

/// Runs the plan; what came of it, and every link that was found.
pub fn run(plan: &Plan) -> (Outcome, Vec<Link>) {
    let rng = seed_rng(plan.seed);
    let (sim, world) = (Sim::new(&rng, NoIo), rng.child("world"));
    let (members, people, told) = (Vec::new(), Vec::new(), Told::default());
    let watch = Rc::default();
    let mut run = Run { plan, rng, world, sim, watch, members, people, told, starts: 0 };
    run.join();
    run.settle();
    run.live();
    run.sum_up()
}

impl Run<'_> {
    fn run_for(&mut self, span: Duration) {
        let until = self.sim.now() + span;
        self.sim.run_until(until, &mut self.told);
    }

    fn place(&mut self, is_public: bool) -> NodeIndex {
        let mut attachment = self.plan.world.attachment(&mut self.world);
        if !is_public {
            let nat = NatModel::default();
            attachment.realm = self.sim.network().add_nat(Realm::INTERNET, nat);
        }
        self.sim.attach(attachment)
    }

    fn next_rng(&mut self) -> Rng {
        self.starts += 1;
        self.rng.child(&format!("start {}", self.starts))
    }

    /// Lets the network come together.
    fn join(&mut self) {
        for (index, at) in join_times(self.plan.nodes, JOIN / 2).enumerate() {
            self.sim.run_until(at, &mut self.told);
            let is_public = index < ENTRIES || !self.plan.natted.draw(&mut self.world);
            let node = self.place(is_public);
            let keys = KeyPair::generate(&mut self.rng.child(&format!("node {index}")));
            self.sim.listen(node, &[RELAY_PORT]);
            self.members.push(Member { node, keys, is_public });
            self.start_member(index);
        }
        self.sim.run_until(Time::ZERO + JOIN, &mut self.told);
    }

    fn start_member(&mut self, index: usize) {
        let rng = self.next_rng();
        let Member { node, keys, is_public } = &self.members[index];
        let mut config = Config::default();
        config.relay_server = *is_public;
        let (node, keys) = (*node, keys.clone());
        let stack = Stack::new(config, keys.clone(), rng, self.sim.now());
        let watched = Watched::new(stack, keys, node, None, &self.watch);
        self.sim.start(node, watched, &mut self.told);
        self.introduce(node, true);
    }

    /// Tells a newcomer of some public nodes, which are relays too.
    fn introduce(&mut self, newcomer: NodeIndex, has_udp: bool) {
        let is_fit = |member: &&Member| member.is_public && member.node != newcomer;
        let public: Vec<(NodeIndex, PublicKey)> = self
            .members
            .iter()
            .filter(is_fit)
            .map(|member| (member.node, member.keys.public))
            .collect();
        for _ in 0..ENTRIES.min(public.len()) {
            let (node, key) = public[self.world.index(public.len())];
            let address = self.sim.network().address(node.0);
            self.sim.command(newcomer, &mut self.told, |watched, now| {
                // Whoever has no UDP does not know it: the node is an entry to the onion all the same.
                watched.stack().bootstrap(now, address, key);
                if let Some(at) = address.as_udp()
                    && !has_udp
                {
                    watched.stack().add_relay(now, at, key);
                }
            });
        }
    }

    /// Persons move in, one after the other.
    fn settle(&mut self) {
        let pairs = self.plan.udp_pairs + self.plan.relay_pairs;
        for number in 0..2 * pairs {
            let is_public = self.world.chance(1, 2);
            let node = self.place(is_public);
            let identity = KeyPair::generate(&mut self.rng.child(&format!("identity {number}")));
            let person = self.watch.borrow_mut().add_person(node, identity.public);
            let dht = self.dht_keys(number, &identity);
            let has_udp = number < 2 * self.plan.udp_pairs;
            self.people.push(Inhabitant { node, person, identity, dht, has_udp });
        }
        for number in 0..2 * pairs {
            self.befriend(number);
            self.start_person(number);
            self.run_for(PERSON_PAUSE);
        }
    }

    fn dht_keys(&mut self, number: usize, identity: &KeyPair) -> KeyPair {
        match self.plan.plant {
            Some(plant) if number == 0 && plant.is_key() => identity.clone(),
            _ => KeyPair::generate(&mut self.next_rng()),
        }
    }

    /// The other one of the pair.
    fn partner(number: usize) -> usize {
        number ^ 1
    }

    /// Notes who may know of whom: of each second pair one waits to be asked.
    fn befriend(&mut self, number: usize) {
        let (one, other) = (&self.people[number], &self.people[Self::partner(number)]);
        self.watch.borrow_mut().add_friend(one.person, other.person);
        self.told.accepts.insert(one.node, other.identity.public);
    }

    /// Starts a person, or starts it again.
    fn start_person(&mut self, number: usize) {
        let rng = self.next_rng();
        let now = self.sim.now();
        let Inhabitant { node, person, identity, dht, has_udp } = &self.people[number];
        let (node, person, has_udp) = (*node, *person, *has_udp);
        let mut config = Config::person();
        config.allow_short_paths = self.plan.short_paths;
        config.epoch = Duration::from_secs(1_000_000);
        let stack = Stack::with_identity(config, identity.clone(), dht.clone(), rng, now);
        let watched = Watched::new(stack, dht.clone(), node, Some(person), &self.watch);
        let watched = if has_udp { watched } else { watched.without_udp() };
        self.sim.start(node, watched, &mut self.told);
        self.introduce(node, has_udp);
        self.make_friends(number);
    }

    /// In even pairs both know of each other; in odd ones the second asks the first. The second of each
    /// pair also asks the first of the next, who does not answer.
    fn make_friends(&mut self, number: usize) {
        let is_asked = number / 2 % 2 == 1;
        let partner = Self::partner(number);
        if !is_asked {
            let key = self.people[partner].identity.public;
            self.command(number, |stack, now| stack.add_friend(now, key));
        } else if number % 2 == 1 {
            self.ask(number, partner);
        }
        let next = (number + 1) % self.people.len();
        if number % 2 == 1 && next != partner {
            let (one, other) = (self.people[number].person, self.people[next].person);
            self.watch.borrow_mut().add_friend(one, other);
            self.ask(number, next);
        }
    }

    fn ask(&mut self, from: usize, to: usize) {
        let node = self.people[to].node;
        let id = self.sim.command(node, &mut self.told, |watched, _| watched.stack().tox_id());
        if let Some(id) = id.flatten() {
            self.command(from, |stack, now| stack.request_friend(now, &id, b"Well met!"));
        }
    }

    fn command<R>(&mut self, number: usize, command: impl FnOnce(&mut Stack, Time) -> R) {
        let node = self.people[number].node;
        self.sim.command(node, &mut self.told, |watched, now| command(watched.stack(), now));
    }

    /// Time goes by: nodes come and go, halfway persons start again.
    fn live(&mut self) {
        let half = self.plan.span / 2;
        self.churn(half);
        self.leak();
        let restarted = if self.plan.restarts { self.people.len() } else { 0 };
        for number in (0..restarted).step_by(2) {
            let identity = self.people[number].identity.clone();
            self.people[number].dht = self.dht_keys(number, &identity);
            self.start_person(number);
            let key = self.people[Self::partner(number)].identity.public;
            self.command(number, |stack, now| stack.add_friend(now, key));
        }
        self.churn(half);
    }

    fn churn(&mut self, span: Duration) {
        let (from, until) = (self.sim.now(), self.sim.now() + span);
        let nodes: Vec<NodeIndex> = self.members.iter().skip(ENTRIES).map(|it| it.node).collect();
        let churn = Churn {
            tick: CHURN_TICK,
            crash: self.plan.churn,
            restart: Chance::per_million(166_667),
        };
        let rng = &mut self.next_rng();
        for (at, node, change) in churn.plan(&nodes, from, until, rng) {
            self.sim.run_until(at, &mut self.told);
            let index = self.members.iter().position(|member| member.node == node);
            match (change, index) {
                (Change::Crash, _) => {
                    self.look_at_clients(node);
                    self.sim.crash(node);
                }
                (Change::Restart, Some(index)) if self.sim.machine(node).is_none() => {
                    self.start_member(index);
                }
                _ => {}
            }
        }
        self.sim.run_until(until, &mut self.told);
    }

    fn look_at_clients(&mut self, node: NodeIndex) {
        self.sim.command(node, &mut self.told, Watched::look_at_clients);
    }

    /// Lets the first person do what is planned, if anything is.
    fn leak(&mut self) {
        let Some(plant) = self.plan.plant else { return };
        let asker = KeyPair::generate(&mut self.rng.child("leak").child("asker"));
        self.leak_once(plant, None);
        if plant == Plant::ReusedPingId {
            self.run_for(Duration::from_secs(2));
            let answer = self.sim.machine(self.people[0].node).and_then(Watched::last_answer);
            let answer = answer.map(|answer| (answer.to_vec(), asker));
            self.leak_once(plant, answer);
        }
    }

    fn leak_once(&mut self, plant: Plant, answer: Option<(Vec<u8>, KeyPair)>) {
        let public: Vec<(NodeIndex, PublicKey)> = self
            .members
            .iter()
            .filter(|member| member.is_public)
            .map(|member| (member.node, member.keys.public))
            .collect();
        let nodes = core::array::from_fn(|index| {
            let (node, key) = public[index];
            Target { key, address: self.sim.network().address(node.0) }
        });
        let Inhabitant { node, identity, dht, .. } = &self.people[0];
        let friend = self.people[1].identity.public;
        let leaker = Leaker { identity, dht, friend, nodes, answer };
        let packets = leaker.packets(plant, &mut self.rng.child("leak"));
        let node = *node;
        self.sim.command(node, &mut self.told, |watched, _| {
            packets.into_iter().for_each(|(to, packet)| watched.plant(to, packet));
        });
    }

    fn sum_up(mut self) -> (Outcome, Vec<Link>) {
        for index in 0..self.members.len() {
            self.look_at_clients(self.members[index].node);
        }
        let is_up = |one: &Inhabitant, other: &Inhabitant| {
            let up = self.told.up.get(&one.node);
            up.is_some_and(|peers| peers.contains(&other.identity.public))
        };
        let connected = self.people.chunks(2).filter(|pair| match pair {
            [one, other] => is_up(one, other) && is_up(other, one),
            _ => false,
        });
        let watch = self.watch.borrow();
        let links = watch.links();
        let (saw_identity, saw_place) = watch.witnesses();
        let outcome = Outcome {
            seed: self.plan.seed,
            nodes: self.members.len(),
            people: self.people.len(),
            pairs: self.people.len() / 2,
            pairs_connected: connected.count(),
            virtual_seconds: self.sim.now().since(Time::ZERO).as_secs(),
            sights: watch.sight_count(),
            saw_identity,
            saw_place,
            links: links.iter().map(|link| format!("{link:?}")).collect(),
        };
        (outcome, links)
    }
}
