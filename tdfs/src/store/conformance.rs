//! What every [`BlockStore`] must do, as a suite that anybody who writes one can run.
//!
//! ```
//! use toktok_tdfs::store::conformance::{self, Subject};
//! use toktok_tdfs::store::{BlockStore, MemoryStore};
//!
//! struct Memory;
//!
//! impl Subject for Memory {
//!     fn create(&mut self, quota: u64) -> Box<dyn BlockStore> {
//!         Box::new(MemoryStore::new(quota, toktok_wire::Rng::from_seed([7; 32])))
//!     }
//!
//!     // A store on disk closes and opens again here.
//!     fn reopen(&mut self, _store: Box<dyn BlockStore>) -> Option<Box<dyn BlockStore>> {
//!         None
//!     }
//! }
//!
//! assert_eq!(conformance::check(&mut Memory), Ok(()));
//! ```

use toktok_wire::{Rng, Time};

use super::{BlockStore, Held, StoreError, StoreKey, Usage, Write};
use crate::block::{Block, BlockSize};

/// How the suite comes by stores.
pub trait Subject {
    /// A new, empty store with a quota in bytes.
    fn create(&mut self, quota: u64) -> Box<dyn BlockStore>;

    /// Closes a store and opens it again; `None` if this kind of store does not outlive its value.
    fn reopen(&mut self, store: Box<dyn BlockStore>) -> Option<Box<dyn BlockStore>>;
}

