//! Many nodes in virtual time: they find each other, forget the dead, and bear with bad input.

use core::time::Duration;

use super::config::{BAD_AFTER, DhtConfig, FORGOTTEN_AFTER};
use super::network::Network;
use super::{Dht, DhtEvent, packets};
use crate::crypto::Keys;
use crate::drops::DropReason;
use crate::event::LookupId;
use crate::wire::bootstrap_info::BootstrapInfo;
use crate::wire::dht::{
    DHT_REQUEST, DhtRequestHeader, Header, NODES_REQUEST, NODES_RESPONSE, PING_REQUEST,
    PING_RESPONSE, Ping,
};
use crate::wire::lan::LanDiscovery;
use crate::wire::{Address, Decode, Encode, KeyPair, Nonce, PublicKey, Rng};

/// Keys of a stranger, who writes packets by hand.
fn stranger(seed: u8) -> (Keys, Rng) {
    let mut rng = Rng::from_seed([seed; 32]);
    (Keys::new(KeyPair::generate(&mut rng), &mut rng), rng)
}

/// Hands a datagram to member 0 as if it came from `from`.
fn deliver(network: &mut Network, from: Address, datagram: &[u8]) {
    let mut datagram = datagram.to_vec();
    network.with(Network::address(0), |dht, cx| dht.handle(cx, from, &mut datagram));
}

fn drops(network: &Network, reason: DropReason) -> u64 {
    network.members[&Network::address(0)].drops[reason]
}

/// How many lookups, made by the first node for the second, gave the right address.
fn found(network: &Network, asked: &[(Address, Address, LookupId)]) -> usize {
    let is_found = |(from, to, id): &&(Address, Address, LookupId)| {
        network.members[from].events.iter().any(|(_, event)| {
            matches!(event, DhtEvent::LookupDone { lookup, address, .. }
                if lookup == id && address == &Some(*to))
        })
    };
    asked.iter().filter(is_found).count()
}

#[test]
fn two_hundred_nodes_know_their_neighbours_within_seconds_and_find_anyone() {
    let mut network = Network::joined(1, 200, 2_000);
    network.run_secs(15);
    assert!(network.converged() >= 198, "only {} of 200 converged", network.converged());
    let mut rng = Rng::from_seed([9; 32]);
    let addresses: Vec<Address> = network.members.keys().copied().collect();
    let mut asked = Vec::new();
    for _ in 0..200 {
        let (from, to) = (rng.index(200), rng.index(200));
        if from != to {
            let (from, to) = (addresses[from], addresses[to]);
            let key = network.members[&to].key;
            asked.push((from, to, network.with(from, |dht, cx| dht.lookup(cx, key))));
        }
    }
    network.run_secs(10);
    assert_eq!(found(&network, &asked), asked.len());
}

#[test]
fn quiet_nodes_send_little() {
    let mut network = Network::joined(2, 60, 1_000);
    network.run_secs(60);
    let before = network.sent;
    network.run_secs(60);
    let per_node_second = (network.sent - before) as f64 / 60.0 / 60.0;
    assert!(per_node_second < 3.0, "{per_node_second} packets a node and second");
}

#[test]
fn a_key_that_nobody_has_is_not_found_in_bounded_time() {
    let mut network = Network::joined(3, 30, 100);
    network.run_secs(10);
    let (begin, at) = (network.now, Network::address(7));
    let key = PublicKey([0x77; 32]);
    network.with(at, |dht, cx| dht.lookup(cx, key));
    network.run_secs(11);
    let (end, event) = network.members[&at].events.last().unwrap();
    assert!(matches!(event, DhtEvent::LookupDone { address: None, .. }), "{event:?}");
    assert!(end.since(begin) <= Duration::from_secs(10));
}

