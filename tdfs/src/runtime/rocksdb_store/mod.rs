//! Blocks on disk, in RocksDB, so that neither the disk nor the database tells what they are.
//!
//! A key is a hash of a block's address, keyed with the node's salt: the database lists no addresses. A
//! value is the block, encrypted once more (ChaCha20-Poly1305) under a key made of the epoch's key, the
//! salt and the address: who does not know an address can read nothing, not even the ciphertext that
//! travels. What is needed without an address (size, epoch, expiry) lies in a second column family.
//!
//! Every acknowledged batch is in the write-ahead log and synced. Blocks lie in RocksDB's blob files,
//! so that compaction moves keys and not values.

mod error;
mod keys;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, btree_map};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType,
    IteratorMode, LogLevel, Options, WriteBatch, WriteOptions,
};
use toktok_wire::{DecodeError, Reader, Rng, Time};

pub use error::OpenError;
use error::{directory_error, open_error, store_error};
use keys::Keys;

use crate::block::{Block, BlockAddress, BlockSize};
use crate::store::{BlockStore, Held, StoreError, StoreKey, StoreSalt, Usage, Write};

/// Column family of the encrypted blocks.
const BLOCKS: &str = "blocks";
/// Column family of what is known without an address.
const ENTRIES: &str = "entries";
/// Bytes of blocks that are collected in memory before they become a file: 256 bulk blocks.
const WRITE_BUFFER: usize = 16 << 20;
/// The same for entries, of 29 bytes each.
const ENTRY_BUFFER: usize = 2 << 20;
/// Memory for cached index and entry data.
const CACHE: usize = 8 << 20;
/// Values shorter than this stay beside their keys. Every block is longer.
const MIN_BLOB: u64 = 1 << 10;
/// Size of a blob file; one is removed or rewritten as a whole.
const BLOB_FILE: u64 = 64 << 20;
/// Files that are kept open: a node shares its limit with its sockets.
const OPEN_FILES: i32 = 256;
/// Nonce of every value: its key is used for one block only.
const NONCE: [u8; 12] = [0; 12];

/// How to open a [`RocksStore`].
#[derive(Clone, Copy, Debug)]
pub struct RocksOptions {
    /// Most bytes of blocks. The disk holds up to twice as many for a while, until deleted blocks are
    /// collected.
    pub quota: u64,
}

impl RocksOptions {
    /// A store that takes `quota` bytes of blocks.
    pub const fn new(quota: u64) -> Self {
        Self { quota }
    }
}

/// Wall-clock time since 1970; zero on a machine that believes to live before.
fn unix() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// What is known of a block without its address: 13 bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Entry {
    size: BlockSize,
    epoch: u32,
    expires: Time,
}

impl Entry {
    fn encode(self) -> [u8; 13] {
        let mut bytes = [0; 13];
        let fields = [u8::from(self.size == BlockSize::Bulk)]
            .into_iter()
            .chain(self.epoch.to_be_bytes())
            .chain(self.expires.as_micros().to_be_bytes());
        fields.zip(&mut bytes).for_each(|(from, to)| *to = from);
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let size = match reader.u8()? {
            0 => BlockSize::Small,
            1 => BlockSize::Bulk,
            _ => return Err(DecodeError::Invalid("block size")),
        };
        let (epoch, expires) = (reader.u32()?, Time::from_micros(reader.u64()?));
        let entry = Self { size, epoch, expires };
        reader.finish()?;
        Ok(entry)
    }
}

/// A block store in a directory of its own. One process at a time.
#[derive(Debug)]
pub struct RocksStore {
    db: DB,
    path: PathBuf,
    keys: Keys,
    options: RocksOptions,
    blocks: u64,
    bytes: u64,
    /// Blocks written in each epoch.
    epochs: BTreeMap<u32, u64>,
}

