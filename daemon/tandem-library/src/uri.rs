//! `file://` URIs of paths and back, byte for byte.
//!
//! Every byte that is neither unreserved nor `/` is percent-encoded, so each path has exactly one URI. No file is
//! touched and no path is normalised here.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use tandem_model::error::LibraryError;
use tandem_model::id::{MediaUri, percent_encode};

const PREFIX: &str = "file://";

/// The URI of an absolute path.
#[must_use]
pub fn encode(path: &Path) -> MediaUri {
    let bytes = path.as_os_str().as_bytes();
    let mut text = String::with_capacity(PREFIX.len() + bytes.len() + bytes.len() / 4);
    text.push_str(PREFIX);
    percent_encode(bytes, b"/", &mut text);
    MediaUri(text.into())
}

/// The path of a URI. Characters that needn't be encoded may be, and the other way round, as long as what comes out
/// is an absolute path without NUL, `.`, `..` and empty parts.
///
/// # Errors
/// `InvalidArgument` with the URI and what would do.
pub fn decode(uri: &MediaUri) -> Result<PathBuf, LibraryError> {
    let refuse = |why: &str| {
        LibraryError::InvalidArgument(format!(
            "`{uri}` is not the URI of a file ({why}); write file:/// and the absolute path, percent-encoded"
        ))
    };
    let encoded = uri.0.strip_prefix(PREFIX).ok_or_else(|| refuse("it does not start with file://"))?;
    if !encoded.starts_with('/') {
        return Err(refuse("only files of this computer can be named"));
    }
    let bytes =
        percent_decode(encoded.as_bytes()).ok_or_else(|| refuse("a % needs two hexadecimal digits"))?;
    if bytes.contains(&0) {
        return Err(refuse("a path can't hold a NUL byte"));
    }
    if bytes[1..].split(|&byte| byte == b'/').any(|part| matches!(part, b"" | b"." | b"..")) {
        return Err(refuse("a path can't have empty parts, `.` or `..`"));
    }
    Ok(PathBuf::from(OsString::from_vec(bytes)))
}

/// Turns `%XX` into bytes; `None` where the digits are missing.
#[must_use]
pub fn percent_decode(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.iter();
    while let Some(&byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<&u8>| byte.and_then(|&byte| char::from(byte).to_digit(16));
            let (high, low) = (digit(rest.next())?, digit(rest.next())?);
            bytes.push(u8::try_from(high << 4 | low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::ffi::OsStr;

    fn uri(text: &str) -> MediaUri {
        MediaUri(text.into())
    }

    #[test]
    fn reserved_and_foreign_bytes_are_encoded() {
        let path = Path::new(OsStr::from_bytes(b"/m/a b#%?:\n\xff\xc3\xa4~.mp3"));
        assert_eq!(&*encode(path).0, "file:///m/a%20b%23%25%3F%3A%0A%FF%C3%A4~.mp3");
        assert_eq!(decode(&encode(path)).unwrap(), path);
    }

    #[test]
    fn what_is_no_file_of_this_computer_is_refused_by_name() {
        let bad = [
            "",
            "a.mp3",
            "/a.mp3",
            "http://x/a",
            "file://host/a",
            "file:///",
            "file:///a//b",
            "file:///a/../b",
        ];
        for text in bad.into_iter().chain([
            "file:///a%",
            "file:///a%4",
            "file:///a%zz",
            "file:///a%00b",
            "file:///a/",
        ]) {
            let error = decode(&uri(text)).unwrap_err();
            assert!(
                matches!(&error, LibraryError::InvalidArgument(words) if words.contains(text)),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn needless_encoding_is_understood() {
        assert_eq!(decode(&uri("file:///m/%61%2f%62")).unwrap(), Path::new("/m/a/b"));
        assert_eq!(decode(&uri("file:///m/ä b")).unwrap(), Path::new("/m/ä b"));
    }

    proptest! {
        #[test]
        fn every_path_survives(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 1..6)) {
            let legal = |part: &Vec<u8>| !part.contains(&0) && !part.contains(&b'/') && part != b"." && part != b"..";
            prop_assume!(parts.iter().all(legal));
            let mut bytes = Vec::new();
            for part in &parts {
                bytes.push(b'/');
                bytes.extend(part);
            }
            let path = PathBuf::from(OsString::from_vec(bytes));
            let uri = encode(&path);
            prop_assert!(uri.0.is_ascii());
            prop_assert_eq!(decode(&uri).unwrap(), path);
        }

        #[test]
        fn any_text_is_decoded_or_refused(text: String) {
            if let Ok(path) = decode(&uri(&text)) {
                prop_assert_eq!(decode(&encode(&path)).unwrap(), path);
            }
        }
    }
}
