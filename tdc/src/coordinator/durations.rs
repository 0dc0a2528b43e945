//! How long units take, to know which are late.

use core::time::Duration;
use std::collections::VecDeque;

use crate::config;

/// The latest durations of a job's units.
#[derive(Clone, Debug, Default)]
pub(super) struct Durations {
    latest: VecDeque<Duration>,
    /// Recomputed when a fourth of the samples is new.
    cached: Option<(Duration, usize)>,
}

impl Durations {
    pub(super) fn push(&mut self, duration: Duration) {
        if self.latest.len() >= config::DURATION_SAMPLES {
            self.latest.pop_front();
        }
        self.latest.push_back(duration);
        if let Some((_, age)) = &mut self.cached {
            *age += 1;
        }
    }

    /// The age at which a unit counts as late; `None` while too little is known.
    pub(super) fn late(&mut self) -> Option<Duration> {
        if self.latest.len() < config::STRAGGLER_SAMPLES {
            return None;
        }
        let fresh = |age: usize| age * 4 < self.latest.len();
        let p75 = match self.cached {
            Some((p75, age)) if fresh(age) => p75,
            _ => {
                let mut sorted: Vec<_> = self.latest.iter().copied().collect();
                sorted.sort_unstable();
                let p75 = sorted.get(sorted.len() * 3 / 4).copied().unwrap_or_default();
                self.cached = Some((p75, 0));
                p75
            }
        };
        Some((p75 * config::STRAGGLER_FACTOR).max(config::STRAGGLER_FLOOR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_is_twice_the_75th_percentile() {
        let mut durations = Durations::default();
        assert_eq!(durations.late(), None);
        (1..=100).for_each(|s| durations.push(Duration::from_secs(s)));
        assert_eq!(durations.late(), Some(Duration::from_secs(152)));
        (0..1000).for_each(|_| durations.push(Duration::from_millis(1)));
        assert_eq!(durations.late(), Some(config::STRAGGLER_FLOOR));
    }
}
