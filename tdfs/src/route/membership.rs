//! Joining, and whom to know: the leaf set first, then somebody at every scale of distance.

use std::collections::BTreeMap;

use toktok_wire::{PublicKey, Rng, Time};

use super::location::Location;
use super::message::Contact;
use super::ring::{Leaves, Placed, bucket};
use super::task::{Job, Origin, Task};
use super::{Output, RouteEvent, Router};
use crate::config::RouteConfig;

/// Most nodes remembered that are no neighbours.
const MAX_CANDIDATES: usize = 512;
/// Most sessions in the making.
const MAX_CONNECTING: usize = 8;
/// A session in the making that nothing was heard of for so long has failed.
const CONNECT_TIMEOUT: core::time::Duration = core::time::Duration::from_secs(30);
/// A candidate that failed so often in a row is forgotten.
const MAX_FAILURES: u32 = 4;
/// Rounds in which a newcomer asks at every maintenance instead of every refresh.
const EAGER_ROUNDS: u32 = 8;

/// A node that is, or may become, a neighbour.
#[derive(Debug, Default)]
struct Candidate {
    /// Where it stands, as somebody said; `None` for a service node of the mesh.
    location: Option<Location>,
    failures: u32,
    not_before: Time,
    connecting: Option<Time>,
    /// It lied: not a neighbour until then.
    shunned: Time,
}

/// Whom this node has heard of.
#[derive(Debug)]
pub(super) struct Membership {
    rng: Rng,
    candidates: BTreeMap<PublicKey, Candidate>,
    rounds: u32,
    next_refresh: Time,
    joined: bool,
}

impl Membership {
    pub(super) const fn new(rng: Rng) -> Self {
        let next_refresh = Time::ZERO;
        Self { rng, candidates: BTreeMap::new(), rounds: 0, next_refresh, joined: false }
    }

    /// Hears of a node. When there is no room, one that failed, or any, is forgotten for it.
    pub(super) fn learn(&mut self, peer: PublicKey, location: Option<Location>, now: Time) {
        if let Some(known) = self.candidates.get_mut(&peer) {
            known.location = location.or(known.location);
            return;
        }
        if self.candidates.len() >= MAX_CANDIDATES {
            let failed = self.candidates.iter().find(|(_, known)| known.failures > 0);
            let skip = self.rng.index(self.candidates.len());
            let gone = failed.or_else(|| self.candidates.iter().nth(skip)).map(|(key, _)| *key);
            gone.map(|key| self.candidates.remove(&key));
        }
        let candidate = Candidate { location, not_before: now, ..Candidate::default() };
        self.candidates.insert(peer, candidate);
    }

    /// A session with `peer` stands.
    pub(super) fn connected(&mut self, peer: &PublicKey) {
        if let Some(known) = self.candidates.get_mut(peer) {
            known.connecting = None;
            known.failures = 0;
        }
    }

    /// A session with `peer` did not come about, or ended: leave it alone for a while.
    pub(super) fn failed(&mut self, now: Time, peer: PublicKey, config: &RouteConfig) {
        let Some(known) = self.candidates.get_mut(&peer) else { return };
        known.connecting = None;
        known.failures += 1;
        known.not_before = now + config.retry_contact * (1 << known.failures.min(6)) / 2;
        if known.failures >= MAX_FAILURES {
            self.candidates.remove(&peer);
        }
    }

    /// A node lied: it is left alone until `until`.
    pub(super) fn shun(&mut self, peer: PublicKey, until: Time) {
        let known = self.candidates.entry(peer).or_default();
        (known.not_before, known.shunned) = (until, until);
    }

    /// True if a node is to be left alone because it lied.
    pub(super) fn is_shunned(&self, peer: &PublicKey, now: Time) -> bool {
        self.candidates.get(peer).is_some_and(|known| known.shunned > now)
    }

    fn connecting(&self) -> usize {
        self.candidates.values().filter(|known| known.connecting.is_some()).count()
    }

    /// Those to which a session may be begun now.
    fn ready(&self, now: Time) -> impl Iterator<Item = (PublicKey, Option<Location>)> + '_ {
        self.candidates
            .iter()
            .filter(move |(_, known)| known.connecting.is_none() && known.not_before <= now)
            .map(|(key, known)| (*key, known.location))
    }
}

impl Router {
    /// Tells of a node that offers this service, wherever it stands. It may become a neighbour.
    pub fn add_candidate(&mut self, now: Time, peer: PublicKey) {
        if peer != self.me.key {
            self.membership.learn(peer, None, now);
        }
        if self.links.is_empty() {
            self.next_tick = self.next_tick.min(now);
        }
    }

    /// A session that was asked for did not come about.
    pub fn handle_connect_failed(&mut self, now: Time, peer: PublicKey) {
        self.membership.failed(now, peer, &self.config);
    }

    /// Hears of nodes from a neighbour. Where they stand is not proved yet.
    pub(super) fn learn_contacts(&mut self, now: Time, contacts: &[Contact]) {
        for contact in contacts {
            if let Some(key) = contact.id.mesh_key().filter(|key| *key != self.me.key) {
                self.membership.learn(key, Some(contact.location), now);
            }
        }
    }

    /// Asks a new neighbour, and it alone, who is near this node.
    pub(super) fn ask_newcomer(&mut self, now: Time, peer: PublicKey) {
        self.find(now, self.me.location, peer, 1);
    }

