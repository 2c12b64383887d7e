//! `org.tandemd.Provider1.Storage`: what is in a folder, making folders and files, metadata, references.

use crate::answers::{Answer, Call, arguments};
use crate::calls::device::paths;
use crate::calls::object;
use crate::channel::Source;
use crate::check;
use crate::device::{Device, Entry, Handle, Kind, Metadata, New};
use crate::dispatch::{Shared, unknown};
use crate::sessions::Open;
use dbus_interfaces::provider::{Error, SCOPE_GLOBAL, SCOPE_IMMEDIATE_CHILDREN};
use std::sync::Arc;
use zbus::message::Message;
use zbus::{ObjectPath, OwnedFd, OwnedObjectPath};

/// Where a lasting id is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Global,
    ImmediateChildren,
}

impl Scope {
    pub(crate) fn read(word: &str) -> Result<Self, Error> {
        match word {
            SCOPE_GLOBAL => Ok(Self::Global),
            SCOPE_IMMEDIATE_CHILDREN => Ok(Self::ImmediateChildren),
            _ => Err(Error::InvalidArgument(format!(
                "the scope `{word}` is neither `{SCOPE_GLOBAL}` nor `{SCOPE_IMMEDIATE_CHILDREN}`"
            ))),
        }
    }
}

pub(crate) async fn answer(
    shared: &Shared,
    open: &Arc<Open>,
    handle: Handle,
    call: &Call,
    message: Message,
) -> Answer {
    match call.member.as_str() {
        "EnumStorage" => {
            let (first, count): (u32, u32) = arguments(message)?;
            let found = open.run(move |device| page(device, handle, first, count)).await?;
            call.answer(&paths(shared, open, found.iter().map(|entry| entry.handle)))
        }
        "EnumStorageWithMetadata" => {
            let (first, count, names): (u32, u32, Vec<String>) = arguments(message)?;
            let found =
                open.run(move |device| page_with_metadata(device, handle, first, count, &names)).await?;
            let path = |handle| shared.sessions.storage_path(open, handle);
            let told: Vec<_> = found.into_iter().map(|(handle, metadata)| (path(handle), metadata)).collect();
            call.answer(&told)
        }
        "CreateStorageWithMetadata" => {
            let (attributes, name, metadata, size): (Vec<String>, String, Metadata, u64) =
                arguments(message)?;
            let kind = check::kind(&attributes)?;
            check::name(&name)?;
            let metadata = check::metadata(metadata)?;
            let made =
                open.change(move |device| create(device, handle, kind, &name, &metadata, size)).await?;
            call.answer(&shared.sessions.storage_path(open, made))
        }
        "Insert" => {
            let (name, metadata, size, source, names): (String, Metadata, u64, OwnedFd, Vec<String>) =
                arguments(message)?;
            check::name(&name)?;
            let metadata = check::metadata(metadata)?;
            let source = Source::new(source.into(), size, open.released());
            let transfers = Arc::clone(open);
            let inserted = open.change(move |device| {
                let file = create(device, handle, Kind::File, &name, &metadata, size)?;
                let transferring = transfers.transfer(file)?;
                let filled = object::write(device, file, source).and_then(|_| told(device, file, &names));
                drop(transferring);
                match filled {
                    Ok(told) => Ok((file, told)),
                    // the caller doesn't know of the file, and is told why there is none
                    Err(error) => device.delete(file, false).and(Err(error)),
                }
            });
            let (file, told) = inserted.await?;
            call.answer(&(shared.sessions.storage_path(open, file), told))
        }
        "GetSpecifiedMetadata" => {
            let names: Vec<String> = arguments(message)?;
            call.answer(&open.run(move |device| told(device, handle, &names)).await?)
        }
        "SetMetadata" => {
            let metadata = check::metadata(arguments(message)?)?;
            open.change(move |device| device.set_metadata(handle, &metadata)).await?;
            call.answer(&())
        }
        "FindStorage" => {
            let (scope, id): (String, String) = arguments(message)?;
            let scope = Scope::read(&scope)?;
            let found = open.run(move |device| find(device, handle, scope, &id)).await?;
            call.answer(&shared.sessions.storage_path(open, found))
        }
        "GetParent" => {
            arguments::<()>(message)?;
            let entry = open.run(move |device| device.entry(handle)).await?;
            let none = || ObjectPath::from_static_str_unchecked("/").into();
            let parent: OwnedObjectPath =
                entry.parent.map_or_else(none, |parent| shared.sessions.storage_path(open, parent));
            call.answer(&parent)
        }
        "SetReferences" | "GetReferences" => references(shared, open, handle, call, message).await,
        _ => Err(unknown(call)),
    }
}

