//! Friends are found by their DHT keys, directly or through their neighbours.

use core::time::Duration;

use super::super::config::{DhtConfig, EAGER_ROUNDS};
use super::super::network::Network;
use super::*;
use crate::crypto::Keys;
use crate::wire::dht::{DHT_REQUEST, DhtRequestHeader, NODES_REQUEST, PING_REQUEST};
use crate::wire::{KeyPair, Nonce, Rng};

/// When and where member `at` found a friend.
fn found(network: &Network, at: Address, friend: PublicKey) -> Vec<(Time, Address)> {
    let events = network.members[&at].events.iter();
    let found = events.filter_map(|(time, event)| match event {
        DhtEvent::FriendFound { dht_key, address } if *dht_key == friend => Some((*time, *address)),
        _ => None,
    });
    found.collect()
}

fn key_of(network: &Network, number: usize) -> PublicKey {
    network.members[&Network::address(number)].key
}

fn add_friend(network: &mut Network, at: usize, key: PublicKey) {
    assert!(network.with(Network::address(at), |dht, cx| dht.add_friend(cx, key)));
}

/// Cuts the direct way between two members.
fn cut(network: &mut Network, a: usize, b: usize) {
    let (a, b) = (Network::address(a), Network::address(b));
    network.cut.extend([(a, b), (b, a)]);
}

#[test]
fn friends_are_found_in_half_a_second_in_networks_of_any_size() {
    for (seed, count) in [(1, 3), (2, 24), (3, 100)] {
        let mut network = Network::joined(seed, count, 1_000);
        network.run_secs(15);
        let begin = network.now;
        for number in 1..count {
            let friend = key_of(&network, count - number);
            if friend != key_of(&network, number) {
                add_friend(&mut network, number, friend);
            }
        }
        network.run_secs(5);
        let mut late = 0;
        for number in (1..count).filter(|number| count - number != *number) {
            let friend = key_of(&network, count - number);
            let found = found(&network, Network::address(number), friend);
            assert_eq!(found.len(), 1, "{number} of {count}");
            assert_eq!(found[0].1, Network::address(count - number));
            late += usize::from(found[0].0.since(begin) > Duration::from_millis(500));
        }
        assert!(late <= count / 20, "{late} of {count} took longer");
    }
}

#[test]
fn a_friend_that_comes_later_is_found_when_it_comes_and_told_of_once() {
    let mut network = Network::joined(4, 24, 100);
    let at = Network::address(3);
    let friend = {
        let absent = Network::new(4).add(99, &DhtConfig::default());
        add_friend(&mut network, 3, absent);
        absent
    };
    network.run_secs(60);
    assert_eq!(found(&network, at, friend), []);
    assert_eq!(network.add(99, &DhtConfig::default()), friend);
    let came = network.now;
    let first = key_of(&network, 0);
    network.with(Network::address(99), |dht, cx| dht.bootstrap(cx, Network::address(0), first));
    network.run_secs(300);
    let found = found(&network, at, friend);
    assert_eq!(found.len(), 1);
    assert!(found[0].0.since(came) < Duration::from_secs(25));
    assert_eq!(
        network.members[&at].dht.friend_address(&friend, network.now),
        Some(Network::address(99))
    );
}

#[test]
fn hints_are_followed_at_once() {
    let mut network = Network::joined(5, 100, 1_000);
    network.run_secs(15);
    // Somebody who knows nobody is told by its friend where its neighbours are.
    network.add(500, &DhtConfig::default());
    let (at, friend) = (Network::address(500), key_of(&network, 50));
    add_friend(&mut network, 500, friend);
    network.run_secs(5);
    assert_eq!(found(&network, at, friend), []);
    let dht = &network.members[&Network::address(50)].dht;
    let hints = dht.nearest_known(&friend, 4, network.now);
    let begin = network.now;
    network.with(at, |dht, cx| dht.hint_friend(cx, &friend, &hints));
    network.run_secs(2);
    let found = found(&network, at, friend);
    assert!(found[0].0.since(begin) < Duration::from_millis(250), "two round trips");
}

#[test]
fn a_friend_that_moves_is_found_at_its_new_address() {
    let mut network = Network::joined(6, 24, 100);
    network.run_secs(15);
    let friend = key_of(&network, 5);
    add_friend(&mut network, 6, friend);
    network.run_secs(2);
    network.move_member(Network::address(5), Network::address(77));
    network.run_secs(125);
    let found = found(&network, Network::address(6), friend);
    assert_eq!(found.last().unwrap().1, Network::address(77));
}

#[test]
fn who_is_no_friend_any_more_is_not_searched_for() {
    let mut network = Network::joined(7, 10, 100);
    network.run_secs(15);
    let absent = PublicKey([0x33; 32]);
    add_friend(&mut network, 2, absent);
    network.with(Network::address(2), |dht, _| dht.remove_friend(&absent));
    network.run_secs(300);
    let (at, dht) = (Network::address(2), &network.members[&Network::address(2)].dht);
    assert_eq!(dht.friend_address(&absent, network.now), None);
    assert_eq!(found(&network, at, absent), []);
    assert!(network.with(at, |dht, cx| !dht.add_friend(cx, dht.keys.public())), "not oneself");
}

