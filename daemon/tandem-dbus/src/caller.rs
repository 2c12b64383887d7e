//! Who calls: the user id of a connection as the bus vouches for it, remembered until the connection leaves.
//!
//! What a message says of itself is never believed. The memory is bounded for each user, so that nobody can push
//! others out of it.

use dbus_interfaces::Error;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use tandem_model::id::Uid;
use zbus::fdo::DBusProxy;
use zbus::message::Header;
use zbus::names::{BusName, OwnedUniqueName};

/// Connections that are remembered for one user at most; the system bus allows a user 256.
const CONNECTIONS_OF_A_USER: usize = 256;

/// The connections that have called, and whose they are.
#[derive(Debug, Default)]
struct Known {
    owners: HashMap<OwnedUniqueName, Uid>,
    connections: HashMap<Uid, VecDeque<OwnedUniqueName>>,
}

impl Known {
    fn add(&mut self, name: OwnedUniqueName, uid: Uid) {
        if self.owners.insert(name.clone(), uid).is_some() {
            return;
        }
        let connections = self.connections.entry(uid).or_default();
        connections.push_back(name);
        if connections.len() > CONNECTIONS_OF_A_USER
            && let Some(oldest) = connections.pop_front()
        {
            self.owners.remove(&oldest);
        }
    }

    fn remove(&mut self, name: &str) {
        let Some((name, uid)) = self.owners.remove_entry(name) else { return };
        if let Some(connections) = self.connections.get_mut(&uid) {
            connections.retain(|connection| *connection != name);
            if connections.is_empty() {
                self.connections.remove(&uid);
            }
        }
    }
}

/// Tells who calls. Clones share their memory.
#[derive(Clone)]
pub(crate) struct Callers {
    bus: DBusProxy<'static>,
    only_user: Option<Uid>,
    known: Arc<Mutex<Known>>,
}

impl Callers {
    /// With `only_user`, every caller is that user: a session bus.
    pub(crate) fn new(bus: DBusProxy<'static>, only_user: Option<Uid>) -> Self {
        Self { bus, only_user, known: Arc::default() }
    }

    /// The one user of a session bus; `None` on a system bus.
    pub(crate) fn only_user(&self) -> Option<Uid> {
        self.only_user
    }

    /// The user id of the message's sender.
    ///
    /// # Errors
    /// `NotAuthorized` when the bus doesn't know the sender any more.
    pub(crate) async fn uid(&self, header: &Header<'_>) -> Result<Uid, Error> {
        let sender = header.sender().ok_or_else(|| {
            Error::NotAuthorized("a message without a sender; call over a message bus".to_owned())
        })?;
        if let Some(uid) = self.lock().owners.get(sender.as_str()) {
            return Ok(*uid);
        }
        let uid = match self.only_user {
            Some(uid) => uid,
            None => self.ask(sender.as_str()).await?,
        };
        self.lock().add(sender.to_owned().into(), uid);
        Ok(uid)
    }

    async fn ask(&self, sender: &str) -> Result<Uid, Error> {
        let unknown = |cause: String| {
            Error::NotAuthorized(format!("the bus does not tell the user of connection {sender}: {cause}"))
        };
        let name = BusName::try_from(sender).map_err(|error| unknown(error.to_string()))?;
        let credentials =
            self.bus.get_connection_credentials(name).await.map_err(|error| unknown(error.to_string()))?;
        credentials.unix_user_id().ok_or_else(|| unknown("it has none".to_owned()))
    }

    /// This user's connections that have called and are still there.
    pub(crate) fn connections_of(&self, uid: Uid) -> Vec<OwnedUniqueName> {
        self.lock().connections.get(&uid).map_or_else(Vec::new, |names| names.iter().cloned().collect())
    }

    /// Whether this connection has called and is still there.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.lock().owners.contains_key(name)
    }

    /// Forgets a connection that has left the bus.
    pub(crate) fn left(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        // nothing in here panics halfway through a change
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> OwnedUniqueName {
        OwnedUniqueName::try_from(format!(":1.{number}")).unwrap()
    }

    #[test]
    fn a_connection_is_known_until_it_leaves() {
        let mut known = Known::default();
        known.add(name(1), 1000);
        known.add(name(1), 1000);
        known.add(name(2), 1000);
        assert_eq!(known.connections[&1000], [name(1), name(2)]);
        known.remove(":1.1");
        known.remove(":1.7");
        assert_eq!(known.connections[&1000], [name(2)]);
        known.remove(":1.2");
        assert!(known.owners.is_empty() && known.connections.is_empty());
    }

    #[test]
    fn a_user_with_many_connections_pushes_out_only_his_own() {
        let mut known = Known::default();
        known.add(name(0), 1001);
        for number in 1..=CONNECTIONS_OF_A_USER + 5 {
            known.add(name(number), 1000);
        }
        assert_eq!(known.connections[&1000].len(), CONNECTIONS_OF_A_USER);
        assert_eq!(known.connections[&1001], [name(0)]);
        assert_eq!(known.owners.len(), CONNECTIONS_OF_A_USER + 1);
        assert!(!known.owners.contains_key(":1.5") && known.owners.contains_key(":1.6"));
    }
}
