//! One peer: the session that stands with it, and one in the making. Both at once when the peer
//! restarted: the old session goes only when the new one has proved itself.

use super::handshake::HalfOpen;
use super::link::{Arrived, Link, Received};
use super::packets::Packets;
use super::paths::Paths;
use super::send::Body;
use crate::channel::{Channels, Violation};
use crate::drops::DropReason;
use crate::env::Env;
use crate::error::{CloseReason, ConnectError};
use crate::event::Event;
use crate::path::Path;
use crate::wire::channel::{CHANNEL_VERSION, Hello};
use crate::wire::session::data_id;
use crate::wire::{Decode, PublicKey, Time};

/// A session that stands.
#[derive(Debug)]
pub(super) struct Established {
    pub(super) paths: Paths,
    pub(super) link: Link,
    pub(super) channels: Channels,
    pub(super) packets: Packets,
    /// The next packet is the user's, if one waits, not a channel's.
    packets_turn: bool,
    /// Packets went directly when the last one went.
    was_direct: bool,
}

/// What a packet did to a peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// Nothing that the table of peers must know.
    Stays,
    /// The session in the making stands now.
    Proved,
    /// The session is over.
    Ended(CloseReason),
}

/// A peer with which there is a session, or shall be.
#[derive(Debug)]
pub(super) struct Peer {
    key: PublicKey,
    /// The newest DHT key that is known of it; of nodes of ours the same.
    dht_key: PublicKey,
    pub(super) established: Option<Established>,
    pub(super) half: Option<Box<HalfOpen>>,
    /// The user waits for the session.
    pub(super) wanted: bool,
    /// Stands in the line of those that may have something to send.
    pub(super) queued: bool,
    /// The timer that is set for it.
    pub(super) scheduled: Option<Time>,
}

impl Peer {
    /// A peer with nothing yet.
    pub(super) fn new(key: PublicKey) -> Self {
        let (established, half) = (None, None);
        let (wanted, queued, scheduled) = (false, false, None);
        Self { key, dht_key: key, established, half, wanted, queued, scheduled }
    }

    /// The newest DHT key that is known of it.
    pub(super) const fn dht_key(&self) -> PublicKey {
        self.dht_key
    }

    /// The owner knows the peer's DHT key; true if it is news.
    pub(super) fn set_dht_key(&mut self, dht_key: PublicKey) -> bool {
        core::mem::replace(&mut self.dht_key, dht_key) != dht_key
    }

    /// The peer proved that it has this DHT key.
    pub(super) fn learn_dht_key(&mut self, dht_key: PublicKey, env: &mut Env<'_>) {
        if self.set_dht_key(dht_key) {
            env.events.push_back(Event::PeerDhtKey { peer: self.key, dht_key });
        }
    }

    /// True if there is no reason to keep it.
    pub(super) fn is_over(&self) -> bool {
        self.established.is_none() && self.half.is_none()
    }

    /// Takes a crypto data packet that may be of this peer.
    ///
    /// # Errors
    /// [`DropReason::Forged`] if it opens with no key of this peer; the packet is then as it was.
    pub(super) fn handle_data(
        &mut self,
        from: Path,
        packet: &mut [u8],
        env: &mut Env<'_>,
    ) -> Result<Verdict, DropReason> {
        if let Some(established) = &mut self.established {
            match established.link.handle_packet(env.now, packet) {
                Err(DropReason::Forged) => {}
                result => {
                    established.tell_delivered(self.key, env);
                    return established.take(self.key, from, result?, env);
                }
            }
        }
        self.prove(from, packet, env)
    }

