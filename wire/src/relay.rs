//! TCP relays: for those whom no datagram reaches (Tox Reference, "TCP server" and "TCP client";
//! where they are wrong or silent, research note `tox.md` 1.5).
//!
//! - [`hello`]: client and server each send one message, and share a session key.
//! - [`frame`]: after that everything is frames: a length and a sealed box.
//! - [`packet`]: what the boxes contain.

pub mod frame;
pub mod hello;
pub mod packet;

pub use frame::{MAX_FRAME, MAX_RELAY_PACKET, open_frame, seal_frame, split_frame};
pub use hello::{RelayAnswerHeader, RelayHelloHeader, RelayKeys};
pub use packet::{ConnectionId, MAX_OOB_DATA, RelayPacket};
