//! Which relays are connected: begun, tried again, ended, forgotten.

use core::net::SocketAddr;

use super::peer::{Peer, Standing};
use super::relay::Relay;
use super::{ANNOUNCE_TIME, MAX_RELAYS, Pool, PoolEvent, RECOMMENDED_RELAYS};
use crate::outbox::Context;
use crate::relay::client::Client;
use crate::wire::{PublicKey, Rng, Time};

/// After so many attempts in a row that failed, a relay is no longer a way to its peers (c-toxcore:
/// after one).
const MAX_FAILURES: u32 = 5;

impl Pool {
    /// Makes room for a relay and remembers it. False if there is no room, or the address is none.
    pub(super) fn learn_relay(&mut self, key: PublicKey, address: SocketAddr) -> bool {
        if address.port() == 0 || address.ip().is_unspecified() || address.ip().is_multicast() {
            return false;
        }
        if let Some(known) = self.relays.get_mut(&key) {
            // It may have moved; a connection that stands is the better proof.
            if known.client.is_none() {
                known.address = address;
            }
            return true;
        }
        if self.relays.len() >= MAX_RELAYS {
            let is_idle = |relay: &Relay| !relay.is_own && relay.peers.is_empty() && !relay.is_up();
            let idle = self.relays.iter().find(|(_, relay)| is_idle(relay)).map(|(key, _)| *key);
            let Some(idle) = idle else { return false };
            self.relays.remove(&idle);
        }
        self.relays.insert(key, Relay::new(address));
        true
    }

    /// Makes a relay one of a peer's. False if the peer has enough.
    pub(super) fn attach(&mut self, cx: &mut Context<'_>, peer: PublicKey, key: PublicKey) -> bool {
        let (Some(known), true) = (self.peers.get_mut(&peer), self.relays.contains_key(&key))
        else {
            return false;
        };
        if known.standing(&key).is_some() {
            return true;
        }
        let Ok(given_way) = known.add(key) else { return false };
        if let Some(old) = given_way.and_then(|old| self.relays.get_mut(&old)) {
            old.detach(cx, &peer);
        }
        if let Some(relay) = self.relays.get_mut(&key) {
            relay.attach(cx, peer, cx.now + ANNOUNCE_TIME);
        }
        true
    }

    /// A relay is no way to the peer.
    pub(super) fn part(&mut self, cx: &mut Context<'_>, peer: PublicKey, key: PublicKey) {
        self.set_standing(peer, key, Standing::Unknown);
        if let Some(known) = self.peers.get_mut(&peer) {
            known.remove(&key);
        }
        if let Some(relay) = self.relays.get_mut(&key) {
            relay.detach(cx, &peer);
        }
    }

