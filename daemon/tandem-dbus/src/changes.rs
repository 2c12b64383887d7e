//! What of a device was announced last, and what is to be announced now: a pure difference of property values, with
//! the pace of those that move during a run.
//!
//! No clock is read here, and nothing is sent.

use crate::message::presentable;
use dbus_interfaces::names::{NO_BATTERY_LEVEL, NO_OWNER};
use std::time::Duration;
use tandem_model::snapshot::Snapshot;
use tokio::time::Instant;
use zbus::Variant;

/// How far apart announcements of moving values are at least.
const PACE: Duration = Duration::from_millis(250);

/// How a property's change is announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// At once.
    Prompt,
    /// At most four times a second.
    Paced,
    /// As `Paced`, and without its value, which isn't everybody's.
    Hidden,
}

/// Properties that can change, with their values, always in this order.
fn values(snapshot: &Snapshot) -> [(&'static str, Manner, Variant<'static>); 34] {
    use Manner::{Hidden, Paced, Prompt};
    let text = |text: &str| Variant::from(text.to_owned());
    let description = &snapshot.description;
    [
        ("DeviceName", Prompt, text(&description.name)),
        ("FriendlyName", Prompt, text(&snapshot.friendly_name)),
        ("Manufacturer", Prompt, text(&description.manufacturer)),
        ("Model", Prompt, text(&description.model)),
        ("SerialNumber", Prompt, text(&description.serial_number)),
        ("Firmware", Prompt, text(&description.firmware)),
        ("Connected", Prompt, Variant::from(snapshot.connected)),
        ("Status", Prompt, text(snapshot.status.as_str())),
        ("ManualReason", Prompt, Variant::from(manual_reason(snapshot))),
        ("PartnershipIndex", Prompt, Variant::from(partnership_index(snapshot))),
        ("PartnershipOwner", Prompt, Variant::from(partnership_owner(snapshot))),
        ("SyncState", Prompt, text(snapshot.sync_state.as_str())),
        ("Progress", Paced, Variant::from(u32::from(snapshot.progress))),
        ("CurrentItem", Hidden, text(current_item(snapshot))),
        ("BytesDone", Paced, Variant::from(snapshot.bytes_done)),
        ("BytesTotal", Paced, Variant::from(snapshot.bytes_total)),
        ("Rate", Paced, Variant::from(snapshot.rate)),
        ("ExpectedEndTime", Paced, Variant::from(snapshot.expected_end)),
        ("SafeToRemove", Prompt, Variant::from(snapshot.safe_to_remove)),
        ("TotalSpace", Prompt, Variant::from(snapshot.total_space)),
        ("FreeSpace", Paced, Variant::from(snapshot.free_space)),
        ("BatteryLevel", Prompt, Variant::from(battery_level(snapshot))),
        ("PercentSpaceReserved", Prompt, Variant::from(u32::from(snapshot.percent_space_reserved))),
        ("SyncOnConnect", Prompt, Variant::from(snapshot.sync_on_connect)),
        ("LastSyncTime", Prompt, Variant::from(snapshot.last_sync.time)),
        ("LastSyncErrorCount", Prompt, Variant::from(snapshot.last_sync.error_count)),
        ("LastSyncNoFitCount", Prompt, Variant::from(snapshot.last_sync.no_fit_count)),
        ("LastSyncChangeCount", Prompt, Variant::from(snapshot.last_sync.change_count)),
        ("SyncItemCount", Prompt, Variant::from(snapshot.last_sync.item_count)),
        ("HasSkippedFiles", Prompt, Variant::from(snapshot.has_skipped_files)),
        ("SupportsAudio", Prompt, Variant::from(snapshot.supports_audio)),
        ("SupportsVideo", Prompt, Variant::from(snapshot.supports_video)),
        ("SupportsPhoto", Prompt, Variant::from(snapshot.supports_photo)),
        ("Formats", Prompt, Variant::from(snapshot.formats.clone())),
    ]
}

