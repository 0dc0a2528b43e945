//! How commands talk to the running node: JSON lines over a TCP connection on loopback. The first
//! line is a [`Request`] with the token of the node's folder; [`Reply`] lines follow, progress first,
//! one that ends it last.

pub(crate) mod client;
pub(crate) mod server;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Longest line of the protocol in bytes: a result travels in one.
pub(crate) const MAX_LINE: u64 = 256 << 20;

/// What a command sends.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Request {
    /// The token from `api.json`.
    pub token: String,
    /// What to do.
    pub command: Command,
}

/// What a node can be asked.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "command", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Command {
    /// Who it is and what it does.
    Status,
    /// Store a file that the node can read.
    Put {
        /// The file, absolute.
        path: PathBuf,
    },
    /// Fetch a file.
    Get {
        /// The capability of a stored file.
        capability: String,
        /// Where to write it, absolute.
        path: PathBuf,
    },
    /// Run a program over a stored file.
    Compute {
        /// The program's file, absolute.
        program: PathBuf,
        /// The capability of the input.
        input: String,
        /// Bytes of input a piece.
        piece: u64,
        /// How many different nodes run each piece.
        replicas: u32,
        /// Seconds that one piece may run.
        unit_timeout: u64,
        /// Both replicas of a piece may go to nodes of one network.
        one_network: bool,
    },
}

/// What the node answers.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reply {
    /// How far it is.
    Progress {
        /// Done so far.
        done: u64,
        /// To be done in all.
        total: u64,
    },
    /// Who it is and what it does.
    Status(Status),
    /// Stored.
    Stored {
        /// What fetches it.
        capability: String,
        /// Bytes of the file.
        bytes: u64,
    },
    /// Fetched.
    Fetched {
        /// Bytes of the file.
        bytes: u64,
    },
    /// Computed.
    Computed(Computed),
    /// It could not be done.
    Failed {
        /// Why, and what to do.
        error: String,
    },
}

/// What a node says of itself.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Status {
    /// The node key in the mesh, in hexadecimal.
    pub node_key: String,
    /// The UDP port it is bound to.
    pub udp_port: u16,
    /// Standing sessions.
    pub sessions: usize,
    /// TDFS neighbours.
    pub neighbours: usize,
    /// Nodes that offer to compute.
    pub workers: usize,
    /// Blocks stored for others.
    pub blocks: u64,
    /// Bytes of these blocks.
    pub bytes: u64,
    /// Packets dropped, in all.
    pub dropped: u64,
}

/// What came of a job.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Computed {
    /// The result: what the program's reduce step wrote.
    pub result: String,
    /// Pieces of the input.
    pub units: u64,
    /// Runs of a piece in all: replicas, repetitions and arbitrations.
    pub executions: u64,
    /// Runs by the node itself, to settle who is right.
    pub arbitrations: u64,
    /// Keys of workers whose result was proven wrong.
    pub liars: Vec<String>,
    /// How many workers took part.
    pub workers: usize,
}
