//! All of this node's connections to relays, and through which of them each peer is reached.
//!
//! The owner says which relays there are ([`Pool::add_relay`], [`Pool::add_peer_relay`]), whom it wants
//! to reach ([`Pool::add_peer`], by DHT keys) and whether it needs relays for that now
//! ([`Pool::set_awake`]: peers that are reached directly sleep). The pool connects, tries again, and
//! ends connections that nobody needs. Packets for a peer go over a connection that both sides asked
//! the relay for, or, while there is none, out of band.
//!
//! Numbers are c-toxcore's (`TCP_connection.h`): up to [`MAX_PEER_RELAYS`] relays for a peer, no new
//! ones once [`RECOMMENDED_RELAYS`] of them work, and as many for the onion and to tell friends of.

mod peer;
mod relay;
#[cfg(test)]
mod tests;
mod upkeep;

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use self::peer::{Peer, Standing};
use self::relay::Relay;
use super::client::ClientEvent;
use super::proxy::Proxy;
use crate::crypto::Keys;
use crate::machine::StreamEvent;
use crate::outbox::Context;
use crate::wire::address::{IpPort, PackedNode, Protocol};
use crate::wire::relay::RelayPacket;
use crate::wire::{Decode, PublicKey, Rng, Time};

/// Most relays of one peer (c-toxcore `MAX_FRIEND_TCP_CONNECTIONS`).
pub(crate) const MAX_PEER_RELAYS: usize = 6;
/// Relays that are enough for a peer, for the onion, and to tell friends of (c-toxcore
/// `RECOMMENDED_FRIEND_TCP_CONNECTIONS`, `NUM_ONION_TCP_CONNECTIONS`).
pub(crate) const RECOMMENDED_RELAYS: usize = 3;
/// Most relays that are known at once, connected or not (c-toxcore `MAX_TCP_CONNECTIONS`).
pub(crate) const MAX_RELAYS: usize = 64;
/// Most peers at once: c-toxcore's friends have no limit, ours are the owner's.
const MAX_PEERS: usize = 1024;
/// Strangers of whom we remember through which relay they wrote.
const MAX_STRANGERS: usize = 64;
/// How long a relay has to bring us a peer (c-toxcore `TCP_CONNECTION_ANNOUNCE_TIMEOUT`), and how long
/// a connection that nobody needs is kept.
const ANNOUNCE_TIME: Duration = Duration::from_secs(10);

/// What the owner of a pool is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum PoolEvent {
    /// A packet came from a peer, or out of band from whoever has this key (the relay says).
    Packet {
        /// The sender's DHT key.
        peer: PublicKey,
        /// The packet, as it would come by UDP.
        packet: Vec<u8>,
    },
    /// What came back for an onion request.
    OnionResponse {
        /// Through which relay.
        relay: PublicKey,
        /// The packet: 84, 86 or 88.
        packet: Vec<u8>,
    },
    /// What came back for a forward request.
    Forwarded {
        /// Through which relay.
        relay: PublicKey,
        /// The data.
        data: Vec<u8>,
    },
    /// A relay connects us with a peer: its first one.
    PeerOnline {
        /// The peer.
        peer: PublicKey,
    },
    /// No relay connects us with the peer any more.
    PeerOffline {
        /// The peer.
        peer: PublicKey,
    },
    /// A relay answers.
    RelayUp {
        /// The relay.
        relay: PublicKey,
    },
    /// A connection to a relay ended.
    RelayDown {
        /// The relay.
        relay: PublicKey,
    },
}

/// All connections to relays.
#[derive(Debug)]
pub(crate) struct Pool {
    rng: Rng,
    proxy: Option<Proxy>,
    relays: BTreeMap<PublicKey, Relay>,
    peers: BTreeMap<PublicKey, Peer>,
    by_stream: BTreeMap<u64, PublicKey>,
    /// Who wrote through which relay without being a peer, the latest last.
    strangers: VecDeque<(PublicKey, PublicKey)>,
    next_stream: u64,
    keeps_base: bool,
    deadline: Option<Time>,
    events: VecDeque<PoolEvent>,
}

impl Pool {
    /// A pool without relays. With a proxy all connections go through it.
    pub(crate) fn new(rng: Rng, proxy: Option<Proxy>) -> Self {
        Self {
            rng,
            proxy,
            relays: BTreeMap::new(),
            peers: BTreeMap::new(),
            by_stream: BTreeMap::new(),
            strangers: VecDeque::new(),
            next_stream: 0,
            keeps_base: false,
            deadline: None,
            events: VecDeque::new(),
        }
    }

    /// Gets to know a relay for good. False if there are too many already.
    pub(crate) fn add_relay(
        &mut self,
        cx: &mut Context<'_>,
        relay: PublicKey,
        address: SocketAddr,
    ) -> bool {
        let is_known = self.learn_relay(relay, address);
        if let Some(known) = self.relays.get_mut(&relay) {
            known.is_own = true;
        }
        self.settle(cx);
        is_known
    }

