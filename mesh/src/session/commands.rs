//! What the stack asks of its sessions.

use bytes::Bytes;

use super::handshake::{HalfOpen, Search};
use super::peer::{Established, Peer};
use super::{Body, Sessions};
use crate::channel::ChannelId;
use crate::env::Env;
use crate::error::{CloseReason, ConnectError, OpenError, PacketError, SendError};
use crate::event::{Event, PacketNumber};
use crate::wire::session::{MAX_CRYPTO_DATA, data_id};
use crate::wire::{Address, PublicKey, Time};

impl Sessions {
    /// Makes a session with the owner of `key`, whose DHT key is `dht_key` (a Tox client's is another
    /// one) and who may be at these addresses. With [`Search::Owner`] the caller adds further ones
    /// ([`Self::add_address`]) as they are found.
    pub(crate) fn connect(
        &mut self,
        key: PublicKey,
        dht_key: PublicKey,
        addresses: impl Iterator<Item = Address>,
        search: Search,
        env: &mut Env<'_>,
    ) {
        if self.is_connected(&key) {
            return;
        }
        let full = self.peers.len() >= env.config.max_sessions && !self.peers.contains_key(&key);
        if full || key == env.own_key() {
            let reason = if full { ConnectError::TooManySessions } else { ConnectError::OwnKey };
            env.events.push_back(Event::ConnectFailed { peer: key, reason });
            return;
        }
        let peer = self.peers.entry(key).or_insert_with(|| Box::new(Peer::new(key)));
        peer.wanted = true;
        if peer.half.is_none() {
            peer.set_dht_key(dht_key);
        }
        let half =
            peer.half.get_or_insert_with(|| Box::new(HalfOpen::new(env.now, key, true, env.rng)));
        half.begin(dht_key, search);
        for address in addresses {
            half.add_candidate(address, env);
        }
        half.set_relayed(self.relayed.contains(&key), env);
        self.search_or_tidy(key);
        self.wake(key);
    }

