//! One scan: visits folders, compares each with the index, and brings the index up to date in batches.
//!
//! A file that has not changed costs one `fstatat` and no query of its own. Nothing leaves the index because its folder
//! can't be read, or because all of a library's folder is gone at once.

mod away;
pub(super) mod players;
mod playlists;
mod visits;

use super::entries::{self, NewTrack};
use super::intake::Intake;
use super::kept::KeptPlaylists;
use super::mounts::{self, Mounts, Probe};
use super::moves::{self, FreshPlaylist, Vanished, VanishedDir};
use super::walk::{Facts, Found, Listing, Root};
use super::{Told, Troubles, Wanted};
use crate::failure::Result;
use crate::index::{self, Index};
use crate::text;
use crate::watch::Watcher;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tandem_model::clock::{Clock, SystemClock};

/// A folder that a visit is to be made to.
struct Visit {
    path: PathBuf,
    parent: Option<i64>,
    deep: bool,
}

/// Whether a place in a library's folder answers: the folder, and the place.
pub(super) type Answers<'a> = dyn Fn(&Path, &Path) -> bool + 'a;

/// One scan.
pub(super) struct Pass<'a> {
    index: &'a Index,
    watcher: &'a Watcher,
    ending: &'a AtomicBool,
    troubles: &'a mut Troubles,
    kept: &'a mut KeptPlaylists,
    folders: Vec<PathBuf>,
    now: u64,
    /// The index replaces a lost one: files get their modification time as the time they were added.
    again: bool,
    intake: Intake<'a>,
    /// Files that were not in the index before, to find those that were moved.
    fresh: HashMap<Facts, Vec<u8>>,
    collects_fresh: bool,
    /// The index is empty, and each folder is visited once: there is nothing to compare with.
    finds_all_new: bool,
    vanished: Vec<Vanished>,
    vanished_dirs: Vec<VanishedDir>,
    /// Numbers and paths.
    vanished_playlists: Vec<(i64, Vec<u8>)>,
    fresh_playlists: Vec<FreshPlaylist>,
    mounts: Mounts,
    /// Folders in which nothing belongs to the library.
    players: Vec<PathBuf>,
    answers: &'a Answers<'a>,
    settled: bool,
    unsettled: BTreeMap<PathBuf, bool>,
}

impl<'a> Pass<'a> {
    /// A scan of the library's folders as they are set now.
    pub(super) fn new(
        index: &'a Index,
        watcher: &'a Watcher,
        ending: &'a AtomicBool,
        told: &'a mut Told,
        is_mount: Probe,
        answers: &'a Answers<'a>,
    ) -> Result<Self> {
        let (again, collects_fresh, mounts) = index.read(|connection| {
            let again = index::meta(connection, "again")? != 0;
            Ok((again, entries::has_tracks(connection)?, Mounts::load(connection, is_mount)?))
        })?;
        Ok(Self {
            index,
            watcher,
            ending,
            troubles: &mut told.troubles,
            kept: &mut told.kept,
            folders: entries::outermost(index.folders()),
            now: SystemClock.now(),
            again,
            intake: Intake::new(index)?,
            fresh: HashMap::new(),
            collects_fresh,
            finds_all_new: false,
            vanished: Vec::new(),
            vanished_dirs: Vec::new(),
            vanished_playlists: Vec::new(),
            fresh_playlists: Vec::new(),
            mounts,
            players: Vec::new(),
            answers,
            settled: false,
            unsettled: BTreeMap::new(),
        })
    }

    /// Carries the scan out.
    pub(super) fn run(&mut self, wanted: &Wanted) -> Result<()> {
        let folders = self.folders.clone();
        self.settled = wanted.settled;
        self.finds_all_new = wanted.full && self.intake.knows_no_folder();
        if wanted.full {
            self.doubt_playlists_of_other_folders()?;
        }
        for folder in &folders {
            let mut visits: BTreeMap<PathBuf, bool> = BTreeMap::new();
            if wanted.full {
                visits.insert(folder.clone(), true);
            } else {
                let inside = wanted.dirty.iter().filter(|(path, _)| path.starts_with(folder));
                visits.extend(inside.map(|(path, deep)| (path.clone(), *deep)));
            }
            if !visits.is_empty() && self.troubles.contains_key(folder) {
                // what all of it has lost is kept, and part by part would seem to be deleted
                visits = [(folder.clone(), true)].into();
            }
            if !visits.is_empty() {
                self.scan_folder(folder, visits, wanted.trust_empty)?;
            }
        }
        if wanted.full && !self.is_ending() {
            self.drop_other_folders(&folders)?;
        }
        if self.is_ending() { Ok(()) } else { self.settle_playlists() }
    }

