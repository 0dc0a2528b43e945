//! The file system of one node with the mesh beneath it, still sans-IO: what a runtime or a simulator
//! drives.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use toktok_mesh::{self as mesh, ChannelId, IoToken, Machine, StreamEvent, StreamId};
use toktok_wire::{Address, NodeKey, PublicKey, Rng, Time};

use crate::capability::{Capability, FileKind};
use crate::client::{GetError, PutError, Secrecy};
use crate::config::Config;
use crate::core::{self, Core, Event, GetId, IoRequest, IoResult, PutId, StoreFacts, TransferId};
use crate::error::StartError;

/// The protocol's name: of its channels, and of the service in the DHT.
pub const PROTOCOL: &str = "toktok/tdfs/1";

/// Bytes that may wait in the mesh for one neighbour. More would make small messages wait behind
/// blocks; less would not fill a fast link between two calls.
const WINDOW: usize = 256 << 10;
/// A session that the file system no longer needs is ended so much later: the last words arrive, and a
/// layer above may take it over.
const LINGER: Duration = Duration::from_secs(5);
/// A node without neighbours tries the bootstrap nodes again so often.
const RESEED: Duration = Duration::from_secs(5);
/// Most addresses of service nodes remembered.
const MAX_HINTS: usize = 256;

/// One node: mesh, routing, store policy and files.
#[derive(Debug)]
pub struct Stack {
    mesh: mesh::Stack,
    core: Core,
    me: PublicKey,
    /// Bytes that the mesh queues for a channel.
    channel_queue: usize,
    channels: BTreeMap<PublicKey, ChannelId>,
    /// Channels of this protocol, opened from here and not accepted yet included.
    ours: BTreeMap<ChannelId, PublicKey>,
    /// Other protocols' channels, by peer: sessions with any are not ended from here.
    foreign: BTreeMap<ChannelId, PublicKey>,
    /// Sessions that the layer above asked for.
    held: BTreeSet<PublicKey>,
    lingering: BTreeMap<PublicKey, Time>,
    hints: BTreeMap<PublicKey, Address>,
    seeds: Vec<PublicKey>,
    next_seeding: Time,
    services: Vec<String>,
}

impl Stack {
    /// A node that knows nobody yet. Its mesh key is the image of its node key. Solving the location
    /// puzzle may take a second.
    ///
    /// # Errors
    /// [`StartError::Puzzle`] if the puzzle's parameters are out of range.
    pub fn new(
        config: Config,
        key: NodeKey,
        store: StoreFacts,
        rng: Rng,
        now: Time,
    ) -> Result<Self, StartError> {
        let keys = key.mesh_keys();
        let me = keys.public;
        let channel_queue = config.mesh.channel_queue;
        let mut mesh = mesh::Stack::new(config.mesh.clone(), keys, rng.child("mesh"), now);
        mesh.listen(PROTOCOL);
        mesh.set_services(&[PROTOCOL]);
        let core = Core::new(config, key, store, rng.child("tdfs"), now)?;
        Ok(Self {
            mesh,
            core,
            me,
            channel_queue,
            channels: BTreeMap::new(),
            ours: BTreeMap::new(),
            foreign: BTreeMap::new(),
            held: BTreeSet::new(),
            lingering: BTreeMap::new(),
            hints: BTreeMap::new(),
            seeds: Vec::new(),
            next_seeding: now,
            services: Vec::new(),
        })
    }

    /// The mesh beneath, to look at.
    pub const fn mesh(&self) -> &mesh::Stack {
        &self.mesh
    }

    /// The mesh beneath, for the layer above: its own channels and sessions. Sessions are better asked
    /// for by [`Stack::connect`], services by [`Stack::offer`].
    pub const fn mesh_mut(&mut self) -> &mut mesh::Stack {
        &mut self.mesh
    }

    /// The file system without the mesh, to look at.
    pub const fn core(&self) -> &Core {
        &self.core
    }

    /// The key under which the mesh knows this node.
    pub const fn public_key(&self) -> PublicKey {
        self.me
    }

    /// The nodes with which this one keeps a standing session.
    pub fn neighbours(&self) -> Vec<PublicKey> {
        self.core.router().neighbours().map(|identity| identity.key).collect()
    }

    /// Gets to know the network through a node of which key and address are known.
    pub fn bootstrap(&mut self, now: Time, address: Address, key: PublicKey) {
        self.hints.insert(key, address);
        if !self.seeds.contains(&key) {
            self.seeds.push(key);
        }
        self.mesh.bootstrap(now, address, key);
        self.core.router_mut().add_candidate(now, key);
    }

    /// Offers another service beside this one, such as that of the layer above.
    pub fn offer(&mut self, service: &str) {
        if !self.services.iter().any(|known| known == service) {
            self.services.push(service.to_owned());
        }
        let all: Vec<&str> =
            [PROTOCOL].into_iter().chain(self.services.iter().map(String::as_str)).collect();
        self.mesh.set_services(&all);
    }

