//! What must hold of partnerships for them to be kept, whoever made them.
//!
//! Pure. The rules are applied before a save as well as after a load: what is written can always be read again.

use std::collections::BTreeSet;
use tandem_model::id::Guid;
use tandem_model::partnership::{Partnership, Partnerships};

/// The largest share of a storage that can be left to others.
const MAX_PERCENT_RESERVED: u8 = 95;

/// The first rule that is broken, with the value that breaks it.
pub(crate) fn partnerships(content: &Partnerships) -> Result<(), String> {
    let mut known = BTreeSet::new();
    for device in &content.devices {
        let id = &device.description.id;
        if !known.insert(id) {
            return Err(format!("device {id} is listed twice"));
        }
    }
    let mut devices = BTreeSet::new();
    let mut slots = BTreeSet::new();
    let mut relationships = BTreeSet::new();
    for partnership in &content.partnerships {
        alone(partnership)?;
        let Partnership { device, owner, index, relationship, .. } = partnership;
        if !devices.insert(device) {
            return Err(format!("device {device} has two partnerships"));
        }
        // with only sixteen slots, this also holds each owner to sixteen
        if !slots.insert((owner, index)) {
            return Err(format!("user {owner} has two partnerships with index {}", index.get()));
        }
        if !relationships.insert(relationship) {
            return Err(format!("two partnerships have the relationship {relationship}"));
        }
    }
    Ok(())
}