    /// Whether [`RECOMMENDED_RELAYS`] of the known relays shall be connected in any case: for the onion,
    /// and for friends to reach us by.
    pub(crate) fn keep_base(&mut self, cx: &mut Context<'_>, keep: bool) {
        self.keeps_base = keep;
        self.settle(cx);
    }

    /// Wants to reach the node with this DHT key, awake. False if there are too many already.
    pub(crate) fn add_peer(&mut self, cx: &mut Context<'_>, peer: PublicKey) -> bool {
        if self.peers.contains_key(&peer) {
            return true;
        }
        if self.peers.len() >= MAX_PEERS {
            return false;
        }
        self.peers.insert(peer, Peer::default());
        let wrote_through = self.strangers.iter().position(|(key, _)| *key == peer);
        if let Some((_, relay)) = wrote_through.and_then(|at| self.strangers.remove(at)) {
            self.attach(cx, peer, relay);
        }
        self.settle(cx);
        true
    }

    /// No longer wants to reach this node.
    pub(crate) fn remove_peer(&mut self, cx: &mut Context<'_>, peer: PublicKey) {
        if let Some(known) = self.peers.remove(&peer) {
            for relay in known.relays() {
                if let Some(relay) = self.relays.get_mut(&relay) {
                    relay.detach(cx, &peer);
                }
            }
            self.settle(cx);
        }
    }

    /// A relay at which the peer may be found. False if the peer has enough, or is none.
    pub(crate) fn add_peer_relay(
        &mut self,
        cx: &mut Context<'_>,
        peer: PublicKey,
        relay: PublicKey,
        address: SocketAddr,
    ) -> bool {
        let Some(known) = self.peers.get(&peer) else { return false };
        if !self.relays.contains_key(&relay) {
            if known.online_count() >= RECOMMENDED_RELAYS || known.is_full() {
                return false;
            }
            if !self.learn_relay(relay, address) {
                return false;
            }
        }
        let is_attached = self.attach(cx, peer, relay);
        self.settle(cx);
        is_attached
    }

    /// Whether relays are needed to reach the peer. Connections that only sleeping peers use end.
    #[cfg_attr(not(test), allow(dead_code, reason = "the stack keeps all ways warm"))]
    pub(crate) fn set_awake(&mut self, cx: &mut Context<'_>, peer: PublicKey, awake: bool) {
        if let Some(known) = self.peers.get_mut(&peer)
            && known.is_awake != awake
        {
            known.is_awake = awake;
            for relay in known.relays() {
                if let Some(relay) = self.relays.get_mut(&relay) {
                    relay.keep_until(cx.now + ANNOUNCE_TIME);
                }
            }
            self.settle(cx);
        }
    }

    /// True if a relay connects us with the peer.
    #[cfg_attr(not(test), allow(dead_code, reason = "tests look at it"))]
    pub(crate) fn is_online(&self, peer: &PublicKey) -> bool {
        self.peers.get(peer).is_some_and(|peer| peer.online_count() > 0)
    }

    /// Sends a packet to a peer, or to a stranger who wrote. False if that is not possible now: no relay
    /// is connected, too much waits, or the packet is too long to go out of band.
    pub(crate) fn send(&mut self, cx: &mut Context<'_>, to: PublicKey, packet: &[u8]) -> bool {
        let Some(peer) = self.peers.get(&to) else {
            let mut strangers = self.strangers.iter().rev();
            let relay = strangers.find(|(key, _)| *key == to).map(|(_, relay)| *relay);
            let relay = relay.and_then(|relay| self.relays.get_mut(&relay));
            return relay.is_some_and(|relay| relay.send_oob(cx, to, packet));
        };
        if peer.online_count() > 0 {
            let mut online = peer.relays_at(Standing::Online);
            return online.any(|relay| {
                self.relays.get_mut(&relay).is_some_and(|relay| relay.send_data(cx, &to, packet))
            });
        }
        let mut is_sent = false;
        for relay in peer.relays_at(Standing::Registered) {
            if let Some(relay) = self.relays.get_mut(&relay) {
                is_sent |= relay.send_oob(cx, to, packet);
            }
        }
        is_sent
    }

    /// Sends a whole relay packet of the onion's (kind 8) to a relay. False if it is not connected, too
    /// much waits there, or the packet is none.
    pub(crate) fn send_onion(
        &mut self,
        cx: &mut Context<'_>,
        relay: PublicKey,
        packet: &[u8],
    ) -> bool {
        match RelayPacket::from_bytes(packet) {
            Ok(packet @ RelayPacket::OnionRequest { .. }) => self.send_packet(cx, relay, &packet),
            _ => false,
        }
    }

    /// Has a relay forward `data` to a node. False as above.
    pub(crate) fn send_forward(
        &mut self,
        cx: &mut Context<'_>,
        relay: PublicKey,
        to: IpPort,
        data: &[u8],
    ) -> bool {
        self.send_packet(cx, relay, &RelayPacket::ForwardRequest { to, data })
    }

