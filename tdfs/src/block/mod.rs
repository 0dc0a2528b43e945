//! Blocks: ciphertext of one of two sizes, named by its BLAKE3 hash.
//!
//! Whoever stores or relays a block can check that it is the right one and can read nothing of it:
//! all blocks of a size look alike (design page TDFS, "Blocks and capabilities").

pub mod cipher;

use core::fmt;

use bytes::Bytes;

pub use cipher::{FileKeys, Position, ReadKey, VerifyKey};

/// The two sizes that a block can have, so that its length says next to nothing.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum BlockSize {
    /// 4 KiB: roots, records, and the pieces of files too short for [`BlockSize::Bulk`].
    Small,
    /// 64 KiB: everything else.
    Bulk,
}

impl BlockSize {
    /// Length of a block of this size, in bytes.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Small => 4 << 10,
            Self::Bulk => 64 << 10,
        }
    }

    /// The size whose length is `len` bytes, if there is one.
    pub const fn from_bytes(len: usize) -> Option<Self> {
        match len {
            0x1000 => Some(Self::Small),
            0x1_0000 => Some(Self::Bulk),
            _ => None,
        }
    }
}

/// The name of a block: BLAKE3 of its ciphertext.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BlockAddress(pub [u8; Self::LEN]);

impl BlockAddress {
    /// Length of an address, in bytes.
    pub const LEN: usize = 32;

    /// The address of a ciphertext.
    pub fn of(ciphertext: &[u8]) -> Self {
        Self(*blake3::hash(ciphertext).as_bytes())
    }

    /// The address as bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for BlockAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlockAddress {
    /// The first eight hexadecimal digits: enough to follow a block through a trace.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why bytes are not the block that they should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// The length is neither of the two block sizes.
    #[error("a block has 4096 or 65536 bytes, not {0}")]
    Length(usize),
    /// The bytes hash to another address.
    #[error("the bytes of block {wanted} hash to {got}")]
    Address {
        /// The address that was asked for.
        wanted: BlockAddress,
        /// The address of what came.
        got: BlockAddress,
    },
}

/// A block whose bytes are known to match its address. Cloning shares the bytes.
#[derive(Clone, Eq, PartialEq)]
pub struct Block {
    address: BlockAddress,
    size: BlockSize,
    bytes: Bytes,
}

impl Block {
    /// Names a ciphertext of our own.
    ///
    /// # Errors
    /// [`BlockError::Length`] if the length is neither of the two block sizes.
    pub fn new(bytes: Bytes) -> Result<Self, BlockError> {
        let size = BlockSize::from_bytes(bytes.len()).ok_or(BlockError::Length(bytes.len()))?;
        Ok(Self { address: BlockAddress::of(&bytes), size, bytes })
    }

    /// Takes a ciphertext that somebody else says is block `wanted`.
    ///
    /// # Errors
    /// [`BlockError::Length`] as [`Block::new`]; [`BlockError::Address`] if it is another block.
    pub fn verify(wanted: BlockAddress, bytes: Bytes) -> Result<Self, BlockError> {
        let block = Self::new(bytes)?;
        if block.address == wanted {
            Ok(block)
        } else {
            Err(BlockError::Address { wanted, got: block.address })
        }
    }

    /// The name of the block.
    pub const fn address(&self) -> BlockAddress {
        self.address
    }

    /// Which of the two sizes it has.
    pub const fn size(&self) -> BlockSize {
        self.size
    }

    /// The ciphertext.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The ciphertext, without the address.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({:?}, {:?})", self.address, self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_two_sizes_are_blocks() {
        for len in [0, 1, 4095, 4097, 65535, 65537] {
            assert_eq!(Block::new(Bytes::from(vec![0; len])), Err(BlockError::Length(len)));
        }
        for size in [BlockSize::Small, BlockSize::Bulk] {
            let block = Block::new(Bytes::from(vec![7; size.bytes()])).unwrap();
            assert_eq!((block.size(), block.bytes().len()), (size, size.bytes()));
            assert_eq!(BlockSize::from_bytes(size.bytes()), Some(size));
        }
    }

    #[test]
    fn one_flipped_bit_is_another_block() {
        let block = Block::new(Bytes::from(vec![7; 4096])).unwrap();
        let mut bytes = block.bytes().to_vec();
        bytes[4095] ^= 1;
        let verified = Block::verify(block.address(), bytes.into());
        assert!(
            matches!(verified, Err(BlockError::Address { wanted, .. }) if wanted == block.address())
        );
        assert_eq!(Block::verify(block.address(), block.bytes().clone()), Ok(block));
    }

    #[test]
    fn the_address_is_blake3() {
        // BLAKE3 of the empty input, from the BLAKE3 reference test vectors (test_vectors.json).
        let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(BlockAddress::of(b"").to_string(), empty);
        assert_eq!(format!("{:?}", BlockAddress::of(b"")), empty[..8]);
    }
}
