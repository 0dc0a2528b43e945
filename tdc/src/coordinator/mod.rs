//! The client's side: cuts a job into units, gives them to workers that pull, believes or settles what
//! comes back, and joins the results.
//!
//! Life of a unit: new → open (ready, leased, committed) → revealing → fetching → done, or from any of
//! these → arbitrating → done. A lease ends by its result, by three missing heartbeats, or because it
//! is no longer needed; the unit then goes to somebody else.

mod arbiter;
mod cache;
mod clock;
mod desk;
mod durations;
mod event;
mod lease;
mod results;
mod state;

use core::time::Duration;
use std::collections::BTreeMap;

use bytes::Bytes;
use toktok_mesh::DropReason;
use toktok_wire::{PublicKey, Rng, Time};

pub use event::{Event, JobError, JobReport};

use crate::action::{Action, DataError, TaskId, TaskResult};
use crate::config;
use crate::engine::ExecuteError;
use crate::job::{InvalidJob, JobId, JobSpec, Units, cache_key};
use crate::message::{LeaseId, Message};
use desk::{Desk, Purpose};
use results::Opened;
use state::{JobState, Phase, Stage, Unit};

/// How often timers are looked at while a job runs.
const TICK: Duration = Duration::from_millis(250);

/// The client's protocol: jobs in, results out. Sans-IO.
#[derive(Debug)]
pub struct Coordinator {
    desk: Desk,
    jobs: BTreeMap<JobId, JobState>,
    next_tick: Option<Time>,
}

impl Coordinator {
    /// A client without jobs.
    pub fn new(rng: Rng) -> Self {
        Self { desk: Desk::new(rng), jobs: BTreeMap::new(), next_tick: None }
    }

    /// Begins a job; [`Event::JobDone`] or [`Event::JobFailed`] ends it.
    ///
    /// # Errors
    /// [`InvalidJob`] if it makes no sense.
    pub fn submit(&mut self, now: Time, spec: JobSpec) -> Result<JobId, InvalidJob> {
        spec.validate()?;
        if self.jobs.len() >= config::MAX_JOBS {
            return Err(InvalidJob::TooManyJobs);
        }
        self.desk.now = now;
        let id = JobId(self.desk.rng.u64());
        let capability = spec.program.clone();
        self.desk.begin(id, Purpose::Program, |task| Action::Fetch {
            task,
            capability,
            range: None,
        });
        let mut job = JobState::new(id, spec, now);
        match job.spec.input.clone() {
            Some(capability) => {
                self.desk
                    .begin(id, Purpose::InputLength, |task| Action::Measure { task, capability });
            }
            None => job.input_len = Some(0),
        }
        self.jobs.insert(id, job);
        self.next_tick.get_or_insert(now + TICK);
        Ok(id)
    }

    /// Gives a job up: [`Event::JobFailed`] follows.
    pub fn cancel(&mut self, now: Time, job: JobId) {
        // Nothing to give up if it is over.
        let _ = self.with_job(now, job, |job, desk| job.fail(desk, JobError::Cancelled));
    }

