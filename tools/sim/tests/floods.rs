//! Strangers flood a node, and a person through the onion: what they make grow stays within named
//! limits, and friends' messages go through. Computing takes no time here, so this counts;
//! `integration-tests/tests/floods` measures.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops")]

use core::convert::Infallible;
use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use toktok_mesh::wire::friend::FriendRequest;
use toktok_mesh::wire::onion::{
    AnnounceRequest, AnnounceRequestHeader, AnnounceResponse, AnnounceResponseHeader,
    DataRequestHeader, OnionData, ReturnPath, Stored,
};
use toktok_mesh::wire::relay::{RelayHelloHeader, RelayKeys};
use toktok_mesh::wire::session::{
    CookieRequest, CookieRequestHeader, CookieResponse, CookieResponseHeader, Handshake,
    HandshakeHeader,
};
use toktok_mesh::wire::{Decode, Encode, Nonce, SharedKey, ToxId};
use toktok_mesh::{
    Address, Config, Event, IoToken, KeyPair, Machine, Output, PublicKey, Rng, Stack, StreamEvent,
    StreamId, StreamRequest, Time,
};
use toktok_sim::scenario::{World, env_seed, seed_rng};
use toktok_sim::{NoIo, NodeIndex, Sim};

/// How long a flood lasts, and how often it rains.
const FLOOD: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(5);
/// Packets of each rain: 400 a second.
const PORTION: usize = 2;
/// Nodes of the network.
const NODES: usize = 10;
const PORT: u16 = 33_445;
/// Half-open sessions of strangers (`MAX_STRANGERS`) and the friends' own: what may stand at once of
/// those that prove nothing.
const MAX_HALF_OPEN: usize = 64;
/// Friend requests that are opened at once, and then each second (`OPEN_BURST`, `OPEN_PACE`).
const REQUESTS: (u64, u64) = (64, 50);
/// The relay's clients (`MAX_CLIENTS`).
const MAX_CLIENTS: usize = 512;

/// What a flooder sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// Cookie requests, and for each cookie a right handshake.
    Handshakes,
    /// Announcements of fresh keys, the second time with the ping id.
    Announces,
    /// Relay connections with a hello.
    Relays,
    /// Friend requests in right boxes, to a node where the person is announced.
    FriendRequests,
}

/// One who floods.
struct Flooder {
    kind: Kind,
    rng: Rng,
    /// Whom: a node's key and address, and if it is for a person its ID.
    key: PublicKey,
    at: Address,
    person: Option<ToxId>,
    data_key: Option<PublicKey>,
    next: Time,
    out: VecDeque<Output<Event, Infallible>>,
    /// Keys under which cookies were asked for.
    asked: VecDeque<(KeyPair, SharedKey)>,
    /// The key that asked where the person is, or announced itself.
    asker: KeyPair,
    streams: u64,
    answers: u64,
}

impl Flooder {
    fn new(
        kind: Kind,
        mut rng: Rng,
        (key, at): (PublicKey, Address),
        person: Option<ToxId>,
    ) -> Self {
        let asker = KeyPair::generate(&mut rng);
        let (next, out, asked) = (Time::ZERO, VecDeque::new(), VecDeque::new());
        let (data_key, streams, answers) = (None, 0, 0);
        Self { kind, rng, key, at, person, data_key, next, out, asked, asker, streams, answers }
    }

    fn send(&mut self, payload: Vec<u8>) {
        self.out.push_back(Output::Transmit { to: self.at, payload });
    }

    fn rain(&mut self) {
        for _ in 0..PORTION {
            match self.kind {
                Kind::Handshakes => self.ask_cookie(),
                Kind::Announces => {
                    // For as long as an answer takes, one key announces itself again and again.
                    if self.rng.chance(1, 200) {
                        self.asker = KeyPair::generate(&mut self.rng);
                    }
                    self.announce([0; 32], self.asker.public);
                }
                Kind::Relays => self.connect(),
                Kind::FriendRequests => match (self.person, self.data_key) {
                    (Some(person), Some(data_key)) => self.ask_friendship(&person, &data_key),
                    (Some(person), None) => self.announce([0; 32], person.key),
                    _ => {}
                },
            }
        }
    }

