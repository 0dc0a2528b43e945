//! Nodes that come and go.

use core::time::Duration;

use toktok_mesh::{Rng, Time};

use crate::kernel::NodeIndex;
use crate::network::Chance;

/// What happens to a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// It stops without a word.
    Crash,
    /// It starts again.
    Restart,
}

/// A memoryless coming and going, in steps of whole ticks (so that it needs no logarithm).
#[derive(Clone, Copy, Debug)]
pub struct Churn {
    /// How finely time is divided.
    pub tick: Duration,
    /// Chance a tick that a running node crashes: tick ÷ chance is the mean session.
    pub crash: Chance,
    /// Chance a tick that a crashed node comes back.
    pub restart: Chance,
}

impl Churn {
    /// All changes of `nodes`, which run at `from`, before `until`: in order of time.
    pub fn plan(
        &self,
        nodes: &[NodeIndex],
        from: Time,
        until: Time,
        rng: &mut Rng,
    ) -> Vec<(Time, NodeIndex, Change)> {
        let mut running = vec![true; nodes.len()];
        let mut changes = Vec::new();
        let mut at = from + self.tick;
        while at < until && self.tick > Duration::ZERO {
            for (&node, running) in nodes.iter().zip(&mut running) {
                let (chance, change) = if *running {
                    (self.crash, Change::Crash)
                } else {
                    (self.restart, Change::Restart)
                };
                if chance.draw(rng) {
                    *running = !*running;
                    changes.push((at, node, change));
                }
            }
            at += self.tick;
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crashes_and_restarts_alternate_at_the_rate_asked_for() {
        let churn = Churn {
            tick: Duration::from_secs(1),
            crash: Chance::percent(1),
            restart: Chance::percent(10),
        };
        let nodes: Vec<NodeIndex> = (0..50).map(NodeIndex).collect();
        let (from, until) = (Time::from_secs(10), Time::from_secs(2_010));
        let plan = churn.plan(&nodes, from, until, &mut Rng::from_seed([1; 32]));
        assert!(plan.windows(2).all(|pair| pair[0].0 <= pair[1].0));
        assert!(plan.iter().all(|(at, ..)| *at > from && *at < until));
        for node in nodes {
            let own = plan.iter().filter(|(_, index, _)| *index == node);
            let changes: Vec<Change> = own.map(|(.., change)| *change).collect();
            assert!(changes.iter().step_by(2).all(|change| *change == Change::Crash));
            assert!(changes.iter().skip(1).step_by(2).all(|change| *change == Change::Restart));
        }
        // A cycle is 110 s on average: 50 nodes over 2,000 s make about 909 of them.
        assert!((1_500..2_100).contains(&plan.len()), "{} changes", plan.len());
    }
}
