//! The TokTok Distributed File System. The page of prose is `README.md`, and takes this place soon.
#![forbid(unsafe_code)]

pub mod block;
pub mod capability;
pub mod fec;
pub mod file;
