//! An upload or a download under way, as its owner holds it.

use std::io::Write as _;
use std::sync::{Arc, Mutex};

use thiserror::Error;
use toktok_mesh::runtime::{Handle, Stopped};

use super::desk::{Desk, GetEvents, Got, PutEvents, Sink, lock};
use super::handle::HasTdfs;
use crate::capability::FileKind;
use crate::client::{GetError, GetEvent, PutError, PutEvent, Stored};
use crate::core::TransferId;

/// Why an upload came to nothing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PutFailure {
    /// The source could not be opened.
    #[error("the source cannot be read: {0}")]
    Open(#[source] std::io::Error),
    /// It was not stored.
    #[error(transparent)]
    Put(#[from] PutError),
    /// The node has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Why a download came to nothing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GetFailure {
    /// The target could not be made.
    #[error("the target cannot be written: {0}")]
    Open(#[source] std::io::Error),
    /// It was not fetched.
    #[error(transparent)]
    Get(#[from] GetError),
    /// The node has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Ends a transfer when its owner loses interest.
struct Guard {
    id: TransferId,
    desk: Desk,
    cancel: Box<dyn Fn(TransferId) + Send + Sync>,
}

impl Guard {
    fn new<M: HasTdfs + 'static>(id: TransferId, desk: Desk, handle: Handle<M>) -> Self {
        let cancel = move |id| handle.post(move |machine: &mut M, _| machine.tdfs().cancel(id));
        Self { id, desk, cancel: Box::new(cancel) }
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.id)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.desk.remove(self.id);
        (self.cancel)(self.id);
    }
}

/// An upload under way. It ends when it is dropped.
#[derive(Debug)]
pub struct Upload {
    events: PutEvents,
    _guard: Guard,
}

impl Upload {
    pub(super) fn new<M: HasTdfs + 'static>(
        id: TransferId,
        events: PutEvents,
        desk: Desk,
        handle: Handle<M>,
    ) -> Self {
        Self { events, _guard: Guard::new(id, desk, handle) }
    }

    /// What happens next; `None` after the end, or if the node has stopped.
    pub async fn next(&mut self) -> Option<PutEvent> {
        self.events.recv().await
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// [`PutFailure`] if it was not stored.
    pub async fn finish(mut self) -> Result<Stored, PutFailure> {
        loop {
            match self.next().await {
                Some(PutEvent::Done(stored)) => return Ok(stored),
                Some(PutEvent::Failed(error)) => return Err(error.into()),
                Some(_) => {}
                None => return Err(Stopped.into()),
            }
        }
    }
}

/// What a download has brought.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Fetched {
    /// What the file is; `None` if nothing was told of it.
    pub kind: Option<FileKind>,
    /// Bytes of content.
    pub bytes: u64,
    /// Blocks that are being stored again because they were found missing.
    pub healing: usize,
    /// How often blocks were handed on from holder to this node: `hops[n]` blocks came over n sessions.
    pub hops: Vec<u64>,
}

impl Fetched {
    /// The median of the hops; 0 if there were no blocks.
    pub fn median_hops(&self) -> usize {
        let half = self.hops.iter().sum::<u64>().div_ceil(2);
        let mut seen = 0;
        let reached = |count: &u64| {
            seen += *count;
            seen >= half && half > 0
        };
        self.hops.iter().position(reached).unwrap_or(0)
    }
}

/// A download under way. It ends when it is dropped.
#[derive(Debug)]
pub struct Download {
    events: GetEvents,
    sink: Arc<Mutex<Sink>>,
    fetched: Fetched,
    _guard: Guard,
}

impl Download {
    pub(super) fn new<M: HasTdfs + 'static>(
        id: TransferId,
        events: GetEvents,
        sink: Arc<Mutex<Sink>>,
        desk: Desk,
        handle: Handle<M>,
    ) -> Self {
        let guard = Guard::new(id, desk, handle);
        Self { events, sink, fetched: Fetched::default(), _guard: guard }
    }

    /// What happens next; `None` after the end, or if the node has stopped.
    pub async fn next(&mut self) -> Option<GetEvent> {
        loop {
            match self.events.recv().await? {
                Got::Hops(hops) => {
                    let hops = usize::from(hops);
                    if self.fetched.hops.len() <= hops {
                        self.fetched.hops.resize(hops + 1, 0);
                    }
                    if let Some(count) = self.fetched.hops.get_mut(hops) {
                        *count += 1;
                    }
                }
                Got::Event(event) => {
                    self.note(&event);
                    return Some(event);
                }
            }
        }
    }

    fn note(&mut self, event: &GetEvent) {
        match event {
            GetEvent::Opened { kind, .. } => self.fetched.kind = Some(*kind),
            GetEvent::Done { bytes, healing } => {
                (self.fetched.bytes, self.fetched.healing) = (*bytes, *healing);
            }
            _ => {}
        }
    }

    /// Waits until all bytes are written. Blocks found missing go on being stored again after this.
    ///
    /// # Errors
    /// [`GetFailure`] if it could not be fetched.
    pub async fn finish(self) -> Result<Fetched, GetFailure> {
        self.finish_with_bytes().await.map(|(fetched, _)| fetched)
    }

    /// As [`Download::finish`], and the content if it was fetched into memory.
    ///
    /// # Errors
    /// As [`Download::finish`].
    pub async fn finish_with_bytes(self) -> Result<(Fetched, Vec<u8>), GetFailure> {
        self.finish_with(|_| ()).await
    }

    /// As [`Download::finish_with_bytes`]; `progress` hears of everything on the way.
    ///
    /// # Errors
    /// As [`Download::finish`].
    pub async fn finish_with(
        mut self,
        mut progress: impl FnMut(&GetEvent),
    ) -> Result<(Fetched, Vec<u8>), GetFailure> {
        loop {
            let event = self.next().await.ok_or(Stopped)?;
            progress(&event);
            match event {
                GetEvent::Done { .. } => break,
                GetEvent::Failed(error) => return Err(error.into()),
                _ => {}
            }
        }
        let content = match &mut *lock(&self.sink) {
            Sink::Memory(bytes) => std::mem::take(bytes),
            Sink::File(file) => {
                file.flush().map_err(GetFailure::Open)?;
                Vec::new()
            }
            Sink::Stream(_) => Vec::new(),
        };
        let fetched = std::mem::take(&mut self.fetched);
        if fetched.healing > 0 {
            // What is missing is stored again without anybody waiting for it.
            tokio::spawn(async move { while self.next().await.is_some_and(|e| !is_healed(&e)) {} });
        }
        Ok((fetched, content))
    }
}

const fn is_healed(event: &GetEvent) -> bool {
    matches!(event, GetEvent::Healed { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_counts_blocks() {
        let fetched = |hops: &[u64]| Fetched { hops: hops.to_vec(), ..Fetched::default() };
        assert_eq!(fetched(&[]).median_hops(), 0);
        assert_eq!(fetched(&[0, 0, 5]).median_hops(), 2);
        assert_eq!(fetched(&[1, 1, 1, 2]).median_hops(), 2);
    }
}
