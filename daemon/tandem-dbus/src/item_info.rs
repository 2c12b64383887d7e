//! WMP's string-typed attributes of a device, as `GetItemInfo` and `SetItemInfo` take them: pure functions over a
//! snapshot. What a setting does is the engine's business.

use crate::boolean;
use jiff::Timestamp;
use tandem_engine::Setting;
use tandem_model::device::Status;
use tandem_model::error::RequestError;
use tandem_model::id::Uid;
use tandem_model::snapshot::Snapshot;

/// Attributes that can be read. `true`: only with a partnership with the caller's library.
const READABLE: [(&str, bool); 26] = [
    ("AutoSyncDefaultRules", true),
    ("BackgroundSyncState", true),
    ("Connected", false),
    ("FreeSpace", false),
    ("FriendlyName", false),
    ("LastSyncErrorCount", false),
    ("LastSyncNoFitCount", false),
    ("LastSyncTime", false),
    ("Name", false),
    ("PercentSpaceReserved", true),
    ("PreferredAudio", false),
    ("PreferredPhoto", false),
    ("PreferredVideo", false),
    ("SerialNumber", false),
    ("SkippedFiles", true),
    ("SupportsAudio", false),
    ("SupportsPhoto", false),
    ("SupportsVideo", false),
    ("SyncFilter", true),
    ("SyncIndex", false),
    ("SyncItemCount", false),
    ("SyncOnConnect", true),
    ("SyncPercentComplete", false),
    ("SyncRelationship", false),
    ("TotalSpace", false),
    ("Verify", true),
];

/// Attributes that can be set.
const SETTABLE: [&str; 9] = [
    "AllowMassDeletion",
    "AutoSyncDefaultRules",
    "BackgroundSyncState",
    "FriendlyName",
    "IncludeSkippedFiles",
    "PercentSpaceReserved",
    "SyncFilter",
    "SyncOnConnect",
    "Verify",
];

/// Characters that a friendly name may have at most.
const NAME_LIMIT: usize = 128;

/// `GetItemInfo`: the attribute's value as this caller's library sees it.
///
/// # Errors
/// `ManualDevice` for such a device; `InvalidArgument` for a name that can't be read; `PartnershipNotExist` where
/// the attribute needs a partnership with the caller's library.
pub(crate) fn get(snapshot: &Snapshot, caller: Uid, name: &str) -> Result<String, RequestError> {
    refuse_manual(snapshot)?;
    let (_, partnered_only) =
        READABLE.iter().find(|(readable, _)| *readable == name).ok_or_else(|| unreadable(name))?;
    let status = snapshot.status_for(caller);
    // root looks after everybody's devices
    let partnered = status == Status::PartnershipExists || (caller == 0 && snapshot.partnership.is_some());
    if *partnered_only && !partnered {
        return Err(RequestError::PartnershipNotExist(format!(
            "{name} is known for devices that are partnered with your library; {} isn't: create a partnership first",
            snapshot.friendly_name
        )));
    }
    Ok(value(snapshot, caller, status, name))
}

/// The value of a readable attribute.
fn value(snapshot: &Snapshot, caller: Uid, status: Status, name: &str) -> String {
    match name {
        "AutoSyncDefaultRules" => boolean::write(snapshot.auto_sync_default_rules),
        "BackgroundSyncState" => snapshot.background_sync_state.to_string(),
        "Connected" => boolean::write(snapshot.connected),
        "FreeSpace" => snapshot.free_space.to_string(),
        "FriendlyName" => snapshot.friendly_name.clone(),
        "LastSyncErrorCount" => snapshot.last_sync.error_count.to_string(),
        "LastSyncNoFitCount" => snapshot.last_sync.no_fit_count.to_string(),
        "LastSyncTime" => time(snapshot.last_sync.time),
        "Name" => snapshot.description.name.clone(),
        "PercentSpaceReserved" => snapshot.percent_space_reserved.to_string(),
        "SerialNumber" => snapshot.description.serial_number.clone(),
        "SkippedFiles" => u8::from(snapshot.has_skipped_files).to_string(),
        "SupportsAudio" => boolean::write(snapshot.supports_audio),
        "SupportsPhoto" => boolean::write(snapshot.supports_photo),
        "SupportsVideo" => boolean::write(snapshot.supports_video),
        "SyncFilter" => snapshot.sync_filter.clone(),
        "SyncIndex" => match snapshot.partnership {
            Some((index, owner)) if owner == caller => index.get().to_string(),
            _ => "0".to_owned(),
        },
        "SyncItemCount" => snapshot.last_sync.item_count.to_string(),
        "SyncOnConnect" => boolean::write(snapshot.sync_on_connect),
        "SyncPercentComplete" => snapshot.progress.to_string(),
        "SyncRelationship" => relationship(status).to_owned(),
        "TotalSpace" => snapshot.total_space.to_string(),
        "Verify" => boolean::write(snapshot.verify),
        // PreferredAudio, PreferredPhoto, PreferredVideo: the one storage that is synchronised to
        _ => "0".to_owned(),
    }
}

/// `SyncRelationship`: 0 none, 1 manual, 2 with the caller's library, 3 with another.
fn relationship(status: Status) -> &'static str {
    match status {
        Status::Unknown | Status::NewDevice | Status::PartnershipDeclined => "0",
        Status::ManualDevice => "1",
        Status::PartnershipExists => "2",
        Status::PartnershipAnother => "3",
    }
}

