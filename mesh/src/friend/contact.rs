//! What is known of one friend: its DHT key, the ways to it, and when to try them.

use core::time::Duration;

use super::{DHT_KEY_TIMEOUT, FIRST_RETRY, MAX_RELAYS, MAX_RETRY, SHARE_INTERVAL};
use crate::wire::address::Protocol;
use crate::wire::{Address, PackedNode, PublicKey, Time};

/// The DHT key of a friend's present run, and the ways to its owner.
#[derive(Clone, Debug)]
struct Whereabouts {
    dht_key: PublicKey,
    /// Something was last heard of it.
    heard: Time,
    address: Option<Address>,
    relayed: bool,
    /// A way that no attempt has used yet.
    news: bool,
}

/// Why somebody is to be connected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tie {
    /// The user wants it.
    Friend,
    /// A part of this node needs the connection for now, as conferences do with members nearby.
    Acquaintance,
}

/// One friend or acquaintance.
#[derive(Clone, Debug)]
pub(super) struct Contact {
    is_friend: bool,
    is_acquaintance: bool,
    whereabouts: Option<Whereabouts>,
    /// TCP relays that it told of, the latest last.
    relays: Vec<PackedNode>,
    online: bool,
    share_at: Time,
    retry_at: Time,
    retry_after: Duration,
}

impl Default for Contact {
    fn default() -> Self {
        Self {
            is_friend: false,
            is_acquaintance: false,
            whereabouts: None,
            relays: Vec::new(),
            online: false,
            share_at: Time::ZERO,
            retry_at: Time::ZERO,
            retry_after: FIRST_RETRY,
        }
    }
}

impl Contact {
    const fn tie_mut(&mut self, tie: Tie) -> &mut bool {
        match tie {
            Tie::Friend => &mut self.is_friend,
            Tie::Acquaintance => &mut self.is_acquaintance,
        }
    }

    /// There is this reason to keep it connected.
    pub(super) const fn tie(&mut self, tie: Tie) {
        *self.tie_mut(tie) = true;
    }

    /// There is no longer; false if there was none.
    pub(super) const fn untie(&mut self, tie: Tie) -> bool {
        core::mem::replace(self.tie_mut(tie), false)
    }

    /// True if there is this reason.
    pub(super) const fn is_tied(&self, tie: Tie) -> bool {
        match tie {
            Tie::Friend => self.is_friend,
            Tie::Acquaintance => self.is_acquaintance,
        }
    }

    /// True if a rumour of its DHT key is better than what is known: a friend tells the key itself.
    pub(super) const fn heeds_rumours(&self) -> bool {
        self.whereabouts.is_none() || !(self.is_friend || self.online)
    }

    /// Its DHT key, if it is known.
    pub(super) fn dht_key(&self) -> Option<PublicKey> {
        self.whereabouts.as_ref().map(|it| it.dht_key)
    }

    /// Takes its DHT key: `Some` with the one before if this one is new.
    pub(super) fn learn_key(&mut self, now: Time, dht_key: PublicKey) -> Option<Option<PublicKey>> {
        if let Some(known) = &mut self.whereabouts
            && known.dht_key == dht_key
        {
            known.heard = now;
            return None;
        }
        let new = Whereabouts { dht_key, heard: now, address: None, relayed: false, news: false };
        self.retry_after = FIRST_RETRY;
        self.retry_at = now;
        Some(self.whereabouts.replace(new).map(|old| old.dht_key))
    }

    /// Somebody else has its DHT key.
    pub(super) fn lose_key(&mut self) {
        self.whereabouts = None;
    }

    /// Remembers the relays among the nodes that it told of.
    pub(super) fn learn_relays(&mut self, nodes: &[PackedNode]) {
        for node in nodes.iter().filter(|node| node.endpoint.protocol == Protocol::Tcp) {
            self.relays.retain(|known| known.key != node.key);
            if self.relays.len() == MAX_RELAYS {
                self.relays.remove(0);
            }
            self.relays.push(*node);
        }
    }

    /// Relays that it told of, in this run or an earlier one.
    pub(super) fn relays(&self) -> &[PackedNode] {
        &self.relays
    }

    /// It answered the DHT from this address.
    pub(super) fn found(&mut self, now: Time, address: Address) {
        if let Some(known) = &mut self.whereabouts {
            known.heard = now;
            known.news |= known.address != Some(address);
            known.address = Some(address);
        }
    }

    /// Whether a relay reaches it.
    pub(super) fn relayed(&mut self, now: Time, relayed: bool) {
        if let Some(known) = &mut self.whereabouts {
            known.news |= relayed && !known.relayed;
            known.relayed = relayed;
            if relayed {
                known.heard = now;
            }
        }
    }

    /// A session stands.
    pub(super) fn up(&mut self, now: Time) {
        self.online = true;
        self.share_at = now;
        self.retry_after = FIRST_RETRY;
    }

    /// It stands no longer.
    pub(super) fn down(&mut self, now: Time) {
        self.online = false;
        self.retry_at = now;
        if let Some(known) = &mut self.whereabouts {
            known.heard = now;
        }
    }

    /// An attempt failed: the next one waits.
    pub(super) fn failed(&mut self, now: Time) {
        self.retry_at = now + self.retry_after;
        self.retry_after = (self.retry_after * 2).min(MAX_RETRY);
    }

    /// The way to try now, if there is one that is new, or one whose time has come again. While it is
    /// tried nothing more is due: success, failure or a new way follow.
    pub(super) fn take_attempt(&mut self, now: Time) -> Option<(PublicKey, Option<Address>, bool)> {
        let known = self.whereabouts.as_mut()?;
        let has_way = known.address.is_some() || known.relayed;
        if !has_way || !(known.news || (!self.online && self.retry_at <= now)) {
            return None;
        }
        known.news = false;
        if !self.online {
            self.retry_at = Time::MAX;
        }
        Some((known.dht_key, known.address, known.relayed))
    }

    /// True if it is to be told our relays now.
    pub(super) fn take_share_turn(&mut self, now: Time) -> bool {
        let turn = self.online && self.share_at <= now;
        if turn {
            self.share_at = now + SHARE_INTERVAL;
        }
        turn
    }

    /// Forgets the DHT key, and tells it, if nothing was heard of it for too long.
    pub(super) fn forget_key(&mut self, now: Time) -> Option<PublicKey> {
        let is_old = |it: &mut Whereabouts| it.heard + DHT_KEY_TIMEOUT <= now;
        let forgotten = if self.online { None } else { self.whereabouts.take_if(is_old) };
        forgotten.map(|it| it.dht_key)
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Time> {
        if self.online {
            return Some(self.share_at);
        }
        let known = self.whereabouts.as_ref()?;
        let has_way = known.address.is_some() || known.relayed;
        let retry = if has_way { self.retry_at } else { Time::MAX };
        Some(retry.min(known.heard + DHT_KEY_TIMEOUT))
    }
}
