//! `org.tandemd.Sync1.Services` on the root object: devices, the caller's library, the events of all devices.
//!
//! Events are emitted by the publisher alone.

use crate::authorization::About;
use crate::context::Context;
use crate::guard::Guarded;
use crate::{errors, paths, usb};
use dbus_interfaces::Error;
use std::collections::HashMap;
use std::sync::Arc;
use tandem_model::id::PartnershipIndex;
use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{ObjectPath, OwnedObjectPath, OwnedVariant, Variant, interface};

/// The root object.
pub(crate) struct Services {
    context: Arc<Context>,
}

impl Services {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    fn paths(&self) -> Vec<OwnedObjectPath> {
        self.context.devices().iter().map(|snapshot| paths::device(&snapshot.description.id)).collect()
    }
}

impl Guarded for Services {
    const PRIVATE: bool = false;

    fn about(&self) -> About {
        About { owner: None, name: "the service".to_owned() }
    }
}

#[interface(name = "org.tandemd.Sync1.Services", introspection_docs = false)]
impl Services {
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> String {
        self.context.version.clone()
    }

    #[zbus(property)]
    fn device_count(&self) -> u32 {
        u32::try_from(self.paths().len()).unwrap_or(u32::MAX)
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn max_partnerships(&self) -> u32 {
        u32::from(PartnershipIndex::MAX)
    }

    #[zbus(out_args("device"))]
    fn get_device(&self, index: u32) -> Result<OwnedObjectPath, Error> {
        let devices = self.paths();
        let count = devices.len();
        usize::try_from(index).ok().and_then(|position| devices.into_iter().nth(position)).ok_or_else(|| {
            Error::InvalidArgument(format!("there is no device {index}; {count} are known, counted from 0"))
        })
    }

    #[zbus(out_args("devices"))]
    fn get_devices(&self) -> Vec<OwnedObjectPath> {
        self.paths()
    }

    #[zbus(out_args("library"))]
    async fn get_library(&self, #[zbus(header)] header: Header<'_>) -> Result<OwnedObjectPath, Error> {
        let owner = self.context.callers().uid(&header).await?;
        let shelf = self.context.libraries.shelf(owner);
        shelf.publish(&self.context, &header).await?;
        Ok(paths::library(owner))
    }

    #[zbus(out_args("devices"))]
    async fn probe(
        &self,
        device: String,
        again: bool,
    ) -> Result<Vec<HashMap<&'static str, Variant<'static>>>, Error> {
        let reports = self.context.usb.probe(device, again).await.map_err(errors::contract)?;
        Ok(reports.into_iter().map(usb::told).collect())
    }

    fn register_provider(
        &self,
        #[zbus(header)] header: Header<'_>,
        name: &str,
        root: ObjectPath<'_>,
        parameters: HashMap<String, OwnedVariant>,
    ) -> Result<(), Error> {
        let connection = header.sender().map_or("", |sender| sender.as_str());
        self.context.providers.register(connection, name, root, &parameters).map_err(errors::contract)?;
        if !self.context.callers().knows(connection) {
            // it left while it was asked who it is: nobody will tell of that again
            self.context.providers.left(connection);
        }
        Ok(())
    }

    fn unregister_provider(&self, #[zbus(header)] header: Header<'_>, name: &str) -> Result<(), Error> {
        let connection = header.sender().map_or("", |sender| sender.as_str());
        self.context.providers.unregister(connection, name).map_err(errors::contract)
    }

    #[zbus(signal)]
    pub(crate) async fn device_connect(
        emitter: &SignalEmitter<'_>,
        device: ObjectPath<'_>,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    pub(crate) async fn device_disconnect(
        emitter: &SignalEmitter<'_>,
        device: ObjectPath<'_>,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    pub(crate) async fn device_status_change(
        emitter: &SignalEmitter<'_>,
        device: ObjectPath<'_>,
        status: &str,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    pub(crate) async fn device_sync_state_change(
        emitter: &SignalEmitter<'_>,
        device: ObjectPath<'_>,
        state: &str,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    pub(crate) async fn device_sync_error(
        emitter: &SignalEmitter<'_>,
        device: ObjectPath<'_>,
        media: &str,
        error: &str,
        message: &str,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    pub(crate) async fn create_partnership_complete(
        emitter: &SignalEmitter<'_>,
        device: ObjectPath<'_>,
        success: bool,
        error: &str,
        message: &str,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    pub(crate) async fn delete_partnership_complete(
        emitter: &SignalEmitter<'_>,
        device: ObjectPath<'_>,
        success: bool,
        error: &str,
        message: &str,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    pub(crate) async fn sync_estimation_complete(
        emitter: &SignalEmitter<'_>,
        device: ObjectPath<'_>,
        success: bool,
        estimated_used_space: u64,
        estimated_space: u64,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    pub(crate) async fn settings_requested(
        emitter: &SignalEmitter<'_>,
        device: ObjectPath<'_>,
    ) -> zbus::Result<()>;
}
