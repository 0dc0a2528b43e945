//! The mesh in virtual time: it converges, it finds, it heals, and a seed says it all.
//!
//! `SIM_SEED` replays another seed: `SIM_SEED=7 cargo test --release -p toktok-sim`.

use core::time::Duration;

use toktok_mesh::{Config, Event, KeyPair, Stack, Time};
use toktok_sim::fault::{Corrupting, Dropping, Mixed, Replaying};
use toktok_sim::network::{Chance, Dependence, Loss, NatModel, Partition, Realm};
use toktok_sim::scenario::mesh::{self, Plan};
use toktok_sim::scenario::{Keys, World, env_seed, seed_rng};
use toktok_sim::{Attachment, NoIo, NodeIndex, Sim};

fn plan(nodes: usize) -> Plan {
    let span = Duration::from_secs(150);
    let join_span = Duration::from_secs(5);
    Plan { nodes, span, join_span, lookups: 100, seed: env_seed(1), ..Plan::default() }
}

#[test]
fn fifty_nodes_converge_and_find_each_other() {
    let (outcome, _) = mesh::run(&plan(50), |_| ());
    assert!(outcome.is_good(), "{outcome:#?}");
    assert_eq!((outcome.lookups, outcome.stale_deadlines), (100, 0), "{outcome:#?}");
}

#[test]
fn bursts_of_loss_do_not_keep_it_from_converging() {
    let mut plan = plan(40);
    plan.world.loss = Loss::Bursts {
        begin: Chance::percent(1),
        end: Chance::percent(20),
        good: Chance::per_million(5_000),
        bad: Chance::percent(60),
    };
    let (outcome, _) = mesh::run(&plan, |_| ());
    assert!(outcome.converged >= 0.95 && outcome.lookup_success >= 0.95, "{outcome:#?}");
}

#[test]
fn one_seed_one_trace() {
    let hash = |seed| mesh::run(&Plan { seed, ..plan(30) }, |_| ()).0.trace_hash;
    let seed = env_seed(1);
    assert_eq!(hash(seed), hash(seed));
    assert_ne!(hash(seed), hash(seed + 1));
}

type Mesh = Sim<Mixed<Stack>, NoIo>;

fn ignore(_: Time, _: NodeIndex, _: &mut Mixed<Stack>, _: Event) {}

/// Starts `count` nodes, one a 100 ms, each wrapped by what `wrap` makes of it; all join through
/// the first.
fn join(
    count: usize,
    realm: impl Fn(&mut Mesh) -> Realm,
    wrap: impl Fn(usize, Stack) -> Mixed<Stack>,
) -> Mesh {
    let rng = seed_rng(env_seed(1));
    let (mut sim, mut world_rng) = (Mesh::new(&rng, NoIo), rng.child("world"));
    let mut first = None;
    for index in 0..count {
        sim.run_until(Time::from_millis(100 * index as u64), &mut ignore);
        let realm = if index == 0 { Realm::INTERNET } else { realm(&mut sim) };
        let links = World::default().attachment(&mut world_rng);
        let node = sim.attach(Attachment { realm, ..links });
        let own = rng.child(&format!("node {index}"));
        let pair = KeyPair::generate(&mut own.child("key"));
        let stack = Stack::new(Config::default(), pair, own.child("stack"), sim.now());
        let first = *first.get_or_insert(stack.public_key());
        sim.start(node, wrap(index, stack), &mut ignore);
        if index > 0 {
            let address = sim.network().address(0);
            sim.command(node, &mut ignore, |node, now| {
                node.inner_mut().bootstrap(now, address, first);
            });
        }
    }
    sim
}

fn honest(_: usize, stack: Stack) -> Mixed<Stack> {
    Mixed::Honest(stack)
}

fn public(_: &mut Mesh) -> Realm {
    Realm::INTERNET
}

/// Running nodes that are converged, and all running ones.
fn converged(sim: &Mesh) -> (usize, usize) {
    let keys = Keys::new(sim.running().map(|(_, node)| node.inner().public_key()));
    let is_good = |node: &Mixed<Stack>| mesh::is_converged(node.inner(), &keys);
    (sim.running().filter(|(_, node)| is_good(node)).count(), sim.running().count())
}

#[test]
fn it_closes_ranks_when_a_quarter_dies_at_once() {
    let mut sim = join(40, public, honest);
    sim.run_until(Time::from_secs(60), &mut ignore);
    assert_eq!(converged(&sim), (40, 40));
    for node in (0..40).step_by(4) {
        assert!(sim.crash(NodeIndex(node)).is_some());
    }
    sim.run_until(Time::from_secs(360), &mut ignore);
    assert_eq!(converged(&sim), (30, 30));
}

#[test]
fn it_grows_together_again_after_a_partition() {
    let mut sim = join(40, public, honest);
    sim.run_until(Time::from_secs(60), &mut ignore);
    sim.network().set_partition(Partition::isolate(0..20));
    sim.run_until(Time::from_secs(150), &mut ignore);
    sim.network().set_partition(Partition::whole());
    sim.run_until(Time::from_secs(330), &mut ignore);
    assert_eq!(converged(&sim), (40, 40));
}

#[test]
fn misbehaving_nodes_do_not_keep_the_honest_ones_apart() {
    let often = Chance::percent(30);
    let sim = &mut join(40, public, |index, stack| {
        let rng = seed_rng(index as u64);
        match index % 10 {
            7 => Mixed::Dropping(Dropping::new(stack, often, rng)),
            8 => Mixed::Replaying(Replaying::new(stack, often, rng)),
            9 => Mixed::Corrupting(Corrupting::new(stack, often, rng)),
            _ => Mixed::Honest(stack),
        }
    });
    sim.run_until(Time::from_secs(300), &mut ignore);
    let (good, all) = converged(sim);
    assert!(good * 100 >= all * 95, "{good} of {all}");
    let drops: u64 = sim.running().map(|(_, node)| node.inner().drops().total()).sum();
    assert!(drops > 0, "what is damaged or old is counted");
}

#[test]
fn nodes_behind_nats_find_the_public_ones() {
    // Every other node stands behind a NAT of its own, of all kinds of mapping and filtering in turn.
    let behind_nats = |sim: &mut Mesh| {
        let number = sim.running().count();
        if number % 2 == 1 {
            return Realm::INTERNET;
        }
        let kind = |digit| Dependence::ALL[digit % 3];
        let (mapping, filtering) = (kind(number / 2), kind(number / 6));
        let model = NatModel { mapping, filtering, ..NatModel::default() };
        sim.network().add_nat(Realm::INTERNET, model)
    };
    let mut sim = join(40, behind_nats, honest);
    sim.run_until(Time::from_secs(120), &mut ignore);
    let mut found = 0;
    for hidden in (2..40).step_by(2) {
        let public = NodeIndex(hidden - 1);
        let target = sim.machine(public).map(|node| node.inner().public_key()).unwrap();
        let right = sim.network().address(public.0);
        let mut hear = |_: Time, _: NodeIndex, _: &mut Mixed<Stack>, event: Event| {
            if let Event::LookupDone { key, address, .. } = event {
                found += usize::from(key == target && address == Some(right));
            }
        };
        let lookup = |node: &mut Mixed<Stack>, now: Time| node.inner_mut().lookup(now, target);
        sim.command(NodeIndex(hidden), &mut hear, lookup);
        let until = sim.now() + mesh::LOOKUP_LIMIT;
        sim.run_until(until, &mut hear);
    }
    assert!(found >= 18, "{found} of 19 found");
}
