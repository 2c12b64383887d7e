//! [`Provider`]: what an author's `main` says, and the tasks behind it.

use crate::device::Driver;
use crate::dispatch::{self, Shared};
use crate::identity::Identity;
use crate::registration::Registration;
use crate::sessions::Sessions;
use dbus_interfaces::provider::{Error, PROVIDER, USE_EXTENDED_WMDM};
use futures_util::StreamExt;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinSet;
use zbus::fdo::{DBusProxy, NameOwnerChangedStream, RequestNameFlags, RequestNameReply};
use zbus::names::WellKnownName;
use zbus::{Connection, ObjectPath, OwnedObjectPath, OwnedVariant};

/// Which bus a provider is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bus {
    /// The system's, where `tandemd.service` is.
    System,
    /// The user's, where `tandemd --session` is.
    Session,
}

/// A provider that is not on the bus yet.
pub struct Provider {
    bus_name: String,
    root: String,
    driver: Arc<dyn Driver>,
    announced: Vec<Identity>,
    registered: Option<String>,
    parameters: BTreeMap<String, OwnedVariant>,
}

impl Provider {
    /// A provider with this bus name, such as `org.example.Players`, and its root object at this path, such as
    /// `/org/example/Players`: the same as in its file in `providers.d`.
    pub fn new(bus_name: &str, root: &str, driver: impl Driver) -> Self {
        let one = OwnedVariant::from(1_u32);
        Self {
            bus_name: bus_name.to_owned(),
            root: root.to_owned(),
            driver: Arc::new(driver),
            announced: Vec::new(),
            registered: None,
            parameters: BTreeMap::from([(USE_EXTENDED_WMDM.to_owned(), one)]),
        }
    }

    /// Announces a device that udev doesn't know and that is there from the start.
    #[must_use]
    pub fn announce(mut self, identity: Identity) -> Self {
        self.announced.push(identity);
        self
    }

    /// Registers the provider with the daemon under this name, which users see. Without it, a file in `providers.d` tells
    /// the daemon of it.
    #[must_use]
    pub fn register(mut self, name: &str) -> Self {
        self.registered = Some(name.to_owned());
        self
    }

    /// Sets a device parameter for the registration. `UseExtendedWmdm` is 1 from the start.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: u32) -> Self {
        self.parameters.insert(name.to_owned(), value.into());
        self
    }

    /// Serves on a connection of the author's, which nothing else answers calls on.
    ///
    /// # Errors
    /// When a name is wrong or taken, or the daemon refuses the registration.
    pub async fn serve(self, connection: &Connection) -> Result<Serving, Error> {
        let root = ObjectPath::try_from(self.root.as_str())
            .map_err(|error| Error::InvalidArgument(format!("the path `{}`: {error}", self.root)))?;
        let root: OwnedObjectPath = root.to_owned().into();
        let shared = Arc::new(Shared {
            sessions: Sessions::new(root.clone(), self.driver),
            announced: Mutex::new(self.announced.clone()),
        });
        let mut tasks = JoinSet::new();
        let bus = DBusProxy::new(connection).await?;
        let leaving = bus.receive_name_owner_changed_with_args(&[(2, "")]).await?;
        tasks.spawn(release_what_was_left(Arc::clone(&shared), leaving));
        // Before the name is taken, so that no call finds nobody.
        let calls = dispatch::calls_of(connection).await?;
        tasks.spawn(dispatch::serve(connection.clone(), Arc::clone(&shared), calls));
        take_name(&bus, &self.bus_name).await?;
        let serving = Serving { connection: connection.clone(), root: root.clone(), shared, tasks };
        for identity in &self.announced {
            serving.tell_of(identity).await?;
        }
        serving.registered(self.registered, root, self.parameters).await
    }

    /// Serves until the process is ended by SIGTERM or SIGINT, or the bus is gone; devices are closed first. For a `main`
    /// that does nothing else.
    ///
    /// # Errors
    /// As for [`Provider::serve`], and when the bus can't be reached.
    pub fn run(self, bus: Bus) -> Result<(), Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::Failed(format!("the provider can't start: {error}")))?;
        runtime.block_on(async {
            let connection = match bus {
                Bus::System => Connection::system().await?,
                Bus::Session => Connection::session().await?,
            };
            let serving = Box::pin(self.serve(&connection)).await?;
            ended(&connection).await?;
            serving.end().await;
            Ok(())
        })
    }
}

