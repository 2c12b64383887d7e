//! Partnerships and known devices: what is kept on disk over restarts, and the trait of the store that keeps it.

use crate::device::DeviceDescription;
use crate::error::{ItemError, StoreError};
use crate::id::{DeviceId, Guid, PartnershipIndex, PlaylistId, Uid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A playlist that is synchronised to a device; WMP's attribute `SyncNN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Which playlist of the owner's library.
    pub playlist: PlaylistId,
    /// Lower goes first; never 0.
    pub priority: u32,
}

/// How the last run of a device went.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LastSync {
    /// When it ended, seconds since 1970; 0: never.
    pub time: u64,
    /// Items that failed; what ended the whole run is none.
    pub error_count: u32,
    /// Items for which there was no space.
    pub no_fit_count: u32,
    /// Items that were on the device at its end.
    pub item_count: u32,
    /// Files that it wrote to the device or deleted there; 0: it was in step.
    #[serde(default)]
    pub change_count: u32,
}

/// How many runs a partnership remembers.
pub const REMEMBERED_RUNS: usize = 10;

/// One of the last runs of a partnership.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PastRun {
    /// Tells it from every other run; `None`: recorded before runs were told apart, or it ended before it could begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Guid>,
    /// When it began, seconds since 1970.
    pub began: u64,
    /// When it ended, seconds since 1970; of one that was interrupted, when it last recorded something.
    pub ended: u64,
    /// What ended it early; `None`: it came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<ItemError>,
    /// What the user was told of that; empty without a failure.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Items that were on the device at its end.
    pub item_count: u32,
    /// Files that it wrote to the device or deleted there.
    pub change_count: u32,
    /// Bytes of the files that it wrote.
    pub written_bytes: u64,
    /// How many items did not come out, for each reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<ItemError, u32>,
}

/// One device's tie to one user's library on this computer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partnership {
    /// The mark on the device; WMP's RelationshipID.
    pub relationship: Guid,
    /// The device.
    pub device: DeviceId,
    /// Whose library.
    pub owner: Uid,
    /// Its slot in that library.
    pub index: PartnershipIndex,
    /// When it was made, seconds since 1970.
    #[serde(default)]
    pub created: u64,
    /// 0 to 95: this share of the storage is left to others.
    #[serde(default)]
    pub percent_space_reserved: u8,
    /// Whether plugging in starts a run.
    #[serde(default = "yes")]
    pub sync_on_connect: bool,
    /// Whether the default set of playlists is what is assigned.
    #[serde(default)]
    pub auto_sync_default_rules: bool,
    /// What is copied is read back from the device and compared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub verify: bool,
    /// The user wants its content removed from the device, and the partnership to end then.
    #[serde(default)]
    pub removing: bool,
    /// How the last run went.
    #[serde(default)]
    pub last_sync: LastSync,
    /// What is synchronised.
    #[serde(default)]
    pub assignments: Vec<Assignment>,
    /// The last runs, the newest last; at most [`REMEMBERED_RUNS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<PastRun>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn yes() -> bool {
    true
}

/// A device that was connected once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownDevice {
    /// What it told of itself.
    pub description: DeviceDescription,
    /// The user's name for it, if he gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub friendly_name: Option<String>,
    /// Its own GUID in `WMPInfo.xml`, made once for each device.
    pub guid: Guid,
    /// The user declined a partnership, or deleted it.
    #[serde(default)]
    pub declined: bool,
    /// The partnership whose mark the device still carries though it was ended here, so that it isn't taken for another's.
    /// Kept until the device was seen with the mark of the partnership that came after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_relationship: Option<Guid>,
    /// The file that holds its mark was made by us.
    #[serde(default)]
    pub made_mark: bool,
    /// Relationships of ended partnerships whose manifests are kept until what was in flight on this device is settled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsettled: Vec<Guid>,
    /// When it last held something else than was sent, seconds since 1970; 0: never. What is copied is read back since.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub verify_failed: u64,
    /// When it was last connected, seconds since 1970.
    #[serde(default)]
    pub last_seen: u64,
    /// The size of its storage in bytes when it was surely this device; 0: not known. Tells a player that was emptied
    /// from the directory below one that isn't mounted.
    #[serde(default)]
    pub total_space: u64,
}

/// All that the daemon keeps of devices and partnerships.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Partnerships {
    /// Relationships of partnerships that have ended, whose manifests may still have to be removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<Guid>,
    /// Devices that were connected once.
    #[serde(default)]
    pub devices: Vec<KnownDevice>,
    /// At most one for each device, at most sixteen for each owner.
    #[serde(default)]
    pub partnerships: Vec<Partnership>,
}

impl Partnership {
    /// Remembers a run, and forgets the oldest one when there are more than [`REMEMBERED_RUNS`].
    pub fn remember(&mut self, run: PastRun) {
        self.history.push(run);
        let surplus = self.history.len().saturating_sub(REMEMBERED_RUNS);
        self.history.drain(..surplus);
    }
}

/// Keeps [`Partnerships`] on disk. Calls block: they belong on a thread that may.
pub trait PartnershipStore: Send + Sync {
    /// Whether calls may wait for a disk, so that they belong on a thread that may. Memory never does.
    fn may_block(&self) -> bool {
        true
    }

    /// What was kept last; the default when nothing ever was.
    ///
    /// # Errors
    /// When there are copies and none can be read.
    fn load(&self) -> Result<Partnerships, StoreError>;

    /// Replaces what is kept. On return it is on disk, or nothing has changed.
    ///
    /// # Errors
    /// When no copy could be written.
    fn save(&self, partnerships: &Partnerships) -> Result<(), StoreError>;
}
