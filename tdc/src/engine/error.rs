//! Why a unit has no result.

use core::time::Duration;

use thiserror::Error;

use crate::message::FailureKind;

/// Why a program did not come to its end; each says what to do.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ExecuteError {
    /// The bytes are no WebAssembly module, or use a feature that is switched off.
    #[error(
        "the program is not a WebAssembly module that can run here ({reason}); build it with e.g. `clang --target=wasm32-wasi`"
    )]
    NotWasm {
        /// What the compiler says.
        reason: String,
    },
    /// Larger than a program may be.
    #[error("the program has {bytes} bytes, the limit is {limit}; strip it (`-s`, `-Oz`)")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// It imports something that is not offered.
    #[error(
        "the program needs the import `{module}.{name}`, which is not offered; programs may import functions of `wasi_snapshot_preview1` only"
    )]
    MissingImport {
        /// The import's module.
        module: String,
        /// Its name.
        name: String,
    },
    /// It exports no `_start` function or no memory.
    #[error("the program exports no `{0}`; link it as a command (with a `main`), not as a library")]
    MissingExport(&'static str),
    /// The compiler took too long.
    #[error("compiling the program took longer than {} s; make the program smaller", .0.as_secs())]
    CompileTimeout(Duration),
    /// It did not end in time.
    #[error("the program did not end within {} ms; it may never end, or the limit `wall` or the unit size must be changed", .0.as_millis())]
    Deadline(Duration),
    /// It asked for more memory than it may have, and then failed.
    #[error(
        "the program ran out of its {limit} bytes of memory; raise the limit `memory_bytes` or make the units smaller"
    )]
    OutOfMemory {
        /// The limit.
        limit: u64,
    },
    /// It wrote more than it may.
    #[error(
        "the program wrote more than {limit} bytes; raise the limit `output_bytes` or make the units smaller"
    )]
    OutputTooLong {
        /// The limit.
        limit: u64,
    },
    /// It did something that WebAssembly forbids.
    #[error("the program crashed: {what}{}", .stderr.lines().next_back().map(|l| format!(" (it wrote: {l})")).unwrap_or_default())]
    Trap {
        /// What.
        what: String,
        /// The end of what it wrote to standard error.
        stderr: String,
    },
    /// It ended by itself with another code than 0.
    #[error("the program ended with code {code}{}", .stderr.lines().next_back().map(|l| format!(" (it wrote: {l})")).unwrap_or_default())]
    Exit {
        /// The code.
        code: i32,
        /// The end of what it wrote to standard error.
        stderr: String,
    },
    /// The process in which it ran died: usually the system's limit on memory, or somebody killed it.
    #[error("the process that ran the program died ({0}); free some memory and try again")]
    Crashed(String),
    /// The process in which it should run could not be started, or did not speak as expected.
    #[error("cannot run programs here: {0}")]
    Host(String),
}

impl ExecuteError {
    /// Whose fault it is, as told to a job's owner. A time limit counts as the program's: its owner
    /// tries for itself.
    pub const fn kind(&self) -> FailureKind {
        match self {
            Self::Crashed(_) | Self::Host(_) => FailureKind::Worker,
            _ => FailureKind::Program,
        }
    }

    /// True if every machine would end the same way.
    pub const fn is_final(&self) -> bool {
        matches!(self.kind(), FailureKind::Program)
    }
}
