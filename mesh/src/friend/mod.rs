//! Friend connections: who is to be connected all the time, by identity (Tox Reference, "Friend
//! connection"; research note `tox.md` 1.8).
//!
//! A friend's identity says nothing of where it is. The onion finds its DHT key of this run and the
//! relays it uses; the DHT finds its address; then a session is made on every path that there is, and
//! made again when it ends. [`Friends`] only decides: facts come in by its verbs, and what shall be
//! done comes out of [`Friends::poll`] as [`Action`]s, which the stack carries out with the parts that
//! know how.
//!
//! Acquaintances are contacts that some part of this node needs connections with, though the user has
//! not made friends with them: members of conferences. They are kept connected the same way.

mod contact;
#[cfg(test)]
mod tests;

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use self::contact::Contact;
pub(crate) use self::contact::Tie;
use crate::wire::address::Protocol;
use crate::wire::{Address, PackedNode, PublicKey, Time};

/// Most friends. Each costs a few hundred bytes, a search in the onion, and one in the DHT while its
/// DHT key is known.
pub(crate) const MAX_FRIENDS: usize = 1024;
/// Most acquaintances, who cost as much: sixteen conferences that need all their connections.
pub(crate) const MAX_ACQUAINTANCES: usize = 256;
/// A DHT key that nothing was heard of for so long is forgotten: its owner has restarted or left
/// (c-toxcore `FRIEND_DHT_TIMEOUT`).
const DHT_KEY_TIMEOUT: Duration = Duration::from_secs(122);
/// An attempt that failed is repeated after this, then after twice as long …
const FIRST_RETRY: Duration = Duration::from_millis(500);
/// … up to this.
const MAX_RETRY: Duration = Duration::from_secs(15);
/// A friend is told our relays this often (c-toxcore `SHARE_RELAYS_INTERVAL`).
const SHARE_INTERVAL: Duration = Duration::from_secs(120);
/// Relays of one friend that are remembered (c-toxcore `FRIEND_MAX_STORED_TCP_RELAYS`: 24).
const MAX_RELAYS: usize = 24;

/// What the stack shall do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    /// Search this DHT key in the DHT, and let relays connect us with it.
    Seek {
        /// The DHT key of a friend.
        dht_key: PublicKey,
    },
    /// Do so no longer.
    Leave {
        /// The DHT key that was sought.
        dht_key: PublicKey,
    },
    /// These nodes, UDP and TCP, are near the friend or relay for it.
    Hint {
        /// The DHT key that is sought.
        dht_key: PublicKey,
        /// The UDP nodes that it told just now, and all relays that it ever told.
        nodes: Vec<PackedNode>,
    },
    /// Make a session, or try this address too for the one in the making.
    Connect {
        /// With whom.
        friend: PublicKey,
        /// Its DHT key.
        dht_key: PublicKey,
        /// Where it answered the DHT.
        address: Option<Address>,
        /// A relay reaches it.
        relayed: bool,
    },
    /// End the session.
    Disconnect {
        /// With whom.
        friend: PublicKey,
    },
    /// Tell the onion's client whether the friend must be searched.
    Online {
        /// Who.
        friend: PublicKey,
        /// True while a session stands.
        online: bool,
    },
    /// Send the friend the relays that we use.
    ShareRelays {
        /// To whom.
        friend: PublicKey,
    },
}

/// All friends.
#[derive(Debug, Default)]
pub(crate) struct Friends {
    contacts: BTreeMap<PublicKey, Contact>,
    by_dht_key: BTreeMap<PublicKey, PublicKey>,
    actions: VecDeque<Action>,
}

impl Friends {
    /// From now on `peer` is to be connected, for this reason; false if there are too many.
    pub(crate) fn add(&mut self, peer: PublicKey, tie: Tie) -> bool {
        let limit = match tie {
            Tie::Friend => MAX_FRIENDS,
            Tie::Acquaintance => MAX_ACQUAINTANCES,
        };
        let is_tied = |contact: &&Contact| contact.is_tied(tie);
        let known = self.contacts.get(&peer).as_ref().is_some_and(is_tied);
        let room = known || self.contacts.values().filter(is_tied).count() < limit;
        if room {
            self.contacts.entry(peer).or_default().tie(tie);
        }
        room
    }

    /// From now on it is not, unless there is another reason; false if there was not this one.
    pub(crate) fn remove(&mut self, peer: PublicKey, tie: Tie) -> bool {
        let Some(contact) = self.contacts.get_mut(&peer) else { return false };
        let was_tied = contact.untie(tie);
        if contact.is_tied(Tie::Friend) || contact.is_tied(Tie::Acquaintance) {
            return was_tied;
        }
        if let Some(dht_key) = contact.dht_key() {
            self.by_dht_key.remove(&dht_key);
            self.actions.push_back(Action::Leave { dht_key });
        }
        self.contacts.remove(&peer);
        self.actions.push_back(Action::Disconnect { friend: peer });
        was_tied
    }

