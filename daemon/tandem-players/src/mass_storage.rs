//! A player that is a file system on a block device: mounted through a [`Mounter`], or used where it is mounted.
//!
//! It makes sure that what is mounted is the device that was announced, and gives back a mount that it took.

use crate::file_system::{Detach, FileSystemPlayer, Identity, blocking, open_root};
use rustix::fs::FileType;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tandem_model::BoxFuture;
use tandem_model::device::DeviceDescription;
use tandem_model::error::PlayerError;
use tandem_model::player::Close;
use tandem_model::presence::Mounter;

/// A block device as it was announced.
pub(crate) struct BlockDevice {
    pub(crate) node: PathBuf,
    pub(crate) number: (u32, u32),
    pub(crate) file_system_uuid: String,
    pub(crate) media_player: Option<String>,
}

struct Mount {
    mounter: Arc<dyn Mounter>,
    node: PathBuf,
    ours: bool,
}

impl Detach for Mount {
    fn detach(&self, close: Close) -> BoxFuture<'_, Result<(), PlayerError>> {
        Box::pin(async move {
            match close {
                Close::Release if self.ours => self.mounter.unmount(&self.node).await,
                Close::Release => Ok(()),
                Close::Eject => self.mounter.eject(&self.node).await,
            }
        })
    }
}

/// Mounts the device where it isn't mounted yet, and opens the player on it.
pub(crate) async fn open(
    mounter: Arc<dyn Mounter>,
    device: BlockDevice,
    description: DeviceDescription,
    media_player_info_dirs: Vec<PathBuf>,
) -> Result<FileSystemPlayer, PlayerError> {
    let BlockDevice { node, number, file_system_uuid, media_player } = device;
    let (at, announced) = (node.clone(), number);
    blocking(move || check_node(&at, announced)).await?;
    let mounted = mounter.mount(&node).await?;
    let mount = Mount { mounter, node: node.clone(), ours: mounted.ours };
    let identity = Identity {
        storage_id: if file_system_uuid.is_empty() { description.id.0.clone() } else { file_system_uuid },
        description,
        provisional_name: None,
        block_device: Some(number),
        media_player,
        media_player_info_dirs,
    };
    match blocking(move || open_mounted(&mounted.path, &node, number)).await {
        Ok(directory) => FileSystemPlayer::open(directory, identity, Box::new(mount)).await,
        Err(error) => {
            if let Err(unmounting) = mount.detach(Close::Release).await {
                tracing::warn!("{} stays mounted: {unmounting}", mount.node.display());
            }
            Err(error)
        }
    }
}

/// Whether the node is still the device that was announced.
fn check_node(node: &Path, number: (u32, u32)) -> Result<(), PlayerError> {
    let stat = rustix::fs::stat(node).map_err(|_| PlayerError::Removed)?;
    let now = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
    if FileType::from_raw_mode(stat.st_mode) == FileType::BlockDevice && now == number {
        Ok(())
    } else {
        tracing::warn!("{} is not the device any more that was announced as {number:?}", node.display());
        Err(PlayerError::Removed)
    }
}

/// The root of what is mounted there, once it has turned out to be on that device.
fn open_mounted(path: &Path, node: &Path, number: (u32, u32)) -> Result<OwnedFd, PlayerError> {
    let failed =
        |errno| PlayerError::Other(format!("the mount point {} can't be opened: {errno}", path.display()));
    check_node(node, number)?;
    let directory = open_root(path).map_err(failed)?;
    let stat = rustix::fs::fstat(&directory).map_err(failed)?;
    let on = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
    // file systems over several devices have a number of their own, with major 0
    if on == number || on.0 == 0 {
        Ok(directory)
    } else {
        Err(PlayerError::Other(format!(
            "{} is on another device than {}; mount the player again",
            path.display(),
            node.display()
        )))
    }
}
