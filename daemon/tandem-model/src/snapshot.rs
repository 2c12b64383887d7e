//! What is true of a device's session at one moment: all that observers ever see of it.

use crate::device::{DeviceDescription, Status, SyncState};
use crate::error::RequestError;
use crate::id::{MediaUri, PartnershipIndex, Uid};
use crate::partnership::LastSync;

/// A device at one moment. Sizes in bytes, times in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Grows with every change.
    pub generation: u64,
    /// What the device is.
    pub description: DeviceDescription,
    /// The user's name for it; the device's own where he gave none.
    pub friendly_name: String,
    /// Whether it is there.
    pub connected: bool,
    /// How it stands to this computer.
    pub status: Status,
    /// What is missing for more than manual transfer, where that is all there is.
    pub manual: Option<String>,
    /// The partnership's slot and owner.
    pub partnership: Option<(PartnershipIndex, Uid)>,
    /// What its engine does.
    pub sync_state: SyncState,
    /// 0 to 100 of the whole run; never falls within one.
    pub progress: u8,
    /// What is being copied.
    pub current_item: Option<MediaUri>,
    /// Of this run.
    pub bytes_done: u64,
    /// Of this run.
    pub bytes_total: u64,
    /// Bytes a second over the last seconds.
    pub rate: u64,
    /// 0 while not known.
    pub expected_end: u64,
    /// Nothing is being written, and all that was written is on the device.
    pub safe_to_remove: bool,
    /// Of the storage that is synchronised to.
    pub total_space: u64,
    /// Of the storage that is synchronised to.
    pub free_space: u64,
    /// 0 to 100, as it has told last while it is there; `None` where it doesn't tell.
    pub battery_level: Option<u8>,
    /// 0 to 95.
    pub percent_space_reserved: u8,
    /// Whether plugging in starts a run.
    pub sync_on_connect: bool,
    /// Whether the default set of playlists is what is assigned.
    pub auto_sync_default_rules: bool,
    /// How the last run went.
    pub last_sync: LastSync,
    /// Whether there are files that the user deleted on the device.
    pub has_skipped_files: bool,
    /// Whether it plays sound.
    pub supports_audio: bool,
    /// Whether it shows video.
    pub supports_video: bool,
    /// Whether it shows photos.
    pub supports_photo: bool,
    /// MIME types that it declares.
    pub formats: Vec<String>,
    /// What is copied is read back from the device and compared: by the user's wish, by configuration, or because the
    /// device has once held something else than was sent.
    pub verify: bool,
    /// WMP's `SyncFilter` for the next run.
    pub sync_filter: String,
    /// WMP's `BackgroundSyncState`, while the daemon runs.
    pub background_sync_state: u8,
}

impl Snapshot {
    /// A device of which nothing but its description is known.
    #[must_use]
    pub fn absent(description: DeviceDescription) -> Self {
        Self {
            generation: 0,
            friendly_name: description.name.clone(),
            description,
            connected: false,
            status: Status::Unknown,
            manual: None,
            partnership: None,
            sync_state: SyncState::Unknown,
            progress: 0,
            current_item: None,
            bytes_done: 0,
            bytes_total: 0,
            rate: 0,
            expected_end: 0,
            safe_to_remove: true,
            total_space: 0,
            free_space: 0,
            battery_level: None,
            percent_space_reserved: 0,
            sync_on_connect: true,
            auto_sync_default_rules: false,
            last_sync: LastSync::default(),
            has_skipped_files: false,
            supports_audio: true,
            supports_video: false,
            supports_photo: false,
            formats: Vec::new(),
            verify: false,
            sync_filter: "0xFF".to_owned(),
            background_sync_state: 255,
        }
    }

    /// Why a request is refused to a device that supports manual transfer only.
    #[must_use]
    pub fn manual_device(&self) -> RequestError {
        RequestError::ManualDevice(self.friendly_name.clone(), self.manual.clone().unwrap_or_default())
    }

    /// The status as this user's library sees it: a partnership with another user is `partnership-another`.
    #[must_use]
    pub fn status_for(&self, caller: Uid) -> Status {
        match (self.status, self.partnership) {
            (Status::PartnershipExists, Some((_, owner))) if owner != caller => Status::PartnershipAnother,
            (status, _) => status,
        }
    }
}
