//! Notices changes in the library's folders by inotify, and asks the scanner to look at those folders.
//!
//! It reads no folder itself. Where the system has no watches left, it says so, and a scan before each use takes over.

pub(crate) mod mounts;

use crate::scan::Wanted;
use crate::{formats, text};
use futures_util::StreamExt;
use inotify::{Event, EventMask, EventOwned, Inotify, WatchDescriptor, WatchMask, Watches};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

/// Changes are gathered until nothing has happened for so long,
const QUIET: Duration = Duration::from_millis(500);
/// but no longer than this.
const GATHERED: Duration = Duration::from_secs(5);
/// The same where somebody waits for what has happened until now: what the kernel holds is read before this is over.
const DRAINED: Duration = Duration::from_millis(2);
const EVENT_BUFFER: usize = 16 * 1024;

/// What a watch is there for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Purpose {
    /// A folder of music.
    Folder(PathBuf),
    /// The return of missing folders of the library.
    Return(Vec<PathBuf>),
}

#[derive(Default)]
struct Watched {
    watches: Option<Watches>,
    purposes: HashMap<WatchDescriptor, Purpose>,
    /// How often watches were ended.
    removals: u64,
}

/// The watches.
pub(crate) struct Watcher {
    watched: Mutex<Watched>,
    incomplete: AtomicBool,
    /// How often somebody asked for what had happened until then, and how many of them have it.
    asked: watch::Sender<u64>,
    handed_over: watch::Sender<u64>,
}

impl Watcher {
    /// The watches and their source of events; no source where the system has no inotify instance left.
    pub(crate) fn new() -> (Self, Option<Inotify>) {
        let source = Inotify::init()
            .inspect_err(|error| {
                tracing::warn!(%error, "changes in the library's folders can't be watched; they are scanned before each use");
            })
            .ok();
        let watched = Watched { watches: source.as_ref().map(Inotify::watches), ..Watched::default() };
        let watcher = Self {
            watched: Mutex::new(watched),
            incomplete: AtomicBool::new(source.is_none()),
            asked: watch::Sender::new(0),
            handed_over: watch::Sender::new(0),
        };
        (watcher, source)
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether changes may go unnoticed, so that a scan is due before the library is used.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.incomplete.load(Ordering::Relaxed)
    }

    /// Sees to it that what has happened until now is asked of the scanner, without the wait for more of it, but waits no
    /// longer than `limit` for that.
    pub(crate) async fn hand_over(&self, limit: Duration) {
        let mut handed_over = self.handed_over.subscribe();
        self.asked.send_modify(|count| *count += 1);
        let ticket = *self.asked.borrow();
        let done = handed_over.wait_for(|handed_over| *handed_over >= ticket);
        if timeout(limit, done).await.is_err() {
            tracing::debug!("answering before all that has happened is known");
        }
    }

    /// Watches a folder of music, not those below it. `is_root`: it is one of the library's own, which may be reached
    /// by a link, and whose disappearance is of interest.
    pub(crate) fn watch(&self, folder: &Path, is_root: bool) {
        let mut mask = WatchMask::CLOSE_WRITE
            | WatchMask::MOVED_FROM
            | WatchMask::MOVED_TO
            | WatchMask::CREATE
            | WatchMask::DELETE
            | WatchMask::ATTRIB
            | WatchMask::ONLYDIR
            | WatchMask::EXCL_UNLINK;
        mask |= if is_root { WatchMask::MOVE_SELF | WatchMask::DELETE_SELF } else { WatchMask::DONT_FOLLOW };
        while let Some(added) = self.begin(folder, mask) {
            if self.keep(added, folder) {
                return;
            }
        }
    }

    /// Adds a watch, and tells how often watches were ended before that.
    fn begin(&self, folder: &Path, mask: WatchMask) -> Option<(WatchDescriptor, u64)> {
        let removals = self.lock().removals;
        Some((self.add(folder, mask)?, removals))
    }

    /// Keeps what a watch is there for. False: watches were ended meanwhile, and because a folder that was moved has its
    /// descriptor still, the one that was added may be one of them.
    fn keep(&self, (descriptor, removals): (WatchDescriptor, u64), folder: &Path) -> bool {
        let mut watched = self.lock();
        if watched.removals != removals {
            return false;
        }
        watched.purposes.insert(descriptor, Purpose::Folder(folder.to_owned()));
        true
    }

