//! Ids to object paths and back.
//!
//! The escaping is injective: two ids never share a path, and each path names at most one id. Nothing else in the
//! workspace builds or takes apart a path.

use dbus_interfaces::names::{DEVICES_PATH, LIBRARIES_PATH};
use tandem_model::id::{DeviceId, PlaylistId, Uid};
use zbus::{ObjectPath, OwnedObjectPath};

/// Letters and digits stay, every other byte becomes `_` and two hexadecimal digits; nothing at all becomes `_`.
fn escape(id: &str) -> String {
    if id.is_empty() {
        return "_".to_owned();
    }
    let mut escaped = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("_{byte:02x}"));
        }
    }
    escaped
}

/// The id that `escape` made this of.
fn unescape(escaped: &str) -> Option<String> {
    if escaped == "_" {
        return Some(String::new());
    }
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'_' {
            let digits = [rest.next()?, rest.next()?];
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
        } else {
            byte
        });
    }
    let id = String::from_utf8(bytes).ok()?;
    (escape(&id) == escaped).then_some(id)
}

fn owned(path: String) -> OwnedObjectPath {
    OwnedObjectPath::try_from(path).expect("escaped ids are letters, digits and `_`, and never empty")
}

/// A device's path.
pub(crate) fn device(id: &DeviceId) -> OwnedObjectPath {
    owned(format!("{DEVICES_PATH}/{}", escape(&id.0)))
}

/// The device that this path would be of.
pub(crate) fn device_id(path: &ObjectPath<'_>) -> Option<DeviceId> {
    let name = path.strip_prefix(DEVICES_PATH)?.strip_prefix('/')?;
    unescape(name).map(DeviceId)
}

/// A library's path.
pub(crate) fn library(owner: Uid) -> OwnedObjectPath {
    owned(format!("{LIBRARIES_PATH}/u{owner}"))
}

/// A playlist's path.
pub(crate) fn playlist(owner: Uid, id: &PlaylistId) -> OwnedObjectPath {
    owned(format!("{LIBRARIES_PATH}/u{owner}/playlists/{}", escape(&id.0)))
}

/// The playlist that this path would be of, and whose library's.
pub(crate) fn playlist_id(path: &ObjectPath<'_>) -> Option<(Uid, PlaylistId)> {
    let rest = path.strip_prefix(LIBRARIES_PATH)?.strip_prefix("/u")?;
    let (owner, name) = rest.split_once("/playlists/")?;
    let number: Uid = owner.parse().ok()?;
    (number.to_string() == owner).then_some(())?;
    unescape(name).map(|id| (number, PlaylistId(id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_escaped_byte_by_byte() {
        assert_eq!(
            device(&DeviceId("usb-Ä_1".to_owned())).as_str(),
            "/org/tandemd/Sync1/devices/usb_2d_c3_84_5f1"
        );
        assert_eq!(device(&DeviceId(String::new())).as_str(), "/org/tandemd/Sync1/devices/_");
    }

    #[test]
    fn foreign_paths_are_no_ids() {
        for path in [
            "/",
            "/org/tandemd/Sync1/devices",
            "/org/tandemd/Sync1/devices/a/b",
            "/org/tandemd/Sync1/devices/a_2D",
            "/org/tandemd/Sync1/devices/a_41",
            "/org/tandemd/Sync1/devices/a_4",
            "/org/tandemd/Sync1/devices/_ff",
            "/org/tandemd/Sync1/devicesx/a",
        ] {
            assert_eq!(device_id(&ObjectPath::try_from(path).unwrap()), None, "{path}");
        }
        for path in [
            "/org/tandemd/Sync1/libraries/u1000/playlists",
            "/org/tandemd/Sync1/libraries/u01000/playlists/a",
            "/org/tandemd/Sync1/libraries/u4294967296/playlists/a",
            "/org/tandemd/Sync1/libraries/1000/playlists/a",
        ] {
            assert_eq!(playlist_id(&ObjectPath::try_from(path).unwrap()), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn ids_survive_their_paths(id: String, owner: Uid) {
            let device_path = device(&DeviceId(id.clone()));
            prop_assert_eq!(device_id(&device_path), Some(DeviceId(id.clone())));
            let playlist_path = playlist(owner, &PlaylistId(id.clone()));
            prop_assert_eq!(playlist_id(&playlist_path), Some((owner, PlaylistId(id))));
        }

        #[test]
        fn each_path_has_at_most_one_id(name in "[A-Za-z0-9_]{1,12}") {
            let path = ObjectPath::try_from(format!("{DEVICES_PATH}/{name}")).unwrap();
            if let Some(id) = device_id(&path) {
                prop_assert_eq!(device(&id), OwnedObjectPath::from(path));
            }
        }
    }
}
