//! Capabilities: printable keys that say where data is and how to decrypt it.
//!
//! `toktok:` and 112 letters of base32 (RFC 4648, lower-case, no padding) of 70 bytes:
//!
//! | bytes | field |
//! |---|---|
//! | 1 | version, 1 |
//! | 1 | kind: bit 0 a directory, bit 7 verify-only, the others zero |
//! | 32 | address of the root block |
//! | 32 | read key, or verify key if verify-only |
//! | 4 | checksum: the first bytes of BLAKE3 of the 66 before |
//!
//! Who holds the read form can read and can make the verify-only form; who holds that one can check
//! that the data is still there and repair it, and never read it.

use core::fmt;
use core::str::FromStr;

use data_encoding::BASE32_NOPAD;
use toktok_wire::{Decode, DecodeError, Encode, Reader};

use crate::block::cipher::KEY_LEN;
use crate::block::{BlockAddress, FileKeys, ReadKey, VerifyKey};

/// What every capability's text begins with.
pub const PREFIX: &str = "toktok:";
/// Length of a capability's text, in bytes: the prefix and 112 letters.
pub const TEXT_LEN: usize = PREFIX.len() + LETTERS;
/// Letters after the prefix: 70 bytes of five bits a letter.
const LETTERS: usize = 112;
/// The version that this module reads and writes.
const VERSION: u8 = 1;
/// Bytes under the checksum.
const BODY: usize = 2 + BlockAddress::LEN + KEY_LEN;
/// Bytes of checksum: a wrong letter passes once in 2^32.
const CHECKSUM: usize = 4;
/// Kind bit: the root is a directory's.
const DIRECTORY: u8 = 0x01;
/// Kind bit: the key is a verify key.
const VERIFY_ONLY: u8 = 0x80;

/// What lies behind a root.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum FileKind {
    /// Bytes.
    File,
    /// A manifest ([`crate::file::Manifest`]) that names other capabilities.
    Directory,
}

impl FileKind {
    /// The number that stands for it in roots and capabilities.
    pub const fn code(self) -> u8 {
        match self {
            Self::File => 0,
            Self::Directory => DIRECTORY,
        }
    }

    /// The kind of a number.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::File),
            DIRECTORY => Some(Self::Directory),
            _ => None,
        }
    }
}

/// The key in a capability.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Access {
    /// The content may be read.
    Read(ReadKey),
    /// The content may be checked and repaired, not read.
    Verify(VerifyKey),
}

/// Where data is and how to decrypt it. Its text is a secret of whoever may read.
#[derive(Clone, Eq, PartialEq)]
pub struct Capability {
    /// What lies behind the root.
    pub kind: FileKind,
    /// The root block.
    pub root: BlockAddress,
    /// What the holder may do.
    pub access: Access,
}

/// Why a text is not a capability. Positions count characters from 1, over the whole text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CapabilityError {
    /// It does not begin with [`PREFIX`].
    #[error("a capability begins with \"{PREFIX}\"")]
    Prefix,
    /// A character that is not one of base32's.
    #[error(
        "character {character:?} at position {position} is illegal: after \"{PREFIX}\" only a-z and 2-7 are allowed"
    )]
    Character {
        /// Where it stands.
        position: usize,
        /// Which it is.
        character: char,
    },
    /// Too short.
    #[error(
        "the text ends at position {position}, a capability has {TEXT_LEN} characters: is it cut off?"
    )]
    TooShort {
        /// The last character's position.
        position: usize,
    },
    /// Too long.
    #[error(
        "a capability has {TEXT_LEN} characters: remove what follows, from position {position} on"
    )]
    TooLong {
        /// The first surplus character's position.
        position: usize,
    },
    /// A letter is wrong.
    #[error("checksum fails: at least one letter is wrong")]
    Checksum,
    /// It was made by a later version.
    #[error("capability version {0} is not known: a newer program made it")]
    Version(u8),
    /// A kind that this version does not know.
    #[error("capability kind {0:#04x} is not known")]
    Kind(u8),
}

impl Capability {
    /// Bytes of a capability in a manifest: kind, address and key.
    pub const LEN: usize = 1 + BlockAddress::LEN + KEY_LEN;

    /// The same data for somebody who shall keep it alive and not read it.
    #[must_use]
    pub fn verify_only(&self) -> Self {
        let access = match &self.access {
            Access::Read(key) => Access::Verify(key.verify_key()),
            Access::Verify(key) => Access::Verify(key.clone()),
        };
        Self { access, ..self.clone() }
    }

