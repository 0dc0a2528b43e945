//! Which pairs of NATs friends cross with the DHT alone, the rest being a relay's business.

use core::net::IpAddr;
use core::time::Duration;

use super::DhtEvent;
use super::config::DhtConfig;
use super::network::Network;
use super::network_nat::{Dependence, Nat};
use crate::wire::{Address, PublicKey};

/// How a side is attached: `None` without NAT, else its mapping and its filtering.
type Side = Option<(Dependence, Dependence)>;

fn sides() -> impl Iterator<Item = Side> {
    let nats = Dependence::ALL.into_iter().flat_map(|mapping| {
        Dependence::ALL.into_iter().map(move |filtering| Some((mapping, filtering)))
    });
    core::iter::once(None).chain(nats)
}

fn inside(number: u8) -> Address {
    Address::udp(([192, 168, number, 2], 33_445).into())
}

/// Attaches a node, and lets it join.
fn attach(network: &mut Network, number: u8, side: Side) -> (Address, PublicKey) {
    let outside: IpAddr = [203, 0, 113, number].into();
    let at = match side {
        None => Address::udp((outside, 33_445).into()),
        Some(_) => inside(number),
    };
    if let Some((mapping, filtering)) = side {
        network.set_nat(at, Nat::new(mapping, filtering, outside));
    }
    let key = network.add_at(at, &DhtConfig::default());
    let first = network.members[&Network::address(0)].key;
    network.with(at, |dht, cx| dht.bootstrap(cx, Network::address(0), first));
    (at, key)
}

/// How long two friends need to hear from each other directly; `None` if a minute is not enough.
fn crossing(seed: u8, nodes: usize, a: Side, b: Side) -> Option<Duration> {
    let mut network = Network::joined(seed, nodes, 100);
    network.run_secs(3);
    let (at_a, key_a) = attach(&mut network, 1, a);
    let (at_b, key_b) = attach(&mut network, 2, b);
    network.run_secs(5);
    let begin = network.now;
    assert!(network.with(at_a, |dht, cx| dht.add_friend(cx, key_b)));
    assert!(network.with(at_b, |dht, cx| dht.add_friend(cx, key_a)));
    network.run_secs(60);
    let found = |at: Address, friend: PublicKey| {
        let mut events = network.members[&at].events.iter();
        events.find_map(|(time, event)| {
            let is_it =
                matches!(event, DhtEvent::FriendFound { dht_key, .. } if *dht_key == friend);
            is_it.then(|| time.since(begin))
        })
    };
    Some(found(at_a, key_b)?.max(found(at_b, key_a)?))
}

/// One side is open, or maps always alike and filters at most by address, or both map always alike.
fn must_cross(a: Side, b: Side) -> bool {
    use Dependence::{Address, Nothing};
    let (Some((mapping_a, filtering_a)), Some((mapping_b, filtering_b))) = (a, b) else {
        return true;
    };
    let is_open =
        |mapping, filtering| filtering == Nothing || mapping == Nothing && filtering <= Address;
    is_open(mapping_a, filtering_a)
        || is_open(mapping_b, filtering_b)
        || mapping_a == Nothing && mapping_b == Nothing
}

fn matrix(seed: u8, nodes: usize) -> String {
    let mut table = String::new();
    for a in sides() {
        for b in sides() {
            let took = crossing(seed, nodes, a, b);
            let cell = took.map_or("     -".to_owned(), |took| format!("{:6}", took.as_millis()));
            table.push_str(&cell);
            if must_cross(a, b) && took.is_none() {
                table.push('!');
            } else {
                table.push(' ');
            }
        }
        table.push('\n');
    }
    table
}

#[test]
fn friends_cross_every_pair_of_nats_that_can_be_crossed() {
    let table = matrix(1, 16);
    assert!(!table.contains('!'), "milliseconds, or '-' if never:\n{table}");
}

#[test]
fn three_nodes_are_enough_to_cross() {
    for side in sides() {
        let took = crossing(2, 3, side, Some((Dependence::Nothing, Dependence::Port)));
        if must_cross(side, Some((Dependence::Nothing, Dependence::Port))) {
            assert!(took.is_some_and(|took| took < Duration::from_secs(10)), "{side:?}: {took:?}");
        }
    }
}
