//! `org.tandemd.Provider1.Object`: transfers, deleting, renaming, moving.

use crate::answers::{Answer, Call, arguments};
use crate::calls::storage::{is_within, root_of};
use crate::channel::{Sink, Source};
use crate::check;
use crate::device::{Device, Entry, Handle, Kind};
use crate::dispatch::{Shared, unknown};
use crate::sessions::Open;
use dbus_interfaces::provider::Error;
use zbus::message::Message;
use zbus::{OwnedFd, OwnedObjectPath, fdo};

/// The interface's methods.
pub(crate) const MEMBERS: [&str; 5] =
    ["WriteOnClearChannel", "ReadOnClearChannel", "Delete", "Rename", "Move"];

pub(crate) async fn answer(
    shared: &Shared,
    open: &Open,
    handle: Handle,
    call: &Call,
    message: Message,
) -> Answer {
    let entry = open.run(move |device| device.entry(handle)).await?;
    if entry.kind == Kind::Root {
        let path = call.path.as_str();
        return Err(fdo::Error::UnknownInterface(format!("`{path}` is a root storage, and no object")).into());
    }
    match call.member.as_str() {
        "WriteOnClearChannel" => {
            let (source, size): (OwnedFd, u64) = arguments(message)?;
            needs_file(&entry)?;
            let _transferring = open.transfer(handle)?;
            let source = Source::new(source.into(), size, open.released());
            call.answer(&open.change(move |device| write(device, handle, source)).await?)
        }
        "ReadOnClearChannel" => {
            let (offset, size, sink): (u64, u64, OwnedFd) = arguments(message)?;
            needs_file(&entry)?;
            let _transferring = open.transfer(handle)?;
            let sink = Sink::new(sink.into(), open.released());
            call.answer(&open.run(move |device| read(device, handle, offset, size, sink)).await?)
        }
        "Delete" => {
            let recursive: bool = arguments(message)?;
            let _transferring = open.transfer(handle)?;
            open.change(move |device| delete(device, &entry, recursive)).await?;
            call.answer(&())
        }
        "Rename" => {
            let name: String = arguments(message)?;
            let _transferring = open.transfer(handle)?;
            open.change(move |device| rename(device, handle, &name)).await?;
            call.answer(&())
        }
        "Move" => {
            let folder: OwnedObjectPath = arguments(message)?;
            let folder = shared.sessions.storage_of(open, &folder)?;
            let _transferring = open.transfer(handle)?;
            open.change(move |device| relocate(device, entry, folder)).await?;
            call.answer(&())
        }
        _ => Err(unknown(call)),
    }
}

fn needs_file(entry: &Entry) -> Result<(), Error> {
    match entry.kind {
        Kind::File => Ok(()),
        _ => Err(Error::NotSupported(format!("`{}` is a folder, and has no bytes", entry.name))),
    }
}

pub(crate) fn write(device: &dyn Device, handle: Handle, mut source: Source) -> Result<u64, Error> {
    match device.write(handle, &mut source) {
        Ok(()) => source.finish(),
        Err(error) => Err(source.failure_or(error)),
    }
}

fn read(device: &dyn Device, handle: Handle, offset: u64, size: u64, mut sink: Sink) -> Result<u64, Error> {
    let there = device.entry(handle)?.size.saturating_sub(offset);
    let wanted = size.min(there);
    if wanted > 0
        && let Err(error) = device.read(handle, offset, wanted, &mut sink)
    {
        return Err(sink.failure_or(error));
    }
    match sink.written() {
        written if written == wanted => Ok(written),
        written => Err(Error::Failed(format!("the device gave {written} of {wanted} bytes"))),
    }
}

/// Gives a file or folder another name; its own is no error.
pub(crate) fn rename(device: &dyn Device, handle: Handle, name: &str) -> Result<(), Error> {
    check::name(name)?;
    let entry = device.entry(handle)?;
    match entry.kind {
        Kind::Root => Err(Error::NotSupported(format!("`{}` is a root storage", entry.name))),
        _ if entry.name == name => Ok(()),
        _ => device.rename(handle, name),
    }
}

fn delete(device: &dyn Device, entry: &Entry, recursive: bool) -> Result<(), Error> {
    if !recursive && entry.kind == Kind::Folder && !device.children(entry.handle)?.is_empty() {
        return Err(Error::InvalidArgument(format!("the folder `{}` isn't empty", entry.name)));
    }
    device.delete(entry.handle, recursive)
}

fn relocate(device: &dyn Device, entry: Entry, folder: Handle) -> Result<(), Error> {
    let target = device.entry(folder)?;
    if target.kind == Kind::File {
        return Err(Error::InvalidArgument(format!("`{}` is a file; nothing can be in it", target.name)));
    }
    if entry.parent == Some(folder) {
        return Ok(());
    }
    if is_within(device, folder, entry.handle)? {
        return Err(Error::InvalidArgument(format!("`{}` can't be moved into itself", entry.name)));
    }
    let handle = entry.handle;
    if root_of(device, target)? != root_of(device, entry)? {
        return Err(Error::InvalidArgument("the folder is on another root storage".to_owned()));
    }
    device.relocate(handle, folder)
}
