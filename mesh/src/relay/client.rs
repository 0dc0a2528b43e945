//! One connection to one relay: hello, pings, numbered connections to peers, out-of-band messages, the
//! onion.
//!
//! The session key is fresh for each connection; the key by which the relay knows us is the DHT key.
//! The connection counts as up when the relay's answer came: what was sent then confirms us to the
//! relay. Events go to the pool, which owns all clients; [`Client::handle_stream`] returns false when
//! the connection is over.

use core::net::SocketAddr;
use std::collections::{BTreeMap, VecDeque};

use super::pipe::{Input, MAX_UNSENT_DATA, Pipe, Sending};
use super::proxy::{Passage, Progress, Proxy};
use super::{HANDSHAKE_TIME, PING_INTERVAL, PING_TIMEOUT};
use crate::crypto::Keys;
use crate::drops::DropReason;
use crate::machine::{StreamEvent, StreamId, StreamRequest};
use crate::outbox::Context;
use crate::wire::relay::{
    ConnectionId, MAX_OOB_DATA, RelayAnswerHeader, RelayHelloHeader, RelayKeys, RelayPacket,
};
use crate::wire::{Decode, KeyPair, Nonce, PublicKey, Rng, SharedKey, Time};

/// What a connection to a relay tells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum ClientEvent {
    /// The relay has answered: packets may go.
    Up,
    /// The relay will connect us to this peer as soon as it asks for us too.
    Registered(PublicKey),
    /// The relay has no connection left for this peer.
    Refused(PublicKey),
    /// The peer is there, and data goes both ways.
    Online(PublicKey),
    /// The peer is gone.
    Offline(PublicKey),
    /// A packet from a peer, over the connection to it.
    Data(PublicKey, Vec<u8>),
    /// A packet from someone who need not be connected to us.
    Oob(PublicKey, Vec<u8>),
    /// What came back for an onion request.
    OnionResponse(Vec<u8>),
    /// What came back for a forward request.
    Forwarded(Vec<u8>),
}

/// How far the connection is.
#[derive(Debug)]
enum Phase {
    /// The stream is being connected.
    Connecting(Option<Proxy>),
    /// The proxy is being asked.
    Passing(Passage),
    /// The relay has been greeted.
    Greeted { shared: SharedKey, pair: KeyPair, base_nonce: Nonce },
    /// Frames go both ways.
    Open(Pipe),
}

/// What we asked the relay for.
#[derive(Clone, Copy, Debug)]
struct Route {
    peer: PublicKey,
    is_online: bool,
}

/// A connection to a relay.
#[derive(Debug)]
pub(super) struct Client {
    stream: StreamId,
    relay: PublicKey,
    address: SocketAddr,
    rng: Rng,
    phase: Phase,
    input: Input,
    /// When the handshake has taken too long, a ping is due, or overdue.
    deadline: Time,
    /// The ping that is not answered yet.
    ping: Option<u64>,
    routes: BTreeMap<ConnectionId, Route>,
    events: VecDeque<ClientEvent>,
}

impl Client {
    /// Begins to connect, by the new outgoing stream `number`.
    pub(super) fn connect(
        cx: &mut Context<'_>,
        number: u64,
        relay: PublicKey,
        address: SocketAddr,
        proxy: Option<Proxy>,
        rng: Rng,
    ) -> Self {
        let stream = StreamId::Outgoing(number);
        let first_hop = proxy.map_or(address, |proxy| proxy.address());
        cx.stream(stream, StreamRequest::Connect(first_hop));
        Self {
            stream,
            relay,
            address,
            rng,
            phase: Phase::Connecting(proxy),
            input: Input::default(),
            deadline: cx.now + HANDSHAKE_TIME,
            ping: None,
            routes: BTreeMap::new(),
            events: VecDeque::new(),
        }
    }

    /// True once the relay has answered.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    /// When [`Client::handle_timeout`] has something to do.
    pub(super) fn deadline(&self) -> Time {
        self.deadline
    }

    /// What happened next.
    pub(super) fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// Takes what happened to the stream; false when the connection is over, and the stream closed.
    pub(super) fn handle_stream(
        &mut self,
        cx: &mut Context<'_>,
        keys: &Keys,
        event: StreamEvent<'_>,
    ) -> bool {
        let handled = match event {
            StreamEvent::Accepted { .. } => Ok(()),
            StreamEvent::Connected => {
                self.begin(cx, keys);
                Ok(())
            }
            StreamEvent::Received(bytes) => self.receive(cx, keys, bytes),
            StreamEvent::Sent(bytes) => {
                if let Phase::Open(pipe) = &mut self.phase {
                    pipe.note_sent(bytes);
                }
                Ok(())
            }
            StreamEvent::Closed => return false,
        };
        if let Err(reason) = handled {
            cx.drop_packet(reason);
            self.close(cx);
        }
        handled.is_ok()
    }

