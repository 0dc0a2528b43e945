//! Tox's messenger (feature `messenger`): friends with names and moods, messages with receipts, files,
//! and [conferences](conference) of many.
//! On the wire it is c-toxcore's (research note `tox.md` 1.8 to 1.10): Tox clients are friends as any.
//!
//! [`Messenger`] is a [`Machine`](crate::Machine) as the [`Stack`](crate::Stack) that it owns, and is
//! driven the same way: after each call, poll it until it is idle. Its events are [`MessengerEvent`]s;
//! what it asks its driver to do is to read and write files ([`IoRequest`]).
//!
//! ```
//! use std::collections::VecDeque;
//! use toktok_mesh::messenger::{MessageKind, Messenger, MessengerEvent as Event};
//! use toktok_mesh::{Address, Config, KeyPair, Machine, Output, Rng, Time};
//!
//! // Ada and Bob, whose datagrams are moved by hand.
//! let now = Time::ZERO;
//! let [mut ada, mut bob] = [1, 2].map(|seed| {
//!     let mut rng = Rng::from_seed([seed; 32]); // a program takes the seed from its system
//!     let keys = KeyPair::generate(&mut rng);
//!     Messenger::new(Config::default(), keys.clone(), keys, rng, now)
//! });
//! let [at_ada, at_bob] = [1, 2].map(|host| Address::udp(([192, 0, 2, host], 33445).into()));
//! let [ada_key, bob_key] = [ada.public_key(), bob.public_key()];
//!
//! bob.set_name(b"Bob")?;
//! bob.add_friend(now, ada_key)?;
//! bob.stack_mut().bootstrap(now, at_ada, ada_key); // somebody must know the way
//! ada.add_friend(now, bob_key)?;
//! // Kept until Bob is there.
//! let hello = ada.send_message(bob_key, MessageKind::Normal, "hello")?;
//!
//! let mut wire = VecDeque::new();
//! let mut told = Vec::new();
//! for millis in 0..5_000 {
//!     let now = Time::from_millis(millis);
//!     while let Some((to, from, mut datagram)) = wire.pop_front() {
//!         let receiver: &mut Messenger = if to == at_ada { &mut ada } else { &mut bob };
//!         receiver.handle_datagram(now, from, &mut Vec::as_mut_slice(&mut datagram));
//!     }
//!     for (messenger, at) in [(&mut ada, at_ada), (&mut bob, at_bob)] {
//!         loop {
//!             match messenger.poll(now) {
//!                 Output::Transmit { to, payload } => wire.push_back((to, at, payload)),
//!                 Output::Event(event) => told.push(event),
//!                 Output::Io(..) | Output::Stream(..) => unreachable!("neither files nor relays"),
//!                 Output::Idle(_) => break,
//!             }
//!         }
//!     }
//! }
//!
//! let name = Event::Name { friend: bob_key, name: b"Bob".to_vec() };
//! let (kind, text) = (MessageKind::Normal, "hello".into());
//! assert!(told.contains(&name));
//! assert!(told.contains(&Event::Message { friend: ada_key, kind, text }));
//! assert!(told.contains(&Event::Receipt { friend: bob_key, message: hello }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is kept
//! A message is kept until its friend has it, and a file goes on after a break. [`Unfinished`] takes
//! both over a restart. Everything else that a Tox client keeps has its place in a Tox save:
//! [`Messenger::save_into`] and [`Messenger::load`].

mod carrier;
mod commands;
pub mod conference;
mod core;
mod custom;
mod error;
mod event;
mod files;
mod friends;
mod machine;
mod messages;
mod profile;
mod requests;
mod save;
mod unfinished;

pub use self::commands::MAX_REQUEST_MESSAGE;
pub use self::error::{AddFriendError, FileError, MessageError, ProfileError, UnknownFriend};
pub use self::event::MessengerEvent;
pub use self::files::{
    Direction, FileOffer, FileOutcome, IoFailed, IoRequest, IoResult, MAX_SENDINGS, Paused,
    TransferId, TransferState,
};
pub use self::friends::Contact;
pub use self::machine::Messenger;
pub use self::messages::{MAX_KEPT_MESSAGES, MAX_KEPT_TEXT, MessageId};
pub use self::profile::Profile;
pub use self::unfinished::Unfinished;
pub use crate::wire::messenger::file::UNKNOWN_FILE_SIZE;
pub use crate::wire::messenger::{FileKind, MessageKind, UserStatus};

#[cfg(test)]
mod tests;
