//! What can be wrong with a save file.

use thiserror::Error;

use super::MAX_SAVE;
use crate::codec::DecodeError;

/// Why a file could not be read.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum SaveError {
    /// It is encrypted: open it with its password first.
    #[error("the save is encrypted: it needs its password")]
    Encrypted,
    /// It does not begin like a save.
    #[error("not a Tox save")]
    NotASave,
    /// It is longer than [`MAX_SAVE`].
    #[error("a save is at most {MAX_SAVE} bytes")]
    TooLong,
    /// It has no section of keys, so it says of nobody who it is.
    #[error("the save has no keys in it")]
    NoKeys,
    /// It is cut off or damaged.
    #[error("the save is damaged at byte {at}: {cause}")]
    Damaged {
        /// Where, counted from 0: the field that could not be read, or the beginning of its section.
        at: usize,
        /// What is wrong there.
        cause: DecodeError,
    },
}
