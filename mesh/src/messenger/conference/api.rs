//! Conferences as a messenger offers them.

use super::error::ConferenceError as Error;
use super::invitation::Invitation;
use super::state::Conference;
use crate::messenger::Messenger;
use crate::wire::conference::{ConferenceId, ConferenceKind};
use crate::wire::messenger::MessageKind;
use crate::wire::{PublicKey, Time};

impl Messenger {
    /// All conferences that this node is in, or joins.
    pub fn conferences(&self) -> impl Iterator<Item = &Conference> {
        self.core().conferences.iter()
    }

    /// One of them.
    pub fn conference(&self, conference: ConferenceId) -> Option<&Conference> {
        self.core().conferences.get(conference)
    }

    /// Begins a conference; [`Self::invite_to_conference`] brings others in.
    ///
    /// # Errors
    /// [`ConferenceError::TooMany`](Error::TooMany).
    pub fn create_conference(&mut self, kind: ConferenceKind) -> Result<ConferenceId, Error> {
        self.core_mut().conferences.create(kind)
    }

    /// Invites a friend that is online. If it comes, [`ConferenceEvent::Came`](super::ConferenceEvent)
    /// follows.
    ///
    /// # Errors
    /// See [`ConferenceError`](Error).
    pub fn invite_to_conference(
        &mut self,
        friend: PublicKey,
        conference: ConferenceId,
    ) -> Result<(), Error> {
        self.check_online(friend)?;
        self.core_mut().conferences.invite(friend, conference)
    }

    /// Takes an invitation, which
    /// [`MessengerEvent::ConferenceInvited`](crate::messenger::MessengerEvent) told.
    /// [`ConferenceEvent::Joined`](super::ConferenceEvent) follows.
    ///
    /// # Errors
    /// See [`ConferenceError`](Error).
    pub fn join_conference(
        &mut self,
        now: Time,
        friend: PublicKey,
        invitation: Invitation,
    ) -> Result<(), Error> {
        self.check_online(friend)?;
        self.core_mut().conferences.join(now, friend, invitation)
    }

    /// Leaves a conference for good.
    ///
    /// # Errors
    /// [`ConferenceError::Unknown`](Error::Unknown).
    pub fn leave_conference(&mut self, now: Time, conference: ConferenceId) -> Result<(), Error> {
        self.core_mut().conferences.leave(now, conference)
    }

    /// Tells all conferences that this node goes away: members need not wait for a minute to notice.
    /// For the end of a run; what waits to be sent must be polled after it. When this node is back from
    /// its [save](Self::load), friends among the members let it take part again.
    pub fn suspend_conferences(&mut self) {
        self.core_mut().conferences.suspend();
    }

    /// Says something of 1 to [`MAX_CONFERENCE_MESSAGE`](super::MAX_CONFERENCE_MESSAGE) bytes to all
    /// members that are there. Nobody tells who has heard it.
    ///
    /// # Errors
    /// See [`ConferenceError`](Error).
    pub fn send_to_conference(
        &mut self,
        conference: ConferenceId,
        kind: MessageKind,
        text: impl AsRef<[u8]>,
    ) -> Result<(), Error> {
        self.core_mut().conferences.say(conference, kind, text.as_ref())
    }

    /// Gives a conference a title of 1 to [`MAX_CONFERENCE_NAME`](super::MAX_CONFERENCE_NAME) bytes.
    ///
    /// # Errors
    /// See [`ConferenceError`](Error).
    pub fn set_conference_title(
        &mut self,
        conference: ConferenceId,
        title: &[u8],
    ) -> Result<(), Error> {
        self.core_mut().conferences.entitle(conference, title)
    }

    /// How many packets of conferences were dropped, by reason.
    pub const fn conference_drops(&self) -> &crate::Drops {
        self.core().conferences.drops()
    }

    fn check_online(&self, friend: PublicKey) -> Result<(), Error> {
        let online = self.friend(friend).is_some_and(|contact| contact.online);
        if online { Ok(()) } else { Err(Error::FriendOffline) }
    }
}
