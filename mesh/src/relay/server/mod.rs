//! This node as a relay: clients that ask for each other get numbered connections through it, and
//! reach the onion and far nodes without UDP.
//!
//! A client says hello under this node's DHT key, and counts as confirmed with its first frame. One key
//! has one connection: a newer one replaces it. Whoever breaks the protocol is disconnected, as by
//! c-toxcore. Everything that a stranger can make grow has a limit: connections that are not confirmed
//! ([`MAX_UNCONFIRMED`], the oldest gives way), clients ([`MAX_CLIENTS`]), their connections
//! ([`MAX_ROUTES_TOTAL`]), what one that reads slowly
//! lets wait ([`MAX_UNSENT`](super::pipe::MAX_UNSENT)) and all of them together ([`MAX_UNSENT_TOTAL`]).
//!
//! What the server does not do itself it hands up: onion requests and forward requests come out as
//! [`ServerEvent`]s, and what comes back for them goes in by [`Server::respond_onion`] and
//! [`Server::respond_forward`].

mod link;
mod routing;
#[cfg(test)]
mod tests;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use self::link::{Link, Phase};
use super::pipe::{MAX_UNSENT_DATA, Sending};
use super::{HANDSHAKE_TIME, PING_INTERVAL, PING_TIMEOUT};
use crate::crypto::Keys;
use crate::drops::DropReason;
use crate::machine::{StreamEvent, StreamId, StreamRequest};
use crate::outbox::Context;
use crate::path::Path;
use crate::session::Pace;
use crate::wire::address::IpPort;
use crate::wire::relay::RelayPacket;
use crate::wire::{Address, Decode, Nonce, PublicKey, Rng, Time};

/// Most connections that have not proved themselves; the oldest gives way to a new one (c-toxcore
/// `MAX_INCOMING_CONNECTIONS`, twice: before and after the hello).
pub(crate) const MAX_UNCONFIRMED: usize = 256;
/// Most confirmed clients: with the unconfirmed ones, as many streams as the driver accepts.
pub(crate) const MAX_CLIENTS: usize = 512;
/// Numbered connections of all clients together, beyond which …
pub(crate) const MAX_ROUTES_TOTAL: usize = 4096;
/// … a client gets no more than this: half a MiB is the most that they take.
pub(crate) const MIN_ROUTES: usize = 8;
/// Bytes that wait for all slow readers together, beyond which no reader may be slow.
pub(crate) const MAX_UNSENT_TOTAL: usize = 4 << 20;
/// What may wait for one client even then.
const MIN_UNSENT: usize = 4 * 1024;
/// One address may say hello this often …
const HELLO_INTERVAL: Duration = Duration::from_millis(20);
/// … after a burst of so many. A hello costs two Diffie–Hellmans and a new key, some 120 µs: less than
/// a hundredth of a core an address.
const HELLO_BURST: u32 = 128;

/// Names a client's connection; never used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct ClientId(pub(crate) u64);

/// What clients want that the server itself cannot do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ServerEvent {
    /// An onion packet of which this node is the first hop, its first layer already open.
    OnionRequest {
        /// Whose; its answer goes to [`Server::respond_onion`].
        client: ClientId,
        /// Whence the client is connected; the port says nothing.
        from: Address,
        /// The nonce of the two layers that are left.
        nonce: Nonce,
        /// The second hop.
        next: IpPort,
        /// The key for the second hop's layer.
        key: PublicKey,
        /// The second hop's box.
        boxed: Vec<u8>,
    },
    /// Data for a node that the client cannot reach.
    ForwardRequest {
        /// Whose; answers go to [`Server::respond_forward`].
        client: ClientId,
        /// The node.
        to: IpPort,
        /// The data.
        data: Vec<u8>,
    },
}

/// All clients of this node's relay.
#[derive(Debug)]
pub(crate) struct Server {
    rng: Rng,
    pace: Pace,
    links: BTreeMap<u64, Link>,
    /// Connections that are not confirmed, the oldest first.
    unconfirmed: BTreeSet<u64>,
    by_key: BTreeMap<PublicKey, u64>,
    /// One timer a connection.
    timers: BTreeSet<(Time, u64)>,
    /// Connections that have to be closed before the call ends.
    doomed: Vec<u64>,
    /// What waits for all clients, in bytes.
    unsent: usize,
    /// Numbered connections of all clients.
    routes: usize,
    events: VecDeque<ServerEvent>,
}

impl Server {
    /// A relay without clients.
    pub(crate) fn new(mut rng: Rng) -> Self {
        let pace = Pace::new(&mut rng, HELLO_INTERVAL, HELLO_BURST);
        Self {
            rng,
            pace,
            links: BTreeMap::new(),
            unconfirmed: BTreeSet::new(),
            by_key: BTreeMap::new(),
            timers: BTreeSet::new(),
            doomed: Vec::new(),
            unsent: 0,
            routes: 0,
            events: VecDeque::new(),
        }
    }

