//! What happened between a person and their friends: `messages.jsonl`, one JSON object a line, only
//! ever appended to.

use std::io::{self, BufRead, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

/// Readable by its owner only.
const PRIVATE: u32 = 0o600;

/// Entries that a slow follower may be behind; it misses the oldest ones beyond.
const FOLLOW_QUEUE: usize = 1024;

/// Which way something went.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// From the friend.
    In,
    /// To the friend.
    Out,
}

/// Something that happened.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Happening {
    /// A message.
    Message {
        /// Which way.
        way: Way,
        /// `normal` or `action`.
        kind: String,
        /// What it says.
        text: String,
        /// Of outgoing ones: what [`Happening::Receipt`] will name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
    },
    /// The friend has an outgoing message.
    Receipt {
        /// Which one.
        id: u64,
    },
    /// A file transfer ended.
    File {
        /// Which way.
        way: Way,
        /// The file on this machine.
        path: PathBuf,
        /// Its bytes.
        bytes: u64,
        /// `complete`, or why it is not.
        outcome: String,
    },
    /// Somebody asks for friendship.
    Request {
        /// What they say.
        message: String,
    },
    /// The friend is there.
    Online,
    /// The friend is gone.
    Offline,
}

/// A line of the log.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Entry {
    /// Seconds since 1970.
    pub time: u64,
    /// The friend's key in hexadecimal.
    pub friend: String,
    /// What happened.
    #[serde(flatten)]
    pub what: Happening,
}

/// The log file, and those who follow it.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: Mutex<std::fs::File>,
    followers: broadcast::Sender<Entry>,
}

impl Log {
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let file =
            std::fs::OpenOptions::new().append(true).create(true).mode(PRIVATE).open(&path)?;
        Ok(Self { path, file: Mutex::new(file), followers: broadcast::Sender::new(FOLLOW_QUEUE) })
    }

    /// Appends a line.
    pub(super) fn add(&self, friend: impl ToString, what: Happening) {
        let entry = Entry { time: seconds_since_1970(), friend: friend.to_string(), what };
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = serde_json::to_string(&entry)
            .map_err(io::Error::from)
            .and_then(|line| writeln!(file, "{line}"));
        if let Err(error) = written {
            tracing::error!(path = %self.path.display(), %error, "the message log cannot be written");
        }
        // Nobody may be following.
        let _ = self.followers.send(entry);
    }

    /// All lines so far, and those to come.
    pub(super) fn read(&self) -> io::Result<(Vec<Entry>, broadcast::Receiver<Entry>)> {
        let _guard = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((read(&self.path)?, self.followers.subscribe()))
    }
}

/// Reads a log; a line that a crash left half written is passed over.
fn read(path: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for line in io::BufReader::new(std::fs::File::open(path)?).lines() {
        if let Ok(entry) = serde_json::from_str(&line?) {
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// What a calendar shows.
fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_half_a_line_does_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("messages.jsonl");
        let log = Log::open(path.clone()).unwrap();
        let what = Happening::Message {
            way: Way::In,
            kind: "normal".to_owned(),
            text: "a \"line\"\nand another".to_owned(),
            id: None,
        };
        log.add("ab", what.clone());
        std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"{\"ti\n")
            .unwrap();
        log.add("ab", Happening::Receipt { id: 7 });
        let (entries, _) = log.read().unwrap();
        assert_eq!(
            entries.iter().map(|entry| &entry.what).collect::<Vec<_>>(),
            [&what, &Happening::Receipt { id: 7 }]
        );
    }
}