    /// A packet that opens with the keys of the session in the making proves it.
    fn prove(
        &mut self,
        from: Path,
        packet: &mut [u8],
        env: &mut Env<'_>,
    ) -> Result<Verdict, DropReason> {
        let half = self.half.as_mut().ok_or(DropReason::Forged)?;
        let link = half.link_mut().ok_or(DropReason::Forged)?;
        let arrived = link.handle_packet(env.now, packet)?;
        let own = env.own_key();
        self.end(CloseReason::Replaced, env);
        let Some((link, paths)) = self.half.take().and_then(|half| half.into_link()) else {
            return Err(DropReason::Forged);
        };
        let (channels, packets) = (Channels::new(own, self.key), Packets::default());
        let (packets_turn, was_direct) = (true, from.address().is_some());
        let established = Established { paths, link, channels, packets, packets_turn, was_direct };
        let established = self.established.insert(established);
        self.wanted = false;
        env.events.push_back(Event::SessionUp { peer: self.key });
        match established.take(self.key, from, arrived, env) {
            Ok(Verdict::Ended(reason)) => Ok(Verdict::Ended(reason)),
            // Even a packet that is of no use has proved the session.
            Ok(Verdict::Stays | Verdict::Proved) | Err(_) => Ok(Verdict::Proved),
        }
    }

    /// Ends the session that stands, if one does, which it returns.
    pub(super) fn end(&mut self, reason: CloseReason, env: &mut Env<'_>) -> Option<Established> {
        let mut established = self.established.take()?;
        established.channels.end(env);
        env.events.push_back(Event::SessionDown { peer: self.key, reason });
        Some(established)
    }

    /// The session in the making came to nothing.
    pub(super) fn fail(&mut self, reason: ConnectError, env: &mut Env<'_>) {
        self.half = None;
        if core::mem::take(&mut self.wanted) {
            env.events.push_back(Event::ConnectFailed { peer: self.key, reason });
        }
    }

    /// The next packet of the session that stands.
    pub(super) fn poll_transmit(&mut self, env: &mut Env<'_>) -> Option<(Path, Vec<u8>)> {
        let established = self.established.as_mut()?;
        established.begin_turn(env);
        let way = established.paths.current(env.now);
        let silent = established.link.is_silent(env.now);
        // Without any way, what goes is lost; the timers see to the rest.
        let packet = established.poll_transmit(self.key, env)?;
        if let Some(other) = established.paths.spare(env.now).filter(|_| silent) {
            env.transmit(other, packet.clone());
            // If the copy comes first, the peer shall hear nevertheless that this way is in use.
            let newer = established.link.send_attempt();
            way.into_iter().for_each(|way| env.transmit(way, newer.clone()));
        }
        way.map(|way| (way, packet))
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(super) fn deadline(&self) -> Time {
        let established = self.established.as_ref().map(Established::deadline);
        let half = self.half.as_ref().map(|half| half.deadline());
        established.into_iter().chain(half).min().unwrap_or(Time::MAX)
    }

    /// Runs the timers.
    pub(super) fn handle_timeout(&mut self, env: &mut Env<'_>) -> Verdict {
        if let Some(half) = &mut self.half
            && let Err(reason) = half.handle_timeout(env)
        {
            self.fail(reason, env);
        }
        let alive = self.established.as_mut().is_none_or(|it| it.handle_timeout(env));
        if alive { Verdict::Stays } else { Verdict::Ended(CloseReason::Timeout) }
    }
}

impl Established {
    /// Takes what a packet contained, and what waited for it.
    fn take(
        &mut self,
        peer: PublicKey,
        from: Path,
        arrived: Arrived<'_>,
        env: &mut Env<'_>,
    ) -> Result<Verdict, DropReason> {
        self.paths.hear(env.now, from, arrived.newest);
        let taken = match arrived.received? {
            Received::Lossless(id, data) => self.take_lossless(peer, id, data, env),
            Received::Lossy(id, data) => {
                custom_packet(peer, id, data, env);
                Ok(())
            }
            Received::Kill => return Ok(Verdict::Ended(CloseReason::Peer)),
            Received::Nothing => Ok(()),
        };
        Ok(match taken {
            Err(Violation) => Verdict::Ended(CloseReason::Protocol),
            Ok(()) => Verdict::Stays,
        })
    }