    /// Makes a session for the layer above, or keeps the one there is until [`Stack::release`].
    pub fn connect(&mut self, now: Time, peer: PublicKey) {
        self.held.insert(peer);
        let hint = self.hints.get(&peer).copied();
        self.mesh.connect(now, peer, hint);
    }

    /// The layer above has no use for this session any more. It ends unless the file system has.
    pub fn release(&mut self, now: Time, peer: PublicKey) {
        self.held.remove(&peer);
        self.lingering.insert(peer, now);
    }

    /// Stores a file of `length` bytes; its source is read by [`IoRequest::Transfer`].
    /// [`Event::Put`] follows.
    ///
    /// # Errors
    /// [`PutError::TooLong`].
    pub fn put(
        &mut self,
        kind: FileKind,
        length: u64,
        secrecy: Secrecy,
    ) -> Result<PutId, PutError> {
        self.core.put(kind, length, secrecy)
    }

    /// Fetches a file; its bytes are written by [`IoRequest::Transfer`]. [`Event::Get`] follows.
    ///
    /// # Errors
    /// [`GetError::VerifyOnly`].
    pub fn get(&mut self, capability: &Capability) -> Result<GetId, GetError> {
        self.core.get(capability)
    }

    /// Fetches `length` bytes of a file from `offset` on, or as many as there are.
    ///
    /// # Errors
    /// [`GetError::VerifyOnly`].
    pub fn get_range(
        &mut self,
        capability: &Capability,
        offset: u64,
        length: u64,
    ) -> Result<GetId, GetError> {
        self.core.get_range(capability, offset, length)
    }

    /// Fetches every block of a file without reading it, and stores again what is missing.
    pub fn verify(&mut self, capability: &Capability) -> GetId {
        self.core.verify(capability)
    }

    /// Gives a transfer up: no event follows.
    pub fn cancel(&mut self, transfer: TransferId) {
        self.core.cancel(transfer);
    }

    /// Takes an event of the mesh; gives back what the layer above may want.
    fn handle_mesh(&mut self, now: Time, event: mesh::Event) -> Option<mesh::Event> {
        match &event {
            // One of two must open the channel: the smaller key.
            mesh::Event::SessionUp { peer } if self.me < *peer => self.open(now, *peer),
            mesh::Event::ConnectFailed { peer, .. } => {
                // It may have moved: next time the DHT is asked. Seeds keep their address.
                if !self.seeds.contains(peer) {
                    self.hints.remove(peer);
                }
                self.core.router_mut().handle_connect_failed(now, *peer);
            }
            mesh::Event::SessionDown { peer, .. } => {
                self.lingering.remove(peer);
            }
            mesh::Event::ChannelOpened { channel, peer, protocol, incoming } => {
                if protocol == PROTOCOL {
                    self.handle_opened(now, *channel, *peer, *incoming);
                    return None;
                }
                self.foreign.insert(*channel, *peer);
            }
            mesh::Event::ChannelClosed { channel, .. } => {
                if let Some(peer) = self.ours.remove(channel) {
                    self.handle_closed(now, *channel, peer);
                    return None;
                }
                self.foreign.remove(channel);
            }
            mesh::Event::Message { channel, peer, .. } if self.ours.contains_key(channel) => {
                let peer = *peer;
                if let mesh::Event::Message { message, .. } = event {
                    self.core.router_mut().handle_message(now, peer, message);
                }
                return None;
            }
            mesh::Event::Writable { channel } if self.ours.contains_key(channel) => return None,
            mesh::Event::ServiceNode { key, address, services }
                if services.iter().any(|service| service == PROTOCOL) =>
            {
                self.learn_hint(*key, *address);
                self.core.router_mut().add_candidate(now, *key);
            }
            _ => {}
        }
        Some(event)
    }

    fn learn_hint(&mut self, key: PublicKey, address: Address) {
        if self.hints.len() >= MAX_HINTS && !self.hints.contains_key(&key) {
            self.hints.pop_first();
        }
        self.hints.insert(key, address);
    }

    /// Opens our channel with a peer, unless there is one.
    fn open(&mut self, now: Time, peer: PublicKey) {
        if self.channels.contains_key(&peer) || self.ours.values().any(|other| *other == peer) {
            return;
        }
        match self.mesh.open(now, peer, PROTOCOL) {
            Ok(channel) => {
                self.ours.insert(channel, peer);
            }
            Err(_) => self.core.router_mut().handle_connect_failed(now, peer),
        }
    }

    /// A channel stands. If both sides opened one, that of the smaller key stays.
    fn handle_opened(&mut self, now: Time, channel: ChannelId, peer: PublicKey, incoming: bool) {
        if incoming {
            let rival = self.ours.iter().find(|(_, other)| **other == peer).map(|(id, _)| *id);
            if let Some(rival) = rival {
                if self.me < peer {
                    return self.mesh.close(now, channel);
                }
                self.ours.remove(&rival);
                self.mesh.close(now, rival);
                self.core.router_mut().handle_link_down(now, peer);
            }
            self.ours.insert(channel, peer);
        } else if !self.ours.contains_key(&channel) {
            return self.mesh.close(now, channel);
        }
        self.lingering.remove(&peer);
        self.channels.insert(peer, channel);
        self.core.router_mut().handle_link_up(now, peer);
    }

