//! The file of keys beside the database: the salt, and one key an epoch.
//!
//! Blocks are written under the key of the current epoch. When none is left of an older epoch, its key
//! is dropped, and with it whatever the log-structured database has not yet overwritten. (What a disk
//! keeps of a file that was replaced is beyond us: put the store on an encrypted disk if that matters.)

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use toktok_wire::{Decode, DecodeError, Reader, Rng};
use zeroize::Zeroizing;

use crate::block::BlockAddress;
use crate::store::StoreSalt;

/// Name of the file in the store's directory.
const NAME: &str = "keys";
/// First bytes of the file: what it is, and the version of its layout.
const MAGIC: &[u8; 16] = b"toktok-tdfs-key1";
/// Most epochs that the file may list. At one a week and 84 days without demand it lists some 13; a
/// block that is always wanted can keep an old one alive for years.
const MAX_EPOCHS: usize = 4096;
/// An epoch ends after this many seconds: 7 days.
const EPOCH_SECONDS: u64 = 7 * 24 * 60 * 60;
/// Domain of the key of one value.
const VALUE_CONTEXT: &str = "toktok tdfs 2026-11 key of a stored value";

/// The key of one epoch.
#[derive(Clone)]
struct Epoch {
    number: u32,
    /// When it began, in seconds since 1970.
    began: u64,
    key: Zeroizing<[u8; 32]>,
}

/// The salt and the epochs, as the file has them.
pub(super) struct Keys {
    path: PathBuf,
    salt: StoreSalt,
    /// In ascending order; never empty; the last one is current.
    epochs: Vec<Epoch>,
    rng: Rng,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({} epochs)", self.epochs.len())
    }
}

impl Keys {
    /// Reads the file in `directory`, or makes one if there is none and `fresh` is true.
    ///
    /// # Errors
    /// `InvalidData` if the file is damaged, or missing where there must be one; others as they occur.
    pub(super) fn open(directory: &Path, fresh: bool, mut rng: Rng, unix: u64) -> io::Result<Self> {
        let path = directory.join(NAME);
        match fs::read(&path) {
            Ok(bytes) => {
                let bytes = Zeroizing::new(bytes);
                let (salt, epochs) = parse(&bytes).map_err(|_| io::ErrorKind::InvalidData)?;
                Ok(Self { path, salt, epochs, rng })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && fresh => {
                let salt = StoreSalt::from_bytes(rng.bytes());
                let mut keys = Self { path, salt, epochs: Vec::new(), rng };
                keys.begin_epoch(0, unix);
                keys.save()?;
                Ok(keys)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(io::ErrorKind::InvalidData.into())
            }
            Err(error) => Err(error),
        }
    }

    pub(super) const fn salt(&self) -> &StoreSalt {
        &self.salt
    }

    /// The epoch that is written under.
    pub(super) fn current(&self) -> u32 {
        self.epochs.last().map_or(0, |epoch| epoch.number)
    }

    /// The key of the value of a block written in an epoch; `None` if that epoch is erased.
    pub(super) fn value_key(
        &self,
        number: u32,
        address: &BlockAddress,
    ) -> Option<Zeroizing<[u8; 32]>> {
        let index = self.epochs.binary_search_by_key(&number, |epoch| epoch.number).ok()?;
        let epoch = self.epochs.get(index)?;
        let mut hasher = blake3::Hasher::new_derive_key(VALUE_CONTEXT);
        hasher.update(&*epoch.key);
        hasher.update(self.salt.as_bytes());
        hasher.update(address.as_bytes());
        Some(Zeroizing::new(*hasher.finalize().as_bytes()))
    }

    /// Begins a new epoch if the current one is over, and drops the keys of those that `is_needed`
    /// says no block needs. Writes the file if anything changed.
    ///
    /// # Errors
    /// As the file system gives them; the keys are then as before.
    pub(super) fn turn(&mut self, unix: u64, is_needed: impl Fn(u32) -> bool) -> io::Result<()> {
        let before = self.epochs.clone();
        let current = self.current();
        self.epochs.retain(|epoch| epoch.number == current || is_needed(epoch.number));
        let is_over = |epoch: &Epoch| unix.saturating_sub(epoch.began) >= EPOCH_SECONDS;
        if self.epochs.last().is_none_or(is_over) && self.epochs.len() < MAX_EPOCHS {
            self.begin_epoch(current.saturating_add(1), unix);
        }
        if self.epochs.len() == before.len() && self.current() == current {
            return Ok(());
        }
        self.save().inspect_err(|_| self.epochs = before)
    }

    fn begin_epoch(&mut self, number: u32, began: u64) {
        let key = Zeroizing::new(self.rng.bytes());
        self.epochs.push(Epoch { number, began, key });
    }

    /// Replaces the file: written beside it, synced, renamed, so that a crash leaves one or the other.
    fn save(&self) -> io::Result<()> {
        let mut bytes = Zeroizing::new(MAGIC.to_vec());
        bytes.extend_from_slice(self.salt.as_bytes());
        bytes.extend_from_slice(&(self.epochs.len() as u32).to_be_bytes());
        for epoch in &self.epochs {
            bytes.extend_from_slice(&epoch.number.to_be_bytes());
            bytes.extend_from_slice(&epoch.began.to_be_bytes());
            bytes.extend_from_slice(&*epoch.key);
        }
        let sum = blake3::hash(&bytes);
        bytes.extend_from_slice(sum.as_bytes());
        let temporary = self.path.with_extension("new");
        let mut file = create_private(&temporary)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&temporary, &self.path)?;
        sync_directory(&self.path)
    }
}

