//! What the disk must and must not show, and what opening must say.

use super::*;
use crate::runtime::{Desk, Worker};
use crate::store::conformance::{self, Subject};

fn options(quota: u64) -> RocksOptions {
    RocksOptions::new(quota)
}

fn open(path: &Path) -> Result<RocksStore, OpenError> {
    RocksStore::open(path, options(1 << 20), Rng::from_seed([1; 32]))
}

fn block(fill: u8) -> Block {
    Block::new(vec![fill; 4096].into()).unwrap()
}

const EXPIRES: Time = Time::from_secs(9);

struct OnDisk(Vec<tempfile::TempDir>);

impl Subject for OnDisk {
    fn create(&mut self, quota: u64) -> Box<dyn BlockStore> {
        self.0.push(tempfile::tempdir().unwrap());
        let path = self.0.last().unwrap().path();
        let rng = Rng::from_seed([1; 32]);
        Box::new(RocksStore::open(path, options(quota), rng).unwrap())
    }

    fn reopen(&mut self, store: Box<dyn BlockStore>) -> Option<Box<dyn BlockStore>> {
        let quota = store.usage().quota;
        drop(store);
        let rng = Rng::from_seed([2; 32]);
        let path = self.0.last().unwrap().path();
        Some(Box::new(RocksStore::open(path, options(quota), rng).unwrap()))
    }
}

#[test]
fn the_rocksdb_store_conforms() {
    assert_eq!(conformance::check(&mut OnDisk(Vec::new())), Ok(()));
}

#[test]
fn a_second_opening_is_refused_as_locked() {
    let directory = tempfile::tempdir().unwrap();
    let _first = open(directory.path()).unwrap();
    let error = open(directory.path()).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
}

#[test]
fn a_dropped_worker_has_closed_its_store() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..20 {
        let store = Box::new(open(directory.path()).unwrap());
        drop(Worker::start(store, Desk::new(), Time::ZERO).unwrap());
    }
}

#[test]
fn what_is_no_directory_is_refused_in_the_systems_words() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for path in [file.path().to_owned(), file.path().join("below"), "/proc/store".into()] {
        let error = open(&path).unwrap_err();
        assert!(matches!(error, OpenError::Directory { .. }), "{error}");
        assert!(error.to_string().contains("Choose another directory"), "{error}");
    }
}

#[test]
fn blocks_without_their_keys_are_not_passed_off_as_an_empty_store() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).unwrap().put(&block(1), EXPIRES).unwrap();
    std::fs::remove_file(directory.path().join("keys")).unwrap();
    assert!(matches!(open(directory.path()), Err(OpenError::Keys { .. })));
}

/// All bytes of all files of a store.
fn on_disk(path: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.is_file()).flat_map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn the_disk_shows_neither_addresses_nor_blocks() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path()).unwrap();
    let block = block(0xab);
    store.put(&block, EXPIRES).unwrap();
    store.flush().unwrap();
    let key = store.salt().key(&block.address());
    drop(store);
    let bytes = on_disk(directory.path());
    let shows = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    assert!(!shows(block.address().as_bytes()) && !shows(&block.bytes()[..16]));
    assert!(shows(&key.0), "the test looks where the data is");
}

#[test]
fn a_damaged_value_is_found_out() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path()).unwrap();
    store.put(&block(1), EXPIRES).unwrap();
    let key = store.salt().key(&block(1).address());
    let family = store.family(BLOCKS).unwrap();
    store.db.put_cf(family, key.0, vec![0; 4112]).unwrap();
    assert_eq!(store.get(&block(1).address()), Err(StoreError::Damaged));
}

#[test]
fn putting_again_in_a_later_epoch_writes_anew_and_the_old_key_goes() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path()).unwrap();
    store.put(&block(1), EXPIRES).unwrap();
    store.put(&block(2), EXPIRES).unwrap();
    store.keys.turn(u64::MAX, |_| true).unwrap();
    assert_eq!(store.keys.current(), 1);
    store.put(&block(1), EXPIRES).unwrap();
    assert_eq!(store.epochs, BTreeMap::from([(0, 1), (1, 1)]));
    for fill in [1, 2] {
        assert_eq!(store.get(&block(fill).address()), Ok(Some(block(fill))));
    }
    store.remove(&block(2).address()).unwrap();
    store.flush().unwrap();
    assert!(store.keys.value_key(0, &block(1).address()).is_none());
    assert_eq!(store.get(&block(1).address()), Ok(Some(block(1))));
}

#[test]
fn entries_come_back_and_nothing_else_is_one() {
    let entry = Entry { size: BlockSize::Bulk, epoch: 7, expires: EXPIRES };
    assert_eq!(Entry::decode(&entry.encode()), Ok(entry));
    assert!(Entry::decode(&[2; 13]).is_err() && Entry::decode(&[0; 12]).is_err());
}
