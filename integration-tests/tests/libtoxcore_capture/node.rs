//! One fake DHT node: a key, a socket, and the secret with which it marks return paths.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};

use integration_tests::hex;
use toktok_wire::address::IpPort;
use toktok_wire::{KeyPair, PackedNode, SecretKey, SharedKey};

pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) keys: KeyPair,
    pub(crate) return_key: SharedKey,
    pub(crate) address: SocketAddr,
    /// True once libtoxcore has announced itself here.
    pub(crate) announced: bool,
    socket: UdpSocket,
}

impl Node {
    /// The node of this number. Its secret keys are the number's byte, repeated.
    pub(crate) fn bind(number: u8) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket.set_nonblocking(true).expect("a socket that does not block");
        Self {
            name: format!("node{number}"),
            keys: KeyPair::from_secret(SecretKey::from_bytes([0x10 + number; 32])),
            return_key: SharedKey::from_bytes([0x20 + number; 32]),
            announced: false,
            address: socket.local_addr().expect("a bound socket"),
            socket,
        }
    }

    /// As other nodes tell of it.
    pub(crate) fn packed(&self) -> PackedNode {
        PackedNode::udp(self.address, self.keys.public)
    }

    pub(crate) fn send(&self, to: SocketAddr, packet: &[u8]) {
        self.socket.send_to(packet, to).expect("loopback takes any datagram");
    }

    pub(crate) fn send_to(&self, to: &IpPort, packet: &[u8]) {
        self.send(to.address, packet);
    }

    /// A datagram that waits.
    pub(crate) fn receive(&self) -> Option<(SocketAddr, Vec<u8>)> {
        let mut buffer = [0; 2048];
        match self.socket.recv_from(&mut buffer) {
            Ok((len, from)) => Some((from, buffer[..len].to_vec())),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{}: {error}", self.name),
        }
    }

    /// The line of the capture file that says where it is and which secrets it has.
    pub(crate) fn note(&self) -> String {
        let secret = hex::encode(self.keys.secret.expose());
        format!("secret {} {} {secret}", self.name, self.address.port())
    }
}
