//! What a provider answers, checked like what a device answers: paths below its own root, sizes that can be,
//! bounded counts, names that are names. Pure functions.
//!
//! An answer that can't be ends what was asked for it; it is never mended into one that can.

use super::fault::{Fault, told};
use std::collections::{HashMap, HashSet};
use tandem_model::path::DevicePath;
use tandem_model::player::{ObjectFacts, Space};
use zbus::{OwnedObjectPath, OwnedVariant, Variant};

/// Storages of a device at most.
pub(super) const MOST_STORAGES: usize = 64;
/// Objects that one call is asked for.
pub(super) const PAGE: u32 = 512;
/// Objects of one folder at most: file systems of players hold fewer.
pub(super) const MOST_IN_FOLDER: usize = 100_000;
/// Characters of a text that tells what a device is.
const MOST_IN_TEXT: usize = 128;
/// Bytes of an object path, of a persistent id, and of a name.
const MOST_IN_PATH: usize = 1024;
/// Properties, formats or configurations of a device at most.
const MOST_LISTED: usize = 1024;
/// What a file's size is rounded up to: a provider doesn't tell, and this is what large FAT file systems use.
const CLUSTER: u64 = 32 * 1024;

/// Properties by name.
pub(super) type Properties = HashMap<String, OwnedVariant>;

/// A storage that is a folder or a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) is_folder: bool,
    pub(super) facts: ObjectFacts,
    /// Empty where it has none.
    pub(super) persistent_id: String,
}

/// Metadata that tells what a file or folder is, by WMDM's names.
pub(super) const ENTRY: [&str; 5] =
    ["WMDM/FileName", "WMDM/FileAttributes", "WMDM/FileSize", "WMDM/PersistentUniqueID", LAST_MODIFIED];

/// When a file was changed, in seconds since 1970.
pub(super) const LAST_MODIFIED: &str = "WMDM/LastModifiedDate";

/// An object's path, if it lies below this root.
pub(super) fn path(path: OwnedObjectPath, root: &str) -> Result<OwnedObjectPath, Fault> {
    let inside = path
        .as_str()
        .strip_prefix(root.trim_end_matches('/'))
        .is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'));
    if path.len() > MOST_IN_PATH {
        return Err(Fault::Lie(format!("an object path of {} characters", path.len())));
    }
    if inside {
        Ok(path)
    } else {
        Err(Fault::Lie(format!("`{}`, which is not below its root `{root}`", told(&path))))
    }
}

/// Objects' paths: at most so many, each below this root and there once.
pub(super) fn paths(
    answer: Vec<OwnedObjectPath>,
    root: &str,
    most: usize,
) -> Result<Vec<OwnedObjectPath>, Fault> {
    if answer.len() > most {
        return Err(Fault::Lie(format!("{} objects, where at most {most} can be", answer.len())));
    }
    let checked: Vec<OwnedObjectPath> =
        answer.into_iter().map(|one| path(one, root)).collect::<Result<_, _>>()?;
    let different: HashSet<&str> = checked.iter().map(|one| one.as_str()).collect();
    if different.len() < checked.len() {
        return Err(Fault::Lie("the same object twice in one list".to_owned()));
    }
    Ok(checked)
}

/// What a playlist refers to: at most so much as a folder holds, each below this root; one may be there often.
pub(super) fn references(answer: Vec<OwnedObjectPath>, root: &str) -> Result<Vec<OwnedObjectPath>, Fault> {
    if answer.len() > MOST_IN_FOLDER {
        return Err(Fault::Lie(format!("{} objects in a playlist", answer.len())));
    }
    answer.into_iter().map(|one| path(one, root)).collect()
}

fn property<T: TryFrom<OwnedVariant>>(properties: &Properties, name: &str) -> Result<Option<T>, Fault> {
    let Some(value) = properties.get(name) else { return Ok(None) };
    let signature = value.value_signature().to_string();
    let value = value.try_clone().ok().and_then(|value| T::try_from(value).ok());
    value.map(Some).ok_or_else(|| Fault::Lie(format!("{name} of type `{}`", told(&signature))))
}

fn needed<T: TryFrom<OwnedVariant>>(properties: &Properties, name: &str) -> Result<T, Fault> {
    property(properties, name)?.ok_or_else(|| Fault::Lie(format!("an object without the property {name}")))
}

/// A size in bytes, as records can hold it.
pub(super) fn size(bytes: u64, of: &str) -> Result<u64, Fault> {
    if i64::try_from(bytes).is_ok() { Ok(bytes) } else { Err(Fault::Lie(format!("{bytes} bytes as {of}"))) }
}

