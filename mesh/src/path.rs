//! The ways that a session's packets can go.

use crate::wire::{Address, PublicKey};

/// Where a session's packet came from, or goes to.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Path {
    /// To the peer itself.
    Direct(Address),
    /// Through a relay, which knows the peer by this DHT key; the relay pool chooses which relay.
    Relayed(PublicKey),
}

impl Path {
    /// The peer's own address, if it is reached there.
    pub(crate) const fn address(&self) -> Option<Address> {
        match self {
            Self::Direct(address) => Some(*address),
            Self::Relayed(_) => None,
        }
    }
}
