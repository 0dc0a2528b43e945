//! What a person's stack does beyond a provider's: it keeps friends connected.
//!
//! [`Person`] holds the onion's client side and the list of friends; the [`Stack`] lets them, the
//! DHT, the relays and the sessions tell each other what each has found out.

use core::time::Duration;

use super::Stack;
use crate::config::Accept;
use crate::drops::DropReason;
use crate::event::Event;
use crate::friend::{Action, Friends, Tie};
use crate::onion::client::{FirstHop, OnionClient, OnionClientConfig, OnionClientEvent};
use crate::relay::Proxy;
use crate::relay::pool::Pool;
use crate::session::Search;
use crate::wire::address::Protocol;
use crate::wire::friend::{DHT_KEY_ANNOUNCE, MAX_FRIEND_REQUEST, SHARE_RELAYS, SharedRelays};
use crate::wire::{Address, Decode, KeyPair, PackedNode, PublicKey, Rng, Time, ToxId};

/// What friends are told of where we are is looked at this often.
const OWN_NODES_INTERVAL: Duration = Duration::from_secs(5);
/// Nodes that friends are told of (Tox Reference, "DHT public key packet").
const OWN_NODES: usize = 4;
/// Relays among them.
const OWN_RELAYS: usize = 2;
/// Nodes to begin with that are remembered.
const MAX_ENTRIES: usize = 32;
/// Nodes for paths are offered at most this often.
const OFFER_INTERVAL: Duration = Duration::from_millis(100);

/// A person's parts of a stack.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) client: OnionClient,
    pub(super) friends: Friends,
    pub(super) pool: Pool,
    /// Nodes that we were told to begin with: for the onion through relays.
    pub(super) entries: Vec<(PublicKey, Address)>,
    nospam: [u8; 4],
    pub(super) own_nodes_at: Time,
    pub(super) offer_at: Time,
}

impl Person {
    pub(super) fn new(
        identity: KeyPair,
        dht_key: PublicKey,
        mut rng: Rng,
        config: OnionClientConfig,
        proxy: Option<Proxy>,
        now: Time,
    ) -> Self {
        let nospam = rng.bytes();
        let client = OnionClient::new(identity, dht_key, rng.child("onion client"), config);
        Self {
            client,
            friends: Friends::default(),
            pool: Pool::new(rng.child("relays"), proxy),
            entries: Vec::new(),
            nospam,
            own_nodes_at: now,
            offer_at: now,
        }
    }

    /// True if the onion's client lacks nodes for its paths.
    fn wants_nodes(&self) -> bool {
        self.client.wants_path_nodes()
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Time> {
        let offer = self.wants_nodes().then_some(self.offer_at);
        let parts = [self.client.deadline(), self.friends.deadline(), self.pool.deadline()];
        parts.into_iter().chain([offer, Some(self.own_nodes_at)]).flatten().min()
    }
}

impl Stack {
    /// This person's Tox ID: what others need to ask for friendship. `None` for a provider.
    pub fn tox_id(&self) -> Option<ToxId> {
        let person = self.person.as_ref()?;
        Some(ToxId { key: self.public_key, nospam: person.nospam })
    }

    /// The part of the Tox ID that strangers must know: another one makes known IDs worthless.
    pub fn set_nospam(&mut self, nospam: [u8; 4]) {
        if let Some(person) = &mut self.person {
            person.nospam = nospam;
        }
    }

    /// From now on `friend` is to be connected, whenever it is there: [`Event::SessionUp`] and
    /// [`Event::SessionDown`] tell. It must want it too. False for a provider, for one's own key, and
    /// if there are too many friends.
    pub fn add_friend(&mut self, now: Time, friend: PublicKey) -> bool {
        self.add_contact(now, friend, Tie::Friend)
    }

    /// As [`Stack::add_friend`]; and asks the owner of `id` to do the same, again and again until it
    /// is connected. The message is 1 to 921 bytes. False also if it is not.
    pub fn request_friend(&mut self, now: Time, id: &ToxId, message: &[u8]) -> bool {
        let fits = (1..=MAX_FRIEND_REQUEST).contains(&message.len());
        if !fits || !self.add_friend(now, id.key) {
            return false;
        }
        if let Some(person) = &mut self.person {
            person.client.send_friend_request(now, id.key, id.nospam, message);
        }
        true
    }

    /// From now on it is not: a session with it ends. False if it was no friend.
    pub fn remove_friend(&mut self, now: Time, friend: PublicKey) -> bool {
        self.remove_contact(now, friend, Tie::Friend)
    }

    /// As [`Stack::add_friend`], for somebody who is no friend but needed by a part of this node, as a
    /// member of a conference is. Others say that its DHT key is this one; a friend's own word counts
    /// more. False also if there are too many. A provider, whose peers' DHT keys are their long-term
    /// keys, makes a session, once.
    pub fn add_acquaintance(&mut self, now: Time, peer: PublicKey, dht_key: PublicKey) -> bool {
        if self.person.is_none() {
            self.connect(now, peer, None);
            return true;
        }
        let added = self.add_contact(now, peer, Tie::Acquaintance);
        if added && let Some(person) = &mut self.person {
            person.friends.rumoured(now, peer, dht_key);
            self.run_actions(now);
        }
        added
    }

