//! Manifests: the content of a directory, so that a whole folder has one capability.
//!
//! A count (4 bytes), then for each entry, in strictly ascending order of names: the capability
//! (65 bytes, [`Capability::LEN`]), the size in bytes (8), the name (1 byte of length, UTF-8), the
//! media type (1 byte of length, ASCII). Integers are big-endian.

use toktok_wire::{Decode, DecodeError, Encode, Reader};

use crate::capability::Capability;

/// Most entries of a directory. Larger folders are split by whoever makes them.
pub const MAX_ENTRIES: usize = 65_536;
/// Longest name, in bytes: what file systems take.
pub const MAX_NAME: usize = 255;
/// Longest media type, in bytes (RFC 6838, section 4.2, recommends at most 64 for each half).
pub const MAX_MEDIA_TYPE: usize = 127;
/// Longest manifest that is worth fetching into memory, in bytes.
pub const MAX_MANIFEST: u64 = 32 << 20;
/// Bytes of an entry with the shortest name and no media type.
const MIN_ENTRY: usize = Capability::LEN + 8 + 1 + 1 + 1;

/// Why something is not an entry of a directory.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// A name that some file system would take for something else.
    #[error(
        "a name has 1 to {MAX_NAME} bytes, is neither \".\" nor \"..\", and has no '/', '\\' or control character"
    )]
    Name,
    /// A media type that is too long or not printable ASCII.
    #[error("a media type has at most {MAX_MEDIA_TYPE} printable ASCII characters")]
    MediaType,
    /// Two entries of one name.
    #[error("two entries have the same name")]
    Duplicate,
    /// Too many entries.
    #[error("a directory has at most {MAX_ENTRIES} entries")]
    Full,
}

/// One name in a directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    name: String,
    media_type: String,
    /// Length of the file in bytes, or of all files beneath a directory, as its maker counted it.
    pub size: u64,
    /// Where it is; says also whether it is a file or a directory.
    pub capability: Capability,
}

/// True if `name` is safe to use as the name of a file on any system.
fn is_name(name: &str) -> bool {
    let illegal = |c: char| matches!(c, '/' | '\\') || c.is_control();
    !name.is_empty()
        && name.len() <= MAX_NAME
        && !matches!(name, "." | "..")
        && !name.contains(illegal)
}

/// True if `media_type` is short and printable.
fn is_media_type(media_type: &str) -> bool {
    media_type.len() <= MAX_MEDIA_TYPE && media_type.bytes().all(|b| matches!(b, 0x20..=0x7e))
}

impl Entry {
    /// An entry; the media type may be empty ("unknown").
    ///
    /// # Errors
    /// [`ManifestError::Name`] and [`ManifestError::MediaType`].
    pub fn new(
        name: impl Into<String>,
        media_type: impl Into<String>,
        size: u64,
        capability: Capability,
    ) -> Result<Self, ManifestError> {
        let (name, media_type) = (name.into(), media_type.into());
        if !is_name(&name) {
            return Err(ManifestError::Name);
        }
        if !is_media_type(&media_type) {
            return Err(ManifestError::MediaType);
        }
        Ok(Self { name, media_type, size, capability })
    }

    /// The name: no separator, nothing that leads out of the directory.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The media type, for example `text/plain`; empty if unknown.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }
}

/// The content of a directory: entries in ascending order of names (by bytes), each name once.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Manifest {
    entries: Vec<Entry>,
}

impl Manifest {
    /// A manifest of these entries, in any order.
    ///
    /// # Errors
    /// [`ManifestError::Duplicate`] and [`ManifestError::Full`].
    pub fn new(mut entries: Vec<Entry>) -> Result<Self, ManifestError> {
        if entries.len() > MAX_ENTRIES {
            return Err(ManifestError::Full);
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let same = |pair: &[Entry]| matches!(pair, [a, b] if a.name == b.name);
        if entries.windows(2).any(same) {
            return Err(ManifestError::Duplicate);
        }
        Ok(Self { entries })
    }

    /// The entries in ascending order of names.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry called `name`.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        let found = self.entries.binary_search_by(|entry| entry.name.as_str().cmp(name));
        found.ok().and_then(|index| self.entries.get(index))
    }
}

impl Encode for Entry {
    fn encoded_len(&self) -> usize {
        Capability::LEN + 8 + 1 + self.name.len() + 1 + self.media_type.len()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.capability.encode(out);
        out.extend_from_slice(&self.size.to_be_bytes());
        for text in [&self.name, &self.media_type] {
            // Both lengths are checked where an entry is made.
            out.push(text.len() as u8);
            out.extend_from_slice(text.as_bytes());
        }
    }
}

