//! What single packets tell, and what damaged, repeated or misdirected ones do.

use std::collections::{BTreeMap, BTreeSet};

use super::FirstHop;
use super::network::{Network, address};
use super::network_tests::{is_announced, knows, two_friends};
use crate::drops::DropReason;
use crate::wire::onion::DATA_REQUEST;
use crate::wire::{Address, PublicKey, Rng};

#[test]
fn replays_and_packets_from_elsewhere_are_dropped() {
    let mut network = Network::new(13, 24);
    network.trace = Some(Vec::new());
    let [_, b] = two_friends(&mut network, [24, 25], false);
    network.run_until(5_000, |network| knows(network, 24, &b, 25)).expect("a first contact");
    let trace = network.trace.take().unwrap();
    let to_us = |kind: u8| {
        let mut found = trace
            .iter()
            .rev()
            .filter(move |(_, to, datagram)| *to == address(24) && datagram[0] == kind);
        found.next().cloned().expect("such a packet")
    };
    network.run_for(5_000);
    let events = network.member(24).events.len();
    for (kind, reason) in [(0x84, DropReason::Unsolicited), (0x86, DropReason::Replayed)] {
        let (from, _, datagram) = to_us(kind);
        let before = network.member(24).drops[reason];
        network.with(24, |member, cx| {
            let client = member.client.as_mut().unwrap();
            client.handle(cx, FirstHop::Udp(from), &mut datagram.clone());
        });
        assert_eq!(network.member(24).drops[reason], before + 1, "{kind:02x} again");
    }
    let (_, _, datagram) = to_us(0x86);
    let before = network.member(24).drops[DropReason::Refused];
    network.with(24, |member, cx| {
        let client = member.client.as_mut().unwrap();
        client.handle(cx, FirstHop::Udp(address(99)), &mut datagram.clone());
    });
    assert_eq!(network.member(24).drops[DropReason::Refused], before + 1, "to a guessed address");
    assert_eq!(network.member(24).events.len(), events);
}

/// What a node can recognise in the packets that it handled: byte strings of those that came from or
/// went to the client at `client`, seen in others as well.
fn recognised(network: &mut Network, client: usize) -> usize {
    let trace = network.trace.take().expect("a trace");
    let us = address(client);
    let mut marks: BTreeMap<Address, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for (from, to, datagram) in &trace {
        let (node, parts) = match datagram[0] {
            0x80 if *from == us => (*to, vec![&datagram[1..25], &datagram[25..57]]),
            0x84 if *to == us => (*from, vec![&datagram[1..9], &datagram[9..33]]),
            0x86 if *to == us => (*from, vec![&datagram[1..25], &datagram[25..57]]),
            _ => continue,
        };
        marks.entry(node).or_default().extend(parts.into_iter().map(<[u8]>::to_vec));
    }
    let mut seen = 0;
    for (from, to, datagram) in &trace {
        // What it got from us and gave to us, and the last step before that, is what it knows us by.
        let is_ours = *from == us || *to == us || datagram[0] == 0x8e || datagram[0] == 0x81;
        for node in [from, to].into_iter().filter(|_| !is_ours) {
            let windows = |mark: &Vec<u8>| datagram.windows(mark.len()).any(|part| part == mark);
            seen += marks.get(node).is_some_and(|marks| marks.iter().any(windows)) as usize;
        }
    }
    seen
}

#[test]
fn no_node_recognises_our_packets_elsewhere_and_the_check_can_fail() {
    let mut network = Network::new(15, 8);
    network.trace = Some(Vec::new());
    let [a, b] = two_friends(&mut network, [24, 25], false);
    network.run_until(5_000, |network| knows(network, 24, &b, 25)).expect("a first contact");
    network.run_for(5_000);
    let dht_key = network.member(24).key;
    for (from, _, datagram) in network.trace.as_ref().unwrap() {
        let shows = |key: &PublicKey| datagram.windows(32).any(|part| part == key.0);
        let is_onion = (0x80..=0x8e).contains(&datagram[0]);
        assert!(!(is_onion && shows(&dht_key)), "the DHT key is in no request");
        // Its node may be the third hop of the friend's packet for it, and pass that on.
        let is_own = *from == address(24) && datagram[0] != DATA_REQUEST;
        assert!(!(is_onion && is_own && shows(&a.public)), "{:02x}", datagram[0]);
    }
    assert_eq!(recognised(&mut network, 24), 0);

    let mut network = Network::new(15, 1);
    network.trace = Some(Vec::new());
    two_friends(&mut network, [24, 25], true);
    network.run_for(5_000);
    assert!(recognised(&mut network, 24) > 0, "short paths hide nobody");
}

#[test]
fn damaged_packets_do_no_harm() {
    let mut network = Network::new(16, 8);
    network.trace = Some(Vec::new());
    let [_, b] = two_friends(&mut network, [24, 25], false);
    network.run_until(5_000, |network| knows(network, 24, &b, 25)).expect("a first contact");
    let trace = network.trace.take().unwrap();
    let ours: Vec<_> = trace.into_iter().filter(|(_, to, _)| *to == address(24)).collect();
    let mut rng = Rng::from_seed([3; 32]);
    let events = network.member(24).events.len();
    for _ in 0..20_000 {
        let (from, _, mut datagram) = rng.choose(&ours).cloned().unwrap();
        let cut = rng.index(datagram.len()) + 1;
        match rng.below(3) {
            0 => datagram.truncate(cut),
            1 => datagram.resize(datagram.len() + cut, 0),
            _ => datagram[cut - 1] ^= 1 << rng.below(8),
        }
        let handled = datagram.clone();
        network.with(24, |member, cx| {
            let mut packet = handled;
            member.client.as_mut().unwrap().handle(cx, FirstHop::Udp(from), &mut packet);
        });
    }
    assert_eq!(network.member(24).events.len(), events);
    assert!(is_announced(&network, 24));
    assert!(network.member(24).drops.total() >= 19_000);
}
