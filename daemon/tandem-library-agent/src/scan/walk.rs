//! Lists one folder of the library: its music, its playlists and its folders.
//!
//! Symbolic links below a library's folder are neither followed nor music, hidden names are skipped, and a folder is
//! opened beneath the library's, whatever was put in its way meanwhile.

use super::mounts::Probe;
use crate::{formats, text};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, ResolveFlags, Stat, openat2, statat};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use tandem_library::times;

/// What lies at the top of a file system that is a partnered player.
pub(crate) const PLAYER_MARK: &str = "WMPInfo.xml";

/// Bytes of names that the kernel tells at once; one name takes 280 at most.
const NAMES_AT_ONCE: usize = 16 * 1024;

/// A file as the file system tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) name: Vec<u8>,
    pub(super) facts: Facts,
    pub(super) changed_ns: i64,
}

/// What tells a file from others wherever it lies, and that it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Facts {
    pub(super) size: i64,
    pub(super) modified_ns: i64,
    pub(super) inode: i64,
}

impl From<&Stat> for Facts {
    fn from(stat: &Stat) -> Self {
        Self { size: stat.st_size, modified_ns: times::modified_ns(stat), inode: stat.st_ino.cast_signed() }
    }
}

/// What a folder holds.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) music: Vec<Found>,
    pub(super) playlists: Vec<Found>,
    pub(super) folders: Vec<Vec<u8>>,
    /// Whether a file system is mounted there.
    pub(super) is_mount: bool,
    /// Whether it is a player: what lies there was put there from a library, and is no part of one.
    pub(super) is_player: bool,
    /// Whether a name vanished while it was listed: what was renamed meanwhile may be missing under both names.
    pub(super) is_unsettled: bool,
}

impl Listing {
    /// Sorts the names, each once: a damaged FAT and some network shares tell a name twice, and so may any file system
    /// when one is deleted and made again meanwhile.
    fn in_order(&mut self) {
        for found in [&mut self.music, &mut self.playlists] {
            found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            found.dedup_by(|again, first| again.name == first.name);
        }
        self.folders.sort_unstable();
        self.folders.dedup();
    }
}

/// A library's folder, to open what is beneath it. The path to it may hold links: it is the owner's choice.
#[derive(Debug)]
pub(crate) struct Root(OwnedFd);

impl Root {
    /// Opens the folder.
    pub(crate) fn open(path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(CWD, path, flags, Mode::empty()).map(Self)
    }

    /// The folder itself.
    pub(super) fn folder(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Opens what is at this relative path, or the folder itself where it is empty. No link is followed.
    pub(crate) fn open_beneath(&self, relative: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let relative = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        loop {
            // the kernel asks for a second try when something was renamed meanwhile
            match openat2(
                &self.0,
                relative,
                flags | OFlags::CLOEXEC | OFlags::NOFOLLOW,
                Mode::empty(),
                resolve,
            ) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                outcome => return outcome,
            }
        }
    }

    /// Opens a file for reading that waits for nothing, such as a pipe's other end.
    pub(crate) fn open_file(&self, relative: &Path) -> Result<OwnedFd, Errno> {
        self.open_beneath(relative, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)
    }
}

