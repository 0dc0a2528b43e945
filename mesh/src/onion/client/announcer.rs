//! Announcing ourselves: the nodes nearest to our long-term key keep it, with the key that data for us
//! is to be sealed to and the way back along the path of the announcement.
//!
//! A node keeps an announcement that shows the ping id it gave for the same key *and the same last
//! hop*. So a node is first asked, then told, both along one path, and the path stays the node's until
//! it fails; along a new path both steps are made again.

use core::time::Duration;

use super::config::{
    ANNOUNCE_NODES, ANNOUNCEMENT_LIFETIME, PING_ID_LIFETIME, REFUSED_PAUSE, REFUSED_PAUSE_MAX,
    RENEWAL_JITTER, RENEWALS, SEEDS,
};
use super::neighbourhood::{Ask, Neighbourhood};
use super::paths::PathId;
use super::pool::{Node, Pool};
use super::requests::Request;
use crate::wire::onion::Stored;
use crate::wire::{PublicKey, Rng, Time};

/// What a node gave to us, and keeps of us.
#[derive(Debug, Default)]
struct Keeper {
    ping: Option<PingId>,
    /// When it said that it keeps our announcement.
    stored: Option<Time>,
    renewals: usize,
    refusals: u32,
}

/// A ping id, and where it is valid.
#[derive(Clone, Copy, Debug)]
struct PingId {
    id: [u8; 32],
    path: PathId,
    since: Time,
}

impl Keeper {
    fn keeps(&self, now: Time) -> bool {
        self.stored.is_some_and(|at| now < at + ANNOUNCEMENT_LIFETIME)
    }
}

/// The announcing of one key.
#[derive(Debug)]
pub(super) struct Announcer {
    near: Neighbourhood<Keeper>,
    is_announced: bool,
}

impl Announcer {
    pub(super) const fn new(own: PublicKey) -> Self {
        Self { near: Neighbourhood::new(own, ANNOUNCE_NODES), is_announced: false }
    }

    /// Begins with, or adds, what the pool knows.
    pub(super) fn seed(&mut self, now: Time, own: &PublicKey, pool: &Pool) {
        self.near.revive();
        let count = if self.near.members().is_empty() { ANNOUNCE_NODES } else { SEEDS };
        for node in pool.nearest(own, count) {
            self.near.hear(now, node);
        }
    }

    /// The next request that is due.
    pub(super) fn next_ask(&mut self, now: Time) -> Option<Ask> {
        self.near.next_ask(now)
    }

    /// The ping id to show to this node along this path.
    pub(super) fn ping_id(&mut self, now: Time, key: &PublicKey, path: PathId) -> Option<[u8; 32]> {
        let ping = self.near.member_mut(key)?.state.ping?;
        (ping.path == path && now < ping.since + PING_ID_LIFETIME).then_some(ping.id)
    }

    /// The request could not be sent.
    pub(super) fn postpone(&mut self, now: Time, key: &PublicKey) {
        self.near.postpone(now, key);
    }

    /// A node answered.
    pub(super) fn answered(
        &mut self,
        now: Time,
        rng: &mut Rng,
        request: Request,
        stored: Stored,
        nodes: impl Iterator<Item = Node>,
    ) {
        let Request { node, path, shared, shows_ping_id, .. } = request;
        if let Some(member) = self.near.answered(now, node, shared, path) {
            let keeper = &mut member.state;
            let (id, is_kept) = match stored {
                Stored::Own { ping_id } => (Some(ping_id), shows_ping_id),
                Stored::No { ping_id } => (Some(ping_id), false),
                Stored::Yes { .. } => (None, false),
            };
            keeper.ping = id.map(|id| PingId { id, path, since: now });
            member.due = match id {
                // Now we have what it takes.
                Some(_) if !shows_ping_id => now,
                _ => now + keeper.next_pause(now, rng, is_kept),
            };
        }
        for node in nodes {
            self.near.hear(now, node);
        }
    }

    /// A node did not answer in time.
    pub(super) fn missed(&mut self, now: Time, key: &PublicKey) {
        self.near.missed(now, key);
    }

