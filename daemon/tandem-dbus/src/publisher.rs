//! Turns what the engine announces into objects, property changes and signals, in the engine's order: the changes of
//! a device's properties always go out before the signal that tells of them.
//!
//! It alone announces devices. It asks nothing of the engine but snapshots, so it never waits for a device.

use crate::bus::BusError;
use crate::changes::{Announced, Changes};
use crate::context::Context;
use crate::device::Device;
use crate::guard::Guard;
use crate::message::presentable;
use crate::services::Services;
use crate::{errors, paths};
use dbus_interfaces::names;
use std::collections::BTreeMap;
use std::sync::Arc;
use tandem_model::event::EngineEvent;
use tandem_model::id::DeviceId;
use tandem_model::snapshot::Snapshot;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use zbus::object_server::SignalEmitter;
use zbus::{ObjectPath, Variant};

/// Why a partnership did not end, for everybody.
const NOT_DELETED: &str = "the partnership, or what it put on the device, could not be removed; the owner is told why by DeviceSyncError";

/// Where events go out.
pub(crate) struct Publisher {
    context: Arc<Context>,
    services: SignalEmitter<'static>,
    announced: BTreeMap<DeviceId, Announced>,
}

impl Publisher {
    /// Puts the devices that are known now on the bus.
    ///
    /// # Errors
    /// When the bus refuses an object.
    pub(crate) async fn new(context: Arc<Context>) -> Result<Self, zbus::Error> {
        let services = SignalEmitter::new(&context.connection, names::ROOT_PATH)?;
        let mut publisher = Self { context, services, announced: BTreeMap::new() };
        for snapshot in publisher.context.engine.snapshots() {
            publisher.add(&snapshot).await?;
        }
        Ok(publisher)
    }

    /// Publishes until stopped, until the engine ends, or until the bus goes away.
    ///
    /// # Errors
    /// `Lost` when the bus went away.
    pub(crate) async fn run(
        mut self,
        mut events: mpsc::Receiver<EngineEvent>,
        stop: CancellationToken,
    ) -> Result<(), BusError> {
        let connection = self.context.connection.clone();
        let outcome = loop {
            let due = self.announced.values().filter_map(Announced::due).min();
            tokio::select! {
                biased;
                () = stop.cancelled() => {
                    // what came to pass before the end is still told
                    while let Ok(event) = events.try_recv() {
                        self.publish(event).await;
                    }
                    break Ok(());
                }
                () = connection.closed() => break Err(BusError::Lost),
                event = events.recv() => match event {
                    Some(event) => self.publish(event).await,
                    None => break Ok(()),
                },
                () = until(due) => self.announce_due().await,
            }
        };
        self.context.libraries.close().await;
        outcome
    }

    async fn publish(&mut self, event: EngineEvent) {
        if let Err(error) = self.try_publish(event).await {
            tracing::warn!("an event could not be put on the bus: {error}");
        }
    }

