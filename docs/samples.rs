//! The samples of the book, compiled and run as documentation tests: a module a chapter.
#![forbid(unsafe_code)]
#![cfg(doctest)]

#[doc = include_str!("src/introduction.md")]
mod introduction {}
#[doc = include_str!("src/wire.md")]
mod wire {}
#[doc = include_str!("src/mesh.md")]
mod mesh {}
#[doc = include_str!("src/transports.md")]
mod transports {}
#[doc = include_str!("src/tdfs.md")]
mod tdfs {}
#[doc = include_str!("src/tdc.md")]
mod tdc {}
#[doc = include_str!("src/node.md")]
mod node {}
#[doc = include_str!("src/threat-model.md")]
mod threat_model {}
#[doc = include_str!("src/simulator.md")]
mod simulator {}
#[doc = include_str!("src/decisions.md")]
mod decisions {}
#[doc = include_str!("../README.md")]
mod readme {}