/// RFC 3339; empty for never.
fn time(seconds: u64) -> String {
    match i64::try_from(seconds).map(Timestamp::from_second) {
        Ok(Ok(time)) if seconds != 0 => time.to_string(),
        _ => String::new(),
    }
}

/// `SetItemInfo`: the setting that this name and value ask for.
///
/// # Errors
/// `ManualDevice` for such a device; `InvalidArgument` for a name or value that can't be; `ReadOnly` for an attribute
/// that can only be read; `PartnershipNotExist` without a partnership on this computer.
pub(crate) fn set(snapshot: &Snapshot, name: &str, value: &str) -> Result<Setting, RequestError> {
    refuse_manual(snapshot)?;
    let setting = match name {
        "AllowMassDeletion" => Setting::AllowMassDeletion(boolean::read(name, value)?),
        "AutoSyncDefaultRules" => Setting::AutoSyncDefaultRules(boolean::read(name, value)?),
        "BackgroundSyncState" => Setting::BackgroundSyncState(number(name, value, 255, "0 to 255")?),
        "FriendlyName" => Setting::FriendlyName(friendly_name(value)?),
        "IncludeSkippedFiles" if value.is_empty() => Setting::IncludeSkippedFiles,
        "IncludeSkippedFiles" => return Err(invalid(name, value, "the empty value")),
        "PercentSpaceReserved" => percent(number(name, value, u8::MAX, "0 to 95")?.into())?,
        "SyncFilter" => Setting::SyncFilter(sync_filter(value)?),
        "SyncOnConnect" => Setting::SyncOnConnect(boolean::read(name, value)?),
        "Verify" => Setting::Verify(boolean::read(name, value)?),
        _ => return Err(unsettable(name)),
    };
    if !matches!(setting, Setting::FriendlyName(_)) {
        require_partnership(snapshot, name)?;
    }
    Ok(setting)
}

/// Refuses a setting of a device that has no partnership on this computer.
///
/// # Errors
/// `PartnershipNotExist`.
pub(crate) fn require_partnership(snapshot: &Snapshot, name: &str) -> Result<(), RequestError> {
    if snapshot.partnership.is_some() {
        return Ok(());
    }
    Err(RequestError::PartnershipNotExist(format!(
        "{name} can be set for partnered devices only; create a partnership with {} first",
        snapshot.friendly_name
    )))
}

/// The setting of `PercentSpaceReserved`.
///
/// # Errors
/// `InvalidArgument` above 95.
pub(crate) fn percent(value: u32) -> Result<Setting, RequestError> {
    if value > 95 {
        return Err(invalid("PercentSpaceReserved", &value.to_string(), "a whole number from 0 to 95"));
    }
    Ok(Setting::PercentSpaceReserved(value))
}

/// A name that a user may give to a device, without blanks around it.
///
/// # Errors
/// `InvalidArgument` when it is empty, too long, or holds control characters.
pub(crate) fn friendly_name(value: &str) -> Result<String, RequestError> {
    let name = value.trim();
    if name.is_empty() || name.chars().count() > NAME_LIMIT || name.chars().any(char::is_control) {
        let wanted = format!("1 to {NAME_LIMIT} characters without control characters");
        return Err(invalid("FriendlyName", &value.escape_debug().to_string(), &wanted));
    }
    Ok(name.to_owned())
}

/// `SyncFilter` in WMP's spelling: two special words, else a sum of 1, 2, 4 and 8.
fn sync_filter(value: &str) -> Result<String, RequestError> {
    for special in ["0xFF", "0x07"] {
        if value.eq_ignore_ascii_case(special) {
            return Ok(special.to_owned());
        }
    }
    let wanted = "`0xFF`, `0x07`, or a sum of 1 (music), 2 (video), 4 (pictures) and 8 (write only)";
    match value.parse::<u8>() {
        Ok(bits @ 0..=15) => Ok(bits.to_string()),
        _ => Err(invalid("SyncFilter", value, wanted)),
    }
}

fn number(name: &str, value: &str, most: u8, range: &str) -> Result<u8, RequestError> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse::<u8>() {
        Ok(number) if digits && number <= most => Ok(number),
        _ => Err(invalid(name, value, &format!("a whole number from {range}"))),
    }
}

fn refuse_manual(snapshot: &Snapshot) -> Result<(), RequestError> {
    if snapshot.status == Status::ManualDevice {
        return Err(snapshot.manual_device());
    }
    Ok(())
}

fn unreadable(name: &str) -> RequestError {
    if SETTABLE.contains(&name) {
        return RequestError::InvalidArgument(format!("{name} can only be set, not read"));
    }
    let names = READABLE.map(|(readable, _)| readable).join(", ");
    RequestError::InvalidArgument(format!("`{name}` is no attribute of a device; use one of {names}"))
}

fn unsettable(name: &str) -> RequestError {
    if READABLE.iter().any(|(readable, _)| *readable == name) {
        return RequestError::ReadOnly(format!(
            "{name} can only be read; settable are {}",
            SETTABLE.join(", ")
        ));
    }
    RequestError::InvalidArgument(format!(
        "`{name}` is no attribute of a device; settable are {}",
        SETTABLE.join(", ")
    ))
}

fn invalid(name: &str, value: &str, wanted: &str) -> RequestError {
    RequestError::InvalidArgument(format!("`{value}` is no value of {name}; use {wanted}"))
}

#[cfg(test)]
#[path = "item_info_tests.rs"]
mod tests;
