//! DHT announcements and forwarding: what packets contain, and a node that is asked by peers with
//! valid keys.

use core::time::Duration;

use toktok_mesh::{Address, AnnouncementPath, Config, KeyPair, Machine, Output, Rng, Stack, Time};
use toktok_wire::announcement::{
    Announcement, Found, MAX_ANNOUNCEMENT, RetrieveRequest, RetrieveResponse, SearchRequest,
    SearchResponse, StoreContents, StoreRequest, StoreResponse,
};
use toktok_wire::dht::{Header, MAX_NODES};
use toktok_wire::forwarding::{
    ForwardReply, ForwardRequest, Forwarding, MAX_FORWARD_DATA, MAX_SENDBACK, ReturnRoute,
};
use toktok_wire::{Decode, Encode, Nonce, SecretKey, SharedKey};

use crate::check::canonical;

/// A datagram of forwarding, or what the box of an announcement's packet contains.
pub fn announcement(data: &[u8]) {
    canonical::<ForwardRequest<'_>>(data);
    for (sendback, data) in [
        canonical::<Forwarding<'_>>(data).map(|it| (it.sendback, it.data)),
        canonical::<ForwardReply<'_>>(data).map(|it| (it.sendback, it.data)),
    ]
    .into_iter()
    .flatten()
    {
        assert!(sendback.len() <= MAX_SENDBACK && data.len() <= MAX_FORWARD_DATA);
    }
    canonical::<ReturnRoute<'_>>(data);
    canonical::<SearchRequest>(data);
    let found = canonical::<SearchResponse>(data).and_then(|response| response.found);
    let found = [found, canonical::<Found>(data)];
    assert!(found.iter().flatten().all(|found| found.nodes.len() <= MAX_NODES));
    canonical::<RetrieveRequest>(data);
    let retrieved = canonical::<RetrieveResponse<'_>>(data).and_then(|response| response.data);
    assert!(retrieved.is_none_or(|data| data.len() <= MAX_ANNOUNCEMENT));
    canonical::<StoreRequest<'_>>(data);
    canonical::<StoreContents<'_>>(data);
    canonical::<StoreResponse>(data);
}

/// A node that asks for announcements itself, and somebody with keys who asks it and answers it:
/// each command is a byte that says what, a length in two bytes, and so many bytes for it.
///
/// # Panics
/// If the node panics, spins, or sends much more than it got.
pub fn announcement_peer(data: &[u8]) {
    let mut world = World::new();
    let mut rest = data;
    while let [what, high, low, tail @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
        let (bytes, tail) = tail.split_at(len);
        world.command(*what, bytes);
        rest = tail;
    }
}

/// Outputs after one command.
const MOST_OUTPUTS: usize = 512;
/// What the node sends for itself at once: most of all when all of its operations try again.
const MOST_OWN: usize = 64 * 1_024;

struct World {
    now: Time,
    stack: Stack,
    peer: KeyPair,
    shared: SharedKey,
    announced: SharedKey,
    /// The proof of the node's last answer to a search.
    proof: [u8; 32],
    /// The last id and sendback that the node sent to the peer.
    id: u64,
    sendback: Vec<u8>,
}

fn address() -> Address {
    Address::udp(([203, 0, 113, 1], 33445).into())
}

impl World {
    fn new() -> Self {
        let pair = |byte| KeyPair::from_secret(SecretKey::from_bytes([byte; 32]));
        let (node, peer, announced) = (pair(1), pair(2), pair(3));
        let shared = peer.secret.shared_key(&node.public);
        let now = Time::from_secs(1_000);
        let rng = Rng::from_seed([1; 32]);
        let mut world = Self {
            now,
            announced: announced.secret.shared_key(&node.public),
            stack: Stack::new(Config::default(), node, rng, now),
            shared,
            proof: [0; 32],
            id: 0,
            sendback: Vec::new(),
            peer,
        };
        world.stack.bootstrap(now, address(), world.peer.public);
        world.drain(0);
        world
    }

