//! Giving units to workers that pull, and taking them back.

use toktok_wire::PublicKey;

use super::desk::Desk;
use super::state::{JobState, Lease, Progress, Stage};
use crate::config;
use crate::job::JobId;
use crate::message::{LeaseId, Message};

impl JobState {
    /// A worker would take `units` more.
    pub(super) fn handle_pull(&mut self, desk: &mut Desk, worker: PublicKey, units: u32) {
        if !self.trusts(&worker) || desk.standing.is_banned(&worker) {
            return;
        }
        let credit = self.credits.entry(worker).or_default();
        *credit = credit.saturating_add(units).min(config::MAX_CREDIT);
        if self.is_running() {
            self.serve(desk, worker);
        }
    }

    /// Gives `worker` as many units as it asked for and as there are for it.
    fn serve(&mut self, desk: &mut Desk, worker: PublicKey) {
        while self.credits.contains_key(&worker) {
            let Some(unit) = self.pick(desk, &worker) else { break };
            self.issue(desk, unit, worker);
        }
    }

    /// A random open unit: whoever pulls with two keys in a row must not get both replicas of one.
    fn pick(&self, desk: &mut Desk, worker: &PublicKey) -> Option<u32> {
        let (first, last) = (*self.ready.first()?, *self.ready.last()?);
        let start = first + desk.rng.below(u64::from(last - first) + 1) as u32;
        let rotated = self.ready.range(start..).chain(self.ready.range(..start));
        rotated.copied().find(|unit| self.may_have(desk, *unit, worker))
    }

    /// No two replicas for one key or, if the job says so, for one network.
    fn may_have(&self, desk: &Desk, unit: u32, worker: &PublicKey) -> bool {
        let network = |peer: &PublicKey| desk.workers.get(peer).copied().flatten();
        let Some(unit) = self.unit(unit) else { return false };
        unit.leases.iter().filter_map(|id| self.leases.get(id)).all(|lease| {
            let apart = !self.spec.policy.distinct_networks
                || network(&lease.worker)
                    .zip(network(worker))
                    .is_some_and(|(theirs, ours)| theirs != ours);
            lease.worker != *worker && apart
        })
    }

    fn issue(&mut self, desk: &mut Desk, unit: u32, worker: PublicKey) {
        let Some(source) = self.sources.and_then(|units| units.source(unit)) else { return };
        let id = desk.new_lease(self.id);
        let now = desk.now;
        let progress = Progress::Running;
        self.leases.insert(id, Lease { unit, worker, issued: now, heard: now, progress });
        if let Some(unit) = self.unit_mut(unit) {
            unit.leases.push(id);
        }
        if self.wanted(unit) == 0 {
            self.ready.remove(&unit);
        }
        if let Some(credit) = self.credits.get_mut(&worker) {
            *credit -= 1;
            if *credit == 0 {
                self.credits.remove(&worker);
            }
        }
        desk.send(worker, Message::Lease { job: self.id, lease: id, unit, source });
    }

    /// Opens as many units as the workers at hand warrant.
    pub(super) fn open_units(&mut self, desk: &mut Desk) {
        let window = (config::OPEN_UNITS_A_WORKER * desk.workers.len()).max(config::MIN_OPEN_UNITS);
        while self.open < window && (self.next_new as usize) < self.units.len() {
            let unit = self.next_new;
            self.next_new += 1;
            if self.unit(unit).is_some_and(|unit| unit.stage == Stage::New) {
                self.open += 1;
                self.reopen(desk, unit);
            }
        }
    }

    /// A unit wants workers (again): those that wait get it first.
    pub(super) fn reopen(&mut self, desk: &mut Desk, unit: u32) {
        if let Some(unit) = self.unit_mut(unit) {
            unit.stage = Stage::Open;
        }
        self.place(desk, unit);
        if self.wanted(unit) > 0 {
            self.ready.insert(unit);
        }
    }

