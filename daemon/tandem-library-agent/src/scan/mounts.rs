//! Which folders of the library are file systems of their own, and which file systems its folders lie on: a network
//! share or a disk that is not mounted now looks like a folder whose files were deleted, and must not be taken for one.
//!
//! What is remembered is where something was mounted. Names and numbers of file systems change from one start of the
//! system to the next, and another disk at the same place is its owner's choice.
//!
//! It knows what is mounted and what was; what becomes of the tracks is `pass`'s business.

use super::walk::Root;
use crate::failure::Result;
use crate::mount_table::{self, Table};
use crate::text;
use rusqlite::{Connection, Transaction};
use rustix::fs::{AtFlags, OFlags, StatxAttributes, StatxFlags, statx};
use std::collections::{BTreeMap, BTreeSet};
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
    /// Those that are not mounted now, and folders of the library that don't lie where they did.
    away: BTreeSet<PathBuf>,
    /// Folders of the library, and where the file system was mounted that they lay on when they held tracks.
    lay_on: BTreeMap<PathBuf, PathBuf>,
    /// The same as this scan has found it.
    lie_on: BTreeMap<PathBuf, PathBuf>,
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
        let mut lay_on = BTreeMap::new();
        let mut statement = connection.prepare_cached("SELECT folder, mount FROM lib.folder_mount")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let path = |column| {
                let bytes = row.get_ref(column).map(|value| value.as_blob().unwrap_or_default().to_vec());
                bytes.map(|bytes| text::path(&bytes).to_owned())
            };
            lay_on.insert(path(0)?, path(1)?);
        }
        let (met, away) = (BTreeSet::new(), BTreeSet::new());
        Ok(Self { probe, remembered, met, away, lay_on, lie_on: BTreeMap::new() })
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
        // a table that can't be read tells nothing, so what was remembered counts as missing
        let table = Table::read().unwrap_or_default();
        self.look_beneath(folder, mount_table::number_of(root.folder()), &table);
    }

    /// Looks whether a library's folder, which is on the mount with this number, lies where it did.
    fn look_beneath(&mut self, folder: &Path, number: Option<u64>, table: &Table) {
        let beneath = number.map(|number| table.beneath(number)).unwrap_or_default();
        match beneath.first() {
            Some(innermost) => drop(self.lie_on.insert(folder.to_owned(), (*innermost).to_owned())),
            None => drop(self.lie_on.remove(folder)),
        }
        let Some(before) = self.lay_on.get(folder) else { return };
        if beneath.contains(&before.as_path()) {
            return;
        }
        // the folder's path may have a link that its owner has turned to another place
        let turned = || folder.canonicalize().is_ok_and(|real| !real.starts_with(before));
        if !(table.has(before) && turned()) {
            self.away.insert(folder.to_owned());
        }
    }

    /// Takes note that a library's folder can't be opened any more.
    pub(super) fn lose(&mut self, folder: &Path) {
        if self.lay_on.contains_key(folder) {
            self.away.insert(folder.to_owned());
        } else {
            self.meet(folder, false);
        }
    }

    /// Where the file system was mounted that a library's folder lay on, if the folder doesn't lie there now.
    pub(super) fn missing_beneath(&self, folder: &Path) -> Option<&Path> {
        let before = self.lay_on.get(folder).filter(|_| self.away.contains(folder))?;
        (self.lie_on.get(folder) != Some(before)).then_some(before)
    }

    /// What is to be remembered of the file system that a library's folder lies on; `None` where that is so already,
    /// and `Some(None)` where it lies on the root directory's.
    #[expect(clippy::option_option, reason = "whether something is new, and what")]
    pub(super) fn news_beneath(&self, folder: &Path) -> Option<Option<&Path>> {
        let (before, now) = (self.lay_on.get(folder), self.lie_on.get(folder));
        (before != now && !self.away.contains(folder)).then_some(now.map(PathBuf::as_path))
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
        self.lay_on.retain(|path, _| !gone.contains(path));
        gone
    }

    /// Forgets all that is in none of these folders, and what folders lay on that are none of these.
    pub(super) fn outside(&mut self, folders: &[PathBuf]) -> Vec<PathBuf> {
        let inside = |path: &PathBuf| folders.iter().any(|folder| path.starts_with(folder));
        let mut gone: Vec<PathBuf> = self.remembered.iter().filter(|path| !inside(path)).cloned().collect();
        gone.extend(self.lay_on.keys().filter(|folder| !folders.contains(folder)).cloned());
        self.remembered.retain(inside);
        self.lay_on.retain(|folder, _| folders.contains(folder));
        gone
    }
}

