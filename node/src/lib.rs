#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod api;
pub mod cli;
mod data_dir;
mod demo;
mod error;
mod node;
mod output;
pub mod person;
mod run;
mod saves;

pub use data_dir::DataDir;
pub use error::NodeError;
pub use node::{ComputeRequest, Fault, Node, NodeConfig, Progress};
