//! The standing search for one friend's DHT key: the nodes nearest to it are kept and asked, again and
//! again; they tell where the friend is, until it answers itself (Tox Reference, "DHT node state",
//! search entries; c-toxcore `DHT_Friend`).

use super::config::{
    BAD_AFTER, EAGER_NODES, EAGER_ROUNDS, FOLLOW_INTERVAL, FRIEND_NODES, MAX_TOLD, RANDOM_INTERVAL,
    REFRESH_INTERVAL,
};
use super::node::{Node, is_ipv4};
use super::seek::Seek;
use crate::nat::{Punching, Situation, Step};
use crate::wire::{Address, PublicKey, Rng, Time};

/// One of the nodes nearest to the friend (the friend itself, once it answered, is the very nearest).
#[derive(Debug)]
struct Near {
    node: Node,
    /// Where it says the friend is, and when it said so: once a family.
    reports: Vec<(Address, Time)>,
}

impl Near {
    fn fresh_reports(&self, now: Time) -> impl Iterator<Item = Address> + '_ {
        let is_fresh = move |(_, at): &&(Address, Time)| now < *at + BAD_AFTER;
        self.reports.iter().filter(is_fresh).map(|(address, _)| *address)
    }
}

/// A friend's search.
#[derive(Debug)]
pub(super) struct Friend {
    pub(super) key: PublicKey,
    /// Nearest first, at most [`FRIEND_NODES`].
    near: Vec<Near>,
    seek: Seek,
    /// How many of [`EAGER_ROUNDS`] are over.
    rounds: usize,
    next_round: Time,
    /// Addresses that the friend answered from, and when it did last.
    told: Vec<(Address, Time)>,
    /// When it was last asked at a port that it asked us from.
    followed: Option<Time>,
    pub(super) punching: Punching,
}

impl Friend {
    pub(super) fn new(now: Time, key: PublicKey, rng: &mut Rng) -> Self {
        Self {
            key,
            near: Vec::new(),
            seek: Seek::new(key),
            rounds: 0,
            next_round: now + EAGER_ROUNDS[0],
            told: Vec::new(),
            followed: None,
            punching: Punching::new(rng),
        }
    }

    /// Has this node asked for the friend, and at once.
    pub(super) fn ask(&mut self, now: Time, key: PublicKey, address: Address) {
        self.seek.offer(now, key, address);
    }

    /// Where the friend is, if it answered lately.
    pub(super) fn address(&self, now: Time) -> Option<Address> {
        let own = self.near.first().filter(|near| near.node.key == self.key);
        own.and_then(|near| near.node.address(now))
    }

