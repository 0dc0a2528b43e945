//! Channels: named protocols on a session, each with reliable ordered messages and its own flow control.

/// Longest message that a channel carries: 1 MiB.
pub const MAX_MESSAGE: usize = 1 << 20;

/// Longest protocol name in bytes.
pub const MAX_PROTOCOL_NAME: usize = 64;

/// Names one channel; unique within its stack and never used again.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ChannelId(pub(crate) u64);

impl ChannelId {
    /// The channel's number, for traces.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}
