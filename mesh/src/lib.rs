#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod announcements;
pub mod channel;
pub mod config;
mod crypto;
mod dht;
pub mod drops;
mod env;
pub mod error;
pub mod event;
mod friend;
pub mod machine;
#[cfg(feature = "messenger")]
pub mod messenger;
mod nat;
mod onion;
mod outbox;
mod path;
mod relay;
#[cfg(feature = "runtime")]
pub mod runtime;
mod session;
mod source;
pub mod stack;
pub mod traffic;

pub use announcements::client::{AnnouncementId, AnnouncementOutcome, AnnouncementPath};
pub use channel::{ChannelId, MAX_MESSAGE};
pub use config::{Accept, Config, DhtConfig};
pub use drops::{DropReason, Drops};
pub use error::{CloseReason, ConnectError, OpenError, PacketError, SendError};
pub use event::{Event, LookupId, NetworkGroup, PacketNumber};
pub use machine::{IoToken, Machine, Output, StreamEvent, StreamId, StreamRequest};
#[doc(hidden)]
pub use onion::client::fuzz::onion_client as fuzz_onion_client;
pub use relay::Proxy;
#[cfg(feature = "runtime")]
pub use runtime::Mesh;
pub use stack::Stack;
pub use toktok_wire as wire;
pub use toktok_wire::{Address, KeyPair, NodeKey, PublicKey, Rng, Time};
pub use traffic::Traffic;
