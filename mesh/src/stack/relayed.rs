//! A person's relays in the stack: ways to friends, and into the onion, where UDP does not lead.

use super::Stack;
use crate::dht::Neighbour;
use crate::machine::StreamEvent;
use crate::onion::client::FirstHop;
use crate::path::Path;
use crate::relay::pool::PoolEvent;
use crate::session::Sessions;
use crate::wire::address::Protocol;
use crate::wire::friend::{FriendPacket, SHARE_RELAYS, SharedRelays};
use crate::wire::{PackedNode, PublicKey, Time};

impl Stack {
    /// Gets to know a TCP relay: its endpoint and its DHT key. False for a provider, which needs none,
    /// and if too many are known.
    pub fn add_relay(&mut self, now: Time, relay: core::net::SocketAddr, key: PublicKey) -> bool {
        let Some(person) = &mut self.person else { return false };
        let mut cx = self.base.context(now);
        let known = person.pool.add_relay(&mut cx, key, relay);
        person.pool.keep_base(&mut cx, true);
        known
    }

    /// Takes what happened to a stream that the pool of relays asked for.
    pub(super) fn handle_relay_stream(&mut self, now: Time, number: u64, event: StreamEvent<'_>) {
        if let Some(person) = &mut self.person {
            let keys = self.dht.keys();
            person.pool.handle_stream(&mut self.base.context(now), keys, number, event);
        }
    }

    /// Sends a session's packet through a relay.
    pub(super) fn relay(&mut self, now: Time, to: PublicKey, packet: &[u8]) {
        if let Some(person) = &mut self.person {
            // What no relay takes now is sent again, like what gets lost.
            person.pool.send(&mut self.base.context(now), to, packet);
        }
    }

    /// Lets the pool of relays go on, and takes what came through it.
    pub(super) fn advance_relayed(&mut self, now: Time) {
        let Some(person) = &mut self.person else { return };
        if person.pool.deadline().is_some_and(|at| at <= now) {
            person.pool.handle_timeout(&mut self.base.context(now));
        }
        while let Some(event) = self.person.as_mut().and_then(|person| person.pool.poll_event()) {
            self.handle_pool_event(now, event);
        }
    }

    fn handle_pool_event(&mut self, now: Time, event: PoolEvent) {
        let Some(person) = &mut self.person else { return };
        match event {
            PoolEvent::Packet { peer, mut packet } => {
                if packet.first().is_some_and(|kind| Sessions::handles(*kind)) {
                    let mut env = self.base.env(now, self.dht.keys());
                    self.sessions.handle(Path::Relayed(peer), &mut packet, &mut env);
                }
            }
            PoolEvent::OnionResponse { relay, mut packet } => {
                self.handle_onion_answer(now, FirstHop::Relay(relay), &mut packet);
            }
            PoolEvent::PeerOnline { peer } => person.friends.relayed(now, peer, true),
            PoolEvent::PeerOffline { peer } => {
                person.friends.relayed(now, peer, false);
                if let Some(friend) = person.friends.owner_of(&peer) {
                    let mut env = self.base.env(now, self.dht.keys());
                    self.sessions.set_relayed(friend, false, &mut env);
                }
            }
            PoolEvent::RelayUp { .. } | PoolEvent::RelayDown { .. } => {
                person.own_nodes_at = now;
                person.offer_at = now;
            }
            PoolEvent::Forwarded { mut data, .. } => {
                self.handle_announcement_response(now, None, &mut data);
            }
        }
    }

    /// Relays through which a friend may be reached.
    pub(super) fn hint_relays(&mut self, now: Time, dht_key: PublicKey, nodes: &[PackedNode]) {
        let Some(person) = &mut self.person else { return };
        let mut cx = self.base.context(now);
        for node in nodes.iter().filter(|node| node.endpoint.protocol == Protocol::Tcp) {
            person.pool.add_peer_relay(&mut cx, dht_key, node.key, node.endpoint.address);
        }
        // One of ours may be one of the friend's, whom nobody has told us of yet.
        for node in person.pool.relays_to_share() {
            person.pool.add_peer_relay(&mut cx, dht_key, node.key, node.endpoint.address);
        }
    }

    /// Tells a friend which relays we use.
    pub(super) fn share_relays(&mut self, now: Time, friend: PublicKey) {
        let Some(person) = &self.person else { return };
        let Some(relays) = SharedRelays::new(person.pool.relays_to_share()) else { return };
        let data = FriendPacket::ShareRelays(relays).body();
        // A friend that cannot be told now is told again later.
        let _ = self.send_packet(now, friend, SHARE_RELAYS, data.into());
    }

    /// The onion goes through relays while the DHT knows nobody: UDP is not to be had.
    pub(super) fn choose_onion_way(&mut self, now: Time) {
        let has_udp = self.dht.close_nodes().next().is_some();
        let Some(person) = &mut self.person else { return };
        let relays = if has_udp { Vec::new() } else { person.pool.onion_relays() };
        if !relays.is_empty() {
            let entries = person.entries.iter();
            let entries = entries.map(|&(key, address)| Neighbour { key, address, alive: now });
            person.client.offer_path_nodes(now, entries);
        }
        person.client.set_relays(now, &relays);
    }
}
