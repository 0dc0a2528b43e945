//! The process clock as [`Time`].

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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

    /// Time since 1970 at this clock's [`Time::ZERO`], for
    /// [`Config::epoch`](crate::Config::epoch).
    pub fn epoch(&self) -> Duration {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        wall.saturating_sub(self.now().since(Time::ZERO))
    }

    /// The moment on the system's monotonic clock at which this clock shows `time`.
    pub(super) fn instant(&self, time: Time) -> Instant {
        self.start + time.since(HEAD_START)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_and_the_clock_agree() {
        let clock = Clock::start();
        let shown = clock.epoch() + clock.now().since(Time::ZERO);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        assert!(wall.abs_diff(shown) < Duration::from_secs(1), "{shown:?} for {wall:?}");
    }
}
