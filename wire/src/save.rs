//! The save file of a Tox client: keys, friends, names, and whom to ask for the network
//! (`tox_get_savedata`; Tox Reference, "State Format"; research note `tox.md` 1.13).
//!
//! A file is a cookie and sections, each with its length and kind. [`Save::read`] takes a whole file
//! and [`Save::write`] makes one that toxcore reads. Sections that this module does not know, such as
//! groups (7), are kept as they are, so that a save read and written again loses nothing. Unlike in
//! packets, integers are little-endian, except inside of friends.
//!
//! What is written is as secret as the key in it; `encrypted_save` seals it with a password.

mod conference;
mod error;
mod friend;
mod section;

use crate::address::PackedNode;
use crate::key::KeyPair;
use crate::tox_id::ToxId;

pub use conference::{Conference, ConferencePeer, LOSSY_NUMBER_LEAP, MESSAGE_NUMBER_LEAP};
pub use error::SaveError;
pub use friend::{Friend, FriendState};

/// Longest file that is read: room for some 7,000 friends.
pub const MAX_SAVE: usize = 16 << 20;
/// Longest name of a person, a friend or a conference.
pub const MAX_NAME: usize = 128;
/// Longest status message.
pub const MAX_STATUS_MESSAGE: usize = 1007;
/// Longest message of a friend request that has its place in a save.
pub const MAX_SAVED_REQUEST: usize = 1024;
/// Most sections of unknown kinds that are kept.
pub const MAX_OTHER_SECTIONS: usize = 64;

/// With these bytes an encrypted save begins; `encrypted_save` opens it.
pub const ENCRYPTED_MAGIC: &[u8; 8] = b"toxEsave";

/// True if `file` is an encrypted save.
pub fn is_encrypted(file: &[u8]) -> bool {
    file.starts_with(ENCRYPTED_MAGIC)
}

/// What a save says.
#[derive(Clone, Debug)]
pub struct Save {
    /// The number that friend requests must show, as it stands in the Tox ID.
    pub nospam: [u8; 4],
    /// The long-term key.
    pub keys: KeyPair,
    /// Nodes of the DHT, to find the network again.
    pub nodes: Vec<PackedNode>,
    /// Friends, and those who were asked to be.
    pub friends: Vec<Friend>,
    /// The person's name, at most [`MAX_NAME`] bytes; UTF-8 if all went well.
    pub name: Vec<u8>,
    /// What the person says of itself, at most [`MAX_STATUS_MESSAGE`] bytes.
    pub status_message: Vec<u8>,
    /// 0 none, 1 away, 2 busy.
    pub status: u8,
    /// TCP relays that worked; c-toxcore keeps 8.
    pub relays: Vec<PackedNode>,
    /// Nodes that onion paths led through; c-toxcore keeps 8.
    pub path_nodes: Vec<PackedNode>,
    /// Conferences that the person is in.
    pub conferences: Vec<Conference>,
    /// Sections of other kinds, as they are; also lists of nodes (2, 10, 11) that could not be read.
    /// Such a list is written again only if its own field is still empty.
    pub others: Vec<OtherSection>,
}

/// A section that is kept as it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OtherSection {
    /// Its kind.
    pub kind: u16,
    /// What it contains.
    pub data: Vec<u8>,
}

impl Save {
    /// The save of someone new.
    pub fn new(keys: KeyPair, nospam: [u8; 4]) -> Self {
        Self {
            nospam,
            keys,
            nodes: Vec::new(),
            friends: Vec::new(),
            name: Vec::new(),
            status_message: Vec::new(),
            status: 0,
            relays: Vec::new(),
            path_nodes: Vec::new(),
            conferences: Vec::new(),
            others: Vec::new(),
        }
    }

    /// What this person gives to others to be found.
    pub fn tox_id(&self) -> ToxId {
        ToxId { key: self.keys.public, nospam: self.nospam }
    }

    /// Reads a whole file. Bytes behind the end section are no part of it: c-toxcore leaves room there.
    ///
    /// # Errors
    /// See [`SaveError`].
    pub fn read(file: &[u8]) -> Result<Self, SaveError> {
        section::read(file)
    }

    /// The file, byte by byte as c-toxcore writes it but for the room behind its end. Texts are cut at
    /// their limits.
    pub fn write(&self) -> Vec<u8> {
        section::write(self)
    }
}

#[cfg(test)]
#[path = "save_tests.rs"]
mod tests;
