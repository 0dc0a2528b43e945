//! The mesh as one value: DHT, sessions and channels behind one [`Machine`].

use core::convert::Infallible;
use std::collections::VecDeque;

use bytes::Bytes;

use crate::channel::ChannelId;
use crate::config::Config;
use crate::drops::{DropReason, Drops};
use crate::error::{OpenError, SendError};
use crate::event::{Event, LookupId, NetworkGroup};
use crate::machine::{IoToken, Machine, Output};
use crate::wire::{Address, KeyPair, PublicKey, Rng, Time};

/// A node of the mesh, sans-IO: one key that is both its DHT key and its long-term key.
#[derive(Debug)]
pub struct Stack {
    config: Config,
    keys: KeyPair,
    rng: Rng,
    drops: Drops,
    events: VecDeque<Event>,
    next_lookup: u64,
}

impl Stack {
    /// A node that knows nobody yet.
    pub fn new(config: Config, keys: KeyPair, rng: Rng, now: Time) -> Self {
        let _ = now;
        Self { config, keys, rng, drops: Drops::default(), events: VecDeque::new(), next_lookup: 0 }
    }

    /// This node's key.
    pub fn public_key(&self) -> PublicKey {
        self.keys.public
    }

    /// How many packets were dropped, by reason.
    pub fn drops(&self) -> &Drops {
        &self.drops
    }

    /// Gets to know the network through a node of which key and address are known.
    pub fn bootstrap(&mut self, now: Time, address: Address, key: PublicKey) {
        let _ = (now, address, key);
    }

    /// Finds a node's address by its key; [`Event::LookupDone`] tells.
    pub fn lookup(&mut self, now: Time, key: PublicKey) -> LookupId {
        let _ = (now, key);
        self.next_lookup += 1;
        LookupId(self.next_lookup)
    }

    /// What this node's bootstrap info offers, such as `toktok/tdfs/1`.
    pub fn set_services(&mut self, services: &[&str]) {
        let _ = services;
    }

    /// Makes a session with `peer`, which [`Event::SessionUp`] or [`Event::ConnectFailed`] ends. Does
    /// nothing if there is one or one is being made, except that the hint is tried too.
    pub fn connect(&mut self, now: Time, peer: PublicKey, hint: Option<Address>) {
        let _ = (now, peer, hint);
    }

    /// Ends the session with `peer`, if there is one, and gives up making one.
    pub fn disconnect(&mut self, now: Time, peer: PublicKey) {
        let _ = (now, peer);
    }

    /// True while a session with `peer` stands.
    pub fn is_connected(&self, peer: PublicKey) -> bool {
        let _ = peer;
        false
    }

    /// How many sessions stand.
    pub fn session_count(&self) -> usize {
        0
    }

    /// Accepts channels of this protocol from now on; others are refused.
    pub fn listen(&mut self, protocol: &str) {
        let _ = protocol;
    }

    /// Opens a channel: [`Event::ChannelOpened`] or [`Event::ChannelClosed`] (refused) follows. Messages
    /// may be sent at once; they are lost if the channel is refused.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(
        &mut self,
        now: Time,
        peer: PublicKey,
        protocol: &str,
    ) -> Result<ChannelId, OpenError> {
        let _ = (now, peer, protocol);
        Err(OpenError::NotConnected)
    }

    /// Closes a channel after what is queued has gone. No event follows; unknown channels are ignored.
    pub fn close(&mut self, now: Time, channel: ChannelId) {
        let _ = (now, channel);
    }

    /// Queues a message: reliable, in order, at most [`MAX_MESSAGE`](crate::MAX_MESSAGE) bytes.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send(&mut self, now: Time, channel: ChannelId, message: Bytes) -> Result<(), SendError> {
        let _ = (now, channel, message);
        Err(SendError::Unknown)
    }

    /// Bytes that may be queued on `channel` now. A message fits if it is not longer, and always if
    /// the queue is empty.
    pub fn send_space(&self, channel: ChannelId) -> usize {
        let _ = channel;
        0
    }

    /// In which network `peer` is, if there is a session with it.
    pub fn network_group(&self, peer: PublicKey) -> Option<NetworkGroup> {
        let _ = peer;
        None
    }
}

impl Machine for Stack {
    type Event = Event;
    type IoRequest = Infallible;
    type IoResult = Infallible;

    fn handle_datagram(&mut self, now: Time, from: Address, datagram: &mut [u8]) {
        let _ = (now, from, datagram);
        self.drops.count(DropReason::UnknownKind);
    }

    fn handle_io(&mut self, _now: Time, _token: IoToken, result: Infallible) {
        match result {}
    }

    fn poll(&mut self, _now: Time) -> Output<Event, Infallible> {
        match self.events.pop_front() {
            Some(event) => Output::Event(event),
            None => Output::Idle(None),
        }
    }
}
