//! What is to be announced of a library and its playlists: pure differences of what was seen of them.
//!
//! Nothing is sent here.

use crate::changes::Changes;
use crate::libraries::folders;
use std::collections::{BTreeMap, HashMap};
use tandem_model::library::LibraryState;
use tandem_model::media::PlaylistInfo;
use zbus::Variant;

/// What differs from the state that was announced last, or from one that somebody has read since.
pub(crate) fn library_changes(
    announced: &LibraryState,
    told: &[LibraryState],
    new: &LibraryState,
) -> Changes {
    let mut changes = Changes::default();
    let mut note =
        |differs: fn(&LibraryState, &LibraryState) -> bool, name: &'static str, value: Variant<'static>| {
            if std::iter::once(announced).chain(told).any(|old| differs(old, new)) {
                changes.changed.push((name, value));
            }
        };
    note(|old, new| old.folders != new.folders, "Folders", Variant::from(folders(new)));
    note(|old, new| old.track_count != new.track_count, "TrackCount", Variant::from(new.track_count));
    note(
        |old, new| old.playlist_count != new.playlist_count,
        "PlaylistCount",
        Variant::from(new.playlist_count),
    );
    note(|old, new| old.scanning != new.scanning, "Scanning", Variant::from(new.scanning));
    note(
        |old, new| old.last_scan_time != new.last_scan_time,
        "LastScanTime",
        Variant::from(new.last_scan_time),
    );
    note(|old, new| old.trouble != new.trouble, "Trouble", Variant::from(new.trouble.clone()));
    changes
}

/// What differs from the playlist that was announced last, and from its priorities.
pub(crate) fn playlist_changes(
    old: &(PlaylistInfo, BTreeMap<u32, u32>),
    new: &(PlaylistInfo, BTreeMap<u32, u32>),
) -> Changes {
    let mut changes = Changes::default();
    let mut note = |differs: bool, name: &'static str, value: Variant<'static>| {
        if differs {
            changes.changed.push((name, value));
        }
    };
    note(old.0.name != new.0.name, "Name", Variant::from(new.0.name.clone()));
    note(old.0.kind != new.0.kind, "Kind", Variant::from(new.0.kind.as_str()));
    note(old.0.rule != new.0.rule, "Rule", Variant::from(new.0.rule.clone()));
    note(old.0.count != new.0.count, "Count", Variant::from(new.0.count));
    note(
        old.1 != new.1,
        "SyncPriorities",
        Variant::from(new.1.clone().into_iter().collect::<HashMap<_, _>>()),
    );
    note(old.0.sync_only != new.0.sync_only, "SyncOnly", Variant::from(new.0.sync_only));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_read_that_it_scans_hears_that_it_ended() {
        let idle = LibraryState { track_count: 3, ..LibraryState::default() };
        let scanning = LibraryState { scanning: true, trouble: "empty".to_owned(), ..idle.clone() };
        let names = |told: &[LibraryState]| -> Vec<&str> {
            library_changes(&idle, told, &idle).changed.iter().map(|(name, _)| *name).collect()
        };
        assert_eq!(names(&[]), [""; 0]);
        assert_eq!(names(&[idle.clone(), scanning]), ["Scanning", "Trouble"]);
    }
}
