//! What the rules know of the workspace: its layers, what each depends on, and its files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command::{Outcome, metadata};

/// A crate that belongs to a layer, with what it may be built on.
pub(super) struct Layer {
    pub(super) name: &'static str,
    /// Other crates of the workspace that it may depend on.
    pub(super) may_know: &'static [&'static str],
    /// Packages that must not be in its tree when its features are off.
    pub(super) never_in_tree: &'static [&'static str],
    /// Folders or files in `src` that are not protocol; empty if the crate has no protocol at all.
    pub(super) outside_protocol: &'static [&'static str],
}

const WIRE: &str = "toktok-wire";
const MESH: &str = "toktok-mesh";
const TDFS: &str = "toktok-tdfs";
const TDC: &str = "toktok-tdc";
const NODE: &str = "toktok-node";

/// What belongs to runtimes and engines, never to a protocol.
const HEAVY: &[&str] =
    &["tokio", "mio", "socket2", "quinn", "rocksdb", "librocksdb-sys", "wasmtime"];

/// The layers, lowest first.
pub(super) const LAYERS: [Layer; 4] = [
    Layer { name: WIRE, may_know: &[], never_in_tree: HEAVY, outside_protocol: &["runtime"] },
    Layer { name: MESH, may_know: &[WIRE], never_in_tree: HEAVY, outside_protocol: &["runtime"] },
    Layer {
        name: TDFS,
        may_know: &[WIRE, MESH],
        never_in_tree: HEAVY,
        outside_protocol: &["runtime"],
    },
    Layer {
        name: TDC,
        may_know: &[WIRE, MESH, TDFS],
        never_in_tree: HEAVY,
        outside_protocol: &["runtime", "engine"],
    },
];

/// The program on top, which may know all layers and has no protocol.
pub(super) const TOP: &str = NODE;

/// A crate of the workspace.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) folder: PathBuf,
    /// Names of what it depends on when it is used (not for tests, not for its build script).
    pub(super) dependencies: BTreeSet<String>,
}

/// The crates of a workspace.
pub(super) struct Workspace {
    pub(super) root: PathBuf,
    pub(super) members: Vec<Member>,
}

impl Workspace {
    /// Asks cargo; reads manifests only, so it needs neither a lock file nor a registry.
    pub(super) fn load(root: &Path) -> Outcome<Self> {
        let metadata = metadata(root)?;
        let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(Self { root: root.to_path_buf(), members: packages.iter().map(member).collect() })
    }

    /// The member of this name.
    pub(super) fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }
}

fn member(package: &Value) -> Member {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let manifest = PathBuf::from(text(&package["manifest_path"]));
    let dependencies = package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
    Member {
        name: text(&package["name"]),
        version: text(&package["version"]),
        folder: manifest.parent().map(Path::to_path_buf).unwrap_or_default(),
        // Cargo names the kinds "dev" and "build", and says null for the normal one.
        dependencies: dependencies
            .iter()
            .filter(|dependency| dependency["kind"].is_null())
            .map(|dependency| text(&dependency["name"]))
            .collect(),
    }
}

/// Folders that hold nothing written by hand for this repository.
const SKIPPED: [&str; 4] = ["target", ".git", "book", "corpus"];

/// All files under `folder`, in order, with their paths relative to `root`.
pub(super) fn files(root: &Path, folder: &Path) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    collect(folder, &mut found);
    found.sort();
    let relative = |path: PathBuf| {
        let place = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        (place, path)
    };
    found.into_iter().map(relative).collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            if !SKIPPED.iter().any(|skipped| name == *skipped) {
                collect(&path, found);
            }
        } else {
            found.push(path);
        }
    }
}
