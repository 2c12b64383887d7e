//! Every name of the provider's side of the contract that isn't a member, and its errors as one type.
//!
//! How a provider is served is the crate `tandem-provider`'s business, how it is used is the daemon's.

/// Interface of a provider's root object.
pub const PROVIDER: &str = "org.tandemd.Provider1";

/// Interface of an open device.
pub const DEVICE: &str = "org.tandemd.Provider1.Device";

/// Interface of root storages, folders and files.
pub const STORAGE: &str = "org.tandemd.Provider1.Storage";

/// Interface of files and folders beside [`STORAGE`].
pub const OBJECT: &str = "org.tandemd.Provider1.Object";

/// What every error's name begins with; a word of [`ERRORS`] follows.
pub const ERROR_PREFIX: &str = "org.tandemd.Provider1.Error.";

/// The words of all errors, as in [`Error`].
pub const ERRORS: [&str; 8] =
    ["InterfaceDead", "NotSupported", "NoSpace", "Exists", "NotFound", "Busy", "InvalidArgument", "Failed"];

/// The device interface that says that a device wants to be synchronised: WMDM's Portable Audio Player.
pub const PAP_INTERFACE: &str = "{F33FDC04-D1AC-4E8E-9A30-19BBD4B108AE}";

/// `FindStorage`'s scope: anywhere below (WMDM_FIND_SCOPE_GLOBAL).
pub const SCOPE_GLOBAL: &str = "global";

/// `FindStorage`'s scope: right in it (WMDM_FIND_SCOPE_IMMEDIATE_CHILDREN).
pub const SCOPE_IMMEDIATE_CHILDREN: &str = "immediate-children";

/// The device parameter that says that a provider has all that synchronising needs; `u`, 1 for yes.
pub const USE_EXTENDED_WMDM: &str = "UseExtendedWmdm";

/// The device property that carries the partnership's mark.
pub const SYNC_RELATIONSHIP_ID: &str = "WMDM/SyncRelationshipID";

/// Control code `WMP1`: which items were changed or deleted on the device.
pub const CONTROL_CHANGED_ITEMS: u32 = 0x3150_4D57;

/// Control code `WMP2`: whether the device can be synchronised.
pub const CONTROL_CAN_SYNCHRONIZE: u32 = 0x3250_4D57;

/// An error of a provider; every text says what was wrong, with the value.
#[derive(Debug, zbus::DBusError)]
#[zbus(prefix = "org.tandemd.Provider1.Error")]
pub enum Error {
    /// Not an error of the contract: the bus, the connection, or a call that doesn't fit the interface.
    #[zbus(error)]
    ZBus(zbus::Error),
    /// The object is gone, with its device or by itself (WMDM_E_INTERFACEDEAD).
    InterfaceDead(String),
    /// The device can't do that (WMDM_E_NOTSUPPORTED).
    NotSupported(String),
    /// It does not fit on the device (ERROR_DISK_FULL).
    NoSpace(String),
    /// The name is taken (ERROR_FILE_EXISTS).
    Exists(String),
    /// What an argument names isn't there.
    NotFound(String),
    /// Not now; the same call may succeed later (WMDM_E_BUSY).
    Busy(String),
    /// The call itself is wrong (E_INVALIDARG).
    InvalidArgument(String),
    /// Anything else, with its cause.
    Failed(String),
}

impl Error {
    /// Its word of [`ERRORS`]; what isn't of the contract is `Failed`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::InterfaceDead(_) => "InterfaceDead",
            Self::NotSupported(_) => "NotSupported",
            Self::NoSpace(_) => "NoSpace",
            Self::Exists(_) => "Exists",
            Self::NotFound(_) => "NotFound",
            Self::Busy(_) => "Busy",
            Self::InvalidArgument(_) => "InvalidArgument",
            Self::ZBus(_) | Self::Failed(_) => "Failed",
        }
    }
}

impl From<std::io::Error> for Error {
    /// What a file system says, in the contract's words.
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        let text = error.to_string();
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotConnected => Self::InterfaceDead(text),
            ErrorKind::AlreadyExists => Self::Exists(text),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::NoSpace(text)
            }
            ErrorKind::ReadOnlyFilesystem | ErrorKind::Unsupported => Self::NotSupported(text),
            ErrorKind::ResourceBusy => Self::Busy(text),
            ErrorKind::InvalidInput
            | ErrorKind::InvalidFilename
            | ErrorKind::DirectoryNotEmpty
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory => Self::InvalidArgument(text),
            _ => Self::Failed(text),
        }
    }
}
