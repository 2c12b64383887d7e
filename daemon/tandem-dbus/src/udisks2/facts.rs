//! What UDisks2 tells of block devices and drives, copied out of properties. It asks nobody anything.

use super::{BLOCK, DRIVE, FILESYSTEM};
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zbus::fdo::ManagedObjects;
use zbus::{ObjectPath, OwnedObjectPath, OwnedVariant};

/// In the place of a drive where there is none.
const NO_DRIVE: &str = "/";

/// A block device with a file system, as UDisks2 tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) object: OwnedObjectPath,
    pub(super) drive: OwnedObjectPath,
    /// Device nodes, the preferred one among them.
    pub(super) nodes: Vec<PathBuf>,
    pub(super) number: u64,
    pub(super) mount_points: Vec<PathBuf>,
}

/// A drive, as UDisks2 tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DriveFacts {
    pub(super) object: OwnedObjectPath,
    /// The same for all drives of one device; empty for a lone one.
    pub(super) sibling_id: String,
    pub(super) can_power_off: bool,
    pub(super) ejectable: bool,
    /// When the medium arrived, since 1970.
    pub(super) arrived: Duration,
}

/// What UDisks2 knows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) blocks: Vec<Block>,
    pub(super) drives: Vec<DriveFacts>,
}

/// A byte string that ends with NUL, as a path.
pub(super) fn path_of(bytes: &[u8]) -> PathBuf {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes.get(..end).unwrap_or(bytes)))
}

/// The properties of an interface, by name.
pub(super) type Properties = HashMap<String, OwnedVariant>;

/// A property of the type that it should have; `None` when it is missing or of another.
fn property<T: TryFrom<OwnedVariant>>(properties: &Properties, name: &str) -> Option<T> {
    properties.get(name).and_then(|value| value.try_clone().ok()).and_then(|value| T::try_from(value).ok())
}

impl Block {
    /// What the properties of its two interfaces tell.
    pub(super) fn new(object: OwnedObjectPath, block: &Properties, filesystem: &Properties) -> Self {
        let nodes = ["Device", "PreferredDevice"].iter().filter_map(|name| property::<Vec<u8>>(block, name));
        let mount_points: Vec<Vec<u8>> = property(filesystem, "MountPoints").unwrap_or_default();
        Self {
            object,
            drive: property(block, "Drive")
                .unwrap_or_else(|| ObjectPath::from_static_str_unchecked(NO_DRIVE).into()),
            nodes: nodes.map(|bytes| path_of(&bytes)).collect(),
            number: property(block, "DeviceNumber").unwrap_or(0),
            mount_points: mount_points.iter().map(|bytes| path_of(bytes)).collect(),
        }
    }

    /// Its drive; a loop device has none.
    pub(super) fn drive(&self) -> Option<&OwnedObjectPath> {
        Some(&self.drive).filter(|drive| drive.as_str() != NO_DRIVE)
    }
}

impl DriveFacts {
    /// What its properties tell.
    pub(super) fn new(object: OwnedObjectPath, drive: &Properties) -> Self {
        Self {
            object,
            sibling_id: property(drive, "SiblingId").unwrap_or_default(),
            can_power_off: property(drive, "CanPowerOff").unwrap_or(false),
            ejectable: property(drive, "Ejectable").unwrap_or(false),
            arrived: Duration::from_micros(property(drive, "TimeMediaDetected").unwrap_or(0)),
        }
    }
}

/// Copies what is needed out of UDisks2's objects; what isn't as it should be is left out.
pub(super) fn facts(objects: ManagedObjects) -> Facts {
    let mut facts = Facts::default();
    for (object, interfaces) in objects {
        let of =
            |name: &str| interfaces.iter().find(|(interface, _)| interface.as_str() == name).map(|(_, p)| p);
        if let (Some(block), Some(filesystem)) = (of(BLOCK), of(FILESYSTEM)) {
            facts.blocks.push(Block::new(object.clone(), block, filesystem));
        }
        if let Some(drive) = of(DRIVE) {
            facts.drives.push(DriveFacts::new(object.clone(), drive));
        }
    }
    facts
}

impl Facts {
    /// The file system on this device: by number if it is known, else by node.
    pub(super) fn block(&self, node: &Path, number: Option<u64>) -> Option<&Block> {
        let by_number = number.and_then(|number| self.blocks.iter().find(|block| block.number == number));
        by_number.or_else(|| self.blocks.iter().find(|block| block.nodes.iter().any(|of| of == node)))
    }

    fn drive_of(&self, block: &Block) -> Option<&DriveFacts> {
        self.drives.iter().find(|drive| drive.object == block.drive)
    }

    /// The drive of this block device, and all file systems of that drive and its siblings.
    pub(super) fn device_of(&self, block: &Block) -> (Option<&DriveFacts>, Vec<&Block>) {
        let drive = self.drive_of(block);
        let sibling = |other: &DriveFacts| {
            drive.is_some_and(|drive| {
                other.object == drive.object
                    || (!drive.sibling_id.is_empty() && other.sibling_id == drive.sibling_id)
            })
        };
        let group: Vec<_> =
            self.drives.iter().filter(|other| sibling(other)).map(|other| &other.object).collect();
        let blocks =
            self.blocks.iter().filter(|other| other.object == block.object || group.contains(&&other.drive));
        (drive, blocks.collect())
    }
}
