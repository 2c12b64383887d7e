//! The root of a file-system player, and the only way to anything below it: `openat2` that stays beneath the root,
//! follows no link and crosses no mount.
//!
//! No path is kept resolved over calls: a folder that was moved away in the meantime must not be written to.

use crate::file_system::errno::{During, player_error};
use rustix::fs::{AtFlags, FileType, FsWord, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tandem_model::error::PlayerError;
use tandem_model::path::DevicePath;
use tandem_model::player::ObjectFacts;
use tandem_model::player::ahead::Ahead;

/// How often a lookup that raced with a rename is tried again before that is an error.
const LOOKUP_TRIES: usize = 64;

/// The kernel's FAT: `MSDOS_SUPER_MAGIC` of `linux/magic.h`.
pub(super) const FAT: FsWord = 0x4d44;
/// The kernel's exFAT: `EXFAT_SUPER_MAGIC` of the same.
const EXFAT: FsWord = 0x2011_bab0;

/// As many folders as exFAT syncs one by one in less time than it takes to sync all: that marks the volume as clean and,
/// with the next change, as unclean again, and has the device empty its cache before and after each mark.
const FOLDERS_ALONE: usize = 4;

/// Opens the directory that becomes a player's root.
///
/// # Errors
/// What the system says; a file that isn't a directory is `ENOTDIR`.
pub(crate) fn open_root(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// A player's root, until it is closed.
pub(crate) struct Root {
    tree: RwLock<Option<Arc<Tree>>>,
    /// Reading a source must not keep the root open.
    ahead: Arc<Ahead>,
}

impl Root {
    /// The root at this directory, on this block device.
    pub(crate) fn new(directory: OwnedFd, block_device: Option<(u32, u32)>) -> Self {
        // where sysfs isn't there to be asked, its silence later means nothing
        let block_device = block_device.filter(|number| rustix::fs::stat(sysfs_entry(*number)).is_ok());
        let ahead = Arc::<Ahead>::default();
        let tree = Tree {
            directory,
            block_device,
            changed: Mutex::default(),
            unflushed: AtomicBool::new(false),
            ahead: Arc::clone(&ahead),
        };
        Self { tree: RwLock::new(Some(Arc::new(tree))), ahead }
    }

    /// Where the beginning of the next source is kept.
    pub(super) fn ahead(&self) -> Arc<Ahead> {
        Arc::clone(&self.ahead)
    }

    /// Lets go of the directory as soon as the work on it that runs now has ended.
    pub(crate) fn close(&self) {
        *self.tree.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Does blocking work on the tree.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tree) -> Result<T, PlayerError> + Send + 'static,
    ) -> Result<T, PlayerError> {
        let tree = self.tree.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(tree) = tree else {
            return Err(PlayerError::Other("the player was closed already".into()));
        };
        blocking(move || work(&tree)).await
    }
}

/// Does work that may block on a thread that may.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PlayerError> + Send + 'static,
) -> Result<T, PlayerError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_cancelled() => Err(PlayerError::Cancelled),
        Err(error) => Err(PlayerError::Other(format!("the work on the device ended unexpectedly: {error}"))),
    }
}

/// Everything below an open root. Calls block.
pub(crate) struct Tree {
    directory: OwnedFd,
    block_device: Option<(u32, u32)>,
    /// Folders whose entries were changed and not yet made to last; the empty text is the root.
    changed: Mutex<BTreeSet<Box<str>>>,
    /// Whether anything may have been written that the device was not told to keep yet.
    unflushed: AtomicBool,
    /// The beginning of the source that comes next.
    pub(super) ahead: Arc<Ahead>,
}

/// A small file, read whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Small {
    /// There is nothing of that name.
    Missing,
    /// It is a folder, a link, a pipe or a device.
    NotAFile,
    /// It is larger than the limit.
    TooLarge,
    /// Its bytes.
    Bytes(Vec<u8>),
}

/// What is in sysfs while the block device is there.
fn sysfs_entry((major, minor): (u32, u32)) -> String {
    format!("/sys/dev/block/{major}:{minor}")
}

/// A folder as text, with `.` for the root.
fn or_root(folder: &str) -> &str {
    if folder.is_empty() { "." } else { folder }
}

/// The folder that holds `path`; empty for the root.
pub(crate) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// What a regular file's status tells of it; `None` for anything else.
pub(crate) fn facts_of(stat: &Stat) -> Option<ObjectFacts> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return None;
    }
    let nanoseconds = i64::try_from(stat.st_mtime_nsec).unwrap_or_default();
    let modified_ns = stat.st_mtime.saturating_mul(1_000_000_000).saturating_add(nanoseconds);
    Some(ObjectFacts { size: u64::try_from(stat.st_size).unwrap_or_default(), modified_ns })
}

impl Tree {
    /// The root directory itself.
    pub(crate) fn directory(&self) -> &OwnedFd {
        &self.directory
    }