    async fn try_publish(&mut self, event: EngineEvent) -> Result<(), zbus::Error> {
        match event {
            EngineEvent::Added(snapshot) => {
                if self.add(&snapshot).await? {
                    self.announce_device_count().await?;
                }
                Ok(())
            }
            EngineEvent::Removed(device) => self.remove(&device).await,
            EngineEvent::Connected(device) => {
                let path = self.announce(&device, true).await?;
                Services::device_connect(&self.services, path).await
            }
            EngineEvent::Disconnected(device) => {
                let path = self.announce(&device, true).await?;
                Services::device_disconnect(&self.services, path).await
            }
            EngineEvent::StatusChanged(device, status) => {
                let path = self.announce(&device, true).await?;
                Services::device_status_change(&self.services, path, status.as_str()).await
            }
            EngineEvent::SyncStateChanged(device, state) => {
                let path = self.announce(&device, true).await?;
                Services::device_sync_state_change(&self.services, path, state.as_str()).await
            }
            EngineEvent::SnapshotChanged(device) => self.announce(&device, false).await.map(|_| ()),
            EngineEvent::SyncError { device, owner, media, error, message } => {
                let path = self.announce(&device, false).await?;
                let emitters = match owner {
                    Some(owner) => self.context.emitters_to_owner(owner, self.services.path()),
                    None => vec![self.services.clone()],
                };
                for emitter in emitters {
                    Services::device_sync_error(
                        &emitter,
                        path.as_ref(),
                        &media,
                        error.as_str(),
                        &presentable(&message),
                    )
                    .await?;
                }
                Ok(())
            }
            EngineEvent::CreatePartnershipComplete { device, result } => {
                let path = self.announce(&device, true).await?;
                let (success, error, message) = match result {
                    Ok(()) => (true, String::new(), String::new()),
                    Err(error) => (false, errors::name(error.clone()), presentable(&error.to_string())),
                };
                Services::create_partnership_complete(&self.services, path, success, &error, &message).await
            }
            EngineEvent::DeletePartnershipComplete { device, result } => {
                let path = self.announce(&device, true).await?;
                let (success, error, message) = match result {
                    Ok(()) => (true, String::new(), ""),
                    // everybody hears this; what the error says may name what lies on the device
                    Err(error) => (false, errors::name(error), NOT_DELETED),
                };
                Services::delete_partnership_complete(&self.services, path, success, &error, message).await
            }
            EngineEvent::EstimationComplete { device, result } => {
                let path = self.announce(&device, true).await?;
                let (used, left) = result.unwrap_or((0, 0));
                Services::sync_estimation_complete(&self.services, path, result.is_some(), used, left).await
            }
            EngineEvent::SettingsRequested(device) => {
                let path = self.announce(&device, false).await?;
                Services::settings_requested(&self.services, path).await
            }
            EngineEvent::AssignmentsChanged(owner) => {
                self.context.libraries.assignments_changed(owner);
                Ok(())
            }
        }
    }

    /// Puts a device on the bus; whether it wasn't there yet.
    async fn add(&mut self, snapshot: &Arc<Snapshot>) -> Result<bool, zbus::Error> {
        let id = &snapshot.description.id;
        if self.announced.contains_key(id) {
            return Ok(false);
        }
        // taken before the object shows anything, so that no change in between is missed
        self.announced.insert(id.clone(), Announced::new(snapshot));
        let device = Device::new(Arc::clone(snapshot), Arc::clone(&self.context));
        let object = Guard::new(device, Arc::clone(&self.context));
        self.context.connection.object_server().at(paths::device(id), object).await?;
        Ok(self.context.add_device(id))
    }

    /// Takes a device off the bus.
    async fn remove(&mut self, id: &DeviceId) -> Result<(), zbus::Error> {
        if self.announced.remove(id).is_none() {
            return Ok(());
        }
        self.context.remove_device(id);
        self.context.connection.object_server().remove::<Guard<Device>, _>(paths::device(id)).await?;
        self.announce_device_count().await
    }

    async fn announce_device_count(&self) -> Result<(), zbus::Error> {
        let count = u32::try_from(self.context.devices().len()).unwrap_or(u32::MAX);
        let changes =
            Changes { changed: vec![("DeviceCount", Variant::from(count))], invalidated: Vec::new() };
        self.context.announce(std::slice::from_ref(&self.services), names::SERVICES, &changes).await
    }

