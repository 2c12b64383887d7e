//! Paths on a device: Unicode, relative to the storage's root, with `/` between the parts.
//!
//! Such a path can't leave the root by construction; making names legal for a file system is `tandem-players`' work.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// A relative path on a storage: no empty part, no `.` or `..`, no `/` at either end, no NUL. Clones share the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DevicePath(Arc<str>);

impl DevicePath {
    /// The path with these parts, or `None` if one of them can't be a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let legal = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
        text.split('/').all(legal).then(|| Self(text.into()))
    }

    /// The path as text, with `/` between the parts.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path as text that clones share.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// The folder that holds it; `None` directly below the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.into()))
    }

    /// The last part.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&*self.0, |(_, name)| name)
    }

    /// The path of `name` within this folder, or `None` if that can't be a name.
    #[must_use]
    pub fn join(&self, name: &str) -> Option<Self> {
        Self::parse(&format!("{}/{name}", self.0))
    }

    /// Its folders, outermost first, without itself.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(at, _)| &self.0[..at])
    }

    /// The path by which a playlist in `folder` (`None`: the root) refers to this file.
    #[must_use]
    pub fn relative_to(&self, folder: Option<&Self>) -> String {
        let from: Vec<&str> = folder.map_or_else(Vec::new, |folder| folder.0.split('/').collect());
        let to: Vec<&str> = self.0.split('/').collect();
        let common = from.iter().zip(&to[..to.len() - 1]).take_while(|(a, b)| a == b).count();
        let mut parts = vec![".."; from.len() - common];
        parts.extend(&to[common..]);
        parts.join("/")
    }
}

impl fmt::Display for DevicePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for DevicePath {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is not a relative path on a device"))
    }
}

impl From<DevicePath> for String {
    fn from(path: DevicePath) -> Self {
        (*path.0).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> DevicePath {
        DevicePath::parse(text).unwrap()
    }

    #[test]
    fn paths_that_leave_the_root_are_refused() {
        for text in ["", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a\0b"] {
            assert_eq!(DevicePath::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn relative_paths_lead_from_the_playlist_to_the_file() {
        assert_eq!(path("Music/A/b.mp3").relative_to(Some(&path("Playlists"))), "../Music/A/b.mp3");
        assert_eq!(path("Music/A/b.mp3").relative_to(Some(&path("Music"))), "A/b.mp3");
        assert_eq!(path("Music/A/b.mp3").relative_to(None), "Music/A/b.mp3");
        assert_eq!(path("b.mp3").relative_to(Some(&path("Music/Lists"))), "../../b.mp3");
    }
}
