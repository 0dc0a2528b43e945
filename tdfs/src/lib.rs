//! The TokTok Distributed File System. The page of prose is `README.md`, and takes this place soon.
#![forbid(unsafe_code)]

pub mod block;
pub mod capability;
pub mod client;
pub mod config;
pub mod fec;
pub mod file;
pub mod route;
#[cfg(any(feature = "runtime", feature = "rocksdb"))]
pub mod runtime;
pub mod store;

pub use toktok_wire as wire;
pub use toktok_wire::{PublicKey, Rng, Time};
