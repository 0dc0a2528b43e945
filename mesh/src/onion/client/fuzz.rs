//! What fuzzing does with the onion's client side: it holds all other nodes' keys, and a friend's, so
//! that arbitrary bytes arrive where honest ones do, behind every box.

use std::collections::BTreeMap;

use super::{FirstHop, OnionClient, OnionClientConfig};
use crate::dht::Neighbour;
use crate::drops::Drops;
use crate::outbox::{Context, Outbox};
use crate::wire::onion::{
    AnnounceRequest, AnnounceRequestHeader, AnnounceResponseHeader, Hop, LastLayer, Layer,
    SendHeader,
};
use crate::wire::{Address, Decode, Encode, KeyPair, Nonce, PublicKey, Rng, SharedKey, Time};

/// Other nodes.
const NODES: u8 = 6;
/// Packets that one step may bring about: two bursts, and copies of letters.
const MOST_SENT: usize = 300;
/// Requests whose answers the input may still give.
const MOST_OPEN: usize = 512;

/// A request of ours, opened at the end of its path.
struct Asked {
    first: FirstHop,
    sendback: [u8; 8],
    shared: SharedKey,
}

struct World {
    now: Time,
    rng: Rng,
    nodes: Vec<KeyPair>,
    /// What the nodes share with the keys of paths, which come again and again.
    shared: BTreeMap<(usize, PublicKey), SharedKey>,
    identity: KeyPair,
    friend: KeyPair,
    data_key: PublicKey,
    /// The first hop of the latest announcement.
    first: FirstHop,
    client: OnionClient,
    asked: Vec<Asked>,
    outbox: Outbox,
    drops: Drops,
}

/// Steps of a client's life, each of them a byte that says what happens, two bytes of length, and what
/// comes: a whole packet, the plaintext of an answer, a friend's words, or nothing for so long.
///
/// # Panics
/// If the client panics, spins, or says much more than it heard.
pub fn onion_client(data: &[u8]) {
    run(data);
}

fn run(data: &[u8]) -> World {
    let mut world = World::new();
    let mut rest = data;
    while let [how, high, low, tail @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
        let (bytes, tail) = tail.split_at(len);
        world.step(*how, bytes);
        rest = tail;
    }
    world
}

impl World {
    fn new() -> Self {
        let mut rng = Rng::from_seed([1; 32]);
        let nodes: Vec<KeyPair> = (0..NODES).map(|_| KeyPair::generate(&mut rng)).collect();
        let (identity, friend) = (KeyPair::generate(&mut rng), KeyPair::generate(&mut rng));
        let (own, config) = (PublicKey(rng.bytes()), OnionClientConfig::default());
        let client = OnionClient::new(identity.clone(), own, rng.child("client"), config);
        let (now, data_key) = (Time::from_secs(1), PublicKey([0; 32]));
        let first = FirstHop::Udp(address(0));
        let (outbox, drops) = (Outbox::default(), Drops::default());
        let (asked, shared) = (Vec::new(), BTreeMap::new());
        let mut world = Self {
            now,
            rng,
            nodes,
            shared,
            identity,
            friend,
            data_key,
            first,
            client,
            asked,
            outbox,
            drops,
        };
        world.offer();
        world.client.send_friend_request(now, world.friend.public, [7; 4], b"hello");
        world.drain();
        world
    }

    fn offer(&mut self) {
        let nodes = self.nodes.iter().enumerate();
        let alive = self.now;
        let nodes = nodes.map(|(number, pair)| Neighbour {
            key: pair.public,
            address: address(number as u8),
            alive,
        });
        self.client.offer_path_nodes(self.now, nodes);
    }

    fn step(&mut self, how: u8, bytes: &[u8]) {
        let place = self.rng.index(self.asked.len());
        match how % 4 {
            0 => self.hand_over(FirstHop::Udp(address(how / 4 % NODES)), &mut bytes.to_vec()),
            1 if place < self.asked.len() => {
                let Asked { first, sendback, shared } = self.asked.swap_remove(place);
                let nonce = Nonce::generate(&mut self.rng);
                let header = AnnounceResponseHeader { extended: false, sendback, nonce };
                self.hand_over(first, &mut header.seal(&shared, &Plain(bytes)));
            }
            2 => {
                let shared = self.friend.secret.shared_key(&self.identity.public);
                let (from, to) = (self.friend.public, self.identity.public);
                let sealed =
                    super::data::seal(&mut self.rng, from, to, &shared, &self.data_key, bytes);
                let mut packet = vec![0x86];
                packet.extend_from_slice(&sealed[1 + PublicKey::LEN..]);
                self.hand_over(self.first, &mut packet);
            }
            _ => self.wait(how),
        }
        self.drain();
    }

    fn hand_over(&mut self, from: FirstHop, packet: &mut [u8]) {
        let (now, outbox, drops) = (self.now, &mut self.outbox, &mut self.drops);
        self.client.handle(&mut Context { now, outbox, drops }, from, packet);
    }

    fn wait(&mut self, how: u8) {
        let friend = self.friend.public;
        match how / 4 {
            0 => self.client.set_friend_online(self.now, &friend, true),
            1 => self.client.set_friend_online(self.now, &friend, false),
            2 => self.offer(),
            _ => {}
        }
        self.now = self.client.deadline().unwrap_or(self.now).max(self.now);
        let (now, outbox, drops) = (self.now, &mut self.outbox, &mut self.drops);
        self.client.handle_timeout(&mut Context { now, outbox, drops });
        assert!(self.client.deadline().is_none_or(|at| at > now), "would spin");
    }

