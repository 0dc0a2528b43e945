//! Messages on channels: whole, once, in order, whatever the network does; and no channel waits for
//! another one.

mod support;

use core::time::Duration;

use bytes::Bytes;
use support::{Weather, World, messages};
use toktok_mesh::{
    ChannelId, CloseReason, Config, DropReason, Event, MAX_MESSAGE, OpenError, PacketError,
    SendError,
};

const MINUTE: Duration = Duration::from_secs(60);

fn weather(loss: u64) -> Weather {
    Weather { loss, jitter: Duration::from_millis(3), doubled: loss / 5, ..Weather::default() }
}

#[test]
fn messages_of_all_lengths_arrive_in_order_at_any_loss() {
    for loss in [0, 10, 100, 300] {
        let (mut world, channel, there) = World::with_channel(1, weather(loss));
        let lengths = [0, 1, 1366, 1367, 1368, 5000, 0, 100_000, MAX_MESSAGE, 7, 65_536, 3 * 1367];
        let messages = messages(lengths);
        let arrived = world.transfer((0, channel), (1, there), &messages, 10 * MINUTE);
        assert!(arrived, "at {loss} of a thousand lost");
        let back = world.transfer((1, there), (0, channel), &messages, 10 * MINUTE);
        assert!(back, "back at {loss} of a thousand lost");
    }
}

#[test]
fn more_packets_than_the_nonce_shows_and_more_than_twice() {
    let (mut world, channel, there) = World::with_channel(2, Weather::default());
    let messages = messages([MAX_MESSAGE; 172]); // 132 000 packets
    assert!(world.transfer((0, channel), (1, there), &messages, 10 * MINUTE));
    assert!(world.nodes[0].sent > 2 * 65_536);
    assert_eq!(world.nodes[1].stack.drops().total(), 0);
}

/// Time that 8 MiB take.
fn transfer_time(weather: Weather) -> Duration {
    let (mut world, channel, there) = World::with_channel(3, weather);
    let messages = messages([MAX_MESSAGE; 8]);
    let start = world.now;
    assert!(world.transfer((0, channel), (1, there), &messages, 10 * MINUTE));
    world.now.since(start)
}

#[test]
fn one_packet_lost_in_a_hundred_does_not_stall_a_transfer() {
    let path = Weather { delay: Duration::from_millis(25), ..Weather::default() };
    let clean = transfer_time(path);
    let lossy = transfer_time(Weather { loss: 10, ..path });
    assert!(clean < Duration::from_secs(2), "{clean:?}");
    assert!(lossy < 3 * clean, "{lossy:?} against {clean:?}");
}

#[test]
fn lost_packets_are_sent_again_without_waste() {
    let (mut world, channel, there) = World::with_channel(4, weather(10));
    let before = world.nodes[0].sent;
    let messages = messages([MAX_MESSAGE; 8]);
    assert!(world.transfer((0, channel), (1, there), &messages, MINUTE));
    let packets = world.nodes[0].sent - before;
    let least = (8 * MAX_MESSAGE).div_ceil(1367) as u64;
    assert!(packets < least * 104 / 100, "{packets} packets where {least} are the least");
}

#[test]
fn a_protocol_that_nobody_listens_to_is_refused() {
    let mut world = World::pair(5, Weather::default());
    world.connect(0, 1);
    let (a, b) = (world.key(0), world.key(1));
    world.with(1, |stack, _| stack.listen("chess/1"));
    let channel = world.with(0, |stack, now| stack.open(now, b, "go/1")).unwrap();
    let early = world.with(0, |stack, now| stack.send(now, channel, Bytes::from_static(b"e2e4")));
    assert_eq!(early, Ok(()));
    world.run_for(Duration::from_secs(1));
    let closed = Event::ChannelClosed { channel, peer: b };
    assert_eq!(world.nodes[0].events.last(), Some(&closed));
    assert_eq!(world.nodes[1].stack.drops()[DropReason::Refused], 1);
    assert_eq!(world.nodes[1].events, [Event::SessionUp { peer: a }]);
    let late = world.with(0, |stack, now| stack.send(now, channel, Bytes::new()));
    assert_eq!(late, Err(SendError::Unknown));
}

