//! What the owner computes itself: units that workers disagree on, and the joining of results.

use bytes::Bytes;

use super::desk::{Desk, Purpose};
use super::event::{Event, JobError};
use super::state::{JobState, Phase, Reduction, Stage};
use crate::action::{Action, DataError};
use crate::config;
use crate::engine::{Computed, ExecuteError, Execution};
use crate::job::{Limits, Reduce, ResultHash, UnitSource, unit_seed};
use crate::message::Message;
use crate::verify::liars;

/// Units that the owner computes at once.
const AT_ONCE: usize = 2;

/// Troubles of its own that the owner puts up with in one job.
const OWN_FAILURES: u32 = 3;

impl JobState {
    /// Has the owner compute `unit`. Results that were shown are kept, to be judged by the truth.
    pub(super) fn arbitrate(&mut self, desk: &mut Desk, unit: u32) {
        let Some(state) = self.unit_mut(unit) else { return };
        if state.stage == Stage::Arbitrating {
            return;
        }
        state.stage = Stage::Arbitrating;
        self.ready.remove(&unit);
        self.drop_leases(desk, unit, |lease| lease.revealed().is_none());
        self.arbitrations.push_back(unit);
        self.next_arbitration(desk);
    }

    fn next_arbitration(&mut self, desk: &mut Desk) {
        while self.arbitrating.len() < AT_ONCE {
            let Some(unit) = self.arbitrations.pop_front() else { break };
            self.arbitrating.insert(unit);
            self.fetch_piece(desk, unit);
        }
    }

    fn fetch_piece(&mut self, desk: &mut Desk, unit: u32) {
        match self.sources.and_then(|units| units.source(unit)) {
            Some(UnitSource::Piece(piece)) => {
                let capability = self.spec.input.clone().unwrap_or_default();
                let range = Some(piece.read_range());
                desk.begin(self.id, Purpose::Piece(unit), |task| Action::Fetch {
                    task,
                    capability,
                    range,
                });
            }
            Some(UnitSource::Numbers { from, to }) => {
                self.compute_unit(desk, unit, format!("{from} {to}\n").into());
            }
            None => {}
        }
    }

    /// The bytes around a unit's piece are here.
    pub(super) fn handle_piece(
        &mut self,
        desk: &mut Desk,
        unit: u32,
        fetched: Result<Bytes, DataError>,
    ) {
        let Some(UnitSource::Piece(piece)) = self.sources.and_then(|units| units.source(unit))
        else {
            return;
        };
        let wrong_length = || DataError("it has another length than it said".into());
        let cut = fetched.and_then(|read| {
            piece.cut(&read).map(|range| read.slice(range)).ok_or_else(wrong_length)
        });
        match cut {
            Ok(stdin) => self.compute_unit(desk, unit, stdin),
            Err(error) if self.own_failures >= OWN_FAILURES => {
                self.fail(desk, JobError::Input(error));
            }
            Err(_) => {
                self.own_failures += 1;
                self.fetch_piece(desk, unit);
            }
        }
    }

    fn compute_unit(&mut self, desk: &mut Desk, unit: u32, stdin: Bytes) {
        let execution = Execution {
            program: self.program.clone().unwrap_or_default(),
            arguments: self.spec.arguments.clone(),
            stdin,
            seed: unit_seed(&self.seed, unit),
            limits: self.spec.policy.limits,
            canonical_nans: self.spec.policy.canonical_nans,
        };
        desk.begin(self.id, Purpose::Unit(unit), |task| Action::Execute { task, execution });
    }

    /// The owner's own result: the truth.
    pub(super) fn handle_unit_computed(
        &mut self,
        desk: &mut Desk,
        unit: u32,
        computed: Result<Computed, ExecuteError>,
    ) {
        match computed {
            Ok(Computed { output, hash }) => {
                self.arbitrating.remove(&unit);
                self.report.executions += 1;
                self.report.arbitrations += 1;
                self.next_arbitration(desk);
                self.judge_by(desk, unit, hash);
                self.finish(desk, unit, output);
            }
            Err(error) if error.is_final() || self.own_failures >= OWN_FAILURES => {
                self.fail(desk, JobError::Unit { unit, error });
            }
            Err(_) => {
                self.own_failures += 1;
                self.fetch_piece(desk, unit);
            }
        }
    }

