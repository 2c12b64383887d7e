//! What file an entry of a playlist may mean: candidates, the most likely first. Pure; nothing is looked up.
//!
//! Entries are relative, absolute, `file://` URIs, or Windows paths of another computer, whose last parts may be found
//! below the library's folders.

use super::parse::{Entry, windows_1252};
use tandem_library::uri::percent_decode;

/// The most candidates of one reading of an entry.
const MAX_CANDIDATES: usize = 32;
/// How many of a Windows path's last parts are looked for.
const MAX_PARTS: usize = 6;

/// Absolute paths that an entry may mean. `folder` holds the playlist; `roots` are the library's folders.
pub(crate) fn candidates(entry: &Entry, folder: &[u8], roots: &[&[u8]]) -> Vec<Vec<u8>> {
    let raw = entry.0.as_slice();
    let mut found = reading(raw, folder, roots);
    if std::str::from_utf8(raw).is_err() {
        found.extend(reading(windows_1252(raw).as_bytes(), folder, roots));
    }
    found
}

/// What these bytes may mean: each path once.
fn reading(location: &[u8], folder: &[u8], roots: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    add(location, folder, roots, &mut found);
    let mut unique: Vec<Vec<u8>> = Vec::with_capacity(found.len());
    for path in found {
        if !unique.contains(&path) {
            unique.push(path);
        }
    }
    unique.truncate(MAX_CANDIDATES);
    unique
}

fn add(location: &[u8], folder: &[u8], roots: &[&[u8]], found: &mut Vec<Vec<u8>>) {
    if let Some(path) = file_uri(location) {
        match windows(&path) {
            Some(parts) => add_windows(&parts, folder, roots, found),
            None => found.extend(normalize(&path)),
        }
        return;
    }
    if let Some(parts) = windows(location) {
        add_windows(&parts, folder, roots, found);
        return;
    }
    if has_scheme(location) {
        return;
    }
    let join = |location: &[u8]| {
        if location.starts_with(b"/") {
            normalize(location)
        } else {
            normalize(&[folder, b"/", location].concat())
        }
    };
    found.extend(join(location));
    if location.contains(&b'%') {
        found.extend(percent_decode(location).and_then(|decoded| join(&decoded)));
    }
    if location.contains(&b'\\') {
        found.extend(join(&slashes(location)));
    }
}

/// A Windows path's last parts, longest first, below each folder that is at hand.
fn add_windows(parts: &[&[u8]], folder: &[u8], roots: &[&[u8]], found: &mut Vec<Vec<u8>>) {
    for length in (1..=parts.len().min(MAX_PARTS)).rev() {
        let rest = parts[parts.len() - length..].join(&b'/');
        for root in roots.iter().chain([&folder]) {
            found.extend(normalize(&[*root, b"/", &rest].concat()));
        }
    }
}

fn slashes(location: &[u8]) -> Vec<u8> {
    location.iter().map(|&byte| if byte == b'\\' { b'/' } else { byte }).collect()
}

/// The parts of a Windows path with a drive or a share, or from the drive's root; `None` for any other.
fn windows(location: &[u8]) -> Option<Vec<&[u8]>> {
    let location = location.strip_prefix(b"/").filter(|rest| is_drive(rest)).unwrap_or(location);
    let rest = if is_drive(location) {
        &location[2..]
    } else if location.starts_with(b"\\") {
        location
    } else {
        return None;
    };
    let parts = rest.split(|&byte| byte == b'\\' || byte == b'/');
    Some(parts.filter(|part| !part.is_empty() && !matches!(*part, b"." | b"..")).collect())
}

