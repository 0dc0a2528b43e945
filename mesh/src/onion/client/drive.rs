//! What the onion client does of its own accord: whatever is due.

use core::ops::Bound;

use super::config::OnionClientConfig;
use super::courier::Asker;
use super::data;
use super::friend::Friend;
use super::neighbourhood::Ask;
use super::paths::{Paths, Wish};
use super::requests::{Purpose, Request};
use super::{OnionClient, OnionClientEvent};
use crate::wire::onion::DhtKeyAnnounce;
use crate::wire::{Encode, KeyPair, PublicKey, Time};

/// The data key of a question that announces nothing.
const NO_KEY: PublicKey = PublicKey([0; 32]);

impl OnionClient {
    /// Does whatever is due.
    pub(super) fn drive(&mut self, now: Time) {
        while let Some(request) = self.courier.requests.next_missed(now) {
            self.missed(now, &request);
        }
        self.ask_for_self(now);
        self.explore(now);
        self.serve_friends(now);
        if let Some(is_announced) = self.announcer.poll_change(now) {
            if is_announced && self.was_announced {
                // We were cut off, and friends may have been looking for us in vain.
                self.friends.values_mut().for_each(|friend| friend.hurry(now));
            }
            self.was_announced |= is_announced;
            self.push_event(OnionClientEvent::Announced(is_announced));
        }
    }

    /// A request was not answered in time, or not as it should be.
    pub(super) fn missed(&mut self, now: Time, request: &Request) {
        let key = &request.node.key;
        match &request.purpose {
            Purpose::Announce => {
                self.own_paths.missed(request.path, request.is_known);
                self.announcer.missed(now, key);
            }
            Purpose::Search(friend) => {
                let friend = self.friends.get_mut(friend).map(|friend| &mut friend.search);
                if let Some(search) = friend.filter(|it| it.pair.public == request.requester) {
                    search.paths.missed(request.path, request.is_known);
                    search.missed(now, key);
                }
            }
            Purpose::Explore => {}
        }
    }

    fn ask_for_self(&mut self, now: Time) {
        let Self { identity, courier, announcer, own_paths, mailbox, .. } = self;
        let (target, data_key) = (identity.public, mailbox.data_key());
        let asker = Asker { purpose: Purpose::Announce, pair: identity, target, data_key };
        while courier.pace.ready() <= now
            && let Some(ask) = announcer.next_ask(now)
        {
            let key = ask.node.key;
            let ping_id = |path| announcer.ping_id(now, &key, path);
            if courier.ask(now, own_paths, &asker, ask, ping_id) {
                courier.pace.take(now);
            } else {
                announcer.postpone(now, &key);
            }
        }
    }

    fn explore(&mut self, now: Time) {
        let courier = &mut self.courier;
        let (rng, pool, relays) = (&mut courier.rng, &courier.pool, &courier.relays);
        let Some((node, target)) = self.explorer.next_ask(now, rng, pool, relays) else { return };
        let once = KeyPair::generate(rng);
        let asker = Asker { purpose: Purpose::Explore, pair: &once, target, data_key: NO_KEY };
        let ask = Ask { node, shared: None, wish: Wish::Any };
        courier.ask(now, &mut Paths::new(1), &asker, ask, |_| None);
    }

    /// Asks and writes for the friends, each in its turn: one question at a time, so that none waits
    /// for another's.
    fn serve_friends(&mut self, now: Time) {
        let is_due = |(_, friend): &(&PublicKey, &Friend)| friend.deadline() <= now;
        let after = self.turn.map_or(Bound::Unbounded, Bound::Excluded);
        let later = self.friends.range((after, Bound::Unbounded));
        let until = self.turn.map_or(Bound::Excluded(NO_KEY), Bound::Included);
        let earlier = self.friends.range((Bound::Unbounded, until));
        let mut due: Vec<PublicKey> =
            later.chain(earlier).filter(is_due).map(|(key, _)| *key).collect();
        due.iter().for_each(|key| self.write_to(now, key));
        while !due.is_empty() {
            due.retain(|key| self.courier.pace.ready() <= now && self.ask_for(now, key));
        }
    }

    /// Asks one question in search of a friend; false if there is none, or no way to ask it.
    fn ask_for(&mut self, now: Time, key: &PublicKey) -> bool {
        let Some(friend) = self.friends.get_mut(key).filter(|friend| !friend.is_online()) else {
            return false;
        };
        let search = &mut friend.search;
        let Some(ask) = search.next_ask(now) else { return false };
        let node = ask.node.key;
        let asker = Asker {
            purpose: Purpose::Search(*key),
            pair: &search.pair,
            target: *key,
            data_key: NO_KEY,
        };
        self.turn = Some(*key);
        if self.courier.ask(now, &mut search.paths, &asker, ask, |_| None) {
            self.courier.pace.take(now);
        } else {
            search.postpone(now, &node);
        }
        true
    }

    /// Sends a friend what it is to be told, as far as that is due.
    pub(super) fn write_to(&mut self, now: Time, key: &PublicKey) {
        let Self { identity, dht_key, config, courier, friends, own_nodes, .. } = self;
        let Some(friend) = friends.get_mut(key).filter(|friend| !friend.is_online()) else {
            return;
        };
        let holders = friend.holders();
        let mut copies = Vec::new();
        if let Some(due) = friend.tell.take_copies(now, &holders) {
            if due.is_new_batch {
                let counter = friend.next_count(seconds(config, now));
                let told = DhtKeyAnnounce { counter, dht_key: *dht_key, nodes: own_nodes.clone() };
                friend.tell.body = told.to_bytes();
            }
            copies.extend(due.to.into_iter().map(|holder| (holder, &friend.tell.body)));
        }
        if let Some(letter) = &mut friend.request
            && let Some(due) = letter.take_copies(now, &holders)
        {
            copies.extend(due.to.into_iter().map(|holder| (holder, &letter.body)));
        }
        for (holder, body) in copies {
            let rng = &mut courier.rng;
            let packet =
                data::seal(rng, identity.public, *key, &friend.shared, &holder.data_key, body);
            courier.deliver(now, &mut friend.search.paths, &holder.node, holder.path, &packet);
        }
    }
}

/// What counts our DHT-key packets: seconds since 1970, as c-toxcore does.
pub(super) fn seconds(config: &OnionClientConfig, now: Time) -> u64 {
    config.epoch.as_secs().saturating_add(now.as_secs())
}