/// Waits for a signal or the end of the connection.
async fn ended(connection: &Connection) -> Result<(), Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let broken = |error| Error::Failed(format!("signals can't be waited for: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(broken)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(broken)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = connection.closed() => {}
    }
    Ok(())
}

async fn take_name(bus: &DBusProxy<'_>, name: &str) -> Result<(), Error> {
    let legal = WellKnownName::try_from(name)
        .map_err(|error| Error::InvalidArgument(format!("the bus name `{name}`: {error}")))?;
    let reply = bus.request_name(legal, RequestNameFlags::DO_NOT_QUEUE).await.map_err(zbus::Error::from)?;
    match reply {
        RequestNameReply::PrimaryOwner | RequestNameReply::AlreadyOwner => Ok(()),
        _ => Err(Error::Busy(format!("another process has the bus name `{name}`"))),
    }
}

/// Releases devices of callers that have left the bus.
async fn release_what_was_left(shared: Arc<Shared>, mut leaving: NameOwnerChangedStream) {
    let mut closing = JoinSet::new();
    while let Some(change) = leaving.next().await {
        while closing.try_join_next().is_some() {}
        let Ok(args) = change.args() else { continue };
        let (shared, name) = (Arc::clone(&shared), args.name().to_string());
        // one device that is slow to close doesn't keep others open
        closing.spawn(async move { shared.sessions.leave(&name).await });
    }
}

/// A provider on the bus. Dropping it ends the service at once; [`Serving::end`] closes devices first.
pub struct Serving {
    connection: Connection,
    root: OwnedObjectPath,
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

impl Serving {
    /// Announces a device that udev doesn't know, and that is there now.
    ///
    /// # Errors
    /// When the bus is gone.
    pub async fn arrive(&self, identity: Identity) -> Result<(), Error> {
        {
            let mut announced = self.shared.announced.lock().unwrap_or_else(PoisonError::into_inner);
            announced.retain(|known| known.canonical_name != identity.canonical_name);
            announced.push(identity.clone());
        }
        self.tell_of(&identity).await
    }

    /// Tells that a device that was announced is gone; it is released first.
    ///
    /// # Errors
    /// When the bus is gone.
    pub async fn depart(&self, canonical_name: &str) -> Result<(), Error> {
        self.shared
            .announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|known| known.canonical_name != canonical_name);
        self.shared.sessions.lose(canonical_name).await;
        self.emit("DeviceRemoved", &canonical_name).await
    }

    /// Closes all devices, and ends.
    pub async fn end(mut self) {
        self.tasks.shutdown().await;
        self.shared.sessions.end().await;
    }

    async fn tell_of(&self, identity: &Identity) -> Result<(), Error> {
        self.emit("DeviceArrived", &identity.fields()).await
    }

    async fn emit<B>(&self, signal: &str, body: &B) -> Result<(), Error>
    where
        B: serde::Serialize + zbus::DynamicType,
    {
        let none = None::<zbus::names::BusName<'_>>;
        Ok(self.connection.emit_signal(none, &self.root, PROVIDER, signal, body).await?)
    }

    async fn registered(
        mut self,
        name: Option<String>,
        root: OwnedObjectPath,
        parameters: BTreeMap<String, OwnedVariant>,
    ) -> Result<Self, Error> {
        let Some(name) = name else { return Ok(self) };
        let registration = Registration { name, root, parameters };
        let owners = Registration::watch(&self.connection).await?;
        registration.register(&self.connection).await?;
        self.tasks.spawn(registration.keep(self.connection.clone(), owners));
        Ok(self)
    }
}