    /// Notes how a peer stands at a relay, and tells if that changes whether it is online at all.
    pub(super) fn set_standing(&mut self, peer: PublicKey, key: PublicKey, standing: Standing) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let was_online = known.online_count() > 0;
        known.set_standing(&key, standing);
        match (was_online, known.online_count() > 0) {
            (false, true) => self.events.push_back(PoolEvent::PeerOnline { peer }),
            (true, false) => self.events.push_back(PoolEvent::PeerOffline { peer }),
            _ => {}
        }
    }

    /// The relay has a number for a peer, who may have been removed since.
    pub(super) fn note_registered(
        &mut self,
        cx: &mut Context<'_>,
        peer: PublicKey,
        key: PublicKey,
    ) {
        let is_peer = self.peers.get(&peer).is_some_and(|known| known.standing(&key).is_some());
        if is_peer {
            self.set_standing(peer, key, Standing::Registered);
        } else if let Some(relay) = self.relays.get_mut(&key) {
            relay.detach(cx, &peer);
        }
    }

    /// A relay answers.
    pub(super) fn welcome(&mut self, cx: &mut Context<'_>, key: PublicKey) {
        if let Some(relay) = self.relays.get_mut(&key) {
            relay.keep_until(cx.now + ANNOUNCE_TIME);
            relay.welcome(cx);
            self.events.push_back(PoolEvent::RelayUp { relay: key });
        }
    }

    /// The connection to a relay is gone.
    pub(super) fn lose(&mut self, cx: &mut Context<'_>, key: PublicKey) {
        let Some(relay) = self.relays.get_mut(&key) else { return };
        let peers = relay.peers.clone();
        // Another one may be better.
        relay.is_chosen = false;
        if relay.note_lost(cx.now, &mut self.rng) {
            self.events.push_back(PoolEvent::RelayDown { relay: key });
        }
        let is_hopeless = relay.failures >= MAX_FAILURES;
        self.by_stream.retain(|_, of| *of != key);
        for peer in peers {
            self.set_standing(peer, key, Standing::Unknown);
            if is_hopeless {
                self.part(cx, peer, key);
            }
        }
    }

    /// Begins and ends connections as they are needed now, and notes when to look again.
    pub(super) fn settle(&mut self, cx: &mut Context<'_>) {
        self.choose_base(cx.now);
        self.release(cx);
        let keys: Vec<PublicKey> = self.relays.keys().copied().collect();
        for key in keys {
            let Some(relay) = self.relays.get(&key) else { continue };
            let is_wanted = self.is_wanted(relay);
            if relay.client.is_none() {
                if is_wanted && relay.retry_at <= cx.now {
                    self.connect(cx, key);
                } else if !is_wanted && !relay.is_own && relay.peers.is_empty() {
                    self.relays.remove(&key);
                }
            } else if !is_wanted && relay.busy_until() <= cx.now {
                self.sleep(cx, key);
            }
        }
        self.deadline = self.next_deadline(cx.now);
    }

    /// Some peer that needs relays may be reached through it, or it is needed in any case.
    fn is_wanted(&self, relay: &Relay) -> bool {
        relay.is_chosen || relay.peers.iter().any(|peer| self.is_awake(peer))
    }

    fn is_awake(&self, peer: &PublicKey) -> bool {
        self.peers.get(peer).is_some_and(|peer| peer.is_awake)
    }

    /// True if an awake peer is online at this relay.
    fn is_used(&self, key: &PublicKey, relay: &Relay) -> bool {
        let is_online = |peer: &Peer| peer.is_awake && peer.standing(key) == Some(Standing::Online);
        relay.peers.iter().any(|peer| self.peers.get(peer).is_some_and(is_online))
    }

    /// Relays beyond the recommended ones that have brought nobody in their time are no way to their
    /// peers.
    fn release(&mut self, cx: &mut Context<'_>) {
        let mut surplus = self.up_count().saturating_sub(RECOMMENDED_RELAYS);
        let keys: Vec<PublicKey> = self.relays.keys().copied().collect();
        for key in keys {
            let Some(relay) = self.relays.get(&key) else { continue };
            let has_time = !relay.is_up() || relay.is_chosen || relay.busy_until() > cx.now;
            if surplus == 0 || has_time || self.is_used(&key, relay) {
                continue;
            }
            surplus -= 1;
            let absent: Vec<PublicKey> =
                relay.peers.iter().filter(|peer| self.is_awake(peer)).copied().collect();
            for peer in absent {
                self.part(cx, peer, key);
            }
        }
    }

    fn up_count(&self) -> usize {
        self.relays.values().filter(|relay| relay.is_up()).count()
    }

    /// Keeps the number of relays that are connected in any case: those first that are connected.
    fn choose_base(&mut self, now: Time) {
        if !self.keeps_base {
            for relay in self.relays.values_mut() {
                relay.is_chosen = false;
            }
            return;
        }
        let chosen = self.relays.values().filter(|relay| relay.is_chosen).count();
        for _ in chosen..RECOMMENDED_RELAYS {
            let free = |relay: &Relay| !relay.is_chosen;
            let up = pick(&mut self.rng, &self.relays, |relay| free(relay) && relay.is_up());
            let ready = |relay: &Relay| free(relay) && relay.retry_at <= now;
            let Some(key) = up.or_else(|| pick(&mut self.rng, &self.relays, ready)) else { return };
            if let Some(relay) = self.relays.get_mut(&key) {
                relay.is_chosen = true;
            }
        }
    }

    fn connect(&mut self, cx: &mut Context<'_>, key: PublicKey) {
        let Some(relay) = self.relays.get_mut(&key) else { return };
        let number = self.next_stream;
        self.next_stream += 1;
        let rng = Rng::from_seed(self.rng.bytes());
        self.by_stream.insert(number, key);
        relay.client = Some(Client::connect(cx, number, key, relay.address, self.proxy, rng));
    }

    /// Ends a connection that nobody needs. Its peers may wake it.
    fn sleep(&mut self, cx: &mut Context<'_>, key: PublicKey) {
        let Some(relay) = self.relays.get_mut(&key) else { return };
        let Some(client) = relay.client.take() else { return };
        client.close(cx);
        self.by_stream.retain(|_, of| *of != key);
        let peers = relay.peers.clone();
        if client.is_up() {
            relay.failures = 0;
            self.events.push_back(PoolEvent::RelayDown { relay: key });
        }
        for peer in peers {
            self.set_standing(peer, key, Standing::Unknown);
        }
        if let Some(relay) = self.relays.get(&key)
            && !relay.is_own
            && relay.peers.is_empty()
        {
            self.relays.remove(&key);
        }
    }

    fn next_deadline(&self, now: Time) -> Option<Time> {
        let chosen = self.relays.values().filter(|relay| relay.is_chosen).count();
        let lacks_base = self.keeps_base && chosen < RECOMMENDED_RELAYS;
        let surplus = self.up_count() > RECOMMENDED_RELAYS;
        let of_relay = |relay: &Relay| {
            let is_wanted = self.is_wanted(relay);
            let Some(client) = &relay.client else {
                return (is_wanted || lacks_base).then_some(relay.retry_at);
            };
            let ends = !is_wanted || surplus && !relay.is_chosen;
            let end = (ends && relay.busy_until() > now).then_some(relay.busy_until());
            end.into_iter().chain([client.deadline()]).min()
        };
        self.relays.values().filter_map(of_relay).min()
    }
}

/// One of the relays that are so, at random.
fn pick(
    rng: &mut Rng,
    relays: &std::collections::BTreeMap<PublicKey, Relay>,
    is_so: impl Fn(&Relay) -> bool,
) -> Option<PublicKey> {
    let so: Vec<PublicKey> =
        relays.iter().filter(|(_, relay)| is_so(relay)).map(|(key, _)| *key).collect();
    rng.choose(&so).copied()
}
