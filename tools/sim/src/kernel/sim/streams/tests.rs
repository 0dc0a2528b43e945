use std::convert::Infallible;

use toktok_mesh::{Address, IoToken, Output};

use super::*;
use crate::kernel::NoIo;
use crate::network::{Attachment, Chance, LinkModel, Loss, NatModel, Partition, Realm};

const LATENCY: Duration = Duration::from_millis(10);
const PORT: u16 = 443;
const ONE: StreamId = StreamId::Outgoing(1);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Heard {
    Accepted(SocketAddr),
    Connected,
    Received(Vec<u8>),
    Sent(usize),
    Closed,
}

/// Notes all that happens to its streams, and does as it is told.
#[derive(Debug, Default)]
struct Toy {
    heard: Vec<(Time, StreamId, Heard)>,
    out: VecDeque<(StreamId, StreamRequest)>,
}

impl Machine for Toy {
    type Event = Infallible;
    type IoRequest = Infallible;
    type IoResult = Infallible;

    fn handle_datagram(&mut self, _: Time, _: Address, _: &mut [u8]) {}

    fn handle_stream(&mut self, now: Time, stream: StreamId, event: StreamEvent<'_>) {
        let heard = match event {
            StreamEvent::Accepted { from, .. } => Heard::Accepted(from),
            StreamEvent::Connected => Heard::Connected,
            StreamEvent::Received(bytes) => Heard::Received(bytes.to_vec()),
            StreamEvent::Sent(len) => Heard::Sent(len),
            StreamEvent::Closed => Heard::Closed,
        };
        self.heard.push((now, stream, heard));
    }

    fn handle_io(&mut self, _: Time, _: IoToken, result: Infallible) {
        match result {}
    }

    fn poll(&mut self, _: Time) -> Output<Infallible, Infallible> {
        self.out.pop_front().map_or(Output::Idle(None), |(id, request)| Output::Stream(id, request))
    }
}

fn nobody() -> impl FnMut(Time, NodeIndex, &mut Toy, Infallible) {
    |_, _, _, never| match never {}
}

/// A server (0) that listens and a client (1), with a link of 10 ms each way and side.
struct Lab {
    sim: Sim<Toy, NoIo>,
    server: NodeIndex,
    client: NodeIndex,
}

impl Lab {
    fn new(seed: u8, link: LinkModel, nat: bool) -> Self {
        let mut sim = Sim::new(&Rng::from_seed([seed; 32]), NoIo);
        let attachment = Attachment { up: link, down: link, ..Attachment::default() };
        let server = sim.attach(attachment);
        let realm = if nat {
            sim.network().add_nat(Realm::INTERNET, NatModel::default())
        } else {
            Realm::INTERNET
        };
        let client = sim.attach(Attachment { realm, ..attachment });
        for node in [server, client] {
            sim.start(node, Toy::default(), &mut nobody());
            sim.listen(node, &[PORT]);
        }
        Self { sim, server, client }
    }

    fn plain() -> Self {
        Self::new(1, LinkModel { latency: LATENCY, ..LinkModel::default() }, false)
    }

    fn ask(&mut self, node: NodeIndex, id: StreamId, request: StreamRequest) {
        self.sim.command(node, &mut nobody(), |toy, _| toy.out.push_back((id, request)));
    }

    fn connect(&mut self, from: NodeIndex, to: NodeIndex, port: u16) {
        let mut to = self.sim.network().address(to.0).as_udp().unwrap();
        to.set_port(port);
        self.ask(from, ONE, StreamRequest::Connect(to));
    }

    fn run(&mut self, seconds: u64) {
        self.sim.run_until(Time::from_secs(seconds), &mut nobody());
    }

    fn heard(&self, node: NodeIndex) -> Vec<Heard> {
        let toy = self.sim.machine(node).unwrap();
        toy.heard.iter().map(|(_, _, heard)| heard.clone()).collect()
    }

    fn received(&self, node: NodeIndex) -> Vec<Vec<u8>> {
        let bytes = self.heard(node).into_iter();
        bytes
            .filter_map(|heard| if let Heard::Received(bytes) = heard { Some(bytes) } else { None })
            .collect()
    }

    fn incoming(&self) -> StreamId {
        self.sim.machine(self.server).unwrap().heard[0].1
    }
}

fn write(text: &[u8]) -> StreamRequest {
    StreamRequest::Write(text.to_vec())
}

