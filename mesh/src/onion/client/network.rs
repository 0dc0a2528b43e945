//! A small deterministic network for the onion client's tests: DHT nodes that serve as hops and
//! announce nodes, some of them with a client; virtual time, delay, loss.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use super::{FirstHop, OnionClient, OnionClientConfig, OnionClientEvent};
use crate::dht::{Dht, DhtConfig};
use crate::drops::Drops;
use crate::onion::Onion;
use crate::outbox::{Context, Outbox};
use crate::wire::address::IpPort;
use crate::wire::onion::{Hop, OnionResponse, ReturnPath, SendHeader};
use crate::wire::relay::RelayPacket;
use crate::wire::{Address, Decode, Encode, KeyPair, Nonce, PublicKey, Rng, SharedKey, Time};

enum Happening {
    Arrival { from: Address, to: Address, datagram: Vec<u8> },
    Timeout { at: Address },
}

/// A node.
pub(super) struct Member {
    pub(super) dht: Dht,
    onion: Onion,
    pub(super) client: Option<OnionClient>,
    pub(super) key: PublicKey,
    pub(super) drops: Drops,
    pub(super) events: Vec<(Time, OnionClientEvent)>,
    /// Packets and bytes with IP and UDP headers that the client sent.
    pub(super) sent: (u64, u64),
    outbox: Outbox,
    wake: Option<Time>,
}

impl Member {
    fn deadline(&self) -> Option<Time> {
        let client = self.client.as_ref().and_then(OnionClient::deadline);
        self.dht.deadline().into_iter().chain(client).min()
    }
}

/// A TCP relay, as far as the onion needs one: it is where a node is, and serves one client.
struct Relay {
    client: Address,
    key: SharedKey,
}

/// The network.
pub(super) struct Network {
    pub(super) now: Time,
    pub(super) members: BTreeMap<Address, Member>,
    pub(super) loss_per_mille: u64,
    /// Least delay of a datagram; some are up to three times as slow.
    pub(super) delay: Duration,
    /// Every datagram: from, to, and what.
    pub(super) trace: Option<Vec<(Address, Address, Vec<u8>)>>,
    /// Nodes behind a NAT that lets in only what comes from where they sent to in the last minute.
    pub(super) filtering: BTreeSet<Address>,
    contacts: BTreeMap<(Address, Address), Time>,
    relays: BTreeMap<Address, Relay>,
    rng: Rng,
    queue: BTreeMap<(Time, u64), Happening>,
    queued: u64,
}

pub(super) fn address(number: usize) -> Address {
    Address::udp(([198, 18, (number >> 8) as u8, number as u8], 33445).into())
}

impl Network {
    /// `count` DHT nodes that all know the first one, after half a minute.
    pub(super) fn new(seed: u8, count: usize) -> Self {
        let mut network = Self {
            now: Time::from_secs(1),
            members: BTreeMap::new(),
            loss_per_mille: 0,
            delay: Duration::from_millis(1),
            trace: None,
            filtering: BTreeSet::new(),
            contacts: BTreeMap::new(),
            relays: BTreeMap::new(),
            rng: Rng::from_seed([seed; 32]),
            queue: BTreeMap::new(),
            queued: 0,
        };
        (0..count).for_each(|number| network.add_node(number));
        network.run_for(30_000);
        network
    }

    /// A node that bootstraps from the first.
    pub(super) fn add_node(&mut self, number: usize) {
        let rng = self.rng.child(&format!("node {number} {}", self.now));
        let keys = KeyPair::generate(&mut rng.child("key"));
        let key = keys.public;
        let dht = Dht::new(&DhtConfig::default(), keys, rng.child("dht"), self.now);
        let onion = Onion::new(rng.child("onion"), self.now);
        let member = Member {
            dht,
            onion,
            client: None,
            key,
            drops: Drops::default(),
            events: Vec::new(),
            sent: (0, 0),
            outbox: Outbox::default(),
            wake: None,
        };
        let first = self.members.get(&address(0)).map(|first| first.key);
        self.members.insert(address(number), member);
        if let Some(first) = first.filter(|_| number > 0) {
            self.with(number, |member, cx| member.dht.bootstrap(cx, address(0), first));
        }
    }

