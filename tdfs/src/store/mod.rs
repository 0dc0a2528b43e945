//! Where blocks lie: the trait [`BlockStore`], a store in memory, and the policy of what is kept.
//!
//! A store is dull: it keeps what it is told to keep, and what it acknowledged survives a crash. What
//! is worth keeping, and for how long, [`Retention`] decides without touching a disk.

pub mod conformance;
mod memory;
mod retention;
pub mod score;

use toktok_wire::Time;
use zeroize::Zeroizing;

pub use memory::MemoryStore;
pub use retention::{Admission, Retention, SWEEP};

use crate::block::{Block, BlockAddress, BlockSize};

/// The name of a block within one store: a keyed hash of its address. Who does not know an address
/// cannot tell from a list of these whether the block is there.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StoreKey(pub [u8; Self::LEN]);

impl StoreKey {
    /// Length of a store key, in bytes: chance collisions are out of reach, and the salt is secret.
    pub const LEN: usize = 16;
}

/// The secret of a store that its [`StoreKey`]s are made with. It never leaves the node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoreSalt(Zeroizing<[u8; 32]>);

impl StoreSalt {
    /// The salt with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The name of a block in a store of this salt: BLAKE3 of its address, keyed with the salt.
    pub fn key(&self, address: &BlockAddress) -> StoreKey {
        let hash = blake3::keyed_hash(&self.0, address.as_bytes());
        let mut key = [0; StoreKey::LEN];
        hash.as_bytes().iter().zip(&mut key).for_each(|(from, to)| *to = *from);
        StoreKey(key)
    }
}

/// One change of a store.
#[derive(Clone, Debug)]
pub enum Write {
    /// Keep this block; of one that is there already, only the expiry changes.
    Put {
        /// The block.
        block: Block,
        /// When its score falls to nothing ([`score`]).
        expires: Time,
    },
    /// Change when a block expires. Nothing happens if it is not there.
    Rescore {
        /// The block.
        key: StoreKey,
        /// When its score falls to nothing ([`score`]).
        expires: Time,
    },
    /// Forget a block. Nothing happens if it is not there.
    Remove {
        /// The block.
        key: StoreKey,
    },
}

/// What a store tells about a block without giving it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Held {
    /// Its name here.
    pub key: StoreKey,
    /// Its size.
    pub size: BlockSize,
    /// When its score falls to nothing.
    pub expires: Time,
}

/// How full a store is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    /// Blocks held.
    pub blocks: u64,
    /// Their bytes, without what the store itself needs around them.
    pub bytes: u64,
    /// Most bytes of blocks that the store takes.
    pub quota: u64,
}

/// Why a store could not do what it was asked for.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The quota is used up: remove something first.
    #[error("the store's quota of {quota} bytes is used up")]
    QuotaReached {
        /// The quota, in bytes.
        quota: u64,
    },
    /// The disk is full, although the quota is not used up.
    #[error("the disk is full: free some space, or give the store a smaller quota")]
    DiskFull,
    /// What was read is not what was written. The block counts as not held.
    #[error("a stored block is damaged; it will be fetched from elsewhere")]
    Damaged,
    /// The store's engine failed otherwise, in its own words.
    #[error("the store failed: {0}")]
    Engine(String),
}

/// Where blocks lie. Calls block until they are done; a runtime makes them on a worker.
///
/// A store keeps expiries as the numbers they are and compares them with no clock. A runtime gives a
/// store that outlives its process expiries on a clock that does so too (the wall clock).
///
/// Implement `salt`, `write`, `get`, `visit`, `usage` and `flush`, and prove it with [`conformance`].
pub trait BlockStore: Send {
    /// The secret that this store's keys are made with; the same for the life of the store.
    fn salt(&self) -> StoreSalt;

    /// Makes all changes of a batch, or none. What is acknowledged by `Ok` survives `kill -9` and loss
    /// of power: that is what receipts promise. Batching is how a store gets fast.
    ///
    /// # Errors
    /// [`StoreError::QuotaReached`] if the batch would take more bytes than the quota; nothing is
    /// changed then. Others as they occur.
    fn write(&mut self, batch: &[Write]) -> Result<(), StoreError>;

    /// The block, if it is held. It is verified against the address.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if the bytes have changed; others as they occur.
    fn get(&self, address: &BlockAddress) -> Result<Option<Block>, StoreError>;

    /// Tells of every block that is held, in any order.
    ///
    /// # Errors
    /// As they occur; some blocks may have been told of before.
    fn visit(&self, tell: &mut dyn FnMut(Held)) -> Result<(), StoreError>;

    /// How full it is.
    fn usage(&self) -> Usage;

    /// Does now what it may have put off (compaction of its log, erasure of keys no longer needed).
    ///
    /// # Errors
    /// As they occur.
    fn flush(&mut self) -> Result<(), StoreError>;

    /// True if the block is held.
    ///
    /// # Errors
    /// As [`BlockStore::get`].
    fn contains(&self, address: &BlockAddress) -> Result<bool, StoreError> {
        self.get(address).map(|block| block.is_some())
    }

    /// Keeps one block.
    ///
    /// # Errors
    /// As [`BlockStore::write`].
    fn put(&mut self, block: &Block, expires: Time) -> Result<(), StoreError> {
        self.write(&[Write::Put { block: block.clone(), expires }])
    }

    /// Forgets one block.
    ///
    /// # Errors
    /// As [`BlockStore::write`].
    fn remove(&mut self, address: &BlockAddress) -> Result<(), StoreError> {
        let key = self.salt().key(address);
        self.write(&[Write::Remove { key }])
    }
}
