//! Whole programs measured in one run: our client, Debian's libtoxcore, and one with the other, each
//! client a process of its own. All measurements run on loopback in a fresh network namespace, without
//! LAN discovery and without IPv6.
#![expect(clippy::expect_used, reason = "a measurement that cannot be made stops")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::namespace::Namespace;
use crate::tox_client::{self, ToxClient, meet};

/// After the last client of a standing network has connected itself: for its tables to fill.
const SETTLE: Duration = Duration::from_secs(10);

/// How long a client of a standing network may take to connect itself before it is helped.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where fewer clients stand, ours may use short onion paths: there are no three nodes beside the one at
/// a path's end.
const SMALL: usize = 6;

/// The largest custom packet of Tox.
const PACKET: u64 = 1373;

/// Whose program a client runs.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// `mesh_client`, on `toktok_mesh`.
    Ours,
    /// `tox_client`, on libtoxcore.
    Theirs,
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// A folder for what measurements write.
    pub folder: PathBuf,
    /// `mesh_client`.
    pub ours: PathBuf,
}

impl Programs {
    fn path(&self, kind: Kind) -> &Path {
        match kind {
            Kind::Ours => &self.ours,
            Kind::Theirs => tox_client::program(&self.folder),
        }
    }
}

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
    /// Bytes of IP packets a second, all that it sends.
    pub bytes: f64,
    /// IP packets a second.
    pub packets: f64,
    /// By its own account, which only our program gives.
    pub account: Option<Account>,
}

/// The account of the nodes of a network, as the mean node.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    /// Bytes of IP packets a second that it sent of its own accord.
    pub own: f64,
    /// The same of the node that sent most.
    pub most_own: f64,
    /// What it answered and passed on, as a share of what it was asked to: packets.
    pub served: f64,
}

/// Clients that stand in a network of their own.
#[derive(Debug)]
pub struct Network<'a> {
    programs: &'a Programs,
    namespace: Namespace,
    is_small: bool,
    nodes: Vec<ToxClient>,
}

impl<'a> Network<'a> {
    /// Starts `count` clients that bootstrap from the first, and waits until all are connected.
    ///
    /// # Panics
    /// If they do not connect.
    pub fn start(programs: &'a Programs, kind: Kind, count: usize) -> Self {
        let (namespace, nodes) = (Namespace::new(), Vec::new());
        let mut network = Self { programs, namespace, is_small: count < SMALL, nodes };
        for number in 0..count {
            let mut node = network.client(kind, &format!("node {number}"), &[]);
            if let Some(first) = network.nodes.first() {
                node.bootstrap(first.udp(), first.dht());
            }
            network.nodes.push(node);
        }
        network.connect();
        network
    }

    /// Waits until all are connected. Who is not after [`PATIENCE`] bootstraps once more, as clients do:
    /// libtoxcore asks a bootstrap node once, and may wait for ever if that packet got lost.
    fn connect(&mut self) {
        let Some((first, others)) = self.nodes.split_first_mut() else { return };
        for node in &mut *others {
            if node.wait_within(PATIENCE, "self", is_connected).is_none() {
                node.bootstrap(first.udp(), first.dht());
                node.wait("self", is_connected);
            }
        }
        if !others.is_empty() {
            first.wait("self", is_connected);
        }
    }

    /// A fresh client in this network, which knows nobody.
    fn client(&self, kind: Kind, name: &str, options: &[&str]) -> ToxClient {
        let mut command = self.namespace.command(self.programs.path(kind));
        command.args(["--no-ipv6", "--no-lan"]).args(options);
        if self.is_small && kind == Kind::Ours {
            command.arg("--allow-short-paths");
        }
        ToxClient::spawn(&format!("{name} ({kind:?})"), command)
    }

    /// Two fresh clients that know each other's long-term key meet. Both bootstrap from the first node of
    /// the network; from each other if there is none.
    fn first_contact(&self, [first, second]: [Kind; 2]) -> Contact {
        let (mut alice, mut bob) =
            (self.client(first, "alice", &[]), self.client(second, "bob", &[]));
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
            connected = connected.max(at(&client.wait("self", is_connected)));
        }
        let since = |moment: f64| Duration::from_secs_f64((moment - begun).max(0.0) / 1000.0);
        Contact { connected: since(connected), met: since(met) }
    }

    /// What each node says of its traffic: own bytes, packets served, packets asked for.
    fn accounts(&mut self) -> Vec<[f64; 3]> {
        let names = ["own_bytes", "served_packets", "asked_packets"];
        let ask = |node: &mut ToxClient| {
            node.command("traffic");
            let told = node.wait("traffic", |_| true);
            names.map(|name| number(&told, name))
        };
        self.nodes.iter_mut().map(ask).collect()
    }
}

