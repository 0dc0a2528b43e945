//! Sessions: mutually authenticated, encrypted, forward secret, one a pair of keys. On the wire they
//! are c-toxcore's `net_crypto` (research note `tox.md` 1.6), kept alive as its friend connections are
//! (1.8).
//!
//! [`Sessions`] keeps the peers, finds the one that a packet belongs to, sets the timers, and lets the
//! peers that have something to send take turns. A packet costs two look-ups by key and no scan.

mod commands;
mod congestion;
mod cookie;
#[cfg(test)]
mod flow_tests;
mod handshake;
mod incoming;
mod link;
mod loss;
#[cfg(test)]
mod migration_tests;
mod packets;
mod paths;
mod peer;
mod receive;
mod record;
mod round_trip;
mod send;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use self::cookie::{COOKIE_BURST, COOKIE_INTERVAL};
pub(crate) use self::cookie::{CookieJar, Pace};
pub(crate) use self::handshake::Search;
use self::peer::{Peer, Verdict};
pub(crate) use self::send::Body;
use crate::env::Env;
use crate::error::{CloseReason, ConnectError};
use crate::path::Path;
use crate::wire::{Address, PublicKey, Rng, Time};

/// All sessions of a node.
#[derive(Debug)]
pub(crate) struct Sessions {
    pace: Pace,
    peers: BTreeMap<PublicKey, Box<Peer>>,
    by_path: BTreeMap<Path, PublicKey>,
    /// Peers that a relay leads to, by what the owner said.
    relayed: BTreeSet<PublicKey>,
    /// Peers that may have something to send, in the order of their turns.
    ready: VecDeque<PublicKey>,
    /// At most one timer a peer, never later than the peer's deadline.
    timers: BTreeSet<(Time, PublicKey)>,
    /// Peers whose address shall be looked up.
    searches: VecDeque<PublicKey>,
    established: usize,
}

impl Sessions {
    /// No sessions.
    pub(crate) fn new(rng: &mut Rng) -> Self {
        Self {
            pace: Pace::new(rng, COOKIE_INTERVAL, COOKIE_BURST),
            peers: BTreeMap::new(),
            by_path: BTreeMap::new(),
            relayed: BTreeSet::new(),
            ready: VecDeque::new(),
            timers: BTreeSet::new(),
            searches: VecDeque::new(),
            established: 0,
        }
    }

    /// Takes a way out of the index, if it leads to `key`.
    fn forget_path(&mut self, path: Option<Path>, key: PublicKey) {
        if let Some(path) = path
            && self.by_path.get(&path) == Some(&key)
        {
            self.by_path.remove(&path);
        }
    }

    /// Ends the session that stands with a peer.
    fn end(&mut self, key: PublicKey, reason: CloseReason, env: &mut Env<'_>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if let Some(ended) = peer.end(reason, env) {
            self.established -= 1;
            self.forget_path(ended.paths.direct().map(Path::Direct), key);
            self.forget_path(Some(ended.paths.relay()), key);
        }
        self.tidy(key);
    }

    /// Forgets a peer with which nothing is going on any more.
    fn tidy(&mut self, key: PublicKey) {
        if let Some(peer) = self.peers.get(&key)
            && peer.is_over()
        {
            if let Some(at) = peer.scheduled {
                self.timers.remove(&(at, key));
            }
            self.peers.remove(&key);
            if self.by_path.len() > 2 * self.peers.len() {
                let peers = &self.peers;
                self.by_path.retain(|_, key| peers.contains_key(key));
            }
        }
    }

    /// Puts a peer in the line of those that may have something to send. Its timer is set when it has
    /// nothing more: only then is its deadline in the future.
    fn wake(&mut self, key: PublicKey) {
        if let Some(peer) = self.peers.get_mut(&key)
            && !peer.queued
        {
            peer.queued = true;
            self.ready.push_back(key);
        }
    }

    /// Sets a peer's timer, unless one is set that goes off earlier: it will be set anew then.
    fn schedule(&mut self, key: PublicKey) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let deadline = peer.deadline();
        if peer.scheduled.is_none_or(|at| deadline < at) {
            if let Some(at) = peer.scheduled.replace(deadline) {
                self.timers.remove(&(at, key));
            }
            self.timers.insert((deadline, key));
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Runs the timers.
    pub(crate) fn handle_timeout(&mut self, env: &mut Env<'_>) {
        while let Some(&(at, key)) = self.timers.first() {
            if at > env.now {
                break;
            }
            self.timers.pop_first();
            let Some(peer) = self.peers.get_mut(&key) else { continue };
            peer.scheduled = None;
            match peer.handle_timeout(env) {
                Verdict::Ended(reason) => self.end(key, reason, env),
                _ => self.search_or_tidy(key),
            }
            self.wake(key);
        }
    }

    fn search_or_tidy(&mut self, key: PublicKey) {
        let half = self.peers.get_mut(&key).and_then(|peer| peer.half.as_mut());
        match half {
            Some(half) if half.wants_search() => {
                half.search();
                self.searches.push_back(key);
            }
            Some(_) => {}
            None => self.tidy(key),
        }
    }

    /// A peer whose address shall be looked up now.
    pub(crate) fn poll_search(&mut self) -> Option<PublicKey> {
        self.searches.pop_front()
    }

    /// A lookup for [`Self::poll_search`] ended.
    pub(crate) fn handle_found(
        &mut self,
        key: PublicKey,
        address: Option<Address>,
        env: &mut Env<'_>,
    ) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let Some(half) = &mut peer.half else { return };
        if !half.handle_found(address, env) && !half.is_answered() {
            peer.fail(ConnectError::NotFound, env);
            self.tidy(key);
        }
        self.wake(key);
    }

    /// The next datagram that a session's window lets go.
    pub(crate) fn poll_transmit(&mut self, env: &mut Env<'_>) -> Option<(Path, Vec<u8>)> {
        while let Some(key) = self.ready.pop_front() {
            let Some(peer) = self.peers.get_mut(&key) else { continue };
            if let Some(datagram) = peer.poll_transmit(env) {
                self.ready.push_back(key);
                return Some(datagram);
            }
            peer.queued = false;
            self.schedule(key);
        }
        None
    }
}