/// The salt and epochs of a file.
fn parse(bytes: &[u8]) -> Result<(StoreSalt, Vec<Epoch>), DecodeError> {
    let (body, sum) = bytes
        .split_last_chunk::<32>()
        .ok_or(DecodeError::Truncated { need: 32, have: bytes.len() })?;
    if blake3::hash(body).as_bytes() != sum {
        return Err(DecodeError::Invalid("checksum"));
    }
    let mut reader = Reader::new(body);
    if reader.array::<16>()? != *MAGIC {
        return Err(DecodeError::Invalid("magic"));
    }
    let salt = StoreSalt::from_bytes(<[u8; 32]>::decode(&mut reader)?);
    let count = reader.u32()? as usize;
    if count == 0 || count > MAX_EPOCHS {
        return Err(DecodeError::Limit { what: "epochs", limit: MAX_EPOCHS, got: count });
    }
    let mut epochs: Vec<Epoch> = Vec::new();
    for _ in 0..count {
        let (number, began) = (reader.u32()?, reader.u64()?);
        let key = Zeroizing::new(reader.array()?);
        if epochs.last().is_some_and(|last| last.number >= number) {
            return Err(DecodeError::Invalid("order of epochs"));
        }
        epochs.push(Epoch { number, began, key });
    }
    reader.finish()?;
    Ok((salt, epochs))
}

/// A new file that only its owner can read.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes a rename survive a loss of power, where directories can be synced.
fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if cfg!(unix) => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(directory: &Path, fresh: bool) -> io::Result<Keys> {
        Keys::open(directory, fresh, Rng::from_seed([1; 32]), 1_000)
    }

    #[test]
    fn keys_come_back_and_epochs_turn() {
        let directory = tempfile::tempdir().unwrap();
        let address = BlockAddress([7; 32]);
        let mut keys = open(directory.path(), true).unwrap();
        let first = keys.value_key(0, &address).unwrap();
        assert_eq!(open(directory.path(), false).unwrap().value_key(0, &address).unwrap(), first);
        keys.turn(1_000 + EPOCH_SECONDS - 1, |_| true).unwrap();
        assert_eq!(keys.current(), 0);
        keys.turn(1_000 + EPOCH_SECONDS, |_| true).unwrap();
        assert_eq!(keys.current(), 1);
        assert_ne!(keys.value_key(1, &address).unwrap(), first);
        keys.turn(1_001 + EPOCH_SECONDS, |_| false).unwrap();
        let reopened = open(directory.path(), false).unwrap();
        assert_eq!(reopened.current(), 1);
        assert!(reopened.value_key(0, &address).is_none(), "the first epoch is erased");
    }

    #[test]
    fn a_missing_or_damaged_file_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let missing = open(directory.path(), false).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::InvalidData);
        open(directory.path(), true).unwrap();
        let path = directory.path().join(NAME);
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(parse(&bad).is_err());
            assert!(parse(&good[..at]).is_err());
        }
        fs::write(&path, &good[1..]).unwrap();
        assert_eq!(open(directory.path(), true).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        open(directory.path(), true).unwrap();
        let mode = fs::metadata(directory.path().join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
