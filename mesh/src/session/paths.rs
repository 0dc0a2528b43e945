//! The ways that lead to a peer, and which of them carries its packets (c-toxcore's rules; research
//! note `tox.md` 1.6): directly while something was heard directly lately, else through a relay, with a
//! small packet sent directly now and then to find out.
//!
//! c-toxcore waits out the whole time after a way died. Here two things say so earlier: nobody answers
//! what goes there, and the peer itself sends through the relay.

use core::time::Duration;

use crate::path::Path;
use crate::wire::{Address, PublicKey, Time};

/// The direct way is open for so long after something was heard there (c-toxcore).
const DIRECT_TIMEOUT: Duration = Duration::from_secs(8);
/// While it is not, small packets go there this often (c-toxcore).
const ATTEMPT_INTERVAL: Duration = Duration::from_secs(4);
/// Addresses of one peer that are tried.
pub(super) const MAX_ADDRESSES: usize = 4;
/// A peer that moves to so many other ports of its IP address …
const MAX_MOVES: u8 = 3;
/// … in a time of this is not followed until that is over: two NATs that map by the remote endpoint
/// give each answer a new port, and all of them lead to the peer.
const MOVES_INTERVAL: Duration = Duration::from_secs(10);
/// A peer whose newest packet came through a relay is taken to use it after so long without a newer
/// one that came directly: a copy of a sign of life may have come first.
const RELAY_GRACE: Duration = Duration::from_secs(1);
/// A direct way that is heard but does not carry is not used for so long …
const FIRST_DOUBT: Duration = Duration::from_secs(8);
/// … and then for twice as long, up to this.
const MAX_DOUBT: Duration = Duration::from_secs(64);

/// The ways to the peer of a session that stands.
#[derive(Debug)]
pub(super) struct Paths {
    /// What relays know the peer by.
    dht_key: PublicKey,
    /// Where the peer may be. If it was heard directly, it was so at the first one.
    addresses: Vec<Address>,
    heard: Option<Time>,
    /// Where it was heard last, if it is not followed there.
    beside: Option<Address>,
    moves: u8,
    moved: Time,
    /// A relay leads to the peer.
    relayed: bool,
    /// Since when the newest packets come through a relay: perhaps the peer does not hear this side
    /// directly.
    peer_relays: Option<Time>,
    /// When something was sent directly to find out.
    attempted: Option<Time>,
    /// Until then the direct way is not used, though the peer is heard there.
    doubted_until: Time,
    doubt: Duration,
}

impl Paths {
    /// The ways of which the handshake knew.
    pub(super) fn new(dht_key: PublicKey, addresses: Vec<Address>, relayed: bool) -> Self {
        Self {
            dht_key,
            addresses,
            heard: None,
            beside: None,
            moves: 0,
            moved: Time::ZERO,
            relayed,
            peer_relays: None,
            attempted: None,
            doubted_until: Time::ZERO,
            doubt: FIRST_DOUBT,
        }
    }

    /// Where the peer was last heard directly.
    pub(super) fn direct(&self) -> Option<Address> {
        self.heard.and(self.addresses.first().copied())
    }

    /// True if the peer's packets come from there.
    pub(super) fn leads_to(&self, path: Path) -> bool {
        match path {
            Path::Direct(address) => self.direct() == Some(address) || self.beside == Some(address),
            Path::Relayed(key) => self.relayed && key == self.dht_key,
        }
    }

    /// The relayed way, open or not.
    pub(super) const fn relay(&self) -> Path {
        Path::Relayed(self.dht_key)
    }

    /// True if packets go directly.
    pub(super) fn is_direct(&self, now: Time) -> bool {
        let peer_relays = self.peer_relays.is_some_and(|since| since + RELAY_GRACE <= now);
        !self.relayed || (self.is_open(now) && !peer_relays)
    }

    /// True if the direct way leads here, and perhaps there.
    fn is_open(&self, now: Time) -> bool {
        let heard = self.heard.is_some_and(|at| now.since(at) < DIRECT_TIMEOUT);
        heard && self.doubted_until <= now
    }

    /// Notes that a valid packet came. Only the newest moves the peer.
    pub(super) fn hear(&mut self, now: Time, from: Path, newest: bool) {
        match from {
            Path::Direct(address) if newest || self.direct() == Some(address) => {
                let was_direct = self.is_direct(now);
                self.follow(now, address);
                self.heard = Some(now);
                if newest {
                    self.peer_relays = None;
                }
                if !was_direct && self.is_direct(now) {
                    // The peer may be finding out whether this way leads here: it hears so at once.
                    self.attempted = None;
                }
                if now.since(self.doubted_until) > self.doubt {
                    self.doubt = FIRST_DOUBT;
                }
            }
            Path::Relayed(key) if newest => {
                (self.dht_key, self.relayed) = (key, true);
                self.peer_relays.get_or_insert(now);
            }
            Path::Direct(_) | Path::Relayed(_) => {}
        }
    }

