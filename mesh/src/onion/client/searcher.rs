//! Finding a friend: the nodes nearest to its long-term key are asked whether it is announced there,
//! by a key of this search only and along paths of this search only, so that nobody can tell who
//! asks, or that the same person asks for somebody else as well.
//!
//! Rounds of questions begin a tenth of a second apart, for the friend may be announcing itself right
//! now, and grow apart with the age of the search: the longer a friend was away, the less likely it
//! comes back the next moment, and when it does, it will find us.

use core::time::Duration;

use super::config::{
    FOUND_ENOUGH, FOUND_PAUSE, FRIEND_PATHS, ROUND_AGE, ROUND_MAX, ROUND_MIN, ROUND_NODES,
    SEARCH_NODES, SEEDS,
};
use super::neighbourhood::{Ask, Neighbourhood};
use super::paths::{PathId, Paths};
use super::pool::{Node, Pool};
use super::requests::Request;
use crate::wire::onion::Stored;
use crate::wire::{KeyPair, PublicKey, Rng, Time};

/// A node that keeps the friend's announcement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Holder {
    pub(super) node: Node,
    /// Data for the friend is sealed to this key, if the node tells the truth.
    pub(super) data_key: PublicKey,
    /// When it said so, and the path of that answer.
    pub(super) since: Time,
    pub(super) path: PathId,
}

/// The search for one friend.
#[derive(Debug)]
pub(super) struct Search {
    friend: PublicKey,
    near: Neighbourhood<Option<PublicKey>>,
    /// Of this search only.
    pub(super) pair: KeyPair,
    pub(super) paths: Paths,
    since: Time,
    next_round: Time,
}

impl Search {
    /// A search that begins now.
    pub(super) fn new(now: Time, rng: &mut Rng, friend: PublicKey) -> Self {
        Self {
            friend,
            near: Neighbourhood::new(friend, SEARCH_NODES),
            pair: KeyPair::generate(rng),
            paths: Paths::new(FRIEND_PATHS),
            since: now,
            next_round: now,
        }
    }

    /// Begins anew, under a new key and along new paths, as if it had begun `age` ago.
    pub(super) fn restart(&mut self, now: Time, rng: &mut Rng, age: Duration) {
        self.pair = KeyPair::generate(rng);
        self.paths.clear();
        self.near.restart(now);
        (self.since, self.next_round) = (now - age, now);
    }

    /// Searches as often again as it did at the age of `age`, at once; never more rarely.
    pub(super) fn hurry(&mut self, now: Time, age: Duration) {
        if now.since(self.since) > age {
            self.since = now - age;
            self.next_round = now;
        }
    }

    /// Begins with, or adds, what the pool knows.
    pub(super) fn seed(&mut self, now: Time, pool: &Pool) {
        self.near.revive();
        for node in pool.nearest(&self.friend, SEEDS) {
            self.near.hear(now, node);
        }
    }

    /// The next question that is due.
    pub(super) fn next_ask(&mut self, now: Time) -> Option<Ask> {
        if self.next_round <= now {
            self.begin_round(now);
        }
        self.near.next_ask(now)
    }

    /// Lets those members be asked that were not for longest.
    fn begin_round(&mut self, now: Time) {
        // Whoever still owes an answer is not asked again yet.
        let members = self.near.members_mut().iter_mut();
        let mut order: Vec<_> = members.filter(|member| member.asked <= member.answered).collect();
        order.sort_by_key(|member| member.asked);
        for member in order.into_iter().take(ROUND_NODES) {
            member.due = member.due.min(now);
        }
        let pause = (now.since(self.since) / ROUND_AGE).clamp(ROUND_MIN, ROUND_MAX);
        let is_found = self.holders().count() >= FOUND_ENOUGH;
        self.next_round = now + if is_found { pause.max(FOUND_PAUSE) } else { pause };
    }

    /// The question could not be sent.
    pub(super) fn postpone(&mut self, now: Time, key: &PublicKey) {
        self.near.postpone(now, key);
    }

    /// A node answered. True if it keeps the friend's announcement and did not before, or another one.
    pub(super) fn answered(
        &mut self,
        now: Time,
        request: Request,
        stored: Stored,
        nodes: impl Iterator<Item = Node>,
    ) -> bool {
        let Request { node, path, shared, .. } = request;
        let data_key = match stored {
            Stored::Yes { data_key } => Some(data_key),
            Stored::No { .. } | Stored::Own { .. } => None,
        };
        let mut is_new = false;
        if let Some(member) = self.near.answered(now, node, shared, path) {
            is_new = data_key.is_some() && member.state != data_key;
            member.state = data_key;
        }
        for node in nodes {
            self.near.hear(now, node);
        }
        is_new
    }

