//! What all jobs of a client share: its workers, its memory of them, and the way out.

use std::collections::{BTreeMap, VecDeque};

use toktok_wire::{PublicKey, Rng, Time};

use super::cache::ResultCache;
use super::event::Event;
use crate::action::{Action, Role, TaskId};
use crate::config;
use crate::job::JobId;
use crate::message::{LeaseId, Message};
use crate::verify::Standing;

/// What a task is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// The program, before anything starts.
    Program,
    /// The input's length.
    InputLength,
    /// A unit's piece, to compute it here.
    Piece(u32),
    /// A unit, computed here.
    Unit(u32),
    /// A batch of results, joined here.
    Batch,
}

/// Lent to a job for the length of one call.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) now: Time,
    pub(super) rng: Rng,
    pub(super) standing: Standing,
    pub(super) cache: ResultCache,
    /// Connected workers and the network they are in, as far as it is known.
    pub(super) workers: BTreeMap<PublicKey, Option<u64>>,
    /// Banned in this call: every job must hear of it.
    pub(super) newly_banned: Vec<PublicKey>,
    out: VecDeque<Action>,
    tasks: BTreeMap<TaskId, (JobId, Purpose)>,
    leases: BTreeMap<LeaseId, JobId>,
    next_task: u64,
    next_lease: u64,
}

impl Desk {
    pub(super) fn new(rng: Rng) -> Self {
        Self {
            now: Time::ZERO,
            rng,
            standing: Standing::default(),
            cache: ResultCache::default(),
            workers: BTreeMap::new(),
            newly_banned: Vec::new(),
            out: VecDeque::new(),
            tasks: BTreeMap::new(),
            leases: BTreeMap::new(),
            next_task: 0,
            next_lease: 0,
        }
    }

    pub(super) fn add_worker(&mut self, peer: PublicKey, network: Option<u64>) -> bool {
        let room = self.workers.len() < config::MAX_WORKERS;
        if room {
            self.workers.insert(peer, network);
        }
        room
    }

    pub(super) fn send(&mut self, to: PublicKey, message: Message) {
        self.out.push_back(Action::Send { to, role: Role::Client, message });
    }

    pub(super) fn event(&mut self, event: Event) {
        self.out.push_back(Action::Event(event));
    }

    pub(super) fn pop(&mut self) -> Option<Action> {
        self.out.pop_front()
    }

    /// Begins a task of `job`; `action` makes the request from its name. Even numbers are the
    /// coordinator's, odd ones the worker's.
    pub(super) fn begin(
        &mut self,
        job: JobId,
        purpose: Purpose,
        action: impl FnOnce(TaskId) -> Action,
    ) {
        self.next_task += 2;
        let task = TaskId(self.next_task);
        self.tasks.insert(task, (job, purpose));
        self.out.push_back(action(task));
    }

    pub(super) fn end(&mut self, task: TaskId) -> Option<(JobId, Purpose)> {
        self.tasks.remove(&task)
    }

    pub(super) fn new_lease(&mut self, job: JobId) -> LeaseId {
        self.next_lease += 1;
        let lease = LeaseId(self.next_lease);
        self.leases.insert(lease, job);
        lease
    }

    pub(super) fn forget_lease(&mut self, lease: LeaseId) {
        self.leases.remove(&lease);
    }

    pub(super) fn job_of(&self, lease: LeaseId) -> Option<JobId> {
        self.leases.get(&lease).copied()
    }

    /// Bans `peer`; false if it was banned before.
    pub(super) fn ban(&mut self, peer: PublicKey) -> bool {
        let fresh = self.standing.ban(peer);
        if fresh {
            self.newly_banned.push(peer);
        }
        fresh
    }
}