    /// The newest packet came from there: so does the next one go there, within reason.
    fn follow(&mut self, now: Time, address: Address) {
        let is_beside = |known: Address| known != address && known.shares_ip(&address);
        if self.direct().is_some_and(is_beside) {
            if now.since(self.moved) >= MOVES_INTERVAL {
                (self.moves, self.moved) = (0, now);
            }
            self.moves = self.moves.saturating_add(1);
            if self.moves > MAX_MOVES {
                self.beside = Some(address);
                return;
            }
        }
        self.move_to(address);
    }

    /// Makes an address the first one.
    fn move_to(&mut self, address: Address) {
        if self.addresses.first() == Some(&address) {
            return;
        }
        match self.addresses.iter().position(|known| *known == address) {
            Some(index) => self.addresses.swap(0, index),
            None => {
                // Where the peer was until now it is no more.
                self.addresses.truncate(MAX_ADDRESSES);
                match self.addresses.first_mut().filter(|_| self.heard.is_some()) {
                    Some(first) => *first = address,
                    None => self.addresses.insert(0, address),
                }
            }
        }
    }

    /// The peer may be at this address too: it is tried at once.
    pub(super) fn add(&mut self, address: Address) {
        if !self.addresses.contains(&address) {
            self.addresses.truncate(MAX_ADDRESSES - 1);
            self.addresses.push(address);
            self.attempted = None;
        }
    }

    /// A relay leads to the peer now, or none does any more.
    #[allow(dead_code, reason = "see `Sessions::set_relayed`")]
    pub(super) fn set_relayed(&mut self, relayed: bool) {
        self.relayed = relayed;
    }

    /// What went directly was not answered, several times: a relay shall carry it, if there is one.
    pub(super) fn doubt(&mut self, now: Time) {
        if self.relayed && self.is_direct(now) {
            self.doubted_until = now + self.doubt;
            self.doubt = (self.doubt * 2).min(MAX_DOUBT);
        }
    }

    /// Where packets go now, if anywhere.
    pub(super) fn current(&self, now: Time) -> Option<Path> {
        if self.is_direct(now) { self.first() } else { Some(self.relay()) }
    }

    /// The relayed way while packets go directly. A sign of life goes there too: the direct way may
    /// lead here only.
    pub(super) fn spare(&self, now: Time) -> Option<Path> {
        (self.relayed && self.is_direct(now)).then(|| self.relay())
    }

    fn first(&self) -> Option<Path> {
        self.addresses.first().copied().map(Path::Direct)
    }

    /// All ways, for a small packet that is to reach the peer whatever happened.
    pub(super) fn all(&self) -> impl Iterator<Item = Path> {
        let relay = self.relayed.then(|| self.relay());
        self.addresses.iter().copied().map(Path::Direct).chain(relay)
    }

    /// Where to send a small packet directly now, to find out whether it gets there.
    pub(super) fn attempt(&mut self, now: Time) -> Vec<Path> {
        self.attempted = Some(now);
        self.addresses.iter().copied().map(Path::Direct).collect()
    }

