//! Clients in networks of DHT nodes.

use core::time::Duration;

use super::OnionClientEvent;
use super::network::{Network, address};
use crate::dht::Neighbour;
use crate::drops::DropReason;
use crate::wire::{KeyPair, PackedNode, PublicKey};

/// True if this client was told the DHT key of that node by `friend`.
pub(super) fn knows(network: &Network, number: usize, friend: &KeyPair, of: usize) -> bool {
    let expected = network.member(of).key;
    network.member(number).events.iter().any(|(_, event)| {
        matches!(event, OnionClientEvent::FriendDht { friend: key, dht_key, .. }
            if *key == friend.public && *dht_key == expected)
    })
}

pub(super) fn is_announced(network: &Network, number: usize) -> bool {
    let events = network.events(number);
    let last = events.iter().rev().find_map(|event| match event {
        OnionClientEvent::Announced(is_announced) => Some(*is_announced),
        _ => None,
    });
    last == Some(true)
}

/// Two clients at fresh nodes that know each other's keys and start now.
pub(super) fn two_friends(
    network: &mut Network,
    numbers: [usize; 2],
    allow_short: bool,
) -> [KeyPair; 2] {
    let pairs = [network.pair(), network.pair()];
    for (number, pair) in numbers.into_iter().zip(&pairs) {
        if !network.members.contains_key(&address(number)) {
            network.add_node(number);
        }
        network.add_client(number, pair, allow_short);
    }
    for (number, friend) in numbers.into_iter().zip(pairs.iter().rev()) {
        network.client(number, |client, now| client.add_friend(now, friend.public));
    }
    pairs
}

/// How long it takes two nodes that start at the same time until one was told the other's DHT key,
/// and until both were.
fn first_contact(network: &mut Network, numbers: [usize; 2], allow_short: bool) -> (u64, u64) {
    let [a, b] = two_friends(network, numbers, allow_short);
    let [at_a, at_b] = numbers;
    let one = network
        .run_until(30_000, |network| {
            knows(network, at_a, &b, at_b) || knows(network, at_b, &a, at_a)
        })
        .expect("a first contact");
    let both = network
        .run_until(30_000, |network| {
            knows(network, at_a, &b, at_b) && knows(network, at_b, &a, at_a)
        })
        .expect("contact both ways");
    (one, one + both)
}

#[test]
fn first_contact_in_networks_of_2_and_3_nodes_with_short_paths() {
    for others in [0, 1] {
        let mut network = Network::new(1, others);
        let times = first_contact(&mut network, [others, others + 1], true);
        assert!(times.1 <= 700, "{others}: {times:?}");
    }
}

#[test]
fn first_contact_in_networks_of_5_to_50_nodes() {
    for count in [5, 8, 16, 24, 50] {
        let mut network = Network::new(2, count - 2);
        let times = first_contact(&mut network, [count - 2, count - 1], false);
        assert!(times.1 <= 700, "{count}: {times:?}");
    }
}

#[test]
fn first_contact_over_slow_links_that_lose_a_twentieth() {
    let mut times = Vec::new();
    for seed in 0..6 {
        let mut network = Network::new(seed, 22);
        (network.loss_per_mille, network.delay) = (50, Duration::from_millis(20));
        times.push(first_contact(&mut network, [22, 23], false));
    }
    times.sort_unstable();
    assert!(times[3].0 <= 2_500, "{times:?}");
    assert!(times[5].1 <= 10_000, "{times:?}");
}

#[test]
fn first_contact_where_most_nodes_are_behind_nats() {
    let mut times = Vec::new();
    for seed in 0..6 {
        let mut network = Network::new(20 + seed, 0);
        (network.loss_per_mille, network.delay) = (50, Duration::from_millis(20));
        network.filtering = (1..102).filter(|n| n % 5 < 3).map(address).collect();
        (0..102).for_each(|number| network.add_node(number));
        network.run_for(90_000);
        times.push(first_contact(&mut network, [100, 101], false));
    }
    times.sort_unstable();
    assert!(times[3].1 <= 10_000 && times[5].1 <= 25_000, "{times:?}");
}

#[test]
fn nobody_is_found_or_announced_through_fewer_than_three_hops_unasked() {
    let mut network = Network::new(3, 1);
    let [a, b] = two_friends(&mut network, [1, 2], false);
    network.run_for(60_000);
    assert!(!knows(&network, 1, &b, 2) && !knows(&network, 2, &a, 1));
    assert_eq!((network.member(1).sent, network.member(2).sent), ((0, 0), (0, 0)));
}

