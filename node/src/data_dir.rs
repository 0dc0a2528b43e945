//! The node's folder: its key, its blocks, and how its commands reach it.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Serialize};
use toktok_mesh::{Address, NodeKey, PublicKey, Rng};

use crate::error::NodeError;

/// Readable by its owner only: keys and tokens.
const PRIVATE: u32 = 0o600;

/// A node's folder. `node.key`: the seed of the node key in hexadecimal; `blocks/`: the block store;
/// `nodes.json`: whom the provider's core asks for the network at the next start; `api.json`: where the
/// running node listens, and the token that its commands must show.
#[derive(Clone, Debug)]
pub struct DataDir {
    root: PathBuf,
}

/// A node of the DHT as `nodes.json` has it.
#[derive(Debug, Deserialize, Serialize)]
struct SavedNode {
    key: String,
    address: SocketAddr,
}

/// Where the running node's control socket is.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ApiFile {
    /// A TCP address on loopback.
    pub(crate) address: SocketAddr,
    /// What a command must show: only who can read the folder may command the node.
    pub(crate) token: String,
}

impl DataDir {
    /// The folder at `root`, made if it is not there, and proven writable.
    ///
    /// # Errors
    /// [`NodeError::DataDir`] if it cannot be made or written to.
    pub fn open(root: &Path) -> Result<Self, NodeError> {
        let dir = Self { root: root.to_owned() };
        fs::create_dir_all(root).map_err(dir.error(root))?;
        let probe = root.join(".writable");
        fs::write(&probe, b"").map_err(dir.error(root))?;
        fs::remove_file(&probe).map_err(dir.error(root))?;
        Ok(dir)
    }

    /// The folder of a node that somebody else runs; nothing is made.
    pub fn existing(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The folder itself: a person's files stand in it.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the block store.
    pub fn blocks(&self) -> PathBuf {
        self.root.join("blocks")
    }

    fn key_file(&self) -> PathBuf {
        self.root.join("node.key")
    }

    fn api_file(&self) -> PathBuf {
        self.root.join("api.json")
    }

    fn error(&self, path: &Path) -> impl Fn(io::Error) -> NodeError + use<> {
        let path = path.to_owned();
        move |source| NodeError::DataDir { path: path.clone(), source }
    }

    /// The node key, drawn from `rng` and saved at the first start.
    ///
    /// # Errors
    /// [`NodeError::KeyFile`] if the file holds something else, [`NodeError::DataDir`] if it cannot
    /// be read or written.
    pub fn node_key(&self, rng: &mut Rng) -> Result<NodeKey, NodeError> {
        let path = self.key_file();
        match fs::read_to_string(&path) {
            Ok(text) => parse_seed(&text)
                .map(|seed| NodeKey::from_seed(&seed))
                .map_err(|reason| NodeError::KeyFile { path, reason }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = NodeKey::generate(rng);
                let text = data_encoding::HEXLOWER.encode(&key.expose_seed());
                write_private(&path, text.as_bytes()).map_err(self.error(&path))?;
                Ok(key)
            }
            Err(error) => Err(self.error(&path)(error)),
        }
    }

    fn nodes_file(&self) -> PathBuf {
        self.root.join("nodes.json")
    }

    /// The nodes that the provider's core knew when it was last written; none if that cannot be read, for
    /// they are but hints.
    pub(crate) fn saved_nodes(&self) -> Vec<(PublicKey, Address)> {
        let path = self.nodes_file();
        let Ok(text) = fs::read(&path) else { return Vec::new() };
        let nodes: Vec<SavedNode> = serde_json::from_slice(&text).unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), %error, "nodes of the last run are lost");
            Vec::new()
        });
        let node = |it: &SavedNode| Some((it.key.parse().ok()?, Address::udp(it.address)));
        nodes.iter().filter_map(node).collect()
    }

    /// Keeps the nodes that the provider's core knows. If it knows none, those of before stay.
    pub(crate) fn save_nodes(&self, nodes: &[(PublicKey, Address)]) -> io::Result<()> {
        let node = |(key, address): &(PublicKey, Address)| {
            Some(SavedNode { key: key.to_string(), address: address.as_udp()? })
        };
        let nodes: Vec<SavedNode> = nodes.iter().filter_map(node).collect();
        if nodes.is_empty() {
            return Ok(());
        }
        write_private(&self.nodes_file(), &serde_json::to_vec(&nodes)?)
    }

    /// Takes the folder for this process, until the file is closed: by a running node, or by a command that
    /// changes what belongs to one. `None` if another process has it.
    ///
    /// # Errors
    /// [`NodeError::DataDir`] if the file that stands for it cannot be had.
    pub(crate) fn lock(&self) -> Result<Option<fs::File>, NodeError> {
        let path = self.root.join("lock");
        let file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(PRIVATE)
            .open(&path)
            .map_err(self.error(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(self.error(&path)(error)),
        }
    }

    pub(crate) fn write_api(&self, api: &ApiFile) -> Result<(), NodeError> {
        let path = self.api_file();
        let text = serde_json::to_string(api).map_err(|error| NodeError::Api(error.to_string()))?;
        write_private(&path, text.as_bytes()).map_err(self.error(&path))
    }

    pub(crate) fn remove_api(&self) {
        // A leftover is harmless: a command that finds nobody there says that no node runs.
        let _ = fs::remove_file(self.api_file());
    }

    pub(crate) fn read_api(&self) -> Result<ApiFile, NodeError> {
        let text = fs::read_to_string(self.api_file())
            .map_err(|_| NodeError::NotRunning { path: self.root.clone() })?;
        serde_json::from_str(&text)
            .map_err(|error| NodeError::Api(format!("{}: {error}", self.api_file().display())))
    }
}

