//! What can go wrong with a database, in words that say what to do.

use std::path::PathBuf;

use crate::store::StoreError;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory cannot be made or written.
    #[error(
        "{path} cannot be used as a store: {source}. Choose another directory or change its permissions"
    )]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Another process has it open.
    #[error(
        "the store in {path} is in use by another process: stop that one, or choose another directory"
    )]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The disk is full.
    #[error("the disk that holds {path} is full: free some space")]
    DiskFull {
        /// The directory.
        path: PathBuf,
    },
    /// There are blocks but not the keys to them.
    #[error(
        "{path} holds blocks, but its file of keys is missing or damaged: they cannot be read any more. Delete the directory to begin anew"
    )]
    Keys {
        /// The directory.
        path: PathBuf,
    },
    /// The database engine says otherwise.
    #[error("the store in {path} could not be opened: {message}")]
    Engine {
        /// The directory.
        path: PathBuf,
        /// The engine's own words.
        message: String,
    },
}

/// How RocksDB and the operating system say that a disk is full. RocksDB gives errors as text only.
const FULL: [&str; 3] = ["No space left on device", "Disk quota exceeded", "Max allowed space"];

/// True if the engine's words mean a full disk.
fn is_full(message: &str) -> bool {
    FULL.iter().any(|words| message.contains(words))
}

/// What an error of the open database means.
pub(super) fn store_error(error: rocksdb::Error) -> StoreError {
    let corrupt = error.kind() == rocksdb::ErrorKind::Corruption;
    let message = error.into_string();
    match (is_full(&message), corrupt) {
        (true, _) => StoreError::DiskFull,
        (false, true) => StoreError::Damaged,
        (false, false) => StoreError::Engine(message),
    }
}

/// What an error while opening means.
pub(super) fn open_error(path: PathBuf, error: rocksdb::Error) -> OpenError {
    let message = error.into_string();
    if is_full(&message) {
        OpenError::DiskFull { path }
    } else if message.contains("lock hold by current process") || message.contains("/LOCK: ") {
        OpenError::Locked { path }
    } else {
        OpenError::Engine { path, message }
    }
}

/// What an error of the directory or of the file of keys means.
pub(super) fn directory_error(path: PathBuf, source: std::io::Error) -> OpenError {
    match source.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            OpenError::DiskFull { path }
        }
        std::io::ErrorKind::InvalidData => OpenError::Keys { path },
        _ => OpenError::Directory { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_apart() {
        let full = "IO error: No space left on device: While appending to file: /x/000004.log";
        assert!(is_full(full) && !is_full("IO error: Input/output error"));
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert!(matches!(directory_error("x".into(), full), OpenError::DiskFull { .. }));
    }
}