    /// A node did not answer in time.
    pub(super) fn missed(&mut self, now: Time, key: &PublicKey) {
        self.near.missed(now, key);
    }

    /// The nodes that keep the friend's announcement.
    pub(super) fn holders(&self) -> impl Iterator<Item = Holder> + '_ {
        self.near.members().iter().filter_map(|member| {
            let (node, since, path) = (member.node, member.answered, member.path);
            member.state.map(|data_key| Holder { node, data_key, since, path })
        })
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Time {
        if self.near.members().is_empty() {
            return self.near.deadline();
        }
        self.near.deadline().min(self.next_round)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onion::client::paths::FirstHop;
    use crate::onion::client::requests::Purpose;
    use crate::wire::{Address, SharedKey};

    const NOW: Time = Time::from_secs(1_000);
    const FRIEND: PublicKey = PublicKey([0; 32]);

    fn node(distance: u8) -> Node {
        let mut key = [0; 32];
        key[0] = distance;
        Node { key: PublicKey(key), endpoint: ([198, 18, 0, distance], 33445).into() }
    }

    fn search() -> (Search, Rng) {
        let mut rng = Rng::from_seed([1; 32]);
        let mut search = Search::new(NOW, &mut rng, FRIEND);
        for distance in 1..=8 {
            search.near.hear(NOW, node(distance));
        }
        (search, rng)
    }

    fn answer(search: &mut Search, now: Time, ask: &Ask, stored: Stored) -> bool {
        let request = Request {
            purpose: Purpose::Search(FRIEND),
            requester: PublicKey([2; 32]),
            node: ask.node,
            path: PathId(1),
            first: FirstHop::Udp(Address::udp(ask.node.endpoint)),
            shared: SharedKey::from_bytes([0; 32]),
            is_known: true,
            shows_ping_id: false,
        };
        search.answered(now, request, stored, core::iter::empty())
    }

    /// Runs for so many seconds with nodes that all give the same answer; questions asked.
    fn run(search: &mut Search, from: Time, secs: u64, stored: Stored) -> usize {
        let (mut now, end, mut asked) = (from, from + Duration::from_secs(secs), 0);
        while now < end {
            while let Some(ask) = search.next_ask(now) {
                asked += 1;
                answer(search, now, &ask, stored);
            }
            now = search.deadline();
        }
        asked
    }

    const NO: Stored = Stored::No { ping_id: [0; 32] };

    #[test]
    fn a_search_is_quick_at_first_and_costs_little_for_those_who_stay_away() {
        let (mut search, _) = search();
        let second = run(&mut search, NOW, 1, NO);
        assert!((8 + 18..=8 + 30).contains(&second), "{second}");
        let minute = run(&mut search, NOW + Duration::from_secs(1), 59, NO);
        assert!((40..=60).contains(&minute), "{minute}");
        let day = run(&mut search, NOW + Duration::from_secs(60), 86_340, NO);
        assert!((100..=160).contains(&day), "{day}");
    }

    #[test]
    fn a_friend_that_is_found_is_looked_after_and_one_that_went_offline_sought_quickly() {
        let (mut search, mut rng) = search();
        let yes = Stored::Yes { data_key: PublicKey([7; 32]) };
        let ask = search.next_ask(NOW).unwrap();
        assert!(answer(&mut search, NOW, &ask, yes), "news");
        assert!(!answer(&mut search, NOW, &ask, yes), "no news");
        let other = Stored::Yes { data_key: PublicKey([8; 32]) };
        assert!(answer(&mut search, NOW, &ask, other), "it was restarted");
        let found = run(&mut search, NOW, 30, yes);
        assert!((8..20).contains(&found), "{found}");
        assert_eq!(search.holders().count(), 8);
        let later = NOW + Duration::from_secs(36_000);
        let old = search.pair.public;
        search.restart(later, &mut rng, Duration::from_secs(2));
        assert_eq!(search.holders().count(), 0);
        assert_ne!(search.pair.public, old);
        let again = run(&mut search, later, 2, NO);
        assert!((8 + 6..8 + 15).contains(&again), "{again}");
    }

    #[test]
    fn all_members_get_their_turn() {
        let (mut search, _) = search();
        run(&mut search, NOW, 1, NO);
        let asked: Vec<_> = search.near.members().iter().map(|member| member.asked).collect();
        assert!(asked.iter().all(|at| now_ms(*at) > 300), "{asked:?}");
    }

    fn now_ms(at: Time) -> u128 {
        at.since(NOW).as_millis()
    }
}
