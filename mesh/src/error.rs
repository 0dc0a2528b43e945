//! What can go wrong for a caller: one enum an operation.

use thiserror::Error;

/// Why a session ended.
#[derive(Clone, Copy, Debug, Eq, Error, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum CloseReason {
    /// This side called [`disconnect`](crate::Stack::disconnect).
    #[error("closed here")]
    Local,
    /// The peer said goodbye.
    #[error("closed by the peer")]
    Peer,
    /// Nothing valid came for [`SESSION_TIMEOUT`](crate::config::SESSION_TIMEOUT).
    #[error("the peer fell silent")]
    Timeout,
    /// The peer began anew (it restarted); a new session follows.
    #[error("the peer began a new session")]
    Replaced,
    /// The peer broke the rules of channels inside the authenticated session.
    #[error("the peer broke the protocol")]
    Protocol,
}

/// Why a connection could not be made.
#[derive(Clone, Copy, Debug, Eq, Error, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum ConnectError {
    /// The DHT does not know the key: it is offline, or this node is not connected yet. Try later.
    #[error("the peer's address was not found")]
    NotFound,
    /// An address is known, but no answer came from there. Try later.
    #[error("the peer does not answer")]
    NoAnswer,
    /// All sessions that the configuration allows are in use: raise `max_sessions` or disconnect one.
    #[error("the limit of sessions is reached")]
    TooManySessions,
    /// The key is this node's own.
    #[error("a node cannot connect to itself")]
    OwnKey,
    /// [`disconnect`](crate::Stack::disconnect) was called first.
    #[error("given up by this side")]
    Cancelled,
}

/// Why a channel could not be opened.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no session with this peer: connect first and wait for `SessionUp`.
    #[error("no session with this peer")]
    NotConnected,
    /// A protocol's name is 1 to [`MAX_PROTOCOL_NAME`](crate::channel::MAX_PROTOCOL_NAME) bytes.
    #[error("a protocol's name is 1 to 64 bytes")]
    InvalidName,
    /// This session has all the channels it may have: close one.
    #[error("too many channels on this session")]
    TooManyChannels,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum SendError {
    /// There is no such channel (any more).
    #[error("no such channel")]
    Unknown,
    /// Messages are at most [`MAX_MESSAGE`](crate::MAX_MESSAGE) bytes: split it.
    #[error("a message is at most 1 MiB")]
    TooLarge,
    /// The channel's queue is full: wait for [`Event::Writable`](crate::Event::Writable).
    #[error("the channel's queue is full")]
    Full,
}

/// Why a packet was not sent.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum PacketError {
    /// There is no session with this peer: connect first and wait for `SessionUp`.
    #[error("no session with this peer")]
    NotConnected,
    /// A packet is at most 1372 bytes behind its id.
    #[error("a packet is at most 1372 bytes")]
    TooLarge,
    /// The id is a session's or a channel's own, or none of Tox's: use 16 to 191 (lossless, but not
    /// 160 and 161) or 192 to 254 (lossy).
    #[error("this packet id is reserved")]
    Reserved,
    /// Too many packets wait: [`Event::PacketWritable`](crate::Event::PacketWritable) tells when fewer do.
    #[error("the session's queue is full")]
    Full,
}
