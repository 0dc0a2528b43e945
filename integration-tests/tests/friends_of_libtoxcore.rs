//! Our messenger and Debian's libtoxcore are friends: what the one does the other sees. No server but
//! the nodes that each test names.
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
use integration_tests::tox_client::{LIMIT, ToxClient};
use toktok_mesh::messenger::{FileOutcome, MessageKind, MessengerEvent as Event, UserStatus};
use toktok_mesh::{DropReason, Mesh, PublicKey};

fn folder() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

fn key(text: &str) -> PublicKey {
    text.parse().unwrap()
}

/// Bytes that do not repeat soon.
fn bytes(length: usize) -> Vec<u8> {
    (0..length as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// Ours asks libtoxcore's client for friendship, and both are there.
fn befriend(ours: &OurClient, theirs: &mut ToxClient) {
    let begun = Instant::now();
    let id = theirs.address().to_uppercase().parse().unwrap();
    ours.call(move |it, now| it.request_friend(now, &id, b"may I?")).unwrap();
    let request = theirs.wait("request", |event| event["friend"] == *ours.key());
    assert_eq!(request["text"], "may I?");
    theirs.wait_online(&ours.key());
    ours.wait_online(key(theirs.key()));
    println!("friends after {} ms", begun.elapsed().as_millis());
}

/// Two friends that know each other through a node.
fn pair(node: &Bootstrapd, options: &[&str]) -> (OurClient, ToxClient) {
    let ours = OurClient::start("ours", Settings::default());
    let mut theirs =
        ToxClient::start(folder(), "theirs", &[&["--accept-friends"], options].concat());
    ours.bootstrap(node.udp(), node.key());
    theirs.bootstrap(node.udp(), node.key());
    befriend(&ours, &mut theirs);
    (ours, theirs)
}

#[test]
fn requests_names_and_messages_go_both_ways() {
    let node = Bootstrapd::start(folder());
    let (ours, mut theirs) = pair(&node, &[]);
    let (friend, our_key) = (key(theirs.key()), ours.key());

    ours.call(|it, _| it.set_name("Zoë".as_bytes())).unwrap();
    theirs.wait("name", |event| event["text"] == "Zoë");
    ours.call(|it, _| it.set_status_message(b"here")).unwrap();
    theirs.wait("status-message", |event| event["text"] == "here");
    ours.call(|it, _| it.set_status(UserStatus::Busy));
    theirs.wait("status", |event| event["status"] == "busy");
    ours.call(move |it, _| it.set_typing(friend, true)).unwrap();
    theirs.wait("typing", |event| event["typing"] == true);

    theirs.command("name Their Name");
    ours.wait("name", |it| {
        matches!(it, Event::Name { name, .. } if name == b"Their Name").then_some(())
    });
    theirs.command("status away");
    ours.wait("status", |it| {
        matches!(it, Event::Status { status: UserStatus::Away, .. }).then_some(())
    });
    theirs.command(&format!("typing {our_key} on"));
    ours.wait("typing", |it| matches!(it, Event::Typing { typing: true, .. }).then_some(()));

    let sent =
        ours.call(move |it, _| it.send_message(friend, MessageKind::Normal, "hello")).unwrap();
    theirs.wait("message", |event| event["text"] == "hello" && event["kind"] == "normal");
    ours.wait("receipt", |it| {
        matches!(it, Event::Receipt { message, .. } if *message == sent).then_some(())
    });
    let sent = theirs.command(&format!("action {our_key} waves"));
    ours.wait("message", |it| {
        let waves =
            |text: &[u8], kind: MessageKind| text == b"waves" && kind == MessageKind::Action;
        matches!(it, Event::Message { text, kind, .. } if waves(text, *kind)).then_some(())
    });
    theirs.wait("receipt", |event| event["number"] == sent["number"]);

    ours.call(move |it, now| it.send_lossless(now, friend, 170, vec![1, 2, 3])).unwrap();
    theirs.wait("packet", |event| event["kind"] == "lossless" && event["bytes"] == "aa010203");
    theirs.command(&format!("lossless {our_key} ab0607"));
    ours.wait("lossless packet", |it| {
        matches!(it, Event::CustomPacket { id: 171, .. }).then_some(())
    });
    ours.call(move |it, now| it.send_lossy(now, friend, 254, vec![8, 9])).unwrap();
    theirs.wait("packet", |event| event["kind"] == "lossy" && event["bytes"] == "fe0809");
    theirs.command(&format!("lossy {our_key} c80405"));
    ours.wait("lossy packet", |it| {
        matches!(it, Event::CustomPacket { id: 200, data, .. } if data[..] == [4, 5]).then_some(())
    });
}

#[test]
fn who_is_refused_or_removed_does_not_get_through() {
    let node = Bootstrapd::start(folder());
    let ours = OurClient::start("ours", Settings::default());
    let mut theirs = ToxClient::start(folder(), "theirs", &[]);
    ours.bootstrap(node.udp(), node.key());
    theirs.bootstrap(node.udp(), node.key());
    let friend = key(theirs.key());

    // A Tox ID with another nospam asks in vain: the request comes, and is dropped.
    let mut old = ours.tox_id();
    old.nospam[0] ^= 1;
    theirs.command(&format!("add {old} by an old ID"));
    let begun = Instant::now();
    while ours.call(|it, _| it.stack().drops()[DropReason::Refused]) == 0 {
        assert!(begun.elapsed() < LIMIT, "no request came");
        std::thread::sleep(Duration::from_millis(50));
    }
    theirs.command(&format!("delete {}", ours.key()));
    theirs.command(&format!("add {} by the true ID", ours.tox_id()));
    let text = ours.wait("request", |it| match it {
        Event::FriendRequest { message, .. } => Some(message.clone()),
        _ => None,
    });
    assert_eq!(String::from_utf8_lossy(&text), "by the true ID");

    // Unanswered, it stays a request.
    assert_eq!(theirs.wait_within(Duration::from_secs(5), "friend", |_| true), None);
    ours.call(move |it, now| it.add_friend(now, friend)).unwrap();
    ours.wait_online(friend);
    theirs.wait_online(&ours.key());

    // Removed, it is gone, and what it says does not come any more.
    ours.call(move |it, now| it.remove_friend(now, friend)).unwrap();
    theirs.wait_offline(&ours.key());
    let back = |event: &serde_json::Value| event["connection"] != "none";
    assert_eq!(theirs.wait_within(Duration::from_secs(10), "friend", back), None);
    // Added again, it is back; and when the other side removes us, we see it.
    ours.call(move |it, now| it.add_friend(now, friend)).unwrap();
    theirs.wait_online(&ours.key());
    ours.wait_online(friend);
    theirs.command(&format!("delete {}", ours.key()));
    ours.wait_offline(friend);
}

#[test]
fn libtoxcore_asks_us() {
    let node = Bootstrapd::start(folder());
    let ours = OurClient::start("ours", Settings::default());
    let mut theirs = ToxClient::start(folder(), "theirs", &[]);
    ours.bootstrap(node.udp(), node.key());
    theirs.bootstrap(node.udp(), node.key());
    let begun = Instant::now();
    theirs.command(&format!("add {} let me in", ours.tox_id()));
    let from = ours.wait("request", |event| match event {
        Event::FriendRequest { from, message } if message == b"let me in" => Some(*from),
        _ => None,
    });
    assert_eq!(from, key(theirs.key()));
    ours.call(move |it, now| it.add_friend(now, from)).unwrap();
    theirs.wait_online(&ours.key());
    ours.wait_online(from);
    println!("friends after {} ms", begun.elapsed().as_millis());
}

#[test]
fn files_go_both_ways_byte_by_byte() {
    let node = Bootstrapd::start(folder());
    let place = tempfile::tempdir_in(folder()).unwrap();
    let target = place.path().to_str().unwrap();
    let (ours, mut theirs) = pair(&node, &["--folder", target, "--accept-files"]);
    let content = bytes(3 << 20);
    let friend = key(theirs.key());

    let transfer = ours.send_file(friend, "from us", content.clone());
    let received = theirs.wait("file-received", |event| event["position"] == 3 << 20);
    let path = received["path"].as_str().unwrap().to_owned();
    assert!(std::fs::read(path).unwrap() == content, "it differs");
    ours.wait("end", |it| {
        matches!(it, Event::FileEnded { transfer: it, outcome: FileOutcome::Complete, .. } if *it == transfer)
            .then_some(())
    });

    let source = place.path().join("to us");
    std::fs::write(&source, &content).unwrap();
    theirs.command(&format!("file-send {} data - {}", ours.key(), source.display()));
    let transfer = ours.wait("offer", |it| match it {
        Event::FileOffered { transfer, offer, .. } if offer.name == b"to us" => Some(*transfer),
        _ => None,
    });
    ours.call(move |it, _| it.accept_file(transfer)).unwrap();
    ours.wait("end", |it| {
        matches!(it, Event::FileEnded { transfer: it, outcome: FileOutcome::Complete, .. } if *it == transfer)
            .then_some(())
    });
    assert!(ours.file(transfer) == content, "it differs");
}

#[test]
fn either_side_may_start_again() {
    let node = Bootstrapd::start(folder());
    let place = tempfile::tempdir_in(folder()).unwrap();
    let save = place.path().join("save");
    let (ours, mut theirs) = pair(&node, &[]);
    let friend = key(theirs.key());

    // Libtoxcore's client starts again from its save.
    theirs.command(&format!("save {}", save.display()));
    theirs.quit();
    ours.wait_offline(friend);
    let mut theirs =
        ToxClient::start(folder(), "theirs again", &["--load", save.to_str().unwrap()]);
    theirs.bootstrap(node.udp(), node.key());
    let begun = Instant::now();
    ours.wait_online(friend);
    theirs.wait_online(&ours.key());
    println!("back after {} ms", begun.elapsed().as_millis());

    // And ours, with the same identity and another DHT key.
    let identity = ours.identity.clone();
    drop(ours);
    let settings = Settings { identity: Some(identity), ..Settings::default() };
    let ours = OurClient::start("ours again", settings);
    ours.bootstrap(node.udp(), node.key());
    ours.call(move |it, now| it.add_friend(now, friend)).unwrap();
    let begun = Instant::now();
    ours.wait_online(friend);
    println!("back after {} ms", begun.elapsed().as_millis());
    ours.call(move |it, _| it.send_message(friend, MessageKind::Normal, "back")).unwrap();
    theirs.wait("message", |event| event["text"] == "back");
}

#[test]
fn our_node_alone_is_enough_for_libtoxcore() {
    // No other node: ours is bootstrap node, onion hop, announce node and friend in one.
    let ours = OurClient::start("ours", Settings::default());
    let mut theirs = ToxClient::start(folder(), "theirs", &["--accept-friends"]);
    theirs.bootstrap(ours.udp(), &ours.dht_key.to_string());
    befriend(&ours, &mut theirs);
}

#[test]
fn through_a_tcp_relay_of_bootstrapd_only() {
    let node = Bootstrapd::with_relay(folder());
    let mut settings = Settings { udp: false, ..Settings::default() };
    settings.config.allow_short_paths = true;
    let ours = OurClient::start("ours", settings);
    let mut theirs = ToxClient::start(folder(), "theirs", &["--no-udp", "--accept-friends"]);
    ours.bootstrap(node.udp(), node.key());
    ours.relay(node.tcp(), node.key());
    theirs.bootstrap(node.udp(), node.key());
    theirs.relay(node.tcp(), node.key());
    befriend(&ours, &mut theirs);
    let friend = key(theirs.key());
    ours.call(move |it, _| it.send_message(friend, MessageKind::Normal, "by TCP")).unwrap();
    theirs.wait("message", |event| event["text"] == "by TCP");
}

/// A node of ours that is bootstrap node and TCP relay, and nobody's friend.
fn our_node(runtime: &tokio::runtime::Runtime) -> (Mesh, SocketAddr, SocketAddr) {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let builder = Mesh::builder().udp(loopback).relay_ports(vec![0]);
    let node = runtime.block_on(builder.spawn()).unwrap();
    let udp = node.addresses()[0].as_udp().unwrap();
    let relay = SocketAddr::from((Ipv4Addr::LOCALHOST, node.relay_ports()[0]));
    (node, udp, relay)
}

#[test]
fn through_our_tcp_relay_only() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (node, udp, relay) = our_node(&runtime);
    let node_key = node.public_key().to_string();
    let ours = OurClient::start("ours", Settings { udp: false, ..Settings::default() });
    let mut theirs = ToxClient::start(folder(), "theirs", &["--no-udp", "--accept-friends"]);
    ours.bootstrap(udp, &node_key);
    ours.relay(relay, &node_key);
    theirs.bootstrap(udp, &node_key);
    theirs.relay(relay, &node_key);
    befriend(&ours, &mut theirs);
    let friend = key(theirs.key());
    ours.call(move |it, _| it.send_message(friend, MessageKind::Normal, "by TCP")).unwrap();
    theirs.wait("message", |event| event["text"] == "by TCP");
    theirs.command(&format!("message {} by TCP too", ours.key()));
    ours.wait("message", |it| {
        matches!(it, Event::Message { text, .. } if text[..] == *b"by TCP too").then_some(())
    });
}

#[test]
fn through_proxies() {
    for (kind, proxy_of) in [
        (Kind::Socks5, toktok_mesh::Proxy::Socks5 as fn(SocketAddr) -> toktok_mesh::Proxy),
        (Kind::Http, toktok_mesh::Proxy::Http),
    ] {
        let node = Bootstrapd::with_relay(folder());
        let proxy = Proxy::start(kind);
        let mut settings = Settings { udp: false, ..Settings::default() };
        settings.config.proxy = Some(proxy_of(proxy.address()));
        let ours = OurClient::start("ours", settings);
        let mut theirs = ToxClient::start(folder(), "theirs", &["--no-udp", "--accept-friends"]);
        ours.bootstrap(node.udp(), node.key());
        ours.relay(node.tcp(), node.key());
        theirs.bootstrap(node.udp(), node.key());
        theirs.relay(node.tcp(), node.key());
        befriend(&ours, &mut theirs);
        assert!(proxy.connections() >= 1 && proxy.bytes() > 1_000, "{proxy:?}");
    }
}
