//! Own requests: how many paths, by which first hops, and when to give up.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use toktok_mesh::DropReason;
use toktok_wire::node_key::NodeId;
use toktok_wire::{PublicKey, Time};

use super::link::Link;
use super::location::Location;
use super::message::{Answer, Failure, MAX_COPIES};
use super::receipt::{Challenge, Receipt};
use super::task::{Job, Origin, Task};
use super::{MAX_HOLDERS, Output, RequestId, RouteEvent, Router};
use crate::block::{Block, BlockAddress, BlockSize};
use crate::client::BlockFailure;

/// Blocks of which is remembered by which first hops they failed: a retry takes others.
const MAX_FORMER: usize = 4096;
/// The region has answered "not here" by so many paths: believed.
const BELIEVED: usize = 2;

/// One own request.
#[derive(Debug)]
struct OwnRequest {
    job: Job,
    /// Paths under way, by task.
    paths: BTreeSet<u64>,
    /// Paths still to be begun without waiting for a failure.
    pending: usize,
    begun: usize,
    first_hops: Vec<PublicKey>,
    holders: BTreeSet<NodeId>,
    failures: Vec<Failure>,
    due: Time,
    hedge: Time,
    parked: bool,
}

/// All own requests.
#[derive(Debug)]
pub(super) struct Requests {
    next: u64,
    active: BTreeMap<RequestId, OwnRequest>,
    timers: BTreeSet<(Time, RequestId)>,
    /// Those that wait for room in a queue.
    parked: VecDeque<RequestId>,
    former: BTreeMap<BlockAddress, Vec<PublicKey>>,
    former_order: VecDeque<BlockAddress>,
}

impl Requests {
    pub(super) const fn new() -> Self {
        Self {
            next: 0,
            active: BTreeMap::new(),
            timers: BTreeSet::new(),
            parked: VecDeque::new(),
            former: BTreeMap::new(),
            former_order: VecDeque::new(),
        }
    }

    /// When the next request needs attention.
    pub(super) fn deadline(&self) -> Time {
        self.timers.first().map_or(Time::MAX, |(due, _)| *due)
    }

    fn add(&mut self, request: OwnRequest) -> RequestId {
        let id = RequestId(self.next);
        self.next += 1;
        self.timers.insert((request.due.min(request.hedge), id));
        self.active.insert(id, request);
        id
    }

    /// Notes by which first hops a block was tried in vain.
    fn remember(&mut self, address: BlockAddress, first_hops: &[PublicKey]) {
        if let Some(known) = self.former.get_mut(&address) {
            known.extend_from_slice(first_hops);
            return;
        }
        if self.former_order.len() >= MAX_FORMER
            && let Some(oldest) = self.former_order.pop_front()
        {
            self.former.remove(&oldest);
        }
        self.former_order.push_back(address);
        self.former.insert(address, first_hops.to_vec());
    }
}

/// The block that a job is about.
const fn address_of(job: &Job) -> Option<BlockAddress> {
    match job {
        Job::Put { block, .. } => Some(block.address()),
        Job::Get { address } => Some(*address),
        _ => None,
    }
}

impl Router {
    /// Stores a block in `copies` places (at most [`MAX_COPIES`]). [`RouteEvent::Stored`] or
    /// [`RouteEvent::PutFailed`] follows exactly once, unless it is cancelled.
    pub fn put_block(&mut self, now: Time, block: Block, copies: u8) -> RequestId {
        let copies = copies.clamp(1, MAX_COPIES);
        let challenge = Challenge(self.rng.bytes());
        let paths = if copies >= self.config.root_copies { self.config.root_paths } else { 1 };
        // A block takes its time in queues: half of all patience before another path.
        let hedge = now + self.config.request_timeout / 2;
        let request = self.own_request(now, Job::Put { copies, challenge, block }, paths, hedge);
        self.begin_paths(now, request);
        request
    }

    /// Fetches a block: from the own store, or from wherever it lies. [`RouteEvent::Fetched`] or
    /// [`RouteEvent::GetFailed`] follows exactly once, unless it is cancelled.
    pub fn get_block(&mut self, now: Time, address: BlockAddress, size: BlockSize) -> RequestId {
        let paths = if size == BlockSize::Small { self.config.root_paths } else { 1 };
        let hedge = now + self.config.hedge_after;
        let request = self.own_request(now, Job::Get { address }, paths, hedge);
        let mut task = Task::new(Origin::Own(request), Job::Fetch { address });
        task.due = now + self.config.region_timeout;
        self.begin_local(task);
        request
    }

    /// Gives a request up: nothing follows. Unknown ones are ignored.
    pub fn cancel(&mut self, request: RequestId) {
        self.end_request(request);
    }

    /// Own requests under way.
    pub fn request_count(&self) -> usize {
        self.requests.active.len()
    }

