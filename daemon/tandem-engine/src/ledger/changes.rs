//! The changes that the record of partnerships goes through. Pure: a value in, a value out.

use std::collections::BTreeSet;
use tandem_model::error::RequestError;
use tandem_model::id::{DeviceId, Guid, PartnershipIndex, PlaylistId, Uid};
use tandem_model::partnership::{Assignment, KnownDevice, LastSync, Partnership, Partnerships};

/// A partnership that is to be made.
pub(crate) struct Creation {
    pub(crate) device: DeviceId,
    pub(crate) owner: Uid,
    pub(crate) relationship: Guid,
    pub(crate) playlists: Vec<PlaylistId>,
    /// Whether `playlists` is the default set.
    pub(crate) default_rules: bool,
    pub(crate) now: u64,
    /// The mark that the device still carries, of a partnership that ends with this.
    pub(crate) old_mark: Option<Guid>,
    /// The device carries no mark that can be read: the file that holds ours is made by us.
    pub(crate) makes_mark: bool,
    /// Devices that are there.
    pub(crate) connected: Vec<DeviceId>,
}

/// Makes a partnership, ending the one that the device had here. It gets the lowest free index of its owner's.
pub(crate) fn create(record: &mut Partnerships, creation: Creation) -> Result<Partnership, RequestError> {
    let others =
        record.partnerships.iter().filter(|p| p.owner == creation.owner && p.device != creation.device);
    let Some(index) = PartnershipIndex::lowest_free(others.map(|partnership| partnership.index)) else {
        return Err(RequestError::PartnershipLimit(limit_message(record, &creation)));
    };
    let partnership = Partnership {
        relationship: creation.relationship,
        device: creation.device.clone(),
        owner: creation.owner,
        index,
        created: creation.now,
        percent_space_reserved: 0,
        sync_on_connect: true,
        auto_sync_default_rules: creation.default_rules,
        verify: false,
        removing: false,
        last_sync: LastSync::default(),
        assignments: default_assignments(creation.playlists),
        history: Vec::new(),
    };
    let replaced = record.partnerships.iter().filter(|partnership| partnership.device == creation.device);
    let replaced: Vec<Guid> = replaced.map(|partnership| partnership.relationship).collect();
    replaced.into_iter().for_each(|relationship| put_away(record, &creation.device, relationship));
    record.partnerships.retain(|partnership| partnership.device != creation.device);
    record.partnerships.push(partnership.clone());
    if let Some(known) = device(record, &creation.device) {
        known.declined = false;
        known.made_mark |= creation.makes_mark;
        known.ended_relationship = creation.old_mark;
    }
    Ok(partnership)
}

/// Takes back the making of a partnership: all that is recorded of the device is as it was in `before`. The mark may have
/// come to the device all the same: that it is ours is kept.
pub(crate) fn take_back(record: &mut Partnerships, id: &DeviceId, before: &Partnerships, makes_mark: bool) {
    record.partnerships.retain(|partnership| partnership.device != *id);
    let partnership = before.partnerships.iter().find(|partnership| partnership.device == *id);
    record.ended.retain(|ended| partnership.is_none_or(|lasting| lasting.relationship != *ended));
    record.partnerships.extend(partnership.cloned());
    let known_before = before.devices.iter().find(|known| known.description.id == *id);
    if let (Some(known), Some(before)) = (device(record, id), known_before) {
        known.clone_from(before);
        known.made_mark |= makes_mark;
    }
}

/// Playlists as assignments, in this order; a playlist that occurs twice counts where it is first.
pub(crate) fn default_assignments(playlists: Vec<PlaylistId>) -> Vec<Assignment> {
    let mut assignments: Vec<Assignment> = Vec::with_capacity(playlists.len());
    for playlist in playlists {
        if !assignments.iter().any(|assignment| assignment.playlist == playlist) {
            let priority = u32::try_from(assignments.len() + 1).unwrap_or(u32::MAX);
            assignments.push(Assignment { playlist, priority });
        }
    }
    assignments
}