    /// Watches for a missing folder of the library, at the nearest folder above it that is there.
    pub(crate) fn watch_for_return(&self, folder: &Path) {
        let mask = WatchMask::CREATE | WatchMask::MOVED_TO | WatchMask::ONLYDIR | WatchMask::MASK_ADD;
        let Some(above) = folder.ancestors().skip(1).find(|above| above.is_dir()) else { return };
        let Some(descriptor) = self.add(above, mask) else { return };
        let mut watched = self.lock();
        match watched.purposes.entry(descriptor).or_insert_with(|| Purpose::Return(Vec::new())) {
            Purpose::Return(folders) if !folders.iter().any(|waiting| waiting == folder) => {
                folders.push(folder.to_owned());
            }
            Purpose::Return(_) | Purpose::Folder(_) => {}
        }
    }

    /// Nothing is locked meanwhile, because a file system that doesn't answer would stop all that waits for the lock.
    /// What happens before the purpose is known is found by the scan, which lists the folder after this.
    fn add(&self, folder: &Path, mask: WatchMask) -> Option<WatchDescriptor> {
        let mut watches = self.lock().watches.clone()?;
        match watches.add(folder, mask) {
            Ok(descriptor) => Some(descriptor),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                if !self.incomplete.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "the limit of watched folders is reached; the library is scanned before each use (raise \
                         fs.inotify.max_user_watches to avoid that)"
                    );
                }
                None
            }
            // the folder is gone or can't be read, which its scan reports
            Err(error) => {
                tracing::debug!(%error, "a folder can't be watched");
                None
            }
        }
    }

    /// Ends the watches of a folder and all below it.
    pub(crate) fn forget(&self, folder: &Path) {
        self.remove(|purpose| matches!(purpose, Purpose::Folder(path) if path.starts_with(folder)));
    }

    /// Ends the watches of all below a folder.
    pub(crate) fn forget_below(&self, folder: &Path) {
        self.remove(
            |purpose| matches!(purpose, Purpose::Folder(path) if path != folder && path.starts_with(folder)),
        );
    }

    /// Ends the watches of all that is not in these folders.
    pub(crate) fn keep_only(&self, folders: &[PathBuf]) {
        let kept = |path: &Path| folders.iter().any(|folder| path.starts_with(folder));
        let waiting: Vec<PathBuf> = self
            .lock()
            .purposes
            .values()
            .flat_map(|purpose| match purpose {
                Purpose::Folder(_) => &[][..],
                Purpose::Return(waiting) => waiting,
            })
            .cloned()
            .collect();
        let missing: BTreeSet<PathBuf> =
            waiting.into_iter().filter(|path| kept(path) && !path.is_dir()).collect();
        self.remove(|purpose| match purpose {
            Purpose::Folder(path) => !kept(path),
            Purpose::Return(waiting) => !waiting.iter().any(|path| missing.contains(path)),
        });
    }

    fn remove(&self, unwanted: impl Fn(&Purpose) -> bool) {
        let mut watched = self.lock();
        let Watched { watches, purposes, removals } = &mut *watched;
        purposes.retain(|descriptor, purpose| {
            if !unwanted(purpose) {
                return true;
            }
            *removals += 1;
            if let Some(Err(error)) = watches.as_mut().map(|watches| watches.remove(descriptor.clone())) {
                // the kernel ends the watch of a folder that is gone by itself
                tracing::debug!(%error, "a watch had ended already");
            }
            false
        });
    }

    /// Adds to `wanted` what an event calls for.
    fn note(&self, event: &EventOwned, wanted: &mut Wanted) {
        if event.mask.contains(EventMask::Q_OVERFLOW) {
            wanted.full = true;
            return;
        }
        let mut watched = self.lock();
        if event.mask.contains(EventMask::IGNORED) {
            watched.purposes.remove(&event.wd);
            return;
        }
        let Some(purpose) = watched.purposes.get(&event.wd) else { return };
        match purpose {
            Purpose::Folder(folder) => note_folder(folder, event, &mut wanted.dirty),
            Purpose::Return(waiting) => {
                for folder in waiting.iter().filter(|folder| is_on_the_way(folder, event)) {
                    wanted.dirty.insert(folder.clone(), true);
                }
            }
        }
    }
}

/// Whether a name that appeared may be part of the way to a missing folder.
fn is_on_the_way(folder: &Path, event: &EventOwned) -> bool {
    event.name.as_ref().is_some_and(|name| folder.components().any(|part| part.as_os_str() == name))
}

