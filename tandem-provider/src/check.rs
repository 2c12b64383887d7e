//! What a caller may say: names, attributes, types of metadata. Pure; every refusal names the value.

use crate::device::{Entry, Kind, Metadata};
use dbus_interfaces::provider::Error;
use zbus::{OwnedVariant, Variant};

/// Metadata that the daemon knows, and the type of each; another name may have any type.
const TYPES: [(&str, &str); 18] = [
    ("WMDM/Title", "s"),
    ("WMDM/Author", "s"),
    ("WMDM/AlbumTitle", "s"),
    ("WMDM/AlbumArtist", "s"),
    ("WMDM/Genre", "s"),
    ("WMDM/Composer", "s"),
    ("WMDM/Year", "s"),
    ("WMDM/Track", "u"),
    ("WMDM/Duration", "t"),
    ("WMDM/Bitrate", "u"),
    ("WMDM/UserRating", "u"),
    ("WMDM/PlayCount", "u"),
    ("WMDM/FormatCode", "u"),
    ("WMDM/UserLastPlayTime", "t"),
    (MODIFIED, "t"),
    (FILE_NAME, "s"),
    (FILE_SIZE, "t"),
    (PERSISTENT_ID, "s"),
];

pub(crate) const MODIFIED: &str = "WMDM/LastModifiedDate";
const FILE_NAME: &str = "WMDM/FileName";
const FILE_SIZE: &str = "WMDM/FileSize";
const FILE_ATTRIBUTES: &str = "WMDM/FileAttributes";
const PERSISTENT_ID: &str = "WMDM/PersistentUniqueID";

/// What the device alone says.
const DEVICE_ALONE: [&str; 4] = [FILE_NAME, FILE_SIZE, FILE_ATTRIBUTES, PERSISTENT_ID];

/// A name that a storage can be given.
pub(crate) fn name(name: &str) -> Result<(), Error> {
    let wrong = match name {
        "" => "is empty",
        "." | ".." => "stands for a folder",
        _ if name.len() > 255 => "is longer than 255 bytes",
        _ if name.contains('/') => "has a `/`",
        _ if name.contains('\0') => "has a NUL",
        _ => return Ok(()),
    };
    Err(Error::InvalidArgument(format!("the name `{}` {wrong}", name.escape_default())))
}

/// What is to be made.
pub(crate) fn kind(attributes: &[String]) -> Result<Kind, Error> {
    let has = |word: &str| attributes.iter().any(|attribute| attribute == word);
    match (has("folder"), has("file")) {
        (true, false) => Ok(Kind::Folder),
        (false, true) => Ok(Kind::File),
        _ => Err(Error::InvalidArgument(format!(
            "the attributes {attributes:?} must have one of `folder` and `file`"
        ))),
    }
}

/// Metadata that a caller sets: of the types that the names have, and without what the device alone says.
pub(crate) fn metadata(mut metadata: Metadata) -> Result<Metadata, Error> {
    metadata.retain(|name, _| !DEVICE_ALONE.contains(&name.as_str()));
    for (name, value) in &metadata {
        let found = value.value_signature().to_string();
        if let Some((_, wanted)) = TYPES.iter().find(|(known, _)| known == name)
            && found != *wanted
        {
            return Err(Error::InvalidArgument(format!("`{name}` has type `{wanted}`, and not `{found}`")));
        }
    }
    Ok(metadata)
}

/// The modification time among metadata that was checked.
pub(crate) fn modified(metadata: &Metadata) -> Option<u64> {
    metadata.get(MODIFIED).and_then(|value| u64::try_from(&**value).ok())
}

/// A storage's attributes as words.
pub(crate) fn attributes(entry: &Entry) -> Vec<&'static str> {
    let kind = if entry.kind == Kind::File { "file" } else { "folder" };
    std::iter::once(kind).chain(entry.attributes.iter().copied()).collect()
}

/// A storage's size: a folder has none, whatever the device says.
pub(crate) fn size(entry: &Entry) -> u64 {
    if entry.kind == Kind::File { entry.size } else { 0 }
}

/// What of a storage's metadata was asked for: all of it when no names are given.
pub(crate) fn selected(entry: &Entry, mut metadata: Metadata, names: &[String]) -> Metadata {
    let mut insert = |name: &str, value: Variant<'_>| {
        // a value that holds no descriptor can be owned
        if let Ok(value) = OwnedVariant::try_from(value) {
            metadata.insert(name.to_owned(), value);
        }
    };
    insert(FILE_NAME, entry.name.as_str().into());
    insert(FILE_SIZE, size(entry).into());
    insert(FILE_ATTRIBUTES, attributes(entry).into());
    if !entry.persistent_id.is_empty() {
        insert(PERSISTENT_ID, entry.persistent_id.as_str().into());
    }
    if let Some(modified) = entry.modified {
        insert(MODIFIED, modified.into());
    }
    if !names.is_empty() {
        metadata.retain(|name, _| names.contains(name));
    }
    metadata
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(value: impl Into<Variant<'static>>) -> OwnedVariant {
        OwnedVariant::try_from(value.into()).unwrap()
    }

    #[test]
    fn names_are_refused_with_the_reason() {
        for good in ["a", "Bj\u{f6}rk - J\u{f3}ga.mp3", " ", "...", &"n".repeat(255)] {
            name(good).unwrap();
        }
        for bad in ["", ".", "..", "a/b", "a\0b", &"n".repeat(256)] {
            assert!(matches!(name(bad), Err(Error::InvalidArgument(_))), "{bad:?}");
        }
    }

    #[test]
    fn what_is_made_is_one_thing() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        assert_eq!(kind(&words(&["hidden", "folder"])).unwrap(), Kind::Folder);
        assert_eq!(kind(&words(&["file"])).unwrap(), Kind::File);
        assert!(kind(&words(&["folder", "file"])).is_err() && kind(&[]).is_err());
    }

    #[test]
    fn metadata_is_of_its_type_and_not_the_devices() {
        let told = Metadata::from([
            (FILE_SIZE.to_owned(), value(5_u64)),
            (MODIFIED.to_owned(), value(9_u64)),
            ("Other/Thing".to_owned(), value(5_i16)),
        ]);
        let checked = metadata(told).unwrap();
        assert_eq!((checked.len(), modified(&checked)), (2, Some(9)));
        let wrong = Metadata::from([("WMDM/Track".to_owned(), value("one"))]);
        assert!(metadata(wrong).unwrap_err().to_string().contains("WMDM/Track"));
    }
}
