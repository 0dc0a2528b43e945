//! Who gets a place in the close list, who keeps it, and who is told to others.

use super::super::config::{BAD_AFTER, FORGOTTEN_AFTER};
use super::*;

const NOW: Time = Time::from_secs(1_000);

fn address(number: usize) -> Address {
    Address::udp(([10, 0, (number >> 8) as u8, number as u8], 33445).into())
}

fn filled(count: usize) -> (Table, Vec<PublicKey>) {
    let mut rng = Rng::from_seed([5; 32]);
    let mut table = Table::new(PublicKey(rng.bytes()));
    let keys: Vec<_> = (0..count).map(|_| PublicKey(rng.bytes())).collect();
    for (number, key) in keys.iter().enumerate() {
        table.answered(NOW, *key, address(number), NOW + REFRESH_INTERVAL);
    }
    (table, keys)
}

#[test]
fn buckets_are_bounded_and_the_nearest_eight_are_always_in() {
    let (table, mut keys) = filled(3_000);
    keys.sort_unstable_by_key(|key| table.own.distance(key));
    assert!(keys[..8].iter().all(|key| table.node(key).is_some()));
    assert!(table.buckets.iter().all(|bucket| bucket.len() <= BUCKET_NODES_NEAREST));
    assert_eq!(table.bucket(0).len(), BUCKET_NODES);
    assert!(table.iter().count() < 150);
}

#[test]
fn closest_is_the_same_as_a_look_at_every_node() {
    let (table, _) = filled(3_000);
    let mut rng = Rng::from_seed([6; 32]);
    for round in 0..200 {
        let target = match round % 4 {
            0 => table.own,
            1 => table.random_key(round / 10, &mut rng),
            _ => PublicKey(rng.bytes()),
        };
        let mut all: Vec<_> = table.iter().map(|node| node.key).collect();
        all.sort_unstable_by_key(|key| key.distance(&target));
        let found: Vec<_> =
            table.closest(&target, 4, NOW, |_| true).iter().map(|node| node.key).collect();
        assert_eq!(found, all[..4]);
    }
}

#[test]
fn a_good_node_keeps_its_place_and_a_silent_one_loses_it() {
    let (mut table, _) = filled(3_000);
    let mut rng = Rng::from_seed([7; 32]);
    let newcomer = table.random_key(0, &mut rng);
    assert_eq!(table.answered(NOW, newcomer, address(9_999), NOW), Answered::Refused);
    let later = NOW + BAD_AFTER;
    assert!(table.closest(&newcomer, 4, later, |_| true).is_empty(), "nobody is told of bad nodes");
    assert_eq!(
        table.answered(later, newcomer, address(9_999), later),
        Answered::New { near: false }
    );
    assert_eq!(table.bucket(0).len(), BUCKET_NODES);
    table.take_due(NOW + FORGOTTEN_AFTER);
    assert_eq!(table.iter().count(), 1, "only the newcomer answered in 182 s");
}

#[test]
fn each_node_is_asked_once_a_minute_and_the_deadline_says_when() {
    let (mut table, _) = filled(20);
    assert_eq!(table.deadline(), NOW + REFRESH_INTERVAL);
    assert!(table.take_due(NOW).is_empty());
    assert_eq!(table.take_due(table.deadline()).len(), table.iter().count());
    assert_eq!(table.deadline(), NOW + 2 * REFRESH_INTERVAL);
}

#[test]
fn a_node_that_moves_takes_its_entry_along_and_may_have_an_address_of_each_family() {
    let (mut table, keys) = filled(1);
    table.answered(NOW, keys[0], address(99), NOW);
    let addresses =
        |table: &Table| table.node(&keys[0]).unwrap().addresses(NOW).collect::<Vec<_>>();
    assert_eq!(addresses(&table), [(address(99), true)]);
    let ipv6 = Address::udp("[2001:db8::1]:1".parse().unwrap());
    assert!(table.wants(&keys[0], &ipv6, NOW) && !table.wants(&keys[0], &address(7), NOW));
    assert_eq!(table.answered(NOW, keys[0], ipv6, NOW), Answered::Known);
    assert_eq!(addresses(&table), [(address(99), true), (ipv6, true)]);
    assert_eq!(table.iter().count(), 1);
}

#[test]
fn who_answers_where_another_one_was_takes_its_place_there() {
    let (mut table, keys) = filled(2);
    let ipv6 = Address::udp("[2001:db8::1]:1".parse().unwrap());
    table.answered(NOW, keys[1], ipv6, NOW);
    let restarted = table.random_key(0, &mut Rng::from_seed([9; 32]));
    table.answered(NOW, restarted, address(0), NOW);
    assert!(table.node(&keys[0]).is_none(), "it was nowhere else");
    table.answered(NOW, restarted, address(1), NOW);
    let left: Vec<_> = table.node(&keys[1]).unwrap().addresses(NOW).collect();
    assert_eq!(left, [(ipv6, true)]);
    table.answered(NOW, keys[1], ipv6, NOW);
    assert_eq!(table.iter().count(), 2);
}

#[test]
fn a_random_key_belongs_where_it_was_asked_for() {
    let (table, _) = filled(0);
    let mut rng = Rng::from_seed([8; 32]);
    assert!((0..BUCKETS).all(|index| table.index(&table.random_key(index, &mut rng)) == index));
}
