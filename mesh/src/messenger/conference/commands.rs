//! What the user asks of conferences.

use super::error::ConferenceError;
use super::invitation::Invitation;
use super::set::{Common, Conferences, MAX_CONFERENCES};
use super::state::Conference;
use crate::wire::conference::message::MAX_CONFERENCE_MESSAGE;
use crate::wire::conference::{
    ConferenceId, ConferenceKind, ConferencePacket, MAX_CONFERENCE_NAME, MessageBody,
};
use crate::wire::messenger::MessageKind;
use crate::wire::{PublicKey, Time};

/// The founder's number.
const FOUNDER: u16 = 0;

/// Checks a text of 1 to `limit` bytes.
fn check(text: &[u8], limit: usize) -> Result<(), ConferenceError> {
    match text.len() {
        0 => Err(ConferenceError::Empty),
        length if length > limit => Err(ConferenceError::TooLong { limit }),
        _ => Ok(()),
    }
}

impl Conferences {
    fn room(&self) -> Result<(), ConferenceError> {
        let room = self.all.len() < MAX_CONFERENCES;
        if room { Ok(()) } else { Err(ConferenceError::TooMany) }
    }

    fn joined(
        &mut self,
        conference: ConferenceId,
    ) -> Result<(&mut Conference, &mut Common), ConferenceError> {
        let found = self.all.get_mut(&conference).ok_or(ConferenceError::Unknown)?;
        if !found.is_joined() {
            return Err(ConferenceError::NotJoined);
        }
        Ok((found, &mut self.common))
    }

    /// Begins a conference with this node as its only member.
    pub(crate) fn create(&mut self, kind: ConferenceKind) -> Result<ConferenceId, ConferenceError> {
        self.room()?;
        let id = ConferenceId { kind, random: self.common.rng.bytes() };
        let number = self.take_number();
        self.all.insert(id, Conference::new(id, number, Some(FOUNDER)));
        Ok(id)
    }

    /// Invites a friend that is online.
    pub(crate) fn invite(
        &mut self,
        friend: PublicKey,
        conference: ConferenceId,
    ) -> Result<(), ConferenceError> {
        let (it, common) = self.joined(conference)?;
        let from = it.number;
        let sent = common.send(friend, &ConferencePacket::Invite { from, conference });
        if sent { Ok(()) } else { Err(ConferenceError::Full) }
    }

    /// Takes the invitation of a friend that is online.
    pub(crate) fn join(
        &mut self,
        now: Time,
        friend: PublicKey,
        invitation: Invitation,
    ) -> Result<(), ConferenceError> {
        self.room()?;
        let id = invitation.conference;
        if self.all.contains_key(&id) {
            return Err(ConferenceError::AlreadyIn);
        }
        let mut conference = Conference::new(id, self.take_number(), None);
        conference.accept(now, friend, invitation, &mut self.common);
        self.all.insert(id, conference);
        Ok(())
    }

    /// Says goodbye for good, and forgets the conference.
    pub(crate) fn leave(
        &mut self,
        now: Time,
        conference: ConferenceId,
    ) -> Result<(), ConferenceError> {
        let mut left = self.all.remove(&conference).ok_or(ConferenceError::Unknown)?;
        if let Some(peer) = left.own {
            left.flood(MessageBody::KillPeer { peer }, &mut self.common);
        }
        left.unlink_all(now, &mut self.common);
        Ok(())
    }

    /// Says to all conferences that this node goes away for a while.
    pub(crate) fn suspend(&mut self) {
        for conference in self.all.values_mut() {
            if let Some(peer) = conference.own {
                conference.flood(MessageBody::FreezePeer { peer }, &mut self.common);
            }
        }
    }

    /// Says something to all members that are there.
    pub(crate) fn say(
        &mut self,
        conference: ConferenceId,
        kind: MessageKind,
        text: &[u8],
    ) -> Result<(), ConferenceError> {
        let (it, common) = self.joined(conference)?;
        check(text, MAX_CONFERENCE_MESSAGE)?;
        if !it.is_connected() {
            return Err(ConferenceError::Alone);
        }
        let sent = it.flood(MessageBody::Text { kind, text }, common);
        if sent { Ok(()) } else { Err(ConferenceError::Full) }
    }

    /// Gives the conference a title.
    pub(crate) fn entitle(
        &mut self,
        conference: ConferenceId,
        title: &[u8],
    ) -> Result<(), ConferenceError> {
        let (it, common) = self.joined(conference)?;
        check(title, MAX_CONFERENCE_NAME)?;
        if it.title == title {
            return Ok(());
        }
        title.clone_into(&mut it.title);
        if it.is_connected() && !it.flood(MessageBody::Title(title), common) {
            return Err(ConferenceError::Full);
        }
        Ok(())
    }
}
