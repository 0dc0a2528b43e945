//! The only place of this crate with tokio: it drives the stack and hands programs to threads.

mod builder;
mod job;
mod tdc;

pub use builder::TdcBuilder;
pub use job::{Job, RunFailure};
pub use tdc::{Status, Tdc};
pub use toktok_tdfs::runtime::SpawnError;