/// `ManualReason`.
pub(crate) fn manual_reason(snapshot: &Snapshot) -> String {
    snapshot.manual.as_deref().map(presentable).unwrap_or_default()
}

/// `PartnershipIndex`.
pub(crate) fn partnership_index(snapshot: &Snapshot) -> u32 {
    snapshot.partnership.map_or(0, |(index, _)| u32::from(index.get()))
}

/// `PartnershipOwner`.
pub(crate) fn partnership_owner(snapshot: &Snapshot) -> u32 {
    snapshot.partnership.map_or(NO_OWNER, |(_, owner)| owner)
}

/// `BatteryLevel`.
pub(crate) fn battery_level(snapshot: &Snapshot) -> u32 {
    snapshot.battery_level.map_or(NO_BATTERY_LEVEL, u32::from)
}

/// `CurrentItem`, as the owner sees it.
pub(crate) fn current_item(snapshot: &Snapshot) -> &str {
    snapshot.current_item.as_ref().map_or("", |media| &media.0)
}

/// One `PropertiesChanged`.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Changes {
    /// Properties with their new values.
    pub(crate) changed: Vec<(&'static str, Variant<'static>)>,
    /// Properties whose value isn't sent.
    pub(crate) invalidated: Vec<&'static str>,
}

impl Changes {
    /// Whether there is nothing to announce.
    pub(crate) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.invalidated.is_empty()
    }
}

/// A device's announcements: what was sent last, and when moving values may be sent again.
#[derive(Debug)]
pub(crate) struct Announced {
    values: [(&'static str, Manner, Variant<'static>); 34],
    /// When a moving value was sent last.
    paced_at: Option<Instant>,
    /// When what is held back is due; `None`: nothing is.
    due: Option<Instant>,
}

