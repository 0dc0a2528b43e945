//! Which changes of what a person keeps are on the disk.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Mutex, Notify};

/// Counts changes, and those that were written.
#[derive(Debug, Default)]
pub(super) struct Changes {
    made: AtomicU64,
    news: Notify,
    /// Held by whoever writes, so that nobody else does meanwhile.
    kept: Mutex<u64>,
}

impl Changes {
    /// Something has changed.
    pub(super) fn note(&self) {
        self.made.fetch_add(1, Ordering::AcqRel);
        self.news.notify_one();
    }

    /// Waits until something changes, or has changed since the last time.
    pub(super) async fn wait(&self) {
        self.news.notified().await;
    }

    /// Returns when all that has changed up to now is written: by `write`, if nobody else does so.
    ///
    /// # Errors
    /// What `write` says; the changes count as not written then.
    pub(super) async fn keep<E>(
        &self,
        write: impl AsyncFnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let wanted = self.made.load(Ordering::Acquire);
        let mut kept = self.kept.lock().await;
        if *kept < wanted {
            let made = self.made.load(Ordering::Acquire);
            write().await?;
            *kept = made;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn what_is_written_already_is_not_written_again_and_a_failure_is_no_writing() {
        let (changes, written) = (Changes::default(), Cell::new(0));
        let write = async |result: Result<(), ()>| {
            written.set(written.get() + 1);
            result
        };
        assert_eq!(changes.keep(async || write(Ok(())).await).await, Ok(()));
        assert_eq!(written.get(), 0);
        changes.note();
        assert_eq!(changes.keep(async || write(Err(())).await).await, Err(()));
        let both = tokio::join!(
            changes.keep(async || write(Ok(())).await),
            changes.keep(async || write(Ok(())).await),
        );
        assert_eq!((both, written.get()), ((Ok(()), Ok(())), 2));
    }

    #[tokio::test]
    async fn what_changes_while_something_is_written_is_written_then() {
        let changes = Changes::default();
        changes.note();
        let change = async || {
            changes.note();
            Ok::<(), ()>(())
        };
        assert_eq!(changes.keep(change).await, Ok(()));
        let written = Cell::new(false);
        let write = async || {
            written.set(true);
            Ok::<(), ()>(())
        };
        assert_eq!(changes.keep(write).await, Ok(()));
        assert!(written.get());
    }
}
