#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod drops;
pub mod machine;
mod outbox;

pub use drops::{DropReason, Drops};
pub use machine::{IoToken, Machine, Output};
pub use toktok_wire as wire;
pub use toktok_wire::{Address, KeyPair, NodeKey, PublicKey, Rng, Time};