    /// Pings, or gives up; false when the connection is over.
    pub(super) fn handle_timeout(&mut self, cx: &mut Context<'_>) -> bool {
        if self.deadline > cx.now {
            return true;
        }
        if !self.is_up() || self.ping.is_some() {
            self.close(cx);
            return false;
        }
        self.ping(cx)
    }

    /// Ends the connection.
    pub(super) fn close(&self, cx: &mut Context<'_>) {
        cx.stream(self.stream, StreamRequest::Close);
    }

    fn begin(&mut self, cx: &mut Context<'_>, keys: &Keys) {
        match self.phase {
            Phase::Connecting(Some(proxy)) => {
                let (passage, first) = Passage::begin(&proxy, self.address);
                self.phase = Phase::Passing(passage);
                cx.stream(self.stream, StreamRequest::Write(first));
            }
            Phase::Connecting(None) => self.greet(cx, keys),
            _ => {}
        }
    }

    fn greet(&mut self, cx: &mut Context<'_>, keys: &Keys) {
        let shared = keys.shared_once(&self.relay);
        let pair = KeyPair::generate(&mut self.rng);
        let base_nonce = Nonce::generate(&mut self.rng);
        let header =
            RelayHelloHeader { client: keys.public(), nonce: Nonce::generate(&mut self.rng) };
        let hello = header.seal(&shared, &RelayKeys { session_key: pair.public, base_nonce });
        cx.stream(self.stream, StreamRequest::Write(hello));
        self.phase = Phase::Greeted { shared, pair, base_nonce };
    }

    fn receive(
        &mut self,
        cx: &mut Context<'_>,
        keys: &Keys,
        bytes: &[u8],
    ) -> Result<(), DropReason> {
        if let Phase::Passing(passage) = &mut self.phase {
            match passage.handle(bytes)? {
                Progress::Wait => {}
                Progress::Say(bytes) => cx.stream(self.stream, StreamRequest::Write(bytes)),
                Progress::Open(rest) => {
                    self.input.extend(&rest);
                    self.greet(cx, keys);
                }
            }
            return Ok(());
        }
        let mut input = core::mem::take(&mut self.input);
        input.extend(bytes);
        let read = self.read(cx, &mut input);
        input.compact();
        self.input = input;
        read
    }

    /// Reads the relay's answer and frames as far as they are there.
    fn read(&mut self, cx: &mut Context<'_>, input: &mut Input) -> Result<(), DropReason> {
        if let Phase::Greeted { shared, pair, base_nonce } = &self.phase {
            let Some(answer) = input.take(RelayAnswerHeader::PACKET_LEN) else { return Ok(()) };
            let (header, boxed) = RelayAnswerHeader::split(answer)?;
            let theirs = RelayKeys::from_bytes(shared.open_in_place(&header.nonce, boxed)?)?;
            let secret = pair.secret.shared_key(&theirs.session_key);
            let pipe = Pipe::new(self.stream, secret, *base_nonce, theirs.base_nonce);
            self.phase = Phase::Open(pipe);
            self.events.push_back(ClientEvent::Up);
            self.ping(cx);
        }
        loop {
            let Phase::Open(pipe) = &mut self.phase else { return Ok(()) };
            let Some(boxed) = input.frame()? else { return Ok(()) };
            let packet = RelayPacket::from_bytes(pipe.open(boxed)?)?;
            self.handle_packet(cx, packet)?;
        }
    }

    fn handle_packet(
        &mut self,
        cx: &mut Context<'_>,
        packet: RelayPacket<'_>,
    ) -> Result<(), DropReason> {
        match packet {
            RelayPacket::RoutingResponse { connection, key } => {
                self.handle_routing(cx, connection, key);
            }
            RelayPacket::Connected { connection } => self.set_online(cx, connection, true),
            RelayPacket::Disconnected { connection } => self.set_online(cx, connection, false),
            RelayPacket::Ping { id } => {
                if self.send(cx, &RelayPacket::Pong { id }) == Sending::Stuck {
                    return Err(DropReason::LimitReached);
                }
            }
            RelayPacket::Pong { id } => self.handle_pong(cx, id)?,
            RelayPacket::OobReceive { from, data } => {
                self.events.push_back(ClientEvent::Oob(from, data.to_vec()));
            }
            RelayPacket::OnionResponse { response } => {
                self.events.push_back(ClientEvent::OnionResponse(response.to_vec()));
            }
            RelayPacket::Forwarding { data } => {
                self.events.push_back(ClientEvent::Forwarded(data.to_vec()));
            }
            RelayPacket::Data { connection, data } => match self.routes.get(&connection) {
                Some(route) => {
                    self.events.push_back(ClientEvent::Data(route.peer, data.to_vec()));
                }
                None => cx.drop_packet(DropReason::NoRoute),
            },
            // What only clients say.
            RelayPacket::RoutingRequest { .. }
            | RelayPacket::OobSend { .. }
            | RelayPacket::OnionRequest { .. }
            | RelayPacket::ForwardRequest { .. } => return Err(DropReason::Refused),
        }
        Ok(())
    }