    /// Looks after the neighbourhood: begins sessions that are wanted, asks who else there is.
    pub(super) fn maintain(&mut self, now: Time) {
        self.expire_connecting(now);
        let wanted = self.wanted(now);
        for peer in wanted {
            if self.membership.connecting() >= MAX_CONNECTING {
                break;
            }
            if let Some(known) = self.membership.candidates.get_mut(&peer) {
                known.connecting = Some(now);
                self.outputs.push_back(Output::Connect(peer));
            }
        }
        let settled = self.membership.rounds >= EAGER_ROUNDS;
        if !self.placed().is_empty() && (!settled || now >= self.membership.next_refresh) {
            self.membership.rounds = self.membership.rounds.saturating_add(1);
            // Refreshes of different nodes shall not fall together.
            let jitter = self.membership.rng.below(self.config.refresh.as_millis() as u64 / 2 + 1);
            let jitter = core::time::Duration::from_millis(jitter);
            self.membership.next_refresh = now + self.config.refresh + jitter;
            self.refresh(now);
        }
    }

    fn expire_connecting(&mut self, now: Time) {
        let late = |since: Option<Time>| since.is_some_and(|t| now.since(t) >= CONNECT_TIMEOUT);
        let known = self.membership.candidates.iter();
        let expired: Vec<_> =
            known.filter(|(_, known)| late(known.connecting)).map(|(key, _)| *key).collect();
        for peer in expired {
            self.membership.failed(now, peer, &self.config);
        }
    }

    /// Routes two questions: who is near me, and who is somewhere else.
    fn refresh(&mut self, now: Time) {
        let mut placed = self.placed();
        placed.sort_by_key(|(_, at)| self.me.location.distance(*at));
        let nearest = placed.first().copied();
        let any = self.membership.rng.choose(&placed).copied();
        let budget = self.budget();
        for (peer, _) in nearest.into_iter().chain(any) {
            self.find(now, self.me.location, peer, budget);
        }
        // A place at a random scale: bits below some number are drawn anew.
        let scale = self.membership.rng.below(128) as u32;
        let random = u128::from_be_bytes(self.membership.rng.bytes()) >> scale;
        let target = Location(self.me.location.0.wrapping_add(random));
        placed.sort_by_key(|(_, at)| target.distance(*at));
        if let Some((peer, _)) = placed.first() {
            self.find(now, target, *peer, budget);
        }
    }

    /// Asks who is near `target`, beginning with `first`.
    fn find(&mut self, now: Time, target: Location, first: PublicKey, budget: u8) {
        let task = Task::new(Origin::Membership, Job::Find { target });
        self.begin_find(now, task, first, budget);
    }

    /// Takes what a question of membership brought.
    pub(super) fn handle_found(&mut self, now: Time, contacts: &[Contact]) {
        self.learn_contacts(now, contacts);
        if !self.membership.joined && self.membership.rounds > 0 {
            self.membership.joined = true;
            let neighbours = self.neighbours().count();
            self.outputs.push_back(Output::Event(RouteEvent::Joined { neighbours }));
        }
        if self.membership.rounds < EAGER_ROUNDS {
            self.next_tick = self.next_tick.min(now + self.config.maintenance / 4);
        }
    }

    /// Those with whom a session is wanted now, the most wanted first.
    fn wanted(&mut self, now: Time) -> Vec<PublicKey> {
        let linked = self.placed();
        let busy = self.links.len() + self.membership.connecting();
        let ready: Vec<_> =
            self.membership.ready(now).filter(|(key, _)| !self.links.contains_key(key)).collect();
        let placed: Vec<Placed> =
            ready.iter().filter_map(|(key, at)| at.map(|at| (*key, at))).collect();
        let all = [linked.as_slice(), &placed].concat();
        let leaves = Leaves::of(self.me.location, &all, self.config.leaf_side);
        let mut wanted: Vec<PublicKey> =
            placed.iter().map(|(key, _)| *key).filter(|key| leaves.contains(key)).collect();
        let free = self.config.max_neighbours.saturating_sub(busy);
        if !wanted.is_empty() && free == 0 && linked.len() >= self.config.max_neighbours {
            // A nearer node than those on hand: it gets the next place.
            self.replace_one(now, &leaves);
        }
        wanted.truncate(free);
        let more = self.config.wanted_neighbours.saturating_sub(busy + wanted.len());
        let far = self.far(&linked, &placed, &leaves, more);
        let unplaced = ready.iter().filter(|(_, at)| at.is_none()).map(|(key, _)| *key);
        let mut others: Vec<_> = unplaced.collect();
        self.membership.rng.shuffle(&mut others);
        others.truncate(more.saturating_sub(far.len()));
        wanted.into_iter().chain(far).chain(others).collect()
    }

    /// Up to `more` nodes beyond the leaf set, from the emptiest buckets first.
    fn far(
        &mut self,
        linked: &[Placed],
        placed: &[Placed],
        leaves: &Leaves,
        more: usize,
    ) -> Vec<PublicKey> {
        let scale = |at: Location| bucket(self.me.location.distance(at)) as usize;
        let mut crowds = [0_usize; 129];
        linked.iter().for_each(|(_, at)| crowds[scale(*at)] += 1);
        let mut pool: Vec<(PublicKey, usize)> = placed
            .iter()
            .filter(|(key, _)| !leaves.contains(key))
            .map(|(key, at)| (*key, scale(*at)))
            .collect();
        self.membership.rng.shuffle(&mut pool);
        let mut chosen = Vec::new();
        while chosen.len() < more {
            let emptiest = (0..pool.len()).min_by_key(|i| pool.get(*i).map(|(_, s)| crowds[*s]));
            let Some(index) = emptiest else { break };
            let (key, scale) = pool.swap_remove(index);
            crowds[scale] += 1;
            chosen.push(key);
        }
        chosen
    }
}