    /// From now on it is not needed: a session with it ends, unless it is a friend.
    pub fn remove_acquaintance(&mut self, now: Time, peer: PublicKey) {
        self.remove_contact(now, peer, Tie::Acquaintance);
    }

    fn add_contact(&mut self, now: Time, peer: PublicKey, tie: Tie) -> bool {
        let Some(person) = &mut self.person else { return false };
        let known = person.friends.knows(&peer);
        if peer == self.public_key || !person.friends.add(peer, tie) {
            return false;
        }
        if let Accept::Listed(listed) = &mut self.base.config.accept {
            listed.insert(peer);
        }
        person.client.add_friend(now, peer);
        if !known && self.sessions.is_connected(&peer) {
            person.friends.up(now, peer);
        }
        true
    }

    fn remove_contact(&mut self, now: Time, peer: PublicKey, tie: Tie) -> bool {
        let Some(person) = &mut self.person else { return false };
        let was_tied = person.friends.remove(peer, tie);
        if !person.friends.knows(&peer) {
            person.client.remove_friend(&peer);
            if let Accept::Listed(listed) = &mut self.base.config.accept {
                listed.remove(&peer);
            }
        } else if tie == Tie::Friend && was_tied {
            // A request that waits for it is taken back.
            person.client.remove_friend(&peer);
            person.client.add_friend(now, peer);
            person.client.set_friend_online(now, &peer, self.sessions.is_connected(&peer));
        }
        self.run_actions(now);
        was_tied
    }

    /// All friends.
    pub fn friends(&self) -> impl Iterator<Item = PublicKey> + '_ {
        self.person.iter().flat_map(|person| person.friends.iter())
    }
}

impl Stack {
    /// Lets a person's parts go on: timers, what the onion found, what friends' connections need.
    pub(super) fn advance_person(&mut self, now: Time) {
        let Some(person) = &mut self.person else { return };
        if person.client.deadline().is_some_and(|at| at <= now) {
            person.client.handle_timeout(&mut self.base.context(now));
        }
        if person.friends.deadline().is_some_and(|at| at <= now) {
            person.friends.handle_timeout(now);
        }
        if person.wants_nodes() && person.offer_at <= now {
            person.offer_at = now + OFFER_INTERVAL;
            person.client.offer_path_nodes(now, self.dht.neighbours());
        }
        if person.own_nodes_at <= now {
            self.choose_onion_way(now);
            self.tell_own_nodes(now);
        }
        self.advance_relayed(now);
        self.take_findings(now);
        self.run_actions(now);
        self.send_onion_packets(now);
    }

    /// Tells the onion's client what friends shall know of where we are.
    fn tell_own_nodes(&mut self, now: Time) {
        let key = self.dht_key;
        let Some(person) = &mut self.person else { return };
        person.own_nodes_at = now + OWN_NODES_INTERVAL;
        let mut near: Vec<(PublicKey, Address)> = self.dht.close_nodes().collect();
        near.sort_by_key(|(other, _)| key.distance(other));
        let near =
            near.iter().filter_map(|(key, address)| Some(PackedNode::udp(address.as_udp()?, *key)));
        let relays = person.pool.relays_to_share().into_iter().take(OWN_RELAYS);
        let nodes: Vec<PackedNode> = relays.chain(near).take(OWN_NODES).collect();
        person.client.set_own_nodes(now, &nodes);
    }

    /// Takes what the onion's client found.
    fn take_findings(&mut self, now: Time) {
        let Some(person) = &mut self.person else { return };
        while let Some(event) = person.client.poll_event() {
            match event {
                OnionClientEvent::Announced(announced) => {
                    self.base.events.push_back(Event::Announced { announced });
                }
                OnionClientEvent::FriendDht { friend, dht_key, nodes } => {
                    person.friends.learnt(now, friend, dht_key, &nodes);
                }
                OnionClientEvent::FriendRequest { from, nospam, message } => {
                    if nospam != person.nospam {
                        self.base.drops.count(DropReason::Refused);
                    } else if !person.friends.contains(&from) {
                        let message = message.into();
                        self.base.events.push_back(Event::FriendRequest { from, message });
                    }
                }
            }
        }
    }

    /// Carries out what the list of friends has decided.
    fn run_actions(&mut self, now: Time) {
        while let Some(action) = self.person.as_mut().and_then(|person| person.friends.poll()) {
            self.run_action(now, action);
        }
    }

