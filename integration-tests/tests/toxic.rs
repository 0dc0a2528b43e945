//! A person at Debian's toxic, in a terminal, befriends ours and talks with it. The one bootstrap node
//! that it knows is ours too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test or a measurement: it says so and stops"
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use integration_tests::our_client::{OurClient, Settings};
use integration_tests::toxic::Toxic;
use toktok_mesh::Mesh;
use toktok_mesh::messenger::{MessageKind, MessengerEvent as Event};

#[test]
fn toxic_adds_ours_and_they_talk() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let builder = Mesh::builder().udp(loopback).relay_ports(vec![0]);
    let node = runtime.block_on(builder.spawn()).unwrap();
    let (udp, key) = (node.addresses()[0].as_udp().unwrap(), node.public_key().to_string());
    let tcp = SocketAddr::from((Ipv4Addr::LOCALHOST, node.relay_ports()[0]));
    let ours = OurClient::start("ours", Settings::default());
    ours.bootstrap(udp, &key);
    ours.call(|it, _| it.set_name(b"Ours")).unwrap();

    let mut toxic = Toxic::start(Path::new(env!("CARGO_TARGET_TMPDIR")), udp, tcp, &key);
    toxic.wait("Would you like to encrypt it?");
    toxic.enter("n");
    toxic.wait("Welcome to Toxic");
    // It takes one word in quotes.
    toxic.enter(&format!("/add {} \"please\"", ours.tox_id()));
    toxic.wait("Friend request sent");
    let friend = ours.wait("request", |it| match it {
        Event::FriendRequest { from, message } if message == b"please" => Some(*from),
        _ => None,
    });
    ours.call(move |it, now| it.add_friend(now, friend)).unwrap();
    ours.wait_online(friend);
    toxic.wait("has come online");

    // The list of contacts is the next window; Enter opens the chat with the one in it.
    toxic.press("C-p");
    toxic.wait("o Ours");
    toxic.press("Enter");
    toxic.wait("Logging for this window");
    toxic.enter("hello from a terminal");
    ours.wait("message", |it| {
        matches!(it, Event::Message { text, .. } if text[..] == *b"hello from a terminal")
            .then_some(())
    });
    let text = "hello to a terminal";
    let sent = ours.call(move |it, _| it.send_message(friend, MessageKind::Normal, text)).unwrap();
    toxic.wait(text);
    ours.wait("receipt", |it| {
        matches!(it, Event::Receipt { message, .. } if *message == sent).then_some(())
    });
    println!("{}", toxic.transcript());
}
