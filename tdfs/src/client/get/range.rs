//! What a range of the content needs of each level, and the index blocks that were fetched for it.

use core::ops::Range;
use std::collections::BTreeMap;

use bytes::Bytes;

use crate::block::BlockAddress;
use crate::fec;
use crate::file::{Layout, Segment};

/// Most index blocks that are kept a level: 4 MiB, the index of 4 GiB of content.
const KEPT: usize = 64;
/// Index blocks that are fetched at once when one is needed: the index of 1 GiB of content.
const AHEAD: u64 = 16;

/// Data blocks of each level that a range of the content needs.
#[derive(Debug)]
pub(super) struct Extent {
    levels: Vec<Range<u64>>,
}

impl Extent {
    /// What bytes `range` of a file need. An empty range needs nothing.
    pub(super) fn new(layout: &Layout, range: &Range<u64>) -> Self {
        let mut levels = Vec::new();
        let mut bytes = range.clone();
        for level in layout.levels() {
            let size = level.size().bytes() as u64;
            let blocks = bytes.start / size..bytes.end.div_ceil(size);
            if bytes.is_empty() {
                levels.push(0..0);
                continue;
            }
            let segments = segments_of(&blocks);
            levels.push(blocks);
            let last = segments.end.saturating_sub(1);
            let tail = level.segment(last).map_or(0, |segment| address_bytes(&segment));
            bytes = Layout::addresses_at(segments.start)..Layout::addresses_at(last) + tail;
        }
        Self { levels }
    }

    /// The segments of the content that the range touches.
    pub(super) fn segments(&self) -> Range<u64> {
        self.levels.first().map_or(0..0, segments_of)
    }

    /// The data blocks of a segment that the range touches.
    pub(super) fn within(&self, segment: &Segment) -> Range<u16> {
        let first = segment.number * fec::MAX_DATA as u64;
        let level = self.levels.get(usize::from(segment.level)).cloned().unwrap_or(0..0);
        let clip = |block: u64| block.saturating_sub(first).min(u64::from(segment.data)) as u16;
        clip(level.start)..clip(level.end)
    }
}

/// The segments of some blocks.
const fn segments_of(blocks: &Range<u64>) -> Range<u64> {
    let size = fec::MAX_DATA as u64;
    blocks.start / size..blocks.end.div_ceil(size)
}

/// Bytes of the addresses of a segment's blocks.
fn address_bytes(segment: &Segment) -> u64 {
    u64::from(segment.blocks()) * BlockAddress::LEN as u64
}

/// Index blocks at hand, by level and number.
#[derive(Debug, Default)]
pub(super) struct Index {
    root: Vec<BlockAddress>,
    levels: BTreeMap<u8, BTreeMap<u64, Bytes>>,
}

/// The addresses of a segment, or what must be fetched to know them.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Lookup {
    Addresses(Vec<BlockAddress>),
    /// Data blocks of a segment of the level above.
    Needs(Segment, Range<u16>),
}

impl Index {
    /// The addresses in the root block.
    pub(super) const fn new(root: Vec<BlockAddress>) -> Self {
        Self { root, levels: BTreeMap::new() }
    }

    /// The addresses of a segment's blocks; `None` if the layout has no such segment.
    pub(super) fn lookup(
        &self,
        layout: &Layout,
        extent: &Extent,
        segment: &Segment,
    ) -> Option<Lookup> {
        let start = Layout::addresses_at(segment.number);
        let end = start + address_bytes(segment);
        let Some(above) = layout.level(segment.level + 1) else {
            let each = BlockAddress::LEN as u64;
            let range = (start / each) as usize..(end / each) as usize;
            return self.root.get(range).map(|slice| Lookup::Addresses(slice.to_vec()));
        };
        let size = above.size().bytes() as u64;
        let blocks = start / size..end.div_ceil(size);
        let kept = self.levels.get(&(segment.level + 1));
        let mut bytes = Vec::with_capacity(blocks.clone().count() * size as usize);
        for number in blocks.clone() {
            let Some(block) = kept.and_then(|kept| kept.get(&number)) else {
                return Self::needs(above.segment(segments_of(&blocks).start)?, extent, &blocks);
            };
            bytes.extend_from_slice(block);
        }
        let offset = (start - blocks.start * size) as usize;
        let slice = bytes.get(offset..offset + (end - start) as usize)?;
        let (addresses, _) = slice.as_chunks::<{ BlockAddress::LEN }>();
        Some(Lookup::Addresses(addresses.iter().copied().map(BlockAddress).collect()))
    }

    /// The part of an index segment to fetch: the blocks needed and some of those needed later.
    fn needs(segment: Segment, extent: &Extent, blocks: &Range<u64>) -> Option<Lookup> {
        let first = segment.number * fec::MAX_DATA as u64;
        let start = blocks.start.checked_sub(first)?;
        let end = blocks.end.checked_sub(first)?.max(start + AHEAD);
        let end = end.min(u64::from(extent.within(&segment).end));
        Some(Lookup::Needs(segment, u16::try_from(start).ok()?..u16::try_from(end).ok()?))
    }

    /// Keeps the plaintext of data blocks of an index segment, from block `first` of it on.
    pub(super) fn insert(&mut self, segment: &Segment, first: u16, plaintext: &Bytes) {
        let kept = self.levels.entry(segment.level).or_default();
        let mut number = segment.number * fec::MAX_DATA as u64 + u64::from(first);
        let mut rest = plaintext.clone();
        while !rest.is_empty() {
            let block = rest.split_to(rest.len().min(segment.size.bytes()));
            kept.insert(number, block);
            number += 1;
        }
        // Reading goes upwards: the lowest are done with.
        while kept.len() > KEPT {
            kept.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_range_touches_only_its_blocks_and_their_index() {
        let layout = Layout::new(10_000 * MIB).unwrap();
        // 625 segments; their addresses fill 156.25 bulk blocks, one index segment.
        assert_eq!(layout.levels().len(), 3);
        let extent = Extent::new(&layout, &(100 * MIB + 1..100 * MIB + 2));
        assert_eq!(extent.segments(), 6..7);
        let segment = layout.level(0).unwrap().segment(6).unwrap();
        assert_eq!(extent.within(&segment), 64..65);
        let index = Index::new(vec![BlockAddress([0; 32]); layout.root_addresses()]);
        let above = layout.level(1).unwrap().segment(0).unwrap();
        let lookup = index.lookup(&layout, &extent, &segment);
        assert_eq!(lookup, Some(Lookup::Needs(above, 1..2)));
        let nothing = Extent::new(&layout, &(5..5));
        assert!(nothing.segments().is_empty());
    }

    #[test]
    fn addresses_come_from_the_blocks_above() {
        let layout = Layout::new(100 * MIB).unwrap();
        let extent = Extent::new(&layout, &(0..100 * MIB));
        let above = layout.level(1).unwrap().segment(0).unwrap();
        let stream: Vec<u8> = (0..3200_u32)
            .flat_map(|number| {
                let mut address = [0; 32];
                address[..4].copy_from_slice(&number.to_be_bytes());
                address
            })
            .collect();
        let mut index = Index::default();
        index.insert(&above, 0, &stream.into());
        for number in 0..7 {
            let segment = layout.level(0).unwrap().segment(number).unwrap();
            let Some(Lookup::Addresses(addresses)) = index.lookup(&layout, &extent, &segment)
            else {
                panic!("segment {number}");
            };
            assert_eq!(addresses.len(), usize::from(segment.blocks()));
            let first = u32::from_be_bytes(*addresses[0].0.first_chunk().unwrap());
            assert_eq!(u64::from(first), number * 512);
        }
    }
}
