use proptest::prelude::*;

use super::*;
use crate::relay::stage::Stage;

const A: usize = 0;
const B: usize = 1;
const RELAY: usize = 2;

fn send(stage: &mut Stage, from: usize, to: usize, packet: &[u8]) -> bool {
    let to = stage.key(to);
    stage.act(from, |pool, cx| pool.send(cx, to, packet))
}

fn count(events: &[PoolEvent], wanted: &PoolEvent) -> usize {
    events.iter().filter(|event| *event == wanted).count()
}

#[test]
fn peers_meet_at_a_relay_out_of_band_first_then_connected() {
    let mut stage = Stage::new(1, 3);
    let (a, b, relay) = (stage.key(A), stage.key(B), stage.key(RELAY));
    // Only A asks for B, who has a connection of its own to the relay.
    stage.act(B, |pool, cx| {
        pool.add_relay(cx, relay, Stage::address(RELAY));
        pool.keep_base(cx, true);
    });
    stage.act(A, |pool, cx| {
        assert!(!pool.send(cx, b, b"nobody"), "no peer and no stranger who wrote");
        pool.add_peer(cx, b);
        assert!(!pool.send(cx, b, b"no relay"));
        assert!(pool.add_peer_relay(cx, b, relay, Stage::address(RELAY)));
    });
    assert_eq!(stage.events(A), [PoolEvent::RelayUp { relay }]);
    assert!(!stage.nodes[A].pool.is_online(&b));
    assert!(send(&mut stage, A, B, b"cookie?"));
    assert!(!send(&mut stage, A, B, &[1; 1025]), "too long to go out of band");
    assert_eq!(stage.packets(B), [(a, b"cookie?".to_vec())]);
    // B answers a stranger the way it came, and makes it a peer: the way is known.
    assert!(send(&mut stage, B, A, b"cookie!"));
    assert_eq!(stage.packets(A), [(b, b"cookie!".to_vec())]);
    stage.act(B, |pool, cx| assert!(pool.add_peer(cx, a)));
    assert_eq!(stage.events(B), [PoolEvent::PeerOnline { peer: a }]);
    assert_eq!(stage.events(A), [PoolEvent::PeerOnline { peer: b }]);
    assert!(send(&mut stage, A, B, &[2; 1400]) && send(&mut stage, B, A, &[3; 1400]));
    assert_eq!(stage.packets(B), [(a, vec![2; 1400])]);
    assert_eq!(stage.packets(A), [(b, vec![3; 1400])]);
    stage.act(B, |pool, cx| pool.remove_peer(cx, a));
    assert_eq!(stage.events(A), [PoolEvent::PeerOffline { peer: b }]);
    assert!(send(&mut stage, A, B, b"still there?"), "out of band again");
}

#[test]
fn a_peer_has_several_relays_and_data_goes_over_one_that_is_left() {
    let mut stage = Stage::new(1, 5);
    for relay in 2..5 {
        stage.introduce(A, B, relay);
    }
    let (a, b) = (stage.key(A), stage.key(B));
    assert_eq!(count(&stage.events(A), &PoolEvent::PeerOnline { peer: b }), 1);
    assert_eq!(stage.nodes[A].pool.peers[&b].online_count(), 3);
    stage.packets(B);
    for relay in 2..4 {
        stage.nodes[relay].is_up = false;
        stage.cut(relay);
        assert!(send(&mut stage, A, B, &[relay as u8; 1300]));
        assert_eq!(stage.packets(B), [(a, vec![relay as u8; 1300])]);
    }
    stage.cut(4);
    let events = stage.events(A);
    assert_eq!(count(&events, &PoolEvent::PeerOffline { peer: b }), 1);
    // The last one comes back by itself, within seconds.
    stage.wait(Duration::from_secs(4));
    assert!(stage.nodes[A].pool.is_online(&b));
    assert!(send(&mut stage, A, B, &[9; 1300]));
    // One that stays away is no way to the peer after some attempts.
    stage.wait(Duration::from_secs(300));
    assert_eq!(stage.nodes[A].pool.peers[&b].relays().len(), 1);
    assert_eq!(stage.nodes[A].pool.relays.len(), 1);
}

#[test]
fn a_peer_behind_a_dead_cable_is_gone_after_forty_seconds() {
    let mut stage = Stage::new(1, 3);
    stage.introduce(A, B, RELAY);
    let b = stage.key(B);
    assert!(stage.nodes[A].pool.is_online(&b));
    stage.pull(B);
    stage.wait(Duration::from_secs(41));
    assert!(!stage.nodes[A].pool.is_online(&b));
    stage.pull(RELAY);
    stage.wait(Duration::from_secs(41));
    assert!(stage.events(A).contains(&PoolEvent::RelayDown { relay: stage.key(RELAY) }));
}

