//! The distributed computer of one node with the file system and the mesh beneath it, still sans-IO:
//! what a runtime or a simulator drives.

mod data;
mod link;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use toktok_mesh::{self as mesh, ChannelId, IoToken, Machine, StreamEvent, StreamId};
use toktok_tdfs as tdfs;
use toktok_wire::{Address, NodeKey, PublicKey, Rng, Time};

use self::data::Fetches;
use self::link::Link;
use crate::action::{Action, Role, TaskId, TaskResult};
use crate::config::{self, PROTOCOL};
use crate::coordinator::Event as JobEvent;
use crate::core::Core;
use crate::engine::{Computed, ExecuteError, Execution};
use crate::job::{InvalidJob, JobId, JobSpec};
use crate::worker::Donation;

/// Workers that a client keeps channels with at once: sessions are memory at both ends.
const WORKERS_AT_ONCE: usize = 128;

/// Nodes known to offer work, and neighbours that may.
const MAX_CANDIDATES: usize = 1_024;

/// A node that could not be reached, or does not work for others, is asked again so much later.
const RETRY: Duration = Duration::from_secs(10);

/// Channels to workers stay so long after the last job, for the next one.
const LINGER: Duration = Duration::from_secs(60);

/// How often workers are looked for while a job runs.
const LOOK: Duration = Duration::from_millis(500);

/// How a node's computer is set up.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The file system and the mesh beneath.
    pub tdfs: tdfs::Config,
    /// What is given to others' jobs.
    pub donation: Donation,
}

/// Work that the stack does not do itself.
#[derive(Debug)]
pub enum IoRequest {
    /// The file system's.
    Tdfs(tdfs::IoRequest),
    /// Run a program: [`compute`](crate::engine::compute) does that.
    Execute(Execution),
}

/// How such work ended.
#[derive(Debug)]
pub enum IoResult {
    /// The file system's.
    Tdfs(tdfs::IoResult),
    /// A program's result.
    Executed(Result<Computed, ExecuteError>),
}

/// Something that the stack's user wants to know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Of the file system, or of the mesh beneath it.
    Tdfs(tdfs::Event),
    /// Of a job.
    Job(JobEvent),
}

/// One node: mesh, file system, computer.
#[derive(Debug)]
pub struct Stack {
    tdfs: tdfs::Stack,
    core: Core,
    fetches: Fetches,
    links: BTreeMap<ChannelId, Link>,
    channels: BTreeMap<(PublicKey, Role), ChannelId>,
    /// Who may work, and when to ask next.
    candidates: BTreeMap<PublicKey, Time>,
    /// Sessions asked for and not there yet.
    connecting: BTreeSet<PublicKey>,
    next_look: Time,
    busy_until: Time,
    /// Bytes that the mesh queues for a channel.
    channel_queue: usize,
}

impl Stack {
    /// A node that knows nobody yet.
    ///
    /// # Errors
    /// As [`tdfs::Stack::new`].
    pub fn new(
        config: Config,
        key: NodeKey,
        store: tdfs::StoreFacts,
        rng: Rng,
        now: Time,
    ) -> Result<Self, tdfs::StartError> {
        let channel_queue = config.tdfs.mesh.channel_queue;
        let mut tdfs = tdfs::Stack::new(config.tdfs, key, store, rng.child("tdfs"), now)?;
        tdfs.mesh_mut().listen(PROTOCOL);
        tdfs.offer(PROTOCOL);
        let core = Core::new(tdfs.public_key(), config.donation, &rng.child("tdc"));
        Ok(Self {
            tdfs,
            core,
            fetches: Fetches::default(),
            links: BTreeMap::new(),
            channels: BTreeMap::new(),
            candidates: BTreeMap::new(),
            connecting: BTreeSet::new(),
            next_look: now,
            busy_until: now,
            channel_queue,
        })
    }

    /// The file system beneath, to look at.
    pub const fn tdfs(&self) -> &tdfs::Stack {
        &self.tdfs
    }

    /// The file system beneath: its verbs stay available.
    pub const fn tdfs_mut(&mut self) -> &mut tdfs::Stack {
        &mut self.tdfs
    }

    /// The computer without network, to look at.
    pub const fn core(&self) -> &Core {
        &self.core
    }

    /// The key under which the mesh knows this node.
    pub const fn public_key(&self) -> PublicKey {
        self.tdfs.public_key()
    }

    /// Gets to know the network through a node of which key and address are known.
    pub fn bootstrap(&mut self, now: Time, address: Address, key: PublicKey) {
        self.tdfs.bootstrap(now, address, key);
        self.add_candidate(now, key);
    }

    /// Begins a job; [`JobEvent::JobDone`] or [`JobEvent::JobFailed`] ends it.
    ///
    /// # Errors
    /// [`InvalidJob`] if it makes no sense.
    pub fn submit(&mut self, now: Time, spec: JobSpec) -> Result<JobId, InvalidJob> {
        let job = self.core.submit(now, spec)?;
        self.next_look = now;
        Ok(job)
    }

