//! Playlist files that a folder holds. One that can't be read keeps the entries that it had, and is read by the next scan
//! again: what is told of a file in the index is only ever what was read of it.

use super::super::entries;
use super::super::walk::{Facts, Found, Root};
use super::Pass;
use crate::failure::Result;
use crate::text;
use rustix::io::Errno;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;

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
        mut before: HashMap<Vec<u8>, Facts>,
        listed: Vec<Found>,
    ) -> Result<()> {
        let names: HashSet<&[u8]> = listed.iter().map(|found| found.name.as_slice()).collect();
        self.kept.retain(|path| {
            path.parent() != Some(place.path) || names.contains(text::file_name(text::bytes(path)))
        });
        for found in &listed {
            if before.remove(&found.name) == Some(found.facts) {
                self.kept.is_known(&place.path.join(text::path(&found.name)));
            } else {
                self.changed_playlist(place, found)?;
            }
        }
        for name in before.into_keys().filter(|_| !place.keeps_what_vanished) {
            let file = entries::join(text::bytes(place.path), &name);
            self.index.change_index(|transaction| entries::remove_playlist(transaction, &file))?;
        }
        Ok(())
    }

    /// Reads a new or changed file.
    fn changed_playlist(&mut self, place: &Place<'_>, found: &Found) -> Result<()> {
        let name = text::path(&found.name);
        let file = place.path.join(name);
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
        self.kept.is_known(&file);
        let roots: Vec<&[u8]> = self.folders.iter().map(|folder| text::bytes(folder)).collect();
        self.index.change_index(|transaction| {
            let file = entries::PlaylistFile { dir: place.dir, path: text::bytes(&file), facts: found.facts };
            entries::put_playlist(transaction, &file, &entries, &roots)
        })
    }
}
