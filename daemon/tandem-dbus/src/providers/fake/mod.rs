//! A provider in memory that can do everything wrong that a provider can, at any of its calls.

mod changes;
mod device;
mod harm;

pub(super) use device::Device;
pub(super) use harm::Harm;

use super::link::{Limits, ProviderBus};
use super::offer::Offer;
use super::opener::Opener;
use super::parameters::Parameters;
use super::registry::Registry;
use device::{Done, owned, perform};
use futures_util::StreamExt;
use harm::reply;
use kit::PrivateBus;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tandem_model::device::{DeviceDescription, Kind};
use tandem_model::error::PlayerError;
use tandem_model::id::DeviceId;
use tandem_model::player::Player;
use tandem_model::presence::{ProviderDevice, Providers};
use tokio_util::task::AbortOnDropHandle;
use zbus::message::Type;
use zbus::names::OwnedBusName;
use zbus::{Connection, Message, MessageStream, OwnedObjectPath, Variant};

pub(super) const ROOT: &str = "/org/example/Fake";

/// A provider on a bus.
pub(super) struct Fake {
    pub(super) device: Arc<Mutex<Device>>,
    pub(super) name: OwnedBusName,
    pub(super) connection: Connection,
    _task: AbortOnDropHandle<()>,
}

impl Fake {
    /// Enters the bus, serving this device.
    pub(super) async fn enter(bus: &PrivateBus, device: &Arc<Mutex<Device>>) -> Self {
        let connection = bus.connect().await;
        let stream = MessageStream::from(&connection);
        let name = OwnedBusName::try_from(connection.unique_name().unwrap().as_str()).unwrap();
        let task = tokio::spawn(serve(connection.clone(), stream, Arc::clone(device)));
        Self { device: Arc::clone(device), name, connection, _task: AbortOnDropHandle::new(task) }
    }

    pub(super) fn offer(&self) -> Offer {
        let parameters = HashMap::from([("UseExtendedWmdm".to_owned(), owned(Variant::from(1u32)))]);
        Offer {
            name: "Fake players".to_owned(),
            bus_name: self.name.clone(),
            root: OwnedObjectPath::try_from(ROOT).unwrap(),
            parameters: Parameters::from_options(&parameters).unwrap(),
        }
    }

    /// What opens devices through a registry that knows this provider.
    pub(super) fn opener(&self, bus: &PrivateBus) -> Opener {
        let registry = Arc::new(Registry::new(Vec::new()));
        self.register(&registry);
        Opener { bus: ProviderBus::At(bus.address().to_owned()), registry, limits: Limits::default() }
    }

    /// Has a registry know it.
    pub(super) fn register(&self, registry: &Registry) {
        let Offer { name, bus_name, root, parameters } = self.offer();
        registry.register(&bus_name, &name, root, parameters).unwrap();
    }

    /// Opens the device through a registry that knows this provider and nothing else.
    pub(super) async fn open(&self, bus: &PrivateBus) -> Result<Arc<dyn Player>, PlayerError> {
        self.opener(bus).open(&device(), description()).await
    }
}

/// A device that any provider may serve.
pub(super) fn device() -> ProviderDevice {
    ProviderDevice {
        canonical_name: "fake".to_owned(),
        ids: Some((1, 2)),
        serial: "1".to_owned(),
        interfaces: Vec::new(),
        syspath: "/sys/fake".to_owned(),
        node: None,
        provider: None,
    }
}

pub(super) fn description() -> DeviceDescription {
    DeviceDescription::named(DeviceId("fake".to_owned()), Kind::Provider, "")
}

async fn serve(connection: Connection, mut calls: MessageStream, device: Arc<Mutex<Device>>) {
    let (mut held, mut ignored): (Option<(Message, Done)>, Vec<Message>) = (None, Vec::new());
    while let Some(Ok(call)) = calls.next().await {
        if call.message_type() != Type::MethodCall {
            continue;
        }
        let harm = {
            let mut device = device.lock().unwrap();
            let number = device.calls.len();
            let member = call.header().member().map(ToString::to_string).unwrap_or_default();
            device.calls.push(member);
            device.plan.filter(|(planned, _)| *planned == number).map(|(_, harm)| harm)
        };
        if harm == Some(Harm::DieBefore) {
            connection.clone().close().await.ok();
            return;
        }
        let member = call.header().member().map(ToString::to_string).unwrap_or_default();
        if device.lock().unwrap().ignores == Some(member.as_str()) {
            ignored.push(call);
            continue;
        }
        if ["CreateStorageWithMetadata", "Insert", "WriteOnClearChannel"].contains(&member.as_str())
            && let Some((earlier, done)) = held.take()
        {
            reply(&connection, &call, Err("Busy"), None).await.ok();
            reply(&connection, &earlier, done, None).await.ok();
            continue;
        }
        let answer = perform(&call, &device).await;
        if device.lock().unwrap().is_alone(&call, &answer) {
            held = Some((call, answer));
            continue;
        }
        if harm == Some(Harm::DieAfter) {
            connection.clone().close().await.ok();
            return;
        }
        // an error means that nobody waits any more
        reply(&connection, &call, answer, harm).await.ok();
    }
}
