//! How commands talk to the running node: JSON lines over a TCP connection on loopback. The first
//! line is a [`Request`] with the token of the node's folder; [`Reply`] lines follow, progress first,
//! one that ends it last.

pub(crate) mod client;
pub(crate) mod person_client;
pub(crate) mod server;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::person::FriendInfo;
use crate::person::log::Entry;

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
    /// Do something as a person.
    #[serde(untagged)]
    Person(PersonCommand),
}

/// What a person can ask for.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "command", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PersonCommand {
    /// Ask for friendship.
    AddFriend {
        /// Whom.
        tox_id: String,
        /// What to say.
        message: String,
    },
    /// All friends, and who wants to be one.
    ListFriends,
    /// Say yes to a request.
    AcceptFriend {
        /// Whose, in hexadecimal.
        key: String,
    },
    /// End a friendship, or refuse a request.
    RemoveFriend {
        /// Whose, in hexadecimal.
        key: String,
    },
    /// Send a message.
    SendMessage {
        /// To whom, in hexadecimal.
        key: String,
        /// What it says.
        text: String,
    },
    /// What happened so far.
    Log {
        /// And what will, until the connection ends.
        follow: bool,
    },
    /// Send a file.
    SendFile {
        /// To whom, in hexadecimal.
        key: String,
        /// The file, absolute.
        path: PathBuf,
    },
    /// Take another name.
    SetName {
        /// The name.
        name: String,
    },
    /// Write everything that it keeps, now.
    Keep,
    /// Take another status message.
    SetStatusMessage {
        /// The message.
        text: String,
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
    /// All friends, and who wants to be one.
    Friends {
        /// Those.
        friends: Vec<FriendInfo>,
    },
    /// A friend was asked.
    FriendAsked {
        /// Its key in hexadecimal.
        key: String,
    },
    /// A message will be sent.
    MessageTaken {
        /// What its receipt names.
        id: u64,
    },
    /// A file will be sent.
    FileTaken {
        /// Its bytes.
        bytes: u64,
    },
    /// A line of the log.
    Entry(Entry),
    /// Done.
    Done,
    /// It could not be done.
    Failed {
        /// Why, and what to do.
        error: String,
    },
}

/// What a node says of itself.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Status {
    /// The node key in the mesh, in hexadecimal; empty if the node serves nobody.
    pub node_key: String,
    /// What others need to ask the person for friendship.
    pub tox_id: String,
    /// Friends whose clients are there.
    pub friends_online: usize,
    /// The UDP port it is bound to; none if it serves nobody.
    pub udp_port: Option<u16>,
    /// The TCP ports at which it is a relay for others.
    #[serde(default)]
    pub tcp_relay_ports: Vec<u16>,
    /// Clients of that relay.
    #[serde(default)]
    pub relay_clients: usize,
    /// Nodes of the DHT that the provider's core knows.
    #[serde(default)]
    pub dht_nodes: usize,
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
