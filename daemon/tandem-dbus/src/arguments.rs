//! What callers hand over, checked and turned into the engine's types: options, media, playlists, playlist
//! attributes. Pure functions; each error names the value and what would do.

use crate::{boolean, paths};
use dbus_interfaces::names::NO_OBJECT;
use std::collections::HashMap;
use tandem_model::error::RequestError;
use tandem_model::id::{MediaUri, PartnershipIndex, PlaylistId, Uid};
use tandem_model::media::MediaValue;
use zbus::{ObjectPath, OwnedObjectPath, OwnedVariant, Variant};

/// Options of a call, by name.
pub(crate) type Options = HashMap<String, OwnedVariant>;

fn invalid(text: String) -> RequestError {
    RequestError::InvalidArgument(text)
}

/// The one option that a call knows, if it is given; any other is refused.
fn only_option(options: Options, known: &str) -> Result<Option<OwnedVariant>, RequestError> {
    let mut found = None;
    for (name, value) in options {
        if name != known {
            return Err(invalid(format!("`{name}` is no option of this call; use `{known}` or none")));
        }
        found = Some(value);
    }
    Ok(found)
}

/// The options of `CreatePartnership`: playlists of this owner's library to assign.
///
/// # Errors
/// `InvalidArgument` for another option or type; `NotFound` for a path that is no playlist of that library.
pub(crate) fn create_options(options: Options, owner: Uid) -> Result<Option<Vec<PlaylistId>>, RequestError> {
    let Some(value) = only_option(options, "playlists")? else { return Ok(None) };
    let signature = value.value_signature().to_string();
    let paths = Vec::<OwnedObjectPath>::try_from(value)
        .map_err(|_| invalid(format!("`playlists` is of type `{signature}`; give object paths, `ao`")))?;
    paths.iter().map(|path| playlist(path, owner)).collect::<Result<_, _>>().map(Some)
}

/// The option `remove-content` of `DeletePartnership`.
///
/// # Errors
/// `InvalidArgument` for another option or type.
pub(crate) fn delete_options(options: Options) -> Result<bool, RequestError> {
    let Some(value) = only_option(options, "remove-content")? else { return Ok(false) };
    let signature = value.value_signature().to_string();
    bool::try_from(value)
        .map_err(|_| invalid(format!("`remove-content` is of type `{signature}`; give a boolean, `b`")))
}

/// The playlist of this owner's library at this path.
///
/// # Errors
/// `NotFound` when the path is none.
pub(crate) fn playlist(path: &ObjectPath<'_>, owner: Uid) -> Result<PlaylistId, RequestError> {
    match paths::playlist_id(path) {
        Some((of, id)) if of == owner => Ok(id),
        _ => Err(RequestError::NotFound(format!("{path} is no playlist of the library of user {owner}"))),
    }
}

/// As [`playlist`], but `/` stands for none.
///
/// # Errors
/// `NotFound` when the path is neither.
pub(crate) fn playlist_or_none(
    path: &ObjectPath<'_>,
    owner: Uid,
) -> Result<Option<PlaylistId>, RequestError> {
    if path.as_str() == NO_OBJECT { Ok(None) } else { playlist(path, owner).map(Some) }
}

/// A media URI.
///
/// # Errors
/// `InvalidArgument` when it isn't `file:///` with an absolute, percent-encoded path.
pub(crate) fn media(text: &str) -> Result<MediaUri, RequestError> {
    let path = text.strip_prefix("file://").unwrap_or_default();
    let bytes = path.as_bytes();
    let encoded = bytes.iter().enumerate().all(|(position, byte)| match byte {
        b'%' => {
            let digits = bytes.get(position + 1..position + 3).unwrap_or_default();
            digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit) && digits != b"00"
        }
        byte => byte.is_ascii_graphic(),
    });
    if path.starts_with('/') && encoded {
        return Ok(MediaUri(text.into()));
    }
    Err(invalid(format!("`{text}` is no media URI; use `file:///` and a percent-encoded absolute path")))
}

/// Media URIs.
///
/// # Errors
/// As [`media`], for the first that isn't one.
pub(crate) fn media_list(texts: &[String]) -> Result<Vec<MediaUri>, RequestError> {
    texts.iter().map(|text| media(text)).collect()
}

/// A media attribute's value.
///
/// # Errors
/// `InvalidArgument` when it is neither text nor a whole number from 0.
pub(crate) fn media_value(name: &str, value: &Variant<'_>) -> Result<MediaValue, RequestError> {
    let number = match value {
        Variant::Str(text) => return Ok(MediaValue::Text(text.to_string())),
        Variant::U8(number) => Some(u64::from(*number)),
        Variant::U16(number) => Some(u64::from(*number)),
        Variant::U32(number) => Some(u64::from(*number)),
        Variant::U64(number) => Some(*number),
        Variant::I16(number) => u64::try_from(*number).ok(),
        Variant::I32(number) => u64::try_from(*number).ok(),
        Variant::I64(number) => u64::try_from(*number).ok(),
        _ => None,
    };
    number.map(MediaValue::Number).ok_or_else(|| {
        invalid(format!(
            "{name} is given as type `{}` or below 0; use text or a whole number",
            value.value_signature()
        ))
    })
}

/// An attribute of a playlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlaylistAttribute {
    /// `Name`.
    Name,
    /// `SyncOnly`.
    SyncOnly,
    /// `Sync01` to `Sync16`.
    Sync(PartnershipIndex),
}

