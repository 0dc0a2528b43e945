//! The worker's side: pulls units when a slot is free, fetches program and piece, has them run, binds
//! itself to the result, and shows it when asked.

mod donation;
mod programs;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use toktok_mesh::DropReason;
use toktok_wire::{PublicKey, Rng, Time};

pub use donation::Donation;

use crate::action::{Action, DataError, Role, TaskId, TaskResult};
use crate::config;
use crate::engine::{Computed, ExecuteError, Execution};
use crate::job::{JobId, UnitSource, unit_seed};
use crate::message::{DeclineReason, FailureKind, LeaseId, MAX_BEATS, Message, Offer};
use crate::verify::commitment;
use programs::{Found, Programs};

/// Clients served at once; each has a channel.
const MAX_CLIENTS: usize = 256;

type JobKey = (PublicKey, JobId);
type LeaseKey = (PublicKey, LeaseId);

/// A client's job.
#[derive(Debug)]
struct Job {
    offer: Offer,
    /// Units asked for and not given yet.
    asked: usize,
}

/// A unit in this worker's hands.
#[derive(Debug)]
struct Held {
    job: JobId,
    unit: u32,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Program and input are being fetched.
    Preparing { program: Option<Bytes>, stdin: Option<Bytes>, source: UnitSource },
    /// As this task.
    Running(TaskId),
    /// Committed to this.
    Bound { result: Computed, nonce: [u8; 32], since: Time, sent: bool },
}

/// What a task is for.
#[derive(Debug)]
enum Purpose {
    Program(String),
    Piece(LeaseKey),
    Unit(LeaseKey),
}

/// The worker's protocol: units in, results out. Sans-IO.
#[derive(Debug)]
pub struct Worker {
    me: PublicKey,
    rng: Rng,
    donation: Donation,
    clients: BTreeSet<PublicKey>,
    jobs: BTreeMap<JobKey, Job>,
    held: BTreeMap<LeaseKey, Held>,
    programs: Programs,
    tasks: BTreeMap<TaskId, Purpose>,
    /// Units that run although nobody wants them any more: they use a slot until they end.
    orphans: usize,
    next_task: u64,
    next_beat: Option<Time>,
    out: VecDeque<Action>,
}

impl Worker {
    /// A worker with this key, which results are bound to.
    pub fn new(me: PublicKey, donation: Donation, rng: Rng) -> Self {
        Self {
            me,
            rng,
            donation,
            clients: BTreeSet::new(),
            jobs: BTreeMap::new(),
            held: BTreeMap::new(),
            programs: Programs::default(),
            tasks: BTreeMap::new(),
            orphans: 0,
            next_task: 1,
            next_beat: None,
            out: VecDeque::new(),
        }
    }

    /// Gives more, less, or nothing from now on.
    pub fn set_donation(&mut self, donation: Donation) {
        self.donation = donation;
        self.pull();
    }

    /// Jobs of others that this worker serves.
    pub fn jobs(&self) -> usize {
        self.jobs.len()
    }

    /// Units that are being computed here.
    pub fn busy(&self) -> usize {
        let working = |held: &&Held| !matches!(held.stage, Stage::Bound { .. });
        self.held.values().filter(working).count() + self.orphans
    }

    /// A client opened a channel. False if there are too many.
    pub fn handle_client_up(&mut self, client: PublicKey) -> bool {
        if self.clients.len() >= MAX_CLIENTS {
            return false;
        }
        self.clients.insert(client);
        self.send(client, Message::Hello { version: config::VERSION });
        true
    }

    /// A client's channel is gone, and all it wanted with it.
    pub fn handle_client_down(&mut self, client: PublicKey) {
        self.clients.remove(&client);
        self.jobs.retain(|(owner, _), _| *owner != client);
        let keys: Vec<LeaseKey> =
            self.held.keys().filter(|(owner, _)| *owner == client).copied().collect();
        keys.into_iter().for_each(|key| self.drop_lease(key));
        self.pull();
    }

