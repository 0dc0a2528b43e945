//! One neighbour: hello and goodbye, what it is told and how it is doing.

use toktok_mesh::DropReason;
use toktok_wire::{PublicKey, Time};

use super::location::Identity;
use super::message::{Contact, GoodbyeReason, Hello, MAX_CONTACTS, Message};
use super::queue::{Kind, Queue, Source};
use super::ring::{Leaves, bucket};
use super::{Output, RouteEvent, Router};

/// Sessions whose hello has not come yet, beyond the places for neighbours: a stranger can hold one for
/// [`HELLO_TIMEOUT`].
const MAX_STRANGERS: usize = 8;
/// How long a hello may take.
const HELLO_TIMEOUT: core::time::Duration = core::time::Duration::from_secs(10);
/// How long a neighbour that lied is not taken back.
const SHUNNED: core::time::Duration = core::time::Duration::from_secs(3600);
/// A change of the own load that neighbours are told of.
const LOAD_STEP: u8 = 48;

/// A session on which this protocol is spoken.
#[derive(Debug)]
pub(super) struct Link {
    /// Who it is; `None` until it said a proper hello.
    identity: Option<Identity>,
    /// Since when it is a neighbour, or since when its hello is awaited.
    pub(super) since: Time,
    last_heard: Time,
    /// When it was asked for a sign of life that has not come.
    probed: Option<Time>,
    /// It owes answers and gave no sign of life: passed over until it does.
    pub(super) suspect: bool,
    /// How busy it says it is.
    pub(super) load: u8,
    /// What it was told of our own load.
    told_load: u8,
    /// Its requests under way here.
    pub(super) tasks: usize,
    pub(super) queue: Queue,
}

impl Link {
    fn new(now: Time) -> Self {
        Self {
            identity: None,
            since: now,
            last_heard: now,
            probed: None,
            suspect: false,
            load: 0,
            told_load: 0,
            tasks: 0,
            queue: Queue::default(),
        }
    }

    /// Who it is, once it has said so.
    pub(super) const fn identity(&self) -> Option<Identity> {
        self.identity
    }

    /// Notes a sign of life.
    pub(super) const fn heard(&mut self, now: Time) {
        self.last_heard = now;
        self.probed = None;
        self.suspect = false;
    }
}

impl Router {
    /// True if `peer` is a neighbour that said a proper hello.
    pub(super) fn is_neighbour(&self, peer: &PublicKey) -> bool {
        self.links.get(peer).is_some_and(|link| link.identity.is_some())
    }

    /// A neighbour handed over another block than was asked for. Honest relays check what they hand
    /// on, so that it is this one that lies: it goes, and is not taken back for [`SHUNNED`].
    pub(super) fn shun(&mut self, now: Time, peer: PublicKey) {
        self.stats.poisoned += 1;
        self.drops.count(DropReason::Forged);
        self.part(now, peer, None);
        self.membership.shun(peer, now + SHUNNED);
    }

    /// Queues a message for `peer`; false if there is no room or no such link.
    pub(super) fn send(
        &mut self,
        peer: &PublicKey,
        source: Source,
        kind: Kind,
        message: &Message,
    ) -> bool {
        let Some(link) = self.links.get_mut(peer) else { return false };
        let queued = link.queue.push(source, kind, message.encode());
        if !queued {
            self.drops.count(DropReason::LimitReached);
        }
        queued
    }

    /// A channel with `peer` stands: say hello.
    pub fn handle_link_up(&mut self, now: Time, peer: PublicKey) {
        if self.links.len() >= self.config.max_neighbours + MAX_STRANGERS {
            self.stats.refused += 1;
            let words = self.farewell(GoodbyeReason::Full, None);
            return self.outputs.push_back(Output::Part(peer, Some(words.encode())));
        }
        // A new channel in the place of an old one: what that owed will not come.
        self.handle_link_down(now, peer);
        self.membership.connected(&peer);
        self.links.insert(peer, Link::new(now));
        let hello = Hello {
            id: self.me.id,
            nonce: self.me.nonce,
            capacity: self.config.capacity,
            load: self.load(),
        };
        self.send(&peer, None, Kind::Request, &Message::Hello(hello));
    }

    /// The channel with `peer` is gone.
    pub fn handle_link_down(&mut self, now: Time, peer: PublicKey) {
        let Some(link) = self.links.remove(&peer) else { return };
        self.membership.failed(now, peer, &self.config);
        if link.identity.is_some() {
            self.outputs.push_back(Output::Event(RouteEvent::NeighbourDown(peer)));
        }
        self.fail_outstanding(now, peer);
    }

    /// Ends a link from this side.
    fn part(&mut self, now: Time, peer: PublicKey, words: Option<Message>) {
        let words = words.map(|words| words.encode());
        self.outputs.push_back(Output::Part(peer, words));
        self.handle_link_down(now, peer);
    }

    /// A goodbye that names others, those nearest to `near` first.
    fn farewell(&self, reason: GoodbyeReason, near: Option<&Identity>) -> Message {
        let place = near.unwrap_or(&self.me).location;
        let except = near.map(|identity| identity.key);
        Message::Goodbye { reason, alternatives: self.contacts_near(place, except, MAX_CONTACTS) }
    }

    /// The neighbours nearest to a place, as contacts.
    pub(super) fn contacts_near(
        &self,
        place: super::Location,
        except: Option<PublicKey>,
        most: usize,
    ) -> Vec<Contact> {
        let mut near: Vec<Identity> =
            self.neighbours().filter(|other| Some(other.key) != except).collect();
        near.sort_by_key(|other| place.distance(other.location));
        near.truncate(most);
        near.iter().map(|other| Contact { id: other.id, location: other.location }).collect()
    }

