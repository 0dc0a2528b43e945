//! Who does what in the demo, drawn by lot from the seed.

use toktok_mesh::Rng;

/// The parts that the nodes play, by number. Node 0 is the one that the others begin with; it may
/// die like any other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Lots {
    /// How many nodes there are.
    pub(super) nodes: usize,
    /// Stores the file, and dies.
    pub(super) uploader: usize,
    /// Those that die: the uploader and a quarter of the others.
    pub(super) killed: Vec<usize>,
    /// Fetches the file.
    pub(super) fetcher: usize,
    /// Submits the job.
    pub(super) originator: usize,
    /// Works, and lies.
    pub(super) liar: usize,
}

impl Lots {
    /// Draws the parts among `nodes` nodes, at least 8.
    pub(super) fn draw(nodes: usize, rng: &mut Rng) -> Self {
        let mut order: Vec<usize> = (0..nodes).collect();
        rng.shuffle(&mut order);
        let deaths = 1 + (nodes - 1) / 4;
        let (dead, alive) = order.split_at(deaths.min(nodes - 3));
        let mut killed = dead.to_vec();
        killed.sort_unstable();
        Self {
            nodes,
            uploader: dead[0],
            killed,
            fetcher: alive[0],
            originator: alive[1],
            liar: alive[2],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_played_by_different_nodes() {
        for seed in 0..50 {
            for nodes in [8, 12, 64] {
                let lots = Lots::draw(nodes, &mut Rng::from_seed([seed; 32]));
                assert_eq!(lots.killed.len(), 1 + (nodes - 1) / 4);
                assert!(lots.killed.contains(&lots.uploader));
                let living = [lots.fetcher, lots.originator, lots.liar];
                assert!(living.iter().all(|node| !lots.killed.contains(node)));
                assert!(living[0] != living[1] && living[1] != living[2] && living[0] != living[2]);
            }
        }
    }
}
