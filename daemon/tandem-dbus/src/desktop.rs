//! Whether somebody works at a desktop, which may mount what is plugged in by itself.
//!
//! It asks logind and nobody else. A machine without logind has no desktop.

use zbus::proxy::CacheProperties;
use zbus::{Connection, OwnedObjectPath, proxy};

/// A session, as `ListSessions` tells of it: id, uid, user, seat, object.
type Listed = (String, u32, String, String, OwnedObjectPath);

#[proxy(
    interface = "org.freedesktop.login1.Manager",
    default_service = "org.freedesktop.login1",
    default_path = "/org/freedesktop/login1"
)]
trait Manager {
    fn list_sessions(&self) -> zbus::Result<Vec<Listed>>;
}

#[proxy(interface = "org.freedesktop.login1.Session", default_service = "org.freedesktop.login1")]
trait Session {
    #[zbus(property)]
    fn active(&self) -> zbus::Result<bool>;
    #[zbus(property, name = "Type")]
    fn kind(&self) -> zbus::Result<String>;
}

/// Whether a graphical session is active on a seat.
pub(crate) async fn is_active(connection: &Connection) -> bool {
    match find_active(connection).await {
        Ok(found) => found,
        Err(error) => {
            tracing::debug!(%error, "logind doesn't tell of sessions; a desktop is not waited for");
            false
        }
    }
}

async fn find_active(connection: &Connection) -> Result<bool, zbus::Error> {
    let sessions = ManagerProxy::new(connection).await?.list_sessions().await?;
    for (_, _, _, seat, object) in sessions {
        if seat.is_empty() {
            continue;
        }
        let builder = SessionProxy::builder(connection).path(object);
        let session = builder.cache_properties(CacheProperties::No).build().await?;
        // a session may end between the list and the question
        if let (Ok(true), Ok("x11" | "wayland" | "mir")) =
            (session.active().await, session.kind().await.as_deref())
        {
            return Ok(true);
        }
    }
    Ok(false)
}
