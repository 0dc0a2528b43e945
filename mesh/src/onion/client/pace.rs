//! How many things may be done now: a burst, and a steady pace after it.

use core::time::Duration;

use crate::wire::Time;

/// A bucket of permits.
#[derive(Debug)]
pub(super) struct Pace {
    /// What the whole burst is worth.
    burst: Duration,
    interval: Duration,
    /// The moment up to which permits are spent: never more than the burst ahead of now.
    spent_until: Time,
}

impl Pace {
    /// A full bucket of `burst` permits, of which one comes back each `interval`.
    pub(super) const fn new(burst: u32, interval: Duration) -> Self {
        Self { burst: interval.saturating_mul(burst), interval, spent_until: Time::ZERO }
    }

    /// When the next permit can be had.
    pub(super) fn ready(&self) -> Time {
        self.spent_until + self.interval - self.burst
    }

    /// Spends a permit, if there is one.
    pub(super) fn take(&mut self, now: Time) -> bool {
        let has_one = self.ready() <= now;
        if has_one {
            self.spent_until = self.spent_until.max(now) + self.interval;
        }
        has_one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_one_each_interval() {
        let mut pace = Pace::new(3, Duration::from_secs(1));
        let now = Time::from_secs(100);
        assert_eq!((0..10).filter(|_| pace.take(now)).count(), 3);
        assert_eq!(pace.ready(), Time::from_secs(101));
        assert!(pace.take(pace.ready()));
        assert!(!pace.take(Time::from_secs(101)));
        let later = Time::from_secs(200);
        assert_eq!((0..10).filter(|_| pace.take(later)).count(), 3);
    }
}
