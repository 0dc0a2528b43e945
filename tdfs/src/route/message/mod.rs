//! What neighbours tell each other, parsed: a [`Message`] that exists is well formed, and the blocks in
//! it are what their addresses say.
//!
//! The schema is `wire/proto/tdfs.proto`. Lengths are checked before anything is decoded; `bytes`
//! fields are cut from the received message without a copy.

mod read;
mod write;

use bytes::Bytes;
use prost::Message as _;
use toktok_wire::node_key::NodeId;
use toktok_wire::tdfs as wire;

use super::location::Location;
use super::receipt::{Challenge, Receipt};
use crate::block::{Block, BlockAddress, BlockError, BlockSize};

/// Longest encoded message in bytes: a bulk block and a kilobyte of what stands around it, or
/// [`MAX_RECEIPTS`] receipts, or [`MAX_CONTACTS`] contacts.
pub const MAX_ENCODED: usize = BlockSize::Bulk.bytes() + 1024;
/// Most contacts in a message: a node's whole neighbourhood.
pub const MAX_CONTACTS: usize = 20;
/// Most receipts in a message.
pub const MAX_RECEIPTS: usize = 16;
/// Most copies that may be asked for: twice what a root gets.
pub const MAX_COPIES: u8 = 16;
/// Most greedy hops: more than any network needs (2^58 nodes).
pub const MAX_BUDGET: u8 = 64;
/// The version of the protocol.
pub const VERSION: u32 = 1;
/// The status of success in a reply.
const STATUS_OK: u32 = 1;

/// Number of a transaction between two neighbours, drawn anew at each hop.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Transaction(pub u64);

/// Which part of its way a request is on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Walking at random: each hop leaves this phase with the same chance, and nothing is counted.
    Walk,
    /// Nearer at each hop, so many more times at most (1 to [`MAX_BUDGET`]).
    Greedy(u8),
}

/// A node, and where somebody says that it stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Contact {
    /// Its Ed25519 key.
    pub id: NodeId,
    /// Its place, not proved yet.
    pub location: Location,
}

/// Why a node is not, or no longer, a neighbour.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum GoodbyeReason {
    /// It has as many neighbours as it may have.
    Full,
    /// It needs the place for a nearer neighbour.
    Replaced,
    /// It is shutting down.
    Leaving,
}

/// How a request ended that brought no block and no receipt.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Failure {
    /// The region was asked: it does not have the block, or has no room for it.
    NotFound,
    /// No way led to the region.
    DeadEnd,
    /// Too much to do; later, or another way.
    Busy,
}

/// The first message in each direction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hello {
    /// The sender's Ed25519 key.
    pub id: NodeId,
    /// The solution of its location puzzle.
    pub nonce: u64,
    /// Blocks of 64 KiB that it gives room to.
    pub capacity: u64,
    /// How busy it is: 0 idle to 255.
    pub load: u8,
}

/// What is asked of a neighbour. Fields as in the schema.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// Who is near this place? Travels greedily.
    Find {
        /// The place.
        target: Location,
        /// Greedy hops left.
        budget: u8,
    },
    /// Carry this block to its region.
    Put {
        /// Which part of the way it is on.
        phase: Phase,
        /// Holders wanted, 1 to [`MAX_COPIES`].
        copies: u8,
        /// What the holders sign.
        challenge: Challenge,
        /// The block.
        block: Block,
    },
    /// Fetch this block from its region.
    Get {
        /// Which part of the way it is on.
        phase: Phase,
        /// The block.
        address: BlockAddress,
    },
    /// Keep this block: to a member of the region.
    Hold {
        /// What the holder signs.
        challenge: Challenge,
        /// The block.
        block: Block,
    },
    /// Have you got this block? To a member of the region.
    Fetch {
        /// The block.
        address: BlockAddress,
    },
}

/// What is answered. Data that was asked for by its address is compared with it by the asker only: the
/// answer does not repeat the address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// To [`Request::Find`].
    Neighbours(Vec<Contact>),
    /// To [`Request::Put`]: 1 to [`MAX_RECEIPTS`] receipts.
    Put(Result<Vec<Receipt>, Failure>),
    /// To [`Request::Get`].
    Get {
        /// Bytes of a block's length.
        outcome: Result<Bytes, Failure>,
        /// How many times the block was handed on since its holder. Counted from the holder, it tells
        /// nothing of the asker.
        hops: u8,
    },
    /// To [`Request::Hold`]: a receipt if the block is kept.
    Hold(Option<Receipt>),
    /// To [`Request::Fetch`]: bytes of a block's length if it is there.
    Fetch(Option<Bytes>),
}

/// What one neighbour tells another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    /// The first message in each direction.
    Hello(Hello),
    /// The channel closes after this.
    Goodbye {
        /// Why.
        reason: GoodbyeReason,
        /// Others to try, at most [`MAX_CONTACTS`].
        alternatives: Vec<Contact>,
    },
    /// How busy the sender is; also a sign of life.
    Load {
        /// 0 idle to 255.
        level: u8,
        /// The receiver shall answer with its own.
        answer: bool,
    },
    /// A question.
    Request(Transaction, Request),
    /// The answer to the question of that number.
    Answer(Transaction, Answer),
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Longer than [`MAX_ENCODED`].
    #[error("{0} bytes are more than a message has")]
    TooLong(usize),
    /// Not the schema's encoding.
    #[error("not a message of the schema")]
    Encoding,
    /// A body that this version does not know, or none.
    #[error("no known body")]
    UnknownBody,
    /// Another version of the protocol.
    #[error("protocol version {0} is not spoken here")]
    Version(u32),
    /// A field with a length or a value that it must not have.
    #[error("invalid {0}")]
    Invalid(&'static str),
    /// A block that is none, or another one.
    #[error(transparent)]
    Block(#[from] BlockError),
}

impl Message {
    /// Reads a message. A block in it that is to be kept or carried is verified against its address.
    ///
    /// # Errors
    /// A [`MessageError`] that says what was wrong.
    pub fn decode(bytes: Bytes) -> Result<Self, MessageError> {
        if bytes.len() > MAX_ENCODED {
            return Err(MessageError::TooLong(bytes.len()));
        }
        let message = wire::Message::decode(bytes).map_err(|_| MessageError::Encoding)?;
        message.body.ok_or(MessageError::UnknownBody)?.try_into()
    }

    /// The encoded message.
    pub fn encode(&self) -> Bytes {
        wire::Message { body: Some(self.into()) }.encode_to_vec().into()
    }
}

#[cfg(test)]
mod tests;
