//! What this node knows of others: the close list and the friends' lists, and what of it is told.

use super::Dht;
use super::config::MAX_SAVED_NODES;
use super::node::Node;
use crate::wire::{Address, PublicKey, Time};

/// A node of the close list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Neighbour {
    /// Its DHT key.
    pub(crate) key: PublicKey,
    /// Where it was heard last.
    pub(crate) address: Address,
    /// When that was.
    pub(crate) alive: Time,
}

impl Dht {
    /// All nodes of the close list.
    pub(crate) fn close_nodes(&self) -> impl Iterator<Item = (PublicKey, Address)> + '_ {
        self.table.iter().filter_map(|node| Some((node.key, node.latest()?)))
    }

    /// The same with their last signs of life.
    pub(crate) fn neighbours(&self) -> impl Iterator<Item = Neighbour> + '_ {
        self.table.iter().filter_map(|node| {
            Some(Neighbour { key: node.key, address: node.latest()?, alive: node.alive() })
        })
    }

    /// The node with this key, if the close list or a friend's list has it.
    pub(super) fn known(&self, key: &PublicKey) -> Option<&Node> {
        let near_friends = || self.friends.values().flat_map(|friend| friend.nodes());
        self.table.node(key).or_else(|| near_friends().find(|node| node.key == *key))
    }

    /// Where a node of the close list or a friend is, if it answered lately.
    pub(crate) fn address_of(&self, key: &PublicKey, now: Time) -> Option<Address> {
        let close = self.table.node(key).and_then(|node| node.address(now));
        close.or_else(|| self.friend_address(key, now))
    }

    /// Up to `limit` good nodes nearest to `target` that may be told to someone at `requester`: no local
    /// ones outside of the local network. Each with one address, of the requester's family if possible.
    /// As with c-toxcore, the requester learns in this way where it is itself.
    pub(crate) fn nodes_for(
        &self,
        target: &PublicKey,
        limit: usize,
        now: Time,
        requester: &Address,
    ) -> Vec<(PublicKey, Address)> {
        self.nearest(target, limit, now, |node| node.address_for(now, requester))
    }

    /// As [`Dht::nodes_for`], but only nodes that showed that they know announcements.
    pub(crate) fn announcing_nodes_for(
        &self,
        target: &PublicKey,
        limit: usize,
        now: Time,
        requester: &Address,
    ) -> Vec<(PublicKey, Address)> {
        let address = |node: &Node| node.address_for(now, requester);
        self.nearest(target, limit, now, |node| address(node).filter(|_| node.is_announcing))
    }

    /// Where a node of the close list is, as far as we know: packets are forwarded to such nodes only.
    pub(crate) fn close_address(&self, key: &PublicKey, now: Time) -> Option<Address> {
        let node = self.table.node(key)?;
        node.address(now).or(node.latest())
    }

    /// Up to `limit` good nodes nearest to `target`, local ones and all.
    pub(super) fn nearest_known(
        &self,
        target: &PublicKey,
        limit: usize,
        now: Time,
    ) -> Vec<(PublicKey, Address)> {
        self.nearest(target, limit, now, |node| node.address(now))
    }

    /// The nodes nearest to `target` of the close list and all friends' lists.
    fn nearest(
        &self,
        target: &PublicKey,
        limit: usize,
        now: Time,
        address: impl Fn(&Node) -> Option<Address>,
    ) -> Vec<(PublicKey, Address)> {
        let mut found = self.table.closest(target, limit, now, |node| address(node).is_some());
        let friends = self.friends.values().flat_map(|friend| friend.nodes());
        found.extend(friends.filter(|node| address(node).is_some()));
        if !self.friends.is_empty() {
            found.sort_by_key(|node| node.key.distance(target));
            found.dedup_by_key(|node| node.key);
            found.truncate(limit);
        }
        found.into_iter().filter_map(|node| Some((node.key, address(node)?))).collect()
    }

    /// Nodes to ask at the next start: the close list, and what is left of the nodes from before.
    pub(crate) fn nodes_to_save(&self) -> Vec<(PublicKey, Address)> {
        let close = self.table.iter().flat_map(Node::all);
        close.chain(self.saved.iter()).take(MAX_SAVED_NODES).collect()
    }
}
