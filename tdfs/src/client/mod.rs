//! Putting and getting files: which block next, how often again, what to repair.
//!
//! [`Put`] and [`Get`] are sans-IO: they ask for block operations, for coding work and for bytes of a
//! source or room in a sink, and are told how each ended. They hold a segment or two at a time, never
//! a whole file.
//!
//! Whoever owns one drains `poll` after every call until it returns [`Output::Idle`]. Every
//! [`OpId`] that came out as [`Output::PutBlock`] or [`Output::GetBlock`] must be answered exactly
//! once (time-outs are the router's), likewise every [`IoId`].

mod get;
pub mod local;
mod put;

use core::time::Duration;

use bytes::Bytes;
use toktok_wire::Time;

pub use get::{Get, GetConfig, GetError, GetEvent};
pub use put::{Put, PutConfig, PutError, PutEvent, Secrecy, Stored};

use crate::block::{Block, BlockAddress, BlockSize};
use crate::file::{CodingError, DecodeJob, Decoded, EncodeJob, Encoded};

/// Names one block operation within one [`Put`] or [`Get`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OpId(pub u64);

/// Names one piece of work within one [`Put`] or [`Get`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct IoId(pub u64);

/// What a [`Put`] or [`Get`] wants next.
#[must_use]
#[derive(Debug)]
pub enum Output<Event> {
    /// Do this work and answer with `handle_io`.
    Io(IoId, Io),
    /// Store a block and answer with `handle_put_result`.
    PutBlock {
        /// Which operation.
        op: OpId,
        /// The block.
        block: Block,
        /// Copies wanted.
        copies: u8,
        /// How often it was tried before: a retry must take another first hop.
        attempt: u8,
    },
    /// Fetch a block and answer with `handle_block`.
    GetBlock {
        /// Which operation.
        op: OpId,
        /// The block.
        address: BlockAddress,
        /// Its size.
        size: BlockSize,
        /// How often it was tried before: a retry must take another first hop.
        attempt: u8,
    },
    /// Something that the user wants to know.
    Event(Event),
    /// Nothing more to do until an answer comes, or until this moment at the latest.
    Idle(Option<Time>),
}

/// Work that a transfer does not do itself.
#[derive(Debug)]
pub enum Io {
    /// Read `length` bytes of the source from `offset` on.
    ReadSource {
        /// First byte.
        offset: u64,
        /// Bytes wanted; fewer are an error of the source.
        length: usize,
    },
    /// Write these bytes of the content to the sink. They come in ascending order without gaps.
    WriteSink {
        /// Where in the content the first byte stands. A range's first offset is the range's start.
        offset: u64,
        /// The bytes.
        bytes: Bytes,
    },
    /// Make a segment's blocks.
    Encode(EncodeJob),
    /// Recover a segment's content.
    Decode(Box<DecodeJob>),
}

/// How such work ended.
#[derive(Debug)]
pub enum IoResult {
    /// Bytes of the source.
    Source(Result<Bytes, IoError>),
    /// The sink has taken the bytes.
    Sink(Result<(), IoError>),
    /// A segment's blocks.
    Encoded(Result<Encoded, CodingError>),
    /// A segment's content.
    Decoded(Result<Decoded, CodingError>),
}

impl Io {
    /// Does coding work here and now; gives reads and writes back untouched.
    ///
    /// # Errors
    /// The request itself if it needs a source or a sink.
    #[expect(clippy::result_large_err, reason = "what comes back is the request that was given")]
    pub fn compute(self) -> Result<IoResult, Self> {
        match self {
            Self::Encode(job) => Ok(IoResult::Encoded(job.run())),
            Self::Decode(job) => Ok(IoResult::Decoded(job.run())),
            other => Err(other),
        }
    }
}

/// Why a source could not be read or a sink not written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum IoError {
    /// The source ended before the length that was announced: it was cut while it was read.
    #[error("the source became shorter while it was read")]
    Shortened,
    /// The disk of the sink is full.
    #[error("no space is left for the content: free some and fetch again")]
    DiskFull,
    /// Reading or writing is not permitted.
    #[error("permission denied")]
    Denied,
    /// Any other failure of the device, by the operating system's name for it.
    #[error("input or output failed: {0}")]
    Failed(std::io::ErrorKind),
}

impl From<std::io::Error> for IoError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Self::Shortened,
            std::io::ErrorKind::StorageFull => Self::DiskFull,
            std::io::ErrorKind::PermissionDenied => Self::Denied,
            kind => Self::Failed(kind),
        }
    }
}

/// Why a block operation brought nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BlockFailure {
    /// The region of the block was asked and does not have it.
    NotFound,
    /// No way led to an answer in time.
    Unreachable,
    /// The network asks for patience: not counted as an attempt, but fewer operations run at once.
    Busy,
}

/// How many block operations run at once: halved when the network is busy, one more for each window
/// of answers (additive increase, multiplicative decrease).
#[derive(Clone, Copy, Debug)]
struct Window {
    limit: usize,
    most: usize,
    answers: usize,
}

impl Window {
    /// Fewest operations at once.
    const LEAST: usize = 2;

    /// A window of `most` operations.
    const fn new(most: usize) -> Self {
        let most = if most < Self::LEAST { Self::LEAST } else { most };
        Self { limit: most, most, answers: 0 }
    }

    /// Notes a success.
    fn succeeded(&mut self) {
        self.answers += 1;
        if self.answers >= self.limit {
            self.answers = 0;
            self.limit = self.most.min(self.limit + 1);
        }
    }

    /// Notes that the network is busy.
    fn busy(&mut self) {
        self.answers = 0;
        self.limit = Self::LEAST.max(self.limit / 2);
    }
}

/// The pause before attempt `attempt` (1 is the first retry): `base`, twice, four times … at most 32.
fn backoff(base: Duration, attempt: u8) -> Duration {
    base.saturating_mul(1 << u32::from(attempt.saturating_sub(1)).min(5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_network_halves_the_window_and_answers_widen_it_again() {
        let mut window = Window::new(8);
        window.busy();
        assert_eq!(window.limit, 4);
        (0..9).for_each(|_| window.succeeded());
        assert_eq!(window.limit, 6);
        (0..5).for_each(|_| window.busy());
        assert_eq!(window.limit, Window::LEAST);
        (0..1000).for_each(|_| window.succeeded());
        assert_eq!(window.limit, 8);
    }

    #[test]
    fn pauses_double_up_to_a_bound() {
        let base = Duration::from_secs(1);
        assert_eq!([1, 2, 3, 200].map(|n| backoff(base, n).as_secs()), [1, 2, 4, 32]);
    }
}