async fn references(shared: &Shared, open: &Open, handle: Handle, call: &Call, message: Message) -> Answer {
    if call.member == "GetReferences" {
        arguments::<()>(message)?;
        let (found, partial) = open.run(move |device| device.references(handle)).await?;
        return call.answer(&(paths(shared, open, found), partial));
    }
    let told: Vec<OwnedObjectPath> = arguments(message)?;
    let mut handles = Vec::with_capacity(told.len());
    for path in &told {
        handles.push(shared.sessions.storage_of(open, path)?);
    }
    let set = move |device: &dyn Device| {
        for &reference in &handles {
            if device.entry(reference)?.kind != Kind::File {
                return Err(Error::InvalidArgument("a reference is no file".to_owned()));
            }
        }
        device.set_references(handle, &handles)
    };
    open.change(set).await?;
    call.answer(&())
}

/// Metadata of a storage by these names.
pub(crate) fn told(device: &dyn Device, handle: Handle, names: &[String]) -> Result<Metadata, Error> {
    Ok(check::selected(&device.entry(handle)?, device.metadata(handle)?, names))
}

/// A part of a folder, in the order of the handles.
fn page(device: &dyn Device, folder: Handle, first: u32, count: u32) -> Result<Vec<Entry>, Error> {
    let mut found = device.children(folder)?;
    found.sort_unstable_by_key(|entry| entry.handle);
    let most = if count == 0 { usize::MAX } else { count as usize };
    Ok(found.into_iter().skip(first as usize).take(most).collect())
}

fn page_with_metadata(
    device: &dyn Device,
    folder: Handle,
    first: u32,
    count: u32,
    names: &[String],
) -> Result<Vec<(Handle, Metadata)>, Error> {
    let mut told = Vec::new();
    for entry in page(device, folder, first, count)? {
        let metadata = match device.metadata(entry.handle) {
            // deleted since: it isn't there any more
            Err(Error::InterfaceDead(_)) => continue,
            metadata => metadata?,
        };
        told.push((entry.handle, check::selected(&entry, metadata, names)));
    }
    Ok(told)
}

fn create(
    device: &dyn Device,
    folder: Handle,
    kind: Kind,
    name: &str,
    metadata: &Metadata,
    size: u64,
) -> Result<Handle, Error> {
    let parent = device.entry(folder)?;
    if parent.kind == Kind::File {
        return Err(Error::InvalidArgument(format!("`{}` is a file; nothing can be in it", parent.name)));
    }
    let free = device.space(root_of(device, parent)?)?.free;
    if size > free {
        return Err(Error::NoSpace(format!("`{name}` has {size} bytes; {free} are free")));
    }
    device.create(folder, &New { kind, name, size, modified: check::modified(metadata), metadata })
}

/// The root storage that a storage is on.
pub(crate) fn root_of(device: &dyn Device, mut entry: Entry) -> Result<Handle, Error> {
    while let Some(parent) = entry.parent {
        entry = device.entry(parent)?;
    }
    Ok(entry.handle)
}

/// Whether a storage is this folder or lies below it.
pub(crate) fn is_within(device: &dyn Device, mut handle: Handle, folder: Handle) -> Result<bool, Error> {
    loop {
        if handle == folder {
            return Ok(true);
        }
        match device.entry(handle)?.parent {
            Some(parent) => handle = parent,
            None => return Ok(false),
        }
    }
}

fn find(device: &dyn Device, folder: Handle, scope: Scope, id: &str) -> Result<Handle, Error> {
    device.entry(folder)?;
    let found = if id.is_empty() { None } else { device.find(id)? };
    let below = match found.filter(|found| *found != folder) {
        None => None,
        Some(found) if scope == Scope::Global => is_within(device, found, folder)?.then_some(found),
        Some(found) => (device.entry(found)?.parent == Some(folder)).then_some(found),
    };
    below.ok_or_else(|| Error::NotFound(format!("no storage there has the id `{id}`")))
}
