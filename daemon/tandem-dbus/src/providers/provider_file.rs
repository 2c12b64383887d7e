//! Provider files: which provider serves which devices, and what it is started by. Pure but for the reading
//! of a file.
//!
//! A file that is wrong is refused whole, with its place; it never takes another file down with it.

use super::parameters::Parameters;
use serde::Deserialize;
use std::io::Read;
use std::path::{Path, PathBuf};
use thiserror::Error;
use zbus::OwnedObjectPath;
use zbus::names::{BusName, OwnedBusName, WellKnownName};

/// Bytes of a file at most.
const LIMIT: u64 = 64 * 1024;

/// Characters of a name for users at most.
pub(super) const MOST_IN_NAME: usize = 128;

/// What is wrong with a provider file.
#[derive(Debug, Error)]
pub(crate) enum FileError {
    /// The text isn't what it should be.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Wrong {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong, and what would do.
        message: String,
    },
    /// The file or its directory can't be read.
    #[error("{} can't be read: {cause}", path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// It is larger than such a file can be.
    #[error("{} is larger than {LIMIT} bytes; it can't be a provider file", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
}

/// A provider that is installed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderFile {
    /// For users.
    #[serde(deserialize_with = "name")]
    pub(crate) name: String,
    /// Activated when a device matches.
    #[serde(deserialize_with = "bus_name")]
    pub(crate) bus_name: OwnedBusName,
    /// Its root object.
    #[serde(deserialize_with = "object")]
    pub(crate) object: OwnedObjectPath,
    /// WMDM's device parameters.
    #[serde(default)]
    pub(crate) parameters: Parameters,
    /// Which devices it is offered; none: all.
    #[serde(default, rename = "match")]
    pub(crate) matches: Vec<Match>,
}

/// Devices that a provider is offered. What isn't named may be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, try_from = "MatchText")]
pub(crate) struct Match {
    vendor_id: Option<u16>,
    product_id: Option<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MatchText {
    vendor_id: Option<u16>,
    product_id: Option<u16>,
}

impl TryFrom<MatchText> for Match {
    type Error = &'static str;

    fn try_from(text: MatchText) -> Result<Self, Self::Error> {
        match (text.vendor_id, text.product_id) {
            (None, None) => {
                Err("this match says nothing; name `vendor_id`, or leave the match out to be offered \
                                 every device")
            }
            (None, Some(_)) => Err("`product_id` means nothing without its vendor; name `vendor_id` too"),
            (vendor_id, product_id) => Ok(Self { vendor_id, product_id }),
        }
    }
}

impl ProviderFile {
    /// How closely it names a device with these USB ids: the larger the closer; `None` when it isn't meant.
    pub(crate) fn closeness(&self, ids: Option<(u16, u16)>) -> Option<u8> {
        if self.matches.is_empty() {
            return Some(0);
        }
        let (vendor, product) = ids?;
        let closeness = |wanted: &Match| match wanted {
            Match { vendor_id, .. } if vendor_id.is_some_and(|wanted| wanted != vendor) => None,
            Match { product_id: Some(wanted), .. } => (*wanted == product).then_some(2),
            Match { product_id: None, .. } => Some(1),
        };
        self.matches.iter().filter_map(closeness).max()
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it can't be read, is too large, or isn't a provider file.
    pub(crate) fn read(path: &Path) -> Result<Self, FileError> {
        let unreadable = |cause| FileError::Unreadable { path: path.to_owned(), cause };
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > LIMIT {
            return Err(FileError::TooLarge { path: path.to_owned() });
        }
        Self::parse(path, &bytes)
    }

    /// Reads what a file holds; `path` is for errors.
    ///
    /// # Errors
    /// When it isn't a provider file; with the place.
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, FileError> {
        let wrong = |at: usize, message: String| {
            let (line, column) = position(bytes, at);
            FileError::Wrong { path: path.to_owned(), line, column, message }
        };
        let text = std::str::from_utf8(bytes).map_err(|error| {
            wrong(error.valid_up_to(), "this is not UTF-8; save the file as UTF-8".to_owned())
        })?;
        toml::from_str(text).map_err(|error| {
            wrong(error.span().map_or(0, |span| span.start), error.message().replace('\n', "; "))
        })
    }
}

/// The line and column, both counted from 1, of a byte; columns are characters.
fn position(bytes: &[u8], at: usize) -> (usize, usize) {
    let before = &bytes[..at.min(bytes.len())];
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    (line, String::from_utf8_lossy(&before[start..]).chars().count() + 1)
}

/// What is wrong with a provider's name for users, if anything is.
pub(super) fn fault_of_name(name: &str) -> Option<&'static str> {
    if name.trim().is_empty() {
        return Some("is no name; use what users know it by");
    }
    if name.chars().count() > MOST_IN_NAME {
        return Some("is too long a name; use at most 128 characters");
    }
    name.chars().any(char::is_control).then_some("holds control characters; use printable ones alone")
}

fn name<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match fault_of_name(&text) {
        None => Ok(text),
        Some(fault) => Err(serde::de::Error::custom(format!("`{}` {fault}", text.escape_debug()))),
    }
}

