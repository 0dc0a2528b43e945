//! Announcements of our own at other nodes, and those that others left there. Which nodes to ask is
//! the caller's business: those near the key that is announced, found search by search.
//!
//! Everything begins with a search, for its proof; what follows goes the same way.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::Handled;
use crate::crypto::Keys;
use crate::drops::DropReason;
use crate::wire::announcement::{
    self, Announcement, Found, MAX_ANNOUNCEMENT, RETRIEVE_REQUEST, RETRIEVE_RESPONSE,
    RetrieveRequest, RetrieveResponse, SEARCH_REQUEST, SEARCH_RESPONSE, STORE_REQUEST,
    STORE_RESPONSE, SearchRequest, SearchResponse, StoreContents, StoreRequest, StoreResponse,
};
use crate::wire::dht::Header;
use crate::wire::forwarding::{MAX_FORWARD_CHAIN, forward_chain};
use crate::wire::{Address, Decode, Encode, KeyPair, Nonce, PublicKey, Rng, Time};

/// Most operations at once.
pub(super) const MAX_OPERATIONS: usize = 64;
/// A packet that is not answered is sent again after so long …
pub(super) const RETRY: Duration = Duration::from_secs(2);
/// … until it was sent so often.
const ATTEMPTS: u8 = 3;

/// Names one operation with an announcement; unique within its stack.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AnnouncementId(pub u64);

/// The way to a node that keeps announcements.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AnnouncementPath {
    /// The node.
    node: PublicKey,
    /// Where packets go first: the node itself, or the first forwarder.
    first: Address,
    /// The keys that follow the first forwarder's, the node's last; none if there is no forwarder.
    chain: Vec<PublicKey>,
    /// The TCP relay that sends the packets to `first`.
    relay: Option<PublicKey>,
}

impl AnnouncementPath {
    /// Straight to the node with this DHT key.
    pub fn direct(node: PublicKey, address: Address) -> Self {
        Self { node, first: address, chain: Vec::new(), relay: None }
    }

    /// Through the forwarder at `first`, from there to the first key of `chain`, and so on: its last
    /// key is that of the node. Each must know the next one. `None` if the chain is empty or has more
    /// than 4 keys.
    pub fn forwarded(first: Address, chain: &[PublicKey]) -> Option<Self> {
        let node = *chain.last()?;
        let is_fit = chain.len() <= MAX_FORWARD_CHAIN;
        is_fit.then(|| Self { node, first, chain: chain.to_vec(), relay: None })
    }

    /// The same way, but from a TCP relay on: one of those that
    /// [`add_relay`](crate::Stack::add_relay) told of.
    #[must_use]
    pub fn from_relay(self, relay: PublicKey) -> Self {
        Self { relay: Some(relay), ..self }
    }
}

/// How an operation with an announcement ended.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AnnouncementOutcome {
    /// What the node says of the key.
    Found {
        /// The SHA-256 hash of the announcement that it keeps.
        stored: Option<[u8; 32]>,
        /// True if it would keep one now.
        accepts: bool,
        /// Nodes that it knows nearest to the key.
        nodes: Vec<(PublicKey, Address)>,
    },
    /// The announcement. It proves nothing: the node may lie.
    Retrieved(Bytes),
    /// The node keeps the announcement for so long.
    Stored(Duration),
    /// There is no announcement to retrieve.
    Absent,
    /// The node keeps nearer keys' announcements.
    Refused,
    /// No answer.
    Silent,
}

/// What an operation is for.
#[derive(Clone, Debug)]
pub(crate) enum Want {
    /// To know what a node knows.
    Search,
    /// To get an announcement.
    Retrieve,
    /// To leave one.
    Store {
        /// The announced key.
        keys: KeyPair,
        /// For so many seconds.
        timeout: u32,
        /// The announcement.
        data: Vec<u8>,
    },
}

/// A packet to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    /// The relay that sends it.
    pub(crate) relay: Option<PublicKey>,
    /// Where to.
    pub(crate) to: Address,
    /// The packet.
    pub(crate) packet: Vec<u8>,
}

