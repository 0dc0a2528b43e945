//! What a person keeps between two runs. Identity, name and friends stand in `person.tox`, a save file
//! as Tox clients have it; `unfinished` holds messages and transfers on their way, `transfers.json`
//! the files of these, `requests.json` friend requests that wait for an answer.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use toktok_mesh::messenger::{Messenger, Unfinished};
use toktok_mesh::{Address, KeyPair, Rng, Time};
use toktok_wire::address::Protocol;
use toktok_wire::save::Save;
use toktok_wire::{Decode, Encode, PackedNode};

use super::disk::Place;
use crate::data_dir::write_private;
use crate::error::NodeError;

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
    pub(super) fn of(messenger: &Messenger, now: Time, before: &Save) -> Self {
        let mut save = before.clone();
        messenger.save_into(now, &mut save);
        let stack = messenger.stack();
        let near = stack.nodes_to_save().into_iter();
        let near = near.filter_map(|(key, at)| Some(PackedNode::udp(at.as_udp()?, key)));
        // A run that found nobody must not forget those that an earlier one knew.
        replace(&mut save.nodes, near.collect());
        replace(&mut save.relays, stack.relays_to_save());
        replace(&mut save.path_nodes, stack.path_nodes_to_save());
        Self { save: save.write(), unfinished: messenger.unfinished().to_bytes() }
    }
}

/// Takes newer nodes, if there are any.
fn replace(nodes: &mut Vec<PackedNode>, newer: Vec<PackedNode>) {
    if !newer.is_empty() {
        *nodes = newer;
    }
}

/// Makes a messenger what the save says. Friends that it cannot take are left out.
pub(super) fn restore(save: &Save, messenger: &mut Messenger, now: Time) {
    for friend in messenger.load(now, save) {
        tracing::warn!(%friend, "a friend of the save was not added");
    }
    let at = |node: &PackedNode| (node.key, Address::udp(node.endpoint.address));
    let is_udp = |node: &&PackedNode| node.endpoint.protocol == Protocol::Udp;
    let nodes: Vec<_> = save.nodes.iter().chain(&save.path_nodes).filter(is_udp).map(at).collect();
    messenger.stack_mut().load_nodes(now, &nodes);
    for relay in &save.relays {
        messenger.stack_mut().add_relay(now, relay.endpoint.address, relay.key);
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

    /// The identity.
    pub(super) fn save_file(&self) -> PathBuf {
        self.root.join("person.tox")
    }

    /// What belongs to the identity in `person.tox` and to no other.
    pub(super) fn identitys_files(&self) -> [PathBuf; 4] {
        ["person.tox", "unfinished", "transfers.json", "requests.json"].map(|it| self.root.join(it))
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