#[test]
fn a_request_reaches_a_friend_through_the_nodes_that_know_it() {
    let mut network = Network::joined(8, 24, 100);
    network.run_secs(15);
    network.loss_per_mille = 0;
    cut(&mut network, 3, 9);
    let (sender, friend) = (key_of(&network, 3), key_of(&network, 9));
    let at = Network::address(3);
    let send = |network: &mut Network, data: &[u8]| {
        network.with(at, |dht, cx| dht.route_request(cx, &friend, 0x9c, data))
    };
    assert_eq!(send(&mut network, b"nobody is asked for strangers"), 0);
    add_friend(&mut network, 3, friend);
    network.run_secs(2);
    assert_eq!(found(&network, at, friend), []);
    assert_eq!(send(&mut network, &[7; 1_000]), 0, "too long");
    assert!(send(&mut network, b"hello") >= 2);
    network.run_secs(1);
    let request = DhtEvent::Request { sender, id: 0x9c, data: b"hello".to_vec() };
    let events = &network.members[&Network::address(9)].events;
    assert!(events.iter().filter(|(_, event)| *event == request).count() >= 2);
    network.cut.clear();
    network.run_secs(30);
    assert_eq!(send(&mut network, b"directly now"), 1);
}

#[test]
fn nat_pings_are_answered_to_friends_only() {
    let mut network = Network::joined(9, 3, 10);
    network.loss_per_mille = 0;
    network.run_secs(10);
    let receiver = key_of(&network, 2);
    let mut rng = Rng::from_seed([3; 32]);
    let mut keys = Keys::new(KeyPair::generate(&mut rng), &mut rng);
    let sender = keys.public();
    let mut send = |network: &mut Network, receiver: PublicKey| {
        let nonce = Nonce::generate(&mut rng);
        let header = DhtRequestHeader { receiver, sender, nonce };
        let ping = NatPing { response: false, id: 99 };
        let mut packet = header.seal(keys.shared(&receiver), &ping);
        let from = Network::address(50);
        network.with(Network::address(0), |dht, cx| dht.handle(cx, from, &mut packet));
    };
    send(&mut network, receiver);
    network.latest(Network::address(2), DHT_REQUEST);
    network.run_secs(1);
    assert_eq!(network.members[&Network::address(2)].drops[DropReason::Refused], 1);
    add_friend(&mut network, 2, sender);
    send(&mut network, receiver);
    network.run_secs(1);
    let answer = network.latest(Network::address(0), DHT_REQUEST);
    assert_eq!(answer[1..33], sender.0, "the answer goes back through who passed it on");
    let before = network.members[&Network::address(0)].drops[DropReason::NoRoute];
    send(&mut network, PublicKey([0x42; 32]));
    assert_eq!(network.members[&Network::address(0)].drops[DropReason::NoRoute], before + 1);
}

#[test]
fn friends_that_hear_of_each_other_only_through_others_agree_to_punch() {
    let mut network = Network::joined(10, 24, 100);
    network.run_secs(15);
    cut(&mut network, 3, 9);
    let (a, b) = (key_of(&network, 3), key_of(&network, 9));
    add_friend(&mut network, 3, b);
    add_friend(&mut network, 9, a);
    let begin = network.sent;
    network.run_secs(10);
    let target = Network::address(9);
    assert_eq!(network.latest(target, PING_REQUEST)[1..33], a.0, "pinged where it is said to be");
    network.run_secs(600);
    let per_second = (network.sent - begin) / 610 / 24;
    assert!(per_second < 8, "{per_second} packets a node and second: no pair may drown the rest");
    network.cut.clear();
    network.run_secs(40);
    assert_eq!(found(&network, Network::address(3), b).len(), 1);
    assert_eq!(found(&network, target, a).len(), 1);
}

#[test]
fn a_liar_cannot_have_a_third_party_flooded() {
    let mut network = Network::new(11);
    network.loss_per_mille = 0;
    network.add(0, &DhtConfig::default());
    let (friend, at) = (PublicKey([0x55; 32]), Network::address(0));
    add_friend(&mut network, 0, friend);
    let victim = |port: u16| Address::udp(([203, 0, 113, 9], port).into());
    let liar = PublicKey([0x54; 32]);
    network.with(at, |dht, cx| dht.tell_friends_of_answer(cx.now, liar, Network::address(1)));
    let before = network.sent;
    for round in 0..600_u16 {
        // In each of ten minutes' seconds the liar tells of the friend and three near it.
        network.with(at, |dht, cx| {
            for near in 0..4 {
                let mut key = friend;
                key.0[31] ^= near;
                dht.tell_friends_of_node(cx.now, &liar, key, victim(4 * round + u16::from(near)));
            }
            dht.drive_friends(cx);
        });
        network.run_secs(1);
    }
    let sent = network.sent - before;
    assert!(sent <= 600 * 16 + 32, "{sent} packets: 16 a second at most");
    assert_eq!(network.latest(victim(1), NODES_REQUEST).len(), 113);
}

#[test]
fn a_node_that_nobody_knows_is_asked_for_ever_less_often() {
    let mut network = Network::joined(12, 10, 100);
    network.run_secs(60);
    let before = network.sent;
    network.run_secs(300);
    let idle = network.sent - before;
    add_friend(&mut network, 2, PublicKey([0x33; 32]));
    network.run_secs(60);
    let before = network.sent;
    network.run_secs(300);
    let eager: Duration = EAGER_ROUNDS.iter().sum();
    assert!(eager < Duration::from_secs(60));
    let searching = (network.sent - before).saturating_sub(idle);
    assert!(searching <= 2 * (300 / 60 * 8 + 300 / 20) + idle / 10, "{searching} packets more");
}
