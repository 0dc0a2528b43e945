//! A job that runs: its units, its leases, its counters.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::{Bytes, BytesMut};
use toktok_wire::{PublicKey, Time};

use super::durations::Durations;
use super::event::JobReport;
use crate::config;
use crate::job::{JobId, JobSpec, ResultHash, Units, job_seed};
use crate::message::{LeaseId, Offer};
use crate::verify::Reveal;

/// Where a job stands.
#[derive(Debug)]
pub(super) enum Phase {
    /// Program and input's length are being fetched.
    Preparing,
    /// Units are given out.
    Running,
    /// All units are done; results are being joined.
    Reducing(Reduction),
    /// The last event is out.
    Over,
}

/// Joining results in batches.
#[derive(Debug, Default)]
pub(super) struct Reduction {
    /// Results still to be joined on this level.
    pub(super) waiting: VecDeque<Bytes>,
    /// Results of this level: the next level's input.
    pub(super) joined: Vec<Bytes>,
    /// Batches begun: each gets a seed of its own.
    pub(super) batches: u32,
}

/// Where a unit stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    /// Not given out yet.
    New,
    /// Given out to workers, or about to be.
    Open,
    /// All replicas are bound; they show their results.
    Revealing,
    /// The owner computes it.
    Arbitrating,
    /// Accepted; the result itself is on its way.
    Fetching,
    /// Accepted, and the result is here.
    Done,
}

/// One unit.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) stage: Stage,
    pub(super) leases: Vec<LeaseId>,
    /// Copies beyond the replicas, because it is late.
    pub(super) extra: usize,
    /// How often it failed for another reason than the program.
    pub(super) failures: usize,
    /// Whose agreement made the result accepted; empty if the owner computed it.
    pub(super) vouchers: Vec<PublicKey>,
    pub(super) result: Option<Bytes>,
}

/// What a lease's worker has done so far.
#[derive(Debug)]
pub(super) enum Progress {
    Running,
    Committed([u8; 32]),
    /// Asked to open this commitment, at that moment.
    Asked([u8; 32], Time),
    Revealed {
        result: ResultHash,
        length: u64,
    },
    /// Sends the result.
    Sending {
        result: ResultHash,
        length: u64,
        received: BytesMut,
    },
}

/// A unit in a worker's hands.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) unit: u32,
    pub(super) worker: PublicKey,
    pub(super) issued: Time,
    /// Last sign of life.
    pub(super) heard: Time,
    pub(super) progress: Progress,
}

impl Lease {
    /// True once the worker cannot change its result any more.
    pub(super) const fn is_bound(&self) -> bool {
        !matches!(self.progress, Progress::Running)
    }

    pub(super) const fn revealed(&self) -> Option<ResultHash> {
        match self.progress {
            Progress::Revealed { result, .. } | Progress::Sending { result, .. } => Some(result),
            _ => None,
        }
    }
}

/// One job.
#[derive(Debug)]
pub(super) struct JobState {
    pub(super) id: JobId,
    pub(super) spec: JobSpec,
    pub(super) seed: [u8; 32],
    pub(super) submitted: Time,
    pub(super) phase: Phase,
    pub(super) program: Option<Bytes>,
    pub(super) input_len: Option<u64>,
    pub(super) sources: Option<Units>,
    pub(super) units: Vec<Unit>,
    /// The first unit that was never open.
    pub(super) next_new: u32,
    /// Units between New and Done.
    pub(super) open: usize,
    pub(super) done: u32,
    /// Open units that want another worker.
    pub(super) ready: BTreeSet<u32>,
    pub(super) leases: BTreeMap<LeaseId, Lease>,
    /// Workers that asked for units and how many they would take: never zero.
    pub(super) credits: BTreeMap<PublicKey, u32>,
    pub(super) lapses: BTreeMap<PublicKey, u32>,
    /// Workers that computed something.
    pub(super) contributors: BTreeSet<PublicKey>,
    pub(super) durations: Durations,
    /// Units that the owner must compute, in order; the first few are being computed.
    pub(super) arbitrations: VecDeque<u32>,
    pub(super) arbitrating: BTreeSet<u32>,
    /// Times that the owner's own executor or data failed.
    pub(super) own_failures: u32,
    pub(super) result_bytes: u64,
    pub(super) report: JobReport,
    pub(super) last_progress: Time,
}

impl JobState {
    pub(super) fn new(id: JobId, spec: JobSpec, now: Time) -> Self {
        let seed = job_seed(&spec);
        Self {
            id,
            spec,
            seed,
            submitted: now,
            phase: Phase::Preparing,
            program: None,
            input_len: None,
            sources: None,
            units: Vec::new(),
            next_new: 0,
            open: 0,
            done: 0,
            ready: BTreeSet::new(),
            leases: BTreeMap::new(),
            credits: BTreeMap::new(),
            lapses: BTreeMap::new(),
            contributors: BTreeSet::new(),
            durations: Durations::default(),
            arbitrations: VecDeque::new(),
            arbitrating: BTreeSet::new(),
            own_failures: 0,
            result_bytes: 0,
            report: JobReport::default(),
            last_progress: now,
        }
    }

    /// What workers are told about it.
    pub(super) fn offer(&self) -> Offer {
        Offer {
            job: self.id,
            program: self.spec.program.clone(),
            input: self.spec.input.clone(),
            arguments: self.spec.arguments.clone(),
            seed: self.seed,
            limits: self.spec.policy.limits,
            canonical_nans: self.spec.policy.canonical_nans,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running)
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    pub(super) fn replicas(&self) -> usize {
        self.spec.policy.replicas.into()
    }

    pub(super) fn unit(&self, unit: u32) -> Option<&Unit> {
        self.units.get(unit as usize)
    }

    pub(super) fn unit_mut(&mut self, unit: u32) -> Option<&mut Unit> {
        self.units.get_mut(unit as usize)
    }

    /// How many more workers an open unit wants.
    pub(super) fn wanted(&self, unit: u32) -> usize {
        self.unit(unit)
            .filter(|unit| unit.stage == Stage::Open)
            .map_or(0, |unit| (self.replicas() + unit.extra).saturating_sub(unit.leases.len()))
    }

    /// The opened results of a unit.
    pub(super) fn reveals(&self, unit: u32) -> Vec<Reveal> {
        let leases = self.unit(unit).map_or(&[][..], |unit| &unit.leases);
        leases
            .iter()
            .filter_map(|id| self.leases.get(id))
            .filter_map(|lease| {
                lease.revealed().map(|result| Reveal { worker: lease.worker, result })
            })
            .collect()
    }

    /// May this worker be given units of the job at all?
    pub(super) fn trusts(&self, worker: &PublicKey) -> bool {
        self.lapses.get(worker).is_none_or(|lapses| *lapses < config::MAX_LAPSES)
    }
}
