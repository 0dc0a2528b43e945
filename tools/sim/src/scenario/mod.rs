//! Runs that answer a question about a layer.

pub mod disk;
pub mod friends;
pub mod idle;
pub mod mesh;
pub mod nat;
mod nearest;
pub mod privacy;
mod summary;
pub mod tdfs;
mod world;

pub use nearest::Keys;
pub use summary::{Summary, ratio};
pub use world::{World, env_seed, seed_rng};
