//! What all objects on the bus share: the engine, the gate, the connection, and who is told what.
//!
//! It decides nothing about devices; it holds no lock across an await.

use crate::authorization::{About, Gate};
use crate::caller::Callers;
use crate::changes::Changes;
use crate::libraries::Libraries;
use crate::providers::ServiceProviders;
use crate::turns::Turns;
use dbus_interfaces::Error;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use tandem_engine::Engine;
use tandem_model::error::RequestError;
use tandem_model::id::{DeviceId, Uid};
use tandem_model::snapshot::Snapshot;
use tandem_model::usb::UsbDevices;
use zbus::names::InterfaceName;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, ObjectPath, fdo};

/// Method calls of one connection that are worked on at the same time.
const CALLS_AT_ONCE: usize = 32;

/// Shared by all objects.
pub(crate) struct Context {
    pub(crate) engine: Engine,
    pub(crate) gate: Gate,
    pub(crate) connection: Connection,
    pub(crate) libraries: Libraries,
    pub(crate) providers: ServiceProviders,
    pub(crate) usb: Arc<dyn UsbDevices>,
    pub(crate) version: String,
    pub(crate) turns: Turns,
    /// Devices whose objects are on the bus.
    devices: RwLock<BTreeSet<DeviceId>>,
}

impl Context {
    pub(crate) fn new(
        engine: Engine,
        gate: Gate,
        connection: Connection,
        providers: ServiceProviders,
        usb: Arc<dyn UsbDevices>,
        version: String,
    ) -> Self {
        Self {
            engine,
            gate,
            connection,
            providers,
            usb,
            version,
            turns: Turns::new(CALLS_AT_ONCE),
            libraries: Libraries::default(),
            devices: RwLock::default(),
        }
    }

    pub(crate) fn callers(&self) -> &Callers {
        self.gate.callers()
    }

    /// Notes that this device's object is on the bus; whether it wasn't yet.
    pub(crate) fn add_device(&self, id: &DeviceId) -> bool {
        self.devices.write().unwrap_or_else(PoisonError::into_inner).insert(id.clone())
    }

    /// Notes that this device's object is to leave the bus.
    pub(crate) fn remove_device(&self, id: &DeviceId) {
        self.devices.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Devices whose objects are on the bus, in the engine's order.
    pub(crate) fn devices(&self) -> Vec<Arc<Snapshot>> {
        let known = self.devices.read().unwrap_or_else(PoisonError::into_inner);
        let mut snapshots = self.engine.snapshots();
        snapshots.retain(|snapshot| known.contains(&snapshot.description.id));
        snapshots
    }

    /// The device's snapshot.
    ///
    /// # Errors
    /// `NotFound` when the engine doesn't know the device.
    pub(crate) fn snapshot(&self, id: &DeviceId) -> Result<Arc<Snapshot>, Error> {
        self.engine.snapshot(id).ok_or_else(|| {
            crate::errors::contract(RequestError::NotFound(format!("device {id} is not known any more")))
        })
    }

    /// What a call about this device is about.
    pub(crate) fn about_device(&self, id: &DeviceId) -> About {
        match self.engine.snapshot(id) {
            Some(snapshot) => About {
                // also of one whose twin is there, which shows none
                owner: self.engine.owner(id),
                name: snapshot.friendly_name.clone(),
            },
            None => About { owner: None, name: id.to_string() },
        }
    }

    /// Emitters for what concerns this owner alone: one for each of his connections that have called, or on the
    /// session bus, where there is but one user, one for all.
    pub(crate) fn emitters_to_owner(&self, owner: Uid, path: &ObjectPath<'_>) -> Vec<SignalEmitter<'static>> {
        let emitter = SignalEmitter::from_parts(self.connection.clone(), path.to_owned());
        if self.callers().only_user().is_some() {
            return vec![emitter];
        }
        let names = self.callers().connections_of(owner);
        names.into_iter().map(|name| emitter.clone().set_destination(name.into_inner().into())).collect()
    }

    /// Sends one `PropertiesChanged` through each of these emitters.
    pub(crate) async fn announce(
        &self,
        emitters: &[SignalEmitter<'_>],
        interface: &'static str,
        changes: &Changes,
    ) -> Result<(), zbus::Error> {
        if changes.is_empty() {
            return Ok(());
        }
        for emitter in emitters {
            let changed = changes.changed.iter().map(|(name, value)| Ok((*name, value.try_clone()?)));
            fdo::Properties::properties_changed(
                emitter,
                InterfaceName::from_static_str(interface)?,
                changed.collect::<Result<_, zbus::Error>>()?,
                Cow::Borrowed(&changes.invalidated),
            )
            .await?;
        }
        Ok(())
    }
}
