//! A friend's life as [`Friends`] sees it.

use super::*;
use crate::wire::address::{IpPort, Protocol};

const FRIEND: PublicKey = PublicKey([1; 32]);
const DHT: PublicKey = PublicKey([2; 32]);
const NOW: Time = Time::from_secs(100);

fn address(port: u16) -> Address {
    Address::udp(([10, 0, 0, 1], port).into())
}

fn drain(friends: &mut Friends) -> Vec<Action> {
    core::iter::from_fn(|| friends.poll()).collect()
}

fn known() -> Friends {
    let mut friends = Friends::default();
    assert!(friends.add(FRIEND, Tie::Friend));
    friends.learnt(NOW, FRIEND, DHT, &[]);
    assert_eq!(drain(&mut friends), [Action::Seek { dht_key: DHT }]);
    friends
}

fn attempt(address: Option<Address>, relayed: bool) -> Action {
    Action::Connect { friend: FRIEND, dht_key: DHT, address, relayed }
}

#[test]
fn every_new_way_is_tried_at_once_and_a_known_one_again_after_a_while() {
    let mut friends = known();
    friends.found(NOW, DHT, address(1));
    assert_eq!(drain(&mut friends), [attempt(Some(address(1)), false)]);
    friends.found(NOW, DHT, address(1));
    assert_eq!(drain(&mut friends), [], "the attempt goes on");
    friends.relayed(NOW, DHT, true);
    assert_eq!(drain(&mut friends), [attempt(Some(address(1)), true)]);
    assert!(friends.failed(NOW, FRIEND));
    friends.handle_timeout(NOW);
    assert_eq!(drain(&mut friends), []);
    let at = friends.deadline().unwrap();
    assert_eq!(at, NOW + FIRST_RETRY);
    friends.handle_timeout(at);
    assert_eq!(drain(&mut friends), [attempt(Some(address(1)), true)]);
}

#[test]
fn a_session_that_ends_is_made_again_and_a_silent_key_is_forgotten() {
    let mut friends = known();
    friends.found(NOW, DHT, address(1));
    friends.up(NOW, FRIEND);
    drain(&mut friends);
    friends.handle_timeout(NOW);
    assert_eq!(drain(&mut friends), [Action::ShareRelays { friend: FRIEND }]);
    assert_eq!(friends.deadline(), Some(NOW + SHARE_INTERVAL));
    friends.down(NOW, FRIEND);
    let offline = Action::Online { friend: FRIEND, online: false };
    assert_eq!(drain(&mut friends), [offline, attempt(Some(address(1)), false)]);
    let mut now = NOW;
    let mut attempts = 0;
    while friends.dht_key_of(&FRIEND).is_some() {
        friends.failed(now, FRIEND);
        now = friends.deadline().unwrap();
        friends.handle_timeout(now);
        attempts += drain(&mut friends).len();
        assert!(attempts < 30);
    }
    assert_eq!(now, NOW + DHT_KEY_TIMEOUT);
    assert_eq!(friends.owner_of(&DHT), None);
    assert_eq!(friends.deadline(), None, "the onion goes on searching");
}

#[test]
fn a_new_run_of_the_friend_replaces_the_old_one() {
    let mut friends = known();
    let new = PublicKey([3; 32]);
    let endpoint = IpPort { protocol: Protocol::Tcp, address: ([10, 0, 0, 2], 443).into() };
    let nodes = vec![PackedNode { endpoint, key: PublicKey([9; 32]) }];
    friends.learnt(NOW, FRIEND, new, &nodes);
    let hint = Action::Hint { dht_key: new, nodes };
    let expected = [Action::Leave { dht_key: DHT }, Action::Seek { dht_key: new }, hint];
    assert_eq!(drain(&mut friends), expected);
    assert_eq!(friends.owner_of(&new), Some(FRIEND));
    friends.found(NOW, DHT, address(1));
    assert_eq!(drain(&mut friends), [], "the old run is nobody's");
}

