//! What a relay remembers of the blocks that it carried: little, and not for long.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use toktok_wire::Time;

use crate::block::{Block, BlockAddress};

/// Bytes of the cache: enough to answer a burst for one popular block, too little to be storage.
const MAX_BYTES: usize = 8 << 20;
/// How long a block stays. A hit does not make it longer: what is used is kept by its holders.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// A small cache, oldest out first.
#[derive(Debug, Default)]
pub(super) struct RelayCache {
    blocks: BTreeMap<BlockAddress, Block>,
    ages: VecDeque<(Time, BlockAddress)>,
    bytes: usize,
}

impl RelayCache {
    /// Remembers a block that passed; one that is there already does not become younger.
    pub(super) fn insert(&mut self, now: Time, block: &Block) {
        if self.blocks.contains_key(&block.address()) {
            return;
        }
        self.bytes += block.size().bytes();
        self.ages.push_back((now, block.address()));
        self.blocks.insert(block.address(), block.clone());
        self.expire(now);
    }

    /// The block, if it passed within the hour.
    pub(super) fn fetch(&mut self, now: Time, address: &BlockAddress) -> Option<Block> {
        self.expire(now);
        self.blocks.get(address).cloned()
    }

    fn expire(&mut self, now: Time) {
        while let Some((since, address)) = self.ages.front().copied()
            && (self.bytes > MAX_BYTES || now.since(since) > MAX_AGE)
        {
            self.ages.pop_front();
            let gone = self.blocks.remove(&address);
            self.bytes -= gone.map_or(0, |block| block.size().bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(fill: u8) -> Block {
        Block::new(vec![fill; 65_536].into()).unwrap()
    }

    #[test]
    fn bounded_in_bytes_and_time_and_hits_do_not_count() {
        let mut cache = RelayCache::default();
        for fill in 0..200 {
            cache.insert(Time::from_secs(u64::from(fill)), &block(fill));
            assert!(cache.bytes <= MAX_BYTES);
        }
        let now = Time::from_secs(200);
        assert_eq!(cache.fetch(now, &block(0).address()), None);
        assert_eq!(cache.fetch(now, &block(199).address()), Some(block(199)));
        cache.insert(Time::from_secs(3000), &block(199));
        assert_eq!(cache.fetch(Time::from_secs(3800), &block(199).address()), None);
        assert_eq!(cache.bytes, 0);
    }
}
