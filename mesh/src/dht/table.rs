//! The close list: nodes that answered, in buckets by the number of leading key bits they share with
//! this node (Tox Reference, "DHT node state", with c-toxcore's bucket count and timeouts).
//!
//! A good node never has to make room (an attacker with fresh keys finds the old nodes in place).
//! Beyond the eight of a bucket, only nodes among the eight nearest of all find a place.

use std::collections::VecDeque;

use super::config::{
    BUCKET_NODES, BUCKET_NODES_NEAREST, BUCKETS, INFO_INTERVAL, MAX_FORGOTTEN, REFRESH_INTERVAL,
};
use super::node::Node;
use crate::wire::{Address, PublicKey, Rng, Time};

/// What an answer did to the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Answered {
    /// The node is new in the list; `near` if it is among the nearest.
    New { near: bool },
    /// It was there before.
    Known,
    /// Others have its place.
    Refused,
}

/// The close list.
#[derive(Debug)]
pub(super) struct Table {
    own: PublicKey,
    /// Only as many as ever were used: nobody shares 100 bits with anybody.
    buckets: Vec<Vec<Node>>,
    /// No node is due before.
    next_due: Time,
    /// The nodes forgotten last, at most [`MAX_FORGOTTEN`].
    forgotten: VecDeque<(PublicKey, Address)>,
}

impl Table {
    pub(super) fn new(own: PublicKey) -> Self {
        Self { own, buckets: Vec::new(), next_due: Time::MAX, forgotten: VecDeque::new() }
    }

    fn index(&self, key: &PublicKey) -> usize {
        (self.own.common_prefix_bits(key) as usize).min(BUCKETS - 1)
    }

    fn bucket(&self, index: usize) -> &[Node] {
        self.buckets.get(index).map_or(&[], Vec::as_slice)
    }

    /// The node with this key.
    pub(super) fn node(&self, key: &PublicKey) -> Option<&Node> {
        self.bucket(self.index(key)).iter().find(|node| node.key == *key)
    }

