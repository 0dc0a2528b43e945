//! Tests that cross layers or talk to foreign programs, and what they share.

pub mod bootstrapd;
pub mod foreign;
pub mod hex;
pub mod internet;
pub mod lan;
pub mod measure;
pub mod measure_dht;
pub mod namespace;
pub mod our_client;
pub mod proxy;
pub mod tap;
pub mod tox_client;
pub mod toxic;
