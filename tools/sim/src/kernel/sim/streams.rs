//! Byte streams between the nodes: reliable and in order, split and joined as the seed has it.
//!
//! A stream's bytes go over the same links as datagrams. What a link would lose comes later instead. A
//! stream whose route is cut while bytes are under way is broken: both ends hear of it after
//! [`BREAK_TIME`].

use core::fmt::Debug;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use toktok_mesh::{Machine, Rng, StreamEvent, StreamId, StreamRequest, Time};

use super::super::{IoModel, NodeIndex};
use super::{Observer, Sim, TICK, What};

/// When an attempt to connect to a host that does not answer is given up: the driver's limit.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// How long after a cut route has eaten bytes both ends give up.
const BREAK_TIME: Duration = Duration::from_secs(15);

/// Bytes of a full segment on Ethernet.
const SEGMENT: usize = 1448;

/// One in so many segments is shorter than it could be.
const ODD_SEGMENTS: u64 = 6;

/// First port of those that connect.
const FIRST_PORT: u16 = 49152;

/// Which end of a connection: 0 connected, 1 was connected to.
type Side = usize;

/// What happens next to a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// The request to connect gets to the host.
    Knock,
    /// The one who connected hears that it stands.
    Connected,
    /// What this side has written by now is cut into segments.
    Cut(Side),
    /// A segment of this side's has passed its own access.
    Cross(Side, Segment),
    /// It is there.
    Arrive(Side, Segment),
    /// This side hears that the stream is gone.
    End(Side),
}

/// Some bytes, or the end of all bytes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Segment {
    Bytes(usize),
    Finish,
}

impl Segment {
    const fn len(self) -> usize {
        match self {
            Self::Bytes(len) => len,
            Self::Finish => 0,
        }
    }
}

#[derive(Debug)]
struct End {
    node: NodeIndex,
    /// As the machine there knows the stream; `None` before it was accepted, and when it is gone.
    id: Option<StreamId>,
}

/// What one side has written.
#[derive(Debug, Default)]
struct Way {
    bytes: VecDeque<u8>,
    /// How many of the bytes are on their way already.
    flying: usize,
    is_cut_due: bool,
    /// Segments do not overtake each other.
    last_cross: Time,
    last_arrival: Time,
}

#[derive(Debug)]
struct Connection {
    ends: [End; 2],
    ways: [Way; 2],
    from: SocketAddr,
    to: SocketAddr,
    stands: bool,
    broken: bool,
}

/// All streams of a simulation.
#[derive(Debug)]
pub(super) struct Streams {
    rng: Rng,
    connections: BTreeMap<u64, Connection>,
    ends: BTreeMap<(NodeIndex, StreamId), (u64, Side)>,
    listening: BTreeSet<(NodeIndex, u16)>,
    /// Numbers connections, incoming streams and ports.
    next: u64,
}

impl Streams {
    pub(super) fn new(rng: Rng) -> Self {
        Self {
            rng,
            connections: BTreeMap::new(),
            ends: BTreeMap::new(),
            listening: BTreeSet::new(),
            next: 0,
        }
    }

    /// Forgets one end, and the connection with its last one. `None` if it was forgotten already.
    fn detach(&mut self, number: u64, side: Side) -> Option<StreamId> {
        let connection = self.connections.get_mut(&number)?;
        let id = connection.ends[side].id.take()?;
        self.ends.remove(&(connection.ends[side].node, id));
        if connection.ends[1 - side].id.is_none() {
            self.connections.remove(&number);
        }
        Some(id)
    }

    /// Length of the next segment of `waiting` bytes.
    fn segment_len(&mut self, waiting: usize) -> usize {
        let most = waiting.min(SEGMENT);
        if self.rng.chance(1, ODD_SEGMENTS) { 1 + self.rng.index(most) } else { most }
    }
}

impl<M: Machine<Event: Debug>, I: IoModel<M>> Sim<M, I> {
    /// Hands the streams that come in at `ports` to the machine on `node`, whichever runs there.
    pub fn listen(&mut self, node: NodeIndex, ports: &[u16]) {
        self.streams.listening.extend(ports.iter().map(|port| (node, *port)));
    }

