//! A playlist as the daemon shows it, its stable JSON form, and the arithmetic of priorities. Values only.

use crate::error::Error;
use crate::output::text::safe;
use crate::output::units;
use crate::properties::Properties;
use crate::select::Named;
use serde::Serialize;
use std::collections::BTreeMap;
use zbus::OwnedObjectPath;

/// All properties of a playlist. The names of the fields are those of the JSON form.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Playlist {
    pub(crate) path: OwnedObjectPath,
    /// What its path ends with, unescaped.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) rule: String,
    pub(crate) count: u32,
    /// Partnership index to priority.
    pub(crate) sync_priorities: BTreeMap<u32, u32>,
    pub(crate) sync_only: bool,
}

impl Playlist {
    /// From all its properties.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when one isn't as the contract has it.
    pub(crate) fn read(path: OwnedObjectPath, p: &Properties) -> Result<Self, Error> {
        Ok(Self {
            id: id_of(&path),
            path,
            name: p.text("Name")?,
            kind: p.text("Kind")?,
            rule: p.text("Rule")?,
            count: p.small("Count")?,
            sync_priorities: p
                .numbers("SyncPriorities")?
                .into_iter()
                .filter(|(_, priority)| *priority != 0)
                .collect(),
            sync_only: p.flag("SyncOnly")?,
        })
    }
}

/// The id that a playlist's path ends with: there, what isn't a letter or digit is `_` and two hexadecimal digits.
fn id_of(path: &OwnedObjectPath) -> String {
    let escaped = path.rsplit('/').next().unwrap_or_default();
    let decode = || {
        let mut bytes = Vec::with_capacity(escaped.len());
        let mut rest = escaped.bytes();
        while let Some(byte) = rest.next() {
            if byte == b'_' {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
            } else {
                bytes.push(byte);
            }
        }
        String::from_utf8(bytes).ok()
    };
    decode().unwrap_or_else(|| escaped.to_owned())
}

/// The playlist of `playlists` that has this name, without regard to case, if one has.
pub(crate) fn namesake<'a>(playlists: &'a [Playlist], name: &str) -> Option<&'a Playlist> {
    let folded = name.to_lowercase();
    playlists.iter().find(|playlist| playlist.name.to_lowercase() == folded)
}

/// The playlists that are assigned to the partnership with this index, in priority order.
pub(crate) fn assigned(playlists: &[Playlist], index: u32) -> Vec<(u32, &Playlist)> {
    let mut assigned: Vec<_> = playlists
        .iter()
        .filter_map(|playlist| playlist.sync_priorities.get(&index).map(|priority| (*priority, playlist)))
        .collect();
    assigned.sort_by_key(|(priority, _)| *priority);
    assigned
}

/// The priority after the last that is in use for this partnership.
///
/// # Errors
/// [`Error::Failed`] when the last is the highest there is.
pub(crate) fn next_priority(playlists: &[Playlist], index: u32) -> Result<u32, Error> {
    let Some((last, playlist)) = assigned(playlists, index).pop() else { return Ok(1) };
    last.checked_add(1).ok_or_else(|| {
        Error::Failed(format!(
            "`{}` has the highest priority number there is ({last}), so nothing can come after it; \
             give it a lower one with `tandemctl assign --priority`",
            safe(&playlist.name)
        ))
    })
}

impl Named for Playlist {
    const ID_PREFIXES: bool = false;
    const WHAT: &'static str = "playlist";

    fn ids(&self) -> Vec<&str> {
        vec![self.path.as_str(), &self.id]
    }

    fn detail(&self) -> String {
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        format!("{}, {}, {}", self.kind, units::count(count, "item"), self.id)
    }

    fn names(&self) -> Vec<&str> {
        vec![&self.name]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn playlist(name: &str, priorities: &[(u32, u32)]) -> Playlist {
        Playlist {
            path: OwnedObjectPath::try_from(format!("/p/{name}")).unwrap(),
            id: name.to_owned(),
            name: name.to_owned(),
            kind: "static".to_owned(),
            rule: String::new(),
            count: 0,
            sync_priorities: priorities.iter().copied().collect(),
            sync_only: false,
        }
    }

    #[test]
    fn priorities_count_for_their_own_partnership_alone() {
        let playlists = [playlist("a", &[(1, 7), (2, 3)]), playlist("b", &[(1, 2)]), playlist("c", &[])];
        let names: Vec<_> =
            assigned(&playlists, 1).into_iter().map(|(p, list)| (p, list.name.as_str())).collect();
        assert_eq!(names, [(2, "b"), (7, "a")]);
        assert_eq!(next_priority(&playlists, 1).unwrap(), 8);
        assert_eq!(next_priority(&playlists, 2).unwrap(), 4);
        assert_eq!(next_priority(&playlists, 3).unwrap(), 1);
    }

    #[test]
    fn ids_are_read_from_paths() {
        let id = |path: &str| id_of(&OwnedObjectPath::try_from(path).unwrap());
        assert_eq!(id("/l/u0/playlists/p_2d00ff"), "p-00ff");
        assert_eq!(id("/l/u0/playlists/odd_"), "odd_");
        assert_eq!(id("/l/u0/playlists/odd_ff"), "odd_ff");
    }

    #[test]
    fn nothing_comes_after_the_highest_priority() {
        let error = next_priority(&[playlist("last", &[(1, u32::MAX)])], 1).unwrap_err().to_string();
        assert!(error.contains("`last`") && error.contains("--priority"), "{error}");
    }
}
