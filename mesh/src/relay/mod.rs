//! TCP relays, both sides (Tox Reference, "TCP server", "TCP client", "TCP connections"; where it is
//! wrong or silent, research note `tox.md` 1.5): for those whom no datagram reaches.
//!
//! - [`server`]: this node as a relay for others.
//! - [`client`]: one connection to one relay; [`proxy`] leads it through a proxy.
//! - [`pool`]: all of this node's connections to relays, and which peers are reached through which.
//! - [`pipe`]: frames on a byte stream, as both sides see them.
//!
//! # How they are driven
//! What happens to streams goes in by `handle_stream`, time by `handle_timeout` at the `deadline`; what
//! is to be done with streams comes out through the outbox, and what the owner shall know by
//! `poll_event`, to be drained after every call. Incoming streams are the server's, outgoing ones the
//! pool's.

pub(crate) mod client;
mod pipe;
pub(crate) mod pool;
pub(crate) mod proxy;
pub(crate) mod server;

pub use self::proxy::Proxy;

#[cfg(test)]
mod stage;

use core::time::Duration;

/// Either side asks so often whether the other is still there (c-toxcore `TCP_PING_FREQUENCY`) …
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// … and waits so long for the answer (c-toxcore `TCP_PING_TIMEOUT`).
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may take from its beginning to the first frame (c-toxcore's clients:
/// `TCP_CONNECTION_TIMEOUT`; its server waits for ever).
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
