use core::time::Duration;

use super::*;
use crate::relay::pipe::{Input, MAX_UNSENT, Pipe};
use crate::relay::stage::Stage;
use crate::wire::relay::{
    ConnectionId, MAX_FRAME, RelayAnswerHeader, RelayHelloHeader, RelayKeys, RelayPacket,
};
use crate::wire::{KeyPair, SharedKey};

/// A client made by hand at the relay of node 0.
struct Hand {
    stream: StreamId,
    pipe: Pipe,
    input: Input,
    closed: bool,
}

fn hello(relay: PublicKey, pair: &KeyPair, session: &KeyPair) -> (SharedKey, Vec<u8>) {
    let shared = pair.secret.shared_key(&relay);
    let keys = RelayKeys { session_key: session.public, base_nonce: Nonce([5; 24]) };
    let header = RelayHelloHeader { client: pair.public, nonce: Nonce([6; 24]) };
    let hello = header.seal(&shared, &keys);
    (shared, hello)
}

impl Hand {
    /// Shakes hands; the relay does not know yet that the client can read its answer.
    fn greet(stage: &mut Stage, pair: &KeyPair) -> Self {
        let session = KeyPair::from_secret(crate::wire::SecretKey::from_bytes([7; 32]));
        let (shared, hello) = hello(stage.key(0), pair, &session);
        let stream = stage.accept(0);
        stage.tell(0, stream, StreamEvent::Received(&hello));
        // One who gives way to it may be closed first.
        let mut requests = core::iter::from_fn(|| stage.next_request(0));
        let answer = requests.find(|(_, request)| *request != StreamRequest::Close);
        let Some((to, StreamRequest::Write(mut answer))) = answer else { panic!("no answer") };
        assert_eq!(to, stream);
        stage.tell(0, stream, StreamEvent::Sent(answer.len()));
        let (header, boxed) = RelayAnswerHeader::split(&mut answer).unwrap();
        let plain = shared.open_in_place(&header.nonce, boxed).unwrap();
        let theirs = RelayKeys::from_bytes(plain).unwrap();
        let secret = session.secret.shared_key(&theirs.session_key);
        let pipe = Pipe::new(stream, secret, Nonce([5; 24]), theirs.base_nonce);
        Self { stream, pipe, input: Input::default(), closed: false }
    }

    /// As [`Hand::greet`], and confirmed.
    fn connect(stage: &mut Stage, pair: &KeyPair) -> Self {
        let mut hand = Self::greet(stage, pair);
        hand.say(stage, &RelayPacket::Ping { id: 1 });
        assert_eq!(hand.hear(stage), ["Pong { id: 1 }"]);
        hand
    }

    /// The frame of a packet.
    fn frame(&mut self, stage: &Stage, packet: &RelayPacket<'_>) -> Vec<u8> {
        let mut outbox = crate::outbox::Outbox::default();
        let mut drops = crate::drops::Drops::default();
        let mut cx = Context { now: stage.now, outbox: &mut outbox, drops: &mut drops };
        assert_eq!(self.pipe.send(&mut cx, packet), Sending::Sent);
        let Some((_, StreamRequest::Write(frame))) = outbox.pop_stream() else {
            panic!("no frame")
        };
        self.pipe.note_sent(frame.len());
        frame
    }

    fn say(&mut self, stage: &mut Stage, packet: &RelayPacket<'_>) {
        let frame = self.frame(stage, packet);
        stage.tell(0, self.stream, StreamEvent::Received(&frame));
    }

