//! What can go wrong inside the agent, and how the daemon is told.
//!
//! Refusals carry the words for the user already; everything else becomes `Failed` with its cause.

use std::path::{Path, PathBuf};
use tandem_model::error::LibraryError;
use thiserror::Error;

/// Why something did not come out.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// The request is refused.
    #[error(transparent)]
    Refused(#[from] LibraryError),
    /// The index or the library file can't be used.
    #[error("the library's index failed: {0}{remedy}", remedy = remedy(.0, || false))]
    Sql(#[from] rusqlite::Error),
    /// A database file can't be used now, though that doesn't make it a damaged one.
    #[error("{file} can't be used: {error}{remedy}", file = .0.display(), error = .1, remedy = remedy(.1, || is_full(.0)))]
    Unusable(PathBuf, rusqlite::Error),
    /// The system refused: what was being done, and its words.
    #[error("{0}: {1}")]
    Io(String, std::io::Error),
    /// The daemon has gone; nobody waits for the answer.
    #[error("the connection has ended")]
    Gone,
}

/// Bytes that SQLite may need to open a file: for its log's index, and a page of the log.
const LEAST_SPACE: u64 = 128 << 10;

/// What helps where a database file can't be used, to follow the error's own words.
fn remedy(error: &rusqlite::Error, is_full: impl FnOnce() -> bool) -> &'static str {
    use rusqlite::ErrorCode as Code;
    match error.sqlite_error_code() {
        Some(Code::DiskFull) => "; free some space where the state directory is",
        // that is also the answer to a log's index that can't grow
        Some(Code::SystemIoFailure) if is_full() => {
            "; the disk is full: free some space where the state directory is"
        }
        Some(Code::SystemIoFailure) => "; look whether its disk is sound and has free space",
        Some(Code::ReadOnly | Code::PermissionDenied | Code::CannotOpen) => {
            "; make it and its directory readable and writable for the library's owner"
        }
        Some(Code::DatabaseBusy | Code::DatabaseLocked) => "; end the other program that holds it open",
        _ => "",
    }
}

/// Whether hardly anything can be written any more beside this file.
fn is_full(file: &Path) -> bool {
    let directory = file.parent().unwrap_or(Path::new("/"));
    rustix::fs::statvfs(directory).is_ok_and(|told| {
        told.f_bavail.saturating_mul(told.f_frsize) < LEAST_SPACE || told.f_favail == 0 && told.f_files > 0
    })
}

/// Whether SQLite calls a file corrupt, or no database at all. Nothing else makes it a damaged one: a disk that is full,
/// a lock and a missing permission come and go.
pub(crate) fn tells_of_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

/// The agent's results.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A refusal of a value.
    pub(crate) fn invalid(words: impl Into<String>) -> Self {
        Self::Refused(LibraryError::InvalidArgument(words.into()))
    }

    /// A refusal because something isn't there.
    pub(crate) fn not_found(words: impl Into<String>) -> Self {
        Self::Refused(LibraryError::NotFound(words.into()))
    }

    /// Whether a database file is damaged, so that only a new start helps.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self, Self::Sql(error) if tells_of_damage(error))
    }

    /// The same with the name of the file that it is about.
    pub(crate) fn about(self, file: &Path) -> Self {
        match self {
            Self::Sql(error) => Self::Unusable(file.to_owned(), error),
            other => other,
        }
    }
}

impl From<Failure> for LibraryError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(error) => error,
            other => Self::Failed(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    #[test]
    fn only_what_sqlite_calls_corrupt_is_damage_and_the_rest_has_a_remedy() {
        let error = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_CORRUPT_INDEX, ffi::SQLITE_NOTADB] {
            assert!(tells_of_damage(&error(code)), "{code}");
        }
        for (code, words) in [
            (ffi::SQLITE_FULL, "free some space"),
            (ffi::SQLITE_IOERR_SHMSIZE, "free space"),
            (ffi::SQLITE_BUSY, "end the other program"),
            (ffi::SQLITE_LOCKED, "end the other program"),
            (ffi::SQLITE_CANTOPEN, "readable and writable"),
            (ffi::SQLITE_READONLY_CANTINIT, "readable and writable"),
            (ffi::SQLITE_PERM, "readable and writable"),
        ] {
            assert!(!tells_of_damage(&error(code)), "{code}");
            let told = Failure::Sql(error(code)).about(Path::new("/state/library.sqlite")).to_string();
            assert!(told.starts_with("/state/library.sqlite can't be used: "), "{told}");
            assert!(told.contains(words), "{told}");
        }
        assert!(remedy(&error(ffi::SQLITE_IOERR), || true).contains("the disk is full"));
    }
}
