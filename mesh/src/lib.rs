#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod channel;
pub mod config;
pub mod drops;
pub mod error;
pub mod event;
pub mod machine;
mod outbox;
#[cfg(feature = "runtime")]
pub mod runtime;
pub mod stack;

pub use channel::{ChannelId, MAX_MESSAGE};
pub use config::{Accept, Config};
pub use drops::{DropReason, Drops};
pub use error::{CloseReason, ConnectError, OpenError, SendError};
pub use event::{Event, LookupId, NetworkGroup};
pub use machine::{IoToken, Machine, Output};
#[cfg(feature = "runtime")]
pub use runtime::Mesh;
pub use stack::Stack;
pub use toktok_wire as wire;
pub use toktok_wire::{Address, KeyPair, NodeKey, PublicKey, Rng, Time};
