//! The program as a person meets it: what it does on good input, and what it says on bad.
#![expect(clippy::expect_used, reason = "a test that cannot go on says so and stops")]

mod bad_input;
mod demo;
mod friends;
mod lan;
mod network;
mod saves;
mod support;
mod unlinked;
