//! Nodes that the user named, and when to ask them: at once, again while they are silent, and again
//! when everybody else has gone.

use super::config::{
    BOOTSTRAP_ATTEMPTS, BOOTSTRAP_RETRY, BOOTSTRAP_RETRY_MAX, MAX_BOOTSTRAP_NODES,
};
use crate::wire::{Address, PublicKey, Time};

#[derive(Debug)]
struct BootstrapNode {
    key: PublicKey,
    address: Address,
    attempts: u32,
    has_answered: bool,
    due: Time,
}

impl BootstrapNode {
    fn is_needed(&self, connected: bool) -> bool {
        !connected || !self.has_answered && self.attempts < BOOTSTRAP_ATTEMPTS
    }
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
        self.nodes.push(BootstrapNode { key, address, attempts: 0, has_answered: false, due: now });
    }

    /// Notes that a node answered, if it is one of these.
    pub(super) fn answered(&mut self, key: &PublicKey) {
        for node in self.nodes.iter_mut().filter(|node| node.key == *key) {
            node.has_answered = true;
            node.attempts = 0;
        }
    }

    /// A node to ask now.
    pub(super) fn take_due(&mut self, now: Time, connected: bool) -> Option<(PublicKey, Address)> {
        let is_due = |node: &&mut BootstrapNode| node.due <= now && node.is_needed(connected);
        let node = self.nodes.iter_mut().find(is_due)?;
        let pause = BOOTSTRAP_RETRY * 2_u32.pow(node.attempts.min(6));
        node.due = now + pause.min(BOOTSTRAP_RETRY_MAX);
        node.attempts += 1;
        Some((node.key, node.address))
    }

    /// When the next node is due.
    pub(super) fn deadline(&self, connected: bool) -> Option<Time> {
        self.nodes.iter().filter(|node| node.is_needed(connected)).map(|node| node.due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_a_silent_node_ever_less_often_but_never_gives_up_while_alone() {
        let (key, address) = (PublicKey([1; 32]), Address::udp(([10, 0, 0, 1], 1).into()));
        let mut bootstrap = Bootstrap::default();
        bootstrap.add(Time::ZERO, key, address);
        let mut asked = Vec::new();
        for _ in 0..9 {
            let now = bootstrap.deadline(false).unwrap();
            assert!(bootstrap.take_due(now, false).is_some());
            asked.push(now.as_secs());
        }
        assert_eq!(asked, [0, 1, 3, 7, 15, 31, 63, 123, 183]);
        assert_eq!(bootstrap.deadline(true), None, "others answer, and this one had its chances");
        bootstrap.answered(&key);
        assert_eq!(bootstrap.deadline(true), None);
        assert!(bootstrap.deadline(false).is_some(), "alone again");
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
