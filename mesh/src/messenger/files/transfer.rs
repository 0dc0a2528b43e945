//! What both directions of a file transfer have in common.

use crate::wire::messenger::FileKind;
use crate::wire::messenger::file::{FILE_ID_LEN, UNKNOWN_FILE_SIZE};

/// Names one file transfer; unique within the messenger, also across restarts.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TransferId(pub u64);

/// Which way a file goes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Direction {
    /// To the friend.
    Outgoing,
    /// From the friend.
    Incoming,
}

/// What a friend is told of a file before it flows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileOffer {
    /// What it is for.
    pub kind: FileKind,
    /// Bytes; [`UNKNOWN_FILE_SIZE`] for a stream, which ends where its source does.
    pub size: u64,
    /// By this both sides know it again after a break. An avatar's is the hash of its bytes. All
    /// zeros: the file is not known again.
    pub file_id: [u8; FILE_ID_LEN],
    /// At most 255 bytes. The sender chose it: a stranger's word, no path.
    pub name: Vec<u8>,
}

impl FileOffer {
    /// The size, if it is known.
    pub fn known_size(&self) -> Option<u64> {
        (self.size != UNKNOWN_FILE_SIZE).then_some(self.size)
    }

    /// True if a transfer can go on in another session. Avatars are offered anew in each one.
    pub(super) fn survives(&self) -> bool {
        self.kind != FileKind::AVATAR && self.file_id != [0; FILE_ID_LEN]
    }

    /// True if the other one is of the same file.
    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        (self.kind, self.size, self.file_id) == (other.kind, other.size, other.file_id)
    }
}

/// How a transfer ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum FileOutcome {
    /// The receiver has all of it.
    Complete,
    /// The sender stopped before the size that it had told: there are fewer bytes.
    Truncated,
    /// This side called [`cancel_file`](crate::messenger::Messenger::cancel_file), or removed the friend.
    CancelledHere,
    /// The friend does not want it, or has it no longer.
    CancelledByFriend,
    /// Reading or writing failed here, or writing is far slower than the friend sends.
    Failed,
    /// The session ended, and the transfer can not go on in another one: it was not accepted yet, or
    /// it is an avatar's.
    Disconnected,
}

/// Who holds a transfer up.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Paused {
    /// This side's user.
    pub here: bool,
    /// The friend.
    pub there: bool,
}

impl Paused {
    /// True if anyone does.
    pub const fn is_paused(self) -> bool {
        self.here || self.there
    }
}

/// How a transfer stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TransferState {
    /// Which way the file goes.
    pub direction: Direction,
    /// What was offered.
    pub offer: FileOffer,
    /// Bytes that were handed to the session, or came from it, counted from the file's beginning.
    pub position: u64,
    /// The receiver wants it.
    pub accepted: bool,
    /// There is a session that carries it.
    pub connected: bool,
    /// Who holds it up.
    pub paused: Paused,
}
