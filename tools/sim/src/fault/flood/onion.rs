//! Floods of the onion, as if they came along paths.

use toktok_mesh::wire::friend::FriendRequest;
use toktok_mesh::wire::onion::{
    AnnounceRequest, AnnounceRequestHeader, AnnounceResponse, AnnounceResponseHeader,
    DataRequestHeader, OnionData, ReturnPath, Stored,
};
use toktok_mesh::wire::{Decode, Encode, Nonce, ToxId};
use toktok_mesh::{KeyPair, PublicKey};

use super::{Flooder, Kind};

/// For as long as an answer takes one key announces itself: about so many times.
const TRIES_A_KEY: u64 = 200;

/// What is under way.
#[derive(Debug)]
pub(super) struct Onion {
    /// The key that asks where the person is, or announces itself.
    pub(super) asker: KeyPair,
    /// The person's, to which requests are sealed.
    data_key: Option<PublicKey>,
}

impl Onion {
    pub(super) const fn new(asker: KeyPair) -> Self {
        Self { asker, data_key: None }
    }
}

impl Flooder {
    pub(super) fn announce_anew(&mut self) {
        if self.rng.chance(1, TRIES_A_KEY) {
            self.onion.asker = KeyPair::generate(&mut self.rng);
        }
        self.announce([0; 32], self.onion.asker.public);
    }

    pub(super) fn befriend(&mut self) {
        match (self.victim.person, self.onion.data_key) {
            (Some(person), Some(data_key)) => self.ask_friendship(&person, &data_key),
            (Some(person), None) => self.announce([0; 32], person.key),
            (None, _) => {}
        }
    }

    fn announce(&mut self, ping_id: [u8; 32], target: PublicKey) {
        let (nonce, data_key) = (Nonce::generate(&mut self.rng), PublicKey(self.rng.bytes()));
        let asker = &self.onion.asker;
        let header = AnnounceRequestHeader { extended: false, nonce, requester: asker.public };
        let sendback = self.rng.bytes();
        let request = AnnounceRequest { ping_id, target, data_key, sendback, extra: &[] };
        let mut packet = header.seal(&asker.secret.shared_key(&self.victim.key), &request);
        packet.extend([0; ReturnPath::MAX_LEN]);
        self.send(packet);
    }

    pub(super) fn take_answer(&mut self, packet: &[u8]) {
        let Some(response) = packet.get(1 + ReturnPath::MAX_LEN..) else { return };
        let mut response = response.to_vec();
        let Ok((header, boxed)) = AnnounceResponseHeader::split(&mut response) else { return };
        let shared = self.onion.asker.secret.shared_key(&self.victim.key);
        let Ok(plain) = shared.open(&header.nonce, boxed) else { return };
        let Ok(answer) = AnnounceResponse::from_bytes(&plain) else { return };
        self.answers += 1;
        match answer.stored {
            Stored::Yes { data_key } => self.onion.data_key = Some(data_key),
            Stored::No { ping_id } if self.kind == Kind::Announces => {
                self.announce(ping_id, self.onion.asker.public);
            }
            _ => {}
        }
    }

    fn ask_friendship(&mut self, person: &ToxId, data_key: &PublicKey) {
        let [sender, once] = [(); 2].map(|()| KeyPair::generate(&mut self.rng));
        let nonce = Nonce::generate(&mut self.rng);
        let request = FriendRequest { nospam: person.nospam, message: b"Hello, friend!" };
        let boxed = sender.secret.shared_key(&person.key).seal(&nonce, &request.to_bytes());
        let header = DataRequestHeader { destination: person.key, nonce, key: once.public };
        let data = OnionData { sender: sender.public, boxed: &boxed };
        let mut packet = header.seal(&once.secret.shared_key(data_key), &data);
        packet.extend([0; ReturnPath::MAX_LEN]);
        self.send(packet);
        self.answers += 1;
    }
}
