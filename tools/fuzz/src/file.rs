//! What a file's maker wrote and everybody else must read: capabilities, roots, manifests.

use toktok_tdfs::capability::Capability;
use toktok_tdfs::file::{Manifest, Root};

use crate::check::canonical;

/// The printable form, which has exactly one spelling, and the form in a manifest.
pub fn capability(data: &[u8]) {
    canonical::<Capability>(data);
    if let Ok(text) = core::str::from_utf8(data)
        && let Ok(capability) = text.parse::<Capability>()
    {
        assert_eq!(capability.to_string(), text);
    }
}

/// The plaintext of a root block.
pub fn root(data: &[u8]) {
    // Shorter input stands for a root that is filled with zeros.
    let mut bytes = data.to_vec();
    bytes.resize(bytes.len().max(4096), 0);
    if let Ok(root) = Root::decode(&bytes) {
        assert_eq!(root.encode(), bytes, "accepted bytes do not re-encode to themselves");
        assert!(root.layout().root_addresses() <= 127);
    }
}

/// The content of a directory.
pub fn manifest(data: &[u8]) {
    if let Some(manifest) = canonical::<Manifest>(data) {
        for entry in manifest.entries() {
            assert!(!entry.name().contains(['/', '\\', '\0']));
            assert_eq!(manifest.entry(entry.name()), Some(entry));
        }
    }
}
