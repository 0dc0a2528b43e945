//! Floods of a relay's clients.

use std::collections::BTreeMap;

use toktok_mesh::wire::relay::{
    RelayAnswerHeader, RelayHelloHeader, RelayKeys, RelayPacket, seal_frame,
};
use toktok_mesh::wire::{Decode, Nonce, SharedKey};
use toktok_mesh::{KeyPair, Output, StreamId, StreamRequest};

use super::Flooder;

/// Connections that were begun.
#[derive(Debug, Default)]
pub(super) struct Relays {
    begun: u64,
    /// Those that said hello, with the secrets of what follows.
    greeted: BTreeMap<StreamId, Greeted>,
}

/// A connection that waits for its answer.
#[derive(Debug)]
struct Greeted {
    /// Between the client's key and the relay's.
    shared: SharedKey,
    session: KeyPair,
    base_nonce: Nonce,
}

impl Flooder {
    pub(super) fn connect(&mut self) {
        let Some(at) = self.victim.at.as_udp() else { return };
        let stream = StreamId::Outgoing(self.relays.begun);
        self.relays.begun += 1;
        let [client, session] = [(); 2].map(|()| KeyPair::generate(&mut self.rng));
        let [nonce, base_nonce] = [(); 2].map(|()| Nonce::generate(&mut self.rng));
        let shared = client.secret.shared_key(&self.victim.key);
        let keys = RelayKeys { session_key: session.public, base_nonce };
        let hello = RelayHelloHeader { client: client.public, nonce }.seal(&shared, &keys);
        self.relays.greeted.insert(stream, Greeted { shared, session, base_nonce });
        self.out.push_back(Output::Stream(stream, StreamRequest::Connect(at)));
        self.out.push_back(Output::Stream(stream, StreamRequest::Write(hello)));
    }

    /// The relay answered: with its first frame a client is confirmed.
    pub(super) fn confirm(&mut self, stream: StreamId, bytes: &[u8]) {
        let Some(Greeted { shared, session, base_nonce }) = self.relays.greeted.remove(&stream)
        else {
            return;
        };
        let mut answer = bytes.to_vec();
        let Ok((header, boxed)) = RelayAnswerHeader::split(&mut answer) else { return };
        let Ok(plain) = shared.open(&header.nonce, boxed) else { return };
        let Ok(theirs) = RelayKeys::from_bytes(&plain) else { return };
        let secret = session.secret.shared_key(&theirs.session_key);
        let mut frames = Vec::new();
        let ping = RelayPacket::Ping { id: self.rng.u64().max(1) };
        if seal_frame(&secret, &base_nonce, &ping, &mut frames).is_ok() {
            self.out.push_back(Output::Stream(stream, StreamRequest::Write(frames)));
            self.answers += 1;
        }
    }
}
