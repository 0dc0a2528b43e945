//! The only place of this crate with tokio, sockets, the clock and the system's randomness. Small and
//! dull on purpose: it moves bytes and wakes the stack.

mod binding;
mod clock;
mod driver;
mod entropy;
mod interfaces;
mod mesh;
mod strangers;
mod streams;
pub mod transport;

pub use binding::Binding;
pub use clock::Clock;
pub use driver::{Driver, Handle, IoReply, Stopped, WeakHandle};
pub use entropy::{EntropyError, system_rng};
pub use interfaces::{broadcast_addresses, follow_interfaces};
pub use mesh::{
    Channel, ConnectFailure, Listener, Mesh, MeshBuilder, SendFailure, Session, SpawnError,
};
pub use streams::{CONNECT_TIME, MAX_INCOMING_STREAMS};
pub use transport::{Capabilities, MemoryNetwork, MemoryTransport, Transport, UdpTransport};
