//! The lookups under way: the user's, and those by which a node joins.

use super::config::{LOOKUP_WIDTH, REFRESH_WIDTH};
use super::lookup::{Lookup, Step};
use super::requests::Purpose;
use super::{Dht, DhtEvent};
use crate::event::LookupId;
use crate::outbox::Context;
use crate::wire::{PublicKey, Time};

/// Why a lookup is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reason {
    /// The user wants to know.
    User,
    /// To get to know the neighbourhood.
    Join,
    /// To fill a bucket.
    Refresh,
}

/// A lookup with its number and the moment it wants to be looked at.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) number: u64,
    reason: Reason,
    pub(super) lookup: Lookup,
    pub(super) wake: Time,
}

impl Dht {
    /// Finds out where the node with this key is; [`DhtEvent::LookupDone`] tells.
    pub(crate) fn lookup(&mut self, cx: &mut Context<'_>, key: PublicKey) -> LookupId {
        let number = self.next_lookup;
        if self.lookups.len() < self.config.max_lookups {
            self.begin(cx.now, key, Reason::User);
            self.drive_lookups(cx);
        } else {
            self.next_lookup += 1;
            let (lookup, address, hops) = (LookupId(number), None, 0);
            self.events.push_back(DhtEvent::LookupDone { lookup, key, address, hops });
        }
        LookupId(number)
    }

    /// Begins a lookup; the caller drives it.
    pub(super) fn begin(&mut self, now: Time, target: PublicKey, reason: Reason) {
        let own = self.keys.public();
        let width = if reason == Reason::Refresh { REFRESH_WIDTH } else { LOOKUP_WIDTH };
        let deadline = now + self.config.lookup_timeout;
        let lookup = Lookup::new(own, target, width, deadline, reason == Reason::User);
        let number = self.next_lookup;
        self.next_lookup += 1;
        self.lookups.push(Running { number, reason, lookup, wake: now });
    }

    /// Lets every lookup that is due go on.
    pub(super) fn drive_lookups(&mut self, cx: &mut Context<'_>) {
        let mut index = 0;
        while index < self.lookups.len() {
            if self.lookups[index].wake > cx.now {
                index += 1;
            } else if self.drive_lookup(cx, index) {
                let ended = self.lookups.swap_remove(index);
                self.ended(cx.now, &ended);
            }
        }
    }

    /// Lets one lookup go on until it waits; true if it is over.
    fn drive_lookup(&mut self, cx: &mut Context<'_>, index: usize) -> bool {
        loop {
            let running = &mut self.lookups[index];
            let (target, number) = (running.lookup.target(), running.number);
            match running.lookup.step(cx.now) {
                Step::Done => return true,
                Step::Wait(until) => {
                    running.wake = until;
                    return false;
                }
                Step::Seed => {
                    let nodes = self.nearest_known(&target, LOOKUP_WIDTH, cx.now);
                    let lookup = &mut self.lookups[index].lookup;
                    nodes.into_iter().for_each(|(key, address)| lookup.seed(key, address));
                }
                Step::Ask(key, address) => {
                    self.request_nodes(cx, key, address, target, Purpose::Lookup(number));
                }
            }
        }
    }

    /// Tells the result of a lookup, or goes on joining.
    fn ended(&mut self, now: Time, ended: &Running) {
        match ended.reason {
            Reason::User => {
                let (lookup, key) = (LookupId(ended.number), ended.lookup.target());
                let (address, hops) =
                    ended.lookup.found().map_or((None, 0), |(at, hops)| (Some(at), hops));
                self.events.push_back(DhtEvent::LookupDone { lookup, key, address, hops });
            }
            // The neighbourhood is known: now the far buckets, once.
            Reason::Join if self.joined.1 == 1 => {
                for bucket in 0..self.table.depth() {
                    if self.table.has_room(bucket) {
                        let target = self.table.random_key(bucket, &mut self.rng);
                        self.begin(now, target, Reason::Refresh);
                    }
                }
            }
            Reason::Join | Reason::Refresh => {}
        }
    }
}
