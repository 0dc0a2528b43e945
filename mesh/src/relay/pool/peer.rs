//! A peer, and how it stands with us at each of its relays.

use super::MAX_PEER_RELAYS;
use crate::wire::PublicKey;

/// How a peer stands with us at one relay.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// We have not asked the relay for it, or have no answer.
    Unknown,
    /// We have asked: out-of-band packets may reach it.
    Registered,
    /// It has asked for us too: data goes both ways.
    Online,
}

/// A peer.
#[derive(Debug)]
pub(super) struct Peer {
    /// Relays are needed to reach it.
    pub(super) is_awake: bool,
    /// At most [`MAX_PEER_RELAYS`].
    relays: Vec<(PublicKey, Standing)>,
}

impl Default for Peer {
    fn default() -> Self {
        Self { is_awake: true, relays: Vec::new() }
    }
}

impl Peer {
    /// Its relays.
    pub(super) fn relays(&self) -> Vec<PublicKey> {
        self.relays.iter().map(|(relay, _)| *relay).collect()
    }

    /// Those of its relays where it stands so.
    pub(super) fn relays_at(&self, at: Standing) -> impl Iterator<Item = PublicKey> + '_ {
        self.relays.iter().filter(move |(_, standing)| *standing == at).map(|(relay, _)| *relay)
    }

    /// At how many relays it is online.
    pub(super) fn online_count(&self) -> usize {
        self.relays_at(Standing::Online).count()
    }

    /// True if it has all the relays it may have, and none that a new one could replace.
    pub(super) fn is_full(&self) -> bool {
        self.relays.len() >= MAX_PEER_RELAYS && self.relays_at(Standing::Unknown).next().is_none()
    }

    /// Adds a relay. Returns the one that gave way to it; `Err` if there is no place.
    pub(super) fn add(&mut self, relay: PublicKey) -> Result<Option<PublicKey>, ()> {
        let mut given_way = None;
        if self.relays.len() >= MAX_PEER_RELAYS {
            let unknown = self.relays.iter().position(|(_, at)| *at == Standing::Unknown);
            given_way = Some(self.relays.remove(unknown.ok_or(())?).0);
        }
        self.relays.push((relay, Standing::Unknown));
        Ok(given_way)
    }

    /// Takes a relay away.
    pub(super) fn remove(&mut self, relay: &PublicKey) {
        self.relays.retain(|(known, _)| known != relay);
    }

    /// How it stands at a relay; `None` if that is none of its relays.
    pub(super) fn standing(&self, relay: &PublicKey) -> Option<Standing> {
        self.relays.iter().find(|(known, _)| known == relay).map(|(_, standing)| *standing)
    }

    /// Notes how it stands at a relay.
    pub(super) fn set_standing(&mut self, relay: &PublicKey, standing: Standing) {
        if let Some(known) = self.relays.iter_mut().find(|(known, _)| known == relay) {
            known.1 = standing;
        }
    }
}
