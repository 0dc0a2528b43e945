//! The onion's client side: this node announces its long-term key, finds those of friends, and tells
//! them its DHT key, all through paths of three nodes (Tox Reference, "Onion"; research note `tox.md`
//! 1.3).
//!
//! # How it is driven
//! In go: friends ([`OnionClient::add_friend`] …), nodes of the DHT ([`OnionClient::offer_path_nodes`]
//! whenever [`OnionClient::wants_path_nodes`], and when the DHT gets connected), what our DHT-key
//! packets tell ([`OnionClient::set_own_nodes`]), the TCP relays to go through where UDP is not to be
//! had ([`OnionClient::set_relays`]), packets of the kinds 84 and 86 with whom they came from
//! ([`OnionClient::handle`]), and [`OnionClient::handle_timeout`] at the
//! [`OnionClient::deadline`]. Out come packets ([`OnionClient::poll_transmit`]) and
//! [`OnionClientEvent`]s; drain both after every call.
//!
//! # Timing
//! What others depend on is c-toxcore's; nothing waits for a tick. As soon as the pool has enough nodes
//! for a path, those nearest to our key are asked, and told at once what they need to keep us: two
//! round trips. A search starts at the same moment, and our DHT key goes through the first node that
//! is found to hold the friend's announcement. Whoever looks for a friend that is announcing itself
//! right now asks again after a tenth of a second.
//!
//! # What it costs
//! An announce request is 403 bytes at its first hop, 431 with IP and UDP headers. In the steady state
//! each of twelve nodes is asked every 112 to 120 s, 45 bytes a second in all, and twice when its path
//! ends after 20 min, 4 bytes a second more; in a network of 8 nodes it is 29 in all. (Of the 300 bytes
//! a second that an idle node may send the DHT needs half.) An announcement that lives 300 s is so
//! renewed twice, and each path is used every 60 s; when one breaks unnoticed the friends' packets
//! still come through those of the other nodes. The first announcement costs some 40 requests, 17 kB,
//! and two more rounds in the first minute and a half.
//!
//! A search asks some 20 nodes at first, 3 each tenth of a second, and then 3 in each quarter of its
//! age: 40 requests (17 kB) in the first three seconds, 60 more in the first minute, 50 more (22 kB) in
//! the first hour, then 3 an hour, 0.4 bytes a second. A friend that is found but not online costs 3
//! data packets of up to 604 bytes each 30 s (60 bytes a second) for 10 minutes, then ever less. Online
//! friends cost nothing. All requests together keep to [`config::BURST`] and [`config::PACE`].
//!
//! Many nodes are behind NATs, where hops do not reach them. So a node that is silent is asked again
//! along a path that brought answers, nodes of silent paths are drawn last, and a member of a
//! neighbourhood keeps the path that it answered along.
//!
//! # What nobody learns
//! - The first hop sees our address, but keys of one path only; the third hop sees whom we ask, and in
//!   a request the key that asks: our long-term key when we announce, a key of one search otherwise.
//!   The two kinds never share a path, nor do the searches for two friends.
//! - Numbers that come back, ping ids and nonces inside a request are never those outside. The one
//!   nonce of all three layers is seen by all three hops, for so it is written: hops that work together
//!   recognise packets (weakness 6 of the research note 3.1). So they do by their times.
//! - Our DHT key is in no request: only friends learn it, inside two boxes.
//! - Answers and data count only if they come from the first hop of the path that they belong to. So
//!   the node at the end cannot find out where we are by sending to guessed addresses.
//! - Announce nodes do not become hops of paths ([`pool`]), and no relay is asked through itself.
//! - The third hop of a packet for somebody sees to which identity it goes, and the first hop of that
//!   one's path sees the same box go to an address. No node is both ([`pool::Side`]).
//!
//! `tools/sim/tests/privacy.rs` checks all this, but what hops that work together recognise.

mod announcer;
mod config;
mod courier;
mod data;
mod drive;
mod explorer;
mod friend;
pub(crate) mod fuzz;
mod letter;
mod neighbourhood;
#[cfg(test)]
mod network;
#[cfg(test)]
mod network_tests;
mod pace;
#[cfg(test)]
mod packet_tests;
mod paths;
mod pool;
mod receive;
mod requests;
mod searcher;

