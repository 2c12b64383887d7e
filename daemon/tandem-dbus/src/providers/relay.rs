//! Between the hardware side and the engine: what the hardware tells is passed on, what providers announce is
//! added, and a device whose provider came or went is told once more, so that it is looked at again.
//!
//! It waits for no provider.

use super::link::ProviderBus;
use super::offer::Offer;
use super::registry::{self, Registry};
use super::watcher::Watcher;
use std::collections::BTreeMap;
use std::sync::Arc;
use tandem_model::presence::{Arrival, Locator, Presence};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// What providers announce and nobody has taken yet.
const QUEUE: usize = 64;

/// One that is listened to.
struct Heard {
    offer: Offer,
    _task: AbortOnDropHandle<()>,
}

/// The relay.
pub(super) struct Relay {
    bus: ProviderBus,
    registry: Arc<Registry>,
    to: mpsc::Sender<Presence>,
    /// Devices of providers that are there, by their keys.
    present: BTreeMap<String, Arrival>,
    heard: Vec<Heard>,
    news: (mpsc::Sender<Presence>, mpsc::Receiver<Presence>),
}

/// Nobody takes what is told: the daemon ends.
struct Unwanted;

impl Relay {
    pub(super) fn new(bus: ProviderBus, registry: Arc<Registry>, to: mpsc::Sender<Presence>) -> Self {
        Self { bus, registry, to, present: BTreeMap::new(), heard: Vec::new(), news: mpsc::channel(QUEUE) }
    }

    /// Passes on until `stop`, or until nobody takes it.
    pub(super) async fn run(mut self, mut from: mpsc::Receiver<Presence>, stop: CancellationToken) {
        let registry = Arc::clone(&self.registry);
        let mut watching = std::pin::pin!(registry.watch_files());
        let (mut hardware, mut watched) = (true, true);
        let mut going = self.listen().await;
        while going.is_ok() {
            going = tokio::select! {
                () = stop.cancelled() => return,
                presence = from.recv(), if hardware => match presence {
                    Some(presence) => self.pass(presence).await,
                    None => {
                        hardware = false;
                        Ok(())
                    }
                },
                Some(presence) = self.news.1.recv() => self.pass(presence).await,
                device = registry.next_due() => self.tell_again(&device).await,
                () = registry.providers_changed() => match self.listen().await {
                    Ok(()) => self.send(Presence::ProvidersChanged).await,
                    unwanted => unwanted,
                },
                () = &mut watching, if watched => {
                    watched = false;
                    Ok(())
                }
            };
        }
    }

    async fn send(&self, presence: Presence) -> Result<(), Unwanted> {
        self.to.send(presence).await.map_err(|_| Unwanted)
    }

    async fn pass(&mut self, presence: Presence) -> Result<(), Unwanted> {
        match &presence {
            Presence::Arrived(arrival) => {
                if let Some(device) = device_key(arrival) {
                    self.registry.arrived(&device);
                    self.present.insert(arrival.key.clone(), arrival.clone());
                }
            }
            Presence::ProvidersChanged => {}
            Presence::Departed(key) => {
                if let Some(device) = self.present.remove(key).as_ref().and_then(device_key) {
                    self.registry.departed(&device);
                }
            }
        }
        self.send(presence).await
    }

    /// Has a device looked at again.
    async fn tell_again(&mut self, device: &str) -> Result<(), Unwanted> {
        let is_it = |arrival: &&Arrival| device_key(arrival).as_deref() == Some(device);
        let Some(arrival) = self.present.values().find(is_it).cloned() else { return Ok(()) };
        tracing::info!(device = %arrival.description.id, "its provider came or went; the device is looked at again");
        self.send(Presence::Departed(arrival.key.clone())).await?;
        self.send(Presence::Arrived(arrival)).await
    }

    /// Listens to all providers that there are, and no longer to those that there were.
    async fn listen(&mut self) -> Result<(), Unwanted> {
        let offers = self.registry.all();
        let (stay, go): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.heard).into_iter().partition(|heard| offers.contains(&heard.offer));
        self.heard = stay;
        for gone in &go {
            self.forget(&gone.offer).await?;
        }
        for offer in offers {
            if !self.heard.iter().any(|heard| heard.offer == offer) {
                let watcher = Watcher::new(
                    self.bus.clone(),
                    Arc::clone(&self.registry),
                    offer.clone(),
                    self.news.0.clone(),
                );
                let task = AbortOnDropHandle::new(tokio::spawn(watcher.run()));
                self.heard.push(Heard { offer, _task: task });
            }
        }
        Ok(())
    }

    /// What a provider announced goes with it.
    async fn forget(&mut self, offer: &Offer) -> Result<(), Unwanted> {
        // what it has said before is said first
        while let Ok(presence) = self.news.1.try_recv() {
            self.pass(presence).await?;
        }
        let prefix = super::announcement::key(offer, "");
        let keys: Vec<String> = self.present.keys().filter(|key| key.starts_with(&prefix)).cloned().collect();
        for key in keys {
            self.pass(Presence::Departed(key)).await?;
        }
        Ok(())
    }
}

/// What the registry knows a provider's device by.
fn device_key(arrival: &Arrival) -> Option<String> {
    match &arrival.locator {
        Locator::Provider(device) => Some(registry::key(device)),
        _ => None,
    }
}
