//! What the core wants done: it reaches nothing itself.

use core::ops::Range;

use bytes::Bytes;
use thiserror::Error;
use toktok_wire::PublicKey;

use crate::coordinator::Event;
use crate::engine::{Computed, ExecuteError, Execution};
use crate::message::Message;

/// Names one piece of work that the core asked for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TaskId(pub u64);

/// On which side of a channel this node is. Two nodes may have one channel each way.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Role {
    /// This node has a job, the peer computes.
    Client,
    /// The peer has a job, this node computes.
    Worker,
}

/// One thing to do.
#[derive(Debug)]
pub enum Action {
    /// Send this on the channel where this node has that role.
    Send {
        /// To whom.
        to: PublicKey,
        /// As what.
        role: Role,
        /// What.
        message: Message,
    },
    /// Fetch data from TDFS; answered by [`TaskResult::Fetched`].
    Fetch {
        /// The work's name.
        task: TaskId,
        /// What.
        capability: String,
        /// Which bytes of it. `None` is all, for a program: to be refused when it is longer than
        /// [`MAX_PROGRAM_BYTES`](crate::config::MAX_PROGRAM_BYTES).
        range: Option<Range<u64>>,
    },
    /// Find out how long some data is; answered by [`TaskResult::Measured`].
    Measure {
        /// The work's name.
        task: TaskId,
        /// What.
        capability: String,
    },
    /// Run a program; answered by [`TaskResult::Computed`].
    Execute {
        /// The work's name.
        task: TaskId,
        /// What to run on what.
        execution: Execution,
    },
    /// Tell the user.
    Event(Event),
}

/// Data cannot be had; the text says why and what to do.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{0}")]
pub struct DataError(pub String);

/// How a piece of work ended.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskResult {
    /// Of [`Action::Fetch`].
    Fetched(Result<Bytes, DataError>),
    /// Of [`Action::Measure`]: bytes.
    Measured(Result<u64, DataError>),
    /// Of [`Action::Execute`].
    Computed(Result<Computed, ExecuteError>),
}