    /// Gives a node a client.
    pub(super) fn add_client(&mut self, number: usize, identity: &KeyPair, allow_short: bool) {
        let rng = self.rng.child(&format!("client {number} {}", self.now));
        let epoch = Duration::from_secs(1_700_000_000);
        let config = OnionClientConfig { allow_short_paths: allow_short, epoch };
        let identity = identity.clone();
        self.with(number, |member, _| {
            member.client = Some(OnionClient::new(identity, member.key, rng, config));
        });
    }

    /// A client at a node whose DHT knows nobody.
    pub(super) fn add_lone_client(&mut self, number: usize, identity: &KeyPair) {
        let first = self.members.remove(&address(0));
        self.members.remove(&address(number));
        self.add_node(number);
        self.add_client(number, identity, false);
        self.members.extend(first.map(|first| (address(0), first)));
    }

    /// Lets a client's packets go through a relay at the place of another node from now on.
    pub(super) fn connect_relay(&mut self, number: usize, relay: usize) -> PublicKey {
        let key = SharedKey::generate(&mut self.rng);
        self.relays.insert(address(relay), Relay { client: address(number), key });
        self.members[&address(relay)].key
    }

    pub(super) fn pair(&mut self) -> KeyPair {
        KeyPair::generate(&mut self.rng)
    }

    pub(super) fn member(&self, number: usize) -> &Member {
        &self.members[&address(number)]
    }

    /// Calls into a client.
    pub(super) fn client<T>(
        &mut self,
        number: usize,
        call: impl FnOnce(&mut OnionClient, Time) -> T,
    ) -> T {
        let now = self.now;
        self.with(number, |member, _| call(member.client.as_mut().expect("a client"), now))
    }