/// A file or folder, from its metadata [`ENTRY`]. Its name may be one that no path of ours can have.
pub(super) fn entry(metadata: &Properties) -> Result<Entry, Fault> {
    let [name, attributes, file_size, id, modified] = ENTRY;
    let name: String = needed(metadata, name)?;
    if name.len() > MOST_IN_PATH {
        return Err(Fault::Lie(format!("a name of {} bytes", name.len())));
    }
    let attributes: Vec<String> = needed(metadata, attributes)?;
    let has = |wanted: &str| attributes.iter().take(MOST_LISTED).any(|attribute| attribute == wanted);
    let is_folder = has("folder");
    if !is_folder && !has("file") {
        return Err(Fault::Lie(format!("`{}`, which is neither `file` nor `folder`", told(&name))));
    }
    let facts = if is_folder {
        ObjectFacts { size: 0, modified_ns: 0 }
    } else {
        let size = size(needed(metadata, file_size)?, "a file's size")?;
        ObjectFacts { size, modified_ns: time(metadata, modified)? }
    };
    let persistent_id: String = property(metadata, id)?.unwrap_or_default();
    if persistent_id.len() > MOST_IN_PATH || persistent_id.chars().any(char::is_control) {
        return Err(Fault::Lie("a persistent id that is too long or holds control characters".to_owned()));
    }
    Ok(Entry { name, is_folder, facts, persistent_id })
}

/// Whether a root storage can't be written.
pub(super) fn is_read_only(properties: &Properties) -> Result<bool, Fault> {
    let attributes: Vec<String> = needed(properties, "Attributes")?;
    Ok(attributes.iter().take(MOST_LISTED).any(|attribute| attribute == "read-only"))
}

/// Space on a root storage.
pub(super) fn space(properties: &Properties) -> Result<Space, Fault> {
    let total = size(needed(properties, "TotalSize")?, "a storage's size")?;
    let free: u64 = needed(properties, "TotalFree")?;
    if free > total {
        return Err(Fault::Lie(format!("{free} bytes free on a storage of {total}")));
    }
    Ok(Space { total, free, cluster: CLUSTER, cluster_is_known: false, folder: None })
}

/// Whether something can be the name of a file or folder below one of ours.
pub(super) fn is_name(name: &str) -> bool {
    !name.contains('/') && DevicePath::parse(name).is_some()
}

/// A text that tells what a device is, cleaned and cut; empty where there is none.
pub(super) fn text(properties: &Properties, name: &str) -> Result<String, Fault> {
    let text: String = property(properties, name)?.unwrap_or_default();
    Ok(text.trim().chars().filter(|c| !c.is_control()).take(MOST_IN_TEXT).collect())
}

/// How full the device's battery is, in percent; `None` where that means nothing.
pub(super) fn battery_level(properties: &Properties) -> Option<u8> {
    let source: String = property(properties, "PowerSource").ok()??;
    let percent: u32 = property(properties, "BatteryPercent").ok()??;
    let tells = source == "battery" || source == "external";
    u8::try_from(percent).ok().filter(|percent| tells && *percent <= 100)
}

/// The names of device properties.
pub(super) fn names(answer: Vec<String>) -> Result<Vec<String>, Fault> {
    if answer.len() > MOST_LISTED || answer.iter().any(|name| name.len() > MOST_IN_TEXT) {
        return Err(Fault::Lie(format!("{} property names, or one that is too long", answer.len())));
    }
    Ok(answer)
}

/// Format codes, in whichever array of whole numbers.
pub(super) fn formats(answer: OwnedVariant) -> Result<Vec<u16>, Fault> {
    let signature = answer.value_signature().to_string();
    let Variant::Array(array) = &*answer else {
        return Err(Fault::Lie(format!("formats of type `{}`", told(&signature))));
    };
    if array.len() > MOST_LISTED {
        return Err(Fault::Lie(format!("{} formats", array.len())));
    }
    let code = |value: &Variant<'_>| whole(value).and_then(|code| u16::try_from(code).ok());
    let codes: Option<Vec<u16>> = array.iter().map(code).collect();
    codes.ok_or_else(|| Fault::Lie(format!("formats of type `{}`, or larger than 65535", told(&signature))))
}