    fn drain(&mut self) {
        let mut sent = 0;
        while let Some((first, packet)) = self.client.poll_transmit() {
            sent += 1;
            if let Some(asked) = self.peel(first, packet) {
                self.asked.push(asked);
            }
        }
        assert!(sent <= MOST_SENT, "{sent} packets at once");
        if self.asked.len() > MOST_OPEN {
            self.asked.drain(..MOST_OPEN / 2);
        }
        while self.client.poll_event().is_some() {}
        assert!(self.outbox.pop().is_none(), "all that is sent comes out of the client");
    }

    /// Opens a packet as the three hops and the node at the end do; `None` for a data request, or one
    /// to a node that does not exist.
    fn peel(&mut self, first: FirstHop, mut packet: Vec<u8>) -> Option<Asked> {
        let FirstHop::Udp(mut at) = first else { return None };
        let mut request = loop {
            let (header, boxed, _) = SendHeader::split(&mut packet).ok()?;
            let plain = self.shared(&at, &header.key)?.open(&header.nonce, boxed).ok()?;
            if let Ok(last) = LastLayer::from_bytes(&plain) {
                at = Address::udp(last.destination.address);
                break last.request.to_vec();
            }
            let layer = Layer::from_bytes(&plain).ok()?;
            at = Address::udp(layer.next.address);
            let hop = Hop::from_send_kind(header.hop.send_kind() + 1)?;
            let mut next = SendHeader { hop, nonce: header.nonce, key: layer.key }.to_bytes();
            next.extend_from_slice(layer.boxed);
            next.resize(next.len() + 59 * usize::from(hop.send_kind() - 0x80), 0);
            packet = next;
        };
        let (header, boxed) = AnnounceRequestHeader::split(&mut request).ok()?;
        let shared = self.shared(&at, &header.requester)?.clone();
        let plain = shared.open(&header.nonce, boxed).ok()?;
        let AnnounceRequest { sendback, data_key, .. } =
            AnnounceRequest::from_bytes(&plain).ok()?;
        if header.requester == self.identity.public {
            (self.data_key, self.first) = (data_key, first);
        }
        Some(Asked { first, sendback, shared })
    }

    /// What the node at an address shares with the owner of a key.
    fn shared(&mut self, at: &Address, key: &PublicKey) -> Option<&SharedKey> {
        let node = (0..NODES).position(|number| address(number) == *at)?;
        let secret = &self.nodes[node].secret;
        Some(self.shared.entry((node, *key)).or_insert_with(|| secret.shared_key(key)))
    }
}

fn address(number: u8) -> Address {
    Address::udp(([203, 0, 113, number], 33445).into())
}

/// Bytes as they are.
struct Plain<'a>(&'a [u8]);

impl Encode for Plain<'_> {
    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drops::DropReason;
    use crate::wire::PackedNode;
    use crate::wire::onion::{AnnounceResponse, DhtKeyAnnounce, Stored};

    fn step(how: u8, bytes: &[u8]) -> Vec<u8> {
        let [high, low] = (bytes.len() as u16).to_be_bytes();
        [&[how, high, low], bytes].concat()
    }

    /// Inputs that lead deep into the client: the seeds of the corpus.
    fn seeds() -> Vec<(&'static str, Vec<u8>)> {
        let node = PackedNode::udp(([203, 0, 113, 9], 33445).into(), PublicKey([9; 32]));
        let answer = |stored| step(1, &AnnounceResponse { stored, nodes: vec![node] }.to_bytes());
        let no = answer(Stored::No { ping_id: [3; 32] });
        let own = answer(Stored::Own { ping_id: [4; 32] });
        let yes = answer(Stored::Yes { data_key: PublicKey([5; 32]) });
        let told = DhtKeyAnnounce { counter: 5, dht_key: PublicKey([6; 32]), nodes: vec![node] };
        let told = step(2, &told.to_bytes());
        assert!(DhtKeyAnnounce::from_bytes(&told[3..]).is_ok());
        let wait = step(3 + 4 * 9, b"");
        let announced = [no.repeat(12), own.repeat(12), wait.repeat(20)].concat();
        let found = [yes.repeat(8), wait.repeat(30), yes.repeat(4)].concat();
        let friend = [told.clone(), told, step(3, b""), wait.clone(), step(7, b""), yes].concat();
        let raw = [step(0, &[0x84; 120]), step(4, &[0x86; 150]), step(8, &[0x88; 90])].concat();
        let silence = [wait.repeat(60), step(11, b"")].concat();
        vec![
            ("announced", announced),
            ("found", found),
            ("friend", friend),
            ("raw", raw),
            ("silence", silence),
        ]
    }

    #[test]
    fn the_seeds_and_what_random_changes_make_of_them_do_no_harm() {
        let mut rng = Rng::from_seed([2; 32]);
        for (_, seed) in seeds() {
            onion_client(&seed);
            for _ in 0..10 {
                let mut changed = seed.clone();
                for _ in 0..4 {
                    let place = rng.index(changed.len());
                    changed[place] = rng.u64() as u8;
                }
                onion_client(&changed);
            }
        }
    }

    #[test]
    fn the_seeds_lead_deep_into_the_client() {
        let worlds: Vec<World> = seeds().iter().map(|(_, seed)| run(seed)).collect();
        assert!(worlds[0].client.was_announced, "answers are taken");
        assert!(worlds[2].drops[DropReason::Replayed] == 1, "the friend is heard, once");
        assert!(worlds[3].drops.total() == 3);
    }
}
