//! The manifest for asynchronous callers: each call runs on a thread that may block, one after the other.

use super::error::RunError;
use crate::blocking::blocking;
use crate::parts::Parts;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tandem_model::clock::Clock;
use tandem_model::error::StoreError;
use tandem_model::id::Guid;
use tandem_model::manifest::{Correction, Intent, Manifest, Outcome, Record};

/// One partnership's manifest and journal.
#[derive(Clone)]
pub(crate) struct Journal {
    manifest: Arc<Mutex<Box<dyn Manifest>>>,
    may_block: bool,
    clock: Arc<dyn Clock>,
    /// Nanoseconds that calls have taken, the wait for a thread not counted.
    spent: Arc<AtomicU64>,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("spent", &self.spent()).finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens it. One that was damaged has been set aside by the store, and a new one is begun: what is on the device
    /// is foreign then, so nothing of it can be deleted.
    pub(crate) async fn open(parts: &Parts, relationship: Guid) -> Result<Self, RunError> {
        let (store, clock) = (Arc::clone(&parts.manifests), Arc::clone(&parts.clock));
        let may_block = store.may_block();
        let opened = blocking(may_block, move || match store.open(relationship) {
            Err(error @ StoreError::Damaged { .. }) => {
                tracing::error!(
                    "the manifest was set aside, and what is on the device counts as foreign from now on: {error}"
                );
                store.open(relationship)
            }
            other => other,
        });
        Ok(Self { manifest: Arc::new(Mutex::new(opened.await?)), may_block, clock, spent: Arc::default() })
    }

    /// Runs `call` on the manifest.
    pub(crate) async fn with<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut dyn Manifest) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, RunError> {
        let (manifest, spent) = (Arc::clone(&self.manifest), Arc::clone(&self.spent));
        let called = blocking(self.may_block, move || {
            let mut manifest = manifest.lock().unwrap_or_else(PoisonError::into_inner);
            let begun = Instant::now();
            let answer = call(manifest.as_mut());
            let elapsed = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
            spent.fetch_add(elapsed, Ordering::Relaxed);
            answer
        });
        Ok(called.await?)
    }

    /// Closes it, if nobody else has it open. That may write what its log holds, so it too is done on a thread that may
    /// block, and is waited for: then its files may be removed or opened anew.
    pub(crate) async fn close(self) {
        let Self { manifest, may_block, .. } = self;
        let closed = blocking(may_block, move || {
            drop(manifest);
            Ok(())
        });
        if let Err(error) = closed.await {
            tracing::warn!("a manifest was not closed as it should be: {error}");
        }
    }

    /// How long calls have taken so far.
    pub(crate) fn spent(&self) -> Duration {
        Duration::from_nanos(self.spent.load(Ordering::Relaxed))
    }

    /// Records outcomes and new intents together.
    pub(crate) async fn commit(
        &self,
        outcomes: Vec<Outcome>,
        intents: Vec<Intent>,
    ) -> Result<Vec<i64>, RunError> {
        self.record(Vec::new(), outcomes, intents).await
    }

    /// Records corrections, outcomes and new intents together; tells the intents' numbers.
    pub(crate) async fn record(
        &self,
        corrections: Vec<Correction>,
        outcomes: Vec<Outcome>,
        intents: Vec<Intent>,
    ) -> Result<Vec<i64>, RunError> {
        if corrections.is_empty() && outcomes.is_empty() && intents.is_empty() {
            return Ok(Vec::new());
        }
        let at = self.clock.now();
        self.with(move |manifest| {
            let (corrections, outcomes, intents) = (&*corrections, &*outcomes, &*intents);
            manifest.record(Record { at, corrections, outcomes, intents })
        })
        .await
    }
}
