//! Peers of Debian's libtoxcore in networks of our nodes: alone with them, so that every bootstrap node,
//! onion hop, announce node and TCP relay is ours; and with nodes of Debian's beside ours.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test or a measurement: it says so and stops"
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use integration_tests::bootstrapd::Bootstrapd;
use integration_tests::our_client::{OurClient, Settings};
use integration_tests::proxy::{Kind, Proxy};
use integration_tests::tap::{Paths, Taps};
use integration_tests::tox_client::{LIMIT, ToxClient, meet};
use tokio::runtime::Runtime;
use toktok_mesh::messenger::{MessageKind, MessengerEvent as Event};
use toktok_mesh::{Address, Mesh, PublicKey};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn folder() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// A node of ours that is nobody's friend: DHT, onion, TCP relay.
struct Node {
    mesh: Mesh,
    udp: SocketAddr,
    key: String,
}

impl Node {
    fn start(runtime: &Runtime, taps: &Taps, bootstrap: Option<(SocketAddr, &str)>) -> Self {
        let _within = runtime.enter();
        let mut builder = Mesh::builder().without_udp().transport(taps.bind(LOOPBACK));
        if let Some((address, key)) = bootstrap {
            builder = builder.bootstrap(Address::udp(address), key.parse().unwrap());
        }
        let mesh = runtime.block_on(builder.relay_ports(vec![0]).spawn()).unwrap();
        let udp = mesh.addresses()[0].as_udp().unwrap();
        let key = mesh.public_key().to_string();
        Self { mesh, udp, key }
    }

    fn relay(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.mesh.relay_ports()[0]).into()
    }

    /// What libtoxcore seals is read, all of it.
    fn reads_everything(&self, runtime: &Runtime) {
        let drops = runtime.block_on(self.mesh.with_stack(|stack, _| stack.drops().clone()));
        let drops = drops.unwrap();
        assert_eq!(drops[toktok_mesh::DropReason::Malformed], 0, "{drops:?}");
    }
}

/// Nodes of ours that all begin with the first.
fn network(runtime: &Runtime, taps: &Taps, count: usize) -> Vec<Node> {
    let mut nodes = vec![Node::start(runtime, taps, None)];
    for _ in 1..count {
        let node = Node::start(runtime, taps, Some((nodes[0].udp, &nodes[0].key)));
        nodes.push(node);
    }
    nodes
}

/// A message each way, with receipts.
fn talk(alice: &mut ToxClient, bob: &mut ToxClient) {
    let (to_alice, to_bob) = (alice.key().to_owned(), bob.key().to_owned());
    let sent = alice.command(&format!("message {to_bob} hello"));
    bob.wait("message", |event| event["text"] == "hello");
    alice.wait("receipt", |event| event["number"] == sent["number"]);
    let sent = bob.command(&format!("message {to_alice} hello too"));
    alice.wait("message", |event| event["text"] == "hello too");
    bob.wait("receipt", |event| event["number"] == sent["number"]);
}

