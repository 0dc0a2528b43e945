//! What runs a unit: the trait [`Executor`], our own (wasmtime, in a child process under limits), and
//! the suite that any other one must pass.
//!
//! A program is a core WebAssembly module for WASI preview 1. It sees its arguments, standard input,
//! standard output and error, a clock that stands still and randomness that is derived from the job;
//! no files, no network, no environment, no threads. So the same unit gives the same bytes everywhere,
//! and results can be compared by their hashes.

mod error;
mod lying;

pub mod conformance;

#[cfg(feature = "wasmtime")]
pub mod child;
#[cfg(feature = "wasmtime")]
mod wasi;
#[cfg(feature = "wasmtime")]
mod wasm;

use bytes::Bytes;

use crate::job::{Limits, ResultHash};

#[cfg(feature = "wasmtime")]
pub use child::{ChildExecutor, child_main};
pub use error::ExecuteError;
pub use lying::{Lie, LyingExecutor};
#[cfg(feature = "wasmtime")]
pub use wasm::WasmtimeExecutor;

/// Everything that one run of a program depends on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Execution {
    /// The WebAssembly module.
    pub program: Bytes,
    /// Arguments after the program's name (which is always `program`).
    pub arguments: Vec<String>,
    /// Standard input.
    pub stdin: Bytes,
    /// Where its randomness comes from.
    pub seed: [u8; 32],
    /// What it may use.
    pub limits: Limits,
    /// Whether NaNs get one bit pattern.
    pub canonical_nans: bool,
}

/// A result and its name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Computed {
    /// What the program wrote to standard output.
    pub output: Bytes,
    /// BLAKE3 of it.
    pub hash: ResultHash,
}

/// Runs programs. Blocking: a runtime calls it from a thread of its own.
///
/// Whoever implements it runs [`conformance::run`] in a test.
pub trait Executor: Send + Sync {
    /// Runs one unit to its end.
    ///
    /// # Errors
    /// [`ExecuteError`]: it did not come to its end, or not within its limits.
    fn execute(&self, execution: &Execution) -> Result<Bytes, ExecuteError>;
}

impl<E: Executor + ?Sized> Executor for Box<E> {
    fn execute(&self, execution: &Execution) -> Result<Bytes, ExecuteError> {
        (**self).execute(execution)
    }
}

impl<E: Executor + ?Sized> Executor for std::sync::Arc<E> {
    fn execute(&self, execution: &Execution) -> Result<Bytes, ExecuteError> {
        (**self).execute(execution)
    }
}

/// Runs one unit and names its result: what a runtime does with an `Execute` request.
///
/// # Errors
/// As [`Executor::execute`].
pub fn compute(executor: &dyn Executor, execution: &Execution) -> Result<Computed, ExecuteError> {
    let output = executor.execute(execution)?;
    let hash = ResultHash::of(&output);
    Ok(Computed { output, hash })
}
