//! Keeps the index equal to the folders: which scan is wanted, when it runs, and what it found wrong.
//!
//! One scan runs at a time, on a blocking thread; requests that come meanwhile are gathered for the next one.

mod ahead;
mod answering;
mod descent;
mod entries;
mod intake;
mod kept;
mod mounts;
mod moves;
mod pass;
mod pool;
pub(crate) mod tags;
pub(crate) mod walk;
mod window;

use crate::failure::Result;
use crate::folders::player_above;
use crate::index::{self, Index};
use crate::playlists::identity;
use crate::text;
use crate::watch::Watcher;
use answering::Answering;
pub(crate) use entries::track_count;
use kept::KeptPlaylists;
use pass::Pass;
use rusqlite::{Connection, Transaction};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tandem_model::clock::{Clock, SystemClock};
use tandem_model::id::PlaylistId;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// What the next scan is to do.
#[derive(Debug, Default, Clone)]
pub(crate) struct Wanted {
    /// All folders.
    pub(crate) full: bool,
    /// The user has confirmed that a folder may be empty.
    pub(crate) trust_empty: bool,
    /// Folders that changed; true: with all below.
    pub(crate) dirty: BTreeMap<PathBuf, bool>,
    /// What vanishes under the scan's eyes is gone; else it is looked for once more, because it may only be renamed.
    settled: bool,
}

impl Wanted {
    fn is_empty(&self) -> bool {
        !self.full && self.dirty.is_empty()
    }

    fn merge(&mut self, other: Self) {
        self.full |= other.full;
        self.trust_empty |= other.trust_empty;
        self.settled |= other.settled;
        for (folder, deep) in other.dirty {
            *self.dirty.entry(folder).or_default() |= deep;
        }
    }
}

/// What looks wrong, by the folder it is about; the empty path is the scan itself.
pub(crate) type Troubles = BTreeMap<PathBuf, String>;

/// What one scan tells the next, and the user.
#[derive(Debug, Default, Clone)]
struct Told {
    troubles: Troubles,
    kept: KeptPlaylists,
}

/// Scans on request.
pub(crate) struct Scanner {
    index: Arc<Index>,
    watcher: Arc<Watcher>,
    wanted: Arc<Mutex<Wanted>>,
    /// How many requests there were, and how many of them are done.
    requested: watch::Sender<u64>,
    completed: watch::Sender<u64>,
    scanning: watch::Sender<bool>,
    told: Mutex<Told>,
    ending: AtomicBool,
    is_mount: mounts::Probe,
    answering: Answering,
}