impl RocksStore {
    /// Opens the store in `path`, or makes one. `rng` gives the salt and the keys.
    ///
    /// # Errors
    /// [`OpenError`] says what is in the way and what to do.
    pub fn open(path: &Path, options: RocksOptions, rng: Rng) -> Result<Self, OpenError> {
        let to_open_error = |source| directory_error(path.to_owned(), source);
        std::fs::create_dir_all(path).map_err(to_open_error)?;
        let fresh = !path.join("CURRENT").exists();
        // The database first: its lock is what keeps a second process from touching the keys.
        let families = [
            ColumnFamilyDescriptor::new(BLOCKS, block_options()),
            ColumnFamilyDescriptor::new(ENTRIES, entry_options()),
        ];
        if fresh {
            // Keys that are written before the first block cannot be missing after a crash.
            probe(path).map_err(to_open_error)?;
        }
        let db = DB::open_cf_descriptors(&database_options(), path, families)
            .map_err(|error| open_error(path.to_owned(), error))?;
        let mut store = Self {
            keys: Keys::open(path, fresh || is_empty(&db), rng, unix().as_secs())
                .map_err(to_open_error)?,
            db,
            path: path.to_owned(),
            options,
            blocks: 0,
            bytes: 0,
            epochs: BTreeMap::new(),
        };
        store.count().map_err(|error| OpenError::Engine {
            path: path.to_owned(),
            message: error.to_string(),
        })?;
        let epochs = &store.epochs;
        store
            .keys
            .turn(unix().as_secs(), |epoch| epochs.contains_key(&epoch))
            .map_err(to_open_error)?;
        Ok(store)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn family(&self, name: &str) -> Result<&ColumnFamily, StoreError> {
        self.db.cf_handle(name).ok_or(StoreError::Damaged)
    }

    /// Counts what is there.
    fn count(&mut self) -> Result<(), StoreError> {
        let (mut blocks, mut bytes, mut epochs) = (0, 0, BTreeMap::new());
        self.each_entry(&mut |_, entry| {
            blocks += 1;
            bytes += entry.size.bytes() as u64;
            *epochs.entry(entry.epoch).or_default() += 1;
        })?;
        (self.blocks, self.bytes, self.epochs) = (blocks, bytes, epochs);
        Ok(())
    }

    fn each_entry(&self, tell: &mut dyn FnMut(StoreKey, Entry)) -> Result<(), StoreError> {
        for item in self.db.iterator_cf(self.family(ENTRIES)?, IteratorMode::Start) {
            let (key, value) = item.map_err(store_error)?;
            let key = key.as_ref().try_into().map_err(|_| StoreError::Damaged)?;
            let entry = Entry::decode(&value).map_err(|_| StoreError::Damaged)?;
            tell(StoreKey(key), entry);
        }
        Ok(())
    }

    fn entry(&self, key: StoreKey) -> Result<Option<Entry>, StoreError> {
        let value = self.db.get_pinned_cf(self.family(ENTRIES)?, key.0).map_err(store_error)?;
        value.map(|value| Entry::decode(&value).map_err(|_| StoreError::Damaged)).transpose()
    }

    /// The value of a block under the current epoch: ciphertext and tag.
    fn seal(&self, block: &Block) -> Result<Vec<u8>, StoreError> {
        let key = self.keys.value_key(self.keys.current(), &block.address());
        let key = key.ok_or(StoreError::Damaged)?;
        let mut value = Vec::with_capacity(block.bytes().len() + 16);
        value.extend_from_slice(block.bytes());
        ChaCha20Poly1305::new((&*key).into())
            .encrypt_in_place(&Nonce::from(NONCE), &[], &mut value)
            .map_err(|_| StoreError::Damaged)?;
        Ok(value)
    }

    /// What every key of a batch is before it and after it, in the order of keys.
    fn plan(&self, batch: &[Write]) -> Result<BTreeMap<StoreKey, Change>, StoreError> {
        let mut plan: BTreeMap<StoreKey, Change> = BTreeMap::new();
        for write in batch {
            let (key, block) = match write {
                Write::Put { block, .. } => (self.keys.salt().key(&block.address()), Some(block)),
                Write::Rescore { key, .. } | Write::Remove { key } => (*key, None),
            };
            let change = match plan.entry(key) {
                btree_map::Entry::Occupied(planned) => planned.into_mut(),
                btree_map::Entry::Vacant(place) => {
                    let before = self.entry(key)?;
                    place.insert(Change { before, after: before, value: None })
                }
            };
            match write {
                Write::Put { expires, .. } => {
                    let Some(block) = block else { continue };
                    let epoch = self.keys.current();
                    // Under the current epoch the value is there already, and would be the same.
                    if change.after.is_none_or(|entry| entry.epoch != epoch) {
                        change.value = Some(self.seal(block)?);
                    }
                    change.after = Some(Entry { size: block.size(), epoch, expires: *expires });
                }
                Write::Rescore { expires, .. } => {
                    if let Some(entry) = &mut change.after {
                        entry.expires = *expires;
                    }
                }
                Write::Remove { .. } => (change.after, change.value) = (None, None),
            }
        }
        Ok(plan)
    }
}

/// What a batch does to one key.
struct Change {
    before: Option<Entry>,
    after: Option<Entry>,
    /// The value, if it must be written.
    value: Option<Vec<u8>>,
}

/// Bytes of blocks that an entry stands for.
fn size(entry: Option<Entry>) -> u64 {
    entry.map_or(0, |entry| entry.size.bytes() as u64)
}

impl BlockStore for RocksStore {
    fn salt(&self) -> StoreSalt {
        self.keys.salt().clone()
    }