    fn take_lossless(
        &mut self,
        peer: PublicKey,
        id: u8,
        data: &[u8],
        env: &mut Env<'_>,
    ) -> Result<(), Violation> {
        self.dispatch(peer, id, data, env)?;
        while let Some((id, data)) = self.link.next_waiting() {
            self.dispatch(peer, id, &data, env)?;
        }
        Ok(())
    }

    fn dispatch(
        &mut self,
        peer: PublicKey,
        id: u8,
        data: &[u8],
        env: &mut Env<'_>,
    ) -> Result<(), Violation> {
        match id {
            data_id::ALIVE => {}
            data_id::HELLO => match Hello::from_bytes(data) {
                Ok(hello) if hello.versions().contains(&CHANNEL_VERSION) => self.link.relax(),
                Ok(_) => env.drops.count(DropReason::Refused),
                Err(error) => env.drops.count(error.into()),
            },
            data_id::CHANNEL => self.channels.handle_frame(data, env)?,
            id => custom_packet(peer, id, data, env),
        }
        Ok(())
    }

    /// Tells the user which of his packets the peer has, if there are new ones.
    fn tell_delivered(&mut self, peer: PublicKey, env: &mut Env<'_>) {
        if let Some(before) = self.packets.acknowledge(self.link.acknowledged()) {
            env.events.push_back(Event::Delivered { peer, before });
        }
    }

    /// Finds out whether another way carries the packets than the last time, and whether a way is to
    /// be tried.
    fn begin_turn(&mut self, env: &mut Env<'_>) {
        let direct = self.paths.is_direct(env.now);
        if core::mem::replace(&mut self.was_direct, direct) != direct {
            self.link.change_path();
        }
        if self.paths.attempt_at().is_some_and(|at| at <= env.now) {
            let packet = self.link.send_attempt();
            let ways = self.paths.attempt(env.now);
            ways.iter().for_each(|way| env.transmit(*way, packet.clone()));
        }
    }

    fn poll_transmit(&mut self, peer: PublicKey, env: &mut Env<'_>) -> Option<Vec<u8>> {
        if let Some(packet) = self.link.poll_transmit(env.now) {
            return Some(packet);
        }
        if self.link.owes_alive(env.now) {
            return Some(self.link.send(env.now, Body::new(data_id::ALIVE, Default::default())));
        }
        let waits = self.channels.has_packet() || !self.packets.is_empty();
        if !waits || !self.link.can_send() {
            return None;
        }
        let body = self.next_packet(peer, env)?;
        Some(self.link.send(env.now, body))
    }

    /// The next lossless packet: frames and the user's packets take turns.
    fn next_packet(&mut self, peer: PublicKey, env: &mut Env<'_>) -> Option<Body> {
        let turn = self.packets_turn || !self.channels.has_packet();
        self.packets_turn = !turn;
        if let Some(packet) =
            turn.then(|| self.packets.next_packet(self.link.next_number())).flatten()
        {
            if self.packets.take_writable() {
                env.events.push_back(Event::PacketWritable { peer });
            }
            return Some(packet);
        }
        self.channels.next_packet(env.events)
    }

    fn deadline(&self) -> Time {
        let others = [self.channels.deadline(), self.paths.attempt_at()];
        others.into_iter().flatten().fold(self.link.deadline(), Time::min)
    }

    fn handle_timeout(&mut self, env: &mut Env<'_>) -> bool {
        if self.channels.deadline().is_some_and(|at| at <= env.now) {
            self.channels.handle_timeout(env);
        }
        let alive = self.link.handle_timeout(env.now);
        if self.link.is_stalled() {
            self.paths.doubt(env.now);
        }
        alive
    }
}

/// A packet that is neither the session's own nor a channel's: for the user, if he asked for such.
fn custom_packet(peer: PublicKey, id: u8, data: &[u8], env: &mut Env<'_>) {
    if env.config.custom_packets {
        let data = bytes::Bytes::copy_from_slice(data);
        env.events.push_back(Event::Packet { peer, id, data });
    }
}