#[test]
fn an_announced_node_is_quiet() {
    for (count, limit) in [(8, 35), (24, 55)] {
        let mut network = Network::new(4, count);
        let pair = network.pair();
        network.add_client(1, &pair, false);
        network.run_for(180_000);
        assert!(is_announced(&network, 1));
        let before = network.member(1).sent;
        network.run_for(3_600_000);
        let sent = network.member(1).sent;
        let rate = (sent.1 - before.1) / 3_600;
        assert!(rate <= limit, "{count}: {rate} bytes a second, {before:?} before");
        assert!(before.1 < 40_000, "{before:?}");
        assert!(is_announced(&network, 1));
        assert_eq!(network.events(1), [OnionClientEvent::Announced(true)]);
    }
}

#[test]
fn a_search_for_somebody_who_stays_away_costs_next_to_nothing() {
    let mut network = Network::new(5, 24);
    let pair = network.pair();
    network.add_client(1, &pair, false);
    network.run_for(600_000);
    let absent = network.pair().public;
    let before = network.member(1).sent.1;
    network.client(1, |client, now| client.add_friend(now, absent));
    network.run_for(3_000);
    let quick = network.member(1).sent.1 - before;
    assert!(quick < 30_000, "{quick} bytes in 3 s");
    network.run_for(3_600_000);
    let before = network.member(1).sent.1;
    network.run_for(3_600_000);
    let rate = (network.member(1).sent.1 - before) / 3_600;
    assert!(rate <= 56, "{rate} bytes a second");
}

#[test]
fn a_friend_is_found_though_half_of_its_announce_nodes_died() {
    let mut network = Network::new(6, 40);
    let (a, b) = (network.pair(), network.pair());
    network.add_client(1, &a, false);
    network.run_for(5_000);
    assert!(is_announced(&network, 1));
    let mut near: Vec<_> =
        network.members.values().map(|member| member.key).filter(|key| *key != a.public).collect();
    near.sort_unstable_by_key(|key| key.distance(&a.public));
    let (alive, client_nodes) = (network.member(0).key, [1, 2].map(|i| network.member(i).key));
    let dead: Vec<PublicKey> = near.into_iter().take(12).step_by(2).collect();
    network.members.retain(|_, member| {
        !dead.contains(&member.key) || member.key == alive || client_nodes.contains(&member.key)
    });
    network.add_client(2, &b, false);
    network.client(2, |client, now| client.add_friend(now, a.public));
    network.client(1, |client, now| client.add_friend(now, b.public));
    let found = network.run_until(20_000, |network| knows(network, 1, &b, 2));
    assert!(found.is_some());
    network.run_for(400_000);
    assert!(is_announced(&network, 1));
}

#[test]
fn a_friend_that_comes_back_with_another_dht_key_is_found_again() {
    let mut network = Network::new(7, 24);
    let [a, b] = two_friends(&mut network, [24, 25], false);
    network.run_until(5_000, |network| knows(network, 24, &b, 25)).expect("a first contact");
    for (number, friend) in [(24, &b), (25, &a)] {
        network.client(number, |client, now| {
            client.set_friend_online(now, &friend.public, true);
        });
    }
    network.run_for(60_000);
    let old = network.member(25).key;
    network.members.remove(&address(25));
    network.run_for(40_000);
    network.client(24, |client, now| client.set_friend_online(now, &b.public, false));
    network.add_node(25);
    assert_ne!(network.member(25).key, old);
    network.add_client(25, &b, false);
    network.client(25, |client, now| client.add_friend(now, a.public));
    let found = network.run_until(3_000, |network| knows(network, 24, &b, 25));
    let back = network.run_until(5_000, |network| knows(network, 25, &a, 24));
    assert!(found.is_some() && back.is_some(), "{found:?} {back:?}");
}

#[test]
fn a_friend_that_comes_online_after_an_hour_finds_us_at_once() {
    let mut network = Network::new(8, 24);
    let (a, b) = (network.pair(), network.pair());
    network.add_client(1, &a, false);
    network.client(1, |client, now| client.add_friend(now, b.public));
    network.run_for(3_600_000);
    network.add_node(30);
    network.add_client(30, &b, false);
    network.client(30, |client, now| client.add_friend(now, a.public));
    let found = network.run_until(1_000, |network| knows(network, 1, &b, 30));
    let back = network.run_until(1_000, |network| knows(network, 30, &a, 1));
    assert!(found.is_some() && back.is_some(), "{found:?} {back:?}");
}

#[test]
fn who_was_cut_off_is_announced_again() {
    let mut network = Network::new(9, 24);
    let pair = network.pair();
    network.add_client(1, &pair, false);
    network.run_for(30_000);
    assert!(is_announced(&network, 1));
    network.loss_per_mille = 1_000;
    network.run_for(100_000);
    network.loss_per_mille = 0;
    let again = network.run_until(90_000, |network| is_announced(network, 1));
    assert!(again.is_some());
    network.loss_per_mille = 1_000;
    network.run_for(3_600_000);
    assert!(!is_announced(&network, 1));
    network.loss_per_mille = 0;
    let again = network.run_until(120_000, |network| is_announced(network, 1));
    assert!(again.is_some());
}