/// libtoxcore says `tcp` of itself at times, on loopback too, when it is connected by UDP.
fn is_connected(event: &Value) -> bool {
    event["connection"] != "none"
}

/// The first contact of two clients in a network that has `nodes` with them, the others being `network`.
///
/// # Panics
/// If they do not meet.
pub fn first_contact(programs: &Programs, pair: [Kind; 2], network: Kind, nodes: usize) -> Contact {
    let network = Network::start(programs, network, nodes.saturating_sub(2));
    if nodes > 2 {
        std::thread::sleep(SETTLE);
    }
    network.first_contact(pair)
}

/// `packets` lossless custom packets of the largest size, as fast as the queues take them.
///
/// # Panics
/// If they do not arrive, all and in order.
pub fn custom_packets(programs: &Programs, pair: [Kind; 2], packets: u64) -> Speed {
    let (_network, mut alice, mut bob) = busy_pair(programs, pair, &["--busy"]);
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

/// A file of `length` bytes from the first client to the second.
///
/// # Panics
/// If it does not arrive as it was.
pub fn file(programs: &Programs, pair: [Kind; 2], length: usize) -> Speed {
    let place = tempfile::tempdir_in(&programs.folder).expect("a folder");
    let path = place.path().join("sent");
    let bytes: Vec<u8> = (0..length).map(|at| (at.wrapping_mul(at >> 8 | 1) >> 5) as u8).collect();
    std::fs::write(&path, &bytes).expect("a file");
    let received = place.path().join("received");
    std::fs::create_dir(&received).expect("a folder");
    let options = ["--busy", "--accept-files", "--folder", received.to_str().expect("a name")];
    let (_network, mut alice, mut bob) = busy_pair(programs, pair, &options);
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
pub fn idle(
    programs: &Programs,
    kind: Kind,
    nodes: usize,
    warm_up: Duration,
    span: Duration,
) -> Idle {
    let mut network = Network::start(programs, kind, nodes);
    std::thread::sleep(warm_up);
    let accounts = |network: &mut Network<'_>| match kind {
        Kind::Ours => network.accounts(),
        Kind::Theirs => Vec::new(),
    };
    let (account_before, before) = (accounts(&mut network), network.namespace.traffic());
    std::thread::sleep(span);
    let (after, account_after) = (network.namespace.traffic(), accounts(&mut network));
    let share = |count: u64| count as f64 / span.as_secs_f64() / nodes as f64;
    Idle {
        bytes: share(after.bytes - before.bytes),
        packets: share(after.packets - before.packets),
        account: account(&account_before, &account_after, span),
    }
}

/// What came between two looks at the nodes' accounts.
fn account(before: &[[f64; 3]], after: &[[f64; 3]], span: Duration) -> Option<Account> {
    let grown: Vec<[f64; 3]> = before
        .iter()
        .zip(after)
        .map(|(before, after)| [0, 1, 2].map(|place| after[place] - before[place]))
        .collect();
    let sum = |place: usize| grown.iter().map(|node| node[place]).sum::<f64>();
    let most = grown.iter().map(|node| node[0]).fold(0.0, f64::max);
    (!grown.is_empty()).then(|| Account {
        own: sum(0) / span.as_secs_f64() / grown.len() as f64,
        most_own: most / span.as_secs_f64(),
        served: sum(1) / sum(2).max(1.0),
    })
}

/// Two clients that have met through a third, of the second one's kind.
fn busy_pair<'a>(
    programs: &'a Programs,
    [first, second]: [Kind; 2],
    options: &[&str],
) -> (Network<'a>, ToxClient, ToxClient) {
    let network = Network::start(programs, second, 1);
    let mut alice = network.client(first, "alice", options);
    let mut bob = network.client(second, "bob", options);
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
