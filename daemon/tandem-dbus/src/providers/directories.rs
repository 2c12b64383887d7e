//! The directories with provider files: read each time a device comes, and watched, so that an installed,
//! upgraded or removed provider needs no restart.
//!
//! A wrong file costs itself alone, and is named in the log once.

use super::provider_file::{FileError, ProviderFile};
use futures_util::StreamExt;
use inotify::{Inotify, WatchMask};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Files that are read at most.
const MOST_FILES: usize = 256;

/// Directories with provider files: a file of a later one takes the place of one with the same name.
#[derive(Debug)]
pub(super) struct Directories {
    directories: Vec<PathBuf>,
    told: Mutex<BTreeSet<String>>,
}

impl Directories {
    pub(super) fn new(directories: Vec<PathBuf>) -> Self {
        Self { directories, told: Mutex::default() }
    }

    /// All files that are as they should be, in the order of their names. Tells of the others in the log.
    pub(super) fn read(&self) -> Vec<ProviderFile> {
        let (files, faults) = read(&self.directories);
        let faults: BTreeSet<String> = faults.iter().map(ToString::to_string).collect();
        // nothing in here panics halfway through a change
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for fault in faults.difference(&told) {
            tracing::error!("a provider file is left out: {fault}");
        }
        *told = faults;
        files
    }

    /// Calls `changed` after each change in the directories, those included that come into being only then.
    /// Ends when nothing can be watched; what is installed is then still read when a device comes.
    pub(super) async fn watch(&self, mut changed: impl FnMut()) {
        loop {
            match self.wait().await {
                Ok(()) => changed(),
                Err(error) => {
                    tracing::warn!(%error, "directories with provider files can't be watched");
                    return;
                }
            }
        }
    }

    /// Returns after a change.
    async fn wait(&self) -> std::io::Result<()> {
        let inotify = Inotify::init()?;
        let mut wanted: HashMap<_, BTreeSet<OsString>> = HashMap::new();
        for directory in &self.directories {
            let (path, name) = existing(directory);
            let mask = WatchMask::CREATE
                | WatchMask::CLOSE_WRITE
                | WatchMask::MOVED_TO
                | WatchMask::MOVED_FROM
                | WatchMask::DELETE
                | WatchMask::DELETE_SELF
                | WatchMask::MOVE_SELF
                | WatchMask::ONLYDIR;
            let watch = inotify.watches().add(path, mask)?;
            wanted.entry(watch).or_default().extend(name);
        }
        // one that came in between is seen by whoever waits next
        if self.directories.iter().any(|directory| directory.is_dir() && existing(directory).1.is_some()) {
            return Ok(());
        }
        let mut events = inotify.into_event_stream([0; 4096])?;
        while let Some(event) = events.next().await {
            let event = event?;
            let names = wanted.get(&event.wd);
            // above a directory that isn't there yet, only what leads to it counts
            let counts = names
                .is_none_or(|names| names.is_empty() || event.name.is_none_or(|name| names.contains(&name)));
            if counts {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The directory, or the nearest one above it that is there, with the name in it that leads on.
fn existing(directory: &Path) -> (&Path, Option<OsString>) {
    let mut at = directory;
    let mut name = None;
    while !at.is_dir() {
        let Some(above) = at.parent() else { break };
        name = at.file_name().map(ToOwned::to_owned);
        at = above;
    }
    (at, name)
}

fn read(directories: &[PathBuf]) -> (Vec<ProviderFile>, Vec<FileError>) {
    let mut found: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    let mut faults = Vec::new();
    for directory in directories {
        let unreadable = |cause| FileError::Unreadable { path: directory.clone(), cause };
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => continue,
            Err(cause) => {
                faults.push(unreadable(cause));
                continue;
            }
        };
        for entry in entries {
            match entry {
                Ok(entry) => {
                    let (name, path) = (entry.file_name(), entry.path());
                    let is_hidden = name.as_encoded_bytes().starts_with(b".");
                    if !is_hidden && path.extension().is_some_and(|extension| extension == "toml") {
                        found.insert(name, path);
                    }
                }
                Err(cause) => faults.push(unreadable(cause)),
            }
        }
    }
    let mut files = Vec::new();
    for path in found.into_values().take(MOST_FILES) {
        match ProviderFile::read(&path) {
            Ok(file) => files.push(file),
            Err(fault) => faults.push(fault),
        }
    }
    (files, faults)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::time::Duration;
    use tempfile::TempDir;

    fn put(directory: &Path, name: &str, text: &str) {
        std::fs::create_dir_all(directory).unwrap();
        std::fs::File::create(directory.join(name)).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn file(name: &str) -> String {
        format!("name = '{name}'\nbus_name = 'org.example.{name}'\nobject = '/p'\n")
    }

    #[test]
    fn later_directories_win_and_wrong_files_cost_themselves_alone() {
        let (vendor, admin) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        put(vendor.path(), "b.toml", &file("Vendor"));
        put(vendor.path(), "a.toml", &file("First"));
        put(admin.path(), "b.toml", &file("Admin"));
        put(admin.path(), "c.toml", "nam = 1");
        put(admin.path(), "c.toml.old", "nonsense");
        put(admin.path(), ".d.toml", "nonsense");
        let missing = admin.path().join("missing");
        let (files, faults) = read(&[vendor.path().to_owned(), admin.path().to_owned(), missing]);
        let names: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["First", "Admin"]);
        assert_eq!(faults.len(), 1);
        assert!(faults[0].to_string().contains("c.toml:1:1: "), "{}", faults[0]);
    }

    #[tokio::test]
    async fn changes_are_noticed_also_in_a_directory_that_comes_later() {
        let above = TempDir::new().unwrap();
        let directory = above.path().join("tandem/providers.d");
        let directories = Directories::new(vec![directory.clone()]);
        let changed = tokio::sync::Notify::new();
        let watch = directories.watch(|| changed.notify_one());
        let next = async || tokio::time::timeout(Duration::from_secs(10), changed.notified()).await.unwrap();
        let steps = async {
            put(&directory, "a.toml", &file("One"));
            loop {
                // the directory, the one in it, the file: each is a change, and the last of them shows the
                // file
                if !directories.read().is_empty() {
                    break;
                }
                next().await;
            }
            std::fs::remove_file(directory.join("a.toml")).unwrap();
            while !directories.read().is_empty() {
                next().await;
            }
        };
        tokio::select! {
            () = watch => panic!("the watch ended"),
            () = steps => {}
        }
    }
}
