//! What all parts send through: the nodes of which paths are built, the requests under way, and what
//! waits to be polled.

use std::collections::VecDeque;

use super::config::{BURST, MAX_OUTBOX, PACE};
use super::neighbourhood::Ask;
use super::pace::Pace;
use super::paths::{FirstHop, Ground, PathId, Paths, Wish};
use super::pool::{Node, Pool};
use super::requests::{Purpose, Request, Requests};
use crate::wire::onion::{AnnounceRequest, AnnounceRequestHeader};
use crate::wire::{KeyPair, Nonce, PublicKey, Rng, Time};

/// Who asks, and for what.
pub(super) struct Asker<'a> {
    pub(super) purpose: Purpose,
    pub(super) pair: &'a KeyPair,
    pub(super) target: PublicKey,
    /// Zeros unless the target is announced.
    pub(super) data_key: PublicKey,
}

/// The way out.
#[derive(Debug)]
pub(super) struct Courier {
    pub(super) rng: Rng,
    pub(super) pool: Pool,
    /// TCP relays through which everything goes, if there are any.
    pub(super) relays: Vec<PublicKey>,
    pub(super) requests: Requests,
    pub(super) pace: Pace,
    allow_short: bool,
    outbox: VecDeque<(FirstHop, Vec<u8>)>,
}

impl Courier {
    pub(super) fn new(own: PublicKey, rng: Rng, allow_short: bool) -> Self {
        Self {
            rng,
            pool: Pool::new(own, allow_short),
            relays: Vec::new(),
            requests: Requests::default(),
            pace: Pace::new(BURST, PACE),
            allow_short,
            outbox: VecDeque::new(),
        }
    }

    /// The next packet to send.
    pub(super) fn poll(&mut self) -> Option<(FirstHop, Vec<u8>)> {
        self.outbox.pop_front()
    }

    /// Asks a node. `ping_id` tells what to show to it along a path. False if no path leads there, or
    /// too much is under way.
    pub(super) fn ask(
        &mut self,
        now: Time,
        paths: &mut Paths,
        asker: &Asker<'_>,
        ask: Ask,
        ping_id: impl FnOnce(PathId) -> Option<[u8; 32]>,
    ) -> bool {
        let Ask { node, shared, wish } = ask;
        let allow_short = self.allow_short || asker.purpose == Purpose::Explore;
        let Self { rng, pool, relays, .. } = self;
        let mut ground = Ground { rng, pool, relays, allow_short };
        let Some(path) = paths.choose(now, &mut ground, &node, wish) else { return false };
        let (ping_id, is_known) = (ping_id(path.id), shared.is_some());
        let shared = shared.unwrap_or_else(|| asker.pair.secret.shared_key(&node.key));
        let request = Request {
            purpose: asker.purpose,
            requester: asker.pair.public,
            node,
            path: path.id,
            first: path.first,
            shared: shared.clone(),
            is_known,
            shows_ping_id: ping_id.is_some(),
        };
        let Some(id) = self.requests.open(rng, now, request) else { return false };
        let nonce = Nonce::generate(rng);
        let header = AnnounceRequestHeader { extended: false, nonce, requester: asker.pair.public };
        let payload = AnnounceRequest {
            ping_id: ping_id.unwrap_or([0; 32]),
            target: asker.target,
            data_key: asker.data_key,
            sendback: id.to_be_bytes(),
            extra: &[],
        };
        let packet = path.wrap(rng, &node, &header.seal(&shared, &payload));
        push(&mut self.outbox, path.first, packet)
    }

    /// Sends a data request to a node, along this path if it still stands. False if no path leads
    /// there.
    pub(super) fn deliver(
        &mut self,
        now: Time,
        paths: &mut Paths,
        node: &Node,
        path: PathId,
        packet: &[u8],
    ) -> bool {
        let Self { rng, pool, relays, allow_short, .. } = self;
        let mut ground = Ground { rng, pool, relays, allow_short: *allow_short };
        let Some(path) = paths.choose(now, &mut ground, node, Wish::This(path)) else {
            return false;
        };
        let packet = path.wrap(rng, node, packet);
        push(&mut self.outbox, path.first, packet)
    }
}

/// Queues a packet; false, and it is gone, if too many wait.
fn push(outbox: &mut VecDeque<(FirstHop, Vec<u8>)>, first: FirstHop, packet: Vec<u8>) -> bool {
    let fits = outbox.len() < MAX_OUTBOX;
    if fits {
        outbox.push_back((first, packet));
    }
    fits
}