/// A rule that a store breaks.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Violation {
    /// The rule does not hold.
    #[error("a store must do this and does not: {0}")]
    Rule(&'static str),
    /// An operation that must succeed failed.
    #[error("an operation that must succeed failed: {0}")]
    Failed(#[from] StoreError),
}

/// Passes if `holds`.
const fn rule(rule: &'static str, holds: bool) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation::Rule(rule)) }
}

/// A block of random bytes.
fn block(size: BlockSize, rng: &mut Rng) -> Option<Block> {
    let mut bytes = vec![0; size.bytes()];
    rng.fill(&mut bytes);
    Block::new(bytes.into()).ok()
}

/// Blocks of both sizes.
fn blocks() -> Vec<Block> {
    let mut rng = Rng::from_seed([42; 32]);
    let sizes = [BlockSize::Small, BlockSize::Bulk, BlockSize::Small, BlockSize::Bulk];
    sizes.into_iter().filter_map(|size| block(size, &mut rng)).collect()
}

/// When the blocks of the suite expire. Whole seconds: a store need not keep more.
const EXPIRES: Time = Time::from_secs(7_000_000);

/// Room for all blocks of the suite.
const ROOMY: u64 = 1 << 20;

/// All that a store holds, in order.
fn held(store: &dyn BlockStore) -> Result<Vec<Held>, Violation> {
    let mut all = Vec::new();
    store.visit(&mut |held| all.push(held))?;
    all.sort_unstable();
    Ok(all)
}

/// Runs every rule.
///
/// # Errors
/// The first [`Violation`].
pub fn check(subject: &mut dyn Subject) -> Result<(), Violation> {
    keeps_and_gives(subject.create(ROOMY).as_mut())?;
    putting_twice_is_putting_once(subject.create(ROOMY).as_mut())?;
    removes(subject.create(ROOMY).as_mut())?;
    rescores(subject.create(ROOMY).as_mut())?;
    batches_are_all_or_nothing(subject.create(BlockSize::Bulk.bytes() as u64).as_mut())?;
    removing_makes_room(subject.create(BlockSize::Bulk.bytes() as u64).as_mut())?;
    let store = subject.create(ROOMY);
    outlives_its_value(subject, store)
}

fn keeps_and_gives(store: &mut dyn BlockStore) -> Result<(), Violation> {
    let blocks = blocks();
    let mut bytes = 0;
    rule("begin empty", store.usage() == Usage { blocks: 0, bytes: 0, quota: ROOMY })?;
    for block in &blocks {
        rule("not have what was not put", !store.contains(&block.address())?)?;
        rule("give None for it", store.get(&block.address())?.is_none())?;
        store.put(block, EXPIRES)?;
        bytes += block.size().bytes() as u64;
        rule("have what was put", store.contains(&block.address())?)?;
    }
    for block in &blocks {
        rule("give what was put", store.get(&block.address())?.as_ref() == Some(block))?;
    }
    let usage = Usage { blocks: blocks.len() as u64, bytes, quota: ROOMY };
    rule("count blocks and bytes", store.usage() == usage)?;
    let salt = store.salt();
    let mut expected: Vec<_> = blocks
        .iter()
        .map(|b| Held { key: salt.key(&b.address()), size: b.size(), expires: EXPIRES })
        .collect();
    expected.sort_unstable();
    rule("tell of every block, its size and expiry, once", held(store)? == expected)
}

fn putting_twice_is_putting_once(store: &mut dyn BlockStore) -> Result<(), Violation> {
    for block in blocks().iter().take(1) {
        store.put(block, EXPIRES)?;
        let usage = store.usage();
        let later = Time::from_secs(EXPIRES.as_secs() + 1);
        let put = Write::Put { block: block.clone(), expires: later };
        store.write(&[put.clone(), put])?;
        rule("count a block that is put again once", store.usage() == usage)?;
        let expires: Vec<_> = held(store)?.iter().map(|held| held.expires).collect();
        rule("take the expiry of the latest put", expires == [later])?;
    }
    Ok(())
}

fn removes(store: &mut dyn BlockStore) -> Result<(), Violation> {
    let blocks = blocks();
    for block in &blocks {
        store.put(block, EXPIRES)?;
    }
    for block in &blocks {
        store.remove(&block.address())?;
        rule("not have what was removed", store.get(&block.address())?.is_none())?;
        store.remove(&block.address())?;
    }
    let empty = store.usage().blocks == 0 && store.usage().bytes == 0;
    rule("be empty when all is removed, and twice is once", empty && held(store)?.is_empty())
}

fn rescores(store: &mut dyn BlockStore) -> Result<(), Violation> {
    for block in blocks().iter().take(1) {
        store.put(block, EXPIRES)?;
        let key = store.salt().key(&block.address());
        let expires = Time::from_secs(1);
        let absent = StoreKey([0xee; StoreKey::LEN]);
        store.write(&[Write::Rescore { key, expires }, Write::Rescore { key: absent, expires }])?;
        let expected = [Held { key, size: block.size(), expires }];
        rule("change an expiry, and only of what is held", held(store)? == expected)?;
        rule("keep the block of it", store.get(&block.address())?.as_ref() == Some(block))?;
    }
    Ok(())
}

fn batches_are_all_or_nothing(store: &mut dyn BlockStore) -> Result<(), Violation> {
    let put = |block: Block| Write::Put { block, expires: EXPIRES };
    let batch: Vec<_> = blocks().into_iter().map(put).collect();
    let refused = store.write(&batch);
    let expected = Err(StoreError::QuotaReached { quota: BlockSize::Bulk.bytes() as u64 });
    rule("refuse a batch beyond the quota as QuotaReached", refused == expected)?;
    rule("then have none of the batch", store.usage().blocks == 0 && held(store)?.is_empty())
}

fn removing_makes_room(store: &mut dyn BlockStore) -> Result<(), Violation> {
    let bulk: Vec<_> = blocks().into_iter().filter(|b| b.size() == BlockSize::Bulk).collect();
    let [first, second] = bulk.as_slice() else { return Ok(()) };
    store.put(first, EXPIRES)?;
    let full = store.put(second, EXPIRES);
    rule("take no block beyond the quota", matches!(full, Err(StoreError::QuotaReached { .. })))?;
    let remove = Write::Remove { key: store.salt().key(&first.address()) };
    store.write(&[remove, Write::Put { block: second.clone(), expires: EXPIRES }])?;
    let has = (store.contains(&first.address())?, store.contains(&second.address())?);
    rule("take in one batch what a removal in it makes room for", has == (false, true))
}

fn outlives_its_value(
    subject: &mut dyn Subject,
    mut store: Box<dyn BlockStore>,
) -> Result<(), Violation> {
    let blocks = blocks();
    for block in &blocks {
        store.put(block, EXPIRES)?;
    }
    store.flush()?;
    let before = (held(store.as_ref())?, store.usage(), store.salt());
    let Some(store) = subject.reopen(store) else { return Ok(()) };
    let after = (held(store.as_ref())?, store.usage(), store.salt());
    rule("hold the same after it was closed and opened", before == after)?;
    for block in &blocks {
        let same = store.get(&block.address())?.as_ref() == Some(block);
        rule("give the same after it was closed and opened", same)?;
    }
    Ok(())
}