    fn own_request(&mut self, now: Time, job: Job, paths: usize, hedge: Time) -> RequestId {
        let former = address_of(&job).and_then(|address| self.requests.former.get(&address));
        let first_hops = former.cloned().unwrap_or_default();
        self.requests.add(OwnRequest {
            job,
            paths: BTreeSet::new(),
            pending: paths,
            begun: 0,
            first_hops,
            holders: BTreeSet::new(),
            failures: Vec::new(),
            due: now + self.config.request_timeout,
            hedge,
            parked: false,
        })
    }

    /// Begins the pending paths of a request; parks it while all queues are full.
    fn begin_paths(&mut self, now: Time, id: RequestId) {
        loop {
            let Some(request) = self.requests.active.get(&id) else { return };
            if request.pending == 0 || request.parked {
                break;
            }
            let (hops, some) = self.first_hops(request);
            match self.rng.choose(&hops) {
                Some(peer) => self.begin_own_path(now, id, *peer),
                None if some => {
                    if let Some(request) = self.requests.active.get_mut(&id) {
                        request.parked = true;
                        self.requests.parked.push_back(id);
                    }
                }
                None => {
                    if let Some(request) = self.requests.active.get_mut(&id) {
                        request.pending = 0;
                        request.failures.push(Failure::DeadEnd);
                    }
                }
            }
        }
        self.settle_request(id);
    }

    fn begin_own_path(&mut self, now: Time, id: RequestId, peer: PublicKey) {
        let Some(request) = self.requests.active.get_mut(&id) else { return };
        request.pending -= 1;
        request.begun += 1;
        request.first_hops.push(peer);
        let task = Task::new(Origin::Own(id), request.job.clone());
        let path = self.begin_path(now, task, peer);
        // A path that could not even begin has ended by now.
        if self.tasks.contains_key(&path)
            && let Some(request) = self.requests.active.get_mut(&id)
        {
            request.paths.insert(path);
        }
    }

    /// The neighbours that may be a first hop: those that this block was not sent through yet, or all
    /// if there is no other. True beside an empty list: there are some, but their queues are full.
    fn first_hops(&self, request: &OwnRequest) -> (Vec<PublicKey>, bool) {
        let needs_room = matches!(request.job, Job::Put { .. });
        let usable = self.usable_links();
        let room = |link: &Link| !needs_room || link.queue.has_room(None);
        let open = usable.iter().filter(|(_, link)| room(link)).map(|(peer, _)| *peer);
        let open: Vec<PublicKey> = open.collect();
        let fresh = open.iter().filter(|peer| !request.first_hops.contains(peer)).copied();
        let fresh: Vec<PublicKey> = fresh.collect();
        (if fresh.is_empty() { open } else { fresh }, !usable.is_empty())
    }

    /// The neighbours that an own request may begin with: those that are not silent. If all are, more
    /// likely this node is slow than all of them are gone.
    fn usable_links(&self) -> Vec<(PublicKey, &Link)> {
        let named = self.links.iter().filter(|(_, link)| link.identity().is_some());
        let named: Vec<_> = named.map(|(peer, link)| (*peer, link)).collect();
        let usable: Vec<_> =
            named.iter().filter(|(_, link)| Self::is_usable(link)).copied().collect();
        if usable.is_empty() { named } else { usable }
    }

    /// Begins what waited for room, as far as there is some.
    pub(super) fn begin_parked(&mut self, now: Time) {
        if self.requests.parked.is_empty() {
            return;
        }
        while self.usable_links().iter().any(|(_, link)| link.queue.has_room(None)) {
            let Some(id) = self.requests.parked.pop_front() else { return };
            if let Some(request) = self.requests.active.get_mut(&id) {
                request.parked = false;
                self.begin_paths(now, id);
            }
        }
    }

    /// Takes the end of one path of a request.
    pub(super) fn handle_path_end(&mut self, now: Time, id: RequestId, path: u64, answer: Answer) {
        let Some(request) = self.requests.active.get_mut(&id) else { return };
        request.paths.remove(&path);
        match answer {
            // The own store was asked first.
            Answer::Fetch(None) => return self.begin_paths(now, id),
            Answer::Fetch(Some(data)) => return self.deliver(id, data, 0),
            Answer::Get { outcome: Ok(data), hops } => return self.deliver(id, data, hops),
            Answer::Put(Ok(receipts)) => self.count_receipts(id, &receipts),
            Answer::Get { outcome: Err(failure), .. } | Answer::Put(Err(failure)) => {
                request.failures.push(failure);
                if request.pending == 0 && request.begun < self.config.max_paths {
                    request.pending = 1;
                }
            }
            Answer::Neighbours(_) | Answer::Hold(_) => {}
        }
        self.settle_or_go_on(now, id);
    }

