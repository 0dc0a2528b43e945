//! A session in the making: cookie request, handshake, and the wait for the first packet that proves
//! that the peer has the keys (research note `tox.md` 1.6).
//!
//! Neither side has a role. Whoever has a cookie of the peer's offers its session key; whoever gets an
//! offer answers with its own unless it has made one. So two nodes that begin at the same time end in
//! one session, in whatever order their packets come.

use core::time::Duration;

use bytes::Bytes;

use super::link::Link;
use super::paths::{MAX_ADDRESSES, Paths};
use super::record::Record;
use super::send::Body;
use crate::env::Env;
use crate::error::ConnectError;
use crate::path::Path;
use crate::wire::channel::{CHANNEL_VERSION, Hello};
use crate::wire::session::{
    Cookie, CookieRequest, CookieRequestHeader, CookieResponse, CookieResponseHeader, Handshake,
    HandshakeHeader, data_id,
};
use crate::wire::{Address, Decode, Encode, KeyPair, Nonce, PublicKey, Rng, SharedKey, Time};

/// Packets are sent again after this, then after twice as long …
const FIRST_RETRY: Duration = Duration::from_millis(300);
/// … up to this.
const MAX_RETRY: Duration = Duration::from_secs(2);
/// A handshake that is not done by then has failed (c-toxcore: 8 tries in 8 s). Cookies live longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// After a lookup has found an address, there is at least this time left to try it.
const PATIENCE_WHEN_FOUND: Duration = Duration::from_secs(4);
/// A repeated handshake is answered again at most this often.
const REPEAT_INTERVAL: Duration = Duration::from_millis(200);

/// Who finds out where a peer is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Search {
    /// The DHT, by the peer's key: nodes of which the long-term key is the DHT key too.
    Lookup,
    /// Whoever asked for the session, by other means: [`Sessions::add_address`](super::Sessions).
    Owner,
}

/// Our half of the session's key: made once, so that all our handshakes of one attempt agree.
#[derive(Debug)]
struct Offer {
    pair: KeyPair,
    base_nonce: Nonce,
    /// The nonce of the next packet: counts on when the peer begins anew with another key.
    send_nonce: Nonce,
    packet: Vec<u8>,
    /// The cookie that a peer shows which has got our handshake.
    cookie_for_peer: Cookie,
    sent: Time,
}

/// A session in the making with one peer.
#[derive(Debug)]
pub(super) struct HalfOpen {
    peer: PublicKey,
    /// The peer's DHT key: of provider nodes the same.
    dht_key: PublicKey,
    /// Where the peer may be. Once it answered from an address, only there.
    candidates: Vec<Address>,
    answered_directly: bool,
    /// A relay leads to the peer.
    relayed: bool,
    echo: [u8; 8],
    offer: Option<Offer>,
    /// Both sides' keys are known; nothing has proved yet that the peer knows ours.
    link: Option<Box<Link>>,
    /// This side began.
    pub(super) outgoing: bool,
    search: Search,
    /// A lookup of the peer's address is under way.
    searching: bool,
    deadline: Time,
    retry_at: Time,
    retry_after: Duration,
}

impl HalfOpen {
    /// The beginning of a session with `peer`.
    pub(super) fn new(now: Time, peer: PublicKey, outgoing: bool, rng: &mut Rng) -> Self {
        Self {
            peer,
            dht_key: peer,
            candidates: Vec::new(),
            answered_directly: false,
            relayed: false,
            echo: rng.bytes(),
            offer: None,
            link: None,
            outgoing,
            search: Search::Owner,
            searching: false,
            deadline: now + PATIENCE,
            retry_at: now + FIRST_RETRY,
            retry_after: FIRST_RETRY,
        }
    }

    /// This side wants the session too.
    pub(super) fn begin(&mut self, dht_key: PublicKey, search: Search) {
        (self.outgoing, self.search) = (true, search);
        if self.offer.is_none() {
            self.dht_key = dht_key;
        }
    }

    /// The peer has another DHT key now, for it restarted: all that was said to the old one is void.
    pub(super) fn begin_anew(&mut self, dht_key: PublicKey, env: &mut Env<'_>) {
        if self.dht_key != dht_key {
            let mut new = Self::new(env.now, self.peer, true, env.rng);
            new.begin(dht_key, self.search);
            *self = new;
        }
    }

    /// True if the peer answered.
    pub(super) fn is_answered(&self) -> bool {
        self.offer.is_some()
    }

    /// The link, once both sides' keys are known.
    pub(super) fn link_mut(&mut self) -> Option<&mut Link> {
        self.link.as_deref_mut()
    }

