//! One iterative lookup (Kademlia, section 2.3, over Tox's nodes requests): ask the nearest nodes
//! known for nearer ones, several at once, until the node itself answers or nobody nearer is left.

use super::config::{
    LOOKUP_ADDRESSES, LOOKUP_ATTEMPTS, LOOKUP_CANDIDATES, LOOKUP_HEDGE, LOOKUP_PARALLEL,
    LOOKUP_PAUSE, LOOKUP_RESTARTS,
};
use crate::wire::{Address, PublicKey, Time};

/// What a lookup wants next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// Ask this node for nodes near the target.
    Ask(PublicKey, Address),
    /// Insert nodes of the close list: the lookup begins (again).
    Seed,
    /// Nothing before this moment, unless an answer comes.
    Wait(Time),
    /// It is over.
    Done,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    New,
    Asked { attempts: u8, at: Time },
    Answered,
    Failed,
}

#[derive(Clone, Debug)]
struct Candidate {
    key: PublicKey,
    address: Address,
    /// Nodes that told of each other, from this node's close list to here.
    hops: u32,
    state: State,
}

/// A lookup under way.
#[derive(Debug)]
pub(super) struct Lookup {
    own: PublicKey,
    target: PublicKey,
    width: usize,
    deadline: Time,
    restarts: u8,
    seeded: bool,
    paused_until: Option<Time>,
    /// Nearest to the target first.
    candidates: Vec<Candidate>,
    found: Option<(Address, u32)>,
}

impl Lookup {
    /// A lookup of `target` by the node `own`, which ends when `width` nearest nodes have answered,
    /// or at `deadline`. With `restarts`, one that found nothing begins anew a few times.
    pub(super) fn new(
        own: PublicKey,
        target: PublicKey,
        width: usize,
        deadline: Time,
        restarts: bool,
    ) -> Self {
        let restarts = if restarts { LOOKUP_RESTARTS } else { 0 };
        let (candidates, found, paused_until) = (Vec::new(), None, None);
        Self {
            own,
            target,
            width,
            deadline,
            restarts,
            seeded: false,
            paused_until,
            candidates,
            found,
        }
    }

    /// The key that is looked for.
    pub(super) fn target(&self) -> PublicKey {
        self.target
    }

    /// Where the target answered from, and how many nodes told of each other on the way to it.
    pub(super) fn found(&self) -> Option<(Address, u32)> {
        self.found
    }

    /// Adds a node of the close list.
    pub(super) fn seed(&mut self, key: PublicKey, address: Address) {
        self.insert(key, address, 0);
    }

    fn insert(&mut self, key: PublicKey, address: Address, hops: u32) {
        let same_key = self.candidates.iter().filter(|other| other.key == key);
        let (mut addresses, mut is_known) = (0, false);
        for other in same_key {
            addresses += 1;
            is_known |= other.address == address;
        }
        if key == self.own || is_known || addresses >= LOOKUP_ADDRESSES {
            return;
        }
        let distance = self.target.distance(&key);
        let target = self.target;
        let place =
            self.candidates.partition_point(|other| target.distance(&other.key) <= distance);
        if place < LOOKUP_CANDIDATES {
            self.candidates.insert(place, Candidate { key, address, hops, state: State::New });
            self.candidates.truncate(LOOKUP_CANDIDATES);
        }
    }

    /// A node that this lookup asked answered with `nodes`.
    pub(super) fn answered(
        &mut self,
        key: PublicKey,
        address: Address,
        nodes: impl Iterator<Item = (PublicKey, Address)>,
    ) {
        let asked = self.candidates.iter_mut().find(|c| c.key == key && c.address == address);
        let Some(asked) = asked else { return };
        asked.state = State::Answered;
        let hops = asked.hops + 1;
        if key == self.target {
            self.found = Some((address, asked.hops));
        }
        for (key, address) in nodes {
            self.insert(key, address, hops);
        }
    }

    /// What to do now; to be called until it waits or is done.
    pub(super) fn step(&mut self, now: Time) -> Step {
        if self.found.is_some() || now >= self.deadline {
            return Step::Done;
        }
        if let Some(until) = self.paused_until {
            if now < until {
                return Step::Wait(until.min(self.deadline));
            }
            self.paused_until = None;
            self.seeded = false;
        }
        if !self.seeded {
            self.seeded = true;
            self.candidates.clear();
            return Step::Seed;
        }
        match self.advance(now) {
            Some(Step::Wait(until)) => Step::Wait(until.min(self.deadline)),
            Some(step) => step,
            None => self.exhausted(now),
        }
    }

    /// Looks at the nearest candidates in order; `None` if all of them have answered.
    fn advance(&mut self, now: Time) -> Option<Step> {
        let (mut considered, mut in_flight) = (0, 0);
        let mut wake = None;
        for candidate in &mut self.candidates {
            if considered == self.width {
                break;
            }
            match candidate.state {
                State::Answered => {}
                State::New if in_flight < LOOKUP_PARALLEL => return Some(ask(candidate, 1, now)),
                // Another answer is awaited first.
                State::New => break,
                State::Asked { attempts, at } if now < at + LOOKUP_HEDGE => {
                    // One that was slow already holds up nobody.
                    in_flight += usize::from(attempts == 1);
                    wake = Some(wake.unwrap_or(Time::MAX).min(at + LOOKUP_HEDGE));
                }
                State::Asked { attempts, .. } if attempts < LOOKUP_ATTEMPTS => {
                    return Some(ask(candidate, attempts + 1, now));
                }
                State::Asked { .. } | State::Failed => {
                    candidate.state = State::Failed;
                    continue;
                }
            }
            considered += 1;
        }
        wake.map(Step::Wait)
    }

    /// Everybody near answered, and the target did not. Without any node to ask (not connected yet),
    /// the lookup waits for one.
    fn exhausted(&mut self, now: Time) -> Step {
        if !self.candidates.is_empty() {
            if self.restarts == 0 {
                return Step::Done;
            }
            self.restarts -= 1;
        }
        let until = now + LOOKUP_PAUSE;
        self.paused_until = Some(until);
        Step::Wait(until.min(self.deadline))
    }
}

fn ask(candidate: &mut Candidate, attempts: u8, now: Time) -> Step {
    candidate.state = State::Asked { attempts, at: now };
    Step::Ask(candidate.key, candidate.address)
}

#[cfg(test)]
#[path = "lookup_tests.rs"]
mod tests;
