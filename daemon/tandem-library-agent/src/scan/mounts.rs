//! Which folders of the library are file systems of their own: a network share or a disk that is not mounted now looks
//! like a folder whose files were deleted, and must not be taken for one.
//!
//! It knows what is mounted and what was; what becomes of the tracks is `pass`'s business.

use super::walk::Root;
use crate::failure::Result;
use crate::text;
use rusqlite::{Connection, Transaction};
use rustix::fs::{AtFlags, OFlags, StatxAttributes, StatxFlags, statx};
use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// Whether an open folder is where a file system is mounted. [`is_mount`] but for tests.
pub(super) type Probe = fn(BorrowedFd<'_>) -> bool;

/// Asks the kernel. A Btrfs subvolume is none: it is there as long as its file system is.
pub(super) fn is_mount(folder: BorrowedFd<'_>) -> bool {
    // a kernel before 5.8 doesn't tell, and leaves the attribute out
    statx(folder, "", AtFlags::EMPTY_PATH, StatxFlags::TYPE)
        .is_ok_and(|facts| facts.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// The mounts of a scan.
pub(super) struct Mounts {
    pub(super) probe: Probe,
    /// Those that held tracks, by the library file.
    remembered: BTreeSet<PathBuf>,
    /// Those that this scan has met.
    met: BTreeSet<PathBuf>,
    /// Those that are not mounted now.
    away: BTreeSet<PathBuf>,
}

impl Mounts {
    /// What the library file remembers.
    pub(super) fn load(connection: &Connection, probe: Probe) -> Result<Self> {
        let mut statement = connection.prepare_cached("SELECT path FROM lib.mount")?;
        let mut rows = statement.query([])?;
        let mut remembered = BTreeSet::new();
        while let Some(row) = rows.next()? {
            remembered.insert(text::path(row.get_ref(0)?.as_blob().unwrap_or_default()).to_owned());
        }
        Ok(Self { probe, remembered, met: BTreeSet::new(), away: BTreeSet::new() })
    }

    /// Looks which of the mounts of a library's folder are there. One that can't be opened is not.
    pub(super) fn look(&mut self, root: &Root, folder: &Path) {
        let known = self.remembered.union(&self.met).filter(|path| path.starts_with(folder));
        let missing = known.filter(|path| {
            let relative = path.strip_prefix(folder).unwrap_or(Path::new(""));
            // opening it for reading has one mounted that is mounted on demand
            let opened = root.open_beneath(relative, OFlags::RDONLY | OFlags::DIRECTORY);
            !opened.is_ok_and(|folder| (self.probe)(folder.as_fd()))
        });
        let missing: BTreeSet<PathBuf> = missing.cloned().collect();
        self.away.retain(|path| !path.starts_with(folder));
        self.away.extend(missing);
    }

    /// Takes note of a folder that was opened. False: it is one that isn't mounted now.
    pub(super) fn meet(&mut self, path: &Path, is_mount: bool) -> bool {
        if is_mount {
            self.met.insert(path.to_owned());
        } else if self.remembered.contains(path) || self.met.contains(path) {
            self.away.insert(path.to_owned());
        }
        !self.is_away(path)
    }

    /// Whether a path is that of a mount that isn't there, or below it.
    pub(super) fn is_away(&self, path: &Path) -> bool {
        !self.away.is_empty() && path.ancestors().any(|above| self.away.contains(above))
    }

    /// Whether a folder is on the way to a mount that isn't there.
    pub(super) fn leads_away(&self, path: &Path) -> bool {
        self.away.iter().any(|mount| mount.starts_with(path))
    }

    /// Those of a library's folder that are not mounted now.
    pub(super) fn away_below(&self, folder: &Path) -> Vec<PathBuf> {
        self.away.iter().filter(|path| path.starts_with(folder)).cloned().collect()
    }

    /// Those of a library's folder that are mounted now.
    pub(super) fn there_below(&self, folder: &Path) -> Vec<PathBuf> {
        let known = self.remembered.union(&self.met).filter(|path| path.starts_with(folder));
        known.filter(|path| !self.away.contains(*path)).cloned().collect()
    }

    /// Whether the library file has a mount already.
    pub(super) fn is_remembered(&self, path: &Path) -> bool {
        self.remembered.contains(path)
    }

    /// Forgets what isn't mounted below a library's folder: its owner says that it is meant.
    pub(super) fn let_go(&mut self, folder: &Path) -> Vec<PathBuf> {
        let gone = self.away_below(folder);
        self.away.retain(|path| !path.starts_with(folder));
        self.remembered.retain(|path| !gone.contains(path));
        gone
    }

    /// Forgets all that is in none of these folders.
    pub(super) fn outside(&mut self, folders: &[PathBuf]) -> Vec<PathBuf> {
        let inside = |path: &PathBuf| folders.iter().any(|folder| path.starts_with(folder));
        let gone = self.remembered.iter().filter(|path| !inside(path)).cloned().collect();
        self.remembered.retain(inside);
        gone
    }
}

/// Keeps a mount in the library file: it held tracks when it was last seen.
pub(super) fn remember(transaction: &Transaction<'_>, path: &Path) -> Result<()> {
    let sql = "INSERT OR IGNORE INTO lib.mount VALUES (?1)";
    transaction.prepare_cached(sql)?.execute([text::bytes(path)])?;
    Ok(())
}

/// Takes mounts out of the library file.
pub(super) fn forget(transaction: &Transaction<'_>, paths: &[PathBuf]) -> Result<()> {
    let mut delete = transaction.prepare_cached("DELETE FROM lib.mount WHERE path = ?1")?;
    for path in paths {
        delete.execute([text::bytes(path)])?;
    }
    Ok(())
}
