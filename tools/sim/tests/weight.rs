//! What a node weighs on the heap: 64 KiB at most while it is idle, in a small network or after others and
//! itself have looked for many nodes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]
#![expect(clippy::print_stdout, reason = "it tells what was measured")]

use core::time::Duration;
use std::alloc::System;
use std::sync::{Mutex, PoisonError};

use cap::Cap;
use toktok_sim::scenario::Summary;
use toktok_sim::scenario::mesh::{self, Plan};
use toktok_sim::weigh::weigh_all;

#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

const IDLE: u64 = 64 << 10;

fn allocated() -> usize {
    HEAP.allocated()
}

/// One test at a time: what another one allocates meanwhile would count too.
static TURN: Mutex<()> = Mutex::new(());

/// What the nodes of such a network weigh in the end.
fn weigh(nodes: usize, span: u64, lookups: usize) -> Summary {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let plan = Plan { nodes, span: Duration::from_secs(span), lookups, ..Plan::default() };
    let mut weight = None;
    let look = |sim: &mut mesh::MeshSim| weight = Some(weigh_all(sim, allocated));
    let _ = mesh::run_and_look(&plan, |_| (), look);
    let weight = weight.unwrap();
    println!("{nodes} nodes, {lookups} lookups: {weight:?}");
    assert_eq!(weight.count, nodes);
    weight
}

#[test]
fn a_node_is_light_when_idle() {
    assert!(weigh(60, 240, 0).max <= IDLE);
}

#[test]
fn a_node_is_light_after_it_was_busy() {
    assert!(weigh(300, 150, 1_000).max <= IDLE);
}
