//! The front door for programs that use tokio.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use toktok_mesh::Drops;
use toktok_mesh::runtime::{Handle, Stopped};
use toktok_tdfs::capability::Capability;
use toktok_tdfs::client::{GetEvent, PutEvent, Stored};
use toktok_tdfs::runtime::{Fetched, GetFailure, PutFailure, Tdfs};
use toktok_tdfs::store::BlockStore;
use toktok_wire::{Address, NodeKey, PublicKey, Time};

use super::builder::TdcBuilder;
use super::job::{Job, Jobs, RunFailure};
use crate::coordinator::{Event, JobReport};
use crate::engine::Executor;
use crate::job::JobSpec;
use crate::stack::Stack;
use crate::worker::Donation;

/// A running node: it stores, fetches, computes for others, and has others compute. Cheap to clone; it
/// stops when the last handle of it is dropped.
#[derive(Clone)]
pub struct Tdc {
    handle: Handle<Stack>,
    tdfs: Tdfs<Stack>,
    jobs: Jobs,
}

impl fmt::Debug for Tdc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tdc({:?})", self.public_key())
    }
}

/// How a node fares.
#[derive(Clone, Debug)]
pub struct Status {
    /// The key under which the mesh knows it.
    pub key: PublicKey,
    /// Nodes with which its file system keeps a standing session.
    pub neighbours: usize,
    /// Sessions of all layers.
    pub sessions: usize,
    /// Workers connected for its own jobs.
    pub workers: usize,
    /// True while it has jobs of its own.
    pub has_jobs: bool,
    /// Jobs of others that it works on.
    pub serving: usize,
    /// Units being computed here for others.
    pub busy: usize,
    /// Packets dropped by the mesh, by reason.
    pub mesh_drops: Drops,
    /// Messages dropped by the computer, by reason.
    pub tdc_drops: Drops,
}

impl Tdc {
    /// A node with this key that keeps blocks in `store` and runs programs by `executor`.
    pub fn builder(
        key: NodeKey,
        store: Box<dyn BlockStore>,
        executor: impl Executor + 'static,
    ) -> TdcBuilder {
        TdcBuilder::new(key, store, Arc::new(executor))
    }

    pub(super) const fn new(handle: Handle<Stack>, tdfs: Tdfs<Stack>, jobs: Jobs) -> Self {
        Self { handle, tdfs, jobs }
    }

    /// The key under which the mesh knows this node.
    pub const fn public_key(&self) -> PublicKey {
        self.tdfs.public_key()
    }

    /// The local addresses of its transports, UDP first.
    pub fn addresses(&self) -> &[Address] {
        self.tdfs.addresses()
    }

    /// The file system: put, get, ranges, streams, neighbours.
    pub const fn tdfs(&self) -> &Tdfs<Stack> {
        &self.tdfs
    }

    /// Runs `command` on the stack itself, for what this front door does not offer.
    ///
    /// # Errors
    /// [`Stopped`] if the node has stopped.
    pub async fn with_stack<R: Send + 'static>(
        &self,
        command: impl FnOnce(&mut Stack, Time) -> R + Send + 'static,
    ) -> Result<R, Stopped> {
        self.handle.call(command).await
    }

    /// Stores a file of the disk; `progress` hears of everything on the way.
    ///
    /// # Errors
    /// [`PutFailure`] if it was not stored.
    pub async fn put_file(
        &self,
        path: impl AsRef<Path>,
        mut progress: impl FnMut(&PutEvent),
    ) -> Result<Stored, PutFailure> {
        let mut upload = self.tdfs.put_path(path).await?;
        while let Some(event) = upload.next().await {
            progress(&event);
            match event {
                PutEvent::Done(stored) => return Ok(stored),
                PutEvent::Failed(error) => return Err(error.into()),
                PutEvent::Progress { .. } => {}
            }
        }
        Err(Stopped.into())
    }

    /// Fetches a file to the disk; `progress` hears of everything on the way.
    ///
    /// # Errors
    /// [`GetFailure`] if it was not fetched.
    pub async fn get_file(
        &self,
        capability: &Capability,
        path: impl AsRef<Path>,
        progress: impl FnMut(&GetEvent),
    ) -> Result<Fetched, GetFailure> {
        let download = self.tdfs.get_path(capability, path).await?;
        download.finish_with(progress).await.map(|(fetched, _)| fetched)
    }

    /// Begins a job.
    ///
    /// # Errors
    /// [`RunFailure::Invalid`] if it makes no sense.
    pub async fn submit(&self, spec: JobSpec) -> Result<Job, RunFailure> {
        let jobs = self.jobs.clone();
        let begin = move |stack: &mut Stack, now| {
            let id = stack.submit(now, spec)?;
            Ok::<_, RunFailure>((id, jobs.add(id)))
        };
        let (id, events) = self.handle.call(begin).await??;
        Ok(Job::new(id, events, self.jobs.clone(), self.handle.clone()))
    }

    /// Runs a job to its end; `progress` hears of everything on the way.
    ///
    /// # Errors
    /// [`RunFailure`] if it has no result.
    pub async fn run(
        &self,
        spec: JobSpec,
        progress: impl FnMut(&Event),
    ) -> Result<JobReport, RunFailure> {
        self.submit(spec).await?.finish(progress).await
    }

    /// Gives more, less, or nothing to others' jobs from now on.
    ///
    /// # Errors
    /// [`Stopped`] if the node has stopped.
    pub async fn set_donation(&self, donation: Donation) -> Result<(), Stopped> {
        self.handle.call(move |stack, _| stack.set_donation(donation)).await
    }

    /// How the node fares now.
    ///
    /// # Errors
    /// [`Stopped`] if the node has stopped.
    pub async fn status(&self) -> Result<Status, Stopped> {
        self.handle
            .call(|stack, _| Status {
                key: stack.public_key(),
                neighbours: stack.tdfs().neighbours().len(),
                sessions: stack.tdfs().mesh().session_count(),
                workers: stack.core().coordinator().workers(),
                has_jobs: stack.core().coordinator().is_busy(),
                serving: stack.core().worker().jobs(),
                busy: stack.core().worker().busy(),
                mesh_drops: stack.tdfs().mesh().drops().clone(),
                tdc_drops: stack.core().drops().clone(),
            })
            .await
    }
}
