//! Counts what happens in folders, by inotify on a thread of its own: what was begun in the folder of temporary files, what
//! left it for a final name, which inodes each name has had, what was removed. The daemon is never asked.

use inotify::{Event, EventMask, Inotify, WatchDescriptor, WatchMask, Watches};
use kit::LIMIT;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use tempfile::TempDir;
use tokio::sync::watch;

/// The player's folder of files that are being written.
const TEMPORARY_FOLDER: &str = ".tandem";
/// The fence that ends the thread.
const END: &str = "end";

/// What was seen so far.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Events of any kind, besides the witness's own.
    pub events: u64,
    /// Temporary files that were begun.
    pub begun: usize,
    /// Temporary files that got a final name.
    pub named: usize,
    /// Temporary files that were deleted: what they held has to be sent again.
    pub discarded: usize,
    /// The inodes that each path has had.
    pub inodes: BTreeMap<PathBuf, BTreeSet<u64>>,
    /// Files that were removed, in their order; those in the folder of temporary files not among them.
    pub removed: Vec<PathBuf>,
    /// Whether the kernel has dropped events.
    pub overflowed: bool,
    fence: OsString,
}

/// Watches folders and all below them until it is dropped.
#[derive(Debug)]
pub struct Witness {
    seen: watch::Receiver<Seen>,
    fences: TempDir,
    fence: u64,
    thread: Option<JoinHandle<()>>,
}

impl Witness {
    /// Watches a player. Its folder of temporary files is made here, because only then nothing in it can happen before it
    /// is watched.
    ///
    /// # Panics
    /// When inotify refuses.
    #[must_use]
    pub fn of_player(player: &Path) -> Self {
        std::fs::create_dir_all(player.join(TEMPORARY_FOLDER))
            .unwrap_or_else(|error| panic!("{}: {error}", player.display()));
        Self::of(&[player])
    }

    /// Watches these folders.
    ///
    /// # Panics
    /// When inotify refuses.
    #[must_use]
    pub fn of(folders: &[&Path]) -> Self {
        let inotify = Inotify::init().expect("a user may have some inotify instances");
        let fences = TempDir::with_prefix("tandem-fence-").expect("the temporary directory can be written");
        let (sender, seen) = watch::channel(Seen::default());
        let mut eyes =
            Eyes { watches: inotify.watches(), folders: HashMap::new(), fences: fences.path().to_owned() };
        eyes.add(fences.path().to_owned(), &mut Seen::default());
        sender.send_modify(|seen| folders.iter().for_each(|folder| eyes.add((*folder).to_owned(), seen)));
        let thread = std::thread::spawn(move || eyes.watch(inotify, &sender));
        Self { seen, fences, fence: 0, thread: Some(thread) }
    }

    /// What was seen, everything that has happened before this call included.
    ///
    /// # Panics
    /// When the kernel has dropped events.
    pub async fn seen(&mut self) -> Seen {
        self.fence += 1;
        let name = OsString::from(self.fence.to_string());
        self.raise(&name);
        let seen = self.wait(|seen| seen.fence == name).await;
        assert!(!seen.overflowed, "the kernel dropped events: nothing can be said");
        seen
    }

    /// Waits for something to have been seen.
    ///
    /// # Panics
    /// When that doesn't come to pass within [`LIMIT`].
    pub async fn wait(&mut self, accept: impl FnMut(&Seen) -> bool) -> Seen {
        match tokio::time::timeout(LIMIT, self.seen.wait_for(accept)).await {
            Ok(Ok(seen)) => return seen.clone(),
            Ok(Err(_)) => panic!("the witness has ended"),
            Err(_) => {}
        }
        let seen = self.seen.borrow();
        panic!(
            "what was awaited was not seen; begun {}, named {}, {} events",
            seen.begun, seen.named, seen.events
        )
    }

