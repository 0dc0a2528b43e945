//! What a node weighs: the bytes on the heap that go when it goes.

use core::fmt::Debug;

use toktok_mesh::Machine;

use crate::kernel::{IoModel, NodeIndex, Sim};
use crate::scenario::Summary;

/// Lets all nodes of a simulation go, one by one, and counts what each had on the heap, its own value
/// included. `allocated` tells how many bytes the program has on the heap now: its allocator counts
/// them.
pub fn weigh_all<M, I>(sim: &mut Sim<M, I>, allocated: impl Fn() -> usize) -> Summary
where
    M: Machine<Event: Debug>,
    I: IoModel<M>,
{
    let nodes: Vec<NodeIndex> = sim.running().map(|(node, _)| node).collect();
    Summary::of(nodes.into_iter().map(|node| weigh(sim, node, &allocated)))
}

/// The same for one node.
pub fn weigh<M, I>(sim: &mut Sim<M, I>, node: NodeIndex, allocated: impl Fn() -> usize) -> u64
where
    M: Machine<Event: Debug>,
    I: IoModel<M>,
{
    let Some(machine) = sim.crash(node) else { return 0 };
    let before = allocated();
    drop(machine);
    (before.saturating_sub(allocated()) + size_of::<M>()) as u64
}
