//! Bytes as they may come off the bus, read as every answer of a provider and checked as the remote player does: for a
//! fuzzer alone, in whose builds alone it is.

use super::answers::{self, Properties};
use super::offer::Offer;
use super::parameters::Parameters;
use super::{announcement, control, introspection, mark};
use serde::Deserialize;
use zbus::names::OwnedBusName;
use zbus::wire::serialized::{Context, Data};
use zbus::wire::{LE, Type};
use zbus::{OwnedObjectPath, OwnedVariant};

const ROOT: &str = "/org/example/Players";

/// Reads one answer; the first byte says of which kind.
///
/// # Panics
/// When what was let through can't be.
pub fn read_any_answer(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 13 {
        0 => body(bytes).map_or((), |told: Properties| check_entry(&told)),
        1 => {
            let page: Vec<(OwnedObjectPath, Properties)> = body(bytes).unwrap_or_default();
            let (objects, told): (Vec<_>, Vec<_>) = page.into_iter().unzip();
            check_paths(objects);
            told.iter().for_each(check_entry);
        }
        2 => check_paths(body(bytes).unwrap_or_default()),
        3 => {
            let names = answers::names(body(bytes).unwrap_or_default()).unwrap_or_default();
            assert!(names.len() <= 1024 && names.iter().all(|name| name.len() <= 128));
        }
        4 => {
            let formats = body::<OwnedVariant>(bytes).and_then(|value| answers::formats(value).ok());
            assert!(formats.unwrap_or_default().len() <= 1024);
        }
        5 => drop(answers::takes_format(&body::<Vec<Properties>>(bytes).unwrap_or_default())),
        6 => {
            let (document, storage) =
                (body::<String>(bytes).unwrap_or_default(), "org.tandemd.Provider1.Storage");
            let has = introspection::has_method(&document, (storage, "Insert"));
            assert!(has != Ok(true) || introspection::has_interface(&document, storage) == Ok(true));
        }
        7 => {
            let mark = mark::parse(&body::<String>(bytes).unwrap_or_default());
            assert!(mark.is_none_or(|known| mark::parse(&mark::text(known)) == Some(known)));
        }
        8 => drop(control::can_synchronize(&body::<Vec<u8>>(bytes).unwrap_or_default())),
        9 => body(bytes).map_or((), |told: Properties| check_storage(&told)),
        10 => body(bytes).map_or((), |told: Properties| check_announcement(&told)),
        11 => drop(Parameters::from_options(&body(bytes).unwrap_or_default())),
        _ => {
            let told = control::changed_items(&body::<Vec<u8>>(bytes).unwrap_or_default());
            let told = told.map(|told| [told.changed, told.deleted].concat()).unwrap_or_default();
            assert!(told.iter().all(|path| path.split('/').all(answers::is_name)));
        }
    }
}

/// The bytes as the body of a message, if they are one.
fn body<T: Type + for<'d> Deserialize<'d>>(bytes: &[u8]) -> Option<T> {
    Data::new(bytes, Context::new(LE, 0)).deserialize().ok().map(|(value, _)| value)
}

fn check_paths(objects: Vec<OwnedObjectPath>) {
    let paths = answers::paths(objects, ROOT, answers::PAGE as usize).unwrap_or_default();
    assert!(paths.iter().all(|path| path.starts_with("/org/example/Players/")));
}

fn check_entry(told: &Properties) {
    let Ok(entry) = answers::entry(told) else { return };
    assert!(i64::try_from(entry.facts.size).is_ok() && (!entry.is_folder || entry.facts.size == 0));
    assert!(entry.name.len() <= 1024 && entry.persistent_id.len() <= 1024);
    assert!(!answers::is_name(&entry.name) || !entry.name.contains('/'));
}

fn check_storage(told: &Properties) {
    let _ = answers::is_read_only(told);
    assert!(
        answers::space(told).is_ok_and(|space| space.free <= space.total) || answers::space(told).is_err()
    );
    let name = answers::text(told, "Name").unwrap_or_default();
    assert!(name.chars().count() <= 128 && !name.chars().any(char::is_control));
}

fn check_announcement(told: &Properties) {
    let bus_name =
        OwnedBusName::try_from("org.example.Players").expect("three parts of letters are a bus name");
    let root = OwnedObjectPath::try_from(ROOT).expect("parts of letters are an object path");
    let offer = Offer { name: "Players".to_owned(), bus_name, root, parameters: Parameters::default() };
    let Ok(arrival) = announcement::arrival(&offer, told) else { return };
    let id = arrival.description.id.0;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    assert!(
        id.starts_with("provider-org.example.Players-") && id.len() < 200 && id.chars().all(legal),
        "{id}"
    );
}