#[test]
fn what_callers_do_wrong_is_told() {
    let (mut world, channel, _) = World::with_channel(6, Weather::default());
    let b = world.key(1);
    let nobody = support::messages([32]);
    let long = Bytes::from(vec![0; MAX_MESSAGE + 1]);
    let stack = |world: &mut World, protocol: &str| {
        world.with(0, |stack, now| stack.open(now, b, protocol))
    };
    assert_eq!(stack(&mut world, ""), Err(OpenError::InvalidName));
    assert_eq!(stack(&mut world, &"x".repeat(65)), Err(OpenError::InvalidName));
    let own = world.key(0);
    let alone = world.with(0, |stack, now| stack.open(now, own, "test"));
    assert_eq!(alone, Err(OpenError::NotConnected));
    let too_large = world.with(0, |stack, now| stack.send(now, channel, long));
    assert_eq!(too_large, Err(SendError::TooLarge));
    let packet = |world: &mut World, id, data: Bytes| {
        world.with(0, |stack, now| stack.send_packet(now, b, id, data))
    };
    assert_eq!(packet(&mut world, 161, nobody[0].clone()), Err(PacketError::Reserved));
    assert_eq!(packet(&mut world, 2, nobody[0].clone()), Err(PacketError::Reserved));
    let long = Bytes::from(vec![0; 1373]);
    assert_eq!(packet(&mut world, 170, long), Err(PacketError::TooLarge));
    let mut opened = 1;
    while stack(&mut world, "test").is_ok() {
        opened += 1;
    }
    assert_eq!(opened, Config::default().max_channels);
}

#[test]
fn a_full_queue_says_so_and_tells_when_there_is_space() {
    let (mut world, channel, there) = World::with_channel(7, Weather::default());
    let message = Bytes::from(vec![7; MAX_MESSAGE]);
    let mut queued = 0;
    let refused = loop {
        let space = world.nodes[0].stack.send_space(channel);
        let sent = world.with(0, |stack, now| stack.send(now, channel, message.clone()));
        assert_eq!(sent.is_ok(), space >= MAX_MESSAGE, "send_space tells the truth");
        match sent {
            Ok(()) => queued += 1,
            Err(error) => break error,
        }
        assert!(queued < 100);
    };
    assert_eq!(refused, SendError::Full);
    world.run_for(MINUTE);
    let writable = Event::Writable { channel };
    assert_eq!(world.nodes[0].events.iter().filter(|event| **event == writable).count(), 1);
    assert_eq!(world.messages(1, there).len(), queued);
}

#[test]
fn closing_lets_the_queue_go_first() {
    let (mut world, channel, there) = World::with_channel(8, weather(50));
    let sent = messages([MAX_MESSAGE, 10, 100_000]);
    for message in &sent {
        let message = message.clone();
        assert_eq!(world.with(0, |stack, now| stack.send(now, channel, message)), Ok(()));
    }
    world.with(0, |stack, now| stack.close(now, channel));
    let late = world.with(0, |stack, now| stack.send(now, channel, Bytes::new()));
    assert_eq!(late, Err(SendError::Unknown));
    world.run_for(MINUTE);
    assert_eq!(world.messages(1, there), sent);
    let closed = Event::ChannelClosed { channel: there, peer: world.key(0) };
    assert_eq!(world.nodes[1].events.last(), Some(&closed));
    let unknown = world.with(1, |stack, now| stack.send(now, there, Bytes::new()));
    assert_eq!(unknown, Err(SendError::Unknown));
}

#[test]
fn a_session_that_ends_takes_its_channels_along() {
    let (mut world, channel, there) = World::with_channel(9, Weather::default());
    let (a, b) = (world.key(0), world.key(1));
    world.with(0, |stack, now| stack.disconnect(now, b));
    world.run_for(Duration::from_secs(1));
    let ours = [
        Event::ChannelClosed { channel, peer: b },
        Event::SessionDown { peer: b, reason: CloseReason::Local },
    ];
    let theirs = [
        Event::ChannelClosed { channel: there, peer: a },
        Event::SessionDown { peer: a, reason: CloseReason::Peer },
    ];
    assert!(world.nodes[0].events.ends_with(&ours));
    assert!(world.nodes[1].events.ends_with(&theirs));
}

/// When the first message came to a node on a channel, in virtual time.
fn arrival(world: &mut World, node: usize, channel: ChannelId) -> Duration {
    let start = world.now;
    let came = world.run_until(MINUTE, |world| !world.messages(node, channel).is_empty());
    assert!(came);
    world.now.since(start)
}

