//! Sends packets at a rate.

use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use toktok_mesh::runtime::system_rng;

use super::node::Node;
use super::packets::Kind;

/// Packets that are made beforehand: twice what a node remembers of keys.
const PACKETS: usize = 2_048;
/// Ports that the flood comes from.
const PORTS: usize = 16;
/// Packets are sent in so many portions a second.
const PORTIONS: u64 = 1_000;
/// Threads that connect to a relay, and connections that each leaves open.
const CONNECTORS: usize = 2;
const OPEN: usize = 200;

/// One flood.
#[derive(Debug)]
pub(crate) struct Flooder {
    kind: Kind,
    packets: Vec<Vec<u8>>,
    sockets: Vec<UdpSocket>,
    target: SocketAddr,
    next: usize,
}

impl Flooder {
    /// Makes the packets.
    pub(crate) fn new(kind: Kind, node: &Node) -> Self {
        let mut rng = system_rng().expect("randomness");
        let packets = (0..PACKETS).map(|_| kind.packet(&node.key, &mut rng)).collect();
        let bind = |_| UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
        let udp = match kind {
            Kind::FriendRequests => node.person,
            _ => node.address,
        };
        let target = match kind {
            Kind::RelayConnections => node.relay,
            _ => udp.as_udp().expect("a UDP address"),
        };
        Self { kind, packets, sockets: (0..PORTS).map(bind).collect(), target, next: 0 }
    }

    /// Sends at this rate for so long, or as fast as it can; how many were sent.
    pub(crate) fn send(&mut self, rate: u64, span: Duration) -> u64 {
        if self.kind == Kind::RelayConnections {
            return self.connect(rate, span);
        }
        let (began, mut sent) = (Instant::now(), 0);
        while began.elapsed() < span {
            let due = portion_end(began, rate);
            while sent < due && began.elapsed() < span {
                let packet = &self.packets[self.next % PACKETS];
                // A full queue is the node's loss, not an error.
                let _ = self.sockets[self.next % PORTS].send_to(packet, self.target);
                self.next += 1;
                sent += 1;
            }
            std::thread::sleep(Duration::from_micros(500_000 / PORTIONS));
        }
        sent
    }

    /// Connects and says hello; the oldest connections are reset.
    fn connect(&self, rate: u64, span: Duration) -> u64 {
        let (began, sent) = (Instant::now(), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..CONNECTORS {
                scope.spawn(|| {
                    let mut open = std::collections::VecDeque::new();
                    while began.elapsed() < span {
                        if sent.load(Ordering::Relaxed) >= portion_end(began, rate) {
                            std::thread::sleep(Duration::from_micros(500_000 / PORTIONS));
                            continue;
                        }
                        let number = sent.fetch_add(1, Ordering::Relaxed) as usize;
                        open.extend(connect_once(self.target, &self.packets[number % PACKETS]));
                        if open.len() > OPEN {
                            open.pop_front();
                        }
                    }
                });
            }
        });
        sent.into_inner()
    }
}

/// How many packets are to be sent by the end of the present portion.
fn portion_end(began: Instant, rate: u64) -> u64 {
    let portions = (began.elapsed().as_secs_f64() * PORTIONS as f64) as u64 + 1;
    rate * portions / PORTIONS
}

/// A connection that leaves no trace in the system when it is closed.
fn connect_once(to: SocketAddr, hello: &[u8]) -> Option<Socket> {
    let mut socket = Socket::new(Domain::IPV4, Type::STREAM, None).ok()?;
    socket.set_linger(Some(Duration::ZERO)).ok()?;
    socket.connect_timeout(&to.into(), Duration::from_millis(200)).ok()?;
    let _ = socket.write(hello);
    Some(socket)
}
