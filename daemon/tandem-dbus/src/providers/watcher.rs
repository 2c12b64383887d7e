//! Listens to what a provider announces, on a connection of its own: a flood fills that one, and ends it.
//!
//! Only the process that has the provider's name is listened to, and only within bounds.

use super::announcement;
use super::answers::Properties;
use super::fault::{Blamed, Fault};
use super::link::{Limits, Link, ProviderBus, QUICK, new_owner, owner_changes};
use super::offer::Offer;
use super::registry::Registry;
use dbus_interfaces::provider::PROVIDER;
use futures_util::StreamExt;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tandem_model::presence::Presence;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use zbus::fdo::DBusProxy;
use zbus::names::{BusName, OwnedBusName, UniqueName};
use zbus::proxy::CacheProperties;
use zbus::{MatchRule, Message, MessageStream};

/// Devices that one provider announces, at most.
const MOST_DEVICES: usize = 64;

/// Signals that are taken at once, and how often one more is.
const BURST: u32 = 256;
const INTERVAL: Duration = Duration::from_millis(100);

/// How long a provider that floods is not listened to, unless it is started anew.
const DEAF: Duration = Duration::from_secs(600);

const DBUS: &str = "org.freedesktop.DBus";

/// Why listening ended.
enum End {
    /// Nobody wants to know any more, or the bus is gone.
    Over,
    /// The provider sends more than anyone can mean.
    Flood,
}

/// Signals that may still come: each costs one, and time brings them back.
struct Budget {
    left: u32,
    since: Instant,
}

impl Budget {
    fn new() -> Self {
        Self { left: BURST, since: Instant::now() }
    }