/// The rules for one partnership by itself.
fn alone(partnership: &Partnership) -> Result<(), String> {
    let device = &partnership.device;
    if partnership.relationship == Guid::ZERO {
        return Err(format!("the partnership of device {device} has the relationship {}", Guid::ZERO));
    }
    let percent = partnership.percent_space_reserved;
    if percent > MAX_PERCENT_RESERVED {
        return Err(format!(
            "the partnership of device {device} reserves {percent} percent; at most {MAX_PERCENT_RESERVED} can be"
        ));
    }
    match partnership.assignments.iter().find(|assignment| assignment.priority == 0) {
        Some(assignment) => Err(format!(
            "device {device} has playlist {} with priority 0; 1 is the first",
            assignment.playlist
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use tandem_model::device::{DeviceDescription, Kind};
    use tandem_model::error::ItemError;
    use tandem_model::id::{DeviceId, PartnershipIndex, PlaylistId};
    use tandem_model::partnership::{Assignment, KnownDevice, LastSync, PastRun};

    fn any_kind() -> impl Strategy<Value = Kind> {
        prop::sample::select(vec![
            Kind::Mtp,
            Kind::MassStorage,
            Kind::WindowsCe,
            Kind::Provider,
            Kind::Folder,
        ])
    }

    fn any_device(id: String) -> impl Strategy<Value = KnownDevice> {
        let texts = (any::<String>(), any::<String>(), any::<String>(), any::<String>(), any::<String>());
        let own =
            (any::<Option<String>>(), any::<u128>(), any::<bool>(), any::<u64>(), any::<Option<u128>>());
        (any_kind(), texts, own).prop_map(
            move |(kind, texts, (friendly_name, guid, declined, last_seen, ended))| {
                let (name, manufacturer, model, serial_number, firmware) = texts;
                let id = DeviceId(id.clone());
                KnownDevice {
                    description: DeviceDescription {
                        id,
                        kind,
                        name,
                        manufacturer,
                        model,
                        serial_number,
                        firmware,
                    },
                    friendly_name,
                    guid: Guid(guid),
                    declined,
                    ended_relationship: ended.map(Guid),
                    made_mark: last_seen % 2 == 0,
                    unsettled: ended.map(Guid).into_iter().collect(),
                    verify_failed: last_seen % 3,
                    last_seen,
                    total_space: last_seen / 3,
                }
            },
        )
    }

    fn any_history(time: u64, count: u32) -> Vec<PastRun> {
        let run = |number: u32| PastRun {
            id: (number != 0).then_some(Guid(u128::from(time))),
            began: time,
            ended: time / 2,
            failure: (number == 1).then_some(ItemError::DeviceRemoved),
            message: if number == 1 { "the device is \"gone\"\n".to_owned() } else { String::new() },
            item_count: count,
            change_count: number,
            written_bytes: time / 3,
            errors: (0..number)
                .map(|n| ([ItemError::NoFit, ItemError::TimedOut][n as usize % 2], count))
                .collect(),
        };
        (0..count % 4).map(run).collect()
    }

    fn any_partnership(number: usize, device: String) -> impl Strategy<Value = Partnership> {
        let assignment = (any::<String>(), 1u32..)
            .prop_map(|(playlist, priority)| Assignment { playlist: PlaylistId(playlist), priority });
        let settings = (any::<u64>(), 0u8..=95, any::<bool>(), any::<bool>());
        let last = (any::<u64>(), any::<u32>(), any::<u32>(), any::<u32>());
        (0u128..u128::MAX >> 8, settings, last, prop::collection::vec(assignment, 0..4)).prop_map(
            move |(relationship, settings, last, assignments)| Partnership {
                relationship: Guid(relationship << 8 | (number as u128 + 1)),
                device: DeviceId(device.clone()),
                owner: (number / 16) as u32,
                index: PartnershipIndex::new((number % 16) as u8 + 1).unwrap(),
                created: settings.0,
                percent_space_reserved: settings.1,
                sync_on_connect: settings.2,
                auto_sync_default_rules: settings.3,
                verify: settings.3,
                removing: settings.2,
                last_sync: LastSync {
                    time: last.0,
                    error_count: last.1,
                    no_fit_count: last.2,
                    item_count: last.3,
                    change_count: last.3 / 2,
                },
                assignments,
                history: any_history(settings.0, last.1),
            },
        )
    }

    /// Up to 20 devices and as many partnerships, all of which keep the rules.
    pub(crate) fn any_partnerships() -> impl Strategy<Value = Partnerships> {
        (prop::collection::btree_set(any::<String>(), 0..20), any::<u8>()).prop_flat_map(
            |(ids, partnered)| {
                let devices: Vec<_> = ids.iter().cloned().map(any_device).collect();
                let count = ids.len().min(usize::from(partnered));
                let partnerships: Vec<_> =
                    ids.into_iter().take(count).enumerate().map(|(at, id)| any_partnership(at, id)).collect();
                (devices, partnerships).prop_map(|(devices, partnerships)| Partnerships {
                    ended: vec![Guid(5)],
                    devices,
                    partnerships,
                })
            },
        )
    }

    /// Partnerships of user 1000 that keep the rules, one for each of the devices `d1` to `dN`.
    pub(crate) fn sample(count: u8) -> Partnerships {
        let partnership = |number: u8| Partnership {
            relationship: Guid(u128::from(number)),
            device: DeviceId(format!("d{number}")),
            owner: 1000,
            index: PartnershipIndex::new(number).unwrap(),
            created: 1,
            percent_space_reserved: 5,
            sync_on_connect: true,
            auto_sync_default_rules: false,
            verify: false,
            removing: false,
            last_sync: LastSync::default(),
            assignments: vec![Assignment { playlist: PlaylistId("p".to_owned()), priority: 1 }],
            history: Vec::new(),
        };
        Partnerships { partnerships: (1..=count).map(partnership).collect(), ..Partnerships::default() }
    }

    #[test]
    fn each_rule_is_held_and_its_breach_is_named() {
        assert_eq!(partnerships(&sample(16)), Ok(()));
        let breach = |change: fn(&mut Vec<Partnership>)| {
            let mut content = sample(3);
            change(&mut content.partnerships);
            partnerships(&content).unwrap_err()
        };
        assert!(breach(|all| all[1].index = all[0].index).contains("index 1"));
        assert!(breach(|all| all[1].device = all[0].device.clone()).contains("d1"));
        assert!(breach(|all| all[1].relationship = all[0].relationship).contains(&Guid(1).to_string()));
        assert!(breach(|all| all[1].relationship = Guid::ZERO).contains("d2"));
        assert!(breach(|all| all[2].percent_space_reserved = 96).contains("96"));
        assert!(breach(|all| all[2].assignments[0].priority = 0).contains("priority 0"));
    }

    #[test]
    fn two_owners_may_use_the_same_index() {
        let mut content = sample(2);
        content.partnerships[1].index = content.partnerships[0].index;
        content.partnerships[1].owner = 1001;
        assert_eq!(partnerships(&content), Ok(()));
    }
}