    /// Whether the root directory was deleted, or the device it is on is no longer there.
    pub(crate) fn is_gone(&self) -> bool {
        let deleted = rustix::fs::fstat(&self.directory).map_or(true, |stat| stat.st_nlink == 0);
        let unplugged = || {
            self.block_device
                .is_some_and(|number| matches!(rustix::fs::stat(sysfs_entry(number)), Err(Errno::NOENT)))
        };
        deleted || unplugged()
    }

    /// Whether nothing but what is below the root is on its block device, so that syncing all of that costs others nothing.
    pub(crate) fn has_device_to_itself(&self) -> bool {
        self.block_device.is_some()
    }

    /// Whether it is of this kind, by its magic number.
    pub(super) fn is(&self, kind: FsWord) -> bool {
        rustix::fs::fstatfs(&self.directory).is_ok_and(|told| told.f_type == kind)
    }

    /// Returns when the device keeps everything that was written so far. `any` is a file or a folder on it: FAT has the
    /// device empty its own cache only when one is synced.
    pub(crate) fn sync_all(&self, any: impl AsFd) -> Result<(), Errno> {
        rustix::fs::syncfs(&self.directory)?;
        rustix::fs::fsync(any)
    }

    /// The error for the engine.
    pub(crate) fn error(&self, errno: Errno, during: During<'_>) -> PlayerError {
        player_error(errno, during, || self.is_gone())
    }

