//! DHT announcements and forwarding, in the stack.

use core::time::Duration;

use super::Stack;
use crate::announcements::Server;
use crate::announcements::client::{AnnouncementId, AnnouncementPath, Client, Outgoing, Want};
use crate::announcements::forwarder::{Forwarded, Forwarder};
use crate::config::Config;
use crate::drops::DropReason;
use crate::event::Event;
use crate::wire::address::IpPort;
use crate::wire::forwarding::ForwardReply;
use crate::wire::{Address, Encode, KeyPair, PublicKey, Rng, Time};

/// This node as server, forwarder and client.
#[derive(Debug)]
pub(super) struct Announcements {
    server: Server,
    pub(super) forwarder: Forwarder,
    client: Client,
}

impl Announcements {
    pub(super) fn new(config: &Config, rng: &Rng, own: PublicKey, now: Time) -> Self {
        Self {
            server: Server::new(rng.child("announcements"), own, now, config.epoch),
            forwarder: Forwarder::new(&mut rng.child("forwarder")),
            client: Client::new(rng.child("announcement client")),
        }
    }

    /// True if packets of this kind are handled here.
    pub(super) fn handles(kind: u8) -> bool {
        matches!(kind, 0x90..=0x98)
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.client.deadline()
    }
}

impl Stack {
    /// Asks a node what it knows of the announcement of `key`. [`Event::Announcement`] tells; `None` if
    /// too many such operations go on.
    pub fn search_announcement(
        &mut self,
        now: Time,
        key: PublicKey,
        path: AnnouncementPath,
    ) -> Option<AnnouncementId> {
        self.announcements.client.begin(now, self.dht.keys(), key, path, Want::Search)
    }

    /// Asks a node for the announcement of `key`. [`Event::Announcement`] tells; `None` as above.
    pub fn retrieve_announcement(
        &mut self,
        now: Time,
        key: PublicKey,
        path: AnnouncementPath,
    ) -> Option<AnnouncementId> {
        self.announcements.client.begin(now, self.dht.keys(), key, path, Want::Retrieve)
    }

    /// Has a node keep `data`, at most 512 bytes, as the announcement of `keys`' public key, for so long
    /// if it will. If it keeps the very same already, that is only renewed. [`Event::Announcement`]
    /// tells; `None` as above, or if the data is too long.
    pub fn store_announcement(
        &mut self,
        now: Time,
        keys: KeyPair,
        data: &[u8],
        lifetime: Duration,
        path: AnnouncementPath,
    ) -> Option<AnnouncementId> {
        let timeout = lifetime.as_secs().try_into().unwrap_or(u32::MAX);
        let (key, data) = (keys.public, data.to_vec());
        let want = Want::Store { keys, timeout, data };
        self.announcements.client.begin(now, self.dht.keys(), key, path, want)
    }

    /// Takes a datagram of the kinds 90 to 98.
    pub(super) fn handle_announcement(&mut self, now: Time, from: Address, datagram: &mut [u8]) {
        let kind = datagram.first().copied().unwrap_or_default();
        if Forwarder::handles(kind) {
            self.handle_forwarding(now, from, datagram);
        } else if Server::handles(kind) {
            let server = &mut self.announcements.server;
            let answer = server.answer(now, &mut self.dht, from, &[], datagram);
            self.transmit_or_count(now, answer.map(|answer| (from, answer)));
        } else {
            self.handle_announcement_response(now, Some(from), datagram);
        }
    }

    fn handle_forwarding(&mut self, now: Time, from: Address, datagram: &[u8]) {
        let mut cx = self.base.context(now);
        let forwarder = &mut self.announcements.forwarder;
        match forwarder.handle(&mut cx, &self.dht, from, datagram) {
            Some(Forwarded::Request { forwarder, sendback, mut data }) => {
                let server = &mut self.announcements.server;
                let answer = server.answer(now, &mut self.dht, forwarder, &sendback, &mut data);
                let reply = answer.map(|data| {
                    let reply = ForwardReply { sendback: &sendback, data: &data };
                    (forwarder, reply.to_bytes())
                });
                self.transmit_or_count(now, reply);
            }
            Some(Forwarded::Response(mut data)) => {
                self.handle_announcement_response(now, None, &mut data);
            }
            Some(Forwarded::Client { client, data }) => {
                self.relay_server.respond_forward(&mut cx, client, &data);
            }
            None => {}
        }
    }

    fn transmit_or_count(&mut self, now: Time, packet: Result<(Address, Vec<u8>), DropReason>) {
        let mut cx = self.base.context(now);
        match packet {
            Ok((to, packet)) => cx.transmit(to, packet),
            Err(reason) => cx.drop_packet(reason),
        }
    }

    /// Takes a response; `from` if it came by no forwarder.
    pub(super) fn handle_announcement_response(
        &mut self,
        now: Time,
        from: Option<Address>,
        packet: &mut [u8],
    ) {
        let handled = self.announcements.client.handle(now, self.dht.keys(), packet);
        let handled = handled.and_then(|unclaimed| match (unclaimed, from) {
            (None, _) => Ok(()),
            (Some(response), Some(from)) => {
                self.dht.handle_announcing(now, from, &response.sender, response.id)
            }
            (Some(_), None) => Err(DropReason::Unsolicited),
        });
        if let Err(reason) = handled {
            self.base.context(now).drop_packet(reason);
        }
    }

    /// Sends what the client has to send, and tells what ended.
    pub(super) fn advance_announcements(&mut self, now: Time) {
        let client = &mut self.announcements.client;
        if client.deadline().is_some_and(|at| at <= now) {
            client.handle_timeout(now);
        }
        while let Some(outgoing) = self.announcements.client.poll_transmit() {
            self.send_announcement(now, outgoing);
        }
        while let Some((request, key, outcome)) = self.announcements.client.poll_ended() {
            self.base.events.push_back(Event::Announcement { request, key, outcome });
        }
    }

    /// What a relay does not take now is sent again, like what gets lost.
    fn send_announcement(&mut self, now: Time, outgoing: Outgoing) {
        let Outgoing { relay, to, packet } = outgoing;
        let mut cx = self.base.context(now);
        match (relay, &mut self.person, to.as_udp()) {
            (None, _, _) => cx.transmit(to, packet),
            (Some(relay), Some(person), Some(to)) => {
                person.pool.send_forward(&mut cx, relay, IpPort::udp(to), &packet);
            }
            _ => {}
        }
    }
}