    /// The link, when it has proved itself, and the ways that it can take.
    pub(super) fn into_link(self) -> Option<(Link, Paths)> {
        let paths = Paths::new(self.dht_key, self.candidates, self.relayed);
        self.link.map(|link| (*link, paths))
    }

    /// True if a cookie response from there is awaited.
    pub(super) fn awaits_cookie(&self, from: &Path) -> bool {
        let asked = match from {
            // Some NATs let the question in at one port, and the answer out by another.
            Path::Direct(from) => {
                let is_it = |known: &Address| known == from || known.shares_ip(from);
                self.candidates.iter().any(is_it)
            }
            Path::Relayed(key) => self.relayed && *key == self.dht_key,
        };
        self.outgoing && self.offer.is_none() && asked
    }

    /// Notes that a lookup was begun.
    pub(super) fn search(&mut self) {
        self.searching = true;
    }

    /// True if no address is known or none answers, and no lookup is under way.
    pub(super) fn wants_search(&self) -> bool {
        let unknown = self.candidates.is_empty() && !self.relayed;
        let silent = unknown || self.retry_after > FIRST_RETRY;
        // A lookup finds DHT keys only.
        let findable = self.search == Search::Lookup && self.dht_key == self.peer;
        self.outgoing && findable && !self.searching && self.offer.is_none() && silent
    }

    /// Tries one more address.
    pub(super) fn add_candidate(&mut self, address: Address, env: &mut Env<'_>) {
        let known = self.candidates.contains(&address) || self.candidates.len() >= MAX_ADDRESSES;
        if !self.answered_directly && !known {
            self.candidates.push(address);
            self.say(Path::Direct(address), env);
        }
    }

    /// A relay leads to the peer now, or none does any more.
    pub(super) fn set_relayed(&mut self, relayed: bool, env: &mut Env<'_>) {
        let news = relayed && !self.relayed;
        self.relayed = relayed;
        if news && self.outgoing {
            self.say(Path::Relayed(self.dht_key), env);
        }
    }

    /// All ways to the peer.
    fn ways(&self) -> Vec<Path> {
        let relay = self.relayed.then_some(Path::Relayed(self.dht_key));
        self.candidates.iter().copied().map(Path::Direct).chain(relay).collect()
    }

    /// The peer answered, or began: from an address, that is where it is.
    fn hear(&mut self, from: Path) {
        match from {
            Path::Direct(address) => {
                self.candidates = vec![address];
                self.answered_directly = true;
            }
            Path::Relayed(_) => self.relayed = true,
        }
    }

    /// The lookup ended; false if there is no address to try.
    pub(super) fn handle_found(&mut self, address: Option<Address>, env: &mut Env<'_>) -> bool {
        if let Some(address) = address {
            self.deadline = self.deadline.max(env.now + PATIENCE_WHEN_FOUND);
            (self.retry_after, self.retry_at) = (FIRST_RETRY, env.now + FIRST_RETRY);
            self.add_candidate(address, env);
        }
        !self.candidates.is_empty() || self.relayed
    }

    /// Sends what the peer shall answer: our handshake, if we have a cookie, else a cookie request.
    fn say(&self, to: Path, env: &mut Env<'_>) {
        match &self.offer {
            Some(offer) => env.transmit(to, offer.packet.clone()),
            None => self.ask(to, env),
        }
    }

    /// Sends a cookie request.
    fn ask(&self, to: Path, env: &mut Env<'_>) {
        let sender = env.keys.public();
        let header = CookieRequestHeader { sender, nonce: Nonce::generate(env.rng) };
        let request = CookieRequest { key: env.own_key(), unused: [0; 32], echo: self.echo };
        let packet = header.seal(env.keys.shared(&self.dht_key), &request);
        env.transmit(to, packet);
    }

    /// Opens a cookie response that may be for this attempt, and makes an offer with the cookie.
    /// False if it is not for this attempt.
    pub(super) fn handle_cookie(
        &mut self,
        from: Path,
        header: CookieResponseHeader,
        boxed: &mut [u8],
        env: &mut Env<'_>,
    ) -> bool {
        let Ok(plain) = env.keys.shared(&self.dht_key).open_in_place(&header.nonce, boxed) else {
            return false;
        };
        let Ok(response) = CookieResponse::from_bytes(plain) else { return false };
        if response.echo != self.echo {
            return false;
        }
        self.hear(from);
        self.make_offer(response.cookie, env);
        true
    }

