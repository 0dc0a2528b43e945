//! One client's connection: its hello, its secrets, its numbered connections to other clients.

use crate::crypto::Keys;
use crate::drops::DropReason;
use crate::machine::{StreamId, StreamRequest};
use crate::outbox::Context;
use crate::relay::pipe::{Input, Pipe};
use crate::wire::relay::{ConnectionId, RelayAnswerHeader, RelayHelloHeader, RelayKeys};
use crate::wire::{Address, Decode, KeyPair, Nonce, PublicKey, Rng, Time};

/// Length of a client's hello.
pub(super) const HELLO_LEN: usize = RelayHelloHeader::PACKET_LEN;

/// Numbers that a client has for its connections (c-toxcore `NUM_CLIENT_CONNECTIONS`): 16 to 255.
pub(super) const MAX_ROUTES: usize = 256 - ConnectionId::FIRST as usize;

/// A connection from somewhere.
#[derive(Debug)]
pub(super) struct Link {
    /// Whence, without the port: each connection has another one.
    pub(super) from: Address,
    pub(super) input: Input,
    pub(super) timer: Time,
    pub(super) phase: Phase,
}

/// How far a connection is.
#[derive(Debug)]
pub(super) enum Phase {
    /// It has not said hello.
    New,
    /// Frames go both ways.
    Open(Box<Open>),
}

/// A connection whose client has said hello.
#[derive(Debug)]
pub(super) struct Open {
    /// The client's DHT key.
    pub(super) key: PublicKey,
    pub(super) pipe: Pipe,
    /// The client has sent a frame.
    pub(super) confirmed: bool,
    /// The ping that is not answered yet.
    pub(super) ping: Option<u64>,
    pub(super) routes: Routes,
}

impl Link {
    /// A connection that has said nothing yet.
    pub(super) fn new(from: Address) -> Self {
        let from = from.as_udp().map_or(from, |mut address| {
            address.set_port(0);
            Address::udp(address)
        });
        Self { from, input: Input::default(), timer: Time::ZERO, phase: Phase::New }
    }

    /// Takes the client's hello and answers it; returns how many bytes the answer has.
    pub(super) fn greet(
        &mut self,
        cx: &mut Context<'_>,
        keys: &mut Keys,
        rng: &mut Rng,
        stream: StreamId,
        hello: &mut [u8],
    ) -> Result<usize, DropReason> {
        let (header, boxed) = RelayHelloHeader::split(hello)?;
        if header.client == keys.public() {
            return Err(DropReason::FromSelf);
        }
        let shared = keys.shared_once(&header.client);
        let theirs = RelayKeys::from_bytes(shared.open_in_place(&header.nonce, boxed)?)?;
        let pair = KeyPair::generate(rng);
        let ours = RelayKeys { session_key: pair.public, base_nonce: Nonce::generate(rng) };
        let answer = RelayAnswerHeader { nonce: Nonce::generate(rng) }.seal(&shared, &ours);
        let secret = pair.secret.shared_key(&theirs.session_key);
        let mut pipe = Pipe::new(stream, secret, ours.base_nonce, theirs.base_nonce);
        let len = answer.len();
        pipe.note_written(len);
        cx.stream(stream, StreamRequest::Write(answer));
        let (key, routes) = (header.client, Routes::default());
        let open = Open { key, pipe, confirmed: false, ping: None, routes };
        self.phase = Phase::Open(Box::new(open));
        Ok(len)
    }
}

/// One end of a connection between two clients.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct FarEnd {
    /// Its client's connection to us.
    pub(super) link: u64,
    /// How that client knows it.
    pub(super) id: ConnectionId,
}

/// What a client asked to be connected to.
#[derive(Clone, Copy, Debug)]
struct Route {
    peer: PublicKey,
    /// The other end, if that client has asked for this one too.
    far_end: Option<FarEnd>,
}

/// A client's numbered connections. Memory is taken as they are made.
#[derive(Debug, Default)]
pub(super) struct Routes(Vec<Option<Route>>);

fn index(id: ConnectionId) -> usize {
    usize::from(id.number() - ConnectionId::FIRST)
}

fn id_at(index: usize) -> Option<ConnectionId> {
    u8::try_from(index + usize::from(ConnectionId::FIRST)).ok().and_then(ConnectionId::new)
}

impl Routes {
    /// The number of the connection to `peer`.
    pub(super) fn find(&self, peer: &PublicKey) -> Option<ConnectionId> {
        let is_to = |route: &Option<Route>| route.is_some_and(|route| route.peer == *peer);
        self.0.iter().position(is_to).and_then(id_at)
    }

    /// How many connections are numbered.
    pub(super) fn count(&self) -> usize {
        self.0.iter().flatten().count()
    }

    /// Numbers a connection to `peer`; `None` if all numbers are taken.
    pub(super) fn add(&mut self, peer: PublicKey) -> Option<ConnectionId> {
        let free = self.0.iter().position(Option::is_none).unwrap_or(self.0.len());
        if free >= MAX_ROUTES {
            return None;
        }
        let route = Some(Route { peer, far_end: None });
        match self.0.get_mut(free) {
            Some(place) => *place = route,
            None => {
                // All clients together have many: no more room than is needed.
                self.0.reserve_exact(1);
                self.0.push(route);
            }
        }
        id_at(free)
    }

    /// Forgets a connection; `None` if there is none of this number.
    #[expect(clippy::option_option, reason = "no such connection, or one that has no other end")]
    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Option<FarEnd>> {
        self.0.get_mut(index(id))?.take().map(|route| route.far_end)
    }

    /// The other end of a connection; as [`Routes::remove`].
    #[expect(clippy::option_option, reason = "no such connection, or one that has no other end")]
    pub(super) fn far_end(&self, id: ConnectionId) -> Option<Option<FarEnd>> {
        let route = self.0.get(index(id))?.as_ref()?;
        Some(route.far_end)
    }

    /// Joins a connection to another one, or parts them.
    pub(super) fn set_far_end(&mut self, id: ConnectionId, far_end: Option<FarEnd>) {
        if let Some(Some(route)) = self.0.get_mut(index(id)) {
            route.far_end = far_end;
        }
    }

    /// Whom the client asked for.
    pub(super) fn peers(&self) -> impl Iterator<Item = PublicKey> + '_ {
        self.0.iter().flatten().map(|route| route.peer)
    }

    /// The other ends of all connections.
    pub(super) fn far_ends(&self) -> impl Iterator<Item = FarEnd> + '_ {
        self.0.iter().flatten().filter_map(|route| route.far_end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_240_numbers_are_given_out_and_given_again() {
        let mut routes = Routes::default();
        for i in 0..MAX_ROUTES {
            let id = routes.add(PublicKey([i as u8; 32])).unwrap();
            assert_eq!(usize::from(id.number()), 16 + i);
        }
        assert_eq!(routes.add(PublicKey([255; 32])), None);
        let id = routes.find(&PublicKey([7; 32])).unwrap();
        assert_eq!(id.number(), 23);
        assert_eq!(routes.remove(id), Some(None));
        assert_eq!((routes.remove(id), routes.far_end(id)), (None, None));
        assert_eq!(routes.find(&PublicKey([7; 32])), None);
        assert_eq!(routes.add(PublicKey([255; 32])), Some(id));
    }
}
