//! The few ways in which this crate touches files: bounded reading, replacement that a power cut can't halve, removal.
//!
//! It knows nothing of what the files hold.

use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tandem_model::error::StoreError;

/// Access for the daemon's own user alone: the files tell who listens to what.
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// The store's error for a failed system call, with what the administrator can do about it.
pub(crate) fn io_error(path: &Path, error: &io::Error) -> StoreError {
    let remedy = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; free some space there",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "; make it writable for the user tandemd runs as"
        }
        ErrorKind::NotADirectory | ErrorKind::IsADirectory | ErrorKind::AlreadyExists => {
            "; move away what is in its place"
        }
        _ => "",
    };
    StoreError::Io { path: path.display().to_string(), cause: format!("{error}{remedy}") }
}

/// `path` with `suffix` behind its last component.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Makes the directory, and those above it, if it isn't there. What is made lasts.
pub(crate) fn ensure_directory(directory: &Path) -> Result<(), StoreError> {
    let missing: Vec<&Path> =
        directory.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.exists()).collect();
    DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(directory)
        .map_err(|error| io_error(directory, &error))?;
    let synced = missing.iter().rev().try_for_each(|made| sync_directory(made));
    if synced.is_err() {
        // the next attempt makes them, and syncs them, again
        for made in missing {
            if let Err(cause) = fs::remove_dir(made) {
                tracing::warn!("{} may not survive a power cut: {cause}", made.display());
            }
        }
    }
    synced
}

/// Opens a file for reading; `None` when there is none. A pipe in its place isn't waited for: what isn't a regular file
/// is an error.
pub(crate) fn open(path: &Path) -> Result<Option<File>, StoreError> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        // a socket can't be opened
        Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => return Err(no_file(path)),
        Err(error) => return Err(io_error(path, &error)),
    };
    let told = file.metadata().map_err(|error| io_error(path, &error))?;
    if told.is_file() { Ok(Some(file)) } else { Err(no_file(path)) }
}

/// An error unless there is a regular file, or nothing, at this path.
pub(crate) fn check_kind(path: &Path) -> Result<(), StoreError> {
    match fs::metadata(path) {
        Ok(told) if told.is_file() => Ok(()),
        Ok(_) => Err(no_file(path)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error(path, &error)),
    }
}

fn no_file(path: &Path) -> StoreError {
    StoreError::Io {
        path: path.display().to_string(),
        cause: "it is no regular file; move away what is in its place".to_owned(),
    }
}

/// The file's content; `None` when there is no such file. One larger than `limit` bytes ends in an error.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(file) = open(path)? else { return Ok(None) };
    let mut content = Vec::new();
    file.take(limit + 1).read_to_end(&mut content).map_err(|error| io_error(path, &error))?;
    if content.len() as u64 > limit {
        let cause = format!("it is larger than {limit} bytes, which no file of this kind is");
        return Err(StoreError::Damaged { path: path.display().to_string(), cause });
    }
    Ok(Some(content))
}

/// An empty file for our user alone, in place of whatever was left under that name.
pub(crate) fn create_fresh(path: &Path) -> Result<File, StoreError> {
    remove(path)?;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
        .map_err(|error| io_error(path, &error))
}

/// Replaces the file by one with this content. On return the new one is on disk; on an error the old one is
/// untouched, unless the error is that the directory can't be synced.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let temporary = with_suffix(path, ".new");
    let mut file = create_fresh(&temporary)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    if let Err(error) = written {
        // what is left would be replaced by the next attempt; here it only takes space
        if let Err(cause) = remove(&temporary) {
            tracing::warn!("a file that could not be written is left behind: {cause}");
        }
        return Err(io_error(&temporary, &error));
    }
    rename(&temporary, path)
}

/// Renames a file within its directory, for good.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(|error| io_error(to, &error))?;
    sync_directory(to)
}

/// Removes a file; none there is no error.
pub(crate) fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error(path, &error)),
    }
}

/// Makes the names in the directory that holds `path` last.
pub(crate) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| io_error(directory, &error))
}
