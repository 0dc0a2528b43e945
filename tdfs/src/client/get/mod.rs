//! Fetching a file or a range of it.

mod latency;
mod machine;
mod range;
mod segment;

use core::time::Duration;

pub use machine::Get;

use super::IoError;
use crate::capability::FileKind;
use crate::file::{CodingError, RootError};

/// The tunables of a [`Get`].
#[derive(Clone, Copy, Debug)]
pub struct GetConfig {
    /// Most block operations at once. 64 bulk blocks are 4 MiB under way: a second at 32 Mbit/s.
    pub window: usize,
    /// Requests for one block of a segment, each by another way, before it is given up.
    pub attempts: u8,
    /// Requests for the root block, which nothing can stand in for.
    pub root_attempts: u8,
    /// Pause before the second request for a block; doubled for each further one.
    pub pause: Duration,
    /// Segments of the content that are fetched, decoded or written at once: memory stays below
    /// twice this many times 16 MiB, plus one segment's decoding.
    pub segments: usize,
    /// Most blocks that are stored again in all because they were found missing.
    pub heal: usize,
    /// Copies wanted of such a block.
    pub heal_copies: u8,
}

impl Default for GetConfig {
    fn default() -> Self {
        Self {
            window: 64,
            attempts: 3,
            root_attempts: 6,
            pause: Duration::from_secs(1),
            segments: 2,
            heal: 64,
            heal_copies: 2,
        }
    }
}

/// Why a file could not be fetched.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GetError {
    /// The capability is verify-only.
    #[error("this capability is verify-only: it can keep the file alive but not read it")]
    VerifyOnly,
    /// The root block is not there.
    #[error("the root block was not found: the file is forgotten, or was never stored")]
    RootNotFound,
    /// No answer about the root block.
    #[error("nobody answered the request for the root block: is this node connected? Try again")]
    RootUnreachable,
    /// The root block does not open.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The capability says file and the root directory, or the other way round.
    #[error("the capability and the root block disagree on whether this is a directory")]
    Kind,
    /// A range that begins behind the end.
    #[error("byte {offset} was asked for, the file has {length}")]
    BeyondEnd {
        /// First byte that was asked for.
        offset: u64,
        /// Length of the file.
        length: u64,
    },
    /// Too few blocks of a segment are left.
    #[error(
        "segment {segment}, level {level}: {have} blocks found, {need} needed, {missing} are gone, the others did not answer"
    )]
    TooFewBlocks {
        /// The level: 0 is the content, above is the index.
        level: u8,
        /// The segment.
        segment: u64,
        /// Blocks found.
        have: usize,
        /// Blocks needed.
        need: usize,
        /// Blocks of which their region says that it does not have them.
        missing: usize,
    },
    /// A segment could not be decoded.
    #[error("a segment could not be decoded: {0}")]
    Coding(#[from] CodingError),
    /// The sink refused the content.
    #[error("the content could not be written: {0}")]
    Sink(#[from] IoError),
    /// The index names no place for a segment: whoever stored the file made a mistake.
    #[error("the index of the file is damaged: it was stored with a fault")]
    Index,
}

/// What a [`Get`] tells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum GetEvent {
    /// The root is open.
    Opened {
        /// What the file is.
        kind: FileKind,
        /// Its length, in bytes.
        length: u64,
    },
    /// Something went forward. Several steps between two polls make one event.
    Progress {
        /// Blocks fetched.
        blocks: u64,
        /// Bytes of content written (or, with a verify-only capability, checked).
        bytes_done: u64,
        /// Bytes of content asked for.
        bytes_total: u64,
    },
    /// All bytes are written. Blocks found missing may still be stored again.
    Done {
        /// Bytes written.
        bytes: u64,
        /// Blocks that will be stored again.
        healing: usize,
    },
    /// Blocks were stored again: the last event, if [`GetEvent::Done`] announced any.
    Healed {
        /// Blocks that somebody took.
        restored: usize,
    },
    /// The file could not be fetched: the last event.
    Failed(GetError),
}
