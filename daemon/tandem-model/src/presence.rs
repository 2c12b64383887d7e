//! Arrivals and departures: what the hardware side tells the engine, copied out of udev and classified.

use crate::BoxFuture;
use crate::device::DeviceDescription;
use crate::error::PlayerError;
use std::path::PathBuf;

/// Where a device that is present can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Locator {
    /// A directory that stands for a player.
    Folder {
        /// The directory.
        path: PathBuf,
    },
    /// A block device with a file system.
    BlockDevice {
        /// Its device node, such as `/dev/sdb1`.
        node: PathBuf,
        /// Its device number, so that a node that was reused in the meantime is noticed.
        number: (u32, u32),
        /// `ID_FS_UUID`; empty when there is none.
        file_system_uuid: String,
        /// Name of its file in media-player-info (`ID_MEDIA_PLAYER`), if that isn't `1`.
        media_player: Option<String>,
    },
    /// A USB device with an interface that speaks MTP.
    Usb {
        /// Its device node, such as `/dev/bus/usb/001/004`.
        node: PathBuf,
        /// Vendor and product id.
        ids: (u16, u16),
        /// The interface's number.
        interface: u8,
    },
    /// A player that the daemon simulates.
    Simulated {
        /// The profile that it is made from.
        profile: String,
    },
}

/// A device that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// What the departure will name: the device's syspath, or the folder's path.
    pub key: String,
    /// What is known of it before it is opened.
    pub description: DeviceDescription,
    /// The bus position it is plugged into, to tell apart two devices that claim one identity.
    pub port: String,
    /// How it is reached.
    pub locator: Locator,
}

/// A change of what is present.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "arrivals are rare")]
pub enum Presence {
    /// It came.
    Arrived(Arrival),
    /// It went; the arrival's key.
    Departed(String),
}

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// Where.
    pub path: PathBuf,
    /// Whether we mounted it, and so unmount it after use.
    pub ours: bool,
}

/// Mounts block devices; UDisks2 behind a trait, because only the D-Bus crate knows the bus.
pub trait Mounter: Send + Sync {
    /// Where the device is mounted, mounting it if it isn't.
    ///
    /// `Busy` names who holds it; `NotPermitted` carries UDisks2's refusal.
    fn mount<'a>(&'a self, node: &'a std::path::Path) -> BoxFuture<'a, Result<Mounted, PlayerError>>;

    /// Unmounts it.
    fn unmount<'a>(&'a self, node: &'a std::path::Path) -> BoxFuture<'a, Result<(), PlayerError>>;

    /// Unmounts all of its drive's file systems and powers the drive off or ejects the medium, whichever it can.
    fn eject<'a>(&'a self, node: &'a std::path::Path) -> BoxFuture<'a, Result<(), PlayerError>>;
}