    /// Takes a message of a client.
    ///
    /// # Errors
    /// Why it was dropped.
    pub fn handle_message(
        &mut self,
        now: Time,
        client: PublicKey,
        message: Message,
    ) -> Result<(), DropReason> {
        if !self.clients.contains(&client) {
            return Err(DropReason::Refused);
        }
        match message {
            Message::Hello { version: config::VERSION } => {}
            Message::Offer(offer) => self.handle_offer(client, offer),
            Message::Lease { job, lease, unit, source } => {
                self.handle_lease(now, (client, job), lease, unit, source)?;
            }
            Message::AskReveal { lease } => self.reveal((client, lease))?,
            Message::AskOutput { lease } => self.send_output((client, lease))?,
            Message::Release { lease } => self.drop_lease((client, lease)),
            Message::Withdraw { job } => {
                self.jobs.remove(&(client, job));
                let of_job = |(key, held): (&LeaseKey, &Held)| {
                    (key.0 == client && held.job == job).then_some(*key)
                };
                let keys: Vec<LeaseKey> = self.held.iter().filter_map(of_job).collect();
                keys.into_iter().for_each(|key| self.drop_lease(key));
            }
            _ => return Err(DropReason::Refused),
        }
        self.pull();
        Ok(())
    }

    fn handle_offer(&mut self, client: PublicKey, offer: Offer) {
        let job = offer.job;
        let reason = if !self.donation.covers(&offer.limits) {
            DeclineReason::Limits
        } else if self.jobs.len() >= config::MAX_OFFERS {
            DeclineReason::TooManyJobs
        } else if self.donation.slots == 0 {
            DeclineReason::Paused
        } else {
            self.jobs.entry((client, job)).or_insert(Job { offer, asked: 0 });
            return;
        };
        self.send(client, Message::Decline { job, reason });
    }

    fn handle_lease(
        &mut self,
        now: Time,
        key: JobKey,
        lease: LeaseId,
        unit: u32,
        source: UnitSource,
    ) -> Result<(), DropReason> {
        let free = self.free();
        let job = self.jobs.get_mut(&key).ok_or(DropReason::Unsolicited)?;
        job.asked = job.asked.saturating_sub(1);
        let lease_key = (key.0, lease);
        if self.held.contains_key(&lease_key) {
            return Err(DropReason::Replayed);
        }
        if free == 0 {
            self.send(key.0, Message::Return { lease });
            return Ok(());
        }
        let program = job.offer.program.clone();
        let input = job.offer.input.clone();
        let (stdin, read) = match source {
            UnitSource::Numbers { from, to } => (Some(format!("{from} {to}\n").into()), None),
            UnitSource::Piece(piece) => {
                (None, Some((input.ok_or(DropReason::Malformed)?, piece.read_range())))
            }
        };
        let stage = Stage::Preparing { program: None, stdin, source };
        self.next_beat.get_or_insert(now + config::HEARTBEAT);
        self.held.insert(lease_key, Held { job: key.1, unit, stage });
        if let Some((capability, range)) = read {
            let task = self.begin(Purpose::Piece(lease_key));
            self.out.push_back(Action::Fetch { task, capability, range: Some(range) });
        }
        self.want_program(lease_key, program);
        Ok(())
    }

    fn want_program(&mut self, key: LeaseKey, capability: String) {
        match self.programs.find(&capability) {
            Found::Here(bytes) => self.prepared(key, |program, _| *program = Some(bytes)),
            Found::Fetching => {}
            Found::Missing => {
                let task = self.begin(Purpose::Program(capability.clone()));
                self.out.push_back(Action::Fetch { task, capability, range: None });
            }
        }
    }

