//! Numbers in few words.

use serde::Serialize;

/// Mean, middle, high end and maximum of some measurements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// How many there were.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    /// Half of them are no higher.
    pub median: u64,
    /// 95 of 100 are no higher.
    pub p95: u64,
    /// 99 of 100 are no higher.
    pub p99: u64,
    /// The highest.
    pub max: u64,
}

impl Summary {
    /// Sums up; all zero when there is nothing to.
    pub fn of(values: impl IntoIterator<Item = u64>) -> Self {
        let mut values: Vec<u64> = values.into_iter().collect();
        values.sort_unstable();
        let count = values.len();
        let rank = |percent: usize| {
            let index = (count * percent).div_ceil(100).saturating_sub(1);
            values.get(index).copied().unwrap_or_default()
        };
        Self {
            count,
            mean: ratio(values.iter().sum(), count as u64),
            median: rank(50),
            p95: rank(95),
            p99: rank(99),
            max: rank(100),
        }
    }
}

/// `part ÷ whole`, zero when there is no whole. For reports only.
pub fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_nearest_ranks() {
        let summary = Summary::of(1..=20);
        assert_eq!(
            summary,
            Summary { count: 20, mean: 10.5, median: 10, p95: 19, p99: 20, max: 20 }
        );
        assert_eq!(Summary::of([7]).p95, 7);
        assert_eq!(Summary::of([]), Summary::default());
    }
}
