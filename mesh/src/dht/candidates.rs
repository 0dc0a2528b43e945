//! Nodes that we only heard of. Each is pinged before it may enter the close list, at a bounded pace.

use super::config::{
    CANDIDATE_BURST, CANDIDATE_INTERVAL, CANDIDATE_MEMORY, MAX_CANDIDATES, MAX_PINGED,
};
use crate::wire::{Address, PublicKey, Time};

/// The queue of candidates, those nearest to this node's own key first.
#[derive(Debug)]
pub(super) struct Candidates {
    own: PublicKey,
    /// Furthest first, so that the nearest is popped.
    waiting: Vec<(PublicKey, Address)>,
    /// Who was pinged, and when; oldest first.
    pinged: std::collections::VecDeque<(PublicKey, Time)>,
    /// The moment up to which pings are paid for: never more than the burst ahead of now.
    paid_until: Time,
}

impl Candidates {
    pub(super) fn new(own: PublicKey) -> Self {
        let (waiting, pinged) = (Vec::new(), std::collections::VecDeque::new());
        Self { own, waiting, pinged, paid_until: Time::ZERO }
    }

    /// Queues a node, unless it waits already or was pinged lately. Of too many, the furthest goes.
    pub(super) fn offer(&mut self, now: Time, key: PublicKey, address: Address) {
        while self.pinged.front().is_some_and(|(_, at)| *at + CANDIDATE_MEMORY <= now) {
            self.pinged.pop_front();
        }
        let is_known = self.pinged.iter().any(|(pinged, _)| *pinged == key)
            || self.waiting.iter().any(|(waiting, _)| *waiting == key);
        if is_known {
            return;
        }
        let distance = self.own.distance(&key);
        let place = self.waiting.partition_point(|(other, _)| self.own.distance(other) > distance);
        self.waiting.insert(place, (key, address));
        if self.waiting.len() > MAX_CANDIDATES {
            self.waiting.remove(0);
        }
    }

    /// The next node to ping now, if the pace allows one.
    pub(super) fn pop(&mut self, now: Time) -> Option<(PublicKey, Address)> {
        if self.deadline()? > now {
            return None;
        }
        let candidate = self.waiting.pop()?;
        self.paid_until = self.paid_until.max(now) + CANDIDATE_INTERVAL;
        if self.pinged.len() == MAX_PINGED {
            self.pinged.pop_front();
        }
        self.pinged.push_back((candidate.0, now));
        Some(candidate)
    }

    /// When the next node may be pinged; `None` if nobody waits.
    pub(super) fn deadline(&self) -> Option<Time> {
        let earliest = self.paid_until + CANDIDATE_INTERVAL - CANDIDATE_BURST;
        (!self.waiting.is_empty()).then_some(earliest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Rng;

    const AT: Time = Time::from_secs(100);

    fn address() -> Address {
        Address::udp(([127, 0, 0, 1], 9).into())
    }

    #[test]
    fn the_nearest_go_first_and_the_pace_is_32_in_2_seconds() {
        let mut rng = Rng::from_seed([4; 32]);
        let own = PublicKey([0; 32]);
        let mut candidates = Candidates::new(own);
        for _ in 0..100 {
            candidates.offer(AT, PublicKey(rng.bytes()), address());
        }
        let popped: Vec<_> = core::iter::from_fn(|| candidates.pop(AT)).collect();
        assert_eq!(popped.len(), MAX_CANDIDATES);
        assert!(popped.is_sorted_by_key(|(key, _)| own.distance(key)));
        candidates.offer(AT, PublicKey([1; 32]), address());
        assert_eq!(candidates.pop(AT), None);
        let later = candidates.deadline().unwrap();
        assert_eq!(later.since(AT), CANDIDATE_INTERVAL);
        assert!(candidates.pop(later).is_some());
    }

    #[test]
    fn who_was_just_pinged_is_left_in_peace() {
        let mut candidates = Candidates::new(PublicKey([0; 32]));
        let key = PublicKey([1; 32]);
        candidates.offer(AT, key, address());
        candidates.offer(AT, key, address());
        assert!(candidates.pop(AT).is_some());
        assert_eq!(candidates.deadline(), None);
        candidates.offer(AT, key, address());
        assert_eq!(candidates.deadline(), None);
        candidates.offer(AT + CANDIDATE_MEMORY, key, address());
        assert!(candidates.pop(AT + CANDIDATE_MEMORY).is_some());
    }
}
