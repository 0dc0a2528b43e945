//! A job's timers: silent workers, late units, the deadline.

use toktok_wire::Time;

use super::desk::Desk;
use super::event::{Event, JobError};
use super::state::{JobState, Lease, Progress, Stage};
use crate::config;
use crate::message::LeaseId;

impl JobState {
    /// Looks at everything that may be due.
    pub(super) fn tick(&mut self, desk: &mut Desk) {
        let now = desk.now;
        if now.since(self.submitted) >= self.spec.policy.deadline {
            return self.out_of_time(desk);
        }
        if self.is_running() {
            self.end_silent_leases(desk);
            self.copy_late_units(desk);
        }
        if now.since(self.last_progress) >= config::PROGRESS_INTERVAL && !self.is_over() {
            self.last_progress = now;
            desk.event(Event::JobProgress {
                job: self.id,
                done: self.done,
                units: self.units.len() as u32,
                workers: desk.workers.len(),
            });
        }
    }

    fn out_of_time(&mut self, desk: &mut Desk) {
        let error = JobError::Deadline {
            deadline: self.spec.policy.deadline,
            done: self.done,
            units: self.units.len() as u32,
            workers: desk.workers.len(),
            replicas: self.spec.policy.replicas,
        };
        self.fail(desk, error);
    }

    fn has_lapsed(&self, now: Time, lease: &Lease) -> bool {
        let silent = now.since(lease.heard);
        let most = self.spec.policy.limits.wall + config::FETCH_ALLOWANCE;
        match lease.progress {
            Progress::Running => silent > config::LEASE_SILENCE || now.since(lease.issued) > most,
            Progress::Committed(_) | Progress::Revealed { .. } => silent > config::LEASE_SILENCE,
            Progress::Asked(_, since) => now.since(since) > config::REVEAL_WAIT,
            Progress::Sending { .. } => silent > config::REVEAL_WAIT,
        }
    }

    fn end_silent_leases(&mut self, desk: &mut Desk) {
        let lapsed: Vec<LeaseId> = self
            .leases
            .iter()
            .filter(|(_, lease)| self.has_lapsed(desk.now, lease))
            .map(|(id, _)| *id)
            .collect();
        lapsed.into_iter().for_each(|id| self.lapse(desk, id));
    }

    /// Late units get one more copy, if a worker waits for work.
    fn copy_late_units(&mut self, desk: &mut Desk) {
        if self.credits.is_empty() {
            return;
        }
        let Some(late) = self.durations.late() else { return };
        let is_late = |lease: &&Lease| !lease.is_bound() && desk.now.since(lease.issued) > late;
        let units: Vec<u32> =
            self.leases.values().filter(is_late).map(|lease| lease.unit).collect();
        for unit in units {
            let Some(state) = self.unit_mut(unit) else { continue };
            if state.stage != Stage::Open || state.extra > 0 {
                continue;
            }
            state.extra = 1;
            if self.place(desk, unit) {
                self.report.speculative += 1;
            } else if let Some(state) = self.unit_mut(unit) {
                state.extra = 0;
            }
        }
    }
}
