//! The heavy work on one segment, as values that can be sent to a worker: no state, no IO.
//!
//! Data blocks are encrypted, then coded: parity is computed over ciphertext, so that whoever may only
//! verify can repair. Each parity shard is encrypted once more under its own position: otherwise the
//! parity of a segment of one block would be that very block, and the holders of many blocks of a
//! segment could see that they belong together.

use core::ops::Range;
use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;

use super::layout::Segment;
use crate::block::{Block, BlockAddress, BlockError, FileKeys, Position};
use crate::fec::{self, FecError};

/// Why a segment could not be coded.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CodingError {
    /// The plaintext is not as long as the segment says.
    #[error("the segment holds {expected} bytes, {got} were given")]
    Length {
        /// Bytes of the segment.
        expected: usize,
        /// Bytes given.
        got: usize,
    },
    /// The keys do not allow it: content can only be encrypted with the read key.
    #[error("a verify-only capability cannot do this")]
    VerifyOnly,
    /// Reed–Solomon refused the shards.
    #[error(transparent)]
    Fec(#[from] FecError),
    /// A block has a size that its segment does not have.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// A recovered block has another address than the index says: whoever stored the file made parity
    /// that does not belong to the data. The data blocks themselves may still be found.
    #[error("parity contradicts data block {index}: the file was stored with a fault")]
    Inconsistent {
        /// The data block.
        index: u16,
    },
}

impl Segment {
    /// The position of a block of this segment.
    const fn position(&self, index: u16) -> Position {
        Position { level: self.level, segment: self.number, index }
    }
}

/// Plaintext of a segment that shall become blocks.
#[derive(Debug)]
pub struct EncodeJob {
    /// The file's keys.
    pub keys: FileKeys,
    /// The segment.
    pub segment: Segment,
    /// Its part of the level's stream, `segment.length` bytes.
    pub plaintext: Bytes,
}

/// A segment's blocks: data, then parity.
#[derive(Debug)]
pub struct Encoded {
    /// The segment.
    pub segment: Segment,
    /// Its `segment.blocks()` blocks.
    pub blocks: Vec<Block>,
}

impl EncodeJob {
    /// Encrypts, codes and names. About a millisecond a megabyte.
    ///
    /// # Errors
    /// [`CodingError`] if the plaintext is not the segment's or the keys cannot encrypt it.
    pub fn run(self) -> Result<Encoded, CodingError> {
        let Self { keys, segment, plaintext } = self;
        let expected = segment.length as usize;
        if plaintext.len() != expected {
            return Err(CodingError::Length { expected, got: plaintext.len() });
        }
        let size = segment.size.bytes();
        let mut shards = Vec::with_capacity(usize::from(segment.blocks()));
        for (index, part) in (0..segment.data).zip(plaintext.chunks(size)) {
            let mut shard = Vec::with_capacity(size);
            shard.extend_from_slice(part);
            shard.resize(size, 0);
            if !keys.apply_data(segment.position(index), &mut shard) {
                return Err(CodingError::VerifyOnly);
            }
            shards.push(shard);
        }
        drop(plaintext);
        let data: Vec<&[u8]> = shards.iter().map(Vec::as_slice).collect();
        let parity = fec::encode(&data)?;
        for (index, mut shard) in (segment.data..).zip(parity) {
            keys.apply_structure(segment.position(index), &mut shard);
            shards.push(shard);
        }
        let blocks = shards.into_iter().map(|shard| Block::new(shard.into()));
        Ok(Encoded { segment, blocks: blocks.collect::<Result<_, _>>()? })
    }
}

/// Blocks of a segment that shall become plaintext, and missing blocks that shall be made again.
#[derive(Debug)]
pub struct DecodeJob {
    /// The file's keys.
    pub keys: FileKeys,
    /// The segment.
    pub segment: Segment,
    /// The addresses of all its blocks.
    pub addresses: Vec<BlockAddress>,
    /// The blocks at hand, by index.
    pub have: BTreeMap<u16, Block>,
    /// The data blocks whose plaintext is wanted.
    pub wanted: Range<u16>,
    /// Blocks that were found missing and shall be made again. Only looked at if there is enough.
    pub repair: Vec<u16>,
}

/// What came of a [`DecodeJob`].
#[derive(Debug)]
pub struct Decoded {
    /// The segment.
    pub segment: Segment,
    /// The wanted blocks' plaintext, without the padding; empty for content without the read key.
    pub plaintext: Bytes,
    /// The blocks made again.
    pub repaired: Vec<Block>,
}

