//! What ends a run early: one of the contract's errors, with words for the user.

use tandem_model::error::{ItemError, LibraryError, PlayerError, StoreError};

/// The failure of a whole run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunError {
    /// What kind.
    pub(crate) error: ItemError,
    /// For the user.
    pub(crate) message: String,
}

impl RunError {
    /// The run was stopped.
    pub(crate) fn cancelled() -> Self {
        Self { error: ItemError::Cancelled, message: "stopped".to_owned() }
    }

    /// The device carries another partnership's mark now.
    pub(crate) fn partnership_lost() -> Self {
        Self {
            error: ItemError::DeviceBusy,
            message: "the device was partnered with another computer or user in the meantime; make the partnership anew to \
                      have it back"
                .to_owned(),
        }
    }

    /// The directory that stands for a player holds neither its mark nor anything that was put there.
    pub(crate) fn not_the_player() -> Self {
        Self {
            error: ItemError::DeviceRemoved,
            message: "nothing that was put on this player is there, nor its mark, and its file system is another; if its \
                      directory is a mount point, mount it; if it is the player all the same, end the partnership and \
                      make it anew"
                .to_owned(),
        }
    }
}

impl From<PlayerError> for RunError {
    fn from(error: PlayerError) -> Self {
        Self { error: error.item_error(), message: error.to_string() }
    }
}

impl From<LibraryError> for RunError {
    fn from(error: LibraryError) -> Self {
        Self { error: ItemError::LibraryUnavailable, message: error.to_string() }
    }
}

impl From<StoreError> for RunError {
    fn from(error: StoreError) -> Self {
        Self {
            error: ItemError::DeviceWriteFailed,
            message: format!(
                "what is on the device could not be recorded, so nothing more was done there: {error}"
            ),
        }
    }
}
