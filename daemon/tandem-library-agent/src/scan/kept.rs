//! Playlist files whose entries in the index are kept though they are not as the file has them now, and why.
//!
//! It reads nothing; a scan says what it found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// How long a file that has lost all its entries must stay so until that is believed: some programs empty a file before they
/// write it.
const BELIEVED_AFTER: Duration = Duration::from_secs(30);

/// A file that has lost all its entries.
#[derive(Debug, Clone)]
struct Emptied {
    since: Instant,
    /// Another look was asked for.
    asked: bool,
}

/// Those playlist files, by path.
#[derive(Debug, Default, Clone)]
pub(super) struct KeptPlaylists {
    /// Those that can't be read, with what is told of each.
    unread: BTreeMap<PathBuf, String>,
    /// Those that have lost all their entries a moment ago.
    emptied: BTreeMap<PathBuf, Emptied>,
}

impl KeptPlaylists {
    /// Those that can't be read, with words for the user.
    pub(super) fn unread(&self) -> impl Iterator<Item = (&PathBuf, &String)> {
        self.unread.iter()
    }

    /// A file can't be read, for this reason. Tells whether that is news.
    pub(super) fn keep_unread(&mut self, path: &Path, why: &std::io::Error) -> bool {
        let words = format!(
            "the playlist file {} can't be read ({why}), and what it held when it could be is kept; make it readable, or \
             delete it",
            path.display()
        );
        self.unread.insert(path.to_owned(), words).is_none()
    }

    /// The index has this file as it is.
    pub(super) fn is_known(&mut self, path: &Path) {
        self.unread.remove(path);
        self.emptied.remove(path);
    }

    /// Forgets those that this is false of.
    pub(super) fn retain(&mut self, is_there: impl Fn(&Path) -> bool) {
        self.unread.retain(|path, _| is_there(path));
        self.emptied.retain(|path, _| is_there(path));
    }

    /// Whether a file that has lost all its entries, and was changed so long ago, is meant to have none.
    pub(super) fn is_meant_empty(&mut self, path: &Path, age: Duration, now: Instant) -> bool {
        if age >= BELIEVED_AFTER {
            return true;
        }
        // its time may be of another clock
        let emptied = self.emptied.entry(path.to_owned()).or_insert(Emptied { since: now, asked: false });
        now.duration_since(emptied.since) >= BELIEVED_AFTER
    }

    /// When to look at emptied files again, if there are any.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let waiting = self.emptied.values().filter(|emptied| !emptied.asked);
        waiting.map(|emptied| emptied.since + BELIEVED_AFTER).min()
    }

    /// The folders of emptied files that it is time to look at again; each once, whatever comes of that.
    pub(super) fn take_due(&mut self, now: Instant) -> BTreeMap<PathBuf, bool> {
        let mut folders = BTreeMap::new();
        for (path, emptied) in &mut self.emptied {
            if !emptied.asked && now.duration_since(emptied.since) >= BELIEVED_AFTER {
                emptied.asked = true;
                folders.extend(path.parent().map(|folder| (folder.to_owned(), false)));
            }
        }
        folders
    }
}