#[test]
fn nobody_takes_over_another_friends_dht_key() {
    let mut friends = known();
    let thief = PublicKey([7; 32]);
    friends.add(thief, Tie::Friend);
    friends.learnt(NOW, thief, DHT, &[]);
    assert_eq!(friends.owner_of(&DHT), Some(FRIEND));
    assert_eq!(drain(&mut friends), []);
}

#[test]
fn who_is_removed_is_left_alone() {
    let mut friends = known();
    assert!(friends.remove(FRIEND, Tie::Friend) && !friends.remove(FRIEND, Tie::Friend));
    let expected = [Action::Leave { dht_key: DHT }, Action::Disconnect { friend: FRIEND }];
    assert_eq!(drain(&mut friends), expected);
    friends.learnt(NOW, FRIEND, DHT, &[]);
    friends.up(NOW, FRIEND);
    assert_eq!(drain(&mut friends), []);
    assert!(!friends.failed(NOW, FRIEND));
}

#[test]
fn friends_are_bounded() {
    let mut friends = Friends::default();
    for number in 0..=MAX_FRIENDS as u32 {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&number.to_be_bytes());
        assert_eq!(friends.add(PublicKey(key), Tie::Friend), (number as usize) < MAX_FRIENDS);
    }
    assert_eq!(friends.iter().count(), MAX_FRIENDS);
    assert!(friends.contains(&PublicKey([0; 32])));
}

#[test]
fn an_acquaintance_is_a_contact_but_no_friend() {
    let mut friends = known();
    let member = PublicKey([7; 32]);
    friends.rumoured(NOW, member, PublicKey([8; 32]));
    assert_eq!(drain(&mut friends), [], "it is nobody's yet");
    assert!(friends.add(member, Tie::Acquaintance) && friends.add(FRIEND, Tie::Acquaintance));
    assert!(friends.knows(&member) && !friends.contains(&member));
    assert_eq!(friends.iter().collect::<Vec<_>>(), [FRIEND]);
    // The latest rumour counts for who is no friend, and none for a friend who told its key.
    friends.rumoured(NOW, FRIEND, PublicKey([8; 32]));
    assert_eq!(drain(&mut friends), []);
    friends.rumoured(NOW, member, PublicKey([8; 32]));
    assert_eq!(drain(&mut friends), [Action::Seek { dht_key: PublicKey([8; 32]) }]);
    // A friend that is an acquaintance too stays connected when it is no friend any more.
    assert!(friends.remove(FRIEND, Tie::Friend));
    assert_eq!(drain(&mut friends), []);
    assert!(friends.knows(&FRIEND) && !friends.contains(&FRIEND));
    assert!(friends.remove(FRIEND, Tie::Acquaintance));
    let expected = [Action::Leave { dht_key: DHT }, Action::Disconnect { friend: FRIEND }];
    assert_eq!(drain(&mut friends), expected);
}

#[test]
fn a_rumour_keeps_no_friend_from_its_key() {
    let mut friends = known();
    let (member, new) = (PublicKey([7; 32]), PublicKey([8; 32]));
    assert!(friends.add(member, Tie::Acquaintance));
    friends.rumoured(NOW, member, DHT);
    assert_eq!(friends.owner_of(&DHT), Some(FRIEND));
    friends.rumoured(NOW, member, new);
    friends.learnt(NOW, FRIEND, new, &[]);
    assert_eq!(friends.owner_of(&new), Some(FRIEND));
    drain(&mut friends);
    assert!(friends.remove(member, Tie::Acquaintance));
    assert_eq!(drain(&mut friends), [Action::Disconnect { friend: member }]);
}

#[test]
fn acquaintances_are_bounded_apart_from_friends() {
    let mut friends = known();
    for number in 0..=MAX_ACQUAINTANCES as u32 {
        let mut key = [9; 32];
        key[..4].copy_from_slice(&number.to_be_bytes());
        let room = (number as usize) < MAX_ACQUAINTANCES;
        assert_eq!(friends.add(PublicKey(key), Tie::Acquaintance), room);
    }
    assert!(friends.add(PublicKey([10; 32]), Tie::Friend));
}
