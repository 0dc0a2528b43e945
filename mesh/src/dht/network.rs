//! A small deterministic network for the DHT's tests: addresses to nodes, virtual time, delay, loss.

use std::collections::{BTreeMap, BTreeSet};

use super::config::DhtConfig;
use super::network_nat::Nat;
use super::{Dht, DhtEvent};
use crate::drops::Drops;
use crate::outbox::{Context, Outbox};
use crate::wire::announcement::SEARCH_REQUEST;
use crate::wire::{Address, KeyPair, PublicKey, Rng, Time};

/// What happens at a moment of virtual time.
enum Happening {
    Arrival { from: Address, to: Address, datagram: Vec<u8> },
    Timeout { at: Address },
}

/// A node and what came out of it.
pub(super) struct Member {
    pub(super) dht: Dht,
    pub(super) key: PublicKey,
    pub(super) drops: Drops,
    pub(super) events: Vec<(Time, DhtEvent)>,
    outbox: Outbox,
    wake: Option<Time>,
}

/// Nodes with datagrams flying between them.
pub(super) struct Network {
    pub(super) now: Time,
    pub(super) members: BTreeMap<Address, Member>,
    /// Of a thousand datagrams, so many are lost.
    pub(super) loss_per_mille: u64,
    /// Nothing passes between members below and from this number on.
    pub(super) split: Option<usize>,
    /// Nothing passes from the first address to the second.
    pub(super) cut: BTreeSet<(Address, Address)>,
    pub(super) sent: u64,
    /// IP bytes sent, by sender and kind of packet.
    pub(super) bytes: BTreeMap<(Address, u8), u64>,
    nats: BTreeMap<Address, Nat>,
    /// The latest datagram of each kind to each address.
    latest: BTreeMap<(Address, u8), Vec<u8>>,
    rng: Rng,
    queue: BTreeMap<(Time, u64), Happening>,
    queued: u64,
}

impl Network {
    pub(super) fn new(seed: u8) -> Self {
        Self {
            now: Time::from_secs(1),
            members: BTreeMap::new(),
            loss_per_mille: 10,
            split: None,
            cut: BTreeSet::new(),
            sent: 0,
            bytes: BTreeMap::new(),
            nats: BTreeMap::new(),
            latest: BTreeMap::new(),
            rng: Rng::from_seed([seed; 32]),
            queue: BTreeMap::new(),
            queued: 0,
        }
    }

    /// The address of the member with this number.
    pub(super) fn address(number: usize) -> Address {
        Address::udp(([198, 18, (number >> 8) as u8, number as u8], 33445).into())
    }

    /// Randomness for a node of this name: its key is that of the child "key".
    pub(super) fn child(&self, name: &str) -> Rng {
        self.rng.child(name)
    }

    /// Adds a node; its key.
    pub(super) fn add(&mut self, number: usize, config: &DhtConfig) -> PublicKey {
        let rng = self.child(&format!("node {number}"));
        self.add_with(Self::address(number), config, rng)
    }

    /// Adds a node at this address; its key.
    pub(super) fn add_at(&mut self, address: Address, config: &DhtConfig) -> PublicKey {
        let rng = self.child(&format!("node at {address}"));
        self.add_with(address, config, rng)
    }

    fn add_with(&mut self, address: Address, config: &DhtConfig, rng: Rng) -> PublicKey {
        let keys = KeyPair::generate(&mut rng.child("key"));
        let key = keys.public;
        let dht = Dht::new(config, keys, rng, self.now);
        let (drops, outbox) = (Drops::default(), Outbox::default());
        let member = Member { dht, key, drops, events: Vec::new(), outbox, wake: None };
        self.members.insert(address, member);
        // Its timers begin.
        self.with(address, |_, _| ());
        key
    }

    /// A network of `count` nodes that all join through the first one, spread over `spread_ms`.
    pub(super) fn joined(seed: u8, count: usize, spread_ms: u64) -> Self {
        let mut network = Self::new(seed);
        let first = network.add(0, &DhtConfig::default());
        for number in 1..count {
            let pause = spread_ms * 1_000 / count as u64;
            network.run_until(network.now + core::time::Duration::from_micros(pause));
            network.add(number, &DhtConfig::default());
            network.with(Self::address(number), |dht, cx| {
                dht.bootstrap(cx, Self::address(0), first);
            });
        }
        network
    }

    /// Gives a node another address.
    pub(super) fn move_member(&mut self, from: Address, to: Address) {
        let mut member = self.members.remove(&from).expect("a member");
        member.wake = None;
        self.members.insert(to, member);
        self.with(to, |_, _| ());
    }