    /// One of our channels is gone, or was refused.
    fn handle_closed(&mut self, now: Time, channel: ChannelId, peer: PublicKey) {
        if self.channels.get(&peer) == Some(&channel) {
            self.channels.remove(&peer);
            self.core.router_mut().handle_link_down(now, peer);
        } else {
            self.core.router_mut().handle_connect_failed(now, peer);
        }
        self.lingering.insert(peer, now + LINGER);
    }

    /// Does what the core wants of the mesh.
    fn handle_core(&mut self, now: Time, output: core::Output) {
        match output {
            core::Output::Connect(peer) if self.mesh.is_connected(peer) => self.open(now, peer),
            core::Output::Connect(peer) => {
                let hint = self.hints.get(&peer).copied();
                self.mesh.connect(now, peer, hint);
            }
            core::Output::Part(peer, words) => {
                if let Some(channel) = self.channels.remove(&peer) {
                    self.ours.remove(&channel);
                    // Last words that find no room are lost: the closed channel says enough.
                    let _ = words.map(|words| self.mesh.send(now, channel, words));
                    self.mesh.close(now, channel);
                }
                self.lingering.insert(peer, now + LINGER);
            }
            core::Output::Io(..) | core::Output::Event(_) | core::Output::Idle(_) => {}
        }
    }

    /// Hands messages to the mesh as far as the windows allow. True if any was.
    fn pump(&mut self, now: Time) -> bool {
        let mut pumped = false;
        for (peer, channel) in &self.channels {
            let router = self.core.router_mut();
            while let Some(len) = router.next_message_len(peer) {
                let space = self.mesh.send_space(*channel);
                let waiting = self.channel_queue.saturating_sub(space);
                if waiting > 0 && (waiting + len > WINDOW || len > space) {
                    break;
                }
                let Some(message) = router.next_message(peer) else { break };
                // There is space; a channel that is gone says so by its own event.
                let _ = self.mesh.send(now, *channel, message);
                pumped = true;
            }
        }
        pumped
    }

    /// Ends sessions that nobody needs any more, and looks for the network if there is nobody.
    fn tidy(&mut self, now: Time) {
        let due: Vec<_> =
            self.lingering.iter().filter(|(_, due)| **due <= now).map(|(peer, _)| *peer).collect();
        for peer in due {
            self.lingering.remove(&peer);
            let needed = self.channels.contains_key(&peer)
                || self.held.contains(&peer)
                || self.foreign.values().any(|other| *other == peer);
            if !needed {
                self.mesh.disconnect(now, peer);
            }
        }
        if now >= self.next_seeding {
            self.next_seeding = now + RESEED;
            if self.channels.is_empty() {
                for key in self.seeds.clone() {
                    self.core.router_mut().add_candidate(now, key);
                }
            }
        }
    }

    fn deadline(&self) -> Time {
        let linger = self.lingering.values().min().copied();
        linger.unwrap_or(Time::MAX).min(self.next_seeding)
    }
}

impl Machine for Stack {
    type Event = Event;
    type IoRequest = IoRequest;
    type IoResult = IoResult;

    fn handle_datagram(&mut self, now: Time, from: Address, datagram: &mut [u8]) {
        self.mesh.handle_datagram(now, from, datagram);
    }

    fn expects(&self, from: &Address, datagram: &[u8]) -> bool {
        self.mesh.expects(from, datagram)
    }

    fn handle_stream(&mut self, now: Time, stream: StreamId, event: StreamEvent<'_>) {
        self.mesh.handle_stream(now, stream, event);
    }

    fn handle_io(&mut self, now: Time, token: IoToken, result: IoResult) {
        self.core.handle_io(now, token, result);
    }

    fn poll(&mut self, now: Time) -> mesh::Output<Event, IoRequest> {
        self.tidy(now);
        loop {
            let mesh_idle = match self.mesh.poll(now) {
                mesh::Output::Transmit { to, payload } => {
                    return mesh::Output::Transmit { to, payload };
                }
                mesh::Output::Stream(stream, request) => {
                    return mesh::Output::Stream(stream, request);
                }
                mesh::Output::Io(_, never) => match never {},
                mesh::Output::Event(event) => {
                    if let Some(event) = self.handle_mesh(now, event) {
                        return mesh::Output::Event(Event::Mesh(event));
                    }
                    continue;
                }
                mesh::Output::Idle(deadline) => deadline,
            };
            let core_idle = match self.core.poll(now) {
                core::Output::Io(token, request) => return mesh::Output::Io(token, request),
                core::Output::Event(event) => return mesh::Output::Event(event),
                core::Output::Idle(deadline) => deadline,
                output => {
                    self.handle_core(now, output);
                    continue;
                }
            };
            if !self.pump(now) {
                let deadlines = [mesh_idle, core_idle, Some(self.deadline())];
                return mesh::Output::Idle(deadlines.into_iter().flatten().min());
            }
        }
    }
}
