//! What can go wrong when a node starts. Transfers have their own errors
//! ([`PutError`](crate::client::PutError), [`GetError`](crate::client::GetError)), and so have stores
//! ([`crate::store::StoreError`]).

use thiserror::Error;

use crate::store::StoreError;

/// Why a node of the file system could not start.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum StartError {
    /// The location puzzle cannot be solved with these parameters.
    #[error(
        "the location puzzle's parameters are out of range: memory at least 8 KiB, one pass or more"
    )]
    Puzzle,
    /// The store could not be read.
    #[error("the block store cannot be read: {0}")]
    Store(#[from] StoreError),
}