    /// Folders in which something vanished while the scan was there, to be looked at again.
    pub(super) fn unsettled(&mut self) -> BTreeMap<PathBuf, bool> {
        std::mem::take(&mut self.unsettled)
    }

    /// Writes what is left, and ends the threads.
    pub(super) fn finish(self) -> Result<()> {
        self.intake.finish()
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// Visits folders below one of the library's, and then takes away what is no longer there.
    fn scan_folder(
        &mut self,
        folder: &Path,
        visits: BTreeMap<PathBuf, bool>,
        trust_empty: bool,
    ) -> Result<()> {
        if !self.is_answering(folder) || self.is_in_player(folder) {
            return Ok(());
        }
        // once it is watched for it is tried again, because it may have come meanwhile
        let opened = Root::open(folder).or_else(|_| {
            self.watcher.watch_for_return(folder);
            Root::open(folder)
        });
        let root = match opened {
            Ok(root) => Arc::new(root),
            Err(error) => {
                self.trouble(
                    folder,
                    &format!("the library's folder {} is not there ({error})", folder.display()),
                );
                return Ok(());
            }
        };
        self.mounts.look(&root, folder);
        if trust_empty {
            let meant = self.mounts.let_go(folder);
            self.troubles.retain(|path, _| !meant.contains(path));
            self.index.write(|transaction| mounts::forget(transaction, &meant))?;
        }
        for (path, deep) in visits {
            self.visit_all(&root, folder, Visit { path, parent: None, deep })?;
            // the next visit may come by the same files, and must find them in the index
            self.intake.drain()?;
        }
        if self.is_ending() {
            return Ok(());
        }
        // two visits may have missed the same
        self.vanished.sort_unstable_by_key(|gone| gone.id);
        self.vanished.dedup_by_key(|gone| gone.id);
        self.spare_what_is_away(folder, trust_empty)?;
        let vanished = std::mem::take(&mut self.vanished);
        let dirs = std::mem::take(&mut self.vanished_dirs);
        let playlists = std::mem::take(&mut self.vanished_playlists);
        let gone = vanished.len() as u64;
        let (holds_tracks, seen) = self.index.read(|connection| {
            Ok((
                entries::has_more_tracks(connection, folder, gone)?,
                entries::tracks_seen(connection, folder)?,
            ))
        })?;
        let expected = seen.max(gone);
        if !holds_tracks && expected > 0 && !trust_empty && !self.troubles.contains_key(folder) {
            let words = format!(
                "the library's folder {} held {expected} tracks and is empty now; if that is meant, set the library's \
                 folders again",
                folder.display()
            );
            self.trouble(folder, &words);
            return Ok(());
        }
        if !vanished.is_empty() || !dirs.is_empty() {
            let fresh = std::mem::take(&mut self.fresh);
            self.index.change(|transaction| moves::take_away(transaction, &vanished, &dirs, &fresh))?;
        }
        self.let_go_of_playlists(&playlists)?;
        // whether it held any when it was last scanned
        if (seen > 0) != holds_tracks {
            self.index.write(|transaction| entries::remember_tracks(transaction, folder))?;
        }
        self.keep_mounts(folder, holds_tracks)
    }

    fn trouble(&mut self, folder: &Path, words: &str) {
        if self.troubles.insert(folder.to_owned(), words.to_owned()).is_none() {
            tracing::warn!("a folder of the library can't be used; what was in it is kept");
            tracing::debug!("{words}");
        }
    }

    fn recovered(&mut self, path: &Path) {
        if self.troubles.remove(path).is_some() {
            tracing::info!("a folder of the library can be used again");
        }
    }

    /// Compares a folder's listing with what the index knows of it, and returns its number; folders that are new below
    /// one whose visit isn't deep go to those that wait.
    fn compare(
        &mut self,
        (root, relative): (&Arc<Root>, &Path),
        visit: &Visit,
        listing: Listing,
        known: entries::Known,
        waiting: &mut Vec<Visit>,
    ) -> Result<Option<i64>> {
        let path = text::bytes(&visit.path);
        let Some(dir) = self.dir(&visit.path, relative, known.dir, known.parent, visit.parent)? else {
            return Ok(None);
        };
        let keeps_what_vanished = listing.is_unsettled && !self.settled;
        if keeps_what_vanished {
            self.unsettled.insert(visit.path.clone(), false);
        }
        let mut before = known.tracks;
        for found in listing.music {
            match before.remove(&found.name) {
                Some(known) if known.facts == found.facts && known.changed_ns == found.changed_ns => {}
                known => self.changed_track(root, relative, dir, path, found, known.is_some())?,
            }
        }
        let gone = before.into_iter().filter(|_| !keeps_what_vanished);
        self.vanished.extend(gone.map(|(name, track)| Vanished {
            id: track.id,
            path: entries::join(path, &name),
            facts: track.facts,
        }));
        let place = playlists::Place { root, relative, path: &visit.path, dir, keeps_what_vanished };
        self.compare_playlists(&place, known.playlists, listing.playlists)?;
        let mut folders = known.folders;
        for name in listing.folders {
            let is_new = folders.remove(&name).is_none();
            if is_new && !visit.deep {
                let path = visit.path.join(text::path(&name));
                waiting.push(Visit { path, parent: Some(dir), deep: true });
            }
        }
        for name in folders.into_keys().filter(|_| !keeps_what_vanished) {
            self.vanish_dir(&visit.path.join(text::path(&name)))?;
        }
        Ok(Some(dir))
    }

    /// The number of a folder, made known where it isn't; `None` where the folder above it isn't known either, whose
    /// own visit leads here.
    fn dir(
        &mut self,
        path: &Path,
        relative: &Path,
        known: Option<i64>,
        known_parent: Option<i64>,
        parent: Option<i64>,
    ) -> Result<Option<i64>> {
        let is_root = relative.as_os_str().is_empty();
        let parent = match parent {
            None if is_root => None,
            None if known.is_some() => known_parent,
            None => {
                let above = path.parent().map_or(&b"/"[..], text::bytes);
                match self.index.read(|connection| entries::dir_id(connection, above))? {
                    None => return Ok(None),
                    above => above,
                }
            }
            parent => parent,
        };
        let Some(dir) = known else { return Ok(Some(self.intake.add_dir(text::bytes(path), parent))) };
        if known_parent != parent {
            self.index.write_index(|transaction| entries::set_parent(transaction, dir, parent))?;
        }
        Ok(known)
    }

    /// Marks a folder and all below it as gone, and watches it no longer.
    fn vanish_dir(&mut self, path: &Path) -> Result<()> {
        self.watcher.forget(path);
        self.take_out(path)
    }

    /// Marks a folder and all below it as gone.
    fn take_out(&mut self, path: &Path) -> Result<()> {
        let (tracks, dirs) = self.index.read(|connection| entries::all_below(connection, path))?;
        self.vanished.extend(tracks);
        self.vanished_dirs.extend(dirs);
        self.troubles.retain(|trouble, _| !trouble.starts_with(path));
        self.kept.retain(|playlist| !playlist.starts_with(path));
        Ok(())
    }

    /// Has a new or changed file parsed.
    fn changed_track(
        &mut self,
        root: &Arc<Root>,
        relative: &Path,
        dir: i64,
        folder: &[u8],
        found: Found,
        known: bool,
    ) -> Result<()> {
        let Found { name, facts, changed_ns } = found;
        let modified = u64::try_from(facts.modified_ns / 1_000_000_000).unwrap_or(0);
        let added = if self.again { modified.min(self.now) } else { self.now };
        let track = NewTrack { dir, path: entries::join(folder, &name), facts, changed_ns, added };
        if !known && self.collects_fresh {
            self.fresh.insert(facts, track.path.clone());
        }
        self.intake.parse(track, root, relative.join(text::path(&name)))
    }

    /// Takes folders out of the index that the library no longer holds.
    fn drop_other_folders(&mut self, folders: &[PathBuf]) -> Result<()> {
        let outside = self.index.read(|connection| entries::outside(connection, folders))?;
        if !outside.is_empty() {
            self.index.change_index(|transaction| {
                outside.iter().try_for_each(|dir| entries::remove_tree(transaction, *dir))
            })?;
        }
        let mounts = self.mounts.outside(folders);
        if !mounts.is_empty() {
            self.index.write(|transaction| mounts::forget(transaction, &mounts))?;
        }
        self.troubles.retain(|path, _| {
            path.as_os_str().is_empty() || folders.iter().any(|folder| path.starts_with(folder))
        });
        self.kept.retain(|path| folders.iter().any(|folder| path.starts_with(folder)));
        self.watcher.keep_only(folders);
        Ok(())
    }
}
