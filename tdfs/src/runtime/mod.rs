//! What touches the world: disks, and (with the feature `runtime`) tokio.

#[cfg(feature = "rocksdb")]
pub mod rocksdb_store;

#[cfg(feature = "rocksdb")]
pub use rocksdb_store::{OpenError, RocksOptions, RocksStore};