/// Whether a list of configurations says that a format is taken: one is enough, unless there are more than
/// can be.
pub(super) fn takes_format(configurations: &[Properties]) -> Result<bool, Fault> {
    if configurations.len() > MOST_LISTED {
        return Err(Fault::Lie(format!("{} configurations of a format", configurations.len())));
    }
    Ok(!configurations.is_empty())
}

/// A whole number of whichever type.
fn whole(value: &Variant<'_>) -> Option<i64> {
    match value {
        Variant::U8(number) => Some(i64::from(*number)),
        Variant::U16(number) => Some(i64::from(*number)),
        Variant::I16(number) => Some(i64::from(*number)),
        Variant::U32(number) => Some(i64::from(*number)),
        Variant::I32(number) => Some(i64::from(*number)),
        Variant::I64(number) => Some(*number),
        Variant::U64(number) => i64::try_from(*number).ok(),
        _ => None,
    }
}

/// A time in seconds since 1970 among metadata, as nanoseconds; 0 where none is told.
pub(super) fn time(metadata: &Properties, name: &str) -> Result<i64, Fault> {
    let Some(value) = metadata.get(name) else { return Ok(0) };
    let seconds = whole(value).and_then(|seconds| seconds.checked_mul(1_000_000_000));
    seconds.ok_or_else(|| Fault::Lie(format!("{name} that is no time in seconds since 1970")))
}

