//! A device that a provider serves, as the engine sees it: what it tells of itself, what it can do, its mark and its name.
//!
//! It must not take a provider's word for what can be asked for again.

use super::answers;
use super::control::can_synchronize;
use super::fault::{Fault, Word};
use super::link::{Link, QUICK, SLOW, Standing};
use super::mark;
use super::offer::Offer;
use super::peer::has_interface;
use super::registry::{self, Registry};
use super::session::{Session, Shared, with_session};
use super::storage::RemoteStorage;
use dbus_interfaces::provider::{
    CONTROL_CAN_SYNCHRONIZE, DEVICE, OBJECT, PROVIDER, STORAGE, SYNC_RELATIONSHIP_ID,
};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tandem_model::BoxFuture;
use tandem_model::device::DeviceDescription;
use tandem_model::error::PlayerError;
use tandem_model::formats::{self, ABSTRACT_PLAYLISTS};
use tandem_model::id::Guid;
use tandem_model::path::DevicePath;
use tandem_model::player::{Capabilities, Close, Mark, Player, Storage};
use tandem_model::presence::ProviderDevice;
use zbus::{Fd, OwnedObjectPath, OwnedVariant, Variant};

const FRIENDLY_NAME: &str = "WMDM/DeviceFriendlyName";
const FORMATS_SUPPORTED: &str = "WMDM/FormatsSupported";

/// Bytes of a text property at most, by the contract.
const MOST_IN_PROPERTY: usize = 255;

/// An open device.
pub(super) struct RemotePlayer {
    shared: Shared,
    description: DeviceDescription,
    capabilities: Capabilities,
    storage: Arc<RemoteStorage>,
    /// Whether the device keeps a mark; where it doesn't, a file does.
    keeps_mark: bool,
    /// Dropped with the player: the registry learns that the device is closed.
    _opening: Opening,
}

