//! What a node gives to others' jobs.

use core::time::Duration;

use crate::config;
use crate::job::Limits;

/// How much a worker gives. A job that asks for more is declined.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Donation {
    /// Units computed at once; 0 gives nothing.
    pub slots: usize,
    /// Most memory of one unit, in bytes.
    pub memory_bytes: u64,
    /// Longest unit.
    pub wall: Duration,
    /// Longest result of a unit, in bytes.
    pub output_bytes: u64,
    /// Take no new units for now; those that run are ended in peace.
    pub paused: bool,
}

impl Default for Donation {
    fn default() -> Self {
        Self {
            slots: 1,
            memory_bytes: 1 << 30,
            wall: Duration::from_secs(600),
            output_bytes: config::MAX_OUTPUT_BYTES,
            paused: false,
        }
    }
}

impl Donation {
    /// True if a unit with these limits may run here.
    pub fn covers(&self, limits: &Limits) -> bool {
        limits.memory_bytes <= self.memory_bytes
            && limits.wall <= self.wall
            && limits.output_bytes <= self.output_bytes
    }
}
