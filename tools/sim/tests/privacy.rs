//! Nobody who is no friend can tell from the packets that it handled who is where; and the check that
//! says so finds each leak that was made on purpose.

use core::time::Duration;

use toktok_sim::Chance;
use toktok_sim::privacy::Plant;
use toktok_sim::scenario::env_seed;
use toktok_sim::scenario::privacy::{Plan, run};

/// Few nodes for a short time: enough for one leak to show.
fn small() -> Plan {
    Plan {
        nodes: 10,
        natted: Chance::percent(0),
        udp_pairs: 1,
        relay_pairs: 0,
        span: Duration::from_secs(20),
        churn: Chance::percent(0),
        restarts: false,
        seed: env_seed(1),
        ..Plan::default()
    }
}

#[test]
fn nobody_can_tell_where_persons_are() {
    let plan = Plan {
        udp_pairs: 3,
        relay_pairs: 2,
        span: Duration::from_secs(240),
        seed: env_seed(1),
        ..Plan::default()
    };
    let (outcome, links) = run(&plan);
    assert_eq!(links, [], "{outcome:?}");
    assert!(outcome.is_good(), "{outcome:?}");
    assert!(outcome.saw_identity >= 20 && outcome.saw_place >= 40, "{outcome:?}");
}

#[test]
fn without_a_leak_the_small_network_has_none_either() {
    let (outcome, links) = run(&small());
    assert_eq!(links, []);
    assert!(outcome.is_good(), "{outcome:?}");
}

#[test]
fn each_planted_leak_is_found() {
    for plant in Plant::ALL {
        let (udp_pairs, relay_pairs) = if plant.is_for_relays() { (0, 1) } else { (1, 0) };
        let plan = Plan { udp_pairs, relay_pairs, plant: Some(plant), ..small() };
        let (outcome, links) = run(&plan);
        let is_found = |link: &toktok_sim::privacy::Link| link.place.0 == 0;
        assert!(links.iter().any(is_found), "{plant:?}: {outcome:?}");
        println!("{plant:?}: {:?}", links.iter().find(|link| is_found(link)));
    }
}
