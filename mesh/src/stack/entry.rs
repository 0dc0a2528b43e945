//! How a stack gets into the network, and what it keeps to get in again.

use core::net::IpAddr;

use super::Stack;
use crate::wire::{Address, PackedNode, PublicKey, Time};

/// TCP relays that are kept for the next start (c-toxcore `NUM_SAVED_TCP_RELAYS`).
const SAVED_RELAYS: usize = 8;

/// Nodes for onion paths that are kept for the next start (c-toxcore `NUM_SAVED_PATH_NODES`).
const SAVED_PATH_NODES: usize = 8;

impl Stack {
    /// Gets to know the network through a node of which key and address are known.
    pub fn bootstrap(&mut self, now: Time, address: Address, key: PublicKey) {
        self.dht.bootstrap(&mut self.base.context(now), address, key);
        self.remember_entry(key, address);
    }

    /// Gets to know the network through nodes from before: those of a save file, or what
    /// [`Stack::nodes_to_save`] gave in the last run. They are asked until one of them answers.
    pub fn load_nodes(&mut self, now: Time, nodes: &[(PublicKey, Address)]) {
        self.dht.load_nodes(&mut self.base.context(now), nodes);
        for (key, address) in nodes {
            self.remember_entry(*key, *address);
        }
    }

    /// Nodes by which the next start gets into the network without being told any: at most 2,080, those
    /// nearest to this node's key among them.
    pub fn nodes_to_save(&self) -> Vec<(PublicKey, Address)> {
        self.dht.nodes_to_save()
    }

    /// TCP relays that work, for a person's next start.
    pub fn relays_to_save(&self) -> Vec<PackedNode> {
        let relays = self.person.iter().flat_map(|person| person.pool.relays_to_share());
        relays.take(SAVED_RELAYS).collect()
    }

    /// Nodes of which a person's onion paths may be made at the next start, before the DHT has answered
    /// or if there is none.
    pub fn path_nodes_to_save(&self) -> Vec<PackedNode> {
        let known = self.person.iter().flat_map(|person| person.entries.iter().copied());
        let near = self.close_nodes().chain(known);
        let nodes = near.filter_map(|(key, address)| Some(PackedNode::udp(address.as_udp()?, key)));
        nodes.take(SAVED_PATH_NODES).collect()
    }

    /// The broadcast addresses of this machine's interfaces, as they are now: LAN discovery, if it is
    /// on, sends to them too.
    pub fn set_broadcast_addresses(&mut self, addresses: &[IpAddr]) {
        self.dht.set_broadcast_addresses(addresses);
    }
}