/// A search response that is no operation's: the DHT may have asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Unclaimed {
    /// The DHT key of the node that answered.
    pub(crate) sender: PublicKey,
    /// The request's id.
    pub(crate) id: u64,
}

#[derive(Debug)]
struct Operation {
    key: PublicKey,
    path: AnnouncementPath,
    want: Want,
    /// The response that is awaited, and its id.
    awaits: (u8, u64),
    /// What was sent last.
    packet: Vec<u8>,
    attempts: u8,
    due: Time,
}

/// All operations that go on.
#[derive(Debug)]
pub(crate) struct Client {
    rng: Rng,
    operations: BTreeMap<u64, Operation>,
    next: u64,
    outgoing: VecDeque<Outgoing>,
    ended: VecDeque<(AnnouncementId, PublicKey, AnnouncementOutcome)>,
}

impl Client {
    /// A client without operations.
    pub(crate) fn new(rng: Rng) -> Self {
        Self {
            rng,
            operations: BTreeMap::new(),
            next: 0,
            outgoing: VecDeque::new(),
            ended: VecDeque::new(),
        }
    }

    /// Begins an operation with the announcement of `key`; `None` if too many go on or the announcement
    /// is too long.
    pub(crate) fn begin(
        &mut self,
        now: Time,
        dht: &mut Keys,
        key: PublicKey,
        path: AnnouncementPath,
        want: Want,
    ) -> Option<AnnouncementId> {
        let is_long = matches!(&want, Want::Store { data, .. } if data.len() > MAX_ANNOUNCEMENT);
        if is_long || self.operations.len() >= MAX_OPERATIONS {
            return None;
        }
        let number = self.next;
        self.next += 1;
        let id = self.rng.u64();
        let payload = SearchRequest { key, previous: None, id };
        let packet = self.seal(dht, &path.node, SEARCH_REQUEST, &payload);
        let awaits = (SEARCH_RESPONSE, id);
        let operation = Operation { key, path, want, awaits, packet, attempts: 0, due: now };
        self.operations.insert(number, operation);
        self.handle_timeout(now);
        Some(AnnouncementId(number))
    }

    fn seal<P: Encode>(
        &mut self,
        dht: &mut Keys,
        node: &PublicKey,
        kind: u8,
        payload: &P,
    ) -> Vec<u8> {
        let header = Header { kind, sender: dht.public(), nonce: Nonce::generate(&mut self.rng) };
        header.seal(dht.shared(node), payload)
    }

