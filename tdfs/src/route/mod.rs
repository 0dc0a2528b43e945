//! Routing: neighbours with standing sessions, requests that travel from one to the next, regions that
//! keep blocks.
//!
//! [`Router`] is sans-IO and knows nothing of the mesh but keys. Nodes stand on a ring
//! ([`location`]); each keeps sessions to those nearest on both sides (its leaf set) and to a few at
//! every scale of distance. A request first **walks** at random, each hop leaving the walk with the same
//! chance, then goes **greedily** nearer at each hop; the last node asks its leaf set, the **region**.
//! Nothing in a message counts hops from the asker, and transaction numbers are drawn anew at each hop,
//! so a relay learns neither who asks nor how far away the asker is. Holders sign receipts.
//!
//! | file | subject |
//! |---|---|
//! | `message` | what neighbours tell each other |
//! | `location`, `ring` | places, the puzzle that makes them costly, distances and densities |
//! | `receipt` | a holder's signed word |
//! | `link`, `queue` | one neighbour: its state, what waits to be sent to it |
//! | `membership` | joining, whom to know, whom to part with |
//! | `task`, `forward`, `region` | a request at this node: the walk, the greedy part, the end |
//! | `request` | own requests: paths, receipts, giving up |

mod cache;
mod forward;
mod link;
pub mod location;
mod membership;
pub mod message;
mod queue;
pub mod receipt;
mod region;
mod request;
mod ring;
mod task;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use toktok_mesh::{DropReason, Drops};
use toktok_wire::node_key::NodeId;
use toktok_wire::{NodeKey, PublicKey, Rng, Time};

use crate::block::{Block, BlockAddress};
use crate::client::BlockFailure;
use crate::config::RouteConfig;
use cache::RelayCache;
use link::Link;
use membership::Membership;
use message::{Message, MessageError, Transaction};
use request::Requests;
use task::{Outstanding, Task};

pub use location::{Identity, Location, Puzzle};

/// Names one own request; unique within its router.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestId(pub u64);

/// Names one question to the own store; unique within its router.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LocalId(pub(crate) u64);

/// What a router wants its owner to do next.
#[must_use]
#[derive(Debug)]
pub enum Output {
    /// Make a session with this node; [`Router::handle_link_up`] or
    /// [`Router::handle_connect_failed`] follows.
    Connect(PublicKey),
    /// Part with this node, after these last words if there are any. The router has forgotten it.
    Part(PublicKey, Option<Bytes>),
    /// Is this block here? Answer with [`Router::handle_looked`].
    Look {
        /// Which question.
        local: LocalId,
        /// The block.
        address: BlockAddress,
        /// Who is given it; `None` if this node itself wants it.
        asker: Option<PublicKey>,
    },
    /// Keep this block. Answer with [`Router::handle_kept`] when it is safe, or refused.
    Keep {
        /// Which question.
        local: LocalId,
        /// The block.
        block: Block,
        /// Who handed it over; `None` if this node itself did.
        from: Option<PublicKey>,
    },
    /// Something that the owner wants to know.
    Event(RouteEvent),
    /// Nothing more to do until something comes in, or until this moment at the latest.
    Idle(Option<Time>),
}

/// Something that a router's owner wants to know.
#[derive(Debug)]
pub enum RouteEvent {
    /// This node knows its surroundings.
    Joined {
        /// Its neighbours now.
        neighbours: usize,
    },
    /// A node has become a neighbour.
    NeighbourUp(PublicKey),
    /// A neighbour is gone.
    NeighbourDown(PublicKey),
    /// A block is stored.
    Stored {
        /// Which request.
        request: RequestId,
        /// Nodes of which a good receipt came.
        copies: u8,
    },
    /// Nobody took a block.
    PutFailed {
        /// Which request.
        request: RequestId,
        /// Why.
        failure: BlockFailure,
    },
    /// A block is here.
    Fetched {
        /// Which request.
        request: RequestId,
        /// The block.
        block: Block,
        /// How many times it was handed on from its holder to this node; 0 if it lay here.
        hops: u8,
    },
    /// A block could not be had.
    GetFailed {
        /// Which request.
        request: RequestId,
        /// Why.
        failure: BlockFailure,
    },
}

/// What a router has done so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stats {
    /// Requests of others handed on.
    pub relayed: u64,
    /// Requests answered from the relay cache.
    pub cache_hits: u64,
    /// Blocks that came back under a wrong address: somebody on the way lies.
    pub poisoned: u64,
    /// Receipts that were not good: forged, for something else, or from far away.
    pub bad_receipts: u64,
    /// Neighbours that fell silent while they owed an answer.
    pub suspected: u64,
    /// Newcomers refused because all places are taken.
    pub refused: u64,
}

/// The routing of one node.
#[derive(Debug)]
pub struct Router {
    config: RouteConfig,
    key: NodeKey,
    me: Identity,
    rng: Rng,
    links: BTreeMap<PublicKey, Link>,
    membership: Membership,
    tasks: BTreeMap<u64, Task>,
    next_task: u64,
    timers: BTreeSet<(Time, u64)>,
    outstanding: BTreeMap<Transaction, Outstanding>,
    requests: Requests,
    cache: RelayCache,
    /// Places of holders whose puzzle was checked; `None` if it does not hold.
    holders: BTreeMap<(NodeId, u64), Option<Location>>,
    next_tick: Time,
    outputs: VecDeque<Output>,
    drops: Drops,
    stats: Stats,
}