    /// Calls into a node, then takes out what it has to send and to tell.
    pub(super) fn with<T>(
        &mut self,
        number: usize,
        call: impl FnOnce(&mut Member, &mut Context<'_>) -> T,
    ) -> T {
        self.with_at(address(number), call).expect("a member")
    }

    fn with_at<T>(
        &mut self,
        at: Address,
        call: impl FnOnce(&mut Member, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let mut member = self.members.remove(&at)?;
        let mut outbox = core::mem::take(&mut member.outbox);
        let mut drops = core::mem::take(&mut member.drops);
        let mut cx = Context { now: self.now, outbox: &mut outbox, drops: &mut drops };
        let result = call(&mut member, &mut cx);
        member.drops = drops;
        while let Some((to, datagram)) = outbox.pop() {
            self.transmit(at, to, datagram);
        }
        self.drain_client(at, &mut member);
        let wake = member.deadline().map(|wake| wake.max(self.now));
        if wake != member.wake {
            member.wake = wake;
            if let Some(wake) = wake {
                self.enqueue(wake, Happening::Timeout { at });
            }
        }
        self.members.insert(at, member);
        Some(result)
    }

    fn drain_client(&mut self, at: Address, member: &mut Member) {
        let is_connected = core::iter::from_fn(|| member.dht.poll_event()).count() > 0;
        let Some(client) = &mut member.client else { return };
        if is_connected || client.wants_path_nodes() {
            client.offer_path_nodes(self.now, member.dht.neighbours());
        }
        while let Some((first, packet)) = client.poll_transmit() {
            member.sent.0 += 1;
            member.sent.1 += packet.len() as u64 + 28;
            match first {
                FirstHop::Udp(to) => self.transmit(at, to, packet),
                FirstHop::Relay(key) => self.relay_request(key, &packet),
            }
        }
        while let Some(event) = client.poll_event() {
            member.events.push((self.now, event));
        }
    }

    /// What a relay makes of its client's packet.
    fn relay_request(&mut self, key: PublicKey, packet: &[u8]) {
        let is_it = |(at, _): &(&Address, &Relay)| self.members[*at].key == key;
        let (at, relay) = self.relays.iter().find(is_it).expect("a relay");
        let Ok(RelayPacket::OnionRequest { nonce, next, key, boxed }) =
            RelayPacket::from_bytes(packet)
        else {
            panic!("an onion request");
        };
        let mut datagram = SendHeader { hop: Hop::Second, nonce, key }.to_bytes();
        datagram.extend_from_slice(boxed);
        let back = IpPort::udp(relay.client.as_udp().unwrap());
        let back = ReturnPath::EMPTY.extended(&relay.key, &Nonce([9; 24]), &back).unwrap();
        datagram.extend_from_slice(back.as_bytes());
        let at = *at;
        self.transmit(at, Address::udp(next.address), datagram);
    }

    /// What a relay makes of a response for its client; false if it is for the node in its place.
    fn relay_response(&mut self, at: Address, datagram: &[u8]) -> bool {
        let Some(relay) = self.relays.get(&at) else { return false };
        let Ok(response) = OnionResponse::from_bytes(datagram) else { return false };
        if response.hop() != Hop::First || response.back().open(&relay.key).is_err() {
            return false;
        }
        let (to, from) = (relay.client, FirstHop::Relay(self.members[&at].key));
        let mut packet = response.response().to_vec();
        self.with_at(to, |member, cx| {
            member.client.as_mut().expect("a client").handle(cx, from, &mut packet);
        });
        true
    }

    fn transmit(&mut self, from: Address, to: Address, datagram: Vec<u8>) {
        if let Some(trace) = &mut self.trace {
            trace.push((from, to, datagram.clone()));
        }
        if !self.filtering.is_empty() {
            self.contacts.insert((from, to), self.now);
        }
        if !self.rng.chance(self.loss_per_mille, 1_000) {
            let least = self.delay.as_micros() as u64;
            let delay = Duration::from_micros(least + self.rng.below(2 * least));
            self.enqueue(self.now + delay, Happening::Arrival { from, to, datagram });
        }
    }

    fn enqueue(&mut self, at: Time, happening: Happening) {
        self.queued += 1;
        self.queue.insert((at, self.queued), happening);
    }

    /// Lets so many milliseconds pass.
    pub(super) fn run_for(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > end {
                break;
            }
            let ((at, _), happening) = entry.remove_entry();
            self.now = at;
            self.happen(happening);
        }
        self.now = end;
    }

    fn lets_in(&self, to: Address, from: Address) -> bool {
        let is_fresh = |at: &Time| self.now < *at + Duration::from_secs(60);
        !self.filtering.contains(&to) || self.contacts.get(&(to, from)).is_some_and(is_fresh)
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrival { from, to, mut datagram } => {
                if self.lets_in(to, from) && !self.relay_response(to, &datagram) {
                    self.with_at(to, |member, cx| deliver(member, cx, from, &mut datagram));
                }
            }
            Happening::Timeout { at } => {
                let now = self.now;
                let is_due = |member: &Member| member.wake.is_some_and(|wake| wake <= now);
                if self.members.get(&at).is_some_and(is_due) {
                    self.with_at(at, |member, cx| {
                        member.wake = None;
                        member.dht.handle_timeout(cx);
                        if let Some(client) = &mut member.client {
                            client.handle_timeout(cx);
                        }
                    });
                }
            }
        }
    }

    /// Events of a client, without times.
    pub(super) fn events(&self, number: usize) -> Vec<OnionClientEvent> {
        self.member(number).events.iter().map(|(_, event)| event.clone()).collect()
    }

    /// Runs until the client's events fulfil `is_done`; how many milliseconds that took, or `None`
    /// after `limit` of them.
    pub(super) fn run_until(&mut self, limit: u64, is_done: impl Fn(&Self) -> bool) -> Option<u64> {
        let start = self.now;
        while !is_done(self) {
            let passed = self.now.since(start).as_millis() as u64;
            if passed >= limit {
                return None;
            }
            self.run_for(10);
        }
        Some(self.now.since(start).as_millis() as u64)
    }
}

fn deliver(member: &mut Member, cx: &mut Context<'_>, from: Address, datagram: &mut [u8]) {
    match (datagram[0], &mut member.client) {
        (0x84 | 0x86 | 0x88, Some(client)) => client.handle(cx, FirstHop::Udp(from), datagram),
        (kind, _) if Onion::handles(kind) => {
            member.onion.handle(cx, &mut member.dht, from, datagram);
        }
        _ => member.dht.handle(cx, from, datagram),
    }
}
