//! Conferences, Tox's old group chats: people who write to each other all at once, without a server
//! (research note `tox.md` 1.11; on the wire c-toxcore's, as of 0.2.18).
//!
//! Each member keeps connections with its neighbours on the ring of all members' keys, and with those
//! whom it brought in or who brought it in, until they are reached by others. What a member says is
//! handed on from connection to connection; the numbers of its last messages tell which came before.
//! Who was not heard for a minute is away (frozen) and may come back: when a friend among the members
//! appears, or when others tell of it.
//!
//! Who is a member can speak in any other member's name, and tell of members who never came: Tox
//! conferences are for people who trust each other. What such a member can do here is bounded: see
//! [`MAX_MEMBERS`], [`MAX_FROZEN`], [`MAX_CONFERENCES`].
//!
//! Of conferences with sound only the text is carried. DHT groups, Tox's newer group chats, will stand
//! beside this module.
//!
//! `Conferences` is sans-IO as all of the messenger: facts come in by `handle_…` and verbs; packets
//! leave by `pump`, connections to be kept by `poll_tie`, events by `poll_event`.

mod api;
mod commands;
mod direct;
mod error;
mod event;
mod invitation;
mod link;
mod member;
mod outbox;
mod recent;
mod relay;
mod ring;
mod save;
mod set;
mod state;
#[cfg(test)]
mod tests;

pub use self::error::ConferenceError;
pub use self::event::ConferenceEvent;
pub use self::invitation::Invitation;
pub use self::member::{MAX_FROZEN, MAX_MEMBERS, Member};
pub(crate) use self::outbox::Tie;
pub use self::set::MAX_CONFERENCES;
pub(crate) use self::set::{Conferences, is_conference};
pub use self::state::Conference;
pub use crate::wire::conference::message::MAX_CONFERENCE_MESSAGE;
pub use crate::wire::conference::{ConferenceId, ConferenceKind, MAX_CONFERENCE_NAME};
