//! Where every block of a file stands: a pure function of the file's length.
//!
//! Level 0 is the content, cut into blocks, cut into segments of up to 256 data blocks and their
//! parity. The addresses of a level's blocks, in order (a segment's data, then its parity), are the
//! stream of the level above, which is cut and coded in the very same way. The first level whose
//! addresses fit into the root ends the tower.

use crate::block::{BlockAddress, BlockSize};
use crate::fec;

/// Bytes of a root block in front of the addresses or the inline content.
pub const ROOT_HEADER: usize = 16;

/// Longest content that lies in the root block itself, in bytes.
pub const INLINE_LIMIT: u64 = (BlockSize::Small.bytes() - ROOT_HEADER) as u64;

/// Most addresses in a root block.
pub const ROOT_ADDRESSES: usize = INLINE_LIMIT as usize / BlockAddress::LEN;

/// Longest stream in small blocks, in bytes: 63 of them and their 63 parity blocks just fit into the
/// root. Above, four bulk blocks or more make parity as cheap as it gets (one for one).
pub const SMALL_LIMIT: u64 = (ROOT_ADDRESSES as u64 / 2) * BlockSize::Small.bytes() as u64;

/// Longest file, in bytes (16 TiB): three index levels above it.
pub const MAX_LENGTH: u64 = 1 << 44;

/// The shape of one segment: what must be known to code it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Segment {
    /// Level of the segment: 0 is the content.
    pub level: u8,
    /// Number of the segment within its level.
    pub number: u64,
    /// Size of its blocks.
    pub size: BlockSize,
    /// Data blocks, at least one.
    pub data: u16,
    /// Parity blocks.
    pub parity: u16,
    /// Bytes of the level's stream that the data blocks hold; the rest of the last block is zeros.
    pub length: u32,
    /// Where in the level's stream the first of these bytes stands.
    pub offset: u64,
}

impl Segment {
    /// All blocks: data, then parity.
    pub const fn blocks(&self) -> u16 {
        self.data + self.parity
    }
}

/// One level's stream and how it is cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Level {
    number: u8,
    length: u64,
    size: BlockSize,
}

impl Level {
    /// The level `number` of a stream of `length` bytes.
    const fn new(number: u8, length: u64) -> Self {
        let size = if length <= SMALL_LIMIT { BlockSize::Small } else { BlockSize::Bulk };
        Self { number, length, size }
    }

    /// Length of the stream, in bytes.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Size of the level's blocks.
    pub const fn size(&self) -> BlockSize {
        self.size
    }

    /// Bytes of the stream in a full segment.
    pub const fn segment_bytes(&self) -> u64 {
        (fec::MAX_DATA * self.size.bytes()) as u64
    }

    /// Segments of the level.
    pub const fn segments(&self) -> u64 {
        self.length.div_ceil(self.segment_bytes())
    }

    /// Segment `number`, if the level has one.
    pub fn segment(&self, number: u64) -> Option<Segment> {
        let offset = number.checked_mul(self.segment_bytes())?;
        let left = self.length.checked_sub(offset).filter(|left| *left > 0)?;
        let length = left.min(self.segment_bytes());
        let data = length.div_ceil(self.size.bytes() as u64);
        Some(Segment {
            level: self.number,
            number,
            size: self.size,
            data: u16::try_from(data).ok()?,
            parity: u16::try_from(fec::parity_count(usize::try_from(data).ok()?)).ok()?,
            length: u32::try_from(length).ok()?,
            offset,
        })
    }

    /// Data and parity blocks of the level.
    pub fn blocks(&self) -> u64 {
        let full = self.segments().saturating_sub(1);
        let last = self.segment(full).map_or(0, |segment| u64::from(segment.blocks()));
        full * FULL_SEGMENT + last
    }
}

/// Blocks of a full segment.
const FULL_SEGMENT: u64 = (fec::MAX_DATA + fec::parity_count(fec::MAX_DATA)) as u64;

/// Where every block of a file of one length stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Layout {
    length: u64,
    levels: Vec<Level>,
}

