//! The mesh as one value: DHT, sessions and channels behind one [`Machine`].

mod announcements;
mod entry;
mod person;
mod relay_server;
mod relayed;

use core::convert::Infallible;
use core::net::IpAddr;
use std::collections::BTreeMap;

use bytes::Bytes;
use ring::hmac;

use self::announcements::Announcements;
use self::person::Person;
use self::relay_server::RelayServer;
use crate::channel::ChannelId;
use crate::config::Config;
use crate::crypto::Keys;
use crate::dht::{Dht, DhtEvent};
use crate::drops::Drops;
use crate::env::Base;
use crate::error::{OpenError, PacketError, SendError};
use crate::event::{Event, LookupId, NetworkGroup, PacketNumber};
use crate::machine::{IoToken, Machine, Output, StreamEvent, StreamId};
use crate::onion::Onion;
use crate::onion::client::{FirstHop, OnionClientConfig};
use crate::path::Path;
use crate::session::{Search, Sessions};
use crate::traffic::Traffic;
use crate::wire::onion::{ANNOUNCE_RESPONSE, DATA_RESPONSE};
use crate::wire::{Address, KeyPair, PublicKey, Rng, Time};

/// A node of the mesh, sans-IO. A provider has one key that is both its DHT key and its long-term
/// key; a person's identity has a DHT key apart, another one each run.
///
/// After each call, [`poll`](Machine::poll) it until it is idle.
#[derive(Debug)]
pub struct Stack {
    public_key: PublicKey,
    dht_key: PublicKey,
    base: Base,
    dht: Dht,
    onion: Onion,
    sessions: Sessions,
    relay_server: RelayServer,
    announcements: Announcements,
    person: Option<Box<Person>>,
    traffic: Traffic,
    /// Lookups that sessions wait for.
    searches: BTreeMap<LookupId, PublicKey>,
    /// Hides networks from those who see their groups.
    group_key: [u8; 32],
}

impl Stack {
    /// A node that knows nobody yet.
    pub fn new(config: Config, keys: KeyPair, rng: Rng, now: Time) -> Self {
        Self::with_keys(config, None, keys, rng, now)
    }

    /// A node that peers know by its long-term key `identity`, and the DHT by another one.
    pub fn with_identity(
        config: Config,
        identity: KeyPair,
        dht: KeyPair,
        rng: Rng,
        now: Time,
    ) -> Self {
        let options =
            OnionClientConfig { allow_short_paths: config.allow_short_paths, epoch: config.epoch };
        let person = Person::new(
            identity.clone(),
            dht.public,
            rng.child("person"),
            options,
            config.proxy,
            now,
        );
        let identity = Keys::new(identity, &mut rng.child("identity"));
        let mut stack = Self::with_keys(config, Some(identity), dht, rng, now);
        stack.person = Some(Box::new(person));
        stack
    }

    fn with_keys(
        config: Config,
        identity: Option<Keys>,
        dht: KeyPair,
        rng: Rng,
        now: Time,
    ) -> Self {
        let public_key = identity.as_ref().map_or(dht.public, Keys::public);
        let dht_key = dht.public;
        let dht = Dht::new(&config.dht, dht, rng.child("dht"), now);
        let onion = Onion::new(rng.child("onion"), now);
        let sessions = Sessions::new(&mut rng.child("pace"));
        let group_key = rng.child("network group").bytes();
        let relay_server = RelayServer::new(&config, &rng);
        let announcements = Announcements::new(&config, &rng, dht_key, now);
        let base = Base::new(config, identity, rng.child("session"));
        Self {
            public_key,
            dht_key,
            base,
            dht,
            onion,
            sessions,
            relay_server,
            announcements,
            person: None,
            traffic: Traffic::default(),
            searches: BTreeMap::new(),
            group_key,
        }
    }

    /// The key by which peers know this node: its long-term key.
    pub fn public_key(&self) -> PublicKey {
        self.public_key
    }

    /// The key by which the DHT knows this node.
    pub fn dht_key(&self) -> PublicKey {
        self.dht_key
    }

    /// How many packets were dropped, by reason.
    pub fn drops(&self) -> &Drops {
        &self.base.drops
    }