fn note_folder(folder: &Path, event: &Event<std::ffi::OsString>, dirty: &mut BTreeMap<PathBuf, bool>) {
    if event.mask.contains(EventMask::ATTRIB) {
        // a file's time was set, perhaps, or who may read it has changed; of a folder only the content matters
        let is_file = |name: &std::ffi::OsString| {
            let name = name.as_encoded_bytes();
            formats::is_playlist(name) || formats::by_name(name).is_some()
        };
        if event.name.as_ref().is_some_and(is_file) {
            dirty.entry(folder.to_owned()).or_default();
        }
        return;
    }
    let Some(name) = &event.name else {
        // the folder itself was moved, deleted or unmounted
        dirty.insert(folder.to_owned(), true);
        return;
    };
    if text::is_hidden(name.as_encoded_bytes()) {
        // a hidden name; but what was renamed from one without a dot is told as MOVED_FROM under that
        return;
    }
    let path = folder.join(name);
    let appeared = event.mask.intersects(EventMask::CREATE | EventMask::MOVED_TO);
    if event.mask.contains(EventMask::ISDIR) {
        dirty.entry(folder.to_owned()).or_default();
        if appeared {
            dirty.insert(path, true);
        }
        return;
    }
    // a new file is looked at when it is closed; a new name of a file that is there is never closed
    let only_created = event.mask.contains(EventMask::CREATE);
    let is_link = || path.symlink_metadata().is_ok_and(|facts| facts.is_file() && facts.nlink() > 1);
    if !only_created || is_link() {
        dirty.entry(folder.to_owned()).or_default();
    }
}

/// Gathers events and hands over what they call for, until the source ends.
pub(crate) async fn run(watcher: &Watcher, source: Inotify, request: impl Fn(Wanted)) -> io::Result<()> {
    let mut events = source.into_event_stream(vec![0; EVENT_BUFFER])?;
    let mut asked = watcher.asked.subscribe();
    loop {
        let mut wanted = Wanted::default();
        let mut next = tokio::select! {
            event = events.next() => match event {
                None => return Ok(()),
                event => event,
            },
            // the sender is the watcher's own
            _ = asked.changed() => None,
        };
        let end = Instant::now() + GATHERED;
        let ticket = loop {
            match next.take() {
                Some(Ok(event)) => watcher.note(&event, &mut wanted),
                Some(Err(error)) => {
                    tracing::warn!(%error, "changes were lost; the library is scanned");
                    wanted.full = true;
                }
                None => {}
            }
            let ticket = *asked.borrow_and_update();
            let is_awaited = ticket > *watcher.handed_over.borrow();
            let quiet = Instant::now() + if is_awaited { DRAINED } else { QUIET };
            tokio::select! {
                event = timeout_at(quiet.min(end), events.next()) => match event {
                    Ok(Some(event)) => next = Some(event),
                    Ok(None) | Err(_) => break ticket,
                },
                _ = asked.changed(), if !is_awaited => {}
            }
        };
        if wanted.full || !wanted.dirty.is_empty() {
            request(wanted);
        }
        watcher.handed_over.send_replace(ticket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Whether the kernel watches the folder at this path; it doesn't any more afterwards.
    fn ends_watch(watcher: &Watcher, folder: &Path) -> bool {
        let mut watched = watcher.lock();
        let purpose = Purpose::Folder(folder.to_owned());
        let of_folder = watched.purposes.iter().find(|(_, known)| **known == purpose);
        let Some(descriptor) = of_folder.map(|(descriptor, _)| descriptor.clone()) else { return false };
        watched.purposes.remove(&descriptor);
        watched.watches.as_mut().unwrap().remove(descriptor).is_ok()
    }

    #[test]
    fn a_folder_that_moves_is_watched_though_its_old_place_is_forgotten_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        fs::create_dir(&old).unwrap();
        let (watcher, _source) = Watcher::new();
        watcher.watch(&old, false);
        fs::rename(&old, &new).unwrap();
        let added = watcher.begin(&new, WatchMask::CREATE).unwrap();
        watcher.forget(&old);
        assert!(!watcher.keep(added, &new), "its watch was ended");
        watcher.watch(&new, false);
        assert!(ends_watch(&watcher, &new));
    }

    #[test]
    fn what_lies_below_is_forgotten_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (watcher, _source) = Watcher::new();
        let (below, beside) = (folder.path().join("a/b"), folder.path().join("ab"));
        for path in [&below, &beside] {
            fs::create_dir_all(path).unwrap();
        }
        let above = folder.path().join("a");
        for path in [&above, &below, &beside] {
            watcher.watch(path, false);
        }
        watcher.forget_below(&above);
        assert_eq!([&above, &below, &beside].map(|path| ends_watch(&watcher, path)), [true, false, true]);
    }
}
