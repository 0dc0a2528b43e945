//! Where the stack's work is done: one thread for the block store, tokio's blocking pool for coding,
//! sources and sinks.

use std::sync::mpsc;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use super::desk::Desk;
use crate::block::BlockAddress;
use crate::client;
use crate::core::{IoRequest, IoResult, StoreFacts};
use crate::store::{BlockStore, StoreError, Write};
use crate::{Time, core};

/// Jobs for the store that are joined to one batch: one wait for the disk instead of so many.
const MAX_BATCH: usize = 256;

type Reply = Box<dyn FnOnce(IoResult) + Send>;

/// One job for the store.
enum Job {
    Read(BlockAddress, Reply),
    Write(Vec<Write>, Reply),
}

/// Does the stack's work. When it is dropped, it waits until the store is flushed and closed: a process
/// that ends earlier takes RocksDB's globals from under its threads.
#[derive(Debug)]
pub struct Worker {
    /// `None` only while it is being dropped.
    store: Option<mpsc::Sender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
    desk: Desk,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.store = None;
        // A thread that panicked has said so already.
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

/// How far the wall clock is ahead of the process clock, in microseconds: what a store writes down must
/// still mean something after a restart.
#[derive(Clone, Copy, Debug)]
struct Offset(u64);

impl Offset {
    fn at(now: Time) -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = u64::try_from(wall.as_micros()).unwrap_or(u64::MAX);
        Self(wall.saturating_sub(now.as_micros()))
    }

    const fn to_wall(self, time: Time) -> Time {
        Time::from_micros(time.as_micros().saturating_add(self.0))
    }

    const fn to_process(self, time: Time) -> Time {
        Time::from_micros(time.as_micros().saturating_sub(self.0))
    }
}

/// What a store holds, with its times on the process clock that shows `now`.
///
/// # Errors
/// As [`BlockStore::visit`].
pub fn facts(store: &dyn BlockStore, now: Time) -> Result<StoreFacts, StoreError> {
    let offset = Offset::at(now);
    let mut facts = StoreFacts::of(store)?;
    facts.held.iter_mut().for_each(|held| held.expires = offset.to_process(held.expires));
    Ok(facts)
}

impl Worker {
    /// A worker over `store`, on a thread of its own that ends when the worker is dropped. `now` is
    /// what the process clock shows.
    ///
    /// # Errors
    /// If the operating system has no thread to give.
    pub fn start(store: Box<dyn BlockStore>, desk: Desk, now: Time) -> std::io::Result<Self> {
        let (sender, jobs) = mpsc::channel();
        let offset = Offset::at(now);
        let thread = thread::Builder::new()
            .name("block store".to_owned())
            .spawn(move || serve(store, &jobs, offset))?;
        Ok(Self { store: Some(sender), thread: Some(thread), desk })
    }

    /// Does one piece of work, and calls `reply` with the result on whatever thread did it. Call it
    /// inside a tokio runtime; it does not block.
    pub fn handle(&self, request: IoRequest, reply: impl FnOnce(IoResult) + Send + 'static) {
        match request {
            IoRequest::Read(address) => self.send(Job::Read(address, Box::new(reply))),
            IoRequest::Write(batch) => self.send(Job::Write(batch, Box::new(reply))),
            IoRequest::Transfer(id, io) => {
                let desk = self.desk.clone();
                tokio::task::spawn_blocking(move || reply(transfer(&desk, id, io)));
            }
        }
    }

    fn send(&self, job: Job) {
        let Some(store) = &self.store else { return };
        // The store's thread ends only by a panic; then nothing is kept, and it is said so.
        if let Err(mpsc::SendError(job)) = store.send(job) {
            let gone = || StoreError::Engine("the store's thread has ended".to_owned());
            match job {
                Job::Read(_, reply) => reply(IoResult::Read(Err(gone()))),
                Job::Write(_, reply) => reply(IoResult::Written(Err(gone()))),
            }
        }
    }
}

/// Coding work, or a source's or sink's.
fn transfer(desk: &Desk, id: core::TransferId, io: client::Io) -> IoResult {
    IoResult::Transfer(io.compute().unwrap_or_else(|io| desk.serve(id, io)))
}

/// The store's thread: takes what waits, writes it as one batch, then reads.
fn serve(mut store: Box<dyn BlockStore>, jobs: &mpsc::Receiver<Job>, offset: Offset) {
    while let Ok(first) = jobs.recv() {
        let (mut reads, mut writes) = (Vec::new(), Vec::new());
        let more = std::iter::from_fn(|| jobs.try_recv().ok()).take(MAX_BATCH - 1);
        for job in std::iter::once(first).chain(more) {
            match job {
                Job::Read(address, reply) => reads.push((address, reply)),
                Job::Write(batch, reply) => {
                    let batch = batch.into_iter().map(|write| on_wall_clock(write, offset));
                    writes.push((batch.collect::<Vec<_>>(), reply));
                }
            }
        }
        // Writes first: a read may ask for a block that one of them brings.
        write_all(store.as_mut(), writes);
        for (address, reply) in reads {
            reply(IoResult::Read(store.get(&address)));
        }
    }
    if let Err(error) = store.flush() {
        tracing::warn!(%error, "the block store was not flushed");
    }
}

fn on_wall_clock(write: Write, offset: Offset) -> Write {
    match write {
        Write::Put { block, expires } => Write::Put { block, expires: offset.to_wall(expires) },
        Write::Rescore { key, expires } => Write::Rescore { key, expires: offset.to_wall(expires) },
        Write::Remove { key } => Write::Remove { key },
    }
}

/// All as one batch; if that is refused, one by one, so that one failure does not stand for all.
fn write_all(store: &mut dyn BlockStore, writes: Vec<(Vec<Write>, Reply)>) {
    if writes.is_empty() {
        return;
    }
    let all: Vec<Write> = writes.iter().flat_map(|(batch, _)| batch.iter().cloned()).collect();
    let whole = store.write(&all);
    for (batch, reply) in writes {
        let result = if whole.is_ok() { Ok(()) } else { store.write(&batch) };
        if let Err(error) = &result {
            tracing::debug!(%error, "the block store refused a write");
        }
        reply(IoResult::Written(result));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rng;
    use crate::block::Block;
    use crate::store::{MemoryStore, score};

    #[test]
    fn one_refused_write_does_not_stand_for_the_batch() {
        let mut store = MemoryStore::new(8192, Rng::from_seed([1; 32]));
        let block = |fill: u8| Block::new(vec![fill; 4096].into()).unwrap();
        let (done, results) = mpsc::channel();
        let writes = (0..3).map(|fill| {
            let done = done.clone();
            let put = Write::Put { block: block(fill), expires: score::fresh(Time::ZERO) };
            let reply: Reply = Box::new(move |result| done.send(result).unwrap());
            (vec![put], reply)
        });
        write_all(&mut store, writes.collect());
        let kept = results.try_iter().filter(|r| matches!(r, IoResult::Written(Ok(())))).count();
        assert_eq!(kept, 2, "as many as the quota allows");
    }

    #[test]
    fn times_on_disk_outlive_the_process_clock() {
        let offset = Offset::at(Time::from_secs(3600));
        let expires = Time::from_secs(5000);
        assert!(offset.to_wall(expires) > Time::from_secs(1_700_000_000));
        assert_eq!(offset.to_process(offset.to_wall(expires)), expires);
    }
}
