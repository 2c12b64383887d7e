//! A device that a provider serves, as the engine sees it: what it tells of itself, what it can do, its mark
//! and its name.
//!
//! It must not take a provider's word for what can be asked for again.

use super::answers;
use super::fault::{Blamed, Fault, Word};
use super::introspection;
use super::link::{Link, QUICK, SLOW, Standing};
use super::mark;
use super::memory::Slot;
use super::offer::Offer;
use super::opening::{FORMATS_SUPPORTED, create_device};
use super::peer::{Peer, introspect};
use super::registry::{self, Registry};
use super::session::{Session, Shared, with_session};
use super::storage::RemoteStorage;
use dbus_interfaces::provider::{DEVICE, PROVIDER, SYNC_RELATIONSHIP_ID};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tandem_model::BoxFuture;
use tandem_model::device::DeviceDescription;
use tandem_model::error::PlayerError;
use tandem_model::id::Guid;
use tandem_model::player::{Capabilities, Close, Mark, Player, Storage, Transfer};
use tandem_model::presence::ProviderDevice;
use zbus::{OwnedVariant, Variant};

const FRIENDLY_NAME: &str = "WMDM/DeviceFriendlyName";

/// Bytes of a text property at most, by the contract.
const MOST_IN_PROPERTY: usize = 255;

/// An open device.
pub(super) struct RemotePlayer {
    shared: Shared,
    peer: Arc<Peer>,
    description: DeviceDescription,
    capabilities: Capabilities,
    storage: Arc<RemoteStorage>,
    /// Whether the device keeps a mark; where it doesn't, a file does.
    keeps_mark: bool,
    battery_level: Option<u8>,
    /// Dropped with the player: the registry learns that the device is closed.
    _opening: Opening,
}

impl RemotePlayer {
    /// Has the provider make the device, and sees that it has all that synchronising needs. `Manual` says
    /// what is missing.
    pub(super) async fn open(
        link: Link,
        offer: &Offer,
        device: &ProviderDevice,
        usb: Option<OwnedFd>,
        description: DeviceDescription,
        registry: &Arc<Registry>,
    ) -> Result<Self, PlayerError> {
        let told = |fault: Fault| fault.told("opening the device", "the device");
        let document = introspect(&link, &offer.root).await.map_err(told)?;
        if !introspection::has_interface(&document, PROVIDER).map_err(told)? {
            return Err(PlayerError::Manual(format!(
                "{}: its object {} lacks the interface `{PROVIDER}`; see that the provider's file names the right one",
                offer.name, offer.root
            )));
        }
        let made = create_device(&link, offer, device, usb).await?;
        let mut session = Session::new(link, offer.root.clone(), made, offer.parameters);
        let past = registry.past(&registry::key(device));
        match Self::look(&mut session, offer, description, past).await {
            Ok((description, capabilities, id, keeps_mark)) => {
                let updates_metadata = session.parameters.use_metadata_views;
                let _opening = Opening::new(registry, device, offer, &session.peer.link);
                let ahead = Arc::clone(&session.peer.ahead);
                let (battery_level, peer) = (session.battery_level, Arc::clone(&session.peer));
                let shared = Shared::new(session, Blamed::new(offer));
                let storage = Arc::new(RemoteStorage::new(shared.clone(), id, updates_metadata, ahead));
                Ok(Self {
                    shared,
                    peer,
                    description,
                    capabilities,
                    storage,
                    keeps_mark,
                    battery_level,
                    _opening,
                })
            }
            Err(error) => {
                let released = session.release().await;
                released.inspect_err(|error| tracing::debug!(%error, "a device can't be released")).ok();
                Err(error)
            }
        }
    }

    async fn look(
        session: &mut Session,
        offer: &Offer,
        mut description: DeviceDescription,
        past: Slot,
    ) -> Result<(DeviceDescription, Capabilities, String, bool), PlayerError> {
        let told = |fault: Fault| fault.told("opening the device", "the device");
        session.check_device(&offer.name).await?;
        session.peer.ask_to_flush().await.map_err(told)?;
        let (id, free) = session.choose_storage(&offer.name).await?;
        session.recall(past, &id, free).await?;
        session.check_files(&offer.name).await?;
        session.describe(&mut description).await.map_err(told)?;
        let supported =
            session.peer.call(&session.peer.device, (DEVICE, "GetSupportedProperties"), &(), QUICK).await;
        let supported = answers::names(supported.map_err(told)?).map_err(told)?;
        let has = |name: &str| supported.iter().any(|supported| supported == name);
        session.formats = session.ask_formats(has(FORMATS_SUPPORTED)).await.map_err(told)?;
        let keeps_mark = has(SYNC_RELATIONSHIP_ID);
        let capabilities = session.capabilities(has(FRIENDLY_NAME)).await.map_err(told)?;
        Ok((description, capabilities, id, keeps_mark))
    }
}

/// What the registry knows of as open.
struct Opening {
    registry: Arc<Registry>,
    device: String,
    standing: Standing,
}

impl Opening {
    fn new(registry: &Arc<Registry>, device: &ProviderDevice, offer: &Offer, link: &Link) -> Self {
        let device = registry::key(device);
        registry.opened(&device, &offer.bus_name);
        Self { registry: Arc::clone(registry), device, standing: link.standing() }
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.registry.closed(&self.device, self.standing.has_failed());
    }
}

