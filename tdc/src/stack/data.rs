//! What the computer fetches from the file system for itself: programs and pieces, into memory.

use core::ops::Range;
use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use toktok_mesh::IoToken;
use toktok_tdfs as tdfs;
use toktok_tdfs::capability::Capability;
use toktok_tdfs::client::{GetEvent, Io, IoError, IoResult};
use toktok_tdfs::{GetId, TransferId};

use crate::action::{DataError, TaskId, TaskResult};
use crate::config;

/// Why a piece of work of the file system is not ours, and the work.
type NotOurs = (IoToken, tdfs::IoRequest);

#[derive(Debug)]
enum Wanted {
    /// The bytes: so many at most.
    Bytes { received: BytesMut, limit: u64 },
    /// Only how many there are.
    Length,
}

/// Downloads under way for the computer itself.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    gets: BTreeMap<GetId, (TaskId, Wanted)>,
}

/// The answer to a task, when there is one at once.
type Answer = Option<(TaskId, TaskResult)>;

fn parse(text: &str) -> Result<Capability, DataError> {
    text.parse().map_err(|error| DataError(format!("{text} is no capability: {error}")))
}

fn error(error: &impl ToString) -> DataError {
    DataError(error.to_string())
}

impl Fetches {
    /// Begins a download; the answer at once if it cannot begin.
    pub(super) fn fetch(
        &mut self,
        tdfs: &mut tdfs::Stack,
        task: TaskId,
        capability: &str,
        range: Option<Range<u64>>,
    ) -> Answer {
        let limit = range
            .as_ref()
            .map_or(config::MAX_PROGRAM_BYTES as u64, |range| range.end - range.start);
        if range.as_ref().is_some_and(Range::is_empty) {
            return Some((task, TaskResult::Fetched(Ok(Bytes::new()))));
        }
        let begun = parse(capability).and_then(|capability| match range {
            Some(range) => tdfs
                .get_range(&capability, range.start, range.end - range.start)
                .map_err(|e| error(&e)),
            None => tdfs.get(&capability).map_err(|e| error(&e)),
        });
        match begun {
            Ok(get) => {
                let received = BytesMut::new();
                self.gets.insert(get, (task, Wanted::Bytes { received, limit }));
                None
            }
            Err(error) => Some((task, TaskResult::Fetched(Err(error)))),
        }
    }

    /// Begins to find out a length; the answer at once if it cannot begin.
    pub(super) fn measure(
        &mut self,
        tdfs: &mut tdfs::Stack,
        task: TaskId,
        capability: &str,
    ) -> Answer {
        let begun = parse(capability)
            .and_then(|capability| tdfs.get_range(&capability, 0, 0).map_err(|e| error(&e)));
        match begun {
            Ok(get) => {
                self.gets.insert(get, (task, Wanted::Length));
                None
            }
            Err(error) => Some((task, TaskResult::Measured(Err(error)))),
        }
    }

    /// Does the file system's work if it is to take bytes of ours; else gives it back.
    #[expect(
        clippy::result_large_err,
        reason = "what is not ours is given back by value, as it came"
    )]
    pub(super) fn serve(
        &mut self,
        token: IoToken,
        request: tdfs::IoRequest,
    ) -> Result<(IoToken, tdfs::IoResult), NotOurs> {
        match request {
            tdfs::IoRequest::Transfer(TransferId::Get(get), Io::WriteSink { offset, bytes }) => {
                let Some((_, wanted)) = self.gets.get_mut(&get) else {
                    let io = Io::WriteSink { offset, bytes };
                    return Err((token, tdfs::IoRequest::Transfer(TransferId::Get(get), io)));
                };
                let taken = wanted.take(&bytes);
                Ok((token, tdfs::IoResult::Transfer(IoResult::Sink(taken))))
            }
            other => Err((token, other)),
        }
    }

    /// Takes an event of the file system if it is of a download of ours; else gives it back.
    #[expect(
        clippy::result_large_err,
        reason = "what is not ours is given back by value, as it came"
    )]
    pub(super) fn handle_event(
        &mut self,
        tdfs: &mut tdfs::Stack,
        event: tdfs::Event,
    ) -> Result<Answer, tdfs::Event> {
        match &event {
            tdfs::Event::BlockFetched { get, .. } if self.gets.contains_key(get) => Ok(None),
            tdfs::Event::Get(get, progress) => match self.gets.get(get) {
                Some(_) => Ok(self.handle_progress(tdfs, *get, progress)),
                None => Err(event),
            },
            _ => Err(event),
        }
    }

    fn handle_progress(&mut self, tdfs: &mut tdfs::Stack, get: GetId, event: &GetEvent) -> Answer {
        let (_, wanted) = self.gets.get(&get)?;
        let result = match (event, wanted) {
            (GetEvent::Opened { length, .. }, Wanted::Length) => {
                tdfs.cancel(TransferId::Get(get));
                TaskResult::Measured(Ok(*length))
            }
            (GetEvent::Failed(why), Wanted::Length) => TaskResult::Measured(Err(error(why))),
            (GetEvent::Failed(why), Wanted::Bytes { .. }) => TaskResult::Fetched(Err(error(why))),
            (GetEvent::Done { .. }, _) => {
                let (task, wanted) = self.gets.remove(&get)?;
                return Some((task, wanted.done()));
            }
            _ => return None,
        };
        self.gets.remove(&get).map(|(task, _)| (task, result))
    }
}

impl Wanted {
    fn take(&mut self, bytes: &Bytes) -> Result<(), IoError> {
        if let Self::Bytes { received, limit } = self {
            if (received.len() + bytes.len()) as u64 > *limit {
                return Err(IoError::DiskFull);
            }
            received.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn done(self) -> TaskResult {
        match self {
            Self::Bytes { received, .. } => TaskResult::Fetched(Ok(received.freeze())),
            Self::Length => TaskResult::Measured(Err(DataError("its length was not told".into()))),
        }
    }
}