    /// All datagrams so far, by what they were for.
    pub const fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Finds a node's address by its key; [`Event::LookupDone`] tells.
    pub fn lookup(&mut self, now: Time, key: PublicKey) -> LookupId {
        self.dht.lookup(&mut self.base.context(now), key)
    }

    /// Verified nodes near this one's key, in the order of buckets.
    pub fn close_nodes(&self) -> impl Iterator<Item = (PublicKey, Address)> + '_ {
        self.dht.close_nodes()
    }

    /// What this node's bootstrap info offers, such as `toktok/tdfs/1`.
    pub fn set_services(&mut self, services: &[&str]) {
        self.dht.set_services(services);
    }

    /// Makes a session with `peer`, which [`Event::SessionUp`] or [`Event::ConnectFailed`] ends. Does
    /// nothing if there is one or one is being made, except that the hint is tried too.
    pub fn connect(&mut self, now: Time, peer: PublicKey, hint: Option<Address>) {
        let known = self.dht.address_of(&peer, now);
        let mut env = self.base.env(now, self.dht.keys());
        let addresses = hint.into_iter().chain(known);
        self.sessions.connect(peer, peer, addresses, Search::Lookup, &mut env);
        self.begin_searches(now);
    }

    /// As [`Stack::connect`], to a Tox client: its DHT key is another one than its long-term key `peer`,
    /// and changes with each of its starts. No address is looked up: who calls finds them, by the DHT
    /// key, and adds those found later with [`Stack::add_address`].
    pub fn connect_tox(
        &mut self,
        now: Time,
        peer: PublicKey,
        dht_key: PublicKey,
        at: Option<Address>,
    ) {
        let mut env = self.base.env(now, self.dht.keys());
        self.sessions.connect(peer, dht_key, at.into_iter(), Search::Owner, &mut env);
    }

    /// `peer`, with which a session is being made, may be at this address too.
    pub fn add_address(&mut self, now: Time, peer: PublicKey, address: Address) {
        self.sessions.add_address(peer, address, &mut self.base.env(now, self.dht.keys()));
    }

    /// `peer`'s DHT key is this one now. If it is news, the peer began anew: so does the session.
    pub fn set_peer_dht_key(&mut self, now: Time, peer: PublicKey, dht_key: PublicKey) {
        self.sessions.set_dht_key(peer, dht_key, &mut self.base.env(now, self.dht.keys()));
    }

    /// Ends the session with `peer`, if there is one, and gives up making one.
    pub fn disconnect(&mut self, now: Time, peer: PublicKey) {
        self.sessions.disconnect(peer, &mut self.base.env(now, self.dht.keys()));
    }

    /// True while a session with `peer` stands.
    pub fn is_connected(&self, peer: PublicKey) -> bool {
        self.sessions.is_connected(&peer)
    }

    /// The DHT key that `peer` has in its present run, as far as its session or a friend's word tells.
    pub fn dht_key_of(&self, peer: PublicKey) -> Option<PublicKey> {
        let told = self.person.as_ref().and_then(|person| person.friends.dht_key_of(&peer));
        told.or_else(|| self.sessions.dht_key(&peer))
    }

    /// True while a session with `peer` stands whose packets go directly, not through a relay.
    pub fn is_direct(&self, now: Time, peer: PublicKey) -> bool {
        self.sessions.is_direct(&peer, now)
    }

    /// How many sessions stand.
    pub fn session_count(&self) -> usize {
        self.sessions.count()
    }

    /// Accepts channels of this protocol from now on; others are refused.
    pub fn listen(&mut self, protocol: &str) {
        self.base.listening.insert(protocol.to_owned());
    }

    /// Opens a channel: [`Event::ChannelOpened`] or [`Event::ChannelClosed`] (refused) follows. Messages
    /// may be sent at once; they are lost if the channel is refused.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(
        &mut self,
        now: Time,
        peer: PublicKey,
        protocol: &str,
    ) -> Result<ChannelId, OpenError> {
        self.sessions.open(peer, protocol, &mut self.base.env(now, self.dht.keys()))
    }

    /// Closes a channel after what is queued has gone. No event follows; unknown channels are ignored.
    pub fn close(&mut self, now: Time, channel: ChannelId) {
        self.sessions.close(channel, &mut self.base.env(now, self.dht.keys()));
    }

    /// Queues a message: reliable, in order, at most [`MAX_MESSAGE`](crate::MAX_MESSAGE) bytes.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send(&mut self, now: Time, channel: ChannelId, message: Bytes) -> Result<(), SendError> {
        self.sessions.send(channel, message, &mut self.base.env(now, self.dht.keys()))
    }

    /// Bytes that may be queued on `channel` now. A message fits if it is not longer, and always if
    /// the queue is empty.
    pub fn send_space(&self, channel: ChannelId) -> usize {
        let place = self.base.directory.find(channel);
        place.map_or(0, |place| self.sessions.send_space(place))
    }

    /// Sends a packet that is no channel's, as Tox clients do: lossless (ids 16 to 191) or lossy (192
    /// to 254), at most 1372 bytes behind the id. Lossless packets are numbered, and come in order and
    /// once: [`Event::Delivered`] tells which ones the peer has. A lossy one gets the number that the
    /// next lossless one will have.
    ///
    /// # Errors
    /// See [`PacketError`].
    pub fn send_packet(
        &mut self,
        now: Time,
        peer: PublicKey,
        id: u8,
        data: Bytes,
    ) -> Result<PacketNumber, PacketError> {
        self.sessions.send_packet(peer, id, data, &mut self.base.env(now, self.dht.keys()))
    }

    /// Lossless packets that [`Stack::send_packet`] would take now for `peer`.
    pub fn packet_space(&self, peer: PublicKey) -> usize {
        self.sessions.packet_space(&peer)
    }

    /// Lossless packets of [`Stack::send_packet`] that wait for their first transmission: who keeps few
    /// of them waiting can send something urgent soon.
    pub fn packets_waiting(&self, peer: PublicKey) -> usize {
        self.sessions.packets_waiting(&peer)
    }

    /// In which network `peer` is, if there is a session with it.
    pub fn network_group(&self, peer: PublicKey) -> Option<NetworkGroup> {
        let prefix = network_prefix(&self.sessions.address(&peer)?);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.group_key);
        let tag = hmac::sign(&key, &prefix);
        let bytes = tag.as_ref().first_chunk::<8>().copied()?;
        Some(NetworkGroup(u64::from_be_bytes(bytes)))
    }

    /// Looks up the addresses that sessions ask for.
    fn begin_searches(&mut self, now: Time) {
        while let Some(key) = self.sessions.poll_search() {
            let lookup = self.dht.lookup(&mut self.base.context(now), key);
            self.searches.insert(lookup, key);
        }
    }

    fn handle_dht_event(&mut self, now: Time, event: DhtEvent) {
        let event = match event {
            DhtEvent::Connected => Event::DhtConnected,
            DhtEvent::LookupDone { lookup, key, address, hops } => {
                if self.searches.remove(&lookup).is_some() {
                    let mut env = self.base.env(now, self.dht.keys());
                    return self.sessions.handle_found(key, address, &mut env);
                }
                Event::LookupDone { lookup, key, address, hops }
            }
            DhtEvent::ServiceNode { key, address, services } => {
                Event::ServiceNode { key, address, services }
            }
            DhtEvent::FriendFound { dht_key, address } => {
                return self.found_friend(now, dht_key, address);
            }
            DhtEvent::Request { sender, id, data } => {
                return self.handle_dht_request(now, sender, id, &data);
            }
        };
        self.base.events.push_back(event);
    }

    /// Control packets first, then what the sessions' windows let go.
    fn next_datagram(&mut self, now: Time) -> Option<(Path, Vec<u8>)> {
        let control = self.base.outbox.pop().map(|(to, packet)| (Path::Direct(to), packet));
        let relayed = || self.base.relayed.pop_front().map(|(to, it)| (Path::Relayed(to), it));
        control
            .or_else(relayed)
            .or_else(|| self.sessions.poll_transmit(&mut self.base.env(now, self.dht.keys())))
    }

    /// When something is due that nobody else brings about.
    fn deadline(&self) -> Option<Time> {
        let person = self.person.as_ref().and_then(|person| person.deadline());
        let parts = [
            self.dht.deadline(),
            self.sessions.deadline(),
            self.relay_server.deadline(),
            self.announcements.deadline(),
            person,
        ];
        parts.into_iter().flatten().min()
    }

    /// Runs what is due and gathers what happened.
    fn advance(&mut self, now: Time) {
        if self.dht.deadline().is_some_and(|at| at <= now) {
            self.dht.handle_timeout(&mut self.base.context(now));
        }
        if self.sessions.deadline().is_some_and(|at| at <= now) {
            self.sessions.handle_timeout(&mut self.base.env(now, self.dht.keys()));
            self.begin_searches(now);
        }
        while let Some(event) = self.dht.poll_event() {
            self.handle_dht_event(now, event);
        }
        self.advance_relay_server(now);
        self.advance_announcements(now);
        self.advance_person(now);
    }
}

