//! How members come in: by invitations of friends, and by their return.

use super::link::Reason;
use super::set::Common;
use super::state::Conference;
use crate::drops::DropReason;
use crate::wire::conference::{ConferenceId, ConferenceKind, ConferencePacket, MessageBody};
use crate::wire::{PublicKey, Time};

/// Numbers that are tried for a new member before it is refused.
const TRIES: usize = 32;

/// A friend's invitation into a conference: good while the friend is in it and was not restarted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Invitation {
    /// The friend's number of the conference.
    pub(super) number: u16,
    pub(super) conference: ConferenceId,
}

impl Invitation {
    /// Into which conference.
    pub const fn conference(&self) -> ConferenceId {
        self.conference
    }

    /// What is done in it. Of sound nothing is heard.
    pub const fn kind(&self) -> ConferenceKind {
        self.conference.kind
    }
}

impl Conference {
    /// Takes a friend's invitation: the friend will tell this node's number.
    pub(super) fn accept(
        &mut self,
        now: Time,
        friend: PublicKey,
        invitation: Invitation,
        common: &mut Common,
    ) {
        let Invitation { number: to, conference } = invitation;
        common.send(friend, &ConferencePacket::Accept { from: self.number, to, conference });
        let dht_key = common.dht_key_of(friend);
        self.link(now, friend, dht_key, Reason::Introducer, common);
        self.begin(friend, to);
        self.ask(now, friend, common);
    }

    /// A friend invites into this conference: this node tells that it is a member already.
    pub(super) fn handle_invite(
        &mut self,
        now: Time,
        friend: PublicKey,
        to: u16,
        common: &mut Common,
    ) -> Result<(), DropReason> {
        let peer = self.own.ok_or(DropReason::Refused)?;
        let (from, conference) = (self.number, self.id);
        common.send(friend, &ConferencePacket::Member { from, to, conference, peer });
        let dht_key = common.dht_key_of(friend);
        self.link(now, friend, dht_key, Reason::Introducer, common);
        self.link(now, friend, dht_key, Reason::Introducing, common);
        self.begin(friend, to);
        self.ask(now, friend, common);
        Ok(())
    }

    /// A friend takes an invitation, or is a member already: `number` is then what it is to others.
    pub(super) fn handle_accept(
        &mut self,
        now: Time,
        friend: PublicKey,
        from: u16,
        number: Option<u16>,
        common: &mut Common,
    ) -> Result<(), DropReason> {
        if !self.is_joined() {
            return Err(DropReason::Refused);
        }
        let is_member = number.is_some();
        let fresh = number.or_else(|| self.free_number(common));
        let number = fresh.ok_or(DropReason::LimitReached)?;
        let dht_key = common.dht_key_of(friend);
        self.admit(now, number, (friend, dht_key), true, common)?;
        let linked = self.link(now, friend, dht_key, Reason::Introducing, common);
        if is_member {
            self.link(now, friend, dht_key, Reason::Introducer, common);
        }
        if linked {
            self.begin(friend, from);
        }
        if is_member {
            self.ask(now, friend, common);
        }
        self.flood(MessageBody::NewPeer { peer: number, key: friend, dht_key }, common);
        Ok(())
    }

    /// A number that no member has.
    fn free_number(&self, common: &mut Common) -> Option<u16> {
        let mut numbers = (0..TRIES).map(|_| u16::from_be_bytes(common.rng.bytes()));
        numbers.find(|number| self.own != Some(*number) && !self.members.has_number(*number))
    }

    /// The connection with `peer` carries this conference, which is `number` to it.
    pub(super) fn begin(&mut self, peer: PublicKey, number: u16) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.online = Some(number);
        }
    }

    /// A peer takes part over its connection.
    pub(super) fn handle_online(
        &mut self,
        now: Time,
        peer: PublicKey,
        number: u16,
        common: &mut Common,
    ) -> Result<(), DropReason> {
        let first = !self.is_connected();
        let link = self.links.get(&peer).ok_or(DropReason::Unsolicited)?;
        if link.online.is_some() {
            return Ok(());
        }
        let (asks, introduces) =
            (first || link.has(Reason::Introducer), link.has(Reason::Introducing));
        self.begin(peer, number);
        // It answers only who takes part.
        self.say_online(peer, common);
        if asks {
            self.ask(now, peer, common);
        }
        if introduces {
            self.introduce(peer, common);
        }
        self.ping(now, common);
        Ok(())
    }

    /// Tells all that a member has come.
    fn introduce(&mut self, key: PublicKey, common: &mut Common) {
        let dht_key = common.dht_key_of(key);
        if let Some(peer) = self.members.present_number(&key) {
            self.flood(MessageBody::NewPeer { peer, key, dht_key }, common);
        }
        self.name_untold = true;
    }

    /// A member was away and takes part again.
    pub(super) fn handle_rejoin(
        &mut self,
        now: Time,
        peer: PublicKey,
        common: &mut Common,
    ) -> Result<(), DropReason> {
        let number = self.members.number_of(&peer).ok_or(DropReason::Refused)?;
        let dht_key = common.dht_key_of(peer);
        self.admit(now, number, (peer, dht_key), true, common)?;
        if self.link(now, peer, dht_key, Reason::Introducing, common) {
            self.say_online(peer, common);
        }
        Ok(())
    }
}