    fn judge_by(&mut self, desk: &mut Desk, unit: u32, truth: ResultHash) {
        let reveals = self.reveals(unit);
        reveals
            .iter()
            .filter(|reveal| reveal.result == truth)
            .for_each(|reveal| desk.standing.prove(reveal.worker));
        liars(&reveals, truth).for_each(|liar| self.caught(desk, unit, liar));
        if let Some(unit) = self.unit_mut(unit) {
            unit.vouchers.clear();
        }
    }

    /// Begins joining once the last unit is done. A ban that is not yet known to all jobs comes first:
    /// it may open units again, and [`Coordinator`](super::Coordinator) calls this once more.
    pub(super) fn reduce_when_done(&mut self, desk: &mut Desk) {
        if !self.is_running()
            || self.done as usize != self.units.len()
            || !desk.newly_banned.is_empty()
        {
            return;
        }
        let waiting: Vec<Bytes> =
            self.units.iter_mut().filter_map(|unit| unit.result.take()).collect();
        self.withdraw(desk);
        match &self.spec.reduce {
            Reduce::Concatenate => {
                self.complete(desk, waiting.concat().into());
            }
            Reduce::Program { .. } => {
                let waiting = waiting.into();
                self.phase = Phase::Reducing(Reduction { waiting, ..Reduction::default() });
                self.next_batch(desk);
            }
        }
    }

    fn next_batch(&mut self, desk: &mut Desk) {
        let Phase::Reducing(reduction) = &mut self.phase else { return };
        let mut batch: Vec<Bytes> = Vec::new();
        let mut bytes = 0;
        // At least two, so that each level has fewer results than the one before.
        while batch.len() < 2 || bytes < config::REDUCE_BATCH_BYTES {
            let Some(result) = reduction.waiting.pop_front() else { break };
            bytes += result.len() as u64;
            batch.push(result);
        }
        reduction.batches += 1;
        let Reduce::Program { arguments } = &self.spec.reduce else { return };
        let limits = self.spec.policy.limits;
        let limits = Limits {
            memory_bytes: limits.memory_bytes.max(config::JOIN_MEMORY_BYTES),
            output_bytes: config::MAX_RESULT_BYTES,
            ..limits
        };
        let execution = Execution {
            program: self.program.clone().unwrap_or_default(),
            arguments: arguments.clone(),
            stdin: batch.concat().into(),
            seed: unit_seed(&self.seed, u32::MAX - reduction.batches),
            limits,
            canonical_nans: self.spec.policy.canonical_nans,
        };
        desk.begin(self.id, Purpose::Batch, |task| Action::Execute { task, execution });
    }

    /// A batch is joined.
    pub(super) fn handle_batch(
        &mut self,
        desk: &mut Desk,
        computed: Result<Computed, ExecuteError>,
    ) {
        let Phase::Reducing(reduction) = &mut self.phase else { return };
        match computed {
            Ok(Computed { output, .. }) => reduction.joined.push(output),
            Err(error) => return self.fail(desk, JobError::Reduce(error)),
        }
        if reduction.waiting.is_empty() {
            if reduction.joined.len() == 1 {
                let result = reduction.joined.pop().unwrap_or_default();
                return self.complete(desk, result);
            }
            reduction.waiting = core::mem::take(&mut reduction.joined).into();
        }
        self.next_batch(desk);
    }

    fn complete(&mut self, desk: &mut Desk, result: Bytes) {
        self.phase = Phase::Over;
        let mut report = core::mem::take(&mut self.report);
        report.result = result;
        report.units = self.units.len() as u32;
        report.workers = self.contributors.len();
        report.elapsed = desk.now.since(self.submitted);
        desk.event(Event::JobDone { job: self.id, report });
    }

    /// The job ends without a result.
    pub(super) fn fail(&mut self, desk: &mut Desk, error: JobError) {
        if self.is_over() {
            return;
        }
        self.withdraw(desk);
        self.phase = Phase::Over;
        desk.event(Event::JobFailed { job: self.id, error });
    }

    /// Tells a worker of the job.
    pub(super) fn offer_to(&self, desk: &mut Desk, worker: toktok_wire::PublicKey) {
        desk.send(worker, Message::Offer(self.offer()));
    }
}