    /// Fills in a part of what a unit needs, and runs it when it has all.
    fn prepared(
        &mut self,
        key: LeaseKey,
        fill: impl FnOnce(&mut Option<Bytes>, &mut Option<Bytes>),
    ) {
        let Some(held) = self.held.get_mut(&key) else { return };
        let Stage::Preparing { program, stdin, .. } = &mut held.stage else { return };
        fill(program, stdin);
        let (Some(program), Some(stdin)) = (program.take_if(|_| stdin.is_some()), stdin) else {
            return;
        };
        let Some(Job { offer, .. }) = self.jobs.get(&(key.0, held.job)) else { return };
        let execution = Execution {
            program,
            arguments: offer.arguments.clone(),
            stdin: core::mem::take(stdin),
            seed: unit_seed(&offer.seed, held.unit),
            limits: offer.limits,
            canonical_nans: offer.canonical_nans,
        };
        let task = self.begin(Purpose::Unit(key));
        if let Some(held) = self.held.get_mut(&key) {
            held.stage = Stage::Running(task);
        }
        self.out.push_back(Action::Execute { task, execution });
    }

    /// Takes the result of a task of this worker.
    pub fn handle_task(&mut self, now: Time, task: TaskId, result: TaskResult) {
        let Some(purpose) = self.tasks.remove(&task) else { return };
        match (purpose, result) {
            (Purpose::Program(capability), TaskResult::Fetched(fetched)) => {
                self.handle_program(capability, fetched);
            }
            (Purpose::Piece(key), TaskResult::Fetched(fetched)) => self.handle_piece(key, fetched),
            (Purpose::Unit(key), TaskResult::Computed(computed)) => {
                self.handle_computed(now, key, task, computed);
            }
            _ => debug_assert!(false, "a task was answered with another kind of result"),
        }
        self.pull();
    }

    fn handle_program(&mut self, capability: String, fetched: Result<Bytes, DataError>) {
        let wanted = |(key, held): (&LeaseKey, &Held)| {
            let job = self.jobs.get(&(key.0, held.job))?;
            let waits = matches!(held.stage, Stage::Preparing { program: None, .. });
            (waits && job.offer.program == capability).then_some(*key)
        };
        let keys: Vec<LeaseKey> = self.held.iter().filter_map(wanted).collect();
        self.programs.fetched(capability, fetched.as_ref().ok().cloned());
        for key in keys {
            match &fetched {
                Ok(bytes) => self.prepared(key, |program, _| *program = Some(bytes.clone())),
                Err(error) => self.failed(key, FailureKind::Data, &error.to_string()),
            }
        }
    }

    fn handle_piece(&mut self, key: LeaseKey, fetched: Result<Bytes, DataError>) {
        let Some(Held { stage: Stage::Preparing { source, .. }, .. }) = self.held.get(&key) else {
            return;
        };
        let UnitSource::Piece(piece) = *source else { return };
        match fetched.map(|read| piece.cut(&read).map(|range| read.slice(range))) {
            Ok(Some(piece)) => self.prepared(key, |_, stdin| *stdin = Some(piece)),
            Ok(None) => self.failed(key, FailureKind::Data, "the input has another length"),
            Err(error) => self.failed(key, FailureKind::Data, &error.to_string()),
        }
    }

    fn handle_computed(
        &mut self,
        now: Time,
        key: LeaseKey,
        task: TaskId,
        computed: Result<Computed, ExecuteError>,
    ) {
        let wanted = |held: &&mut Held| matches!(held.stage, Stage::Running(t) if t == task);
        let Some(held) = self.held.get_mut(&key).filter(wanted) else {
            self.orphans = self.orphans.saturating_sub(1);
            return;
        };
        match computed {
            Ok(result) => {
                let nonce = self.rng.bytes();
                let sealed = commitment(held.job, held.unit, &self.me, &result.hash, &nonce);
                held.stage = Stage::Bound { result, nonce, since: now, sent: false };
                self.send(key.0, Message::Commit { lease: key.1, commitment: sealed });
            }
            Err(error) => self.failed(key, error.kind(), &error.to_string()),
        }
    }

    fn failed(&mut self, key: LeaseKey, kind: FailureKind, why: &str) {
        self.held.remove(&key);
        let end = why.floor_char_boundary(config::MAX_FAILURE_MESSAGE);
        let message = why.get(..end).unwrap_or_default().to_owned();
        self.send(key.0, Message::Failed { lease: key.1, kind, message });
    }

