//! What a node weighs on the heap: 64 KiB at most while it is idle in a small network.

use core::time::Duration;
use std::alloc::System;

use cap::Cap;
use toktok_sim::scenario::mesh::{self, Plan};
use toktok_sim::weigh::weigh_all;

#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

const IDLE: u64 = 64 << 10;

fn allocated() -> usize {
    HEAP.allocated()
}

/// Nodes of a network in which nothing happens. One test only: what other threads allocate would count
/// too.
#[test]
fn a_node_is_light_when_idle() {
    let (nodes, span) = (60, Duration::from_secs(240));
    let plan = Plan { nodes, span, lookups: 0, ..Plan::default() };
    let mut weight = None;
    let look = |sim: &mut mesh::MeshSim| weight = Some(weigh_all(sim, allocated));
    let _ = mesh::run_and_look(&plan, |_| (), look);
    let weight = weight.unwrap();
    assert_eq!(weight.count, nodes);
    assert!(weight.max <= IDLE, "{weight:?}");
}