    pub(super) fn stream(&mut self, node: NodeIndex, id: StreamId, request: StreamRequest) {
        if let StreamRequest::Connect(to) = request {
            return self.connect_stream(node, id, to);
        }
        let Some(&(number, side)) = self.streams.ends.get(&(node, id)) else { return };
        match request {
            StreamRequest::Write(bytes) => self.write_stream(number, side, &bytes),
            _ => self.close_stream(number, side),
        }
    }

    /// Closes all streams of a node that crashed; what it had written and not sent is lost.
    pub(super) fn crash_streams(&mut self, node: NodeIndex) {
        let first = (node, StreamId::Outgoing(0));
        let last = (node, StreamId::Incoming(u64::MAX));
        let of_node: Vec<_> = self.streams.ends.range(first..=last).map(|(_, end)| *end).collect();
        for (number, side) in of_node {
            if let Some(connection) = self.streams.connections.get_mut(&number) {
                let way = &mut connection.ways[side];
                way.bytes.truncate(way.flying);
            }
            self.close_stream(number, side);
        }
    }

    fn schedule(&mut self, at: Time, number: u64, step: Step) {
        self.queue.push(at.max(self.now + TICK), What::Stream { number, step });
    }

    fn connect_stream(&mut self, node: NodeIndex, id: StreamId, to: SocketAddr) {
        let number = self.streams.next;
        if self.streams.ends.contains_key(&(node, id)) {
            return;
        }
        self.streams.next += 1;
        let port = FIRST_PORT + (number % u64::from(u16::MAX - FIRST_PORT)) as u16;
        let reached = self.network.reach(node.0, port, to);
        let (host, from) = reached.map_or((node, to), |(host, from)| (NodeIndex(host), from));
        let connection = Connection {
            ends: [End { node, id: Some(id) }, End { node: host, id: None }],
            ways: [Way::default(), Way::default()],
            from,
            to,
            stands: false,
            broken: false,
        };
        self.streams.connections.insert(number, connection);
        self.streams.ends.insert((node, id), (number, 0));
        if reached.is_some() {
            self.schedule(self.now + self.network.delay(node.0, host.0), number, Step::Knock);
        } else {
            self.schedule(self.now, number, Step::End(0));
        }
    }

    fn write_stream(&mut self, number: u64, side: Side, bytes: &[u8]) {
        let Some(connection) = self.streams.connections.get_mut(&number) else { return };
        self.traffic.stream_bytes += bytes.len() as u64;
        let way = &mut connection.ways[side];
        way.bytes.extend(bytes);
        if connection.stands && !way.is_cut_due {
            way.is_cut_due = true;
            self.schedule(self.now, number, Step::Cut(side));
        }
    }

    fn close_stream(&mut self, number: u64, side: Side) {
        self.cut(number, side);
        let finishes =
            self.streams.connections.get(&number).is_some_and(|connection| {
                connection.ends[1 - side].id.is_some() && !connection.broken
            });
        if finishes {
            self.send_segment(number, side, Segment::Finish);
        }
        self.streams.detach(number, side);
    }

    /// One step of a connection, if it is still there.
    pub(super) fn step(&mut self, number: u64, step: Step, observer: &mut impl Observer<M>) {
        let Some(connection) = self.streams.connections.get_mut(&number) else { return };
        if connection.broken && !matches!(step, Step::End(_)) {
            return;
        }
        match step {
            Step::Knock => self.knock(number, observer),
            Step::Connected => {
                connection.stands = true;
                for side in [0, 1] {
                    self.cut(number, side);
                }
                self.tell(number, 0, StreamEvent::Connected, observer);
            }
            Step::Cut(side) => self.cut(number, side),
            Step::Cross(side, segment) => self.cross(number, side, segment),
            Step::Arrive(side, segment) => self.land(number, side, segment, observer),
            Step::End(side) => self.tell(number, side, StreamEvent::Closed, observer),
        }
    }

