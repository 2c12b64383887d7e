//! The manifest for asynchronous callers: each call runs on a thread that may block, one after the other.

use super::error::RunError;
use crate::blocking::blocking;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tandem_model::error::StoreError;
use tandem_model::id::Guid;
use tandem_model::manifest::{Intent, Manifest, ManifestStore, Outcome};

/// One partnership's manifest and journal.
#[derive(Clone)]
pub(crate) struct Journal {
    manifest: Arc<Held>,
    /// Nanoseconds that calls have taken, the wait for a thread not counted.
    spent: Arc<AtomicU64>,
}

/// An open manifest. Closing it may write what its log holds, so that too is done on a thread that may block.
struct Held {
    manifest: Mutex<Option<Box<dyn Manifest>>>,
    may_block: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        let manifest = self.manifest.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if self.may_block
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn_blocking(move || drop(manifest));
        }
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("spent", &self.spent()).finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens it. One that was damaged has been set aside by the store, and a new one is begun: what is on the device
    /// is foreign then, so nothing of it can be deleted.
    pub(crate) async fn open(store: &Arc<dyn ManifestStore>, relationship: Guid) -> Result<Self, RunError> {
        let store = Arc::clone(store);
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
        let manifest = Held { manifest: Mutex::new(Some(opened.await?)), may_block };
        Ok(Self { manifest: Arc::new(manifest), spent: Arc::default() })
    }

    /// Runs `call` on the manifest.
    pub(crate) async fn with<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut dyn Manifest) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, RunError> {
        let (manifest, spent) = (Arc::clone(&self.manifest), Arc::clone(&self.spent));
        let called = blocking(self.manifest.may_block, move || {
            let mut manifest = manifest.manifest.lock().unwrap_or_else(PoisonError::into_inner);
            let begun = Instant::now();
            let answer = call(manifest.as_deref_mut().expect("it is taken out only by the last drop"));
            let elapsed = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
            spent.fetch_add(elapsed, Ordering::Relaxed);
            answer
        });
        Ok(called.await?)
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
        if outcomes.is_empty() && intents.is_empty() {
            return Ok(Vec::new());
        }
        self.with(move |manifest| manifest.commit(&outcomes, &intents)).await
    }
}
