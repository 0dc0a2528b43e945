//! A TCP relay that greets its one client, answers its pings, and refuses to route.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use toktok_wire::relay::{
    RelayAnswerHeader, RelayHelloHeader, RelayKeys, RelayPacket, open_frame, seal_frame,
    split_frame,
};
use toktok_wire::{Decode, KeyPair, Nonce, SecretKey, SharedKey};

use crate::capture::Capture;

pub(crate) struct Relay {
    listener: TcpListener,
    keys: KeyPair,
    session: KeyPair,
    client: Option<Client>,
}

struct Client {
    stream: TcpStream,
    received: Vec<u8>,
    /// The session's key and both sides' next nonces, once the hello has come.
    session: Option<(SharedKey, Nonce, Nonce)>,
}

impl Relay {
    pub(crate) fn bind(keys: &KeyPair) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a listener that does not block");
        let session = KeyPair::from_secret(SecretKey::from_bytes([0x41; 32]));
        Self { listener, keys: keys.clone(), session, client: None }
    }

    pub(crate) fn port(&self) -> u16 {
        self.listener.local_addr().expect("a bound listener").port()
    }

    pub(crate) fn session_secret(&self) -> &[u8; 32] {
        self.session.secret.expose()
    }

    pub(crate) fn poll(&mut self, capture: &mut Capture) {
        if let Ok((stream, _)) = self.listener.accept() {
            stream.set_nonblocking(true).expect("a stream that does not block");
            self.client = Some(Client { stream, received: Vec::new(), session: None });
        }
        let Some(client) = &mut self.client else { return };
        if !client.receive() {
            self.client = None;
            return;
        }
        if client.session.is_none() {
            client.greet(&self.keys, &self.session, capture);
        } else {
            client.take_frames(capture);
        }
    }
}

impl Client {
    /// Reads what is there; false when the client is gone.
    fn receive(&mut self) -> bool {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(len) => {
                self.received.extend_from_slice(&buffer[..len]);
                true
            }
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }

    fn greet(&mut self, keys: &KeyPair, session: &KeyPair, capture: &mut Capture) {
        if self.received.len() < RelayHelloHeader::PACKET_LEN {
            return;
        }
        let mut hello: Vec<u8> = self.received.drain(..RelayHelloHeader::PACKET_LEN).collect();
        capture.relay("hello", &hello);
        let (header, boxed) = RelayHelloHeader::split(&mut hello).expect("a hello");
        let key = keys.secret.shared_key(&header.client);
        let plain = key.open_in_place(&header.nonce, boxed).expect("sealed for this relay");
        let theirs = RelayKeys::from_bytes(plain).expect("a hello's keys");

        let base_nonce = Nonce([0x42; 24]);
        let ours = RelayKeys { session_key: session.public, base_nonce };
        let answer = RelayAnswerHeader { nonce: Nonce([0x43; 24]) }.seal(&key, &ours);
        self.stream.write_all(&answer).expect("the client listens");
        let session = session.secret.shared_key(&theirs.session_key);
        self.session = Some((session, theirs.base_nonce, base_nonce));
    }

    fn take_frames(&mut self, capture: &mut Capture) {
        let Some((key, theirs, ours)) = &mut self.session else { return };
        let (mut used, mut out) = (0, Vec::new());
        while let Some((boxed, _)) = split_frame(&mut self.received[used..]).expect("a length") {
            used += 2 + boxed.len();
            capture.relay("frame", boxed);
            let answer = match open_frame(key, theirs, boxed).expect("a packet for this relay") {
                RelayPacket::Ping { id } => Some(RelayPacket::Pong { id }),
                RelayPacket::RoutingRequest { key } => {
                    Some(RelayPacket::RoutingResponse { connection: None, key })
                }
                _ => None,
            };
            *theirs = theirs.plus(1);
            if let Some(answer) = answer {
                seal_frame(key, ours, &answer, &mut out).expect("a short packet");
                *ours = ours.plus(1);
            }
        }
        self.received.drain(..used);
        let _ = self.stream.write_all(&out);
    }
}