    /// True while any job runs: only then are workers needed.
    pub fn is_busy(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// True if `peer` was caught lying: no use connecting to it.
    pub fn is_banned(&self, peer: &PublicKey) -> bool {
        self.desk.standing.is_banned(peer)
    }

    /// How many workers are connected.
    pub fn workers(&self) -> usize {
        self.desk.workers.len()
    }

    /// A channel to a worker stands. `network` is where it is, as far as that is known. False if there
    /// are too many, or this one is banned: the channel may be closed.
    pub fn handle_worker_up(&mut self, now: Time, peer: PublicKey, network: Option<u64>) -> bool {
        self.desk.now = now;
        if self.is_banned(&peer) || !self.desk.add_worker(peer, network) {
            return false;
        }
        self.desk.send(peer, Message::Hello { version: config::VERSION });
        for job in self.jobs.values_mut().filter(|job| job.is_running()) {
            job.offer_to(&mut self.desk, peer);
            job.open_units(&mut self.desk);
        }
        true
    }

    /// A channel to a worker is gone.
    pub fn handle_worker_down(&mut self, now: Time, peer: PublicKey) {
        self.desk.now = now;
        self.desk.workers.remove(&peer);
        for job in self.jobs.values_mut() {
            job.handle_worker_down(&mut self.desk, &peer);
        }
    }

    /// Takes a message of a worker.
    ///
    /// # Errors
    /// Why it was dropped.
    pub fn handle_message(
        &mut self,
        now: Time,
        peer: PublicKey,
        message: Message,
    ) -> Result<(), DropReason> {
        if !self.desk.workers.contains_key(&peer) || self.is_banned(&peer) {
            return Err(DropReason::Refused);
        }
        match message {
            Message::Hello { version: config::VERSION } => Ok(()),
            Message::Pull { job, units } => self.with_job(now, job, |job, desk| {
                job.handle_pull(desk, peer, units);
            }),
            Message::Decline { job, .. } => self.with_job(now, job, |job, _| {
                job.credits.remove(&peer);
            }),
            Message::Heartbeat { leases } => {
                self.desk.now = now;
                for lease in leases {
                    let job = self.desk.job_of(lease).and_then(|job| self.jobs.get_mut(&job));
                    if let Some(job) = job {
                        job.handle_heartbeat(&self.desk, &peer, lease);
                    }
                }
                Ok(())
            }
            Message::Return { lease } => {
                self.with_lease(now, peer, lease, |job, desk| job.handle_return(desk, lease))
            }
            Message::Commit { lease, commitment } => {
                self.with_lease(now, peer, lease, |job, desk| {
                    job.handle_commit(desk, lease, commitment)
                })
            }
            Message::Failed { lease, kind, .. } => {
                self.with_lease(now, peer, lease, |job, desk| job.handle_failed(desk, lease, kind))
            }
            Message::Reveal { lease, nonce, result, length } => {
                let opened = Opened { nonce, result, length };
                self.with_lease(now, peer, lease, |job, desk| {
                    job.handle_reveal(desk, lease, &opened);
                })
            }
            Message::Output { lease, offset, data } => {
                self.with_lease(now, peer, lease, |job, desk| {
                    job.handle_output(desk, lease, offset, &data);
                })
            }
            _ => Err(DropReason::Refused),
        }
    }

    /// Runs `body` on the job that `lease` belongs to, if `peer` holds that lease.
    fn with_lease(
        &mut self,
        now: Time,
        peer: PublicKey,
        lease: LeaseId,
        body: impl FnOnce(&mut JobState, &mut Desk),
    ) -> Result<(), DropReason> {
        let job = self.desk.job_of(lease).ok_or(DropReason::Unsolicited)?;
        let holder = self.jobs.get(&job).and_then(|job| job.leases.get(&lease)).map(|l| l.worker);
        if holder != Some(peer) {
            return Err(DropReason::Refused);
        }
        self.with_job(now, job, body)
    }

    /// Runs `body` on a job and does what follows for all of them: bans, and the end.
    fn with_job(
        &mut self,
        now: Time,
        id: JobId,
        body: impl FnOnce(&mut JobState, &mut Desk),
    ) -> Result<(), DropReason> {
        self.desk.now = now;
        let job = self.jobs.get_mut(&id).ok_or(DropReason::Unsolicited)?;
        body(job, &mut self.desk);
        self.after_change();
        Ok(())
    }

    fn after_change(&mut self) {
        while let Some(peer) = self.desk.newly_banned.pop() {
            for job in self.jobs.values_mut() {
                job.handle_banned(&mut self.desk, &peer);
            }
            for job in self.jobs.values_mut() {
                job.reduce_when_done(&mut self.desk);
            }
        }
        self.jobs.retain(|_, job| !job.is_over());
    }

    /// Takes the result of a task of this coordinator.
    pub fn handle_task(&mut self, now: Time, task: TaskId, result: TaskResult) {
        let Some((job, purpose)) = self.desk.end(task) else { return };
        // A job that is over does not care.
        let _ = self.with_job(now, job, |job, desk| match (purpose, result) {
            (Purpose::Program, TaskResult::Fetched(fetched)) => job.handle_program(desk, fetched),
            (Purpose::InputLength, TaskResult::Measured(len)) => job.handle_length(desk, len),
            (Purpose::Piece(unit), TaskResult::Fetched(piece)) => {
                job.handle_piece(desk, unit, piece);
            }
            (Purpose::Unit(unit), TaskResult::Computed(computed)) => {
                job.handle_unit_computed(desk, unit, computed);
            }
            (Purpose::Batch, TaskResult::Computed(computed)) => job.handle_batch(desk, computed),
            _ => debug_assert!(false, "a task was answered with another kind of result"),
        });
    }

    /// Runs the timers that are due, and gives the next thing to do.
    pub fn poll(&mut self, now: Time) -> Option<Action> {
        if self.next_tick.is_some_and(|due| due <= now) {
            self.desk.now = now;
            for job in self.jobs.values_mut() {
                job.tick(&mut self.desk);
            }
            self.after_change();
            self.next_tick = self.is_busy().then(|| now + TICK);
        }
        self.desk.pop()
    }

    /// When [`Coordinator::poll`] has something to do again.
    pub fn deadline(&self) -> Option<Time> {
        self.next_tick
    }
}

impl JobState {
    fn handle_program(&mut self, desk: &mut Desk, fetched: Result<Bytes, DataError>) {
        match fetched {
            Ok(bytes) if bytes.len() > config::MAX_PROGRAM_BYTES => {
                let limit = config::MAX_PROGRAM_BYTES;
                let error = ExecuteError::TooLarge { bytes: bytes.len(), limit };
                self.fail(desk, JobError::Unit { unit: 0, error });
            }
            Ok(bytes) => {
                self.program = Some(bytes);
                self.start_when_ready(desk);
            }
            Err(error) => self.fail(desk, JobError::Program(error)),
        }
    }

