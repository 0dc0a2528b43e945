//! What comes in: to which peer a packet belongs, and whether a stranger is let in.

use super::Sessions;
use super::handshake::HalfOpen;
use super::peer::{Established, Peer, Verdict};
use crate::drops::DropReason;
use crate::env::Env;
use crate::path::Path;
use crate::wire::session::{
    COOKIE_REQUEST, COOKIE_RESPONSE, CRYPTO_DATA, CookieRequest, CookieRequestHeader,
    CookieResponse, CookieResponseHeader, HANDSHAKE, Handshake, HandshakeHeader, split_crypto_data,
};
use crate::wire::{Address, Decode, Nonce, PublicKey};

/// Sessions that strangers may have in the making at once. Each costs about 2 KiB and four
/// Diffie–Hellmans; one that proves itself counts no more.
const MAX_STRANGERS: usize = 64;
/// A packet from an address that no session has may be the newest of a session that moved, if so
/// many at most were lost on the way …
const MAX_MOVE_GAP: i16 = 1024;
/// … and so many sessions at most are tried.
const MAX_MOVE_TRIES: usize = 4;

/// Ways that handshakes came on, kept to find the session that a packet belongs to.
const MAX_PATHS_PER_SESSION: usize = 4;

impl Sessions {
    /// True for the packet kinds of sessions.
    pub(crate) fn handles(kind: u8) -> bool {
        matches!(kind, COOKIE_REQUEST | COOKIE_RESPONSE | HANDSHAKE | CRYPTO_DATA)
    }

    /// True if a datagram looks like one of a session's, by its kind and by where it comes from.
    pub(crate) fn expects(&self, from: &Address, datagram: &[u8]) -> bool {
        datagram.first() == Some(&CRYPTO_DATA) && self.by_path.contains_key(&Path::Direct(*from))
    }

    /// Takes a datagram of one of these kinds.
    pub(crate) fn handle(&mut self, from: Path, packet: &mut [u8], env: &mut Env<'_>) {
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
        from: Path,
        packet: &mut [u8],
        env: &mut Env<'_>,
    ) -> Result<(), DropReason> {
        let (header, boxed) = CookieRequestHeader::split(packet)?;
        if header.sender == env.keys.public() {
            return Err(DropReason::FromSelf);
        }
        // A relay has proved whose packet it passes on.
        if matches!(from, Path::Relayed(key) if key != header.sender) {
            return Err(DropReason::Forged);
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
        from: Path,
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
        from: Path,
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
        from: Path,
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
        half.set_relayed(self.relayed.contains(&key), env);
        half.handle_handshake(from, dht_key, header.cookie, handshake, env);
        if self.by_path.len() < MAX_PATHS_PER_SESSION * env.config.max_sessions {
            self.by_path.insert(from, key);
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
        from: Path,
        packet: &mut [u8],
        env: &mut Env<'_>,
    ) -> Result<(), DropReason> {
        let (low, _) = split_crypto_data(packet)?;
        let known = self.by_path.get(&from).copied();
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
                    // Its newest packet came on a new way, or one that somebody else claimed meanwhile.
                    let now_there = |it: &Established| it.paths.leads_to(from);
                    if self.established_with(&key).is_some_and(now_there) {
                        self.by_path.insert(from, key);
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
        from: Path,
        packet: &mut [u8],
        env: &mut Env<'_>,
    ) -> Result<(), DropReason> {
        let peer = self.peers.get_mut(&key).ok_or(DropReason::Forged)?;
        let stood = peer.established.is_some();
        let had = peer.established.as_ref().and_then(|it| it.paths.direct());
        let verdict = peer.handle_data(from, packet, env);
        if verdict == Err(DropReason::Forged) {
            return Err(DropReason::Forged);
        }
        let has = peer.established.as_ref().and_then(|it| it.paths.direct());
        self.established += usize::from(!stood && peer.established.is_some());
        if had != has {
            self.forget_path(had.map(Path::Direct), key);
        }
        match verdict {
            Ok(Verdict::Proved) => {
                self.by_path.insert(from, key);
            }
            Ok(Verdict::Ended(reason)) => self.end(key, reason, env),
            // A packet that came before means that the peer missed our word of it.
            Ok(Verdict::Stays) | Err(_) => {}
        }
        self.wake(key);
        verdict.map(|_| ())
    }
}
