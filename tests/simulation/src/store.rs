//! A computer's stores, with each call counted on the wire and what the wire says happening to it. After a kill nothing that
//! the engine still asks for is done.

use crate::event::{Harm, When};
use crate::memory::{MemoryManifests, MemoryPartnerships};
use crate::stage::Stage;
use crate::wire::{Fate, Trip};
use std::path::PathBuf;
use std::sync::Arc;
use tandem_model::error::StoreError;
use tandem_model::id::{Guid, MediaUri};
use tandem_model::manifest::{
    Correction, Entry, Intent, ItemResult, Manifest, ManifestStore, OpenRun, Record,
};
use tandem_model::partnership::{PartnershipStore, Partnerships};
use tandem_model::path::DevicePath;
use tandem_store::{PartnershipFile, SqliteManifests};

/// Where a computer keeps its state.
#[derive(Clone)]
pub(crate) enum State {
    /// In this directory, as the daemon does.
    Disk(PathBuf),
    /// In memory.
    Memory(Arc<MemoryPartnerships>, Arc<MemoryManifests>),
}

impl State {
    /// An empty one in memory.
    #[must_use]
    pub(crate) fn in_memory() -> Self {
        Self::Memory(Arc::default(), Arc::default())
    }

    /// The partnerships.
    #[must_use]
    pub(crate) fn partnerships(&self) -> Arc<dyn PartnershipStore> {
        match self {
            Self::Disk(directory) => Arc::new(PartnershipFile::new(directory.clone())),
            Self::Memory(partnerships, _) => Arc::<MemoryPartnerships>::clone(partnerships),
        }
    }

    /// The manifests.
    #[must_use]
    pub(crate) fn manifests(&self) -> Arc<dyn ManifestStore> {
        match self {
            Self::Disk(directory) => Arc::new(SqliteManifests::new(directory.clone())),
            Self::Memory(_, manifests) => Arc::<MemoryManifests>::clone(manifests),
        }
    }

    /// All manifests are lost; tells whether there ever were any.
    ///
    /// # Panics
    /// When they can't be removed.
    pub(crate) fn lose_manifests(&self) -> bool {
        match self {
            Self::Disk(directory) => {
                let manifests = directory.join("manifests");
                let is_there = manifests.exists();
                if is_there {
                    std::fs::remove_dir_all(&manifests).expect("the directory is the simulation's own");
                }
                is_there
            }
            Self::Memory(_, manifests) => manifests.lose(),
        }
    }
}

/// Lets calls through, or not.
#[derive(Clone)]
pub(crate) struct StoreGate {
    /// Everything around the engine.
    pub(crate) stage: Arc<Stage>,
    /// Number of the daemon that calls.
    pub(crate) daemon: u64,
}

impl StoreGate {
    fn call<T>(
        &self,
        name: &'static str,
        act: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let failed = |cause: &str| StoreError::Io { path: "state".to_owned(), cause: cause.to_owned() };
        let harm = match self.stage.wire.in_store(name, self.daemon) {
            Fate::Done => return act(),
            Fate::Gone | Fate::Dead => return Err(failed("the daemon was killed")),
            Fate::Harmed(harm) => harm,
        };
        match harm {
            Harm::Lie => act(),
            Harm::Error | Harm::Short | Harm::Hang => Err(failed("input/output error")),
            Harm::Full => Err(failed("no space left on device; free some space there")),
            Harm::ReadOnly => Err(failed("read-only file system")),
            Harm::Unplug(when) => {
                let done = if when == When::Before { Err(failed("input/output error")) } else { act() };
                self.stage.device().cut();
                self.stage.wire.trip(Trip::Unplugged { late: true });
                done
            }
            Harm::Kill(when) => {
                if when == When::After {
                    drop(act());
                }
                self.stage.wire.trip(Trip::Killed);
                Err(failed("the daemon was killed"))
            }
            Harm::PowerCut(left) => {
                drop(act());
                self.stage.device().lose_unkept(left);
                self.stage.wire.trip(Trip::Killed);
                Err(failed("the daemon was killed"))
            }
            harm @ (Harm::Stop | Harm::Library(_)) => {
                self.stage.wire.defer(harm);
                act()
            }
            Harm::User(edit) => {
                self.stage.disturb(&edit);
                act()
            }
        }
    }
}

