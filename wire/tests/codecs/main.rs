//! Every kind of packet keeps the codec's laws: what is encoded decodes to itself, accepted bytes
//! re-encode to themselves, a strict prefix is refused, and no bytes make a decoder panic.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[macro_use]
mod laws;
mod strategies;

mod announcement;
mod bases;
mod conference;
mod friend;
mod onion;
mod random;
mod relay;
mod sealed;
mod session;
