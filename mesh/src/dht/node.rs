//! A node with the addresses it answered from: one over IPv4, one over anything else (IPv6, or a
//! custom transport), each with its own clock (c-toxcore keeps the two apart in the same way).

use super::config::{BAD_AFTER, FORGOTTEN_AFTER, HEARSAY_LIMIT, REFRESH_INTERVAL, REFRESH_SLACK};
use crate::wire::{Address, PublicKey, Time};

/// An address that a node answered from.
#[derive(Clone, Debug)]
pub(super) struct Contact {
    pub(super) address: Address,
    /// Its last answer to a question of ours.
    answered: Time,
    /// Its last sign of life from this address: an answer, or a question of its own.
    alive: Time,
    next_request: Time,
}

impl Contact {
    /// True while its last sign of life is recent enough to tell others of it.
    pub(super) fn is_good(&self, now: Time) -> bool {
        now < self.alive + BAD_AFTER
    }

    fn due(&self) -> Time {
        self.next_request.min(self.alive + FORGOTTEN_AFTER)
    }
}

/// A node and where it is.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) key: PublicKey,
    /// One or two, of different families.
    contacts: Vec<Contact>,
    /// Before this it is not asked for its bootstrap info again.
    pub(super) next_info: Time,
    /// True if it showed that it knows announcements.
    pub(super) is_announcing: bool,
}

/// True for UDP over IPv4.
pub(super) fn is_ipv4(address: &Address) -> bool {
    address.as_udp().is_some_and(|address| address.is_ipv4())
}

fn is_same_family(a: &Address, b: &Address) -> bool {
    is_ipv4(a) == is_ipv4(b)
}

impl Node {
    /// A node that answered from `address` just now.
    pub(super) fn new(now: Time, key: PublicKey, address: Address, next_request: Time) -> Self {
        let contact = Contact { address, answered: now, alive: now, next_request };
        Self { key, contacts: vec![contact], next_info: now, is_announcing: false }
    }

    /// True while one of its addresses works.
    pub(super) fn is_good(&self, now: Time) -> bool {
        self.contacts.iter().any(|contact| contact.is_good(now))
    }

    /// True if it is known at this very address, which works.
    pub(super) fn is_good_at(&self, now: Time, address: &Address) -> bool {
        self.contacts.iter().any(|contact| contact.address == *address && contact.is_good(now))
    }

    /// True if it has a working address of the same family.
    pub(super) fn is_good_like(&self, now: Time, address: &Address) -> bool {
        let mut like = self.contacts.iter().filter(|c| is_same_family(&c.address, address));
        like.any(|contact| contact.is_good(now))
    }

    /// Its last sign of life.
    pub(super) fn alive(&self) -> Time {
        self.contacts.iter().map(|contact| contact.alive).max().unwrap_or(Time::ZERO)
    }

    /// The address that worked last, be it good or not.
    pub(super) fn latest(&self) -> Option<Address> {
        let latest = self.contacts.iter().max_by_key(|contact| contact.alive);
        latest.map(|contact| contact.address)
    }

    /// An address that works, IPv6 first as c-toxcore does.
    pub(super) fn address(&self, now: Time) -> Option<Address> {
        let good = self.contacts.iter().filter(|contact| contact.is_good(now));
        good.min_by_key(|contact| is_ipv4(&contact.address)).map(|contact| contact.address)
    }

    /// A working address that may be told to someone at `to`: of its family if there is one, no local
    /// one outside of the local network, no custom transport's.
    pub(super) fn address_for(&self, now: Time, to: &Address) -> Option<Address> {
        let is_fit = |contact: &&Contact| {
            contact.is_good(now)
                && contact.address.as_udp().is_some()
                && (to.is_lan() || !contact.address.is_lan())
        };
        let fit = self.contacts.iter().filter(is_fit);
        let best = fit.max_by_key(|c| (is_same_family(&c.address, to), c.alive));
        best.map(|contact| contact.address)
    }

