//! Proves what `GetItemInfo` and `SetItemInfo` answer for each name, and that no text makes them panic.

use super::*;
use proptest::prelude::*;
use tandem_model::device::{DeviceDescription, Kind};
use tandem_model::id::{DeviceId, PartnershipIndex};
use tandem_model::partnership::LastSync;

const OWNER: Uid = 1000;
const OTHER: Uid = 1001;

fn new_device() -> Snapshot {
    let mut snapshot = Snapshot::absent(DeviceDescription {
        serial_number: "S1".to_owned(),
        ..DeviceDescription::named(DeviceId("folder-1".to_owned()), Kind::Folder, "Walkman")
    });
    snapshot.status = Status::NewDevice;
    snapshot
}

fn partnered() -> Snapshot {
    let mut snapshot = new_device();
    snapshot.status = Status::PartnershipExists;
    snapshot.partnership = PartnershipIndex::new(3).map(|index| (index, OWNER));
    snapshot.last_sync =
        LastSync { time: 1_700_000_000, error_count: 1, no_fit_count: 2, item_count: 30, change_count: 4 };
    snapshot.percent_space_reserved = 5;
    snapshot.verify = true;
    snapshot
}

#[test]
fn the_owner_reads_every_attribute() {
    let snapshot = partnered();
    let expected = [
        ("AutoSyncDefaultRules", "False"),
        ("BackgroundSyncState", "255"),
        ("Connected", "False"),
        ("FreeSpace", "0"),
        ("FriendlyName", "Walkman"),
        ("LastSyncErrorCount", "1"),
        ("LastSyncNoFitCount", "2"),
        ("LastSyncTime", "2023-11-14T22:13:20Z"),
        ("Name", "Walkman"),
        ("PercentSpaceReserved", "5"),
        ("PreferredAudio", "0"),
        ("PreferredPhoto", "0"),
        ("PreferredVideo", "0"),
        ("SerialNumber", "S1"),
        ("SkippedFiles", "0"),
        ("SupportsAudio", "True"),
        ("SupportsPhoto", "False"),
        ("SupportsVideo", "False"),
        ("SyncFilter", "0xFF"),
        ("SyncIndex", "3"),
        ("SyncItemCount", "30"),
        ("SyncOnConnect", "True"),
        ("SyncPercentComplete", "0"),
        ("SyncRelationship", "2"),
        ("TotalSpace", "0"),
        ("Verify", "True"),
    ];
    assert_eq!(expected.map(|(name, _)| name), READABLE.map(|(name, _)| name));
    for (name, value) in expected {
        assert_eq!(get(&snapshot, OWNER, name).as_deref(), Ok(value), "{name}");
    }
}

#[test]
fn attributes_of_a_partnership_need_one_with_the_callers_library() {
    for (name, partnered_only) in READABLE {
        for (snapshot, caller) in [(new_device(), OWNER), (partnered(), OTHER)] {
            let refused = matches!(get(&snapshot, caller, name), Err(RequestError::PartnershipNotExist(_)));
            assert_eq!(refused, partnered_only, "{name}");
        }
        assert!(get(&partnered(), 0, name).is_ok(), "root reads {name}");
    }
    assert_eq!(get(&partnered(), OTHER, "SyncIndex").as_deref(), Ok("0"));
    assert_eq!(get(&partnered(), OTHER, "SyncRelationship").as_deref(), Ok("3"));
    assert_eq!(get(&new_device(), OWNER, "SyncRelationship").as_deref(), Ok("0"));
    assert_eq!(get(&new_device(), OWNER, "LastSyncTime").as_deref(), Ok(""));
}

#[test]
fn a_manual_device_answers_nothing() {
    let mut manual = new_device();
    manual.status = Status::ManualDevice;
    for name in ["Connected", "SyncOnConnect", "no such name"] {
        assert!(matches!(get(&manual, OWNER, name), Err(RequestError::ManualDevice(..))), "{name}");
        assert!(matches!(set(&manual, name, "True"), Err(RequestError::ManualDevice(..))), "{name}");
    }
}

#[test]
fn settings_are_read_as_wmp_writes_them() {
    let snapshot = partnered();
    let cases = [
        ("AllowMassDeletion", "true", Setting::AllowMassDeletion(true)),
        ("AutoSyncDefaultRules", "FALSE", Setting::AutoSyncDefaultRules(false)),
        ("BackgroundSyncState", "3", Setting::BackgroundSyncState(3)),
        ("FriendlyName", " Ann's player ", Setting::FriendlyName("Ann's player".to_owned())),
        ("IncludeSkippedFiles", "", Setting::IncludeSkippedFiles),
        ("PercentSpaceReserved", "95", Setting::PercentSpaceReserved(95)),
        ("SyncFilter", "0xff", Setting::SyncFilter("0xFF".to_owned())),
        ("SyncFilter", "5", Setting::SyncFilter("5".to_owned())),
        ("SyncOnConnect", "True", Setting::SyncOnConnect(true)),
        ("Verify", "false", Setting::Verify(false)),
    ];
    for (name, value, setting) in cases {
        assert_eq!(set(&snapshot, name, value), Ok(setting), "{name}");
    }
    assert_eq!(set(&new_device(), "FriendlyName", "Mine"), Ok(Setting::FriendlyName("Mine".to_owned())));
}

#[test]
fn bad_settings_name_the_value_and_what_would_do() {
    let snapshot = partnered();
    let cases = [
        ("SyncOnConnect", "1", "`True` or `False`"),
        ("PercentSpaceReserved", "96", "from 0 to 95"),
        ("PercentSpaceReserved", "+5", "from 0 to 95"),
        ("PercentSpaceReserved", "", "from 0 to 95"),
        ("BackgroundSyncState", "256", "from 0 to 255"),
        ("SyncFilter", "16", "`0xFF`"),
        ("IncludeSkippedFiles", "True", "the empty value"),
        ("FriendlyName", "a\u{1}b", "control characters"),
        ("FriendlyName", " ", "1 to 128"),
    ];
    for (name, value, remedy) in cases {
        match set(&snapshot, name, value) {
            Err(RequestError::InvalidArgument(text)) => {
                assert!(text.contains(name) && text.contains(remedy), "{name}: {text}");
            }
            other => panic!("{name} = {value:?} is answered by {other:?}"),
        }
    }
    assert!(matches!(set(&snapshot, "TotalSpace", "1"), Err(RequestError::ReadOnly(_))));
    assert!(matches!(set(&snapshot, "Colour", "1"), Err(RequestError::InvalidArgument(_))));
    assert!(matches!(get(&snapshot, OWNER, "IncludeSkippedFiles"), Err(RequestError::InvalidArgument(_))));
    assert!(matches!(set(&new_device(), "SyncOnConnect", "True"), Err(RequestError::PartnershipNotExist(_))));
}

proptest! {
    #[test]
    fn any_text_is_answered(name: String, value: String) {
        let snapshot = partnered();
        prop_assert!(get(&snapshot, OWNER, &name).is_err() || READABLE.iter().any(|(known, _)| *known == name));
        for settable in SETTABLE {
            let _ = set(&snapshot, settable, &value);
        }
    }
}
