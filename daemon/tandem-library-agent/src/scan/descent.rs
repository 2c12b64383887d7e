//! Lists a folder and those below it, one after the other and each before those in it. A folder is watched before it is
//! listed, so that what changes after that is told of.
//!
//! It must not conclude anything from what is in a folder; that is the comparison's.

use super::mounts::Probe;
use super::walk::{self, Listing, Root};
use crate::text;
use crate::watch::Watcher;
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The deepest nesting of folders; a path can hardly name a deeper one.
const MAX_DEPTH: usize = 1000;

/// A folder and what is in it.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) path: PathBuf,
    /// The folder above it, counted from 0 in the order of this descent; none for the first.
    pub(super) above: Option<usize>,
    pub(super) outcome: Result<Listing, Errno>,
}

impl Listed {
    /// Names in it, and one more for the folder itself.
    pub(super) fn names(&self) -> usize {
        let names = |listing: &Listing| listing.music.len() + listing.playlists.len() + listing.folders.len();
        1 + self.outcome.as_ref().map_or(0, names)
    }
}

/// A folder's path in the library's.
pub(super) fn relative_to<'p>(folder: &Path, path: &'p Path) -> &'p Path {
    path.strip_prefix(folder).unwrap_or(Path::new(""))
}

/// The way down from one folder.
#[derive(Clone)]
pub(super) struct Descent<'a> {
    root: &'a Root,
    /// The library's folder, which is `root`.
    folder: &'a Path,
    watcher: &'a Watcher,
    is_mount: Probe,
    /// Whether it leads into the folders that it finds.
    is_deep: bool,
    left_out: BTreeSet<PathBuf>,
    waiting: Vec<(PathBuf, Option<usize>)>,
    listed: usize,
}

impl<'a> Descent<'a> {
    /// From the folder at `first` in the library's `folder`; nothing is listed at those of `left_out`.
    pub(super) fn new(
        (root, folder): (&'a Root, &'a Path),
        watcher: &'a Watcher,
        is_mount: Probe,
        left_out: BTreeSet<PathBuf>,
        (first, is_deep): (PathBuf, bool),
    ) -> Self {
        let waiting = vec![(first, None)];
        Self { root, folder, watcher, is_mount, is_deep, left_out, waiting, listed: 0 }
    }

    fn leads_into(&self, path: &Path) -> bool {
        if relative_to(self.folder, path).components().count() > MAX_DEPTH {
            tracing::warn!("a folder lies more than {MAX_DEPTH} folders deep and is left out");
            return false;
        }
        !self.left_out.contains(path)
    }
}

impl Iterator for Descent<'_> {
    type Item = Listed;

    fn next(&mut self) -> Option<Listed> {
        loop {
            let (path, above) = self.waiting.pop()?;
            if !self.leads_into(&path) {
                continue;
            }
            self.watcher.watch(&path, path == self.folder);
            let outcome = walk::list(self.root, relative_to(self.folder, &path), self.is_mount);
            let below = outcome.as_ref().ok().filter(|listing| self.is_deep && !listing.is_player);
            for name in below.map_or(&[][..], |listing| &listing.folders) {
                self.waiting.push((path.join(text::path(name)), Some(self.listed)));
            }
            self.listed += 1;
            return Some(Listed { path, above, outcome });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::mounts::is_mount;
    use super::*;
    use std::fs;

    fn listed(folder: &Path, left_out: &[&str], is_deep: bool) -> Vec<Listed> {
        let (root, watcher) = (Root::open(folder).unwrap(), Watcher::new().0);
        let left_out = left_out.iter().map(|name| folder.join(name)).collect();
        let first = (folder.to_owned(), is_deep);
        Descent::new((&root, folder), &watcher, is_mount, left_out, first).collect()
    }

    #[test]
    fn each_folder_comes_once_and_behind_the_one_above() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a/b/c", "a/d", "player/e", "away/f", ".hidden/g"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        fs::File::create(folder.path().join("player").join(walk::PLAYER_MARK)).unwrap();
        let all = listed(folder.path(), &["away"], true);
        let mut names: Vec<String> = all
            .iter()
            .map(|listed| relative_to(folder.path(), &listed.path).to_string_lossy().into_owned())
            .collect();
        for (position, listed) in all.iter().enumerate() {
            match listed.above {
                Some(above) => {
                    assert!(above < position);
                    assert_eq!(listed.path.parent(), Some(all[above].path.as_path()));
                }
                None => assert_eq!((position, listed.path.as_path()), (0, folder.path())),
            }
        }
        names.sort();
        assert_eq!(names, ["", "a", "a/b", "a/b/c", "a/d", "player"]);
        assert_eq!(listed(folder.path(), &[], false).len(), 1);
    }

    #[test]
    fn what_cannot_be_listed_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (root, watcher) = (Root::open(folder.path()).unwrap(), Watcher::new().0);
        let first = (folder.path().join("none"), true);
        let mut descent = Descent::new((&root, folder.path()), &watcher, is_mount, BTreeSet::new(), first);
        assert_eq!(descent.next().unwrap().outcome.unwrap_err(), Errno::NOENT);
        assert!(descent.next().is_none());
    }
}
