//! A whole node with all its front doors open: datagrams of several peers, and byte streams from clients
//! of its relay and from a relay of which it is a client, cut anywhere.
//!
//! The peers have keys, so that their boxes open and the fuzzer's bytes arrive where honest ones do; or
//! they say anything at all.

mod peer;
#[cfg(test)]
mod seeds;
mod stream;
mod user;

use core::time::Duration;

use toktok_mesh::wire::onion::Hop;
use toktok_mesh::{
    Accept, Address, ChannelId, Config, DhtConfig, Event, Machine, Output, PublicKey, Rng, Stack,
    StreamEvent, Time,
};

use self::peer::{Known, PEERS, Peer, known};
use self::stream::Stream;

/// Things that happen in one run.
const MOST_STEPS: usize = 100;
/// Incoming streams of one run: each costs a handshake.
const MOST_STREAMS: u64 = 12;
/// Outputs between two inputs.
const MOST_OUTPUTS: usize = 1_024;
/// What the node sends by itself at once: most of all when a person begins to look for all friends.
const MOST_OWN: usize = 128 * 1_024;
/// Longest datagram that any part of the node makes (a forwarded one).
const MOST_DATAGRAM: usize = 2_048;

/// A person's node that is a relay too, and what `data` says happens to it: each command is a byte that
/// says what (its highest three bits: in which form), one that says by whom, a length in two bytes, and
/// so many bytes for it.
///
/// # Panics
/// If the node panics, spins, says much more than it heard, or lets in somebody without keys.
pub fn stack(data: &[u8]) {
    run(data);
}

fn run(data: &[u8]) -> World {
    let mut world = World::new();
    let mut rest = data;
    for _ in 0..MOST_STEPS {
        let [what, who, high, low, tail @ ..] = rest else { break };
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
        let (bytes, tail) = tail.split_at(len);
        world.step(*what, *who, bytes);
        rest = tail;
    }
    world.check();
    world
}

/// The node, its peers, and what is under way between them.
struct World {
    known: &'static Known,
    now: Time,
    stack: Stack,
    peers: [Peer; PEERS],
    streams: Vec<Stream>,
    /// Incoming streams so far.
    accepted: u64,
    /// Streams are cut into pieces of so many bytes; 0: not at all.
    piece: usize,
    channels: Vec<ChannelId>,
    /// Bytes that were handed in since the node was idle.
    heard: usize,
}

fn address(number: usize) -> Address {
    Address::udp(([203, 0, 113, number as u8 + 1], 33445).into())
}

impl World {
    fn new() -> Self {
        let known = known();
        let config = config();
        let (now, rng) = (Time::from_secs(1), Rng::from_seed([1; 32]));
        let (identity, dht) = (known.identity.clone(), known.dht.clone());
        let mut stack = Stack::with_identity(config, identity, dht, rng, now);
        stack.listen("fuzz");
        Self {
            known,
            now,
            stack,
            peers: core::array::from_fn(|number| Peer::new(&known.peers[number], number)),
            streams: Vec::new(),
            accepted: 0,
            piece: 0,
            channels: Vec::new(),
            heard: 0,
        }
    }

    /// One command. Where a peer cannot do what it says, because something else had to come before,
    /// nothing happens.
    fn step(&mut self, what: u8, how: u8, bytes: &[u8]) {
        let (what, form) = (what % 32, what / 32);
        let (place, who) = (usize::from(how) / PEERS, usize::from(how) % PEERS);
        match what {
            0..=9 => {
                if let Some(packet) = self.packet(what, form, (who, place), bytes) {
                    self.hand_in(who, packet);
                }
            }
            10..=16 => self.session(what, form, who, bytes),
            17 => self.accept(who),
            18 => self.greet(place, bytes),
            19..=21 => self.frame(place, who, what - 19, bytes),
            22 => self.stream_bytes(place, bytes),
            23 => self.stream_event(place, form, bytes.len()),
            24 => self.piece = usize::from(how),
            25..=29 => self.act(who, place, bytes),
            _ => self.wait(form, how),
        }
        self.now += Duration::from_millis(1);
        self.drain();
    }

