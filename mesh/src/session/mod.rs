//! Sessions: mutually authenticated, encrypted, forward secret, one a pair of keys. On the wire they
//! are c-toxcore's `net_crypto` (research note `tox.md` 1.6), kept alive as its friend connections are
//! (1.8).
//!
//! [`Sessions`] keeps the peers, finds the one that a packet belongs to, sets the timers, and lets the
//! peers that have something to send take turns. A packet costs two look-ups by key and no scan.

mod commands;
mod congestion;
mod cookie;
mod handshake;
mod link;
mod packets;
mod peer;
mod receive;
mod record;
mod round_trip;
mod send;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub(crate) use self::cookie::CookieJar;
use self::cookie::Pace;
use self::handshake::HalfOpen;
pub(crate) use self::handshake::Search;
use self::peer::{Established, Peer, Verdict};
pub(crate) use self::send::Body;
use crate::drops::DropReason;
use crate::env::Env;
use crate::error::{CloseReason, ConnectError};
use crate::wire::session::{
    COOKIE_REQUEST, COOKIE_RESPONSE, CRYPTO_DATA, CookieRequest, CookieRequestHeader,
    CookieResponse, CookieResponseHeader, HANDSHAKE, Handshake, HandshakeHeader, split_crypto_data,
};
use crate::wire::{Address, Decode, Nonce, PublicKey, Rng, Time};

/// Sessions that strangers may have in the making at once. Each costs about 2 KiB and four
/// Diffie–Hellmans; one that proves itself counts no more.
const MAX_STRANGERS: usize = 64;
/// A packet from an address that no session has may be the newest of a session that moved, if so
/// many at most were lost on the way …
const MAX_MOVE_GAP: i16 = 1024;
/// … and so many sessions at most are tried.
const MAX_MOVE_TRIES: usize = 4;

/// Addresses that handshakes came from, kept to find the session that a packet belongs to.
const MAX_ADDRESSES_PER_SESSION: usize = 4;

