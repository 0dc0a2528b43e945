//! How long an answer may take before another request is begun in its place.

use core::time::Duration;

/// Round-trip times of block requests, smoothed as RFC 6298 does it, in microseconds.
#[derive(Debug)]
pub(super) struct Latency {
    smoothed: u64,
    deviation: u64,
}

impl Latency {
    /// Before the first answer: patience of 3 s.
    pub(super) const INITIAL: Self = Self { smoothed: 1_000_000, deviation: 500_000 };
    /// Least patience: a moment's jitter shall not double the traffic.
    const LEAST: u64 = 250_000;
    /// Most patience.
    const MOST: u64 = 10_000_000;

    /// Notes how long an answer took.
    pub(super) fn sample(&mut self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(Self::MOST).min(Self::MOST);
        self.deviation = (3 * self.deviation + self.smoothed.abs_diff(took)) / 4;
        self.smoothed = (7 * self.smoothed + took) / 8;
    }

    /// After how long another request is begun in place of one that is not answered.
    pub(super) fn patience(&self) -> Duration {
        let micros = self.smoothed + 4 * self.deviation;
        Duration::from_micros(micros.clamp(Self::LEAST, Self::MOST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_follows_what_answers_take() {
        let mut latency = Latency::INITIAL;
        assert_eq!(latency.patience(), Duration::from_secs(3));
        (0..100).for_each(|_| latency.sample(Duration::from_millis(100)));
        assert_eq!(latency.patience(), Duration::from_micros(Latency::LEAST));
        (0..100).for_each(|_| latency.sample(Duration::from_secs(60)));
        assert_eq!(latency.patience(), Duration::from_micros(Latency::MOST));
    }
}
