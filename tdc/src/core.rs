//! The layer's protocol alone: keys of nodes in, actions out. No packets, no addresses, no disk.

use toktok_mesh::{DropReason, Drops};
use toktok_wire::{PublicKey, Rng, Time};

use crate::action::{Action, Role, TaskId, TaskResult};
use crate::coordinator::Coordinator;
use crate::job::{InvalidJob, JobId, JobSpec};
use crate::message::{BadMessage, Message};
use crate::worker::{Donation, Worker};

/// A node's part in the distributed computer: client of its own jobs, worker of others'. Sans-IO.
#[derive(Debug)]
pub struct Core {
    coordinator: Coordinator,
    worker: Worker,
    drops: Drops,
}

impl Core {
    /// A node without jobs. `me` is its mesh key, which its results are bound to.
    pub fn new(me: PublicKey, donation: Donation, rng: &Rng) -> Self {
        Self {
            coordinator: Coordinator::new(rng.child("coordinator")),
            worker: Worker::new(me, donation, rng.child("worker")),
            drops: Drops::default(),
        }
    }

    /// Begins a job; its last event is `JobDone` or `JobFailed`.
    ///
    /// # Errors
    /// [`InvalidJob`] if it makes no sense.
    pub fn submit(&mut self, now: Time, spec: JobSpec) -> Result<JobId, InvalidJob> {
        self.coordinator.submit(now, spec)
    }

    /// Gives a job up.
    pub fn cancel(&mut self, now: Time, job: JobId) {
        self.coordinator.cancel(now, job);
    }

    /// Gives more, less, or nothing to others' jobs from now on.
    pub fn set_donation(&mut self, donation: Donation) {
        self.worker.set_donation(donation);
    }

    /// The client's side, to look at.
    pub const fn coordinator(&self) -> &Coordinator {
        &self.coordinator
    }

    /// The worker's side, to look at.
    pub const fn worker(&self) -> &Worker {
        &self.worker
    }

    /// How many messages were dropped, by reason.
    pub const fn drops(&self) -> &Drops {
        &self.drops
    }

    /// A channel stands on which this node has that role. False if it is not wanted.
    pub fn handle_peer_up(
        &mut self,
        now: Time,
        peer: PublicKey,
        role: Role,
        network: Option<u64>,
    ) -> bool {
        match role {
            Role::Client => self.coordinator.handle_worker_up(now, peer, network),
            Role::Worker => self.worker.handle_client_up(peer),
        }
    }

    /// That channel is gone.
    pub fn handle_peer_down(&mut self, now: Time, peer: PublicKey, role: Role) {
        match role {
            Role::Client => self.coordinator.handle_worker_down(now, peer),
            Role::Worker => self.worker.handle_client_down(peer),
        }
    }

    /// Takes a message that came on such a channel. Bad ones are dropped and counted.
    pub fn handle_message(&mut self, now: Time, peer: PublicKey, role: Role, bytes: bytes::Bytes) {
        let parsed = Message::decode(bytes).map_err(|bad| match bad {
            BadMessage::NoBody => DropReason::UnknownKind,
            _ => DropReason::Malformed,
        });
        let handled = parsed.and_then(|message| match role {
            Role::Client => self.coordinator.handle_message(now, peer, message),
            Role::Worker => self.worker.handle_message(now, peer, message),
        });
        if let Err(reason) = handled {
            self.drops.count(reason);
        }
    }

    /// Takes the result of a task.
    pub fn handle_task(&mut self, now: Time, task: TaskId, result: TaskResult) {
        if task.0.is_multiple_of(2) {
            self.coordinator.handle_task(now, task, result);
        } else {
            self.worker.handle_task(now, task, result);
        }
    }

    /// The next thing to do; `None` until something comes in or [`Core::deadline`] passes.
    pub fn poll(&mut self, now: Time) -> Option<Action> {
        self.coordinator.poll(now).or_else(|| self.worker.poll(now))
    }

    /// When [`Core::poll`] must be called at the latest.
    pub fn deadline(&self) -> Option<Time> {
        [self.coordinator.deadline(), self.worker.deadline()].into_iter().flatten().min()
    }
}
