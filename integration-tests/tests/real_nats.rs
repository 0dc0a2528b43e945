//! Friends behind real NATs, those of the Linux kernel: each peer is a process in a home of its own, and
//! public nodes, ours and Debian's, stand between. Who can go direct does, and the rest is relayed.
//!
//! This program is its own peers: it starts itself in the networks that it makes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test or a measurement: it says so and stops"
)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use integration_tests::bootstrapd::{Bootstrapd, free_tcp_port};
use integration_tests::internet::{Home, Internet, Nat};
use integration_tests::our_client::{OurClient, Settings};
use integration_tests::tox_client::{self, ToxClient};
use serde_json::json;
use toktok_mesh::Mesh;
use toktok_mesh::messenger::{MessageKind, MessengerEvent as Event};

/// Nodes of ours in public, beside one of Debian's. Tox punches when four have seen a friend.
const NODES: usize = 5;

/// Who is behind the second NAT.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Peer {
    Ours,
    Libtoxcore,
}

/// What is between two friends, of whom the first is ours, and how their packets must go.
const PAIRS: [(Nat, Nat, Peer, &str); 6] = [
    (Nat::PortRestricted, Nat::PortRestricted, Peer::Ours, "udp"),
    (Nat::Open, Nat::Symmetric, Peer::Ours, "udp"),
    (Nat::Symmetric, Nat::Symmetric, Peer::Ours, "tcp"),
    (Nat::PortRestricted, Nat::PortRestricted, Peer::Libtoxcore, "udp"),
    (Nat::Open, Nat::Symmetric, Peer::Libtoxcore, "udp"),
    (Nat::Symmetric, Nat::Symmetric, Peer::Libtoxcore, "tcp"),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["peer"] => be_a_peer(),
        ["node"] => be_a_node(),
        // As libtest has it: the names of tests that are wanted, and options.
        ref words if words.iter().any(|word| !word.starts_with('-') && !NAME.contains(word)) => {}
        _ => friends_behind_nats_meet(),
    }
}

const NAME: &str = "friends_behind_nats_meet";

fn folder() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// A node that is reached from everywhere.
struct Public {
    udp: SocketAddr,
    tcp: SocketAddr,
    key: String,
}

/// A pair of friends under way.
struct Pair {
    peers: [ToxClient; 2],
    /// Their machines.
    _homes: [Home; 2],
}

fn friends_behind_nats_meet() {
    let Some(mut internet) = Internet::new() else {
        eprintln!(
            "SKIPPED: {NAME}: this kernel lets nobody make network namespaces (unshare --map-root-user \
             --net fails), so nothing was shown about real NATs"
        );
        return;
    };
    let tcp = free_tcp_port();
    let daemon =
        Bootstrapd::spawn(folder(), Some(tcp), internet.command(Path::new("tox-bootstrapd")));
    let mut nodes = Vec::new();
    for number in 0..NODES {
        let mut command = internet.command(&std::env::current_exe().unwrap());
        command.arg("node");
        let mut node = ToxClient::spawn(&format!("node {number}"), command);
        node.bootstrap(public(daemon.udp()), daemon.key());
        nodes.push(node);
    }
    let mut all: Vec<Public> = nodes
        .iter()
        .map(|it| Public { udp: public(it.udp()), tcp: public(it.tcp()), key: it.dht().to_owned() })
        .collect();
    let key = daemon.key().to_owned();
    all.push(Public { udp: public(daemon.udp()), tcp: public(daemon.tcp()), key });

    let begun = Instant::now();
    let pairs = PAIRS.map(|(first, second, peer, _)| {
        let homes = [internet.home(first), internet.home(second)];
        let kinds = [Peer::Ours, peer];
        let peers = [0, 1].map(|side| start(&homes[side], kinds[side], &all));
        let mut pair = Pair { peers, _homes: homes };
        let keys = pair.peers.each_ref().map(|peer| peer.key().to_owned());
        pair.peers[0].command(&format!("norequest {}", keys[1]));
        pair.peers[1].command(&format!("norequest {}", keys[0]));
        pair
    });
    println!("all run after {} ms", begun.elapsed().as_millis());
    for (mut pair, (first, second, peer, way)) in pairs.into_iter().zip(PAIRS) {
        let what = format!("ours behind {first:?}, {peer:?} behind {second:?}");
        let after = meet(&mut pair, way, begun);
        println!("test {NAME}: {what}: {way}, online after {after} ms ... ok");
    }
    println!("\ntest result: ok. {} pairs passed", PAIRS.len());
}

