#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod fault;
pub mod kernel;
pub mod network;
pub mod privacy;
pub mod scenario;
pub mod weigh;

pub use kernel::{IoModel, NoIo, NodeIndex, Observer, Sim};
pub use network::{Attachment, Chance, LinkModel, Loss, NatModel, PortAllocation, Realm};