/// Checks how much was said to be written or read of so much.
pub(super) fn moved(told: u64, wanted: u64, doing: &str) -> Result<(), Fault> {
    if told == wanted {
        Ok(())
    } else {
        Err(Fault::Lie(format!("that {told} bytes of {wanted} were {doing}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn object(text: &str) -> OwnedObjectPath {
        OwnedObjectPath::try_from(text).unwrap()
    }

    fn properties(pairs: Vec<(&str, Variant<'_>)>) -> Properties {
        pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), OwnedVariant::try_from(value).unwrap()))
            .collect()
    }

    fn file() -> Vec<(&'static str, Variant<'static>)> {
        vec![
            (ENTRY[0], Variant::from("a.mp3")),
            (ENTRY[1], Variant::from(vec!["file"])),
            (ENTRY[2], Variant::from(7u64)),
            (ENTRY[3], Variant::from("id")),
            (ENTRY[4], Variant::from(1_700_000_000u64)),
        ]
    }

    #[test]
    fn a_battery_counts_where_its_percentage_is_one() {
        let told = |source: Variant<'static>, percent: Variant<'static>| {
            battery_level(&properties(vec![("PowerSource", source), ("BatteryPercent", percent)]))
        };
        assert_eq!(told("battery".into(), 80u32.into()), Some(80));
        assert_eq!(told("external".into(), 100u32.into()), Some(100));
        assert_eq!(told("unknown".into(), 80u32.into()), None);
        assert_eq!(
            (told("battery".into(), 101u32.into()), told("battery".into(), u32::MAX.into())),
            (None, None)
        );
        assert_eq!((told("battery".into(), "80".into()), told(1u32.into(), 80u32.into())), (None, None));
        assert_eq!(battery_level(&properties(vec![("PowerSource", "battery".into())])), None);
    }

    #[test]
    fn objects_lie_below_the_providers_root() {
        let one = |text, root| path(object(text), root).is_ok();
        assert!(one("/org/example/Players/1", "/org/example/Players") && one("/a", "/"));
        for outside in ["/org/example/Players", "/org/example/Players2/1", "/org/example", "/"] {
            assert!(!one(outside, "/org/example/Players"), "{outside}");
        }
        assert!(!one("/", "/"));
        assert!(!one(&format!("/a/{}", "x".repeat(2000)), "/a"));
    }

    #[test]
    fn lists_are_bounded_and_name_nothing_twice() {
        let list = |texts: &[&str]| texts.iter().map(|text| object(text)).collect::<Vec<_>>();
        assert_eq!(paths(list(&["/a/1", "/a/2"]), "/a", 2).map(|paths| paths.len()), Ok(2));
        assert!(paths(list(&["/a/1", "/a/2"]), "/a", 1).is_err());
        assert!(paths(list(&["/a/1", "/a/1"]), "/a", 2).is_err());
        assert!(paths(list(&["/a/1", "/b/1"]), "/a", 2).is_err());
    }

    #[test]
    fn an_entry_has_a_name_a_kind_and_a_size() {
        let told = entry(&properties(file())).unwrap();
        assert_eq!((told.name.as_str(), told.is_folder, told.facts.size), ("a.mp3", false, 7));
        assert_eq!(told.facts.modified_ns, 1_700_000_000_000_000_000);
        for (at, wrong) in [
            (0, Variant::from(1u32)),
            (0, Variant::from("n".repeat(5000))),
            (1, Variant::from(Vec::<&str>::new())),
            (1, Variant::from("file")),
            (2, Variant::from(u64::MAX)),
            (2, Variant::from("7")),
            (3, Variant::from("\u{1}")),
            (4, Variant::from("yesterday")),
        ] {
            let mut pairs = file();
            pairs[at].1 = wrong;
            assert!(matches!(entry(&properties(pairs)), Err(Fault::Lie(_))), "{at}");
        }
        for missing in [0, 1, 2] {
            let mut pairs = file();
            pairs.remove(missing);
            assert!(matches!(entry(&properties(pairs)), Err(Fault::Lie(_))), "{missing}");
        }
        let mut both = file();
        both[1].1 = Variant::from(vec!["file", "folder", "hidden"]);
        let both = entry(&properties(both)).unwrap();
        assert!(both.is_folder && both.facts.size == 0, "the folder wins");
    }

    #[test]
    fn space_can_be() {
        let of = |total: u64, free: u64| {
            space(&properties(vec![("TotalSize", Variant::from(total)), ("TotalFree", Variant::from(free))]))
        };
        assert_eq!(of(10, 10).map(|space| (space.total, space.free)), Ok((10, 10)));
        assert!(of(10, 11).is_err() && of(u64::MAX, 0).is_err());
        assert!(space(&Properties::new()).is_err());
    }

    #[test]
    fn formats_and_times_come_in_any_whole_number() {
        let formats = |value: Variant<'_>| formats(OwnedVariant::try_from(value).unwrap());
        assert_eq!(formats(Variant::from(vec![0x3009u32, 0xB906])), Ok(vec![0x3009, 0xB906]));
        assert_eq!(formats(Variant::from(vec![0x3009u16])), Ok(vec![0x3009]));
        assert!(formats(Variant::from(vec![70_000u32])).is_err());
        assert!(formats(Variant::from(vec![1u32; 2000])).is_err() && formats(Variant::from("x")).is_err());
        let told = |value: Variant<'_>| time(&properties(vec![("T", value)]), "T");
        assert_eq!(told(Variant::from(2u64)), Ok(2_000_000_000));
        assert_eq!(told(Variant::from(-2i64)), Ok(-2_000_000_000));
        assert!(told(Variant::from(u64::MAX)).is_err() && told(Variant::from("2023")).is_err());
        assert_eq!(time(&Properties::new(), "T"), Ok(0));
    }

    fn any_value() -> impl Strategy<Value = OwnedVariant> {
        prop_oneof![
            any::<u64>().prop_map(Variant::from),
            any::<i32>().prop_map(Variant::from),
            ".*".prop_map(Variant::from),
            proptest::collection::vec(".{0,8}", 0..4).prop_map(Variant::from),
            proptest::collection::vec(any::<u32>(), 0..4).prop_map(Variant::from),
            any::<bool>().prop_map(Variant::from),
        ]
        .prop_map(|value| OwnedVariant::try_from(value).unwrap())
    }

    proptest! {
        #[test]
        fn any_properties_are_taken_or_refused(
            values in proptest::collection::vec(any_value(), 8),
            kept in proptest::collection::vec(any::<bool>(), 8),
        ) {
            let known = ENTRY.into_iter().chain(["TotalSize", "TotalFree", "Manufacturer"]);
            let pairs = known.zip(values).zip(kept).filter(|(_, kept)| *kept);
            let all: Properties = pairs.map(|((name, value), _)| (name.to_owned(), value)).collect();
            if let Ok(entry) = entry(&all) {
                prop_assert!(i64::try_from(entry.facts.size).is_ok());
                prop_assert!(!entry.is_folder || entry.facts.size == 0);
            }
            if let Ok(space) = space(&all) {
                prop_assert!(space.free <= space.total);
            }
            if let Ok(text) = text(&all, "Manufacturer") {
                prop_assert!(!text.chars().any(char::is_control));
            }
            let _ = (time(&all, LAST_MODIFIED), is_read_only(&all));
            for value in all.into_values() {
                let _ = formats(value);
            }
        }

        #[test]
        fn what_leads_out_of_the_root_is_refused(parts in proptest::collection::vec("[a-z]{1,3}", 1..5)) {
            let text = format!("/{}", parts.join("/"));
            let inside = text.starts_with("/a/");
            prop_assert_eq!(path(object(&text), "/a").is_ok(), inside);
        }
    }
}
