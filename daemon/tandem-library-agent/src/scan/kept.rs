//! Playlist files whose entries in the index are kept though they are not as the file has them now, and why.
//!
//! It reads nothing; a scan says what it found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Those playlist files, by path.
#[derive(Debug, Default, Clone)]
pub(super) struct KeptPlaylists {
    /// Those that can't be read, with what is told of each.
    unread: BTreeMap<PathBuf, String>,
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
    }

    /// Forgets those that this is false of.
    pub(super) fn retain(&mut self, is_there: impl Fn(&Path) -> bool) {
        self.unread.retain(|path, _| is_there(path));
    }
}