    fn run_action(&mut self, now: Time, action: Action) {
        match action {
            Action::Seek { dht_key } => {
                self.dht.add_friend(&mut self.base.context(now), dht_key);
                if let Some(person) = &mut self.person {
                    person.pool.add_peer(&mut self.base.context(now), dht_key);
                }
                self.hint_relays(now, dht_key, &[]);
            }
            Action::Leave { dht_key } => {
                self.dht.remove_friend(&dht_key);
                if let Some(person) = &mut self.person {
                    person.pool.remove_peer(&mut self.base.context(now), dht_key);
                }
            }
            Action::Hint { dht_key, nodes } => {
                let is_udp = |node: &&PackedNode| node.endpoint.protocol == Protocol::Udp;
                let near: Vec<(PublicKey, Address)> = nodes
                    .iter()
                    .filter(is_udp)
                    .map(|node| (node.key, Address::udp(node.endpoint.address)))
                    .collect();
                self.dht.hint_friend(&mut self.base.context(now), &dht_key, &near);
                self.hint_relays(now, dht_key, &nodes);
            }
            Action::Connect { friend, dht_key, address, relayed } => {
                let mut env = self.base.env(now, self.dht.keys());
                self.sessions.set_relayed(friend, relayed, &mut env);
                let addresses = address.into_iter();
                self.sessions.connect(friend, dht_key, addresses, Search::Owner, &mut env);
                if let Some(address) = address {
                    self.sessions.add_address(friend, address, &mut env);
                }
            }
            Action::Disconnect { friend } => self.disconnect(now, friend),
            Action::Online { friend, online } => {
                if let Some(person) = &mut self.person {
                    person.client.set_friend_online(now, &friend, online);
                }
            }
            Action::ShareRelays { friend } => self.share_relays(now, friend),
        }
    }

    /// Takes an answer or a data packet that came back along one of the client's paths.
    pub(super) fn handle_onion_answer(&mut self, now: Time, from: FirstHop, packet: &mut [u8]) {
        if let Some(person) = &mut self.person {
            person.client.handle(&mut self.base.context(now), from, packet);
        }
    }

    /// Sends what the onion's client has to send.
    fn send_onion_packets(&mut self, now: Time) {
        let Some(person) = &mut self.person else { return };
        while let Some((hop, packet)) = person.client.poll_transmit() {
            match hop {
                FirstHop::Udp(address) => self.base.context(now).transmit(address, packet),
                FirstHop::Relay(relay) => {
                    person.pool.send_onion(&mut self.base.context(now), relay, &packet);
                }
            }
        }
    }

    /// Looks at what the user is about to be told. False if it is none of the user's business.
    pub(super) fn notice(&mut self, now: Time, event: &Event) -> bool {
        let Some(person) = &mut self.person else { return true };
        match event {
            Event::SessionUp { peer } => person.friends.up(now, *peer),
            Event::SessionDown { peer, .. } => person.friends.down(now, *peer),
            Event::PeerDhtKey { peer, dht_key } => person.friends.learnt(now, *peer, *dht_key, &[]),
            Event::ConnectFailed { peer, .. } => return !person.friends.failed(now, *peer),
            Event::DhtConnected => {
                person.offer_at = now;
                person.own_nodes_at = now;
            }
            Event::Packet { peer, id: SHARE_RELAYS, data } => {
                let relays = SharedRelays::from_bytes(data);
                let dht_key = person.friends.dht_key_of(peer);
                if let (Ok(relays), Some(dht_key)) = (relays, dht_key) {
                    let relays: Vec<PackedNode> = relays.iter().collect();
                    person.friends.learnt(now, *peer, dht_key, &relays);
                }
                return false;
            }
            _ => {}
        }
        true
    }

    /// Remembers a node that we were told to begin with.
    pub(super) fn remember_entry(&mut self, key: PublicKey, address: Address) {
        if let Some(person) = &mut self.person
            && !self.base.config.dht.shunned.contains(&key)
            && person.entries.len() < MAX_ENTRIES
            && !person.entries.contains(&(key, address))
        {
            person.entries.push((key, address));
        }
    }

    /// The DHT found a friend's node.
    pub(super) fn found_friend(&mut self, now: Time, dht_key: PublicKey, address: Address) {
        let Some(person) = &mut self.person else { return };
        person.friends.found(now, dht_key, address);
        let friend = person.friends.owner_of(&dht_key);
        // It may not know our DHT key yet.
        if let Some(packet) = friend.and_then(|it| person.client.routed_dht_key(now, &it))
            && let [id, data @ ..] = packet.as_slice()
        {
            self.dht.route_request(&mut self.base.context(now), &dht_key, *id, data);
        }
    }

    /// A DHT request came for this node.
    pub(super) fn handle_dht_request(&mut self, now: Time, sender: PublicKey, id: u8, data: &[u8]) {
        if let Some(person) = &mut self.person
            && id == DHT_KEY_ANNOUNCE
        {
            let content = [&[id], data].concat();
            person.client.handle_routed_dht_key(&mut self.base.context(now), sender, &content);
        } else {
            self.base.drops.count(DropReason::Refused);
        }
    }
}
