//! The DHT: who is out there, and where (Tox Reference, "DHT"; research note `tox.md` 1.2).
//!
//! On the wire a [`Dht`] is c-toxcore's: the same packets, buckets and timeouts. It does not poll:
//! every timer has its moment, and whatever nobody has to wait for is done at once, so that a node
//! knows its neighbourhood a few round trips after the first answer.

mod bootstrap;
mod candidates;
mod config;
mod friend;
mod friends;
mod known;
mod lan;
mod lookup;
mod lookups;
#[cfg(test)]
mod nat_tests;
#[cfg(test)]
mod network;
#[cfg(test)]
mod network_nat;
#[cfg(test)]
mod network_tests;
mod node;
mod packets;
mod requests;
mod saved;
mod seek;
mod services;
#[cfg(test)]
mod start_tests;
mod table;

use std::collections::VecDeque;

use self::bootstrap::Bootstrap;
use self::candidates::Candidates;
pub use self::config::DhtConfig;
use self::config::{JOIN_LOOKUPS, LAN_JITTER, RANDOM_INTERVAL, REFRESH_INTERVAL};
use self::friends::Friends;
pub(crate) use self::known::Neighbour;
use self::lan::Lan;
use self::lookups::{Reason, Running};
pub(crate) use self::packets::packed_node;
use self::requests::{Purpose, Requests};
use self::saved::Saved;
use self::services::Services;
use self::table::{Answered, Table};
use crate::crypto::Keys;
use crate::drops::DropReason;
use crate::event::LookupId;
use crate::outbox::Context;
use crate::wire::bootstrap_info::BootstrapInfoRequest;
use crate::wire::lan::LanDiscovery;
use crate::wire::{Address, Encode, KeyPair, PublicKey, Rng, Time};

/// What the DHT tells the stack.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum DhtEvent {
    /// The first verified node came into the close list.
    Connected,
    /// A lookup ended.
    LookupDone {
        /// Which one.
        lookup: LookupId,
        /// The key that was looked for.
        key: PublicKey,
        /// Where that node answered from; `None` if it did not.
        address: Option<Address>,
        /// How many nodes in a row told of the next one.
        hops: u32,
    },
    /// A friend answered from this address, where it did not answer lately.
    FriendFound {
        /// Its DHT key.
        dht_key: PublicKey,
        /// Where it is; there may be several addresses, each told of.
        address: Address,
    },
    /// A DHT request for this node: a friend request or a friend's DHT key.
    Request {
        /// The sender's DHT key.
        sender: PublicKey,
        /// Its inner kind: 0x20 or 0x9c.
        id: u8,
        /// What follows.
        data: Vec<u8>,
    },
    /// A node's bootstrap info offers TokTok services.
    ServiceNode {
        /// Its DHT key.
        key: PublicKey,
        /// Where it is.
        address: Address,
        /// What it offers.
        services: Vec<String>,
    },
}

/// A node of the DHT.
#[derive(Debug)]
pub(crate) struct Dht {
    config: DhtConfig,
    keys: Keys,
    rng: Rng,
    /// That of probes for announcements.
    probe_rng: Rng,
    table: Table,
    requests: Requests,
    candidates: Candidates,
    bootstrap: Bootstrap,
    services: Services,
    friends: Friends,
    saved: Saved,
    lan: Lan,
    lookups: Vec<Running>,
    next_lookup: u64,
    connected: bool,
    /// When nodes began to answer, and how many of [`JOIN_LOOKUPS`] were begun since.
    joined: (Time, usize),
    next_random: Time,
    events: VecDeque<DhtEvent>,
}

impl Dht {
    /// A node that knows nobody yet.
    pub(crate) fn new(config: &DhtConfig, keys: KeyPair, mut rng: Rng, now: Time) -> Self {
        let own = keys.public;
        Self {
            config: config.clone(),
            keys: Keys::new(keys, &mut rng),
            probe_rng: rng.child("announcements"),
            rng,
            table: Table::new(own),
            requests: Requests::default(),
            candidates: Candidates::new(own),
            bootstrap: Bootstrap::default(),
            services: Services::new(&config.motd),
            friends: Friends::new(),
            saved: Saved::default(),
            lan: Lan::new(config.lan_discovery, now),
            lookups: Vec::new(),
            next_lookup: 0,
            connected: false,
            joined: (now, JOIN_LOOKUPS.len()),
            next_random: Time::MAX,
            events: VecDeque::new(),
        }
    }

    /// The key pair's cache of shared keys, which sessions and the onion use as well.
    pub(crate) fn keys(&mut self) -> &mut Keys {
        &mut self.keys
    }

    /// Gets to know the network through this node.
    pub(crate) fn bootstrap(&mut self, cx: &mut Context<'_>, address: Address, key: PublicKey) {
        if self.is_welcome(&key) {
            self.bootstrap.add(cx.now, key, address);
            self.ask_bootstrap_nodes(cx);
        }
    }

