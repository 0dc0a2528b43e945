//! Files: how bytes of any length become blocks, and blocks bytes again.
//!
//! [`Layout`] says where every block stands, [`Root`] is the block that a capability names,
//! [`coding`] holds the heavy work (encryption, parity, recovery) as plain functions that a runtime
//! gives to a worker, [`Manifest`] makes a folder of files.

pub mod coding;
pub mod layout;
pub mod manifest;
pub mod root;

pub use coding::{CodingError, DecodeJob, Decoded, EncodeJob, Encoded};
pub use layout::{Layout, Level, Segment};
pub use manifest::{Entry, Manifest, ManifestError};
pub use root::{Root, RootError};
