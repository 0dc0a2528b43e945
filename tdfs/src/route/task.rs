//! A request at this node, whoever began it: where it came from, what it waits for, how it ends.

use toktok_mesh::DropReason;
use toktok_wire::{PublicKey, Time};

use super::location::Location;
use super::message::{Answer, Failure, Message, Phase, Request, Transaction};
use super::queue::Kind;
use super::receipt::{Challenge, Receipt};
use super::{LocalId, Output, RequestId, Router};
use crate::block::{Block, BlockAddress};

/// Most requests under way at this node, own ones included.
pub(super) const MAX_TASKS: usize = 4096;
/// Most of them that came from one neighbour.
const MAX_TASKS_OF_PEER: usize = 512;
/// Other hops that a relay tries when one leads nowhere. Each may do the same, so it must stay small.
const ALTERNATIVES: u8 = 2;

/// Who waits for the answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Origin {
    /// A neighbour, under its number.
    Peer(PublicKey, Transaction),
    /// One path of an own request.
    Own(RequestId),
    /// The care for the neighbourhood.
    Membership,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub(super) enum Job {
    Find { target: Location },
    Put { copies: u8, challenge: Challenge, block: Block },
    Get { address: BlockAddress },
    Hold { challenge: Challenge, block: Block },
    Fetch { address: BlockAddress },
}

impl Job {
    /// Towards which place it travels.
    pub(super) fn place(&self) -> Location {
        match self {
            Self::Find { target } => *target,
            Self::Put { block, .. } | Self::Hold { block, .. } => {
                Location::of_block(&block.address())
            }
            Self::Get { address } | Self::Fetch { address } => Location::of_block(address),
        }
    }

    /// The answer that says it failed.
    pub(super) const fn failed(&self, failure: Failure) -> Answer {
        match self {
            Self::Find { .. } => Answer::Neighbours(Vec::new()),
            Self::Put { .. } => Answer::Put(Err(failure)),
            Self::Get { .. } => Answer::Get { outcome: Err(failure), hops: 0 },
            Self::Hold { .. } => Answer::Hold(None),
            Self::Fetch { .. } => Answer::Fetch(None),
        }
    }
}

/// What a task waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    /// The own store.
    Local,
    /// The next hop.
    Forwarded,
    /// The region.
    Region,
}

/// One request under way.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) origin: Origin,
    pub(super) job: Job,
    pub(super) phase: Phase,
    pub(super) stage: Stage,
    /// Hops that were tried; not again.
    pub(super) tried: Vec<PublicKey>,
    pub(super) alternatives: u8,
    /// The own store was asked.
    pub(super) looked: bool,
    /// When it must have ended.
    pub(super) due: Time,
    /// Members of the region still to be asked, the nearest last.
    pub(super) members: Vec<PublicKey>,
    /// Members of the region that were asked and have not answered.
    pub(super) asked: usize,
    pub(super) receipts: Vec<Receipt>,
    transactions: Vec<Transaction>,
}

impl Task {
    pub(super) const fn new(origin: Origin, job: Job) -> Self {
        Self {
            origin,
            job,
            phase: Phase::Walk,
            stage: Stage::Local,
            tried: Vec::new(),
            alternatives: ALTERNATIVES,
            looked: false,
            due: Time::MAX,
            members: Vec::new(),
            asked: 0,
            receipts: Vec::new(),
            transactions: Vec::new(),
        }
    }

    /// On whose behalf blocks travel.
    pub(super) const fn source(&self) -> Option<PublicKey> {
        match self.origin {
            Origin::Peer(peer, _) => Some(peer),
            Origin::Own(_) | Origin::Membership => None,
        }
    }
}

/// A question that a neighbour owes an answer to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outstanding {
    pub(super) peer: PublicKey,
    task: u64,
    pub(super) sent: Time,
}

impl Router {
    /// Takes a task up, to be ended at its `due` at the latest.
    pub(super) fn begin(&mut self, task: Task) -> u64 {
        let id = self.next_task;
        self.next_task += 1;
        self.timers.insert((task.due, id));
        if let Some(link) = task.source().and_then(|peer| self.links.get_mut(&peer)) {
            link.tasks += 1;
        }
        self.tasks.insert(id, task);
        id
    }

    /// Brings a task's end forward, never back.
    pub(super) fn hasten(&mut self, id: u64, due: Time) {
        if let Some(task) = self.tasks.get_mut(&id)
            && due < task.due
        {
            self.timers.remove(&(task.due, id));
            task.due = due;
            self.timers.insert((due, id));
        }
    }

