//! Remembers which devices were announced, and turns what is seen into arrivals and departures.
//!
//! Pure. Seeing the same thing twice, as happens when listing and listening overlap, announces it once.

use crate::classify::{Ignored, classify};
use crate::facts::{BlockFacts, UsbDeviceFacts};
use crate::usb::{Answer, Classified, Verdict, classify_usb};
use std::collections::BTreeMap;
use tandem_model::presence::{Arrival, Presence};

/// What is told of a device.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it lives no longer than its sighting")]
pub(crate) enum Facts {
    /// A block device.
    Block(BlockFacts),
    /// A USB device, and what it has answered, if it was asked.
    Usb(UsbDeviceFacts, Option<Answer>),
}

impl Facts {
    pub(crate) fn syspath(&self) -> &str {
        match self {
            Self::Block(facts) => &facts.syspath,
            Self::Usb(facts, _) => &facts.syspath,
        }
    }

    /// What it is; nothing, after saying why, when it is left alone.
    fn arrival(&self) -> Option<Arrival> {
        match self {
            Self::Block(facts) => {
                classify(facts).inspect_err(|reason| log_ignored(&facts.kernel_name, reason)).ok()
            }
            Self::Usb(facts, answer) => {
                let classified = classify_usb(facts, answer.as_ref());
                log_usb(&facts.usb.port, &classified);
                classified.arrival().cloned()
            }
        }
    }
}

/// What the monitor saw.
#[derive(Debug)]
pub(crate) enum Sighting {
    /// All devices there are.
    All(Vec<Facts>),
    /// One that came or changed.
    One(Box<Facts>),
    /// The one with this syspath went; nothing else is known of it any more.
    Gone(String),
}

/// The announced devices by syspath.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    announced: BTreeMap<String, Arrival>,
}

impl Tracker {
    /// What is to be announced now.
    pub(crate) fn see(&mut self, sighting: Sighting) -> Vec<Presence> {
        match sighting {
            Sighting::One(facts) => self.one(&facts),
            Sighting::Gone(syspath) => self.gone(&syspath).into_iter().collect(),
            Sighting::All(all) => {
                let is_there = |syspath: &String| all.iter().any(|facts| facts.syspath() == syspath);
                let missing: Vec<String> =
                    self.announced.keys().filter(|path| !is_there(path)).cloned().collect();
                let mut changes: Vec<Presence> = missing.iter().filter_map(|path| self.gone(path)).collect();
                changes.extend(all.iter().flat_map(|facts| self.one(facts)).collect::<Vec<_>>());
                changes
            }
        }
    }

    fn one(&mut self, facts: &Facts) -> Vec<Presence> {
        let Some(arrival) = facts.arrival() else {
            return self.gone(facts.syspath()).into_iter().collect();
        };
        // a new label alone is no reason to end what is being done with the device
        let same =
            |old: &Arrival| old.description.id == arrival.description.id && old.locator == arrival.locator;
        if self.announced.get(&arrival.key).is_some_and(same) {
            return Vec::new();
        }
        let departure = self.gone(&arrival.key);
        self.announced.insert(arrival.key.clone(), arrival.clone());
        departure.into_iter().chain([Presence::Arrived(arrival)]).collect()
    }

    fn gone(&mut self, syspath: &str) -> Option<Presence> {
        self.announced.remove(syspath).map(|arrival| Presence::Departed(arrival.key))
    }
}

fn log_usb(port: &str, classified: &Classified) {
    let Classified { verdict, because } = classified;
    match verdict {
        Verdict::Mtp(_) => tracing::debug!(port, "a USB device speaks MTP: {because}"),
        Verdict::Provider(_) => tracing::debug!(port, "a USB device is for a service provider: {because}"),
        // the ordinary case, as below
        Verdict::MassStorage | Verdict::Ask | Verdict::LeftAlone => {
            tracing::trace!(port, "a USB device is left alone: {because}");
        }
    }
}