/// The part of an address that a whole network shares: IPv4 /16, IPv6 /32, a custom transport.
fn network_prefix(address: &Address) -> Vec<u8> {
    match address {
        Address::Udp(udp) => match udp.ip() {
            IpAddr::V4(ip) => vec![4, ip.octets()[0], ip.octets()[1]],
            IpAddr::V6(ip) => [&[6], &ip.octets()[..4]].concat(),
        },
        Address::Custom(custom) => {
            let [high, low] = custom.transport().0.to_be_bytes();
            [&[0, high, low], custom.as_bytes()].concat()
        }
        _ => Vec::new(),
    }
}

impl Machine for Stack {
    type Event = Event;
    type IoRequest = Infallible;
    type IoResult = Infallible;

    fn handle_datagram(&mut self, now: Time, from: Address, datagram: &mut [u8]) {
        self.traffic.count_received(datagram);
        match datagram.first() {
            Some(&kind) if Sessions::handles(kind) => {
                let mut env = self.base.env(now, self.dht.keys());
                self.sessions.handle(Path::Direct(from), datagram, &mut env);
            }
            Some(&(ANNOUNCE_RESPONSE | DATA_RESPONSE)) if self.person.is_some() => {
                self.handle_onion_answer(now, FirstHop::Udp(from), datagram);
            }
            Some(&kind) if Onion::handles(kind) => {
                let mut cx = self.base.context(now);
                let relayed = self.onion.handle(&mut cx, &mut self.dht, from, datagram);
                if let Some(response) = relayed {
                    self.relay_server.respond_onion(&mut cx, &response);
                }
            }
            Some(&kind) if Announcements::handles(kind) => {
                self.handle_announcement(now, from, datagram);
            }
            _ => self.dht.handle(&mut self.base.context(now), from, datagram),
        }
    }

