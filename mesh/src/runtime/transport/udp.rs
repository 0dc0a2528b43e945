//! UDP, by tokio; on Linux many datagrams a system call, where kernel and address family allow it.

mod batch;

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

use self::batch::Batch;
use super::{Capabilities, MAX_DATAGRAM, Sink, Transport};
use crate::wire::Address;

/// Socket buffers, in bytes: a few windows of bulk sessions. The system may grant less.
const SOCKET_BUFFER: usize = 4 << 20;

/// A UDP socket could not be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another program has the port.
    #[error(
        "UDP port {port} is in use: stop the other program, or choose another port (0 means any free one)"
    )]
    PortInUse {
        /// The port that was asked for.
        port: u16,
    },
    /// The system refused.
    #[error("cannot bind a UDP socket to {address}: {source}")]
    Refused {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// A bound UDP socket.
#[derive(Debug)]
pub struct UdpTransport {
    socket: UdpSocket,
    local: SocketAddr,
    batch: Option<Batch>,
}

impl UdpTransport {
    /// Binds a socket to `address`; port 0 means any free one. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`BindError`] says whether the port is taken or what else the system said.
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        Self::open(address).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::PortInUse { port: address.port() },
            _ => BindError::Refused { address, source },
        })
    }

    fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        // Larger buffers are a wish: the system's limit decides, and less works too.
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
        if address.is_ipv4() {
            // LAN discovery.
            socket.set_broadcast(true)?;
        } else {
            // IPv4 has a socket of its own.
            socket.set_only_v6(true)?;
        }
        socket.bind(&address.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        let local = socket.local_addr()?;
        let batch = Batch::new(&socket, local);
        Ok(Self { socket, local, batch })
    }

    /// The address it is bound to, with the port that the system chose.
    pub const fn local_socket_addr(&self) -> SocketAddr {
        self.local
    }
}

impl Transport for UdpTransport {
    fn capabilities(&self) -> Capabilities {
        Capabilities { id: None, mtu: MAX_DATAGRAM }
    }

    fn local_address(&self) -> Address {
        Address::udp(self.local)
    }

    fn carries(&self, to: &Address) -> bool {
        to.as_udp().is_some_and(|to| to.is_ipv4() == self.local.is_ipv4())
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        to: &Address,
        datagram: &[u8],
    ) -> Poll<io::Result<()>> {
        let Some(to) = to.as_udp() else {
            return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
        };
        self.socket.poll_send_to(cx, datagram, to).map_ok(|_| ())
    }

    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, Address)>> {
        if let Some(batch) = &mut self.batch {
            return batch.poll_recv_one(&self.socket, cx, buffer);
        }
        let mut buffer = ReadBuf::new(buffer);
        self.socket
            .poll_recv_from(cx, &mut buffer)
            .map_ok(|from| (buffer.filled().len(), Address::udp(from)))
    }

    fn poll_send_run(
        &mut self,
        cx: &mut Context<'_>,
        to: &Address,
        run: &[u8],
        segment: usize,
    ) -> Poll<io::Result<usize>> {
        if let (Some(batch), Some(to)) = (&self.batch, to.as_udp())
            && run.len() > segment
            && let Some(taken) = batch.poll_send(&self.socket, cx, to, run, segment)
        {
            return taken;
        }
        let first = run.len().min(segment);
        self.poll_send(cx, to, &run[..first]).map_ok(|()| first)
    }

    fn poll_recv_many(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut Sink<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(batch) = &mut self.batch {
            return batch.poll_recv(&self.socket, cx, sink);
        }
        let mut buffer = [0; MAX_DATAGRAM + 1];
        self.poll_recv(cx, &mut buffer).map_ok(|(len, from)| sink(from, &mut buffer[..len]))
    }
}