    /// The node with each of its addresses.
    pub(super) fn all(&self) -> impl Iterator<Item = (PublicKey, Address)> + '_ {
        self.contacts.iter().map(|contact| (self.key, contact.address))
    }

    /// All addresses, and whether each is good.
    #[cfg(test)]
    pub(super) fn addresses(&self, now: Time) -> impl Iterator<Item = (Address, bool)> + '_ {
        self.contacts.iter().map(move |contact| (contact.address, contact.is_good(now)))
    }

    /// Notes an answer from `address`; it is asked again at `next_request`. A local address does not
    /// take the place of a public one that works.
    pub(super) fn answered(&mut self, now: Time, address: Address, next_request: Time) {
        let known = self.contacts.iter_mut().find(|c| is_same_family(&c.address, &address));
        let Some(contact) = known else {
            let contact = Contact { address, answered: now, alive: now, next_request };
            return self.contacts.push(contact);
        };
        if contact.is_good(now) && !contact.address.is_lan() && address.is_lan() {
            return;
        }
        let next_request = if contact.address == address {
            contact.next_request.max(next_request)
        } else {
            next_request
        };
        *contact = Contact { address, answered: now, alive: now, next_request };
    }

    /// Notes a question of its own from `address`. That is a sign of life and saves us one question of
    /// ours, but only for a while: it may be an old packet sent again by someone else.
    pub(super) fn heard(&mut self, now: Time, address: &Address) {
        let known = self.contacts.iter_mut().find(|contact| contact.address == *address);
        if let Some(contact) = known.filter(|contact| now < contact.answered + HEARSAY_LIMIT) {
            contact.alive = now;
            contact.next_request = contact.next_request.max(now + REFRESH_INTERVAL);
        }
    }

    /// True if this is one of its addresses.
    pub(super) fn is_at(&self, address: &Address) -> bool {
        self.contacts.iter().any(|contact| contact.address == *address)
    }

    /// It is at this address no longer; false if it is nowhere then.
    pub(super) fn leave(&mut self, address: &Address) -> bool {
        self.contacts.retain(|contact| contact.address != *address);
        !self.contacts.is_empty()
    }

    /// Lets it be asked at once.
    pub(super) fn hasten(&mut self, now: Time) {
        for contact in &mut self.contacts {
            contact.next_request = now;
        }
    }

    /// Gives the addresses to ask now, or in a moment, and forgets those silent for too long. False if
    /// none is left: the node is to be forgotten.
    pub(super) fn take_due(&mut self, now: Time, due: &mut Vec<(PublicKey, Address)>) -> bool {
        self.contacts.retain(|contact| now < contact.alive + FORGOTTEN_AFTER);
        for contact in &mut self.contacts {
            if contact.next_request <= now + REFRESH_SLACK {
                contact.next_request = now + REFRESH_INTERVAL;
                due.push((self.key, contact.address));
            }
        }
        !self.contacts.is_empty()
    }

    /// When [`Node::take_due`] has something to do.
    pub(super) fn due(&self) -> Time {
        self.contacts.iter().map(Contact::due).min().unwrap_or(Time::MAX)
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    const KEY: PublicKey = PublicKey([1; 32]);

    fn at(text: &str) -> Address {
        Address::udp(text.parse().unwrap())
    }

    #[test]
    fn keeps_an_address_of_each_family_and_each_goes_silent_on_its_own() {
        let (ipv4, ipv6) = (at("198.18.0.1:1"), at("[2001:db8::1]:1"));
        let mut node = Node::new(Time::ZERO, KEY, ipv4, Time::ZERO);
        let later = Time::from_secs(100);
        node.answered(later, ipv6, later);
        assert_eq!(node.address_for(later, &at("198.18.0.2:1")), Some(ipv4));
        assert_eq!(node.address_for(later, &at("[2001:db8::2]:1")), Some(ipv6));
        assert_eq!(node.address(later), Some(ipv6));
        let late = Time::ZERO + BAD_AFTER;
        assert_eq!(node.address_for(late, &at("198.18.0.2:1")), Some(ipv6));
        assert!(node.is_good(late) && !node.is_good_like(late, &ipv4));
        let mut due = Vec::new();
        assert!(node.take_due(Time::ZERO + FORGOTTEN_AFTER, &mut due));
        assert_eq!(due, [(KEY, ipv6)]);
        assert!(!node.take_due(later + FORGOTTEN_AFTER, &mut due));
    }

    #[test]
    fn a_local_address_does_not_replace_a_public_one_that_works() {
        let (public, local) = (at("198.18.0.1:1"), at("192.168.0.1:1"));
        let mut node = Node::new(Time::ZERO, KEY, public, Time::ZERO);
        node.answered(Time::ZERO, local, Time::ZERO);
        assert_eq!(node.latest(), Some(public));
        let late = Time::ZERO + BAD_AFTER;
        node.answered(late, local, late);
        assert_eq!(node.latest(), Some(local));
        assert_eq!(node.address_for(late, &public), None, "not told outside");
        assert_eq!(node.address_for(late, &local), Some(local));
    }

    #[test]
    fn its_own_questions_save_ours_but_not_forever() {
        let address = at("198.18.0.1:1");
        let mut node = Node::new(Time::ZERO, KEY, address, Time::from_secs(60));
        let (mut now, mut due) = (Time::ZERO, Vec::new());
        while due.is_empty() {
            now += Duration::from_secs(30);
            node.heard(now, &address);
            assert!(node.is_good(now));
            assert!(node.take_due(now, &mut due));
        }
        assert!(now.since(Time::ZERO) >= HEARSAY_LIMIT);
        assert!(now.since(Time::ZERO) <= HEARSAY_LIMIT + REFRESH_INTERVAL);
        node.heard(now, &at("198.18.0.2:1"));
        assert_eq!(node.latest(), Some(address), "a question proves no address");
    }
}