    /// What the relay has written to this client by now, packets in their debug form. It takes all
    /// requests, so that those to other clients are lost.
    fn hear(&mut self, stage: &mut Stage) -> Vec<String> {
        while let Some((stream, request)) = stage.next_request(0) {
            match request {
                _ if stream != self.stream => {}
                StreamRequest::Write(bytes) => {
                    self.input.extend(&bytes);
                    stage.tell(0, stream, StreamEvent::Sent(bytes.len()));
                }
                StreamRequest::Close => self.closed = true,
                StreamRequest::Connect(_) => panic!("relays connect to nobody"),
            }
        }
        let mut heard = Vec::new();
        while let Some(boxed) = self.input.frame().unwrap() {
            let packet = RelayPacket::from_bytes(self.pipe.open(boxed).unwrap()).unwrap();
            heard.push(format!("{packet:?}"));
        }
        heard
    }
}

fn pair(number: u8) -> KeyPair {
    KeyPair::from_secret(crate::wire::SecretKey::from_bytes([number; 32]))
}

fn id(number: u8) -> ConnectionId {
    ConnectionId::new(number).unwrap()
}

#[test]
fn a_client_is_confirmed_by_its_first_frame_and_not_before() {
    let mut stage = Stage::new(1, 1);
    let mut hand = Hand::greet(&mut stage, &pair(1));
    assert_eq!(stage.nodes[0].server.client_count(), 0);
    hand.say(&mut stage, &RelayPacket::Ping { id: 9 });
    assert_eq!(hand.hear(&mut stage), ["Pong { id: 9 }"]);
    assert_eq!(stage.nodes[0].server.client_count(), 1);
    stage.tell(0, hand.stream, StreamEvent::Closed);
    let server = &stage.nodes[0].server;
    assert_eq!((server.client_count(), server.links.len(), server.unsent), (0, 0, 0));
    assert_eq!(server.deadline(), None);
}

#[test]
fn a_newer_connection_of_a_key_replaces_the_older() {
    let mut stage = Stage::new(1, 1);
    let mut old = Hand::connect(&mut stage, &pair(1));
    let mut new = Hand::greet(&mut stage, &pair(1));
    assert!(old.hear(&mut stage).is_empty() && !old.closed);
    new.say(&mut stage, &RelayPacket::Ping { id: 2 });
    let request = stage.next_request(0);
    assert_eq!(request, Some((old.stream, StreamRequest::Close)));
    assert_eq!(new.hear(&mut stage), ["Pong { id: 2 }"]);
    assert_eq!(stage.nodes[0].server.client_count(), 1);
}

