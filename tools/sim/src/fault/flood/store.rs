//! Floods of DHT announcements, as long as they may be.

use std::collections::BTreeMap;

use toktok_mesh::KeyPair;
use toktok_mesh::wire::announcement::{
    Announcement, MAX_ANNOUNCEMENT, SEARCH_REQUEST, STORE_REQUEST, SearchRequest, SearchResponse,
    StoreContents, StoreRequest,
};
use toktok_mesh::wire::dht::Header;
use toktok_mesh::wire::{Decode, Encode, Nonce};

use super::Flooder;

/// For how long an announcement asks to be kept, in seconds.
const TIMEOUT: u32 = 900;

/// What is to be announced, by the ids of the searches that ask for leave.
#[derive(Debug, Default)]
pub(super) struct Stores {
    asked: BTreeMap<u64, KeyPair>,
}

impl Flooder {
    pub(super) fn ask_to_store(&mut self) {
        let (keys, id) = (KeyPair::generate(&mut self.rng), self.rng.u64());
        self.send_to_dht(SEARCH_REQUEST, &SearchRequest { key: keys.public, previous: None, id });
        self.stores.asked.insert(id, keys);
    }

    pub(super) fn store(&mut self, packet: &mut [u8]) {
        let Ok((header, boxed)) = Header::split(packet) else { return };
        let shared = self.onion.asker.secret.shared_key(&self.victim.key);
        let Ok(plain) = shared.open(&header.nonce, boxed) else { return };
        let Ok(SearchResponse { found: Some(found), id, .. }) = SearchResponse::from_bytes(&plain)
        else {
            return;
        };
        let Some(keys) = self.stores.asked.remove(&id) else { return };
        let announcement = Announcement::Data(&[7; MAX_ANNOUNCEMENT]);
        let contents = StoreContents { proof: found.proof, timeout: TIMEOUT, announcement };
        let nonce = Nonce::generate(&mut self.rng);
        let boxed = keys.secret.shared_key(&self.victim.key).seal(&nonce, &contents.to_bytes());
        let request = StoreRequest { key: keys.public, nonce, boxed: &boxed, id };
        self.send_to_dht(STORE_REQUEST, &request);
        self.answers += 1;
    }

    fn send_to_dht(&mut self, kind: u8, payload: &impl Encode) {
        let asker = &self.onion.asker;
        let nonce = Nonce::generate(&mut self.rng);
        let shared = asker.secret.shared_key(&self.victim.key);
        self.send(Header { kind, sender: asker.public, nonce }.seal(&shared, payload));
    }
}
