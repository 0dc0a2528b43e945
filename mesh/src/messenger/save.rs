//! What of a messenger has its place in a Tox client's save file: who its owner is to friends, and who
//! they are (research note `tox.md` 1.13).

use super::core::Core;
use super::friends::Contact;
use super::machine::Messenger;
use crate::wire::messenger::UserStatus;
use crate::wire::save::{Friend, FriendState, Save};
use crate::wire::{PublicKey, Time, ToxId};

impl Messenger {
    /// Writes profile, nospam, friends and conferences into a save. Keys, nodes and relays are the business of who
    /// made it; what is [unfinished](Self::unfinished) has no place there.
    pub fn save_into(&self, now: Time, save: &mut Save) {
        if let Some(id) = self.stack().tox_id() {
            save.nospam = id.nospam;
        }
        self.core().profile().name().clone_into(&mut save.name);
        self.core().profile().status_message().clone_into(&mut save.status_message);
        save.status = self.core().profile().status().byte();
        save.friends = friends(self.core(), now);
        save.conferences = self.core().conferences.save();
    }

    /// Takes profile, nospam, friends and conferences from a save whose keys this messenger was made with. Gives
    /// back the friends that were not taken: too many, or this node itself.
    pub fn load(&mut self, now: Time, save: &Save) -> Vec<PublicKey> {
        self.stack_mut().set_nospam(save.nospam);
        // A save's texts have the limits of the profile's, and one that breaks them is left out.
        let _ = self.set_name(&save.name);
        let _ = self.set_status_message(&save.status_message);
        self.set_status(UserStatus::from_byte(save.status).unwrap_or_default());
        let refused = save.friends.iter().filter(|friend| !self.load_friend(now, friend));
        let refused = refused.map(|friend| friend.key).collect();
        // More than there is room for were never joined here, nor by a client of sane size.
        self.core_mut().conferences.load(now, &save.conferences);
        refused
    }

    fn load_friend(&mut self, now: Time, friend: &Friend) -> bool {
        match &friend.state {
            FriendState::Requested { nospam, message, .. } => {
                let id = ToxId { key: friend.key, nospam: *nospam };
                self.request_friend(now, &id, message).is_ok()
                    || self.add_friend(now, friend.key).is_ok()
            }
            FriendState::Confirmed { name, status_message, status, last_seen } => {
                let added = self.add_friend(now, friend.key).is_ok();
                if added && let Some(contact) = self.core_mut().contact_mut(friend.key) {
                    name.clone_into(&mut contact.name);
                    status_message.clone_into(&mut contact.status_message);
                    contact.status = UserStatus::from_byte(*status).unwrap_or_default();
                    contact.last_seen = *last_seen;
                }
                added
            }
        }
    }
}

fn friends(core: &Core, now: Time) -> Vec<Friend> {
    let state = |contact: &Contact| match &contact.request {
        Some((id, message)) => {
            FriendState::Requested { sent: true, nospam: id.nospam, message: message.clone() }
        }
        None => FriendState::Confirmed {
            name: contact.name.clone(),
            status_message: contact.status_message.clone(),
            status: contact.status.byte(),
            last_seen: if contact.online { core.calendar(now) } else { contact.last_seen },
        },
    };
    core.contacts().map(|(key, contact)| Friend { key, state: state(contact) }).collect()
}