    /// The peer's DHT key is this one now, by what the owner learned elsewhere. If it is news, the peer
    /// restarted: the session is made anew, and one that stands is replaced when the new one does.
    pub(crate) fn set_dht_key(&mut self, key: PublicKey, dht_key: PublicKey, env: &mut Env<'_>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if !peer.set_dht_key(dht_key) {
            return;
        }
        let half =
            peer.half.get_or_insert_with(|| Box::new(HalfOpen::new(env.now, key, true, env.rng)));
        half.begin_anew(dht_key, env);
        self.wake(key);
    }

    /// The peer may be at this address too.
    pub(crate) fn add_address(&mut self, key: PublicKey, address: Address, env: &mut Env<'_>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if let Some(half) = &mut peer.half {
            half.add_candidate(address, env);
        }
        if let Some(established) = &mut peer.established {
            established.paths.add(address);
        }
        self.wake(key);
    }

    /// A relay leads to the peer now, or none does any more. Kept also for sessions to come.
    pub(crate) fn set_relayed(&mut self, key: PublicKey, relayed: bool, env: &mut Env<'_>) {
        if relayed {
            self.relayed.insert(key);
        } else {
            self.relayed.remove(&key);
        }
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if let Some(half) = &mut peer.half {
            half.set_relayed(relayed, env);
        }
        if let Some(established) = &mut peer.established {
            established.paths.set_relayed(relayed);
        }
        self.wake(key);
    }

    /// Ends the session with a peer, and one in the making.
    pub(crate) fn disconnect(&mut self, key: PublicKey, env: &mut Env<'_>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.fail(ConnectError::Cancelled, env);
        if let Some(established) = &mut peer.established {
            let packet = established.link.send_kill();
            established.paths.all().for_each(|way| env.transmit(way, packet.clone()));
        }
        self.end(key, CloseReason::Local, env);
        self.tidy(key);
    }

    /// True while a session stands.
    pub(crate) fn is_connected(&self, key: &PublicKey) -> bool {
        self.established_with(key).is_some()
    }

    /// The newest DHT key that is known of a peer with a session, or one in the making.
    pub(crate) fn dht_key(&self, key: &PublicKey) -> Option<PublicKey> {
        self.peers.get(key).map(|peer| peer.dht_key())
    }

    /// True while packets to a peer go directly, and it was heard so.
    pub(crate) fn is_direct(&self, key: &PublicKey, now: Time) -> bool {
        let paths = self.established_with(key).map(|established| &established.paths);
        paths.is_some_and(|paths| paths.direct().is_some() && paths.is_direct(now))
    }

    /// Sessions that stand.
    pub(crate) fn count(&self) -> usize {
        self.established
    }

    /// Where a peer is, if it was heard directly.
    pub(crate) fn address(&self, key: &PublicKey) -> Option<Address> {
        self.established_with(key)?.paths.direct()
    }

    pub(super) fn established_with(&self, key: &PublicKey) -> Option<&Established> {
        self.peers.get(key)?.established.as_ref()
    }

    fn established_mut(&mut self, key: &PublicKey) -> Option<&mut Established> {
        self.peers.get_mut(key)?.established.as_mut()
    }

    /// Opens a channel.
    pub(crate) fn open(
        &mut self,
        key: PublicKey,
        protocol: &str,
        env: &mut Env<'_>,
    ) -> Result<ChannelId, OpenError> {
        let established = self.established_mut(&key).ok_or(OpenError::NotConnected)?;
        let channel = established.channels.open(protocol, env)?;
        self.wake(key);
        Ok(channel)
    }

    /// Closes a channel.
    pub(crate) fn close(&mut self, channel: ChannelId, env: &mut Env<'_>) {
        let Some((key, number)) = env.directory.find(channel) else { return };
        if let Some(established) = self.established_mut(&key) {
            established.channels.close(number, env);
            self.wake(key);
        }
    }

    /// Queues a message.
    pub(crate) fn send(
        &mut self,
        channel: ChannelId,
        message: Bytes,
        env: &mut Env<'_>,
    ) -> Result<(), SendError> {
        let (key, number) = env.directory.find(channel).ok_or(SendError::Unknown)?;
        let established = self.established_mut(&key).ok_or(SendError::Unknown)?;
        established.channels.send(number, message)?;
        self.wake(key);
        Ok(())
    }

    /// Bytes that may be queued on a channel of a peer now.
    pub(crate) fn send_space(&self, (key, number): (PublicKey, u32)) -> usize {
        self.established_with(&key).map_or(0, |it| it.channels.send_space(number))
    }

    /// Packets that [`Self::send_packet`] would take now.
    pub(crate) fn packet_space(&self, key: &PublicKey) -> usize {
        self.established_with(key).map_or(0, |it| it.packets.space())
    }

    /// Packets of [`Self::send_packet`] that wait for their first transmission.
    pub(crate) fn packets_waiting(&self, key: &PublicKey) -> usize {
        self.established_with(key).map_or(0, |it| it.packets.waiting())
    }

    /// Sends a Tox packet that is no channel's.
    pub(crate) fn send_packet(
        &mut self,
        key: PublicKey,
        id: u8,
        data: Bytes,
        env: &mut Env<'_>,
    ) -> Result<PacketNumber, PacketError> {
        let established = self.established_mut(&key).ok_or(PacketError::NotConnected)?;
        if data.len() >= MAX_CRYPTO_DATA {
            return Err(PacketError::TooLarge);
        }
        let number = match id {
            data_id::HELLO | data_id::CHANNEL => return Err(PacketError::Reserved),
            id if data_id::LOSSY.contains(&id) => {
                let packet = established.link.send_lossy(env.now, id, &data);
                if let Some(way) = established.paths.current(env.now) {
                    env.transmit(way, packet);
                }
                established.packets.next()
            }
            id if data_id::LOSSLESS.contains(&id) => {
                established.packets.push(Body::new(id, data)).ok_or(PacketError::Full)?
            }
            _ => return Err(PacketError::Reserved),
        };
        self.wake(key);
        Ok(number)
    }
}
