//! Storing a file.

mod machine;
mod upload;

use core::time::Duration;

pub use machine::Put;

use super::IoError;
use crate::block::cipher::KEY_LEN;
use crate::capability::Capability;
use crate::file::CodingError;
use crate::file::layout::MAX_LENGTH;

/// The tunables of a [`Put`].
#[derive(Clone, Copy, Debug)]
pub struct PutConfig {
    /// Copies of data and index blocks. Parity does the rest (research note TDFS, 6.4).
    pub copies: u8,
    /// Copies of the root, which no parity protects.
    pub root_copies: u8,
    /// Most block operations at once. 64 bulk blocks are 4 MiB under way: a second at 32 Mbit/s.
    pub window: usize,
    /// Attempts for a block that nobody has taken.
    pub attempts: u8,
    /// Attempts for a block that some nodes have taken, but fewer than wanted: in a small network
    /// there are no more.
    pub thin_attempts: u8,
    /// Pause before the first retry; doubled for each further one.
    pub pause: Duration,
    /// The next segment is coded when fewer bytes than this wait to be stored: the send queue never
    /// runs dry, and memory stays below this plus one coded segment (32 MiB) and its source (16 MiB).
    pub buffered: usize,
}

impl Default for PutConfig {
    fn default() -> Self {
        Self {
            copies: 2,
            root_copies: 8,
            window: 64,
            attempts: 5,
            thin_attempts: 2,
            pause: Duration::from_secs(1),
            buffered: 8 << 20,
        }
    }
}

/// Where the file's key comes from.
#[derive(Clone, Debug, Default)]
pub enum Secrecy {
    /// A random key: two uploads of the same bytes have nothing in common.
    #[default]
    Random,
    /// A key made of the content and this secret of the user's: uploading the same bytes again makes
    /// the same blocks. Reads the source twice.
    Convergent([u8; KEY_LEN]),
}

/// Why a file could not be stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PutError {
    /// The file is too long.
    #[error("a file has at most {MAX_LENGTH} bytes, this one has {0}: split it")]
    TooLong(u64),
    /// The source could not be read.
    #[error("the source could not be read: {0}")]
    Source(#[from] IoError),
    /// A segment could not be coded.
    #[error("a segment could not be coded: {0}")]
    Coding(#[from] CodingError),
    /// Too few blocks of a segment found a place.
    #[error(
        "only {stored} of {blocks} blocks of segment {segment}, level {level}, were stored, and {needed} are needed: is this node connected? Try again later"
    )]
    TooFewStored {
        /// The level: 0 is the content, above is the index.
        level: u8,
        /// The segment.
        segment: u64,
        /// Blocks of which at least one receipt came.
        stored: u16,
        /// Blocks that must have a receipt.
        needed: u16,
        /// Blocks of the segment.
        blocks: u16,
    },
    /// Nobody took the root block.
    #[error("nobody took the root block: is this node connected? Try again later")]
    RootNotStored,
}

/// A file is stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stored {
    /// The key to it.
    pub capability: Capability,
    /// Length of the content, in bytes.
    pub length: u64,
    /// Blocks of the file.
    pub blocks: u64,
    /// Blocks of which fewer copies were stored than wanted, the root included.
    pub thin_blocks: u64,
    /// Copies of the root of which receipts came.
    pub root_copies: u8,
}

/// What a [`Put`] tells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PutEvent {
    /// Something went forward. Several steps between two polls make one event.
    Progress {
        /// Blocks that are stored or given up.
        blocks_done: u64,
        /// Blocks of the file.
        blocks_total: u64,
        /// Bytes of the content that are coded.
        bytes_coded: u64,
        /// Length of the content, in bytes.
        length: u64,
    },
    /// The file is stored: the last event.
    Done(Stored),
    /// The file is not stored: the last event.
    Failed(PutError),
}