    /// Tells if this changed: others can find us, for half of the nodes that we know near our key or
    /// more keep our announcement; or nobody does any longer.
    pub(super) fn poll_change(&mut self, now: Time) -> Option<bool> {
        let kept = self.near.members().iter().filter(|member| member.state.keeps(now)).count();
        let is_announced = match self.is_announced {
            true => kept > 0,
            false => kept > 0 && kept * 2 >= self.near.members().len(),
        };
        let has_changed = is_announced != self.is_announced;
        self.is_announced = is_announced;
        has_changed.then_some(is_announced)
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Time {
        self.near.deadline()
    }
}

impl Keeper {
    /// The announcement was kept or refused: how long until the next one.
    fn next_pause(&mut self, now: Time, rng: &mut Rng, is_kept: bool) -> Duration {
        if !is_kept {
            (self.stored, self.renewals) = (None, 0);
            let pause = REFUSED_PAUSE.saturating_mul(1 << self.refusals.min(10));
            self.refusals = self.refusals.saturating_add(1);
            return pause.min(REFUSED_PAUSE_MAX);
        }
        (self.stored, self.refusals) = (Some(now), 0);
        let pause = RENEWALS[self.renewals.min(RENEWALS.len() - 1)];
        self.renewals = self.renewals.saturating_add(1);
        pause - Duration::from_micros(rng.below(RENEWAL_JITTER.as_micros() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onion::client::paths::FirstHop;
    use crate::onion::client::requests::Purpose;
    use crate::wire::{Address, SharedKey};

    const NOW: Time = Time::from_secs(1_000);
    const OWN: PublicKey = PublicKey([0; 32]);

    fn node(distance: u8) -> Node {
        let mut key = [0; 32];
        key[0] = distance;
        Node { key: PublicKey(key), endpoint: ([198, 18, 0, distance], 33445).into() }
    }

    fn request(ask: &Ask, path: PathId, shows_ping_id: bool) -> Request {
        Request {
            purpose: Purpose::Announce,
            requester: PublicKey([2; 32]),
            node: ask.node,
            path,
            first: FirstHop::Udp(Address::udp(ask.node.endpoint)),
            shared: SharedKey::from_bytes([0; 32]),
            is_known: true,
            shows_ping_id,
        }
    }

    struct World {
        announcer: Announcer,
        rng: Rng,
        now: Time,
    }

    impl World {
        fn new() -> Self {
            let (mut announcer, rng) = (Announcer::new(OWN), Rng::from_seed([1; 32]));
            announcer.near.hear(NOW, node(1));
            Self { announcer, rng, now: NOW }
        }

        /// Waits for the next request, sends it along `path`, and answers it as an honest node does
        /// that keeps what shows the ping id `[path; 32]`. How long it waited, and if it showed one.
        fn step(&mut self, path: u64, is_full: bool) -> (u64, bool) {
            let due = self.announcer.deadline().max(self.now);
            let waited = due.since(self.now).as_secs();
            self.now = due;
            let ask = self.announcer.next_ask(due).unwrap();
            let id = self.announcer.ping_id(due, &ask.node.key, PathId(path));
            let ping_id = [path as u8; 32];
            assert!(id.is_none_or(|id| id == ping_id));
            let stored = match id {
                Some(_) if !is_full => Stored::Own { ping_id },
                _ => Stored::No { ping_id },
            };
            let request = request(&ask, PathId(path), id.is_some());
            self.announcer.answered(due, &mut self.rng, request, stored, core::iter::empty());
            (waited, id.is_some())
        }
    }

    #[test]
    fn first_it_asks_then_it_announces_at_once_then_ever_more_rarely() {
        let mut world = World::new();
        assert_eq!(world.step(1, false), (0, false));
        assert_eq!(world.announcer.poll_change(NOW), None);
        assert_eq!(world.step(1, false), (0, true));
        assert_eq!(world.announcer.poll_change(NOW), Some(true));
        for longest in [20, 60, 120, 120] {
            let (waited, shown) = world.step(1, false);
            assert!(shown && (longest - 9..=longest).contains(&waited), "{waited}");
        }
        assert_eq!(world.announcer.poll_change(world.now), None);
        assert_eq!(world.announcer.poll_change(world.now + ANNOUNCEMENT_LIFETIME), Some(false));
    }

    #[test]
    fn along_a_new_path_a_new_ping_id_is_fetched() {
        let mut world = World::new();
        world.step(1, false);
        world.step(1, false);
        assert!(!world.step(2, false).1, "the old ping id is not shown to another last hop");
        assert_eq!(world.step(2, false), (0, true));
    }

    #[test]
    fn a_stale_answer_along_a_new_path_does_not_count_as_an_announcement() {
        let mut world = World::new();
        world.step(1, false);
        world.step(1, false);
        world.now = world.announcer.deadline();
        let ask = world.announcer.next_ask(world.now).unwrap();
        let own = Stored::Own { ping_id: [2; 32] };
        let request = request(&ask, PathId(2), false);
        world.announcer.answered(world.now, &mut world.rng, request, own, core::iter::empty());
        assert_eq!(world.announcer.deadline(), world.now, "the way back is still the old path");
    }

    #[test]
    fn a_full_node_is_bothered_ever_more_rarely() {
        let mut world = World::new();
        assert_eq!(world.step(1, true), (0, false));
        let waits: Vec<u64> = (0..9).map(|_| world.step(1, true).0).collect();
        assert_eq!(waits, [0, 3, 6, 12, 24, 48, 96, 120, 120]);
        assert_eq!(world.announcer.poll_change(world.now), None);
    }
}