    fn command(&mut self, what: u8, bytes: &[u8]) {
        let (key, proof) = (Self::announced_key(), self.proof);
        match what % 12 {
            0 => self.hand_in(bytes.to_vec()),
            1 => self.hand_in(self.sealed(0x93 + what / 12 % 6, bytes)),
            2 => self.ask(0x93, &SearchRequest { key, previous: None, id: 1 }),
            3 => self.ask(0x95, &RetrieveRequest { key, proof, id: 2 }),
            4 => self.store(Announcement::Data(&bytes[..bytes.len().min(MAX_ANNOUNCEMENT)])),
            5 => self.store(Announcement::Refresh(toktok_wire::announcement::hash(bytes))),
            6 => {
                let data =
                    self.sealed(0x93, &SearchRequest { key, previous: None, id: 3 }.to_bytes());
                let sendback = &bytes[..bytes.len().min(MAX_SENDBACK)];
                self.hand_in(Forwarding { sendback, data: &data }.to_bytes());
            }
            7 => {
                let next = self.peer.public;
                let data = &bytes[..bytes.len().min(MAX_FORWARD_DATA)];
                self.hand_in(ForwardRequest { next, data }.to_bytes());
            }
            8 => {
                let data = &bytes[..bytes.len().min(MAX_FORWARD_DATA)];
                let reply = ForwardReply { sendback: &self.sendback, data }.to_bytes();
                self.hand_in(reply);
            }
            9 => self.answer(bytes),
            10 => self.begin(bytes.len()),
            _ => {
                self.now += Duration::from_millis(u64::from(what) * 100);
                self.drain(0);
            }
        }
    }

    fn announced_key() -> toktok_wire::PublicKey {
        SecretKey::from_bytes([3; 32]).public_key()
    }

    fn sealed(&self, kind: u8, plain: &[u8]) -> Vec<u8> {
        let nonce = Nonce([kind; 24]);
        let mut packet = vec![kind];
        packet.extend_from_slice(&self.peer.public.0);
        packet.extend_from_slice(&nonce.0);
        packet.extend(self.shared.seal(&nonce, plain));
        packet
    }

    fn ask<P: Encode>(&mut self, kind: u8, payload: &P) {
        self.hand_in(self.sealed(kind, &payload.to_bytes()));
    }

    fn store(&mut self, announcement: Announcement<'_>) {
        let contents = StoreContents { proof: self.proof, timeout: 100, announcement };
        let nonce = Nonce([5; 24]);
        let boxed = contents.seal(&self.announced, &nonce);
        let key = Self::announced_key();
        self.ask(0x97, &StoreRequest { key, nonce, boxed: &boxed, id: 4 });
    }

    /// Answers what the node asked last, with its id.
    fn answer(&mut self, bytes: &[u8]) {
        let Some((kind, plain)) = bytes.split_first() else { return };
        let plain = [plain, &self.id.to_be_bytes()].concat();
        self.hand_in(self.sealed(0x94 + kind % 3 * 2, &plain));
    }

    /// The node's own operations.
    fn begin(&mut self, how: usize) {
        let (key, now, node) = (Self::announced_key(), self.now, self.peer.public);
        let path = match how % 2 {
            0 => Some(AnnouncementPath::direct(node, address())),
            _ => AnnouncementPath::forwarded(address(), &[node]),
        };
        let Some(path) = path else { return };
        let _ = match how % 3 {
            0 => self.stack.search_announcement(now, key, path),
            1 => self.stack.retrieve_announcement(now, key, path),
            _ => {
                let keys = KeyPair::from_secret(SecretKey::from_bytes([3; 32]));
                self.stack.store_announcement(now, keys, b"ours", Duration::from_secs(60), path)
            }
        };
        self.drain(0);
    }

    fn hand_in(&mut self, mut packet: Vec<u8>) {
        let len = packet.len();
        self.stack.handle_datagram(self.now, address(), &mut packet);
        self.drain(len);
    }

    /// Polls until idle, and looks at what comes out.
    fn drain(&mut self, got: usize) {
        let mut sent = 0;
        for _ in 0..MOST_OUTPUTS {
            match self.stack.poll(self.now) {
                Output::Transmit { payload, .. } => {
                    sent += payload.len();
                    self.look(payload);
                }
                Output::Event(_) | Output::Stream(..) => {}
                Output::Io(_, never) => match never {},
                Output::Idle(deadline) => {
                    assert!(deadline.is_none_or(|at| at > self.now), "would spin");
                    assert!(sent <= 2 * got + MOST_OWN, "{sent} bytes for {got}");
                    return;
                }
            }
        }
        panic!("more than {MOST_OUTPUTS} outputs");
    }

    /// Remembers what later commands need.
    fn look(&mut self, mut packet: Vec<u8>) {
        if let Ok(forwarding) = Forwarding::from_bytes(&packet) {
            self.sendback = forwarding.sendback.to_vec();
        }
        let Ok((header, boxed)) = Header::split(&mut packet) else { return };
        let Ok(plain) = self.shared.open_in_place(&header.nonce, boxed) else { return };
        if let Some(id) = plain.last_chunk::<8>() {
            self.id = u64::from_be_bytes(*id);
        }
        if header.kind == 0x94
            && let Ok(SearchResponse { found: Some(found), .. }) = SearchResponse::from_bytes(plain)
        {
            self.proof = found.proof;
        }
    }
}