    /// Sends our handshake, with a cookie of the peer's.
    fn make_offer(&mut self, cookie: Cookie, env: &mut Env<'_>) {
        let offer = self.offer.take();
        let (pair, base_nonce, send_nonce) = match offer {
            Some(offer) => (offer.pair, offer.base_nonce, offer.send_nonce),
            None => {
                let base_nonce = Nonce::generate(env.rng);
                (KeyPair::generate(env.rng), base_nonce, base_nonce)
            }
        };
        let cookie_for_peer = env.jar.seal(env.now, self.peer, self.dht_key, env.rng);
        let handshake = Handshake {
            base_nonce,
            session_key: pair.public,
            cookie_hash: cookie.hash(),
            other_cookie: cookie_for_peer,
        };
        let header = HandshakeHeader { cookie, nonce: Nonce::generate(env.rng) };
        let packet = header.seal(env.identity().shared(&self.peer), &handshake);
        let sent = env.now;
        self.offer = Some(Offer { pair, base_nonce, send_nonce, packet, cookie_for_peer, sent });
        self.repeat(env);
        (self.retry_after, self.retry_at) = (FIRST_RETRY, env.now + FIRST_RETRY);
    }

    /// Sends our handshake, or what comes before it, on all ways once more.
    fn repeat(&mut self, env: &mut Env<'_>) {
        if let Some(offer) = &mut self.offer {
            offer.sent = env.now;
        }
        self.ways().into_iter().for_each(|way| self.say(way, env));
    }

    /// Takes a handshake of the peer's that is proved to come from it.
    pub(super) fn handle_handshake(
        &mut self,
        from: Path,
        dht_key: PublicKey,
        shown: Cookie,
        handshake: &Handshake,
        env: &mut Env<'_>,
    ) {
        let known = self.link.as_ref().map(|link| link.peer_session_key());
        self.dht_key = dht_key;
        self.hear(from);
        if known == Some(handshake.session_key) {
            let sent = self.offer.as_ref().map_or(Time::ZERO, |offer| offer.sent);
            if env.now.since(sent) >= REPEAT_INTERVAL {
                self.repeat(env);
            }
            return;
        }
        let answered = self.offer.as_ref().is_some_and(|offer| offer.cookie_for_peer == shown);
        if !answered {
            // The peer began as well, or anew: it may not have our offer, or one that is of no use.
            self.make_offer(handshake.other_cookie, env);
        }
        self.agree(handshake, env);
    }

    /// Both sides' keys are known: greets the peer, which proves that we have its key.
    fn agree(&mut self, handshake: &Handshake, env: &mut Env<'_>) {
        let Some(offer) = &mut self.offer else { return };
        if let Some(link) = &self.link {
            offer.send_nonce = link.send_nonce();
        }
        let peer_key = handshake.session_key;
        let key: SharedKey = offer.pair.secret.shared_key(&peer_key);
        let record = Record::new(key, peer_key, offer.send_nonce, handshake.base_nonce);
        let mut link = Link::new(env.now, record);
        let packet = link.send(env.now, hello());
        self.link = Some(Box::new(link));
        self.ways().into_iter().for_each(|way| env.transmit(way, packet.clone()));
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(super) fn deadline(&self) -> Time {
        self.retry_at.min(self.deadline)
    }

    /// Sends what is unanswered once more.
    ///
    /// # Errors
    /// Why it is over, when it is.
    pub(super) fn handle_timeout(&mut self, env: &mut Env<'_>) -> Result<(), ConnectError> {
        if self.deadline <= env.now {
            let found = !self.candidates.is_empty() || self.relayed;
            return Err(if found { ConnectError::NoAnswer } else { ConnectError::NotFound });
        }
        if self.retry_at > env.now {
            return Ok(());
        }
        self.retry_after = (self.retry_after * 2).min(MAX_RETRY);
        self.retry_at = env.now + self.retry_after;
        self.repeat(env);
        self.retransmit(env);
        Ok(())
    }

    /// The greeting too is sent until it is acknowledged.
    fn retransmit(&mut self, env: &mut Env<'_>) {
        let ways = self.ways();
        let Some(link) = &mut self.link else { return };
        link.handle_timeout(env.now);
        while let Some(packet) = link.poll_transmit(env.now) {
            ways.iter().for_each(|way| env.transmit(*way, packet.clone()));
        }
    }
}

/// The first packet of every session of ours; other Tox clients ignore it.
fn hello() -> Body {
    let hello = Hello { oldest: CHANNEL_VERSION, newest: CHANNEL_VERSION, extensions: &[] };
    Body::new(data_id::HELLO, Bytes::from(hello.to_bytes()))
}
