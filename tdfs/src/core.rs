//! The file system of one node without the mesh: keys in, keys out.
//!
//! [`Core`] owns the routing, the policy of what is kept, and the files under way. Its
//! [`Stack`](crate::Stack) gives it sessions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use toktok_mesh::IoToken;
use toktok_wire::{NodeKey, PublicKey, Rng, Time};

use crate::block::{Block, BlockAddress};
use crate::capability::{Capability, FileKind};
use crate::client::{
    self, BlockFailure, Get, GetError, GetEvent, IoId, OpId, Put, PutError, PutEvent, Secrecy,
};
use crate::config::Config;
use crate::error::StartError;
use crate::route::{self, LocalId, RequestId, RouteEvent, Router};
use crate::store::{
    Admission, BlockStore, Held, Retention, StoreError, StoreKey, StoreSalt, Write,
};

/// Names one upload; unique within its node's run.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PutId(pub u64);

/// Names one download; unique within its node's run.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct GetId(pub u64);

/// An upload or a download.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum TransferId {
    /// An upload, whose source is read.
    Put(PutId),
    /// A download, whose sink is written.
    Get(GetId),
}

/// Work that the core does not do itself.
#[derive(Debug)]
pub enum IoRequest {
    /// Read a block from the store.
    Read(BlockAddress),
    /// Make these changes to the store, all or none. Answer when they are safe. Many may wait at once:
    /// whoever does them joins them to one batch.
    Write(Vec<Write>),
    /// Read the source or write the sink of a transfer, or code a segment
    /// ([`client::Io::compute`] does that).
    Transfer(TransferId, client::Io),
}

/// How such work ended.
#[derive(Debug)]
pub enum IoResult {
    /// What the store has.
    Read(Result<Option<Block>, StoreError>),
    /// Whether the changes are safe.
    Written(Result<(), StoreError>),
    /// What became of a transfer's work.
    Transfer(client::IoResult),
}

/// Something that the user of the file system wants to know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// This node knows its surroundings: it can store and fetch.
    Joined {
        /// Its neighbours now.
        neighbours: usize,
    },
    /// A node has become a neighbour.
    NeighbourUp(PublicKey),
    /// A neighbour is gone.
    NeighbourDown(PublicKey),
    /// An upload goes on or has ended.
    Put(PutId, PutEvent),
    /// A download goes on or has ended.
    Get(GetId, GetEvent),
    /// A block of a download came.
    BlockFetched {
        /// For which download.
        get: GetId,
        /// How many times it was handed on from its holder to this node; 0 if it lay here.
        hops: u8,
    },
    /// Something of the mesh that the file system has no use for, or not alone.
    Mesh(toktok_mesh::Event),
}

/// What a core wants its owner to do next.
#[must_use]
#[derive(Debug)]
pub enum Output {
    /// Make a session with this node and a channel on it.
    Connect(PublicKey),
    /// Close the channel with this node, after these last words if there are any.
    Part(PublicKey, Option<bytes::Bytes>),
    /// Do this work and answer with [`Core::handle_io`].
    Io(IoToken, IoRequest),
    /// Something that the user wants to know.
    Event(Event),
    /// Nothing more to do until something comes in, or until this moment at the latest.
    Idle(Option<Time>),
}

/// What a node must know of its store before it starts.
#[derive(Clone, Debug)]
pub struct StoreFacts {
    /// The secret of the store's keys.
    pub salt: StoreSalt,
    /// Most bytes of blocks.
    pub quota: u64,
    /// What is there already.
    pub held: Vec<Held>,
}

impl StoreFacts {
    /// Asks a store.
    ///
    /// # Errors
    /// As [`BlockStore::visit`].
    pub fn of(store: &dyn BlockStore) -> Result<Self, StoreError> {
        let mut held = Vec::new();
        store.visit(&mut |block| held.push(block))?;
        Ok(Self { salt: store.salt(), quota: store.usage().quota, held })
    }
}

/// What a piece of work under way is for.
#[derive(Debug)]
enum Purpose {
    Look(LocalId, StoreKey),
    Keep(LocalId, StoreKey),
    /// Housekeeping: nobody waits.
    Quiet,
    Transfer(TransferId, IoId),
}

#[derive(Debug)]
enum Transfer {
    Put(Box<Put>),
    Get(Box<Get>),
}