    /// All nodes.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Node> {
        self.buckets.iter().flatten()
    }

    /// True if no node is known.
    pub(super) fn is_empty(&self) -> bool {
        self.buckets.iter().all(Vec::is_empty)
    }

    /// True if an answer of this node from `address` would bring something new: a node that finds a
    /// place, or an address of a family in which the node is unknown or silent.
    pub(super) fn wants(&self, key: &PublicKey, address: &Address, now: Time) -> bool {
        if *key == self.own {
            return false;
        }
        let index = self.index(key);
        let bucket = self.bucket(index);
        match bucket.iter().find(|node| node.key == *key) {
            Some(node) => !node.is_good_like(now, address),
            None => {
                bucket.len() < BUCKET_NODES
                    || bucket.iter().any(|node| !node.is_good(now))
                    || bucket.len() < BUCKET_NODES_NEAREST && self.is_near(key, index)
            }
        }
    }

    /// True if fewer than [`BUCKET_NODES`] known nodes are nearer than `key`.
    fn is_near(&self, key: &PublicKey, index: usize) -> bool {
        let deeper: usize = self.buckets.iter().skip(index + 1).map(Vec::len).sum();
        let distance = self.own.distance(key);
        let is_nearer = |node: &&Node| self.own.distance(&node.key) < distance;
        deeper < BUCKET_NODES
            && deeper + self.bucket(index).iter().filter(is_nearer).count() < BUCKET_NODES
    }

    /// Enters a node that answered just now, or notes that it did. A new one is asked for nodes first
    /// at `first_request`.
    pub(super) fn answered(
        &mut self,
        now: Time,
        key: PublicKey,
        address: Address,
        first_request: Time,
    ) -> Answered {
        let index = self.index(&key);
        self.vacate(&key, &address);
        if let Some(node) = self.node_mut(&key) {
            node.answered(now, address, now + REFRESH_INTERVAL);
            let due = node.due();
            self.next_due = self.next_due.min(due);
            return Answered::Known;
        }
        if !self.wants(&key, &address, now) {
            return Answered::Refused;
        }
        let near = self.is_near(&key, index);
        if self.buckets.len() <= index {
            self.buckets.resize_with(index + 1, Vec::new);
        }
        let node = Node::new(now, key, address, first_request);
        self.next_due = self.next_due.min(node.due());
        place(&mut self.buckets[index], node, now);
        Answered::New { near }
    }

    /// The node with this key answered from there: nodes with other keys are there no longer. Who starts
    /// again with a new key leaves nothing behind then (c-toxcore `client_or_ip_port_in_list`).
    fn vacate(&mut self, key: &PublicKey, address: &Address) {
        if self.node(key).is_some_and(|node| node.is_at(address)) {
            return;
        }
        for bucket in &mut self.buckets {
            bucket.retain_mut(|node| node.key == *key || node.leave(address));
        }
    }

    /// Notes that a node asked us from this address.
    pub(super) fn heard(&mut self, key: &PublicKey, address: &Address, now: Time) {
        if let Some(node) = self.node_mut(key) {
            node.heard(now, address);
        }
    }

    fn node_mut(&mut self, key: &PublicKey) -> Option<&mut Node> {
        let index = self.index(key);
        self.buckets.get_mut(index)?.iter_mut().find(|node| node.key == *key)
    }

    /// Lets the node with this key be asked at once.
    pub(super) fn hasten(&mut self, key: &PublicKey, now: Time) {
        if let Some(node) = self.node_mut(key) {
            node.hasten(now);
            self.next_due = now;
        }
    }

    /// True if the node with this key may be asked for its bootstrap info, and from now on not again
    /// for [`INFO_INTERVAL`].
    pub(super) fn take_info_turn(&mut self, key: &PublicKey, now: Time) -> bool {
        let node = self.node_mut(key).filter(|node| node.next_info <= now);
        node.map(|node| node.next_info = now + INFO_INTERVAL).is_some()
    }

    /// Notes that the node with this key knows announcements.
    pub(super) fn note_announcing(&mut self, key: &PublicKey) {
        if let Some(node) = self.node_mut(key) {
            node.is_announcing = true;
        }
    }

    /// Up to `limit` good nodes that pass `filter`, the nearest to `target` first.
    pub(super) fn closest(
        &self,
        target: &PublicKey,
        limit: usize,
        now: Time,
        filter: impl Fn(&Node) -> bool,
    ) -> Vec<&Node> {
        let is_fit = |node: &&Node| node.is_good(now) && filter(node);
        // The target's own bucket is nearest to it, then come all deeper ones, mixed, and then one
        // bucket after the other.
        let middle = self.index(target);
        let mut found: Vec<&Node> = self.bucket(middle).iter().filter(is_fit).collect();
        if found.len() < limit {
            found.extend(self.buckets.iter().skip(middle + 1).flatten().filter(is_fit));
        }
        for index in (0..middle).rev() {
            if found.len() >= limit {
                break;
            }
            found.extend(self.bucket(index).iter().filter(is_fit));
        }
        found.sort_unstable_by_key(|node| node.key.distance(target));
        found.truncate(limit);
        found
    }

    /// The nodes to ask for nodes now, or in a moment; forgets those that were silent for too long.
    pub(super) fn take_due(&mut self, now: Time) -> Vec<(PublicKey, Address)> {
        if now < self.next_due {
            return Vec::new();
        }
        let mut due = Vec::new();
        self.next_due = Time::MAX;
        for bucket in &mut self.buckets {
            bucket.retain_mut(|node| {
                let latest = node.latest();
                let stays = node.take_due(now, &mut due);
                if let Some(address) = latest.filter(|_| !stays) {
                    self.forgotten.truncate(MAX_FORGOTTEN - 1);
                    self.forgotten.push_front((node.key, address));
                }
                self.next_due = self.next_due.min(node.due());
                stays
            });
        }
        due
    }

    /// The nodes that were forgotten last.
    pub(super) fn take_forgotten(&mut self) -> VecDeque<(PublicKey, Address)> {
        core::mem::take(&mut self.forgotten)
    }

    /// When [`Table::take_due`] has something to do.
    pub(super) fn deadline(&self) -> Time {
        self.next_due
    }

    /// Some good node, if the first one drawn is one.
    pub(super) fn random_good(&self, rng: &mut Rng, now: Time) -> Option<&Node> {
        let drawn = rng.index(self.iter().count());
        self.iter().nth(drawn).filter(|node| node.is_good(now))
    }

    /// True if the bucket has room for a node of any distance.
    pub(super) fn has_room(&self, index: usize) -> bool {
        self.bucket(index).len() < BUCKET_NODES
    }

    /// Buckets down to the deepest one with a node in it.
    pub(super) fn depth(&self) -> usize {
        self.buckets.iter().rposition(|bucket| !bucket.is_empty()).map_or(0, |last| last + 1)
    }

    /// The bucket of a key.
    pub(super) fn bucket_of(&self, key: &PublicKey) -> usize {
        self.index(key)
    }

    /// A random key that belongs into the bucket.
    pub(super) fn random_key(&self, index: usize, rng: &mut Rng) -> PublicKey {
        let mut key: [u8; 32] = rng.bytes();
        let (byte, bit) = (index / 8, index % 8);
        key[..byte].copy_from_slice(&self.own.0[..byte]);
        let (own, shared) = (self.own.0[byte], !(0xff_u8 >> bit));
        let differing = 0x80_u8 >> bit;
        key[byte] = own & shared | !own & differing | key[byte] & !shared & !differing;
        PublicKey(key)
    }
}

/// Puts a node into a bucket that has a place for it: that of the node silent for longest if one is
/// bad, else a further one.
fn place(bucket: &mut Vec<Node>, node: Node, now: Time) {
    let bad = bucket.iter_mut().filter(|node| !node.is_good(now));
    match bad.min_by_key(|node| node.alive()) {
        Some(bad) => *bad = node,
        None => bucket.push(node),
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
