//! Players that nobody has seen: a profile with abilities, formats, properties, storages and habits taken away, added and
//! changed as a seed decides.
//!
//! It must make players that tell the truth: what harms whoever believes it is for the tests of lies.

use crate::reference::{Outcome, reference};
use crate::shelf::Pool;
use serde_json::{Value, json};
use std::io::Write;
use std::sync::Arc;

/// Tracks of a mutant's synchronisation.
pub const TRACKS: usize = 8;

/// What a player does without losing what a synchronisation needs.
const HABITS: [&str; 25] = [
    "split-header",
    "no-zero-length-packet",
    "extra-byte",
    "spurious-empty-packet",
    "glued-response",
    "junk-data-headers",
    "cancel-stalls",
    "cancel-silent",
    "no-class-requests",
    "handles-change",
    "partial-kept",
    "name-taken",
    "zero-lists-root",
    "zero-lists-whole-store",
    "zero-refused",
    "root-parent-is-storage",
    "property-list-loses",
    "no-deep-lists",
    "no-format-filter",
    "forgets-device-properties",
    "locked-until-allowed",
    "locked-until-allowed-in-place",
    "garbage-os-string",
    "store-full-late",
    "session-first",
];

/// Operations that some players know and others don't, and of those that none lacks, a few.
const OPERATIONS: [u16; 27] = [
    0x1006, 0x1009, 0x100B, 0x100C, 0x100D, 0x1012, 0x1014, 0x1015, 0x1016, 0x1017, 0x1019, 0x101A, 0x101B,
    0x9801, 0x9802, 0x9803, 0x9804, 0x9805, 0x9806, 0x9807, 0x9808, 0x9810, 0x9811, 0x95C1, 0x95C4, 0x9201,
    0x1007,
];

/// Formats: of any kind, sound, pictures, albums and playlists.
const FORMATS: [u16; 22] = [
    0x3000, 0x3001, 0x3008, 0x3009, 0x3801, 0xB900, 0xB901, 0xB902, 0xB903, 0xB906, 0xB982, 0xB215, 0xBA03,
    0xBA05, 0xBA09, 0xBA10, 0xBA11, 0xBA14, 0xB981, 0x300B, 0x3004, 0x3005,
];

const CLASSES: [&str; 6] =
    ["aosp-android", "sony-xperia", "playsforsure", "gadget", "nokia", "a class of its own"];

const EXTENSIONS: [&str; 5] = [
    "",
    "microsoft.com: 1.0; android.com: 1.0;",
    "microsoft.com/WMPPD: 11.0",
    "sony.net/WMFU: 1.0;",
    "microsoft.com/WPDNA: 1.0; microsoft.com: WMPPD10.0;",
];

/// Numbers that a seed decides (SplitMix64).
struct Random(u64);

impl Random {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.word() % end.max(1) as u64).expect("it is below a usize")
    }

    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// One of these profiles, and it changed, as the seed decides both.
///
/// # Panics
/// When there is no profile, or one isn't JSON.
#[must_use]
pub fn mutant<'a>(profiles: &[&'a str], seed: u64) -> (&'a str, String) {
    let random = &mut Random(seed);
    let profile = random.of(profiles);
    let mut value: Value = serde_json::from_str(profile).expect("profiles are JSON");
    let changes = 1 + random.below(6);
    for _ in 0..changes {
        match random.below(9) {
            0 | 1 => operations(&mut value, random),
            2 => formats(&mut value, random),
            3 => sets(&mut value, random),
            4 => properties(&mut value, random),
            5 => storages(&mut value, random),
            6 => device(&mut value, random),
            7 => habits(&mut value, random),
            _ => missing(&mut value, random),
        }
    }
    (profile, value.to_string())
}

/// Synchronises with a mutant of one of these profiles, which the seed chooses as well. The pool has a track more than
/// [`TRACKS`].
///
/// # Panics
/// When the temporary directory can't be written.
pub async fn stranger(profiles: &[&str], seed: u64, pool: &Arc<Pool>) -> Outcome {
    let (_, text) = mutant(profiles, seed);
    let file = tempfile::Builder::new().prefix("mutant-").suffix(".json").tempfile();
    let mut file = file.expect("the temporary directory can be written");
    file.write_all(text.as_bytes()).expect("the temporary directory can be written");
    let path = file.path().to_str().expect("the name is of our own making");
    reference(path, &text, pool, TRACKS).await
}

/// Takes out what the seed says, or puts it in.
fn toggle(list: &mut Value, random: &mut Random, is_it: impl Fn(&Value) -> bool, made: Value) {
    let Some(list) = list.as_array_mut() else { return };
    let before = list.len();
    list.retain(|item| !is_it(item));
    if list.len() == before {
        list.insert(random.below(before + 1), made);
    }
}

/// What a list of the profile holds; nothing where it has no such list.
fn each<'a>(profile: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    profile.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten()
}

