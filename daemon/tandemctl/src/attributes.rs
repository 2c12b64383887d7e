//! WMP's attributes of a device, by name. Names are taken without regard to case; which values do is for the daemon.

/// Attributes that can be read.
pub(crate) const READABLE: [&str; 26] = [
    "AutoSyncDefaultRules",
    "BackgroundSyncState",
    "Connected",
    "FreeSpace",
    "FriendlyName",
    "LastSyncErrorCount",
    "LastSyncNoFitCount",
    "LastSyncTime",
    "Name",
    "PercentSpaceReserved",
    "PreferredAudio",
    "PreferredPhoto",
    "PreferredVideo",
    "SerialNumber",
    "SkippedFiles",
    "SupportsAudio",
    "SupportsPhoto",
    "SupportsVideo",
    "SyncFilter",
    "SyncIndex",
    "SyncItemCount",
    "SyncOnConnect",
    "SyncPercentComplete",
    "SyncRelationship",
    "TotalSpace",
    "Verify",
];

/// Attributes that can be set and not read.
const SET_ONLY: [&str; 2] = ["AllowMassDeletion", "IncludeSkippedFiles"];

/// The name as WMP spells it; one that isn't known stays as it is, for the daemon to refuse.
pub(crate) fn canonical(name: &str) -> &str {
    let mut known = READABLE.into_iter().chain(SET_ONLY);
    known.find(|known| known.eq_ignore_ascii_case(name)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_whatever_their_case() {
        assert_eq!(canonical("synconconnect"), "SyncOnConnect");
        assert_eq!(canonical("ALLOWMASSDELETION"), "AllowMassDeletion");
        assert_eq!(canonical("colour"), "colour");
    }
}
