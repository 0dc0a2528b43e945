#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod block;
pub mod capability;
pub mod client;
pub mod config;
pub mod core;
pub mod error;
pub mod fec;
pub mod file;
pub mod route;
#[cfg(any(feature = "runtime", feature = "rocksdb"))]
pub mod runtime;
pub mod stack;
pub mod store;

pub use crate::config::Config;
pub use crate::core::{Core, Event, GetId, IoRequest, IoResult, PutId, StoreFacts, TransferId};
pub use crate::error::StartError;
#[cfg(feature = "runtime")]
pub use crate::runtime::Tdfs;
pub use crate::stack::{PROTOCOL, Stack};
pub use toktok_wire as wire;
pub use toktok_wire::{NodeKey, PublicKey, Rng, Time};