use std::collections::{BTreeMap, VecDeque};

use self::announcer::Announcer;
pub(crate) use self::config::OnionClientConfig;
use self::config::{MAX_EVENTS, OWN_PATHS};
use self::courier::Courier;
use self::data::Mailbox;
use self::explorer::Explorer;
use self::friend::Friend;
use self::letter::{Letter, Schedule};
pub(crate) use self::paths::FirstHop;
use self::paths::Paths;
use crate::dht::Neighbour;
use crate::outbox::Context;
use crate::wire::address::Protocol;
use crate::wire::friend::{FriendRequest, MAX_FRIEND_REQUEST};
use crate::wire::{Encode, KeyPair, PackedNode, PublicKey, Rng, Time};

/// What the onion tells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum OnionClientEvent {
    /// Others can find us now, or no longer.
    Announced(bool),
    /// A friend tells its DHT key.
    FriendDht {
        /// Its long-term key.
        friend: PublicKey,
        /// Its DHT key.
        dht_key: PublicKey,
        /// Relays that it is connected to, and nodes near to it.
        nodes: Vec<PackedNode>,
    },
    /// A stranger asks to become a friend. Whoever asks again in the same words is not told again.
    FriendRequest {
        /// Its long-term key.
        from: PublicKey,
        /// Ours, or it is to be ignored.
        nospam: [u8; 4],
        /// What it says.
        message: Vec<u8>,
    },
}

/// The client side of the onion, for one long-term key.
#[derive(Debug)]
pub(crate) struct OnionClient {
    identity: KeyPair,
    dht_key: PublicKey,
    config: OnionClientConfig,
    courier: Courier,
    announcer: Announcer,
    own_paths: Paths,
    explorer: Explorer,
    mailbox: Mailbox,
    friends: BTreeMap<PublicKey, Friend>,
    /// The friend that was served last.
    turn: Option<PublicKey>,
    own_nodes: Vec<PackedNode>,
    was_announced: bool,
    events: VecDeque<OnionClientEvent>,
}

impl OnionClient {
    /// Announces the key of `identity` as soon as there are nodes to build paths of. `dht_key` is what
    /// friends are told.
    pub(crate) fn new(
        identity: KeyPair,
        dht_key: PublicKey,
        mut rng: Rng,
        config: OnionClientConfig,
    ) -> Self {
        let mailbox = Mailbox::new(&mut rng);
        Self {
            announcer: Announcer::new(identity.public),
            identity,
            dht_key,
            config,
            courier: Courier::new(dht_key, rng, config.allow_short_paths),
            own_paths: Paths::new(OWN_PATHS),
            explorer: Explorer::new(),
            mailbox,
            friends: BTreeMap::new(),
            turn: None,
            own_nodes: Vec::new(),
            was_announced: false,
            events: VecDeque::new(),
        }
    }

    /// Finds this friend, and tells it our DHT key, until it is online. No effect if it is known.
    pub(crate) fn add_friend(&mut self, now: Time, key: PublicKey) {
        if key == self.identity.public || self.friends.contains_key(&key) {
            return;
        }
        let shared = self.identity.secret.shared_key(&key);
        let mut friend = Friend::new(now, &mut self.courier.rng, key, shared);
        friend.search.seed(now, &self.courier.pool);
        self.friends.insert(key, friend);
        self.drive(now);
    }

    /// Forgets this friend.
    pub(crate) fn remove_friend(&mut self, key: &PublicKey) {
        self.friends.remove(key);
        self.mailbox.forget_requests(key);
    }

    /// A session with this friend stands, or stands no longer: it is sought only while none does.
    pub(crate) fn set_friend_online(&mut self, now: Time, key: &PublicKey, is_online: bool) {
        if let Some(friend) = self.friends.get_mut(key) {
            friend.set_online(now, &mut self.courier.rng, is_online);
            friend.search.seed(now, &self.courier.pool);
            self.drive(now);
        }
    }