    /// Asks nodes from before, until somebody answers: those of a save file, or of
    /// [`Dht::nodes_to_save`] of the last run.
    pub(crate) fn load_nodes(&mut self, cx: &mut Context<'_>, nodes: &[(PublicKey, Address)]) {
        let fit = nodes.iter().filter(|(key, at)| self.is_welcome(key) && is_reachable(at));
        let fit: Vec<_> = fit.copied().collect();
        self.saved.add(cx.now, fit);
        self.ask_saved_nodes(cx);
    }

    /// The broadcast addresses of this machine's interfaces, as they are now: LAN discovery shouts there.
    pub(crate) fn set_broadcast_addresses(&mut self, addresses: &[core::net::IpAddr]) {
        self.lan.set_broadcast(addresses);
    }

    /// What the bootstrap info offers from now on.
    pub(crate) fn set_services(&mut self, services: &[&str]) {
        self.services.offer(services);
    }

    /// The next thing to tell.
    pub(crate) fn poll_event(&mut self) -> Option<DhtEvent> {
        self.events.pop_front()
    }

    /// When [`Dht::handle_timeout`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let mut next = self.table.deadline().min(self.next_random).min(self.next_join());
        next = next.min(self.friends_deadline());
        for wake in self.lookups.iter().map(|running| running.wake) {
            next = next.min(wake);
        }
        let others = [
            self.candidates.deadline(),
            self.bootstrap.deadline(),
            self.services.deadline(),
            self.saved.deadline(),
            self.lan.deadline(),
        ];
        for deadline in others.into_iter().flatten() {
            next = next.min(deadline);
        }
        (next != Time::MAX).then_some(next)
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        for (key, address) in self.table.take_due(cx.now) {
            self.request_nodes(cx, key, address, self.keys.public(), Purpose::Refresh);
        }
        if self.connected && self.table.is_empty() {
            self.connected = false;
            self.bootstrap.hurry(cx.now);
            self.saved.add(cx.now, self.table.take_forgotten());
        }
        if self.next_random <= cx.now {
            self.next_random = cx.now + RANDOM_INTERVAL;
            self.ask_random_node(cx);
        }
        if self.next_join() <= cx.now {
            self.joined.1 += 1;
            self.begin(cx.now, self.keys.public(), Reason::Join);
        }
        self.ask_bootstrap_nodes(cx);
        self.ask_saved_nodes(cx);
        self.shout(cx);
        self.ping_candidates(cx);
        self.ask_for_services(cx);
        self.drive_lookups(cx);
        self.drive_friends(cx);
    }

    fn next_join(&self) -> Time {
        let (since, begun) = self.joined;
        JOIN_LOOKUPS.get(begun).map_or(Time::MAX, |pause| since + *pause)
    }

    /// Asks one node as c-toxcore does every 20 s: for this node's own key, or for a key of the asked
    /// one's bucket while there is room in it.
    fn ask_random_node(&mut self, cx: &mut Context<'_>) {
        let Some(node) = self.table.random_good(&mut self.rng, cx.now) else { return };
        let Some(address) = node.address(cx.now) else { return };
        let key = node.key;
        let bucket = self.table.bucket_of(&key);
        let target = if self.table.has_room(bucket) {
            self.table.random_key(bucket, &mut self.rng)
        } else {
            self.keys.public()
        };
        self.request_nodes(cx, key, address, target, Purpose::Refresh);
    }

    fn ask_bootstrap_nodes(&mut self, cx: &mut Context<'_>) {
        while let Some((key, address)) = self.bootstrap.take_due(cx.now, self.connected) {
            self.request_nodes(cx, key, address, self.keys.public(), Purpose::Refresh);
        }
    }

    fn ask_saved_nodes(&mut self, cx: &mut Context<'_>) {
        for (key, address) in self.saved.take_due(cx.now) {
            self.request_nodes(cx, key, address, self.keys.public(), Purpose::Refresh);
        }
    }

    /// Tells the local network of this node.
    fn shout(&mut self, cx: &mut Context<'_>) {
        if self.lan.deadline().is_none_or(|at| cx.now < at) {
            return;
        }
        let packet = LanDiscovery { key: self.keys.public() }.to_bytes();
        let delay = self.rng.below(LAN_JITTER.as_micros() as u64);
        let delay = core::time::Duration::from_micros(delay);
        for address in self.lan.take_due(cx.now, delay) {
            cx.transmit(address, packet.clone());
        }
    }

    fn ping_candidates(&mut self, cx: &mut Context<'_>) {
        while let Some((key, address)) = self.candidates.pop(cx.now) {
            self.request_ping(cx, key, address);
        }
    }

    fn ask_for_services(&mut self, cx: &mut Context<'_>) {
        while let Some(address) = self.services.take_due(cx.now) {
            cx.transmit(address, BootstrapInfoRequest.to_bytes());
        }
    }

    /// A node of the close list that may offer services: it is asked if it has not been for a while.
    fn consider_service(&mut self, now: Time, key: PublicKey, address: Address) {
        let is_discovering = self.config.discover_services || self.services.is_offering();
        if is_discovering && self.table.take_info_turn(&key, now) {
            self.services.ask(now, key, address);
        }
    }

    /// False for this node itself and for those with whom it will have nothing to do.
    fn is_welcome(&self, key: &PublicKey) -> bool {
        *key != self.keys.public() && !self.config.shunned.contains(key)
    }

    /// A node that we only heard of: it is pinged if its answer would bring it into the close list.
    fn consider(&mut self, now: Time, key: PublicKey, address: Address) {
        let is_fit = is_reachable(&address) && self.is_welcome(&key);
        if is_fit && self.table.wants(&key, &address, now) {
            self.candidates.offer(now, key, address);
        }
    }

    /// A node that wrote to us itself. If we know it elsewhere, it may have moved.
    fn consider_sender(&mut self, cx: &mut Context<'_>, key: PublicKey, address: Address) {
        if !self.is_welcome(&key) {
            return;
        }
        self.table.heard(&key, &address, cx.now);
        if let Some(friend) = self.friends.get_mut(&key)
            && is_reachable(&address)
        {
            friend.heard(cx.now, address);
            self.drive_friends(cx);
        }
        match self.table.node(&key) {
            Some(node) if node.is_good_at(cx.now, &address) => return,
            Some(_) if is_reachable(&address) => self.candidates.offer(cx.now, key, address),
            _ => self.consider(cx.now, key, address),
        }
        self.ping_candidates(cx);
    }

    /// A node answered from this address.
    fn verified(
        &mut self,
        cx: &mut Context<'_>,
        key: PublicKey,
        address: Address,
        purpose: Purpose,
    ) {
        self.bootstrap.answered(cx.now, &key);
        if !address.is_lan() {
            // The world is there. As long as only the local network is, the others are asked too.
            self.saved.clear();
        }
        self.tell_friends_of_answer(cx.now, key, address);
        // Spread over the interval, so that nodes met together are not asked together.
        let spread = self.rng.below(REFRESH_INTERVAL.as_micros() as u64);
        let first_request = cx.now + core::time::Duration::from_micros(spread);
        let Answered::New { near } = self.table.answered(cx.now, key, address, first_request)
        else {
            return self.consider_service(cx.now, key, address);
        };
        if near && purpose == Purpose::Verify {
            self.table.hasten(&key, cx.now);
        }
        if !self.connected {
            self.connect(cx.now);
        }
        self.probe_announcements(cx, key, address);
        self.consider_service(cx.now, key, address);
        self.ask_for_services(cx);
    }

    /// The first node answered: the way into the network is open.
    fn connect(&mut self, now: Time) {
        self.connected = true;
        self.joined = (now, 0);
        self.next_random = now + RANDOM_INTERVAL;
        self.events.push_back(DhtEvent::Connected);
    }

    fn request_nodes(
        &mut self,
        cx: &mut Context<'_>,
        key: PublicKey,
        address: Address,
        target: PublicKey,
        purpose: Purpose,
    ) {
        match self.requests.open(&mut self.rng, cx.now, key, address, purpose) {
            Some(id) => {
                let packet =
                    packets::nodes_request(&mut self.keys, &mut self.rng, &key, target, id);
                cx.transmit(address, packet);
            }
            None => cx.drop_packet(DropReason::LimitReached),
        }
    }

    /// As c-toxcore does, asks a node that is new in the close list for a random key's announcement: if it
    /// answers it knows announcements, and is told to those who look for such nodes.
    fn probe_announcements(&mut self, cx: &mut Context<'_>, key: PublicKey, address: Address) {
        let rng = &mut self.probe_rng;
        match self.requests.open(rng, cx.now, key, address, Purpose::Announcements) {
            Some(id) => {
                let packet = packets::announcement_probe(&mut self.keys, rng, &key, id);
                cx.transmit(address, packet);
            }
            None => cx.drop_packet(DropReason::LimitReached),
        }
    }

    fn request_ping(&mut self, cx: &mut Context<'_>, key: PublicKey, address: Address) {
        match self.requests.open(&mut self.rng, cx.now, key, address, Purpose::Verify) {
            Some(id) => {
                let packet = packets::ping(&mut self.keys, &mut self.rng, &key, false, id);
                cx.transmit(address, packet);
            }
            None => cx.drop_packet(DropReason::LimitReached),
        }
    }
}

/// False for addresses that no node can have: a liar would have us send to everybody or nobody.
pub(crate) fn is_reachable(address: &Address) -> bool {
    address.as_udp().is_none_or(|udp| {
        let ip = udp.ip();
        let is_broadcast = match ip {
            core::net::IpAddr::V4(ip) => ip.is_broadcast(),
            core::net::IpAddr::V6(_) => false,
        };
        udp.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !is_broadcast
    })
}