    /// Ends a request that has what it wants, or begins its next path.
    fn settle_or_go_on(&mut self, now: Time, id: RequestId) {
        let Some(request) = self.requests.active.get_mut(&id) else { return };
        let enough = match &request.job {
            Job::Put { copies, .. } => request.holders.len() >= usize::from(*copies),
            _ => false,
        };
        let count = |f: Failure| request.failures.iter().filter(|g| **g == f).count();
        if enough || count(Failure::NotFound) >= BELIEVED {
            request.pending = 0;
            for path in core::mem::take(&mut request.paths) {
                self.drop_task(path);
            }
        } else if !request.holders.is_empty() && request.paths.is_empty() {
            // Some took it: the owner decides whether that is enough.
            request.pending = 0;
        }
        self.begin_paths(now, id);
    }

    /// Hands a block to whoever asked here. It was verified on arrival.
    fn deliver(&mut self, id: RequestId, data: bytes::Bytes, hops: u8) {
        let Some(request) = self.end_request(id) else { return };
        let block = address_of(&request.job).and_then(|address| Block::verify(address, data).ok());
        let event = match block {
            Some(block) => RouteEvent::Fetched { request: id, block, hops },
            None => RouteEvent::GetFailed { request: id, failure: BlockFailure::NotFound },
        };
        self.outputs.push_back(Output::Event(event));
    }

    /// Checks receipts and counts those that are good.
    fn count_receipts(&mut self, id: RequestId, receipts: &[Receipt]) {
        let Some(request) = self.requests.active.get(&id) else { return };
        let Job::Put { challenge, block, .. } = &request.job else { return };
        let (address, challenge) = (block.address(), *challenge);
        for receipt in receipts {
            let good = self.is_good(receipt, &address, &challenge);
            let Some(request) = self.requests.active.get_mut(&id) else { return };
            if good {
                request.holders.insert(receipt.holder);
            } else {
                self.stats.bad_receipts += 1;
                self.drops.count(DropReason::Forged);
            }
        }
        let Some(request) = self.requests.active.get_mut(&id) else { return };
        if request.holders.is_empty() {
            request.failures.push(Failure::DeadEnd);
            if request.begun < self.config.max_paths {
                request.pending = request.pending.max(1);
            }
        }
    }

    /// True if a receipt is signed, its holder's place is earned, and that place is in the region, as
    /// far as it can be estimated from here (with a factor of two to spare).
    fn is_good(
        &mut self,
        receipt: &Receipt,
        address: &BlockAddress,
        challenge: &Challenge,
    ) -> bool {
        if !receipt.is_signed(address, challenge) {
            return false;
        }
        let known = (receipt.holder, receipt.nonce);
        let place = match self.holders.get(&known) {
            Some(place) => *place,
            None => {
                let place = receipt.identity(&self.config.puzzle).map(|id| id.location);
                if self.holders.len() >= MAX_HOLDERS {
                    self.holders.pop_first();
                }
                self.holders.insert(known, place);
                place
            }
        };
        let radius = self.radius().saturating_mul(2);
        place.is_some_and(|at| at.distance(Location::of_block(address)) <= radius)
    }

    /// Ends a request for which nothing is under way any more.
    fn settle_request(&mut self, id: RequestId) {
        let Some(request) = self.requests.active.get(&id) else { return };
        if request.paths.is_empty() && request.pending == 0 {
            self.conclude(id);
        }
    }

    /// Ends a request with what it has got.
    fn conclude(&mut self, id: RequestId) {
        let Some(request) = self.end_request(id) else { return };
        let copies = u8::try_from(request.holders.len()).unwrap_or(u8::MAX);
        let failure = match request.failures.iter().min() {
            Some(Failure::NotFound) => BlockFailure::NotFound,
            Some(Failure::Busy) => BlockFailure::Busy,
            Some(Failure::DeadEnd) | None => BlockFailure::Unreachable,
        };
        if let Some(address) = address_of(&request.job) {
            self.requests.remember(address, &request.first_hops);
        }
        let event = match request.job {
            Job::Put { .. } if copies > 0 => RouteEvent::Stored { request: id, copies },
            Job::Put { .. } => RouteEvent::PutFailed { request: id, failure },
            _ => RouteEvent::GetFailed { request: id, failure },
        };
        self.outputs.push_back(Output::Event(event));
    }

    /// Forgets a request and its paths.
    fn end_request(&mut self, id: RequestId) -> Option<OwnRequest> {
        let request = self.requests.active.remove(&id)?;
        self.requests.timers.remove(&(request.due.min(request.hedge), id));
        for path in &request.paths {
            self.drop_task(*path);
        }
        Some(request)
    }

    /// Begins late second paths, ends what is overdue.
    pub(super) fn run_request_timers(&mut self, now: Time) {
        while let Some(&(due, id)) = self.requests.timers.first()
            && due <= now
        {
            self.requests.timers.pop_first();
            let Some(request) = self.requests.active.get_mut(&id) else { continue };
            if now >= request.due {
                self.conclude(id);
                continue;
            }
            request.hedge = now + self.config.hedge_after;
            if request.begun < self.config.max_paths && !request.parked && request.begun > 0 {
                request.pending = 1;
            }
            let due = request.due.min(request.hedge);
            self.requests.timers.insert((due, id));
            self.begin_paths(now, id);
        }
    }
}
