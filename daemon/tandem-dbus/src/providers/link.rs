//! A connection of its own for each device that a provider serves: what that one sends in floods fills no
//! queue but this one's, and holds up no call but its own.
//!
//! It holds on to the process that had the name when it began: one that takes the name later (an upgrade) is
//! never called in its place.

use super::fault::Fault;
use crate::BusKind;
use futures_util::StreamExt;
use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tandem_model::player::Transfer;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use zbus::fdo::DBusProxy;
use zbus::names::{BusName, OwnedBusName, OwnedUniqueName};
use zbus::proxy::CacheProperties;
use zbus::wire::DynamicDeserialize;
use zbus::{Connection, DynamicType, MatchRule, Message, MessageStream, ObjectPath, connection};

/// How long calls may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// One that asks a provider what it knows.
    Quick,
    /// One that has the device do something.
    Slow,
    /// A transfer in all, as long as it goes on.
    Transfer,
}

pub(super) use Limit::{Quick as QUICK, Slow as SLOW, Transfer as TRANSFER};

/// The limits of a provider's calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(super) quick: Duration,
    pub(super) slow: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = |seconds| Duration::from_secs(if cfg!(test) { 1 } else { seconds });
        Self { quick: seconds(10), slow: seconds(60) }
    }
}

impl Limits {
    fn of(self, limit: Limit) -> Duration {
        match limit {
            Limit::Quick => self.quick,
            Limit::Slow => self.slow,
            Limit::Transfer => Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// How long a provider may take to start.
const ACTIVATION: Duration = Duration::from_secs(30);

/// How long answers are waited for when the job is to end, all of them together: it has to end within two seconds.
const GRACE: Duration = Duration::from_millis(1500);

const DBUS: &str = "org.freedesktop.DBus";

/// Where providers are.
#[derive(Debug, Clone)]
pub(crate) enum ProviderBus {
    /// On this bus.
    Kind(BusKind),
    /// On the bus at this address.
    At(String),
}

impl ProviderBus {
    /// A new connection to it.
    pub(super) async fn connect(&self) -> Result<Connection, zbus::Error> {
        let builder = match self {
            Self::Kind(BusKind::System) => connection::Builder::system(),
            Self::Kind(BusKind::Session) => connection::Builder::session(),
            Self::At(address) => connection::Builder::address(address.as_str()),
        };
        builder.build().await
    }
}

/// What has become of a provider.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    gone: CancellationToken,
    hung: CancellationToken,
    /// It isn't waited for any more, whatever it does.
    unwanted: CancellationToken,
}

impl Standing {
    /// Whether it has ended or hangs.
    pub(super) fn has_failed(&self) -> bool {
        self.gone.is_cancelled() || self.hung.is_cancelled()
    }
}

/// A connection to a provider.
#[derive(Debug)]
pub(super) struct Link {
    connection: Connection,
    owner: OwnedUniqueName,
    standing: Standing,
    limits: Limits,
    _watch: AbortOnDropHandle<()>,
    /// Waits until the job is to end.
    heeding: Mutex<Option<AbortOnDropHandle<()>>>,
}

impl Link {
    /// Connects to a provider; one that has a well-known name is started if nobody has it.
    pub(super) async fn open(bus: &ProviderBus, name: &OwnedBusName, limits: Limits) -> Result<Self, Fault> {
        let connection = bus.connect().await.map_err(|error| Fault::Other(error.to_string()))?;
        let told = |error: zbus::fdo::Error| Fault::of(&zbus::Error::from(error));
        let builder = DBusProxy::builder(&connection).cache_properties(CacheProperties::No);
        let proxy = builder.build().await.map_err(|error| Fault::of(&error))?;
        // before the name is asked for, so that no change is missed
        let rule = owner_changes(name).map_err(|error| Fault::of(&error))?;
        let changes = MessageStream::for_match_rule(rule, &connection, None);
        let changes = changes.await.map_err(|error| Fault::of(&error))?;
        let owner = match (proxy.get_name_owner((**name).clone()).await, &**name) {
            // a bus starts only what it has a service file for, even if that runs already
            (Err(zbus::fdo::Error::NameHasNoOwner(_)), BusName::WellKnown(well_known)) => {
                let start = proxy.start_service_by_name(well_known.clone(), 0);
                tokio::time::timeout(ACTIVATION, start).await.map_err(|_| Fault::Late)?.map_err(told)?;
                proxy.get_name_owner((**name).clone()).await.map_err(told)?
            }
            (owner, _) => owner.map_err(told)?,
        };
        let gone = CancellationToken::new();
        let watch = tokio::spawn(watch(changes, owner.clone(), gone.clone()));
        let standing = Standing { gone, hung: CancellationToken::new(), unwanted: CancellationToken::new() };
        let (_watch, heeding) = (AbortOnDropHandle::new(watch), Mutex::default());
        Ok(Self { connection, owner, standing, limits, _watch, heeding })
    }

    /// From now on nothing is waited for longer than a moment once this transfer is to end.
    pub(super) fn heed(&self, transfer: &Arc<Transfer>) {
        let (transfer, unwanted) = (Arc::clone(transfer), self.standing.unwanted.clone());
        let heeding = tokio::spawn(async move {
            transfer.cancelled().await;
            tokio::time::sleep(GRACE).await;
            unwanted.cancel();
        });
        let mut place = self.heeding.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(AbortOnDropHandle::new(heeding));
    }

    /// Calls the provider, and reads its answer as `R`. One that was late once is not asked again: what it
    /// would answer then is anybody's guess.
    pub(super) async fn call<B, R>(
        &self,
        path: &ObjectPath<'_>,
        (interface, member): (&str, &str),
        body: &B,
        limit: Limit,
    ) -> Result<R, Fault>
    where
        B: Serialize + DynamicType,
        R: for<'d> DynamicDeserialize<'d>,
    {
        let call = async {
            let destination = Some(BusName::from(self.owner.as_ref()));
            self.connection.call_method(destination, path, Some(interface), member, body).await
        };
        let answer: Message = tokio::select! {
            biased;
            () = self.standing.gone.cancelled() => return Err(Fault::Gone),
            () = self.standing.hung.cancelled() => return Err(Fault::Late),
            () = self.standing.unwanted.cancelled() => return Err(Fault::Late),
            answer = tokio::time::timeout(self.limits.of(limit), call) => {
                answer.map_err(|_| self.give_up())?.map_err(|error| Fault::of(&error))?
            }
        };
        answer
            .body()
            .deserialize()
            .map_err(|error| Fault::Lie(format!("{member} brought `{}`: {error}", answer.body().signature())))
    }

    /// How long something may take.
    pub(super) fn limit(&self, limit: Limit) -> Duration {
        self.limits.of(limit)
    }

    /// The process that is called, as the bus names it.
    pub(super) fn owner(&self) -> &str {
        self.owner.as_str()
    }

    /// Notes that the provider doesn't answer; what else it was asked isn't waited for either.
    pub(super) fn give_up(&self) -> Fault {
        self.standing.hung.cancel();
        Fault::Late
    }

    /// Why nothing is asked any more, if that is so: the provider is gone, or isn't waited for.
    pub(super) fn loss(&self) -> Option<Fault> {
        let Standing { gone, hung, unwanted } = &self.standing;
        if gone.is_cancelled() {
            return Some(Fault::Gone);
        }
        (hung.is_cancelled() || unwanted.is_cancelled()).then_some(Fault::Late)
    }

    /// Whether nothing is asked any more.
    pub(super) fn is_lost(&self) -> bool {
        self.loss().is_some()
    }

    /// What has become of the provider, for whoever outlives the link.
    pub(super) fn standing(&self) -> Standing {
        self.standing.clone()
    }
}

/// Waits until somebody else has the name, or nobody.
async fn watch(mut changes: MessageStream, owner: OwnedUniqueName, gone: CancellationToken) {
    let _gone = gone.drop_guard();
    while let Some(Ok(change)) = changes.next().await {
        if new_owner(&change).is_some_and(|new| new != owner.as_str()) {
            return;
        }
    }
}

/// The signals that tell who has a name.
pub(super) fn owner_changes(name: &OwnedBusName) -> zbus::Result<MatchRule<'_>> {
    let signals = MatchRule::builder().msg_type(zbus::message::Type::Signal).sender(DBUS).interface(DBUS);
    signals.member("NameOwnerChanged").arg(0, name.as_str()).build()
}

/// Who has a name now, by a signal of the bus; empty for nobody. `None` for any other signal.
pub(super) fn new_owner(change: &Message) -> Option<String> {
    let header = change.header();
    // anybody may send a signal that looks alike
    let is_the_bus = header.sender().is_some_and(|sender| sender.as_str() == DBUS);
    let is_change = header.member().is_some_and(|member| member == "NameOwnerChanged");
    if !is_the_bus || !is_change {
        return None;
    }
    let body = change.body();
    body.deserialize::<(&str, &str, &str)>().ok().map(|(_, _, new)| new.to_owned())
}