    fn write(&mut self, batch: &[Write]) -> Result<(), StoreError> {
        let plan = self.plan(batch)?;
        let added: u64 = plan.values().map(|change| size(change.after)).sum();
        let gone: u64 = plan.values().map(|change| size(change.before)).sum();
        let bytes = self.bytes + added - gone;
        if bytes > self.options.quota && bytes > self.bytes {
            return Err(StoreError::QuotaReached { quota: self.options.quota });
        }
        let (blocks, entries) = (self.family(BLOCKS)?, self.family(ENTRIES)?);
        let mut writes = WriteBatch::default();
        for (key, change) in &plan {
            if let Some(value) = &change.value {
                writes.put_cf(blocks, key.0, value);
            }
            match change.after {
                Some(entry) if change.before != change.after => {
                    writes.put_cf(entries, key.0, entry.encode());
                }
                Some(_) => {}
                None if change.before.is_some() => {
                    writes.delete_cf(blocks, key.0);
                    writes.delete_cf(entries, key.0);
                }
                None => {}
            }
        }
        let mut durable = WriteOptions::new();
        durable.set_sync(true);
        self.db.write_opt(writes, &durable).map_err(store_error)?;
        self.bytes = bytes;
        for change in plan.into_values() {
            if let Some(entry) = change.before {
                self.blocks -= 1;
                forget(&mut self.epochs, entry.epoch);
            }
            if let Some(entry) = change.after {
                self.blocks += 1;
                *self.epochs.entry(entry.epoch).or_default() += 1;
            }
        }
        Ok(())
    }

    fn get(&self, address: &BlockAddress) -> Result<Option<Block>, StoreError> {
        let key = self.keys.salt().key(address);
        let Some(entry) = self.entry(key)? else { return Ok(None) };
        let value = self.db.get_cf(self.family(BLOCKS)?, key.0).map_err(store_error)?;
        let mut value = value.ok_or(StoreError::Damaged)?;
        let secret = self.keys.value_key(entry.epoch, address).ok_or(StoreError::Damaged)?;
        ChaCha20Poly1305::new((&*secret).into())
            .decrypt_in_place(&Nonce::from(NONCE), &[], &mut value)
            .map_err(|_| StoreError::Damaged)?;
        Block::verify(*address, value.into()).map(Some).map_err(|_| StoreError::Damaged)
    }

    fn visit(&self, tell: &mut dyn FnMut(Held)) -> Result<(), StoreError> {
        self.each_entry(&mut |key, entry| {
            tell(Held { key, size: entry.size, expires: entry.expires });
        })
    }

    fn usage(&self) -> Usage {
        Usage { blocks: self.blocks, bytes: self.bytes, quota: self.options.quota }
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        for name in [BLOCKS, ENTRIES] {
            self.db.flush_cf(self.family(name)?).map_err(store_error)?;
        }
        let epochs = &self.epochs;
        let turned = self.keys.turn(unix().as_secs(), |epoch| epochs.contains_key(&epoch));
        turned.map_err(|error| match error.kind() {
            std::io::ErrorKind::StorageFull => StoreError::DiskFull,
            _ => StoreError::Engine(error.to_string()),
        })
    }

    fn contains(&self, address: &BlockAddress) -> Result<bool, StoreError> {
        self.entry(self.keys.salt().key(address)).map(|entry| entry.is_some())
    }
}

/// One block fewer in an epoch.
fn forget(epochs: &mut BTreeMap<u32, u64>, epoch: u32) {
    if let Some(count) = epochs.get_mut(&epoch) {
        *count -= 1;
        if *count == 0 {
            epochs.remove(&epoch);
        }
    }
}

/// True if no block is in the database: then no key can be missing.
fn is_empty(db: &DB) -> bool {
    db.cf_handle(ENTRIES)
        .is_some_and(|entries| db.iterator_cf(entries, IteratorMode::Start).next().is_none())
}

/// Tries to write into a new directory, for the operating system's own words if that fails.
fn probe(path: &Path) -> std::io::Result<()> {
    let file = path.join(".writable");
    std::fs::write(&file, b"")?;
    std::fs::remove_file(file)
}

fn database_options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_max_open_files(OPEN_FILES);
    options.set_max_background_jobs(2);
    options.set_max_total_wal_size(4 * WRITE_BUFFER as u64);
    options.set_keep_log_file_num(2);
    options.set_log_level(LogLevel::Warn);
    options
}

/// Ciphertext does not compress; nothing here is worth trying to.
fn uncompressed(write_buffer: usize) -> Options {
    let mut options = Options::default();
    options.set_compression_type(DBCompressionType::None);
    options.set_write_buffer_size(write_buffer);
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&Cache::new_lru_cache(CACHE));
    table.set_bloom_filter(10.0, false);
    options.set_block_based_table_factory(&table);
    options
}

fn block_options() -> Options {
    let mut options = uncompressed(WRITE_BUFFER);
    options.set_enable_blob_files(true);
    options.set_min_blob_size(MIN_BLOB);
    options.set_blob_file_size(BLOB_FILE);
    options.set_blob_compression_type(DBCompressionType::None);
    // Blobs of deleted blocks are collected when the oldest half of the files is compacted, and at
    // once where more than half is garbage: at most about twice the quota on disk for a while.
    options.set_enable_blob_gc(true);
    options.set_blob_gc_age_cutoff(0.5);
    options.set_blob_gc_force_threshold(0.5);
    options
}

fn entry_options() -> Options {
    uncompressed(ENTRY_BUFFER)
}
