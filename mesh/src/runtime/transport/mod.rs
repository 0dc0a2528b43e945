//! How datagrams travel: the seam at which a third party plugs in a carrier of its own.
//!
//! A transport moves whole datagrams to and from addresses that only it understands. It need not be
//! reliable, ordered or secret: the mesh above it is. Prove yours with
//! [`transport_conformance!`](crate::transport_conformance), and take a [`TransportId`] from the
//! registry in the project's documentation (`docs/`, chapter "Custom transports").

mod conformance;
mod memory;
pub(super) mod run;
mod udp;

use std::fmt;
use std::io;
use std::task::{Context, Poll};

pub use conformance::{
    Pair, carries_runs, exchange, keeps_datagrams_apart, refuses_what_it_cannot_carry,
};
pub use memory::{MEMORY_TRANSPORT, MemoryNetwork, MemoryTransport};
pub use udp::{BindError, UdpTransport};

use crate::wire::{Address, TransportId};

/// What a transport can do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Its registered number; `None` for UDP, which needs none.
    pub id: Option<TransportId>,
    /// The longest datagram it carries, in bytes. The mesh needs [`MIN_MTU`] at least.
    pub mtu: usize,
}

impl Capabilities {
    /// A custom transport that carries datagrams of up to `mtu` bytes.
    pub const fn custom(id: TransportId, mtu: usize) -> Self {
        Self { id: Some(id), mtu }
    }
}

/// The shortest MTU that carries every packet of a session (Tox's MAX_CRYPTO_PACKET_SIZE).
pub const MIN_MTU: usize = 1400;

/// Longest datagram that any Tox packet kind allows (Tox's MAX_UDP_PACKET_SIZE).
pub const MAX_DATAGRAM: usize = 2048;

/// Takes a datagram that came in: whence, and its bytes, which are scratch space afterwards.
pub type Sink<'a> = dyn FnMut(Address, &mut [u8]) + 'a;

/// A carrier of datagrams, owned by one driver.
pub trait Transport: fmt::Debug + Send + 'static {
    /// What it can do; constant over its life.
    fn capabilities(&self) -> Capabilities;

    /// The address under which others reach it, as far as it knows.
    fn local_address(&self) -> Address;

    /// True if it carries datagrams to `to`.
    fn carries(&self, to: &Address) -> bool {
        matches!((to, self.capabilities().id), (Address::Custom(to), Some(id)) if to.transport() == id)
    }

    /// Sends a datagram, or registers the waker and returns pending when it would have to wait.
    ///
    /// # Errors
    /// What went wrong with this datagram; the driver counts it and goes on.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        to: &Address,
        datagram: &[u8],
    ) -> Poll<io::Result<()>>;

    /// Takes the next datagram into `buffer` and tells its length and source, or registers the waker.
    /// A datagram longer than `buffer` may be cut: it is longer than any packet, and will be dropped.
    ///
    /// # Errors
    /// What went wrong; the driver counts it and goes on.
    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, Address)>>;

    /// Sends some of the datagrams that stand one after another in `run`, each of them `segment` bytes
    /// long but the last, which may be shorter; tells how many bytes it took, whole datagrams. By default
    /// it is one. A carrier that can hand over several at once saves its driver most of the work.
    ///
    /// # Errors
    /// What went wrong with the first of them; the driver counts it and goes on with the second.
    fn poll_send_run(
        &mut self,
        cx: &mut Context<'_>,
        to: &Address,
        run: &[u8],
        segment: usize,
    ) -> Poll<io::Result<usize>> {
        let first = run.len().min(segment);
        self.poll_send(cx, to, &run[..first]).map_ok(|()| first)
    }

    /// Gives the datagrams that came in to `sink`, or registers the waker. By default it is one.
    ///
    /// # Errors
    /// What went wrong; the driver counts it and goes on.
    fn poll_recv_many(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut Sink<'_>,
    ) -> Poll<io::Result<()>> {
        let mut buffer = [0; MAX_DATAGRAM + 1];
        self.poll_recv(cx, &mut buffer).map_ok(|(len, from)| sink(from, &mut buffer[..len]))
    }
}
