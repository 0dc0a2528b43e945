//! Arithmetic on a neighbourhood: who is nearest on each side, how many nodes there may be, how far a
//! region reaches.

use toktok_wire::PublicKey;

use super::location::Location;

/// A node and its place.
pub(super) type Placed = (PublicKey, Location);

/// The nearest on each side of a place, nearest first; in a small network one node may be on both.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Leaves {
    pub(super) up: Vec<Placed>,
    pub(super) down: Vec<Placed>,
}

impl Leaves {
    /// The `side` nearest of `nodes` on each side of `place`.
    pub(super) fn of(place: Location, nodes: &[Placed], side: usize) -> Self {
        let mut up = nodes.to_vec();
        let mut down = nodes.to_vec();
        up.sort_by_key(|(_, at)| place.clockwise(*at));
        down.sort_by_key(|(_, at)| at.clockwise(place));
        up.truncate(side);
        down.truncate(side);
        Self { up, down }
    }

    /// True if the node is on either side.
    pub(super) fn contains(&self, node: &PublicKey) -> bool {
        self.up.iter().chain(&self.down).any(|(key, _)| key == node)
    }
}

/// How many nodes the network has, from the density of `nodes` around `place` (at least 1, this node
/// itself). A node that knows fewer than both sides of a leaf set knows them all, or has just come.
pub(super) fn estimate_size(place: Location, nodes: &[Placed], side: usize) -> u64 {
    if nodes.len() < 2 * side || side == 0 {
        return nodes.len() as u64 + 1;
    }
    let leaves = Leaves::of(place, nodes, side);
    let up = leaves.up.last().map_or(0, |(_, at)| place.clockwise(*at));
    let down = leaves.down.last().map_or(0, |(_, at)| at.clockwise(place));
    let arc = (up >> 64) + (down >> 64);
    let inside = (leaves.up.len() + leaves.down.len()) as u128;
    let size = (inside << 64) / arc.max(1);
    u64::try_from(size).unwrap_or(u64::MAX).max(nodes.len() as u64) + 1
}

/// How far a region of `gaps` average gaps reaches on each side; half the ring at most.
pub(super) fn radius(size: u64, gaps: u64) -> u128 {
    let half = 1_u128 << 127;
    if size <= gaps.saturating_mul(2) {
        return half;
    }
    (u128::MAX / u128::from(size)).saturating_mul(u128::from(gaps)).min(half)
}

/// Greedy hops to allow in a network of `size` nodes: log2 rounded up, and some to spare.
pub(super) fn hop_budget(size: u64, spare: u8) -> u8 {
    let log2 = u64::BITS - size.saturating_sub(1).leading_zeros();
    (log2 as u8).saturating_add(spare).clamp(1, super::message::MAX_BUDGET)
}

/// Which bucket a distance falls into: its number of bits.
pub(super) const fn bucket(distance: u128) -> u32 {
    u128::BITS - distance.leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn even(count: u8) -> Vec<Placed> {
        let gap = u128::MAX / u128::from(count);
        (1..count).map(|i| (PublicKey([i; 32]), Location(gap * u128::from(i)))).collect()
    }

    #[test]
    fn leaves_are_the_nearest_on_each_side() {
        let nodes = even(100);
        let leaves = Leaves::of(Location(0), &nodes, 3);
        let keys = |side: &[Placed]| side.iter().map(|(key, _)| key.0[0]).collect::<Vec<_>>();
        assert_eq!((keys(&leaves.up), keys(&leaves.down)), (vec![1, 2, 3], vec![99, 98, 97]));
        assert!(leaves.contains(&PublicKey([99; 32])) && !leaves.contains(&PublicKey([50; 32])));
    }

    #[test]
    fn the_size_follows_from_density() {
        let mut near = even(200);
        near.retain(|(_, at)| Location(0).distance(*at) < u128::MAX / 20);
        assert!((195..=205).contains(&estimate_size(Location(0), &near, 5)));
        assert_eq!(estimate_size(Location(0), &even(4), 5), 4);
        assert_eq!(estimate_size(Location(0), &[], 5), 1);
    }

    #[test]
    fn regions_and_budgets_grow_as_they_should() {
        assert_eq!(radius(3, 16), 1 << 127);
        assert_eq!(radius(1 << 20, 16) >> 100, (1 << 12) - 1);
        assert_eq!([1, 2, 12, 500, 1 << 20].map(|n| hop_budget(n, 6)), [6, 7, 10, 15, 26]);
        assert_eq!(hop_budget(u64::MAX, 6), 64);
        assert_eq!([0, 1, u128::MAX].map(bucket), [0, 1, 128]);
    }
}
