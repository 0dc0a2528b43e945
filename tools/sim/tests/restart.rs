//! Nodes that start again, and who looks for them: in very small networks everybody was a neighbour of
//! the one that is gone, so that what is left of it is in everybody's way.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]
#![expect(clippy::print_stdout, reason = "it tells what was measured")]

use core::time::Duration;

use toktok_mesh::wire::ToxId;
use toktok_mesh::{Address, Config, Event, KeyPair, PublicKey, Rng, Stack, Time};
use toktok_sim::scenario::{World, env_seed, seed_rng};
use toktok_sim::{NoIo, NodeIndex, Sim};

/// Within which time a friend request must come, always; twice as long where half of a network is gone.
const LATE: Duration = Duration::from_secs(15);
/// How long is waited for one.
const PATIENCE: Duration = Duration::from_secs(600);

/// A machine: two nodes, as our program has them. The one serves; the other is a person's, with a DHT
/// key of its own in each run, and shuns the first.
struct Host {
    provider: NodeIndex,
    person: NodeIndex,
    keys: KeyPair,
    identity: KeyPair,
    runs: u32,
}

/// What the people were told.
#[derive(Default)]
struct Told {
    requests: Vec<(Time, NodeIndex)>,
    /// Sessions that began.
    up: Vec<(Time, NodeIndex)>,
}

struct Run {
    rng: Rng,
    sim: Sim<Stack, NoIo>,
    told: Told,
    hosts: Vec<Host>,
}

impl Run {
    /// So many machines that all begin with the first one's provider, of which the person knows nobody.
    fn new(seed: u64, hosts: usize) -> Self {
        let rng = seed_rng(seed);
        let (mut sim, mut world) = (Sim::new(&rng, NoIo), rng.child("world"));
        let mut places = Vec::new();
        for number in 0..hosts {
            let [provider, person] =
                [(); 2].map(|()| sim.attach(World::default().attachment(&mut world)));
            let pair = |name| KeyPair::generate(&mut rng.child(&format!("{name} {number}")));
            let (keys, identity) = (pair("provider"), pair("person"));
            places.push(Host { provider, person, keys, identity, runs: 0 });
        }
        let mut run = Self { rng, sim, told: Told::default(), hosts: places };
        for number in 0..hosts {
            let entry = (number > 0).then(|| run.entry(0));
            run.start(number, &entry.into_iter().collect::<Vec<_>>());
            run.pass(Duration::from_secs(1));
        }
        run.pass(Duration::from_secs(20));
        run
    }

    fn entry(&mut self, host: usize) -> (PublicKey, Address) {
        let Host { provider, keys, .. } = &self.hosts[host];
        (keys.public, self.sim.network().address(provider.0))
    }

    fn start(&mut self, host: usize, nodes: &[(PublicKey, Address)]) {
        let Host { provider, person, keys, identity, runs } = &mut self.hosts[host];
        *runs += 1;
        let rng = self.rng.child(&format!("run {runs} of {host}"));
        let dht = KeyPair::generate(&mut rng.child("dht key"));
        let mut config = Config::person();
        config.allow_short_paths = true;
        config.dht.shunned = vec![keys.public];
        let now = self.sim.now();
        config.epoch = Duration::from_secs(1_700_000_000) + now.since(Time::ZERO);
        let (server, own) = (rng.child("provider"), rng.child("person"));
        let stacks = [
            (*provider, Stack::new(Config::default(), keys.clone(), server, now)),
            (*person, Stack::with_identity(config, identity.clone(), dht, own, now)),
        ];
        for (node, mut stack) in stacks {
            stack.load_nodes(now, nodes);
            self.observe(|sim, told| {
                sim.start(node, stack, &mut |at, node, _: &mut Stack, event| {
                    told.note(at, node, &event)
                });
            });
        }
    }

    fn observe<R>(&mut self, act: impl FnOnce(&mut Sim<Stack, NoIo>, &mut Told) -> R) -> R {
        act(&mut self.sim, &mut self.told)
    }

    /// Ends both nodes; what they would have saved.
    fn stop(&mut self, host: usize) -> Vec<(PublicKey, Address)> {
        let Host { provider, person, .. } = self.hosts[host];
        let saved = self.sim.machine(provider).unwrap().nodes_to_save();
        self.sim.crash(provider);
        self.sim.crash(person);
        saved
    }

    fn pass(&mut self, span: Duration) {
        let until = self.sim.now() + span;
        self.observe(|sim, told| {
            sim.run_until(until, &mut |at, node, _: &mut Stack, event| told.note(at, node, &event));
        });
    }

    /// The machine's nodes start somewhere else from now on.
    fn move_away(&mut self, host: usize) {
        let mut world = self.rng.child("elsewhere");
        let mut place = || self.sim.attach(World::default().attachment(&mut world));
        (self.hosts[host].provider, self.hosts[host].person) = (place(), place());
    }

