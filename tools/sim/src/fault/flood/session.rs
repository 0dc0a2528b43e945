//! Floods of sessions that are begun and left.

use std::collections::VecDeque;

use toktok_mesh::wire::session::{
    CookieRequest, CookieRequestHeader, CookieResponse, CookieResponseHeader, Handshake,
    HandshakeHeader,
};
use toktok_mesh::wire::{Decode, Nonce, SharedKey};
use toktok_mesh::{KeyPair, PublicKey};

use super::Flooder;

/// Cookies that are waited for.
const MAX_ASKED: usize = 1_000;

/// Under which keys cookies were asked for, the latest first: long-term key, and the secret of the DHT
/// keys.
#[derive(Debug, Default)]
pub(super) struct Handshakes {
    asked: VecDeque<(KeyPair, SharedKey)>,
}

impl Flooder {
    pub(super) fn ask_cookie(&mut self) {
        let [identity, dht] = [(); 2].map(|()| KeyPair::generate(&mut self.rng));
        let (nonce, echo) = (Nonce::generate(&mut self.rng), self.rng.bytes());
        let request = CookieRequest { key: identity.public, unused: [0; 32], echo };
        let shared = dht.secret.shared_key(&self.victim.key);
        self.send(CookieRequestHeader { sender: dht.public, nonce }.seal(&shared, &request));
        self.handshakes.asked.push_front((identity, shared));
        self.handshakes.asked.truncate(MAX_ASKED);
    }

    pub(super) fn handshake(&mut self, packet: &mut [u8]) {
        let Ok((header, boxed)) = CookieResponseHeader::split(packet) else { return };
        for (identity, shared) in &self.handshakes.asked {
            let Ok(plain) = shared.open(&header.nonce, boxed) else { continue };
            let Ok(CookieResponse { cookie, .. }) = CookieResponse::from_bytes(&plain) else {
                return;
            };
            let handshake = Handshake {
                base_nonce: Nonce::generate(&mut self.rng),
                session_key: PublicKey(self.rng.bytes()),
                cookie_hash: cookie.hash(),
                other_cookie: cookie,
            };
            let header = HandshakeHeader { cookie, nonce: Nonce::generate(&mut self.rng) };
            let shared = identity.secret.shared_key(&self.victim.key);
            self.send(header.seal(&shared, &handshake));
            self.answers += 1;
            return;
        }
    }
}
