//! What a job's owner is told.

use core::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use toktok_wire::PublicKey;

use crate::action::DataError;
use crate::config;
use crate::engine::ExecuteError;
use crate::job::{InvalidJob, JobId};

/// Something that a job's owner wants to know.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Program and input are there; the units are known.
    JobStarted {
        /// Which job.
        job: JobId,
        /// How many units it has.
        units: u32,
    },
    /// Told at least each second while a job runs.
    JobProgress {
        /// Which job.
        job: JobId,
        /// Units with an accepted result.
        done: u32,
        /// Units in all; 0 until the job has started.
        units: u32,
        /// Workers that are connected.
        workers: usize,
    },
    /// A unit has an accepted result.
    UnitDone {
        /// Which job.
        job: JobId,
        /// Which unit.
        unit: u32,
    },
    /// A worker lied and is banned.
    LiarFound {
        /// In which job.
        job: JobId,
        /// Who.
        peer: PublicKey,
        /// On which unit it was caught.
        unit: u32,
    },
    /// The job has a result.
    JobDone {
        /// Which job.
        job: JobId,
        /// The result, and what it took.
        report: JobReport,
    },
    /// The job has no result.
    JobFailed {
        /// Which job.
        job: JobId,
        /// Why, and what to do.
        error: JobError,
    },
}

/// The result of a job, and what it took.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct JobReport {
    /// The result.
    pub result: Bytes,
    /// Units.
    pub units: u32,
    /// Runs of units to their end, by anybody: about `replicas` times `units` if all goes well.
    pub executions: u64,
    /// Runs by the owner, to settle who is right or as an audit.
    pub arbitrations: u64,
    /// Leases that ended without a result: a worker died, was too slow, or failed.
    pub lapsed: u64,
    /// Extra copies given out because a unit was slow.
    pub speculative: u64,
    /// Units whose result was known from before.
    pub cached: u32,
    /// Units that were done again because only liars vouched for their result.
    pub redone: u64,
    /// Workers that computed at least one unit.
    pub workers: usize,
    /// Who lied, in the order they were found.
    pub liars: Vec<PublicKey>,
    /// From submission to result.
    pub elapsed: Duration,
}

/// Why a job has no result.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum JobError {
    /// The units do not fit the limits once the input's length is known.
    #[error(transparent)]
    Invalid(#[from] InvalidJob),
    /// The program cannot be fetched.
    #[error("the program cannot be fetched: {0}")]
    Program(DataError),
    /// The input cannot be fetched.
    #[error("the input cannot be fetched: {0}")]
    Input(DataError),
    /// The program fails; its owner ran it and saw so too.
    #[error("unit {unit}: {error}")]
    Unit {
        /// On which unit.
        unit: u32,
        /// How.
        error: ExecuteError,
    },
    /// The program fails on joining results.
    #[error("joining the results: {0}")]
    Reduce(ExecuteError),
    /// Too much to hold.
    #[error(
        "the results of the units have more than {} bytes together; let the program say less",
        config::MAX_JOB_OUTPUT_BYTES
    )]
    ResultsTooLarge,
    /// Time is up.
    #[error("not done in {} s: {done} of {units} units, {workers} workers connected{}", .deadline.as_secs(), hint(*workers, *replicas))]
    Deadline {
        /// The time that was given.
        deadline: Duration,
        /// Units done.
        done: u32,
        /// Units in all.
        units: u32,
        /// Workers connected at the end.
        workers: usize,
        /// Workers that each unit needs.
        replicas: u8,
    },
    /// The owner gave up.
    #[error("cancelled")]
    Cancelled,
}

fn hint(workers: usize, replicas: u8) -> String {
    if workers < usize::from(replicas) {
        format!(
            " (each unit needs {replicas} different ones: run more nodes, or ask for fewer replicas)"
        )
    } else {
        " (give it more time, or smaller units)".to_owned()
    }
}