    fn ask_cookie(&mut self) {
        let [identity, dht] = [(); 2].map(|()| KeyPair::generate(&mut self.rng));
        let (nonce, echo) = (Nonce::generate(&mut self.rng), self.rng.bytes());
        let request = CookieRequest { key: identity.public, unused: [0; 32], echo };
        let shared = dht.secret.shared_key(&self.key);
        self.send(CookieRequestHeader { sender: dht.public, nonce }.seal(&shared, &request));
        self.asked.push_front((identity, shared));
        self.asked.truncate(1_000);
    }

    fn handshake(&mut self, packet: &mut [u8]) {
        let Ok((header, boxed)) = CookieResponseHeader::split(packet) else { return };
        for (identity, shared) in &self.asked {
            let Ok(plain) = shared.open(&header.nonce, boxed) else { continue };
            let cookie = CookieResponse::from_bytes(&plain).unwrap().cookie;
            let handshake = Handshake {
                base_nonce: Nonce::generate(&mut self.rng),
                session_key: PublicKey(self.rng.bytes()),
                cookie_hash: cookie.hash(),
                other_cookie: cookie,
            };
            let header = HandshakeHeader { cookie, nonce: Nonce::generate(&mut self.rng) };
            let packet = header.seal(&identity.secret.shared_key(&self.key), &handshake);
            self.send(packet);
            self.answers += 1;
            return;
        }
    }

    fn announce(&mut self, ping_id: [u8; 32], target: PublicKey) {
        let (nonce, data_key) = (Nonce::generate(&mut self.rng), PublicKey(self.rng.bytes()));
        let header = AnnounceRequestHeader { extended: false, nonce, requester: self.asker.public };
        let sendback = self.rng.bytes();
        let request = AnnounceRequest { ping_id, target, data_key, sendback, extra: &[] };
        let mut packet = header.seal(&self.asker.secret.shared_key(&self.key), &request);
        packet.extend([0; ReturnPath::MAX_LEN]);
        self.send(packet);
    }

    fn take_answer(&mut self, packet: &[u8]) {
        let mut response = packet[1 + ReturnPath::MAX_LEN..].to_vec();
        let Ok((header, boxed)) = AnnounceResponseHeader::split(&mut response) else { return };
        let shared = self.asker.secret.shared_key(&self.key);
        let Ok(plain) = shared.open(&header.nonce, boxed) else { return };
        self.answers += 1;
        match AnnounceResponse::from_bytes(&plain).unwrap().stored {
            Stored::Yes { data_key } => self.data_key = Some(data_key),
            Stored::No { ping_id } if self.kind == Kind::Announces => {
                self.announce(ping_id, self.asker.public);
            }
            _ => {}
        }
    }

    fn ask_friendship(&mut self, person: &ToxId, data_key: &PublicKey) {
        let [sender, once] = [(); 2].map(|()| KeyPair::generate(&mut self.rng));
        let nonce = Nonce::generate(&mut self.rng);
        let request = FriendRequest { nospam: person.nospam, message: b"Hello, friend!" };
        let boxed = sender.secret.shared_key(&person.key).seal(&nonce, &request.to_bytes());
        let header = DataRequestHeader { destination: person.key, nonce, key: once.public };
        let data = OnionData { sender: sender.public, boxed: &boxed };
        let mut packet = header.seal(&once.secret.shared_key(data_key), &data);
        packet.extend([0; ReturnPath::MAX_LEN]);
        self.send(packet);
        self.answers += 1;
    }

    fn connect(&mut self) {
        let Some(at) = self.at.as_udp() else { return };
        let stream = StreamId::Outgoing(self.streams);
        self.streams += 1;
        let pair = KeyPair::generate(&mut self.rng);
        let nonce = Nonce::generate(&mut self.rng);
        let keys = RelayKeys {
            session_key: PublicKey(self.rng.bytes()),
            base_nonce: Nonce::generate(&mut self.rng),
        };
        let shared = pair.secret.shared_key(&self.key);
        let hello = RelayHelloHeader { client: pair.public, nonce }.seal(&shared, &keys);
        self.out.push_back(Output::Stream(stream, StreamRequest::Connect(at)));
        self.out.push_back(Output::Stream(stream, StreamRequest::Write(hello)));
    }
}

/// A node, or one who floods.
enum Actor {
    Node(Box<Stack>),
    Flooder(Box<Flooder>),
}

