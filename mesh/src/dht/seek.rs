//! Nodes that may be near a friend, or may be the friend: each is asked for nodes near it, a few times
//! if it is silent, at a bounded pace.

use super::config::{
    CANDIDATE_BURST, CANDIDATE_INTERVAL, MAX_SOUGHT, SEEK_ATTEMPTS, SEEK_MEMORY, SEEK_RETRY,
};
use crate::wire::{Address, PublicKey, Time};

#[derive(Debug)]
struct Sought {
    key: PublicKey,
    address: Address,
    attempts: u8,
    /// When it is asked again; after the last attempt, when it is forgotten.
    due: Time,
}

impl Sought {
    fn is_over(&self) -> bool {
        self.attempts == SEEK_ATTEMPTS
    }
}

/// The nodes to ask, those nearest to the target first.
#[derive(Debug)]
pub(super) struct Seek {
    target: PublicKey,
    nodes: Vec<Sought>,
    /// The moment up to which questions are paid for: never more than the burst ahead of now.
    paid_until: Time,
}

impl Seek {
    pub(super) fn new(target: PublicKey) -> Self {
        Self { target, nodes: Vec::new(), paid_until: Time::ZERO }
    }

    /// Has a node asked at once, unless it was lately. Of too many, the furthest goes.
    pub(super) fn offer(&mut self, now: Time, key: PublicKey, address: Address) {
        self.nodes.retain(|node| !node.is_over() || now < node.due);
        if self.nodes.iter().any(|node| node.key == key && node.address == address) {
            return;
        }
        let (target, distance) = (self.target, self.target.distance(&key));
        let place = self.nodes.partition_point(|node| target.distance(&node.key) <= distance);
        self.nodes.insert(place, Sought { key, address, attempts: 0, due: now });
        self.nodes.truncate(MAX_SOUGHT);
    }

    /// Notes that a node answered: it is asked no more. True if it was asked.
    pub(super) fn answered(&mut self, now: Time, key: &PublicKey, address: &Address) -> bool {
        let is_asked =
            |node: &&mut Sought| node.key == *key && node.address == *address && node.attempts > 0;
        let asked = self.nodes.iter_mut().find(is_asked);
        asked.map(|node| (node.attempts, node.due) = (SEEK_ATTEMPTS, now + SEEK_MEMORY)).is_some()
    }

    /// The next node to ask now, if the pace allows one.
    pub(super) fn take_due(&mut self, now: Time) -> Option<(PublicKey, Address)> {
        if self.paced() > now {
            return None;
        }
        let node = self.nodes.iter_mut().find(|node| !node.is_over() && node.due <= now)?;
        self.paid_until = self.paid_until.max(now) + CANDIDATE_INTERVAL;
        node.due = now + SEEK_RETRY * 2_u32.pow(u32::from(node.attempts));
        node.attempts += 1;
        if node.is_over() {
            node.due = now + SEEK_MEMORY;
        }
        Some((node.key, node.address))
    }

    /// When the next node is to be asked.
    pub(super) fn deadline(&self) -> Time {
        let due = self.nodes.iter().filter(|node| !node.is_over()).map(|node| node.due).min();
        due.map_or(Time::MAX, |due| due.max(self.paced()))
    }

    /// The moment before which the pace allows none.
    fn paced(&self) -> Time {
        self.paid_until + CANDIDATE_INTERVAL - CANDIDATE_BURST
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Rng;

    const AT: Time = Time::from_secs(100);

    fn address(port: u16) -> Address {
        Address::udp(([198, 18, 0, 1], port).into())
    }

    fn drained(seek: &mut Seek, now: Time) -> Vec<(PublicKey, Address)> {
        core::iter::from_fn(|| seek.take_due(now)).collect()
    }

    #[test]
    fn a_silent_node_is_asked_thrice_and_then_left_in_peace() {
        let mut seek = Seek::new(PublicKey([0; 32]));
        let key = PublicKey([1; 32]);
        let (mut now, mut asked) = (AT, Vec::new());
        seek.offer(now, key, address(1));
        while seek.deadline() != Time::MAX {
            now = seek.deadline();
            seek.offer(now, key, address(1));
            asked.extend(drained(&mut seek, now).iter().map(|_| now.since(AT).as_millis()));
        }
        assert_eq!(asked, [0, 500, 1_500]);
        seek.offer(now, key, address(1));
        assert_eq!(seek.deadline(), Time::MAX);
        seek.offer(now + SEEK_MEMORY, key, address(1));
        assert_eq!(drained(&mut seek, now + SEEK_MEMORY).len(), 1);
    }

    #[test]
    fn one_that_answered_is_not_asked_again() {
        let mut seek = Seek::new(PublicKey([0; 32]));
        let key = PublicKey([1; 32]);
        seek.offer(AT, key, address(1));
        assert!(!seek.answered(AT, &key, &address(1)), "not asked yet");
        assert_eq!(drained(&mut seek, AT), [(key, address(1))]);
        assert!(!seek.answered(AT, &key, &address(2)));
        assert!(seek.answered(AT, &key, &address(1)));
        assert_eq!(seek.deadline(), Time::MAX);
    }

    #[test]
    fn the_nearest_go_first_and_the_pace_and_the_number_are_bounded() {
        let mut rng = Rng::from_seed([4; 32]);
        let target = PublicKey(rng.bytes());
        let mut seek = Seek::new(target);
        let mut count = 0;
        for _ in 0..20 {
            for port in 0..10 {
                seek.offer(AT, PublicKey(rng.bytes()), address(port));
            }
            let asked = drained(&mut seek, AT);
            assert!(asked.is_sorted_by_key(|(key, _)| target.distance(key)));
            count += asked.len();
        }
        assert_eq!(seek.nodes.len(), MAX_SOUGHT);
        assert_eq!(count, 32, "32 in 2 s");
        assert_eq!(seek.deadline().since(AT), CANDIDATE_INTERVAL);
    }
}
