//! A tap on the UDP of a node of ours: which onion packets came to it, from whom, and of which path.
#![expect(clippy::expect_used, reason = "a test without its tap has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use toktok_mesh::Address;
use toktok_mesh::runtime::{Capabilities, Transport, UdpTransport};

/// The kinds of onion packets on their way out: to the first, the second and the third hop.
const SENT: [u8; 3] = [0x80, 0x81, 0x82];
/// The nonce behind the kind. All hops of a path keep it, so it tells which packets are one.
const NONCE: usize = 24;

/// An onion packet's nonce.
type Nonce = [u8; NONCE];

/// The onion packets that came to some nodes.
#[derive(Clone, Debug, Default)]
pub struct Taps {
    seen: Arc<Mutex<Vec<Seen>>>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Who saw it.
    node: SocketAddr,
    /// 0, 1, 2: as the first, the second or the third hop.
    hop: usize,
    from: SocketAddr,
    nonce: Nonce,
}

/// What the taps tell of one person's paths.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Paths {
    /// Packets that came to a first hop.
    pub packets: usize,
    /// The tapped nodes that were hops, at whichever place.
    pub hops: BTreeSet<SocketAddr>,
    /// Paths of which all three hops are tapped nodes.
    pub whole: BTreeSet<[SocketAddr; 3]>,
}

impl Taps {
    /// A UDP socket whose onion packets are noted. Must be called within a tokio runtime.
    ///
    /// # Panics
    /// If there is no socket.
    pub fn bind(&self, address: SocketAddr) -> TappedUdp {
        TappedUdp { udp: UdpTransport::bind(address).expect("a socket"), taps: self.clone() }
    }

    /// The paths of whoever sends from this address.
    pub fn paths_of(&self, owner: SocketAddr) -> Paths {
        let seen = self.seen();
        let first = |it: &&Seen| it.hop == 0 && it.from == owner;
        let mut ways: BTreeMap<Nonce, [Option<SocketAddr>; 3]> =
            seen.iter().filter(first).map(|it| (it.nonce, [None; 3])).collect();
        for it in seen.iter() {
            if let Some(way) = ways.get_mut(&it.nonce) {
                way[it.hop] = Some(it.node);
            }
        }
        let whole = ways.values().filter_map(|way| match way {
            [Some(first), Some(second), Some(third)] => Some([*first, *second, *third]),
            _ => None,
        });
        Paths {
            packets: ways.len(),
            hops: ways.values().flatten().flatten().copied().collect(),
            whole: whole.collect(),
        }
    }

    fn note(&self, node: SocketAddr, from: SocketAddr, packet: &[u8]) {
        let [kind, rest @ ..] = packet else { return };
        let hop = SENT.iter().position(|known| known == kind);
        if let (Some(hop), Some(nonce)) = (hop, rest.first_chunk()) {
            self.seen().push(Seen { node, hop, from, nonce: *nonce });
        }
    }

    fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A UDP socket with a tap.
#[derive(Debug)]
pub struct TappedUdp {
    udp: UdpTransport,
    taps: Taps,
}

impl Transport for TappedUdp {
    fn capabilities(&self) -> Capabilities {
        self.udp.capabilities()
    }

    fn local_address(&self) -> Address {
        self.udp.local_address()
    }

    fn carries(&self, to: &Address) -> bool {
        self.udp.carries(to)
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        to: &Address,
        datagram: &[u8],
    ) -> Poll<io::Result<()>> {
        self.udp.poll_send(cx, to, datagram)
    }

    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, Address)>> {
        let received = ready!(self.udp.poll_recv(cx, buffer));
        if let Ok((len, from)) = &received
            && let Some(from) = from.as_udp()
        {
            self.taps.note(self.udp.local_socket_addr(), from, &buffer[..*len]);
        }
        Poll::Ready(received)
    }
}