#[test]
fn whoever_breaks_the_rules_is_disconnected() {
    let data = &[1][..];
    let breaches: [(RelayPacket<'_>, DropReason); 8] = [
        (RelayPacket::Data { connection: id(16), data }, DropReason::Unsolicited),
        (RelayPacket::Disconnected { connection: id(99) }, DropReason::Unsolicited),
        (RelayPacket::Pong { id: 0 }, DropReason::Malformed),
        (
            RelayPacket::RoutingResponse { connection: None, key: PublicKey([1; 32]) },
            DropReason::Refused,
        ),
        (RelayPacket::OobReceive { from: PublicKey([1; 32]), data }, DropReason::Refused),
        (RelayPacket::OobSend { to: PublicKey([1; 32]), data: &[0; 1025] }, DropReason::Oversized),
        (RelayPacket::OnionResponse { response: &[0x84; 200] }, DropReason::Refused),
        (RelayPacket::Forwarding { data }, DropReason::Refused),
    ];
    for (packet, reason) in breaches {
        let mut stage = Stage::new(1, 1);
        let mut hand = Hand::connect(&mut stage, &pair(1));
        hand.say(&mut stage, &packet);
        hand.hear(&mut stage);
        assert!(hand.closed, "{packet:?}");
        let drops = &stage.nodes[0].drops;
        assert_eq!((drops.total(), drops[reason]), (1, 1), "{packet:?}: {drops:?}");
        assert!(stage.nodes[0].server.links.is_empty());
    }
}

#[test]
fn forged_frames_and_hellos_and_impossible_lengths_end_the_connection() {
    let mut stage = Stage::new(1, 1);
    let mut hand = Hand::connect(&mut stage, &pair(1));
    let mut frame = hand.frame(&stage, &RelayPacket::Ping { id: 3 });
    *frame.last_mut().unwrap() ^= 1;
    stage.tell(0, hand.stream, StreamEvent::Received(&frame));
    hand.hear(&mut stage);
    assert!(hand.closed);
    assert_eq!(stage.nodes[0].drops[DropReason::Forged], 1);

    let long = (MAX_FRAME as u16 + 1).to_be_bytes();
    for bytes in [&long[..], &[0, 3]] {
        let mut hand = Hand::connect(&mut stage, &pair(1));
        stage.tell(0, hand.stream, StreamEvent::Received(bytes));
        hand.hear(&mut stage);
        assert!(hand.closed);
    }
    for hello in [vec![9; 128], {
        let own = stage.key(0);
        let mut hello = hello(own, &pair(1), &pair(2)).1;
        hello[..32].copy_from_slice(own.as_bytes());
        hello
    }] {
        let stream = stage.accept(0);
        stage.tell(0, stream, StreamEvent::Received(&hello));
        assert_eq!(stage.next_request(0), Some((stream, StreamRequest::Close)));
    }
    assert_eq!(stage.nodes[0].drops[DropReason::FromSelf], 1);
    assert!(stage.nodes[0].server.links.is_empty());
}

#[test]
fn a_flood_of_connections_that_prove_nothing_is_bounded_and_lets_others_in() {
    let mut stage = Stage::new(1, 1);
    let mut friend = Hand::connect(&mut stage, &pair(1));
    let mut closed = 0;
    for i in 0..3_000_u32 {
        let stream = stage.accept(0);
        // Some begin a hello and never end it.
        stage.tell(0, stream, StreamEvent::Received(&vec![1; i as usize % 128]));
        while let Some((_, StreamRequest::Close)) = stage.next_request(0) {
            closed += 1;
        }
        assert!(stage.nodes[0].server.unconfirmed.len() <= MAX_UNCONFIRMED);
    }
    assert_eq!(closed, 3_000 - MAX_UNCONFIRMED);
    friend.say(&mut stage, &RelayPacket::Ping { id: 4 });
    assert_eq!(friend.hear(&mut stage), ["Pong { id: 4 }"]);
    let mut other = Hand::connect(&mut stage, &pair(2));
    // Those who say nothing are gone after ten seconds; who is confirmed stays.
    stage.now += Duration::from_secs(11);
    stage.serve(0, |server, cx| server.handle_timeout(cx));
    assert!(stage.nodes[0].server.unconfirmed.is_empty());
    assert_eq!(stage.nodes[0].server.client_count(), 2);
    other.say(&mut stage, &RelayPacket::Ping { id: 5 });
    assert_eq!(other.hear(&mut stage), ["Pong { id: 5 }"]);
}

#[test]
fn one_address_cannot_buy_all_our_time_with_hellos() {
    let mut stage = Stage::new(1, 1);
    let (_, hello) = hello(stage.key(0), &pair(1), &pair(2));
    let mut answers = 0;
    for _ in 0..1_000 {
        let stream = stage.accept(0);
        stage.tell(0, stream, StreamEvent::Received(&hello));
        while let Some((_, request)) = stage.next_request(0) {
            answers += u32::from(matches!(request, StreamRequest::Write(_)));
        }
    }
    assert_eq!(answers, HELLO_BURST);
}

#[test]
fn the_silent_are_pinged_after_thirty_seconds_and_gone_after_forty() {
    let mut stage = Stage::new(1, 1);
    let (mut lively, mut silent) =
        (Hand::connect(&mut stage, &pair(1)), Hand::connect(&mut stage, &pair(2)));
    let tick = |stage: &mut Stage, seconds| {
        stage.now += Duration::from_secs(seconds);
        let now = stage.now;
        let node = &mut stage.nodes[0];
        let mut cx = Context { now, outbox: &mut node.outbox, drops: &mut node.drops };
        node.server.handle_timeout(&mut cx);
    };
    tick(&mut stage, 29);
    assert!(stage.next_request(0).is_none());
    tick(&mut stage, 1);
    let heard = lively.hear(&mut stage);
    let ping: u64 = heard[0].trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
    lively.say(&mut stage, &RelayPacket::Pong { id: ping.wrapping_add(1).max(1) });
    assert_eq!(stage.nodes[0].drops[DropReason::Unsolicited], 1);
    lively.say(&mut stage, &RelayPacket::Pong { id: ping });
    tick(&mut stage, 10);
    silent.hear(&mut stage);
    assert!(silent.closed && !lively.closed);
    assert_eq!(stage.nodes[0].server.client_count(), 1);
    tick(&mut stage, 19);
    assert!(lively.hear(&mut stage).is_empty());
    tick(&mut stage, 1);
    assert_eq!(lively.hear(&mut stage).len(), 1);
}

#[test]
fn a_slow_reader_loses_data_and_then_its_connection_but_no_memory_is_lost() {
    let mut stage = Stage::new(1, 1);
    let (mut fast, mut slow) =
        (Hand::connect(&mut stage, &pair(1)), Hand::connect(&mut stage, &pair(2)));
    slow.say(&mut stage, &RelayPacket::RoutingRequest { key: pair(1).public });
    assert_eq!(slow.hear(&mut stage).len(), 1);
    fast.say(&mut stage, &RelayPacket::RoutingRequest { key: pair(2).public });
    assert_eq!(fast.hear(&mut stage)[1], "Connected { connection: ConnectionId(16) }");
    // From now on nothing that is written to the slow one leaves.
    for _ in 0..1_000 {
        fast.say(&mut stage, &RelayPacket::Data { connection: id(16), data: &[7; 1_300] });
        fast.hear(&mut stage);
    }
    let waiting = stage.nodes[0].server.unsent;
    assert!((MAX_UNSENT_DATA..MAX_UNSENT_DATA + 2 * MAX_FRAME).contains(&waiting), "{waiting}");
    assert!(stage.nodes[0].drops[DropReason::LimitReached] > 900);
    // Answers that it does not read cost it its place.
    for i in 1..10_000 {
        slow.say(&mut stage, &RelayPacket::Ping { id: i });
    }
    assert_eq!(stage.nodes[0].server.client_count(), 1);
    assert_eq!(
        stage.nodes[0].server.unsent,
        fast.frame(&stage, &RelayPacket::Disconnected { connection: id(16) }).len()
    );
    assert!(waiting < MAX_UNSENT);
}

#[test]
fn many_slow_readers_share_one_bound() {
    let mut stage = Stage::new(1, 1);
    let count = HELLO_BURST as usize - 1;
    let mut talker = Hand::connect(&mut stage, &pair(200));
    let readers: Vec<_> = (0..count).map(|i| Hand::connect(&mut stage, &pair(i as u8))).collect();
    for _ in 0..40 {
        for i in 0..count {
            let to = pair(i as u8).public;
            talker.say(&mut stage, &RelayPacket::OobSend { to, data: &[1; 1024] });
        }
    }
    let server = &stage.nodes[0].server;
    assert_eq!(server.client_count(), count + 1, "out-of-band packets cost nobody its place");
    let most = MAX_UNSENT_TOTAL + count * (MIN_UNSENT + MAX_FRAME);
    assert!(server.unsent > MAX_UNSENT_TOTAL / 2 && server.unsent < most, "{}", server.unsent);
    let total: usize = server
        .links
        .values()
        .map(|link| match &link.phase {
            Phase::Open(open) => open.pipe.unsent(),
            Phase::New => 0,
        })
        .sum();
    assert_eq!(server.unsent, total);
    drop(readers);
}

#[test]
fn onion_and_forward_requests_go_up_and_their_answers_down() {
    let mut stage = Stage::new(1, 1);
    let mut hand = Hand::connect(&mut stage, &pair(1));
    let next = IpPort::udp(([203, 0, 113, 9], 33445).into());
    let (nonce, key, boxed) = (Nonce([1; 24]), PublicKey([2; 32]), &[3; 200][..]);
    hand.say(&mut stage, &RelayPacket::OnionRequest { nonce, next, key, boxed });
    hand.say(&mut stage, &RelayPacket::ForwardRequest { to: next, data: b"hi" });
    let server = &mut stage.nodes[0].server;
    let Some(ServerEvent::OnionRequest { client, .. }) = server.poll_event() else {
        panic!("no onion request")
    };
    let forward = ServerEvent::ForwardRequest { client, to: next, data: b"hi".to_vec() };
    assert_eq!((server.poll_event(), server.poll_event()), (Some(forward), None));
    let now = stage.now;
    let node = &mut stage.nodes[0];
    let mut cx = Context { now, outbox: &mut node.outbox, drops: &mut node.drops };
    assert!(node.server.respond_onion(&mut cx, client, &[0x86; 100]));
    assert!(node.server.respond_forward(&mut cx, client, b"ho"));
    assert!(!node.server.respond_onion(&mut cx, ClientId(77), &[0x86; 100]));
    assert_eq!(hand.hear(&mut stage)[1], "Forwarding { data: [104, 111] }");
    // An onion packet that cannot be read is dropped, and its sender stays.
    let multicast = IpPort::udp(([203, 0, 113, 9], 33445).into());
    let mut broken = RelayPacket::OnionRequest { nonce, next: multicast, key, boxed };
    if let RelayPacket::OnionRequest { boxed, .. } = &mut broken {
        *boxed = &[3; 16];
    }
    hand.say(&mut stage, &broken);
    hand.hear(&mut stage);
    assert!(!hand.closed && stage.nodes[0].server.poll_event().is_none());
}

/// Asks to be connected to so many that are not there; how many numbers it gets.
fn ask_for_many(stage: &mut Stage, hand: &mut Hand, count: u8) -> usize {
    let mut got = 0;
    for number in 0..count {
        hand.say(stage, &RelayPacket::RoutingRequest { key: PublicKey([number; 32]) });
        let heard = hand.hear(stage);
        got += heard.iter().filter(|packet| packet.contains("Some(")).count();
    }
    got
}

#[test]
fn all_clients_share_one_bound_of_connections_and_each_gets_a_few() {
    let mut stage = Stage::new(1, 1);
    let mut hands: Vec<Hand> =
        (1..=18).map(|number| Hand::connect(&mut stage, &pair(number))).collect();
    let got: Vec<usize> =
        hands.iter_mut().map(|hand| ask_for_many(&mut stage, hand, 240)).collect();
    assert_eq!(got[..17], [240; 17]);
    let left = MAX_ROUTES_TOTAL - 17 * 240;
    assert_eq!(got[17], left);
    assert!(left >= MIN_ROUTES);
    let mut late = Hand::connect(&mut stage, &pair(19));
    assert_eq!(ask_for_many(&mut stage, &mut late, 20), MIN_ROUTES);
    // Who goes makes room.
    stage.tell(0, hands[0].stream, StreamEvent::Closed);
    assert_eq!(ask_for_many(&mut stage, &mut late, 60), 60);
    let gone = RelayPacket::Disconnected { connection: id(16) };
    late.say(&mut stage, &gone);
    assert_eq!(stage.nodes[0].server.routes, MAX_ROUTES_TOTAL - 240 + 60 - 1);
}

#[test]
fn the_limits_hold_together() {
    // Streams that the driver accepts, and bytes that may wait for clients.
    #[cfg(feature = "runtime")]
    assert_eq!(MAX_UNCONFIRMED + MAX_CLIENTS, crate::runtime::MAX_INCOMING_STREAMS);
    const { assert!(MAX_UNSENT_TOTAL >= 32 * MAX_UNSENT) };
}
