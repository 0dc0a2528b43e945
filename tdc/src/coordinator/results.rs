//! From a commitment to an accepted result.

use bytes::{Bytes, BytesMut};
use toktok_wire::PublicKey;

use super::desk::Desk;
use super::event::{Event, JobError};
use super::state::{JobState, Progress, Stage};
use crate::config;
use crate::job::{ResultHash, cache_key};
use crate::message::{FailureKind, LeaseId, Message};
use crate::verify::{Verdict, commitment, judge};

/// A worker's opened commitment.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) nonce: [u8; 32],
    pub(super) result: ResultHash,
    pub(super) length: u64,
}

impl JobState {
    /// The worker has computed, and is bound from now on.
    pub(super) fn handle_commit(&mut self, desk: &mut Desk, id: LeaseId, sealed: [u8; 32]) {
        let Some(lease) = self.leases.get_mut(&id).filter(|lease| !lease.is_bound()) else {
            return;
        };
        lease.progress = Progress::Committed(sealed);
        lease.heard = desk.now;
        let (unit, worker) = (lease.unit, lease.worker);
        self.durations.push(desk.now.since(lease.issued));
        self.contributors.insert(worker);
        self.report.executions += 1;
        self.settle(desk, unit);
    }

    /// The worker could not compute the unit.
    pub(super) fn handle_failed(&mut self, desk: &mut Desk, id: LeaseId, kind: FailureKind) {
        let Some(lease) = self.leases.get(&id).filter(|lease| !lease.is_bound()) else { return };
        let (unit, worker) = (lease.unit, lease.worker);
        self.drop_lease(desk, id, true);
        self.count_lapse(worker);
        let Some(state) = self.unit_mut(unit) else { return };
        state.failures += 1;
        if kind == FailureKind::Program {
            // It would fail everywhere, says the worker: the owner looks for itself.
            self.report.executions += 1;
            self.arbitrate(desk, unit);
        } else if state.failures >= config::FAILURES_BEFORE_ARBITRATION {
            self.arbitrate(desk, unit);
        } else {
            self.settle(desk, unit);
        }
    }

    /// The worker opens its commitment.
    pub(super) fn handle_reveal(&mut self, desk: &mut Desk, id: LeaseId, opened: &Opened) {
        let Some(lease) = self.leases.get_mut(&id) else { return };
        let Progress::Asked(sealed, _) = lease.progress else { return };
        let (unit, worker) = (lease.unit, lease.worker);
        let Opened { nonce, result, length } = *opened;
        if commitment(self.id, unit, &worker, &result, &nonce) != sealed {
            return self.caught(desk, unit, worker);
        }
        lease.heard = desk.now;
        lease.progress = Progress::Revealed { result, length };
        self.settle(desk, unit);
    }

    /// Looks at a unit after anything happened to it, and does what is next.
    pub(super) fn settle(&mut self, desk: &mut Desk, unit: u32) {
        let Some(state) = self.unit(unit) else { return };
        match state.stage {
            Stage::Open | Stage::Revealing => self.settle_open(desk, unit),
            Stage::Fetching if !self.is_being_sent(unit) => self.fetch_result(desk, unit),
            _ => {}
        }
    }

    fn settle_open(&mut self, desk: &mut Desk, unit: u32) {
        let leases = self.unit(unit).map_or(&[][..], |unit| &unit.leases);
        let bound = leases.iter().filter_map(|id| self.leases.get(id)).filter(|l| l.is_bound());
        if bound.count() < self.replicas() {
            return self.reopen(desk, unit);
        }
        self.ready.remove(&unit);
        self.drop_leases(desk, unit, |lease| !lease.is_bound());
        let reveals = self.reveals(unit);
        if reveals.len() < self.replicas() {
            return self.ask_to_reveal(desk, unit);
        }
        let audit = u64::from(self.spec.policy.audit_permille);
        match judge(&reveals) {
            Verdict::Agree(_) if !desk.rng.chance(audit, 1_000) => {
                let workers: Vec<PublicKey> = reveals.iter().map(|reveal| reveal.worker).collect();
                desk.standing.agree(&workers);
                if let Some(unit) = self.unit_mut(unit) {
                    unit.stage = Stage::Fetching;
                    unit.vouchers = workers;
                }
                self.fetch_result(desk, unit);
            }
            _ => self.arbitrate(desk, unit),
        }
    }

    fn ask_to_reveal(&mut self, desk: &mut Desk, unit: u32) {
        let Some(state) = self.unit_mut(unit) else { return };
        state.stage = Stage::Revealing;
        for id in state.leases.clone() {
            let Some(lease) = self.leases.get_mut(&id) else { continue };
            if let Progress::Committed(sealed) = lease.progress {
                lease.progress = Progress::Asked(sealed, desk.now);
                desk.send(lease.worker, Message::AskReveal { lease: id });
            }
        }
    }

