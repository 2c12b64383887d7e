//! Keeps the machine from going to sleep while a player is synchronised: a lock of logind's, held as long as its descriptor
//! is. Without logind, or where it refuses, the machine may sleep.
//!
//! It must not keep anybody from shutting down or from ending the daemon.

use tokio::sync::watch;
use zbus::proxy::CacheProperties;
use zbus::{Connection, OwnedFd, proxy};

#[proxy(
    interface = "org.freedesktop.login1.Manager",
    default_service = "org.freedesktop.login1",
    default_path = "/org/freedesktop/login1"
)]
trait Manager {
    /// Takes a lock, which lasts until the descriptor is closed.
    fn inhibit(&self, what: &str, who: &str, why: &str, mode: &str) -> zbus::Result<OwnedFd>;
}

/// Holds the lock whenever `busy` is true. Returns when nobody tells any more.
pub(crate) async fn inhibit_while(connection: &Connection, mut busy: watch::Receiver<bool>) {
    while busy.wait_for(|busy| *busy).await.is_ok() {
        let lock = match inhibit(connection).await {
            Ok(lock) => Some(lock),
            Err(error) => {
                tracing::debug!(%error, "the machine can't be kept from going to sleep");
                None
            }
        };
        if busy.wait_for(|busy| !*busy).await.is_err() {
            return;
        }
        drop(lock);
    }
}

async fn inhibit(connection: &Connection) -> Result<OwnedFd, zbus::Error> {
    let builder = ManagerProxy::builder(connection).cache_properties(CacheProperties::No);
    let manager = builder.build().await?;
    manager.inhibit("sleep", "Tandem", "Music is being copied to a player", "block").await
}