/// Partnerships behind a gate.
pub(crate) struct GatedPartnerships {
    /// The gate.
    pub(crate) gate: StoreGate,
    /// What is behind it.
    pub(crate) inner: Arc<dyn PartnershipStore>,
}

impl PartnershipStore for GatedPartnerships {
    fn may_block(&self) -> bool {
        self.inner.may_block()
    }
    fn load(&self) -> Result<Partnerships, StoreError> {
        self.inner.load()
    }
    fn save(&self, partnerships: &Partnerships) -> Result<(), StoreError> {
        self.gate.call("save", || self.inner.save(partnerships))
    }
}

/// Manifests behind a gate.
pub(crate) struct GatedManifests {
    /// The gate.
    pub(crate) gate: StoreGate,
    /// What is behind it.
    pub(crate) inner: Arc<dyn ManifestStore>,
}

impl ManifestStore for GatedManifests {
    fn may_block(&self) -> bool {
        self.inner.may_block()
    }
    fn open(&self, relationship: Guid) -> Result<Box<dyn Manifest>, StoreError> {
        let opened = self.gate.call("open-manifest", || self.inner.open(relationship))?;
        Ok(Box::new(GatedManifest { gate: self.gate.clone(), inner: opened }))
    }
    fn remove(&self, relationship: Guid) -> Result<(), StoreError> {
        self.gate.call("remove-manifest", || self.inner.remove(relationship))
    }
}

struct GatedManifest {
    gate: StoreGate,
    inner: Box<dyn Manifest>,
}

impl Manifest for GatedManifest {
    fn each_entry(&self, see: &mut dyn FnMut(Entry)) -> Result<(), StoreError> {
        self.gate.call("entries", || self.inner.each_entry(see))
    }
    fn was_filled(&self) -> Result<bool, StoreError> {
        self.gate.call("was-filled", || self.inner.was_filled())
    }
    fn folders(&self) -> Result<Vec<DevicePath>, StoreError> {
        self.gate.call("folders", || self.inner.folders())
    }
    fn media_state(&self, media: &MediaUri) -> Result<(bool, bool), StoreError> {
        self.gate.call("media-state", || self.inner.media_state(media))
    }
    fn pending(&self) -> Result<Vec<(i64, Intent)>, StoreError> {
        self.gate.call("pending", || self.inner.pending())
    }
    fn record(&mut self, record: Record<'_>) -> Result<Vec<i64>, StoreError> {
        let Self { gate, inner } = self;
        gate.call("commit", || inner.record(record))
    }
    fn correct(&mut self, corrections: &[Correction]) -> Result<(), StoreError> {
        let Self { gate, inner } = self;
        gate.call("correct", || inner.correct(corrections))
    }
    fn results(&self) -> Result<Vec<ItemResult>, StoreError> {
        self.gate.call("results", || self.inner.results())
    }
    fn set_results(&mut self, results: &[ItemResult]) -> Result<(), StoreError> {
        let Self { gate, inner } = self;
        gate.call("set-results", || inner.set_results(results))
    }
    fn begin_run(&mut self, id: Guid, began: u64) {
        self.inner.begin_run(id, began);
    }
    fn open_run(&self) -> Result<Option<OpenRun>, StoreError> {
        self.gate.call("open-run", || self.inner.open_run())
    }
    fn close_run(&mut self, id: Guid) -> Result<(), StoreError> {
        let Self { gate, inner } = self;
        gate.call("close-run", || inner.close_run(id))
    }
}