#[test]
fn a_short_message_overtakes_long_ones_of_another_channel() {
    let path = Weather { delay: Duration::from_millis(10), ..Weather::default() };
    let (mut world, bulk, _) = World::with_channel(10, path);
    let (chat, there) = world.open(0, 1, "chat");
    for _ in 0..4 {
        let message = Bytes::from(vec![1; MAX_MESSAGE]);
        world.with(0, |stack, now| stack.send(now, bulk, message)).unwrap();
    }
    world.with(0, |stack, now| stack.send(now, chat, Bytes::from_static(b"hello"))).unwrap();
    let took = arrival(&mut world, 1, there);
    assert!(took <= Duration::from_millis(45), "{took:?}");
}

#[test]
fn channels_share_the_session_fairly() {
    let (mut world, first, there_first) = World::with_channel(11, Weather::default());
    let (second, there_second) = world.open(0, 1, "other");
    for channel in [first, first, first, second, second, second] {
        let message = Bytes::from(vec![1; MAX_MESSAGE]);
        world.with(0, |stack, now| stack.send(now, channel, message)).unwrap();
    }
    let both = |world: &World| {
        (world.messages(1, there_first).len(), world.messages(1, there_second).len())
    };
    world.run_until(MINUTE, |world| both(world).0 + both(world).1 == 3);
    assert!(both(&world).0 >= 1 && both(&world).1 >= 1);
}

#[test]
fn custom_packets_are_handed_up_to_those_who_asked() {
    let mut world = World::new(12, weather(100));
    let mut config = Config::default();
    config.custom_packets = true;
    world.add(config);
    world.add(Config::default());
    world.connect(0, 1);
    let a = world.key(0);
    for number in 0..50_u8 {
        let data = Bytes::copy_from_slice(&[number]);
        world.with(1, |stack, now| stack.send_packet(now, a, 170, data.clone())).unwrap();
        world.with(1, |stack, now| stack.send_packet(now, a, 210, data)).unwrap();
    }
    world.run_for(Duration::from_secs(20));
    let of = |wanted: u8| -> Vec<u8> {
        let packets = world.nodes[0].events.iter().filter_map(|event| match event {
            Event::Packet { id, data, .. } if *id == wanted => data.first().copied(),
            _ => None,
        });
        packets.collect()
    };
    assert_eq!(of(170), (0..50).collect::<Vec<u8>>(), "lossless: all, in order");
    let lossy = of(210);
    assert!(lossy.len() < 50 && lossy.len() > 20, "lossy: {}", lossy.len());
}

#[test]
fn many_channels_carry_many_messages_both_ways_under_loss() {
    let (mut world, first, there) = World::with_channel(13, weather(30));
    let mut channels = vec![(first, there)];
    for number in 0..8 {
        channels.push(world.open(number % 2, 1 - number % 2, &format!("p/{number}")));
    }
    // `open` names the opener's end first.
    for (number, ends) in channels.iter_mut().enumerate().skip(1) {
        if number % 2 == 0 {
            *ends = (ends.1, ends.0);
        }
    }
    let sent = messages((0..200).map(|number| number * number % 9000));
    for message in &sent {
        for (here, there) in &channels {
            world.with(0, |stack, now| stack.send(now, *here, message.clone())).unwrap();
            world.with(1, |stack, now| stack.send(now, *there, message.clone())).unwrap();
        }
    }
    world.run_for(2 * MINUTE);
    for (here, there) in &channels {
        assert_eq!(world.messages(0, *here), sent);
        assert_eq!(world.messages(1, *there), sent);
    }
}

#[test]
fn a_peer_whose_word_got_lost_is_told_again() {
    let (mut world, channel, there) = World::with_channel(14, Weather::default());
    world.tap = Some(Box::new(|_, datagram| datagram.from == support::address(0)));
    let message = Bytes::from(vec![1; 20_000]);
    world.with(0, |stack, now| stack.send(now, channel, message)).unwrap();
    world.run_for(Duration::from_secs(2));
    assert_eq!(world.messages(1, there).len(), 1);
    assert!(world.nodes[1].stack.drops()[DropReason::Replayed] > 0, "probes in vain");
    world.tap = None;
    world.run_for(Duration::from_secs(5));
    let quiet = world.nodes[0].sent;
    world.run_for(Duration::from_secs(7));
    assert!(world.nodes[0].sent <= quiet + 1, "nothing is sent again any more");
}
