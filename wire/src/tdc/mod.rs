//! The messages of the TokTok Distributed Computer, generated from `proto/tdc.proto` by `cargo xtask codegen`.
//!
//! Only shapes live here. What a message means, and which sizes are accepted, is decided by `toktok-tdc`.

#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated: names and shapes come from the schema, which carries the comments"
)]
#[rustfmt::skip]
mod generated;

pub use generated::*;