    fn knock(&mut self, number: u64, observer: &mut impl Observer<M>) {
        let Some(connection) = self.streams.connections.get_mut(&number) else { return };
        let (client, host) = (connection.ends[0].node, connection.ends[1].node);
        let (from, local_port) = (connection.from, connection.to.port());
        let is_up = self.nodes[host.0].machine.is_some();
        if !is_up || !self.network.is_whole_between(client.0, host.0) {
            return self.schedule(self.now + CONNECT_TIME, number, Step::End(0));
        }
        let back = self.now + self.network.delay(host.0, client.0);
        if !self.streams.listening.contains(&(host, local_port)) {
            return self.schedule(back, number, Step::End(0));
        }
        let id = StreamId::Incoming(number);
        connection.ends[1].id = Some(id);
        self.streams.ends.insert((host, id), (number, 1));
        self.schedule(back, number, Step::Connected);
        self.tell(number, 1, StreamEvent::Accepted { from, local_port }, observer);
    }

    /// Cuts what a side has written into segments, and sends them.
    fn cut(&mut self, number: u64, side: Side) {
        loop {
            let Some(connection) = self.streams.connections.get_mut(&number) else { return };
            let (stands, way) = (connection.stands, &mut connection.ways[side]);
            way.is_cut_due = false;
            let waiting = way.bytes.len() - way.flying;
            if waiting == 0 || !stands {
                return;
            }
            let len = self.streams.segment_len(waiting);
            if let Some(connection) = self.streams.connections.get_mut(&number) {
                connection.ways[side].flying += len;
            }
            self.send_segment(number, side, Segment::Bytes(len));
        }
    }

    fn send_segment(&mut self, number: u64, side: Side, segment: Segment) {
        let Some(connection) = self.streams.connections.get_mut(&number) else { return };
        let node = connection.ends[side].node;
        let at = self.network.segment_up(self.now, node.0, segment.len());
        let way = &mut connection.ways[side];
        way.last_cross = way.last_cross.max(at);
        let at = way.last_cross;
        self.schedule(at, number, Step::Cross(side, segment));
    }

    fn cross(&mut self, number: u64, side: Side, segment: Segment) {
        let Some(connection) = self.streams.connections.get_mut(&number) else { return };
        let [from, to] = [side, 1 - side].map(|side| connection.ends[side].node.0);
        if !self.network.is_whole_between(from, to) {
            connection.broken = true;
            for side in [0, 1] {
                self.schedule(self.now + BREAK_TIME, number, Step::End(side));
            }
            return;
        }
        let at = self.network.segment_down(self.now, to, segment.len());
        let way = &mut connection.ways[side];
        way.last_arrival = way.last_arrival.max(at);
        let at = way.last_arrival;
        self.schedule(at, number, Step::Arrive(side, segment));
    }

    /// A segment is there: the receiver gets it, and the sender has room again.
    fn land(&mut self, number: u64, side: Side, segment: Segment, observer: &mut impl Observer<M>) {
        let Some(connection) = self.streams.connections.get_mut(&number) else { return };
        let Segment::Bytes(len) = segment else {
            return self.tell(number, 1 - side, StreamEvent::Closed, observer);
        };
        let way = &mut connection.ways[side];
        way.flying -= len;
        let bytes: Vec<u8> = way.bytes.drain(..len).collect();
        self.tell(number, 1 - side, StreamEvent::Received(&bytes), observer);
        self.tell(number, side, StreamEvent::Sent(len), observer);
    }

    /// Tells a side's machine what happened, if that side still has the stream.
    fn tell(
        &mut self,
        number: u64,
        side: Side,
        event: StreamEvent<'_>,
        observer: &mut impl Observer<M>,
    ) {
        let Some(connection) = self.streams.connections.get(&number) else { return };
        let End { node, id: Some(id) } = connection.ends[side] else { return };
        if matches!(event, StreamEvent::Closed) {
            self.streams.detach(number, side);
        }
        let slot = &mut self.nodes[node.0];
        let Some(machine) = &mut slot.machine else { return };
        self.trace.stream(self.now, node, id, event);
        machine.handle_stream(slot.clock.shows(self.now), id, event);
        self.drain(node, observer);
    }
}

#[cfg(test)]
mod tests;