impl Layout {
    /// The layout of a file of `length` bytes; `None` beyond [`MAX_LENGTH`].
    pub fn new(length: u64) -> Option<Self> {
        if length > MAX_LENGTH {
            return None;
        }
        let mut levels = Vec::new();
        if length > INLINE_LIMIT {
            let mut level = Level::new(0, length);
            while level.blocks() > ROOT_ADDRESSES as u64 {
                let addresses = level.blocks() * BlockAddress::LEN as u64;
                let above = Level::new(level.number + 1, addresses);
                levels.push(level);
                level = above;
            }
            levels.push(level);
        }
        Some(Self { length, levels })
    }

    /// Length of the content, in bytes.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// True if the content lies in the root block itself.
    pub const fn is_inline(&self) -> bool {
        self.levels.is_empty()
    }

    /// The levels, content first. Empty when the content is inline.
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// Level `number`.
    pub fn level(&self, number: u8) -> Option<&Level> {
        self.levels.get(usize::from(number))
    }

    /// Addresses in the root block: the blocks of the topmost level.
    pub fn root_addresses(&self) -> usize {
        self.levels.last().map_or(0, |level| level.blocks() as usize)
    }

    /// Where in the stream of the level above (or in the root, for the topmost level) a segment's
    /// addresses begin, in bytes.
    pub const fn addresses_at(segment: u64) -> u64 {
        segment * FULL_SEGMENT * BlockAddress::LEN as u64
    }

    /// All blocks of the file, the root included.
    pub fn blocks(&self) -> u64 {
        1 + self.levels.iter().map(Level::blocks).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;

    fn shape(length: u64) -> Vec<(BlockSize, u64)> {
        let layout = Layout::new(length).unwrap();
        layout.levels().iter().map(|level| (level.size(), level.blocks())).collect()
    }

    #[test]
    fn boundaries() {
        use BlockSize::{Bulk, Small};
        assert_eq!(shape(0), []);
        assert_eq!(shape(INLINE_LIMIT), []);
        assert_eq!(shape(INLINE_LIMIT + 1), [(Small, 8)]);
        assert_eq!(shape(4 * KIB), [(Small, 8)]);
        assert_eq!(shape(SMALL_LIMIT), [(Small, 126)]);
        assert_eq!(shape(SMALL_LIMIT + 1), [(Bulk, 8)]);
        assert_eq!(shape(63 * 64 * KIB), [(Bulk, 126)]);
        assert_eq!(shape(63 * 64 * KIB + 1), [(Bulk, 128), (Small, 8)]);
        assert_eq!(shape(16 * MIB), [(Bulk, 512), (Small, 8)]);
        assert_eq!(shape(16 * MIB + 1), [(Bulk, 520), (Small, 10)]);
        assert_eq!(shape(100 * MIB), [(Bulk, 3200), (Small, 50)]);
        assert_eq!(Layout::new(MAX_LENGTH).unwrap().levels().len(), 4);
        assert_eq!(Layout::new(MAX_LENGTH + 1), None);
    }

    proptest! {
        #[test]
        fn segments_tile_each_level(length in prop_oneof![0..=64 * MIB, 0..=MAX_LENGTH]) {
            let layout = Layout::new(length).unwrap();
            prop_assert!(layout.root_addresses() <= ROOT_ADDRESSES);
            for (level, above) in layout.levels().iter().zip(layout.levels().iter().skip(1)) {
                prop_assert_eq!(level.blocks() * 32, above.length());
            }
            for level in layout.levels() {
                let last = level.segment(level.segments() - 1).unwrap();
                prop_assert_eq!(last.offset + u64::from(last.length), level.length());
                prop_assert!(level.segment(level.segments()).is_none());
                prop_assert!(last.data >= 1 && usize::from(last.data) <= fec::MAX_DATA);
                let end = Layout::addresses_at(last.number) / 32 + u64::from(last.blocks());
                prop_assert_eq!(end, level.blocks());
            }
        }
    }
}