    /// How many clients are confirmed.
    pub(crate) fn client_count(&self) -> usize {
        self.by_key.len()
    }

    /// The confirmed clients' keys, each with those that it asked to be connected with.
    pub(crate) fn clients(&self) -> impl Iterator<Item = (PublicKey, Vec<PublicKey>)> + '_ {
        self.by_key.iter().filter_map(|(key, number)| match &self.links.get(number)?.phase {
            Phase::Open(open) => Some((*key, open.routes.peers().collect())),
            Phase::New => None,
        })
    }

    /// Takes what happened to the incoming stream `number`. `keys` are the DHT's.
    pub(crate) fn handle_stream(
        &mut self,
        cx: &mut Context<'_>,
        keys: &mut Keys,
        number: u64,
        event: StreamEvent<'_>,
    ) {
        match event {
            StreamEvent::Accepted { from, .. } => self.accept(cx, number, Address::udp(from)),
            StreamEvent::Connected => {}
            StreamEvent::Received(bytes) => self.receive(cx, keys, number, bytes),
            StreamEvent::Sent(bytes) => self.note_sent(number, bytes),
            StreamEvent::Closed => self.forget(cx, number),
        }
        self.close_doomed(cx);
    }

    /// Pings those that are due, and closes those that are overdue.
    pub(crate) fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        while let Some(&(at, number)) = self.timers.first()
            && at <= cx.now
        {
            self.timers.remove(&(at, number));
            self.expire(cx, number);
        }
        self.close_doomed(cx);
    }

    /// When [`Server::handle_timeout`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// What clients want next.
    pub(crate) fn poll_event(&mut self) -> Option<ServerEvent> {
        self.events.pop_front()
    }

    /// Hands an onion response (84, 86 or 88) to a client; false if it is gone or reads too slowly.
    pub(crate) fn respond_onion(
        &mut self,
        cx: &mut Context<'_>,
        client: ClientId,
        response: &[u8],
    ) -> bool {
        self.offer(cx, client.0, &RelayPacket::OnionResponse { response })
    }

    /// Hands a client what came back for its forward request; false as above.
    pub(crate) fn respond_forward(
        &mut self,
        cx: &mut Context<'_>,
        client: ClientId,
        data: &[u8],
    ) -> bool {
        self.offer(cx, client.0, &RelayPacket::Forwarding { data })
    }

    fn accept(&mut self, cx: &mut Context<'_>, number: u64, from: Address) {
        if self.unconfirmed.len() >= MAX_UNCONFIRMED
            && let Some(oldest) = self.unconfirmed.first().copied()
        {
            cx.drop_packet(DropReason::LimitReached);
            self.close(cx, oldest);
        }
        self.links.insert(number, Link::new(from));
        self.unconfirmed.insert(number);
        self.set_timer(number, cx.now + HANDSHAKE_TIME);
    }

    fn receive(&mut self, cx: &mut Context<'_>, keys: &mut Keys, number: u64, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(&number) else { return };
        let mut input = core::mem::take(&mut link.input);
        input.extend(bytes);
        if let Err(reason) = self.read(cx, keys, number, &mut input) {
            cx.drop_packet(reason);
            self.close(cx, number);
        }
        if let Some(link) = self.links.get_mut(&number) {
            input.compact();
            link.input = input;
        }
    }

    /// Reads hello and frames as far as they are there.
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        keys: &mut Keys,
        number: u64,
        input: &mut super::pipe::Input,
    ) -> Result<(), DropReason> {
        let Some(link) = self.links.get_mut(&number) else { return Ok(()) };
        if matches!(link.phase, Phase::New) {
            let Some(hello) = input.take(link::HELLO_LEN) else { return Ok(()) };
            self.pace.admit(cx.now, &Path::Direct(link.from))?;
            self.unsent +=
                link.greet(cx, keys, &mut self.rng, StreamId::Incoming(number), hello)?;
        }
        loop {
            // Handling a frame may close this very connection.
            let Some(link) = self.links.get_mut(&number) else { return Ok(()) };
            let Some(boxed) = input.frame()? else { return Ok(()) };
            let Phase::Open(open) = &mut link.phase else { return Ok(()) };
            let plain = open.pipe.open(boxed)?;
            if !open.confirmed {
                self.confirm(cx, number)?;
            }
            self.handle_plain(cx, number, plain)?;
        }
    }

    /// A client has shown that it has the secrets: from now on its key is served here.
    fn confirm(&mut self, cx: &mut Context<'_>, number: u64) -> Result<(), DropReason> {
        let key = self.open_link(number).map(|open| open.key).ok_or(DropReason::NoSession)?;
        if let Some(older) = self.by_key.get(&key).copied() {
            self.close(cx, older);
        } else if self.by_key.len() >= MAX_CLIENTS {
            return Err(DropReason::LimitReached);
        }
        if let Some(open) = self.open_link(number) {
            open.confirmed = true;
        }
        self.unconfirmed.remove(&number);
        self.by_key.insert(key, number);
        self.set_timer(number, cx.now + PING_INTERVAL);
        Ok(())
    }

    fn handle_plain(
        &mut self,
        cx: &mut Context<'_>,
        number: u64,
        plain: &[u8],
    ) -> Result<(), DropReason> {
        match RelayPacket::from_bytes(plain) {
            Ok(packet) => self.handle_packet(cx, number, packet),
            // c-toxcore's onion drops what it cannot read, whoever it is from.
            Err(error) if plain.first() == Some(&ONION_REQUEST) => {
                cx.drop_packet(error.into());
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn expire(&mut self, cx: &mut Context<'_>, number: u64) {
        let id = self.rng.u64().max(1);
        let Some(open) = self.open_link(number).filter(|open| open.confirmed) else {
            return self.close(cx, number);
        };
        if open.ping.is_some() {
            return self.close(cx, number);
        }
        open.ping = Some(id);
        self.set_timer(number, cx.now + PING_TIMEOUT);
        self.send(cx, number, &RelayPacket::Ping { id });
    }

    fn set_timer(&mut self, number: u64, at: Time) {
        if let Some(link) = self.links.get_mut(&number) {
            self.timers.remove(&(link.timer, number));
            link.timer = at;
            self.timers.insert((at, number));
        }
    }

    fn note_sent(&mut self, number: u64, bytes: usize) {
        if let Some(open) = self.open_link(number) {
            let left = open.pipe.note_sent(bytes);
            self.unsent -= left;
        }
    }

    fn open_link(&mut self, number: u64) -> Option<&mut link::Open> {
        match &mut self.links.get_mut(&number)?.phase {
            Phase::Open(open) => Some(open),
            Phase::New => None,
        }
    }

    /// Sends what must arrive; a client that cannot take it any more is doomed.
    fn send(&mut self, cx: &mut Context<'_>, number: u64, packet: &RelayPacket<'_>) {
        let is_full = self.unsent > MAX_UNSENT_TOTAL;
        let Some(open) = self.open_link(number) else { return };
        let before = open.pipe.unsent();
        let sending = if is_full && before > 2 * MIN_UNSENT {
            Sending::Stuck
        } else {
            open.pipe.send(cx, packet)
        };
        let more = open.pipe.unsent() - before;
        self.unsent += more;
        if sending == Sending::Stuck {
            cx.drop_packet(DropReason::LimitReached);
            self.doomed.push(number);
        }
    }

    /// Sends what may be lost on the way to a client that reads too slowly; false if it was.
    fn offer(&mut self, cx: &mut Context<'_>, number: u64, packet: &RelayPacket<'_>) -> bool {
        let limit = if self.unsent > MAX_UNSENT_TOTAL { MIN_UNSENT } else { MAX_UNSENT_DATA };
        let Some(open) = self.open_link(number) else { return false };
        let before = open.pipe.unsent();
        let is_sent = open.pipe.offer(cx, packet, limit) == Sending::Sent;
        let more = open.pipe.unsent() - before;
        self.unsent += more;
        if !is_sent {
            cx.drop_packet(DropReason::LimitReached);
        }
        is_sent
    }

    fn close_doomed(&mut self, cx: &mut Context<'_>) {
        // Closing one tells others, who may be stuck too.
        while let Some(number) = self.doomed.pop() {
            self.close(cx, number);
        }
    }

    fn close(&mut self, cx: &mut Context<'_>, number: u64) {
        if self.links.contains_key(&number) {
            cx.stream(StreamId::Incoming(number), StreamRequest::Close);
            self.forget(cx, number);
        }
    }

    /// Removes a connection, and tells those who were connected through it.
    fn forget(&mut self, cx: &mut Context<'_>, number: u64) {
        let Some(link) = self.links.remove(&number) else { return };
        self.timers.remove(&(link.timer, number));
        self.unconfirmed.remove(&number);
        let Phase::Open(open) = link.phase else { return };
        self.unsent -= open.pipe.unsent();
        self.routes -= open.routes.count();
        if self.by_key.get(&open.key) == Some(&number) {
            self.by_key.remove(&open.key);
        }
        for far_end in open.routes.far_ends() {
            self.unlink(cx, far_end);
        }
    }
}

/// The id of onion requests.
const ONION_REQUEST: u8 = 8;
