//! Data packets: sealing what goes to a friend through a node that holds its announcement, and opening
//! what comes to us along the paths of our own announcements.
//!
//! The outer box is sealed to the data key that the announcement shows, the inner one to the friend's
//! long-term key. A node that shows a data key of its own in place of the friend's learns who writes
//! (weakness 1 of `onionVulns.md`, c-toxcore issue 1121): the format leaves no way to notice it.
//! Each copy has its own nonce and key, so that holders cannot tell copies of one packet by them.

use std::collections::VecDeque;

use super::config::{MAX_SEEN, MAX_SEEN_REQUESTS, OPEN_BURST, OPEN_PACE};
use super::pace::Pace;
use crate::drops::DropReason;
use crate::wire::onion::{DataRequestHeader, DataResponseHeader, OnionData};
use crate::wire::{Decode, KeyPair, Nonce, PublicKey, Rng, SharedKey, Time};

/// What was opened: who wrote, and the inner packet in the clear.
pub(super) type Opened = (PublicKey, Vec<u8>);

/// A data request for `friend`, to a node that shows `data_key` for it. `shared` is the secret between
/// long-term keys.
pub(super) fn seal(
    rng: &mut Rng,
    sender: PublicKey,
    friend: PublicKey,
    shared: &SharedKey,
    data_key: &PublicKey,
    body: &[u8],
) -> Vec<u8> {
    let (once, nonce) = (KeyPair::generate(rng), Nonce::generate(rng));
    let boxed = shared.seal(&nonce, body);
    let header = DataRequestHeader { destination: friend, nonce, key: once.public };
    header.seal(&once.secret.shared_key(data_key), &OnionData { sender, boxed: &boxed })
}

/// Opens data packets.
#[derive(Debug)]
pub(super) struct Mailbox {
    /// Of this run only: data for it is sealed to this key.
    pair: KeyPair,
    /// Nonces of packets that opened, oldest first: copies and replays.
    seen: VecDeque<Nonce>,
    /// Senders and contents of friend requests, oldest first.
    requests: VecDeque<(PublicKey, Vec<u8>)>,
    pace: Pace,
}