impl Announced {
    /// A device whose object shows this snapshot from now on.
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        Self { values: values(snapshot), paced_at: None, due: None }
    }

    /// When to ask again, because something is held back.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// What is to be announced now. With `urgent`, nothing is held back: an event that follows tells of it.
    pub(crate) fn update(&mut self, snapshot: &Snapshot, now: Instant, urgent: bool) -> Changes {
        let open = urgent || self.paced_at.is_none_or(|last| now >= last + PACE);
        let mut changes = Changes::default();
        let mut held = false;
        for (known, new) in self.values.iter_mut().zip(values(snapshot)) {
            if known.2 == new.2 {
                continue;
            }
            if known.1 != Manner::Prompt {
                if !open {
                    held = true;
                    continue;
                }
                self.paced_at = Some(now);
            }
            if new.1 == Manner::Hidden {
                changes.invalidated.push(new.0);
            } else if let Ok(value) = new.2.try_clone() {
                changes.changed.push((new.0, value));
            }
            *known = new;
        }
        self.due = if held { self.paced_at.map(|last| last + PACE) } else { None };
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tandem_model::device::{DeviceDescription, Kind, SyncState};
    use tandem_model::id::{DeviceId, MediaUri};

    fn snapshot() -> Snapshot {
        Snapshot::absent(DeviceDescription::named(
            DeviceId("a".to_owned()),
            Kind::Folder,
            "Walkman".to_owned(),
        ))
    }

    fn names(changes: &Changes) -> Vec<&'static str> {
        changes.changed.iter().map(|(name, _)| *name).chain(changes.invalidated.iter().copied()).collect()
    }

    #[test]
    fn every_property_that_may_change_is_watched() {
        let node = zbus_xml::Node::from_reader(dbus_interfaces::xml::DEVICE.as_bytes()).unwrap();
        let constant =
            |property: &zbus_xml::Property<'_>| property.annotations().iter().any(|a| a.value() == "const");
        let mut expected: Vec<_> = node.interfaces()[0]
            .properties()
            .filter(|property| !constant(property))
            .map(|property| (property.name().to_string(), property.ty().to_string()))
            .collect();
        let mut found: Vec<_> = values(&snapshot())
            .iter()
            .map(|(name, _, v)| ((*name).to_owned(), v.value_signature().to_string()))
            .collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn all_changes_go_out_together_and_the_current_item_without_its_value() {
        let mut new = snapshot();
        let mut announced = Announced::new(&new);
        let now = Instant::now();
        assert!(announced.update(&new, now, true).is_empty());
        new.sync_state = SyncState::Synchronizing;
        new.safe_to_remove = false;
        new.progress = 1;
        new.current_item = Some(MediaUri("file:///secret.flac".into()));
        let changes = announced.update(&new, now, false);
        assert_eq!(names(&changes), ["SyncState", "Progress", "SafeToRemove", "CurrentItem"]);
        assert_eq!(changes.invalidated, ["CurrentItem"]);
        assert!(!format!("{changes:?}").contains("secret"));
    }

    #[test]
    fn moving_values_wait_for_their_pace_and_others_do_not() {
        let mut new = snapshot();
        let mut announced = Announced::new(&new);
        let start = Instant::now();
        new.progress = 1;
        assert_eq!(names(&announced.update(&new, start, false)), ["Progress"]);
        assert_eq!(announced.due(), None);
        new.progress = 2;
        new.friendly_name = "Mine".to_owned();
        assert_eq!(names(&announced.update(&new, start + PACE / 2, false)), ["FriendlyName"]);
        assert_eq!(announced.due(), Some(start + PACE));
        assert_eq!(names(&announced.update(&new, start + PACE, false)), ["Progress"]);
        assert_eq!(announced.due(), None);
        new.progress = 100;
        assert_eq!(
            names(&announced.update(&new, start + PACE, true)),
            ["Progress"],
            "an event holds nothing back"
        );
    }

    #[test]
    fn a_battery_that_is_not_known_is_told_as_no_percentage() {
        let mut new = snapshot();
        let mut announced = Announced::new(&new);
        new.battery_level = Some(80);
        let changes = announced.update(&new, Instant::now(), false);
        assert_eq!(changes.changed, [("BatteryLevel", Variant::from(80u32))]);
        new.battery_level = None;
        let changes = announced.update(&new, Instant::now(), false);
        assert_eq!(changes.changed, [("BatteryLevel", Variant::from(u32::MAX))]);
    }

    #[test]
    fn what_a_device_lacks_is_announced_on_one_line() {
        let mut new = snapshot();
        let mut announced = Announced::new(&new);
        new.manual = Some("`Players\n\u{1b}[2J` is not on the bus".to_owned());
        let changes = announced.update(&new, Instant::now(), false);
        let told = Variant::from(r"`Players\n\u{1b}[2J` is not on the bus");
        assert_eq!(changes.changed, [("ManualReason", told)]);
    }

    #[test]
    fn what_went_back_while_held_is_not_announced() {
        let mut new = snapshot();
        let mut announced = Announced::new(&new);
        let start = Instant::now();
        new.rate = 5;
        announced.update(&new, start, false);
        new.rate = 6;
        announced.update(&new, start, false);
        new.rate = 5;
        assert!(announced.update(&new, start + PACE, false).is_empty());
        assert_eq!(announced.due(), None);
    }

    proptest! {
        #[test]
        fn moving_values_are_announced_at_most_four_times_a_second(steps in prop::collection::vec((0u64..400, any::<u8>()), 1..60)) {
            let mut new = snapshot();
            let mut announced = Announced::new(&new);
            let mut now = Instant::now();
            let mut sent: Vec<Instant> = Vec::new();
            for (milliseconds, progress) in steps {
                now += Duration::from_millis(milliseconds);
                new.progress = progress;
                if !announced.update(&new, now, false).is_empty() {
                    prop_assert!(sent.last().is_none_or(|last| now - *last >= PACE));
                    sent.push(now);
                }
            }
            if let Some(due) = announced.due() {
                announced.update(&new, due, false);
            }
            prop_assert!(announced.update(&new, now + PACE + PACE, true).is_empty(), "what was held went out when due");
        }
    }
}
