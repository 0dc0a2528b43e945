//! Requests that await their answers: each id is unguessable, valid once, from one node at one
//! address, and not for long.

use std::collections::VecDeque;

use super::config::{MAX_REQUESTS, REQUEST_TIMEOUT};
use crate::wire::{Address, PublicKey, Rng, Time};

/// Why a node was asked: what its answer is good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// A ping: is the node where others say it is?
    Verify,
    /// A nodes request that keeps the close list fresh.
    Refresh,
    /// A search for an announcement: does the node know any?
    Announcements,
    /// A nodes request of the lookup with this number.
    Lookup(u64),
}

/// What kind of packet an answer is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    Ping,
    Nodes,
    Search,
}

impl Purpose {
    /// What answers a request for this.
    const fn answer(self) -> Answer {
        match self {
            Self::Verify => Answer::Ping,
            Self::Refresh | Self::Lookup(_) => Answer::Nodes,
            Self::Announcements => Answer::Search,
        }
    }
}

#[derive(Debug)]
struct Pending {
    id: u64,
    key: PublicKey,
    address: Address,
    purpose: Purpose,
    sent: Time,
}

/// A ring of pending requests. The low bits of an id are its place, the others are random.
#[derive(Debug, Default)]
pub(super) struct Requests {
    ring: VecDeque<Option<Pending>>,
    /// How many requests have left the ring's front: the front's place, modulo the ring's size.
    gone: u64,
}

/// Room for so many is kept.
const IDLE_CAPACITY: usize = 32;

const PLACE_MASK: u64 = MAX_REQUESTS as u64 - 1;
const _: () = assert!(MAX_REQUESTS.is_power_of_two());

impl Requests {
    /// Remembers a request that goes out now; its id, or `None` if too many are pending.
    pub(super) fn open(
        &mut self,
        rng: &mut Rng,
        now: Time,
        key: PublicKey,
        address: Address,
        purpose: Purpose,
    ) -> Option<u64> {
        self.forget_old(now);
        if self.ring.len() == MAX_REQUESTS {
            return None;
        }
        let place = self.gone.wrapping_add(self.ring.len() as u64) & PLACE_MASK;
        let id = rng.u64() & !PLACE_MASK | place;
        self.ring.push_back(Some(Pending { id, key, address, purpose, sent: now }));
        Some(id)
    }

    /// As [`Requests::take`], of a friend that may answer from another port of its IP address than it was
    /// asked at: its NAT maps by the remote endpoint, and lets us in at one port and it out by another.
    /// Gives the address that it was asked at.
    pub(super) fn take_crooked(
        &mut self,
        now: Time,
        id: u64,
        key: &PublicKey,
        from: &Address,
        answer: Answer,
    ) -> Option<(Purpose, Address)> {
        let asked = self.ring.get(self.offset(id))?.as_ref()?.address;
        let is_crooked = asked.shares_ip(from);
        let purpose = is_crooked.then(|| self.take(now, id, key, &asked, answer)).flatten()?;
        Some((purpose, asked))
    }

    fn offset(&self, id: u64) -> usize {
        (id.wrapping_sub(self.gone) & PLACE_MASK) as usize
    }

    /// Takes the answer `id` from `key` at `address`: what it was asked for, or `None` if it was not.
    pub(super) fn take(
        &mut self,
        now: Time,
        id: u64,
        key: &PublicKey,
        address: &Address,
        answer: Answer,
    ) -> Option<Purpose> {
        let offset = self.offset(id);
        let slot = self.ring.get_mut(offset)?;
        slot.take_if(|pending| {
            pending.id == id
                && pending.key == *key
                && pending.address == *address
                && pending.purpose.answer() == answer
                && now < pending.sent + REQUEST_TIMEOUT
        })
        .map(|pending| pending.purpose)
    }

    fn forget_old(&mut self, now: Time) {
        let is_over = |slot: &Option<Pending>| {
            slot.as_ref().is_none_or(|pending| pending.sent + REQUEST_TIMEOUT <= now)
        };
        while self.ring.front().is_some_and(is_over) {
            self.ring.pop_front();
            self.gone = self.gone.wrapping_add(1);
        }
        // What a burst needed, a quiet node gives back.
        if self.ring.capacity() > IDLE_CAPACITY && self.ring.len() <= IDLE_CAPACITY / 2 {
            self.ring.shrink_to(IDLE_CAPACITY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> Address {
        Address::udp(([127, 0, 0, 1], port).into())
    }

    #[test]
    fn an_answer_counts_once_and_only_from_whom_was_asked() {
        let (mut requests, mut rng) = (Requests::default(), Rng::from_seed([1; 32]));
        let (key, at) = (PublicKey([1; 32]), address(1));
        let id = requests.open(&mut rng, Time::ZERO, key, at, Purpose::Verify).unwrap();
        let now = Time::from_secs(4);
        let other = PublicKey([2; 32]);
        assert_eq!(requests.take(now, id, &other, &at, Answer::Ping), None);
        assert_eq!(requests.take(now, id, &key, &address(2), Answer::Ping), None);
        assert_eq!(requests.take(now, id, &key, &at, Answer::Nodes), None);
        assert_eq!(requests.take(now, id ^ 1 << 40, &key, &at, Answer::Ping), None);
        assert_eq!(requests.take_crooked(now, id, &other, &at, Answer::Ping), None);
        let elsewhere = Address::udp(([127, 0, 0, 2], 1).into());
        assert_eq!(requests.take_crooked(now, id, &key, &elsewhere, Answer::Ping), None);
        assert_eq!(requests.take(now, id, &key, &at, Answer::Ping), Some(Purpose::Verify));
        assert_eq!(requests.take(now, id, &key, &at, Answer::Ping), None);
        let id = requests.open(&mut rng, Time::ZERO, key, at, Purpose::Verify).unwrap();
        let crooked = requests.take_crooked(now, id, &key, &address(2), Answer::Ping);
        assert_eq!(crooked, Some((Purpose::Verify, at)));
    }

    #[test]
    fn the_ring_is_bounded_and_frees_itself() {
        let (mut requests, mut rng) = (Requests::default(), Rng::from_seed([1; 32]));
        let (key, at) = (PublicKey([1; 32]), address(1));
        let mut open = |requests: &mut Requests, now| {
            requests.open(&mut rng, now, key, at, Purpose::Lookup(7))
        };
        let first: Vec<_> = (0..700).filter_map(|_| open(&mut requests, Time::ZERO)).collect();
        assert_eq!(first.len(), MAX_REQUESTS);
        let late = Time::ZERO + REQUEST_TIMEOUT;
        assert_eq!(requests.take(late, first[3], &key, &at, Answer::Nodes), None);
        assert!(requests.ring.capacity() >= MAX_REQUESTS);
        open(&mut requests, late);
        assert!(requests.ring.capacity() <= 2 * IDLE_CAPACITY);
        let second: Vec<_> = (1..40).filter_map(|_| open(&mut requests, late)).collect();
        assert_eq!(second.len(), 39);
        assert_eq!(
            requests.take(late, second[38], &key, &at, Answer::Nodes),
            Some(Purpose::Lookup(7))
        );
    }
}
