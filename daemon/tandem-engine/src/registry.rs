//! All known devices: their newest snapshots and the way to their sessions. Read by anyone at any time; written by
//! the manager and the sessions alone.

use crate::session::handle::SessionHandle;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use tandem_model::device::SyncState;
use tandem_model::id::DeviceId;
use tandem_model::snapshot::Snapshot;
use tokio::sync::watch;

/// One known device.
struct Known {
    snapshot: Arc<Snapshot>,
    session: Option<SessionHandle>,
}

/// The table of known devices.
#[derive(Default)]
pub(crate) struct Registry {
    known: RwLock<BTreeMap<DeviceId, Known>>,
    busy: watch::Sender<bool>,
}

impl Registry {
    /// Makes this the device's newest snapshot.
    pub(crate) fn publish(&self, snapshot: Arc<Snapshot>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        match known.get_mut(&snapshot.description.id) {
            Some(device) => device.snapshot = snapshot,
            None => {
                known.insert(snapshot.description.id.clone(), Known { snapshot, session: None });
            }
        }
        self.tell_busy(&known);
    }

    /// Whether a run goes on, as it changes.
    pub(crate) fn busy(&self) -> watch::Receiver<bool> {
        self.busy.subscribe()
    }

    fn tell_busy(&self, known: &BTreeMap<DeviceId, Known>) {
        let busy = known.values().any(|device| device.snapshot.sync_state == SyncState::Synchronizing);
        self.busy.send_if_modified(|was| std::mem::replace(was, busy) != busy);
    }

    /// Makes a session reachable.
    pub(crate) fn attach(&self, device: &DeviceId, session: SessionHandle) {
        if let Some(known) = self.known.write().unwrap_or_else(PoisonError::into_inner).get_mut(device) {
            known.session = Some(session);
        }
    }

    /// Forgets a device.
    pub(crate) fn remove(&self, device: &DeviceId) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.remove(device);
        self.tell_busy(&known);
    }

    /// The newest snapshots, in a stable order.
    pub(crate) fn snapshots(&self) -> Vec<Arc<Snapshot>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.values().map(|device| Arc::clone(&device.snapshot)).collect()
    }

    /// A device's newest snapshot.
    pub(crate) fn snapshot(&self, device: &DeviceId) -> Option<Arc<Snapshot>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(device).map(|device| Arc::clone(&device.snapshot))
    }

    /// The way to a device's session.
    pub(crate) fn session(&self, device: &DeviceId) -> Option<SessionHandle> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(device).and_then(|device| device.session.clone())
    }
}
