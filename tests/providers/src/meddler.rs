//! Stands between the daemon and a provider: passes calls and answers on, counts them, and has one thing go wrong at one of
//! them. It must not know what the calls are for.

use futures_util::StreamExt;
use kit::PrivateBus;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::process::Child;
use tokio::sync::Mutex;
use tokio_util::task::AbortOnDropHandle;
use zbus::message::Type;
use zbus::{
    Connection, DBusError, Message, MessageStream, ObjectPath, OwnedVariant, Structure, Variant, fdo,
};

/// The name that the daemon calls.
pub(crate) const MEDDLED: &str = "org.example.Meddled";

/// Signals of a flood.
const FLOOD: u32 = 20_000;

/// What goes wrong at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// Nothing comes back.
    Hang,
    /// The answer comes when nobody waits for it any more.
    Late,
    /// The provider is killed before it gets the call.
    DieBefore,
    /// It is killed when it has done what it was called for.
    DieAfter,
    /// Its answer can't be.
    Lie,
    /// It refuses.
    Refuse,
    /// It sends more than anybody can read, and then answers.
    Flood,
    /// Another process takes its place and its name.
    Upgrade,
    /// From then on it refuses each call of these members, as what it doesn't have.
    Without(&'static [&'static str]),
}

/// All harms.
pub const HARMS: [Harm; 8] = [
    Harm::Hang,
    Harm::Late,
    Harm::DieBefore,
    Harm::DieAfter,
    Harm::Lie,
    Harm::Refuse,
    Harm::Flood,
    Harm::Upgrade,
];

/// A provider's process, and how it is started.
pub(crate) struct Process {
    child: Mutex<Option<Child>>,
    start: Box<dyn Fn() -> tokio::process::Command + Send + Sync>,
    bus_name: String,
}

impl Process {
    /// One that isn't running yet.
    pub(crate) fn new(
        bus_name: &str,
        start: impl Fn() -> tokio::process::Command + Send + Sync + 'static,
    ) -> Self {
        Self { child: Mutex::new(None), start: Box::new(start), bus_name: bus_name.to_owned() }
    }

    /// Kills it.
    pub(crate) async fn kill(&self) {
        if let Some(mut child) = self.child.lock().await.take() {
            // it may have ended by itself
            child.kill().await.ok();
        }
    }

    /// Starts it unless it runs.
    pub(crate) async fn start(&self, bus: &PrivateBus) {
        let mut child = self.child.lock().await;
        if child.is_none() {
            *child = Some(kit::started(bus, &self.bus_name, &mut (self.start)()).await);
        }
    }
}

/// What all of a meddler's calls share.
struct Shared {
    bus: Arc<PrivateBus>,
    process: Arc<Process>,
    calls: Arc<AtomicU64>,
    plan: Option<(u64, Harm)>,
    late: Duration,
    connection: Connection,
}

/// The program in between, for as long as it isn't dropped.
pub(crate) struct Meddler {
    task: AbortOnDropHandle<()>,
    connection: Connection,
}

impl Meddler {
    /// Takes the name; `plan` is the number of the call at which something goes wrong, counted in `calls`.
    ///
    /// # Panics
    /// When the bus refuses the name.
    pub(crate) async fn enter(
        bus: &Arc<PrivateBus>,
        process: &Arc<Process>,
        calls: &Arc<AtomicU64>,
        plan: Option<(u64, Harm)>,
        late: Duration,
    ) -> Self {
        let connection = bus.connect().await;
        let stream = MessageStream::from(&connection);
        let (bus, process, calls) = (Arc::clone(bus), Arc::clone(process), Arc::clone(calls));
        let shared = Shared { bus, process, calls, plan, late, connection: connection.clone() };
        let task = AbortOnDropHandle::new(tokio::spawn(serve(Arc::new(shared), stream)));
        connection.request_name(MEDDLED).await.unwrap_or_else(|error| panic!("{MEDDLED}: {error}"));
        Self { task, connection }
    }

    /// Leaves the bus.
    pub(crate) async fn leave(self) {
        // a call that finds the connection closed would take the provider along, which the next one needs
        self.task.abort();
        self.task.await.ok();
        // it may have left by itself
        self.connection.close().await.ok();
    }
}

fn is_gone(error: &fdo::Error) -> bool {
    use fdo::Error::{Disconnected, NameHasNoOwner, NoReply, ServiceUnknown};
    matches!(error, Disconnected(_) | NameHasNoOwner(_) | NoReply(_) | ServiceUnknown(_))
}

async fn serve(shared: Arc<Shared>, mut calls: MessageStream) {
    let mut running = tokio::task::JoinSet::new();
    while let Some(Ok(call)) = calls.next().await {
        if call.message_type() == Type::MethodCall && call.header().interface().is_some() {
            let shared = Arc::clone(&shared);
            running.spawn(async move { shared.pass(&call).await });
        }
        while running.try_join_next().is_some() {}
    }
}

