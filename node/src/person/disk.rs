//! The files of transfers: which transfer belongs to which file, and the reading and writing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use toktok_mesh::messenger::{IoFailed, IoRequest, IoResult, Messenger, TransferId};
use toktok_mesh::runtime::IoReply;

use super::log::Way;

/// How files that are not whole yet are called.
const PART: &str = "part";

/// Longest name of a received file in bytes: what file systems take, less room for a number.
const MAX_NAME: usize = 200;

/// The file of one transfer.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Place {
    /// Which way it goes.
    pub(super) way: Way,
    /// Where the file is, or will be when it is whole.
    pub(super) path: PathBuf,
    /// The open file.
    #[serde(skip)]
    file: Option<Arc<File>>,
}

impl Place {
    /// A file to send.
    pub(super) fn to_send(path: PathBuf) -> io::Result<Self> {
        let file = Some(Arc::new(File::open(&path)?));
        Ok(Self { way: Way::Out, path, file })
    }

    /// A file to receive into `folder`, under a name like `name` that is not taken.
    pub(super) fn to_receive(folder: &Path, name: &[u8]) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let name = safe_name(name);
        for number in 0..1000 {
            let path = folder.join(numbered(&name, number));
            if path.exists() {
                continue;
            }
            let part = part_of(&path);
            match File::options().write(true).create_new(true).mode(0o600).open(part) {
                Ok(file) => return Ok(Self { way: Way::In, path, file: Some(Arc::new(file)) }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Opens the file of an earlier run again.
    fn reopen(&mut self) -> io::Result<()> {
        let file = match self.way {
            Way::Out => File::open(&self.path),
            Way::In => File::options().write(true).open(part_of(&self.path)),
        };
        self.file = Some(Arc::new(file?));
        Ok(())
    }

    /// The transfer ended: a received file gets its name if it is whole, and goes if it is not.
    pub(super) fn end(&self, whole: bool) -> io::Result<()> {
        match self.way {
            Way::Out => Ok(()),
            Way::In if whole => std::fs::rename(part_of(&self.path), &self.path),
            Way::In => std::fs::remove_file(part_of(&self.path)),
        }
    }

    /// Bytes of the file as it is now.
    pub(super) fn bytes(&self) -> u64 {
        let length = self.file.as_ref().and_then(|file| file.metadata().ok());
        length.map_or(0, |data| data.len())
    }
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(PART);
    path.with_file_name(name)
}

/// A name that is one, and no path: what a stranger sent is a text and nothing more.
fn safe_name(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() || matches!(c, '/' | '\\' | '\u{fffd}') { '_' } else { c })
        .collect();
    let clean = clean.trim_matches(|c: char| c == '.' || c.is_whitespace());
    let mut end = clean.len().min(MAX_NAME);
    while !clean.is_char_boundary(end) {
        end -= 1;
    }
    let clean = &clean[..end];
    if clean.is_empty() { "file".to_owned() } else { clean.to_owned() }
}

/// `name`, `name (1)`, `name (2)` …, before the extension.
fn numbered(name: &str, number: u32) -> String {
    match (number, name.rsplit_once('.')) {
        (0, _) => name.to_owned(),
        (_, Some((stem, extension))) if !stem.is_empty() => {
            format!("{stem} ({number}).{extension}")
        }
        _ => format!("{name} ({number})"),
    }
}

/// The files of all transfers under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    places: Arc<Mutex<BTreeMap<u64, Place>>>,
}

impl Disk {
    fn places(&self) -> MutexGuard<'_, BTreeMap<u64, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on a transfer reads from or writes to this file.
    pub(super) fn assign(&self, transfer: TransferId, place: Place) {
        self.places().insert(transfer.0, place);
    }

    /// A transfer ended.
    pub(super) fn release(&self, transfer: TransferId) -> Option<Place> {
        self.places().remove(&transfer.0)
    }

    /// What to keep for the next run.
    pub(super) fn snapshot(&self) -> BTreeMap<u64, Place> {
        self.places().clone()
    }

    /// Takes over the files of an earlier run's transfers that go on.
    pub(super) fn restore(
        &self,
        mut kept: BTreeMap<u64, Place>,
        transfers: impl Iterator<Item = TransferId>,
    ) {
        for transfer in transfers {
            let Some(mut place) = kept.remove(&transfer.0) else { continue };
            if let Err(error) = place.reopen() {
                tracing::warn!(path = %place.path.display(), %error, "a transfer cannot go on");
            }
            self.assign(transfer, place);
        }
    }

    /// Does a piece of work, on a thread that may block.
    pub(super) fn run(&self, request: IoRequest, reply: IoReply<Messenger>) {
        let disk = self.clone();
        tokio::task::spawn_blocking(move || reply.send(disk.perform(&request)));
    }

    fn perform(&self, request: &IoRequest) -> IoResult {
        match request {
            IoRequest::Read { transfer, range } => {
                let length = usize::try_from(range.end.saturating_sub(range.start));
                let read = self.file(*transfer).and_then(|file| {
                    read_at(&file, range.start, length.map_err(|_| io::ErrorKind::InvalidInput)?)
                });
                IoResult::Read(read.map_err(|error| failed(&error)))
            }
            IoRequest::Write { transfer, position, data } => {
                let file = self.file(*transfer);
                let written = file.and_then(|file| file.write_all_at(data, *position));
                IoResult::Written(written.map_err(|error| failed(&error)))
            }
            _ => IoResult::Written(Err(IoFailed)),
        }
    }

    fn file(&self, transfer: TransferId) -> io::Result<Arc<File>> {
        let file = self.places().get(&transfer.0).and_then(|place| place.file.clone());
        file.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Reads as many bytes as there are, up to `length`.
fn read_at(file: &File, position: u64, length: usize) -> io::Result<Bytes> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match file.read_at(&mut bytes[filled..], position + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes.into())
}

fn failed(error: &io::Error) -> IoFailed {
    tracing::warn!(%error, "a file of a transfer");
    IoFailed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_strangers_stay_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        for name in [&b"../../etc/passwd"[..], b"..", b"", b"a/b\0c", b"\xff\xfe", &[b'x'; 255]] {
            let place = Place::to_receive(folder.path(), name).unwrap();
            assert_eq!(place.path.parent(), Some(folder.path()), "{name:?}");
            place.end(true).unwrap();
            assert!(place.path.exists());
        }
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<PathBuf> = (0..3)
            .map(|_| {
                let place = Place::to_receive(folder.path(), b"photo.jpg").unwrap();
                place.end(true).unwrap();
                place.path
            })
            .collect();
        let expected =
            ["photo.jpg", "photo (1).jpg", "photo (2).jpg"].map(|it| folder.path().join(it));
        assert_eq!(names, expected);
    }
}
