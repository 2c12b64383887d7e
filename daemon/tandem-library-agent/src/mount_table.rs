//! The kernel's table of what is mounted where, as this process sees it, and on which of these mounts a folder lies.
//!
//! It reads the table and nothing of what is mounted.

use rustix::fs::{AtFlags, StatxFlags, statx};
use std::ffi::OsString;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// This process's mounts; the kernel announces changes of it as urgent.
pub(crate) const TABLE: &str = "/proc/self/mountinfo";

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mount {
    /// The kernel's number for it, which tells it from another at the same place.
    pub(crate) number: u64,
    /// The number of the mount that it is mounted on.
    parent: u64,
    /// The file system, by its device numbers; good until the next start of the system.
    device: Vec<u8>,
    /// The folder of the file system that is to be seen.
    shown: PathBuf,
    /// Where it is to be seen.
    pub(crate) place: PathBuf,
}

/// All mounts at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Table(Vec<Mount>);

impl Table {
    /// Asks the kernel.
    ///
    /// # Errors
    /// Where the system shows no such table.
    pub(crate) fn read() -> io::Result<Self> {
        Ok(Self::parse(&fs::read(TABLE)?))
    }

    /// The mounts of a table's text. What isn't a line of one is left out.
    pub(crate) fn parse(table: &[u8]) -> Self {
        let line = |line: &[u8]| {
            let mut fields = line.split(|&byte| byte == b' ');
            let mut number = || std::str::from_utf8(fields.next()?).ok()?.parse().ok();
            let (number, parent) = (number()?, number()?);
            let device = fields.next()?.to_vec();
            Some(Mount {
                number,
                parent,
                device,
                shown: unescaped(fields.next()?),
                place: unescaped(fields.next()?),
            })
        };
        Self(table.split(|&byte| byte == b'\n').filter_map(line).collect())
    }

    /// The mounts.
    pub(crate) fn mounts(&self) -> impl Iterator<Item = &Mount> {
        self.0.iter()
    }

    fn by_number(&self, number: u64) -> Option<&Mount> {
        self.0.iter().find(|mount| mount.number == number)
    }

    /// Whether a mount brings in what would not be there without it. A sandbox mounts folders onto themselves to make
    /// them read-only, which a system without that sandbox doesn't show.
    fn adds(&self, mount: &Mount) -> bool {
        let Some(below) = self.by_number(mount.parent) else { return true };
        let Ok(inside) = mount.place.strip_prefix(&below.place) else { return true };
        let covered = below.shown.components().chain(inside.components());
        below.device != mount.device || covered.collect::<PathBuf>() != mount.shown
    }

    /// Where something is mounted that the folder with this mount's number lies on, the innermost first. The root
    /// directory is left out, because it is always there. Nothing where the number is not in the table.
    pub(crate) fn beneath(&self, number: u64) -> Vec<&Path> {
        let mut places = Vec::new();
        let mut next = self.by_number(number);
        // a chain has each mount once
        for _ in 0..self.0.len() {
            let Some(mount) = next else { break };
            if mount.place != Path::new("/") && self.adds(mount) {
                places.push(mount.place.as_path());
            }
            next = self.by_number(mount.parent).filter(|above| above.number != mount.number);
        }
        places
    }

    /// Whether something is mounted at a place, be it hidden by a later mount or not.
    pub(crate) fn has(&self, place: &Path) -> bool {
        self.0.iter().any(|mount| mount.place == place && self.adds(mount))
    }
}

/// The number of the mount that an open folder lies on; `None` where the kernel doesn't tell (before 5.8).
pub(crate) fn number_of(folder: BorrowedFd<'_>) -> Option<u64> {
    let facts = statx(folder, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok()?;
    (facts.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(facts.stx_mnt_id)
}

/// A path of the table, which has blanks, line ends and backslashes as three octal digits.
fn unescaped(field: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        let digits = (*first == b'\\').then(|| after.first_chunk::<3>()).flatten();
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                path.push(byte);
                rest = &after[3..];
            }
            None => {
                path.push(*first);
                rest = after;
            }
        }
    }
    OsString::from_vec(path).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn the_kernels_table_is_understood() {
        let table = b"36 35 98:0 / /home/ann/My\\040Music/N\\134S rw,noatime shared:1 - nfs4 nas:/m rw\n\
            37 36 0:40 / /media/\\303\\244 rw - tmpfs none rw\nnonsense\n38\n";
        let table = Table::parse(table);
        let mounts: Vec<_> = table.mounts().map(|mount| (mount.number, mount.place.as_path())).collect();
        assert_eq!(mounts, [(36, Path::new("/home/ann/My Music/N\\S")), (37, Path::new("/media/ä"))]);
        let own = Table::read().unwrap();
        let root = fs::File::open("/").unwrap();
        let number = number_of(root.as_fd()).unwrap();
        assert_eq!(own.by_number(number).unwrap().place, Path::new("/"));
        assert!(own.beneath(number).is_empty());
    }

    #[test]
    fn what_a_sandbox_mounts_onto_itself_counts_for_nothing() {
        let table = Table::parse(
            b"1 0 8:1 / / ro - ext4 /dev/sda1 rw\n\
              2 1 8:1 /home /home ro - ext4 /dev/sda1 rw\n\
              3 2 8:2 / /home/ann rw - ext4 /dev/sda2 rw\n\
              4 3 8:2 / /home/ann ro - ext4 /dev/sda2 rw\n\
              5 4 8:1 /srv/music /home/ann/Music ro - ext4 /dev/sda1 rw\n\
              6 1 0:30 /@data /data ro - btrfs /dev/sdb rw\n\
              7 6 0:30 /@music /data/music ro - btrfs /dev/sdb rw\n",
        );
        assert!(table.beneath(2).is_empty());
        assert_eq!(table.beneath(4), [Path::new("/home/ann")]);
        assert_eq!(table.beneath(5), ["/home/ann/Music", "/home/ann"].map(Path::new));
        assert_eq!(table.beneath(7), ["/data/music", "/data"].map(Path::new));
        assert!(table.beneath(99).is_empty());
        assert!(table.has(Path::new("/data")) && !table.has(Path::new("/home")));
    }
}
