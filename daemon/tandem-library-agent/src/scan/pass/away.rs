//! What a scan makes of file systems that don't answer or aren't mounted: their tracks are away, not gone.
//!
//! It takes nothing out of the index; it only keeps what looks vanished from being taken for it.

use super::super::{entries, mounts, walk::Root};
use super::Pass;
use crate::failure::Result;
use crate::text;
use std::path::Path;

impl Pass<'_> {
    /// Whether a library's folder, and what is mounted in it, answers; tells of what doesn't.
    pub(super) fn is_answering(&mut self, folder: &Path) -> bool {
        let mut places = vec![folder.to_owned()];
        places.extend(self.mounts.there_below(folder));
        let Some(silent) = places.into_iter().find(|place| !(self.answers)(folder, place)) else {
            return true;
        };
        let words = format!(
            "the file system of {} doesn't answer; see to it that its server or disk does, or set the library's \
             folders without it",
            silent.display()
        );
        self.trouble(folder, &words);
        false
    }

    /// Takes what only looks gone, because its file system isn't mounted, off the list of what vanished, and tells of
    /// it. What was mounted when the scan came by may be away by now, so everything is looked at once more.
    pub(super) fn spare_what_is_away(&mut self, folder: &Path, trust_empty: bool) -> Result<()> {
        if trust_empty {
            return Ok(());
        }
        // opened anew, because the folder itself may be the mount
        match Root::open(folder) {
            Ok(root) => self.mounts.look(&root, folder),
            Err(_) => self.mounts.lose(folder),
        }
        for mount in self.mounts.away_below(folder) {
            let what = match self.mounts.missing_beneath(&mount) {
                Some(beneath) => format!(
                    "the library's folder {} lay on the file system mounted at {}, which",
                    mount.display(),
                    beneath.display()
                ),
                None => format!("the folder {} held music on a file system that", mount.display()),
            };
            let words = format!(
                "{what} is not mounted now; mount it, or set the library's folders again if that is meant"
            );
            self.trouble(&mount, &words);
        }
        for mount in self.mounts.there_below(folder) {
            if self.mounts.is_remembered(&mount) && mount != folder {
                self.look_at_mount(&mount)?;
            }
        }
        self.vanished.retain(|gone| !self.mounts.is_away(text::path(&gone.path)));
        self.vanished_playlists.retain(|(_, path)| !self.mounts.is_away(text::path(path)));
        self.vanished_dirs.retain(|gone| {
            let path = text::path(&gone.path);
            !self.mounts.is_away(path) && !self.mounts.leads_away(path)
        });
        Ok(())
    }

    /// A mount that has lost all its tracks at once looks as wrong as a library's folder that has.
    fn look_at_mount(&mut self, mount: &Path) -> Result<()> {
        let tracks = self.index.read(|connection| entries::tracks_below(connection, mount))?;
        let gone =
            self.vanished.iter().filter(|gone| text::path(&gone.path).starts_with(mount)).count() as u64;
        if tracks > 0 && gone >= tracks {
            let words = format!(
                "the file system mounted at {} held {tracks} tracks and is empty now; if that is meant, set the \
                 library's folders again",
                mount.display()
            );
            self.trouble(mount, &words);
            self.mounts.meet(mount, false);
        }
        Ok(())
    }

    /// Remembers those mounts of a library's folder that hold tracks, and no others; and what the folder lies on, where
    /// it holds tracks.
    pub(super) fn keep_mounts(&mut self, folder: &Path, holds_tracks: bool) -> Result<()> {
        for mount in self.mounts.there_below(folder) {
            let holds_tracks =
                self.index.read(|connection| entries::has_more_tracks(connection, &mount, 0))?;
            match (holds_tracks, self.mounts.is_remembered(&mount)) {
                (true, false) => self.index.write(|transaction| mounts::remember(transaction, &mount))?,
                (false, true) => self.index.write(|transaction| mounts::forget(transaction, &[mount]))?,
                _ => {}
            }
        }
        if let Some(beneath) = self.mounts.news_beneath(folder) {
            let beneath = beneath.filter(|_| holds_tracks);
            self.index.write(|transaction| mounts::remember_beneath(transaction, folder, beneath))?;
        }
        Ok(())
    }
}
