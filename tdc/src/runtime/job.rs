//! A job under way, as its owner holds it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tokio::sync::mpsc;
use toktok_mesh::runtime::{Handle, Stopped};

use crate::coordinator::{Event, JobError, JobReport};
use crate::job::{InvalidJob, JobId};
use crate::stack::Stack;

/// Why a job has no result.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum RunFailure {
    /// It could not begin.
    #[error(transparent)]
    Invalid(#[from] InvalidJob),
    /// It came to nothing.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The node has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

type Owners = BTreeMap<JobId, mpsc::UnboundedSender<Event>>;

/// Who waits for which job. An owner that does not listen costs a few bytes a unit.
#[derive(Clone, Debug, Default)]
pub(super) struct Jobs(Arc<Mutex<Owners>>);

impl Jobs {
    fn owners(&self) -> MutexGuard<'_, Owners> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, job: JobId) -> mpsc::UnboundedReceiver<Event> {
        let (sender, events) = mpsc::unbounded_channel();
        self.owners().insert(job, sender);
        events
    }

    fn remove(&self, job: JobId) {
        self.owners().remove(&job);
    }

    /// Takes an event of a job: it finds its owner. Does not block.
    pub(super) fn handle_event(&self, event: Event) {
        let job = match &event {
            Event::JobStarted { job, .. }
            | Event::JobProgress { job, .. }
            | Event::UnitDone { job, .. }
            | Event::LiarFound { job, .. }
            | Event::JobDone { job, .. }
            | Event::JobFailed { job, .. } => *job,
        };
        if let Event::LiarFound { peer, unit, .. } = &event {
            tracing::warn!(%job, ?peer, unit, "a worker lied and is banned");
        }
        if let Some(owner) = self.owners().get(&job) {
            // An owner that has gone is about to be removed.
            let _ = owner.send(event);
        }
    }
}

/// A job under way. It is given up when it is dropped.
#[derive(Debug)]
pub struct Job {
    id: JobId,
    events: mpsc::UnboundedReceiver<Event>,
    jobs: Jobs,
    handle: Handle<Stack>,
}

impl Job {
    pub(super) const fn new(
        id: JobId,
        events: mpsc::UnboundedReceiver<Event>,
        jobs: Jobs,
        handle: Handle<Stack>,
    ) -> Self {
        Self { id, events, jobs, handle }
    }

    /// Its name.
    pub const fn id(&self) -> JobId {
        self.id
    }

    /// What happens next; `None` if the node has stopped. The last event is [`Event::JobDone`] or
    /// [`Event::JobFailed`].
    pub async fn next(&mut self) -> Option<Event> {
        tokio::select! {
            biased;
            event = self.events.recv() => event,
            () = self.handle.stopped() => None,
        }
    }

    /// Waits for the result; `progress` hears of everything on the way.
    ///
    /// # Errors
    /// [`RunFailure`] if there is none.
    pub async fn finish(
        mut self,
        mut progress: impl FnMut(&Event),
    ) -> Result<JobReport, RunFailure> {
        while let Some(event) = self.next().await {
            progress(&event);
            match event {
                Event::JobDone { report, .. } => return Ok(report),
                Event::JobFailed { error, .. } => return Err(error.into()),
                _ => {}
            }
        }
        Err(Stopped.into())
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.jobs.remove(self.id);
        let id = self.id;
        self.handle.post(move |stack, now| stack.cancel(now, id));
    }
}