    /// Calls into a node, then takes out what it has to send and to tell.
    pub(super) fn with<T>(
        &mut self,
        at: Address,
        call: impl FnOnce(&mut Dht, &mut Context<'_>) -> T,
    ) -> T {
        let member = self.members.get_mut(&at).expect("a member");
        let mut cx =
            Context { now: self.now, outbox: &mut member.outbox, drops: &mut member.drops };
        let result = call(&mut member.dht, &mut cx);
        let sent: Vec<_> = core::iter::from_fn(|| member.outbox.pop()).collect();
        while let Some(event) = member.dht.poll_event() {
            member.events.push((self.now, event));
        }
        let wake = member.dht.deadline().map(|wake| wake.max(self.now));
        if wake != member.wake {
            member.wake = wake;
            if let Some(wake) = wake {
                self.enqueue(wake, Happening::Timeout { at });
            }
        }
        for (to, datagram) in sent {
            self.transmit(at, to, datagram);
        }
        result
    }

    /// Sends a datagram: 10 to 50 ms on the way, or lost. At the broadcast address everyone gets it.
    pub(super) fn transmit(&mut self, from: Address, to: Address, datagram: Vec<u8>) {
        self.sent += 1;
        *self.bytes.entry((from, datagram[0])).or_default() += datagram.len() as u64 + 28;
        self.latest.insert((to, datagram[0]), datagram.clone());
        let (Some(from), Some(ip)) = (self.outside(from, to), to.as_udp().map(|to| to.ip())) else {
            return;
        };
        let everyone = self.members.keys().copied();
        let to: Vec<_> = if ip == core::net::Ipv4Addr::BROADCAST {
            everyone.filter(|member| *member != from).collect()
        } else {
            vec![to]
        };
        for to in to {
            let is_cut = self.split.is_some_and(|number| {
                let border = Self::address(number);
                (from < border) != (to < border)
            });
            let is_lost = is_cut || self.cut.contains(&(from, to));
            if !is_lost && !self.rng.chance(self.loss_per_mille, 1_000) {
                let delay = core::time::Duration::from_micros(10_000 + self.rng.below(40_000));
                let datagram = datagram.clone();
                self.enqueue(self.now + delay, Happening::Arrival { from, to, datagram });
            }
        }
    }

    /// Puts a member behind a NAT.
    pub(super) fn set_nat(&mut self, member: Address, nat: Nat) {
        self.nats.insert(member, nat);
    }

    /// What others see as the sender of a datagram.
    fn outside(&mut self, from: Address, to: Address) -> Option<Address> {
        self.nats.get_mut(&from).map_or(Some(from), |nat| nat.translate_out(to))
    }

    /// Who gets a datagram for `to`, if anyone.
    fn inside(&self, from: Address, to: Address) -> Option<Address> {
        let endpoint = to.as_udp()?;
        let behind = self.nats.iter().find(|(_, nat)| nat.outside == endpoint.ip());
        match behind {
            Some((member, nat)) => nat.lets_in(from, endpoint.port()).then_some(*member),
            None => self.members.contains_key(&to).then_some(to),
        }
    }

    /// The last datagram of this kind that was sent to this address.
    pub(super) fn latest(&self, to: Address, kind: u8) -> Vec<u8> {
        self.latest[&(to, kind)].clone()
    }

    fn enqueue(&mut self, at: Time, happening: Happening) {
        self.queued += 1;
        self.queue.insert((at, self.queued), happening);
    }

    /// Lets time pass.
    pub(super) fn run_until(&mut self, end: Time) {
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

    /// Lets some seconds pass.
    pub(super) fn run_secs(&mut self, secs: u64) {
        self.run_until(self.now + core::time::Duration::from_secs(secs));
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrival { from, to, mut datagram } => {
                // Announcements are the stack's business.
                if datagram[0] != SEARCH_REQUEST
                    && let Some(to) = self.inside(from, to)
                    && self.members.contains_key(&to)
                {
                    self.with(to, |dht, cx| dht.handle(cx, from, &mut datagram));
                }
            }
            Happening::Timeout { at } => {
                let now = self.now;
                let is_due = |member: &&mut Member| member.wake.is_some_and(|wake| wake <= now);
                if let Some(member) = self.members.get_mut(&at).filter(is_due) {
                    member.wake = None;
                    self.with(at, |dht, cx| dht.handle_timeout(cx));
                }
            }
        }
    }

    /// Members whose close list holds at least 7 of the true 8 nearest live nodes.
    pub(super) fn converged(&self) -> usize {
        let keys: Vec<PublicKey> = self.members.values().map(|member| member.key).collect();
        let is_converged = |member: &&Member| {
            let mut nearest: Vec<_> = keys.iter().filter(|key| **key != member.key).collect();
            nearest.sort_unstable_by_key(|key| member.key.distance(key));
            nearest.truncate(8);
            let known = |key: &&&PublicKey| member.dht.close_nodes().any(|(k, _)| k == ***key);
            nearest.iter().filter(known).count() + 1 >= nearest.len()
        };
        self.members.values().filter(is_converged).count()
    }
}