    /// Asks this key's owner to become a friend: as soon as it is found, then after 5, 10, 20 s …
    /// until it is online or removed. It is a friend from now on. Another request to the same key
    /// replaces the first. The message is cut after [`MAX_FRIEND_REQUEST`] bytes.
    pub(crate) fn send_friend_request(
        &mut self,
        now: Time,
        key: PublicKey,
        nospam: [u8; 4],
        message: &[u8],
    ) {
        self.add_friend(now, key);
        let message = &message[..message.len().min(MAX_FRIEND_REQUEST)];
        let request = FriendRequest { nospam, message };
        if let Some(friend) = self.friends.get_mut(&key) {
            friend.request = Some(Letter::new(Schedule::FriendRequest, request.to_bytes()));
            self.drive(now);
        }
    }

    /// What friends are told beside our DHT key: up to two relays that we are connected to, then nodes
    /// near to us, four in all.
    pub(crate) fn set_own_nodes(&mut self, now: Time, nodes: &[PackedNode]) {
        let relays = |nodes: &[PackedNode]| -> Vec<PackedNode> {
            let is_relay = |node: &&PackedNode| node.endpoint.protocol == Protocol::Tcp;
            nodes.iter().filter(is_relay).copied().collect()
        };
        let is_news = self.own_nodes.is_empty() || relays(&self.own_nodes) != relays(nodes);
        let is_news = is_news && self.own_nodes != nodes;
        self.own_nodes = nodes.to_vec();
        if is_news {
            self.friends.values_mut().for_each(|friend| friend.tell.hasten(now));
            self.drive(now);
        }
    }

    /// The relays through which everything goes from now on, by their keys: those that we are
    /// connected to, while UDP is not to be had. None: everything goes by UDP.
    pub(crate) fn set_relays(&mut self, now: Time, relays: &[PublicKey]) {
        if self.courier.relays != relays {
            self.courier.relays = relays.to_vec();
            self.explorer.hurry(now);
            self.drive(now);
        }
    }

    /// True if nodes should be offered.
    pub(crate) fn wants_path_nodes(&self) -> bool {
        self.courier.pool.wants_offer()
    }

    /// Nodes that answered our DHT lately, or bootstrap nodes while there is no DHT: the more the
    /// better, a random choice of them will be used.
    pub(crate) fn offer_path_nodes(&mut self, now: Time, nodes: impl Iterator<Item = Neighbour>) {
        let courier = &mut self.courier;
        courier.pool.offer(now, &mut courier.rng, nodes);
        self.announcer.seed(now, &self.identity.public, &courier.pool);
        for friend in self.friends.values_mut().filter(|friend| !friend.is_online()) {
            friend.search.seed(now, &courier.pool);
        }
        self.drive(now);
    }

    /// The next packet to send. For a relay it is a whole relay packet of kind 8.
    pub(crate) fn poll_transmit(&mut self) -> Option<(FirstHop, Vec<u8>)> {
        self.courier.poll()
    }

    /// The next thing to tell.
    pub(crate) fn poll_event(&mut self) -> Option<OnionClientEvent> {
        self.events.pop_front()
    }

    /// False, and the event is lost, if too many wait.
    fn push_event(&mut self, event: OnionClientEvent) -> bool {
        let fits = self.events.len() < MAX_EVENTS;
        if fits {
            self.events.push_back(event);
        }
        fits
    }

    /// When [`OnionClient::handle_timeout`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let courier = &self.courier;
        let friends = self.friends.values().map(Friend::deadline).min();
        let explorer = self.explorer.deadline(&courier.pool, &courier.relays);
        let asks = friends.unwrap_or(Time::MAX).min(self.announcer.deadline()).min(explorer);
        let asks = asks.max(courier.pace.ready());
        let missed = courier.requests.deadline().unwrap_or(Time::MAX);
        let next = asks.min(missed).min(courier.pool.deadline());
        (next != Time::MAX).then_some(next)
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        self.courier.pool.handle_timeout(cx.now);
        self.drive(cx.now);
    }
}
