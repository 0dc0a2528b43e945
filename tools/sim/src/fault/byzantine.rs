//! Nodes that misbehave: wrappers around any machine, which the others cannot tell from it.

use std::collections::VecDeque;

use toktok_mesh::{
    Address, IoToken, Machine, Output, Rng, StreamEvent, StreamId, StreamRequest, Time,
};

use crate::network::Chance;

/// Datagrams that a [`Replaying`] node remembers.
const MEMORY: usize = 64;

/// Keeps some of what it should send: a node that takes and does not give.
#[derive(Debug)]
pub struct Dropping<M> {
    inner: M,
    chance: Chance,
    rng: Rng,
}

impl<M> Dropping<M> {
    /// `inner`, losing each datagram that it sends with `chance`.
    pub fn new(inner: M, chance: Chance, rng: Rng) -> Self {
        Self { inner, chance, rng }
    }
}

impl<M: Machine> Machine for Dropping<M> {
    type Event = M::Event;
    type IoRequest = M::IoRequest;
    type IoResult = M::IoResult;

    fn handle_datagram(&mut self, now: Time, from: Address, datagram: &mut [u8]) {
        self.inner.handle_datagram(now, from, datagram);
    }

    fn handle_stream(&mut self, now: Time, stream: StreamId, event: StreamEvent<'_>) {
        self.inner.handle_stream(now, stream, event);
    }

    fn handle_io(&mut self, now: Time, token: IoToken, result: M::IoResult) {
        self.inner.handle_io(now, token, result);
    }

    fn poll(&mut self, now: Time) -> Output<M::Event, M::IoRequest> {
        loop {
            let output = self.inner.poll(now);
            if !matches!(output, Output::Transmit { .. }) || !self.chance.draw(&mut self.rng) {
                return output;
            }
        }
    }
}

/// Sends old datagrams again, its own and those of others, to whoever it talks to.
#[derive(Debug)]
pub struct Replaying<M> {
    inner: M,
    chance: Chance,
    rng: Rng,
    seen: VecDeque<Vec<u8>>,
    replay_to: Option<Address>,
}

impl<M> Replaying<M> {
    /// `inner`, sending an old datagram after each new one with `chance`.
    pub fn new(inner: M, chance: Chance, rng: Rng) -> Self {
        Self { inner, chance, rng, seen: VecDeque::new(), replay_to: None }
    }

    fn remember(&mut self, datagram: &[u8]) {
        if self.seen.len() == MEMORY {
            self.seen.pop_front();
        }
        self.seen.push_back(datagram.to_vec());
    }
}

impl<M: Machine> Machine for Replaying<M> {
    type Event = M::Event;
    type IoRequest = M::IoRequest;
    type IoResult = M::IoResult;

    fn handle_datagram(&mut self, now: Time, from: Address, datagram: &mut [u8]) {
        self.remember(datagram);
        self.inner.handle_datagram(now, from, datagram);
    }

    fn handle_stream(&mut self, now: Time, stream: StreamId, event: StreamEvent<'_>) {
        self.inner.handle_stream(now, stream, event);
    }

    fn handle_io(&mut self, now: Time, token: IoToken, result: M::IoResult) {
        self.inner.handle_io(now, token, result);
    }

    fn poll(&mut self, now: Time) -> Output<M::Event, M::IoRequest> {
        if let Some(to) = self.replay_to.take() {
            let old = self.rng.index(self.seen.len());
            if let Some(payload) = self.seen.get(old).cloned() {
                return Output::Transmit { to, payload };
            }
        }
        let output = self.inner.poll(now);
        if let Output::Transmit { to, payload } = &output {
            self.remember(payload);
            self.replay_to = self.chance.draw(&mut self.rng).then_some(*to);
        }
        output
    }
}

/// Flips a bit, cuts or lengthens some of what it sends.
#[derive(Debug)]
pub struct Corrupting<M> {
    inner: M,
    chance: Chance,
    rng: Rng,
}

impl<M> Corrupting<M> {
    /// `inner`, damaging each datagram that it sends with `chance`.
    pub fn new(inner: M, chance: Chance, rng: Rng) -> Self {
        Self { inner, chance, rng }
    }

    fn damage(&mut self, payload: &mut Vec<u8>) {
        let at = self.rng.index(payload.len());
        match self.rng.below(4) {
            0 => payload.truncate(at),
            1 => payload.push(self.rng.u64() as u8),
            _ => {
                let bit = 1 << self.rng.below(8);
                if let Some(byte) = payload.get_mut(at) {
                    *byte ^= bit;
                }
            }
        }
    }
}

impl<M: Machine> Machine for Corrupting<M> {
    type Event = M::Event;
    type IoRequest = M::IoRequest;
    type IoResult = M::IoResult;

    fn handle_datagram(&mut self, now: Time, from: Address, datagram: &mut [u8]) {
        self.inner.handle_datagram(now, from, datagram);
    }

    fn handle_stream(&mut self, now: Time, stream: StreamId, event: StreamEvent<'_>) {
        self.inner.handle_stream(now, stream, event);
    }

    fn handle_io(&mut self, now: Time, token: IoToken, result: M::IoResult) {
        self.inner.handle_io(now, token, result);
    }

    fn poll(&mut self, now: Time) -> Output<M::Event, M::IoRequest> {
        let mut output = self.inner.poll(now);
        if let Output::Transmit { payload, .. } | Output::Stream(_, StreamRequest::Write(payload)) =
            &mut output
            && self.chance.draw(&mut self.rng)
        {
            self.damage(payload);
        }
        output
    }
}

