//! Connections that a conference uses, and why.

use crate::wire::{PublicKey, Time};

/// Most connections of one conference (c-toxcore `MAX_GROUP_CONNECTIONS`).
pub(super) const MAX_LINKS: usize = 16;

/// Why a connection is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum Reason {
    /// The member is a neighbour on the ring.
    Neighbour = 1,
    /// The member came by us, and others may not reach it yet.
    Introducing = 2,
    /// We came by the member, and others may not reach us yet.
    Introducer = 4,
}

/// A connection with a member.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) peer: PublicKey,
    reasons: u8,
    /// The member's number of the conference, once it said that it takes part over this connection.
    pub(super) online: Option<u16>,
    /// It was asked for the list of members.
    pub(super) asked_at: Option<Time>,
    /// It was told the list of members.
    pub(super) answered_at: Option<Time>,
    /// It is to be told the list of members then.
    pub(super) answer_at: Option<Time>,
}

impl Link {
    const fn new(peer: PublicKey) -> Self {
        let (asked_at, answered_at, answer_at) = (None, None, None);
        Self { peer, reasons: 0, online: None, asked_at, answered_at, answer_at }
    }

    /// True if it is used for this reason.
    pub(super) const fn has(&self, reason: Reason) -> bool {
        self.reasons & reason as u8 != 0
    }

    /// One reason less; false if none is left.
    pub(super) const fn take(&mut self, reason: Reason) -> bool {
        self.reasons &= !(reason as u8);
        self.reasons != 0
    }
}

/// What became of a wish for a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Added {
    /// It was used before.
    Known,
    /// It is used from now on; this other one was given up for it.
    New(Option<PublicKey>),
    /// All are needed more.
    Refused,
}

/// All connections of a conference.
#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    links: Vec<Link>,
}

impl Links {
    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Link> {
        self.links.iter()
    }

    /// All of them, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Link> {
        self.links.iter_mut()
    }

    /// The one with `peer`.
    pub(super) fn get(&self, peer: &PublicKey) -> Option<&Link> {
        self.links.iter().find(|link| link.peer == *peer)
    }

    /// The one with `peer`, to be changed.
    pub(super) fn get_mut(&mut self, peer: &PublicKey) -> Option<&mut Link> {
        self.links.iter_mut().find(|link| link.peer == *peer)
    }

    /// Members that take part over a connection, and their numbers of the conference.
    pub(super) fn online(&self) -> impl Iterator<Item = (PublicKey, u16)> {
        self.links.iter().filter_map(|link| Some((link.peer, link.online?)))
    }

    /// Uses the connection with `peer` for this reason too. At the limit one is given up that leads to
    /// no neighbour: rather one over which nobody takes part, rather one that is old.
    pub(super) fn add(&mut self, peer: PublicKey, reason: Reason) -> Added {
        if let Some(link) = self.get_mut(&peer) {
            link.reasons |= reason as u8;
            return Added::Known;
        }
        let mut given_up = None;
        if self.links.len() >= MAX_LINKS {
            let spare = |link: &&Link| !link.has(Reason::Neighbour);
            let spares = self.links.iter().filter(spare);
            let Some(least) = spares.min_by_key(|link| link.online.is_some()) else {
                return Added::Refused;
            };
            given_up = Some(least.peer);
            let least = least.peer;
            self.remove(&least);
        }
        let mut link = Link::new(peer);
        link.reasons = reason as u8;
        self.links.push(link);
        Added::New(given_up)
    }

    /// Uses the connection with `peer` no longer; false if it was not used.
    pub(super) fn remove(&mut self, peer: &PublicKey) -> bool {
        let before = self.links.len();
        self.links.retain(|link| link.peer != *peer);
        self.links.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_needed_connection_makes_room() {
        let key = |number: u8| PublicKey([number; 32]);
        let mut links = Links::default();
        for number in 0..MAX_LINKS as u8 {
            let reason = if number < 4 { Reason::Neighbour } else { Reason::Introducing };
            assert_eq!(links.add(key(number), reason), Added::New(None));
            links.get_mut(&key(number)).unwrap().online = (number != 6).then_some(1);
        }
        assert_eq!(links.add(key(9), Reason::Introducer), Added::Known);
        assert_eq!(links.add(key(100), Reason::Introducer), Added::New(Some(key(6))));
        links.get_mut(&key(100)).unwrap().online = Some(7);
        assert_eq!(links.add(key(101), Reason::Introducer), Added::New(Some(key(4))));
        for link in links.iter_mut() {
            link.reasons = Reason::Neighbour as u8;
        }
        assert_eq!(links.add(key(102), Reason::Introducer), Added::Refused);
        assert!(links.remove(&key(9)) && !links.remove(&key(9)));
        assert_eq!(links.online().count(), MAX_LINKS - 2);
    }

    #[test]
    fn a_connection_is_used_while_there_is_a_reason() {
        let mut link = Link::new(PublicKey([1; 32]));
        link.reasons = Reason::Neighbour as u8 | Reason::Introducer as u8;
        assert!(link.take(Reason::Introducer) && !link.has(Reason::Introducer));
        assert!(!link.take(Reason::Neighbour));
    }
}
