//! Conferences of several nodes in virtual time. Sessions stand between friends, and between those who
//! hold each other; packets take their time, in order.

mod hostile;
mod members;
mod talk;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::set::Conferences;
use super::{Conference, ConferenceEvent, ConferenceId, ConferenceKind, Invitation, Tie};
use crate::error::PacketError;
use crate::event::PacketNumber;
use crate::messenger::carrier::Carrier;
use crate::messenger::event::MessengerEvent;
use crate::wire::messenger::MessageKind;
use crate::wire::{PublicKey, Rng, Time};

/// When the clock showed nothing.
const EPOCH: Duration = Duration::from_secs(1_700_000_000);

/// One of them.
struct Node {
    key: PublicKey,
    conferences: Conferences,
    friends: BTreeSet<usize>,
    held: BTreeSet<PublicKey>,
    alive: bool,
    events: Vec<MessengerEvent>,
}

/// A packet on its way: from, to, id, data.
type Packet = (usize, usize, u8, Bytes);

/// All of them, and what flies between.
struct Net {
    now: Time,
    nodes: Vec<Node>,
    up: BTreeSet<(usize, usize)>,
    flying: BTreeMap<(Time, u64), Packet>,
    count: u64,
    rng: Rng,
}

/// What takes a node's packets; nothing for those that `full` names.
struct Post<'a> {
    up: &'a dyn Fn(&PublicKey) -> bool,
    full: Option<PublicKey>,
    taken: Vec<(PublicKey, u8, Bytes)>,
}

impl Carrier for Post<'_> {
    fn send(&mut self, to: PublicKey, id: u8, data: Bytes) -> Result<PacketNumber, PacketError> {
        if !(self.up)(&to) {
            return Err(PacketError::NotConnected);
        }
        if self.full == Some(to) {
            return Err(PacketError::Full);
        }
        self.taken.push((to, id, data));
        Ok(PacketNumber(0))
    }

    fn waiting(&self, _: PublicKey) -> usize {
        0
    }
}

/// Keys stand far apart on the ring, in no order.
fn key(number: usize) -> PublicKey {
    PublicKey([(number as u8).wrapping_mul(83).wrapping_add(5); 32])
}

fn dht_key(number: usize) -> PublicKey {
    let mut key = key(number);
    key.0[31] ^= 0xff;
    key
}

fn name(number: usize) -> Vec<u8> {
    format!("node {number}").into_bytes()
}

fn conferences(number: usize, seed: u8) -> Conferences {
    let rng = Rng::from_seed([seed; 32]).child(&format!("node {number}"));
    let mut conferences = Conferences::new(key(number), dht_key(number), EPOCH, rng);
    conferences.set_name(&name(number));
    conferences
}

impl Net {
    /// So many, each the friend of the next.
    fn chain(count: usize, seed: u8) -> Self {
        let nodes = (0..count).map(|number| Node {
            key: key(number),
            conferences: conferences(number, seed),
            friends: BTreeSet::new(),
            held: BTreeSet::new(),
            alive: true,
            events: Vec::new(),
        });
        let mut net = Self {
            now: Time::from_secs(1000),
            nodes: nodes.collect(),
            up: BTreeSet::new(),
            flying: BTreeMap::new(),
            count: 0,
            rng: Rng::from_seed([seed; 32]),
        };
        (1..count).for_each(|number| net.befriend(number - 1, number));
        net.settle();
        net
    }

    /// A chain in a conference that the first began, each brought in by its friend.
    fn conference(count: usize, seed: u8) -> (Self, ConferenceId) {
        let mut net = Self::chain(count, seed);
        let id = net.nodes[0].conferences.create(ConferenceKind::Text).unwrap();
        (1..count).for_each(|number| net.bring(number - 1, number, id));
        net.run(30);
        net.nodes.iter_mut().for_each(|node| node.events.clear());
        (net, id)
    }

    fn befriend(&mut self, a: usize, b: usize) {
        for (a, b) in [(a, b), (b, a)] {
            self.nodes[a].friends.insert(b);
            self.nodes[a].conferences.set_friend(key(b), true);
        }
    }

    /// A friend invites another, who comes.
    fn bring(&mut self, host: usize, guest: usize, id: ConferenceId) {
        self.nodes[host].conferences.invite(key(guest), id).unwrap();
        self.run(1);
        let (friend, invitation) = self.invited(guest).unwrap();
        assert_eq!(friend, key(host));
        self.nodes[guest].conferences.join(self.now, friend, invitation).unwrap();
        self.run(1);
        assert!(self.of(guest, id).is_joined());
    }

    /// The last invitation that came to a node.
    fn invited(&self, node: usize) -> Option<(PublicKey, Invitation)> {
        self.nodes[node].events.iter().rev().find_map(|event| match event {
            MessengerEvent::ConferenceInvited { friend, invitation } => {
                Some((*friend, *invitation))
            }
            _ => None,
        })
    }

    fn of(&self, node: usize, id: ConferenceId) -> &Conference {
        self.nodes[node].conferences.get(id).unwrap()
    }

    /// The others that a node sees in a conference, with their names, in the order of keys.
    fn seen(&self, node: usize, id: ConferenceId) -> Vec<(PublicKey, Vec<u8>)> {
        let members = self.of(node, id).members();
        let mut seen: Vec<_> = members.map(|it| (it.key(), it.name().to_vec())).collect();
        seen.sort();
        seen
    }

