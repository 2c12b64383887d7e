//! Which folders a scan comes to, and what it makes of each listing. It must not change what the index knows of a folder;
//! that is the comparison's.

use super::super::ahead::Ahead;
use super::super::descent::{Descent, Listed, relative_to};
use super::super::entries::{self, Known};
use super::super::walk::{Listing, Root};
use super::{Pass, Visit};
use crate::failure::Result;
use crate::text;
use rustix::io::Errno;
use std::path::Path;
use std::sync::Arc;

impl Pass<'_> {
    /// Visits a folder and those below it that need it.
    pub(super) fn visit_all(&mut self, root: &Arc<Root>, folder: &Path, first: Visit) -> Result<()> {
        let mut waiting = vec![first];
        while let Some(visit) = waiting.pop() {
            if self.is_ending() {
                return Ok(());
            }
            if self.belongs(folder, &visit.path) {
                self.descend(root, folder, visit, &mut waiting)?;
            }
        }
        Ok(())
    }

    /// Whether a folder is one of the library's that are to be visited.
    fn belongs(&self, folder: &Path, path: &Path) -> bool {
        let is_left_out = self.mounts.is_away(path) || self.is_on_player(path);
        !text::has_hidden_part(relative_to(folder, path)) && !is_left_out
    }

    /// Visits a folder, and all below it where the visit is deep; where it isn't, new folders in it go to those that wait.
    fn descend(
        &mut self,
        root: &Arc<Root>,
        folder: &Path,
        visit: Visit,
        waiting: &mut Vec<Visit>,
    ) -> Result<()> {
        let Visit { path, parent, deep } = visit;
        let left_out = self.mounts.away_below(folder).into_iter().collect();
        let descent = Descent::new((root, folder), self.watcher, self.mounts.probe, left_out, (path, deep));
        // the folders' numbers, by their place in the descent; none for those that the scan leaves out
        let mut dirs: Vec<Option<i64>> = Vec::new();
        std::thread::scope(|scope| {
            let mut ahead = if deep { Ahead::start(scope, descent) } else { Ahead::Here(descent) };
            while let Some(batch) = ahead.next() {
                let known = self.known(&batch)?;
                for (listed, known) in batch.into_iter().zip(known) {
                    if self.is_ending() {
                        return Ok(());
                    }
                    let above = match listed.above {
                        None => Some(parent),
                        Some(above) => dirs.get(above).copied().flatten().map(Some),
                    };
                    let dir = match above.filter(|_| self.belongs(folder, &listed.path)) {
                        Some(parent) => {
                            let visit = Visit { path: listed.path, parent, deep };
                            let relative = relative_to(folder, &visit.path);
                            self.visit((root, relative), &visit, listed.outcome, known, waiting)?
                        }
                        None => None,
                    };
                    dirs.push(dir);
                }
            }
            Ok(())
        })
    }

    /// What the index knows of these folders.
    fn known(&self, folders: &[Listed]) -> Result<Vec<Known>> {
        if self.finds_all_new {
            return Ok(folders.iter().map(|_| Known::default()).collect());
        }
        self.index.read(|connection| {
            folders.iter().map(|listed| entries::known(connection, text::bytes(&listed.path))).collect()
        })
    }

    /// The folder's number, or none where what is below it is left out.
    fn visit(
        &mut self,
        (root, relative): (&Arc<Root>, &Path),
        visit: &Visit,
        outcome: std::result::Result<Listing, Errno>,
        known: Known,
        waiting: &mut Vec<Visit>,
    ) -> Result<Option<i64>> {
        let is_root = relative.as_os_str().is_empty();
        match outcome {
            Ok(listing) if !self.mounts.meet(&visit.path, listing.is_mount) => {}
            Ok(listing) if listing.is_player => self.leave_out_player(&visit.path, is_root)?,
            Ok(listing) => {
                self.recovered(&visit.path);
                return self.compare((root, relative), visit, listing, known, waiting);
            }
            // its name was listed a moment ago: it may have another by now
            Err(Errno::NOENT) if visit.parent.is_some() && !self.settled => {
                self.unsettled.extend(visit.path.parent().map(|above| (above.to_owned(), false)));
            }
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) if !is_root => {
                self.vanish_dir(&visit.path)?;
            }
            Err(error) => {
                let words = format!(
                    "the folder {} can't be read ({error}); make it readable, or set folders without it",
                    visit.path.display()
                );
                self.trouble(&visit.path, &words);
            }
        }
        Ok(None)
    }
}
