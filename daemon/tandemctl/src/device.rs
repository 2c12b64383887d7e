//! A device as the daemon shows it, and its stable JSON form. Values only: it asks nobody.

use crate::error::Error;
use crate::output::units;
use crate::properties::Properties;
use crate::select::Named;
use dbus_interfaces::names::{NO_BATTERY_LEVEL, NO_OWNER};
use serde::Serialize;
use zbus::OwnedObjectPath;

/// All properties of a device. The names of the fields are those of the JSON form.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Device {
    pub(crate) id: String,
    pub(crate) path: OwnedObjectPath,
    pub(crate) name: String,
    pub(crate) friendly_name: String,
    pub(crate) kind: String,
    pub(crate) manufacturer: String,
    pub(crate) model: String,
    pub(crate) serial_number: String,
    pub(crate) firmware: String,
    pub(crate) connected: bool,
    pub(crate) status: String,
    /// What a `manual-device` lacks for being synchronised.
    pub(crate) manual_reason: String,
    /// 1 to 16.
    pub(crate) partnership_index: Option<u32>,
    /// A uid.
    pub(crate) partnership_owner: Option<u32>,
    pub(crate) sync_state: String,
    pub(crate) progress: u32,
    /// A URI.
    pub(crate) current_item: String,
    pub(crate) bytes_done: u64,
    pub(crate) bytes_total: u64,
    pub(crate) rate: u64,
    /// Seconds since 1970; 0 while not known.
    pub(crate) expected_end_time: u64,
    pub(crate) safe_to_remove: bool,
    pub(crate) total_space: u64,
    pub(crate) free_space: u64,
    /// Percent.
    pub(crate) battery_level: Option<u32>,
    pub(crate) percent_space_reserved: u32,
    pub(crate) sync_on_connect: bool,
    /// Seconds since 1970; 0: never.
    pub(crate) last_sync_time: u64,
    pub(crate) last_sync_error_count: u32,
    pub(crate) last_sync_no_fit_count: u32,
    /// Files that the last run wrote or deleted.
    pub(crate) last_sync_change_count: u32,
    pub(crate) sync_item_count: u32,
    pub(crate) has_skipped_files: bool,
    pub(crate) supports_audio: bool,
    pub(crate) supports_video: bool,
    pub(crate) supports_photo: bool,
    pub(crate) formats: Vec<String>,
}

impl Device {
    /// From all its properties.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when one isn't as the contract has it.
    pub(crate) fn read(path: OwnedObjectPath, p: &Properties) -> Result<Self, Error> {
        Ok(Self {
            id: p.text("DeviceId")?,
            path,
            name: p.text("DeviceName")?,
            friendly_name: p.text("FriendlyName")?,
            kind: p.text("Kind")?,
            manufacturer: p.text("Manufacturer")?,
            model: p.text("Model")?,
            serial_number: p.text("SerialNumber")?,
            firmware: p.text("Firmware")?,
            connected: p.flag("Connected")?,
            status: p.text("Status")?,
            manual_reason: p.text("ManualReason")?,
            partnership_index: Some(p.small("PartnershipIndex")?).filter(|index| *index != 0),
            partnership_owner: Some(p.small("PartnershipOwner")?).filter(|uid| *uid != NO_OWNER),
            sync_state: p.text("SyncState")?,
            progress: p.small("Progress")?,
            current_item: p.text("CurrentItem")?,
            bytes_done: p.large("BytesDone")?,
            bytes_total: p.large("BytesTotal")?,
            rate: p.large("Rate")?,
            expected_end_time: p.large("ExpectedEndTime")?,
            safe_to_remove: p.flag("SafeToRemove")?,
            total_space: p.large("TotalSpace")?,
            free_space: p.large("FreeSpace")?,
            battery_level: Some(p.small("BatteryLevel")?).filter(|level| *level != NO_BATTERY_LEVEL),
            percent_space_reserved: p.small("PercentSpaceReserved")?,
            sync_on_connect: p.flag("SyncOnConnect")?,
            last_sync_time: p.large("LastSyncTime")?,
            last_sync_error_count: p.small("LastSyncErrorCount")?,
            last_sync_no_fit_count: p.small("LastSyncNoFitCount")?,
            last_sync_change_count: p.small("LastSyncChangeCount")?,
            sync_item_count: p.small("SyncItemCount")?,
            has_skipped_files: p.flag("HasSkippedFiles")?,
            supports_audio: p.flag("SupportsAudio")?,
            supports_video: p.flag("SupportsVideo")?,
            supports_photo: p.flag("SupportsPhoto")?,
            formats: p.texts("Formats")?,
        })
    }

    /// What people call it: the user's name, else its own, else its id. Not yet safe to print.
    pub(crate) fn label(&self) -> &str {
        [&self.friendly_name, &self.name].into_iter().find(|name| !name.is_empty()).unwrap_or(&self.id)
    }

    /// What has happened to it when it is gone, for people.
    pub(crate) fn how_it_went(&self) -> &'static str {
        match self.kind.as_str() {
            "provider" => "was unplugged, or its service provider has ended",
            _ => "was unplugged",
        }
    }

    /// Whether it is synchronising now.
    pub(crate) fn is_synchronizing(&self) -> bool {
        self.sync_state == "synchronizing"
    }

    /// What it does, in a word: `absent`, or the state of its engine.
    pub(crate) fn state(&self) -> &str {
        if self.connected { &self.sync_state } else { "absent" }
    }

    /// What its engine does, with progress, for people.
    pub(crate) fn activity(&self) -> String {
        if !self.is_synchronizing() {
            let mut text = self.state().to_owned();
            if self.connected {
                text += if self.safe_to_remove { ", safe to remove" } else { ", not safe to remove" };
            }
            return text;
        }
        let mut text = format!("synchronizing, {} %", self.progress);
        if self.bytes_total > 0 {
            text += &format!(", {} of {}", units::size(self.bytes_done), units::size(self.bytes_total));
        }
        if self.rate > 0 {
            text += &format!(", {}", units::rate(self.rate));
        }
        if let Some(left) = units::remaining(self.expected_end_time) {
            text += &format!(", {} left", units::duration(left));
        }
        text
    }

    /// How the last run went, for people.
    pub(crate) fn last_sync(&self) -> String {
        if self.last_sync_time == 0 {
            return "never".to_owned();
        }
        let mut text = units::time(self.last_sync_time);
        if self.last_sync_error_count > 0 {
            let count = usize::try_from(self.last_sync_error_count).unwrap_or(usize::MAX);
            text += &format!(", {}", units::count(count, "error"));
        }
        if self.last_sync_no_fit_count > 0 {
            text += &format!(", {} did not fit", self.last_sync_no_fit_count);
        }
        text
    }
}

impl Named for Device {
    const ID_PREFIXES: bool = true;
    const WHAT: &'static str = "device";

    fn ids(&self) -> Vec<&str> {
        vec![&self.id, self.path.as_str()]
    }

    fn detail(&self) -> String {
        self.id.clone()
    }

    fn names(&self) -> Vec<&str> {
        // the user's name first: messages show the first
        [self.friendly_name.as_str(), self.name.as_str()]
            .into_iter()
            .filter(|name| !name.is_empty())
            .collect()
    }
}