    fn is_being_sent(&self, unit: u32) -> bool {
        let leases = self.unit(unit).map_or(&[][..], |unit| &unit.leases);
        let mut leases = leases.iter().filter_map(|id| self.leases.get(id));
        leases.any(|lease| matches!(lease.progress, Progress::Sending { .. }))
    }

    /// Asks one of those who have the accepted result for it. If none is left, the unit is done again.
    fn fetch_result(&mut self, desk: &mut Desk, unit: u32) {
        let leases = self.unit(unit).map_or_else(Vec::new, |unit| unit.leases.clone());
        let Some(id) = desk.rng.choose(&leases).copied() else {
            return self.reopen(desk, unit);
        };
        let Some(lease) = self.leases.get_mut(&id) else { return };
        let Progress::Revealed { result, length } = lease.progress else { return };
        lease.heard = desk.now;
        lease.progress = Progress::Sending { result, length, received: BytesMut::new() };
        let worker = lease.worker;
        if length > self.spec.policy.limits.output_bytes {
            self.caught(desk, unit, worker);
        } else if length == 0 {
            self.handle_output(desk, id, 0, &Bytes::new());
        } else {
            desk.send(worker, Message::AskOutput { lease: id });
        }
    }

    /// A piece of a result.
    pub(super) fn handle_output(
        &mut self,
        desk: &mut Desk,
        id: LeaseId,
        offset: u64,
        data: &Bytes,
    ) {
        let Some(lease) = self.leases.get_mut(&id) else { return };
        let (unit, worker) = (lease.unit, lease.worker);
        let Progress::Sending { result, length, received } = &mut lease.progress else { return };
        let (hash, have) = (*result, received.len() as u64);
        let complete = have + data.len() as u64 == *length;
        if offset != have || have + data.len() as u64 > *length || (data.is_empty() && !complete) {
            return self.caught(desk, unit, worker);
        }
        received.extend_from_slice(data);
        lease.heard = desk.now;
        if !complete {
            return;
        }
        let output = core::mem::take(received).freeze();
        if ResultHash::of(&output) != hash {
            return self.caught(desk, unit, worker);
        }
        self.finish(desk, unit, output);
    }

    /// The unit's result is accepted and here.
    pub(super) fn finish(&mut self, desk: &mut Desk, unit: u32, output: Bytes) {
        self.ready.remove(&unit);
        self.drop_leases(desk, unit, |_| true);
        if let Some(source) = self.sources.and_then(|units| units.source(unit)) {
            desk.cache.insert(cache_key(&self.spec, unit, &source), output.clone());
        }
        self.result_bytes += output.len() as u64;
        let Some(state) = self.unit_mut(unit) else { return };
        state.stage = Stage::Done;
        state.result = Some(output);
        self.open = self.open.saturating_sub(1);
        self.done += 1;
        desk.event(Event::UnitDone { job: self.id, unit });
        if self.result_bytes > config::MAX_JOB_OUTPUT_BYTES {
            return self.fail(desk, JobError::ResultsTooLarge);
        }
        self.open_units(desk);
        self.reduce_when_done(desk);
    }

    /// `worker` was caught on `unit`. Every job hears of it through [`Desk::newly_banned`].
    pub(super) fn caught(&mut self, desk: &mut Desk, unit: u32, worker: PublicKey) {
        if desk.ban(worker) {
            self.report.liars.push(worker);
            desk.event(Event::LiarFound { job: self.id, peer: worker, unit });
        }
    }

    /// A worker was banned, here or in another job: nothing of it is used any more, and what only it
    /// and its company vouched for is done again.
    pub(super) fn handle_banned(&mut self, desk: &mut Desk, worker: &PublicKey) {
        self.credits.remove(worker);
        for id in self.leases_of(worker) {
            if let Some(lease) = self.drop_lease(desk, id, true) {
                self.settle(desk, lease.unit);
            }
        }
        if !self.is_running() {
            return;
        }
        let doubtful: Vec<u32> = (0..self.next_new)
            .filter(|unit| {
                self.unit(*unit).is_some_and(|unit| {
                    matches!(unit.stage, Stage::Done | Stage::Fetching)
                        && unit.vouchers.contains(worker)
                        && !desk.standing.stands(&unit.vouchers)
                })
            })
            .collect();
        doubtful.into_iter().for_each(|unit| self.redo(desk, unit));
    }

    fn redo(&mut self, desk: &mut Desk, unit: u32) {
        self.drop_leases(desk, unit, |_| true);
        if let Some(source) = self.sources.and_then(|units| units.source(unit)) {
            desk.cache.remove(&cache_key(&self.spec, unit, &source));
        }
        self.report.redone += 1;
        let Some(state) = self.unit_mut(unit) else { return };
        state.vouchers.clear();
        state.extra = 0;
        if let Some(result) = state.result.take() {
            self.result_bytes -= result.len() as u64;
            self.done -= 1;
            self.open += 1;
        }
        self.reopen(desk, unit);
    }
}
