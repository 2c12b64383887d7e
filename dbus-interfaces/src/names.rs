//! Every name of the contract that isn't a member: the bus name, paths, interfaces, errors, polkit actions and words.
//!
//! How an id becomes part of a path is the daemon's business; clients take paths from the daemon.

/// The bus name, on the system bus or with `--session` on the session bus.
pub const BUS_NAME: &str = "org.tandemd.Sync1";

/// The root object, with [`SERVICES`] and `org.freedesktop.DBus.ObjectManager`.
pub const ROOT_PATH: &str = "/org/tandemd/Sync1";

/// Devices are right below this path.
pub const DEVICES_PATH: &str = "/org/tandemd/Sync1/devices";

/// Libraries are right below this path, as `u` and the owner's user id.
pub const LIBRARIES_PATH: &str = "/org/tandemd/Sync1/libraries";

/// The path that stands for a missing object.
pub const NO_OBJECT: &str = "/";

/// Interface of the root object.
pub const SERVICES: &str = "org.tandemd.Sync1.Services";

/// Interface of a device.
pub const DEVICE: &str = "org.tandemd.Sync1.Device";

/// Interface of a library.
pub const LIBRARY: &str = "org.tandemd.Sync1.Library";

/// Interface of a playlist.
pub const PLAYLIST: &str = "org.tandemd.Sync1.Playlist";

/// What every error's name begins with; a word of [`ERRORS`] follows.
pub const ERROR_PREFIX: &str = "org.tandemd.Sync1.Error.";

/// The words of all errors, as in [`crate::Error`].
pub const ERRORS: [&str; 12] = [
    "NotConnected",
    "Initializing",
    "ManualDevice",
    "PartnershipNotExist",
    "PartnershipLimit",
    "SyncInProgress",
    "InvalidArgument",
    "ReadOnly",
    "NotAuthorized",
    "NotFound",
    "Busy",
    "Failed",
];

/// Polkit action: partner, start, stop and set an unpartnered or one's own device.
pub const ACTION_USE_DEVICE: &str = "org.tandemd.Sync1.use-device";

/// Polkit action: take over or end another local user's partnership, or stop its run.
pub const ACTION_MANAGE_OTHERS: &str = "org.tandemd.Sync1.manage-others";

/// Polkit action: register a service provider.
pub const ACTION_REGISTER_PROVIDER: &str = "org.tandemd.Sync1.register-provider";

/// `BatteryLevel` of a device that doesn't tell of its battery, or isn't there.
pub const NO_BATTERY_LEVEL: u32 = u32::MAX;

/// `PartnershipOwner` of a device without a partnership.
pub const NO_OWNER: u32 = u32::MAX;