    fn send_packet(
        &mut self,
        cx: &mut Context<'_>,
        relay: PublicKey,
        packet: &RelayPacket<'_>,
    ) -> bool {
        self.relays.get_mut(&relay).is_some_and(|relay| relay.send_packet(cx, packet))
    }

    /// Relays that we are connected to, as friends are told of them; those first that stay longest.
    pub(crate) fn relays_to_share(&self) -> Vec<PackedNode> {
        let up = self.relays.iter().filter(|(_, relay)| relay.is_up());
        let mut shared: Vec<_> = up.map(|(key, relay)| (!relay.is_chosen, *key, relay)).collect();
        shared.sort_by_key(|(is_extra, key, _)| (*is_extra, *key));
        let endpoint = |address| IpPort { protocol: Protocol::Tcp, address };
        let node = |(_, key, relay): (bool, PublicKey, &Relay)| PackedNode {
            endpoint: endpoint(relay.address),
            key,
        };
        shared.into_iter().map(node).collect()
    }

    /// The relays through which onion paths may begin: those of the base that are connected.
    pub(crate) fn onion_relays(&self) -> Vec<PublicKey> {
        let usable = self.relays.iter().filter(|(_, relay)| relay.is_chosen && relay.is_up());
        usable.map(|(key, _)| *key).collect()
    }

    /// One of them at random.
    #[cfg_attr(not(test), allow(dead_code, reason = "the onion's client chooses itself"))]
    pub(crate) fn random_onion_relay(&mut self) -> Option<PublicKey> {
        let usable = self.onion_relays();
        self.rng.choose(&usable).copied()
    }

    /// Takes what happened to the outgoing stream `number`. `keys` are the DHT's.
    pub(crate) fn handle_stream(
        &mut self,
        cx: &mut Context<'_>,
        keys: &Keys,
        number: u64,
        event: StreamEvent<'_>,
    ) {
        let Some(key) = self.by_stream.get(&number).copied() else { return };
        let Some(client) = self.relays.get_mut(&key).and_then(|relay| relay.client.as_mut()) else {
            return;
        };
        let before = client.deadline();
        let is_alive = client.handle_stream(cx, keys, event);
        let mut is_settled = client.deadline() == before;
        let events: Vec<_> = core::iter::from_fn(|| client.poll_event()).collect();
        for event in events {
            is_settled &= self.handle_event(cx, key, event);
        }
        if !is_alive {
            self.lose(cx, key);
        }
        if !is_alive || !is_settled {
            self.settle(cx);
        }
    }

    /// Does what is due: pings, new attempts, ends of connections.
    pub(crate) fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        let mut lost = Vec::new();
        for (key, relay) in &mut self.relays {
            if let Some(client) = &mut relay.client
                && !client.handle_timeout(cx)
            {
                lost.push(*key);
            }
        }
        for key in lost {
            self.lose(cx, key);
        }
        self.settle(cx);
    }

    /// When [`Pool::handle_timeout`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// What happened next.
    pub(crate) fn poll_event(&mut self) -> Option<PoolEvent> {
        self.events.pop_front()
    }

    /// Takes what a connection tells; false if connections may begin or end because of it.
    fn handle_event(&mut self, cx: &mut Context<'_>, key: PublicKey, event: ClientEvent) -> bool {
        match event {
            ClientEvent::Up => self.welcome(cx, key),
            ClientEvent::Registered(peer) => self.note_registered(cx, peer, key),
            ClientEvent::Refused(peer) => self.part(cx, peer, key),
            ClientEvent::Online(peer) => self.set_standing(peer, key, Standing::Online),
            ClientEvent::Offline(peer) => {
                if let Some(relay) = self.relays.get_mut(&key) {
                    relay.keep_until(cx.now + ANNOUNCE_TIME);
                }
                self.set_standing(peer, key, Standing::Registered);
            }
            ClientEvent::Data(peer, packet) => {
                self.events.push_back(PoolEvent::Packet { peer, packet });
                return true;
            }
            ClientEvent::Oob(peer, packet) => return self.handle_oob(cx, peer, key, packet),
            ClientEvent::OnionResponse(packet) => {
                self.events.push_back(PoolEvent::OnionResponse { relay: key, packet });
                return true;
            }
            ClientEvent::Forwarded(data) => {
                self.events.push_back(PoolEvent::Forwarded { relay: key, data });
                return true;
            }
        }
        false
    }

    /// A packet out of band: its sender is at this relay, which is good to know.
    fn handle_oob(
        &mut self,
        cx: &mut Context<'_>,
        peer: PublicKey,
        relay: PublicKey,
        packet: Vec<u8>,
    ) -> bool {
        self.events.push_back(PoolEvent::Packet { peer, packet });
        if self.peers.contains_key(&peer) {
            return !self.attach(cx, peer, relay);
        }
        self.strangers.retain(|(key, _)| *key != peer);
        if self.strangers.len() >= MAX_STRANGERS {
            self.strangers.pop_front();
        }
        self.strangers.push_back((peer, relay));
        true
    }
}