impl Session {
    /// A property of the device; `None` where the device has none.
    pub(super) async fn property(&self, name: &str) -> Result<Option<OwnedVariant>, Fault> {
        match self
            .peer
            .call::<_, OwnedVariant>(&self.peer.device, (DEVICE, "GetProperty"), &name, QUICK)
            .await
        {
            Ok(value) => Ok(Some(value)),
            Err(Fault::Refused(Word::NotSupported | Word::NotFound, _)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    async fn text_property(&self, name: &str) -> Result<Option<String>, Fault> {
        let Some(value) = self.property(name).await? else { return Ok(None) };
        let signature = value.value_signature().to_string();
        match String::try_from(value) {
            Ok(text) if text.len() <= MOST_IN_PROPERTY => Ok(Some(text)),
            Ok(text) => Err(Fault::Lie(format!("{name} of {} bytes", text.len()))),
            Err(_) => Err(Fault::Lie(format!("{name} of type `{signature}`"))),
        }
    }

    async fn set_text_property(&self, name: &str, text: &str) -> Result<(), Fault> {
        self.peer.call(&self.peer.device, (DEVICE, "SetProperty"), &(name, Variant::from(text)), SLOW).await
    }

    async fn mark(&self) -> Result<Option<Mark>, PlayerError> {
        let text = self.text_property(SYNC_RELATIONSHIP_ID).await;
        let text = text.map_err(|fault| fault.told("reading the partnership's mark", "the mark"))?;
        Ok(text.and_then(|text| mark::parse(&text)))
    }

    async fn set_mark_text(&self, text: &str) -> Result<(), PlayerError> {
        let told = |fault: Fault| fault.told("writing the partnership's mark", "the mark");
        self.set_text_property(SYNC_RELATIONSHIP_ID, text).await.map_err(told)?;
        self.peer.flush().await?;
        // many answer that they have kept it, and have not
        let kept = self.text_property(SYNC_RELATIONSHIP_ID).await.map_err(told)?;
        if kept.unwrap_or_default() == text {
            return Ok(());
        }
        Err(PlayerError::VerifyFailed(SYNC_RELATIONSHIP_ID.to_owned()))
    }

    /// Tells the provider that the device is not used any more; when it has answered, the device has
    /// everything.
    async fn release(&self) -> Result<(), PlayerError> {
        if let Some(fault) = self.peer.link.loss() {
            return Err(fault.told("closing the device", "the device"));
        }
        let released =
            self.peer.call(&self.peer.root, (PROVIDER, "ReleaseDevice"), &self.peer.device, SLOW).await;
        released.map_err(|fault| fault.told("closing the device", "the device"))
    }
}

impl Player for RemotePlayer {
    fn description(&self) -> &DeviceDescription {
        &self.description
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn storage(&self) -> Arc<dyn Storage> {
        Arc::<RemoteStorage>::clone(&self.storage)
    }

    fn battery_level(&self) -> Option<u8> {
        self.battery_level
    }

    fn heed(&self, transfer: &Arc<Transfer>) {
        // whoever has the session may be the one that waits
        self.peer.link.heed(transfer);
    }

    fn mark(&self) -> BoxFuture<'_, Result<Option<Mark>, PlayerError>> {
        Box::pin(async move {
            if !self.keeps_mark {
                return with_session!(self.shared, session => session.mark_in_file());
            }
            with_session!(self.shared, session => session.mark())
        })
    }

    fn set_mark(&self, mark: Mark) -> BoxFuture<'_, Result<(), PlayerError>> {
        Box::pin(async move {
            if !self.keeps_mark {
                return with_session!(self.shared, session => session.set_mark_in_file(mark));
            }
            with_session!(self.shared, session => async {
                if session.mark().await? == Some(mark) {
                    return Ok(());
                }
                session.set_mark_text(&mark::text(mark)).await
            })
        })
    }

    fn remove_mark(&self, mark: Mark) -> BoxFuture<'_, Result<(), PlayerError>> {
        Box::pin(async move {
            if !self.keeps_mark {
                return with_session!(self.shared, session => session.remove_mark_in_file(mark));
            }
            let ended = Mark { relationship: Guid::ZERO, ..mark };
            with_session!(self.shared, session => async {
                match session.mark().await? {
                    None => Ok(()),
                    Some(there) if there == mark || there == ended => session.set_mark_text("").await,
                    Some(_) => session.set_mark_text(&mark::text(ended)).await,
                }
            })
        })
    }

    fn friendly_name(&self) -> BoxFuture<'_, Result<Option<String>, PlayerError>> {
        Box::pin(async move {
            if !self.capabilities.holds_friendly_name {
                return Ok(None);
            }
            let name = with_session!(self.shared, session => async {
                let name = session.text_property(FRIENDLY_NAME).await;
                name.map_err(|fault| fault.told("asking for its name", "the device"))
            })?;
            let clean = |name: String| name.chars().filter(|c| !c.is_control()).collect::<String>();
            Ok(name.map(|name| clean(name).trim().to_owned()).filter(|name| !name.is_empty()))
        })
    }

    fn set_friendly_name(&self, name: String) -> BoxFuture<'_, Result<(), PlayerError>> {
        Box::pin(async move {
            with_session!(self.shared, session => async {
                let set = session.set_text_property(FRIENDLY_NAME, &name).await;
                set.map_err(|fault| fault.told("telling the device its name", "the device"))
            })
        })
    }

    fn close(&self, _: Close) -> BoxFuture<'_, Result<(), PlayerError>> {
        Box::pin(async move {
            match self.shared.lock().await.take() {
                Some(mut session) => {
                    self.shared.named(session.release().await)?;
                    session.remember();
                    Ok(())
                }
                None => Ok(()),
            }
        })
    }
}