/// What the seventeenth partnership is answered: which ones to end first.
fn limit_message(record: &Partnerships, creation: &Creation) -> String {
    let last_seen = |device: &DeviceId| {
        record.devices.iter().find(|known| known.description.id == *device).map_or(0, |known| known.last_seen)
    };
    let is_away = |p: &&Partnership| p.owner == creation.owner && !creation.connected.contains(&p.device);
    let mut away: Vec<&Partnership> = record.partnerships.iter().filter(is_away).collect();
    away.sort_by_key(|partnership| last_seen(&partnership.device));
    let longest_away: Vec<String> = away
        .iter()
        .take(3)
        .map(|p| format!("{} (index {})", name_of(record, &p.device), p.index.get()))
        .collect();
    let hint = match longest_away.as_slice() {
        [] => "All of their devices are connected".to_owned(),
        longest => format!("Away the longest: {}", longest.join(", ")),
    };
    format!("this library has {} partnerships already; end one first. {hint}", PartnershipIndex::MAX)
}

fn name_of(record: &Partnerships, device: &DeviceId) -> String {
    let known = record.devices.iter().find(|known| known.description.id == *device);
    known.map_or_else(
        || device.to_string(),
        |known| known.friendly_name.clone().unwrap_or_else(|| known.description.name.clone()),
    )
}

fn device<'a>(record: &'a mut Partnerships, id: &DeviceId) -> Option<&'a mut KnownDevice> {
    record.devices.iter_mut().find(|known| known.description.id == *id)
}

/// Notes that a partnership's manifest is to be removed, once nothing is in flight on its device any more.
fn put_away(record: &mut Partnerships, id: &DeviceId, relationship: Guid) {
    match device(record, id) {
        Some(known) => known.unsettled.push(relationship),
        None => record.ended.push(relationship),
    }
}

/// Ends a device's partnership; the device counts as declined. Tells which it was.
pub(crate) fn end(record: &mut Partnerships, id: &DeviceId, mark_remains: bool) -> Option<Partnership> {
    let position = record.partnerships.iter().position(|partnership| partnership.device == *id)?;
    let ended = record.partnerships.remove(position);
    put_away(record, id, ended.relationship);
    if let Some(known) = device(record, id) {
        known.declined = true;
        known.ended_relationship = mark_remains.then_some(ended.relationship);
    }
    Some(ended)
}

/// Sets a playlist's priority in the owner's partnership with that index; 0 ends the assignment. What is assigned is
/// the user's own choice from then on.
pub(crate) fn set_assignment(
    record: &mut Partnerships,
    owner: Uid,
    index: PartnershipIndex,
    playlist: PlaylistId,
    priority: u32,
) -> Result<DeviceId, RequestError> {
    let partnership =
        record.partnerships.iter_mut().find(|p| p.owner == owner && p.index == index).ok_or_else(|| {
            RequestError::PartnershipNotExist(format!(
                "this library has no partnership with index {}",
                index.get()
            ))
        })?;
    let before = partnership.assignments.clone();
    partnership.assignments.retain(|assignment| assignment.playlist != playlist);
    if priority != 0 {
        partnership.assignments.push(Assignment { playlist, priority });
    }
    partnership.assignments.sort_by(|a, b| (a.priority, &a.playlist).cmp(&(b.priority, &b.playlist)));
    if partnership.assignments != before {
        partnership.auto_sync_default_rules = false;
    }
    Ok(partnership.device.clone())
}

/// Ends all assignments of a playlist that exists no more. Tells which devices had one.
pub(crate) fn forget_playlist(record: &mut Partnerships, owner: Uid, playlist: &PlaylistId) -> Vec<DeviceId> {
    let mut devices = Vec::new();
    for partnership in record.partnerships.iter_mut().filter(|partnership| partnership.owner == owner) {
        let before = partnership.assignments.len();
        partnership.assignments.retain(|assignment| assignment.playlist != *playlist);
        if partnership.assignments.len() != before {
            devices.push(partnership.device.clone());
        }
    }
    devices
}