fn bus_name<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<OwnedBusName, D::Error> {
    let text = String::deserialize(deserializer)?;
    let name = WellKnownName::try_from(text.as_str()).map_err(|_| {
        serde::de::Error::custom(format!(
            "`{}` is no bus name; use one like `org.example.Players`",
            text.escape_debug()
        ))
    })?;
    if dbus_interfaces::names::BUS_NAME == name.as_str() || name.starts_with("org.freedesktop.DBus") {
        return Err(serde::de::Error::custom(format!(
            "`{name}` is another service's; use the provider's own"
        )));
    }
    Ok(BusName::from(name).into())
}

fn object<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<OwnedObjectPath, D::Error> {
    let text = String::deserialize(deserializer)?;
    OwnedObjectPath::try_from(text.as_str()).map_err(|_| {
        serde::de::Error::custom(format!(
            "`{}` is no object path; use one like `/org/example/Players`",
            text.escape_debug()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WHOLE: &str = "name = 'Example players'\nbus_name = 'org.example.Players'\n\
                         object = '/org/example/Players'\n[parameters]\nUseExtendedWmdm = 1\n\
                         OptimalTransferSize = 65536\nUseMetadataViews = 0\n";

    fn parse(text: &str) -> Result<ProviderFile, FileError> {
        ProviderFile::parse(Path::new("/p.toml"), text.as_bytes())
    }

    fn fault(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_file_is_read_whole() {
        let file = parse(&format!("{WHOLE}[[match]]\nvendor_id = 0x1234\nproduct_id = 0x5678\n")).unwrap();
        assert_eq!((file.name.as_str(), file.bus_name.as_str()), ("Example players", "org.example.Players"));
        assert!(file.parameters.use_extended_wmdm);
        assert_eq!(file.parameters.optimal_transfer_size, Some(65536));
        assert_eq!(file.closeness(Some((0x1234, 0x5678))), Some(2));
        assert_eq!(file.closeness(Some((0x1234, 0x5679))), None);
        assert_eq!(file.closeness(None), None);
    }

    #[test]
    fn the_closest_match_counts_and_no_match_takes_everything() {
        let file = |matches: &str| parse(&format!("{WHOLE}{matches}")).unwrap();
        assert_eq!(file("").closeness(None), Some(0));
        let both = file("[[match]]\nvendor_id = 1\n[[match]]\nvendor_id = 1\nproduct_id = 2\n");
        assert_eq!(both.closeness(Some((1, 2))), Some(2));
        assert_eq!(both.closeness(Some((1, 3))), Some(1));
        assert_eq!(both.closeness(Some((2, 2))), None);
    }

    #[test]
    fn mistakes_are_named_with_their_place_and_a_remedy() {
        for (mistake, place, remedy) in [
            (WHOLE.replace("bus_name", "busname"), "2:1", "unknown field `busname`"),
            (WHOLE.replace("org.example.Players", "example"), "2:12", "`org.example.Players`"),
            (WHOLE.replace("org.example.Players", "org.tandemd.Sync1"), "2:12", "another service's"),
            (WHOLE.replace("/org/", "org/"), "3:10", "`/org/example/Players`"),
            (WHOLE.replace("Example players", " "), "1:8", "no name"),
            (WHOLE.replace("UseExtendedWmdm", "UseExtendedWmdn"), "5:1", "`UseExtendedWmdm`"),
            (WHOLE.replace("UseExtendedWmdm = 1", "UseExtendedWmdm = 2"), "5:19", "0 or 1"),
            (WHOLE.replace("65536", "0"), "6:23", "from 512"),
            (WHOLE.replace("65536", "'x'"), "6:23", "invalid type"),
            (format!("{WHOLE}[[match]]\n"), "8:1", "`vendor_id`"),
            (format!("{WHOLE}[[match]]\nproduct_id = 1\n"), "8:1", "`vendor_id`"),
            (format!("{WHOLE}[[match]]\nvendor_id = 70000\n"), "9:13", "70000"),
            ("name = 1".to_owned(), "1:8", "invalid type"),
            ("name = 'x'".to_owned(), "1:1", "missing field"),
        ] {
            let told = fault(&mistake);
            assert!(told.starts_with(&format!("/p.toml:{place}: ")), "{mistake}: {told}");
            assert!(told.contains(remedy), "{mistake}: {told}");
        }
        let told = ProviderFile::parse(Path::new("/p"), b"#\n\xff").unwrap_err().to_string();
        assert!(told.starts_with("/p:2:1: "), "{told}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused_with_a_place(bytes: Vec<u8>) {
            if let Err(error) = ProviderFile::parse(Path::new("/p"), &bytes) {
                prop_assert!(error.to_string().starts_with("/p:"));
            }
        }
    }
}
