//! Between paths and `file://` URIs: percent-encoded bytes, so that names that aren't UTF-8 survive.
//! It looks at the file system only to know the working directory as the user sees it.

use crate::error::Error;
use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

const SCHEME: &[u8] = b"file://";

/// The URI of what the user named: a `file://` URI as it is, any other text taken as a path.
///
/// # Errors
/// [`Error::Usage`] for an empty text, a URI that isn't UTF-8, and a working directory that can't be told.
pub(crate) fn from_argument(argument: &OsStr) -> Result<String, Error> {
    if argument.as_bytes().starts_with(SCHEME) {
        return argument.to_str().map(str::to_owned).ok_or_else(|| {
            Error::Usage(format!(
                "`{}` is not a URI: bytes that are not ASCII must be percent-encoded",
                argument.display()
            ))
        });
    }
    Ok(from_path(&absolute(Path::new(argument))?))
}

/// The URIs of all that the user named, in that order.
///
/// # Errors
/// As for [`from_argument`].
pub(crate) fn from_arguments<'a>(
    arguments: impl IntoIterator<Item = &'a PathBuf>,
) -> Result<Vec<String>, Error> {
    arguments.into_iter().map(|argument| from_argument(argument.as_os_str())).collect()
}

/// The URI of an absolute path.
fn from_path(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    let mut uri = String::with_capacity(SCHEME.len() + bytes.len() + 16);
    uri.push_str("file://");
    for &byte in bytes {
        // RFC 3986: unreserved, and what a path segment may hold besides
        if byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=:@".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push('%');
            for digit in [byte >> 4, byte & 15] {
                uri.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
            }
        }
    }
    uri
}

/// The path that a `file:///…` URI stands for; `None` for any other text and for broken percent-encoding.
pub(crate) fn to_path(uri: &str) -> Option<PathBuf> {
    let encoded = uri.strip_prefix("file://").filter(|path| path.starts_with('/'))?.as_bytes();
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.iter();
    while let Some(&byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(*rest.next()?).to_digit(16);
            let value = digit()? * 16 + digit()?;
            bytes.push(u8::try_from(value).ok().filter(|byte| *byte != 0)?);
        } else {
            bytes.push(byte);
        }
    }
    Some(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

/// A media URI for people: the path where that can be printed as it is, else the URI. Either way it can be given
/// to the program again.
pub(crate) fn display(uri: &str) -> Cow<'_, str> {
    match to_path(uri).and_then(|path| path.into_os_string().into_string().ok()) {
        Some(path) if crate::output::text::is_safe(&path) => Cow::Owned(path),
        _ => crate::output::text::safe(uri),
    }
}

/// An absolute path without `.` and `..`, as the user's shell sees it: through the symbolic links that led to the
/// working directory, because a library knows its folders by these names.
///
/// # Errors
/// [`Error::Usage`] for an empty path, [`Error::Failed`] when the working directory can't be told.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Error> {
    if path.as_os_str().is_empty() {
        return Err(Error::Usage("a path must not be empty".to_owned()));
    }
    if path.is_absolute() {
        return Ok(without_dots(path));
    }
    let directory = working_directory().map_err(|cause| {
        Error::Failed(format!(
            "`{}`: the working directory can't be told: {cause}; give an absolute path",
            path.display()
        ))
    })?;
    Ok(without_dots(&directory.join(path)))
}

/// `$PWD` where it is the working directory, else what the system says.
fn working_directory() -> std::io::Result<PathBuf> {
    let physical = std::env::current_dir()?;
    let Some(logical) = std::env::var_os("PWD").map(PathBuf::from).filter(|path| path.is_absolute()) else {
        return Ok(physical);
    };
    let same = match (logical.metadata(), physical.metadata()) {
        (Ok(a), Ok(b)) => a.dev() == b.dev() && a.ino() == b.ino(),
        _ => false,
    };
    Ok(if same { logical } else { physical })
}

/// An absolute path with `.` left out and each `..` taking away what is before it.
fn without_dots(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::ParentDir => {
                clean.pop();
            }
            Component::Normal(name) => clean.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_become_uris_and_uris_stay() {
        let uri = |text: &[u8]| from_argument(OsStr::from_bytes(text)).unwrap();
        assert_eq!(uri(b"/m/a b?.flac"), "file:///m/a%20b%3F.flac");
        assert_eq!(uri(b"/m/./x/../\xff%.mp3"), "file:///m/%FF%25.mp3");
        assert_eq!(uri(b"/../../etc"), "file:///etc");
        assert_eq!(uri(b"file:///m/a%20b"), "file:///m/a%20b");
        assert!(uri(b"song.ogg").ends_with("/song.ogg"));
        assert_eq!(from_argument(OsStr::new("")).unwrap_err().exit(), crate::error::Exit::Usage);
        assert!(from_argument(OsStr::from_bytes(b"file:///\xff")).is_err());
    }

    #[test]
    fn broken_uris_have_no_path() {
        for uri in [
            "",
            "file://",
            "file://host/x",
            "http:///x",
            "file:///%",
            "file:///%4",
            "file:///%zz",
            "file:///%00",
            "file:///%+1",
        ] {
            assert_eq!(to_path(uri), None, "{uri}");
        }
    }

    #[test]
    fn what_people_see_is_a_path_only_where_that_is_safe() {
        assert_eq!(display("file:///m/%C3%84.flac"), "/m/Ä.flac");
        assert_eq!(display("file:///m/%1B%5B2J.flac"), "file:///m/%1B%5B2J.flac");
        assert_eq!(display("file:///m/%FF.flac"), "file:///m/%FF.flac");
        assert_eq!(display("not\na uri"), "not\\na uri");
    }

    proptest! {
        #[test]
        fn any_absolute_path_survives(names in prop::collection::vec("[^/\0]{1,8}|[\\x01-\\x2e]{1,4}", 0..5)) {
            let path = without_dots(&PathBuf::from(format!("/{}", names.join("/"))));
            let uri = from_path(&path);
            prop_assert!(uri.is_ascii());
            prop_assert_eq!(to_path(&uri), Some(path));
        }

        #[test]
        fn any_text_is_taken(text: String) {
            let _ = to_path(&text);
            prop_assert!(crate::output::text::is_safe(&display(&text)));
        }
    }
}
