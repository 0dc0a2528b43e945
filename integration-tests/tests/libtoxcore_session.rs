//! A session between our stack and Debian's libtoxcore, which takes us for a friend that is a Tox
//! client: cookie, handshake, lossless packets both ways while the network loses some, messages, signs
//! of life.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test or a measurement: it says so and stops"
)]

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use integration_tests::foreign;
use toktok_mesh::{Address, Config, Event, KeyPair, Machine, Output, PublicKey, Rng, Stack, Time};

/// Messenger packets (research note `tox.md` 1.10).
const ONLINE: u8 = 24;
const MESSAGE: u8 = 64;
/// A packet that Tox leaves to applications.
const CUSTOM: u8 = 170;
/// Custom packets that go to libtoxcore and come back.
const PACKETS: u32 = 400;
/// Bytes of each.
const LENGTH: usize = 1200;
/// libtoxcore gives up a friend that did not say that it lives for 32 s.
const LIFE: Duration = Duration::from_secs(36);
/// The machine may be busy.
const LIMIT: Duration = Duration::from_secs(120);

/// Our stack behind a socket that loses some datagrams, both ways.
struct Node {
    stack: Stack,
    socket: UdpSocket,
    started: Instant,
    chance: Rng,
    lost_per_mille: u64,
    events: Vec<Event>,
}

impl Node {
    fn new() -> Self {
        let mut rng = Rng::from_seed([7; 32]);
        let keys = KeyPair::generate(&mut rng);
        let mut config = Config::default();
        config.custom_packets = true;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(2))).expect("a timeout");
        let stack = Stack::new(config, keys, rng.child("stack"), Time::from_secs(1));
        let (started, events) = (Instant::now(), Vec::new());
        Self { stack, socket, started, chance: rng.child("loss"), lost_per_mille: 0, events }
    }

    fn now(&self) -> Time {
        Time::from_secs(1) + self.started.elapsed()
    }

    /// Waits for a datagram for a moment, and lets the stack have its say.
    fn turn(&mut self) {
        let mut buffer = [0; 2048];
        if let Ok((len, from)) = self.socket.recv_from(&mut buffer)
            && !self.chance.chance(self.lost_per_mille, 1000)
        {
            let now = self.now();
            self.stack.handle_datagram(now, Address::udp(from), &mut buffer[..len]);
        }
        loop {
            match self.stack.poll(self.now()) {
                Output::Transmit { to, payload } => {
                    let to = to.as_udp().expect("only UDP here");
                    if !self.chance.chance(self.lost_per_mille, 1000) {
                        self.socket.send_to(&payload, to).expect("loopback takes it");
                    }
                }
                Output::Event(event) => self.events.push(event),
                Output::Stream(..) => {}
                Output::Io(_, never) => match never {},
                Output::Idle(_) => return,
            }
        }
    }

    fn run_until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !done(self) {
            assert!(begun.elapsed() < LIMIT, "{what}: {:?}", self.events.last());
            self.turn();
        }
    }

    fn send(&mut self, peer: PublicKey, id: u8, data: &[u8]) {
        let (now, data) = (self.now(), data.to_vec().into());
        self.stack.send_packet(now, peer, id, data).expect("there is a session and room");
    }

    /// The packets of a kind that came.
    fn packets(&self, wanted: u8) -> impl Iterator<Item = &[u8]> {
        self.events.iter().filter_map(move |event| match event {
            Event::Packet { id, data, .. } if *id == wanted => Some(&data[..]),
            _ => None,
        })
    }
}

/// libtoxcore in a process of its own.
struct Foreign {
    child: Child,
    address: SocketAddr,
    dht: PublicKey,
    real: PublicKey,
}

impl Foreign {
    fn start(program: &Path, friend: PublicKey) -> Self {
        let mut child = Command::new(program)
            .arg(friend.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program that was compiled just now");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut value = |name: &str| {
            let line = lines.next().expect("libtoxcore starts").expect("text");
            line.strip_prefix(name).expect("the lines in their order").trim().to_owned()
        };
        let port = value("port").parse().expect("a port");
        let (dht, real) = (value("dht"), value("real"));
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| println!("{line}")));
        Self {
            child,
            address: (Ipv4Addr::LOCALHOST, port).into(),
            dht: dht.parse().expect("a key"),
            real: real.parse().expect("a key"),
        }
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn libtoxcore_takes_our_session_for_a_friends() {
    let folder = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).expect("a folder");
    let program = foreign::compile("libtoxcore_echo", &["toxcore"], folder.path());
    let mut node = Node::new();
    let foreign = Foreign::start(&program, node.stack.public_key());
    let peer = foreign.real;

    node.lost_per_mille = 50;
    let now = node.now();
    node.stack.connect_tox(now, peer, foreign.dht, Some(Address::udp(foreign.address)));
    node.run_until("a session", |node| node.stack.is_connected(peer));
    println!("session after {:?}", node.started.elapsed());
    let stood_at = Instant::now();

    node.send(peer, ONLINE, &[]);
    node.run_until("online", |node| node.packets(ONLINE).next().is_some());
    node.send(peer, MESSAGE, "grüße".as_bytes());
    node.run_until("a message", |node| node.packets(MESSAGE).next().is_some());
    assert_eq!(node.packets(MESSAGE).next(), Some("grüße".as_bytes()));

    for number in 0..PACKETS {
        let mut data = number.to_be_bytes().to_vec();
        data.resize(LENGTH, number as u8);
        node.send(peer, CUSTOM, &data);
    }
    node.run_until("all packets", |node| node.packets(CUSTOM).count() == PACKETS as usize);
    println!("{PACKETS} packets there and back after {:?}", stood_at.elapsed());
    for (number, data) in node.packets(CUSTOM).enumerate() {
        assert_eq!(data.first_chunk::<4>(), Some(&(number as u32).to_be_bytes()), "in order");
        assert_eq!(data.len(), LENGTH);
    }

    node.run_until("time to pass", |_| stood_at.elapsed() > LIFE);
    node.send(peer, MESSAGE, b"still there?");
    node.run_until("another message", |node| node.packets(MESSAGE).count() == 2);
    let downs = node.events.iter().filter(|event| matches!(event, Event::SessionDown { .. }));
    assert_eq!(downs.count(), 0);
    println!("{:?}", node.stack.drops());
}
