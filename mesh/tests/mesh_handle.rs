//! The front door over real sockets and over the in-memory transport: connect by key, speak a protocol.
#![expect(clippy::expect_used, reason = "a test that cannot go on says so and stops")]

use std::time::Duration;

use toktok_mesh::runtime::{ConnectFailure, MemoryNetwork, MeshBuilder};
use toktok_mesh::{Mesh, NodeKey, Rng};

fn key(number: u8) -> NodeKey {
    NodeKey::generate(&mut Rng::from_seed([number; 32]))
}

fn loopback() -> MeshBuilder {
    Mesh::builder().udp(([127, 0, 0, 1], 0).into())
}

/// A node that echoes what it is sent on "echo/1".
async fn echo(mesh: &Mesh) {
    let mut listener = mesh.listen("echo/1").await.expect("the node runs");
    tokio::spawn(async move {
        while let Some(mut channel) = listener.accept().await {
            tokio::spawn(async move {
                while let Some(message) = channel.recv().await {
                    if channel.send(message).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
}

async fn talk(a: &Mesh, b: &Mesh) {
    let session = a.connect(b.public_key()).await.expect("the peer is found");
    let mut channel = session.open("echo/1").await.expect("the peer speaks echo");
    for len in [1, 1000, 100_000, 1 << 20] {
        let message: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        channel.send(message.clone()).await.expect("the channel is open");
        assert_eq!(channel.recv().await.expect("an echo"), message);
    }
    let refused = session.open("unknown/1").await.expect_err("nobody listens");
    assert_eq!(refused, ConnectFailure::Refused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_on_loopback_find_each_other_by_key_and_talk() {
    let work = async {
        let first = loopback().key(&key(1)).spawn().await.expect("loopback has ports");
        let entry = (first.addresses()[0], first.public_key());
        let a = loopback().key(&key(2)).bootstrap(entry.0, entry.1).spawn().await.expect("a");
        let b = loopback().key(&key(3)).bootstrap(entry.0, entry.1).spawn().await.expect("b");
        echo(&b).await;
        while a.lookup(b.public_key()).await.expect("a runs").is_none() {}
        talk(&a, &b).await;
    };
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("in time");
}

#[tokio::test]
async fn a_custom_transport_carries_sessions() {
    let work = async {
        let network = MemoryNetwork::new();
        let (port_a, port_b) = (network.bind(1), network.bind(2));
        let a = Mesh::builder().key(&key(4)).without_udp().transport(port_a);
        let a = a.spawn().await.expect("no socket is needed");
        let b = Mesh::builder().key(&key(5)).without_udp().transport(port_b);
        let b = b.spawn().await.expect("no socket is needed");
        echo(&b).await;
        let session = a.connect_at(b.public_key(), Some(b.addresses()[0])).await.expect("found");
        drop(session);
        talk(&a, &b).await;
    };
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("in time");
}

#[tokio::test]
async fn a_key_that_nobody_has_is_not_found() {
    let work = async {
        let first = loopback().key(&key(6)).spawn().await.expect("loopback has ports");
        let entry = (first.addresses()[0], first.public_key());
        let a = loopback().key(&key(7)).bootstrap(entry.0, entry.1).spawn().await.expect("a");
        let failure = a.connect(key(8).mesh_keys().public).await.expect_err("nobody has this key");
        assert!(matches!(failure, ConnectFailure::Connect(_)), "{failure}");
    };
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_starts_again_without_being_told_where() {
    let work = async {
        let first = loopback().key(&key(11)).spawn().await.expect("loopback has ports");
        let entry = (first.addresses()[0], first.public_key());
        let second =
            loopback().key(&key(12)).bootstrap(entry.0, entry.1).spawn().await.expect("a node");
        let third =
            loopback().key(&key(13)).bootstrap(entry.0, entry.1).spawn().await.expect("a node");
        while count_of(&third).await < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let saved = third.with_stack(|stack, _| stack.nodes_to_save()).await.expect("it runs");
        assert!(saved.len() >= 2, "{saved:?}");
        drop(third);
        // The one that it began with is gone meanwhile.
        drop(first);
        let again = loopback().key(&key(13)).spawn().await.expect("a node");
        again.with_stack(move |stack, now| stack.load_nodes(now, &saved)).await.expect("it runs");
        while again.lookup(second.public_key()).await.expect("it runs").is_none() {}
    };
    tokio::time::timeout(Duration::from_secs(60), work).await.expect("in time");
}

async fn count_of(mesh: &Mesh) -> usize {
    mesh.with_stack(|stack, _| stack.close_nodes().count()).await.expect("it runs")
}