    /// All friends.
    pub(crate) fn iter(&self) -> impl Iterator<Item = PublicKey> + '_ {
        let friends = self.contacts.iter().filter(|(_, contact)| contact.is_tied(Tie::Friend));
        friends.map(|(key, _)| *key)
    }

    /// True if `key` is a friend's.
    pub(crate) fn contains(&self, key: &PublicKey) -> bool {
        self.contacts.get(key).is_some_and(|contact| contact.is_tied(Tie::Friend))
    }

    /// True if `key` is that of a friend or an acquaintance.
    pub(crate) fn knows(&self, key: &PublicKey) -> bool {
        self.contacts.contains_key(key)
    }

    /// Others say that an acquaintance has this DHT key.
    pub(crate) fn rumoured(&mut self, now: Time, peer: PublicKey, dht_key: PublicKey) {
        if self.contacts.get(&peer).is_some_and(Contact::heeds_rumours) {
            self.learnt(now, peer, dht_key, &[]);
        }
    }

    /// The friend with this DHT key.
    pub(crate) fn owner_of(&self, dht_key: &PublicKey) -> Option<PublicKey> {
        self.by_dht_key.get(dht_key).copied()
    }

    /// The friend's DHT key of this run, if it is known.
    pub(crate) fn dht_key_of(&self, friend: &PublicKey) -> Option<PublicKey> {
        self.contacts.get(friend)?.dht_key()
    }

    /// The friend told its DHT key and where it may be found, or its session showed the key.
    pub(crate) fn learnt(
        &mut self,
        now: Time,
        friend: PublicKey,
        dht_key: PublicKey,
        nodes: &[PackedNode],
    ) {
        if !self.yields_key(friend, dht_key) {
            return;
        }
        let Some(contact) = self.contacts.get_mut(&friend) else { return };
        if let Some(old) = contact.learn_key(now, dht_key) {
            if let Some(dht_key) = old {
                self.by_dht_key.remove(&dht_key);
                self.actions.push_back(Action::Leave { dht_key });
            }
            self.by_dht_key.insert(dht_key, friend);
            self.actions.push_back(Action::Seek { dht_key });
        }
        contact.learn_relays(nodes);
        let near = nodes.iter().filter(|node| node.endpoint.protocol == Protocol::Udp);
        let nodes: Vec<PackedNode> = near.chain(contact.relays()).copied().collect();
        if !nodes.is_empty() {
            self.actions.push_back(Action::Hint { dht_key, nodes });
        }
    }

    /// Makes room for a claim to a DHT key; false if it is another contact's, which would be cut off.
    /// A friend's claim, which it signed, is better than what was rumoured of an acquaintance.
    fn yields_key(&mut self, claimant: PublicKey, dht_key: PublicKey) -> bool {
        let Some(owner) = self.owner_of(&dht_key).filter(|owner| *owner != claimant) else {
            return true;
        };
        if self.contains(&owner) || !self.contains(&claimant) {
            return false;
        }
        if let Some(contact) = self.contacts.get_mut(&owner) {
            contact.lose_key();
        }
        self.by_dht_key.remove(&dht_key);
        self.actions.push_back(Action::Leave { dht_key });
        true
    }

    /// The node with this DHT key answered from `address`.
    pub(crate) fn found(&mut self, now: Time, dht_key: PublicKey, address: Address) {
        let Some(friend) = self.owner_of(&dht_key) else { return };
        let Some(contact) = self.contacts.get_mut(&friend) else { return };
        contact.found(now, address);
        self.connect(now, friend);
    }

    /// A relay does, or does no longer, reach the node with this DHT key.
    pub(crate) fn relayed(&mut self, now: Time, dht_key: PublicKey, relayed: bool) {
        let Some(friend) = self.owner_of(&dht_key) else { return };
        let Some(contact) = self.contacts.get_mut(&friend) else { return };
        contact.relayed(now, relayed);
        if relayed {
            self.connect(now, friend);
        }
    }

    /// A session with `peer` stands.
    pub(crate) fn up(&mut self, now: Time, peer: PublicKey) {
        let Some(contact) = self.contacts.get_mut(&peer) else { return };
        contact.up(now);
        self.actions.push_back(Action::Online { friend: peer, online: true });
    }

    /// The session with `peer` is gone.
    pub(crate) fn down(&mut self, now: Time, peer: PublicKey) {
        let Some(contact) = self.contacts.get_mut(&peer) else { return };
        contact.down(now);
        self.actions.push_back(Action::Online { friend: peer, online: false });
        self.connect(now, peer);
    }

    /// No session came of an attempt; false if `peer` is no friend.
    pub(crate) fn failed(&mut self, now: Time, peer: PublicKey) -> bool {
        self.contacts.get_mut(&peer).map(|contact| contact.failed(now)).is_some()
    }

    /// When [`Friends::handle_timeout`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.contacts.values().filter_map(Contact::deadline).min()
    }

    /// Runs the timers.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        let due: Vec<PublicKey> = self
            .contacts
            .iter()
            .filter(|(_, contact)| contact.deadline().is_some_and(|at| at <= now))
            .map(|(friend, _)| *friend)
            .collect();
        for friend in due {
            let Some(contact) = self.contacts.get_mut(&friend) else { continue };
            if contact.take_share_turn(now) {
                self.actions.push_back(Action::ShareRelays { friend });
            }
            if let Some(dht_key) = contact.forget_key(now) {
                self.by_dht_key.remove(&dht_key);
                self.actions.push_back(Action::Leave { dht_key });
            }
            self.connect(now, friend);
        }
    }

    /// What to do next.
    pub(crate) fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Tries to make a session, if there is none and a way to the friend is known.
    fn connect(&mut self, now: Time, friend: PublicKey) {
        let Some(contact) = self.contacts.get_mut(&friend) else { return };
        if let Some((dht_key, address, relayed)) = contact.take_attempt(now) {
            self.actions.push_back(Action::Connect { friend, dht_key, address, relayed });
        }
    }
}