    /// Takes a hello: checks who it is, and whether there is a place for it.
    pub(super) fn handle_hello(&mut self, now: Time, peer: PublicKey, hello: &Hello) {
        if self.is_neighbour(&peer) {
            return self.drops.count(DropReason::Unsolicited);
        }
        if self.membership.is_shunned(&peer, now) {
            self.drops.count(DropReason::Refused);
            return self.part(now, peer, None);
        }
        // The key first: the puzzle costs memory and time.
        let claimed = hello.id.mesh_key().filter(|key| *key == peer);
        let verified =
            claimed.and_then(|_| Identity::verify(&self.config.puzzle, hello.id, hello.nonce));
        let Some(identity) = verified else {
            self.drops.count(DropReason::Forged);
            return self.part(now, peer, None);
        };
        if !self.make_room(now, &identity) {
            self.stats.refused += 1;
            let words = self.farewell(GoodbyeReason::Full, Some(&identity));
            return self.part(now, peer, Some(words));
        }
        let Some(link) = self.links.get_mut(&peer) else { return };
        link.identity = Some(identity);
        link.since = now;
        link.load = hello.load;
        self.membership.learn(peer, Some(identity.location), now);
        self.outputs.push_back(Output::Event(RouteEvent::NeighbourUp(peer)));
        self.ask_newcomer(now, peer);
    }

    /// True if there is a place for `newcomer`, made if it must be: one of the nearest may take the
    /// place of a neighbour that is not, when that has been here long enough.
    fn make_room(&mut self, now: Time, newcomer: &Identity) -> bool {
        let placed = self.placed();
        if placed.len() < self.config.max_neighbours {
            return true;
        }
        let mut all = placed;
        all.push((newcomer.key, newcomer.location));
        let leaves = Leaves::of(self.me.location, &all, self.config.leaf_side);
        leaves.contains(&newcomer.key) && self.replace_one(now, &leaves)
    }

    /// Parts with the neighbour that is missed least: none of `leaves`, from the bucket with the most
    /// neighbours, the youngest of those that are settled. False if there is none.
    pub(super) fn replace_one(&mut self, now: Time, leaves: &Leaves) -> bool {
        let distance = |identity: &Identity| self.me.location.distance(identity.location);
        let mut crowds = [0_usize; 129];
        for identity in self.neighbours() {
            crowds[bucket(distance(&identity)) as usize] += 1;
        }
        let settled = |link: &&Link| now.since(link.since) >= self.config.settle;
        let victim = self
            .links
            .values()
            .filter(settled)
            .filter_map(|link| link.identity.map(|identity| (link.since, identity)))
            .filter(|(_, identity)| !leaves.contains(&identity.key))
            .max_by_key(|(since, identity)| (crowds[bucket(distance(identity)) as usize], *since));
        let Some((_, victim)) = victim else { return false };
        let words = self.farewell(GoodbyeReason::Replaced, Some(&victim));
        self.part(now, victim.key, Some(words));
        true
    }

    /// Takes a goodbye: the others that it names may have a place.
    pub(super) fn handle_goodbye(&mut self, now: Time, peer: PublicKey, others: &[Contact]) {
        self.learn_contacts(now, others);
        self.part(now, peer, None);
    }

    /// Takes a neighbour's load, and answers with the own.
    pub(super) fn handle_load(&mut self, peer: PublicKey, level: u8, answer: bool) {
        let own = self.load();
        let Some(link) = self.links.get_mut(&peer) else { return };
        link.load = level;
        if answer {
            link.told_load = own;
            let message = Message::Load { level: own, answer: false };
            self.send(&peer, None, Kind::Answer, &message);
        }
    }

    /// Asks those that owe answers and are silent for a sign of life, passes over those that give none,
    /// tells how busy this node is, and ends what never said hello.
    pub(super) fn probe(&mut self, now: Time) {
        let (probe, suspect) = (self.config.probe_after, self.config.suspect_after);
        let mut oldest = std::collections::BTreeMap::<PublicKey, Time>::new();
        for waiting in self.outstanding.values() {
            let sent = oldest.entry(waiting.peer).or_insert(waiting.sent);
            *sent = waiting.sent.min(*sent);
        }
        let own = self.load();
        let (mut ask, mut tell, mut silent, mut mute) = (vec![], vec![], vec![], vec![]);
        for (peer, link) in &mut self.links {
            if link.identity.is_none() && now.since(link.since) >= HELLO_TIMEOUT {
                mute.push(*peer);
            }
            let owes = oldest.get(peer).is_some_and(|sent| now.since(*sent) >= probe);
            let quiet = now.since(link.last_heard) >= probe;
            match link.probed {
                None if owes && quiet => {
                    link.probed = Some(now);
                    ask.push(*peer);
                }
                Some(asked) if now.since(asked) >= suspect => {
                    link.probed = Some(now);
                    ask.push(*peer);
                    if !link.suspect {
                        link.suspect = true;
                        silent.push(*peer);
                    }
                }
                _ if link.told_load.abs_diff(own) >= LOAD_STEP => {
                    link.told_load = own;
                    tell.push(*peer);
                }
                _ => {}
            }
        }
        for (peers, answer) in [(ask, true), (tell, false)] {
            for peer in peers {
                let message = Message::Load { level: own, answer };
                self.send(&peer, None, Kind::Request, &message);
            }
        }
        for peer in silent {
            self.stats.suspected += 1;
            self.fail_outstanding(now, peer);
        }
        for peer in mute {
            self.part(now, peer, None);
        }
    }
}
