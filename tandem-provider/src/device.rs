//! What the author of a provider writes: [`Driver`] and [`Device`], and the values that they deal in.

use crate::channel::{Sink, Source};
use crate::identity::Identity;
use dbus_interfaces::provider::Error;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use zbus::OwnedVariant;

/// A storage of an open device: the same for a root storage, folder or file until that is deleted, also when it is renamed
/// or moved; then never used again while the device is open.
pub type Handle = u64;

/// Metadata by WMDM's names, such as `WMDM/Title`.
pub type Metadata = HashMap<String, OwnedVariant>;

/// A configuration of a format that the device plays: `preference` and valid values, as `GetFormatCapability` has them.
pub type Configuration = HashMap<String, OwnedVariant>;

/// What a storage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A root storage, which holds folders and files.
    Root,
    /// A folder that isn't a root storage.
    Folder,
    /// A file, or a playlist.
    File,
}

/// A storage as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which one it is.
    pub handle: Handle,
    /// The folder that it is in; `None` for a root storage.
    pub parent: Option<Handle>,
    /// What it is.
    pub kind: Kind,
    /// Its name in its folder; a root storage's label.
    pub name: String,
    /// Bytes of a file; 0 for anything else.
    pub size: u64,
    /// Modification time, whole seconds since 1970-01-01 UTC; `None` where the device keeps none.
    pub modified: Option<u64>,
    /// Words beside `folder` and `file`: `read-only`, `removable`, `hidden`, `system`, `can-edit-metadata`.
    pub attributes: Vec<&'static str>,
    /// Its lasting id, at most 255 bytes; empty where the device has none.
    pub persistent_id: String,
}

/// Space on a root storage, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What can be written now.
    pub free: u64,
}

/// What a device runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Power {
    /// It doesn't tell.
    #[default]
    Unknown,
    /// Its battery, this full in percent.
    Battery(u8),
    /// A power supply; its battery is this full in percent.
    External(u8),
}

/// A folder or file to be made. Its name has been checked.
#[derive(Debug)]
pub struct New<'a> {
    /// [`Kind::Folder`] or [`Kind::File`].
    pub kind: Kind,
    /// Its name.
    pub name: &'a str,
    /// Bytes that the file is going to have.
    pub size: u64,
    /// `WMDM/LastModifiedDate`: the file's modification time, whole seconds since 1970-01-01 UTC.
    pub modified: Option<u64>,
    /// All metadata that was told, of the right types.
    pub metadata: &'a Metadata,
}

/// Opens devices.
pub trait Driver: Send + Sync + 'static {
    /// Opens a device. `usb` is the USB device's node, open to read and write, where there is one.
    ///
    /// # Errors
    /// `NotFound` when there is no such device, `NotSupported` when it isn't one of ours, and whatever the device says.
    fn open(&self, identity: &Identity, usb: Option<OwnedFd>) -> Result<Arc<dyn Device>, Error>;
}

/// An open device. Its methods may block: each call has a thread of its own. Several run at once, unless
/// [`Device::one_at_a_time`] says otherwise.
///
/// Errors are told to the daemon as they are. `InterfaceDead` is for a handle that means nothing any more, and for a
/// device that is gone. What a method that has succeeded did is lasting, over a power cut too: when it returns, or from the
/// next [`Device::flush`] on.
pub trait Device: Send + Sync {
    /// What the device calls itself.
    fn name(&self) -> String;

    /// Who made it.
    fn manufacturer(&self) -> String {
        String::new()
    }

    /// Which model it is.
    fn model(&self) -> String {
        String::new()
    }

    /// Unique among devices of its model, and lasting.
    fn serial_number(&self) -> String {
        String::new()
    }

    /// Its firmware's version.
    fn version(&self) -> String {
        String::new()
    }

    /// What it runs on now.
    ///
    /// # Errors
    /// When it can't be asked.
    fn power(&self) -> Result<Power, Error> {
        Ok(Power::Unknown)
    }

    /// Whether it can do only one thing at a time. Calls then wait for each other, and fail with `Busy` when that takes
    /// too long.
    fn one_at_a_time(&self) -> bool {
        false
    }

    /// The partnership's mark as it was set; empty when there is none.
    ///
    /// # Errors
    /// When it can't be read.
    fn mark(&self) -> Result<String, Error>;

    /// Keeps the partnership's mark, at most 255 bytes, on the device; empty text takes it away.
    ///
    /// # Errors
    /// When it can't be written.
    fn set_mark(&self, mark: &str) -> Result<(), Error>;

    /// The user's name for it; `None` where the device holds none.
    ///
    /// # Errors
    /// When it can't be read.
    fn friendly_name(&self) -> Result<Option<String>, Error> {
        Ok(None)
    }

    /// Keeps the user's name for it, on a device that holds one.
    ///
    /// # Errors
    /// When it can't be written.
    fn set_friendly_name(&self, _name: &str) -> Result<(), Error> {
        Err(Error::NotSupported("the device holds no name of the user's".to_owned()))
    }