fn log_ignored(name: &str, reason: &Ignored) {
    // the ordinary case on any machine isn't worth a line for each of its disks
    if *reason == Ignored::NotPortable {
        tracing::trace!(name, "a block device is left alone: {reason}");
    } else {
        tracing::debug!(name, "a block device is left alone: {reason}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::UsbFacts;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn stick(place: u8, uuid: &str) -> BlockFacts {
        BlockFacts {
            syspath: format!("/sys/devices/{place}"),
            kernel_name: format!("sd{place}"),
            node: Some(format!("/dev/sd{place}").into()),
            file_system_usage: "filesystem".to_owned(),
            file_system_uuid: uuid.to_owned(),
            usb: Some(UsbFacts::default()),
            ..BlockFacts::default()
        }
    }

    fn one(facts: BlockFacts) -> Sighting {
        Sighting::One(Box::new(Facts::Block(facts)))
    }

    fn all(facts: Vec<BlockFacts>) -> Sighting {
        Sighting::All(facts.into_iter().map(Facts::Block).collect())
    }

    fn words(changes: &[Presence]) -> Vec<String> {
        let word = |change: &Presence| match change {
            Presence::Arrived(arrival) => format!("+{}", arrival.key.trim_start_matches("/sys/devices/")),
            Presence::Departed(key) => format!("-{}", key.trim_start_matches("/sys/devices/")),
            Presence::ProvidersChanged => unreachable!("hardware knows no providers"),
        };
        changes.iter().map(word).collect()
    }

    #[test]
    fn listing_and_listening_announce_once() {
        let mut tracker = Tracker::default();
        assert_eq!(words(&tracker.see(one(stick(1, "A")))), ["+1"]);
        assert_eq!(words(&tracker.see(all(vec![stick(1, "A"), stick(2, "B")]))), ["+2"]);
        assert_eq!(words(&tracker.see(one(stick(2, "B")))), [""; 0]);
        assert_eq!(words(&tracker.see(Sighting::Gone("/sys/devices/9".to_owned()))), [""; 0]);
        assert_eq!(words(&tracker.see(Sighting::Gone("/sys/devices/1".to_owned()))), ["-1"]);
        assert_eq!(words(&tracker.see(all(vec![stick(3, "C")]))), ["-2", "+3"]);
    }

    #[test]
    fn a_medium_that_is_taken_out_or_swapped_in_a_reader_departs() {
        let mut tracker = Tracker::default();
        assert_eq!(words(&tracker.see(one(stick(1, "A")))), ["+1"]);
        let empty = BlockFacts { file_system_usage: String::new(), ..stick(1, "") };
        assert_eq!(words(&tracker.see(one(empty))), ["-1"]);
        assert_eq!(words(&tracker.see(one(stick(1, "B")))), ["+1"]);
        assert_eq!(words(&tracker.see(one(stick(1, "C")))), ["-1", "+1"]);
        let relabelled = BlockFacts { file_system_label: "NEW".to_owned(), ..stick(1, "C") };
        assert_eq!(words(&tracker.see(one(relabelled))), [""; 0]);
    }

    proptest! {
        #[test]
        fn arrivals_and_departures_take_turns(steps in prop::collection::vec((0u8..3, 0u8..4, 0u8..3), 0..40)) {
            let mut tracker = Tracker::default();
            let mut present = BTreeSet::new();
            for (what, place, uuid) in steps {
                let facts = match uuid {
                    0 => BlockFacts { file_system_usage: "crypto".to_owned(), ..stick(place, "A") },
                    number => stick(place, &number.to_string()),
                };
                let sighting = match what {
                    0 => Sighting::Gone(facts.syspath),
                    1 => all(vec![facts]),
                    _ => one(facts),
                };
                for change in tracker.see(sighting) {
                    match change {
                        Presence::Arrived(arrival) => prop_assert!(present.insert(arrival.key)),
                        Presence::Departed(key) => prop_assert!(present.remove(&key)),
                        Presence::ProvidersChanged => prop_assert!(false, "hardware knows no providers"),
                    }
                }
            }
        }
    }
}
