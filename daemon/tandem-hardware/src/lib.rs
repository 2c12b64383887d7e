//! Finds devices and says what they are: block devices, MTP players and players for service providers by udev, folders that
//! stand for players by inotify.
//!
//! It mounts nothing, and opens only USB devices that nothing but their own descriptors can tell of (`probe`). What udev
//! tells is copied into plain values at the edge (`monitor`), and what it means is decided by pure functions
//! ([`classify`], [`classify_usb`]).

mod blocks;
mod card;
mod classify;
mod facts;
mod folders;
mod identity;
pub mod microsoft;
mod monitor;
mod overlap;
mod probe;
mod system_disk;
mod text;
mod tracker;
mod usb;

pub use classify::{Ignored, classify};
pub use facts::{BlockFacts, CardFacts, InterfaceFacts, UsbDeviceFacts, UsbFacts};
pub use probe::{Inquiries, UsbInquirer, inquiries};
pub use usb::{Answer, Classified, PLAYER_INTERFACE, Reason, Verdict, classify_usb, may_be_asked};

use probe::{Asking, Usb};
use std::path::PathBuf;
use std::sync::Arc;
use tandem_model::presence::Presence;
use thiserror::Error;
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;

/// A directory that stands for a player.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderPlayer {
    /// The directory. It need not exist yet; a relative path counts from the working directory.
    pub path: PathBuf,
    /// What to call it; the directory's own name where there is none.
    pub name: Option<String>,
}

/// What to look for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HardwareOptions {
    /// Directories that stand for players.
    pub folders: Vec<FolderPlayer>,
    /// Whether to look for block devices and MTP players.
    pub udev: bool,
    /// Where it is kept what USB devices have answered; nowhere, and each is asked anew after a start.
    pub state: Option<PathBuf>,
}

/// Why devices can't be found.
#[derive(Debug, Error)]
pub enum HardwareError {
    /// Two folder players share files: what one is filled with would turn up on the other.
    #[error("the folder players {} and {} overlap; keep them apart or remove one of them", .first.display(), .second.display())]
    Overlap {
        /// The one that comes first in the options.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A folder player that can't be one.
    #[error("{} can't be a folder player: {cause}", .path.display())]
    Folder {
        /// Its path as given.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A directory can't be watched.
    #[error("{} can't be watched: {cause}", .path.display())]
    Watch {
        /// The directory.
        path: PathBuf,
        /// What the system said, and what to do.
        cause: String,
    },
    /// udev can't be asked.
    #[error("udev can't be asked while {doing}: {cause}")]
    Udev {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        cause: std::io::Error,
    },
}

/// Announces what comes and goes, beginning with what is there, until it is told to stop or nobody listens any more; and
/// answers questions about USB devices.
///
/// Every arrival is followed by its departure before the same key arrives again.
///
/// # Errors
/// When the options can't be met, or the system no longer tells of changes.
pub async fn watch(
    options: HardwareOptions,
    inquiries: Inquiries,
    presence: Sender<Presence>,
    stop: CancellationToken,
) -> Result<(), HardwareError> {
    let folders = overlap::folders(options.folders)?;
    // one part's end is the other's too, and both are waited for
    let stop = stop.child_token();
    let watch_folders = async {
        let result =
            if folders.is_empty() { Ok(()) } else { folders::watch(folders, &presence, &stop).await };
        end_all_on_error(result, &stop)
    };
    let watch_blocks = async {
        let result = if options.udev {
            let asking = Asking::new(Arc::new(Usb), options.state);
            blocks::watch(asking, inquiries, &presence, &stop).await
        } else {
            // whoever asks learns that nobody looks
            drop(inquiries);
            Ok(())
        };
        end_all_on_error(result, &stop)
    };
    let (folders, blocks) = tokio::join!(watch_folders, watch_blocks);
    folders.and(blocks)
}

fn end_all_on_error(
    result: Result<(), HardwareError>,
    stop: &CancellationToken,
) -> Result<(), HardwareError> {
    if result.is_err() {
        stop.cancel();
    }
    result
}

/// Hands changes on; `false` when there is nobody to hand them to any more, or no time left.
async fn announce(
    changes: impl IntoIterator<Item = Presence>,
    presence: &Sender<Presence>,
    stop: &CancellationToken,
) -> bool {
    for change in changes {
        tokio::select! {
            biased;
            () = stop.cancelled() => return false,
            sent = presence.send(change) => if sent.is_err() {
                return false;
            },
        }
    }
    true
}