impl Shared {
    /// Passes a call on, and its answer back.
    async fn pass(&self, call: &Message) {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let header = call.header();
        let is_meant = |(at, harm): &(u64, Harm)| match harm {
            Harm::Without(members) => {
                number >= *at && header.member().is_some_and(|name| members.contains(&name.as_str()))
            }
            _ => number == *at,
        };
        let harm = self.plan.filter(is_meant).map(|(_, harm)| harm);
        match harm {
            Some(Harm::Without(_)) => {
                let refused = "org.tandemd.Provider1.Error.NotSupported";
                self.connection.reply_error(&header, refused, &"as planned").await.ok();
                return;
            }
            Some(Harm::DieBefore) => return self.die().await,
            Some(Harm::Upgrade) => {
                self.die().await;
                self.process.start(&self.bus).await;
                return;
            }
            Some(Harm::Refuse) => {
                let refused = "org.tandemd.Provider1.Error.Failed";
                self.connection.reply_error(&header, refused, &"as planned").await.ok();
                return;
            }
            _ => {}
        }
        let answer = self.ask(call).await;
        match harm {
            Some(Harm::Hang) => return,
            Some(Harm::Late) => tokio::time::sleep(self.late).await,
            Some(Harm::DieAfter) => return self.die().await,
            Some(Harm::Flood) => self.flood(&header).await,
            _ => {}
        }
        // an error means that nobody waits any more
        match answer {
            Ok(answer) if answer.body().signature().to_string().is_empty() => {
                self.connection.reply(&header, &()).await.ok();
            }
            Ok(answer) if harm == Some(Harm::Lie) => self.lie(&header, &answer).await,
            Ok(answer) => {
                let body = answer.body();
                let body: Structure<'_> = body.deserialize().unwrap_or_else(|error| panic!("{error}"));
                self.connection.reply(&header, &body).await.ok();
            }
            Err(zbus::Error::MethodError(name, text, _)) => {
                self.connection.reply_error(&header, name.as_str(), &text.unwrap_or_default()).await.ok();
            }
            Err(zbus::Error::FDO(error)) if !is_gone(&error) => {
                let (name, text) = (error.name(), error.description().unwrap_or_default());
                self.connection.reply_error(&header, name, &text).await.ok();
            }
            // it is gone, and so are we
            Err(_) => self.die().await,
        }
    }

    async fn ask(&self, call: &Message) -> Result<Message, zbus::Error> {
        let (header, body) = (call.header(), call.body());
        let (Some(path), Some(member)) = (header.path(), header.member()) else {
            return Err(zbus::Error::MissingField);
        };
        let name = Some(self.process.bus_name.as_str());
        let interface = header.interface().map(zbus::names::InterfaceName::as_str);
        if body.signature().to_string().is_empty() {
            return self.connection.call_method(name, path, interface, member, &()).await;
        }
        let body: Structure<'_> = body.deserialize()?;
        self.connection.call_method(name, path, interface, member, &body).await
    }

    async fn die(&self) {
        self.process.kill().await;
        self.connection.clone().close().await.ok();
    }

    async fn flood(&self, header: &zbus::message::Header<'_>) {
        let (to, path) = (header.sender().cloned(), ObjectPath::try_from("/org/example").unwrap_or_default());
        for number in 0..FLOOD {
            let body = (number, "x".repeat(100));
            let sent =
                self.connection.emit_signal(to.clone(), &path, "org.example.Flood", "Drop", &body).await;
            if sent.is_err() {
                return;
            }
        }
    }

    /// Answers what is of the right type and can't be, as far as that is possible, else what is of another.
    async fn lie(&self, header: &zbus::message::Header<'_>, answer: &Message) {
        let body = answer.body();
        if let Ok(number) = body.deserialize::<u64>() {
            self.connection.reply(header, &(number + 1)).await.ok();
        } else if let Ok(mut told) = body.deserialize::<HashMap<String, OwnedVariant>>() {
            let too_large = || OwnedVariant::try_from(Variant::from(u64::MAX)).ok();
            told.extend(
                ["WMDM/FileSize", "TotalFree"]
                    .into_iter()
                    .filter_map(|name| Some((name.to_owned(), too_large()?))),
            );
            self.connection.reply(header, &told).await.ok();
        } else if body.signature().to_string() == "o" {
            self.connection.reply(header, &ObjectPath::try_from("/elsewhere").unwrap_or_default()).await.ok();
        } else {
            self.connection.reply(header, &("nonsense", -1i32)).await.ok();
        }
    }
}
