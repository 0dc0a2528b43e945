//! Friends: standing searches for DHT keys, what is sent through the nodes near them, and the way to
//! them through NATs.

use std::collections::BTreeMap;

use super::config::{FRIEND_NODES, MAX_FRIENDS, MAX_HINTS};
use super::friend::Friend;
use super::requests::Purpose;
use super::{Dht, DhtEvent, is_reachable, packets};
use crate::drops::DropReason;
use crate::nat::{ENOUGH_REPORTS, Step};
use crate::outbox::Context;
use crate::wire::nat::NatPing;
use crate::wire::{Address, PublicKey, Time};

/// The searches, by DHT key.
pub(super) type Friends = BTreeMap<PublicKey, Friend>;

impl Dht {
    /// Searches for the node with this DHT key until [`Dht::remove_friend`];
    /// [`DhtEvent::FriendFound`] tells of each address that it answers from. False if there are too
    /// many searches already.
    pub(crate) fn add_friend(&mut self, cx: &mut Context<'_>, key: PublicKey) -> bool {
        if self.friends.contains_key(&key) {
            return true;
        }
        if key == self.keys.public() || self.friends.len() >= MAX_FRIENDS {
            return false;
        }
        let mut friend = Friend::new(cx.now, key, &mut self.rng);
        for (key, address) in self.nearest_known(&key, FRIEND_NODES, cx.now) {
            friend.ask(cx.now, key, address);
        }
        self.friends.insert(key, friend);
        self.drive_friends(cx);
        true
    }

    /// Ends the search for this DHT key.
    pub(crate) fn remove_friend(&mut self, key: &PublicKey) {
        self.friends.remove(key);
    }

    /// Nodes that are said to be near a friend, by the friend itself: they are asked at once.
    pub(crate) fn hint_friend(
        &mut self,
        cx: &mut Context<'_>,
        key: &PublicKey,
        nodes: &[(PublicKey, Address)],
    ) {
        let hints = nodes.iter().filter(|(key, at)| self.is_welcome(key) && is_reachable(at));
        let hints: Vec<(PublicKey, Address)> = hints.take(MAX_HINTS).copied().collect();
        let Some(friend) = self.friends.get_mut(key) else { return };
        for (key, address) in hints {
            friend.ask(cx.now, key, address);
        }
        self.drive_friends(cx);
    }

    /// Where a friend is, if it answered lately; IPv6 before IPv4.
    pub(crate) fn friend_address(&self, key: &PublicKey, now: Time) -> Option<Address> {
        self.friends.get(key)?.address(now)
    }

    /// Sends a DHT request with `data` to a friend: directly if it is found, else through the nodes that
    /// say where it is. To how many went it? None if too few of them know, or `data` is too long.
    pub(crate) fn route_request(
        &mut self,
        cx: &mut Context<'_>,
        key: &PublicKey,
        id: u8,
        data: &[u8],
    ) -> usize {
        let Some(friend) = self.friends.get(key) else { return 0 };
        let routes = match friend.address(cx.now) {
            Some(address) => vec![address],
            None => friend.routes(cx.now),
        };
        let enough = friend.witnesses(cx.now).min(ENOUGH_REPORTS);
        if routes.is_empty() || routes.len() < enough && friend.address(cx.now).is_none() {
            return 0;
        }
        let request = packets::RawRequest { id, data };
        let Some(packet) = packets::dht_request(&mut self.keys, &mut self.rng, key, &request)
        else {
            return 0;
        };
        for address in &routes {
            cx.transmit(*address, packet.clone());
        }
        routes.len()
    }

    /// Does what is due for friends. To be called after whatever may have changed it.
    pub(super) fn drive_friends(&mut self, cx: &mut Context<'_>) {
        let keys: Vec<PublicKey> = self.friends.keys().copied().collect();
        for target in keys {
            let Some(friend) = self.friends.get_mut(&target) else { continue };
            for (key, address) in friend.take_due(cx.now, &mut self.rng) {
                self.request_nodes(cx, key, address, target, Purpose::Refresh);
            }
            self.drive_punching(cx, &target);
        }
    }

    /// When [`Dht::drive_friends`] has something to do.
    pub(super) fn friends_deadline(&self) -> Time {
        self.friends.values().map(Friend::deadline).min().unwrap_or(Time::MAX)
    }

    fn drive_punching(&mut self, cx: &mut Context<'_>, key: &PublicKey) {
        while let Some(step) =
            self.friends.get_mut(key).and_then(|friend| friend.punch(cx.now, &mut self.rng))
        {
            match step {
                Step::Ask(id) => {
                    let ping = NatPing { response: false, id };
                    let routes = self.friends.get(key).map(|friend| friend.routes(cx.now));
                    self.send_nat_ping(cx, key, &ping, &routes.unwrap_or_default());
                }
                Step::Punch(id, to) => {
                    let packet = packets::ping(&mut self.keys, &mut self.rng, key, false, id);
                    for address in to {
                        cx.transmit(address, packet.clone());
                    }
                }
            }
        }
    }

    fn send_nat_ping(
        &mut self,
        cx: &mut Context<'_>,
        key: &PublicKey,
        ping: &NatPing,
        routes: &[Address],
    ) {
        if let Some(packet) = packets::dht_request(&mut self.keys, &mut self.rng, key, ping) {
            for address in routes {
                cx.transmit(*address, packet.clone());
            }
        }
    }

    /// A NAT ping from `sender`, that the node at `from` passed on. Only friends are answered, through
    /// one of the nodes that know them.
    pub(super) fn handle_nat_ping(
        &mut self,
        cx: &mut Context<'_>,
        from: Address,
        sender: PublicKey,
        ping: NatPing,
    ) -> Result<(), DropReason> {
        let friend = self.friends.get_mut(&sender).ok_or(DropReason::Refused)?;
        if ping.response {
            if !friend.punching.handle_response(ping.id, &mut self.rng) {
                return Err(DropReason::Unsolicited);
            }
        } else {
            friend.punching.handle_request(cx.now);
            let routes = friend.routes(cx.now);
            let route = self.rng.choose(&routes).copied().unwrap_or(from);
            let response = NatPing { response: true, id: ping.id };
            self.send_nat_ping(cx, &sender, &response, &[route]);
        }
        self.drive_friends(cx);
        Ok(())
    }

    /// A node answered a question from this address.
    pub(super) fn tell_friends_of_answer(&mut self, now: Time, key: PublicKey, address: Address) {
        for friend in self.friends.values_mut() {
            if friend.answered(now, key, address) {
                self.events.push_back(DhtEvent::FriendFound { dht_key: key, address });
            }
        }
    }

    /// The node `by` told of another one.
    pub(super) fn tell_friends_of_node(
        &mut self,
        now: Time,
        by: &PublicKey,
        key: PublicKey,
        address: Address,
    ) {
        if !is_reachable(&address) || key == self.keys.public() {
            return;
        }
        for friend in self.friends.values_mut() {
            if friend.key == key {
                friend.reported(now, by, address);
            } else {
                friend.consider(now, key, address);
            }
        }
    }
}

#[cfg(test)]
#[path = "friends_tests.rs"]
mod tests;
