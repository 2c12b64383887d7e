//! The errors that cross the boundaries between the crates. Each says what the caller should do about it; codes of a
//! protocol stay a layer below.

use crate::path::DevicePath;
use thiserror::Error;

/// Why one item, or a whole run, did not come out; the contract's item errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemError {
    /// There was no space left for it within what may be used.
    NoFit,
    /// The library's file is gone.
    SourceMissing,
    /// The library's file can't be read.
    SourceUnreadable,
    /// The device doesn't play it.
    UnsupportedFormat,
    /// The device takes no name that could be given to it.
    NameRejected,
    /// The device answered a write with an error.
    DeviceWriteFailed,
    /// The device filled up before the plan expected it.
    DeviceFull,
    /// The device is gone.
    DeviceRemoved,
    /// Another program holds the device.
    DeviceBusy,
    /// The device didn't answer in time.
    TimedOut,
    /// What is on the device isn't what was sent.
    VerifyFailed,
    /// The run was stopped.
    Cancelled,
    /// The daemon was killed, or the computer lost its power, in the middle of the run.
    Interrupted,
    /// The run would delete more than the guard allows.
    WouldDeleteTooMuch,
    /// The owner's library can't be asked, or looks wrong.
    LibraryUnavailable,
}

impl ItemError {
    /// The contract's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoFit => "no-fit",
            Self::SourceMissing => "source-missing",
            Self::SourceUnreadable => "source-unreadable",
            Self::UnsupportedFormat => "unsupported-format",
            Self::NameRejected => "name-rejected",
            Self::DeviceWriteFailed => "device-write-failed",
            Self::DeviceFull => "device-full",
            Self::DeviceRemoved => "device-removed",
            Self::DeviceBusy => "device-busy",
            Self::TimedOut => "timed-out",
            Self::VerifyFailed => "verify-failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::WouldDeleteTooMuch => "would-delete-too-much",
            Self::LibraryUnavailable => "library-unavailable",
        }
    }

    /// The error with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        const ALL: [ItemError; 15] = [
            ItemError::NoFit,
            ItemError::SourceMissing,
            ItemError::SourceUnreadable,
            ItemError::UnsupportedFormat,
            ItemError::NameRejected,
            ItemError::DeviceWriteFailed,
            ItemError::DeviceFull,
            ItemError::DeviceRemoved,
            ItemError::DeviceBusy,
            ItemError::TimedOut,
            ItemError::VerifyFailed,
            ItemError::Cancelled,
            ItemError::Interrupted,
            ItemError::WouldDeleteTooMuch,
            ItemError::LibraryUnavailable,
        ];
        ALL.into_iter().find(|error| error.as_str() == word)
    }
}

/// What went wrong between the daemon and a player.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlayerError {
    /// The device is gone: end the run, wait for it to come back.
    #[error("the device is gone")]
    Removed,
    /// The program that serves the device has ended, while doing what is told: end the run, wait for it to come back.
    #[error("the program that serves the device has ended while {0}")]
    ProviderGone(String),
    /// The program that serves the device answered what can't be; what was being done, and the answer.
    #[error("{0}")]
    ProviderWrong(String),
    /// No space is left: later items of that size can't succeed either.
    #[error("the device is full")]
    Full,
    /// Nothing can be written: end the run.
    #[error("the device is read-only: {0}")]
    ReadOnly(String),
    /// Something of that name is there already: choose another.
    #[error("`{0}` is already on the device")]
    Exists(String),
    /// There is nothing of that name.
    #[error("`{0}` is not on the device")]
    NotFound(String),
    /// What is there isn't what was expected: leave it alone.
    #[error("`{0}` was changed on the device by someone else")]
    Changed(String),
    /// Something that isn't a folder has the name of ours for temporary files: end the run.
    #[error(
        "`{0}` on the device is a file or a link, where a folder for unfinished files is needed; rename it or move it \
         away, then synchronise again"
    )]
    InTheWay(String),
    /// The device refuses the name.
    #[error("the device refuses the name `{0}`")]
    NameRejected(String),
    /// Another program holds the device; tells which.
    #[error("the device is in use by {0}")]
    Busy(String),
    /// The device didn't answer in time.
    #[error("the device did not answer in time while {0}")]
    TimedOut(String),
    /// The run was stopped.
    #[error("stopped")]
    Cancelled,
    /// The source could not be read to its end.
    #[error("the source could not be read: {0}")]
    Source(String),
    /// The source became shorter or longer while it was read.
    #[error("the source changed while it was read")]
    SourceChanged,
    /// What is on the device isn't what was sent.
    #[error("`{0}` is not on the device as it was sent")]
    VerifyFailed(String),
    /// The device can't do that with this file; there is another way.
    #[error("the device does not take the new tags of `{0}` alone")]
    Unsupported(String),
    /// The system refuses access, and says why.
    #[error("not permitted: {0}")]
    NotPermitted(String),
    /// The device can't be synchronised, only served by hand; what is missing for more.
    #[error("the device supports manual transfer only: {0}")]
    Manual(String),
    /// Anything else: what was being done, and the cause.
    #[error("{0}")]
    Other(String),
}

impl PlayerError {
    /// What a player says that is to finish a file which was sent to another kind of player.
    #[must_use]
    pub fn sent_elsewhere(temporary: &DevicePath) -> Self {
        Self::Other(format!("`{temporary}` was sent to another kind of player; that is a defect"))
    }

