//! When, and through which nodes, a friend is sent something again: our DHT key, a friend request.
//!
//! Nobody says whether it arrived. Each batch of copies goes through a few of the nodes that hold the
//! friend's announcement, at once through the first that is found.

use core::time::Duration;

use super::config::{
    COPIES, COPY_WINDOW, MAX_TOLD_KEYS, REQUEST_PAUSE, REQUEST_PAUSE_MAX, TELL_FIRST,
    TELL_PATIENCE, TELL_PAUSE, TELL_PAUSE_MAX,
};
use super::searcher::Holder;
use crate::wire::{PublicKey, Time};

/// Most copies of a batch: a liar may show a new data key with each answer.
const MAX_BATCH: usize = 16;

/// How often a letter is sent again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Schedule {
    /// As our DHT key: often, for the friend forgets it.
    DhtKey,
    /// As a friend request: ever more rarely.
    FriendRequest,
}

impl Schedule {
    /// The pause after the batch with this number, counted from 0.
    fn pause(self, batch: u32) -> Duration {
        let doubled = |pause: Duration, times: u32| pause.saturating_mul(1 << times.min(16));
        match self {
            Self::FriendRequest => doubled(REQUEST_PAUSE, batch).min(REQUEST_PAUSE_MAX),
            Self::DhtKey => TELL_FIRST.get(batch as usize).copied().unwrap_or_else(|| {
                doubled(TELL_PAUSE, batch.saturating_sub(TELL_PATIENCE)).min(TELL_PAUSE_MAX)
            }),
        }
    }
}

/// What is to be sent, and what was.
#[derive(Debug)]
pub(super) struct Letter {
    schedule: Schedule,
    /// The inner packet, in the clear: kind and content.
    pub(super) body: Vec<u8>,
    next: Time,
    batches: u32,
    batch_since: Time,
    /// Where copies of this batch went: node and data key.
    copies: Vec<(PublicKey, PublicKey)>,
    /// Data keys to which any batch went.
    told: Vec<PublicKey>,
}

/// Where copies have to go now.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Copies {
    /// A new batch begins with them: the body may be renewed.
    pub(super) is_new_batch: bool,
    pub(super) to: Vec<Holder>,
}

impl Letter {
    /// A letter that is sent as soon as anybody holds the friend's announcement.
    pub(super) fn new(schedule: Schedule, body: Vec<u8>) -> Self {
        let (copies, told) = (Vec::new(), Vec::new());
        let (next, batch_since) = (Time::ZERO, Time::ZERO);
        Self { schedule, body, next, batches: 0, batch_since, copies, told }
    }

    /// Where to send copies now, the most certain first.
    pub(super) fn take_copies(&mut self, now: Time, holders: &[Holder]) -> Option<Copies> {
        let is_in_window = self.batches > 0 && now < self.batch_since + COPY_WINDOW;
        let is_news = |holder: &Holder| !self.told.contains(&holder.data_key);
        let is_new_batch = !holders.is_empty()
            && (self.next <= now || !is_in_window && holders.iter().any(is_news));
        if is_new_batch {
            self.next = now + self.schedule.pause(self.batches);
            self.batches = self.batches.saturating_add(1);
            self.batch_since = now;
            self.copies.clear();
        } else if !is_in_window {
            return None;
        }
        let mut order: Vec<Holder> = holders.to_vec();
        order.sort_by_key(|holder| core::cmp::Reverse(holder.since));
        let to: Vec<Holder> = order.into_iter().filter(|holder| self.note(holder)).collect();
        (!to.is_empty()).then_some(Copies { is_new_batch, to })
    }

    /// True if a copy may go to this holder; then it counts as sent.
    fn note(&mut self, holder: &Holder) -> bool {
        let copy = (holder.node.key, holder.data_key);
        let of_key = self.copies.iter().filter(|(_, key)| *key == holder.data_key).count();
        if of_key >= COPIES || self.copies.len() >= MAX_BATCH || self.copies.contains(&copy) {
            return false;
        }
        self.copies.push(copy);
        if !self.told.contains(&holder.data_key) {
            self.told.push(holder.data_key);
            if self.told.len() > MAX_TOLD_KEYS {
                self.told.remove(0);
            }
        }
        true
    }