impl Mailbox {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            pair: KeyPair::generate(rng),
            seen: VecDeque::new(),
            requests: VecDeque::new(),
            pace: Pace::new(OPEN_BURST, OPEN_PACE),
        }
    }

    /// The data key.
    pub(super) fn data_key(&self) -> PublicKey {
        self.pair.public
    }

    /// Opens a data response that is for `identity`. The buffer is scratch space afterwards.
    ///
    /// # Errors
    /// Why it is dropped.
    pub(super) fn open(
        &mut self,
        now: Time,
        identity: &KeyPair,
        packet: &mut [u8],
    ) -> Result<Opened, DropReason> {
        let (header, boxed) = DataResponseHeader::split(packet)?;
        if self.seen.contains(&header.nonce) {
            return Err(DropReason::Replayed);
        }
        if !self.pace.take(now) {
            return Err(DropReason::LimitReached);
        }
        let outer = self.pair.secret.shared_key(&header.key);
        let data = OnionData::from_bytes(outer.open_in_place(&header.nonce, boxed)?)?;
        if data.sender == identity.public {
            return Err(DropReason::FromSelf);
        }
        let inner = identity.secret.shared_key(&data.sender).open(&header.nonce, data.boxed)?;
        if self.seen.len() == MAX_SEEN {
            self.seen.pop_front();
        }
        self.seen.push_back(header.nonce);
        Ok((data.sender, inner))
    }

    /// True if this friend request was not seen lately.
    pub(super) fn is_new_request(&mut self, sender: PublicKey, body: &[u8]) -> bool {
        if self.requests.iter().any(|(from, seen)| *from == sender && seen == body) {
            return false;
        }
        if self.requests.len() == MAX_SEEN_REQUESTS {
            self.requests.pop_front();
        }
        self.requests.push_back((sender, body.to_vec()));
        true
    }

    /// Lets this sender's requests count as new again.
    pub(super) fn forget_requests(&mut self, sender: &PublicKey) {
        self.requests.retain(|(from, _)| from != sender);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Encode;

    const NOW: Time = Time::from_secs(1_000);

    struct World {
        rng: Rng,
        alice: KeyPair,
        bob: KeyPair,
        mailbox: Mailbox,
    }

    impl World {
        fn new() -> Self {
            let mut rng = Rng::from_seed([1; 32]);
            let (alice, bob) = (KeyPair::generate(&mut rng), KeyPair::generate(&mut rng));
            let mailbox = Mailbox::new(&mut rng);
            Self { rng, alice, bob, mailbox }
        }

        /// What an announce node makes of Alice's packet for Bob.
        fn packet(&mut self, body: &[u8]) -> Vec<u8> {
            let shared = self.alice.secret.shared_key(&self.bob.public);
            let data_key = self.mailbox.data_key();
            let (from, to) = (self.alice.public, self.bob.public);
            let mut request = seal(&mut self.rng, from, to, &shared, &data_key, body);
            let (header, boxed) = DataRequestHeader::split(&mut request).unwrap();
            assert_eq!(header.destination, to);
            let mut packet = header.response().to_bytes();
            packet.extend_from_slice(boxed);
            packet
        }

        fn open(&mut self, packet: &[u8]) -> Result<Opened, DropReason> {
            self.mailbox.open(NOW, &self.bob, &mut packet.to_vec())
        }
    }

    #[test]
    fn a_packet_opens_once() {
        let mut world = World::new();
        let packet = world.packet(b"\x20hello");
        assert_eq!(world.open(&packet), Ok((world.alice.public, b"\x20hello".to_vec())));
        assert_eq!(world.open(&packet), Err(DropReason::Replayed));
        let again = world.packet(b"\x20hello");
        assert!(world.open(&again).is_ok(), "another packet with the same content");
    }

    #[test]
    fn forged_packets_are_dropped_and_do_not_spoil_the_true_one() {
        let mut world = World::new();
        let packet = world.packet(b"\x20hello");
        for place in [30, 60, 80, packet.len() - 1] {
            let mut forged = packet.clone();
            forged[place] ^= 1;
            assert_eq!(world.open(&forged), Err(DropReason::Forged));
        }
        assert!(world.open(&packet).is_ok());
        for len in 0..packet.len() {
            assert!(world.open(&packet[..len]).is_err());
        }
    }

    #[test]
    fn who_writes_to_itself_or_in_anothers_name_is_not_heard() {
        let mut world = World::new();
        let other = KeyPair::generate(&mut world.rng);
        let alice = core::mem::replace(&mut world.alice, world.bob.clone());
        let own = world.packet(b"\x20hello");
        assert_eq!(world.open(&own), Err(DropReason::FromSelf));
        world.alice = KeyPair { public: alice.public, secret: other.secret.clone() };
        let false_name = world.packet(b"\x20hello");
        assert_eq!(world.open(&false_name), Err(DropReason::Forged));
    }

    #[test]
    fn a_flood_costs_no_more_than_the_pace_allows() {
        let mut world = World::new();
        let packet = vec![0x86; 200];
        let tried = (0..1_000).filter(|_| world.open(&packet) == Err(DropReason::Forged)).count();
        assert_eq!(tried, OPEN_BURST as usize);
        assert_eq!(world.open(&packet), Err(DropReason::LimitReached));
    }

    #[test]
    fn a_repeated_request_is_known_again_until_forgotten() {
        let mut world = World::new();
        let alice = world.alice.public;
        assert!(world.mailbox.is_new_request(alice, b"a"));
        assert!(!world.mailbox.is_new_request(alice, b"a"));
        assert!(world.mailbox.is_new_request(alice, b"b"));
        world.mailbox.forget_requests(&alice);
        assert!(world.mailbox.is_new_request(alice, b"a"));
        for number in 0..100_u8 {
            world.mailbox.is_new_request(alice, &[number]);
        }
        assert_eq!(world.mailbox.requests.len(), MAX_SEEN_REQUESTS);
    }
}
