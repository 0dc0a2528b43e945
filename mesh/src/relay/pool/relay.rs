//! A relay that the pool knows: its address, its connection, who is reached through it.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeSet;

use crate::outbox::Context;
use crate::relay::client::Client;
use crate::wire::relay::RelayPacket;
use crate::wire::{PublicKey, Rng, Time};

/// How long the first new attempt waits, up to half more; the next twice as long …
const FIRST_RETRY: Duration = Duration::from_secs(2);
/// … and so on, up to this.
const MAX_RETRY: Duration = Duration::from_secs(300);
/// A connection that stood so long was a good one.
const GOOD_TIME: Duration = Duration::from_secs(60);

/// A relay.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    /// The owner named it: it is not forgotten.
    pub(super) is_own: bool,
    /// It belongs to those that are connected in any case.
    pub(super) is_chosen: bool,
    /// Who may be reached through it.
    pub(super) peers: BTreeSet<PublicKey>,
    pub(super) client: Option<Client>,
    /// Attempts that failed in a row.
    pub(super) failures: u32,
    /// Not before that is there a new attempt.
    pub(super) retry_at: Time,
    /// Until then it has time to bring us somebody.
    busy_until: Time,
    up_since: Time,
}

impl Relay {
    /// A relay that nobody needs yet.
    pub(super) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            is_own: false,
            is_chosen: false,
            peers: BTreeSet::new(),
            client: None,
            failures: 0,
            retry_at: Time::ZERO,
            busy_until: Time::ZERO,
            up_since: Time::ZERO,
        }
    }

    /// True if it answers.
    pub(super) fn is_up(&self) -> bool {
        self.client.as_ref().is_some_and(Client::is_up)
    }

    /// Leaves it time until then.
    pub(super) fn keep_until(&mut self, at: Time) {
        self.busy_until = self.busy_until.max(at);
    }

    /// Until when it has time.
    pub(super) fn busy_until(&self) -> Time {
        self.busy_until
    }

    /// It answers from now on: asks it for all peers.
    pub(super) fn welcome(&mut self, cx: &mut Context<'_>) {
        self.up_since = cx.now;
        if let Some(client) = &mut self.client {
            for peer in &self.peers {
                client.register(cx, *peer);
            }
        }
    }

    /// Its connection is gone: when to try again. Returns whether it had been up.
    pub(super) fn note_lost(&mut self, now: Time, rng: &mut Rng) -> bool {
        let was_up = self.client.take().is_some_and(|client| client.is_up());
        if was_up && now.since(self.up_since) >= GOOD_TIME {
            self.failures = 0;
        }
        let wait = FIRST_RETRY.saturating_mul(1 << self.failures.min(16)).min(MAX_RETRY);
        let more = rng.below(wait.as_micros() as u64 / 2 + 1);
        self.retry_at = now + wait + Duration::from_micros(more);
        self.failures = self.failures.saturating_add(1);
        was_up
    }

    /// A peer may be reached through it; it has some time to bring it.
    pub(super) fn attach(&mut self, cx: &mut Context<'_>, peer: PublicKey, until: Time) {
        self.peers.insert(peer);
        self.keep_until(until);
        if let Some(client) = self.client.as_mut().filter(|client| client.is_up()) {
            client.register(cx, peer);
        }
    }

    /// A peer is no longer to be reached through it.
    pub(super) fn detach(&mut self, cx: &mut Context<'_>, peer: &PublicKey) {
        self.peers.remove(peer);
        if let Some(client) = &mut self.client {
            client.unregister(cx, peer);
        }
    }

    /// Sends to a peer that is online there.
    pub(super) fn send_data(
        &mut self,
        cx: &mut Context<'_>,
        peer: &PublicKey,
        packet: &[u8],
    ) -> bool {
        self.client.as_mut().is_some_and(|client| client.send_data(cx, peer, packet))
    }

    /// Sends to anyone there.
    pub(super) fn send_oob(&mut self, cx: &mut Context<'_>, to: PublicKey, packet: &[u8]) -> bool {
        self.client.as_mut().is_some_and(|client| client.send_oob(cx, to, packet))
    }

    /// Sends to the relay itself.
    pub(super) fn send_packet(&mut self, cx: &mut Context<'_>, packet: &RelayPacket<'_>) -> bool {
        self.client.as_mut().is_some_and(|client| client.send_packet(cx, packet))
    }
}
