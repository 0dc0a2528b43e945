//! Nodes from before: of the last run, from the save file, or those known when the network fell
//! silent. While nobody answers, they are asked, eight at a time (c-toxcore `dht_connect_after_load`).

use super::config::{MAX_SAVED_NODES, SAVED_AT_A_TIME, SAVED_PAUSE_MAX, SAVED_STEP};
use crate::wire::{Address, PublicKey, Time};

/// The nodes, and whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Saved {
    nodes: Vec<(PublicKey, Address)>,
    next: usize,
    due: Time,
    /// How often all were asked in vain.
    rounds: u32,
}

impl Saved {
    /// Adds nodes to ask now. What is beyond the limit is left out.
    pub(super) fn add(&mut self, now: Time, nodes: impl IntoIterator<Item = (PublicKey, Address)>) {
        let space = MAX_SAVED_NODES.saturating_sub(self.nodes.len());
        self.nodes.extend(nodes.into_iter().take(space));
        (self.next, self.due, self.rounds) = (0, now, 0);
    }

    /// Somebody answered: the others need not be asked.
    pub(super) fn clear(&mut self) {
        self.nodes = Vec::new();
    }

    /// All that are left.
    pub(super) fn iter(&self) -> impl Iterator<Item = (PublicKey, Address)> + '_ {
        self.nodes.iter().copied()
    }

    /// The nodes to ask now.
    pub(super) fn take_due(&mut self, now: Time) -> Vec<(PublicKey, Address)> {
        if self.nodes.is_empty() || now < self.due {
            return Vec::new();
        }
        let end = self.nodes.len().min(self.next + SAVED_AT_A_TIME);
        let due = self.nodes[self.next..end].to_vec();
        (self.next, self.due) = (end, now + SAVED_STEP);
        if end == self.nodes.len() {
            self.due = now + SAVED_PAUSE_MAX.min(SAVED_STEP * 2_u32.pow(self.rounds.min(10)));
            (self.next, self.rounds) = (0, self.rounds.saturating_add(1));
        }
        due
    }

    /// When the next are to be asked.
    pub(super) fn deadline(&self) -> Option<Time> {
        (!self.nodes.is_empty()).then_some(self.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(count: usize) -> impl Iterator<Item = (PublicKey, Address)> {
        let at = |n: usize| Address::udp(([198, 18, (n >> 8) as u8, n as u8], 1).into());
        (0..count).map(move |n| (PublicKey([n as u8; 32]), at(n)))
    }

    #[test]
    fn eight_at_a_time_and_ever_more_slowly_once_all_were_asked() {
        let mut saved = Saved::default();
        saved.add(Time::ZERO, nodes(20));
        let mut asked = Vec::new();
        for _ in 0..9 {
            let now = saved.deadline().unwrap();
            asked.push((now.as_secs(), saved.take_due(now).len()));
            assert!(saved.take_due(now).is_empty());
        }
        let expected = [(0, 8), (1, 8), (2, 4), (3, 8), (4, 8), (5, 4), (7, 8), (8, 8), (9, 4)];
        assert_eq!(asked, expected);
        for _ in 0..100 {
            let now = saved.deadline().unwrap();
            saved.take_due(now);
            assert!(saved.deadline().unwrap().since(now) <= SAVED_PAUSE_MAX);
        }
        saved.clear();
        assert_eq!(saved.deadline(), None);
        assert!(saved.take_due(Time::MAX).is_empty());
    }

    #[test]
    fn the_number_is_bounded() {
        let mut saved = Saved::default();
        saved.add(Time::ZERO, nodes(10_000));
        saved.add(Time::ZERO, nodes(10_000));
        assert_eq!(saved.iter().count(), MAX_SAVED_NODES);
    }
}
