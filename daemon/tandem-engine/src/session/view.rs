//! How the record of a device and of its partnership shows in its snapshot. Pure.

use tandem_model::device::Status;
use tandem_model::id::Guid;
use tandem_model::partnership::{KnownDevice, Partnership};
use tandem_model::player::Mark;
use tandem_model::snapshot::Snapshot;

/// Puts what is recorded into the snapshot; with `verify_always` every device is read back.
pub(crate) fn show_record(
    snapshot: &mut Snapshot,
    known: Option<&KnownDevice>,
    partnership: Option<&Partnership>,
    verify_always: bool,
) {
    if let Some(known) = known {
        let own_name = || snapshot.description.name.clone();
        snapshot.friendly_name = known.friendly_name.clone().unwrap_or_else(own_name);
    }
    match partnership {
        Some(partnership) => {
            snapshot.partnership = Some((partnership.index, partnership.owner));
            snapshot.percent_space_reserved = partnership.percent_space_reserved;
            snapshot.sync_on_connect = partnership.sync_on_connect;
            snapshot.auto_sync_default_rules = partnership.auto_sync_default_rules;
            snapshot.last_sync = partnership.last_sync.clone();
            snapshot.verify = reads_back(verify_always, known, partnership);
        }
        None => {
            snapshot.partnership = None;
            snapshot.percent_space_reserved = 0;
            snapshot.sync_on_connect = true;
            snapshot.auto_sync_default_rules = false;
            snapshot.verify = false;
            snapshot.last_sync = tandem_model::partnership::LastSync::default();
            snapshot.has_skipped_files = false;
        }
    }
}

/// A partnership isn't one with a device that carries somebody else's mark. One that is a device's twin leaves the record
/// as it is.
pub(crate) fn shown(status: Status, partnership: Option<&Partnership>) -> Option<&Partnership> {
    partnership.filter(|_| status != Status::PartnershipAnother)
}

/// Whether what is copied is read back: `always` by configuration, by the user's wish, or because the device once held
/// something else than was sent.
pub(crate) fn reads_back(always: bool, known: Option<&KnownDevice>, partnership: &Partnership) -> bool {
    always || partnership.verify || known.is_some_and(|known| known.verify_failed != 0)
}

/// How a device stands to this computer, given the record and the mark that it carries.
pub(crate) fn status(
    known: Option<&KnownDevice>,
    partnership: Option<&Partnership>,
    mark: Option<Mark>,
) -> Status {
    let ended = known.and_then(|known| known.ended_relationship);
    let carried = mark.map(|mark| mark.relationship);
    let carried = carried.filter(|carried| *carried != Guid::ZERO && Some(*carried) != ended);
    match (partnership, carried) {
        (Some(partnership), Some(carried)) if carried != partnership.relationship => {
            Status::PartnershipAnother
        }
        (Some(_), _) => Status::PartnershipExists,
        (None, Some(_)) => Status::PartnershipAnother,
        (None, _) if known.is_some_and(|known| known.declined) => Status::PartnershipDeclined,
        (None, _) => Status::NewDevice,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Creation, create};
    use tandem_model::device::{DeviceDescription, Kind};
    use tandem_model::id::DeviceId;
    use tandem_model::partnership::Partnerships;

    fn mark(relationship: u128) -> Option<Mark> {
        Some(Mark { device: Guid(1), relationship: Guid(relationship) })
    }

    #[test]
    fn the_mark_on_the_device_decides_whose_it_is() {
        let id = DeviceId("d".to_owned());
        let description = DeviceDescription::named(id.clone(), Kind::Folder, "");
        let mut known = KnownDevice {
            description,
            friendly_name: None,
            guid: Guid(1),
            declined: false,
            ended_relationship: None,
            made_mark: false,
            unsettled: Vec::new(),
            verify_failed: 0,
            last_seen: 0,
            total_space: 0,
        };
        let creation = Creation {
            device: id,
            owner: 0,
            relationship: Guid(5),
            playlists: Vec::new(),
            default_rules: true,
            now: 0,
            old_mark: None,
            makes_mark: false,
            connected: Vec::new(),
        };
        let ours = create(&mut Partnerships::default(), creation).unwrap();
        assert_eq!(status(Some(&known), Some(&ours), mark(5)), Status::PartnershipExists);
        assert_eq!(status(Some(&known), Some(&ours), None), Status::PartnershipExists);
        assert_eq!(status(Some(&known), Some(&ours), mark(6)), Status::PartnershipAnother);
        assert_eq!(status(Some(&known), None, mark(6)), Status::PartnershipAnother);
        assert_eq!(status(Some(&known), None, mark(0)), Status::NewDevice);
        known.declined = true;
        known.ended_relationship = Some(Guid(6));
        assert_eq!(status(Some(&known), None, mark(6)), Status::PartnershipDeclined);
        assert_eq!(status(Some(&known), Some(&ours), mark(6)), Status::PartnershipExists, "not marked yet");
        assert_eq!(status(Some(&known), Some(&ours), mark(7)), Status::PartnershipAnother);
    }
}