    /// Announces what is new of a device, putting it on the bus first if it isn't there; tells its path.
    async fn announce(&mut self, id: &DeviceId, urgent: bool) -> Result<ObjectPath<'static>, zbus::Error> {
        let path = paths::device(id).into_inner();
        // one that the engine has forgotten meanwhile is what it was announced as, until its removal is told
        let Some(snapshot) = self.context.engine.snapshot(id) else { return Ok(path) };
        if self.add(&snapshot).await? {
            self.announce_device_count().await?;
        }
        if let Some(announced) = self.announced.get_mut(id) {
            let changes = announced.update(&snapshot, Instant::now(), urgent);
            let emitter = SignalEmitter::new(&self.context.connection, path.as_ref())?;
            self.context.announce(&[emitter], names::DEVICE, &changes).await?;
        }
        Ok(path)
    }

    /// Announces what was held back and is due now.
    async fn announce_due(&mut self) {
        let now = Instant::now();
        let due: Vec<_> =
            self.announced.iter().filter(|(_, a)| a.due().is_some_and(|due| due <= now)).collect();
        let devices: Vec<_> = due.into_iter().map(|(id, _)| id.clone()).collect();
        for device in devices {
            self.publish(EngineEvent::SnapshotChanged(device)).await;
        }
    }
}

/// Waits until this instant; for ever without one, and without a timer.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use crate::fake_engine::{MemoryLibraries, engine};
    use crate::{Bus, BusKind, ServeOptions, ServiceProviders};
    use futures_util::StreamExt;
    use kit::{LIMIT, PrivateBus};
    use tandem_model::device::{DeviceDescription, Kind};
    use tandem_model::id::DeviceId;
    use tandem_model::presence::{Arrival, Locator, Presence};
    use tokio::time::timeout;
    use tokio_util::sync::CancellationToken;
    use zbus::connection::Builder;
    use zbus::{MatchRule, MessageStream};

    fn arrival(name: &str) -> Presence {
        Presence::Arrived(Arrival {
            key: name.to_owned(),
            description: DeviceDescription::named(DeviceId(name.to_owned()), Kind::Folder, name),
            port: String::new(),
            locator: Locator::Folder { path: name.into() },
        })
    }

    #[tokio::test]
    async fn a_device_that_was_gone_before_it_was_announced_comes_and_goes() {
        let bus = PrivateBus::start();
        let rule = MatchRule::builder()
            .interface("org.freedesktop.DBus.ObjectManager")
            .build()
            .expect("a legal name");
        let mut signals =
            MessageStream::for_match_rule(rule, &bus.connect().await, None).await.expect("the bus takes it");
        let (libraries, stop) = (MemoryLibraries::new(), CancellationToken::new());
        let (started, presence) = engine(&libraries, &stop).await;
        for presence_of in [arrival("brief"), Presence::Departed("brief".to_owned()), arrival("staying")] {
            presence.send(presence_of).await.expect("the engine runs");
        }
        let known =
            || started.engine.snapshots().iter().map(|s| s.description.id.0.clone()).collect::<Vec<_>>();
        let arrived = async {
            while known() != ["staying"] {
                tokio::task::yield_now().await;
            }
        };
        timeout(LIMIT, arrived).await.expect("the engine takes note");
        let options = ServeOptions {
            version: String::new(),
            owner_is_everything: true,
            providers: ServiceProviders::new(BusKind::Session, Vec::new()),
            usb: std::sync::Arc::new(crate::fake_engine::NoUsb),
            stop: stop.clone(),
        };
        let service = Bus::build(Builder::address(bus.address())).await.expect("the bus takes it");
        let served = service.serve(started.engine, started.events, options).await.expect("it serves");
        let mut of_brief = Vec::new();
        while of_brief.len() < 2 {
            let signal = timeout(LIMIT, signals.next()).await.expect("a signal comes");
            let signal = signal.expect("the bus lives").expect("a message");
            let member = signal.header().member().map(ToString::to_string);
            // both begin with the path
            let path = signal.body().data().to_vec();
            let is_brief = path.windows(5).take(200).any(|text| text == b"brief");
            if is_brief {
                of_brief.push(member);
            }
        }
        assert_eq!(of_brief, [Some("InterfacesAdded".to_owned()), Some("InterfacesRemoved".to_owned())]);
        stop.cancel();
        timeout(LIMIT, served.ended()).await.expect("it ends").expect("in order");
        timeout(LIMIT, started.task).await.expect("it ends").expect("in order");
    }
}