    /// The item error that clients see.
    #[must_use]
    pub fn item_error(&self) -> ItemError {
        match self {
            Self::Removed | Self::ProviderGone(_) | Self::Manual(_) => ItemError::DeviceRemoved,
            Self::Full => ItemError::DeviceFull,
            Self::NameRejected(_) => ItemError::NameRejected,
            Self::Busy(_) => ItemError::DeviceBusy,
            Self::TimedOut(_) => ItemError::TimedOut,
            Self::Cancelled => ItemError::Cancelled,
            Self::Source(_) | Self::SourceChanged => ItemError::SourceUnreadable,
            Self::VerifyFailed(_) => ItemError::VerifyFailed,
            Self::ReadOnly(_)
            | Self::Exists(_)
            | Self::NotFound(_)
            | Self::Changed(_)
            | Self::InTheWay(_)
            | Self::Unsupported(_)
            | Self::NotPermitted(_)
            | Self::ProviderWrong(_)
            | Self::Other(_) => ItemError::DeviceWriteFailed,
        }
    }

    /// Whether no further item can succeed in this run.
    #[must_use]
    pub fn ends_run(&self) -> bool {
        matches!(
            self,
            Self::Removed
                | Self::ProviderGone(_)
                | Self::ReadOnly(_)
                | Self::InTheWay(_)
                | Self::Busy(_)
                | Self::TimedOut(_)
                | Self::Cancelled
                | Self::Manual(_)
        )
    }
}

/// What went wrong with the state on disk.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// A file can't be read or written: path and cause.
    #[error("{path}: {cause}")]
    Io {
        /// Which file.
        path: String,
        /// What the system said.
        cause: String,
    },
    /// A file's content isn't what it should be: path and what is wrong. The file is left as it is.
    #[error("{path} is damaged: {cause}")]
    Damaged {
        /// Which file.
        path: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A file was written by a later version.
    #[error("{path} is of format {found}; this version reads up to {supported}")]
    TooNew {
        /// Which file.
        path: String,
        /// Its version.
        found: u32,
        /// The newest that can be read.
        supported: u32,
    },
}

/// What went wrong between the daemon and an owner's library.
#[derive(Debug, Clone, PartialEq, Eq, Error, serde::Serialize, serde::Deserialize)]
pub enum LibraryError {
    /// The agent doesn't run, or its answer didn't come.
    #[error("the library is not available: {0}")]
    Unavailable(String),
    /// No such playlist, media or folder.
    #[error("{0}")]
    NotFound(String),
    /// A value that can't be: names it and what would do.
    #[error("{0}")]
    InvalidArgument(String),
    /// That attribute or kind of playlist can't be changed.
    #[error("{0}")]
    ReadOnly(String),
    /// The file can't be read.
    #[error("{0}")]
    Unreadable(String),
    /// Anything else, with its cause.
    #[error("{0}")]
    Failed(String),
}

/// Why a request to the engine is refused; the contract's errors, without their bus names.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RequestError {
    /// The device is absent.
    #[error("{0} is not connected; plug it in and try again")]
    NotConnected(String),
    /// The device is being set up.
    #[error("{0} is still being set up; try again in a moment")]
    Initializing(String),
    /// The device supports manual transfer only: its name, and what is missing for more.
    #[error("{0} supports manual transfer only and can't be partnered: {1}")]
    ManualDevice(String, String),
    /// The partnership is another's, or the call needs one.
    #[error("{0}")]
    PartnershipNotExist(String),
    /// The library has sixteen partnerships.
    #[error("{0}")]
    PartnershipLimit(String),
    /// Not while the device is synchronising.
    #[error("{0} is synchronising; stop it or wait until it has ended")]
    SyncInProgress(String),
    /// A value that can't be: names it and what would do.
    #[error("{0}")]
    InvalidArgument(String),
    /// It can't be changed.
    #[error("{0}")]
    ReadOnly(String),
    /// The caller may not do this.
    #[error("{0}")]
    NotAuthorized(String),
    /// No such object, media or playlist.
    #[error("{0}")]
    NotFound(String),
    /// Another program holds the device.
    #[error("{0}")]
    Busy(String),
    /// Anything else, with its cause.
    #[error("{0}")]
    Failed(String),
}

impl From<LibraryError> for RequestError {
    fn from(error: LibraryError) -> Self {
        match error {
            LibraryError::NotFound(text) => Self::NotFound(text),
            LibraryError::InvalidArgument(text) => Self::InvalidArgument(text),
            LibraryError::ReadOnly(text) => Self::ReadOnly(text),
            LibraryError::Unavailable(_) | LibraryError::Unreadable(_) | LibraryError::Failed(_) => {
                Self::Failed(error.to_string())
            }
        }
    }
}

impl From<StoreError> for RequestError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<PlayerError> for RequestError {
    fn from(error: PlayerError) -> Self {
        match error {
            PlayerError::Busy(_) => Self::Busy(error.to_string()),
            PlayerError::Manual(missing) => Self::ManualDevice("the device".to_owned(), missing),
            _ => Self::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_errors_are_found_by_their_words() {
        for word in ["no-fit", "source-missing", "cancelled", "library-unavailable", "verify-failed"] {
            assert_eq!(ItemError::parse(word).map(ItemError::as_str), Some(word));
        }
        assert_eq!(ItemError::parse("synchronized"), None);
    }
}