/// The first of these words, and how many more there are.
fn in_words<'a>(mut all: impl Iterator<Item = &'a String>) -> Option<String> {
    let first = all.next()?;
    match all.count() {
        0 => Some(first.clone()),
        more => Some(format!("{first} (and {more} more)")),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scanner {
    /// A scanner that waits for its first request.
    pub(crate) fn new(index: Arc<Index>, watcher: Arc<Watcher>) -> Self {
        Self {
            index,
            watcher,
            wanted: Arc::default(),
            requested: watch::Sender::new(0),
            completed: watch::Sender::new(0),
            scanning: watch::Sender::new(false),
            told: Mutex::default(),
            ending: AtomicBool::new(false),
            is_mount: mounts::is_mount,
            answering: Answering::default(),
        }
    }

    /// Asks for a scan; returns at once.
    pub(crate) fn request(&self, wanted: Wanted) {
        if wanted.full {
            self.scanning.send_replace(true);
        }
        lock(&self.wanted).merge(wanted);
        self.requested.send_modify(|count| *count += 1);
    }

    /// Asks for a scan of everything.
    pub(crate) fn request_full(&self, trust_empty: bool) {
        self.request(Wanted { full: true, trust_empty, ..Wanted::default() });
    }

    /// Waits until all that was asked for is done, but no longer than `limit`.
    pub(crate) async fn settle(&self, limit: Duration) {
        let ticket = *self.requested.borrow();
        let mut completed = self.completed.subscribe();
        let done = completed.wait_for(|completed| *completed >= ticket);
        if tokio::time::timeout(limit, done).await.is_err() {
            tracing::debug!("answering before the scan has ended");
        }
    }

    /// Whether a scan of everything runs or is about to.
    pub(crate) fn scanning(&self) -> watch::Receiver<bool> {
        self.scanning.subscribe()
    }

    /// Grows with each scan that has ended.
    pub(crate) fn completed(&self) -> watch::Receiver<u64> {
        self.completed.subscribe()
    }

    /// Why the library looks wrong, in words for the user.
    pub(crate) fn trouble(&self) -> Option<String> {
        let told = lock(&self.told);
        in_words(told.troubles.values().chain(told.kept.unread().map(|(_, words)| words)))
    }

    /// Why these playlists look wrong, in words for the user: a playlist file that can't be read is trouble for those alone
    /// that it is asked for.
    pub(crate) fn trouble_with(&self, connection: &Connection, ids: &[PlaylistId]) -> Result<Option<String>> {
        let told = lock(&self.told).clone();
        let mut all: Vec<&String> = told.troubles.values().collect();
        for (path, words) in told.kept.unread() {
            if ids.contains(&identity::id_at(connection, text::bytes(path))?) {
                all.push(words);
            }
        }
        Ok(in_words(all.into_iter()))
    }

    /// Whether a scan has failed, so that what it was to look at is not known, and none of everything went well since.
    pub(crate) fn has_failed(&self) -> bool {
        lock(&self.told).troubles.contains_key(Path::new(""))
    }

    /// Has those folders scanned that have come to lie in a player, which no watch tells, and those that may be usable
    /// again; so are folders of playlist files that couldn't be read. It may block for as long as a folder takes to answer.
    pub(crate) fn look_again(&self) {
        let Told { troubles, kept } = lock(&self.told).clone();
        let unread: BTreeMap<PathBuf, bool> =
            kept.unread().filter_map(|(path, _)| Some((path.parent()?.to_owned(), false))).collect();
        if !unread.is_empty() {
            self.request(Wanted { dirty: unread, ..Wanted::default() });
        }
        for folder in entries::outermost(self.index.folders()) {
            if !self.answers(&folder, &folder) {
                continue;
            }
            let told = troubles.get(&folder);
            let is_news = match player_above(&folder) {
                Some(player) => told != Some(&pass::players::in_player(&folder, &player)),
                None => told.is_some(),
            };
            if is_news {
                self.request(Wanted { dirty: [(folder, true)].into(), ..Wanted::default() });
            }
        }
    }

    /// Lets a running scan end at the next file, and begins no other.
    pub(crate) fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// Carries scans out until the task is dropped.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut requested = self.requested.subscribe();
        requested.mark_changed();
        loop {
            let look = lock(&self.told).kept.next_look();
            tokio::select! {
                changed = requested.changed() => if changed.is_err() {
                    return;
                },
                () = sleep_until(look.unwrap_or_else(Instant::now)), if look.is_some() => {
                    let dirty = lock(&self.told).kept.take_due(Instant::now());
                    self.request(Wanted { dirty, ..Wanted::default() });
                    continue;
                }
            }
            if self.ending.load(Ordering::Relaxed) {
                return;
            }
            let ticket = *requested.borrow_and_update();
            let wanted = std::mem::take(&mut *lock(&self.wanted));
            if !wanted.is_empty() {
                let scanner = self.clone();
                let full = wanted.full;
                let outcome = tokio::task::spawn_blocking(move || scanner.scan(&wanted)).await;
                let outcome = outcome
                    .map_err(|error| error.to_string())
                    .and_then(|done| done.map_err(|e| e.to_string()));
                self.report(outcome, full);
                let again = lock(&self.wanted).full;
                self.scanning.send_if_modified(|scanning| std::mem::replace(scanning, again) != again);
            }
            self.completed.send_replace(ticket);
        }
    }

    fn report(&self, outcome: std::result::Result<(), String>, full: bool) {
        let troubles = &mut lock(&self.told).troubles;
        match outcome {
            Ok(()) if full => drop(troubles.remove(&PathBuf::new())),
            Ok(()) => {}
            Err(error) => {
                tracing::error!(error, "a scan failed");
                troubles.insert(PathBuf::new(), format!("the last scan of the library failed: {error}"));
            }
        }
    }

    /// Whether a place in a library's folder answers. The folder is scanned when it does so later.
    fn answers(&self, library_folder: &Path, place: &Path) -> bool {
        let (wanted, requested) = (self.wanted.clone(), self.requested.clone());
        let folder = library_folder.to_owned();
        self.answering.answers(place, move || {
            lock(&wanted).merge(Wanted { dirty: [(folder, true)].into(), ..Wanted::default() });
            requested.send_modify(|count| *count += 1);
        })
    }

    fn scan(&self, wanted: &Wanted) -> Result<()> {
        let mut told = lock(&self.told).clone();
        let answers = |library_folder: &Path, place: &Path| self.answers(library_folder, place);
        let mut pass =
            Pass::new(&self.index, &self.watcher, &self.ending, &mut told, self.is_mount, &answers)?;
        let outcome = pass.run(wanted);
        let unsettled = pass.unsettled();
        let outcome = pass.finish().and(outcome);
        if outcome.is_ok() && wanted.full && !self.ending.load(Ordering::Relaxed) {
            self.note_end()?;
        }
        *lock(&self.told) = told;
        if !unsettled.is_empty() {
            self.request(Wanted { dirty: unsettled, settled: true, ..Wanted::default() });
        }
        outcome
    }

    /// Keeps when everything was scanned. Only that it was for the first time must survive a power cut.
    fn note_end(&self) -> Result<()> {
        let is_first = self.index.read(|connection| {
            Ok(index::lib_meta(connection, "scanned")?.is_none() || index::meta(connection, "again")? != 0)
        })?;
        let note = |transaction: &Transaction<'_>| {
            // a clock that was never set counts from 0, which means never
            index::set_meta(transaction, "last_scan", SystemClock.now().max(1))?;
            if is_first {
                index::set_meta(transaction, "again", 0)?;
                index::set_lib_meta(transaction, "scanned", Some("1"))?;
            }
            Ok(())
        };
        if is_first { self.index.write(note) } else { self.index.write_index(note) }
    }
}

#[cfg(test)]
mod tests;
