//! Writes one file: temporary name, bytes, modification time, sync, size check, and only then the final name; or as far as
//! the time, for `finish` to do the rest of several at once.
//!
//! Whatever goes wrong, nothing is left at either name that wasn't there before; a cut leaves at most the temporary.

use crate::file_system::errno::During;
use crate::file_system::fill::fill;
use crate::file_system::remove;
use crate::file_system::root::{Tree, facts_of, parent_of, status_in};
use rustix::fs::{Advice, AtFlags, Mode, OFlags, RenameFlags, Timespec, Timestamps};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tandem_model::error::PlayerError;
use tandem_model::path::DevicePath;
use tandem_model::player::{Expect, ObjectFacts, Sent, Source, Transfer, Waiting, WriteRequest, Written};

/// The wish to stop: of whoever shares the transfer, or because nobody waits for the outcome any more.
pub(crate) struct Stop<'a> {
    pub(crate) transfer: &'a Transfer,
    pub(crate) abandoned: &'a AtomicBool,
}

impl Stop<'_> {
    /// `Cancelled` once there is that wish.
    pub(crate) fn check(&self) -> Result<(), PlayerError> {
        if self.transfer.is_cancelled() || self.abandoned.load(Ordering::Relaxed) {
            return Err(PlayerError::Cancelled);
        }
        Ok(())
    }
}

/// Writes the file. `window` is what may be unsynced, in bytes; it follows the device's speed.
pub(crate) fn write(
    tree: &Tree,
    request: &WriteRequest,
    stop: &Stop<'_>,
    window: &AtomicU64,
) -> Result<Written, PlayerError> {
    let end = |folder: &OwnedFd, file: &File| {
        set_time(tree, file, request)?;
        let path = request.path.as_str();
        rustix::fs::fsync(file).map_err(|errno| tree.error(errno, During::Use(path)))?;
        let facts = facts_kept(tree, file, path, request.size)?;
        give_name(tree, folder, request).map(|()| facts)
    };
    let Filled { ended: facts, hash, made_folders, .. } = fill_temporary(tree, request, stop, window, end)?;
    Ok(Written { facts, hash, persistent_id: request.path.as_str().to_owned(), made_folders })
}

/// Writes a new file under its temporary name; the rest is `finish`'s.
pub(crate) fn send(
    tree: &Tree,
    request: &WriteRequest,
    stop: &Stop<'_>,
    window: &AtomicU64,
) -> Result<Sent, PlayerError> {
    if request.expect != Expect::Nothing {
        return write(tree, request, stop, window).map(Sent::Written);
    }
    let end = |_: &OwnedFd, file: &File| set_time(tree, file, request);
    let Filled { hash, made_folders, file, .. } = fill_temporary(tree, request, stop, window, end)?;
    let (path, temporary) = (request.path.clone(), request.temporary.clone());
    Ok(Sent::Waiting(Waiting { path, temporary, size: request.size, hash, made_folders, file }))
}

/// A temporary file that holds what was to be written.
struct Filled<T> {
    ended: T,
    hash: u128,
    made_folders: Vec<DevicePath>,
    file: File,
}

/// Fills the temporary and does what ends that; nothing is left of it when that fails.
fn fill_temporary<T>(
    tree: &Tree,
    request: &WriteRequest,
    stop: &Stop<'_>,
    window: &AtomicU64,
    end: impl FnOnce(&OwnedFd, &File) -> Result<T, PlayerError>,
) -> Result<Filled<T>, PlayerError> {
    let path = request.path.as_str();
    if path.to_lowercase() == request.temporary.as_str().to_lowercase() {
        return Err(PlayerError::Other(format!("`{path}` can't be its own temporary name")));
    }
    stop.check()?;
    let begun = inspect(&request.source, request.size)?;
    check_expectation(tree, request)?;
    let mut made_folders = Vec::new();
    let filled = open_temporary(tree, request, &mut made_folders).and_then(|(folder, mut file)| {
        let filled = fill(tree, &mut file, request, stop, window)
            .and_then(|hash| same_source(&request.source, begun).map(|()| hash))
            .and_then(|hash| Ok((end(&folder, &file)?, hash)));
        if let Err(error) = &filled {
            discard(tree, &folder, &request.temporary, &file, error);
        }
        filled.map(|(ended, hash)| (ended, hash, file))
    });
    match filled {
        Ok((ended, hash, file)) => Ok(Filled { ended, hash, made_folders, file }),
        Err(error) => {
            if error != PlayerError::Removed {
                remove_made(tree, &made_folders);
            }
            Err(error)
        }
    }
}

