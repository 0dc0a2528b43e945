//! The file system in virtual time: files outlive nodes, and a seed says it all.

use core::time::Duration;

use toktok_sim::Chance;
use toktok_sim::scenario::env_seed;
use toktok_sim::scenario::tdfs::{self, Outcome, Plan};

fn run(plan: &Plan) -> Outcome {
    tdfs::run(plan, |_| (), |failure| eprintln!("{failure}")).0
}

fn plan() -> Plan {
    Plan {
        nodes: 30,
        files: 4,
        join_span: Duration::from_secs(5),
        settle: Duration::from_secs(40),
        mourning: Duration::from_secs(40),
        seed: env_seed(1),
        ..Plan::default()
    }
}

#[test]
fn files_outlive_a_fifth_of_the_nodes() {
    let outcome = run(&plan());
    assert_eq!((outcome.died, outcome.puts_done), (6, 4), "{outcome:#?}");
    assert_eq!((outcome.gets, outcome.gets_right), (4, 4), "{outcome:#?}");
    assert!(outcome.neighbours.max <= Outcome::MAX_SESSIONS, "{outcome:#?}");
}

#[test]
fn one_seed_one_trace() {
    let short = |seed| Plan { nodes: 12, files: 2, dying: Chance::NEVER, seed, ..plan() };
    let hash = |seed| run(&short(seed)).trace_hash;
    let seed = env_seed(1);
    assert_eq!(hash(seed), hash(seed));
    assert_ne!(hash(seed), hash(seed + 1));
}
