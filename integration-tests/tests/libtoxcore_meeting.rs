//! Our node is the only bootstrap node, onion hop and announce node that two peers of Debian's
//! libtoxcore know; they meet through it, and do not notice whose node it is.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use integration_tests::foreign;
use tokio::process::Command;
use toktok_mesh::{DropReason, Mesh};

/// libtoxcore itself needs some 10 s for it; the machine may be busy.
const MOST_SECONDS: u64 = 90;

#[tokio::test(flavor = "multi_thread")]
async fn two_libtoxcore_peers_meet_through_our_node() {
    let folder = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).expect("a folder");
    let program = foreign::compile("libtoxcore_pair", &["toxcore"], folder.path());
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let node = Mesh::builder().udp(loopback).spawn().await.expect("a node");
    let address = node.addresses()[0].as_udp().expect("a UDP address");
    let output = Command::new(program)
        .arg(address.port().to_string())
        .arg(node.public_key().to_string())
        .arg(MOST_SECONDS.to_string())
        .kill_on_drop(true)
        .output()
        .await
        .expect("the program that was compiled just now");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "they did not meet within {MOST_SECONDS} s:\n{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    println!("{told}");
    for peer in 0..2 {
        assert!(told.lines().any(|line| line.ends_with(&format!("{peer} friend udp"))), "{told}");
    }
    let drops = node.with_stack(|stack, _| stack.drops().clone()).await.expect("it runs");
    println!("{drops:?}");
    assert_eq!(drops[DropReason::Forged], 0, "we read everything that libtoxcore seals");
    assert_eq!(drops[DropReason::Malformed], 0);
}
