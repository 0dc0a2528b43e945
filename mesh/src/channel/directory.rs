//! All channels of a stack by their id.

use std::collections::BTreeMap;

use super::ChannelId;
use crate::wire::PublicKey;

/// Where each channel is: the peer, and its number on the session with it.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    next: u64,
    places: BTreeMap<ChannelId, (PublicKey, u32)>,
}

impl Directory {
    /// A fresh id for the channel `number` on the session with `peer`.
    pub(crate) fn assign(&mut self, peer: PublicKey, number: u32) -> ChannelId {
        let id = ChannelId(self.next);
        self.next += 1;
        self.places.insert(id, (peer, number));
        id
    }

    /// Where a channel is.
    pub(crate) fn find(&self, id: ChannelId) -> Option<(PublicKey, u32)> {
        self.places.get(&id).copied()
    }

    /// Forgets a channel.
    pub(crate) fn remove(&mut self, id: ChannelId) {
        self.places.remove(&id);
    }

    /// True if there are no channels.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}
