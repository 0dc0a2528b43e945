//! Debian's tox-bootstrapd as bootstrap node of ours.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use integration_tests::bootstrapd::{Bootstrapd, MOTD};
use tokio::time::timeout;
use toktok_mesh::{Address, Mesh, PublicKey};
use toktok_wire::bootstrap_info::{BootstrapInfo, BootstrapInfoRequest};
use toktok_wire::{Decode, Encode};

/// Nodes of ours.
const NODES: usize = 6;
/// All of them must have found all others by then; the machine may be busy.
const LIMIT: Duration = Duration::from_secs(60);

fn start() -> Bootstrapd {
    Bootstrapd::start(Path::new(env!("CARGO_TARGET_TMPDIR")))
}

async fn node(daemon: &Bootstrapd) -> Mesh {
    Mesh::builder()
        .udp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .bootstrap(Address::udp(daemon.udp()), daemon.key().parse().expect("a key"))
        .spawn()
        .await
        .expect("a node")
}

#[tokio::test(flavor = "multi_thread")]
async fn our_nodes_find_each_other_through_it() {
    let daemon = start();
    let mut nodes = Vec::new();
    for _ in 0..NODES {
        nodes.push(node(&daemon).await);
    }
    let begin = Instant::now();
    for from in &nodes {
        for to in &nodes {
            if from.public_key() != to.public_key() {
                let found = find(from, to.public_key(), begin + LIMIT).await;
                assert_eq!(found, to.addresses()[0]);
            }
        }
    }
    println!("{NODES} nodes found each other in {:?}", begin.elapsed());
    let drops = nodes[0].with_stack(|stack, _| stack.drops().clone()).await.expect("it runs");
    println!("{drops:?}");
}

/// Where `key` is, as soon as `mesh` finds it.
async fn find(mesh: &Mesh, key: PublicKey, limit: Instant) -> Address {
    while Instant::now() < limit {
        if let Some(address) = mesh.lookup(key).await.expect("it runs") {
            return address;
        }
    }
    panic!("{key} was not found within {LIMIT:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_answers_our_question_for_its_bootstrap_info() {
    let daemon = start();
    let socket = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    let mut answer = [0; 2_048];
    let mut len = 0;
    for _ in 0..10 {
        socket.send_to(&BootstrapInfoRequest.to_bytes(), daemon.udp()).await.expect("sent");
        if let Ok(received) = timeout(Duration::from_secs(3), socket.recv_from(&mut answer)).await {
            len = received.expect("received").0;
            break;
        }
    }
    let info = BootstrapInfo::from_bytes(&answer[..len]).expect("a bootstrap info");
    assert_eq!(info.text(), MOTD);
    assert!(info.version >= 1_000_000_000, "the daemon's numbering: {}", info.version);
}
