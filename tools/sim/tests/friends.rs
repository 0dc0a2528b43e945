//! Friends who know nothing of each other but their identities find each other: the onion, the DHT,
//! hole punching, relays and sessions of the shipped stacks together.

use core::time::Duration;

use toktok_sim::scenario::{World, env_seed, friends};
use toktok_sim::{Chance, Loss};

fn plan() -> friends::Plan {
    friends::Plan {
        nodes: 60,
        span: Duration::from_secs(180),
        pairs: 20,
        pairs_span: Duration::from_secs(60),
        seed: env_seed(1),
        world: World { loss: Loss::Independent(Chance::percent(5)), ..World::default() },
        ..friends::Plan::default()
    }
}

#[test]
fn friends_behind_nats_meet_in_a_lossy_network_under_churn() {
    let (outcome, _) = friends::run(&plan(), |_| ());
    assert_eq!(outcome.pairs, 20);
    assert_eq!(outcome.pairs_connected, 20, "{outcome:?}");
    assert!(outcome.connect_millis.median < 6_000, "{outcome:?}");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let small = friends::Plan { nodes: 20, pairs: 4, ..plan() };
    let [first, second] = [(); 2].map(|()| friends::run(&small, |_| ()).0.trace_hash);
    assert_eq!(first, second);
}
