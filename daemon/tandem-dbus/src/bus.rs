//! Taking the service's place on a message bus: connect, put everything there, take the name, publish.
//!
//! The name comes last, so that whoever finds it finds everything. No type of the D-Bus library leaves this crate.

use crate::authorization::Gate;
use crate::caller::Callers;
use crate::context::Context;
use crate::guard::Guard;
use crate::leavers;
use crate::objects::Objects;
use crate::providers::ServiceProviders;
use crate::publisher::Publisher;
use crate::services::Services;
use crate::turns::Turns;
use dbus_interfaces::names::{BUS_NAME, ROOT_PATH};
use std::sync::Arc;
use tandem_engine::Engine;
use tandem_model::event::EngineEvent;
use tandem_model::usb::UsbDevices;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use zbus::fdo::{DBusProxy, RequestNameFlags};
use zbus::names::{BusName, WellKnownName};
use zbus::{Connection, connection};

/// Messages that wait for being read, of each stream.
const QUEUE: usize = 256;

/// Answers to `GetManagedObjects` that are made for one connection at the same time.
const LISTINGS_AT_ONCE: usize = 1;

/// Which bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BusKind {
    /// The system's bus.
    System,
    /// The user's session bus.
    Session,
}

impl BusKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Session => "session",
        }
    }

    fn variable(self) -> &'static str {
        match self {
            Self::System => "DBUS_SYSTEM_BUS_ADDRESS",
            Self::Session => "DBUS_SESSION_BUS_ADDRESS",
        }
    }
}

/// Why there is no service on the bus.
#[derive(Debug, Error)]
pub enum BusError {
    /// The bus can't be reached.
    #[error(
        "the {bus} bus can't be reached: {cause}; see that a message bus is running and that {variable}, if set, is its address"
    )]
    Unreachable {
        /// Which bus.
        bus: &'static str,
        /// The variable that can hold its address.
        variable: &'static str,
        /// What went wrong.
        cause: String,
    },
    /// Somebody else has the name.
    #[error(
        "the name {BUS_NAME} is taken on the bus by connection {owner} (process {pid}, `{command}`); stop that process first, or use it"
    )]
    NameTaken {
        /// Its unique name.
        owner: String,
        /// Its process id; `unknown` when the bus doesn't tell.
        pid: String,
        /// Its command; `unknown` when it can't be read.
        command: String,
    },
    /// The bus doesn't let us have the name.
    #[error(
        "the bus refuses the name {BUS_NAME}: {0}; see that its policy file is installed and that the daemon runs as its user"
    )]
    NameRefused(String),
    /// The bus went away.
    #[error("the connection to the bus was lost; start the daemon again once the bus is back")]
    Lost,
    /// Something else, with what was being done.
    #[error("{doing} failed: {cause}")]
    Broken {
        /// What was being done.
        doing: &'static str,
        /// What went wrong.
        cause: String,
    },
}

/// What to serve with.
#[derive(Debug)]
pub struct ServeOptions {
    /// The daemon's version.
    pub version: String,
    /// The process's user owns everything, and polkit isn't asked: a session bus.
    pub owner_is_everything: bool,
    /// Service providers, for those that register.
    pub providers: ServiceProviders,
    /// The USB devices there are, for who asks about them.
    pub usb: Arc<dyn UsbDevices>,
    /// Ends the service.
    pub stop: CancellationToken,
}

/// A connection to a bus, without a name yet.
#[derive(Debug)]
pub struct Bus {
    pub(crate) connection: Connection,
    listings: Arc<Turns>,
}

impl Bus {
    /// Connects to a bus.
    ///
    /// # Errors
    /// `Unreachable`.
    pub async fn connect(kind: BusKind) -> Result<Self, BusError> {
        let builder = match kind {
            BusKind::System => connection::Builder::system(),
            BusKind::Session => connection::Builder::session(),
        };
        Self::build(builder).await.map_err(|error| BusError::Unreachable {
            bus: kind.as_str(),
            variable: kind.variable(),
            cause: error.to_string(),
        })
    }