/// A text of up to 255 bytes behind its length.
fn text<'a>(reader: &mut Reader<'a>) -> Result<&'a str, DecodeError> {
    let length = usize::from(reader.u8()?);
    core::str::from_utf8(reader.take(length)?).map_err(|_| DecodeError::Invalid("UTF-8"))
}

impl<'a> Decode<'a> for Entry {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let capability = Capability::decode(reader)?;
        let size = reader.u64()?;
        let name = text(reader)?;
        let media_type = text(reader)?;
        Self::new(name, media_type, size, capability)
            .map_err(|_| DecodeError::Invalid("directory entry"))
    }
}

impl Encode for Manifest {
    fn encoded_len(&self) -> usize {
        4 + self.entries.iter().map(Entry::encoded_len).sum::<usize>()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.entries.len() as u32).to_be_bytes());
        self.entries.iter().for_each(|entry| entry.encode(out));
    }
}

impl<'a> Decode<'a> for Manifest {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = reader.u32()? as usize;
        if count > MAX_ENTRIES {
            let what = "directory entries";
            return Err(DecodeError::Limit { what, limit: MAX_ENTRIES, got: count });
        }
        // A count alone reserves nothing that the bytes do not back.
        let mut entries = Vec::with_capacity(count.min(reader.remaining() / MIN_ENTRY));
        for _ in 0..count {
            let entry = Entry::decode(reader)?;
            if entries.last().is_some_and(|last: &Entry| last.name >= entry.name) {
                return Err(DecodeError::Invalid("order of names"));
            }
            entries.push(entry);
        }
        Ok(Self { entries })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::block::{BlockAddress, ReadKey};
    use crate::capability::{Access, FileKind};

    fn capability(fill: u8) -> Capability {
        let access = Access::Read(ReadKey::from_bytes([fill; 32]));
        Capability { kind: FileKind::File, root: BlockAddress([fill; 32]), access }
    }

    fn entries() -> impl Strategy<Value = Vec<Entry>> {
        let name = "[a-zA-Z0-9 ._ä-]{1,20}".prop_filter("a name", |name| is_name(name));
        let names = proptest::collection::btree_set(name, 0..8);
        (names, any::<u8>(), any::<u64>()).prop_map(|(names, fill, size)| {
            let entry = |name| Entry::new(name, "text/plain", size, capability(fill)).unwrap();
            names.into_iter().map(entry).collect()
        })
    }

    proptest! {
        #[test]
        fn manifests_come_back(mut entries in entries()) {
            entries.reverse();
            let manifest = Manifest::new(entries).unwrap();
            let bytes = manifest.to_bytes();
            let decoded = Manifest::from_bytes(&bytes);
            prop_assert_eq!(decoded.as_ref(), Ok(&manifest));
            for entry in manifest.entries() {
                prop_assert_eq!(manifest.entry(entry.name()), Some(entry));
            }
            for cut in 0..bytes.len() {
                prop_assert!(Manifest::from_bytes(&bytes[..cut]).is_err());
            }
        }

        #[test]
        fn accepted_bytes_encode_to_themselves(
            entries in entries(), at: proptest::sample::Index, byte: u8,
        ) {
            let mut bytes = Manifest::new(entries).unwrap().to_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(manifest) = Manifest::from_bytes(&bytes) {
                prop_assert_eq!(manifest.to_bytes(), bytes);
            }
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let long = "x".repeat(256);
        for name in ["", ".", "..", "a/b", "/", "a\\b", "nul\0", "line\n", long.as_str()] {
            let entry = Entry::new(name, "", 0, capability(1));
            assert_eq!(entry, Err(ManifestError::Name), "{name:?}");
        }
        assert!(Entry::new("x".repeat(255), "", 0, capability(1)).is_ok());
        let entry = Entry::new("a", "text/\u{e9}", 0, capability(1));
        assert_eq!(entry, Err(ManifestError::MediaType));
    }

    #[test]
    fn a_name_stands_once() {
        let entry = Entry::new("a", "", 0, capability(1)).unwrap();
        let twice = vec![entry.clone(), entry.clone()];
        assert_eq!(Manifest::new(twice.clone()), Err(ManifestError::Duplicate));
        let bytes = Manifest { entries: twice }.to_bytes();
        let expected = Err(DecodeError::Invalid("order of names"));
        assert_eq!(Manifest::from_bytes(&bytes), expected);
    }

    #[test]
    fn a_large_count_without_bytes_reserves_nothing() {
        assert!(Manifest::from_bytes(&65_536_u32.to_be_bytes()).is_err());
        let expected = DecodeError::Limit { what: "directory entries", limit: 65_536, got: 65_537 };
        assert_eq!(Manifest::from_bytes(&65_537_u32.to_be_bytes()), Err(expected));
    }
}
