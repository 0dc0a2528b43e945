//! Packets that are no channel's: numbered, delivered once and in order, within bounds.

mod support;

use core::time::Duration;

use bytes::Bytes;
use support::{Weather, World};
use toktok_mesh::{CloseReason, Config, Event, PacketError, PacketNumber};

const SECOND: Duration = Duration::from_secs(1);

fn world(seed: u8, loss: u64) -> World {
    let jitter = Duration::from_millis(15);
    let mut world = World::new(seed, Weather { loss, jitter, doubled: loss, ..Weather::default() });
    let mut config = Config::default();
    config.custom_packets = true;
    world.add(config.clone());
    world.add(config);
    world.connect(0, 1);
    world
}

fn send(world: &mut World, number: u64) -> Result<PacketNumber, PacketError> {
    let peer = world.key(1);
    let data = Bytes::copy_from_slice(&number.to_be_bytes());
    world.with(0, |stack, now| stack.send_packet(now, peer, 170, data))
}

/// The numbers in the packets that came.
fn came(world: &World) -> Vec<u64> {
    let packets = world.nodes[1].events.iter().filter_map(|event| match event {
        Event::Packet { id: 170, data, .. } => data.first_chunk().map(|it| u64::from_be_bytes(*it)),
        _ => None,
    });
    packets.collect()
}

/// What node 0 was told to be delivered.
fn delivered(world: &World) -> Vec<u64> {
    let told = world.nodes[0].events.iter().filter_map(|event| match event {
        Event::Delivered { before, .. } => Some(before.0),
        _ => None,
    });
    told.collect()
}

#[test]
fn deliveries_are_told_in_order_and_never_too_early() {
    let mut world = world(1, 100);
    let total = 700;
    for number in 0..total {
        assert_eq!(send(&mut world, number), Ok(PacketNumber(number)));
    }
    let end = world.now + 60 * SECOND;
    while world.step(end) {
        let told = delivered(&world).last().copied().unwrap_or(0);
        assert!(told <= came(&world).len() as u64, "told of {told}");
    }
    assert_eq!(came(&world), (0..total).collect::<Vec<_>>());
    let told = delivered(&world);
    assert!(told.is_sorted_by(|a, b| a < b));
    assert_eq!(told.last(), Some(&total));
}

#[test]
fn a_full_queue_says_so_once_and_tells_when_there_is_room() {
    let mut world = world(2, 0);
    let peer = world.key(1);
    assert!(world.nodes[0].stack.packet_space(peer) >= 1024);
    let mut sent = 0;
    while send(&mut world, sent).is_ok() {
        sent += 1;
    }
    assert_eq!(send(&mut world, sent), Err(PacketError::Full));
    assert_eq!(world.nodes[0].stack.packet_space(peer), 0);
    world.run_for(5 * SECOND);
    let writable = Event::PacketWritable { peer };
    let told = world.nodes[0].events.iter().filter(|event| **event == writable).count();
    assert_eq!(told, 1);
    assert_eq!(send(&mut world, sent), Ok(PacketNumber(sent)), "refused ones have no number");
    world.run_for(SECOND);
    assert_eq!(came(&world), (0..=sent).collect::<Vec<_>>());
    assert_eq!(delivered(&world).last(), Some(&(sent + 1)));
}

#[test]
fn a_full_queue_of_packets_does_not_disturb_channels() {
    let mut world = world(3, 20);
    let (channel, there) = world.open(0, 1, "test");
    let mut sent = 0;
    while send(&mut world, sent).is_ok() {
        sent += 1;
    }
    // Each message makes the other side give credit, which is a frame against the full queue.
    let messages = support::messages((0..100).map(|_| 20_000));
    assert!(world.transfer((1, there), (0, channel), &messages, 60 * SECOND));
    assert!(world.transfer((0, channel), (1, there), &messages, 60 * SECOND));
    assert!(world.connected(0, 1));
    assert_eq!(came(&world).len() as u64, sent);
}

#[test]
fn a_session_that_comes_again_numbers_anew() {
    let mut world = world(4, 0);
    let (a, b) = (world.key(0), world.key(1));
    for number in 0..10 {
        assert_eq!(send(&mut world, number), Ok(PacketNumber(number)));
    }
    world.run_for(SECOND);
    world.with(1, |stack, now| stack.disconnect(now, a));
    world.run_for(SECOND);
    assert_eq!(send(&mut world, 0), Err(PacketError::NotConnected));
    let down = Event::SessionDown { peer: b, reason: CloseReason::Peer };
    assert_eq!(world.nodes[0].events.last(), Some(&down));
    for round in 0..5 {
        let (from, to) = (round % 2, 1 - round % 2);
        world.connect(from, to);
        assert_eq!(send(&mut world, 0), Ok(PacketNumber(0)), "round {round}");
        world.run_for(SECOND);
        assert_eq!(delivered(&world).last(), Some(&1));
        let other = world.key(to);
        world.with(from, |stack, now| stack.disconnect(now, other));
        world.run_for(SECOND);
    }
    assert_eq!(world.sessions_up_and_down(0), (6, 6));
    assert_eq!(world.sessions_up_and_down(1), (6, 6));
}