    /// Takes a neighbour's request.
    pub(super) fn handle_request(
        &mut self,
        now: Time,
        peer: PublicKey,
        number: Transaction,
        request: Request,
    ) {
        let origin = Origin::Peer(peer, number);
        let mut task = match request {
            Request::Find { target, budget } => {
                let mut task = Task::new(origin, Job::Find { target });
                task.phase = Phase::Greedy(budget);
                task
            }
            Request::Put { phase, copies, challenge, block } => {
                let mut task = Task::new(origin, Job::Put { copies, challenge, block });
                task.phase = phase;
                task
            }
            Request::Get { phase, address } => {
                let mut task = Task::new(origin, Job::Get { address });
                task.phase = phase;
                task
            }
            Request::Hold { challenge, block } => Task::new(origin, Job::Hold { challenge, block }),
            Request::Fetch { address } => Task::new(origin, Job::Fetch { address }),
        };
        let of_peer = self.links.get(&peer).map_or(0, |link| link.tasks);
        if self.tasks.len() >= MAX_TASKS || of_peer >= MAX_TASKS_OF_PEER {
            self.drops.count(DropReason::LimitReached);
            let answer = task.job.failed(Failure::Busy);
            return self.reply(&task, answer);
        }
        if let Some(answer) = self.answer_from_cache(now, &task.job) {
            return self.reply(&task, answer);
        }
        task.tried.push(peer);
        self.accept(now, task);
    }

    /// A block that passed here lately.
    fn answer_from_cache(&mut self, now: Time, job: &Job) -> Option<Answer> {
        let (Job::Get { address } | Job::Fetch { address }) = job else { return None };
        let data = self.cache.fetch(now, address)?.into_bytes();
        self.stats.cache_hits += 1;
        Some(match job {
            Job::Get { .. } => Answer::Get { outcome: Ok(data), hops: 0 },
            _ => Answer::Fetch(Some(data)),
        })
    }

    /// Begins with a request of a neighbour.
    fn accept(&mut self, now: Time, mut task: Task) {
        let local = matches!(task.job, Job::Hold { .. } | Job::Fetch { .. });
        if local {
            task.due = now + self.config.region_timeout;
            return self.begin_local(task);
        }
        if task.phase == Phase::Walk && self.rng.chance(1, self.config.walk_one_in) {
            self.leave_walk(&mut task);
        }
        task.due = now + self.patience(task.phase);
        let id = self.begin(task);
        self.step(now, id);
    }

    /// How long a task may take from here on.
    pub(super) fn patience(&self, phase: Phase) -> core::time::Duration {
        match phase {
            Phase::Walk => self.config.walk_timeout,
            Phase::Greedy(budget) => {
                self.config.greedy_timeout + self.config.greedy_hop_timeout * u32::from(budget)
            }
        }
    }

    /// A member of a region is asked to keep a block, or for one.
    pub(super) fn begin_local(&mut self, task: Task) {
        let (asker, near) = (task.source(), self.is_responsible(&task.job));
        let job = task.job.clone();
        if matches!(job, Job::Hold { .. }) && !near {
            self.drops.count(DropReason::Refused);
            return self.reply(&task, Answer::Hold(None));
        }
        let local = LocalId(self.begin(task));
        self.outputs.push_back(match job {
            Job::Hold { block, .. } | Job::Put { block, .. } => {
                Output::Keep { local, block, from: asker }
            }
            Job::Get { address } | Job::Fetch { address } => Output::Look { local, address, asker },
            Job::Find { .. } => return,
        });
    }

    /// True if the place of `job` is so near that this node may hold it.
    pub(super) fn is_responsible(&self, job: &Job) -> bool {
        job.place().distance(self.me.location) <= self.radius()
    }

    /// Asks `peer` for what `task` needs. False if there is no room or no such neighbour.
    pub(super) fn ask(&mut self, now: Time, id: u64, peer: PublicKey, request: Request) -> bool {
        let Some(source) = self.tasks.get(&id).map(Task::source) else { return false };
        let number = Transaction(self.rng.u64());
        if !self.send(&peer, source, Kind::Request, &Message::Request(number, request)) {
            return false;
        }
        self.outstanding.insert(number, Outstanding { peer, task: id, sent: now });
        if let Some(task) = self.tasks.get_mut(&id) {
            task.transactions.push(number);
        }
        true
    }

    /// Takes a neighbour's answer.
    pub(super) fn handle_answer(
        &mut self,
        now: Time,
        peer: PublicKey,
        number: Transaction,
        answer: Answer,
    ) {
        match self.outstanding.get(&number) {
            Some(waiting) if waiting.peer == peer => {
                let id = waiting.task;
                self.outstanding.remove(&number);
                self.continue_with(now, id, peer, answer);
            }
            _ => self.drops.count(DropReason::Unsolicited),
        }
    }