    /// All of `nodes` see each other and nobody else, by their names.
    fn assert_agree(&self, nodes: impl IntoIterator<Item = usize> + Clone, id: ConferenceId) {
        for node in nodes.clone() {
            let others = nodes.clone().into_iter().filter(|other| *other != node);
            let mut expected: Vec<_> = others.map(|other| (key(other), name(other))).collect();
            expected.sort();
            assert_eq!(self.seen(node, id), expected, "node {node}");
        }
    }

    /// Texts that came to a node, by their senders.
    fn heard(&self, node: usize) -> Vec<(PublicKey, Bytes)> {
        let events = self.nodes[node].events.iter();
        events
            .filter_map(|event| match event {
                MessengerEvent::Conference {
                    event: ConferenceEvent::Message { member, text, .. },
                    ..
                } => Some((*member, text.clone())),
                _ => None,
            })
            .collect()
    }

    fn say(&mut self, node: usize, id: ConferenceId, text: &str) {
        let kind = MessageKind::Normal;
        self.nodes[node].conferences.say(id, kind, text.as_bytes()).unwrap();
    }

    fn has(&self, node: usize, conference: ConferenceId, event: &ConferenceEvent) -> bool {
        let event = MessengerEvent::Conference { conference, event: event.clone() };
        self.nodes[node].events.contains(&event)
    }

    fn number(&self, key: &PublicKey) -> Option<usize> {
        self.nodes.iter().position(|node| node.key == *key)
    }

    fn wants(&self, a: usize, b: usize) -> bool {
        let [one, other] = [&self.nodes[a], &self.nodes[b]];
        let hold = one.held.contains(&other.key) && other.held.contains(&one.key);
        one.alive && other.alive && (one.friends.contains(&b) || hold)
    }

    /// Makes and ends sessions; true if there was any to make or end.
    fn connect(&mut self) -> bool {
        let mut news = false;
        for a in 0..self.nodes.len() {
            for b in 0..a {
                let wanted = self.wants(a, b);
                if wanted == self.up.contains(&(a, b)) {
                    continue;
                }
                news = true;
                if wanted {
                    self.up.insert((a, b));
                    for (me, peer) in [(a, b), (b, a)] {
                        let (key, dht_key) = (key(peer), dht_key(peer));
                        self.nodes[me].conferences.handle_up(self.now, key, dht_key);
                    }
                } else {
                    self.cut(a, b);
                }
            }
        }
        news
    }

    /// A session breaks, and what flies in it is lost.
    fn cut(&mut self, a: usize, b: usize) {
        self.up.remove(&(a.max(b), a.min(b)));
        let between = [(a, b), (b, a)];
        self.flying.retain(|_, (from, to, ..)| !between.contains(&(*from, *to)));
        for (me, peer) in between {
            self.nodes[me].conferences.handle_down(self.now, key(peer));
        }
    }

    /// A node dies without a word, or lives again with what it remembers.
    fn set_alive(&mut self, node: usize, alive: bool) {
        self.nodes[node].alive = alive;
        self.settle();
    }

    /// Lets all nodes do what they want to do now.
    fn settle(&mut self) {
        loop {
            let mut sent = false;
            for node in 0..self.nodes.len() {
                sent |= self.drain(node);
            }
            if !self.connect() && !sent {
                return;
            }
        }
    }

    fn drain(&mut self, from: usize) -> bool {
        let up: BTreeSet<PublicKey> = (0..self.nodes.len())
            .filter(|to| self.up.contains(&(from.max(*to), from.min(*to))))
            .map(key)
            .collect();
        let node = &mut self.nodes[from];
        node.conferences.handle_timeout(self.now);
        while let Some(tie) = node.conferences.poll_tie() {
            match tie {
                Tie::Hold(peer, _) => _ = node.held.insert(peer),
                Tie::Release(peer) => _ = node.held.remove(&peer),
            }
        }
        let mut post = Post { up: &|key| up.contains(key), full: None, taken: Vec::new() };
        node.conferences.pump(&mut post);
        node.events.extend(core::iter::from_fn(|| node.conferences.poll_event()));
        let taken = post.taken;
        let sent = !taken.is_empty();
        for (to, id, data) in taken {
            let Some(to) = self.number(&to) else { continue };
            let delay = Duration::from_millis(10 + (7 * from + 3 * to) as u64 % 30);
            self.count += 1;
            self.flying.insert((self.now + delay, self.count), (from, to, id, data));
        }
        sent
    }

    /// Hands a node a packet as if `from` sent it now.
    fn inject(
        &mut self,
        to: usize,
        from: usize,
        packet: &crate::wire::conference::ConferencePacket<'_>,
    ) {
        let data = packet.body();
        let conferences = &mut self.nodes[to].conferences;
        conferences.handle_packet(self.now, key(from), true, packet.id(), &data);
    }

    /// Lets so many seconds pass.
    fn run(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        loop {
            self.settle();
            let alive = self.nodes.iter().filter(|node| node.alive);
            let deadlines = alive.filter_map(|node| node.conferences.deadline());
            let arrival = self.flying.keys().next().map(|(at, _)| *at);
            let next = deadlines.chain(arrival).min();
            let Some(at) = next.filter(|at| *at <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(at);
            while let Some(entry) = self.flying.first_entry() {
                if entry.key().0 > self.now {
                    break;
                }
                let (from, to, id, data) = entry.remove();
                let friends = self.nodes[to].friends.contains(&from);
                let conferences = &mut self.nodes[to].conferences;
                conferences.handle_packet(self.now, key(from), friends, id, &data);
            }
        }
    }
}
