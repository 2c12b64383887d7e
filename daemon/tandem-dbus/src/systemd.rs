//! Starts library agents as systemd units. One method of systemd's manager, for one kind of unit; the polkit rule
//! allows no other.

use tandem_model::BoxFuture;
use tandem_model::error::LibraryError;
use tandem_model::id::Uid;
use tandem_model::library::AgentStarter;
use zbus::proxy::CacheProperties;
use zbus::{Connection, OwnedObjectPath, proxy};

/// systemd's manager, as far as it is used.
#[proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
trait Manager {
    /// Queues a job that starts a unit.
    fn start_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
}

/// systemd on the system bus.
pub(crate) struct Systemd {
    connection: Connection,
}

impl Systemd {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    async fn start_unit(&self, unit: &str) -> Result<(), zbus::Error> {
        let builder = ManagerProxy::builder(&self.connection).cache_properties(CacheProperties::No);
        builder.build().await?.start_unit(unit, "replace").await.map(|_| ())
    }
}

impl AgentStarter for Systemd {
    fn start(&self, owner: Uid) -> BoxFuture<'_, Result<(), LibraryError>> {
        Box::pin(async move {
            let unit = format!("tandem-library@{owner}.service");
            self.start_unit(&unit).await.map_err(|error| {
                LibraryError::Unavailable(format!(
                    "{unit} can't be started: {error}; see that it is installed, and `systemctl status {unit}`"
                ))
            })
        })
    }
}
