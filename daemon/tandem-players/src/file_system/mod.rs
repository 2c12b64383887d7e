//! The player that is a file system: a directory, or a mounted block device, with everything below one root.
//!
//! It must not reach anything by an absolute path, follow a link, or cross a mount: every access goes through
//! [`root`].

mod errno;
mod fill;
mod finish;
pub mod hints;
mod lasting;
mod mark_file;
pub mod media_player_info;
mod object;
mod remove;
mod root;
mod storage;
mod survey;
mod write;

use crate::file_system::root::Root;
use crate::file_system::storage::FileSystemStorage;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use tandem_model::BoxFuture;
use tandem_model::device::DeviceDescription;
use tandem_model::error::PlayerError;
use tandem_model::player::{Capabilities, Close, Mark, Player, Storage};

pub(crate) use root::{blocking, open_root};

/// What has to be done with the device once its root is closed.
pub(crate) trait Detach: Send + Sync {
    /// Gives the device back, or ejects it.
    fn detach(&self, close: Close) -> BoxFuture<'_, Result<(), PlayerError>>;
}

/// What an open file system is, beside its root.
pub(crate) struct Identity {
    /// As it was announced.
    pub(crate) description: DeviceDescription,
    /// The name that the announcement fell back to, which a name of the device's own replaces.
    pub(crate) provisional_name: Option<String>,
    /// The storage's lasting id.
    pub(crate) storage_id: String,
    /// The block device's number, to notice its removal.
    pub(crate) block_device: Option<(u32, u32)>,
    /// Name of its file in media-player-info.
    pub(crate) media_player: Option<String>,
    /// Where media-player-info is, in order of precedence.
    pub(crate) media_player_info_dirs: Vec<PathBuf>,
}

/// An open player that is a file system.
pub(crate) struct FileSystemPlayer {
    root: Arc<Root>,
    description: DeviceDescription,
    capabilities: Capabilities,
    storage: Arc<FileSystemStorage>,
    opened_read_only: bool,
    detach: Box<dyn Detach>,
}

impl FileSystemPlayer {
    /// The player below this directory. Reads what the device tells of itself.
    pub(crate) async fn open(
        directory: OwnedFd,
        identity: Identity,
        detach: Box<dyn Detach>,
    ) -> Result<Self, PlayerError> {
        let Identity { mut description, provisional_name, storage_id, block_device, .. } = identity;
        let opened_read_only = storage::is_read_only(&directory);
        let exact_times = storage::keeps_exact_times(&directory);
        let root = Arc::new(Root::new(directory, block_device));
        let (media_player, dirs) = (identity.media_player, identity.media_player_info_dirs);
        let hints = root.run(move |tree| survey::survey(tree, media_player.as_deref(), &dirs)).await?;
        if let Some(name) = &hints.name
            && provisional_name.as_ref() == Some(&description.name)
        {
            description.name.clone_from(name);
        }
        let storage = Arc::new(FileSystemStorage::new(Arc::clone(&root), storage_id, exact_times));
        Ok(Self { root, description, capabilities: hints.capabilities(), storage, opened_read_only, detach })
    }
}

impl Player for FileSystemPlayer {
    fn description(&self) -> &DeviceDescription {
        &self.description
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn storage(&self) -> Arc<dyn Storage> {
        Arc::<FileSystemStorage>::clone(&self.storage)
    }

    fn mark(&self) -> BoxFuture<'_, Result<Option<Mark>, PlayerError>> {
        Box::pin(self.root.run(mark_file::read))
    }

    fn set_mark(&self, mark: Mark) -> BoxFuture<'_, Result<(), PlayerError>> {
        Box::pin(self.root.run(move |tree| mark_file::write(tree, mark)))
    }

    fn remove_mark(&self, mark: Mark) -> BoxFuture<'_, Result<(), PlayerError>> {
        Box::pin(self.root.run(move |tree| mark_file::remove(tree, mark)))
    }

    fn friendly_name(&self) -> BoxFuture<'_, Result<Option<String>, PlayerError>> {
        Box::pin(async { Ok(None) })
    }

    fn set_friendly_name(&self, name: String) -> BoxFuture<'_, Result<(), PlayerError>> {
        Box::pin(async move {
            Err(PlayerError::Other(format!(
                "this player can't hold the name `{name}`; it is kept on the computer"
            )))
        })
    }

    fn turned_read_only(&self) -> BoxFuture<'_, bool> {
        let before = self.opened_read_only;
        Box::pin(async move {
            let now = self.root.run(|tree| Ok(storage::is_read_only(tree.directory()))).await;
            !before && now.unwrap_or(false)
        })
    }

    fn close(&self, close: Close) -> BoxFuture<'_, Result<(), PlayerError>> {
        Box::pin(async move {
            let anyway = close == Close::Eject;
            let flushed = self.root.run(move |tree| tree.flush(anyway)).await;
            // an open root would keep the file system from being unmounted
            self.root.close();
            let detached = self.detach.detach(close).await;
            flushed.and(detached)
        })
    }
}