fn parse_seed(text: &str) -> Result<[u8; 32], String> {
    let bytes = HEXLOWER_PERMISSIVE
        .decode(text.trim().as_bytes())
        .map_err(|error| format!("not hexadecimal ({error})"))?;
    bytes
        .try_into()
        .map_err(|bytes: Vec<u8>| format!("{} bytes where 32 are expected", bytes.len()))
}

/// Writes a file that only its owner reads, whole or not at all: beside it first, then renamed.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(PRIVATE).open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_same_at_the_second_start_and_damage_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(folder.path()).unwrap();
        let mut rng = Rng::from_seed([1; 32]);
        let key = dir.node_key(&mut rng).unwrap();
        assert_eq!(dir.node_key(&mut rng).unwrap().id(), key.id());
        fs::write(dir.key_file(), "abcd").unwrap();
        let error = dir.node_key(&mut rng).unwrap_err().to_string();
        assert!(error.contains("2 bytes where 32"), "{error}");
    }

    #[test]
    fn nodes_are_kept_and_damage_costs_nothing_but_them() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(folder.path()).unwrap();
        assert_eq!(dir.saved_nodes(), []);
        let nodes = ["192.0.2.1:33445", "[2001:db8::1]:33445"]
            .map(|at| (PublicKey([7; 32]), Address::udp(at.parse().unwrap())));
        dir.save_nodes(&nodes).unwrap();
        dir.save_nodes(&[]).unwrap();
        assert_eq!(dir.saved_nodes(), nodes);
        fs::write(dir.nodes_file(), "[{").unwrap();
        assert_eq!(dir.saved_nodes(), []);
    }

    #[test]
    fn a_folder_is_one_processs_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(folder.path()).unwrap();
        let held = dir.lock().unwrap();
        assert!(held.is_some() && dir.lock().unwrap().is_none());
        drop(held);
        assert!(dir.lock().unwrap().is_some());
    }

    #[test]
    fn a_file_in_the_way_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = DataDir::open(&file.join("sub")).unwrap_err().to_string();
        assert!(error.contains("--data-dir"), "{error}");
    }

    #[test]
    fn without_a_node_the_command_says_how_to_start_one() {
        let folder = tempfile::tempdir().unwrap();
        let error = DataDir::existing(folder.path()).read_api().unwrap_err().to_string();
        assert!(error.contains("toktok run"), "{error}");
    }
}
