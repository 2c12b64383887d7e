//! Telling the daemon of a provider that isn't installed as a file, again each time that the daemon enters the bus.

use dbus_interfaces::names;
use dbus_interfaces::provider::Error;
use dbus_interfaces::proxies::ServicesProxy;
use futures_util::StreamExt;
use std::collections::BTreeMap;
use zbus::fdo::{DBusProxy, NameOwnerChangedStream};
use zbus::{Connection, OwnedObjectPath, OwnedVariant, Variant, fdo};

/// What the daemon is told.
pub(crate) struct Registration {
    pub(crate) name: String,
    pub(crate) root: OwnedObjectPath,
    pub(crate) parameters: BTreeMap<String, OwnedVariant>,
}

impl Registration {
    /// Registers now, if the daemon is there or can be started.
    pub(crate) async fn register(&self, connection: &Connection) -> Result<(), Error> {
        let services = ServicesProxy::new(connection).await?;
        let parameters = self.parameters.iter().map(|(key, value)| (key.as_str(), &**value));
        let parameters: std::collections::HashMap<&str, &Variant<'_>> = parameters.collect();
        match services.register_provider(&self.name, &self.root, parameters).await {
            Err(error) if is_absent(&error) => {
                tracing::info!("tandemd isn't on the bus; the provider is registered when it is");
                Ok(())
            }
            other => Ok(other?),
        }
    }

    /// Tells of each time that the daemon enters the bus.
    pub(crate) async fn watch(connection: &Connection) -> zbus::Result<NameOwnerChangedStream> {
        let bus = DBusProxy::new(connection).await?;
        bus.receive_name_owner_changed_with_args(&[(0, names::BUS_NAME)]).await
    }

    /// Registers each time that the daemon enters the bus.
    pub(crate) async fn keep(self, connection: Connection, mut owners: NameOwnerChangedStream) {
        while let Some(change) = owners.next().await {
            let entered = change.args().is_ok_and(|args| args.new_owner().is_some());
            if entered && let Err(error) = self.register(&connection).await {
                tracing::warn!(provider = self.name, %error, "tandemd refuses the provider");
            }
        }
    }
}

/// Whether the daemon is not on the bus, and the bus can't start it.
fn is_absent(error: &zbus::Error) -> bool {
    match error {
        zbus::Error::FDO(error) => {
            matches!(**error, fdo::Error::ServiceUnknown(_) | fdo::Error::NameHasNoOwner(_))
        }
        zbus::Error::MethodError(name, ..) => {
            let absent = ["ServiceUnknown", "NameHasNoOwner"];
            let word = name.as_str().strip_prefix("org.freedesktop.DBus.Error.");
            word.is_some_and(|word| absent.contains(&word))
        }
        _ => false,
    }
}
