//! The root block of a file: its length, and either its content or the topmost addresses.
//!
//! | bytes | field |
//! |---|---|
//! | 1 | version, 1 |
//! | 1 | kind: 0 a file, 1 a directory |
//! | 6 | zeros |
//! | 8 | length of the content, big-endian |
//! | 32·n | addresses of the topmost level's blocks, or the content itself, encrypted once more |
//! | rest | zeros |
//!
//! All of it is encrypted under the verify key. How many addresses there are follows from the length.

use bytes::Bytes;
use toktok_wire::{DecodeError, Reader};

use super::layout::{Layout, MAX_LENGTH};
use crate::block::{Block, BlockAddress, BlockError, BlockSize, FileKeys, Position};
use crate::capability::FileKind;

/// The version that this module reads and writes.
const VERSION: u8 = 1;

/// What a root holds beside its header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Body {
    /// The content, encrypted under the content key.
    Inline(Vec<u8>),
    /// The addresses of the topmost level's blocks.
    Addresses(Vec<BlockAddress>),
}

/// A decoded root block.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Root {
    kind: FileKind,
    layout: Layout,
    body: Body,
}

/// Why a root block could not be opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RootError {
    /// It does not decode: the key belongs to another file, or whoever made it made a mistake.
    #[error("the root block is not readable with this key: {0}")]
    Decode(#[from] DecodeError),
    /// It was made by a later version.
    #[error("root version {0} is not known: a newer program made it")]
    Version(u8),
    /// The block is not a small one.
    #[error(transparent)]
    Block(#[from] BlockError),
}

impl Root {
    /// The root of content so short that it lies in the root itself; `None` if it is too long, or if
    /// the keys cannot encrypt content.
    pub fn inline(kind: FileKind, content: &[u8], keys: &FileKeys) -> Option<Self> {
        let layout = Layout::new(content.len() as u64).filter(Layout::is_inline)?;
        let mut ciphertext = content.to_vec();
        let encrypted = keys.apply_data(Position::INLINE, &mut ciphertext);
        encrypted.then_some(Self { kind, layout, body: Body::Inline(ciphertext) })
    }

    /// The root above `addresses`; `None` if their number is not the layout's.
    pub fn above(kind: FileKind, layout: Layout, addresses: Vec<BlockAddress>) -> Option<Self> {
        let fits = !layout.is_inline() && addresses.len() == layout.root_addresses();
        fits.then_some(Self { kind, layout, body: Body::Addresses(addresses) })
    }

    /// What the file is.
    pub const fn kind(&self) -> FileKind {
        self.kind
    }

    /// Where its blocks stand.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Content or addresses.
    pub const fn body(&self) -> &Body {
        &self.body
    }

    /// The inline content, decrypted; `None` if there is none or the keys cannot read.
    pub fn content(&self, keys: &FileKeys) -> Option<Bytes> {
        let Body::Inline(ciphertext) = &self.body else { return None };
        let mut content = ciphertext.clone();
        keys.apply_data(Position::INLINE, &mut content).then(|| content.into())
    }

    /// The root's plaintext, one small block long.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(BlockSize::Small.bytes());
        out.extend_from_slice(&[VERSION, self.kind.code(), 0, 0, 0, 0, 0, 0]);
        out.extend_from_slice(&self.layout.length().to_be_bytes());
        match &self.body {
            Body::Inline(ciphertext) => out.extend_from_slice(ciphertext),
            Body::Addresses(addresses) => {
                addresses.iter().for_each(|address| out.extend_from_slice(address.as_bytes()));
            }
        }
        out.resize(BlockSize::Small.bytes(), 0);
        out
    }

    /// Reads a root's plaintext.
    ///
    /// # Errors
    /// [`RootError::Version`] and [`RootError::Decode`]. Accepted bytes encode to themselves.
    pub fn decode(bytes: &[u8]) -> Result<Self, RootError> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8()?;
        let kind = FileKind::from_code(reader.u8()?);
        let reserved: [u8; 6] = reader.array()?;
        // A wrong key gives noise: only a header that is otherwise sound tells of a later version.
        if version != VERSION {
            return Err(if reserved == [0; 6] {
                RootError::Version(version)
            } else {
                DecodeError::Invalid("root").into()
            });
        }
        let kind = kind.filter(|_| reserved == [0; 6]).ok_or(DecodeError::Invalid("root kind"))?;
        let length = reader.u64()?;
        let layout = Layout::new(length).ok_or(DecodeError::Limit {
            what: "file length",
            limit: MAX_LENGTH as usize,
            got: usize::try_from(length).unwrap_or(usize::MAX),
        })?;
        let body = if layout.is_inline() {
            Body::Inline(reader.take(length as usize)?.to_vec())
        } else {
            let addresses = (0..layout.root_addresses()).map(|_| reader.array().map(BlockAddress));
            Body::Addresses(addresses.collect::<Result<_, _>>()?)
        };
        let padding = reader.take_rest();
        if bytes.len() != BlockSize::Small.bytes() || padding.iter().any(|byte| *byte != 0) {
            return Err(DecodeError::Invalid("root padding").into());
        }
        Ok(Self { kind, layout, body })
    }

    /// The root as a block.
    ///
    /// # Errors
    /// Never for a root that this module made; the type says so by [`BlockError`].
    pub fn seal(&self, keys: &FileKeys) -> Result<Block, BlockError> {
        let mut bytes = self.encode();
        keys.apply_structure(Position::ROOT, &mut bytes);
        Block::new(bytes.into())
    }

    /// Opens a root block.
    ///
    /// # Errors
    /// [`RootError`] says why it is none, or not one of these keys.
    pub fn open(block: &Block, keys: &FileKeys) -> Result<Self, RootError> {
        if block.size() != BlockSize::Small {
            return Err(BlockError::Length(block.size().bytes()).into());
        }
        let mut bytes = block.bytes().to_vec();
        keys.apply_structure(Position::ROOT, &mut bytes);
        Self::decode(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::layout::INLINE_LIMIT;
    use super::*;
    use crate::block::ReadKey;

    fn keys() -> FileKeys {
        FileKeys::reader(&ReadKey::from_bytes([1; 32]))
    }

    fn roots() -> impl Strategy<Value = Root> {
        let kind = prop_oneof![Just(FileKind::File), Just(FileKind::Directory)];
        (kind, prop_oneof![0..=INLINE_LIMIT, 0..=MAX_LENGTH], any::<u8>()).prop_map(
            |(kind, length, fill)| {
                let layout = Layout::new(length).unwrap();
                if layout.is_inline() {
                    return Root::inline(kind, &vec![fill; length as usize], &keys()).unwrap();
                }
                let addresses = vec![BlockAddress([fill; 32]); layout.root_addresses()];
                Root::above(kind, layout, addresses).unwrap()
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn roots_come_back(root in roots()) {
            let bytes = root.encode();
            prop_assert_eq!(bytes.len(), 4096);
            prop_assert_eq!(Root::decode(&bytes), Ok(root.clone()));
            let block = root.seal(&keys()).unwrap();
            prop_assert_eq!(Root::open(&block, &keys()), Ok(root));
        }

        #[test]
        fn accepted_bytes_encode_to_themselves(root in roots(), at in 0_usize..4096, byte: u8) {
            let mut bytes = root.encode();
            bytes[at] = byte;
            if let Ok(root) = Root::decode(&bytes) {
                prop_assert_eq!(root.encode(), bytes);
            }
        }

        #[test]
        fn noise_and_prefixes_are_refused(root in roots(), noise: Vec<u8>, cut in 0_usize..4096) {
            prop_assert!(Root::decode(&noise).is_err());
            prop_assert!(Root::decode(&root.encode()[..cut]).is_err());
        }
    }

    #[test]
    fn another_key_does_not_open_it_and_a_verifier_does_not_read_it() {
        let root = Root::inline(FileKind::File, b"secret", &keys()).unwrap();
        let block = root.seal(&keys()).unwrap();
        let other = FileKeys::reader(&ReadKey::from_bytes([2; 32]));
        assert!(matches!(Root::open(&block, &other), Err(RootError::Decode(_))));
        let verifier = FileKeys::verifier(&ReadKey::from_bytes([1; 32]).verify_key());
        let opened = Root::open(&block, &verifier).unwrap();
        assert_eq!(opened.content(&verifier), None);
        assert_eq!(opened.content(&keys()).as_deref(), Some(&b"secret"[..]));
        assert!(!opened.encode().windows(6).any(|window| window == b"secret"));
        assert_eq!(Root::inline(FileKind::File, b"", &verifier), None);
    }

    #[test]
    fn a_later_version_is_told_apart_from_noise() {
        let mut bytes = Root::inline(FileKind::File, b"x", &keys()).unwrap().encode();
        bytes[0] = 2;
        assert_eq!(Root::decode(&bytes), Err(RootError::Version(2)));
        bytes[4] = 9;
        assert!(matches!(Root::decode(&bytes), Err(RootError::Decode(_))));
    }
}