    /// How long a request of one person to another one takes, if it comes at all.
    fn ask(&mut self, from: usize, to: usize) -> Option<Duration> {
        let (asker, asked) = (self.hosts[from].person, self.hosts[to].person);
        let id: ToxId = self.sim.machine(asked).unwrap().tox_id().unwrap();
        let begun = self.sim.now();
        self.told.requests.clear();
        self.command(asker, |stack, now| assert!(stack.request_friend(now, &id, b"hello")));
        self.wait_for(|told| &told.requests, asked).map(|at| at.since(begun))
    }

    /// Makes each person the other one's friend.
    fn befriend(&mut self, one: usize, other: usize) {
        for (own, friend) in [(one, other), (other, one)] {
            let (own, friend) = (self.hosts[own].person, self.hosts[friend].identity.public);
            self.command(own, |stack, now| assert!(stack.add_friend(now, friend)));
        }
    }

    fn command(&mut self, node: NodeIndex, command: impl FnOnce(&mut Stack, Time)) {
        self.observe(|sim, told| {
            let mut note = |at, node, _: &mut Stack, event| told.note(at, node, &event);
            sim.command(node, &mut note, command);
        });
    }

    /// Waits until that happens at this node.
    fn wait_for(
        &mut self,
        what: impl Fn(&Told) -> &Vec<(Time, NodeIndex)>,
        node: NodeIndex,
    ) -> Option<Time> {
        let until = self.sim.now() + PATIENCE;
        loop {
            let it = what(&self.told).iter().find(|(_, at)| *at == node).map(|(at, _)| *at);
            if it.is_some() || self.sim.now() >= until {
                return it;
            }
            self.pass(Duration::from_millis(100));
        }
    }
}

impl Told {
    fn note(&mut self, at: Time, node: NodeIndex, event: &Event) {
        match event {
            Event::FriendRequest { .. } => self.requests.push((at, node)),
            Event::SessionUp { .. } => self.up.push((at, node)),
            _ => {}
        }
    }
}

fn assert_within(limit: Duration, times: Vec<Option<Duration>>) {
    println!("{times:?}");
    assert!(times.iter().all(|time| time.is_some_and(|time| time <= limit)), "{times:?}");
}

/// Which machines end for good, and where the one begins anew that starts again.
#[derive(Clone, Copy)]
struct Plan {
    hosts: usize,
    gone: &'static [usize],
    moves: bool,
}

/// How long requests to the third machine's person take after that: of the second one's, or of the
/// fourth one's, which starts with another key and knows the second.
fn times(plan: Plan, asks_anew: bool) -> Vec<Option<Duration>> {
    let run = |seed| {
        let mut run = Run::new(env_seed(1) + seed, plan.hosts);
        let saved = run.stop(2);
        plan.gone.iter().for_each(|host| drop(run.stop(*host)));
        run.pass(Duration::from_secs(2));
        if plan.moves {
            run.move_away(2);
        }
        run.start(2, &saved);
        run.pass(Duration::from_secs(3));
        if !asks_anew {
            return run.ask(1, 2);
        }
        let entry = run.entry(1);
        run.start(3, &[entry]);
        run.pass(Duration::from_secs(1));
        run.ask(3, 2)
    };
    (0..8).map(run).collect()
}

#[test]
fn who_was_there_before_asks_one_that_started_again() {
    assert_within(LATE, times(Plan { hosts: 3, gone: &[], moves: false }, false));
}

#[test]
fn who_was_there_before_asks_one_that_started_again_elsewhere() {
    assert_within(LATE, times(Plan { hosts: 3, gone: &[], moves: true }, false));
}

#[test]
fn who_was_there_before_asks_one_that_started_again_when_another_one_is_gone() {
    assert_within(2 * LATE, times(Plan { hosts: 4, gone: &[3], moves: true }, false));
}

#[test]
fn who_is_new_asks_one_that_started_again_when_the_entry_is_gone() {
    assert_within(LATE, times(Plan { hosts: 4, gone: &[0, 3], moves: false }, true));
}

#[test]
fn friends_meet_again_when_one_starts_again() {
    let run = |(seed, away)| {
        let mut run = Run::new(env_seed(1) + seed, 3);
        run.befriend(1, 2);
        let (ada, bob) = (run.hosts[1].person, run.hosts[2].person);
        run.wait_for(|told| &told.up, ada).unwrap();
        run.pass(Duration::from_secs(60));
        let saved = run.stop(2);
        run.pass(away);
        run.told.up.clear();
        run.start(2, &saved);
        let begun = run.sim.now();
        run.befriend(1, 2);
        run.wait_for(|told| &told.up, bob).map(|at| at.since(begun))
    };
    let away = [Duration::from_secs(2), Duration::from_secs(100)];
    let plans = (0..4).flat_map(|seed| away.map(|away| (seed, away)));
    assert_within(LATE, plans.map(run).collect());
}