    /// Gives `unit` to workers that wait for one. True if any took it.
    pub(super) fn place(&mut self, desk: &mut Desk, unit: u32) -> bool {
        let mut placed = false;
        while self.wanted(unit) > 0 {
            let waiting: Vec<PublicKey> =
                self.credits.keys().filter(|w| self.may_have(desk, unit, w)).copied().collect();
            let Some(worker) = desk.rng.choose(&waiting).copied() else { break };
            self.issue(desk, unit, worker);
            placed = true;
        }
        placed
    }

    /// The worker has no slot free after all. It pulls again when it has.
    pub(super) fn handle_return(&mut self, desk: &mut Desk, id: LeaseId) {
        if let Some(lease) = self.leases.get(&id)
            && !lease.is_bound()
        {
            let unit = lease.unit;
            self.drop_lease(desk, id, false);
            self.settle(desk, unit);
        }
    }

    /// The worker lives.
    pub(super) fn handle_heartbeat(&mut self, desk: &Desk, worker: &PublicKey, id: LeaseId) {
        if let Some(lease) = self.leases.get_mut(&id).filter(|lease| lease.worker == *worker) {
            lease.heard = desk.now;
        }
    }

    /// Ends a lease without a result: its worker died, was too slow, or failed.
    pub(super) fn lapse(&mut self, desk: &mut Desk, id: LeaseId) {
        let Some(lease) = self.drop_lease(desk, id, true) else { return };
        self.count_lapse(lease.worker);
        self.settle(desk, lease.unit);
    }

    /// Remembers that `worker` ended a lease without a result; too often, and it gets no more.
    pub(super) fn count_lapse(&mut self, worker: PublicKey) {
        self.report.lapsed += 1;
        let lapses = self.lapses.entry(worker).or_default();
        *lapses += 1;
        if *lapses >= config::MAX_LAPSES {
            self.credits.remove(&worker);
        }
    }

    /// Forgets a lease, and with `tell` lets its worker forget it too. Its unit is left as it is.
    pub(super) fn drop_lease(&mut self, desk: &mut Desk, id: LeaseId, tell: bool) -> Option<Lease> {
        let lease = self.leases.remove(&id)?;
        desk.forget_lease(id);
        if let Some(unit) = self.unit_mut(lease.unit) {
            unit.leases.retain(|other| *other != id);
        }
        if tell {
            desk.send(lease.worker, Message::Release { lease: id });
        }
        Some(lease)
    }

    /// Drops the leases of `unit` that `which` selects.
    pub(super) fn drop_leases(
        &mut self,
        desk: &mut Desk,
        unit: u32,
        which: impl Fn(&Lease) -> bool,
    ) {
        let ids: Vec<LeaseId> = self.unit(unit).map_or_else(Vec::new, |u| u.leases.clone());
        for id in ids {
            if self.leases.get(&id).is_some_and(&which) {
                self.drop_lease(desk, id, true);
            }
        }
    }

    /// A worker is gone: so are its leases.
    pub(super) fn handle_worker_down(&mut self, desk: &mut Desk, worker: &PublicKey) {
        self.credits.remove(worker);
        for id in self.leases_of(worker) {
            if let Some(lease) = self.drop_lease(desk, id, false) {
                self.report.lapsed += 1;
                self.settle(desk, lease.unit);
            }
        }
    }

    pub(super) fn leases_of(&self, worker: &PublicKey) -> Vec<LeaseId> {
        let own = self.leases.iter().filter(|(_, lease)| lease.worker == *worker);
        own.map(|(id, _)| *id).collect()
    }

    /// Tells every worker that there is nothing more to do here.
    pub(super) fn withdraw(&mut self, desk: &mut Desk) {
        let job: JobId = self.id;
        let workers: Vec<PublicKey> = desk.workers.keys().copied().collect();
        workers.into_iter().for_each(|worker| desk.send(worker, Message::Withdraw { job }));
        for id in core::mem::take(&mut self.leases).into_keys() {
            desk.forget_lease(id);
        }
        self.credits.clear();
    }
}
