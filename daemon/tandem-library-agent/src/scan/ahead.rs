//! Lists folders before the scan comes to them, on a thread of its own, while the scan compares those before with the
//! index. It must not decide which folders are listed, nor conclude anything from what is in them.

use super::mounts::Probe;
use super::walk::{self, Listing, Root};
use rustix::io::Errno;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Names in the listings that wait for the scan, at which no more are made: about a megabyte.
const MOST_NAMES: usize = 10_000;

type Outcome = Result<Listing, Errno>;

/// Folders that are to be listed and those that have been, by their paths in the library's folder.
#[derive(Default)]
struct Folders {
    wanted: Vec<PathBuf>,
    /// What is being listed now.
    current: Option<PathBuf>,
    listed: HashMap<PathBuf, Outcome>,
    /// Names in those, one more for each folder.
    names: usize,
    ending: bool,
}

impl Folders {
    fn put(&mut self, path: PathBuf, outcome: Outcome) {
        self.names += names_in(&outcome);
        self.listed.insert(path, outcome);
    }

    fn take(&mut self, path: &Path) -> Option<Outcome> {
        let outcome = self.listed.remove(path)?;
        self.names -= names_in(&outcome);
        Some(outcome)
    }
}

fn names_in(outcome: &Outcome) -> usize {
    let names = |listing: &Listing| listing.music.len() + listing.playlists.len() + listing.folders.len();
    1 + outcome.as_ref().map_or(0, names)
}

#[derive(Default)]
struct Shared {
    folders: Mutex<Folders>,
    changed: Condvar,
}

impl Shared {
    fn folders(&self) -> MutexGuard<'_, Folders> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, folders: MutexGuard<'a, Folders>) -> MutexGuard<'a, Folders> {
        self.changed.wait(folders).unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists what is wanted, the newest first, until the scan ends.
    fn serve(&self, root: &Root, is_mount: Probe) {
        let mut folders = self.folders();
        while !folders.ending {
            let next = if folders.names < MOST_NAMES { folders.wanted.pop() } else { None };
            let Some(next) = next else {
                folders = self.wait(folders);
                continue;
            };
            folders.current = Some(next.clone());
            drop(folders);
            let outcome = walk::list(root, &next, is_mount);
            folders = self.folders();
            folders.current = None;
            folders.put(next, outcome);
            self.changed.notify_all();
        }
    }
}

/// The listings of one library's folder.
pub(super) struct Ahead {
    root: Arc<Root>,
    is_mount: Probe,
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Ahead {
    /// Nothing is listed yet.
    pub(super) fn new(root: Arc<Root>, is_mount: Probe) -> Self {
        Self { root, is_mount, shared: Arc::default(), thread: None }
    }

    /// Has folders listed that the scan will come to, the last one first.
    pub(super) fn want(&mut self, paths: Vec<PathBuf>) {
        // the scan comes to a single one at once
        if self.thread.is_none() && paths.len() < 2 {
            return;
        }
        if self.thread.is_none() {
            let (shared, root, is_mount) = (Arc::clone(&self.shared), Arc::clone(&self.root), self.is_mount);
            let begun = std::thread::Builder::new()
                .name("listing".to_owned())
                .spawn(move || shared.serve(&root, is_mount));
            match begun {
                Ok(thread) => self.thread = Some(thread),
                Err(error) => {
                    tracing::debug!(%error, "folders are listed one after the other");
                    return;
                }
            }
        }
        self.shared.folders().wanted.extend(paths);
        self.shared.changed.notify_all();
    }

    /// The listing of a folder.
    pub(super) fn list(&self, path: &Path) -> Outcome {
        let mut folders = self.shared.folders();
        while folders.current.as_deref() == Some(path) {
            folders = self.shared.wait(folders);
        }
        let was_full = folders.names >= MOST_NAMES;
        if let Some(outcome) = folders.take(path) {
            if was_full {
                self.shared.changed.notify_all();
            }
            return outcome;
        }
        if let Some(position) = folders.wanted.iter().rposition(|wanted| wanted == path) {
            folders.wanted.remove(position);
        }
        drop(folders);
        walk::list(&self.root, path, self.is_mount)
    }

    /// Gives up a folder's listing: the scan doesn't come to it.
    pub(super) fn forget(&self, path: &Path) {
        let mut folders = self.shared.folders();
        folders.take(path);
        folders.wanted.retain(|wanted| wanted != path);
        self.shared.changed.notify_all();
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.shared.folders().ending = true;
        self.shared.changed.notify_all();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("listing folders ahead failed; they were listed one after the other");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::mounts::is_mount;
    use super::*;
    use std::fs;

    #[test]
    fn every_folder_is_listed_as_it_is_whether_ahead_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<PathBuf> = (0..200).map(|number| format!("{number:03}").into()).collect();
        for name in &names {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::File::create(folder.path().join(name).join("a.mp3")).unwrap();
        }
        fs::remove_dir_all(folder.path().join(&names[7])).unwrap();
        let mut ahead = Ahead::new(Arc::new(Root::open(folder.path()).unwrap()), is_mount);
        ahead.want(names.clone());
        ahead.forget(&names[5]);
        // the order of the scan, and then one against it
        for name in names.iter().rev().chain(&names) {
            match ahead.list(name) {
                Ok(listing) => assert_eq!(listing.music.len(), 1, "{}", name.display()),
                Err(error) => assert_eq!((error, name), (Errno::NOENT, &names[7])),
            }
        }
        assert_eq!(ahead.list(Path::new("none")).unwrap_err(), Errno::NOENT);
    }

    #[test]
    fn no_more_is_listed_ahead_than_memory_is_meant_for() {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<PathBuf> = (0..4).map(|number| number.to_string().into()).collect();
        for name in &names {
            fs::create_dir(folder.path().join(name)).unwrap();
            for file in 0..MOST_NAMES / 2 {
                fs::File::create(folder.path().join(name).join(format!("{file}.mp3"))).unwrap();
            }
        }
        let mut ahead = Ahead::new(Arc::new(Root::open(folder.path()).unwrap()), is_mount);
        ahead.want(names.clone());
        for name in names.iter().rev() {
            assert_eq!(ahead.list(name).unwrap().music.len(), MOST_NAMES / 2);
            assert!(ahead.shared.folders().names <= MOST_NAMES * 3 / 2 + 2);
        }
        assert_eq!(ahead.shared.folders().names, 0);
    }

    #[test]
    fn a_scan_that_ends_early_waits_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<PathBuf> = (0..200).map(|number| format!("{number}").into()).collect();
        let mut ahead = Ahead::new(Arc::new(Root::open(folder.path()).unwrap()), is_mount);
        ahead.want(names);
        drop(ahead);
    }
}
