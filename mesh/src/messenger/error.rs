//! What can go wrong for a messenger's user: one enum an operation.

use thiserror::Error;

/// Why a part of the own profile was not taken.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ProfileError {
    /// Tox has no room for it: shorten it.
    #[error("longer than {limit} bytes")]
    TooLong {
        /// Bytes that there is room for.
        limit: usize,
    },
}

/// There is no such friend: add it first.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("no such friend")]
pub struct UnknownFriend;

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum MessageError {
    /// There is no such friend: add it first.
    #[error("no such friend")]
    UnknownFriend,
    /// Tox has no empty messages.
    #[error("a message has at least one byte")]
    Empty,
    /// A message is one packet: split it.
    #[error("a message is at most 1372 bytes")]
    TooLong,
    /// As many messages wait for this friend as are kept
    /// ([`MAX_KEPT_MESSAGES`](super::MAX_KEPT_MESSAGES), [`MAX_KEPT_TEXT`](super::MAX_KEPT_TEXT)).
    #[error("too many messages wait for this friend")]
    Full,
}

/// Why a friend was not added.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum AddFriendError {
    /// The key is this node's own.
    #[error("nobody is his own friend")]
    OwnKey,
    /// It is one already.
    #[error("a friend already")]
    AlreadyFriend,
    /// There are as many as a stack keeps connected: remove one.
    #[error("too many friends")]
    TooMany,
    /// A provider, whose key is also its DHT key, asks nobody: the other must know its key.
    #[error("only a person can ask")]
    NoPerson,
    /// A request carries a message of 1 to [`MAX_REQUEST_MESSAGE`](super::MAX_REQUEST_MESSAGE) bytes.
    #[error("a request's message is 1 to 921 bytes")]
    MessageLength,
}

/// Why a file transfer was not begun or not changed.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum FileError {
    /// There is no such friend: add it first.
    #[error("no such friend")]
    UnknownFriend,
    /// There is no such transfer (any more).
    #[error("no such transfer")]
    UnknownTransfer,
    /// A file's name is at most 255 bytes.
    #[error("a file's name is at most 255 bytes")]
    NameTooLong,
    /// This friend has [`MAX_SENDINGS`](super::MAX_SENDINGS) files to come.
    #[error("too many files wait for this friend")]
    Full,
    /// Only a file that is being received can be accepted, and once.
    #[error("there is nothing to accept")]
    NotOffered,
    /// A file ends before this place.
    #[error("the file ends before this place")]
    BadPosition,
}