/// The temporary's folder and the new temporary, with the folders that the file will need.
fn open_temporary(
    tree: &Tree,
    request: &WriteRequest,
    made_folders: &mut Vec<DevicePath>,
) -> Result<(OwnedFd, File), PlayerError> {
    let folder = if parent_of(&request.path) == parent_of(&request.temporary) {
        tree.make_folder(parent_of(&request.temporary), made_folders)?
    } else {
        let folder = remove::temporary_folder(tree, &request.temporary, made_folders)?;
        tree.make_folder(parent_of(&request.path), made_folders)?;
        tree.note_change(parent_of(&request.temporary));
        folder
    };
    let file = create(tree, &folder, request)?;
    Ok((folder, file))
}

/// Removes folders again that were made for a file that didn't come.
fn remove_made(tree: &Tree, made_folders: &[DevicePath]) {
    for folder in made_folders.iter().rev() {
        if let Err(errno) = tree.remove_if_empty(folder) {
            tracing::warn!("a folder that was made in vain could not be removed: {errno}");
        }
    }
}

/// The source's modification time, once it has turned out to be a file of the right size.
fn inspect(source: &Source, size: u64) -> Result<Option<i64>, PlayerError> {
    match source {
        Source::Bytes(bytes) if u64::try_from(bytes.len()) != Ok(size) => Err(PlayerError::SourceChanged),
        Source::Bytes(_) => Ok(None),
        Source::File(file) => {
            let stat = rustix::fs::fstat(file).map_err(|errno| PlayerError::Source(errno.to_string()))?;
            let facts = facts_of(&stat).ok_or_else(|| PlayerError::Source("it isn't a file".into()))?;
            if facts.size != size {
                return Err(PlayerError::SourceChanged);
            }
            // advice: no harm where it isn't taken
            let _ = rustix::fs::fadvise(file, 0, None, Advice::Sequential);
            let _ = rustix::fs::fadvise(file, 0, None, Advice::NoReuse);
            Ok(Some(facts.modified_ns))
        }
    }
}

fn same_source(source: &Source, begun: Option<i64>) -> Result<(), PlayerError> {
    let Source::File(file) = source else { return Ok(()) };
    let stat = rustix::fs::fstat(file).map_err(|errno| PlayerError::Source(errno.to_string()))?;
    if facts_of(&stat).map(|facts| facts.modified_ns) == begun {
        Ok(())
    } else {
        Err(PlayerError::SourceChanged)
    }
}

/// Whether what is at the final name is what is expected there.
fn check_expectation(tree: &Tree, request: &WriteRequest) -> Result<(), PlayerError> {
    let path = request.path.as_str();
    let there = tree.status(path).map_err(|errno| tree.error(errno, During::Create(path)))?;
    match (request.expect, there) {
        (Expect::Nothing, None) => Ok(()),
        (Expect::Nothing, Some(_)) => Err(PlayerError::Exists(path.into())),
        (Expect::This(expected), Some(stat)) if facts_of(&stat) == Some(expected) => Ok(()),
        (Expect::This(_), None) if tree.is_gone() => Err(PlayerError::Removed),
        (Expect::This(_), _) => Err(PlayerError::Changed(path.into())),
    }
}