fn is_drive(location: &[u8]) -> bool {
    matches!(location, [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic())
}

fn has_scheme(location: &[u8]) -> bool {
    let Some(at) = location.windows(3).position(|three| three == b"://") else { return false };
    at > 0
        && location[..at]
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// The path of a `file:` URI, decoded.
fn file_uri(location: &[u8]) -> Option<Vec<u8>> {
    let (scheme, rest) = location.split_at_checked(5)?;
    if !scheme.eq_ignore_ascii_case(b"file:") {
        return None;
    }
    let path = match rest.strip_prefix(b"//") {
        // what stands before the path is a host
        Some(rest) => &rest[rest.iter().position(|&byte| byte == b'/')?..],
        None => rest,
    };
    Some(percent_decode(path).unwrap_or_else(|| path.to_vec()))
}

/// An absolute path without `.`, `..` and empty parts; `None` where it leads above the root or nowhere.
fn normalize(path: &[u8]) -> Option<Vec<u8>> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    let path = parts.iter().flat_map(|part| [&b"/"[..], part]).collect::<Vec<_>>().concat();
    let usable = !path.is_empty() && !path.contains(&0);
    usable.then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(location: &[u8]) -> Vec<String> {
        let found = candidates(&Entry(location.to_vec()), b"/m/lists", &[b"/m", b"/n"]);
        found.iter().map(|path| String::from_utf8_lossy(path).into_owned()).collect()
    }

    #[test]
    fn relative_absolute_and_uri() {
        assert_eq!(all(b"a.mp3"), ["/m/lists/a.mp3"]);
        assert_eq!(all(b"../x/./a.mp3"), ["/m/x/a.mp3"]);
        assert_eq!(all(b"/x//a.mp3"), ["/x/a.mp3"]);
        assert_eq!(all(b"file:///x/a%20b.mp3"), ["/x/a b.mp3"]);
        assert_eq!(all(b"FILE://localhost/x/a.mp3"), ["/x/a.mp3"]);
        assert_eq!(all(b"a%20b.mp3"), ["/m/lists/a%20b.mp3", "/m/lists/a b.mp3"]);
        assert_eq!(all(b"..\\x\\a.mp3"), ["/m/lists/..\\x\\a.mp3", "/m/x/a.mp3"]);
    }

    #[test]
    fn windows_paths_are_looked_for_by_their_last_parts() {
        for location in
            [&br"C:\Music\a.mp3"[..], b"c:/Music/a.mp3", b"file:///C:/Music/a.mp3", br"\Music\a.mp3"]
        {
            let found = all(location);
            assert_eq!(
                found[..3],
                ["/m/Music/a.mp3", "/n/Music/a.mp3", "/m/lists/Music/a.mp3"],
                "{location:?}"
            );
            assert!(found.contains(&"/n/a.mp3".to_owned()));
        }
        assert!(all(br"\\server\share\b\a.mp3").contains(&"/m/b/a.mp3".to_owned()));
    }

    #[test]
    fn what_is_not_utf_8_has_a_second_reading_and_what_is_no_file_has_none() {
        let found = candidates(&Entry(b"caf\xe9.mp3".to_vec()), b"/m", &[]);
        assert_eq!(found, [b"/m/caf\xe9.mp3".to_vec(), "/m/café.mp3".as_bytes().to_vec()]);
        let long = Entry(b"C:\\a\\b\\c\\d\\e\\caf\xe9.mp3".to_vec());
        let found = candidates(&long, b"/m/lists", &[b"/m", b"/n", b"/o"]);
        assert!(found.contains(&"/m/d/e/café.mp3".as_bytes().to_vec()), "{found:?}");
        for location in [&b"http://x/a.mp3"[..], b"../../../a.mp3", b"..", b"file://host"] {
            assert!(all(location).iter().all(|path| path == "/m"), "{location:?}");
        }
    }

    proptest! {
        #[test]
        fn candidates_are_absolute_and_clean(location: Vec<u8>) {
            let found = candidates(&Entry(location), b"/m/lists", &[b"/m"]);
            prop_assert!(found.len() <= 2 * MAX_CANDIDATES);
            for path in found {
                prop_assert!(path.starts_with(b"/") && !path.contains(&0));
                prop_assert!(path[1..].split(|&byte| byte == b'/').all(|part| !matches!(part, b"" | b"." | b"..")));
            }
        }
    }
}
