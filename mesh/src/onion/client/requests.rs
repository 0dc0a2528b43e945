//! Announce requests that await an answer: by the random number that comes back with it, what was
//! asked, of whom, and along which path.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::config::{
    HEDGE_MAX, HEDGE_MIN, HEDGE_ROUND_TRIPS, MAX_REQUESTS, REQUEST_HEDGE, REQUEST_TIMEOUT,
};
use super::paths::{FirstHop, PathId};
use super::pool::Node;
use crate::wire::{PublicKey, Rng, SharedKey, Time};

/// For whom a request was sent.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Purpose {
    /// To announce ourselves.
    Announce,
    /// To find this friend.
    Search(PublicKey),
    /// To learn of nodes.
    Explore,
}

/// A request under way.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) purpose: Purpose,
    /// The key that asks: a search that began anew has another one.
    pub(super) requester: PublicKey,
    pub(super) node: Node,
    pub(super) path: PathId,
    /// The answer comes from there or is none: the node at the path's end must not find out where we
    /// are by sending its answer to a guessed address.
    pub(super) first: FirstHop,
    /// Seals the request and the answer.
    pub(super) shared: SharedKey,
    /// The node answered before.
    pub(super) is_known: bool,
    /// It showed a ping id that this node gave for this path.
    pub(super) shows_ping_id: bool,
}

/// The requests under way.
#[derive(Debug)]
pub(super) struct Requests {
    /// With the moments at which they were sent and will be missed.
    pending: BTreeMap<u64, (Request, Time, Time)>,
    /// Those not missed yet.
    hedges: BTreeSet<(Time, u64)>,
    /// All, oldest first.
    ends: VecDeque<(Time, u64)>,
    /// How long we wait for an answer: a few of the round trips of late.
    hedge: Duration,
}

impl Default for Requests {
    fn default() -> Self {
        let (pending, hedges, ends) = (BTreeMap::new(), BTreeSet::new(), VecDeque::new());
        Self { pending, hedges, ends, hedge: REQUEST_HEDGE }
    }
}

impl Requests {
    /// Notes a request; its number, or `None` if too many are under way.
    pub(super) fn open(&mut self, rng: &mut Rng, now: Time, request: Request) -> Option<u64> {
        self.expire(now);
        let id = rng.u64();
        if self.ends.len() >= MAX_REQUESTS || self.pending.contains_key(&id) {
            return None;
        }
        let missed = now + self.hedge;
        self.pending.insert(id, (request, now, missed));
        self.hedges.insert((missed, id));
        self.ends.push_back((now + REQUEST_TIMEOUT, id));
        Some(id)
    }

    /// The request with this number, if its answer may come from there. An answer counts once.
    pub(super) fn take(&mut self, now: Time, id: u64, from: &FirstHop) -> Option<Request> {
        self.expire(now);
        if self.pending.get(&id)?.0.first != *from {
            return None;
        }
        let (request, sent, missed) = self.pending.remove(&id)?;
        self.hedges.remove(&(missed, id));
        self.ends.retain(|(_, other)| *other != id);
        let wanted = now.since(sent) * HEDGE_ROUND_TRIPS;
        self.hedge = (self.hedge * 7 / 8 + wanted / 8).clamp(HEDGE_MIN, HEDGE_MAX);
        Some(request)
    }

    /// The next request for whose answer we do not wait any longer, though it may still come.
    pub(super) fn next_missed(&mut self, now: Time) -> Option<Request> {
        let (_, id) = self.hedges.first().filter(|(at, _)| *at <= now).copied()?;
        self.hedges.pop_first();
        self.pending.get(&id).map(|(request, ..)| request.clone())
    }

    /// When [`Requests::next_missed`] has something to say.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.hedges.first().map(|(at, _)| *at)
    }

    fn expire(&mut self, now: Time) {
        while let Some((_, id)) = self.ends.pop_front_if(|(at, _)| *at <= now) {
            if let Some((_, _, missed)) = self.pending.remove(&id) {
                self.hedges.remove(&(missed, id));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Address;

    const NOW: Time = Time::from_secs(50);

    fn first(port: u16) -> FirstHop {
        FirstHop::Udp(Address::udp(([127, 0, 0, 1], port).into()))
    }

    fn request() -> Request {
        let endpoint = ([127, 0, 0, 1], 9).into();
        Request {
            purpose: Purpose::Announce,
            requester: PublicKey([2; 32]),
            node: Node { key: PublicKey([1; 32]), endpoint },
            path: PathId(1),
            first: first(1),
            shared: SharedKey::from_bytes([0; 32]),
            is_known: false,
            shows_ping_id: false,
        }
    }

    #[test]
    fn an_answer_counts_once_in_time_and_from_the_path_it_was_asked_along() {
        let (mut requests, mut rng) = (Requests::default(), Rng::from_seed([1; 32]));
        let id = requests.open(&mut rng, NOW, request()).unwrap();
        assert!(requests.take(NOW, id ^ 1, &first(1)).is_none());
        assert!(requests.take(NOW, id, &first(2)).is_none(), "sent to a guessed address");
        assert!(requests.take(NOW, id, &first(1)).is_some());
        assert!(requests.take(NOW, id, &first(1)).is_none());
        let late = requests.open(&mut rng, NOW, request()).unwrap();
        assert!(requests.take(NOW + REQUEST_TIMEOUT, late, &first(1)).is_none());
    }

    #[test]
    fn a_missed_request_is_told_once_and_may_still_be_answered() {
        let (mut requests, mut rng) = (Requests::default(), Rng::from_seed([1; 32]));
        let answered = requests.open(&mut rng, NOW, request()).unwrap();
        let slow = requests.open(&mut rng, NOW, request()).unwrap();
        requests.take(NOW, answered, &first(1)).unwrap();
        assert_eq!(requests.deadline(), Some(NOW + REQUEST_HEDGE));
        assert!(requests.next_missed(NOW).is_none());
        assert!(requests.next_missed(NOW + REQUEST_HEDGE).is_some());
        assert!(requests.next_missed(NOW + REQUEST_HEDGE).is_none());
        assert!(requests.take(NOW + REQUEST_HEDGE, slow, &first(1)).is_some());
        assert_eq!(requests.deadline(), None);
    }

    #[test]
    fn the_wait_follows_the_round_trips() {
        let (mut requests, mut rng) = (Requests::default(), Rng::from_seed([1; 32]));
        let mut now = NOW;
        for (millis, expected) in [(5, HEDGE_MIN), (200, Duration::from_millis(800))] {
            for _ in 0..100 {
                let id = requests.open(&mut rng, now, request()).unwrap();
                now += Duration::from_millis(millis);
                requests.take(now, id, &first(1)).unwrap();
            }
            assert!(requests.hedge.abs_diff(expected) < Duration::from_millis(2));
        }
    }

    #[test]
    fn they_are_bounded_and_answers_make_room() {
        let (mut requests, mut rng) = (Requests::default(), Rng::from_seed([1; 32]));
        let ids: Vec<_> =
            (0..2 * MAX_REQUESTS).map_while(|_| requests.open(&mut rng, NOW, request())).collect();
        assert_eq!(ids.len(), MAX_REQUESTS);
        requests.take(NOW, ids[0], &first(1)).unwrap();
        assert!(requests.open(&mut rng, NOW, request()).is_some());
        assert!(requests.open(&mut rng, NOW, request()).is_none());
        assert!(requests.open(&mut rng, NOW + REQUEST_TIMEOUT, request()).is_some());
    }
}