    /// A peer's datagram that belongs to no session.
    fn packet(
        &mut self,
        what: u8,
        form: u8,
        (who, place): (usize, usize),
        bytes: &[u8],
    ) -> Option<Vec<u8>> {
        let other = self.known.peers[place % PEERS].pair.public;
        let (node, peer) = (self.known.dht.public, &mut self.peers[who]);
        Some(match what {
            0 => bytes.to_vec(),
            1 => peer.dht_packet(place, bytes),
            2 => peer.dht_answer(place, bytes),
            3 => peer.dht_request(if form == 0 { node } else { other }, bytes),
            4 => peer.routed_dht_key(node, bytes),
            5 => {
                let hop = Hop::ALL[place % Hop::ALL.len()];
                peer.onion_layer(hop, form == 0, address(usize::from(form) % PEERS), bytes)
            }
            6 => peer.announce_request(other, form > 0, bytes),
            7 => peer.data_request(other, bytes),
            8 => peer.onion_response(bytes)?,
            _ => peer.forwarding(form, bytes),
        })
    }

    /// A peer's packet of a session, directly or through a relay.
    fn session(&mut self, what: u8, form: u8, who: usize, bytes: &[u8]) {
        let peer = &mut self.peers[who];
        let packet = match what {
            10 => Some(peer.cookie_request(bytes)),
            11 => peer.cookie_response(bytes),
            12 => peer.handshake(bytes),
            _ => peer.session_packet(what == 16, bytes),
        };
        match packet {
            Some(packet) if form < 4 => self.hand_in(who, packet),
            Some(packet) => self.hand_in_relayed(form, who, &packet),
            None => {}
        }
    }

    fn wait(&mut self, form: u8, how: u8) {
        let unit = [10, 1_000, 100, 10_000][usize::from(form) % 4];
        self.now += Duration::from_millis(u64::from(how) * unit);
    }

    /// A datagram of a peer's.
    fn hand_in(&mut self, who: usize, mut packet: Vec<u8>) {
        self.heard += packet.len();
        self.stack.handle_datagram(self.now, address(who), &mut packet);
    }

    /// Polls until idle, and looks at what comes out.
    fn drain(&mut self) {
        let mut sent = 0;
        for _ in 0..MOST_OUTPUTS {
            match self.stack.poll(self.now) {
                Output::Transmit { to, payload } => {
                    sent += payload.len();
                    self.look(to, payload);
                }
                Output::Event(event) => self.notice(event),
                Output::Stream(stream, request) => self.request(stream, request),
                Output::Io(_, never) => match never {},
                Output::Idle(deadline) => {
                    assert!(deadline.is_none_or(|at| at > self.now), "would spin");
                    assert!(sent <= 4 * self.heard + MOST_OWN, "{sent} bytes for {}", self.heard);
                    self.heard = 0;
                    return;
                }
            }
        }
        panic!("more than {MOST_OUTPUTS} outputs");
    }

    /// A datagram of the node's: what a peer learns from it.
    fn look(&mut self, to: Address, packet: Vec<u8>) {
        assert!(to.as_udp().is_some(), "nobody told the node of another transport");
        assert!((1..=MOST_DATAGRAM).contains(&packet.len()), "{} bytes", packet.len());
        if let Some(who) = (0..PEERS).find(|who| address(*who) == to) {
            self.peers[who].hear(packet);
        }
    }

    fn notice(&mut self, event: Event) {
        match event {
            Event::SessionUp { peer } => assert!(self.number_of(&peer).is_some(), "no such keys"),
            // One that the node opened itself is known already.
            Event::ChannelOpened { channel, incoming: true, .. } => self.channels.push(channel),
            Event::ChannelClosed { channel, .. } => self.channels.retain(|it| *it != channel),
            _ => {}
        }
    }

    fn number_of(&self, key: &PublicKey) -> Option<usize> {
        self.known.peers.iter().position(|keys| keys.pair.public == *key)
    }

    /// What must be true whatever was said.
    fn check(&self) {
        assert!(self.stack.session_count() <= PEERS, "so many have keys");
        assert!(self.stack.relay_client_count() <= PEERS, "so many have keys");
        assert!(self.stack.relay_clients().all(|(key, _)| self.number_of(&key).is_some()));
        assert!(self.stack.nodes_to_save().len() <= 2_080);
        assert!(self.stack.relays_to_save().len() <= 8);
        assert!(self.stack.path_nodes_to_save().len() <= 8);
    }

    /// Hands in something that happened to a stream.
    fn tell(&mut self, place: usize, event: StreamEvent<'_>) {
        if let Some(stream) = self.streams.get(place) {
            self.stack.handle_stream(self.now, stream.id, event);
        }
    }
}

/// Everything that can be on is.
fn config() -> Config {
    let mut dht = DhtConfig::default();
    (dht.discover_services, dht.lan_discovery) = (true, true);
    let mut config = Config::person();
    config.dht = dht;
    config.accept = Accept::Anyone;
    config.relay_server = true;
    config.allow_short_paths = true;
    config
}
