//! How an input becomes units, without anybody having to read all of it first.

use core::ops::Range;

use super::spec::InvalidJob;
use crate::config;

/// What ends a record.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Boundary {
    /// Nothing: pieces are cut where the numbers say (frames of a fixed size).
    Exact,
    /// A line feed.
    Newline,
    /// ASCII white space: space, tab, line feed, vertical tab, form feed, carriage return.
    #[default]
    Whitespace,
}

impl Boundary {
    fn is_separator(self, byte: u8) -> bool {
        match self {
            Self::Exact => false,
            Self::Newline => byte == b'\n',
            Self::Whitespace => matches!(byte, b' ' | 9..=13),
        }
    }
}

/// How the input becomes units.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Split {
    /// By bytes, each piece beginning and ending where a record does.
    Bytes {
        /// Bytes a unit, 1 to 63 MiB.
        unit_bytes: u64,
        /// What ends a record.
        boundary: Boundary,
    },
    /// No input: each unit is handed a range of numbers, as the text `from to` and a line feed.
    Numbers {
        /// First number.
        from: u64,
        /// One past the last number.
        to: u64,
        /// Numbers a unit.
        unit: u64,
    },
}

impl Default for Split {
    fn default() -> Self {
        Self::Bytes { unit_bytes: config::DEFAULT_UNIT_BYTES, boundary: Boundary::default() }
    }
}

impl Split {
    pub(super) fn validate(&self) -> Result<(), InvalidJob> {
        let sane = match *self {
            Self::Bytes { unit_bytes, .. } => {
                (1..=config::MAX_PIECE_BYTES - 2 * config::LOOK_AHEAD).contains(&unit_bytes)
            }
            Self::Numbers { from, to, unit } => unit > 0 && from < to,
        };
        if sane { Ok(()) } else { Err(InvalidJob::UnitSize) }
    }

    /// The units over an input of `input_len` bytes. An empty input is one empty unit.
    ///
    /// # Errors
    /// [`InvalidJob::UnitSize`], or [`InvalidJob::TooManyUnits`].
    pub fn units(&self, input_len: u64) -> Result<Units, InvalidJob> {
        self.validate()?;
        let count = match *self {
            Self::Bytes { unit_bytes, .. } => input_len.div_ceil(unit_bytes).max(1),
            Self::Numbers { from, to, unit } => (to - from).div_ceil(unit),
        };
        if count > config::MAX_UNITS {
            return Err(InvalidJob::TooManyUnits { units: count });
        }
        Ok(Units { split: *self, input_len, count: count as u32 })
    }
}

/// The units of a job: computed, not stored.
#[derive(Clone, Copy, Debug)]
pub struct Units {
    split: Split,
    input_len: u64,
    count: u32,
}

impl Units {
    /// How many.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// What unit `index` reads; `None` behind the last.
    pub fn source(&self, index: u32) -> Option<UnitSource> {
        if index >= self.count {
            return None;
        }
        let index = u64::from(index);
        Some(match self.split {
            Split::Bytes { unit_bytes, boundary } => {
                let from = index * unit_bytes;
                let to = (from + unit_bytes).min(self.input_len);
                UnitSource::Piece(Piece { from, to, input_len: self.input_len, boundary })
            }
            Split::Numbers { from, to, unit } => {
                let first = from + index * unit;
                UnitSource::Numbers { from: first, to: first.saturating_add(unit).min(to) }
            }
        })
    }
}

/// What one unit reads from standard input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UnitSource {
    /// A piece of the job's input.
    Piece(Piece),
    /// The text `from to` and a line feed.
    Numbers {
        /// First number.
        from: u64,
        /// One past the last number.
        to: u64,
    },
}

/// A piece of the input: the records that begin in `from..to`.
///
/// A record begins at the start of the input and behind every separator. Where the pieces really meet
/// is decided by the worker that reads there, from the bytes alone: at `x`, the cut is behind the first
/// separator at or after `x − 1`; at `x` itself if there is none within [`config::LOOK_AHEAD`] bytes;
/// and at the end of the input if that comes first.
/// Both neighbours of a cut see the same bytes and find the same place, so the pieces tile the input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Piece {
    /// First byte.
    pub from: u64,
    /// One past the last byte.
    pub to: u64,
    /// Length of the whole input.
    pub input_len: u64,
    /// What ends a record.
    pub boundary: Boundary,
}

impl Piece {
    /// True if the numbers make sense and the read is within the limit: to be asked of every piece
    /// that came from outside.
    pub fn is_valid(&self) -> bool {
        self.from <= self.to
            && self.to <= self.input_len
            && self.to - self.from <= config::MAX_PIECE_BYTES - 2 * config::LOOK_AHEAD
    }

