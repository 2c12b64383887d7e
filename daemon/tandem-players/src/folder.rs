//! A directory that stands for a player: for trying out, and for a player behind a network share.
//!
//! There is nothing to mount and nothing to power off; all else is the file-system player's.

use crate::file_system::{Detach, FileSystemPlayer, Identity, blocking, open_root};
use std::path::{Path, PathBuf};
use tandem_model::BoxFuture;
use tandem_model::device::DeviceDescription;
use tandem_model::error::PlayerError;
use tandem_model::player::Close;

struct NothingToDetach;

impl Detach for NothingToDetach {
    fn detach(&self, _: Close) -> BoxFuture<'_, Result<(), PlayerError>> {
        Box::pin(async { Ok(()) })
    }
}

/// Opens the player in this directory.
pub(crate) async fn open(
    path: &Path,
    description: DeviceDescription,
    media_player_info_dirs: Vec<PathBuf>,
) -> Result<FileSystemPlayer, PlayerError> {
    let at = path.to_owned();
    let directory = blocking(move || {
        open_root(&at).map_err(|errno| {
            PlayerError::Other(format!(
                "the folder {} can't be opened: {errno}; create it, or correct its path in the configuration",
                at.display()
            ))
        })
    })
    .await?;
    let identity = Identity {
        provisional_name: path.file_name().map(|name| name.to_string_lossy().into_owned()),
        storage_id: description.id.0.clone(),
        description,
        block_device: None,
        media_player: None,
        media_player_info_dirs,
    };
    FileSystemPlayer::open(directory, identity, Box::new(NothingToDetach)).await
}
