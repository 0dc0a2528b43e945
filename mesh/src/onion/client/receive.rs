//! What the onion client receives: answers to its announce requests, data from friends and strangers.

use super::drive::seconds;
use super::paths::FirstHop;
use super::pool::Node;
use super::requests::{Purpose, Request};
use super::{OnionClient, OnionClientEvent};
use crate::drops::DropReason;
use crate::outbox::Context;
use crate::wire::friend::{DHT_KEY_ANNOUNCE, FRIEND_REQUEST, FriendRequest};
use crate::wire::onion::{
    ANNOUNCE_RESPONSE, AnnounceResponse, AnnounceResponseHeader, DATA_RESPONSE, DhtKeyAnnounce,
    EXTENDED_ANNOUNCE_RESPONSE, RoutedDhtKey,
};
use crate::wire::{Address, Decode, Encode, Nonce, PublicKey, Time};

/// What came of a packet.
type Handled = Result<(), DropReason>;

impl OnionClient {
    /// Takes a packet of the kinds 84 or 86 that came from there: by UDP, or in a relay packet of kind
    /// 9. The buffer is scratch space afterwards.
    pub(crate) fn handle(&mut self, cx: &mut Context<'_>, from: FirstHop, packet: &mut [u8]) {
        let handled = match packet.first() {
            Some(&ANNOUNCE_RESPONSE) => self.handle_answer(cx.now, &from, packet),
            Some(&DATA_RESPONSE) => self.handle_data(cx.now, &from, packet),
            // We never ask that way.
            Some(&EXTENDED_ANNOUNCE_RESPONSE) => Err(DropReason::Unsolicited),
            _ => Err(DropReason::UnknownKind),
        };
        match handled {
            Ok(()) => self.drive(cx.now),
            Err(reason) => cx.drop_packet(reason),
        }
    }

    fn handle_answer(&mut self, now: Time, from: &FirstHop, packet: &mut [u8]) -> Handled {
        let (header, boxed) = AnnounceResponseHeader::split(packet)?;
        let id = u64::from_be_bytes(header.sendback);
        let request = self.courier.requests.take(now, id, from).ok_or(DropReason::Unsolicited)?;
        let opened = request.shared.open_in_place(&header.nonce, boxed).map_err(DropReason::from);
        let answer = opened.and_then(|plain| Ok(AnnounceResponse::from_bytes(plain)?));
        match answer {
            Ok(answer) => self.handle_opened(now, request, answer),
            Err(reason) => {
                self.missed(now, &request);
                Err(reason)
            }
        }
    }

    fn handle_opened(&mut self, now: Time, request: Request, answer: AnnounceResponse) -> Handled {
        let AnnounceResponse { stored, nodes } = answer;
        let from_lan = request.node.address().is_lan();
        // Nobody outside has a say on who is near to us in the local network.
        let told = nodes.into_iter().filter_map(move |node| {
            let address = Address::udp(node.endpoint.address);
            (from_lan || !address.is_lan()).then(|| Node::new(node.key, &address))?
        });
        let pool = &mut self.courier.pool;
        if !self.courier.relays.is_empty() {
            pool.learn(now, request.node);
        }
        match request.purpose {
            Purpose::Announce => {
                self.own_paths.answered(request.path, pool);
                let own = self.dht_key;
                let told = told.filter(|node| node.key != own);
                self.announcer.answered(now, &mut self.courier.rng, request, stored, told);
            }
            Purpose::Search(key) => {
                let friend = self.friends.get_mut(&key).ok_or(DropReason::Unsolicited)?;
                if friend.search.pair.public != request.requester || friend.is_online() {
                    return Err(DropReason::Unsolicited);
                }
                friend.search.paths.answered(request.path, pool);
                if friend.search.answered(now, request, stored, told) {
                    self.write_to(now, &key);
                }
            }
            Purpose::Explore => {
                told.for_each(|node| pool.learn(now, node));
                self.announcer.seed(now, &self.identity.public, pool);
                self.explorer.hurry(now);
            }
        }
        Ok(())
    }

