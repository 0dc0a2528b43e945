//! One friend: its search, and what it is to be told.

use core::time::Duration;

use super::config::LOST_AGE;
use super::letter::{Letter, Schedule};
use super::searcher::{Holder, Search};
use crate::wire::{PublicKey, Rng, SharedKey, Time};

/// A friend.
#[derive(Debug)]
pub(super) struct Friend {
    pub(super) search: Search,
    /// Between our long-term key and the friend's.
    pub(super) shared: SharedKey,
    is_online: bool,
    /// Our DHT key.
    pub(super) tell: Letter,
    /// The friend request, if one was made.
    pub(super) request: Option<Letter>,
    /// Counts what we tell.
    told: u64,
    /// The latest count that the friend told us.
    heard: u64,
}

impl Friend {
    pub(super) fn new(now: Time, rng: &mut Rng, key: PublicKey, shared: SharedKey) -> Self {
        let search = Search::new(now, rng, key);
        let tell = Letter::new(Schedule::DhtKey, Vec::new());
        Self { search, shared, is_online: false, tell, request: None, told: 0, heard: 0 }
    }

    /// True while there is nothing to do for this friend.
    pub(super) const fn is_online(&self) -> bool {
        self.is_online
    }

    /// The friend is there now, or there no longer. As in c-toxcore its counts begin anew then: it may
    /// have lost its clock.
    pub(super) fn set_online(&mut self, now: Time, rng: &mut Rng, is_online: bool) {
        if self.is_online == is_online {
            return;
        }
        self.is_online = is_online;
        if is_online {
            self.request = None;
        } else {
            self.heard = 0;
            self.tell = Letter::new(Schedule::DhtKey, Vec::new());
            self.search.restart(now, rng, LOST_AGE);
        }
    }

    /// There is hope to find it soon: it has just found us, or we were cut off.
    pub(super) fn hurry(&mut self, now: Time) {
        if !self.is_online {
            self.search.hurry(now, Duration::from_secs(1));
            self.tell.hasten(now);
        }
    }

    /// The count of the next DHT-key packet: seconds since 1970, or more if we tell more often.
    pub(super) fn next_count(&mut self, seconds: u64) -> u64 {
        self.told = self.told.saturating_add(1).max(seconds);
        self.told
    }

    /// True if the friend's packet with this count is no replay.
    pub(super) fn is_news(&mut self, count: u64) -> bool {
        let is_news = count > self.heard;
        self.heard = self.heard.max(count);
        is_news
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Time {
        if self.is_online {
            return Time::MAX;
        }
        let search = self.search.deadline();
        if self.search.holders().next().is_none() {
            return search;
        }
        let request = self.request.as_ref().map_or(Time::MAX, Letter::deadline);
        search.min(self.tell.deadline()).min(request)
    }

    /// The nodes that keep its announcement.
    pub(super) fn holders(&self) -> Vec<Holder> {
        self.search.holders().collect()
    }
}