#[test]
fn only_peers_who_are_awake_keep_connections_open() {
    let mut stage = Stage::new(1, 3);
    stage.introduce(A, B, RELAY);
    let b = stage.key(B);
    stage.act(A, |pool, cx| pool.set_awake(cx, b, false));
    stage.wait(Duration::from_secs(9));
    assert!(stage.nodes[A].pool.is_online(&b));
    stage.wait(Duration::from_secs(2));
    assert!(!stage.nodes[A].pool.is_online(&b));
    assert_eq!(stage.nodes[RELAY].server.client_count(), 1);
    stage.wait(Duration::from_secs(100));
    assert_eq!(stage.nodes[A].pool.deadline(), None, "who sleeps does nothing");
    stage.act(A, |pool, cx| pool.set_awake(cx, b, true));
    assert!(stage.nodes[A].pool.is_online(&b));
}

#[test]
fn three_of_the_known_relays_are_kept_and_replaced_when_they_fail() {
    let mut stage = Stage::new(1, 8);
    for relay in 2..8 {
        let key = stage.key(relay);
        stage.act(A, |pool, cx| pool.add_relay(cx, key, Stage::address(relay)));
    }
    assert!(stage.nodes[A].pool.relays.values().all(|relay| relay.client.is_none()));
    stage.act(A, |pool, cx| pool.keep_base(cx, true));
    for _ in 0..3 {
        let usable = stage.nodes[A].pool.onion_relays();
        assert_eq!(usable.len(), RECOMMENDED_RELAYS);
        assert_eq!(stage.nodes[A].pool.relays_to_share().len(), RECOMMENDED_RELAYS);
        assert!(usable.contains(&stage.nodes[A].pool.random_onion_relay().unwrap()));
        let victim = (2..8).find(|relay| stage.key(*relay) == usable[0]).unwrap();
        stage.nodes[victim].is_up = false;
        stage.cut(victim);
    }
    // All six known, three left: when these fail too, they are tried again and again.
    for relay in 2..8 {
        stage.nodes[relay].is_up = false;
        stage.cut(relay);
    }
    stage.wait(Duration::from_secs(3_000));
    assert!(stage.nodes[A].pool.onion_relays().is_empty());
    for relay in 2..8 {
        stage.nodes[relay].is_up = true;
    }
    stage.wait(Duration::from_secs(460));
    assert_eq!(stage.nodes[A].pool.onion_relays().len(), RECOMMENDED_RELAYS);
    stage.act(A, |pool, cx| pool.keep_base(cx, false));
    stage.wait(Duration::from_secs(11));
    assert!(stage.nodes[A].pool.relays_to_share().is_empty());
}

#[test]
fn relays_that_bring_nobody_are_let_go() {
    let mut stage = Stage::new(1, 8);
    let b = stage.key(B);
    stage.act(A, |pool, cx| pool.add_peer(cx, b));
    for relay in 2..8 {
        let key = stage.key(relay);
        let address = Stage::address(relay);
        assert!(stage.act(A, |pool, cx| pool.add_peer_relay(cx, b, key, address)));
    }
    assert_eq!(stage.nodes[A].pool.relays_to_share().len(), MAX_PEER_RELAYS);
    stage.wait(Duration::from_secs(11));
    assert_eq!(stage.nodes[A].pool.relays_to_share().len(), RECOMMENDED_RELAYS);
    assert_eq!(stage.nodes[A].pool.relays.len(), RECOMMENDED_RELAYS);
}

