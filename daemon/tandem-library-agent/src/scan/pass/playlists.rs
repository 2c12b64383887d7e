//! Playlist files that a folder holds. One that can't be read keeps the entries that it had, and is read by the next scan
//! again: what is told of a file in the index is only ever what was read of it. One that is empty all at once is believed
//! that after a while.

use super::super::entries;
use super::super::moves::{self, FreshPlaylist};
use super::super::walk::{Facts, Found, Root};
use super::Pass;
use crate::failure::Result;
use crate::{index, text};
use rustix::io::Errno;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

/// What the index calls the folders that its playlist files were read with.
const READ_WITH: &str = "playlist_folders";

/// A folder that is compared with the index.
pub(super) struct Place<'a> {
    pub(super) root: &'a Root,
    pub(super) relative: &'a Path,
    pub(super) path: &'a Path,
    pub(super) dir: i64,
    pub(super) keeps_what_vanished: bool,
}

/// Whether this says that there is no such file, or something else in its place.
fn is_gone(error: &io::Error) -> bool {
    [Errno::NOENT, Errno::NOTDIR, Errno::LOOP]
        .iter()
        .any(|gone| error.raw_os_error() == Some(gone.raw_os_error()))
}

impl Pass<'_> {
    /// Compares the playlist files of a folder with those that the index knows there.
    pub(super) fn compare_playlists(
        &mut self,
        place: &Place<'_>,
        mut before: HashMap<Vec<u8>, (i64, Facts)>,
        listed: Vec<Found>,
    ) -> Result<()> {
        let names: HashSet<&[u8]> = listed.iter().map(|found| found.name.as_slice()).collect();
        self.kept.retain(|path| {
            path.parent() != Some(place.path) || names.contains(text::file_name(text::bytes(path)))
        });
        for found in &listed {
            match before.remove(&found.name) {
                Some((_, facts)) if facts == found.facts => {
                    self.kept.is_known(&place.path.join(text::path(&found.name)));
                }
                known => self.changed_playlist(place, found, known.map(|(number, _)| number))?,
            }
        }
        let gone = before.into_iter().filter(|_| !place.keeps_what_vanished);
        self.vanished_playlists
            .extend(gone.map(|(name, (number, _))| (number, entries::join(text::bytes(place.path), &name))));
        Ok(())
    }

    /// Has all playlist files read again where the library's folders are others than when they were read: what an entry
    /// may mean follows from them.
    pub(super) fn doubt_playlists_of_other_folders(&mut self) -> Result<()> {
        let mut folders = self.index.folders();
        folders.sort();
        let names: Vec<u8> =
            folders.iter().flat_map(|folder| [text::bytes(folder), b"\0"].concat()).collect();
        // the table holds no more than 63 bits
        let folders = xxh3_64(&names) >> 1;
        if self.index.read(|connection| index::meta(connection, READ_WITH))? == folders {
            return Ok(());
        }
        self.index.write_index(|transaction| {
            transaction.execute("UPDATE playlist_file SET size = -1", [])?;
            index::set_meta(transaction, READ_WITH, folders)
        })
    }

    /// Lets go of playlist files of a library's folder. They stay what they are until all folders were looked into, for they
    /// may have been moved to another one.
    pub(super) fn let_go_of_playlists(&mut self, gone: &[(i64, Vec<u8>)]) -> Result<()> {
        if gone.is_empty() {
            return Ok(());
        }
        self.index.write_index(|transaction| {
            gone.iter().try_for_each(|(number, _)| moves::let_go(transaction, *number))
        })
    }

    /// Has what was moved be what it was, and takes what is gone out of the index.
    pub(super) fn settle_playlists(&mut self) -> Result<()> {
        let fresh = std::mem::take(&mut self.fresh_playlists);
        if self.index.read(moves::has_gone_playlists)? {
            self.index.change(|transaction| moves::settle_playlists(transaction, fresh))?;
        }
        Ok(())
    }

    /// Reads a new or changed file.
    fn changed_playlist(&mut self, place: &Place<'_>, found: &Found, known: Option<i64>) -> Result<()> {
        let name = text::path(&found.name);
        let file = place.path.join(name);
        if known.is_none() {
            let (path, dir, facts) = (text::bytes(&file).to_vec(), place.dir, found.facts);
            self.fresh_playlists.push(FreshPlaylist { path, dir, facts });
        }
        let entries = match entries::read_playlist(place.root, &place.relative.join(name)) {
            Ok(entries) => entries,
            Err(error) if is_gone(&error) => {
                if !self.settled {
                    self.unsettled.insert(place.path.to_owned(), false);
                }
                return Ok(());
            }
            Err(error) => {
                if self.kept.keep_unread(&file, &error) {
                    tracing::warn!(%error, "a playlist file can't be read; what it held is kept");
                }
                return Ok(());
            }
        };
        if entries.is_empty() && self.is_emptied_just_now(known, &file, found.facts)? {
            return Ok(());
        }
        self.kept.is_known(&file);
        let roots: Vec<&[u8]> = self.folders.iter().map(|folder| text::bytes(folder)).collect();
        self.index.change_index(|transaction| {
            let file = entries::PlaylistFile { dir: place.dir, path: text::bytes(&file), facts: found.facts };
            entries::put_playlist(transaction, &file, &entries, &roots)
        })
    }

    /// Whether a file without entries had some until a moment ago, so that it may only be about to be written.
    fn is_emptied_just_now(&mut self, known: Option<i64>, file: &Path, facts: Facts) -> Result<bool> {
        let Some(number) = known else { return Ok(false) };
        if !self.index.read(|connection| entries::has_entries(connection, number))? {
            return Ok(false);
        }
        let modified = u64::try_from(facts.modified_ns / 1_000_000_000).unwrap_or(0);
        let age = Duration::from_secs(self.now.saturating_sub(modified));
        let is_meant = self.kept.is_meant_empty(file, age, Instant::now());
        if !is_meant {
            tracing::debug!(file = %file.display(), "a playlist file has lost all its entries, and is looked at again");
        }
        Ok(!is_meant)
    }
}
