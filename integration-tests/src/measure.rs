//! What Debian's libtoxcore reaches on this machine, each client a process of its own: the yardstick for
//! our node in the same topologies. All measurements run on loopback in a fresh network namespace, without
//! LAN discovery and without IPv6.
#![expect(clippy::expect_used, reason = "a measurement that cannot be made stops")]

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::namespace::Namespace;
use crate::tox_client::{self, ToxClient, meet};

/// After the last client of a standing network has connected itself: for its tables to fill.
const SETTLE: Duration = Duration::from_secs(10);

/// The largest custom packet of Tox.
const PACKET: u64 = 1373;

/// How long two fresh clients took, from the start of the first.
#[derive(Clone, Copy, Debug)]
pub struct Contact {
    /// Until both were connected to the network.
    pub connected: Duration,
    /// Until each saw the other online.
    pub met: Duration,
}

/// How fast bytes went from one process to another.
#[derive(Clone, Copy, Debug)]
pub struct Speed {
    /// Bytes of the user.
    pub bytes: u64,
    /// From the first byte handed over until the last was known to have arrived.
    pub seconds: f64,
    /// Processor time of both ends together.
    pub cpu: f64,
}

impl Speed {
    /// Millions of bytes a second.
    pub fn mb_per_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.seconds
    }

    /// Millions of bytes for each second of processor time, of both ends together.
    pub fn mb_per_cpu_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.cpu
    }
}

/// What one idle node of a network sends.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    /// Bytes of IP packets a second.
    pub bytes: f64,
    /// IP packets a second.
    pub packets: f64,
}

/// Clients that stand in a network of their own.
#[derive(Debug)]
pub struct Network<'a> {
    folder: &'a Path,
    namespace: Namespace,
    nodes: Vec<ToxClient>,
}

impl<'a> Network<'a> {
    /// Starts `count` clients that bootstrap from the first, and waits until all are connected.
    ///
    /// # Panics
    /// If they do not connect.
    pub fn start(folder: &'a Path, count: usize) -> Self {
        let mut network = Self { folder, namespace: Namespace::new(), nodes: Vec::new() };
        for number in 0..count {
            let mut node = network.client(&format!("node {number}"), &[]);
            if let Some(first) = network.nodes.first() {
                node.bootstrap(first.udp(), first.dht());
            }
            network.nodes.push(node);
        }
        for node in network.nodes.iter_mut().filter(|_| count > 1) {
            node.wait("self", |event| event["connection"] == "udp");
        }
        network
    }

    /// A fresh client in this network, which knows nobody.
    fn client(&self, name: &str, options: &[&str]) -> ToxClient {
        let mut command = self.namespace.command(tox_client::program(self.folder));
        command.args(["--no-ipv6", "--no-lan"]).args(options);
        ToxClient::spawn(name, command)
    }

    /// Two fresh clients that know each other's long-term key meet. Both bootstrap from the first node of
    /// the network; from each other if there is none.
    fn first_contact(&self) -> Contact {
        let (mut alice, mut bob) = (self.client("alice", &[]), self.client("bob", &[]));
        let begun = at(alice.id());
        let (to_alice, to_bob) = (alice.key().to_owned(), bob.key().to_owned());
        alice.command(&format!("norequest {to_bob}"));
        bob.command(&format!("norequest {to_alice}"));
        let first = self.nodes.first();
        let (from_bob, from_alice) = (first.unwrap_or(&bob), first.unwrap_or(&alice));
        let (from_bob, bob_key) = (from_bob.udp(), from_bob.dht().to_owned());
        let (from_alice, alice_key) = (from_alice.udp(), from_alice.dht().to_owned());
        alice.bootstrap(from_bob, &bob_key);
        bob.bootstrap(from_alice, &alice_key);
        let met = at(&alice.wait_online(&to_bob)).max(at(&bob.wait_online(&to_alice)));
        let mut connected = begun;
        for client in [&mut alice, &mut bob] {
            let event = client.wait("self", |event| event["connection"] == "udp");
            connected = connected.max(at(&event));
        }
        let since = |moment: f64| Duration::from_secs_f64((moment - begun).max(0.0) / 1000.0);
        Contact { connected: since(connected), met: since(met) }
    }
}

