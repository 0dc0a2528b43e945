//! Who can reach whom when the network is torn.

use std::collections::{BTreeMap, BTreeSet};

/// A side of a partition.
pub type Side = u16;

/// A torn network: nodes on sides, and the ordered pairs of sides that do not reach each other.
#[derive(Clone, Debug, Default)]
pub struct Partition {
    sides: BTreeMap<usize, Side>,
    cut: BTreeSet<(Side, Side)>,
}

impl Partition {
    /// Nobody is cut off.
    pub fn whole() -> Self {
        Self::default()
    }

    /// The nodes of `isolated` reach each other but nobody else, and the other way round.
    pub fn isolate(isolated: impl IntoIterator<Item = usize>) -> Self {
        let mut partition = Self::default();
        for node in isolated {
            partition.place(node, 1);
        }
        partition.cut(0, 1);
        partition.cut(1, 0);
        partition
    }

    /// Puts a node on a side; all begin on side 0.
    pub fn place(&mut self, node: usize, side: Side) {
        self.sides.insert(node, side);
    }

    /// Cuts one direction: packets of `from` no longer reach `to`.
    pub fn cut(&mut self, from: Side, to: Side) {
        self.cut.insert((from, to));
    }

    /// Whether a packet of node `from` reaches node `to`.
    pub fn passes(&self, from: usize, to: usize) -> bool {
        self.cut.is_empty() || !self.cut.contains(&(self.side(from), self.side(to)))
    }

    fn side(&self, node: usize) -> Side {
        self.sides.get(&node).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_both_ways_or_one_way() {
        let both = Partition::isolate([1, 2]);
        assert!(both.passes(1, 2) && both.passes(0, 3));
        assert!(!both.passes(0, 1) && !both.passes(2, 3));
        let mut one_way = Partition::whole();
        one_way.place(1, 7);
        one_way.cut(7, 0);
        assert!(!one_way.passes(1, 0) && one_way.passes(0, 1));
    }
}
