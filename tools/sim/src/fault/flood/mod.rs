//! Strangers who flood a node with what costs it most: packets that are right in every way, from fresh
//! keys, as fast as they like.

mod onion;
mod relay;
mod session;
mod store;

use core::convert::Infallible;
use core::time::Duration;
use std::collections::VecDeque;

use toktok_mesh::wire::ToxId;
use toktok_mesh::{
    Address, Event, IoToken, KeyPair, Machine, Output, PublicKey, Rng, Stack, StreamEvent,
    StreamId, Time,
};

use self::onion::Onion;
use self::relay::Relays;
use self::session::Handshakes;
use self::store::Stores;

/// How often it rains.
const TICK: Duration = Duration::from_millis(5);
/// Packets of each rain: 400 a second.
const PORTION: usize = 2;

/// What a flooder sends.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// Cookie requests, and for each cookie a right handshake.
    Handshakes,
    /// Announcements of fresh keys, the second time with the ping id.
    Announces,
    /// Relay connections of fresh keys, with a hello and what confirms it.
    Relays,
    /// DHT announcements of fresh keys, each with leave.
    Stores,
    /// Friend requests in right boxes, to a node where the person is announced.
    FriendRequests,
}

/// Whom a flooder floods.
#[derive(Clone, Copy, Debug)]
pub struct Victim {
    /// The node's DHT key.
    pub key: PublicKey,
    /// Where it is.
    pub at: Address,
    /// Whose friend it would like to be: for [`Kind::FriendRequests`] only.
    pub person: Option<ToxId>,
}

/// What a flooder sends next.
type Out = VecDeque<Output<Event, Infallible>>;

/// One who floods a node.
#[derive(Debug)]
pub struct Flooder {
    kind: Kind,
    rng: Rng,
    victim: Victim,
    next: Time,
    out: Out,
    handshakes: Handshakes,
    onion: Onion,
    relays: Relays,
    stores: Stores,
    answers: u64,
}

impl Flooder {
    /// One who begins at once.
    pub fn new(kind: Kind, victim: Victim, mut rng: Rng) -> Self {
        let onion = Onion::new(KeyPair::generate(&mut rng));
        Self {
            kind,
            rng,
            victim,
            next: Time::ZERO,
            out: Out::new(),
            handshakes: Handshakes::default(),
            onion,
            relays: Relays::default(),
            stores: Stores::default(),
            answers: 0,
        }
    }

    /// What came of it: cookies that were spent, announcements that were answered or stored, clients that
    /// were confirmed, requests that were sent.
    pub const fn answers(&self) -> u64 {
        self.answers
    }

    fn send(&mut self, payload: Vec<u8>) {
        self.out.push_back(Output::Transmit { to: self.victim.at, payload });
    }

    fn rain(&mut self) {
        for _ in 0..PORTION {
            match self.kind {
                Kind::Handshakes => self.ask_cookie(),
                Kind::Announces => self.announce_anew(),
                Kind::Relays => self.connect(),
                Kind::Stores => self.ask_to_store(),
                Kind::FriendRequests => self.befriend(),
            }
        }
    }
}

/// A node, or one who floods.
#[derive(Debug)]
pub enum Flooded {
    /// A node.
    Node(Box<Stack>),
    /// One who floods.
    Flooder(Box<Flooder>),
}

impl Machine for Flooded {
    type Event = Event;
    type IoRequest = Infallible;
    type IoResult = Infallible;

    fn handle_datagram(&mut self, now: Time, from: Address, datagram: &mut [u8]) {
        match self {
            Self::Node(stack) => stack.handle_datagram(now, from, datagram),
            Self::Flooder(flooder) => match datagram.first() {
                Some(0x19) => flooder.handshake(datagram),
                Some(0x8c) => flooder.take_answer(datagram),
                Some(0x94) => flooder.store(datagram),
                _ => {}
            },
        }
    }

    fn handle_stream(&mut self, now: Time, stream: StreamId, event: StreamEvent<'_>) {
        match (self, event) {
            (Self::Node(stack), event) => stack.handle_stream(now, stream, event),
            (Self::Flooder(flooder), StreamEvent::Received(bytes)) => {
                flooder.confirm(stream, bytes)
            }
            (Self::Flooder(_), _) => {}
        }
    }

    fn handle_io(&mut self, _: Time, _: IoToken, result: Infallible) {
        match result {}
    }

    fn poll(&mut self, now: Time) -> Output<Event, Infallible> {
        match self {
            Self::Node(stack) => stack.poll(now),
            Self::Flooder(flooder) => {
                if flooder.next <= now {
                    flooder.next = now + TICK;
                    flooder.rain();
                }
                flooder.out.pop_front().unwrap_or(Output::Idle(Some(flooder.next)))
            }
        }
    }
}