    /// Sends what is due, and gives up what nobody answers.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        let due = self.operations.iter().filter(|(_, operation)| operation.due <= now);
        let due: Vec<u64> = due.map(|(number, _)| *number).collect();
        for number in due {
            self.send(now, number);
        }
    }

    fn send(&mut self, now: Time, number: u64) {
        let Some(operation) = self.operations.get_mut(&number) else { return };
        let AnnouncementPath { first, chain, relay, .. } = &operation.path;
        let packet = if chain.is_empty() {
            Some(operation.packet.clone())
        } else {
            forward_chain(chain, &operation.packet)
        };
        match packet {
            Some(packet) if operation.attempts < ATTEMPTS => {
                operation.attempts += 1;
                operation.due = now + RETRY;
                self.outgoing.push_back(Outgoing { relay: *relay, to: *first, packet });
            }
            _ => self.end(number, AnnouncementOutcome::Silent),
        }
    }

    fn end(&mut self, number: u64, outcome: AnnouncementOutcome) {
        if let Some(operation) = self.operations.remove(&number) {
            self.ended.push_back((AnnouncementId(number), operation.key, outcome));
        }
    }

    /// When [`Client::handle_timeout`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.operations.values().map(|operation| operation.due).min()
    }

    /// The next packet to send.
    pub(crate) fn poll_transmit(&mut self) -> Option<Outgoing> {
        self.outgoing.pop_front()
    }

    /// The next operation that ended.
    pub(crate) fn poll_ended(
        &mut self,
    ) -> Option<(AnnouncementId, PublicKey, AnnouncementOutcome)> {
        self.ended.pop_front()
    }

    /// Takes a response, whichever way it came. The buffer is scratch space afterwards.
    pub(crate) fn handle(
        &mut self,
        now: Time,
        dht: &mut Keys,
        packet: &mut [u8],
    ) -> Result<Option<Unclaimed>, DropReason> {
        let (header, boxed) = Header::split(packet)?;
        let (kind, sender) = (header.kind, header.sender);
        let plain = dht.shared(&sender).open_in_place(&header.nonce, boxed)?;
        match kind {
            SEARCH_RESPONSE => {
                let response = SearchResponse::from_bytes(plain)?;
                let Some(number) = self.find(kind, &sender, response.id, &response.key) else {
                    return Ok(Some(Unclaimed { sender, id: response.id }));
                };
                let found = response.found.ok_or(DropReason::Malformed)?;
                self.searched(now, dht, number, &found);
            }
            RETRIEVE_RESPONSE => {
                let response = RetrieveResponse::from_bytes(plain)?;
                let number = self.find(kind, &sender, response.id, &response.key);
                let data = response.data.map(Bytes::copy_from_slice);
                let outcome = data.map(AnnouncementOutcome::Retrieved);
                self.end_found(number, outcome.unwrap_or(AnnouncementOutcome::Absent))?;
            }
            STORE_RESPONSE => {
                let response = StoreResponse::from_bytes(plain)?;
                let number = self.find(kind, &sender, response.id, &response.key);
                let timeout = Duration::from_secs(response.timeout.into());
                self.end_found(number, AnnouncementOutcome::Stored(timeout))?;
            }
            _ => return Err(DropReason::UnknownKind),
        }
        Ok(None)
    }

    fn end_found(&mut self, number: Option<u64>, outcome: AnnouncementOutcome) -> Handled {
        self.end(number.ok_or(DropReason::Unsolicited)?, outcome);
        Ok(())
    }

    /// The operation that awaits this.
    fn find(&self, kind: u8, sender: &PublicKey, id: u64, key: &PublicKey) -> Option<u64> {
        let is_it = |operation: &Operation| {
            operation.awaits == (kind, id)
                && operation.path.node == *sender
                && operation.key == *key
        };
        self.operations.iter().find(|(_, operation)| is_it(operation)).map(|(number, _)| *number)
    }

    /// A search came back: it is the end, or the next request goes out.
    fn searched(&mut self, now: Time, dht: &mut Keys, number: u64, found: &Found) {
        let Some(operation) = self.operations.get(&number) else { return };
        let (key, node, want) = (operation.key, operation.path.node, operation.want.clone());
        let (stored, id) = (found.stored, self.rng.u64());
        let (kind, packet) = match want {
            Want::Search => {
                let nodes = found.nodes.iter();
                let nodes = nodes.map(|node| (node.key, Address::udp(node.endpoint.address)));
                let (accepts, nodes) = (found.accepts, nodes.collect());
                return self.end(number, AnnouncementOutcome::Found { stored, accepts, nodes });
            }
            Want::Retrieve if stored.is_none() => {
                return self.end(number, AnnouncementOutcome::Absent);
            }
            Want::Store { .. } if stored.is_none() && !found.accepts => {
                return self.end(number, AnnouncementOutcome::Refused);
            }
            Want::Retrieve => {
                let request = RetrieveRequest { key, proof: found.proof, id };
                (RETRIEVE_RESPONSE, self.seal(dht, &node, RETRIEVE_REQUEST, &request))
            }
            Want::Store { keys, timeout, data } => {
                let hash = announcement::hash(&data);
                let announcement = match stored {
                    Some(stored) if stored == hash => Announcement::Refresh(hash),
                    _ => Announcement::Data(&data),
                };
                let contents = StoreContents { proof: found.proof, timeout, announcement };
                let nonce = Nonce::generate(&mut self.rng);
                let boxed = contents.seal(&keys.secret.shared_key(&node), &nonce);
                let request = StoreRequest { key, nonce, boxed: &boxed, id };
                (STORE_RESPONSE, self.seal(dht, &node, STORE_REQUEST, &request))
            }
        };
        if let Some(operation) = self.operations.get_mut(&number) {
            operation.awaits = (kind, id);
            (operation.packet, operation.attempts) = (packet, 0);
        }
        self.send(now, number);
    }
}
