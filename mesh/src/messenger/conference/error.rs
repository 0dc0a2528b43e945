//! What can go wrong for a conference's user.

use thiserror::Error;

/// Why something was not done in a conference.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ConferenceError {
    /// This node is in no such conference: create or join it first.
    #[error("in no such conference")]
    Unknown,
    /// This node is in as many as it can be ([`MAX_CONFERENCES`](super::MAX_CONFERENCES)): leave one.
    #[error("in too many conferences")]
    TooMany,
    /// This node is in it already, or about to join.
    #[error("in this conference already")]
    AlreadyIn,
    /// The friend is not there: wait for it.
    #[error("the friend is not online")]
    FriendOffline,
    /// The members have not been heard of yet: wait for
    /// [`ConferenceEvent::Joined`](super::ConferenceEvent::Joined).
    #[error("not joined yet")]
    NotJoined,
    /// Nobody else is connected who could hear it.
    #[error("nobody is there")]
    Alone,
    /// As much waits to be sent as is kept: try again later.
    #[error("too much waits to be sent")]
    Full,
    /// Tox has no empty messages and titles.
    #[error("empty")]
    Empty,
    /// It does not fit into a packet: split it.
    #[error("longer than {limit} bytes")]
    TooLong {
        /// Bytes that there is room for.
        limit: usize,
    },
}