/// The first contact of two clients in a network that has `nodes` with them.
///
/// # Panics
/// If they do not meet.
pub fn first_contact(folder: &Path, nodes: usize) -> Contact {
    let network = Network::start(folder, nodes.saturating_sub(2));
    if nodes > 2 {
        std::thread::sleep(SETTLE);
    }
    network.first_contact()
}

/// `packets` lossless custom packets of the largest size, as fast as the queues take them.
///
/// # Panics
/// If they do not arrive, all and in order.
pub fn custom_packets(folder: &Path, packets: u64) -> Speed {
    let (_network, mut alice, mut bob) = busy_pair(folder, &["--busy"]);
    let to_bob = bob.key().to_owned();
    alice.command(&format!("flood {to_bob} {packets} {PACKET}"));
    let sent = alice.wait("flood", |event| event["came"] == packets);
    let received = bob.wait("flooded", |event| event["in_order"] == true);
    Speed {
        bytes: packets * PACKET,
        seconds: number(&sent, "seconds"),
        cpu: number(&sent, "cpu") + number(&received, "cpu"),
    }
}

/// A file of `length` bytes from one client to another.
///
/// # Panics
/// If it does not arrive as it was.
pub fn file(folder: &Path, length: usize) -> Speed {
    let place = tempfile::tempdir_in(folder).expect("a folder");
    let path = place.path().join("sent");
    let bytes: Vec<u8> = (0..length).map(|at| (at.wrapping_mul(at >> 8) >> 5) as u8).collect();
    std::fs::write(&path, &bytes).expect("a file");
    let received = place.path().join("received");
    std::fs::create_dir(&received).expect("a folder");
    let options = ["--busy", "--accept-files", "--folder", received.to_str().expect("a name")];
    let (_network, mut alice, mut bob) = busy_pair(folder, &options);
    let to_bob = bob.key().to_owned();
    alice.command(&format!("file-send {to_bob} data - {}", path.display()));
    let done = bob.wait("file-received", |_| true);
    let sent = alice.wait("file-sent", |_| true);
    assert!(std::fs::read(received.join("sent")).expect("a file") == bytes, "other bytes came");
    Speed {
        bytes: length as u64,
        seconds: number(&sent, "seconds").max(number(&done, "seconds")),
        cpu: number(&sent, "cpu") + number(&done, "cpu"),
    }
}

/// What a client without friends sends in a network of `nodes`, over `span` after `warm_up`.
///
/// # Panics
/// If the network does not stand.
pub fn idle(folder: &Path, nodes: usize, warm_up: Duration, span: Duration) -> Idle {
    let network = Network::start(folder, nodes);
    std::thread::sleep(warm_up);
    let before = network.namespace.traffic();
    std::thread::sleep(span);
    let after = network.namespace.traffic();
    let share = |count: u64| count as f64 / span.as_secs_f64() / nodes as f64;
    Idle {
        bytes: share(after.bytes - before.bytes),
        packets: share(after.packets - before.packets),
    }
}

/// Two clients that have met through a third.
fn busy_pair<'a>(folder: &'a Path, options: &[&str]) -> (Network<'a>, ToxClient, ToxClient) {
    let network = Network::start(folder, 1);
    let mut alice = network.client("alice", options);
    let mut bob = network.client("bob", options);
    meet(&mut alice, &mut bob, network.nodes[0].udp(), network.nodes[0].dht());
    (network, alice, bob)
}

/// When an event happened, in milliseconds.
fn at(event: &Value) -> f64 {
    number(event, "at")
}

fn number(event: &Value, name: &str) -> f64 {
    event[name].as_f64().expect("the event has this number")
}