    fn spend(&mut self) -> bool {
        let returned = self.since.elapsed().as_millis() / INTERVAL.as_millis();
        if returned > 0 {
            self.left = self.left.saturating_add(u32::try_from(returned).unwrap_or(BURST)).min(BURST);
            self.since = Instant::now();
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

/// What a provider has announced, passed on as it comes and goes.
pub(super) struct Watcher {
    bus: ProviderBus,
    registry: Arc<Registry>,
    offer: Offer,
    out: mpsc::Sender<Presence>,
    announced: BTreeSet<String>,
    owner: Option<String>,
}

impl Watcher {
    pub(super) fn new(
        bus: ProviderBus,
        registry: Arc<Registry>,
        offer: Offer,
        out: mpsc::Sender<Presence>,
    ) -> Self {
        Self { bus, registry, offer, out, announced: BTreeSet::new(), owner: None }
    }

    /// Listens until nobody wants to know any more.
    pub(super) async fn run(mut self) {
        let name = self.offer.name.clone();
        loop {
            match self.listen().await {
                Ok(End::Over) => return,
                Ok(End::Flood) => {
                    tracing::warn!(
                        provider = name,
                        "the provider floods the bus; it isn't listened to for a while, or until it is started anew"
                    );
                }
                Err(error) => tracing::warn!(provider = name, %error, "the provider can't be listened to"),
            }
            if self.withdraw_all().await.is_err() {
                return;
            }
            let before = self.owner.take();
            tokio::select! {
                () = sleep(DEAF) => {}
                // who doesn't hear of it waits
                Ok(()) = self.started_anew(before) => self.registry.started_anew(&self.offer.bus_name),
            }
        }
    }

    /// Returns when another process has the provider's name than the one before, or than has it now.
    async fn started_anew(&self, before: Option<String>) -> Result<(), zbus::Error> {
        let connection = self.bus.connect().await?;
        let name = &self.offer.bus_name;
        let mut changes = MessageStream::for_match_rule(owner_changes(name)?, &connection, None).await?;
        let now = DBusProxy::new(&connection).await?.get_name_owner((**name).clone()).await;
        let mut new = now.ok().map(|owner| owner.to_string());
        let before = before.or_else(|| new.clone());
        while new.is_none() || new == before {
            let change = changes.next().await.ok_or(zbus::Error::InvalidReply)??;
            new = new_owner(&change).filter(|new| !new.is_empty());
        }
        Ok(())
    }

    async fn listen(&mut self) -> Result<End, zbus::Error> {
        let connection = self.bus.connect().await?;
        let mut messages = MessageStream::from(&connection);
        let builder = DBusProxy::builder(&connection).cache_properties(CacheProperties::No);
        let proxy = builder.build().await?;
        let name = self.offer.bus_name.clone();
        let signals = || MatchRule::builder().msg_type(zbus::message::Type::Signal);
        proxy.add_match_rule(owner_changes(&name)?).await?;
        let news = signals().sender(name.as_str()).interface(PROVIDER).path(self.offer.root.as_str());
        proxy.add_match_rule(news.build()?).await?;
        if let Ok(owner) = proxy.get_name_owner((*name).clone()).await
            && self.entered(owner.as_str()).await.is_err()
        {
            return Ok(End::Over);
        }
        let mut budget = Budget::new();
        while let Some(message) = messages.next().await {
            let message = message?;
            if message.message_type() != zbus::message::Type::Signal || !self.is_meant(&message) {
                continue;
            }
            if !budget.spend() {
                return Ok(End::Flood);
            }
            if self.take(&message).await.is_err() {
                return Ok(End::Over);
            }
        }
        Ok(End::Over)
    }

    /// Whether a message is of the bus or of the provider: what others send costs it nothing.
    fn is_meant(&self, message: &Message) -> bool {
        let header = message.header();
        let sender = header.sender().map(UniqueName::as_str);
        sender == Some(DBUS) || sender.is_some() && sender == self.owner.as_deref()
    }

    /// Takes a signal; an error when nobody wants to know any more.
    async fn take(&mut self, message: &Message) -> Result<(), mpsc::error::SendError<Presence>> {
        if let Some(new) = new_owner(message) {
            self.withdraw_all().await?;
            self.owner = None;
            if new.is_empty() {
                return Ok(());
            }
            self.registry.started_anew(&self.offer.bus_name);
            return self.entered(&new).await;
        }
        let header = message.header();
        let Some(member) = header.member() else { return Ok(()) };
        let body = message.body();
        match member.as_str() {
            "DeviceArrived" if self.is_heard(&header) => match body.deserialize::<Properties>() {
                Ok(identity) => self.arrived(&identity).await,
                Err(error) => {
                    tracing::warn!(provider = self.offer.name, %error, "an announcement can't be read");
                    Ok(())
                }
            },
            "DeviceRemoved" if self.is_heard(&header) => match body.deserialize::<&str>() {
                Ok(name) => self.withdraw(&announcement::key(&self.offer, name)).await,
                Err(_) => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Whether a signal is of the provider's root, and of the process that has its name: anybody may send one
    /// that looks alike.
    fn is_heard(&self, header: &zbus::message::Header<'_>) -> bool {
        header.sender().map(UniqueName::as_str) == self.owner.as_deref()
            && header.interface().is_some_and(|interface| interface.as_str() == PROVIDER)
            && header.path().is_some_and(|path| path.as_str() == self.offer.root.as_str())
    }

    /// The provider is on the bus: it is asked which devices it has announced already.
    async fn entered(&mut self, owner: &str) -> Result<(), mpsc::error::SendError<Presence>> {
        self.owner = Some(owner.to_owned());
        match self.devices(owner).await {
            Ok(identities) => {
                for identity in identities.iter().take(MOST_DEVICES) {
                    self.arrived(identity).await?;
                }
            }
            // it announces none
            Err(Fault::Missing(_) | Fault::Refused(..)) => {}
            Err(fault) => {
                let error = fault.told("asking for its devices", "its devices");
                let error = Blamed::new(&self.offer).named(error);
                tracing::warn!(provider = self.offer.name, "{error}");
            }
        }
        Ok(())
    }

    async fn devices(&self, owner: &str) -> Result<Vec<Properties>, Fault> {
        let unique = BusName::try_from(owner.to_owned()).map_err(|error| Fault::of(&error))?;
        // on a connection that what it sends meanwhile can't fill
        let link = Link::open(&self.bus, &OwnedBusName::from(unique), Limits::default()).await?;
        link.call(&self.offer.root, (PROVIDER, "EnumDevices"), &(), QUICK).await
    }

    async fn arrived(&mut self, identity: &Properties) -> Result<(), mpsc::error::SendError<Presence>> {
        let arrival = match announcement::arrival(&self.offer, identity) {
            Ok(arrival) => arrival,
            Err(fault) => {
                let error = fault.told("announcing a device", "a device");
                tracing::warn!(provider = self.offer.name, "an announcement is refused: {error}");
                return Ok(());
            }
        };
        if self.announced.len() >= MOST_DEVICES && !self.announced.contains(&arrival.key) {
            tracing::warn!(provider = self.offer.name, "it announces more than {MOST_DEVICES} devices");
            return Ok(());
        }
        if self.announced.insert(arrival.key.clone()) {
            self.out.send(Presence::Arrived(arrival)).await?;
        }
        Ok(())
    }

    async fn withdraw(&mut self, key: &str) -> Result<(), mpsc::error::SendError<Presence>> {
        if self.announced.remove(key) {
            self.out.send(Presence::Departed(key.to_owned())).await?;
        }
        Ok(())
    }

    async fn withdraw_all(&mut self) -> Result<(), mpsc::error::SendError<Presence>> {
        for key in std::mem::take(&mut self.announced) {
            self.out.send(Presence::Departed(key)).await?;
        }
        Ok(())
    }
}
