#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod action;
pub mod config;
pub mod coordinator;
mod core;
pub mod engine;
pub mod job;
pub mod message;
#[cfg(feature = "runtime")]
pub mod runtime;
pub mod stack;
pub mod verify;
pub mod worker;

pub use self::core::Core;
pub use action::{Action, DataError, Role, TaskId, TaskResult};
pub use coordinator::{Event as JobEvent, JobError, JobReport};
pub use job::{InvalidJob, JobId, JobSpec};
#[cfg(feature = "runtime")]
pub use runtime::Tdc;
pub use stack::{Config, Event, Stack};
pub use toktok_wire as wire;
pub use worker::Donation;
