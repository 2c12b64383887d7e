//! What can go wrong inside the agent, and how the daemon is told.
//!
//! Refusals carry the words for the user already; everything else becomes `Failed` with its cause.

use tandem_model::error::LibraryError;
use thiserror::Error;

/// Why something did not come out.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// The request is refused.
    #[error(transparent)]
    Refused(#[from] LibraryError),
    /// The index or the library file can't be used.
    #[error("the library's index failed: {0}{remedy}", remedy = remedy(.0))]
    Sql(#[from] rusqlite::Error),
    /// The system refused: what was being done, and its words.
    #[error("{0}: {1}")]
    Io(String, std::io::Error),
    /// The daemon has gone; nobody waits for the answer.
    #[error("the connection has ended")]
    Gone,
}

/// What helps where a database file can't be written, to follow the error's own words.
fn remedy(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => "; free some space where the state directory is",
        _ => "",
    }
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
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        matches!(self, Self::Sql(error) if matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase)))
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