/// All sessions of a node.
#[derive(Debug)]
pub(crate) struct Sessions {
    pace: Pace,
    peers: BTreeMap<PublicKey, Box<Peer>>,
    by_address: BTreeMap<Address, PublicKey>,
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
            pace: Pace::new(rng),
            peers: BTreeMap::new(),
            by_address: BTreeMap::new(),
            ready: VecDeque::new(),
            timers: BTreeSet::new(),
            searches: VecDeque::new(),
            established: 0,
        }
    }

    /// True for the packet kinds of sessions.
    pub(crate) fn handles(kind: u8) -> bool {
        matches!(kind, COOKIE_REQUEST | COOKIE_RESPONSE | HANDSHAKE | CRYPTO_DATA)
    }

    /// Takes a datagram of one of these kinds.
    pub(crate) fn handle(&mut self, from: Address, packet: &mut [u8], env: &mut Env<'_>) {
        let handled = match packet.first() {
            Some(&COOKIE_REQUEST) => self.handle_cookie_request(from, packet, env),
            Some(&COOKIE_RESPONSE) => self.handle_cookie_response(from, packet, env),
            Some(&HANDSHAKE) => self.handle_handshake(from, packet, env),
            Some(&CRYPTO_DATA) => self.handle_data(from, packet, env),
            _ => Err(DropReason::UnknownKind),
        };
        if let Err(reason) = handled {
            env.drops.count(reason);
        }
    }

    /// Gives a stranger a cookie. Nothing is remembered but the pace of its address.
    fn handle_cookie_request(
        &mut self,
        from: Address,
        packet: &mut [u8],
        env: &mut Env<'_>,
    ) -> Result<(), DropReason> {
        let (header, boxed) = CookieRequestHeader::split(packet)?;
        if header.sender == env.keys.public() {
            return Err(DropReason::FromSelf);
        }
        self.pace.admit(env.now, &from)?;
        let shared = env.keys.shared(&header.sender);
        let request = CookieRequest::from_bytes(shared.open_in_place(&header.nonce, boxed)?)?;
        if request.key == env.own_key() {
            return Err(DropReason::FromSelf);
        }
        let cookie = env.jar.seal(env.now, request.key, header.sender, env.rng);
        let response = CookieResponse { cookie, echo: request.echo };
        let answer = CookieResponseHeader { nonce: Nonce::generate(env.rng) };
        let answer = answer.seal(env.keys.shared(&header.sender), &response);
        env.transmit(from, answer);
        Ok(())
    }

    fn handle_cookie_response(
        &mut self,
        from: Address,
        packet: &mut [u8],
        env: &mut Env<'_>,
    ) -> Result<(), DropReason> {
        let (header, boxed) = CookieResponseHeader::split(packet)?;
        let mut asked = false;
        let mut answered = None;
        for (key, peer) in &mut self.peers {
            let Some(half) = &mut peer.half else { continue };
            if half.awaits_cookie(&from) {
                asked = true;
                if half.handle_cookie(from, header, boxed, env) {
                    answered = Some(*key);
                    break;
                }
            }
        }
        match answered {
            Some(key) => {
                self.wake(key);
                Ok(())
            }
            None if asked => Err(DropReason::Forged),
            None => Err(DropReason::Unsolicited),
        }
    }

    fn handle_handshake(
        &mut self,
        from: Address,
        packet: &mut [u8],
        env: &mut Env<'_>,
    ) -> Result<(), DropReason> {
        let (header, boxed) = HandshakeHeader::split(packet)?;
        let (key, dht_key) = env.jar.open(env.now, &header.cookie)?;
        if key == env.own_key() {
            return Err(DropReason::FromSelf);
        }
        let allowed =
            env.config.accept.allows(&key) || self.peers.get(&key).is_some_and(|peer| peer.wanted);
        if !allowed {
            return Err(DropReason::Refused);
        }
        let plain = env.identity().shared(&key).open_in_place(&header.nonce, boxed)?;
        let handshake = Handshake::from_bytes(plain)?;
        if handshake.cookie_hash != header.cookie.hash() {
            return Err(DropReason::Forged);
        }
        self.begin_or_go_on(from, (key, dht_key), &header, &handshake, env)
    }

    /// Takes a handshake that is proved to come from the owner of `key`.
    fn begin_or_go_on(
        &mut self,
        from: Address,
        (key, dht_key): (PublicKey, PublicKey),
        header: &HandshakeHeader,
        handshake: &Handshake,
        env: &mut Env<'_>,
    ) -> Result<(), DropReason> {
        let current = self.peers.get(&key).and_then(|peer| peer.established.as_ref());
        if current.is_some_and(|it| it.link.peer_session_key() == handshake.session_key) {
            return Err(DropReason::Replayed);
        }
        if self.peers.get(&key).is_none_or(|peer| peer.half.is_none()) {
            self.pace.admit(env.now, &from)?;
            self.admit_stranger(&key, env)?;
        }
        let peer = self.peers.entry(key).or_insert_with(|| Box::new(Peer::new(key)));
        peer.learn_dht_key(dht_key, env);
        let half =
            peer.half.get_or_insert_with(|| Box::new(HalfOpen::new(env.now, key, false, env.rng)));
        half.handle_handshake(from, dht_key, header.cookie, handshake, env);
        if self.by_address.len() < MAX_ADDRESSES_PER_SESSION * env.config.max_sessions {
            self.by_address.insert(from, key);
        }
        self.wake(key);
        Ok(())
    }

    /// True if one more session may be begun by somebody else.
    fn admit_stranger(&self, key: &PublicKey, env: &Env<'_>) -> Result<(), DropReason> {
        let begun = |peer: &Peer| peer.half.as_ref().is_some_and(|half| !half.outgoing);
        let strangers = self.peers.values().filter(|peer| begun(peer)).count();
        let room = self.peers.len() < env.config.max_sessions || self.peers.contains_key(key);
        if room && strangers < MAX_STRANGERS { Ok(()) } else { Err(DropReason::LimitReached) }
    }

    fn handle_data(
        &mut self,
        from: Address,
        packet: &mut [u8],
        env: &mut Env<'_>,
    ) -> Result<(), DropReason> {
        let (low, _) = split_crypto_data(packet)?;
        let known = self.by_address.get(&from).copied();
        let mut reason = DropReason::NoSession;
        if let Some(key) = known {
            match self.try_peer(key, from, packet, env) {
                Err(DropReason::Forged) => reason = DropReason::Forged,
                result => return result,
            }
        }
        for key in self.moved_candidates(low, known) {
            match self.try_peer(key, from, packet, env) {
                Err(DropReason::Forged) => reason = DropReason::Forged,
                result => {
                    // Back at an address that somebody else claimed meanwhile.
                    if self.address(&key) == Some(from) {
                        self.by_address.insert(from, key);
                    }
                    return result;
                }
            }
        }
        Err(reason)
    }

    /// Sessions that a packet from a new address may belong to, by the part of its nonce that it shows.
    fn moved_candidates(&self, low: u16, known: Option<PublicKey>) -> Vec<PublicKey> {
        let fits = |it: &Established| (1..=MAX_MOVE_GAP).contains(&it.link.distance(low));
        self.peers
            .iter()
            .filter(|(key, peer)| {
                Some(**key) != known && peer.established.as_ref().is_some_and(fits)
            })
            .map(|(key, _)| *key)
            .take(MAX_MOVE_TRIES)
            .collect()
    }

    fn try_peer(
        &mut self,
        key: PublicKey,
        from: Address,
        packet: &mut [u8],
        env: &mut Env<'_>,
    ) -> Result<(), DropReason> {
        let peer = self.peers.get_mut(&key).ok_or(DropReason::Forged)?;
        let had = peer.established.as_ref().map(|it| it.address);
        let verdict = match peer.handle_data(from, packet, env) {
            Err(DropReason::Forged) => return Err(DropReason::Forged),
            Err(reason) => {
                // One that came before means that the peer missed our word of it.
                self.wake(key);
                return Err(reason);
            }
            Ok(verdict) => verdict,
        };
        if let (None, Some(_)) = (had, &peer.established) {
            self.established += 1;
        }
        match verdict {
            Verdict::Stays => {}
            Verdict::Moved(address) | Verdict::Proved(address) => {
                self.forget_address(had, key);
                self.by_address.insert(address, key);
            }
            Verdict::Ended(reason) => self.end(key, reason, env),
        }
        self.wake(key);
        Ok(())
    }

    /// Takes an address out of the index, if it leads to `key`.
    fn forget_address(&mut self, address: Option<Address>, key: PublicKey) {
        if let Some(address) = address
            && self.by_address.get(&address) == Some(&key)
        {
            self.by_address.remove(&address);
        }
    }

    /// Ends the session that stands with a peer.
    fn end(&mut self, key: PublicKey, reason: CloseReason, env: &mut Env<'_>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let address = peer.end(reason, env);
        self.established -= usize::from(address.is_some());
        self.forget_address(address, key);
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
            if self.by_address.len() > self.peers.len() {
                let peers = &self.peers;
                self.by_address.retain(|_, key| peers.contains_key(key));
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
        if !half.handle_found(address, env) && half.address().is_none() {
            peer.fail(ConnectError::NotFound, env);
            self.tidy(key);
        }
        self.wake(key);
    }

    /// The next datagram that a session's window lets go.
    pub(crate) fn poll_transmit(&mut self, env: &mut Env<'_>) -> Option<(Address, Vec<u8>)> {
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
