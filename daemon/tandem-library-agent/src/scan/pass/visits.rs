//! Which folders a scan comes to, and in which order: each is watched before it is listed, and those that come next are
//! listed ahead. It must not change what the index knows of a folder; that is the comparison's.

use super::super::ahead::Ahead;
use super::super::walk::Root;
use super::{Pass, Visit};
use crate::failure::Result;
use crate::text;
use rustix::io::Errno;
use std::path::Path;
use std::sync::Arc;

/// The deepest nesting of folders; a path can hardly name a deeper one.
const MAX_DEPTH: usize = 1000;

/// A folder's path in the library's.
fn relative_to<'p>(folder: &Path, path: &'p Path) -> &'p Path {
    path.strip_prefix(folder).unwrap_or(Path::new(""))
}

fn is_too_deep(relative: &Path) -> bool {
    relative.components().count() > MAX_DEPTH
}

impl Pass<'_> {
    /// Visits a folder and those below it that need it.
    pub(super) fn visit_all(&mut self, root: &Arc<Root>, folder: &Path, first: Visit) -> Result<()> {
        let mut ahead = Ahead::new(Arc::clone(root), self.mounts.probe);
        if self.belongs(folder, &first.path).is_some() {
            self.watch(folder, &first.path);
        }
        let mut stack = vec![first];
        while let Some(visit) = stack.pop() {
            if self.is_ending() {
                return Ok(());
            }
            let Some(relative) = self.belongs(folder, &visit.path) else {
                let relative = relative_to(folder, &visit.path);
                if is_too_deep(relative) {
                    tracing::warn!("a folder lies more than {MAX_DEPTH} folders deep and is left out");
                }
                ahead.forget(relative);
                continue;
            };
            let others = stack.len();
            self.visit(root, &ahead, relative, &visit, &mut stack)?;
            let mut wanted = Vec::new();
            for below in &stack[others..] {
                if let Some(relative) = self.belongs(folder, &below.path) {
                    // before it is listed: what changes after that is told of
                    self.watch(folder, &below.path);
                    wanted.push(relative.to_owned());
                }
            }
            ahead.want(wanted);
        }
        Ok(())
    }

    /// Where in the library's folder this one is, if it is to be visited.
    fn belongs<'p>(&self, folder: &Path, path: &'p Path) -> Option<&'p Path> {
        let relative = relative_to(folder, path);
        let is_left_out = self.mounts.is_away(path) || self.is_on_player(path);
        let belongs = !text::has_hidden_part(relative) && !is_left_out && !is_too_deep(relative);
        belongs.then_some(relative)
    }

    fn watch(&self, folder: &Path, path: &Path) {
        self.watcher.watch(path, path == folder);
    }

    fn visit(
        &mut self,
        root: &Arc<Root>,
        ahead: &Ahead,
        relative: &Path,
        visit: &Visit,
        stack: &mut Vec<Visit>,
    ) -> Result<()> {
        let is_root = relative.as_os_str().is_empty();
        match ahead.list(relative) {
            Ok(listing) if !self.mounts.meet(&visit.path, listing.is_mount) => {}
            Ok(listing) if listing.is_player => self.leave_out_player(&visit.path, is_root)?,
            Ok(listing) => {
                self.recovered(&visit.path);
                self.compare(root, relative, visit, listing, stack)?;
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
        Ok(())
    }
}