impl DecodeJob {
    /// Decrypts what is wanted, recovering what is missing from any `segment.data` blocks. A recovered
    /// block is checked against its address: the file is what its capability names or it is an error.
    ///
    /// # Errors
    /// [`CodingError::Fec`] if there are too few blocks, [`CodingError::Inconsistent`] if they
    /// contradict each other.
    pub fn run(self) -> Result<Decoded, CodingError> {
        let lacks_wanted = self.wanted.clone().any(|index| !self.have.contains_key(&index));
        let recovered = if lacks_wanted || (!self.repair.is_empty() && self.is_enough()) {
            self.recover()?
        } else {
            BTreeMap::new()
        };
        let repaired = self.repair(&recovered)?;
        let plaintext = self.decrypt(&recovered)?;
        Ok(Decoded { segment: self.segment, plaintext, repaired })
    }

    /// True if the whole segment can be recovered.
    fn is_enough(&self) -> bool {
        self.have.len() >= usize::from(self.segment.data)
    }

    /// The missing data blocks.
    fn recover(&self) -> Result<BTreeMap<u16, Block>, CodingError> {
        let mut shards: Vec<(usize, Cow<'_, [u8]>)> = Vec::with_capacity(self.have.len());
        for (&index, block) in self.have.iter().take(usize::from(self.segment.data)) {
            let shard = if index < self.segment.data {
                Cow::Borrowed(&block.bytes()[..])
            } else {
                let mut shard = block.bytes().to_vec();
                self.keys.apply_structure(self.segment.position(index), &mut shard);
                Cow::Owned(shard)
            };
            shards.push((usize::from(index), shard));
        }
        let have = shards.iter().map(|(index, shard)| (*index, &**shard)).collect();
        let mut recovered = BTreeMap::new();
        for (index, shard) in fec::recover(usize::from(self.segment.data), &have)? {
            let index = u16::try_from(index).map_err(|_| FecError::Index(index))?;
            let block = Block::new(shard.into())?;
            if self.addresses.get(usize::from(index)) != Some(&block.address()) {
                return Err(CodingError::Inconsistent { index });
            }
            recovered.insert(index, block);
        }
        Ok(recovered)
    }

    /// A data block, at hand or recovered.
    fn data<'a>(&'a self, recovered: &'a BTreeMap<u16, Block>, index: u16) -> Option<&'a Block> {
        self.have.get(&index).or_else(|| recovered.get(&index))
    }

    /// The missing blocks, made again. Parity that contradicts the index is left out: it would be of
    /// use to nobody.
    fn repair(&self, recovered: &BTreeMap<u16, Block>) -> Result<Vec<Block>, CodingError> {
        let data: Vec<&[u8]> = (0..self.segment.data)
            .filter_map(|index| self.data(recovered, index))
            .map(|block| &block.bytes()[..])
            .collect();
        if data.len() < usize::from(self.segment.data) {
            return Ok(Vec::new());
        }
        let needs_parity = self.repair.iter().any(|index| *index >= self.segment.data);
        let parity = if needs_parity { fec::encode(&data)? } else { Vec::new() };
        let mut repaired = Vec::with_capacity(self.repair.len());
        for &index in &self.repair {
            let block = match index.checked_sub(self.segment.data) {
                None => self.data(recovered, index).cloned(),
                Some(number) => match parity.get(usize::from(number)) {
                    None => None,
                    Some(shard) => {
                        let mut shard = shard.clone();
                        self.keys.apply_structure(self.segment.position(index), &mut shard);
                        Some(Block::new(shard.into())?)
                    }
                },
            };
            let address = self.addresses.get(usize::from(index));
            repaired.extend(block.filter(|block| address == Some(&block.address())));
        }
        Ok(repaired)
    }

    /// The wanted plaintext.
    fn decrypt(&self, recovered: &BTreeMap<u16, Block>) -> Result<Bytes, CodingError> {
        let size = self.segment.size.bytes();
        if self.segment.level == 0 && !self.keys.can_read() {
            return Ok(Bytes::new());
        }
        let mut plaintext = Vec::with_capacity(size * self.wanted.len());
        for index in self.wanted.clone() {
            let missing =
                FecError::TooFew { have: self.have.len(), need: self.segment.data.into() };
            let block = self.data(recovered, index).ok_or(missing)?;
            let start = plaintext.len();
            plaintext.extend_from_slice(block.bytes());
            if let Some(bytes) = plaintext.get_mut(start..) {
                self.keys.apply_data(self.segment.position(index), bytes);
            }
        }
        let end =
            (self.segment.length as usize).saturating_sub(usize::from(self.wanted.start) * size);
        plaintext.truncate(end);
        Ok(plaintext.into())
    }
}

#[cfg(test)]
mod tests {
    use toktok_wire::Rng;