    fn raise(&self, name: &OsStr) {
        std::fs::File::create(self.fences.path().join(name)).expect("the temporary directory can be written");
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.raise(OsStr::new(END));
        if let Some(thread) = self.thread.take() {
            // a panic of the thread has failed the test already: its channel is closed
            thread.join().ok();
        }
    }
}

/// The thread's own.
struct Eyes {
    watches: Watches,
    folders: HashMap<WatchDescriptor, PathBuf>,
    fences: PathBuf,
}

impl Eyes {
    fn watch(mut self, mut inotify: Inotify, sender: &watch::Sender<Seen>) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let events: Vec<_> = inotify
                .read_events_blocking(&mut buffer)
                .expect("the descriptor is open, and blocks")
                .map(|event| event.to_owned())
                .collect();
            let mut ended = false;
            sender.send_modify(|seen| ended = events.iter().any(|event| self.take(event, seen)));
            if ended {
                return;
            }
        }
    }

    /// Notes an event; tells whether it is the last one.
    fn take(&mut self, event: &Event<OsString>, seen: &mut Seen) -> bool {
        if event.mask.contains(EventMask::Q_OVERFLOW) {
            seen.overflowed = true;
            return false;
        }
        let (Some(folder), Some(name)) = (self.folders.get(&event.wd), &event.name) else { return false };
        if *folder == self.fences {
            seen.fence.clone_from(name);
            return name == END;
        }
        seen.events += 1;
        let path = folder.join(name);
        let temporary = folder.ends_with(TEMPORARY_FOLDER);
        let came = event.mask.intersects(EventMask::CREATE | EventMask::MOVED_TO);
        if event.mask.contains(EventMask::ISDIR) {
            if came {
                self.add(path, seen);
            }
        } else if temporary {
            seen.begun += usize::from(event.mask.contains(EventMask::CREATE));
            seen.named += usize::from(event.mask.contains(EventMask::MOVED_FROM));
            seen.discarded += usize::from(event.mask.contains(EventMask::DELETE));
        } else if came {
            note_inode(path, seen);
        } else {
            seen.removed.push(path);
        }
        false
    }

    /// Watches a folder and those in it; files that came before the watch did are noted too.
    fn add(&mut self, folder: PathBuf, seen: &mut Seen) {
        let mask = WatchMask::CREATE | WatchMask::MOVED_TO | WatchMask::MOVED_FROM | WatchMask::DELETE;
        // one that is gone again has nothing to tell
        let Ok(descriptor) = self.watches.add(&folder, mask) else { return };
        self.folders.insert(descriptor, folder.clone());
        let Ok(entries) = std::fs::read_dir(&folder) else { return };
        for entry in entries.filter_map(Result::ok) {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.add(entry.path(), seen);
            } else if !folder.ends_with(TEMPORARY_FOLDER) {
                note_inode(entry.path(), seen);
            }
        }
    }
}

fn note_inode(path: PathBuf, seen: &mut Seen) {
    if let Ok(facts) = std::fs::symlink_metadata(&path) {
        seen.inodes.entry(path).or_default().insert(facts.ino());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_begun_file_every_name_and_every_inode_is_counted() {
        let player = TempDir::new().unwrap();
        let mut witness = Witness::of_player(player.path());
        let temporary = player.path().join(TEMPORARY_FOLDER).join("0123.part");
        let place = player.path().join("Music/a.mp3");
        for _ in 0..3 {
            std::fs::File::create(&temporary).unwrap();
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::rename(&temporary, &place).unwrap();
            witness.seen().await;
        }
        std::fs::File::create(&temporary).unwrap();
        std::fs::remove_file(&temporary).unwrap();
        std::fs::remove_file(&place).unwrap();
        let seen = witness.seen().await;
        assert_eq!((seen.begun, seen.named, seen.discarded), (4, 3, 1));
        assert!(seen.inodes[&place].len() >= 2, "{:?}", seen.inodes);
        assert_eq!(seen.removed, [place]);
    }
}