/// Waits until the taps tell enough of the paths of a client's.
fn wait_for_paths(taps: &Taps, client: &ToxClient, enough: impl Fn(&Paths) -> bool) -> Paths {
    let begun = Instant::now();
    loop {
        let paths = taps.paths_of(client.udp());
        if enough(&paths) {
            return paths;
        }
        assert!(begun.elapsed() < LIMIT, "{paths:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn our_nodes_are_all_hops_of_two_libtoxcore_peers() {
    let runtime = Runtime::new().unwrap();
    let taps = Taps::default();
    let nodes = network(&runtime, &taps, 5);
    let mut alice = ToxClient::start(folder(), "alice", &[]);
    let mut bob = ToxClient::start(folder(), "bob", &["--accept-friends"]);
    let begun = Instant::now();
    alice.bootstrap(nodes[0].udp, &nodes[0].key);
    bob.bootstrap(nodes[1].udp, &nodes[1].key);
    // A request has to find its way through the onion alone.
    alice.command(&format!("add {} may I?", bob.address()));
    let (to_alice, to_bob) = (alice.key().to_owned(), bob.key().to_owned());
    bob.wait("request", |event| event["friend"] == *to_alice && event["text"] == "may I?");
    let online = alice.wait_online(&to_bob);
    assert_eq!(online["connection"], "udp");
    bob.wait_online(&to_alice);
    println!("friends after {} ms", begun.elapsed().as_millis());
    talk(&mut alice, &mut bob);
    for client in [&alice, &bob] {
        let paths = wait_for_paths(&taps, client, |it| it.hops.len() >= 3 && !it.whole.is_empty());
        println!(
            "{}: {} packets, {} of ours as hops, {} paths wholly of ours",
            client.udp(),
            paths.packets,
            paths.hops.len(),
            paths.whole.len()
        );
    }
    for node in &nodes {
        node.reads_everything(&runtime);
    }
}

#[test]
fn ours_are_some_of_many_nodes() {
    let runtime = Runtime::new().unwrap();
    let taps = Taps::default();
    // Three of Debian's, which meet through our nodes and the clients, and four of ours.
    let daemons: Vec<Bootstrapd> = (0..3).map(|_| Bootstrapd::start(folder())).collect();
    let mut nodes = Vec::new();
    for daemon in daemons.iter().cycle().take(4) {
        nodes.push(Node::start(&runtime, &taps, Some((daemon.udp(), daemon.key()))));
        let (address, key) = (Address::udp(daemons[0].udp()), daemons[0].key().parse().unwrap());
        let node = &nodes[nodes.len() - 1];
        let told = node.mesh.with_stack(move |stack, now| stack.bootstrap(now, address, key));
        runtime.block_on(told).unwrap();
    }
    let mut alice = ToxClient::start(folder(), "alice", &["--accept-friends"]);
    let mut bob = ToxClient::start(folder(), "bob", &[]);
    alice.bootstrap(daemons[1].udp(), daemons[1].key());
    meet(&mut alice, &mut bob, daemons[2].udp(), daemons[2].key());
    talk(&mut alice, &mut bob);

    // And one of ours is their friend, by way of both kinds of nodes.
    let ours = OurClient::start("ours", Settings::default());
    ours.bootstrap(daemons[0].udp(), daemons[0].key());
    ours.bootstrap(nodes[0].udp, &nodes[0].key);
    let id = alice.address().to_uppercase().parse().unwrap();
    ours.call(move |it, now| it.request_friend(now, &id, b"may I?")).unwrap();
    alice.wait_online(&ours.key());
    let friend: PublicKey = alice.key().parse().unwrap();
    ours.wait_online(friend);
    ours.call(move |it, _| it.send_message(friend, MessageKind::Normal, "hello")).unwrap();
    alice.wait("message", |event| event["text"] == "hello");
    for client in [&alice, &bob] {
        let paths = wait_for_paths(&taps, client, |it| it.hops.len() >= 2);
        println!("{}: {} of ours as hops", client.udp(), paths.hops.len());
    }
}

/// Two clients without UDP; `options` are the first one's.
fn by_tcp(options: &[&str], nodes: &[Node]) -> (ToxClient, ToxClient) {
    let options = [&["--no-udp", "--accept-friends"], options].concat();
    let mut alice = ToxClient::start(folder(), "alice", &options);
    let mut bob = ToxClient::start(folder(), "bob", &["--no-udp"]);
    for client in [&mut alice, &mut bob] {
        for node in nodes {
            client.bootstrap(node.udp, &node.key);
            client.relay(node.relay(), &node.key);
        }
    }
    let begun = Instant::now();
    bob.command(&format!("add {} by TCP", alice.address()));
    let (to_alice, to_bob) = (alice.key().to_owned(), bob.key().to_owned());
    alice.wait("request", |event| event["friend"] == *to_bob && event["text"] == "by TCP");
    for (client, friend) in [(&mut alice, to_bob), (&mut bob, to_alice)] {
        assert_eq!(client.wait_online(&friend)["connection"], "tcp");
    }
    println!("friends by TCP after {} ms", begun.elapsed().as_millis());
    talk(&mut alice, &mut bob);
    (alice, bob)
}

#[test]
fn one_node_of_ours_is_bootstrap_node_onion_and_relay_for_two_without_udp() {
    let runtime = Runtime::new().unwrap();
    let node = Node::start(&runtime, &Taps::default(), None);
    by_tcp(&[], std::slice::from_ref(&node));
    node.reads_everything(&runtime);
}

#[test]
fn three_relays_of_ours_carry_two_without_udp_and_one_behind_a_proxy() {
    let runtime = Runtime::new().unwrap();
    let nodes = network(&runtime, &Taps::default(), 3);
    let proxy = Proxy::start(Kind::Socks5);
    let proxied = format!("socks5:{}", proxy.address());
    let (mut alice, mut bob) = by_tcp(&["--proxy", &proxied], &nodes);
    assert!(proxy.connections() >= 1 && proxy.bytes() > 1_000, "{proxy:?}");
    // Another relay takes over when one goes. What libtoxcore had on its way is lost then, and clients
    // send it again.
    let mut nodes = nodes;
    drop(nodes.remove(0));
    let to_alice = alice.key().to_owned();
    let begun = Instant::now();
    let came = |event: &serde_json::Value| event["text"] == "still there?";
    loop {
        bob.insist(&format!("message {to_alice} still there?"));
        if alice.wait_within(Duration::from_secs(5), "message", came).is_some() {
            break;
        }
        assert!(begun.elapsed() < LIMIT, "nothing came:\n{}", alice.log());
    }
    println!("by another relay after {} ms", begun.elapsed().as_millis());
}

#[test]
fn a_friend_of_ours_without_udp_reaches_libtoxcore_through_our_relays_of_many() {
    let runtime = Runtime::new().unwrap();
    let taps = Taps::default();
    let daemon = Bootstrapd::with_relay(folder());
    let nodes: Vec<Node> =
        (0..2).map(|_| Node::start(&runtime, &taps, Some((daemon.udp(), daemon.key())))).collect();
    let ours = OurClient::start("ours", Settings { udp: false, ..Settings::default() });
    let mut theirs = ToxClient::start(folder(), "theirs", &["--no-udp", "--accept-friends"]);
    // They have one relay each, and not the same: they share what they know.
    ours.bootstrap(nodes[0].udp, &nodes[0].key);
    ours.relay(nodes[0].relay(), &nodes[0].key);
    ours.relay(daemon.tcp(), daemon.key());
    theirs.bootstrap(nodes[1].udp, &nodes[1].key);
    theirs.relay(nodes[1].relay(), &nodes[1].key);
    theirs.relay(daemon.tcp(), daemon.key());
    let id = theirs.address().to_uppercase().parse().unwrap();
    ours.call(move |it, now| it.request_friend(now, &id, b"may I?")).unwrap();
    assert_eq!(theirs.wait_online(&ours.key())["connection"], "tcp");
    let friend: PublicKey = theirs.key().parse().unwrap();
    ours.wait_online(friend);
    theirs.command(&format!("message {} by TCP", ours.key()));
    ours.wait("message", |it| {
        matches!(it, Event::Message { text, .. } if text[..] == *b"by TCP").then_some(())
    });
}