    use super::*;
    use crate::block::ReadKey;
    use crate::file::Layout;

    fn read_key() -> ReadKey {
        ReadKey::from_bytes([1; 32])
    }

    fn encoded(length: u64) -> (Bytes, Encoded) {
        let mut plaintext = vec![0; length as usize];
        Rng::from_seed([2; 32]).fill(&mut plaintext);
        let plaintext = Bytes::from(plaintext);
        let segment = Layout::new(length).unwrap().level(0).unwrap().segment(0).unwrap();
        let keys = FileKeys::reader(&read_key());
        let job = EncodeJob { keys, segment, plaintext: plaintext.clone() };
        (plaintext, job.run().unwrap())
    }

    fn job(encoded: &Encoded, have: impl Iterator<Item = u16>) -> DecodeJob {
        DecodeJob {
            keys: FileKeys::reader(&read_key()),
            segment: encoded.segment,
            addresses: encoded.blocks.iter().map(Block::address).collect(),
            have: have.map(|index| (index, encoded.blocks[usize::from(index)].clone())).collect(),
            wanted: 0..encoded.segment.data,
            repair: Vec::new(),
        }
    }

    #[test]
    fn data_alone_and_parity_alone_give_the_plaintext() {
        for length in [4081, 4096, 9000, 300_000] {
            let (plaintext, encoded) = encoded(length);
            let k = encoded.segment.data;
            assert_eq!(job(&encoded, 0..k).run().unwrap().plaintext, plaintext);
            let last = encoded.segment.blocks();
            assert_eq!(job(&encoded, last - k..last).run().unwrap().plaintext, plaintext);
        }
    }

    #[test]
    fn no_two_blocks_of_a_segment_are_alike() {
        let (_, encoded) = encoded(4096);
        let mut addresses: Vec<_> = encoded.blocks.iter().map(Block::address).collect();
        addresses.sort_unstable();
        addresses.dedup();
        assert_eq!(addresses.len(), 8);
    }

    #[test]
    fn a_verifier_repairs_and_reads_nothing() {
        let (_, encoded) = encoded(9000);
        let verifier = FileKeys::verifier(&read_key().verify_key());
        let repair = vec![0, 2, 3, 7];
        let mut job = DecodeJob { keys: verifier, repair, ..job(&encoded, [1, 4, 5].into_iter()) };
        let decoded = DecodeJob { have: job.have.clone(), ..job_like(&job) }.run().unwrap();
        assert!(decoded.plaintext.is_empty());
        let expected: Vec<_> = [0, 2, 3, 7].map(|i: usize| encoded.blocks[i].clone()).into();
        assert_eq!(decoded.repaired, expected);
        job.have.remove(&1);
        assert!(matches!(job.run(), Err(CodingError::Fec(FecError::TooFew { have: 2, need: 3 }))));
    }

    fn job_like(job: &DecodeJob) -> DecodeJob {
        DecodeJob {
            keys: job.keys.clone(),
            segment: job.segment,
            addresses: job.addresses.clone(),
            have: BTreeMap::new(),
            wanted: job.wanted.clone(),
            repair: job.repair.clone(),
        }
    }

    #[test]
    fn parity_that_contradicts_the_data_is_found_out() {
        let (_, encoded) = encoded(9000);
        let mut job = job(&encoded, [1, 2, 3].into_iter());
        job.have.insert(3, Block::new(vec![9; 4096].into()).unwrap());
        assert!(matches!(job.run(), Err(CodingError::Inconsistent { index: 0 })));
    }

    #[test]
    fn a_part_needs_only_its_own_blocks() {
        let (plaintext, encoded) = encoded(300_000);
        let job = DecodeJob { wanted: 3..5, ..job(&encoded, 3..5) };
        assert_eq!(job.run().unwrap().plaintext, plaintext[3 * 65536..]);
    }

    #[test]
    fn plaintext_of_another_length_is_refused() {
        let (_, encoded) = encoded(9000);
        let keys = FileKeys::reader(&read_key());
        let job = EncodeJob { keys, segment: encoded.segment, plaintext: vec![0; 8999].into() };
        let expected = CodingError::Length { expected: 9000, got: 8999 };
        assert_eq!(job.run().map(|_| ()), Err(expected));
    }
}