impl RemotePlayer {
    /// Has the provider make the device, and sees that it has all that synchronising needs. `Manual` says what is missing.
    pub(super) async fn open(
        link: Link,
        offer: &Offer,
        device: &ProviderDevice,
        usb: Option<OwnedFd>,
        description: DeviceDescription,
        registry: &Arc<Registry>,
    ) -> Result<Self, PlayerError> {
        let told = |fault: Fault| fault.told("opening the device", "the device");
        if !has_interface(&link, &offer.root, PROVIDER).await.map_err(told)? {
            return Err(PlayerError::Manual(format!(
                "{}: its object {} lacks the interface `{PROVIDER}`; see that the provider's file names the right one",
                offer.name, offer.root
            )));
        }
        let made = create_device(&link, offer, device, usb).await?;
        let mut session = Session::new(link, offer.root.clone(), made, offer.parameters);
        match Self::look(&mut session, offer, description).await {
            Ok((description, capabilities, id, keeps_mark)) => {
                let updates_metadata = session.parameters.use_metadata_views;
                let keeps_later = session.peer.keeps_later.load(Ordering::Relaxed);
                let _opening = Opening::new(registry, device, offer, &session.peer.link);
                let shared = Shared::new(session);
                let storage = Arc::new(RemoteStorage::new(shared.clone(), id, updates_metadata, keeps_later));
                Ok(Self { shared, description, capabilities, storage, keeps_mark, _opening })
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
    ) -> Result<(DeviceDescription, Capabilities, String, bool), PlayerError> {
        let told = |fault: Fault| fault.told("opening the device", "the device");
        session.check_device(&offer.name).await?;
        session.peer.ask_to_flush().await.map_err(told)?;
        let id = session.choose_storage(&offer.name).await?;
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
        self.registry.closed(&self.device, self.standing.is_lost());
    }
}

/// Has the provider make the device's object. `Manual` when it doesn't serve it.
async fn create_device(
    link: &Link,
    offer: &Offer,
    device: &ProviderDevice,
    usb: Option<OwnedFd>,
) -> Result<OwnedObjectPath, PlayerError> {
    let told = |fault: Fault| fault.told("opening the device", "the device");
    let descriptors: Vec<Fd<'_>> = usb.into_iter().map(Fd::from).collect();
    let body = (identity(device), descriptors);
    let made = link.call(&offer.root, (PROVIDER, "CreateDevice"), &body, SLOW).await;
    match made.and_then(|made| answers::path(made, &offer.root)) {
        Ok(made) => Ok(made),
        Err(Fault::Refused(Word::NotSupported, text)) => {
            Err(PlayerError::Manual(format!("{} does not serve it: {text}", offer.name)))
        }
        Err(Fault::Refused(Word::NotFound, _)) => Err(PlayerError::Removed),
        Err(fault) => Err(told(fault)),
    }
}

/// What is told of a device to the provider that is to serve it.
fn identity(device: &ProviderDevice) -> HashMap<&'static str, Variant<'_>> {
    let mut identity = HashMap::from([
        ("canonical-name", Variant::from(device.canonical_name.as_str())),
        ("flushes", Variant::from(true)),
    ]);
    if let Some((vendor, product)) = device.ids {
        identity.insert("vendor-id", Variant::from(vendor));
        identity.insert("product-id", Variant::from(product));
    }
    for (key, text) in [("serial", &device.serial), ("syspath", &device.syspath)] {
        if !text.is_empty() {
            identity.insert(key, Variant::from(text.as_str()));
        }
    }
    let interfaces: Vec<String> = device.interfaces.iter().map(ToString::to_string).collect();
    if !interfaces.is_empty() {
        identity.insert("interfaces", Variant::from(interfaces));
    }
    identity
}

impl Session {
    /// Whether the device's object is one, and its provider lets it be synchronised.
    async fn check_device(&self, provider: &str) -> Result<(), PlayerError> {
        let told = |fault: Fault| fault.told("opening the device", "the device");
        if !self.peer.has_interface(&self.peer.device, DEVICE).await.map_err(told)? {
            return Err(PlayerError::Manual(format!(
                "{provider}: its device lacks the interface `{DEVICE}`; the provider has to serve that"
            )));
        }
        let nothing: &[u8] = &[];
        let body = (CONTROL_CAN_SYNCHRONIZE, nothing);
        let can = match self
            .peer
            .call::<_, Vec<u8>>(&self.peer.device, (DEVICE, "DeviceIoControl"), &body, QUICK)
            .await
        {
            Ok(answer) => can_synchronize(&answer).map_err(told)?,
            Err(Fault::Refused(Word::NotSupported, _) | Fault::Missing(_)) => true,
            Err(fault) => return Err(told(fault)),
        };
        if can {
            return Ok(());
        }
        Err(PlayerError::Manual(format!(
            "{provider} says that it can't be synchronised (control code WMP2 brought 0); see the device's own settings"
        )))
    }

    /// Chooses the storage to synchronise to: the first that can be written. Tells its lasting id.
    async fn choose_storage(&mut self, provider: &str) -> Result<String, PlayerError> {
        let told = |fault: Fault| fault.told("asking for storages", "the device");
        let storages =
            self.peer.call(&self.peer.device, (DEVICE, "EnumStorage"), &(), QUICK).await.map_err(told)?;
        let storages = answers::paths(storages, &self.peer.root, answers::MOST_STORAGES).map_err(told)?;
        if storages.is_empty() {
            return Err(PlayerError::NotPermitted(
                "the device shows no storage; unlock it and allow file transfer, then connect it again"
                    .to_owned(),
            ));
        }
        let count = storages.len();
        for storage in storages {
            if !self.peer.has_interface(&storage, STORAGE).await.map_err(told)? {
                return Err(PlayerError::Manual(format!(
                    "{provider}: its storages lack the interface `{STORAGE}`; the provider has to serve that on each"
                )));
            }
            let properties = self.peer.properties(&storage, STORAGE).await.map_err(told)?;
            if !answers::is_read_only(&properties).map_err(told)? {
                answers::space(&properties).map_err(told)?;
                let id = answers::text(&properties, "PersistentUniqueId").map_err(told)?;
                let id = if id.is_empty() { storage.as_str().to_owned() } else { id };
                self.storage = storage;
                return Ok(id);
            }
        }
        Err(PlayerError::ReadOnly(format!("none of its {count} storages can be written")))
    }

    /// Whether a file is an object, if there is one in sight; else the first that is made tells.
    async fn check_files(&mut self, provider: &str) -> Result<(), PlayerError> {
        let told = |fault: Fault| fault.told("listing the storage", "the storage");
        let children = self.children("").await.map_err(told)?;
        let Some((_, known)) = children.iter().find(|(_, known)| !known.is_folder) else { return Ok(()) };
        self.files_are_objects = self.peer.has_interface(&known.object, OBJECT).await.map_err(told)?;
        if self.files_are_objects {
            return Ok(());
        }
        Err(PlayerError::Manual(format!(
            "{provider}: its files lack the interface `{OBJECT}`; the provider has to serve that on each"
        )))
    }

    /// What the device tells of itself goes before what was known from outside.
    async fn describe(&self, description: &mut DeviceDescription) -> Result<(), Fault> {
        let told = self.peer.properties(&self.peer.device, DEVICE).await?;
        let fields = [
            (&mut description.name, "Name"),
            (&mut description.manufacturer, "Manufacturer"),
            (&mut description.model, "Model"),
            (&mut description.serial_number, "SerialNumber"),
            (&mut description.firmware, "Version"),
        ];
        for (field, name) in fields {
            let text = answers::text(&told, name)?;
            if !text.is_empty() {
                *field = text;
            }
        }
        if description.name.is_empty() {
            description.name.clone_from(&description.model);
        }
        Ok(())
    }

    /// The formats that the device takes: as it lists them, else asked for one by one. None: it doesn't say.
    async fn ask_formats(&self, lists: bool) -> Result<Vec<formats::Code>, Fault> {
        if lists {
            let listed = self.property(FORMATS_SUPPORTED).await?;
            return listed.map_or(Ok(Vec::new()), answers::formats);
        }
        let mut taken = Vec::new();
        for format in formats::known() {
            let member = (DEVICE, "GetFormatCapability");
            match self.peer.call::<_, Vec<_>>(&self.peer.device, member, &u32::from(format), QUICK).await {
                Ok(configurations) if answers::takes_format(&configurations)? => taken.push(format),
                Ok(_) | Err(Fault::Refused(..)) => {}
                Err(Fault::Missing(_)) => return Ok(Vec::new()),
                Err(fault) => return Err(fault),
            }
        }
        Ok(taken)
    }

    async fn capabilities(&mut self, holds_friendly_name: bool) -> Result<Capabilities, Fault> {
        let root = self.children("").await?;
        let folder = |wanted: &str| {
            let there =
                root.iter().find(|(name, known)| known.is_folder && name.eq_ignore_ascii_case(wanted));
            DevicePath::parse(there.map_or(wanted, |(name, _)| name))
        };
        let views = self.parameters.use_metadata_views;
        let (music, playlists) = if views { (None, None) } else { (folder("Music"), folder("Playlists")) };
        let or_root = |folder: &Option<DevicePath>| {
            folder.as_ref().map_or_else(String::new, |folder| folder.as_str().to_owned())
        };
        self.ours = vec![or_root(&music), or_root(&playlists)];
        self.ours.dedup();
        let types = formats::mime_types(&self.formats);
        let has = |kind: &str| types.iter().any(|name| name.starts_with(kind));
        let references = ABSTRACT_PLAYLISTS.iter().any(|format| self.formats.contains(format));
        let untold = [formats::UNDEFINED];
        let listed = if self.formats.is_empty() { &untold[..] } else { &self.formats };
        Ok(Capabilities {
            audio: true,
            video: has("video/"),
            photo: has("image/"),
            audio_folder: music,
            folder_depth: views.then_some(0),
            playlists: formats::playlist_style(references, listed, playlists),
            holds_friendly_name,
            formats: types,
        })
    }

    /// A property of the device; `None` where the device has none.
    async fn property(&self, name: &str) -> Result<Option<OwnedVariant>, Fault> {
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

    /// Tells the provider that the device is not used any more; when it has answered, the device has everything.
    async fn release(&self) -> Result<(), PlayerError> {
        if self.peer.link.is_lost() {
            return Err(PlayerError::Removed);
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
            let name = with_session!(self.shared, session => session.text_property(FRIENDLY_NAME));
            let name = name.map_err(|fault| fault.told("asking for its name", "the device"))?;
            let clean = |name: String| name.chars().filter(|c| !c.is_control()).collect::<String>();
            Ok(name.map(|name| clean(name).trim().to_owned()).filter(|name| !name.is_empty()))
        })
    }

    fn set_friendly_name(&self, name: String) -> BoxFuture<'_, Result<(), PlayerError>> {
        Box::pin(async move {
            let set = with_session!(self.shared, session => session.set_text_property(FRIENDLY_NAME, &name));
            set.map_err(|fault| fault.told("telling the device its name", "the device"))
        })
    }

    fn close(&self, _: Close) -> BoxFuture<'_, Result<(), PlayerError>> {
        Box::pin(async move {
            match self.shared.lock().await.take() {
                Some(session) => session.release().await,
                None => Ok(()),
            }
        })
    }
}