#[test]
fn everything_that_others_tell_is_bounded() {
    let mut stage = Stage::new(1, 3);
    let (b, relay) = (stage.key(B), stage.key(RELAY));
    let address = |number: u16| SocketAddr::from(([203, 0, 113, 200], number));
    stage.act(A, |pool, cx| {
        assert!(!pool.add_peer_relay(cx, b, relay, address(1)), "no peer");
        pool.add_peer(cx, b);
        for number in 1..100 {
            let key = PublicKey([number as u8; 32]);
            pool.add_peer_relay(cx, b, key, address(number));
        }
        assert!(pool.peers[&b].relays().len() <= MAX_PEER_RELAYS);
        assert!(pool.relays.len() <= MAX_RELAYS);
        for number in 0..200 {
            pool.add_relay(cx, PublicKey([number as u8; 32]), address(443));
        }
        assert!(pool.relays.len() <= MAX_RELAYS);
        for (ip, port) in [([0, 0, 0, 0], 443), ([224, 0, 0, 1], 443), ([203, 0, 113, 1], 0)] {
            assert!(!pool.add_relay(cx, PublicKey([222; 32]), (ip, port).into()));
        }
        assert_eq!(
            (0..2 * MAX_PEERS)
                .filter(|i| {
                    let mut key = [9; 32];
                    key[..8].copy_from_slice(&i.to_be_bytes());
                    pool.add_peer(cx, PublicKey(key))
                })
                .count(),
            MAX_PEERS - 1
        );
    });
    // Strangers who write by the hundreds.
    let mut stage = Stage::new(2, 1 + 100);
    let (a, relay) = (stage.key(A), stage.key(1));
    for stranger in (0..100).filter(|node| *node != 1) {
        stage.act(stranger, |pool, cx| {
            pool.add_relay(cx, relay, Stage::address(1));
            pool.keep_base(cx, true);
        });
    }
    for stranger in 2..100 {
        stage.act(stranger, |pool, cx| {
            pool.add_peer(cx, a);
            pool.add_peer_relay(cx, a, relay, Stage::address(1));
        });
        assert!(send(&mut stage, stranger, A, b"hello"));
    }
    assert_eq!(stage.packets(A).len(), 98);
    assert_eq!(stage.nodes[A].pool.strangers.len(), MAX_STRANGERS);
    assert!(send(&mut stage, A, 99, b"hi") && !send(&mut stage, A, 2, b"hi"));
}

#[test]
fn onion_and_forwarded_packets_go_to_the_relay_and_back() {
    use crate::relay::server::ServerEvent;
    use crate::wire::{Encode, Nonce};
    let mut stage = Stage::new(1, 3);
    let relay = stage.key(RELAY);
    let next = IpPort::udp(([203, 0, 113, 9], 33445).into());
    let request =
        RelayPacket::OnionRequest { nonce: Nonce([1; 24]), next, key: relay, boxed: &[3; 300] };
    let request = request.to_bytes();
    stage.act(A, |pool, cx| {
        pool.add_relay(cx, relay, Stage::address(RELAY));
        pool.keep_base(cx, true);
        assert!(!pool.send_onion(cx, relay, &request), "not yet connected");
    });
    stage.act(A, |pool, cx| {
        assert!(pool.send_onion(cx, relay, &request));
        assert!(!pool.send_onion(cx, relay, &request[1..]), "no onion request");
        assert!(pool.send_forward(cx, relay, next, b"forward"));
    });
    let requests = core::mem::take(&mut stage.nodes[RELAY].requests);
    let [ServerEvent::OnionRequest { client, .. }, ServerEvent::ForwardRequest { .. }] =
        requests[..]
    else {
        panic!("{requests:?}");
    };
    stage.serve(RELAY, |server, cx| {
        assert!(server.respond_onion(cx, client, &[0x84; 100]));
        assert!(server.respond_forward(cx, client, b"backward"));
    });
    let events = stage.events(A);
    let response = PoolEvent::OnionResponse { relay, packet: vec![0x84; 100] };
    let forwarded = PoolEvent::Forwarded { relay, data: b"backward".to_vec() };
    assert_eq!(events, [PoolEvent::RelayUp { relay }, response, forwarded]);
}

#[test]
fn a_relay_that_does_not_read_does_not_fill_our_memory() {
    let mut stage = Stage::new(1, 3);
    stage.introduce(A, B, RELAY);
    stage.nodes[RELAY].is_stuck = true;
    let sent = (0..1_000).filter(|_| send(&mut stage, A, B, &[1; 1300])).count();
    assert!((40..60).contains(&sent), "{sent}");
    stage.nodes[RELAY].is_stuck = false;
    stage.run();
    assert_eq!(stage.packets(B).len(), sent);
    assert!(send(&mut stage, A, B, &[1; 1300]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// However bytes are split, packets arrive once, whole and in order.
    #[test]
    fn packets_arrive_in_order_whatever_the_splits(
        seed: u8,
        packets in prop::collection::vec((any::<bool>(), any::<u8>(), 1_usize..1500), 1..60),
    ) {
        let mut stage = Stage::new(seed, 3);
        stage.introduce(A, B, RELAY);
        stage.events(A);
        stage.events(B);
        let mut expected = [Vec::new(), Vec::new()];
        for (from_a, byte, len) in packets {
            let (from, to) = if from_a { (A, B) } else { (B, A) };
            let packet = vec![byte; len];
            prop_assert!(send(&mut stage, from, to, &packet));
            expected[to].push((stage.key(from), packet));
        }
        for node in [A, B] {
            prop_assert_eq!(&stage.packets(node), &expected[node]);
        }
        prop_assert_eq!(stage.nodes[RELAY].drops.total(), 0);
    }
}
