//! What touches the world: disks, and (with the feature `runtime`) tokio.
//!
//! [`Tdfs`] is the front door. A layer above that drives its own stack makes a [`Desk`] and a
//! [`Worker`], hands them the file system's events and work, and gets the same front door by
//! [`Tdfs::attach`].

#[cfg(feature = "runtime")]
mod desk;
#[cfg(feature = "runtime")]
mod handle;
#[cfg(feature = "rocksdb")]
pub mod rocksdb_store;
#[cfg(feature = "runtime")]
mod transfer;
#[cfg(feature = "runtime")]
mod worker;

#[cfg(feature = "runtime")]
pub use desk::Desk;
#[cfg(feature = "runtime")]
pub use handle::{HasTdfs, SpawnError, Tdfs, TdfsBuilder};
#[cfg(feature = "rocksdb")]
pub use rocksdb_store::{OpenError, RocksOptions, RocksStore};
#[cfg(feature = "runtime")]
pub use transfer::{Download, Fetched, GetFailure, PutFailure, Upload};
#[cfg(feature = "runtime")]
pub use worker::{Worker, facts};
