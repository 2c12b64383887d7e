//! `org.tandemd.Provider1.Device`: storages, properties by WMDM's names, formats, control codes.

use crate::answers::{Answer, Call, arguments};
use crate::calls::object;
use crate::calls::storage::{self, Scope};
use crate::device::{Device, Handle, Metadata};
use crate::dispatch::{Shared, unknown};
use crate::sessions::Open;
use dbus_interfaces::provider::{Error, SYNC_RELATIONSHIP_ID};
use std::sync::Arc;
use zbus::message::Message;
use zbus::{OwnedObjectPath, OwnedVariant, Variant};

const FRIENDLY_NAME: &str = "WMDM/DeviceFriendlyName";
const FORMATS: &str = "WMDM/FormatsSupported";
const FORMATS_ORDERED: &str = "WMDM/FormatsSupportedAreOrdered";

/// A property's text is at most so long, in bytes.
const LONGEST: usize = 255;

/// Files that are renamed by one call at most.
const MOST_RENAMED: usize = 128;

pub(crate) async fn answer(shared: &Shared, open: &Arc<Open>, call: &Call, message: Message) -> Answer {
    match call.member.as_str() {
        "EnumStorage" => {
            arguments::<()>(message)?;
            let roots = open.run(|device| device.roots()).await?;
            call.answer(&paths(shared, open, roots))
        }
        "GetProperty" => {
            let name: String = arguments(message)?;
            call.answer(&open.run(move |device| property(device, &name)).await?)
        }
        "SetProperty" => {
            let (name, value): (String, OwnedVariant) = arguments(message)?;
            open.change(move |device| set_property(device, &name, &value)).await?;
            call.answer(&())
        }
        "GetSupportedProperties" => {
            arguments::<()>(message)?;
            call.answer(&open.run(supported).await?)
        }
        "GetFormatCapability" => {
            let format: u32 = arguments(message)?;
            call.answer(&open.run(move |device| device.format_capability(format)).await?)
        }
        "DeviceIoControl" => {
            let (code, input): (u32, Vec<u8>) = arguments(message)?;
            call.answer(&open.run(move |device| device.control(code, &input)).await?)
        }
        "Flush" => {
            arguments::<()>(message)?;
            open.run(|device| device.flush()).await?;
            call.answer(&())
        }
        "RenameAll" => {
            let (files, names): (Vec<(OwnedObjectPath, String)>, Vec<String>) = arguments(message)?;
            if files.len() > MOST_RENAMED {
                let text = format!("{} files were named; {MOST_RENAMED} are the most", files.len());
                return Err(Error::InvalidArgument(text).into());
            }
            let mut handles = Vec::with_capacity(files.len());
            for (path, name) in files {
                handles.push((shared.sessions.storage_of(open, &path)?, name));
            }
            let transfers = Arc::clone(open);
            let renamed = open.change(move |device| {
                let renamed = handles.iter().map(|(file, name)| {
                    let _transferring = transfers.transfer(*file)?;
                    object::rename(device, *file, name).and_then(|()| storage::told(device, *file, &names))
                });
                Ok(renamed.collect::<Vec<_>>())
            });
            let told = |one: Result<Metadata, Error>| match one {
                Ok(metadata) => (String::new(), metadata),
                Err(error) => (error.word().to_owned(), Metadata::new()),
            };
            call.answer(&renamed.await?.into_iter().map(told).collect::<Vec<_>>())
        }
        "FindStorage" => {
            let (scope, id): (String, String) = arguments(message)?;
            let scope = Scope::read(&scope)?;
            let found = open.run(move |device| find(device, scope, &id)).await?;
            call.answer(&shared.sessions.storage_path(open, found))
        }
        _ => Err(unknown(call)),
    }
}

pub(crate) fn paths(
    shared: &Shared,
    open: &Open,
    handles: impl IntoIterator<Item = Handle>,
) -> Vec<OwnedObjectPath> {
    handles.into_iter().map(|handle| shared.sessions.storage_path(open, handle)).collect()
}

fn find(device: &dyn Device, scope: Scope, id: &str) -> Result<Handle, Error> {
    let missing = || Error::NotFound(format!("no storage has the id `{id}`"));
    if id.is_empty() {
        return Err(missing());
    }
    let found = match scope {
        Scope::Global => device.find(id)?,
        Scope::ImmediateChildren => {
            let mut found = None;
            for root in device.roots()? {
                if device.entry(root)?.persistent_id == id {
                    found = Some(root);
                }
            }
            found
        }
    };
    found.ok_or_else(missing)
}

fn supported(device: &dyn Device) -> Result<Vec<&'static str>, Error> {
    let mut names = vec![SYNC_RELATIONSHIP_ID];
    if device.friendly_name()?.is_some() {
        names.push(FRIENDLY_NAME);
    }
    if !device.formats().is_empty() {
        names.extend([FORMATS, FORMATS_ORDERED]);
    }
    Ok(names)
}

fn unsupported(name: &str) -> Error {
    Error::NotSupported(format!("the device has no property `{name}`"))
}

fn property(device: &dyn Device, name: &str) -> Result<OwnedVariant, Error> {
    let value = match name {
        SYNC_RELATIONSHIP_ID => Variant::from(device.mark()?),
        FRIENDLY_NAME => device.friendly_name()?.ok_or_else(|| unsupported(name))?.into(),
        FORMATS if !device.formats().is_empty() => device.formats().into(),
        FORMATS_ORDERED if !device.formats().is_empty() => true.into(),
        _ => return Err(unsupported(name)),
    };
    OwnedVariant::try_from(value).map_err(|error| Error::Failed(error.to_string()))
}

fn set_property(device: &dyn Device, name: &str, value: &OwnedVariant) -> Result<(), Error> {
    if !supported(device)?.contains(&name) {
        return Err(unsupported(name));
    }
    if ![SYNC_RELATIONSHIP_ID, FRIENDLY_NAME].contains(&name) {
        return Err(Error::NotSupported(format!("the property `{name}` can't be set")));
    }
    let text: &str = <&str>::try_from(&**value).map_err(|_| {
        Error::InvalidArgument(format!("`{name}` has type `s`, and not `{}`", value.value_signature()))
    })?;
    if text.len() > LONGEST {
        let length = text.len();
        return Err(Error::InvalidArgument(format!("`{name}` has {length} bytes; {LONGEST} are the most")));
    }
    if name == SYNC_RELATIONSHIP_ID { device.set_mark(text) } else { device.set_friendly_name(text) }
}
