//! What a device is and how it stands to this computer: kind, description, status, state of synchronisation.
//!
//! The words are the contract's enumerations; the WMP constant is named beside each.

use crate::id::DeviceId;
use serde::{Deserialize, Serialize};

/// How a device is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Media Transfer Protocol.
    Mtp,
    /// A file system on a block device.
    MassStorage,
    /// Windows CE or Windows Mobile, by RAPI.
    WindowsCe,
    /// Served by a service provider.
    Provider,
    /// A directory that stands for a player.
    Folder,
}

impl Kind {
    /// The contract's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mtp => "mtp",
            Self::MassStorage => "mass-storage",
            Self::WindowsCe => "windows-ce",
            Self::Provider => "provider",
            Self::Folder => "folder",
        }
    }
}

/// How a device stands to this computer or to one library; `WMPDeviceStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Status {
    /// `wmpdsUnknown`: not known yet.
    #[default]
    Unknown,
    /// `wmpdsPartnershipExists`: partnered.
    PartnershipExists,
    /// `wmpdsPartnershipDeclined`: the user declined, or the partnership was deleted.
    PartnershipDeclined,
    /// `wmpdsPartnershipAnother`: partnered with another computer or another user.
    PartnershipAnother,
    /// `wmpdsManualDevice`: can never be partnered.
    ManualDevice,
    /// `wmpdsNewDevice`: no partnership yet.
    NewDevice,
}

impl Status {
    /// The contract's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::PartnershipExists => "partnership-exists",
            Self::PartnershipDeclined => "partnership-declined",
            Self::PartnershipAnother => "partnership-another",
            Self::ManualDevice => "manual-device",
            Self::NewDevice => "new-device",
        }
    }
}

/// What a device's engine is doing; `WMPSyncState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SyncState {
    /// `wmpssUnknown`: absent, not yet initialised, or manual only.
    #[default]
    Unknown,
    /// `wmpssSynchronizing`.
    Synchronizing,
    /// `wmpssStopped`.
    Stopped,
    /// `wmpssEstimating`.
    Estimating,
}

impl SyncState {
    /// The contract's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Synchronizing => "synchronizing",
            Self::Stopped => "stopped",
            Self::Estimating => "estimating",
        }
    }
}

/// What is known of a device without opening it. Kept in the store, so that an absent device still has a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceDescription {
    /// Stable and unique.
    pub id: DeviceId,
    /// How it is spoken to.
    pub kind: Kind,
    /// What the device calls itself.
    pub name: String,
    /// Empty when not told.
    #[serde(default)]
    pub manufacturer: String,
    /// Empty when not told.
    #[serde(default)]
    pub model: String,
    /// Empty when not told.
    #[serde(default)]
    pub serial_number: String,
    /// Firmware version; empty when not told.
    #[serde(default)]
    pub firmware: String,
}

impl DeviceDescription {
    /// One that tells no more than its name.
    #[must_use]
    pub fn named(id: DeviceId, kind: Kind, name: impl Into<String>) -> Self {
        let untold = String::new;
        Self {
            id,
            kind,
            name: name.into(),
            manufacturer: untold(),
            model: untold(),
            serial_number: untold(),
            firmware: untold(),
        }
    }
}
