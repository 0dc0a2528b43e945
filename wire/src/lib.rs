#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod address;
pub mod announcement;
pub mod bootstrap_info;
pub mod channel;
pub mod codec;
pub mod conference;
pub mod dht;
#[cfg(feature = "encrypted-save")]
pub mod encrypted_save;
pub mod forwarding;
pub mod friend;
pub mod key;
pub mod kind;
pub mod lan;
pub mod messenger;
pub mod nat;
pub mod node_key;
pub mod nonce;
pub mod onion;
mod poly1305;
pub mod relay;
pub mod rng;
mod salsa;
pub mod save;
pub mod sealed;
pub mod session;
#[cfg(feature = "tdc")]
pub mod tdc;
#[cfg(feature = "tdfs")]
pub mod tdfs;
pub mod time;
pub mod tox_id;

pub use address::{Address, CustomAddress, PackedNode, TransportId};
pub use codec::{Decode, DecodeError, Encode, Reader};
pub use key::{KeyPair, PublicKey, SecretKey, SharedKey};
pub use kind::Kind;
pub use node_key::NodeKey;
pub use nonce::Nonce;
pub use rng::Rng;
pub use time::Time;
pub use tox_id::ToxId;
