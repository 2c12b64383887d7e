//! The partnerships of this computer: pure changes of the record, and the one place that keeps it.
//!
//! A change is made on a copy, written to disk, and only then believed.

mod changes;

pub(crate) use changes::{
    Creation, create, default_assignments, end, forget_playlist, reassigned, set_assignment, take_back,
};

use crate::blocking::blocking;
use crate::parts::Parts;
use std::sync::Arc;
use tandem_model::error::{RequestError, StoreError};
use tandem_model::event::EngineEvent;
use tandem_model::id::{DeviceId, Guid};
use tandem_model::partnership::{KnownDevice, Partnership, PartnershipStore, Partnerships};
use tokio::sync::{Mutex, mpsc, watch};

/// Keeps the record of partnerships and known devices.
pub(crate) struct Ledger {
    store: Arc<dyn PartnershipStore>,
    writing: Mutex<()>,
    current: watch::Sender<Arc<Partnerships>>,
    events: mpsc::Sender<EngineEvent>,
}

impl Ledger {
    /// Reads what was kept. Whose assignments change is announced by `events`.
    pub(crate) async fn load(parts: &Parts, events: mpsc::Sender<EngineEvent>) -> Result<Self, StoreError> {
        let store = Arc::clone(&parts.store);
        let partnerships = blocking(store.may_block(), move || store.load()).await?;
        Ok(Self {
            store: Arc::clone(&parts.store),
            writing: Mutex::new(()),
            current: watch::Sender::new(Arc::new(partnerships)),
            events,
        })
    }

    /// What is true now.
    pub(crate) fn current(&self) -> Arc<Partnerships> {
        Arc::clone(&self.current.borrow())
    }

    /// A device's partnership on this computer.
    pub(crate) fn partnership(&self, device: &DeviceId) -> Option<Partnership> {
        self.current.borrow().partnerships.iter().find(|partnership| partnership.device == *device).cloned()
    }

    /// A device that was connected before.
    pub(crate) fn device(&self, device: &DeviceId) -> Option<KnownDevice> {
        self.current.borrow().devices.iter().find(|known| known.description.id == *device).cloned()
    }

    /// Removes those of these manifests in which nothing is in flight; what is in flight is settled when the device is
    /// there.
    pub(crate) async fn remove_settled(&self, parts: &Parts, ended: &[Guid]) -> Result<(), RequestError> {
        let mut settled = Vec::with_capacity(ended.len());
        for &relationship in ended {
            let manifests = Arc::clone(&parts.manifests);
            let pending = blocking(manifests.may_block(), move || match manifests.open(relationship) {
                // what was in flight can't be told any more
                Err(StoreError::Damaged { .. }) => Ok(false),
                opened => opened?.pending().map(|pending| !pending.is_empty()),
            });
            if !pending.await? {
                settled.push(relationship);
            }
        }
        self.remove_manifests(parts, &settled).await
    }

    /// Removes the manifests of partnerships that have ended, and forgets that this was to be done.
    pub(crate) async fn remove_manifests(&self, parts: &Parts, ended: &[Guid]) -> Result<(), RequestError> {
        for &relationship in ended {
            let manifests = Arc::clone(&parts.manifests);
            blocking(manifests.may_block(), move || manifests.remove(relationship)).await?;
        }
        let forget = |record: &mut Partnerships| {
            record.ended.retain(|relationship| !ended.contains(relationship));
            for known in &mut record.devices {
                known.unsettled.retain(|relationship| !ended.contains(relationship));
            }
            Ok(())
        };
        self.change(forget).await
    }

    /// Changes the record: on return the change is on disk and true, or an error and nothing has changed.
    pub(crate) async fn change<T: Send>(
        &self,
        change: impl FnOnce(&mut Partnerships) -> Result<T, RequestError> + Send,
    ) -> Result<T, RequestError> {
        let one_at_a_time = self.writing.lock().await;
        let before = self.current();
        let mut changed = (*before).clone();
        let answer = change(&mut changed)?;
        if changed == *before {
            return Ok(answer);
        }
        let changed = Arc::new(changed);
        let (store, to_save) = (Arc::clone(&self.store), Arc::clone(&changed));
        blocking(store.may_block(), move || store.save(&to_save)).await?;
        self.current.send_replace(Arc::clone(&changed));
        drop(one_at_a_time);
        for owner in reassigned(&before, &changed) {
            if self.events.send(EngineEvent::AssignmentsChanged(owner)).await.is_err() {
                tracing::trace!("nobody listens to the engine's events");
            }
        }
        Ok(answer)
    }
}
