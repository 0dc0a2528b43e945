//! The job as its owner states it.

use core::fmt;
use core::time::Duration;

use thiserror::Error;

use super::split::Split;
use crate::config;

/// Names a job of this node; drawn at random, so that a worker learns nothing about other jobs.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A program and data, how to cut the data, how to join the results, and under which terms.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JobSpec {
    /// Capability of the program: a core WebAssembly module for WASI preview 1 that reads its piece
    /// from standard input and writes its result to standard output.
    pub program: String,
    /// Capability of the input; `None` if [`Split::Numbers`] is all the units need.
    pub input: Option<String>,
    /// Arguments handed to the program after its name.
    pub arguments: Vec<String>,
    /// How the input becomes units.
    pub split: Split,
    /// How the units' results become one.
    pub reduce: Reduce,
    /// The terms.
    pub policy: Policy,
    /// The only source of randomness that the program has; `None` derives it from everything else in
    /// the job, so that the same job has the same result and is found in the cache.
    pub seed: Option<[u8; 32]>,
}

impl JobSpec {
    /// A job over `input` with one unit for each MiB of lines or words, whose results are joined by
    /// the program itself when called with the argument `reduce`.
    pub fn map_reduce(program: impl Into<String>, input: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            input: Some(input.into()),
            arguments: Vec::new(),
            split: Split::default(),
            reduce: Reduce::Program { arguments: vec!["reduce".into()] },
            policy: Policy::default(),
            seed: None,
        }
    }

    /// Checks everything that does not need the input's length.
    ///
    /// # Errors
    /// The first [`InvalidJob`] found.
    pub fn validate(&self) -> Result<(), InvalidJob> {
        let capability = |text: &str| match text.len() {
            0 => Err(InvalidJob::NoCapability),
            1..=config::MAX_CAPABILITY_BYTES => Ok(()),
            _ => Err(InvalidJob::CapabilityTooLong),
        };
        capability(&self.program)?;
        self.input.as_deref().map_or(Ok(()), capability)?;
        if self.input.is_some() == matches!(self.split, Split::Numbers { .. }) {
            return Err(InvalidJob::InputMismatch);
        }
        check_arguments(&self.arguments)?;
        if let Reduce::Program { arguments } = &self.reduce {
            check_arguments(arguments)?;
        }
        self.split.validate()?;
        self.policy.validate()
    }
}

fn check_arguments(arguments: &[String]) -> Result<(), InvalidJob> {
    let fits = |text: &String| text.len() <= config::MAX_ARGUMENT_BYTES && !text.contains('\0');
    if arguments.len() > config::MAX_ARGUMENTS || !arguments.iter().all(fits) {
        return Err(InvalidJob::Arguments);
    }
    Ok(())
}

/// How the results of the units, in the order of the units, become one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reduce {
    /// One behind the other.
    Concatenate,
    /// The program runs once more, with these arguments, over all results one behind the other. Many
    /// results are joined in batches, so the joining must be associative: joining joined results
    /// gives what joining all at once gives. The job's owner runs it: it has to believe nobody.
    Program {
        /// Arguments in the place of the job's own.
        arguments: Vec<String>,
    },
}

/// What one unit may use. The same everywhere, for a unit that is ended in one place only has no result.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Linear memory in bytes.
    pub memory_bytes: u64,
    /// Time on the wall clock, from the start of the program.
    pub wall: Duration,
    /// Result in bytes.
    pub output_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: config::DEFAULT_MEMORY_BYTES,
            wall: config::DEFAULT_WALL,
            output_bytes: config::DEFAULT_OUTPUT_BYTES,
        }
    }
}