    fn expects(&self, from: &Address, datagram: &[u8]) -> bool {
        self.sessions.expects(from, datagram)
    }

    fn handle_stream(&mut self, now: Time, stream: StreamId, event: StreamEvent<'_>) {
        match stream {
            StreamId::Outgoing(number) => self.handle_relay_stream(now, number, event),
            StreamId::Incoming(number) => self.handle_client_stream(now, number, event),
        }
    }

    fn handle_io(&mut self, _now: Time, _token: IoToken, result: Infallible) {
        match result {}
    }

    fn poll(&mut self, now: Time) -> Output<Event, Infallible> {
        loop {
            self.advance(now);
            if let Some(event) = self.base.events.pop_front() {
                if self.notice(now, &event) {
                    return Output::Event(event);
                }
                continue;
            }
            if let Some((stream, request)) = self.base.outbox.pop_stream() {
                return Output::Stream(stream, request);
            }
            match self.next_datagram(now) {
                Some((Path::Direct(to), payload)) => {
                    self.traffic.count_sent(&payload);
                    return Output::Transmit { to, payload };
                }
                Some((Path::Relayed(to), payload)) => {
                    self.relay(now, to, &payload);
                    continue;
                }
                None => {}
            }
            // A packet that was just sent may be overdue already, by what it told of the path.
            let deadline = self.deadline();
            if self.base.events.is_empty() && deadline.is_none_or(|at| at > now) {
                return Output::Idle(deadline);
            }
        }
    }
}
