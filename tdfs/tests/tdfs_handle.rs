//! The front door, over real UDP sockets on the loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test or a measurement: it says so and stops"
)]
#![cfg(feature = "runtime")]

use std::net::Ipv4Addr;
use std::time::Duration;

use toktok_mesh::runtime::system_rng;
use toktok_tdfs::client::GetError;
use toktok_tdfs::runtime::{GetFailure, PutFailure};
use toktok_tdfs::store::MemoryStore;
use toktok_tdfs::{NodeKey, Tdfs};

/// Longest that a test may take on a machine that does many other things.
const PATIENCE: Duration = Duration::from_secs(60);

async fn network(count: usize) -> Vec<Tdfs> {
    let mut nodes: Vec<Tdfs> = Vec::new();
    for _ in 0..count {
        let mut rng = system_rng().unwrap();
        let store = MemoryStore::new(256 << 20, rng.child("store"));
        let mut builder = Tdfs::builder(NodeKey::generate(&mut rng), Box::new(store))
            .udp((Ipv4Addr::LOCALHOST, 0).into());
        if let Some(first) = nodes.first() {
            builder = builder.bootstrap(first.addresses()[0], first.public_key());
        }
        nodes.push(builder.spawn().await.unwrap());
    }
    for node in &nodes {
        node.neighbours(count - 1).await.unwrap();
    }
    nodes
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|i| ((i * i) >> 7) as u8).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_stores_others_read_whole_in_part_and_as_a_stream() {
    let all = async {
        let nodes = network(4).await;
        let letter = content(2_500_000);
        let folder = tempfile::tempdir().unwrap();
        let (source, target) = (folder.path().join("in"), folder.path().join("out"));
        std::fs::write(&source, &letter).unwrap();
        let stored = nodes[1].put_path(&source).await.unwrap().finish().await.unwrap();
        assert_eq!(stored.length, 2_500_000);
        let key = stored.capability;

        let (fetched, bytes) = nodes[2].get(&key).await.unwrap().finish_with_bytes().await.unwrap();
        assert_eq!((fetched.bytes, bytes == letter), (2_500_000, true));
        assert!(fetched.hops.iter().sum::<u64>() >= 39, "{:?}", fetched.hops);

        let part = nodes[3].get_range(&key, 1_000_000, 70_000).await.unwrap();
        let (_, bytes) = part.finish_with_bytes().await.unwrap();
        assert_eq!(bytes, letter[1_000_000..1_070_000]);

        let download = nodes[0].get_path(&key, &target).await.unwrap();
        assert_eq!(download.finish().await.unwrap().bytes, 2_500_000);
        assert_eq!(std::fs::read(&target).unwrap(), letter);

        let (download, mut pieces) = nodes[3].get_stream(&key).await.unwrap();
        let end = tokio::spawn(download.finish());
        let mut read = Vec::new();
        while let Some(piece) = pieces.recv().await {
            read.extend_from_slice(&piece);
        }
        assert_eq!(end.await.unwrap().unwrap().bytes, 2_500_000);
        assert_eq!(read, letter);
    };
    tokio::time::timeout(PATIENCE, all).await.expect("done in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_said() {
    let all = async {
        let nodes = network(3).await;
        let gone = nodes[0].put_path("no/such/file").await;
        assert!(matches!(gone, Err(PutFailure::Open(_))));
        let stored = nodes[0].put(content(10)).await.unwrap().finish().await.unwrap();
        let blind = nodes[1].get(&stored.capability.verify_only()).await;
        assert!(matches!(blind, Err(GetFailure::Get(GetError::VerifyOnly))));
        let nowhere = nodes[1].get_path(&stored.capability, "no/such/folder/file").await;
        assert!(matches!(nowhere, Err(GetFailure::Open(_))));
        // An upload of which nobody waits for the end leaves nothing behind.
        drop(nodes[1].put(content(1_000_000)).await.unwrap());
        let (_, bytes) =
            nodes[2].get(&stored.capability).await.unwrap().finish_with_bytes().await.unwrap();
        assert_eq!(bytes, content(10));
    };
    tokio::time::timeout(PATIENCE, all).await.expect("done in time");
}
