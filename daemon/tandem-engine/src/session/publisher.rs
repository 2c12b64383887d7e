//! What the outside sees of a session: a `watch` of its snapshot, and events in the order in which they happened.

use crate::registry::Registry;
use std::sync::Arc;
use tandem_model::event::EngineEvent;
use tandem_model::snapshot::Snapshot;
use tokio::sync::mpsc;

/// Publishes one session.
pub(crate) struct Publisher {
    current: Snapshot,
    registry: Arc<Registry>,
    events: mpsc::Sender<EngineEvent>,
}

impl Publisher {
    /// Publishes the first snapshot.
    pub(crate) fn new(
        snapshot: Snapshot,
        registry: Arc<Registry>,
        events: mpsc::Sender<EngineEvent>,
    ) -> Self {
        registry.publish(Arc::new(snapshot.clone()));
        Self { current: snapshot, registry, events }
    }

    /// What was published last.
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.current
    }

    /// Publishes what `change` makes of the snapshot, if that is something else, and announces the difference.
    pub(crate) async fn update(&mut self, change: impl FnOnce(&mut Snapshot)) {
        self.update_with(None, change).await;
    }

    /// The same, with an announcement that goes before the others.
    pub(crate) async fn update_with(
        &mut self,
        first: Option<EngineEvent>,
        change: impl FnOnce(&mut Snapshot),
    ) {
        let mut next = self.current.clone();
        change(&mut next);
        if next == self.current {
            if let Some(first) = first {
                self.announce(first).await;
            }
            return;
        }
        next.generation = self.current.generation + 1;
        let before = std::mem::replace(&mut self.current, next);
        self.registry.publish(Arc::new(self.current.clone()));
        let device = self.current.description.id.clone();
        let mut announced = first.is_some();
        if let Some(first) = first {
            self.announce(first).await;
        }
        if before.status != self.current.status {
            announced = true;
            self.announce(EngineEvent::StatusChanged(device.clone(), self.current.status)).await;
        }
        if before.sync_state != self.current.sync_state {
            announced = true;
            self.announce(EngineEvent::SyncStateChanged(device.clone(), self.current.sync_state)).await;
        }
        if !announced {
            self.announce(EngineEvent::SnapshotChanged(device)).await;
        }
    }

    /// Announces an event. Without a listener there is nobody to tell.
    pub(crate) async fn announce(&self, event: EngineEvent) {
        if self.events.send(event).await.is_err() {
            tracing::trace!("nobody listens to the engine's events");
        }
    }
}