#[test]
fn the_dead_are_not_told_of_after_122_seconds_and_forgotten_after_182() {
    let mut network = Network::joined(4, 20, 100);
    network.loss_per_mille = 0;
    network.run_secs(70);
    let dead = network.members[&Network::address(5)].key;
    let died = network.now;
    let knows = |network: &Network, told: bool| {
        let now = network.now;
        let members = network.members.values();
        members
            .filter(|m| match told {
                true => m.dht.address_of(&dead, now).is_some(),
                false => m.dht.close_nodes().any(|(key, _)| key == dead),
            })
            .count()
    };
    let knew = knows(&network, true);
    assert!(knew >= 17, "{knew}");
    network.members.remove(&Network::address(5));
    // Its last answer was at most a minute old.
    network.run_until(died + BAD_AFTER - Duration::from_secs(61));
    assert_eq!(knows(&network, true), knew);
    network.run_until(died + BAD_AFTER + Duration::from_secs(1));
    assert_eq!(knows(&network, true), 0);
    assert!(knows(&network, false) > 0);
    network.run_until(died + FORGOTTEN_AFTER + Duration::from_secs(1));
    assert_eq!(knows(&network, false), 0);
}

#[test]
fn the_living_are_found_although_a_fifth_of_the_network_has_just_died() {
    let mut network = Network::joined(13, 100, 1_000);
    network.run_secs(15);
    let mut rng = Rng::from_seed([14; 32]);
    for number in 1..=20 {
        network.members.remove(&Network::address(number * 4));
    }
    let living: Vec<Address> = network.members.keys().copied().collect();
    let mut asked = Vec::new();
    while asked.len() < 100 {
        let (from, to) = (living[rng.index(living.len())], living[rng.index(living.len())]);
        if from != to {
            let key = network.members[&to].key;
            asked.push((from, to, network.with(from, |dht, cx| dht.lookup(cx, key))));
        }
    }
    network.run_secs(10);
    assert_eq!(found(&network, &asked), asked.len());
}

#[test]
fn a_node_that_comes_back_elsewhere_is_found_there() {
    let mut network = Network::joined(15, 30, 100);
    network.run_secs(15);
    let mut moved = network.members.remove(&Network::address(9)).unwrap();
    let keys = KeyPair::generate(&mut network.child("node 9").child("key"));
    assert_eq!(keys.public, moved.key);
    let now = network.now;
    moved.dht = Dht::new(&DhtConfig::default(), keys, network.child("again"), now);
    let (key, at) = (moved.key, Network::address(99));
    network.members.insert(at, moved);
    let first = network.members[&Network::address(0)].key;
    network.with(at, |dht, cx| dht.bootstrap(cx, Network::address(0), first));
    network.run_secs(3);
    network.with(Network::address(20), |dht, cx| dht.lookup(cx, key));
    network.run_secs(10);
    let events = &network.members[&Network::address(20)].events;
    let (_, event) = events.last().unwrap();
    assert!(
        matches!(event, DhtEvent::LookupDone { address: Some(found), .. } if *found == at),
        "{event:?}"
    );
}

#[test]
fn a_network_that_fell_in_two_for_long_finds_together_again() {
    let mut network = Network::joined(17, 40, 100);
    network.run_secs(15);
    network.split = Some(20);
    network.run_secs(400);
    let far = Network::address(30);
    let knows_far = |network: &Network| {
        let members = network.members.iter().filter(|(address, _)| **address < far);
        let key = network.members[&far].key;
        members.filter(|(_, m)| m.dht.close_nodes().any(|(known, _)| known == key)).count()
    };
    let own_half = knows_far(&network);
    assert!(own_half <= 10, "the other half has forgotten it");
    network.split = None;
    network.run_secs(700);
    assert_eq!(network.converged(), 40);
    assert!(knows_far(&network) > own_half);
}

#[test]
fn a_node_whose_bootstrap_node_comes_late_joins_when_it_comes() {
    let mut network = Network::new(5);
    network.add(1, &DhtConfig::default());
    let first = network.add(0, &DhtConfig::default());
    let late = network.members.remove(&Network::address(0)).unwrap();
    network.with(Network::address(1), |dht, cx| dht.bootstrap(cx, Network::address(0), first));
    network.run_secs(5);
    assert!(network.members[&Network::address(1)].events.is_empty());
    network.members.insert(Network::address(0), late);
    network.run_secs(5);
    let events = &network.members[&Network::address(1)].events;
    assert_eq!(events[0].1, DhtEvent::Connected);
}