    /// An object that is there from the start makes the builder wait until calls are taken: added later, the task that
    /// takes them may start after the name is ours, and a call that comes between is never answered.
    pub(crate) async fn build(builder: connection::Builder<'_>) -> Result<Self, zbus::Error> {
        let queue = std::num::NonZeroUsize::new(QUEUE).unwrap_or(std::num::NonZeroUsize::MIN);
        let listings = Arc::new(Turns::new(LISTINGS_AT_ONCE));
        let objects = Objects::new(Arc::clone(&listings));
        let connection = builder.max_queued(queue).serve_at(ROOT_PATH, objects).build().await?;
        Ok(Self { connection, listings })
    }

    /// Puts the service on the bus, takes the name, and publishes what the engine announces.
    ///
    /// # Errors
    /// `NameTaken` or `NameRefused`, or when the bus fails.
    pub async fn serve(
        self,
        engine: Engine,
        events: mpsc::Receiver<EngineEvent>,
        options: ServeOptions,
    ) -> Result<ServedBus, BusError> {
        let ServeOptions { version, owner_is_everything, providers, usb, stop } = options;
        let Self { connection, listings } = self;
        let broken = |doing| move |error: zbus::Error| BusError::Broken { doing, cause: error.to_string() };
        let bus = DBusProxy::new(&connection).await.map_err(broken("talking to the bus"))?;
        let leavers = leavers::watch(&connection).await.map_err(broken("watching who leaves the bus"))?;
        let only_user = owner_is_everything.then(|| rustix::process::getuid().as_raw());
        let gate = Gate::new(&connection, Callers::new(bus.clone(), only_user)).await;
        let gate = gate.map_err(broken("making the polkit proxy"))?;
        let context = Arc::new(Context::new(engine, gate, connection.clone(), providers, usb, version));
        let forgetting = tokio::spawn(leavers::forget(Arc::clone(&context), listings, leavers));
        let forgetting = AbortOnDropHandle::new(forgetting);
        let publisher = put_objects(&context).await.map_err(broken("adding objects"))?;
        take_name(&connection, &bus).await?;
        let task = tokio::spawn(publisher.run(events, stop));
        Ok(ServedBus { connection, task: AbortOnDropHandle::new(task), _forgetting: forgetting })
    }
}

/// The service on its bus. Dropping it ends the service.
#[derive(Debug)]
pub struct ServedBus {
    connection: Connection,
    task: AbortOnDropHandle<Result<(), BusError>>,
    _forgetting: AbortOnDropHandle<()>,
}

impl ServedBus {
    /// Returns when the service has ended, and the connection is closed.
    ///
    /// # Errors
    /// `Lost` when the bus went away.
    pub async fn ended(self) -> Result<(), BusError> {
        let outcome = match self.task.await {
            Ok(outcome) => outcome,
            Err(error) => Err(BusError::Broken { doing: "publishing", cause: error.to_string() }),
        };
        if let Err(error) = self.connection.close().await {
            tracing::debug!(%error, "the connection was closed already");
        }
        outcome
    }
}

async fn put_objects(context: &Arc<Context>) -> Result<Publisher, zbus::Error> {
    let server = context.connection.object_server();
    server.at(ROOT_PATH, Guard::new(Services::new(Arc::clone(context)), Arc::clone(context))).await?;
    Publisher::new(Arc::clone(context)).await
}

async fn take_name(connection: &Connection, bus: &DBusProxy<'_>) -> Result<(), BusError> {
    let name = WellKnownName::from_static_str_unchecked(BUS_NAME);
    match connection.request_name_with_flags(name, RequestNameFlags::DO_NOT_QUEUE).await {
        Ok(_) => Ok(()),
        Err(zbus::Error::NameTaken) => Err(name_taken(bus).await),
        Err(error) => Err(BusError::NameRefused(error.to_string())),
    }
}

/// Who has the name, as far as the bus and `/proc` tell.
async fn name_taken(bus: &DBusProxy<'_>) -> BusError {
    let unknown = || "unknown".to_owned();
    let name = BusName::WellKnown(WellKnownName::from_static_str_unchecked(BUS_NAME));
    let owner = bus.get_name_owner(name.clone()).await.map(|owner| owner.to_string());
    let pid =
        bus.get_connection_credentials(name).await.ok().and_then(|credentials| credentials.process_id());
    let command = pid.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok());
    BusError::NameTaken {
        owner: owner.unwrap_or_else(|_| unknown()),
        pid: pid.map_or_else(unknown, |pid| pid.to_string()),
        command: command.map_or_else(unknown, |command| command.trim().to_owned()),
    }
}