#[test]
fn a_friend_request_arrives_once_and_is_repeated_until_there_is_an_answer() {
    let mut network = Network::new(10, 24);
    let (a, b) = (network.pair(), network.pair());
    network.add_client(1, &a, false);
    network.add_client(2, &b, false);
    network.client(1, |client, now| {
        client.send_friend_request(now, b.public, [1, 2, 3, 4], b"hello");
    });
    network.run_for(120_000);
    let expected = OnionClientEvent::FriendRequest {
        from: a.public,
        nospam: [1, 2, 3, 4],
        message: b"hello".to_vec(),
    };
    let requests = |network: &Network| {
        network.events(2).into_iter().filter(|event| *event == expected).count()
    };
    assert_eq!(requests(&network), 1);
    assert!(network.member(2).drops[DropReason::Replayed] >= 5, "it was repeated");
    assert!(!knows(&network, 1, &b, 2), "not accepted yet");
    network.client(2, |client, now| client.add_friend(now, a.public));
    let accepted = network.run_until(1_500, |network| knows(network, 1, &b, 2));
    assert!(accepted.is_some());
    network.client(1, |client, now| client.set_friend_online(now, &b.public, true));
    network.run_for(12_000);
    let refused = network.member(2).drops[DropReason::Refused];
    network.run_for(600_000);
    assert_eq!(network.member(2).drops[DropReason::Refused], refused, "no more of them");
}

#[test]
fn friends_are_told_relays_and_nodes_and_told_again_when_relays_change() {
    let mut network = Network::new(11, 24);
    let [a, b] = two_friends(&mut network, [24, 25], false);
    network.run_until(5_000, |network| knows(network, 25, &a, 24)).expect("a first contact");
    let node = PackedNode::udp(([192, 0, 2, 1], 1).into(), PublicKey([1; 32]));
    network.client(24, |client, now| client.set_own_nodes(now, &[node]));
    let told = |network: &Network| {
        network.events(25).iter().any(
            |event| matches!(event, OnionClientEvent::FriendDht { nodes, .. } if nodes == &[node]),
        )
    };
    assert!(network.run_until(4_000, told).is_some());
    assert!(knows(&network, 24, &b, 25));
    network.client(24, |client, _| client.remove_friend(&b.public));
    network.run_for(60_000);
    let before = network.member(25).events.len();
    network.run_for(600_000);
    assert_eq!(network.member(25).events.len(), before);
}

#[test]
fn through_a_tcp_relay_that_is_the_only_bootstrap_node() {
    let mut network = Network::new(12, 24);
    let (a, b) = (network.pair(), network.pair());
    let relay = network.connect_relay(40, 0);
    network.add_client(1, &b, false);
    network.client(1, |client, now| client.add_friend(now, a.public));
    network.add_lone_client(40, &a);
    network.client(40, |client, now| {
        client.set_relays(now, &[relay]);
        let relay = Neighbour { key: relay, address: address(0), alive: now };
        client.offer_path_nodes(now, core::iter::once(relay));
        client.add_friend(now, b.public);
    });
    let found = network.run_until(5_000, |network| knows(network, 1, &a, 40));
    let back = network.run_until(5_000, |network| knows(network, 40, &b, 1));
    assert!(found.is_some() && back.is_some(), "{found:?} {back:?}");
    assert!(is_announced(&network, 40));
}

#[test]
fn a_dht_key_travels_in_a_dht_request_too() {
    let mut network = Network::new(14, 8);
    let (a, b) = (network.pair(), network.pair());
    network.add_client(1, &a, false);
    network.add_client(2, &b, false);
    for (number, friend) in [(1, &b), (2, &a)] {
        network.client(number, |client, now| client.add_friend(now, friend.public));
    }
    let (key, other) = (network.member(1).key, network.member(3).key);
    let content = network.client(1, |client, now| client.routed_dht_key(now, &b.public)).unwrap();
    let mut hand_over = |sender: PublicKey, content: &[u8]| {
        network.with(2, |member, cx| {
            member.client.as_mut().unwrap().handle_routed_dht_key(cx, sender, content);
        });
        (knows(&network, 2, &a, 1), network.member(2).drops.clone())
    };
    let (is_known, drops) = hand_over(other, &content);
    assert!(!is_known && drops[DropReason::Forged] == 1, "in another node's name");
    assert!(hand_over(key, &content).0);
    assert_eq!(hand_over(key, &content).1[DropReason::Replayed], 1);
    for len in 0..content.len() {
        hand_over(key, &content[..len]);
    }
    let before = drops.total();
    assert!(hand_over(key, &[]).1.total() > before);
    let none = network.client(1, |client, now| client.routed_dht_key(now, &PublicKey([1; 32])));
    assert_eq!(none, None);
}
