//! How bytes become values and values bytes: one trait each way, one error, one cursor.

use core::ops::RangeInclusive;

use thiserror::Error;

/// Why bytes are not the value that was asked for.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end too early.
    #[error("truncated: {need} bytes needed, {have} left")]
    Truncated {
        /// Bytes that the next field needs.
        need: usize,
        /// Bytes that are left.
        have: usize,
    },
    /// Bytes are left over after the value.
    #[error("{0} bytes after the end")]
    Trailing(usize),
    /// The packet is of another kind.
    #[error("packet kind {0:#04x} is not the expected one")]
    Kind(u8),
    /// A count or a length is over its limit.
    #[error("{what}: {got} is over the limit of {limit}")]
    Limit {
        /// The field.
        what: &'static str,
        /// Its limit.
        limit: usize,
        /// What it says.
        got: usize,
    },
    /// A field has a value that the protocol does not know.
    #[error("invalid {0}")]
    Invalid(&'static str),
}

/// A value with exactly one encoding.
pub trait Encode {
    /// The exact number of bytes that [`Encode::encode`] appends.
    fn encoded_len(&self) -> usize;

    /// Appends the encoding to `out`. Callers keep `out` and reuse it, so that no packet allocates.
    fn encode(&self, out: &mut Vec<u8>);

    /// The encoding in a fresh vector.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        self.encode(&mut out);
        debug_assert_eq!(out.len(), self.encoded_len());
        out
    }
}

/// Total: every input is `Ok` or `Err`, never a panic, never an allocation beyond the declared limit.
pub trait Decode<'a>: Sized {
    /// Reads one value from the cursor and leaves the cursor behind it.
    ///
    /// # Errors
    /// A [`DecodeError`] that says what was wrong; the cursor's place is then unspecified.
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError>;

    /// Reads one value from all of `bytes`.
    ///
    /// # Errors
    /// As [`Decode::decode`], and [`DecodeError::Trailing`] if bytes are left over.
    fn from_bytes(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

/// A cursor over borrowed bytes. Integers are big-endian, as everywhere in Tox but in save files.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A cursor at the start of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes that are left.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// True when nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if fewer are left.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(DecodeError::Truncated { need: len, have: self.rest.len() })?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(DecodeError::Truncated { need: N, have: self.rest.len() })?;
        self.rest = rest;
        Ok(*head)
    }

    /// All bytes that are left; the cursor is then at the end.
    pub fn take_rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    /// All bytes that are left, if they are as many as `bounds` allow; `what` names the field.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if they are fewer, [`DecodeError::Limit`] if they are more.
    pub fn rest_within(
        &mut self,
        what: &'static str,
        bounds: RangeInclusive<usize>,
    ) -> Result<&'a [u8], DecodeError> {
        let (need, limit) = bounds.into_inner();
        match self.rest.len() {
            have if have < need => Err(DecodeError::Truncated { need, have }),
            got if got > limit => Err(DecodeError::Limit { what, limit, got }),
            _ => Ok(self.take_rest()),
        }
    }

    /// One byte.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] at the end.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Two bytes, big-endian.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if fewer are left.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes, big-endian.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if fewer are left.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes, big-endian.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if fewer are left.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    /// Reads one byte that must be `kind`.
    ///
    /// # Errors
    /// [`DecodeError::Kind`] if it is another, [`DecodeError::Truncated`] at the end.
    pub fn kind(&mut self, kind: u8) -> Result<(), DecodeError> {
        match self.u8()? {
            got if got == kind => Ok(()),
            got => Err(DecodeError::Kind(got)),
        }
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// [`DecodeError::Trailing`] if something is.
    pub const fn finish(&self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(DecodeError::Trailing(left)),
        }
    }
}

impl<const N: usize> Encode for [u8; N] {
    fn encoded_len(&self) -> usize {
        N
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl<'a, const N: usize> Decode<'a> for [u8; N] {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.array()
    }
}
