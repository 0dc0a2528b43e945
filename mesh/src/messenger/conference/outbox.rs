//! What conferences want of the mesh: packets to be sent, and connections to be kept.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::error::PacketError;
use crate::messenger::carrier::Carrier;
use crate::wire::conference::ConferencePacket;
use crate::wire::{PublicKey, Time};

/// Most packets that wait for one peer because its session takes no more; later ones are dropped. Room
/// for a list of [`MAX_MEMBERS`](super::MAX_MEMBERS) with long names, and some talk.
const MAX_WAITING: usize = 128;
/// A connection that no conference uses any more is kept for so long: the last words shall arrive.
const LINGER: Duration = Duration::from_secs(5);

/// A connection to be kept, or no longer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tie {
    /// Keep a connection with this peer, friend or not; others say that its DHT key is this one.
    Hold(PublicKey, PublicKey),
    /// It is not needed any more.
    Release(PublicKey),
}

/// What waits to be done.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: BTreeMap<PublicKey, VecDeque<(u8, Bytes)>>,
    /// How many conferences use a connection.
    uses: BTreeMap<PublicKey, usize>,
    /// Until when a connection is kept that none uses.
    lingering: BTreeMap<PublicKey, Time>,
    ties: VecDeque<Tie>,
}

impl Outbox {
    /// Queues a packet; false if too many wait for this peer.
    pub(super) fn send(&mut self, to: PublicKey, packet: &ConferencePacket<'_>) -> bool {
        let waiting = self.waiting.entry(to).or_default();
        let room = waiting.len() < MAX_WAITING;
        if room {
            waiting.push_back((packet.id(), packet.body().into()));
        }
        room
    }

    /// One conference more uses the connection with `peer`.
    pub(super) fn hold(&mut self, peer: PublicKey, dht_key: PublicKey) {
        self.lingering.remove(&peer);
        *self.uses.entry(peer).or_default() += 1;
        self.ties.push_back(Tie::Hold(peer, dht_key));
    }

    /// One less does.
    pub(super) fn release(&mut self, now: Time, peer: PublicKey) {
        let Some(uses) = self.uses.get_mut(&peer) else { return };
        *uses -= 1;
        if *uses == 0 {
            self.uses.remove(&peer);
            self.lingering.insert(peer, now + LINGER);
        }
    }

    /// The session with `peer` is gone, and what waited for it is void.
    pub(super) fn forget(&mut self, peer: &PublicKey) {
        self.waiting.remove(peer);
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.lingering.values().min().copied()
    }

    /// Lets connections go that nobody used for a while.
    pub(super) fn handle_timeout(&mut self, now: Time) {
        let due = self.lingering.extract_if(.., |_, until| *until <= now);
        self.ties.extend(due.map(|(peer, _)| Tie::Release(peer)));
    }

    /// The next connection to be kept, or no longer.
    pub(super) fn poll_tie(&mut self) -> Option<Tie> {
        self.ties.pop_front()
    }

    /// Sends what waits, as far as there is room; true if anything went.
    pub(super) fn pump(&mut self, carrier: &mut impl Carrier) -> bool {
        let mut sent = false;
        self.waiting.retain(|peer, waiting| {
            while let Some((id, data)) = waiting.front() {
                match carrier.send(*peer, *id, data.clone()) {
                    Ok(_) => sent = true,
                    Err(PacketError::Full) => return true,
                    // The session is gone, or it never takes this packet.
                    Err(_) => {}
                }
                waiting.pop_front();
            }
            false
        });
        sent
    }
}