    /// Goes on with a task when an answer has come.
    fn continue_with(&mut self, now: Time, id: u64, peer: PublicKey, answer: Answer) {
        match self.tasks.get(&id).map(|task| task.stage) {
            Some(Stage::Forwarded) => self.continue_forwarded(now, id, peer, answer),
            Some(Stage::Region) => self.continue_region(now, id, peer, answer),
            Some(Stage::Local) | None => self.drops.count(DropReason::Unsolicited),
        }
    }

    /// A neighbour is gone or silent: what it owes will not come.
    pub(super) fn fail_outstanding(&mut self, now: Time, peer: PublicKey) {
        let owed: Vec<_> = self
            .outstanding
            .iter()
            .filter(|(_, waiting)| waiting.peer == peer)
            .map(|(number, waiting)| (*number, waiting.task))
            .collect();
        for (number, id) in owed {
            self.outstanding.remove(&number);
            let Some(task) = self.tasks.get(&id) else { continue };
            let answer = match (task.stage, &task.job) {
                (Stage::Region, Job::Put { .. }) => Answer::Hold(None),
                (Stage::Region, _) => Answer::Fetch(None),
                (_, job) => job.failed(Failure::DeadEnd),
            };
            self.continue_with(now, id, peer, answer);
        }
    }

    /// Takes what the own store has.
    pub fn handle_looked(&mut self, now: Time, local: LocalId, block: Option<Block>) {
        let Some(task) = self.tasks.get(&local.0) else { return };
        match (&task.job, block) {
            (Job::Fetch { .. }, block) => {
                self.finish(now, local.0, Answer::Fetch(block.map(Block::into_bytes)));
            }
            (Job::Get { .. }, Some(block)) => {
                let outcome = Ok(block.into_bytes());
                self.finish(now, local.0, Answer::Get { outcome, hops: 0 });
            }
            (Job::Get { .. }, None) => self.step(now, local.0),
            _ => {}
        }
    }

    /// Takes whether the own store keeps a block.
    pub fn handle_kept(&mut self, now: Time, local: LocalId, kept: bool) {
        let Some(task) = self.tasks.get(&local.0) else { return };
        let (Job::Hold { challenge, block } | Job::Put { challenge, block, .. }) = &task.job else {
            return;
        };
        let sign = || Receipt::sign(&self.key, self.me.nonce, &block.address(), challenge);
        let answer = Answer::Hold(kept.then(sign));
        match task.job {
            Job::Hold { .. } => self.finish(now, local.0, answer),
            _ => self.continue_region(now, local.0, self.me.key, answer),
        }
    }

    /// Ends a task with an answer to whoever waits for it.
    pub(super) fn finish(&mut self, now: Time, id: u64, answer: Answer) {
        let Some(task) = self.drop_task(id) else { return };
        match task.origin {
            Origin::Peer(..) => self.reply(&task, answer),
            Origin::Own(request) => self.handle_path_end(now, request, id, answer),
            Origin::Membership => {
                if let Answer::Neighbours(contacts) = answer {
                    self.handle_found(now, &contacts);
                }
            }
        }
    }

    /// Forgets a task and what it waits for.
    pub(super) fn drop_task(&mut self, id: u64) -> Option<Task> {
        let task = self.tasks.remove(&id)?;
        self.timers.remove(&(task.due, id));
        for number in &task.transactions {
            self.outstanding.remove(number);
        }
        if let Some(link) = task.source().and_then(|peer| self.links.get_mut(&peer)) {
            link.tasks = link.tasks.saturating_sub(1);
        }
        Some(task)
    }

    /// Sends an answer to the neighbour that asked.
    fn reply(&mut self, task: &Task, answer: Answer) {
        let Origin::Peer(peer, number) = task.origin else { return };
        let message = Message::Answer(number, answer);
        if !self.send(&peer, Some(peer), Kind::Answer, &message) {
            let answer = task.job.failed(Failure::Busy);
            self.send(&peer, Some(peer), Kind::Answer, &Message::Answer(number, answer));
        }
    }

    /// Ends what is overdue.
    pub(super) fn run_timers(&mut self, now: Time) {
        while let Some(&(due, id)) = self.timers.first()
            && due <= now
        {
            self.timers.pop_first();
            let Some(task) = self.tasks.get(&id) else { continue };
            let answer = match (&task.job, task.stage) {
                (Job::Put { .. }, _) if !task.receipts.is_empty() => {
                    Answer::Put(Ok(task.receipts.clone()))
                }
                (job, Stage::Region) => job.failed(Failure::NotFound),
                (job, _) => job.failed(Failure::DeadEnd),
            };
            self.finish(now, id, answer);
        }
        self.run_request_timers(now);
    }
}