fn operations(value: &mut Value, random: &mut Random) {
    for _ in 0..=random.below(6) {
        let code = random.of(&OPERATIONS);
        // what a synchronisation can't do without goes rarely, or nearly every player would be refused
        if [0x100C, 0x100D, 0x1007, 0x1009, 0x100B].contains(&code) && !random.once_in(8) {
            continue;
        }
        let Some(list) = value["device_info"].get_mut("operations") else { return };
        toggle(list, random, |item| item.as_u64() == Some(u64::from(code)), json!(code));
    }
}

fn formats(value: &mut Value, random: &mut Random) {
    let sets = value["property_sets"].as_array().map_or(0, Vec::len);
    for _ in 0..=random.below(8) {
        let code = random.of(&FORMATS);
        let made = if sets == 0 || random.once_in(3) {
            json!({ "code": code })
        } else {
            json!({ "code": code, "properties": random.below(sets) })
        };
        let is = |item: &Value| item["code"].as_u64() == Some(u64::from(code));
        let Some(list) = value.get_mut("formats") else { return };
        toggle(list, random, is, made);
    }
}

/// Which properties objects of a format have.
fn sets(value: &mut Value, random: &mut Random) {
    let count = value["props"].as_array().map_or(0, Vec::len);
    for set in each(value, "property_sets") {
        for _ in 0..random.below(4) {
            let index = random.below(count);
            if count > 0 {
                toggle(set, random, |item| item.as_u64() == Some(index as u64), json!(index));
            }
        }
    }
}

fn properties(value: &mut Value, random: &mut Random) {
    for property in each(value, "props") {
        if !random.once_in(4) {
            continue;
        }
        match random.below(4) {
            0 => {
                let was = property["access"].as_str() == Some("get/set");
                property["access"] = json!(if was { "get" } else { "get/set" });
            }
            1 => drop(property.as_object_mut().map(|property| property.remove("type"))),
            2 => drop(property.as_object_mut().map(|property| property.remove("access"))),
            _ => {
                // a name or a date that is one of a few can't be told to any player
                let kinds = ["any", "regex", "long_string", "byte_array"];
                property["form"] = json!(random.of(&kinds));
            }
        }
    }
}

fn storages(value: &mut Value, random: &mut Random) {
    let Some(storages) = value.get_mut("storages").and_then(Value::as_array_mut) else { return };
    if random.once_in(2) {
        let number = storages.len() as u64 + 1;
        let capacity = random.of(&[1u64 << 20, 1 << 27, 1 << 31, 1 << 40]);
        storages.push(json!({
            "id": (number << 16) + u64::from(!random.once_in(4)),
            "type": random.of(&[1, 3, 4, 0]),
            "access": random.of(&[0, 0, 1, 2]),
            "capacity": capacity,
            "free_bytes": capacity / random.of(&[1, 2, 100]),
        }));
    }
    for storage in storages {
        match random.below(12) {
            0 => storage["access"] = json!(random.of(&[0, 1, 2])),
            1 => drop(storage.as_object_mut().map(|storage| storage.remove("access"))),
            2 => drop(storage.as_object_mut().map(|storage| storage.remove("volume"))),
            3 => storage["volume"] = json!("the same on each"),
            4 => storage["free_objects"] = json!(random.of(&[0u32, 1, u32::MAX])),
            5 => drop(storage.as_object_mut().map(|storage| storage.remove("free_bytes"))),
            6 => storage["filesystem"] = json!(random.of(&[0, 1, 2, 3])),
            _ => {}
        }
    }
}

fn device(value: &mut Value, random: &mut Random) {
    match random.below(6) {
        0 => value["device_info"]["vendor_extension_desc"] = json!(random.of(&EXTENSIONS)),
        1 => value["class"] = json!(random.of(&CLASSES)),
        2 => {
            let code = random.of(&[0x5001_u16, 0xD401, 0xD402, 0xD406, 0xD407]);
            let is = |item: &Value| item["code"].as_u64() == Some(u64::from(code));
            if let Some(list) = value["device_info"].get_mut("device_properties") {
                toggle(list, random, is, json!({ "code": code }));
            }
        }
        3 => value["usb"]["in_maxpacket"] = json!(random.of(&[8, 64, 512, 1024])),
        4 => value["sync_partner"] = json!(random.of(&["Longhorn Sync Engine", "\u{4d49}\u{5243}", "{}"])),
        _ => value["object_size_bits"] = json!(random.of(&[32, 64])),
    }
}

fn habits(value: &mut Value, random: &mut Random) {
    if !value["habits"].is_array() {
        value["habits"] = json!([]);
    }
    for _ in 0..=random.below(3) {
        let habit = random.of(&HABITS);
        toggle(&mut value["habits"], random, |item| item.as_str() == Some(habit), json!(habit));
    }
}

/// A profile may leave out nearly everything.
fn missing(value: &mut Value, random: &mut Random) {
    let keys =
        ["class", "usb", "ms_os", "object_size_bits", "friendly_name", "sync_partner", "battery", "habits"];
    let key = random.of(&keys);
    if let Some(value) = value.as_object_mut() {
        value.remove(key);
    }
    let keys =
        ["manufacturer", "model", "version", "serial", "vendor_extension_id", "events", "device_properties"];
    let key = random.of(&keys);
    if let Some(info) = value["device_info"].as_object_mut() {
        info.remove(key);
    }
}