impl Machine for Actor {
    type Event = Event;
    type IoRequest = Infallible;
    type IoResult = Infallible;

    fn handle_datagram(&mut self, now: Time, from: Address, datagram: &mut [u8]) {
        match self {
            Self::Node(stack) => stack.handle_datagram(now, from, datagram),
            Self::Flooder(flooder) => match datagram.first() {
                Some(0x19) => flooder.handshake(datagram),
                Some(0x8c) => flooder.take_answer(datagram),
                _ => {}
            },
        }
    }

    fn handle_stream(&mut self, now: Time, stream: StreamId, event: StreamEvent<'_>) {
        match self {
            Self::Node(stack) => stack.handle_stream(now, stream, event),
            Self::Flooder(flooder) => {
                flooder.answers += u64::from(matches!(event, StreamEvent::Received(_)));
            }
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

/// What the nodes told.
#[derive(Default)]
struct Told {
    up: BTreeSet<(NodeIndex, PublicKey)>,
    /// Packets that came, with how long they took.
    packets: Vec<Duration>,
    requests: u64,
    /// Sessions that ended.
    ended: usize,
    /// Most sessions that the victim had.
    most: usize,
}

impl Told {
    fn handle(&mut self, now: Time, node: NodeIndex, actor: &mut Actor, event: Event) {
        if let Actor::Node(stack) = actor {
            self.most = self.most.max(stack.session_count());
        }
        match event {
            Event::SessionUp { peer } => drop(self.up.insert((node, peer))),
            Event::SessionDown { .. } => self.ended += 1,
            Event::FriendRequest { .. } => self.requests += 1,
            Event::Packet { data, .. } if data.len() == 8 => {
                let sent = u64::from_be_bytes(data[..].try_into().unwrap());
                self.packets.push(now.since(Time::from_micros(sent)));
            }
            _ => {}
        }
    }
}

struct Run {
    rng: Rng,
    world: Rng,
    sim: Sim<Actor, NoIo>,
    told: Told,
    nodes: Vec<(NodeIndex, PublicKey)>,
}

impl Run {
    fn new() -> Self {
        let rng = seed_rng(env_seed(1));
        let (sim, world) = (Sim::new(&rng, NoIo), rng.child("world"));
        let mut run = Self { rng, world, sim, told: Told::default(), nodes: Vec::new() };
        for index in 0..NODES {
            let keys = KeyPair::generate(&mut run.rng.child(&format!("node {index}")));
            let mut config = Config::default();
            config.relay_server = true;
            config.custom_packets = true;
            let rng = run.rng.child(&format!("stack {index}"));
            let stack = Stack::new(config, keys.clone(), rng, run.sim.now());
            let node = run.start(Actor::Node(Box::new(stack)));
            run.sim.listen(node, &[PORT]);
            run.nodes.push((node, keys.public));
            run.introduce(node);
        }
        run.pass(Duration::from_secs(20));
        run
    }

    fn start(&mut self, actor: Actor) -> NodeIndex {
        let node = self.sim.attach(World::default().attachment(&mut self.world));
        let told = &mut self.told;
        self.sim.start(node, actor, &mut |at, node, actor: &mut Actor, event| {
            told.handle(at, node, actor, event);
        });
        node
    }

    fn pass(&mut self, span: Duration) {
        let (until, told) = (self.sim.now() + span, &mut self.told);
        self.sim.run_until(until, &mut |at, node, actor: &mut Actor, event| {
            told.handle(at, node, actor, event);
        });
    }

    fn command(&mut self, node: NodeIndex, command: impl FnOnce(&mut Stack, Time)) {
        let told = &mut self.told;
        let mut observer = |at: Time, node: NodeIndex, actor: &mut Actor, event: Event| {
            told.handle(at, node, actor, event);
        };
        self.sim.command(node, &mut observer, |actor, now| {
            if let Actor::Node(stack) = actor {
                command(stack, now);
            }
        });
    }

    fn introduce(&mut self, node: NodeIndex) {
        for (other, key) in self.nodes.clone().into_iter().take(4) {
            let address = self.sim.network().address(other.0);
            self.command(node, |stack, now| stack.bootstrap(now, address, key));
        }
    }

    fn flood(&mut self, kind: Kind, victim: usize, person: Option<ToxId>) -> NodeIndex {
        let (node, key) = self.nodes[victim];
        let at = match self.sim.network().address(node.0).as_udp() {
            // Relays listen at the same number.
            Some(mut at) if kind == Kind::Relays => {
                at.set_port(PORT);
                Address::udp(at)
            }
            _ => self.sim.network().address(node.0),
        };
        let rng = self.rng.child(&format!("flooder {kind:?}"));
        self.start(Actor::Flooder(Box::new(Flooder::new(kind, rng, (key, at), person))))
    }

    /// A friend of `to` sends a packet each fifth of a second while the flood lasts; all must come.
    fn talk(&mut self, from: NodeIndex, to: PublicKey) {
        self.told.packets.clear();
        let count = FLOOD.as_millis() / 200;
        for _ in 0..count {
            self.command(from, |stack, now| {
                let data = Bytes::copy_from_slice(&now.as_micros().to_be_bytes());
                stack.send_packet(now, to, 170, data).expect("the session stands");
            });
            self.pass(Duration::from_millis(200));
        }
        self.pass(Duration::from_secs(2));
        assert_eq!(self.told.packets.len() as u128, count);
        let late = self.told.packets.iter().max().unwrap();
        assert!(*late < Duration::from_secs(2), "{late:?}");
        assert_eq!(self.told.ended, 0);
    }

    fn answers(&self, flooder: NodeIndex) -> u64 {
        match self.sim.machine(flooder) {
            Some(Actor::Flooder(flooder)) => flooder.answers,
            _ => 0,
        }
    }

    fn stack(&self, node: NodeIndex) -> &Stack {
        match self.sim.machine(node) {
            Some(Actor::Node(stack)) => stack,
            _ => panic!("not a node"),
        }
    }
}

#[test]
fn floods_at_a_provider_leave_its_friends_their_messages() {
    let mut run = Run::new();
    let ((victim, key), (friend, _)) = (run.nodes[5], run.nodes[6]);
    run.command(friend, |stack, now| stack.connect(now, key, None));
    run.pass(Duration::from_secs(5));
    assert!(run.told.up.contains(&(friend, key)));
    for kind in [Kind::Handshakes, Kind::Announces, Kind::Relays] {
        let flooder = run.flood(kind, 5, None);
        run.talk(friend, key);
        let answers = run.answers(flooder);
        let (sessions, clients) = (run.told.most, run.stack(victim).relay_client_count());
        println!("{kind:?}: {answers} answers, {sessions} sessions, {clients} relay clients");
        assert!(answers > 20, "{kind:?}: the flood was none");
        assert!(sessions <= 2 + MAX_HALF_OPEN, "{kind:?}: {sessions} sessions");
        assert!(clients <= MAX_CLIENTS);
        run.sim.crash(flooder);
    }
}

#[test]
fn a_flood_of_friend_requests_leaves_a_person_its_friends() {
    let mut run = Run::new();
    let identities = ["alice", "bob"].map(|name| KeyPair::generate(&mut run.rng.child(name)));
    let people: Vec<NodeIndex> = (0..2)
        .map(|number| {
            let rng = run.rng.child(&format!("person {number}"));
            let dht = KeyPair::generate(&mut rng.child("dht"));
            let identity = identities[number].clone();
            let mut stack =
                Stack::with_identity(Config::person(), identity, dht, rng, run.sim.now());
            stack.add_friend(run.sim.now(), identities[1 - number].public);
            let node = run.start(Actor::Node(Box::new(stack)));
            run.introduce(node);
            node
        })
        .collect();
    run.pass(Duration::from_secs(15));
    assert!(run.told.up.contains(&(people[1], identities[0].public)), "{:?}", run.told.up);
    let id = run.stack(people[0]).tox_id();
    let flooders: Vec<NodeIndex> =
        (0..NODES).step_by(3).map(|victim| run.flood(Kind::FriendRequests, victim, id)).collect();
    run.talk(people[1], identities[0].public);
    let sent: u64 = flooders.iter().map(|flooder| run.answers(*flooder)).sum();
    println!("friend requests: {sent} sent, {} told", run.told.requests);
    assert!(sent > 5_000 && run.told.requests > 100, "the flood was none: {sent}");
    let span = FLOOD.as_secs() + 2;
    assert!(run.told.requests <= REQUESTS.0 + REQUESTS.1 * span, "{}", run.told.requests);
}
