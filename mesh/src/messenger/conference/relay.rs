//! What a member says to all, and how it is handed on.

use bytes::Bytes;

use super::event::ConferenceEvent as Event;
use super::link::Reason;
use super::ring::NEIGHBOURS;
use super::set::Common;
use super::state::Conference;
use crate::drops::DropReason;
use crate::wire::conference::{ConferenceMessage, ConferencePacket, MessageBody};
use crate::wire::{PublicKey, Time};

impl Conference {
    /// Takes a message that came over the connection with `via`.
    pub(super) fn handle_message(
        &mut self,
        now: Time,
        via: PublicKey,
        message: &ConferenceMessage<'_>,
        common: &mut Common,
    ) -> Result<(), DropReason> {
        self.links.get(&via).ok_or(DropReason::Unsolicited)?;
        let number = message.peer;
        if self.own == Some(number) {
            return Ok(()); // whoever hears it from us first sends it back: c-toxcore's clients wait for it
        }
        // Who says that it leaves does not come back by that.
        let leaves = matches!(message.body, MessageBody::FreezePeer { .. });
        if !leaves && !self.note_active(now, number, common) {
            // Who handed it on knows the sender.
            self.ask(now, via, common);
        }
        let member = self.members.present.get_mut(&number).ok_or(DropReason::NoRoute)?;
        let (sender, new) = (member.key, member.recent.admit(message.number, &message.body));
        self.note_introduced(now, sender, via, common);
        if !new {
            return Err(DropReason::Replayed);
        }
        self.heed(now, (number, sender), &message.body, common)?;
        // A sender with one connection hears itself only so.
        let except = (sender != via).then_some(via);
        for (peer, to) in self.links.online().filter(|(peer, _)| Some(*peer) != except) {
            common.send(peer, &ConferencePacket::Message { to, message: *message });
        }
        Ok(())
    }

    /// A member that introduced this node was heard through another one: if there are enough of those,
    /// its connection is not needed for that any more.
    fn note_introduced(
        &mut self,
        now: Time,
        sender: PublicKey,
        via: PublicKey,
        common: &mut Common,
    ) {
        if sender != via && self.links.online().count() > NEIGHBOURS {
            self.unlink_for(now, &sender, Reason::Introducer, common);
        }
    }

    /// Does what a message says.
    ///
    /// # Errors
    /// [`DropReason::Refused`] if it is not to be handed on.
    fn heed(
        &mut self,
        now: Time,
        (number, sender): (u16, PublicKey),
        body: &MessageBody<'_>,
        common: &mut Common,
    ) -> Result<(), DropReason> {
        match *body {
            MessageBody::Ping => {}
            MessageBody::NewPeer { peer, key, dht_key } => {
                if key != common.me
                    && let Err(reason) = self.admit(now, peer, (key, dht_key), true, common)
                {
                    common.drops.count(reason); // others may think otherwise
                }
            }
            MessageBody::KillPeer { peer } if peer == number => {
                self.remove(now, number, common);
            }
            MessageBody::FreezePeer { peer } if peer == number => self.freeze(now, number, common),
            MessageBody::KillPeer { .. } | MessageBody::FreezePeer { .. } => {
                return Err(DropReason::Refused);
            }
            MessageBody::Name(name) => self.set_name(number, name, common),
            MessageBody::Title(title) => self.set_title(Some(sender), title, common),
            MessageBody::Text { kind, text } => {
                let text = Bytes::copy_from_slice(text);
                common.tell(self.id, Event::Message { member: sender, kind, text });
            }
        }
        Ok(())
    }
}
