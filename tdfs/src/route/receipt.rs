//! Receipts: a holder's signed word that it keeps a block.
//!
//! The signature covers the block's address and a challenge that the uploader drew for this attempt, so
//! that an old receipt is worth nothing and no clock needs to be shared. The challenge is seen by the
//! relays, like the address; a retry draws another.

use toktok_wire::NodeKey;
use toktok_wire::node_key::{NodeId, Signature};

use super::location::{Identity, Puzzle};
use crate::block::BlockAddress;

/// Domain of the signature.
const RECEIPT_CONTEXT: &[u8] = b"toktok tdfs 2026-11 receipt";

/// What a holder signs beside the address; drawn by the uploader.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Challenge(pub [u8; Self::LEN]);

impl Challenge {
    /// Length in bytes.
    pub const LEN: usize = 16;
}

/// A holder's signed word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// Who signed.
    pub holder: NodeId,
    /// The holder's solution of the location puzzle.
    pub nonce: u64,
    /// Over a fixed context, address, challenge.
    pub signature: Signature,
}

/// The signed bytes.
fn statement(address: &BlockAddress, challenge: &Challenge) -> Vec<u8> {
    [RECEIPT_CONTEXT, address.as_bytes(), &challenge.0].concat()
}

impl Receipt {
    /// Signs that `address` is kept here.
    pub fn sign(key: &NodeKey, nonce: u64, address: &BlockAddress, challenge: &Challenge) -> Self {
        let signature = key.sign(&statement(address, challenge));
        Self { holder: key.id(), nonce, signature }
    }

    /// True if the signature is the holder's over this block and challenge.
    pub fn is_signed(&self, address: &BlockAddress, challenge: &Challenge) -> bool {
        self.holder.verify(&statement(address, challenge), &self.signature)
    }

    /// Where the holder stands, if its puzzle is solved.
    pub fn identity(&self, puzzle: &Puzzle) -> Option<Identity> {
        Identity::verify(puzzle, self.holder, self.nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_for_one_block_one_challenge_and_one_holder() {
        let key = NodeKey::from_seed(&[3; 32]);
        let (address, challenge) = (BlockAddress([1; 32]), Challenge([2; 16]));
        let receipt = Receipt::sign(&key, 7, &address, &challenge);
        assert!(receipt.is_signed(&address, &challenge));
        assert!(!receipt.is_signed(&BlockAddress([9; 32]), &challenge));
        assert!(!receipt.is_signed(&address, &Challenge([9; 16])));
        let stolen = Receipt { holder: NodeKey::from_seed(&[4; 32]).id(), ..receipt };
        assert!(!stolen.is_signed(&address, &challenge));
    }
}
