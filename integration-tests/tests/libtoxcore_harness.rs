//! What the harness for libtoxcore can do, shown on libtoxcore alone: each thing that a later test asks of
//! our node, done between two of Debian's clients. If one of these fails, it is not our node's fault.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test or a measurement: it says so and stops"
)]

use std::path::{Path, PathBuf};

use integration_tests::bootstrapd::Bootstrapd;
use integration_tests::tox_client::{ToxClient, meet};
use serde_json::Value;

/// Long enough that a file is seen on its way.
const FILE: usize = 8 << 20;

fn folder() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// A file of `length` bytes that do not repeat soon.
fn file(folder: &Path, name: &str, length: usize) -> PathBuf {
    let mut state = 1_u32;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(length)
    .collect();
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn same_bytes(left: &Path, right: &Value) {
    let right = Path::new(right.as_str().unwrap());
    assert!(std::fs::read(left).unwrap() == std::fs::read(right).unwrap(), "{right:?} differs");
}

/// Two clients that have met through a third.
fn pair(options: &[&str]) -> (ToxClient, ToxClient, ToxClient) {
    let node = ToxClient::start(folder(), "node", &[]);
    let mut alice = ToxClient::start(folder(), "alice", options);
    let mut bob = ToxClient::start(folder(), "bob", options);
    meet(&mut alice, &mut bob, node.udp(), node.dht());
    (node, alice, bob)
}

#[test]
fn a_request_is_accepted_and_friends_talk() {
    let daemon = Bootstrapd::start(folder());
    let mut alice = ToxClient::start(folder(), "alice", &["--no-hole-punching"]);
    let mut bob = ToxClient::start(folder(), "bob", &["--accept-friends"]);
    for client in [&mut alice, &mut bob] {
        client.bootstrap(daemon.udp(), daemon.key());
    }
    let (to_alice, to_bob) = (alice.key().to_owned(), bob.key().to_owned());
    alice.command(&format!("add {} may I?", bob.address()));
    assert_eq!(alice.try_command(&format!("add {} again", bob.address())), Err(5), "already sent");
    let request = bob.wait("request", |event| event["friend"] == *to_alice);
    assert_eq!(request["text"], "may I?");
    alice.wait_online(&to_bob);
    bob.wait_online(&to_alice);
    alice.command("name Alice \"of\" Köln");
    bob.wait("name", |event| event["text"] == "Alice \"of\" Köln");
    alice.command("status-message all well");
    bob.wait("status-message", |event| event["text"] == "all well");
    alice.command("status busy");
    bob.wait("status", |event| event["status"] == "busy");
    alice.command(&format!("typing {to_bob} on"));
    bob.wait("typing", |event| event["typing"] == true);
    let sent = alice.command(&format!("message {to_bob} hello  there"));
    bob.wait("message", |event| event["text"] == "hello  there" && event["kind"] == "normal");
    alice.wait("receipt", |event| event["number"] == sent["number"]);
    bob.command(&format!("action {to_alice} waves"));
    alice.wait("message", |event| event["text"] == "waves" && event["kind"] == "action");
    assert_eq!(bob.command("friends")["number"], 1);
    let listed = bob.wait("friend-listed", |_| true);
    assert_eq!(listed["name"], "Alice \"of\" Köln");
    assert_eq!(listed["connection"], "udp");
    bob.command(&format!("delete {to_alice}"));
    assert_eq!(bob.try_command(&format!("message {to_alice} gone")), Err(-1));
}

#[test]
fn files_are_paused_resumed_sought_and_cancelled() {
    let place = tempfile::tempdir_in(folder()).unwrap();
    let target = place.path().join("received");
    std::fs::create_dir(&target).unwrap();
    let path = file(place.path(), "a file", FILE);
    let (_node, mut alice, mut bob) = pair(&["--folder", target.to_str().unwrap()]);
    let (to_alice, to_bob) = (alice.key().to_owned(), bob.key().to_owned());

    bob.command(&format!("pause-at {}", FILE / 2));
    let send = format!("file-send {to_bob} data - {}", path.display());
    let sent = alice.command(&send)["number"].clone();
    let offer = bob.wait("file-offered", |event| event["name"] == "a file");
    assert_eq!(offer["size"], FILE);
    let number = offer["file"].clone();
    bob.command(&format!("file-accept {to_alice} {number} 0"));
    bob.wait("file-paused", |event| event["file"] == number);
    alice.wait("file-control", |event| event["file"] == sent && event["control"] == "pause");
    bob.command(&format!("file-control {to_alice} {number} resume"));
    let received = bob.wait("file-received", |event| event["file"] == number);
    assert_eq!(received["position"], FILE);
    same_bytes(&path, &received["path"]);
    let done = alice.wait("file-sent", |event| event["file"] == sent);
    assert_eq!(done["position"], FILE);

    // Cancelled half-way, and offered again with the same id: only the second half comes.
    let id = "07".repeat(32);
    let send = format!("file-send {to_bob} data {id} {}", path.display());
    let sent = alice.command(&send)["number"].clone();
    let offer = bob.wait("file-offered", |event| event["id"] == *id);
    bob.command(&format!("file-accept {to_alice} {} 0", offer["file"]));
    bob.wait("file-paused", |event| event["file"] == offer["file"]);
    bob.command(&format!("file-control {to_alice} {} cancel", offer["file"]));
    alice.wait("file-control", |event| event["file"] == sent && event["control"] == "cancel");
    bob.command("pause-at 0");
    alice.command(&send);
    let again = bob.wait("file-offered", |event| event["id"] == *id);
    bob.command(&format!("file-accept {to_alice} {} {}", again["file"], FILE / 4));
    let received = bob.wait("file-received", |event| event["file"] == again["file"]);
    same_bytes(&path, &received["path"]);

    // An avatar is known by its hash; an empty file is a file.
    let picture = file(place.path(), "picture.png", 5_000);
    alice.command(&format!("file-send {to_bob} avatar - {}", picture.display()));
    let offer = bob.wait("file-offered", |event| event["kind"] == "avatar");
    bob.command(&format!("file-accept {to_alice} {} 0", offer["file"]));
    let received = bob.wait("file-received", |event| event["file"] == offer["file"]);
    assert_eq!(received["sha256"], offer["id"]);
}

#[test]
fn many_files_come_at_once_both_ways() {
    let place = tempfile::tempdir_in(folder()).unwrap();
    let target = place.path().join("received");
    std::fs::create_dir(&target).unwrap();
    let options = ["--accept-files", "--folder", target.to_str().unwrap()];
    let (_node, mut alice, mut bob) = pair(&options);
    let (to_alice, to_bob) = (alice.key().to_owned(), bob.key().to_owned());
    let paths: Vec<PathBuf> =
        (0..8).map(|n| file(place.path(), &format!("file {n}"), n * 100_000)).collect();
    for (number, path) in paths.iter().enumerate() {
        let (from, to) =
            if number % 2 == 0 { (&mut alice, &to_bob) } else { (&mut bob, &to_alice) };
        from.command(&format!("file-send {to} data - {}", path.display()));
    }
    for (number, path) in paths.iter().enumerate() {
        let to = if number % 2 == 0 { &mut bob } else { &mut alice };
        let name = format!("file {number}");
        let received = to.wait("file-received", |event| {
            event["path"].as_str().is_some_and(|path| path.ends_with(&name))
        });
        same_bytes(path, &received["path"]);
    }
}

#[test]
fn custom_packets_come_back_and_a_flood_arrives_in_order() {
    let (_node, mut alice, mut bob) = pair(&["--busy"]);
    let (to_alice, to_bob) = (alice.key().to_owned(), bob.key().to_owned());
    bob.command("echo on");
    alice.command(&format!("lossless {to_bob} a0010203"));
    alice.wait("packet", |event| event["bytes"] == "a0010203" && event["kind"] == "lossless");
    alice.command(&format!("lossy {to_bob} c8ff"));
    alice.wait("packet", |event| event["bytes"] == "c8ff" && event["kind"] == "lossy");
    assert_eq!(
        alice.try_command(&format!("lossless {to_bob} 01")),
        Err(4),
        "no custom packet's id"
    );

    alice.command(&format!("flood {to_bob} 3000 1373"));
    let flooded = bob.wait("flooded", |event| event["friend"] == *to_alice);
    assert_eq!(flooded["in_order"], true);
    let flood = alice.wait("flood", |_| true);
    assert_eq!((&flood["came"], &flood["bytes"]), (&3000.into(), &(3000 * 1373).into()));
    println!("{flooded}\n{flood}");
}

#[test]
fn a_conference_has_peers_names_messages_and_a_title() {
    let (_node, mut alice, mut bob) = pair(&["--join"]);
    let (to_alice, to_bob) = (alice.key().to_owned(), bob.key().to_owned());
    alice.command("name Alice");
    bob.command("name Bob");
    let ours = alice.command("conference-new")["number"].clone();
    alice.command(&format!("conference-title {ours} the room"));
    alice.command(&format!("conference-invite {to_bob} {ours}"));
    bob.wait("conference-invited", |event| event["friend"] == *to_alice && event["kind"] == "text");
    let joined = bob.wait("conference-joined", |event| event["code"] == 0);
    let theirs = joined["conference"].clone();
    bob.wait("conference-connected", |event| event["conference"] == theirs);
    bob.wait("conference-title", |event| event["text"] == "the room");
    alice.wait("conference-peer-name", |event| event["name"] == "Bob");
    bob.wait("conference-peer-name", |event| event["name"] == "Alice");

    alice.insist(&format!("conference-say {ours} normal hello all"));
    let heard = bob.wait("conference-message", |event| event["ours"] == false);
    assert_eq!((&heard["text"], &heard["name"]), (&"hello all".into(), &"Alice".into()));
    bob.insist(&format!("conference-say {theirs} action nods"));
    let heard = alice.wait("conference-message", |event| event["ours"] == false);
    assert_eq!((&heard["text"], &heard["kind"]), (&"nods".into(), &"action".into()));
    bob.command(&format!("conference-title {theirs} another name"));
    alice.wait("conference-title", |event| event["text"] == "another name");
    assert_eq!(alice.command(&format!("conference-peers {ours}"))["number"], 2);
    let peers = alice.drain("conference-peer");
    assert!(peers.iter().any(|peer| peer["key"] == *to_bob && peer["ours"] == false));
    bob.command(&format!("conference-leave {theirs}"));
    alice.wait("conference-peers", |event| event["peers"] == 1);
}

#[test]
fn a_saved_client_comes_back_and_its_friend_meets_it_again() {
    let place = tempfile::tempdir_in(folder()).unwrap();
    let (node, mut alice, mut bob) = pair(&[]);
    let (to_alice, to_bob) = (alice.key().to_owned(), bob.key().to_owned());
    bob.command("name Bob");
    let (plain, sealed) = (place.path().join("plain"), place.path().join("sealed"));
    bob.command(&format!("save {}", plain.display()));
    bob.command(&format!("save-sealed secret {}", sealed.display()));
    assert!(std::fs::read(&sealed).unwrap().starts_with(b"toxEsave"));
    let address = bob.address().to_owned();
    bob.quit();
    alice.wait_offline(&to_bob);

    let options = ["--load", sealed.to_str().unwrap(), "--password", "secret"];
    let mut bob = ToxClient::start(folder(), "bob again", &options);
    assert_eq!(bob.address(), address);
    bob.bootstrap(node.udp(), node.dht());
    bob.wait_online(&to_alice);
    alice.wait_online(&to_bob);
    alice.command(&format!("message {to_bob} welcome back"));
    bob.wait("message", |event| event["text"] == "welcome back");
    drop(bob);
    let bob =
        ToxClient::start(folder(), "bob from the plain file", &["--load", plain.to_str().unwrap()]);
    assert_eq!(bob.address(), address);
}