#[test]
fn a_stream_stands_after_a_round_trip_and_carries_both_ways() {
    let mut lab = Lab::plain();
    lab.connect(lab.client, lab.server, PORT);
    lab.ask(lab.client, ONE, write(b"early"));
    lab.run(1);
    let toy = lab.sim.machine(lab.client).unwrap();
    assert_eq!(toy.heard[0], (Time::from_millis(40), ONE, Heard::Connected));
    let id = lab.incoming();
    lab.ask(lab.server, id, write(b"answer"));
    lab.run(2);
    assert_eq!(lab.received(lab.server).concat(), b"early");
    assert_eq!(lab.received(lab.client).concat(), b"answer");
    lab.ask(lab.server, id, write(b"last"));
    lab.ask(lab.server, id, StreamRequest::Close);
    lab.ask(lab.server, id, write(b"never"));
    lab.run(3);
    assert_eq!(lab.received(lab.client).concat(), b"answerlast");
    assert_eq!(lab.heard(lab.client).last(), Some(&Heard::Closed));
    assert!(lab.sim.streams.connections.is_empty() && lab.sim.streams.ends.is_empty());
}

#[test]
fn bytes_arrive_whole_in_order_and_in_any_split() {
    let link = LinkModel {
        latency: LATENCY,
        jitter: LATENCY,
        loss: Loss::Independent(Chance::percent(20)),
        bandwidth: Some(1_000_000),
        ..LinkModel::default()
    };
    let run = |seed| {
        let mut lab = Lab::new(seed, link, false);
        lab.connect(lab.client, lab.server, PORT);
        let bytes: Vec<u8> = (0..100_000_u32).map(|i| (i % 251) as u8).collect();
        for part in bytes.chunks(900) {
            lab.ask(lab.client, ONE, write(part));
        }
        lab.run(100);
        assert_eq!(lab.received(lab.server).concat(), bytes);
        let sent = lab.heard(lab.client).into_iter();
        let sent = sent.map(|heard| if let Heard::Sent(len) = heard { len } else { 0 });
        assert_eq!(sent.sum::<usize>(), bytes.len());
        let splits: Vec<usize> = lab.received(lab.server).iter().map(Vec::len).collect();
        (splits, lab.sim.trace().hash())
    };
    let (one, two) = (run(1), run(2));
    assert_eq!(one, run(1));
    assert_ne!(one.0, two.0);
    assert!(one.0.iter().any(|len| *len < 900) && one.0.iter().any(|len| *len > 900));
}

#[test]
fn who_does_not_listen_refuses_and_who_is_not_there_does_not_answer() {
    let mut lab = Lab::plain();
    lab.connect(lab.client, lab.server, PORT + 1);
    lab.run(1);
    assert_eq!(lab.heard(lab.client), [Heard::Closed]);
    lab.sim.crash(lab.server);
    lab.connect(lab.client, lab.server, PORT);
    lab.run(10);
    assert_eq!(lab.heard(lab.client).len(), 1);
    lab.run(12);
    assert_eq!(lab.heard(lab.client), [Heard::Closed, Heard::Closed]);
    assert!(lab.sim.streams.connections.is_empty());
}

#[test]
fn a_nat_lets_streams_out_and_none_in() {
    let mut lab = Lab::new(1, LinkModel::default(), true);
    lab.connect(lab.server, lab.client, PORT);
    lab.run(1);
    assert_eq!(lab.heard(lab.server), [Heard::Closed]);
    lab.sim.start(lab.server, Toy::default(), &mut nobody());
    lab.connect(lab.client, lab.server, PORT);
    lab.run(2);
    let inside = lab.sim.network().address(lab.client.0).as_udp().unwrap();
    let Heard::Accepted(from) = lab.heard(lab.server)[0] else { panic!("not accepted") };
    assert_ne!(from.ip(), inside.ip());
    assert_eq!(lab.heard(lab.client), [Heard::Connected]);
}

#[test]
fn a_cut_route_breaks_a_stream_that_is_used() {
    let mut lab = Lab::plain();
    lab.connect(lab.client, lab.server, PORT);
    lab.run(1);
    lab.sim.network().set_partition(Partition::isolate([0]));
    lab.run(100);
    assert_eq!(lab.heard(lab.client), [Heard::Connected]);
    lab.ask(lab.client, ONE, write(b"lost"));
    lab.run(120);
    assert_eq!(lab.heard(lab.client), [Heard::Connected, Heard::Closed]);
    assert_eq!(lab.heard(lab.server).last(), Some(&Heard::Closed));
    assert!(lab.received(lab.server).is_empty());
    assert!(lab.sim.streams.connections.is_empty());
}

#[test]
fn a_crash_ends_streams_at_the_other_side_only() {
    let mut lab = Lab::plain();
    lab.connect(lab.client, lab.server, PORT);
    lab.run(1);
    lab.ask(lab.client, ONE, write(b"last words"));
    lab.sim.crash(lab.client);
    lab.sim.start(lab.client, Toy::default(), &mut nobody());
    lab.run(2);
    assert_eq!(lab.heard(lab.server).last(), Some(&Heard::Closed));
    assert!(lab.heard(lab.client).is_empty());
}
