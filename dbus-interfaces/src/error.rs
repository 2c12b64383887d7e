//! The contract's errors as one type, for the daemon to answer with and for clients to match on.
//!
//! It holds no reasons of its own: each text comes from the daemon, names the value and says what to do.

/// An error of the contract; every text is for the user.
#[derive(Debug, zbus::DBusError)]
#[zbus(prefix = "org.tandemd.Sync1.Error")]
pub enum Error {
    /// Not an error of the contract: the bus, the connection, or a call that doesn't fit the interface.
    #[zbus(error)]
    ZBus(zbus::Error),
    /// The device is absent (NS_E_NO_PDA).
    NotConnected(String),
    /// The device is being set up; try again (NS_E_PDA_INITIALIZINGDEVICES).
    Initializing(String),
    /// The device supports manual transfer only (NS_E_PDA_MANUALDEVICE).
    ManualDevice(String),
    /// The partnership is another's, or the call needs one (NS_E_PDA_PARTNERSHIPNOTEXIST).
    PartnershipNotExist(String),
    /// The caller's library has 16 partnerships.
    PartnershipLimit(String),
    /// The call can't run while the device is synchronising.
    SyncInProgress(String),
    /// Unknown attribute, value out of range, bad rule, bad URI.
    InvalidArgument(String),
    /// The attribute or kind of playlist can't be changed.
    ReadOnly(String),
    /// Polkit or ownership says no.
    NotAuthorized(String),
    /// No such object, media or playlist.
    NotFound(String),
    /// Another program holds the device.
    Busy(String),
    /// Anything else, with its cause.
    Failed(String),
}