/// An honest node or one of the others: what a simulation of both is made of.
#[derive(Debug)]
pub enum Mixed<M> {
    /// As it should be.
    Honest(M),
    /// See [`Dropping`].
    Dropping(Dropping<M>),
    /// See [`Replaying`].
    Replaying(Replaying<M>),
    /// See [`Corrupting`].
    Corrupting(Corrupting<M>),
}

impl<M> Mixed<M> {
    /// The machine inside.
    pub fn inner(&self) -> &M {
        match self {
            Self::Honest(inner) => inner,
            Self::Dropping(node) => &node.inner,
            Self::Replaying(node) => &node.inner,
            Self::Corrupting(node) => &node.inner,
        }
    }

    /// The machine inside, to command it.
    pub fn inner_mut(&mut self) -> &mut M {
        match self {
            Self::Honest(inner) => inner,
            Self::Dropping(node) => &mut node.inner,
            Self::Replaying(node) => &mut node.inner,
            Self::Corrupting(node) => &mut node.inner,
        }
    }
}

impl<M: Machine> Machine for Mixed<M> {
    type Event = M::Event;
    type IoRequest = M::IoRequest;
    type IoResult = M::IoResult;

    fn handle_datagram(&mut self, now: Time, from: Address, datagram: &mut [u8]) {
        match self {
            Self::Honest(node) => node.handle_datagram(now, from, datagram),
            Self::Dropping(node) => node.handle_datagram(now, from, datagram),
            Self::Replaying(node) => node.handle_datagram(now, from, datagram),
            Self::Corrupting(node) => node.handle_datagram(now, from, datagram),
        }
    }

    fn handle_stream(&mut self, now: Time, stream: StreamId, event: StreamEvent<'_>) {
        match self {
            Self::Honest(node) => node.handle_stream(now, stream, event),
            Self::Dropping(node) => node.handle_stream(now, stream, event),
            Self::Replaying(node) => node.handle_stream(now, stream, event),
            Self::Corrupting(node) => node.handle_stream(now, stream, event),
        }
    }

    fn handle_io(&mut self, now: Time, token: IoToken, result: M::IoResult) {
        match self {
            Self::Honest(node) => node.handle_io(now, token, result),
            Self::Dropping(node) => node.handle_io(now, token, result),
            Self::Replaying(node) => node.handle_io(now, token, result),
            Self::Corrupting(node) => node.handle_io(now, token, result),
        }
    }

    fn poll(&mut self, now: Time) -> Output<M::Event, M::IoRequest> {
        match self {
            Self::Honest(node) => node.poll(now),
            Self::Dropping(node) => node.poll(now),
            Self::Replaying(node) => node.poll(now),
            Self::Corrupting(node) => node.poll(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::NodeIndex;
    use crate::kernel::Sim;
    use crate::kernel::echo::{Echo, Said};
    use crate::network::Attachment;

    /// Runs a client of the given kind for a minute against an honest server: what the server heard,
    /// and how many answers came back.
    fn run(wrap: impl FnOnce(Echo, Rng) -> Mixed<Echo>) -> (Vec<Vec<u8>>, usize) {
        let rng = Rng::from_seed([2; 32]);
        let no_disk = |_: Time, _: NodeIndex, _: u32, _: &mut Rng| None;
        let mut sim = Sim::new(&rng, no_disk);
        let [server, client] = [(); 2].map(|()| sim.attach(Attachment::default()));
        let address = sim.network().address(server.0);
        let mut pongs = 0;
        let mut count = |_: Time, _: NodeIndex, _: &mut Mixed<Echo>, _: Said| pongs += 1;
        sim.start(server, Mixed::Honest(Echo::server()), &mut count);
        let echo = Echo::client(Time::ZERO, address);
        sim.start(client, wrap(echo, rng.child("byzantine")), &mut count);
        sim.run_until(Time::from_millis(99_500), &mut count);
        let heard = sim.machine(server).map(|node| node.inner().heard.clone());
        (heard.unwrap_or_default(), pongs)
    }

    fn good(number: u8) -> Vec<u8> {
        vec![0, number]
    }

    #[test]
    fn an_honest_node_is_left_alone() {
        let (heard, pongs) = run(|echo, _| Mixed::Honest(echo));
        assert_eq!(heard, (1..=100).map(good).collect::<Vec<_>>());
        assert_eq!(pongs, 100);
    }

    #[test]
    fn a_dropping_node_drops_its_share() {
        let half = Chance::percent(50);
        let (heard, pongs) = run(|echo, rng| Mixed::Dropping(Dropping::new(echo, half, rng)));
        assert!((30..70).contains(&heard.len()), "{} heard", heard.len());
        assert_eq!(pongs, heard.len());
    }

    #[test]
    fn a_replaying_node_repeats_what_it_saw() {
        let half = Chance::percent(50);
        let (heard, _) = run(|echo, rng| Mixed::Replaying(Replaying::new(echo, half, rng)));
        let repeats = heard.len() - 100;
        assert!((30..70).contains(&repeats), "{repeats} repeats");
        assert!(heard.iter().any(|datagram| datagram[0] == 1), "the server's own, sent back");
    }

    #[test]
    fn a_corrupting_node_damages_its_share() {
        let half = Chance::percent(50);
        let (heard, pongs) = run(|echo, rng| Mixed::Corrupting(Corrupting::new(echo, half, rng)));
        let damaged =
            (1..=100).map(good).zip(&heard).filter(|(sent, heard)| sent != *heard).count();
        assert_eq!(heard.len(), 100);
        assert!((30..70).contains(&damaged), "{damaged} damaged");
        assert!(pongs < 100);
    }
}