#[test]
fn damaged_forged_replayed_and_unasked_packets_are_counted_by_reason() {
    let mut network = Network::new(6);
    let own = network.add(0, &DhtConfig::default());
    let from = Network::address(1);
    let (mut keys, mut rng) = stranger(1);
    let request = packets::ping(&mut keys, &mut rng, &own, false, 7);
    deliver(&mut network, from, &request);
    assert_eq!(network.members[&Network::address(0)].drops.total(), 0);
    for len in 1..request.len() {
        deliver(&mut network, from, &request[..len]);
    }
    assert_eq!(drops(&network, DropReason::Truncated), request.len() as u64 - 1);
    deliver(&mut network, from, &[]);
    assert_eq!(drops(&network, DropReason::UnknownKind), 1);
    let mut longer = request.clone();
    longer.push(0);
    deliver(&mut network, from, &longer);
    assert_eq!(drops(&network, DropReason::Oversized), 1);
    let mut forged = request.clone();
    forged[81] ^= 1;
    deliver(&mut network, from, &forged);
    assert_eq!(drops(&network, DropReason::Forged), 1);
    let mut own_key = request;
    own_key[1..33].copy_from_slice(&own.0);
    deliver(&mut network, from, &own_key);
    assert_eq!(drops(&network, DropReason::FromSelf), 1);
    let unasked = packets::ping(&mut keys, &mut rng, &own, true, 7);
    deliver(&mut network, from, &unasked);
    assert_eq!(drops(&network, DropReason::Unsolicited), 1);
}

#[test]
fn nonsense_in_a_box_that_opens_is_counted_and_changes_nothing() {
    let mut network = Network::new(16);
    let own = network.add(0, &DhtConfig::default());
    let (mut keys, mut rng) = stranger(4);
    let kinds = [PING_REQUEST, PING_RESPONSE, NODES_REQUEST, NODES_RESPONSE, DHT_REQUEST];
    let (sender, mut dropped) = (keys.public(), 0);
    for round in 0..2_000 {
        let kind = kinds[round % kinds.len()];
        let nonce = Nonce::generate(&mut rng);
        let mut datagram = match kind {
            DHT_REQUEST => DhtRequestHeader { receiver: own, sender, nonce }.to_bytes(),
            _ => Header { kind, sender, nonce }.to_bytes(),
        };
        let start = datagram.len();
        datagram.resize(start + rng.index(220), 0);
        rng.fill(&mut datagram[start..]);
        if kind == DHT_REQUEST && start < datagram.len() {
            // No inner kind that anyone knows.
            datagram[start] = 0;
        }
        keys.shared(&own).seal_suffix(&nonce, &mut datagram, start);
        deliver(&mut network, Network::address(round % 200 + 1), &datagram);
        // A nodes request is any 40 bytes.
        dropped += u64::from(kind != NODES_REQUEST || datagram.len() != 113);
    }
    assert_eq!(network.members[&Network::address(0)].drops.total(), dropped);
    assert_eq!(network.members[&Network::address(0)].dht.close_nodes().count(), 0);
}

#[test]
fn an_answer_counts_once() {
    let mut network = Network::new(7);
    network.loss_per_mille = 0;
    let own = network.add(0, &DhtConfig::default());
    let (mut keys, mut rng) = stranger(2);
    let from = Network::address(1);
    // A stranger's request makes member 0 ping it; the test answers in its place, twice.
    deliver(&mut network, from, &packets::ping(&mut keys, &mut rng, &own, false, 7));
    let ping = network.latest(from, PING_REQUEST);
    let (header, boxed) = Header::split(&mut ping.clone()[..])
        .map(|(header, boxed)| (header, boxed.to_vec()))
        .unwrap();
    let plain = keys.shared(&own).open(&header.nonce, &boxed).unwrap();
    let id = Ping::from_bytes(&plain).unwrap().id;
    let answer = packets::ping(&mut keys, &mut rng, &own, true, id);
    deliver(&mut network, Network::address(2), &answer);
    assert_eq!(drops(&network, DropReason::Unsolicited), 1, "from another address");
    deliver(&mut network, from, &answer);
    let close: Vec<_> = network.members[&Network::address(0)].dht.close_nodes().collect();
    assert_eq!(close, [(keys.public(), from)]);
    deliver(&mut network, from, &answer);
    assert_eq!(drops(&network, DropReason::Unsolicited), 2, "replayed");
}

