//! What can go wrong for the person at the keyboard: each message says what to do.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a command of `toktok` failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NodeError {
    /// No tokio runtime.
    #[error("cannot start: {0}")]
    Runtime(io::Error),
    /// The data folder cannot be used.
    #[error("cannot use the data folder {path}: {source}. Choose another with --data-dir, or mend its permissions", path = .path.display())]
    DataDir {
        /// The folder or the file in it.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The key file is not a key.
    #[error("{path} holds no key: {reason}. Restore it from a copy, or move it away to get a new key", path = .path.display())]
    KeyFile {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another node has the data folder.
    #[error("another node runs in {path}: stop it, or choose another folder with --data-dir", path = .path.display())]
    InUse {
        /// The data folder.
        path: PathBuf,
    },
    /// The block store cannot be opened.
    #[error("cannot open the block store: {0}")]
    Store(String),
    /// The layers did not start.
    #[error("cannot start the node: {0}")]
    Start(String),
    /// A file of the user's.
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No node runs there.
    #[error("no node runs in {path}: start one with `toktok run --data-dir {path}`", path = .path.display())]
    NotRunning {
        /// The data folder.
        path: PathBuf,
    },
    /// The node went away, or something else listens there.
    #[error("the node does not answer as one: {0}")]
    Api(String),
    /// The node says that it could not do it.
    #[error("{0}")]
    Failed(String),
    /// The demo did not show what it should.
    #[error("the demo failed: {0}")]
    Demo(String),
}