    fn handle_length(&mut self, desk: &mut Desk, len: Result<u64, DataError>) {
        match len {
            Ok(len) => {
                self.input_len = Some(len);
                self.start_when_ready(desk);
            }
            Err(error) => self.fail(desk, JobError::Input(error)),
        }
    }

    /// Program and length are here: the units begin.
    fn start_when_ready(&mut self, desk: &mut Desk) {
        let (Some(_), Some(len)) = (&self.program, self.input_len) else { return };
        let units = match self.spec.split.units(len) {
            Ok(units) => units,
            Err(error) => return self.fail(desk, JobError::Invalid(error)),
        };
        self.sources = Some(units);
        self.units = (0..units.count()).map(|index| self.new_unit(desk, &units, index)).collect();
        self.phase = Phase::Running;
        desk.event(Event::JobStarted { job: self.id, units: units.count() });
        let workers: Vec<PublicKey> = desk.workers.keys().copied().collect();
        workers.into_iter().for_each(|worker| self.offer_to(desk, worker));
        self.open_units(desk);
        self.reduce_when_done(desk);
    }

    /// A unit as it begins: done already if its result is known.
    fn new_unit(&mut self, desk: &Desk, units: &Units, index: u32) -> Unit {
        let source = units.source(index);
        let known =
            source.and_then(|source| desk.cache.find(&cache_key(&self.spec, index, &source)));
        let stage = if known.is_some() { Stage::Done } else { Stage::New };
        if let Some(result) = &known {
            self.done += 1;
            self.report.cached += 1;
            self.result_bytes += result.len() as u64;
        }
        Unit {
            stage,
            leases: Vec::new(),
            extra: 0,
            failures: 0,
            vouchers: Vec::new(),
            result: known,
        }
    }
}