    /// All nodes of the list.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.near.iter().map(|near| &near.node)
    }

    /// Notes that the node with this key knows announcements.
    pub(super) fn note_announcing(&mut self, key: &PublicKey) {
        if let Some(near) = self.near.iter_mut().find(|near| near.node.key == *key) {
            near.node.is_announcing = true;
        }
    }

    /// A node that others told of: it is asked if its answer would bring something new.
    pub(super) fn consider(&mut self, now: Time, key: PublicKey, address: Address) {
        if self.wants(now, &key, &address) {
            self.seek.offer(now, key, address);
        }
    }

    fn wants(&self, now: Time, key: &PublicKey, address: &Address) -> bool {
        let mut nodes = self.nodes();
        if *key == self.key {
            // It may have moved.
            return !nodes.any(|node| node.key == *key && node.is_good_at(now, address));
        }
        match nodes.find(|node| node.key == *key) {
            Some(node) => !node.is_good_like(now, address),
            None => self.has_place(now, key),
        }
    }

    fn has_place(&self, now: Time, key: &PublicKey) -> bool {
        self.near.len() < FRIEND_NODES
            || self.near.iter().any(|near| !near.node.is_good(now))
            || self
                .near
                .last()
                .is_some_and(|last| self.key.distance(key) < self.key.distance(&last.node.key))
    }

    /// A node answered from this address: it may find a place. True if it is the friend itself, at an
    /// address where it did not answer lately.
    pub(super) fn answered(&mut self, now: Time, key: PublicKey, address: Address) -> bool {
        let next_request = if self.seek.answered(now, &key, &address) {
            now + REFRESH_INTERVAL
        } else {
            // It answered another question, not where the friend is.
            now
        };
        // Nobody else is there any longer.
        self.near.retain_mut(|near| near.node.key == key || near.node.leave(&address));
        if let Some(near) = self.near.iter_mut().find(|near| near.node.key == key) {
            near.node.answered(now, address, now + REFRESH_INTERVAL);
        } else if self.has_place(now, &key) {
            self.insert(now, Node::new(now, key, address, next_request));
        } else {
            return false;
        }
        key == self.key && self.is_news(now, address)
    }

    /// Puts a node in its place: that of a bad one if there is one, else of the furthest.
    fn insert(&mut self, now: Time, node: Node) {
        if self.near.len() == FRIEND_NODES {
            let bad = self.near.iter().rposition(|near| !near.node.is_good(now));
            self.near.remove(bad.unwrap_or(FRIEND_NODES - 1));
        }
        let (target, distance) = (self.key, self.key.distance(&node.key));
        let place = self.near.partition_point(|near| target.distance(&near.node.key) < distance);
        self.near.insert(place, Near { node, reports: Vec::new() });
    }

    fn is_news(&mut self, now: Time, address: Address) -> bool {
        if let Some((_, at)) = self.told.iter_mut().find(|(told, _)| *told == address) {
            let was_silent = *at + BAD_AFTER <= now;
            *at = now;
            return was_silent;
        }
        if self.told.len() == MAX_TOLD {
            self.told.remove(0);
        }
        self.told.push((address, now));
        true
    }

    /// The node `by` says that the friend is at `address`. The friend is asked there.
    pub(super) fn reported(&mut self, now: Time, by: &PublicKey, address: Address) {
        if let Some(near) = self.near.iter_mut().find(|near| near.node.key == *by) {
            near.reports.retain(|(other, _)| is_ipv4(other) != is_ipv4(&address));
            near.reports.push((address, now));
        }
        self.consider(now, self.key, address);
    }

    /// The friend asked us something from this address.
    pub(super) fn heard(&mut self, now: Time, address: Address) {
        let is_beside = self.address(now).is_some_and(|known| known.shares_ip(&address));
        if is_beside && self.followed.is_some_and(|at| now < at + FOLLOW_INTERVAL) {
            return;
        }
        self.followed = Some(now);
        self.consider(now, self.key, address);
    }

    /// What the list says, for the punching of holes.
    fn situation(&self, now: Time) -> Situation {
        Situation { reports: self.reports(now), witnesses: self.witnesses(now) }
    }

    /// What to send to get through to the friend; to be called until it is nothing.
    pub(super) fn punch(&mut self, now: Time, rng: &mut Rng) -> Option<Step> {
        let situation = self.situation(now);
        self.punching.poll(now, &situation, rng)
    }

    /// Where nodes of the list say that the friend is, of the family that more of them say; none while
    /// the friend answers itself.
    fn reports(&self, now: Time) -> Vec<Address> {
        if self.address(now).is_some() {
            return Vec::new();
        }
        let all = self.near.iter().flat_map(|near| near.fresh_reports(now));
        let (ipv4, others): (Vec<_>, Vec<_>) = all.partition(is_ipv4);
        if others.len() >= ipv4.len() { others } else { ipv4 }
    }

    /// Nodes of the list that could tell of the friend: all good ones but itself.
    pub(super) fn witnesses(&self, now: Time) -> usize {
        self.nodes().filter(|node| node.key != self.key && node.is_good(now)).count()
    }

    /// Addresses of the nodes that say where the friend is: what they are given for it, they pass on.
    pub(super) fn routes(&self, now: Time) -> Vec<Address> {
        let tell = self.near.iter().filter(|near| near.fresh_reports(now).next().is_some());
        tell.filter(|near| near.node.key != self.key).filter_map(|n| n.node.address(now)).collect()
    }

    /// Gives the nodes to ask now for the friend's key.
    pub(super) fn take_due(&mut self, now: Time, rng: &mut Rng) -> Vec<(PublicKey, Address)> {
        let mut due = Vec::new();
        self.near.retain_mut(|near| near.node.take_due(now, &mut due));
        due.extend(core::iter::from_fn(|| self.seek.take_due(now)));
        if self.next_round <= now {
            self.begin_round(now, rng, &mut due);
        }
        due
    }

    /// While the friend is not found: the nearest nodes at first, later one at random, as c-toxcore.
    fn begin_round(&mut self, now: Time, rng: &mut Rng, due: &mut Vec<(PublicKey, Address)>) {
        self.rounds += 1;
        let pause = EAGER_ROUNDS.get(self.rounds).copied().unwrap_or(RANDOM_INTERVAL);
        self.next_round = now + pause;
        if self.address(now).is_some() {
            return;
        }
        let good = |near: &Near| near.node.address(now).map(|address| (near.node.key, address));
        let mut good: Vec<_> = self.near.iter().filter_map(good).collect();
        good.retain(|node| !due.contains(node));
        if self.rounds <= EAGER_ROUNDS.len() {
            due.extend(good.into_iter().take(EAGER_NODES));
        } else {
            due.extend(rng.choose(&good));
        }
    }

    /// When [`Friend::take_due`] or [`Friend::punch`] has something to do.
    pub(super) fn deadline(&self) -> Time {
        let nodes = self.nodes().map(Node::due).min().unwrap_or(Time::MAX);
        nodes.min(self.seek.deadline()).min(self.next_round).min(self.punching.deadline())
    }
}
