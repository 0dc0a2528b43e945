//! Tests that cross layers or talk to foreign programs, and what they share.

pub mod foreign;
pub mod hex;
