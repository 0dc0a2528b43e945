//! What a node can read: each packet as it is, and what is in the boxes that its own keys open.

use std::collections::BTreeMap;

use toktok_mesh::wire::onion::{
    ANNOUNCE_REQUEST, ANNOUNCE_RESPONSE, EXTENDED_ANNOUNCE_REQUEST, Stored,
};
use toktok_mesh::wire::{Nonce, SharedKey, dht};
use toktok_mesh::{KeyPair, PublicKey};

/// Bytes of the return path that a request has behind it at its end, and of one hop's part of it.
const RETURN_LEN: usize = 177;
const RETURN_STEP: usize = 59;
const KEY: usize = PublicKey::LEN;
const NONCE: usize = Nonce::LEN;

/// Some bytes that a node reads.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) bytes: Vec<u8>,
    /// It lists nodes of the DHT, which everybody knows: that two stand in one list says nothing.
    pub(super) is_directory: bool,
}

/// The keys of a node, and what they open.
#[derive(Debug)]
pub(super) struct Reader {
    keys: KeyPair,
    shared: BTreeMap<PublicKey, SharedKey>,
}

/// Where in a packet the sender's key, the nonce and the box are.
struct Layout {
    key: usize,
    nonce: usize,
    boxed: usize,
    /// What lies behind the box.
    behind: usize,
}

/// How packets are laid out that are sealed to a node's DHT key.
fn layout(kind: u8) -> Option<Layout> {
    let nonce_first = |behind| {
        let (nonce, key) = (1, 1 + NONCE);
        Layout { nonce, key, boxed: key + KEY, behind }
    };
    let key_first = |key: usize| {
        let nonce = key + KEY;
        Layout { key, nonce, boxed: nonce + NONCE, behind: 0 }
    };
    match kind {
        // Pings, nodes, cookie requests, announcements in the DHT.
        0x00..=0x04 | 0x18 | 0x93..=0x98 => Some(key_first(1)),
        // DHT requests have the receiver's key in front.
        dht::DHT_REQUEST => Some(key_first(1 + KEY)),
        0x80..=0x82 => Some(nonce_first(RETURN_STEP * usize::from(kind - 0x80))),
        ANNOUNCE_REQUEST | EXTENDED_ANNOUNCE_REQUEST => Some(nonce_first(RETURN_LEN)),
        _ => None,
    }
}

/// The random number that comes back with an answer, if it can be read here.
pub(super) fn sendback(packet: &[u8], parts: &[Part]) -> Option<[u8; 8]> {
    match *packet.first()? {
        ANNOUNCE_REQUEST => parts.get(1)?.bytes.last_chunk().copied(),
        ANNOUNCE_RESPONSE => packet.get(1..)?.first_chunk().copied(),
        kind @ 0x8c..=0x8e => {
            let response = packet.get(1 + RETURN_STEP * usize::from(0x8f - kind)..)?;
            sendback(response, parts)
        }
        _ => None,
    }
}

/// The key that a packet names as its sender's.
pub(super) fn sender(packet: &[u8]) -> Option<PublicKey> {
    let layout = layout(*packet.first()?)?;
    Some(PublicKey(*packet.get(layout.key..)?.first_chunk()?))
}

impl Reader {
    pub(super) const fn new(keys: KeyPair) -> Self {
        Self { keys, shared: BTreeMap::new() }
    }

    fn shared(&mut self, peer: PublicKey) -> &SharedKey {
        let secret = &self.keys.secret;
        self.shared.entry(peer).or_insert_with(|| secret.shared_key(&peer))
    }

    /// All that can be read of a datagram, itself first.
    pub(super) fn read(&mut self, packet: &[u8]) -> Vec<Part> {
        let opened = packet.first().and_then(|kind| {
            let plain = self.open(packet, &layout(*kind)?)?;
            Some(Part { bytes: plain, is_directory: matches!(kind, 0x04 | 0x94) })
        });
        let whole = Part { bytes: packet.to_vec(), is_directory: false };
        [Some(whole), opened].into_iter().flatten().collect()
    }

    /// What can be read of a hello to a relay: who connects, and the key for the connection.
    pub(super) fn read_hello(&mut self, hello: &[u8]) -> Vec<Part> {
        let layout = Layout { key: 0, nonce: KEY, boxed: KEY + NONCE, behind: 0 };
        let plain = self.open(hello, &layout).unwrap_or_default();
        [hello.to_vec(), plain].map(|bytes| Part { bytes, is_directory: false }).into()
    }

    /// What this node itself wrote into its answer to an announce request: a ping id or a data key.
    pub(super) fn read_own_answer(&mut self, packet: &[u8], asker: PublicKey) -> Option<Part> {
        let response = packet.strip_prefix(&[0x8c])?.get(RETURN_LEN..)?;
        let boxed = response.strip_prefix(&[ANNOUNCE_RESPONSE])?.get(8..)?;
        let (nonce, boxed) = boxed.split_first_chunk()?;
        let plain = self.shared(asker).open(&Nonce(*nonce), boxed).ok()?;
        let stored = plain.get(..Stored::LEN)?.to_vec();
        Some(Part { bytes: stored, is_directory: false })
    }

    fn open(&mut self, packet: &[u8], layout: &Layout) -> Option<Vec<u8>> {
        let key = PublicKey(*packet.get(layout.key..)?.first_chunk()?);
        let nonce = Nonce(*packet.get(layout.nonce..)?.first_chunk()?);
        let boxed = packet.get(layout.boxed..packet.len().checked_sub(layout.behind)?)?;
        self.shared(key).open(&nonce, boxed).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toktok_mesh::Rng;
    use toktok_mesh::wire::onion::{AnnounceRequest, AnnounceRequestHeader};

    #[test]
    fn a_node_reads_what_is_sealed_to_it_and_nothing_else() {
        let mut rng = Rng::from_seed([1; 32]);
        let [node, other, asker] = [(); 3].map(|()| KeyPair::generate(&mut rng));
        let nonce = Nonce::generate(&mut rng);
        let header = AnnounceRequestHeader { extended: false, nonce, requester: asker.public };
        let (target, data_key) = (asker.public, other.public);
        let payload =
            AnnounceRequest { ping_id: [1; 32], target, data_key, sendback: [7; 8], extra: &[] };
        let mut packet = header.seal(&asker.secret.shared_key(&node.public), &payload);
        packet.extend([9; RETURN_LEN]);
        let parts = Reader::new(node).read(&packet);
        assert_eq!(parts.len(), 2);
        assert_eq!(sendback(&packet, &parts), Some([7; 8]));
        assert_eq!(Reader::new(other).read(&packet).len(), 1);
    }
}
