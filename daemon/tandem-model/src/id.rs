//! Identifiers as types of their own, so that a device, a playlist and a track can't be mistaken for each other.
//!
//! Paths on the bus are not among them: they exist in `tandem-dbus` alone.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// A user's numeric id, as the kernel knows it.
pub type Uid = u32;

/// Stable and unique name of a device: the same over replugging, reboots and restarts of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceId(pub String);

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Stable name of a playlist within its owner's library.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlaylistId(pub String);

impl fmt::Display for PlaylistId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A track's number in the library agent's index. Valid while that index lives, so it is never kept on disk by
/// anyone else; [`MediaUri`] is what lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TrackId(pub i64);

/// A media file's URI, `file:///…`, percent-encoded, so that any bytes of a file name survive.
/// Clones share the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MediaUri(#[serde(with = "crate::shared_text")] pub Arc<str>);

impl fmt::Display for MediaUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Adds bytes to a URI: what is neither unreserved nor among `kept` is percent-encoded (RFC 3986, 2.1 and 2.3).
pub fn percent_encode(bytes: &[u8], kept: &[u8], uri: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push('%');
            uri.push(char::from(HEX[usize::from(byte >> 4)]));
            uri.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// A GUID as WMP writes it: upper-case hexadecimal in braces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(pub u128);

impl Guid {
    /// The zero GUID: "known device, no partnership".
    pub const ZERO: Self = Self(0);

    /// Reads `{XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX}`, with or without braces, in either case.
    /// `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text);
        let lengths = [8, 4, 4, 4, 12];
        let mut parts = text.split('-');
        let mut value = 0u128;
        for length in lengths {
            let part = parts.next()?;
            if part.len() != length || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            value = (value << (4 * length)) | u128::from_str_radix(part, 16).ok()?;
        }
        parts.next().is_none().then_some(Self(value))
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v = self.0;
        write!(
            f,
            "{{{:08X}-{:04X}-{:04X}-{:04X}-{:012X}}}",
            v >> 96,
            (v >> 80) & 0xffff,
            (v >> 64) & 0xffff,
            (v >> 48) & 0xffff,
            v & 0xffff_ffff_ffff
        )
    }
}

impl Serialize for Guid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Guid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a GUID")))
    }
}

/// An album: whose it is, and its title, as tracks' tags have them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AlbumId(pub String);

impl AlbumId {
    /// Between artist and title; tags hold no such character.
    const SEPARATOR: char = '\u{1f}';

    /// The album of this title by this artist.
    #[must_use]
    pub fn new(artist: &str, title: &str) -> Self {
        Self(format!("{artist}{}{title}", Self::SEPARATOR))
    }

    /// Its title, for the user.
    #[must_use]
    pub fn title(&self) -> &str {
        self.0.rsplit_once(Self::SEPARATOR).map_or(&self.0, |(_, title)| title)
    }
}

/// A partnership's slot in its owner's library, 1 to 16; WMP's `partnershipIndex`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct PartnershipIndex(u8);

impl PartnershipIndex {
    /// How many partnerships one library can have.
    pub const MAX: u8 = 16;

    /// The slot with this number, if there is one.
    #[must_use]
    pub fn new(number: u8) -> Option<Self> {
        (1..=Self::MAX).contains(&number).then_some(Self(number))
    }

    /// The slot's number, 1 to 16.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }

    /// The lowest slot that isn't in `used`.
    #[must_use]
    pub fn lowest_free(used: impl IntoIterator<Item = Self>) -> Option<Self> {
        let taken = used.into_iter().fold(0u32, |bits, index| bits | 1 << index.0);
        (1..=Self::MAX).find(|number| taken & (1 << number) == 0).map(Self)
    }
}

impl TryFrom<u8> for PartnershipIndex {
    type Error = String;
    fn try_from(number: u8) -> Result<Self, String> {
        Self::new(number)
            .ok_or_else(|| format!("partnership index {number} is not between 1 and {}", Self::MAX))
    }
}

impl From<PartnershipIndex> for u8 {
    fn from(index: PartnershipIndex) -> Self {
        index.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_or_no_ascii_is_percent_encoded() {
        let encoded = |kept: &[u8]| {
            let mut uri = String::from("x:");
            percent_encode("a/\u{e9} ~%".as_bytes(), kept, &mut uri);
            uri
        };
        assert_eq!((encoded(b""), encoded(b"/")), ("x:a%2F%C3%A9%20~%25".into(), "x:a/%C3%A9%20~%25".into()));
    }
    use proptest::prelude::*;

    #[test]
    fn lowest_free_index_fills_gaps_and_ends_at_sixteen() {
        let index = |n| PartnershipIndex::new(n).unwrap();
        assert_eq!(PartnershipIndex::lowest_free([]), Some(index(1)));
        assert_eq!(PartnershipIndex::lowest_free([index(1), index(3)]), Some(index(2)));
        assert_eq!(PartnershipIndex::lowest_free((1..=16).map(index)), None);
    }

    #[test]
    fn guid_refuses_what_is_not_one() {
        for text in [
            "",
            "{}",
            "{00000000-0000-0000-0000-00000000000}",
            "Longhorn Sync Engine",
            "{+0000000-0000-0000-0000-000000000000}",
        ] {
            assert_eq!(Guid::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn guid_survives_its_text(value: u128) {
            prop_assert_eq!(Guid::parse(&Guid(value).to_string()), Some(Guid(value)));
            prop_assert_eq!(Guid::parse(&Guid(value).to_string().to_lowercase()), Some(Guid(value)));
        }

        #[test]
        fn guid_parser_takes_any_text(text: String) {
            let _ = Guid::parse(&text);
        }
    }
}