/// The playlist attribute of this name.
///
/// # Errors
/// `InvalidArgument` for any other name.
pub(crate) fn playlist_attribute(name: &str) -> Result<PlaylistAttribute, RequestError> {
    let slot = |digits: &str| {
        let two = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| two).and_then(PartnershipIndex::new)
    };
    match name {
        "Name" => Ok(PlaylistAttribute::Name),
        "SyncOnly" => Ok(PlaylistAttribute::SyncOnly),
        _ => name.strip_prefix("Sync").and_then(slot).map(PlaylistAttribute::Sync).ok_or_else(|| {
            invalid(format!(
                "`{name}` is no attribute of a playlist; use Name, SyncOnly, or Sync01 to Sync16"
            ))
        }),
    }
}

/// A priority in decimal, or as `0x` and hexadecimal.
///
/// # Errors
/// `InvalidArgument` when it is neither, or doesn't fit 32 bits.
pub(crate) fn priority(name: &str, value: &str) -> Result<u32, RequestError> {
    let hexadecimal = value.strip_prefix("0x").or_else(|| value.strip_prefix("0X"));
    let (digits, radix) = hexadecimal.map_or((value, 10), |digits| (digits, 16));
    // from_str_radix alone would take a sign
    let plain = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    u32::from_str_radix(digits, radix).ok().filter(|_| plain).ok_or_else(|| {
        invalid(format!(
            "`{value}` is no value of {name}; use `0` to end the assignment, or a priority up to {}, in decimal or as `0x…`",
            u32::MAX
        ))
    })
}

/// `SyncOnly` as text.
///
/// # Errors
/// `InvalidArgument` when it is neither `True` nor `False`.
pub(crate) fn sync_only(value: &str) -> Result<bool, RequestError> {
    boolean::read("SyncOnly", value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn options(name: &str, value: Variant<'_>) -> Options {
        HashMap::from([(name.to_owned(), OwnedVariant::try_from(value).unwrap())])
    }

    fn text<T: std::fmt::Debug>(result: Result<T, RequestError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn options_of_partnerships() {
        let path = paths::playlist(1000, &PlaylistId("p1".to_owned()));
        let given = Variant::from(vec![path.clone().into_inner()]);
        assert_eq!(create_options(Options::new(), 1000), Ok(None));
        let assigned = create_options(options("playlists", given.try_clone().unwrap()), 1000);
        assert_eq!(assigned, Ok(Some(vec![PlaylistId("p1".to_owned())])));
        let foreign = create_options(options("playlists", given), 1001);
        assert!(matches!(foreign, Err(RequestError::NotFound(text)) if text.contains(path.as_str())));
        assert!(text(create_options(options("playlists", Variant::from("p1")), 1000)).contains("`ao`"));
        assert!(text(create_options(options("playlist", Variant::from(true)), 1000)).contains("`playlist`"));
        assert_eq!(delete_options(Options::new()), Ok(false));
        assert_eq!(delete_options(options("remove-content", Variant::from(true))), Ok(true));
        assert!(text(delete_options(options("remove-content", Variant::from(1u32)))).contains("`u`"));
    }

    #[test]
    fn media_are_percent_encoded_file_uris() {
        assert!(media("file:///home/ann/a%20b%ff.flac").is_ok());
        for bad in [
            "",
            "/home/a.flac",
            "file://a",
            "file:///a b",
            "file:///a%2",
            "file:///a%zz",
            "file:///%00",
            "http:///a",
        ] {
            assert!(text(media(bad)).contains(&format!("`{bad}`")), "{bad}");
        }
    }

    #[test]
    fn media_values_are_text_or_whole_numbers() {
        assert_eq!(media_value("UserRating", &Variant::from(99u32)), Ok(MediaValue::Number(99)));
        assert_eq!(media_value("UserRating", &Variant::from(99i64)), Ok(MediaValue::Number(99)));
        assert_eq!(media_value("Title", &Variant::from("x")), Ok(MediaValue::Text("x".to_owned())));
        for bad in [Variant::from(-1i32), Variant::from(1.5f64), Variant::from(true)] {
            assert!(text(media_value("UserRating", &bad)).contains("UserRating"));
        }
    }

    #[test]
    fn playlist_attributes_and_priorities() {
        let slot = |number| PartnershipIndex::new(number).map(PlaylistAttribute::Sync);
        assert_eq!(playlist_attribute("Sync01").ok(), slot(1));
        assert_eq!(playlist_attribute("Sync16").ok(), slot(16));
        for bad in ["Sync00", "Sync17", "Sync1", "Sync001", "Sync+1", "Sync", "name", ""] {
            assert!(text(playlist_attribute(bad)).contains(&format!("`{bad}`")), "{bad}");
        }
        for (value, number) in [("0", 0), ("12", 12), ("0xff", 255), ("0XFFFFFFFF", u32::MAX), ("007", 7)] {
            assert_eq!(priority("Sync01", value), Ok(number), "{value}");
        }
        for bad in ["", "-1", "+1", "0x", "0x+1", "4294967296", "1.0", "x"] {
            assert!(text(priority("Sync01", bad)).contains("Sync01"), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(value: String) {
            let _ = (media(&value), playlist_attribute(&value), priority("Sync01", &value), sync_only(&value));
        }

        #[test]
        fn priorities_survive_both_spellings(number: u32) {
            prop_assert_eq!(priority("Sync01", &number.to_string()), Ok(number));
            prop_assert_eq!(priority("Sync01", &format!("{number:#x}")), Ok(number));
        }
    }
}