/// Whose playlists have other priorities in one of these records than in the other.
pub(crate) fn reassigned(before: &Partnerships, after: &Partnerships) -> BTreeSet<Uid> {
    let differing = |one: &Partnerships, other: &Partnerships| -> Vec<Uid> {
        let same = |p: &Partnership, q: &Partnership| {
            (p.owner, p.index) == (q.owner, q.index) && p.assignments == q.assignments
        };
        let alone = one.partnerships.iter().filter(|p| !other.partnerships.iter().any(|q| same(p, q)));
        alone.map(|partnership| partnership.owner).collect()
    };
    differing(before, after).into_iter().chain(differing(after, before)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn creation(device: &str, owner: Uid) -> Creation {
        Creation {
            device: DeviceId(device.to_owned()),
            owner,
            relationship: Guid(7),
            playlists: Vec::new(),
            default_rules: false,
            now: 1,
            old_mark: None,
            makes_mark: false,
            connected: vec![DeviceId("d0".to_owned())],
        }
    }

    #[test]
    fn the_seventeenth_is_refused_and_names_those_away_longest() {
        let mut record = Partnerships::default();
        for number in 0..16 {
            create(&mut record, creation(&format!("d{number}"), 1000)).unwrap();
        }
        let refusal = create(&mut record, creation("d16", 1000)).unwrap_err();
        assert!(
            matches!(&refusal, RequestError::PartnershipLimit(text) if text.contains("Away the longest: d1 (index 2)")),
            "{refusal}"
        );
        assert_eq!(create(&mut record, creation("d16", 1001)).unwrap().index.get(), 1);
        assert_eq!(
            create(&mut record, creation("d3", 1000)).unwrap().index.get(),
            4,
            "a device keeps to one slot"
        );
    }

    #[test]
    fn a_partnership_that_is_taken_back_leaves_no_trace() {
        let mut record = Partnerships::default();
        create(&mut record, creation("d", 1000)).unwrap();
        create(&mut record, creation("other", 1000)).unwrap();
        record.partnerships[1].relationship = Guid(8);
        let before = record.clone();
        create(&mut record, creation("d", 1001)).unwrap();
        take_back(&mut record, &DeviceId("d".to_owned()), &before, false);
        assert!(record.ended.is_empty(), "its manifest is needed again");
        assert_eq!(record.partnerships.len(), 2);
        assert!(before.partnerships.iter().all(|partnership| record.partnerships.contains(partnership)));
    }

    #[test]
    fn a_new_partnership_ends_the_old_one_of_the_device() {
        let mut record = Partnerships::default();
        create(&mut record, creation("d", 1000)).unwrap();
        create(&mut record, creation("d", 1001)).unwrap();
        assert_eq!(record.partnerships.len(), 1);
        assert_eq!(record.partnerships[0].owner, 1001);
        assert_eq!(record.ended, [Guid(7)], "its manifest is to be removed");
    }

    #[test]
    fn assignments_are_ordered_by_priority_and_end_with_zero() {
        let mut record = Partnerships::default();
        let index = create(&mut record, creation("d", 1000)).unwrap().index;
        let playlist = |name: &str| PlaylistId(name.to_owned());
        for (name, priority) in [("b", 0x20), ("a", 0x01), ("c", 0x0d)] {
            set_assignment(&mut record, 1000, index, playlist(name), priority).unwrap();
        }
        let order = |record: &Partnerships| -> Vec<String> {
            record.partnerships[0].assignments.iter().map(|a| a.playlist.0.clone()).collect()
        };
        assert_eq!(order(&record), ["a", "c", "b"]);
        set_assignment(&mut record, 1000, index, playlist("c"), 0).unwrap();
        assert_eq!(order(&record), ["a", "b"]);
        assert!(set_assignment(&mut record, 1001, index, playlist("a"), 1).is_err());
    }

    proptest! {
        #[test]
        fn indices_stay_unique_whatever_happens(steps in proptest::collection::vec((0u8..40, 0u32..3, any::<bool>()), 0..120)) {
            let mut record = Partnerships::default();
            for (device, owner, ends) in steps {
                let id = DeviceId(device.to_string());
                if ends {
                    end(&mut record, &id, false);
                } else {
                    let _ = create(&mut record, creation(&device.to_string(), owner));
                }
                for owner in 0..3 {
                    let mut indices: Vec<u8> = record.partnerships.iter().filter(|p| p.owner == owner).map(|p| p.index.get()).collect();
                    indices.sort_unstable();
                    let count = indices.len();
                    indices.dedup();
                    prop_assert_eq!(indices.len(), count);
                    prop_assert!(count <= 16);
                }
            }
        }
    }
}
