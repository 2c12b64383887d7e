//! The manager: knows all devices, gives each arrival to its session, and makes sessions as they are needed. It never
//! touches a device.

use crate::ledger::Ledger;
use crate::parts::{Inputs, Parts};
use crate::registry::Registry;
use crate::session;
use crate::session::handle::Command;
use std::collections::HashMap;
use std::sync::Arc;
use tandem_model::device::Status;
use tandem_model::event::EngineEvent;
use tandem_model::id::DeviceId;
use tandem_model::partnership::KnownDevice;
use tandem_model::presence::{Arrival, Presence};
use tandem_model::snapshot::Snapshot;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{error, info};

/// Devices that wait to be forgotten, at most.
const FORGET: usize = 16;

/// The task that knows all devices.
pub(crate) struct Manager {
    parts: Arc<Parts>,
    ledger: Arc<Ledger>,
    registry: Arc<Registry>,
    events: mpsc::Sender<EngineEvent>,
    forget: (mpsc::Sender<DeviceId>, mpsc::Receiver<DeviceId>),
    inputs: Inputs,
    sessions: JoinSet<()>,
    /// Which device each arrival's key stands for.
    present: HashMap<String, DeviceId>,
}

impl Manager {
    /// A manager whose known devices are those with a partnership; none is connected yet.
    pub(crate) fn new(
        parts: Arc<Parts>,
        ledger: Arc<Ledger>,
        registry: Arc<Registry>,
        events: mpsc::Sender<EngineEvent>,
        inputs: Inputs,
    ) -> Self {
        let forget = mpsc::channel(FORGET);
        let present = HashMap::new();
        let mut manager =
            Self { parts, ledger, registry, events, forget, inputs, sessions: JoinSet::new(), present };
        let record = manager.ledger.current();
        for known in &record.devices {
            if record.partnerships.iter().any(|partnership| partnership.device == known.description.id) {
                manager.add(known.description.clone(), Some(known));
            }
        }
        manager
    }

    /// Works until stopped; returns when every session has ended.
    pub(crate) async fn work(mut self) {
        let stop = self.inputs.stop.clone();
        let mut hardware = true;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                presence = self.inputs.presence.recv(), if hardware => match presence {
                    Some(Presence::Arrived(arrival)) => self.arrived(arrival).await,
                    Some(Presence::Departed(key)) => self.departed(&key).await,
                    Some(Presence::ProvidersChanged) => self.providers_changed().await,
                    None => hardware = false,
                },
                Some(device) = self.forget.1.recv() => self.forget(&device).await,
                Some(ended) = self.sessions.join_next() => {
                    if let Err(failure) = ended {
                        error!("a session failed: {failure}");
                    }
                }
            }
        }
        while let Some(ended) = self.sessions.join_next().await {
            if let Err(failure) = ended {
                error!("a session failed: {failure}");
            }
        }
    }

    /// Makes a session for a device that becomes known.
    fn add(&mut self, description: tandem_model::device::DeviceDescription, known: Option<&KnownDevice>) {
        let device = description.id.clone();
        let partnership = self.ledger.partnership(&device);
        let mut snapshot = Snapshot::absent(description);
        let verify = self.parts.options.verify;
        session::show_record(&mut snapshot, known, partnership.as_ref(), verify);
        if partnership.is_some() {
            // as the record has it, until its mark is seen
            snapshot.status = Status::PartnershipExists;
        }
        let context = session::Context {
            parts: Arc::clone(&self.parts),
            ledger: Arc::clone(&self.ledger),
            registry: Arc::clone(&self.registry),
            events: self.events.clone(),
            forget: self.forget.0.clone(),
            stop: self.inputs.stop.clone(),
        };
        let handle = session::spawn(&mut self.sessions, context, snapshot);
        self.registry.attach(&device, handle);
    }

    async fn announce(&self, event: EngineEvent) {
        if self.events.send(event).await.is_err() {
            tracing::trace!("nobody listens to the engine's events");
        }
    }

    async fn arrived(&mut self, mut arrival: Arrival) {
        if self.present.contains_key(&arrival.key) {
            return;
        }
        let device = self.identity(&arrival);
        arrival.description.id = device.clone();
        info!(id = %device, kind = arrival.description.kind.as_str(), "a device came");
        self.present.insert(arrival.key.clone(), device.clone());
        if self.registry.session(&device).is_none() {
            let known = self.ledger.device(&device);
            self.add(arrival.description.clone(), known.as_ref());
            if let Some(snapshot) = self.registry.snapshot(&device) {
                self.announce(EngineEvent::Added(snapshot)).await;
            }
        }
        if let Some(session) = self.registry.session(&device)
            && session.tell(Command::Arrived(arrival)).await.is_err()
        {
            error!(id = %device, "the session of a device that came has ended");
        }
    }

    /// The device's id. Two devices that claim one identity at the same time are told apart by where they are
    /// plugged in; the one that came first keeps the plain id.
    fn identity(&self, arrival: &Arrival) -> DeviceId {
        let id = &arrival.description.id;
        if self.present.values().any(|present| present == id) {
            let port: String =
                arrival.port.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            return DeviceId(format!("{id}-at-{port}"));
        }
        id.clone()
    }

    async fn departed(&mut self, key: &str) {
        let Some(device) = self.present.remove(key) else { return };
        info!(id = %device, "a device went");
        let Some(session) = self.registry.session(&device) else { return };
        match session.ask(|reply| Command::Departed { reply }).await {
            Ok(true) => {}
            Ok(false) => self.forget(&device).await,
            Err(failure) => {
                error!(id = %device, "a session did not take note that its device went: {failure}");
            }
        }
    }

    async fn providers_changed(&self) {
        for device in self.present.values() {
            if let Some(session) = self.registry.session(device)
                && session.tell(Command::ProvidersChanged).await.is_err()
            {
                error!(id = %device, "the session of a connected device has ended");
            }
        }
    }

    /// Forgets a device that is neither connected nor partnered.
    async fn forget(&mut self, device: &DeviceId) {
        let connected = self.present.values().any(|present| present == device);
        if connected || self.ledger.partnership(device).is_some() {
            return;
        }
        self.registry.remove(device);
        self.announce(EngineEvent::Removed(device.clone())).await;
    }
}