    /// Codes of the formats that it takes, what it likes best first; empty when it doesn't tell.
    fn formats(&self) -> Vec<u32> {
        Vec::new()
    }

    /// What it plays of one of those formats.
    ///
    /// # Errors
    /// When it doesn't tell.
    fn format_capability(&self, format: u32) -> Result<Vec<Configuration>, Error> {
        Err(Error::NotSupported(format!("the device doesn't tell what it plays of format {format:#06x}")))
    }

    /// Answers a control code. `WMP1` (0x31504D57) is answered from a [`Changes`](crate::Changes).
    ///
    /// # Errors
    /// When it doesn't know the code.
    fn control(&self, code: u32, _input: &[u8]) -> Result<Vec<u8>, Error> {
        Err(Error::NotSupported(format!("the device doesn't know control code {code:#010x}")))
    }

    /// Its root storages, always in the same order.
    ///
    /// # Errors
    /// When they can't be read.
    fn roots(&self) -> Result<Vec<Handle>, Error>;

    /// A storage as it is now.
    ///
    /// # Errors
    /// `InterfaceDead` when it is gone.
    fn entry(&self, handle: Handle) -> Result<Entry, Error>;

    /// What is in a root storage or folder, in any order; of a file, nothing.
    ///
    /// # Errors
    /// `InterfaceDead` when it is gone.
    fn children(&self, folder: Handle) -> Result<Vec<Entry>, Error>;

    /// The storage with this lasting id, anywhere on the device.
    ///
    /// # Errors
    /// When it can't be looked for.
    fn find(&self, persistent_id: &str) -> Result<Option<Handle>, Error>;

    /// Space on a root storage now.
    ///
    /// # Errors
    /// When it can't be read.
    fn space(&self, root: Handle) -> Result<Space, Error>;

    /// Makes a folder, or an empty file. Whether it fits has been looked at.
    ///
    /// # Errors
    /// `Exists`, `NoSpace`, `InvalidArgument` for a name that the device doesn't take.
    fn create(&self, folder: Handle, new: &New<'_>) -> Result<Handle, Error>;

    /// Replaces a file's bytes with all that the source gives. The modification time that was set before stays.
    ///
    /// # Errors
    /// `NoSpace`, and whatever the device says. When the source fails, its failure is told in place of this one.
    fn write(&self, file: Handle, source: &mut Source) -> Result<(), Error>;

    /// Writes so many of a file's bytes to the sink, which is never beyond its end.
    ///
    /// # Errors
    /// Whatever the device says. When the sink fails, its failure is told in place of this one.
    fn read(&self, file: Handle, offset: u64, size: u64, sink: &mut Sink) -> Result<(), Error>;

    /// Deletes a file or folder, `recursive` with all that is in it.
    ///
    /// # Errors
    /// `InvalidArgument` for a folder that isn't empty when not `recursive`.
    fn delete(&self, handle: Handle, recursive: bool) -> Result<(), Error>;

    /// Gives a file or folder another name, which has been checked.
    ///
    /// # Errors
    /// `Exists` when another one has that name.
    fn rename(&self, handle: Handle, name: &str) -> Result<(), Error>;

    /// Moves a file or folder to another folder of the same root storage; that it isn't its own has been looked at.
    ///
    /// # Errors
    /// `Exists` when the name is taken there.
    fn relocate(&self, _handle: Handle, _folder: Handle) -> Result<(), Error> {
        Err(Error::NotSupported("the device doesn't move files".to_owned()))
    }

    /// All metadata that the device has of a storage, beside what its [`Entry`] tells.
    ///
    /// # Errors
    /// When it can't be read.
    fn metadata(&self, _handle: Handle) -> Result<Metadata, Error> {
        Ok(Metadata::new())
    }

    /// Sets metadata, of the right types; what the device has no place for is left out.
    ///
    /// # Errors
    /// `NotSupported` where it takes none at all.
    fn set_metadata(&self, _handle: Handle, _metadata: &Metadata) -> Result<(), Error> {
        Err(Error::NotSupported("the device takes no metadata".to_owned()))
    }

    /// What a playlist refers to, in order, and whether something that was deleted is left out.
    ///
    /// # Errors
    /// `NotSupported` for what is no playlist.
    fn references(&self, _playlist: Handle) -> Result<(Vec<Handle>, bool), Error> {
        Err(Error::NotSupported("the device keeps no references".to_owned()))
    }

    /// Replaces what a playlist refers to. Each of them is a file that is there.
    ///
    /// # Errors
    /// `NotSupported` for what is no playlist.
    fn set_references(&self, _playlist: Handle, _references: &[Handle]) -> Result<(), Error> {
        Err(Error::NotSupported("the device keeps no references".to_owned()))
    }

    /// Returns when the device keeps all that was done before, so that a power cut doesn't undo it. It is called for a group
    /// of files at once by a caller that knows it, and after each change for any other. A device whose methods return
    /// no sooner than that has nothing to do.
    ///
    /// # Errors
    /// When it can't be kept.
    fn flush(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Ends the use of the device, when all else has ended: everything has to be on it.
    ///
    /// # Errors
    /// When it can't be flushed.
    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}
