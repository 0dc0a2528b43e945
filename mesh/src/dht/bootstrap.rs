//! Nodes that the user named, and when to ask them: at once, again while they are silent, at once when
//! everybody else has gone, and now and then in any case, for a network that fell in two finds together
//! only through nodes that it did not choose itself.

use super::config::{
    BOOTSTRAP_ATTEMPTS, BOOTSTRAP_RETRY, BOOTSTRAP_RETRY_MAX, BOOTSTRAP_REVISIT,
    MAX_BOOTSTRAP_NODES,
};
use crate::wire::{Address, PublicKey, Time};

#[derive(Debug)]
struct BootstrapNode {
    key: PublicKey,
    address: Address,
    /// Times it was asked since it answered last.
    attempts: u32,
    due: Time,
}

/// The bootstrap nodes.
#[derive(Debug, Default)]
pub(super) struct Bootstrap {
    nodes: Vec<BootstrapNode>,
}

impl Bootstrap {
    /// Remembers a node and makes it due. Of too many, the oldest is forgotten.
    pub(super) fn add(&mut self, now: Time, key: PublicKey, address: Address) {
        self.nodes.retain(|node| node.key != key || node.address != address);
        if self.nodes.len() == MAX_BOOTSTRAP_NODES {
            self.nodes.remove(0);
        }
        self.nodes.push(BootstrapNode { key, address, attempts: 0, due: now });
    }

    /// Notes that a node answered, if it is one of these.
    pub(super) fn answered(&mut self, now: Time, key: &PublicKey) {
        for node in self.nodes.iter_mut().filter(|node| node.key == *key) {
            node.attempts = 0;
            node.due = now + BOOTSTRAP_REVISIT;
        }
    }

    /// Nobody else is left: all are due.
    pub(super) fn hurry(&mut self, now: Time) {
        for node in &mut self.nodes {
            node.due = node.due.min(now);
        }
    }

    /// A node to ask now. While others answer, a silent one is given up until the next visit.
    pub(super) fn take_due(&mut self, now: Time, connected: bool) -> Option<(PublicKey, Address)> {
        let node = self.nodes.iter_mut().find(|node| node.due <= now)?;
        let pause = if connected && node.attempts >= BOOTSTRAP_ATTEMPTS {
            BOOTSTRAP_REVISIT
        } else {
            BOOTSTRAP_RETRY_MAX.min(BOOTSTRAP_RETRY * 2_u32.pow(node.attempts.min(6)))
        };
        node.due = now + pause;
        node.attempts += 1;
        Some((node.key, node.address))
    }

    /// When the next node is due.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.nodes.iter().map(|node| node.due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(bootstrap: &mut Bootstrap, connected: bool, times: usize) -> Vec<u64> {
        let mut asked = Vec::new();
        for _ in 0..times {
            let now = bootstrap.deadline().unwrap();
            assert!(bootstrap.take_due(now, connected).is_some());
            asked.push(now.as_secs());
        }
        asked
    }

    #[test]
    fn asks_a_silent_node_ever_less_often_but_never_gives_up() {
        let (key, address) = (PublicKey([1; 32]), Address::udp(([10, 0, 0, 1], 1).into()));
        let mut bootstrap = Bootstrap::default();
        bootstrap.add(Time::ZERO, key, address);
        assert_eq!(asked(&mut bootstrap, false, 9), [0, 1, 3, 7, 15, 31, 63, 123, 183]);
        bootstrap.add(Time::ZERO, key, address);
        assert_eq!(asked(&mut bootstrap, true, 8), [0, 1, 3, 7, 15, 31, 631, 1_231]);
        bootstrap.answered(Time::ZERO, &key);
        assert_eq!(asked(&mut bootstrap, true, 2), [600, 601]);
        bootstrap.answered(Time::ZERO, &key);
        bootstrap.hurry(Time::from_secs(7));
        assert_eq!(asked(&mut bootstrap, false, 2), [7, 8], "alone again");
    }

    #[test]
    fn the_list_is_bounded() {
        let mut bootstrap = Bootstrap::default();
        for port in 0..100 {
            let address = Address::udp(([10, 0, 0, 1], port).into());
            bootstrap.add(Time::ZERO, PublicKey([1; 32]), address);
        }
        assert_eq!(bootstrap.nodes.len(), MAX_BOOTSTRAP_NODES);
    }
}
