//! Runs programs in a process of their own, under limits of the operating system.
//!
//! A hostile program faces wasmtime's sandbox first; what breaks out of it, or makes the compiler take
//! all memory, meets a process without an environment, without open files, that may not fork and whose
//! memory and processor time are bounded, and that its parent kills at the deadline. A child serves one
//! program only and compiles it once; small units then cost microseconds instead of a process each.

mod executor;
mod frame;
mod main;

pub use executor::ChildExecutor;
pub use main::child_main;
