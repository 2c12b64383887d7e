//! Text and names as they are compared: without regard to case and to how accents are composed.
//!
//! What is shown to anyone is never folded; only comparisons use this.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use unicode_normalization::UnicodeNormalization;
use xxhash_rust::xxh3::xxh3_64;

/// Text for comparison: composed (NFC), in lower case.
pub(crate) fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Cow::Owned(text.to_ascii_lowercase());
        }
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.nfc().flat_map(char::to_lowercase).collect())
}

/// What stands in the index between two values of a field; no value has it.
pub(crate) const BETWEEN_VALUES: char = '\u{1f}';

/// A text of the index as it is shown.
pub(crate) fn shown(text: &str) -> String {
    text.replace(BETWEEN_VALUES, "; ")
}

/// A number that is equal for paths that differ only in case or composition.
pub(crate) fn path_key(path: &[u8]) -> i64 {
    xxh3_64(fold(&String::from_utf8_lossy(path)).as_bytes()).cast_signed()
}

/// Bytes of a path as a path.
pub(crate) fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// A path's bytes.
pub(crate) fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// The last part of a path.
pub(crate) fn file_name(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}

/// A file name without its extension, as text.
pub(crate) fn stem(path: &[u8]) -> String {
    let name = file_name(path);
    let end = name.iter().rposition(|&byte| byte == b'.').filter(|&dot| dot > 0).unwrap_or(name.len());
    String::from_utf8_lossy(&name[..end]).into_owned()
}

/// Whether `path` is `folder` or below it.
pub(crate) fn is_below(path: &[u8], folder: &[u8]) -> bool {
    let folder = folder.strip_suffix(b"/").unwrap_or(folder);
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

/// Whether a name is hidden: it begins with one dot. With more of them begin titles (`...And Justice`), but for `..` itself.
pub(crate) fn is_hidden(name: &[u8]) -> bool {
    match name {
        [b'.', rest @ ..] => rest.first() != Some(&b'.') || rest.len() == 1,
        _ => false,
    }
}

/// Whether a part of a relative path is hidden.
pub(crate) fn has_hidden_part(relative: &Path) -> bool {
    relative.components().any(|part| is_hidden(part.as_os_str().as_bytes()))
}

/// The bounds between which the paths below a folder sort: greater than the first, less than the second.
pub(crate) fn below(folder: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let folder = folder.strip_suffix(b"/").unwrap_or(folder);
    // '0' is the byte after '/'
    ([folder, b"/"].concat(), [folder, b"0"].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_and_composition_make_no_difference() {
        assert_eq!(fold("ÄRGER"), fold("a\u{308}rger"));
        assert_eq!(path_key("/m/Ä.mp3".as_bytes()), path_key("/M/a\u{308}.MP3".as_bytes()));
        assert_ne!(path_key(b"/m/a"), path_key(b"/m/b"));
    }

    #[test]
    fn names_with_one_dot_before_them_are_hidden() {
        for name in [&b"."[..], b"..", b".a", b".a.mp3", b".\xff"] {
            assert!(is_hidden(name), "{name:?}");
        }
        for name in [&b"a"[..], b"a.mp3", b"..a", b"...Baby.mp3", b"...And Justice", b"..."] {
            assert!(!is_hidden(name), "{name:?}");
        }
        assert!(has_hidden_part(Path::new("a/.b/c")) && !has_hidden_part(Path::new("a/...b/c")));
    }

    #[test]
    fn stems_and_folders() {
        assert_eq!(stem(b"/m/a.b.mp3"), "a.b");
        assert_eq!(stem(b"/m/.hidden"), ".hidden");
        assert!(is_below(b"/m/a", b"/m") && is_below(b"/m", b"/m") && is_below(b"/a", b"/"));
        assert!(!is_below(b"/music", b"/m"));
    }

    proptest! {
        #[test]
        fn bounds_hold_what_is_below(path: Vec<u8>, folder in "/[a-c/]{1,4}") {
            let (low, high) = below(folder.as_bytes());
            let inside = path > low && path < high;
            prop_assert_eq!(inside, path.len() > low.len() && path.starts_with(&low));
        }
    }
}
