//! What a person keeps between two runs. Identity, name and friends stand in `person.tox`, a save file
//! as Tox clients have it; `unfinished` holds messages and transfers on their way, `transfers.json`
//! the files of these, `requests.json` friend requests that wait for an answer.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use toktok_mesh::messenger::{Contact, Messenger, Unfinished, UserStatus};
use toktok_mesh::{KeyPair, PublicKey, Rng, Time};
use toktok_wire::save::{Friend, FriendState, Save};
use toktok_wire::{Decode, Encode, PackedNode, ToxId};

use super::disk::Place;
use crate::data_dir::write_private;
use crate::error::NodeError;

/// Nodes of the DHT that are kept for the next start.
const KEPT_NODES: usize = 64;

/// The files of a person in the node's folder.
#[derive(Clone, Debug)]
pub(super) struct Store {
    root: PathBuf,
}

/// What is written, taken from a messenger at one moment.
#[derive(Debug)]
pub(super) struct Snapshot {
    save: Vec<u8>,
    unfinished: Vec<u8>,
}

impl Snapshot {
    /// What `messenger`, whose identity has these keys, would have to be told at the next start.
    pub(super) fn of(messenger: &Messenger, keys: &KeyPair, before: &Save) -> Self {
        let mut save = before.clone();
        save.keys = keys.clone();
        if let Some(id) = messenger.stack().tox_id() {
            save.nospam = id.nospam;
        }
        let profile = messenger.profile();
        save.name = profile.name().to_vec();
        save.status_message = profile.status_message().to_vec();
        save.friends = messenger.friends().map(|(key, contact)| friend(key, contact)).collect();
        let nodes: Vec<PackedNode> = messenger
            .stack()
            .close_nodes()
            .filter_map(|(key, address)| Some(PackedNode::udp(address.as_udp()?, key)))
            .take(KEPT_NODES)
            .collect();
        // A run that found nobody must not forget those that an earlier one knew.
        if !nodes.is_empty() {
            save.nodes = nodes;
        }
        Self { save: save.write(), unfinished: messenger.unfinished().to_bytes() }
    }
}

/// A friend as the save file has it.
fn friend(key: PublicKey, contact: &Contact) -> Friend {
    let state = match &contact.request {
        Some((id, message)) => {
            FriendState::Requested { sent: true, nospam: id.nospam, message: message.clone() }
        }
        None => FriendState::Confirmed {
            name: contact.name.clone(),
            status_message: contact.status_message.clone(),
            status: contact.status as u8,
            last_seen: contact.last_seen,
        },
    };
    Friend { key, state }
}

/// Makes a messenger what the save says. Friends that it cannot take are left out.
pub(super) fn restore(save: &Save, messenger: &mut Messenger, now: Time) {
    messenger.stack_mut().set_nospam(save.nospam);
    let _ = messenger.set_name(&save.name);
    let _ = messenger.set_status_message(&save.status_message);
    messenger.set_status(UserStatus::from_byte(save.status).unwrap_or_default());
    for friend in &save.friends {
        let added = match &friend.state {
            FriendState::Requested { nospam, message, .. } => {
                let id = ToxId { key: friend.key, nospam: *nospam };
                messenger.request_friend(now, &id, message)
            }
            FriendState::Confirmed { .. } => messenger.add_friend(now, friend.key),
        };
        if let Err(error) = added {
            tracing::warn!(friend = %friend.key, %error, "a friend of the save was not added");
        }
    }
}

impl Store {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Received files.
    pub(super) fn received(&self) -> PathBuf {
        self.root.join("received")
    }

    /// The message log.
    pub(super) fn log(&self) -> PathBuf {
        self.root.join("messages.jsonl")
    }

    fn save_file(&self) -> PathBuf {
        self.root.join("person.tox")
    }

    /// The save, made at the first start.
    pub(super) fn load(&self, rng: &mut Rng) -> Result<Save, NodeError> {
        let path = self.save_file();
        match fs::read(&path) {
            Ok(file) => Save::read(&file)
                .map_err(|error| NodeError::KeyFile { path, reason: error.to_string() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let save = Save::new(KeyPair::generate(rng), rng.bytes());
                write_private(&path, &save.write()).map_err(at(&path))?;
                Ok(save)
            }
            Err(error) => Err(at(&path)(error)),
        }
    }

    /// What waited when the last run stopped; nothing if it cannot be read.
    pub(super) fn unfinished(&self) -> Unfinished {
        let path = self.root.join("unfinished");
        let Ok(bytes) = fs::read(&path) else { return Unfinished::default() };
        Unfinished::from_bytes(&bytes).unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), %error, "messages on their way are lost");
            Unfinished::default()
        })
    }

    /// Keeps a snapshot.
    pub(super) fn keep(&self, snapshot: &Snapshot) -> io::Result<()> {
        write_private(&self.root.join("unfinished"), &snapshot.unfinished)?;
        write_private(&self.save_file(), &snapshot.save)
    }

    fn read_json<T: DeserializeOwned + Default>(&self, name: &str) -> T {
        let text = fs::read(self.root.join(name)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        write_private(&self.root.join(name), &serde_json::to_vec(value)?)
    }

    /// The files of transfers under way.
    pub(super) fn places(&self) -> BTreeMap<u64, Place> {
        self.read_json("transfers.json")
    }

    /// Keeps them.
    pub(super) fn keep_places(&self, places: &BTreeMap<u64, Place>) -> io::Result<()> {
        self.write_json("transfers.json", places)
    }

    /// Friend requests that wait for an answer: what was said, by the key.
    pub(super) fn requests(&self) -> BTreeMap<String, String> {
        self.read_json("requests.json")
    }

    /// Keeps them.
    pub(super) fn keep_requests(&self, requests: &BTreeMap<String, String>) -> io::Result<()> {
        self.write_json("requests.json", requests)
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> NodeError + use<> {
    let path = path.to_owned();
    move |source| NodeError::DataDir { path: path.clone(), source }
}
