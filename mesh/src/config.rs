//! Every number of the mesh that may be tuned, with its unit and its reason.

use core::time::Duration;
use std::collections::BTreeSet;

pub use crate::dht::DhtConfig;
use crate::relay::Proxy;
use crate::wire::PublicKey;

/// A session that hears nothing valid for so long is over (c-toxcore's friend connections: 32 s).
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(32);

/// Who may open a session with this node.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Accept {
    /// Anyone who proves to own a key: open nodes.
    #[default]
    Anyone,
    /// These keys, and those that this node itself connects to.
    Listed(BTreeSet<PublicKey>),
}

impl Accept {
    /// True if `peer` may open a session.
    pub fn allows(&self, peer: &PublicKey) -> bool {
        match self {
            Self::Anyone => true,
            Self::Listed(keys) => keys.contains(peer),
        }
    }
}

/// How a [`Stack`](crate::Stack) behaves. `Config::default()` suits a provider node.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The DHT.
    pub dht: DhtConfig,
    /// Who may open a session.
    pub accept: Accept,
    /// Most sessions at once, half-open ones included: memory, and timers that stay cheap.
    pub max_sessions: usize,
    /// Bytes of messages that may wait in one channel's send queue before
    /// [`SendError::Full`](crate::SendError::Full); one message always fits into an empty queue.
    pub channel_queue: usize,
    /// Most channels of one session, both sides' together.
    pub max_channels: usize,
    /// Hand up packets of sessions that are no channel's as [`Event::Packet`](crate::Event::Packet):
    /// for those who speak to Tox clients.
    pub custom_packets: bool,
    /// Be a TCP relay for whoever connects to the driver's listeners. Its clients know it by the DHT
    /// key.
    pub relay_server: bool,
    /// Let a person's onion paths have fewer than three distinct nodes where no more are known that work:
    /// for networks of two or three nodes, which hide nobody. Paths have three as soon as eight are known.
    pub allow_short_paths: bool,
    /// The proxy through which a person reaches TCP relays. Whoever sets one gives the node no UDP.
    pub proxy: Option<Proxy>,
    /// Time since 1970 at the driver's [`Time::ZERO`](crate::Time): what a person tells friends is
    /// numbered by it, and the numbers must grow from one run to the next.
    pub epoch: Duration,
}

impl Config {
    /// For a person's stack: sessions with friends only, and their packets handed up. As a Tox client it
    /// tells no bootstrap info.
    #[must_use]
    pub fn person() -> Self {
        let accept = Accept::Listed(BTreeSet::new());
        let dht = DhtConfig { answers_info: false, ..DhtConfig::default() };
        Self { dht, accept, custom_packets: true, ..Self::default() }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            dht: DhtConfig::default(),
            accept: Accept::Anyone,
            max_sessions: 256,
            channel_queue: 4 << 20,
            max_channels: 32,
            custom_packets: false,
            relay_server: false,
            allow_short_paths: false,
            proxy: None,
            epoch: Duration::ZERO,
        }
    }
}
