//! The TokTok Distributed Computer.
#![forbid(unsafe_code)]

mod action;
pub mod config;
pub mod coordinator;
mod core;
pub mod engine;
pub mod job;
pub mod message;
pub mod verify;
pub mod worker;

pub use action::{Action, DataError, Role, TaskId, TaskResult};
pub use coordinator::{Event, JobError, JobReport};
pub use self::core::Core;
pub use job::{InvalidJob, JobId, JobSpec};
pub use toktok_wire as wire;
pub use worker::Donation;
