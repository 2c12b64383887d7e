//! Checks settings and makes them changes of the record. Pure but for the values it returns.

use crate::engine::Setting;
use std::collections::HashSet;
use tandem_model::error::RequestError;
use tandem_model::id::{DeviceId, MediaUri};
use tandem_model::partnership::Partnerships;

/// Settings that last while the daemon runs, or for the next run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Passing {
    pub(crate) include_skipped: bool,
    /// Media that the user named by hand: they are copied although he once deleted or changed them on the device.
    pub(crate) by_hand: HashSet<MediaUri>,
    pub(crate) allow_mass_deletion: bool,
    pub(crate) sync_filter: String,
    pub(crate) background_sync_state: u8,
    /// Not a setting: the device's file system turned read-only in the run that goes on.
    pub(crate) turned_read_only: bool,
}

impl Default for Passing {
    fn default() -> Self {
        Self {
            include_skipped: false,
            by_hand: HashSet::new(),
            allow_mass_deletion: false,
            sync_filter: "0xFF".to_owned(),
            background_sync_state: u8::MAX,
            turned_read_only: false,
        }
    }
}

impl Passing {
    /// Whether the next run takes music: bit 1 of the filter, or no filter at all.
    pub(crate) fn takes_music(&self) -> bool {
        filter_bits(&self.sync_filter).is_none_or(|bits| bits & 1 != 0)
    }
}

/// Whether runs may begin by themselves: bit 1 of `BackgroundSyncState`.
pub(crate) fn allows_background(background_sync_state: u8) -> bool {
    background_sync_state & 1 != 0
}

/// The filter's bits; `None` for the two words that stand for everything.
fn filter_bits(filter: &str) -> Option<u8> {
    match filter {
        "0xFF" | "0x07" => None,
        _ => filter.parse().ok(),
    }
}

/// Refuses a value that can't be.
pub(crate) fn check(setting: &Setting) -> Result<(), RequestError> {
    let invalid = |text: String| Err(RequestError::InvalidArgument(text));
    match setting {
        Setting::FriendlyName(name) if name.trim().is_empty() => {
            invalid("a friendly name can't be empty".to_owned())
        }
        Setting::FriendlyName(name) if name.chars().count() > 255 || name.chars().any(char::is_control) => {
            invalid("a friendly name has at most 255 characters and no control characters".to_owned())
        }
        Setting::PercentSpaceReserved(percent) if *percent > 95 => {
            invalid(format!("PercentSpaceReserved is {percent}; it must be between 0 and 95"))
        }
        Setting::SyncFilter(filter)
            if filter_bits(filter).is_none_or(|bits| bits > 15) && !is_filter_word(filter) =>
        {
            invalid(format!("SyncFilter is `{filter}`; it must be a sum of 1, 2, 4 and 8, or 0xFF or 0x07"))
        }
        _ => Ok(()),
    }
}

fn is_filter_word(filter: &str) -> bool {
    matches!(filter, "0xFF" | "0x07")
}

/// Makes a lasting setting in the record. Tells whether it was one.
pub(crate) fn record(record: &mut Partnerships, device: &DeviceId, setting: &Setting) -> bool {
    if let Setting::FriendlyName(name) = setting {
        if let Some(known) = record.devices.iter_mut().find(|known| known.description.id == *device) {
            known.friendly_name = Some(name.clone());
        }
        return true;
    }
    let Some(partnership) = record.partnerships.iter_mut().find(|p| p.device == *device) else {
        return false;
    };
    match setting {
        Setting::PercentSpaceReserved(percent) => {
            partnership.percent_space_reserved = u8::try_from(*percent).unwrap_or(95);
        }
        Setting::SyncOnConnect(value) => partnership.sync_on_connect = *value,
        Setting::Verify(value) => {
            partnership.verify = *value;
            let known = record.devices.iter_mut().find(|known| known.description.id == *device);
            if let Some(known) = known.filter(|_| !value) {
                known.verify_failed = 0;
            }
        }
        Setting::AutoSyncDefaultRules(value) => partnership.auto_sync_default_rules = *value,
        Setting::FriendlyName(_)
        | Setting::SyncFilter(_)
        | Setting::BackgroundSyncState(_)
        | Setting::IncludeSkippedFiles
        | Setting::AllowMassDeletion(_) => return false,
    }
    true
}

/// Makes a setting that passes. Tells whether it was one.
pub(crate) fn pass(passing: &mut Passing, setting: &Setting) -> bool {
    match setting {
        Setting::SyncFilter(filter) => passing.sync_filter.clone_from(filter),
        Setting::BackgroundSyncState(state) => passing.background_sync_state = *state,
        Setting::IncludeSkippedFiles => passing.include_skipped = true,
        Setting::AllowMassDeletion(value) => passing.allow_mass_deletion = *value,
        _ => return false,
    }
    true
}

/// Whether what is on the device may have to change because of it.
pub(crate) fn matters_to_content(setting: &Setting) -> bool {
    matches!(
        setting,
        Setting::PercentSpaceReserved(_)
            | Setting::AutoSyncDefaultRules(true)
            | Setting::IncludeSkippedFiles
            | Setting::AllowMassDeletion(true)
    ) || matches!(setting, Setting::BackgroundSyncState(state) if allows_background(*state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        for setting in [
            Setting::PercentSpaceReserved(96),
            Setting::FriendlyName(" ".to_owned()),
            Setting::FriendlyName("a\nb".to_owned()),
            Setting::SyncFilter("16".to_owned()),
            Setting::SyncFilter("music".to_owned()),
        ] {
            assert!(matches!(check(&setting), Err(RequestError::InvalidArgument(_))), "{setting:?}");
        }
        for filter in ["5", "0xFF", "0x07", "15"] {
            assert!(check(&Setting::SyncFilter(filter.to_owned())).is_ok(), "{filter}");
        }
    }
}