    /// When such a packet is due.
    pub(super) fn attempt_at(&self) -> Option<Time> {
        if self.addresses.len() <= usize::from(!self.relayed) {
            return None;
        }
        let Some(attempted) = self.attempted else { return Some(Time::ZERO) };
        let next = attempted + ATTEMPT_INTERVAL;
        let in_use = self.heard.filter(|_| self.doubted_until <= next);
        let closes = in_use.map_or(Time::ZERO, |at| at + DIRECT_TIMEOUT);
        let relays = self.peer_relays.map_or(Time::MAX, |since| since + RELAY_GRACE);
        Some(next.max(closes.min(relays)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_secs(100);
    const KEY: PublicKey = PublicKey([7; 32]);

    fn address(number: u8) -> Address {
        Address::udp(([10, 0, 0, number], 33445).into())
    }

    fn direct(number: u8) -> Path {
        Path::Direct(address(number))
    }

    const RELAY: Path = Path::Relayed(KEY);

    fn seconds(count: u64) -> Time {
        NOW + Duration::from_secs(count)
    }

    #[test]
    fn direct_while_heard_else_relayed_with_attempts() {
        let mut paths = Paths::new(KEY, vec![address(1)], true);
        assert_eq!(paths.current(NOW), Some(RELAY));
        assert_eq!(paths.attempt_at(), Some(Time::ZERO));
        assert_eq!(paths.attempt(NOW), [direct(1)]);
        assert_eq!(paths.attempt_at(), Some(seconds(4)));
        paths.hear(seconds(5), direct(1), true);
        assert_eq!(paths.attempt_at(), Some(Time::ZERO), "the peer hears that it is heard");
        paths.attempt(seconds(5));
        paths.hear(seconds(6), direct(1), true);
        assert_eq!(paths.current(seconds(13)), Some(direct(1)));
        assert_eq!(paths.attempt_at(), Some(seconds(14)));
        assert_eq!(paths.current(seconds(14)), Some(RELAY));
    }

    #[test]
    fn without_a_relay_everything_goes_directly() {
        let mut paths = Paths::new(KEY, vec![address(1)], false);
        assert_eq!(paths.current(NOW), Some(direct(1)));
        assert_eq!(paths.attempt_at(), None);
        paths.add(address(2));
        assert_eq!(paths.attempt_at(), Some(Time::ZERO));
        paths.set_relayed(true);
        paths.hear(NOW, direct(2), true);
        paths.set_relayed(false);
        assert_eq!(paths.current(seconds(60)), Some(direct(2)));
        assert_eq!(Paths::new(KEY, Vec::new(), false).current(NOW), None);
    }

    #[test]
    fn a_peer_that_goes_on_to_relay_is_answered_by_relay() {
        let mut paths = Paths::new(KEY, Vec::new(), true);
        paths.hear(NOW, direct(1), true);
        assert_eq!(paths.current(NOW), Some(direct(1)));
        paths.hear(NOW, RELAY, false);
        assert_eq!(paths.current(seconds(1)), Some(direct(1)), "an old packet says nothing");
        paths.attempt(NOW);
        paths.hear(NOW, RELAY, true);
        assert_eq!(paths.current(NOW), Some(direct(1)), "a newer one may be on its way");
        assert_eq!(paths.attempt_at(), Some(seconds(4)));
        assert_eq!(paths.current(seconds(1)), Some(RELAY));
        paths.hear(seconds(1), direct(1), true);
        assert_eq!(paths.current(seconds(9)), Some(RELAY), "no longer open");
        assert_eq!(paths.current(seconds(8)), Some(direct(1)));
    }

    #[test]
    fn two_sides_that_relay_because_the_other_does_come_back() {
        let mut sides = [1, 2].map(|number| Paths::new(KEY, vec![address(number)], true));
        let peer = |side: usize| direct(2 - side as u8);
        for side in [0, 1] {
            sides[side].hear(NOW, peer(side), true);
            sides[side].attempt(NOW);
            sides[side].hear(NOW, RELAY, true);
        }
        assert!(sides.iter().all(|side| !side.is_direct(seconds(2))));
        // The first one tries its way, the other one answers at once.
        assert_eq!(sides[0].attempt_at(), Some(seconds(4)));
        sides[0].attempt(seconds(4));
        sides[1].hear(seconds(4), peer(1), true);
        assert_eq!(sides[1].attempt_at(), Some(Time::ZERO));
        sides[1].attempt(seconds(4));
        sides[0].hear(seconds(4), peer(0), true);
        assert!(sides.iter().all(|side| side.is_direct(seconds(5))));
    }

    #[test]
    fn what_is_heard_but_does_not_carry_is_left_for_a_while() {
        let mut paths = Paths::new(KEY, vec![address(1)], true);
        for (start, pause) in [(0, 8), (8, 16), (24, 32), (56, 64), (120, 64)] {
            paths.hear(seconds(start), direct(1), true);
            assert!(paths.is_direct(seconds(start)));
            paths.doubt(seconds(start));
            paths.hear(seconds(start + pause - 1), direct(1), true);
            assert!(!paths.is_direct(seconds(start + pause - 1)), "{start}");
            assert!(paths.is_direct(seconds(start + pause)), "{start}");
        }
        paths.hear(seconds(400), direct(1), true);
        paths.doubt(seconds(400));
        paths.hear(seconds(408), direct(1), true);
        assert!(paths.is_direct(seconds(408)), "forgiven");
    }

    #[test]
    fn only_the_newest_packet_moves_and_addresses_stay_few() {
        let mut paths = Paths::new(KEY, vec![address(1)], false);
        paths.hear(NOW, direct(1), true);
        paths.hear(NOW, direct(2), false);
        assert_eq!(paths.direct(), Some(address(1)));
        paths.hear(NOW, direct(2), true);
        assert_eq!(paths.direct(), Some(address(2)));
        assert!(!paths.leads_to(direct(1)) && paths.leads_to(direct(2)));
        for number in 3..20 {
            paths.add(address(number));
            paths.hear(NOW, direct(number + 100), true);
        }
        assert!(paths.all().count() <= MAX_ADDRESSES);
        assert!(paths.all().any(|path| path == direct(19)), "the newest one is kept");
    }

    #[test]
    fn a_peer_with_a_new_port_for_each_answer_is_not_chased_for_ever() {
        let at = |port: u16| Address::udp(([198, 18, 0, 1], port).into());
        let mut paths = Paths::new(KEY, vec![at(1)], false);
        for port in 1..20 {
            paths.hear(seconds(1), Path::Direct(at(port)), true);
            assert!(paths.leads_to(Path::Direct(at(port))), "its packets are known as its own");
        }
        assert_eq!(paths.direct(), Some(at(1 + u16::from(MAX_MOVES))));
        paths.hear(seconds(12), Path::Direct(at(50)), true);
        assert_eq!(paths.direct(), Some(at(50)), "it may have moved meanwhile");
        let elsewhere = Address::udp(([198, 18, 0, 2], 1).into());
        paths.hear(seconds(12), Path::Direct(elsewhere), true);
        assert_eq!(paths.direct(), Some(elsewhere), "another network is no chase");
    }
}