/// Waits until two are friends by the way that they must find, and lets them talk.
fn meet(pair: &mut Pair, way: &str, begun: Instant) -> u128 {
    let keys = pair.peers.each_ref().map(|peer| peer.key().to_owned());
    let [first, second] = &mut pair.peers;
    // They may begin by relay, and go direct later.
    for (peer, friend) in [(&mut *first, &keys[1]), (&mut *second, &keys[0])] {
        peer.wait("friend", |event| event["friend"] == **friend && event["connection"] == way);
    }
    let after = begun.elapsed().as_millis();
    for (from, to, friend) in [(0, 1, &keys[1]), (1, 0, &keys[0])] {
        pair.peers[from].command(&format!("message {friend} from {from}"));
        pair.peers[to].wait("message", |event| event["text"] == format!("from {from}"));
    }
    after
}

fn start(home: &Home, peer: Peer, nodes: &[Public]) -> ToxClient {
    let mut client = match peer {
        Peer::Ours => {
            let mut command = home.command(&std::env::current_exe().unwrap());
            command.arg("peer");
            ToxClient::spawn("ours", command)
        }
        Peer::Libtoxcore => {
            let mut command = home.command(tox_client::program(folder()));
            command.args(["--no-ipv6", "--no-lan"]);
            ToxClient::spawn("theirs", command)
        }
    };
    for node in nodes {
        client.bootstrap(node.udp, &node.key);
        client.relay(node.tcp, &node.key);
    }
    client
}

/// Where a port is, seen from a home.
fn public(at: SocketAddr) -> SocketAddr {
    (Internet::ADDRESS, at.port()).into()
}

/// Says that something happened, as `tox_client` does.
fn say(name: &str, mut fields: serde_json::Value) {
    fields["event"] = name.into();
    println!("{fields}");
}

/// Obeys lines of standard input until it ends.
fn obey(mut command: impl FnMut(&[&str]) -> Option<()>) {
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split(' ').collect();
        match command(&words) {
            Some(()) => say("done", json!({ "command": words[0] })),
            None => say("failed", json!({ "command": words[0], "code": -1 })),
        }
    }
}

fn endpoint(host: &str, port: &str) -> Option<SocketAddr> {
    Some(SocketAddr::new(host.parse().ok()?, port.parse().ok()?))
}

/// A public node of ours: DHT, onion, relay.
fn be_a_node() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let udp = SocketAddr::new(IpAddr::V4(Internet::ADDRESS), 0);
    let node = runtime.block_on(Mesh::builder().udp(udp).relay_ports(vec![0]).spawn()).unwrap();
    let (port, key) = (node.addresses()[0].as_udp().unwrap().port(), node.public_key().to_string());
    say("id", json!({ "dht": key, "udp": port, "tcp": node.relay_ports()[0] }));
    obey(|words| {
        let ["bootstrap", host, port, key] = *words else { return None };
        let (at, key) = (toktok_mesh::Address::udp(endpoint(host, port)?), key.parse().ok()?);
        let told = node.with_stack(move |stack, now| stack.bootstrap(now, at, key));
        runtime.block_on(told).ok()
    });
}

/// A person of ours.
fn be_a_peer() {
    let ours =
        OurClient::start("ours", Settings { ip: Ipv4Addr::UNSPECIFIED, ..Settings::default() });
    let ours = Arc::new(ours);
    let dht = ours.dht_key.to_string();
    say("id", json!({ "key": ours.key(), "dht": dht, "udp": ours.udp().port(), "tcp": 0 }));
    let teller = Arc::clone(&ours);
    std::thread::spawn(move || tell(&teller));
    obey(|words| {
        match *words {
            ["bootstrap", host, port, key] => ours.bootstrap(endpoint(host, port)?, key),
            ["relay", host, port, key] => ours.relay(endpoint(host, port)?, key),
            ["norequest", key] => {
                let key = key.parse().ok()?;
                ours.call(move |it, now| it.add_friend(now, key)).ok()?;
            }
            ["message", key, ref text @ ..] => {
                let (key, text) = (key.parse().ok()?, text.join(" "));
                ours.call(move |it, _| it.send_message(key, MessageKind::Normal, text)).ok()?;
            }
            _ => return None,
        }
        Some(())
    });
}

/// Tells what happens, and by which way friends are reached now.
fn tell(ours: &OurClient) {
    let mut ways = std::collections::BTreeMap::new();
    loop {
        for event in ours.drain() {
            if let Event::Message { friend, text, .. } = event {
                let text = String::from_utf8_lossy(&text);
                say("message", json!({ "friend": friend.to_string(), "text": text }));
            }
        }
        let now = ours.call(|it, _| {
            let way = |key, online| match (online, it.stack().network_group(key)) {
                (false, _) => "none",
                (true, None) => "tcp",
                (true, Some(_)) => "udp",
            };
            it.friends().map(|(key, it)| (key, way(key, it.online))).collect::<Vec<_>>()
        });
        for (key, way) in now {
            if ways.insert(key, way) != Some(way) {
                say("friend", json!({ "friend": key.to_string(), "connection": way }));
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
