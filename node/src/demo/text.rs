//! The demo's default file: a real text that every Debian has.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::NodeError;

/// Where Debian keeps its licence texts (package base-files, essential).
const LICENCES: &str = "/usr/share/common-licenses";

/// Where every installed package keeps the copyright notices of what it contains.
const NOTICES: &str = "/usr/share/doc";

/// Bytes that the text should have at least.
const ENOUGH: usize = 1 << 20;

/// Writes the licence texts of this machine, and as many copyright notices as it takes, into one file
/// in `folder`. A system that has too few gets them repeated; one that has none is told so.
pub(super) fn make(folder: &Path) -> Result<PathBuf, NodeError> {
    let mut files = sorted(Path::new(LICENCES));
    files.extend(sorted(Path::new(NOTICES)).into_iter().map(|package| package.join("copyright")));
    let mut text = Vec::new();
    for file in files {
        if text.len() >= ENOUGH {
            break;
        }
        // Links between packages and folders without a notice are passed over.
        if let Ok(content) = fs::read(&file) {
            text.extend_from_slice(&content);
            text.push(b'\n');
        }
    }
    let path = folder.join("licences.txt");
    if text.is_empty() {
        let source = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(NodeError::File { path: LICENCES.into(), source });
    }
    let once = text.len();
    while text.len() < ENOUGH {
        text.extend_from_within(..once);
    }
    fs::write(&path, text).map_err(|source| NodeError::File { path: path.clone(), source })?;
    Ok(path)
}

/// The entries of a folder in the order of their names; none if it cannot be read.
fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort_unstable();
    paths
}