/// Keeps a mount in the library file: it held tracks when it was last seen.
pub(super) fn remember(transaction: &Transaction<'_>, path: &Path) -> Result<()> {
    let sql = "INSERT OR IGNORE INTO lib.mount VALUES (?1)";
    transaction.prepare_cached(sql)?.execute([text::bytes(path)])?;
    Ok(())
}

/// Keeps in the library file where the file system is mounted that a library's folder lies on.
pub(super) fn remember_beneath(
    transaction: &Transaction<'_>,
    folder: &Path,
    mount: Option<&Path>,
) -> Result<()> {
    let folder = text::bytes(folder);
    match mount {
        Some(mount) => transaction
            .prepare_cached("INSERT OR REPLACE INTO lib.folder_mount VALUES (?1, ?2)")?
            .execute((folder, text::bytes(mount)))?,
        None => {
            transaction.prepare_cached("DELETE FROM lib.folder_mount WHERE folder = ?1")?.execute([folder])?
        }
    };
    Ok(())
}

/// Takes mounts, and what folders lay on, out of the library file.
pub(super) fn forget(transaction: &Transaction<'_>, paths: &[PathBuf]) -> Result<()> {
    let mut delete = transaction.prepare_cached("DELETE FROM lib.mount WHERE path = ?1")?;
    for path in paths {
        delete.execute([text::bytes(path)])?;
        remember_beneath(transaction, path, None)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lying_on(mount: &str) -> Mounts {
        Mounts {
            probe: is_mount,
            remembered: BTreeSet::new(),
            met: BTreeSet::new(),
            away: BTreeSet::new(),
            lay_on: [("/nonexistent/Music".into(), mount.into())].into(),
            lie_on: BTreeMap::new(),
        }
    }

    #[test]
    fn a_folder_lies_where_it_did_or_is_away() {
        let folder = Path::new("/nonexistent/Music");
        let root = b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n";
        // (what is mounted besides, the mount of the folder, whether it is away)
        let cases: [(&[u8], u64, bool); 5] = [
            (b"2 1 8:2 / /nonexistent rw - ext4 /dev/sda2 rw", 2, false),
            // another start of the system, another disk: it is the place that counts
            (b"9 1 9:7 / /nonexistent rw - xfs /dev/sdc1 rw", 9, false),
            (b"", 1, true),
            // what a sandbox mounts onto itself
            (b"2 1 8:1 /nonexistent /nonexistent ro - ext4 /dev/sda1 rw", 2, true),
            (b"2 1 8:2 / /nonexistent rw - ext4 /dev/sda2 rw", 1, true),
        ];
        for (mounted, number, away) in cases {
            let mut mounts = lying_on("/nonexistent");
            mounts.look_beneath(folder, Some(number), &Table::parse(&[root, mounted].concat()));
            assert_eq!(mounts.is_away(folder), away, "{}", String::from_utf8_lossy(mounted));
            assert_eq!(mounts.missing_beneath(folder).is_some(), away);
            assert_eq!(mounts.news_beneath(folder), None);
        }
        let mut mounts = lying_on("/nonexistent");
        mounts.look_beneath(folder, None, &Table::default());
        assert!(mounts.is_away(folder));
        assert_eq!(mounts.let_go(folder), [folder]);
        assert!(!mounts.is_away(folder) && mounts.lay_on.is_empty());
    }

    #[test]
    fn a_link_that_its_owner_turns_elsewhere_is_followed() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("Music");
        std::os::unix::fs::symlink("/proc", &folder).unwrap();
        let mut mounts = lying_on("/nonexistent");
        mounts.lay_on = [(folder.clone(), "/nonexistent".into())].into();
        let table = Table::parse(
            b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:2 / /nonexistent rw - ext4 /dev/sda2 rw\n\
              3 1 0:5 / /proc rw - proc proc rw\n",
        );
        mounts.look_beneath(&folder, Some(3), &table);
        assert!(!mounts.is_away(&folder));
        assert_eq!(mounts.news_beneath(&folder), Some(Some(Path::new("/proc"))));
        // it can't be told from one that leads elsewhere because what held it is away
        let table = Table::parse(b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n");
        mounts.look_beneath(&folder, Some(1), &table);
        assert!(mounts.is_away(&folder));
    }
}