/// The terms of a job.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Policy {
    /// How many workers compute each unit: 1 believes them, from 2 on all must agree or the job's
    /// owner runs the unit itself. At most 7.
    pub replicas: u8,
    /// What one unit may use.
    pub limits: Limits,
    /// How long the whole job may take.
    pub deadline: Duration,
    /// Never give two replicas of a unit to workers of the same network: one owner may sit behind
    /// both. Off for jobs on one's own machines.
    pub distinct_networks: bool,
    /// Give floating-point NaNs one bit pattern. On where floats are compared between kinds of
    /// processors; it costs a program of pure float arithmetic up to half its speed.
    pub canonical_nans: bool,
    /// Of a thousand accepted units, how many the owner computes itself to see whether the accepted
    /// result is true. It finds colluding pairs, at that price.
    pub audit_permille: u16,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            replicas: 2,
            limits: Limits::default(),
            deadline: config::DEFAULT_DEADLINE,
            distinct_networks: true,
            canonical_nans: true,
            audit_permille: 0,
        }
    }
}

impl Policy {
    fn validate(&self) -> Result<(), InvalidJob> {
        let Limits { memory_bytes, wall, output_bytes } = self.limits;
        let memory = 64 << 10..=4 << 30;
        let output = 1..=config::MAX_OUTPUT_BYTES;
        let walls = Duration::from_millis(1)..=Duration::from_secs(86_400);
        if !(1..=7).contains(&self.replicas) || self.audit_permille > 1_000 {
            return Err(InvalidJob::Replicas);
        }
        if !memory.contains(&memory_bytes)
            || !output.contains(&output_bytes)
            || !walls.contains(&wall)
        {
            return Err(InvalidJob::Limits);
        }
        Ok(())
    }
}

/// Why a job cannot be run.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum InvalidJob {
    /// A capability is empty.
    #[error("the capability of the program or of the input is empty")]
    NoCapability,
    /// A capability is too long to be one.
    #[error("a capability has at most 256 characters")]
    CapabilityTooLong,
    /// Input without a splitter for it, or the other way round.
    #[error("a job needs either an input to split or a range of numbers, not both and not neither")]
    InputMismatch,
    /// Too many, too long, or with a zero byte.
    #[error("at most 16 arguments of at most 1024 bytes each, none with a zero byte")]
    Arguments,
    /// Out of range.
    #[error("replicas must be 1 to 7, audits at most 1000 of 1000")]
    Replicas,
    /// Out of range.
    #[error(
        "limits out of range: memory 64 KiB to 4 GiB, wall time 1 ms to 1 day, result 1 byte to 64 MiB"
    )]
    Limits,
    /// Out of range.
    #[error("a unit reads 1 byte to 63 MiB of the input and computes at least one number")]
    UnitSize,
    /// Too many units.
    #[error("{units} units; a job has at most {limit}: make the units larger", limit = config::MAX_UNITS)]
    TooManyUnits {
        /// What the splitter would make.
        units: u64,
    },
    /// Too many jobs at once.
    #[error("{} jobs run already; wait for one to end", config::MAX_JOBS)]
    TooManyJobs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_map_reduce_is_valid() {
        assert_eq!(JobSpec::map_reduce("toktok:p", "toktok:i").validate(), Ok(()));
    }

    #[test]
    fn each_field_is_checked() {
        let good = JobSpec::map_reduce("toktok:p", "toktok:i");
        let with = |change: &dyn Fn(&mut JobSpec)| {
            let mut spec = good.clone();
            change(&mut spec);
            spec.validate()
        };
        assert_eq!(with(&|s| s.program.clear()), Err(InvalidJob::NoCapability));
        assert_eq!(with(&|s| s.program = "x".repeat(257)), Err(InvalidJob::CapabilityTooLong));
        assert_eq!(with(&|s| s.input = None), Err(InvalidJob::InputMismatch));
        assert_eq!(with(&|s| s.arguments = vec![String::new(); 17]), Err(InvalidJob::Arguments));
        assert_eq!(with(&|s| s.arguments = vec!["a\0".into()]), Err(InvalidJob::Arguments));
        assert_eq!(with(&|s| s.policy.replicas = 0), Err(InvalidJob::Replicas));
        assert_eq!(with(&|s| s.policy.limits.output_bytes = 0), Err(InvalidJob::Limits));
        let zero = Split::Bytes { unit_bytes: 0, boundary: super::super::Boundary::Newline };
        assert_eq!(with(&|s| s.split = zero), Err(InvalidJob::UnitSize));
    }
}
