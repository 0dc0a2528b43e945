//! Many datagrams a system call: the kernel cuts a long buffer into datagrams (GSO), gives several of
//! one source back as one (GRO), and several sources' in one call.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::super::Sink;
use crate::wire::Address;

/// Buffers that one call may fill.
const MESSAGES: usize = 16;
/// Bytes of a buffer: as much as the kernel joins at most.
const MESSAGE: usize = 1 << 16;
/// Most bytes that the kernel takes at once.
const MAX_RUN: usize = 65_000;

/// What a socket needs for many datagrams at once.
#[derive(Debug)]
pub(super) struct Batch {
    state: UdpSocketState,
    buffers: Box<[u8]>,
    /// Datagrams that came with another one when one was asked for.
    left: VecDeque<(Address, Vec<u8>)>,
}

impl Batch {
    /// `None` where the system's sockets do it one by one. So does IPv6: quinn's sockets send no fragments
    /// at all, which only IPv4 sockets can be talked out of, and Tox's packets do not shrink to fit a
    /// tunnel.
    pub(super) fn new(socket: &UdpSocket, local: SocketAddr) -> Option<Self> {
        if !cfg!(target_os = "linux") || !local.is_ipv4() {
            return None;
        }
        let state = UdpSocketState::new(socket.into()).ok()?;
        allow_fragments(socket).ok()?;
        let buffers = vec![0; MESSAGES * MESSAGE].into();
        Some(Self { state, buffers, left: VecDeque::new() })
    }

    /// Sends as many datagrams of a run as go at once; `None` if that is one.
    pub(super) fn poll_send(
        &self,
        socket: &UdpSocket,
        cx: &mut Context<'_>,
        destination: SocketAddr,
        run: &[u8],
        segment: usize,
    ) -> Option<Poll<io::Result<usize>>> {
        let count = self.state.max_gso_segments().min(MAX_RUN / segment.max(1));
        let len = run.len().min(count * segment);
        if len <= segment {
            return None;
        }
        let transmit = Transmit {
            destination,
            ecn: None,
            contents: &run[..len],
            segment_size: Some(segment),
            src_ip: None,
        };
        loop {
            match socket.poll_send_ready(cx) {
                Poll::Pending => return Some(Poll::Pending),
                Poll::Ready(Err(error)) => return Some(Poll::Ready(Err(error))),
                Poll::Ready(Ok(())) => {}
            }
            let send = || self.state.try_send(socket.into(), &transmit);
            match socket.try_io(Interest::WRITABLE, send) {
                Ok(()) => return Some(Poll::Ready(Ok(len))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Not in one piece. One by one each is taken or refused for a reason of its own.
                Err(error) => {
                    tracing::trace!(%error, len, segment, "a run was not sent at once");
                    return None;
                }
            }
        }
    }

    /// Gives what came in to `sink`.
    pub(super) fn poll_recv(
        &mut self,
        socket: &UdpSocket,
        cx: &mut Context<'_>,
        sink: &mut Sink<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.left.is_empty() {
            self.left.drain(..).for_each(|(from, mut datagram)| sink(from, &mut datagram));
            return Poll::Ready(Ok(()));
        }
        let mut meta = [RecvMeta::default(); MESSAGES];
        loop {
            ready!(socket.poll_recv_ready(cx))?;
            let mut slices = self.buffers.chunks_mut(MESSAGE).map(IoSliceMut::new);
            let mut slices: [_; MESSAGES] =
                std::array::from_fn(|_| slices.next().unwrap_or(IoSliceMut::new(&mut [])));
            let recv = || self.state.recv(socket.into(), &mut slices, &mut meta);
            match socket.try_io(Interest::READABLE, recv) {
                Ok(count) => {
                    self.hand_out(&meta[..count.min(MESSAGES)], sink);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn hand_out(&mut self, meta: &[RecvMeta], sink: &mut Sink<'_>) {
        for (buffer, meta) in self.buffers.chunks_mut(MESSAGE).zip(meta) {
            let received = buffer.get_mut(..meta.len).unwrap_or_default();
            for datagram in received.chunks_mut(meta.stride.max(1)) {
                sink(Address::udp(meta.addr), datagram);
            }
        }
    }

    /// Takes one datagram and keeps the others.
    pub(super) fn poll_recv_one(
        &mut self,
        socket: &UdpSocket,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, Address)>> {
        loop {
            if let Some((from, datagram)) = self.left.pop_front() {
                let len = datagram.len().min(buffer.len());
                buffer[..len].copy_from_slice(&datagram[..len]);
                return Poll::Ready(Ok((len, from)));
            }
            let mut came = VecDeque::new();
            ready!(self.poll_recv(socket, cx, &mut |from, datagram| {
                came.push_back((from, datagram.to_vec()));
            }))?;
            self.left = came;
        }
    }
}

/// Lets the kernel send datagrams in fragments again that are too long for a path.
#[cfg(target_os = "linux")]
fn allow_fragments(socket: &UdpSocket) -> io::Result<()> {
    use rustix::net::sockopt::{Ipv4PathMtuDiscovery, set_ip_mtu_discover};
    Ok(set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::WANT)?)
}

#[cfg(not(target_os = "linux"))]
fn allow_fragments(_: &UdpSocket) -> io::Result<()> {
    Ok(())
}