    fn reveal(&mut self, key: LeaseKey) -> Result<(), DropReason> {
        let Some(Held { stage: Stage::Bound { result, nonce, .. }, .. }) = self.held.get(&key)
        else {
            return Err(DropReason::Unsolicited);
        };
        let length = result.output.len() as u64;
        let message = Message::Reveal { lease: key.1, nonce: *nonce, result: result.hash, length };
        self.send(key.0, message);
        Ok(())
    }

    /// Sends a result, once.
    fn send_output(&mut self, key: LeaseKey) -> Result<(), DropReason> {
        let Some(Held { stage: Stage::Bound { result, sent, .. }, .. }) = self.held.get_mut(&key)
        else {
            return Err(DropReason::Unsolicited);
        };
        if core::mem::replace(sent, true) {
            return Err(DropReason::Replayed);
        }
        let output = result.output.clone();
        for (index, _) in output.chunks(config::OUTPUT_CHUNK).enumerate() {
            let from = index * config::OUTPUT_CHUNK;
            let data = output.slice(from..output.len().min(from + config::OUTPUT_CHUNK));
            self.send(key.0, Message::Output { lease: key.1, offset: from as u64, data });
        }
        Ok(())
    }

    fn drop_lease(&mut self, key: LeaseKey) {
        if let Some(Held { stage: Stage::Running(_), .. }) = self.held.remove(&key) {
            self.orphans += 1;
        }
    }

    /// Units that could be begun now.
    fn free(&self) -> usize {
        let mut results = 0;
        let mut bytes = 0;
        for held in self.held.values() {
            if let Stage::Bound { result: Computed { output, .. }, .. } = &held.stage {
                results += 1;
                bytes += output.len() as u64;
            }
        }
        let full = results >= config::MAX_HELD_RESULTS || bytes >= config::MAX_HELD_BYTES;
        if self.donation.paused || full {
            return 0;
        }
        self.donation.slots.saturating_sub(self.busy())
    }

    /// Asks every client for as many units as there are free slots; who answers first gets them.
    fn pull(&mut self) {
        let free = self.free().min(config::MAX_CREDIT as usize);
        let mut pulls = Vec::new();
        for ((client, job), state) in &mut self.jobs {
            if state.asked < free {
                pulls.push((
                    *client,
                    Message::Pull { job: *job, units: (free - state.asked) as u32 },
                ));
                state.asked = free;
            }
        }
        pulls.into_iter().for_each(|(client, message)| self.send(client, message));
    }

    fn send(&mut self, to: PublicKey, message: Message) {
        self.out.push_back(Action::Send { to, role: Role::Worker, message });
    }

    /// Even numbers are the coordinator's, odd ones the worker's.
    fn begin(&mut self, purpose: Purpose) -> TaskId {
        self.next_task += 2;
        let task = TaskId(self.next_task);
        self.tasks.insert(task, purpose);
        task
    }

    /// Runs the timers that are due, and gives the next thing to do.
    pub fn poll(&mut self, now: Time) -> Option<Action> {
        if self.next_beat.is_some_and(|due| due <= now) {
            self.forget_unwanted(now);
            self.beat();
            self.next_beat = (!self.held.is_empty()).then(|| now + config::HEARTBEAT);
        }
        self.out.pop_front()
    }

    /// When [`Worker::poll`] has something to do again.
    pub fn deadline(&self) -> Option<Time> {
        self.next_beat
    }

    fn beat(&mut self) {
        let mut leases: BTreeMap<PublicKey, Vec<LeaseId>> = BTreeMap::new();
        for (client, lease) in self.held.keys() {
            leases.entry(*client).or_default().push(*lease);
        }
        for (client, leases) in leases {
            for leases in leases.chunks(MAX_BEATS) {
                self.send(client, Message::Heartbeat { leases: leases.to_vec() });
            }
        }
    }

    fn forget_unwanted(&mut self, now: Time) {
        self.held.retain(|_, held| match held.stage {
            Stage::Bound { since, .. } => now.since(since) < config::HELD_FOR,
            _ => true,
        });
    }
}
