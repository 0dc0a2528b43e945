//! The only place of this crate with tokio, sockets, the clock and the system's randomness. Small and
//! dull on purpose: it moves bytes and wakes the stack.

mod clock;
mod driver;
mod entropy;
mod mesh;
mod streams;
pub mod transport;

pub use clock::Clock;
pub use driver::{Driver, Handle, IoReply, Stopped, WeakHandle};
pub use entropy::{EntropyError, system_rng};
pub use mesh::{
    Channel, ConnectFailure, Listener, Mesh, MeshBuilder, SendFailure, Session, SpawnError,
    bind_relays,
};
pub use streams::{CONNECT_TIME, MAX_INCOMING_STREAMS};
pub use transport::{Capabilities, MemoryNetwork, MemoryTransport, Transport, UdpTransport};
