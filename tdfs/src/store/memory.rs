//! A store in memory: for simulators, for tests, and for nodes that shall leave no trace.

use std::collections::BTreeMap;

use toktok_wire::{Rng, Time};

use super::{BlockStore, Held, StoreError, StoreKey, StoreSalt, Usage, Write};
use crate::block::{Block, BlockAddress};

/// Blocks in memory. Everything is gone when it is dropped.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    salt: StoreSalt,
    quota: u64,
    bytes: u64,
    blocks: BTreeMap<StoreKey, (Block, Time)>,
}

impl MemoryStore {
    /// An empty store that takes `quota` bytes of blocks.
    pub fn new(quota: u64, mut rng: Rng) -> Self {
        let salt = StoreSalt::from_bytes(rng.bytes());
        Self { salt, quota, bytes: 0, blocks: BTreeMap::new() }
    }

    /// Bytes of blocks after a batch.
    fn bytes_after(&self, batch: &[Write]) -> u64 {
        let mut change = BTreeMap::new();
        for write in batch {
            match write {
                Write::Put { block, .. } => {
                    change.insert(self.salt.key(&block.address()), block.size().bytes() as u64);
                }
                Write::Remove { key } => {
                    change.insert(*key, 0);
                }
                Write::Rescore { .. } => {}
            }
        }
        let size = |key| self.blocks.get(key).map_or(0, |(block, _)| block.size().bytes() as u64);
        let (added, gone) = change
            .iter()
            .fold((0, 0), |(added, gone), (key, bytes)| (added + bytes, gone + size(key)));
        self.bytes + added - gone
    }
}

impl BlockStore for MemoryStore {
    fn salt(&self) -> StoreSalt {
        self.salt.clone()
    }

    fn write(&mut self, batch: &[Write]) -> Result<(), StoreError> {
        let after = self.bytes_after(batch);
        if after > self.quota && after > self.bytes {
            return Err(StoreError::QuotaReached { quota: self.quota });
        }
        self.bytes = after;
        for write in batch {
            match write {
                Write::Put { block, expires } => {
                    let key = self.salt.key(&block.address());
                    self.blocks.insert(key, (block.clone(), *expires));
                }
                Write::Rescore { key, expires } => {
                    if let Some((_, old)) = self.blocks.get_mut(key) {
                        *old = *expires;
                    }
                }
                Write::Remove { key } => {
                    self.blocks.remove(key);
                }
            }
        }
        Ok(())
    }

    fn get(&self, address: &BlockAddress) -> Result<Option<Block>, StoreError> {
        Ok(self.blocks.get(&self.salt.key(address)).map(|(block, _)| block.clone()))
    }

    fn visit(&self, tell: &mut dyn FnMut(Held)) -> Result<(), StoreError> {
        for (key, (block, expires)) in &self.blocks {
            tell(Held { key: *key, size: block.size(), expires: *expires });
        }
        Ok(())
    }

    fn usage(&self) -> Usage {
        Usage { blocks: self.blocks.len() as u64, bytes: self.bytes, quota: self.quota }
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::conformance::{self, Subject};
    use super::*;

    struct Volatile;

    impl Subject for Volatile {
        fn create(&mut self, quota: u64) -> Box<dyn BlockStore> {
            Box::new(MemoryStore::new(quota, Rng::from_seed([1; 32])))
        }

        fn reopen(&mut self, _store: Box<dyn BlockStore>) -> Option<Box<dyn BlockStore>> {
            None
        }
    }

    #[test]
    fn the_memory_store_conforms() {
        assert_eq!(conformance::check(&mut Volatile), Ok(()));
    }
}