    /// Gives a job up.
    pub fn cancel(&mut self, now: Time, job: JobId) {
        self.core.cancel(now, job);
    }

    /// Gives more, less, or nothing to others' jobs from now on.
    pub fn set_donation(&mut self, donation: Donation) {
        self.core.set_donation(donation);
    }

    fn add_candidate(&mut self, now: Time, peer: PublicKey) {
        if peer != self.public_key() && self.candidates.len() < MAX_CANDIDATES {
            self.candidates.entry(peer).or_insert(now);
        }
    }

    /// While a job runs, channels to workers; a while after the last one, none.
    fn look_for_workers(&mut self, now: Time) {
        if now < self.next_look {
            return;
        }
        self.next_look = now + LOOK;
        if self.core.coordinator().is_busy() {
            self.busy_until = now + LINGER;
            self.tdfs.neighbours().into_iter().for_each(|peer| self.add_candidate(now, peer));
            let due: Vec<PublicKey> = self
                .candidates
                .iter()
                .filter(|(_, due)| **due <= now)
                .map(|(peer, _)| *peer)
                .collect();
            due.into_iter().for_each(|peer| self.ask(now, peer));
        } else if now >= self.busy_until {
            let outgoing: Vec<ChannelId> = self
                .channels
                .iter()
                .filter(|((_, role), _)| *role == Role::Client)
                .map(|(_, channel)| *channel)
                .collect();
            outgoing.into_iter().for_each(|channel| self.hang_up(now, channel));
        }
    }

    /// Gets a channel to `peer`, so that it can work here.
    fn ask(&mut self, now: Time, peer: PublicKey) {
        let full = self.core.coordinator().workers() + self.connecting.len() >= WORKERS_AT_ONCE;
        let has = self.channels.contains_key(&(peer, Role::Client));
        if full || has || self.core.coordinator().is_banned(&peer) {
            return;
        }
        self.candidates.insert(peer, now + RETRY);
        if self.tdfs.mesh().is_connected(peer) {
            self.open(now, peer);
        } else {
            self.connecting.insert(peer);
            self.tdfs.connect(now, peer);
        }
    }

    fn open(&mut self, now: Time, peer: PublicKey) {
        self.connecting.remove(&peer);
        if self.channels.contains_key(&(peer, Role::Client)) {
            return;
        }
        // The session is the file system's too: it must not be ended while this channel stands.
        self.tdfs.connect(now, peer);
        if let Ok(channel) = self.tdfs.mesh_mut().open(now, peer, PROTOCOL) {
            self.links.insert(channel, Link::new(peer, Role::Client));
            self.channels.insert((peer, Role::Client), channel);
        }
    }

    /// Ends a channel from here.
    fn hang_up(&mut self, now: Time, channel: ChannelId) {
        self.tdfs.mesh_mut().close(now, channel);
        self.forget(now, channel);
    }

    fn forget(&mut self, now: Time, channel: ChannelId) {
        let Some(link) = self.links.remove(&channel) else { return };
        let key = (link.peer, link.role);
        if self.channels.get(&key) != Some(&channel) {
            return;
        }
        self.channels.remove(&key);
        if link.is_open() {
            self.core.handle_peer_down(now, link.peer, link.role);
        }
        if link.role == Role::Client {
            self.tdfs.release(now, link.peer);
        }
    }

    fn handle_opened(&mut self, now: Time, channel: ChannelId, peer: PublicKey, incoming: bool) {
        let role = if incoming { Role::Worker } else { Role::Client };
        if incoming {
            if let Some(old) = self.channels.get(&(peer, role)).copied() {
                self.hang_up(now, old);
            }
            self.links.insert(channel, Link::new(peer, role));
            self.channels.insert((peer, role), channel);
        }
        let Some(link) = self.links.get_mut(&channel) else {
            return self.tdfs.mesh_mut().close(now, channel);
        };
        link.open();
        let network = self.tdfs.mesh().network_group(peer).map(|group| group.0);
        if !self.core.handle_peer_up(now, peer, role, network) {
            self.hang_up(now, channel);
        }
    }

    /// Takes an event of the mesh; true if it was for nobody else.
    fn handle_mesh(&mut self, now: Time, event: &mesh::Event) -> bool {
        match event {
            mesh::Event::ServiceNode { key, services, .. } => {
                if services.iter().any(|service| service == PROTOCOL) {
                    self.add_candidate(now, *key);
                }
                false
            }
            mesh::Event::SessionUp { peer } => {
                if self.connecting.contains(peer) {
                    self.open(now, *peer);
                }
                false
            }
            mesh::Event::ConnectFailed { peer, .. } => {
                if self.connecting.remove(peer) {
                    self.tdfs.release(now, *peer);
                }
                false
            }
            mesh::Event::ChannelOpened { channel, peer, protocol, incoming }
                if protocol == PROTOCOL =>
            {
                self.handle_opened(now, *channel, *peer, *incoming);
                true
            }
            mesh::Event::ChannelClosed { channel, .. } if self.links.contains_key(channel) => {
                self.forget(now, *channel);
                true
            }
            mesh::Event::Message { channel, message, .. } => match self.links.get(channel) {
                Some(link) => {
                    self.core.handle_message(now, link.peer, link.role, message.clone());
                    true
                }
                None => false,
            },
            mesh::Event::Writable { channel } => self.links.contains_key(channel),
            _ => false,
        }
    }