/// Lists a folder.
pub(super) fn list(root: &Root, relative: &Path, is_mount: Probe) -> Result<Listing, Errno> {
    let folder = root.open_beneath(relative, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let mut listing = Listing { is_mount: is_mount(folder.as_fd()), ..Listing::default() };
    let mut names = Vec::with_capacity(NAMES_AT_ONCE);
    let mut entries = RawDir::new(&folder, names.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if text::is_hidden(name) || is_systems_own(name) {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => match stat_of(&folder, name) {
                Ok((kind, _)) => kind,
                Err(Errno::NOENT) => {
                    listing.is_unsettled = true;
                    continue;
                }
                Err(error) => return Err(error),
            },
            kind => kind,
        };
        let music = formats::by_name(name).is_some();
        match kind {
            FileType::Directory => listing.folders.push(name.to_vec()),
            FileType::RegularFile if name.eq_ignore_ascii_case(PLAYER_MARK.as_bytes()) => {
                listing.is_player = true;
            }
            FileType::RegularFile if music || formats::is_playlist(name) => {
                let stat = match stat_of(&folder, name) {
                    Ok((FileType::RegularFile, stat)) => stat,
                    // what is something else now isn't there
                    Ok(_) => continue,
                    Err(Errno::NOENT) => {
                        listing.is_unsettled = true;
                        continue;
                    }
                    // what can't be looked at is not gone
                    Err(error) => return Err(error),
                };
                let list = if music { &mut listing.music } else { &mut listing.playlists };
                let (facts, changed_ns) = (Facts::from(&stat), times::changed_ns(&stat));
                list.push(Found { name: name.to_vec(), facts, changed_ns });
            }
            _ => {}
        }
    }
    listing.in_order();
    Ok(listing)
}

/// Whether a name is that of a folder which a system keeps for itself at the top of a disk: what was deleted, and what
/// only the system may read.
fn is_systems_own(name: &[u8]) -> bool {
    name == b"lost+found"
        || [&b"$RECYCLE.BIN"[..], b"RECYCLER", b"System Volume Information"]
            .iter()
            .any(|own| name.eq_ignore_ascii_case(own))
}

fn stat_of(folder: impl AsFd, name: &[u8]) -> Result<(FileType, Stat), Errno> {
    let stat = statat(folder, text::path(name), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok((FileType::from_raw_mode(stat.st_mode), stat))
}

#[cfg(test)]
mod tests {
    use super::super::mounts::is_mount;
    use super::*;
    use std::fs::{self, File};
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_hidden_and_special_files_are_no_music() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &[u8]| folder.path().join(text::path(name));
        for name in [&b"a.mp3"[..], b"b\n:.flac", b"\xff.ogg", b".hidden.mp3", b"cover.jpg", b"list.m3u"] {
            File::create(at(name)).unwrap();
        }
        for name in [&b"sub"[..], b".git", b"looks.mp3", b"lost+found", b"$Recycle.Bin"] {
            fs::create_dir(at(name)).unwrap();
        }
        symlink("/etc", at(b"out")).unwrap();
        symlink("a.mp3", at(b"link.mp3")).unwrap();
        rustix::fs::mknodat(CWD, at(b"pipe.mp3"), FileType::Fifo, 0o600.into(), 0).unwrap();
        let root = Root::open(folder.path()).unwrap();
        let listing = list(&root, Path::new(""), is_mount).unwrap();
        let names: Vec<&[u8]> = listing.music.iter().map(|found| found.name.as_slice()).collect();
        assert_eq!(names, [&b"a.mp3"[..], b"b\n:.flac", b"\xff.ogg"]);
        assert_eq!(listing.folders, [b"looks.mp3".to_vec(), b"sub".to_vec()]);
        assert_eq!(listing.playlists.len(), 1);
        assert_eq!(listing.music[2].name, std::ffi::OsStr::from_bytes(b"\xff.ogg").as_bytes());
        for outside in ["out", "..", "/etc", "link.mp3"] {
            assert!(root.open_file(Path::new(outside)).is_err(), "{outside}");
        }
    }

    #[test]
    fn a_name_that_is_told_twice_is_there_once() {
        let name = |name: &&str| name.as_bytes().to_vec();
        let facts = Facts { size: 1, modified_ns: 2, inode: 3 };
        let one = |of: &&str| Found { name: name(of), facts, changed_ns: 4 };
        let found = |of: &[&str]| of.iter().map(one).collect::<Vec<_>>();
        let mut listing = Listing {
            music: found(&["b.mp3", "a.mp3", "b.mp3"]),
            playlists: found(&["l.m3u", "l.m3u"]),
            folders: ["d2", "d1", "d2", "d1"].iter().map(name).collect(),
            ..Listing::default()
        };
        listing.in_order();
        assert_eq!(listing.music, found(&["a.mp3", "b.mp3"]));
        assert_eq!(listing.playlists, found(&["l.m3u"]));
        assert_eq!(listing.folders, [b"d1", b"d2"]);
    }

    #[test]
    fn what_cannot_be_looked_at_is_not_gone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        File::create(folder.path().join("a.mp3")).unwrap();
        let root = Root::open(folder.path()).unwrap();
        // names can be listed, but nothing be told of them
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o600)).unwrap();
        let may_look = fs::symlink_metadata(folder.path().join("a.mp3")).is_ok();
        let listed = list(&root, Path::new(""), is_mount).map(|listing| listing.music.len());
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(listed, if may_look { Ok(1) } else { Err(Errno::ACCESS) });
    }
}