    /// Opens what is at `path`, below the root.
    fn lookup(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::BENEATH
            | ResolveFlags::NO_SYMLINKS
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_XDEV;
        for _ in 1..LOOKUP_TRIES {
            match rustix::fs::openat2(&self.directory, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
            {
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return result,
            }
        }
        Err(Errno::AGAIN)
    }

    /// The folder (empty: the root), to work within. It can't be read or synced.
    pub(crate) fn folder(&self, folder: &str) -> Result<OwnedFd, Errno> {
        self.lookup(or_root(folder), OFlags::PATH | OFlags::DIRECTORY)
    }

    /// The folder (empty: the root), made with all above it where it isn't there yet. Those that were are added to
    /// `made`, outermost first.
    pub(crate) fn make_folder(
        &self,
        folder: &str,
        made: &mut Vec<DevicePath>,
    ) -> Result<OwnedFd, PlayerError> {
        match self.folder(folder) {
            Err(Errno::NOENT) => {}
            result => return result.map_err(|errno| self.error(errno, During::Create(folder))),
        }
        if self.breaks_folders() {
            self.make_lasting(folder, made)?;
        }
        let ends = folder.match_indices('/').map(|(at, _)| at).chain([folder.len()]);
        let mut parent = self.folder("").map_err(|errno| self.error(errno, During::Storage("its root")))?;
        for path in ends.map(|end| &folder[..end]) {
            let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
            parent = match self.folder(path) {
                Err(Errno::NOENT) => {
                    match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o777)) {
                        Ok(()) => {
                            self.note_change(folder_of(path));
                            made.extend(DevicePath::parse(path));
                        }
                        Err(Errno::EXIST) => {}
                        // some FUSE file systems answer this to a name that they don't take
                        Err(Errno::NOENT) if !self.is_gone() => {
                            return Err(PlayerError::NameRejected(path.into()));
                        }
                        Err(errno) => return Err(self.error(errno, During::Create(path))),
                    }
                    self.folder(path)
                }
                result => result,
            }
            .map_err(|errno| self.error(errno, During::Create(path)))?;
        }
        Ok(parent)
    }

    /// The folder, to read its entries.
    pub(super) fn open_folder(&self, folder: &str) -> Result<OwnedFd, Errno> {
        self.lookup(or_root(folder), OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// Whether a cut can leave a folder of it broken.
    pub(super) fn breaks_folders(&self) -> bool {
        self.has_device_to_itself() && self.is(FAT)
    }

    /// Removes the folder; those that aren't empty, aren't there, or aren't folders stay as they are.
    pub(crate) fn remove_if_empty(&self, folder: &DevicePath) -> Result<(), Errno> {
        if self.breaks_folders() {
            self.remove_lastingly(&[folder])
        } else {
            self.remove_empty(folder).map(drop)
        }
    }

    /// The same; hands over what was removed: as long as that is open, its space isn't freed.
    pub(super) fn remove_empty(&self, folder: &DevicePath) -> Result<Option<OwnedFd>, Errno> {
        let removed = self.folder(folder.as_str()).and_then(|open| {
            let above = self.folder(parent_of(folder))?;
            rustix::fs::unlinkat(&above, folder.name(), AtFlags::REMOVEDIR).map(|()| open)
        });
        match removed {
            Ok(open) => {
                self.note_change(parent_of(folder));
                Ok(Some(open))
            }
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT | Errno::NOTDIR) => Ok(None),
            // a link or a mount is in its place
            Err(Errno::LOOP | Errno::XDEV | Errno::BUSY) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// What is at this name; `None` for nothing. Links are not followed.
    pub(crate) fn status(&self, path: &str) -> Result<Option<Stat>, Errno> {
        let folder = match self.folder(folder_of(path)) {
            Err(errno) if means_nothing(errno) => return Ok(None),
            result => result?,
        };
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        status_in(&folder, name)
    }

    /// The file at this path, for reading; `None` for nothing, or for what isn't a file.
    pub(crate) fn open_file(&self, path: &str) -> Result<Option<File>, Errno> {
        // asked first, because opening a device or a pipe can do things
        if self.status(path)?.as_ref().and_then(facts_of).is_none() {
            return Ok(None);
        }
        let file = match self.lookup(path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK) {
            Err(Errno::NOENT) => return Ok(None),
            result => result?,
        };
        let is_file = facts_of(&rustix::fs::fstat(&file)?).is_some();
        Ok(is_file.then(|| File::from(file)))
    }

    /// Reads a small file whole.
    pub(crate) fn read_small(&self, path: &str, limit: usize) -> Result<Small, Errno> {
        let Some(file) = self.open_file(path)? else {
            let there = self.status(path)?.is_some();
            return Ok(if there { Small::NotAFile } else { Small::Missing });
        };
        let mut bytes = Vec::new();
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        file.take(most).read_to_end(&mut bytes).map_err(|error| super::errno::errno_of(&error))?;
        Ok(if bytes.len() > limit { Small::TooLarge } else { Small::Bytes(bytes) })
    }

    /// Remembers that a folder's entries are to be made to last with the next [`Self::settle`].
    pub(crate) fn note_change(&self, folder: &str) {
        self.note_write();
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.into());
    }

    /// Remembers that something is being written.
    pub(crate) fn note_write(&self) {
        self.unflushed.store(true, Ordering::Relaxed);
    }

    /// Returns when everything that was written so far is on the device. `anyway`: also what others may have written.
    pub(crate) fn flush(&self, anyway: bool) -> Result<(), PlayerError> {
        let during = During::Storage("writing what is outstanding to the device");
        if self.unflushed.swap(false, Ordering::Relaxed) || anyway {
            let synced = if self.has_device_to_itself() {
                self.sync_root()
            } else {
                rustix::fs::syncfs(&self.directory)
            };
            synced.map_err(|errno| {
                self.note_write();
                self.error(errno, during)
            })?;
        }
        if self.is_gone() { Err(PlayerError::Removed) } else { Ok(()) }
    }

    /// The same as [`Self::sync_all`], by the root.
    pub(super) fn sync_root(&self) -> Result<(), Errno> {
        self.sync_all(self.open_folder("")?)
    }

    /// Makes the entries of these folders, and of all that were changed since, last.
    pub(crate) fn settle<'a>(&self, folders: impl Iterator<Item = &'a str>) -> Result<(), PlayerError> {
        let mut due = std::mem::take(&mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner));
        due.extend(folders.map(Box::from));
        let alone = if self.is(EXFAT) { FOLDERS_ALONE } else { 1 };
        let result = if due.len() > alone && self.has_device_to_itself() {
            let during = During::Storage("writing what is outstanding to the device");
            self.sync_root().map_err(|errno| self.error(errno, during))
        } else {
            due.iter().try_for_each(|folder| self.sync_folder(folder))
        };
        if result.is_err() {
            self.changed.lock().unwrap_or_else(PoisonError::into_inner).append(&mut due);
        }
        result
    }

    /// Makes a folder's entries last; for one that is gone, or has a link or another file system in its place, those of the
    /// innermost folder above it that is there.
    fn sync_folder(&self, folder: &str) -> Result<(), PlayerError> {
        let mut at = folder;
        let descriptor = loop {
            match self.lookup(or_root(at), OFlags::RDONLY | OFlags::DIRECTORY) {
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) if !at.is_empty() => {
                    at = folder_of(at);
                }
                result => break result,
            }
        };
        let synced = descriptor.and_then(|folder| match rustix::fs::fsync(&folder) {
            // some network and FUSE file systems can't sync a folder alone
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => rustix::fs::syncfs(&folder),
            result => result,
        });
        synced.map_err(|errno| self.error(errno, During::Use(or_root(folder))))
    }
}

/// What is at this name within a folder; `None` for nothing, or for a name that can't be.
pub(crate) fn status_in(folder: impl AsFd, name: &str) -> Result<Option<Stat>, Errno> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(errno) if means_nothing(errno) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Whether a lookup that ended so shows that there is nothing of that name, or that there can't be.
pub(crate) fn means_nothing(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::INVAL | Errno::ILSEQ)
}

/// The folder of a path, as the tree names folders.
pub(crate) fn parent_of(path: &DevicePath) -> &str {
    folder_of(path.as_str())
}