/// Most checked holders remembered: a check costs up to some milliseconds.
const MAX_HOLDERS: usize = 4096;

impl Router {
    /// The routing of a node that knows nobody yet. Solving the location puzzle takes
    /// 2^`zero_bits` tries; `None` only if the puzzle's parameters are out of range.
    pub fn new(config: RouteConfig, key: NodeKey, rng: Rng, now: Time) -> Option<Self> {
        let (nonce, _) = config.puzzle.solve(&key.id())?;
        let me = Identity::verify(&config.puzzle, key.id(), nonce)?;
        Some(Self {
            membership: Membership::new(rng.child("membership")),
            requests: Requests::new(),
            config,
            key,
            me,
            rng,
            links: BTreeMap::new(),
            tasks: BTreeMap::new(),
            next_task: 0,
            timers: BTreeSet::new(),
            outstanding: BTreeMap::new(),
            cache: RelayCache::default(),
            holders: BTreeMap::new(),
            next_tick: now,
            outputs: VecDeque::new(),
            drops: Drops::default(),
            stats: Stats::default(),
        })
    }

    /// Who this node is and where it stands.
    pub const fn identity(&self) -> &Identity {
        &self.me
    }

    /// The neighbours that said a proper hello.
    pub fn neighbours(&self) -> impl Iterator<Item = Identity> + '_ {
        self.links.values().filter_map(Link::identity)
    }

    /// How many nodes the network seems to have, this one included: from the density around it.
    pub fn estimated_size(&self) -> u64 {
        ring::estimate_size(self.me.location, &self.placed(), self.config.leaf_side)
    }

    /// Messages that were dropped, by reason.
    pub const fn drops(&self) -> &Drops {
        &self.drops
    }

    /// What this router has done.
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    /// How busy this node is: 0 idle to 255.
    pub fn load(&self) -> u8 {
        let tasks = self.tasks.len() * 255 / task::MAX_TASKS;
        let queued: usize = self.links.values().map(|link| link.queue.queued()).sum();
        let queues = queued * 255 / (queue::MAX_QUEUED * self.links.len().max(1));
        u8::try_from(tasks.max(queues)).unwrap_or(u8::MAX)
    }

    /// The places of all neighbours.
    fn placed(&self) -> Vec<ring::Placed> {
        self.neighbours().map(|identity| (identity.key, identity.location)).collect()
    }

    /// How far regions reach here.
    fn radius(&self) -> u128 {
        ring::radius(self.estimated_size(), self.config.region_gaps)
    }

    /// Takes a message of a neighbour. Bad ones are dropped and counted.
    pub fn handle_message(&mut self, now: Time, peer: PublicKey, bytes: Bytes) {
        let Some(link) = self.links.get_mut(&peer) else {
            return self.drops.count(DropReason::NoSession);
        };
        link.heard(now);
        let message = match Message::decode(bytes) {
            Ok(message) => message,
            Err(error) => return self.drops.count(reason(&error)),
        };
        match message {
            Message::Hello(hello) => self.handle_hello(now, peer, &hello),
            Message::Goodbye { alternatives, .. } => self.handle_goodbye(now, peer, &alternatives),
            _ if !self.is_neighbour(&peer) => self.drops.count(DropReason::Refused),
            Message::Load { level, answer } => self.handle_load(peer, level, answer),
            Message::Request(number, request) => self.handle_request(now, peer, number, request),
            Message::Answer(number, answer) => self.handle_answer(now, peer, number, answer),
        }
    }

    /// Length of the next message for `peer`, if there is one.
    pub fn next_message_len(&self, peer: &PublicKey) -> Option<usize> {
        self.links.get(peer)?.queue.next_len()
    }

    /// The next message for `peer`.
    pub fn next_message(&mut self, peer: &PublicKey) -> Option<Bytes> {
        self.links.get_mut(peer)?.queue.pop()
    }

    /// The neighbours for which something waits.
    pub fn waiting(&self) -> impl Iterator<Item = PublicKey> + '_ {
        self.links.iter().filter(|(_, link)| link.queue.next_len().is_some()).map(|(key, _)| *key)
    }

    /// The next output. Runs the timers that are due.
    pub fn poll(&mut self, now: Time) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        self.run_timers(now);
        self.begin_parked(now);
        if now >= self.next_tick {
            self.next_tick = now + self.config.maintenance;
            self.probe(now);
            self.maintain(now);
        }
        self.outputs.pop_front().unwrap_or_else(|| Output::Idle(Some(self.deadline())))
    }

    /// When the next timer is due.
    fn deadline(&self) -> Time {
        let task = self.timers.first().map_or(Time::MAX, |(due, _)| *due);
        task.min(self.requests.deadline()).min(self.next_tick)
    }
}

/// As what a bad message is counted.
const fn reason(error: &MessageError) -> DropReason {
    match error {
        MessageError::TooLong(_) => DropReason::Oversized,
        MessageError::UnknownBody | MessageError::Version(_) => DropReason::UnknownKind,
        MessageError::Block(_) => DropReason::Forged,
        _ => DropReason::Malformed,
    }
}
