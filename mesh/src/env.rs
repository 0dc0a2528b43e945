//! What the machines of a stack are lent for the length of one call.

use std::collections::{BTreeSet, VecDeque};

use crate::channel::Directory;
use crate::config::Config;
use crate::crypto::Keys;
use crate::drops::{DropReason, Drops};
use crate::event::Event;
use crate::outbox::{Context, Outbox};
use crate::path::Path;
use crate::session::CookieJar;
use crate::wire::{PublicKey, Rng, Time};

/// Most packets for relays that wait at once: one call's worth, as in the [`Outbox`].
const MAX_RELAYED: usize = 1024;

/// What belongs to a stack as a whole.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) config: Config,
    /// The long-term keys, if they are others than the DHT's.
    identity: Option<Keys>,
    pub(crate) jar: CookieJar,
    pub(crate) rng: Rng,
    pub(crate) listening: BTreeSet<String>,
    pub(crate) directory: Directory,
    pub(crate) outbox: Outbox,
    /// Packets of sessions that go through a relay, by the receiver's DHT key.
    pub(crate) relayed: VecDeque<(PublicKey, Vec<u8>)>,
    pub(crate) drops: Drops,
    pub(crate) events: VecDeque<Event>,
}

impl Base {
    /// The beginning of a stack; `identity` if it is another key than the DHT's.
    pub(crate) fn new(config: Config, identity: Option<Keys>, mut rng: Rng) -> Self {
        Self {
            config,
            identity,
            jar: CookieJar::new(&mut rng),
            rng,
            listening: BTreeSet::new(),
            directory: Directory::default(),
            outbox: Outbox::default(),
            relayed: VecDeque::new(),
            drops: Drops::default(),
            events: VecDeque::new(),
        }
    }

    /// What the DHT is lent.
    pub(crate) fn context(&mut self, now: Time) -> Context<'_> {
        Context { now, outbox: &mut self.outbox, drops: &mut self.drops }
    }

    /// What sessions and channels are lent.
    pub(crate) fn env<'a>(&'a mut self, now: Time, keys: &'a mut Keys) -> Env<'a> {
        Env {
            now,
            keys,
            identity: self.identity.as_mut(),
            config: &self.config,
            jar: &self.jar,
            rng: &mut self.rng,
            listening: &self.listening,
            directory: &mut self.directory,
            outbox: &mut self.outbox,
            relayed: &mut self.relayed,
            drops: &mut self.drops,
            events: &mut self.events,
        }
    }
}

/// What sessions and channels are lent for the length of one call.
pub(crate) struct Env<'a> {
    /// Now.
    pub(crate) now: Time,
    /// This node's DHT key pair, and the secrets that it shares with others: boxes of the DHT, cookies.
    pub(crate) keys: &'a mut Keys,
    /// This node's long-term keys, if they are others.
    identity: Option<&'a mut Keys>,
    /// The stack's settings.
    pub(crate) config: &'a Config,
    /// This node's cookies.
    pub(crate) jar: &'a CookieJar,
    /// Randomness of all sessions.
    pub(crate) rng: &'a mut Rng,
    /// Protocols whose channels are accepted.
    pub(crate) listening: &'a BTreeSet<String>,
    /// All channels by their id.
    pub(crate) directory: &'a mut Directory,
    /// Where datagrams go that do not wait for a window.
    pub(crate) outbox: &'a mut Outbox,
    /// The same for those that a relay passes on.
    relayed: &'a mut VecDeque<(PublicKey, Vec<u8>)>,
    /// Where bad input is counted.
    pub(crate) drops: &'a mut Drops,
    /// What the user shall know.
    pub(crate) events: &'a mut VecDeque<Event>,
}

impl Env<'_> {
    /// This node's long-term key pair, and the secrets that it shares with others: handshakes.
    pub(crate) fn identity(&mut self) -> &mut Keys {
        match &mut self.identity {
            Some(identity) => identity,
            None => self.keys,
        }
    }

    /// The key by which peers know this node.
    pub(crate) fn own_key(&self) -> PublicKey {
        self.identity.as_ref().map_or(self.keys.public(), |identity| identity.public())
    }

    /// Queues a datagram.
    pub(crate) fn transmit(&mut self, to: Path, payload: Vec<u8>) {
        let fits = match to {
            Path::Direct(address) => self.outbox.push(address, payload),
            Path::Relayed(peer) => {
                let fits = self.relayed.len() < MAX_RELAYED;
                if fits {
                    self.relayed.push_back((peer, payload));
                }
                fits
            }
        };
        if !fits {
            self.drops.count(DropReason::LimitReached);
        }
    }
}