    /// There is a reason to send it again soon, and often again: not sooner than the first pause.
    pub(super) fn hasten(&mut self, now: Time) {
        let soonest = match self.batches {
            0 => now,
            _ => now.max(self.batch_since + self.schedule.pause(0)),
        };
        self.next = self.next.min(soonest);
        self.batches = self.batches.min(1);
    }

    /// When the next batch is due, if anybody holds the friend's announcement.
    pub(super) fn deadline(&self) -> Time {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onion::client::paths::PathId;
    use crate::onion::client::pool::Node;

    const NOW: Time = Time::from_secs(1_000);

    fn holder(number: u8, data_key: u8) -> Holder {
        let endpoint = ([198, 18, 0, number], 33445).into();
        let node = Node { key: PublicKey([number; 32]), endpoint };
        Holder { node, data_key: PublicKey([data_key; 32]), since: NOW, path: PathId(1) }
    }

    fn count(copies: Option<Copies>) -> usize {
        copies.map_or(0, |copies| copies.to.len())
    }

    #[test]
    fn it_goes_at_once_to_the_first_holder_and_copies_to_those_found_next() {
        let mut letter = Letter::new(Schedule::DhtKey, Vec::new());
        assert_eq!(letter.take_copies(NOW, &[]), None);
        let mut holders = vec![holder(1, 9)];
        let copies = letter.take_copies(NOW, &holders).unwrap();
        assert!(copies.is_new_batch && copies.to == holders);
        assert_eq!(letter.take_copies(NOW, &holders), None);
        holders.extend((2..=8).map(|number| holder(number, 9)));
        let copies = letter.take_copies(NOW, &holders).unwrap();
        assert!(!copies.is_new_batch && copies.to.len() == COPIES - 1);
        assert_eq!(letter.take_copies(NOW, &holders), None);
        assert_eq!(letter.deadline(), NOW + TELL_FIRST[0]);
        assert_eq!(count(letter.take_copies(letter.deadline(), &holders)), COPIES);
    }

    #[test]
    fn a_new_data_key_is_a_reason_to_send_at_once_but_a_liar_gains_little() {
        let mut letter = Letter::new(Schedule::FriendRequest, Vec::new());
        letter.take_copies(NOW, &[holder(1, 9)]).unwrap();
        let mut now = NOW + COPY_WINDOW;
        letter.take_copies(now, &[holder(1, 9)]).unwrap();
        now += COPY_WINDOW;
        assert_eq!(letter.take_copies(now, &[holder(1, 9)]), None);
        let copies = letter.take_copies(now, &[holder(1, 9), holder(1, 8)]).unwrap();
        assert!(copies.is_new_batch);
        let lies = (0..=255).filter(|&key| letter.take_copies(now, &[holder(1, key)]).is_some());
        assert!(lies.count() <= MAX_BATCH);
    }

    #[test]
    fn pauses_of_the_dht_key() {
        let pauses: Vec<u64> = (0..30).map(|n| Schedule::DhtKey.pause(n).as_secs()).collect();
        assert_eq!(pauses[..5], [3, 7, 20, 30, 30]);
        assert_eq!(pauses[20..26], [30, 60, 120, 240, 480, 600]);
        let mut letter = Letter::new(Schedule::DhtKey, Vec::new());
        letter.take_copies(NOW, &[holder(1, 9)]).unwrap();
        letter.hasten(NOW);
        assert_eq!(letter.deadline(), NOW + TELL_FIRST[0], "not a flood");
    }

    #[test]
    fn pauses_of_a_friend_request() {
        let pauses: Vec<u64> =
            (0..12).map(|n| Schedule::FriendRequest.pause(n).as_secs()).collect();
        assert_eq!(pauses[..4], [5, 10, 20, 40]);
        assert_eq!(pauses[11], 3_600);
    }
}
