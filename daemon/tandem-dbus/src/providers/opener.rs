//! Opens devices through providers: whom to ask, in which order, and what to say when nobody serves a device.
//!
//! A provider that fails costs the others nothing: they are asked too.

use super::fault::{Blamed, Fault};
use super::link::{Limits, Link, ProviderBus};
use super::offer::Offer;
use super::player::RemotePlayer;
use super::registry::{self, Registry};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tandem_model::BoxFuture;
use tandem_model::device::DeviceDescription;
use tandem_model::error::PlayerError;
use tandem_model::player::Player;
use tandem_model::presence::{ProviderDevice, Providers};
use zbus::names::OwnedBusName;

/// Where providers are installed, for errors.
const PLACES: &str = "/usr/share/tandem/providers.d or /etc/tandem/providers.d";

/// Opens devices through the providers of a registry.
pub(super) struct Opener {
    pub(super) bus: ProviderBus,
    pub(super) registry: Arc<Registry>,
    pub(super) limits: Limits,
}

impl Providers for Opener {
    fn open<'a>(
        &'a self,
        device: &'a ProviderDevice,
        description: DeviceDescription,
    ) -> BoxFuture<'a, Result<Arc<dyn Player>, PlayerError>> {
        Box::pin(self.open_device(device, description))
    }
}

impl Opener {
    async fn open_device(
        &self,
        device: &ProviderDevice,
        description: DeviceDescription,
    ) -> Result<Arc<dyn Player>, PlayerError> {
        let key = registry::key(device);
        self.registry.opening(&key).await;
        let demanded = match &device.provider {
            Some(name) => self.owner_of(name).await,
            None => None,
        };
        let mut reasons = Vec::new();
        let mut failure: Option<(OwnedBusName, PlayerError)> = None;
        for offer in self.registry.offers(device, demanded.as_deref()) {
            let asked = self.ask(&offer, device, description.clone()).await;
            match asked.map_err(|error| Blamed::new(&offer).named(error)) {
                Ok(player) => return Ok(Arc::new(player)),
                Err(PlayerError::Manual(reason)) => reasons.push(reason),
                Err(error) => {
                    tracing::warn!(provider = offer.name, bus_name = %offer.bus_name, "the provider failed: {error}");
                    if matches!(error, PlayerError::TimedOut(_)) {
                        self.registry.was_late(&key, &offer.bus_name);
                    }
                    failure.get_or_insert((offer.bus_name, error));
                }
            }
        }
        if let Some((server, error)) = failure {
            // what doesn't work now may work later
            self.registry.opened(&key, &server);
            self.registry.closed(&key, true);
            return Err(error);
        }
        self.registry.refused(&key);
        Err(PlayerError::Manual(if reasons.is_empty() { nobody(device) } else { reasons.join("; ") }))
    }

    /// Offers a device to one provider. `Manual` when that doesn't serve it, or can't have it synchronised.
    async fn ask(
        &self,
        offer: &Offer,
        device: &ProviderDevice,
        description: DeviceDescription,
    ) -> Result<RemotePlayer, PlayerError> {
        if !offer.parameters.use_extended_wmdm {
            return Err(PlayerError::Manual(format!(
                "{} serves it for manual transfer only: its device parameter UseExtendedWmdm is not 1; ask its author \
                 whether it can be",
                offer.name
            )));
        }
        let usb = match device.node.clone() {
            Some(node) => Some(open_node(node).await?),
            None => None,
        };
        let link =
            Link::open(&self.bus, &offer.bus_name, self.limits).await.map_err(|fault| match fault {
                Fault::Gone => PlayerError::Manual(format!(
                    "{} is not on the bus, and the bus can't start it: no service file for `{}` is installed",
                    offer.name, offer.bus_name
                )),
                fault => fault.told(&format!("starting {}", offer.name), offer.bus_name.as_str()),
            })?;
        tracing::debug!(provider = offer.name, connection = link.owner(), "a device is offered");
        Box::pin(RemotePlayer::open(link, offer, device, usb, description, &self.registry)).await
    }

    /// The process that has this name now.
    async fn owner_of(&self, name: &str) -> Option<String> {
        let connection = self.bus.connect().await.ok()?;
        let proxy = zbus::fdo::DBusProxy::new(&connection).await.ok()?;
        let owner = proxy.get_name_owner(name.try_into().ok()?).await.ok()?;
        Some(owner.to_string())
    }
}

/// What is said of a device that nobody serves.
fn nobody(device: &ProviderDevice) -> String {
    let what = match device.ids {
        Some((vendor, product)) => format!("USB {vendor:04x}:{product:04x}"),
        None => "it".to_owned(),
    };
    match &device.provider {
        Some(name) => format!(
            "the service provider `{name}`, which has to serve {what}, is neither installed nor registered; install it \
             (a file in {PLACES})"
        ),
        None => format!(
            "no service provider for {what} is installed or registered; install one (a file in {PLACES})"
        ),
    }
}

/// Opens a USB device's node, to read and write.
async fn open_node(node: PathBuf) -> Result<OwnedFd, PlayerError> {
    let opened = tokio::task::spawn_blocking(move || open_character_device(&node)).await;
    opened.map_err(|error| PlayerError::Other(format!("opening a device's node failed: {error}")))?
}

fn open_character_device(node: &Path) -> Result<OwnedFd, PlayerError> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => PlayerError::Removed,
        std::io::ErrorKind::PermissionDenied => PlayerError::NotPermitted(format!(
            "{} can't be opened; see that Tandem's udev rule is installed",
            node.display()
        )),
        _ => PlayerError::Other(format!("opening {} failed: {error}", node.display())),
    };
    let file = std::fs::OpenOptions::new().read(true).write(true).open(node).map_err(failed)?;
    // a node that was reused in the meantime can be anything
    if file.metadata().map_err(failed)?.file_type().is_char_device() {
        Ok(file.into())
    } else {
        Err(PlayerError::Removed)
    }
}
