//! How long a packet and the word of its arrival take (after RFC 6298, in whole microseconds).

use core::time::Duration;

/// Assumed before the first measurement (c-toxcore: 1 s; a probe sent too early costs one packet).
const INITIAL: Duration = Duration::from_millis(500);
/// Shortest wait before a probe: above the receiver's delay of acknowledgements and coarse timers.
const MIN_PROBE: Duration = Duration::from_millis(25);
/// A steady path has no variation, but a receiver acknowledges a few milliseconds later at times.
const MARGIN: Duration = Duration::from_millis(10);
/// Longest wait before a probe.
const MAX_PROBE: Duration = Duration::from_secs(4);

/// Smoothed round trip and its variation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RoundTrip {
    smoothed: u64,
    variation: u64,
    least: u64,
}

impl RoundTrip {
    /// Takes one measurement, of a packet that was sent once only (Karn).
    pub(crate) fn sample(&mut self, round_trip: Duration) {
        let sample = (round_trip.as_micros() as u64).max(1);
        if self.smoothed == 0 {
            (self.smoothed, self.variation, self.least) = (sample, sample / 2, sample);
            return;
        }
        self.variation = (3 * self.variation + self.smoothed.abs_diff(sample)) / 4;
        self.smoothed = (7 * self.smoothed + sample) / 8;
        // Follows a path that became longer within some hundred samples.
        self.least = sample.min(self.least + self.least / 256 + 1);
    }

    fn is_known(&self) -> bool {
        self.smoothed != 0
    }

    /// The shortest round trip seen lately: the path without queues.
    pub(crate) fn least(&self) -> Duration {
        if self.is_known() { Duration::from_micros(self.least) } else { INITIAL }
    }

    /// Packets this far apart are not expected to overtake each other.
    pub(crate) fn reordering(&self) -> Duration {
        Duration::from_micros(self.least / 4)
    }

    /// A packet older than this that is named missing is lost, not late.
    pub(crate) fn loss_delay(&self) -> Duration {
        if self.is_known() {
            Duration::from_micros(self.smoothed + self.smoothed / 8 + 2 * self.variation)
        } else {
            INITIAL
        }
    }

    /// How long to wait for an acknowledgement before probing, `expired` probes already in vain.
    pub(crate) fn probe_delay(&self, expired: u32) -> Duration {
        let wait = if self.is_known() {
            Duration::from_micros(self.smoothed + self.smoothed / 8 + 4 * self.variation) + MARGIN
        } else {
            INITIAL
        };
        (wait.max(MIN_PROBE) * (1 << expired.min(10))).min(MAX_PROBE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settles_on_a_steady_path() {
        let mut round_trip = RoundTrip::default();
        assert_eq!(round_trip.probe_delay(0), INITIAL);
        for _ in 0..100 {
            round_trip.sample(Duration::from_millis(80));
        }
        assert!(round_trip.probe_delay(0) < Duration::from_millis(105));
        assert_eq!(round_trip.probe_delay(20), MAX_PROBE);
    }

    #[test]
    fn follows_a_path_that_became_longer() {
        let mut round_trip = RoundTrip::default();
        for millis in [10; 50].into_iter().chain([100; 1000]) {
            round_trip.sample(Duration::from_millis(millis));
        }
        assert!(round_trip.least() > Duration::from_millis(90));
    }
}
