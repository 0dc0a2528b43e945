//! A person's node that does nothing costs its owner little, and serves others all the same.

use toktok_sim::scenario::{env_seed, idle};

#[test]
fn an_idle_node_is_frugal_and_serves_others() {
    for nodes in [8, 24] {
        let plan = idle::Plan { nodes, seed: env_seed(1), ..idle::Plan::default() };
        let outcome = idle::run(&plan);
        assert!(outcome.is_good(), "{outcome:#?}");
        // A bucket of the close list has eight places.
        assert!(outcome.known >= 7.0, "{outcome:#?}");
    }
}
