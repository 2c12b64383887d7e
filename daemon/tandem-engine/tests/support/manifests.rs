//! Manifests on disk, with a note of the threads on which they are closed. It changes nothing about them.

use std::sync::{Arc, Mutex};
use std::thread::ThreadId;
use tandem_model::error::StoreError;
use tandem_model::id::{Guid, MediaUri};
use tandem_model::manifest::{
    Correction, Entry, Intent, ItemResult, Manifest, ManifestStore, OpenRun, Record,
};
use tandem_model::path::DevicePath;
use tandem_store::SqliteManifests;

/// Threads on which manifests were closed.
pub(crate) type Closed = Arc<Mutex<Vec<ThreadId>>>;

/// Opens manifests as the daemon does.
pub(crate) struct WatchedManifests {
    pub(crate) inner: SqliteManifests,
    pub(crate) closed: Closed,
}

impl ManifestStore for WatchedManifests {
    fn open(&self, relationship: Guid) -> Result<Box<dyn Manifest>, StoreError> {
        let (inner, closed) = (self.inner.open(relationship)?, Arc::clone(&self.closed));
        Ok(Box::new(WatchedManifest { inner, closed }))
    }
    fn remove(&self, relationship: Guid) -> Result<(), StoreError> {
        self.inner.remove(relationship)
    }
}

struct WatchedManifest {
    inner: Box<dyn Manifest>,
    closed: Closed,
}

impl Drop for WatchedManifest {
    fn drop(&mut self) {
        self.closed.lock().unwrap().push(std::thread::current().id());
    }
}

impl Manifest for WatchedManifest {
    fn was_filled(&self) -> Result<bool, StoreError> {
        self.inner.was_filled()
    }
    fn each_entry(&self, see: &mut dyn FnMut(Entry)) -> Result<(), StoreError> {
        self.inner.each_entry(see)
    }
    fn folders(&self) -> Result<Vec<DevicePath>, StoreError> {
        self.inner.folders()
    }
    fn media_state(&self, media: &MediaUri) -> Result<(bool, bool), StoreError> {
        self.inner.media_state(media)
    }
    fn pending(&self) -> Result<Vec<(i64, Intent)>, StoreError> {
        self.inner.pending()
    }
    fn record(&mut self, record: Record<'_>) -> Result<Vec<i64>, StoreError> {
        self.inner.record(record)
    }
    fn correct(&mut self, corrections: &[Correction]) -> Result<(), StoreError> {
        self.inner.correct(corrections)
    }
    fn results(&self) -> Result<Vec<ItemResult>, StoreError> {
        self.inner.results()
    }
    fn set_results(&mut self, results: &[ItemResult]) -> Result<(), StoreError> {
        self.inner.set_results(results)
    }
    fn begin_run(&mut self, id: Guid, began: u64) {
        self.inner.begin_run(id, began);
    }
    fn open_run(&self) -> Result<Option<OpenRun>, StoreError> {
        self.inner.open_run()
    }
    fn close_run(&mut self, id: Guid) -> Result<(), StoreError> {
        self.inner.close_run(id)
    }
}