    /// True if the holder may read.
    pub const fn can_read(&self) -> bool {
        matches!(self.access, Access::Read(_))
    }

    /// The keys to work with.
    pub fn keys(&self) -> FileKeys {
        match &self.access {
            Access::Read(key) => FileKeys::reader(key),
            Access::Verify(key) => FileKeys::verifier(key),
        }
    }

    /// The kind byte.
    const fn kind_code(&self) -> u8 {
        match self.access {
            Access::Read(_) => self.kind.code(),
            Access::Verify(_) => self.kind.code() | VERIFY_ONLY,
        }
    }

    /// The kind and the access of a kind byte and a key.
    fn from_parts(code: u8, root: BlockAddress, key: [u8; KEY_LEN]) -> Option<Self> {
        let kind = FileKind::from_code(code & !VERIFY_ONLY)?;
        let access = if code & VERIFY_ONLY == 0 {
            Access::Read(ReadKey::from_bytes(key))
        } else {
            Access::Verify(VerifyKey::from_bytes(key))
        };
        Some(Self { kind, root, access })
    }
}

impl Encode for Capability {
    fn encoded_len(&self) -> usize {
        Self::LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.kind_code());
        out.extend_from_slice(self.root.as_bytes());
        out.extend_from_slice(match &self.access {
            Access::Read(key) => key.as_bytes(),
            Access::Verify(key) => key.as_bytes(),
        });
    }
}

impl<'a> Decode<'a> for Capability {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let code = reader.u8()?;
        let root = BlockAddress(reader.array()?);
        Self::from_parts(code, root, reader.array()?).ok_or(DecodeError::Invalid("capability kind"))
    }
}

/// The checksum of a capability's first bytes.
fn checksum(body: &[u8]) -> [u8; CHECKSUM] {
    let hash = blake3::hash(body);
    let [a, b, c, d, ..] = *hash.as_bytes();
    [a, b, c, d]
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(BODY + CHECKSUM);
        bytes.push(VERSION);
        self.encode(&mut bytes);
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum);
        write!(f, "{PREFIX}{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
    }
}

impl fmt::Debug for Capability {
    /// Everything but the key: traces are not the place for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = if self.can_read() { "read" } else { "verify-only" };
        write!(f, "Capability({:?}, {:?}, {form})", self.kind, self.root)
    }
}

impl FromStr for Capability {
    type Err = CapabilityError;

    /// Reads the text exactly as [`fmt::Display`] writes it: no other spelling is accepted.
    fn from_str(text: &str) -> Result<Self, CapabilityError> {
        let letters = text.strip_prefix(PREFIX).ok_or(CapabilityError::Prefix)?;
        let is_letter = |c: char| matches!(c, 'a'..='z' | '2'..='7');
        // A surplus or a missing part is told before what may be wrong within it.
        for (index, character) in letters.chars().enumerate() {
            let position = PREFIX.len() + index + 1;
            if index >= LETTERS {
                return Err(CapabilityError::TooLong { position });
            }
            if !is_letter(character) {
                return Err(CapabilityError::Character { position, character });
            }
        }
        if letters.len() < LETTERS {
            return Err(CapabilityError::TooShort { position: text.len() });
        }
        // After the checks above this cannot fail; mapped, not unwrapped.
        let bytes = BASE32_NOPAD
            .decode(letters.to_ascii_uppercase().as_bytes())
            .map_err(|_| CapabilityError::Checksum)?;
        Self::from_checked(&bytes)
    }
}