    fn handle_routing(
        &mut self,
        cx: &mut Context<'_>,
        connection: Option<ConnectionId>,
        peer: PublicKey,
    ) {
        let Some(connection) = connection else {
            return self.events.push_back(ClientEvent::Refused(peer));
        };
        if self.routes.contains_key(&connection) || self.find(&peer).is_some() {
            return cx.drop_packet(DropReason::Unsolicited);
        }
        self.routes.insert(connection, Route { peer, is_online: false });
        self.events.push_back(ClientEvent::Registered(peer));
    }

    fn set_online(&mut self, cx: &mut Context<'_>, connection: ConnectionId, is_online: bool) {
        match self.routes.get_mut(&connection) {
            Some(route) if route.is_online != is_online => {
                route.is_online = is_online;
                let peer = route.peer;
                self.events.push_back(if is_online {
                    ClientEvent::Online(peer)
                } else {
                    ClientEvent::Offline(peer)
                });
            }
            _ => cx.drop_packet(DropReason::Unsolicited),
        }
    }

    fn handle_pong(&mut self, cx: &mut Context<'_>, id: u64) -> Result<(), DropReason> {
        if id == 0 {
            return Err(DropReason::Malformed);
        }
        if self.ping == Some(id) {
            self.ping = None;
            self.deadline = cx.now + PING_INTERVAL;
        } else {
            cx.drop_packet(DropReason::Unsolicited);
        }
        Ok(())
    }

    fn ping(&mut self, cx: &mut Context<'_>) -> bool {
        let id = self.rng.u64().max(1);
        self.ping = Some(id);
        self.deadline = cx.now + PING_TIMEOUT;
        if self.send(cx, &RelayPacket::Ping { id }) == Sending::Stuck {
            self.close(cx);
            return false;
        }
        true
    }

    fn find(&self, peer: &PublicKey) -> Option<(ConnectionId, Route)> {
        let mut routes = self.routes.iter();
        routes.find(|(_, route)| route.peer == *peer).map(|(id, route)| (*id, *route))
    }

    fn send(&mut self, cx: &mut Context<'_>, packet: &RelayPacket<'_>) -> Sending {
        match &mut self.phase {
            Phase::Open(pipe) => pipe.send(cx, packet),
            _ => Sending::Dropped,
        }
    }

    fn offer(&mut self, cx: &mut Context<'_>, packet: &RelayPacket<'_>) -> bool {
        let Phase::Open(pipe) = &mut self.phase else { return false };
        pipe.offer(cx, packet, MAX_UNSENT_DATA) == Sending::Sent
    }

    /// Asks the relay for a connection to `peer`; once is enough.
    pub(super) fn register(&mut self, cx: &mut Context<'_>, peer: PublicKey) {
        if self.find(&peer).is_none() {
            let _ = self.send(cx, &RelayPacket::RoutingRequest { key: peer });
        }
    }

    /// Gives the connection to `peer` back.
    pub(super) fn unregister(&mut self, cx: &mut Context<'_>, peer: &PublicKey) {
        if let Some((connection, _)) = self.find(peer) {
            self.routes.remove(&connection);
            let _ = self.send(cx, &RelayPacket::Disconnected { connection });
        }
    }

    /// Sends a packet to a peer that is online; false if it is not, or too much waits.
    pub(super) fn send_data(
        &mut self,
        cx: &mut Context<'_>,
        peer: &PublicKey,
        data: &[u8],
    ) -> bool {
        match self.find(peer) {
            Some((connection, Route { is_online: true, .. })) if !data.is_empty() => {
                self.offer(cx, &RelayPacket::Data { connection, data })
            }
            _ => false,
        }
    }

    /// Sends a packet to anyone who is connected to this relay; false if it is too long for that, or
    /// too much waits.
    pub(super) fn send_oob(&mut self, cx: &mut Context<'_>, to: PublicKey, data: &[u8]) -> bool {
        (1..=MAX_OOB_DATA).contains(&data.len())
            && self.offer(cx, &RelayPacket::OobSend { to, data })
    }

    /// Sends a whole relay packet that the onion or the forwarding made; false as above.
    pub(super) fn send_packet(&mut self, cx: &mut Context<'_>, packet: &RelayPacket<'_>) -> bool {
        self.offer(cx, packet)
    }
}
