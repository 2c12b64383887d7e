//! What is asked of a device when it is opened: whether it is all there that synchronising needs, what it
//! tells of itself, which storage, which formats, which folders. `Manual` says what is missing, and for whom.
//!
//! It must not change anything on the device.

use super::answers;
use super::control::can_synchronize;
use super::fault::{Fault, Word};
use super::introspection;
use super::link::{Link, QUICK, SLOW};
use super::offer::Offer;
use super::pour::INSERT;
use super::session::Session;
use dbus_interfaces::provider::{CONTROL_CAN_SYNCHRONIZE, DEVICE, OBJECT, PROVIDER, STORAGE};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use tandem_model::device::DeviceDescription;
use tandem_model::error::PlayerError;
use tandem_model::formats::{self, ABSTRACT_PLAYLISTS};
use tandem_model::path::DevicePath;
use tandem_model::player::Capabilities;
use tandem_model::presence::ProviderDevice;
use zbus::{Fd, OwnedObjectPath, Variant};

pub(super) const FORMATS_SUPPORTED: &str = "WMDM/FormatsSupported";

/// Has the provider make the device's object. `Manual` when it doesn't serve it.
pub(super) async fn create_device(
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
    pub(super) async fn check_device(&self, provider: &str) -> Result<(), PlayerError> {
        let told = |fault: Fault| fault.told("opening the device", "the device");
        if !self.peer.is_device().await.map_err(told)? {
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

    /// Chooses the storage to synchronise to: the first that can be written. Tells its lasting id and its free
    /// space.
    pub(super) async fn choose_storage(&mut self, provider: &str) -> Result<(String, u64), PlayerError> {
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
            let document = self.peer.introspect(&storage).await.map_err(told)?;
            if !introspection::has_interface(&document, STORAGE).map_err(told)? {
                return Err(PlayerError::Manual(format!(
                    "{provider}: its storages lack the interface `{STORAGE}`; the provider has to serve that on each"
                )));
            }
            let properties = self.peer.properties(&storage, STORAGE).await.map_err(told)?;
            if !answers::is_read_only(&properties).map_err(told)? {
                let space = answers::space(&properties).map_err(told)?;
                let id = answers::text(&properties, "PersistentUniqueId").map_err(told)?;
                let id = if id.is_empty() { storage.as_str().to_owned() } else { id };
                self.inserts = introspection::has_method(&document, INSERT).map_err(told)?;
                self.storage = storage;
                return Ok((id, space.free));
            }
        }
        Err(PlayerError::ReadOnly(format!("none of its {count} storages can be written")))
    }

    /// Whether a file is an object, if there is one in sight; else the first that is made tells.
    pub(super) async fn check_files(&mut self, provider: &str) -> Result<(), PlayerError> {
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
    pub(super) async fn describe(&mut self, description: &mut DeviceDescription) -> Result<(), Fault> {
        let told = self.peer.properties(&self.peer.device, DEVICE).await?;
        self.battery_level = answers::battery_level(&told);
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
    pub(super) async fn ask_formats(&self, lists: bool) -> Result<Vec<formats::Code>, Fault> {
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

    pub(super) async fn capabilities(&mut self, holds_friendly_name: bool) -> Result<Capabilities, Fault> {
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
            albums: None,
            holds_friendly_name,
            unique_file_names: false,
            formats: types,
        })
    }
}