    fn handle_data(&mut self, now: Time, from: &FirstHop, packet: &mut [u8]) -> Handled {
        if !self.own_paths.leads_from(now, from) {
            return Err(DropReason::Refused);
        }
        let (sender, body) = self.mailbox.open(now, &self.identity, packet)?;
        match body.first() {
            Some(&DHT_KEY_ANNOUNCE) => self.handle_dht_key(now, sender, &body),
            Some(&FRIEND_REQUEST) => self.handle_friend_request(sender, &body),
            _ => Err(DropReason::UnknownKind),
        }
    }

    fn handle_dht_key(&mut self, now: Time, friend: PublicKey, body: &[u8]) -> Handled {
        let DhtKeyAnnounce { counter, dht_key, nodes } = DhtKeyAnnounce::from_bytes(body)?;
        if dht_key == self.dht_key {
            // Our own words, sent back to us in the friend's name: the box is the same both ways.
            return Err(DropReason::FromSelf);
        }
        let known = self.friends.get_mut(&friend).ok_or(DropReason::Refused)?;
        if !known.is_news(counter) {
            return Err(DropReason::Replayed);
        }
        // It must learn our key too, to be found behind a NAT.
        known.hurry(now);
        let event = OnionClientEvent::FriendDht { friend, dht_key, nodes };
        self.push_event(event).then_some(()).ok_or(DropReason::LimitReached)
    }

    fn handle_friend_request(&mut self, from: PublicKey, body: &[u8]) -> Handled {
        if self.friends.contains_key(&from) {
            return Err(DropReason::Refused);
        }
        let FriendRequest { nospam, message } = FriendRequest::from_bytes(body)?;
        if !self.mailbox.is_new_request(from, body) {
            return Err(DropReason::Replayed);
        }
        let event = OnionClientEvent::FriendRequest { from, nospam, message: message.to_vec() };
        self.push_event(event).then_some(()).ok_or(DropReason::LimitReached)
    }

    /// What tells a friend our DHT key in a DHT request, which reaches it sooner than the onion does
    /// when its DHT key of the day is known (c-toxcore: every 20 s until it is online): the request's
    /// content with its kind. `None` if it is no friend.
    pub(crate) fn routed_dht_key(&mut self, now: Time, friend: &PublicKey) -> Option<Vec<u8>> {
        let known = self.friends.get_mut(friend)?;
        let counter = known.next_count(seconds(&self.config, now));
        let nodes = self.own_nodes.clone();
        let told = DhtKeyAnnounce { counter, dht_key: self.dht_key, nodes };
        let nonce = Nonce::generate(&mut self.courier.rng);
        let boxed = known.shared.seal(&nonce, &told.to_bytes());
        Some(RoutedDhtKey { sender: self.identity.public, nonce, boxed: &boxed }.to_bytes())
    }

    /// Takes the content of a DHT request of that kind, whose sender has this DHT key.
    pub(crate) fn handle_routed_dht_key(
        &mut self,
        cx: &mut Context<'_>,
        sender: PublicKey,
        content: &[u8],
    ) {
        match self.open_routed(cx.now, sender, content) {
            Ok(()) => self.drive(cx.now),
            Err(reason) => cx.drop_packet(reason),
        }
    }

    fn open_routed(&mut self, now: Time, sender: PublicKey, content: &[u8]) -> Handled {
        let routed = RoutedDhtKey::from_bytes(content)?;
        let friend = self.friends.get(&routed.sender).ok_or(DropReason::Refused)?;
        let body = friend.shared.open(&routed.nonce, routed.boxed)?;
        if DhtKeyAnnounce::from_bytes(&body)?.dht_key != sender {
            return Err(DropReason::Forged);
        }
        self.handle_dht_key(now, routed.sender, &body)
    }
}