    /// Does what the core wants; gives back what the driver must do.
    fn act(&mut self, now: Time, action: Action) -> Option<mesh::Output<Event, IoRequest>> {
        match action {
            Action::Send { to, role, message } => {
                let channel = self.channels.get(&(to, role)).copied();
                let link = channel.and_then(|channel| self.links.get_mut(&channel));
                if link.is_some_and(|link| !link.push(message))
                    && let Some(channel) = channel
                {
                    self.hang_up(now, channel);
                }
                None
            }
            Action::Fetch { task, capability, range } => {
                let refused = self.fetches.fetch(&mut self.tdfs, task, &capability, range);
                self.answer(now, refused);
                None
            }
            Action::Measure { task, capability } => {
                let refused = self.fetches.measure(&mut self.tdfs, task, &capability);
                self.answer(now, refused);
                None
            }
            Action::Execute { task, execution } => {
                let token = IoToken(task.0 << 1 | 1);
                Some(mesh::Output::Io(token, IoRequest::Execute(execution)))
            }
            Action::Event(event) => Some(mesh::Output::Event(Event::Job(event))),
        }
    }

    fn answer(&mut self, now: Time, result: Option<(TaskId, TaskResult)>) {
        if let Some((task, result)) = result {
            self.core.handle_task(now, task, result);
        }
    }

    /// Hands messages to the mesh as far as the channels take them. True if any was.
    fn pump(&mut self, now: Time) -> bool {
        let mesh = self.tdfs.mesh_mut();
        let mut pumped = false;
        for (channel, link) in &mut self.links {
            pumped |= link.pump(now, mesh, *channel, self.channel_queue);
        }
        pumped
    }
}

impl Machine for Stack {
    type Event = Event;
    type IoRequest = IoRequest;
    type IoResult = IoResult;

    fn handle_datagram(&mut self, now: Time, from: Address, datagram: &mut [u8]) {
        self.tdfs.handle_datagram(now, from, datagram);
    }

    fn expects(&self, from: &Address, datagram: &[u8]) -> bool {
        self.tdfs.expects(from, datagram)
    }

    fn handle_stream(&mut self, now: Time, stream: StreamId, event: StreamEvent<'_>) {
        self.tdfs.handle_stream(now, stream, event);
    }

    fn handle_io(&mut self, now: Time, token: IoToken, result: IoResult) {
        match result {
            IoResult::Tdfs(result) => self.tdfs.handle_io(now, IoToken(token.0 >> 1), result),
            IoResult::Executed(result) => {
                self.core.handle_task(now, TaskId(token.0 >> 1), TaskResult::Computed(result));
            }
        }
    }

    fn poll(&mut self, now: Time) -> mesh::Output<Event, IoRequest> {
        self.look_for_workers(now);
        loop {
            let below = match self.tdfs.poll(now) {
                mesh::Output::Transmit { to, payload } => {
                    return mesh::Output::Transmit { to, payload };
                }
                mesh::Output::Stream(stream, request) => {
                    return mesh::Output::Stream(stream, request);
                }
                mesh::Output::Io(token, request) => {
                    match self.fetches.serve(token, request) {
                        Ok((token, result)) => self.tdfs.handle_io(now, token, result),
                        Err((token, request)) => {
                            return mesh::Output::Io(
                                IoToken(token.0 << 1),
                                IoRequest::Tdfs(request),
                            );
                        }
                    }
                    continue;
                }
                mesh::Output::Event(tdfs::Event::Mesh(event)) if self.handle_mesh(now, &event) => {
                    continue;
                }
                mesh::Output::Event(event) => {
                    match self.fetches.handle_event(&mut self.tdfs, event) {
                        Ok(done) => self.answer(now, done),
                        Err(event) => return mesh::Output::Event(Event::Tdfs(event)),
                    }
                    continue;
                }
                mesh::Output::Idle(deadline) => deadline,
            };
            if let Some(action) = self.core.poll(now) {
                if let Some(output) = self.act(now, action) {
                    return output;
                }
                continue;
            }
            if !self.pump(now) {
                let look = (self.core.coordinator().is_busy() || now < self.busy_until)
                    .then_some(self.next_look);
                let deadlines = [below, self.core.deadline(), look];
                return mesh::Output::Idle(deadlines.into_iter().flatten().min());
            }
        }
    }
}

const _: () = assert!(config::OUTPUT_CHUNK < mesh::MAX_MESSAGE);