/// Creates the temporary. What has its name already is nobody's that we know of, so it stays.
fn create(tree: &Tree, folder: &OwnedFd, request: &WriteRequest) -> Result<File, PlayerError> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    tree.note_write();
    match rustix::fs::openat(folder, request.temporary.name(), flags, Mode::from_raw_mode(0o666)) {
        Err(Errno::EXIST) => {
            Err(PlayerError::Other(format!("the temporary name `{}` is taken", request.temporary)))
        }
        created => created
            .map(File::from)
            .map_err(|errno| tree.error(errno, During::Create(request.temporary.as_str()))),
    }
}

/// Sets the modification time.
fn set_time(tree: &Tree, file: &File, request: &WriteRequest) -> Result<(), PlayerError> {
    let modified = Timespec {
        tv_sec: request.modified_ns.div_euclid(1_000_000_000),
        tv_nsec: request.modified_ns.rem_euclid(1_000_000_000),
    };
    // both, because FUSE file systems of the older library ignore one alone
    match rustix::fs::futimens(file, &Timestamps { last_access: modified, last_modification: modified }) {
        // a file system that keeps no times of our choosing: what it tells afterwards is what counts
        Ok(()) | Err(Errno::PERM | Errno::ACCESS | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(()),
        Err(errno) => Err(tree.error(errno, During::Use(request.path.as_str()))),
    }
}

/// What is true of a file that was synced, once its size has turned out to be the right one.
pub(super) fn facts_kept(
    tree: &Tree,
    file: &File,
    path: &str,
    size: u64,
) -> Result<ObjectFacts, PlayerError> {
    let stat = rustix::fs::fstat(file).map_err(|errno| tree.error(errno, During::Use(path)))?;
    let facts = facts_of(&stat).filter(|facts| facts.size == size);
    facts.ok_or_else(|| PlayerError::VerifyFailed(path.into()))
}

/// Gives the temporary its final name. The folder of that name is looked up anew: it may have been moved meanwhile.
fn give_name(tree: &Tree, from: &OwnedFd, request: &WriteRequest) -> Result<(), PlayerError> {
    let WriteRequest { path, temporary, .. } = request;
    let Expect::This(expected) = request.expect else {
        return give_new_name(tree, from, temporary, path);
    };
    let failed = |errno| tree.error(errno, During::Create(path.as_str()));
    let to = tree.folder(parent_of(path)).map_err(failed)?;
    check_expectation(tree, request)?;
    exchange(tree, from, &to, request, expected).unwrap_or_else(|| {
        // a file system that can't exchange two names: the look just before is all there can be
        let renamed = rustix::fs::renameat(from, temporary.name(), &to, path.name());
        told(tree, from, temporary, path, renamed)
    })
}

/// The same for a name that must be free.
pub(super) fn give_new_name(
    tree: &Tree,
    from: &OwnedFd,
    temporary: &DevicePath,
    path: &DevicePath,
) -> Result<(), PlayerError> {
    let failed = |errno| tree.error(errno, During::Create(path.as_str()));
    let to = tree.folder(parent_of(path)).map_err(failed)?;
    let renamed = remove::rename_new(from, temporary.name(), &to, path.name());
    told(tree, from, temporary, path, renamed)
}

/// What came of giving a name.
fn told(
    tree: &Tree,
    from: &OwnedFd,
    temporary: &DevicePath,
    path: &DevicePath,
    renamed: Result<(), Errno>,
) -> Result<(), PlayerError> {
    let failed = |errno| tree.error(errno, During::Create(path.as_str()));
    match renamed {
        // some FUSE file systems answer this to a name that they don't take, though nothing is missing
        Err(Errno::NOENT)
            if !tree.is_gone() && status_in(from, temporary.name()).map_err(failed)?.is_some() =>
        {
            Err(PlayerError::NameRejected(path.as_str().into()))
        }
        result => result.map_err(failed),
    }
}

/// Lets the temporary and what it replaces change names, looks at what came out, and deletes that if it is what was
/// expected; else they change back. `None` where the file system can't do that.
fn exchange(
    tree: &Tree,
    from: &OwnedFd,
    to: &OwnedFd,
    request: &WriteRequest,
    expected: ObjectFacts,
) -> Option<Result<(), PlayerError>> {
    let (old, new) = (request.temporary.name(), request.path.name());
    let failed = |errno| tree.error(errno, During::Use(request.path.as_str()));
    let swap = || rustix::fs::renameat_with(from, old, to, new, RenameFlags::EXCHANGE);
    match swap() {
        Ok(()) => {}
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => return None,
        Err(Errno::NOENT) if !tree.is_gone() => {
            return Some(Err(PlayerError::Changed(request.path.as_str().into())));
        }
        Err(errno) => return Some(Err(failed(errno))),
    }
    let ended = match status_in(from, old) {
        Ok(Some(stat)) if remove::is(&stat, expected) => {
            rustix::fs::unlinkat(from, old, AtFlags::empty()).map_err(failed)
        }
        Ok(_) => Err(PlayerError::Changed(request.path.as_str().into())),
        Err(errno) => Err(failed(errno)),
    };
    if ended.is_err()
        && let Err(errno) = swap()
    {
        return Some(Err(failed(errno)));
    }
    Some(ended)
}

/// Frees the temporary name again, if what has it is still what was written.
pub(super) fn discard(
    tree: &Tree,
    folder: &OwnedFd,
    temporary: &DevicePath,
    written: &File,
    because: &PlayerError,
) {
    let identity = |stat: rustix::fs::Stat| (stat.st_dev, stat.st_ino);
    let there = status_in(folder, temporary.name()).ok().flatten().map(identity);
    if *because == PlayerError::Removed || there != rustix::fs::fstat(written).ok().map(identity) {
        return;
    }
    match rustix::fs::unlinkat(folder, temporary.name(), AtFlags::empty()) {
        Ok(()) => tree.note_change(parent_of(temporary)),
        Err(Errno::NOENT) => {}
        Err(errno) => {
            tracing::warn!(
                "a temporary file could not be deleted after `{because}`: {errno}; the next run does"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file_system::root::{Root, open_root};
    use std::io::Write;
    use tandem_model::player::Tags;

    #[tokio::test]
    async fn a_file_that_came_between_the_look_and_the_replacement_is_put_back() {
        let directory = tempfile::tempdir().unwrap();
        for (name, bytes) in [("a.mp3", &b"somebody else's"[..]), ("1.part", b"ours")] {
            File::create(directory.path().join(name)).and_then(|mut file| file.write_all(bytes)).unwrap();
        }
        let root = Root::new(open_root(directory.path()).unwrap(), None);
        let exchange = |expected: ObjectFacts| {
            root.run(move |tree| {
                let path = |text| DevicePath::parse(text).unwrap();
                let request = WriteRequest {
                    path: path("a.mp3"),
                    temporary: path("1.part"),
                    expect: Expect::This(expected),
                    size: 4,
                    modified_ns: 0,
                    source: Source::Bytes(b"ours"[..].into()),
                    tags: Tags::default(),
                    cover: None,
                };
                let folder = tree.folder("").unwrap();
                exchange(tree, &folder, &folder, &request, expected).transpose()
            })
        };
        let bytes = |name: &str| std::fs::read(directory.path().join(name)).unwrap();
        match exchange(ObjectFacts { size: 5, modified_ns: 0 }).await {
            // this file system can't exchange names
            Ok(None) => return,
            outcome => assert_eq!(outcome, Err(PlayerError::Changed("a.mp3".into()))),
        }
        assert_eq!((bytes("a.mp3"), bytes("1.part")), (b"somebody else's".to_vec(), b"ours".to_vec()));
        let there =
            root.run(|tree| Ok(facts_of(&tree.status("a.mp3").unwrap().unwrap()).unwrap())).await.unwrap();
        assert_eq!(exchange(there).await, Ok(Some(())));
        assert_eq!(bytes("a.mp3"), b"ours");
        assert!(!directory.path().join("1.part").exists());
    }
}