    /// The bytes of the input that a worker must read to know its piece.
    pub fn read_range(&self) -> Range<u64> {
        match self.boundary {
            Boundary::Exact => self.from..self.to,
            _ => {
                let end = self.to.saturating_add(config::LOOK_AHEAD).min(self.input_len);
                self.from.saturating_sub(1)..end
            }
        }
    }

    /// Where in the bytes of [`Piece::read_range`] the piece lies; `None` if `read` has another length.
    pub fn cut(&self, read: &[u8]) -> Option<Range<usize>> {
        let range = self.read_range();
        if read.len() as u64 != range.end - range.start {
            return None;
        }
        let place = |at: u64| (self.cut_at(at, read, range.start) - range.start) as usize;
        Some(place(self.from)..place(self.to))
    }

    /// The cut at `at` when no separator is in sight: behind the last record if that is why.
    const fn uncut(&self, at: u64) -> u64 {
        if at - 1 + config::LOOK_AHEAD >= self.input_len { self.input_len } else { at }
    }

    /// The true cut at `at`, where `read` begins at `start` in the input.
    fn cut_at(&self, at: u64, read: &[u8], start: u64) -> u64 {
        if at == 0 || at >= self.input_len || self.boundary == Boundary::Exact {
            return at;
        }
        let begin = (at - 1 - start) as usize;
        let window = read.get(begin..).unwrap_or_default();
        window
            .iter()
            .take(config::LOOK_AHEAD as usize)
            .position(|byte| self.boundary.is_separator(*byte))
            .map_or_else(|| self.uncut(at), |found| at + found as u64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pieces(text: &[u8], unit_bytes: u64, boundary: Boundary) -> Vec<Vec<u8>> {
        let units = Split::Bytes { unit_bytes, boundary }.units(text.len() as u64).unwrap();
        (0..units.count())
            .map(|index| {
                let Some(UnitSource::Piece(piece)) = units.source(index) else { panic!("a piece") };
                assert!(piece.is_valid());
                let range = piece.read_range();
                let read = &text[range.start as usize..range.end as usize];
                read[piece.cut(read).unwrap()].to_vec()
            })
            .collect()
    }

    fn words(text: &[u8]) -> Vec<&[u8]> {
        text.split(|byte| matches!(byte, b' ' | 9..=13)).filter(|word| !word.is_empty()).collect()
    }

    proptest! {
        #[test]
        fn pieces_tile_the_input_and_cut_no_word(
            text in proptest::collection::vec(prop_oneof![Just(b' '), Just(b'\n'), Just(b'a'), any::<u8>()], 0..400),
            unit in 1_u64..60,
        ) {
            for boundary in [Boundary::Exact, Boundary::Newline, Boundary::Whitespace] {
                prop_assert_eq!(pieces(&text, unit, boundary).concat(), text.clone());
            }
            let whole = words(&text).len();
            let parts: usize = pieces(&text, unit, Boundary::Whitespace).iter().map(|p| words(p).len()).sum();
            prop_assert_eq!(parts, whole);
        }
    }

    #[test]
    fn a_record_longer_than_the_look_ahead_is_cut_once_by_both_neighbours() {
        let text = vec![b'x'; 3 * config::LOOK_AHEAD as usize];
        let parts = pieces(&text, config::LOOK_AHEAD, Boundary::Newline);
        assert_eq!(parts.concat(), text);
        assert_eq!(parts[0].len() as u64, config::LOOK_AHEAD);
    }

    #[test]
    fn a_last_word_without_an_end_is_not_cut() {
        let parts = pieces(b"one two three", 5, Boundary::Whitespace);
        assert_eq!(parts, [b"one two ".to_vec(), b"three".to_vec(), Vec::new()]);
    }

    #[test]
    fn an_empty_input_is_one_empty_unit() {
        assert_eq!(pieces(b"", 10, Boundary::Whitespace), vec![Vec::<u8>::new()]);
    }

    #[test]
    fn numbers_cover_their_range() {
        let units = Split::Numbers { from: 5, to: 12, unit: 3 }.units(0).unwrap();
        let sources: Vec<_> = (0..4).map(|i| units.source(i)).collect();
        let numbers = |from, to| Some(UnitSource::Numbers { from, to });
        assert_eq!(sources, [numbers(5, 8), numbers(8, 11), numbers(11, 12), None]);
    }

    #[test]
    fn too_many_units_are_refused() {
        let split = Split::Bytes { unit_bytes: 1, boundary: Boundary::Exact };
        let error = split.units(config::MAX_UNITS + 1).unwrap_err();
        assert_eq!(error, InvalidJob::TooManyUnits { units: config::MAX_UNITS + 1 });
    }
}
