//! Collects what is said of a player when it is opened: media-player-info first, then the device's own files.
//!
//! It never fails for a hint: only a device that is gone is an error.

use crate::file_system::errno::During;
use crate::file_system::hints::{self, Hints, LIMIT};
use crate::file_system::media_player_info;
use crate::file_system::root::{Small, Tree};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use tandem_model::error::PlayerError;

/// A data file in place, on the device.
const ON_DEVICE: &str = ".audio_player.mpi";
/// The simpler file, read where that one is missing.
const SIMPLE: &str = ".is_audio_player";

/// All hints, those of the device over those about it.
pub(crate) fn survey(tree: &Tree, player: Option<&str>, dirs: &[PathBuf]) -> Result<Hints, PlayerError> {
    let base = player.map(|player| about(player, dirs)).unwrap_or_default();
    let own = match read(tree, ON_DEVICE)? {
        Some(bytes) => media_player_info::parse(&bytes),
        None => read(tree, SIMPLE)?.map(|bytes| hints::parse(&bytes)).unwrap_or_default(),
    };
    Ok(own.over(base))
}

fn read(tree: &Tree, name: &str) -> Result<Option<Vec<u8>>, PlayerError> {
    let reason = match tree.read_small(name, LIMIT) {
        Ok(Small::Bytes(bytes)) => return Ok(Some(bytes)),
        Ok(Small::Missing) if tree.is_gone() => return Err(PlayerError::Removed),
        Ok(Small::Missing) => return Ok(None),
        Ok(Small::NotAFile) => "it isn't a file".to_owned(),
        Ok(Small::TooLarge) => format!("it is larger than {LIMIT} bytes"),
        Err(errno) => match tree.error(errno, During::Use(name)) {
            PlayerError::Removed => return Err(PlayerError::Removed),
            error => error.to_string(),
        },
    };
    tracing::warn!("{name} on the device is ignored: {reason}");
    Ok(None)
}

/// What media-player-info says of this player.
fn about(player: &str, dirs: &[PathBuf]) -> Hints {
    let Some(name) = media_player_info::file_name(player) else {
        tracing::warn!("the player's name {player:?} can't be that of a media-player-info file");
        return Hints::default();
    };
    dirs.iter().find_map(|dir| from_directory(&dir.join(&name))).unwrap_or_default()
}

fn from_directory(path: &Path) -> Option<Hints> {
    let mut bytes = Vec::new();
    let most = u64::try_from(LIMIT).unwrap_or(u64::MAX);
    match File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)) {
        Ok(_) => Some(media_player_info::parse(&bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => {
            tracing::warn!("{} is ignored: {error}", path.display());
            None
        }
    }
}
