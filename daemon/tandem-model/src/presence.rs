//! Arrivals and departures: what the hardware side tells the engine, copied out of udev and classified.

use crate::BoxFuture;
use crate::device::DeviceDescription;
use crate::error::PlayerError;
use crate::id::Guid;
use crate::player::Player;
use std::path::PathBuf;
use std::sync::Arc;

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
    /// A device that a service provider may serve.
    Provider(Box<ProviderDevice>),
}

/// A device that a service provider may serve, as the hardware side tells of it or the provider itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderDevice {
    /// The device's lasting name.
    pub canonical_name: String,
    /// Vendor and product id; `None` for a device that udev doesn't know.
    pub ids: Option<(u16, u16)>,
    /// Empty when not told.
    pub serial: String,
    /// Device interfaces that it advertises.
    pub interfaces: Vec<Guid>,
    /// Its place in sysfs; empty for a device that udev doesn't know.
    pub syspath: String,
    /// Its device node, which is opened and handed over.
    pub node: Option<PathBuf>,
    /// The bus name of the provider that must serve it: `TANDEM_PROVIDER`, or the provider that announced it.
    pub provider: Option<String>,
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
    /// Service providers came, went or changed: devices that none served are looked at again.
    ProvidersChanged,
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

/// Opens devices through service providers; D-Bus behind a trait, because only the D-Bus crate knows the bus.
pub trait Providers: Send + Sync {
    /// Has the device's provider serve it.
    ///
    /// `Manual` tells what is missing for that.
    fn open<'a>(
        &'a self,
        device: &'a ProviderDevice,
        description: DeviceDescription,
    ) -> BoxFuture<'a, Result<Arc<dyn Player>, PlayerError>>;
}
