//! Waiting for a file, such as the first that a run writes: told by the kernel, never by looking again and again.

use crate::LIMIT;
use futures_util::StreamExt;
use inotify::{Inotify, WatchMask};
use std::path::Path;

/// Waits until there is something at this path. Folders above it may come later, too.
///
/// # Panics
/// When it doesn't come within [`LIMIT`], or the kernel lets nobody watch directories.
pub async fn appears(path: &Path) {
    let wait = async {
        let inotify = Inotify::init().unwrap_or_else(|error| panic!("inotify: {error}"));
        let mut events =
            inotify.into_event_stream([0; 4096]).unwrap_or_else(|error| panic!("inotify: {error}"));
        let nearest = || path.ancestors().skip(1).find(|folder| folder.is_dir());
        loop {
            let Some(folder) = nearest() else { panic!("{} has no folder above it", path.display()) };
            let comings =
                WatchMask::CREATE | WatchMask::MOVED_TO | WatchMask::DELETE_SELF | WatchMask::MOVE_SELF;
            let watched = events.watches().add(folder, comings).is_ok();
            if path.symlink_metadata().is_ok() {
                return;
            }
            // what came or went before its watch was set sends no event
            if watched && nearest() == Some(folder) {
                events.next().await;
            }
        }
    };
    let came = tokio::time::timeout(LIMIT, wait).await;
    came.unwrap_or_else(|_| panic!("{} did not come", path.display()));
}

/// Waits until there is a file in this folder, whatever its name. The folder, and those above it, may come later, too.
///
/// # Panics
/// When none comes within [`LIMIT`], or the kernel lets nobody watch directories.
pub async fn file_appears_in(folder: &Path) {
    let wait = async {
        loop {
            appears(folder).await;
            let inotify = Inotify::init().unwrap_or_else(|error| panic!("inotify: {error}"));
            let mut events =
                inotify.into_event_stream([0; 4096]).unwrap_or_else(|error| panic!("inotify: {error}"));
            let comings = WatchMask::CREATE | WatchMask::MOVED_TO | WatchMask::DELETE_SELF;
            // one that is gone again is waited for anew
            let Ok(_) = events.watches().add(folder, comings) else { continue };
            let Ok(mut entries) = std::fs::read_dir(folder) else { continue };
            if entries.next().is_some() {
                return;
            }
            if let Some(Ok(event)) = events.next().await
                && event.mask.intersects(inotify::EventMask::CREATE | inotify::EventMask::MOVED_TO)
            {
                return;
            }
        }
    };
    let came = tokio::time::timeout(LIMIT, wait).await;
    came.unwrap_or_else(|_| panic!("no file came in {}", folder.display()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_noticed_with_the_folders_above_it() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("a/b/c");
        tokio::join!(appears(&path), async { crate::write_file(&path, b"") });
        appears(&path).await;
        let folder = dir.path().join("a/b");
        tokio::join!(file_appears_in(&folder), async { crate::write_file(&folder.join("d"), b"") });
    }
}