/// The file system of one node, without the mesh.
#[derive(Debug)]
pub struct Core {
    config: Config,
    me: PublicKey,
    rng: Rng,
    router: Router,
    retention: Retention,
    salt: StoreSalt,
    transfers: BTreeMap<TransferId, Transfer>,
    next_transfer: u64,
    /// Transfers that may have something to say.
    awake: BTreeSet<TransferId>,
    wakes: BTreeSet<(Time, TransferId)>,
    requests: BTreeMap<RequestId, (TransferId, OpId)>,
    work: BTreeMap<IoToken, Purpose>,
    next_token: u64,
    outputs: VecDeque<Output>,
}

impl Core {
    /// A node with this key over this store. Solving the location puzzle may take a second.
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
        let mut route = config.route.clone();
        route.capacity = store.quota >> 16;
        let router = Router::new(route, key, rng.child("route"), now).ok_or(StartError::Puzzle)?;
        let mut retention = Retention::new(store.quota);
        store.held.into_iter().for_each(|held| retention.restore(held));
        Ok(Self {
            me: router.identity().key,
            config,
            rng: rng.child("transfers"),
            router,
            retention,
            salt: store.salt,
            transfers: BTreeMap::new(),
            next_transfer: 0,
            awake: BTreeSet::new(),
            wakes: BTreeSet::new(),
            requests: BTreeMap::new(),
            work: BTreeMap::new(),
            next_token: 0,
            outputs: VecDeque::new(),
        })
    }

    /// The routing, to look at.
    pub const fn router(&self) -> &Router {
        &self.router
    }

    /// The routing, for whoever binds it to sessions.
    pub(crate) const fn router_mut(&mut self) -> &mut Router {
        &mut self.router
    }

    /// What is kept, to look at.
    pub const fn retention(&self) -> &Retention {
        &self.retention
    }

    /// Stores a file of `length` bytes. [`Event::Put`] follows.
    ///
    /// # Errors
    /// [`PutError::TooLong`].
    pub fn put(
        &mut self,
        kind: FileKind,
        length: u64,
        secrecy: Secrecy,
    ) -> Result<PutId, PutError> {
        let rng = Rng::from_seed(self.rng.bytes());
        let put = Put::new(self.config.put, kind, length, secrecy, rng)?;
        let id =
            PutId(self.add(|number| TransferId::Put(PutId(number)), Transfer::Put(put.into())));
        Ok(id)
    }

    /// Fetches a file. [`Event::Get`] follows.
    ///
    /// # Errors
    /// [`GetError::VerifyOnly`].
    pub fn get(&mut self, capability: &Capability) -> Result<GetId, GetError> {
        self.get_range(capability, 0, u64::MAX)
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
        let rng = Rng::from_seed(self.rng.bytes());
        let get = Get::range(self.config.get, capability, offset, length, rng)?;
        Ok(self.add_get(get))
    }

    /// Fetches every block of a file without reading it, and stores again what is missing: for this the
    /// verify-only capability is enough.
    pub fn verify(&mut self, capability: &Capability) -> GetId {
        let rng = Rng::from_seed(self.rng.bytes());
        let get = Get::verify(self.config.get, capability, rng);
        self.add_get(get)
    }

    fn add_get(&mut self, get: Get) -> GetId {
        GetId(self.add(|number| TransferId::Get(GetId(number)), Transfer::Get(get.into())))
    }

    fn add(&mut self, id: impl FnOnce(u64) -> TransferId, transfer: Transfer) -> u64 {
        let number = self.next_transfer;
        self.next_transfer += 1;
        let id = id(number);
        self.transfers.insert(id, transfer);
        self.awake.insert(id);
        number
    }

    /// Gives a transfer up: no event follows. Unknown ones are ignored.
    pub fn cancel(&mut self, id: TransferId) {
        self.transfers.remove(&id);
        self.awake.remove(&id);
        let orphans: Vec<_> = self
            .requests
            .iter()
            .filter(|(_, (transfer, _))| *transfer == id)
            .map(|(request, _)| *request)
            .collect();
        for request in orphans {
            self.requests.remove(&request);
            self.router.cancel(request);
        }
    }

    /// Takes the result of an [`Output::Io`].
    pub fn handle_io(&mut self, now: Time, token: IoToken, result: IoResult) {
        let Some(purpose) = self.work.remove(&token) else { return };
        match (purpose, result) {
            (Purpose::Look(local, key), IoResult::Read(result)) => {
                let block = result.ok().flatten();
                if block.is_none() {
                    self.retention.forget(key);
                }
                self.router.handle_looked(now, local, block);
            }
            (Purpose::Keep(local, key), IoResult::Written(result)) => {
                if result.is_err() {
                    self.retention.forget(key);
                }
                self.router.handle_kept(now, local, result.is_ok());
            }
            (Purpose::Transfer(id, io), IoResult::Transfer(result)) => {
                match self.transfers.get_mut(&id) {
                    Some(Transfer::Put(put)) => put.handle_io(io, result),
                    Some(Transfer::Get(get)) => get.handle_io(io, result),
                    None => return,
                }
                self.awake.insert(id);
            }
            _ => {}
        }
    }

    /// The next output. Runs the timers that are due.
    pub fn poll(&mut self, now: Time) -> Output {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return output;
            }
            while let Some(&(due, id)) = self.wakes.first()
                && due <= now
            {
                self.wakes.pop_first();
                self.awake.insert(id);
            }
            if let Some(id) = self.awake.pop_first() {
                self.poll_transfer(now, id);
                continue;
            }
            match self.router.poll(now) {
                route::Output::Idle(deadline) => {
                    if self.retention.deadline().is_some_and(|due| due <= now) {
                        self.sweep(now);
                        continue;
                    }
                    return Output::Idle(self.deadline(deadline));
                }
                output => self.handle_route(now, output),
            }
        }
    }

    fn deadline(&self, router: Option<Time>) -> Option<Time> {
        let wake = self.wakes.first().map(|(due, _)| *due);
        [router, wake, self.retention.deadline()].into_iter().flatten().min()
    }

    /// Forgets what nobody wanted.
    fn sweep(&mut self, now: Time) {
        let gone = self.retention.sweep(now);
        let batch = gone.into_iter().map(|key| Write::Remove { key }).collect();
        self.begin_work(Purpose::Quiet, IoRequest::Write(batch));
    }

    fn begin_work(&mut self, purpose: Purpose, request: IoRequest) {
        let token = IoToken(self.next_token);
        self.next_token += 1;
        self.work.insert(token, purpose);
        self.outputs.push_back(Output::Io(token, request));
    }

    /// Takes one output of a transfer; it stays awake until it has no more.
    fn poll_transfer(&mut self, now: Time, id: TransferId) {
        match (id, self.transfers.get_mut(&id)) {
            (TransferId::Put(put), Some(Transfer::Put(transfer))) => {
                let output = transfer.poll(now);
                self.handle_transfer(now, id, output, |event| Event::Put(put, event));
            }
            (TransferId::Get(get), Some(Transfer::Get(transfer))) => {
                let output = transfer.poll(now);
                self.handle_transfer(now, id, output, |event| Event::Get(get, event));
            }
            _ => {}
        }
    }

    fn handle_transfer<E: Ending>(
        &mut self,
        now: Time,
        id: TransferId,
        output: client::Output<E>,
        tell: impl FnOnce(E) -> Event,
    ) {
        match output {
            client::Output::Io(io, request) => {
                let purpose = Purpose::Transfer(id, io);
                self.begin_work(purpose, IoRequest::Transfer(id, request));
            }
            client::Output::PutBlock { op, block, copies, .. } => {
                let request = self.router.put_block(now, block, copies);
                self.requests.insert(request, (id, op));
            }
            client::Output::GetBlock { op, address, size, .. } => {
                let request = self.router.get_block(now, address, size);
                self.requests.insert(request, (id, op));
            }
            client::Output::Event(event) => {
                let last = event.is_last();
                self.outputs.push_back(Output::Event(tell(event)));
                if last {
                    return self.cancel(id);
                }
            }
            client::Output::Idle(deadline) => {
                if let Some(due) = deadline {
                    self.wakes.insert((due, id));
                }
                return;
            }
        }
        self.awake.insert(id);
    }

    fn handle_route(&mut self, now: Time, output: route::Output) {
        match output {
            route::Output::Connect(peer) => self.outputs.push_back(Output::Connect(peer)),
            route::Output::Part(peer, words) => self.outputs.push_back(Output::Part(peer, words)),
            route::Output::Look { local, address, asker } => {
                self.look(now, local, address, asker);
            }
            route::Output::Keep { local, block, from } => self.keep(now, local, block, from),
            route::Output::Event(event) => self.handle_route_event(now, event),
            route::Output::Idle(_) => {}
        }
    }

    /// Reads a block, if it is here; giving it to a neighbour raises its score.
    fn look(&mut self, now: Time, local: LocalId, address: BlockAddress, asker: Option<PublicKey>) {
        let key = self.salt.key(&address);
        if !self.retention.contains(key) {
            return self.router.handle_looked(now, local, None);
        }
        let expires = asker.and_then(|asker| self.retention.fetched(now, asker, key));
        self.begin_work(Purpose::Look(local, key), IoRequest::Read(address));
        if let Some(expires) = expires {
            let rescore = vec![Write::Rescore { key, expires }];
            self.begin_work(Purpose::Quiet, IoRequest::Write(rescore));
        }
    }

    /// Keeps a block if it is worth the place. It is acknowledged when it is safe, also when it was
    /// here already: an earlier write of it may still be under way.
    fn keep(&mut self, now: Time, local: LocalId, block: Block, from: Option<PublicKey>) {
        let key = self.salt.key(&block.address());
        let from = from.unwrap_or(self.me);
        let batch = match self.retention.admit(now, from, key, block.size()) {
            Admission::Refused => return self.router.handle_kept(now, local, false),
            Admission::Held { expires } => vec![Write::Rescore { key, expires }],
            Admission::Store { expires, evict } => {
                let evict = evict.into_iter().map(|key| Write::Remove { key });
                evict.chain([Write::Put { block, expires }]).collect()
            }
        };
        self.begin_work(Purpose::Keep(local, key), IoRequest::Write(batch));
    }

    fn handle_route_event(&mut self, now: Time, event: RouteEvent) {
        let event = match event {
            RouteEvent::Joined { neighbours } => Event::Joined { neighbours },
            RouteEvent::NeighbourUp(peer) => Event::NeighbourUp(peer),
            RouteEvent::NeighbourDown(peer) => Event::NeighbourDown(peer),
            RouteEvent::Stored { request, copies } => {
                return self.handle_put_end(now, request, Ok(copies));
            }
            RouteEvent::PutFailed { request, failure } => {
                return self.handle_put_end(now, request, Err(failure));
            }
            RouteEvent::Fetched { request, block, hops } => {
                return self.handle_get_end(now, request, Ok((block, hops)));
            }
            RouteEvent::GetFailed { request, failure } => {
                return self.handle_get_end(now, request, Err(failure));
            }
        };
        self.outputs.push_back(Output::Event(event));
    }

    fn handle_put_end(&mut self, now: Time, request: RequestId, end: Result<u8, BlockFailure>) {
        let Some((id, op)) = self.requests.remove(&request) else { return };
        match self.transfers.get_mut(&id) {
            Some(Transfer::Put(put)) => put.handle_put_result(now, op, end),
            Some(Transfer::Get(get)) => get.handle_put_result(now, op, end),
            None => return,
        }
        self.awake.insert(id);
    }

    fn handle_get_end(
        &mut self,
        now: Time,
        request: RequestId,
        end: Result<(Block, u8), BlockFailure>,
    ) {
        let Some((id, op)) = self.requests.remove(&request) else { return };
        if let (TransferId::Get(get), Ok((_, hops))) = (id, &end) {
            self.outputs.push_back(Output::Event(Event::BlockFetched { get, hops: *hops }));
        }
        if let Some(Transfer::Get(get)) = self.transfers.get_mut(&id) {
            get.handle_block(now, op, end.map(|(block, _)| block));
            self.awake.insert(id);
        }
    }
}

/// Events of which some are the last.
trait Ending {
    /// True if the transfer has nothing more to tell.
    fn is_last(&self) -> bool;
}

impl Ending for PutEvent {
    fn is_last(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Failed(_))
    }
}

impl Ending for GetEvent {
    fn is_last(&self) -> bool {
        matches!(self, Self::Done { healing: 0, .. } | Self::Healed { .. } | Self::Failed(_))
    }
}
