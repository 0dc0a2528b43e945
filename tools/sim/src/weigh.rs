//! What a node weighs: the bytes on the heap that go when it goes.

use toktok_mesh::Stack;

use crate::kernel::{IoModel, NodeIndex, Sim};
use crate::scenario::Summary;

/// Lets all nodes of a simulation go, one by one, and counts what each had on the heap, its own value
/// included. `allocated` tells how many bytes the program has on the heap now: its allocator counts
/// them.
pub fn weigh_all<I>(sim: &mut Sim<Stack, I>, allocated: impl Fn() -> usize) -> Summary
where
    I: IoModel<Stack>,
{
    let nodes: Vec<NodeIndex> = sim.running().map(|(node, _)| node).collect();
    Summary::of(nodes.into_iter().map(|node| weigh(sim, node, &allocated)))
}

/// The same for one node.
pub fn weigh<I>(sim: &mut Sim<Stack, I>, node: NodeIndex, allocated: impl Fn() -> usize) -> u64
where
    I: IoModel<Stack>,
{
    let Some(stack) = sim.crash(node) else { return 0 };
    let before = allocated();
    drop(stack);
    (before.saturating_sub(allocated()) + size_of::<Stack>()) as u64
}
