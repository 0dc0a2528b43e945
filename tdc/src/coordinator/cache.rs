//! Results that were accepted before, by what they were computed from.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::config;
use crate::job::CacheKey;

/// Accepted results of this node's own jobs; the oldest go first.
#[derive(Clone, Debug, Default)]
pub(super) struct ResultCache {
    results: BTreeMap<CacheKey, Bytes>,
    order: VecDeque<CacheKey>,
    bytes: u64,
}

impl ResultCache {
    pub(super) fn find(&self, key: &CacheKey) -> Option<Bytes> {
        self.results.get(key).cloned()
    }

    pub(super) fn insert(&mut self, key: CacheKey, result: Bytes) {
        let len = result.len() as u64;
        if len > config::CACHED_RESULT_BYTES {
            return;
        }
        // A copy of its own: what is handed in may be a slice of something far larger.
        match self.results.insert(key, Bytes::copy_from_slice(&result)) {
            Some(old) => self.bytes -= old.len() as u64,
            None => self.order.push_back(key),
        }
        self.bytes += len;
        while self.bytes > config::CACHED_RESULT_BYTES || self.order.len() > config::CACHED_RESULTS
        {
            self.evict();
        }
    }

    /// What turned out to be a lie must not be found again.
    pub(super) fn remove(&mut self, key: &CacheKey) {
        if let Some(old) = self.results.remove(key) {
            self.bytes -= old.len() as u64;
            self.order.retain(|other| other != key);
        }
    }

    fn evict(&mut self) {
        if let Some(old) = self.order.pop_front().and_then(|key| self.results.remove(&key)) {
            self.bytes -= old.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{JobSpec, UnitSource, cache_key};

    #[test]
    fn the_oldest_results_go_first() {
        let spec = JobSpec::map_reduce("p", "i");
        let key = |unit| cache_key(&spec, unit, &UnitSource::Numbers { from: 0, to: 1 });
        let mut cache = ResultCache::default();
        let big = Bytes::from(vec![0; config::CACHED_RESULT_BYTES as usize / 2]);
        (0..3).for_each(|unit| cache.insert(key(unit), big.clone()));
        assert_eq!([0, 1, 2].map(|unit| cache.find(&key(unit)).is_some()), [false, true, true]);
        cache.remove(&key(2));
        assert_eq!(cache.bytes, big.len() as u64);
        assert!(cache.find(&key(2)).is_none());
    }
}
