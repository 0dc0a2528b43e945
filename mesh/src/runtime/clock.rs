//! The process clock as [`Time`].

use std::time::Instant;

use crate::wire::Time;

/// Counts microseconds from its making, one hour ahead: a fresh process has a past to subtract from.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

/// Where every clock starts.
const HEAD_START: Time = Time::from_secs(3600);

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Now.
    pub fn now(&self) -> Time {
        HEAD_START + self.start.elapsed()
    }

    /// The moment on the system's monotonic clock at which this clock shows `time`.
    pub(super) fn instant(&self, time: Time) -> Instant {
        self.start + time.since(HEAD_START)
    }
}
