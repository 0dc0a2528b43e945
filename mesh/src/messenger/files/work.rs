//! Reading and writing of files, which the driver does: large ranges, so that a disk is asked seldom,
//! and cut into packets here.

use core::ops::Range;
use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use thiserror::Error;

use super::transfer::TransferId;
use crate::machine::IoToken;
use crate::wire::PublicKey;
use crate::wire::messenger::MAX_FILE_DATA;

/// Packets whose data one piece of work reads or writes at most: 261,861 bytes …
const MOST_PACKETS: usize = 191;
/// … and at least, when many files flow at once: 16,452 bytes.
const LEAST_PACKETS: usize = 12;
/// Bytes of a friend's files that are read ahead, if it has few …
const AHEAD: usize = 4 * MOST_PACKETS * MAX_FILE_DATA;
/// … and ranges of one file at most.
pub(super) const MAX_AHEAD: usize = 4;

/// How much one piece of work reads or writes when so many files flow: whole packets' worth.
pub(super) fn range_length(files: usize) -> usize {
    let packets = AHEAD / MAX_FILE_DATA / files.max(1);
    packets.clamp(LEAST_PACKETS, MOST_PACKETS) * MAX_FILE_DATA
}

/// How many ranges of one file are read ahead when so many flow.
pub(super) fn ranges_ahead(files: usize) -> usize {
    (MAX_AHEAD / files.max(1)).max(1)
}

/// Work on the files of transfers. Several pieces may be under way at once, also of one file.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum IoRequest {
    /// Read these bytes of an outgoing file and answer [`IoResult::Read`]. Fewer bytes than were asked
    /// for say that the file ends there.
    Read {
        /// Which transfer.
        transfer: TransferId,
        /// Which bytes.
        range: Range<u64>,
    },
    /// Write these bytes of an incoming file and answer [`IoResult::Written`].
    Write {
        /// Which transfer.
        transfer: TransferId,
        /// Where the first byte goes.
        position: u64,
        /// The bytes, never none.
        data: Bytes,
    },
}

/// The work could not be done. The transfer ends with [`FileOutcome::Failed`](super::FileOutcome::Failed).
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the file could not be read or written")]
pub struct IoFailed;

/// How such work ended.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum IoResult {
    /// The bytes that were read.
    Read(Result<Bytes, IoFailed>),
    /// Whether the bytes are where they belong.
    Written(Result<(), IoFailed>),
}

/// Work that waits to be handed out, and whose work is under way.
#[derive(Debug, Default)]
pub(in crate::messenger) struct Work {
    next: u64,
    requests: VecDeque<(IoToken, IoRequest)>,
    under_way: BTreeMap<IoToken, (PublicKey, TransferId)>,
}

impl Work {
    /// Asks for work on a friend's transfer.
    pub(super) fn request(&mut self, friend: PublicKey, request: IoRequest) -> IoToken {
        let token = IoToken(self.next);
        self.next += 1;
        let (IoRequest::Read { transfer, .. } | IoRequest::Write { transfer, .. }) = &request;
        self.under_way.insert(token, (friend, *transfer));
        self.requests.push_back((token, request));
        token
    }

    /// The next piece to hand out.
    pub(in crate::messenger) fn poll(&mut self) -> Option<(IoToken, IoRequest)> {
        self.requests.pop_front()
    }

    /// True if a piece waits to be handed out.
    pub(in crate::messenger) fn has_requests(&self) -> bool {
        !self.requests.is_empty()
    }

    /// Whose work this was; `None` if it was answered before.
    pub(in crate::messenger) fn take(&mut self, token: IoToken) -> Option<(PublicKey, TransferId)> {
        self.under_way.remove(&token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_whole_packets_and_all_together_stay_small() {
        for files in 0..=256 {
            let length = range_length(files);
            assert_eq!(length % MAX_FILE_DATA, 0);
            assert!(length * ranges_ahead(files) * files <= 5 << 20, "{files} files");
        }
        assert!((255 << 10..256 << 10).contains(&range_length(1)));
        assert_eq!(ranges_ahead(1), MAX_AHEAD);
    }
}