#[test]
fn a_flood_of_strangers_stays_within_the_limits_and_the_pace() {
    let mut network = Network::new(8);
    let own = network.add(0, &DhtConfig::default());
    let mut rng = Rng::from_seed([8; 32]);
    let before = network.sent;
    for number in 0..500 {
        let pair = KeyPair::generate(&mut rng);
        let mut keys = Keys::new(pair, &mut rng);
        let request = packets::ping(&mut keys, &mut rng, &own, false, 7);
        deliver(&mut network, Network::address(number + 1), &request);
    }
    // Each gets its answer, but only the allowed burst is pinged back.
    let pinged = network.sent - before - 500;
    assert!(pinged <= 32, "{pinged} strangers pinged at once");
}

#[test]
fn lan_discovery_is_heard_from_the_local_network_only_and_only_if_wanted() {
    let mut network = Network::new(10);
    network.loss_per_mille = 0;
    network.add(0, &DhtConfig { lan_discovery: true, ..DhtConfig::default() });
    let shout = LanDiscovery { key: PublicKey([5; 32]) }.to_bytes();
    deliver(&mut network, Network::address(1), &shout);
    assert_eq!(drops(&network, DropReason::Refused), 1);
    let local = Address::udp(([192, 168, 1, 2], 33445).into());
    let before = network.sent;
    deliver(&mut network, local, &shout);
    assert_eq!(network.sent, before + 1, "the local node is pinged");
    network.add(0, &DhtConfig::default());
    deliver(&mut network, local, &shout);
    assert_eq!(drops(&network, DropReason::Refused), 1, "by default it takes no part");
}

#[test]
fn local_nodes_are_not_told_to_strangers_outside() {
    let mut network = Network::new(11);
    network.add(0, &DhtConfig::default());
    let at = Network::address(0);
    let local = Address::udp(([192, 168, 1, 2], 33445).into());
    let key = PublicKey([5; 32]);
    let now = network.now;
    network.with(at, |dht, _| dht.table.answered(now, key, local, now));
    let dht: &Dht = &network.members[&at].dht;
    assert_eq!(dht.nodes_for(&key, 4, now, &Network::address(1)), []);
    let neighbour = Address::udp(([10, 0, 0, 9], 1).into());
    assert_eq!(dht.nodes_for(&key, 4, now, &neighbour), [(key, local)]);
}

#[test]
fn service_nodes_are_found_by_their_bootstrap_info_also_if_they_begin_later() {
    let mut network = Network::new(12);
    let config = DhtConfig { discover_services: true, ..DhtConfig::default() };
    let (first, at) = (network.add(0, &DhtConfig::default()), Network::address(0));
    network.add(1, &config);
    network.with(at, |dht, _| dht.set_services(&["toktok/tdfs/1"]));
    network.with(Network::address(1), |dht, cx| dht.bootstrap(cx, at, first));
    network.run_secs(10);
    let told = |network: &Network, services: &[&str]| {
        let services = services.iter().map(|&name| name.to_owned()).collect();
        let expected = DhtEvent::ServiceNode { key: first, address: at, services };
        let events = &network.members[&Network::address(1)].events;
        events.iter().filter(|(_, event)| *event == expected).count()
    };
    assert_eq!(told(&network, &["toktok/tdfs/1"]), 1);
    network.with(at, |dht, _| dht.set_services(&["toktok/tdfs/1", "toktok/tdc/1"]));
    network.run_secs(700);
    assert_eq!(told(&network, &["toktok/tdfs/1", "toktok/tdc/1"]), 1);
    // Both ask; neither takes the other's question for an answer.
    assert_eq!(network.members[&at].drops.total(), 0);
    let answer = BootstrapInfo { version: 1, motd: b"toktok/fake/1" }.to_bytes();
    deliver(&mut network, Network::address(3), &answer);
    assert_eq!(drops(&network, DropReason::Unsolicited), 1);
}
