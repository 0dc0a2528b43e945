//! Channels: named protocols on a session, each with reliable ordered messages and its own flow control.
//!
//! A message travels in fragments of one packet each. Fragments of different channels take turns, so
//! that a long message on one delays a short one on another by a packet or two; what the peer has
//! given no credit for waits here, so that a reader which fell behind stops its own channel only.

mod assembly;
mod channels;
mod directory;
mod queue;

pub(crate) use self::channels::{Channels, Violation};
pub(crate) use self::directory::Directory;
pub use crate::wire::channel::MAX_PROTOCOL_NAME;

/// Longest message that a channel carries: 1 MiB.
pub const MAX_MESSAGE: usize = 1 << 20;

/// Names one channel; unique within its stack and never used again.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ChannelId(pub(crate) u64);

impl ChannelId {
    /// The channel's number, for traces.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}