impl Capability {
    /// The capability in 70 decoded bytes.
    fn from_checked(bytes: &[u8]) -> Result<Self, CapabilityError> {
        let (body, sum) = bytes.split_at_checked(BODY).ok_or(CapabilityError::Checksum)?;
        if sum != checksum(body) {
            return Err(CapabilityError::Checksum);
        }
        match body {
            [VERSION, rest @ ..] => Self::from_bytes(rest)
                .map_err(|_| CapabilityError::Kind(rest.first().copied().unwrap_or_default())),
            [version, ..] => Err(CapabilityError::Version(*version)),
            [] => Err(CapabilityError::Checksum),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn capability(code: u8, root: [u8; 32], key: [u8; 32]) -> Capability {
        Capability::from_parts(code, BlockAddress(root), key).unwrap()
    }

    fn kinds() -> impl Strategy<Value = u8> {
        prop_oneof![Just(0x00), Just(0x01), Just(0x80), Just(0x81)]
    }

    proptest! {
        #[test]
        fn text_and_bytes_come_back(code in kinds(), root: [u8; 32], key: [u8; 32]) {
            let capability = capability(code, root, key);
            let text = capability.to_string();
            prop_assert_eq!(text.len(), TEXT_LEN);
            prop_assert_eq!(text.parse::<Capability>(), Ok(capability.clone()));
            prop_assert_eq!(Capability::from_bytes(&capability.to_bytes()), Ok(capability));
        }

        #[test]
        fn any_other_character_anywhere_is_refused(
            key: [u8; 32], at in 0..TEXT_LEN, other in any::<char>(),
        ) {
            let text = capability(0, [7; 32], key).to_string();
            let mut characters: Vec<char> = text.chars().collect();
            prop_assume!(characters[at] != other);
            characters[at] = other;
            let changed: String = characters.into_iter().collect();
            let error = changed.parse::<Capability>().unwrap_err();
            match error {
                CapabilityError::Prefix => prop_assert!(at < PREFIX.len()),
                CapabilityError::Character { position, character } => {
                    prop_assert_eq!((position, character), (at + 1, other));
                }
                CapabilityError::Checksum => prop_assert!(at >= PREFIX.len()),
                _ => prop_assert!(false, "{error:?}"),
            }
        }

        #[test]
        fn every_prefix_is_refused(key: [u8; 32], cut in 0..TEXT_LEN) {
            let text = capability(0, [7; 32], key).to_string();
            let expected = if cut < PREFIX.len() {
                CapabilityError::Prefix
            } else {
                CapabilityError::TooShort { position: cut }
            };
            prop_assert_eq!(text[..cut].parse::<Capability>(), Err(expected));
        }

        #[test]
        fn no_text_panics(text: String) {
            prop_assert!(text.parse::<Capability>().is_err());
        }
    }

    #[test]
    fn every_single_letter_change_is_refused() {
        let text = capability(0, [7; 32], [9; 32]).to_string();
        for at in PREFIX.len()..TEXT_LEN {
            for letter in b"abcdefghijklmnopqrstuvwxyz234567" {
                let mut bytes = text.clone().into_bytes();
                if bytes[at] != *letter {
                    bytes[at] = *letter;
                    let changed = String::from_utf8(bytes).unwrap();
                    assert_eq!(changed.parse::<Capability>(), Err(CapabilityError::Checksum));
                }
            }
        }
    }

    #[test]
    fn errors_say_where() {
        let text = capability(0, [7; 32], [9; 32]).to_string();
        let upper = text.to_uppercase().replace("TOKTOK:", PREFIX);
        let first = text[PREFIX.len()..].find(char::is_alphabetic).unwrap();
        assert!(matches!(
            upper.parse::<Capability>(),
            Err(CapabilityError::Character { position, .. }) if position == PREFIX.len() + first + 1
        ));
        let long = format!("{text}é");
        let error = long.parse::<Capability>().unwrap_err();
        assert_eq!(error, CapabilityError::TooLong { position: TEXT_LEN + 1 });
        let spaced = text.replacen(char::is_numeric, " ", 1);
        let error = spaced.parse::<Capability>().unwrap_err().to_string();
        assert!(error.starts_with("character ' ' at position "), "{error}");
        assert_eq!(CapabilityError::Checksum.to_string().split(':').next(), Some("checksum fails"));
    }

    #[test]
    fn later_versions_and_kinds_are_told_apart() {
        let with = |version: u8, kind: u8| {
            let mut bytes = vec![version, kind];
            bytes.extend([7; 64]);
            let sum = checksum(&bytes);
            bytes.extend(sum);
            format!("{PREFIX}{}", BASE32_NOPAD.encode(&bytes).to_lowercase()).parse::<Capability>()
        };
        assert_eq!(with(2, 0), Err(CapabilityError::Version(2)));
        assert_eq!(with(1, 0x42), Err(CapabilityError::Kind(0x42)));
        assert!(with(1, 0x81).is_ok());
    }

    #[test]
    fn the_verify_only_form_tells_nothing_of_the_read_key() {
        let read = capability(1, [7; 32], [9; 32]);
        let verify = read.verify_only();
        assert!(read.can_read() && !verify.can_read());
        assert_eq!((verify.kind, verify.root), (read.kind, read.root));
        assert_eq!(verify.verify_only(), verify);
        assert!(!verify.keys().can_read());
        assert!(!format!("{read:?}").contains(&"9".repeat(4)));
    }
}
