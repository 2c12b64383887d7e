//! The system bus's services that the daemon uses: UDisks2 to mount, systemd to start library agents, logind to stay awake.
//!
//! A connection of its own, without a name: nobody calls it.

use crate::inhibitor::inhibit_while;
use crate::systemd::Systemd;
use crate::udisks2::Udisks2;
use std::sync::Arc;
use tandem_model::library::AgentStarter;
use tandem_model::presence::Mounter;
use tokio::sync::watch;
use zbus::Connection;

/// A connection to the system bus.
#[derive(Debug, Clone)]
pub struct SystemServices {
    connection: Connection,
}

impl SystemServices {
    /// Connects; `None` when there is no system bus, which a session can do without.
    pub async fn connect() -> Option<Self> {
        match Connection::system().await {
            Ok(connection) => Some(Self { connection }),
            Err(error) => {
                tracing::info!(%error, "there is no system bus; block devices can't be mounted");
                None
            }
        }
    }

    /// Mounts by UDisks2.
    #[must_use]
    pub fn mounter(&self) -> Arc<dyn Mounter> {
        Arc::new(Udisks2::new(self.connection.clone()))
    }

    /// Keeps the machine from going to sleep by logind, whenever `busy` is true. Returns when nobody tells any more.
    pub fn inhibit_sleep(&self, busy: watch::Receiver<bool>) -> impl Future<Output = ()> + Send + 'static {
        let connection = self.connection.clone();
        async move { inhibit_while(&connection, busy).await }
    }

    /// Starts library agents by systemd.
    #[must_use]
    pub fn agent_starter(&self) -> Arc<dyn AgentStarter> {
        Arc::new(Systemd::new(self.connection.clone()))
    }
}
