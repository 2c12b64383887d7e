//! Folder players: announces each while its directory exists, watching the directories above it with inotify.
//!
//! It never looks into a player's directory, and wakes for nothing that happens there.

use crate::overlap::Folder;
use crate::{HardwareError, announce};
use futures_util::{FutureExt, StreamExt};
use inotify::{EventStream, Inotify, WatchDescriptor, WatchMask};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tandem_model::presence::Presence;
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;

/// Room for a burst of events; they only say "look again", so those that don't fit are read in the next turn.
const EVENT_BYTES: usize = 4096;

/// Tells one directory from another that took its name.
type Identity = (u64, u64, Option<SystemTime>);

/// A folder and what was last seen of it.
struct Watched {
    folder: Folder,
    announced: Option<Identity>,
    /// What kept it from being looked at, so that it is logged once.
    trouble: Option<ErrorKind>,
}

/// Announces folders until it is told to stop or nobody listens any more.
pub(crate) async fn watch(
    folders: Vec<Folder>,
    presence: &Sender<Presence>,
    stop: &CancellationToken,
) -> Result<(), HardwareError> {
    let mut watched: Vec<Watched> =
        folders.into_iter().map(|folder| Watched { folder, announced: None, trouble: None }).collect();
    let in_inotify = |error: io::Error| watch_error(&watched[0].folder.path, &error);
    let mut events = Inotify::init()
        .and_then(|inotify| inotify.into_event_stream([0; EVENT_BYTES]))
        .map_err(in_inotify)?;
    let mut descriptors = HashSet::new();
    let mut is_first = true;
    loop {
        follow(&watched, &mut events, &mut descriptors)?;
        // looked at after the watches are set, so that nothing falls in between
        let changes: Vec<Presence> = watched.iter_mut().flat_map(Watched::look).collect();
        if std::mem::take(&mut is_first) {
            watched.iter().for_each(Watched::warn_of_absence);
        }
        if !announce(changes, presence, stop).await {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = presence.closed() => return Ok(()),
            // whatever happened, even lost events: looking again tells all there is to know
            event = events.next() => {
                let failed = event.map_or_else(|| Some(ErrorKind::UnexpectedEof.into()), Result::err);
                if let Some(error) = failed {
                    return Err(watch_error(&watched[0].folder.path, &error));
                }
                // one look is enough for a burst; an error comes up again in the next turn
                while let Some(Some(Ok(_))) = events.next().now_or_never() {}
            },
        }
    }
}

fn watch_error(path: &Path, error: &io::Error) -> HardwareError {
    let remedy = match error.kind() {
        ErrorKind::StorageFull => "; raise fs.inotify.max_user_watches",
        _ if error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => {
            "; raise fs.inotify.max_user_instances or the limit of open files"
        }
        _ => "",
    };
    HardwareError::Watch { path: path.to_owned(), cause: format!("{error}{remedy}") }
}

/// Sets the watches that today's directories call for, and takes away the others.
fn follow(
    watched: &[Watched],
    events: &mut EventStream<[u8; EVENT_BYTES]>,
    descriptors: &mut HashSet<WatchDescriptor>,
) -> Result<(), HardwareError> {
    let mut watches = events.watches();
    let mut wanted = directories(watched);
    let current = loop {
        let mut current = HashSet::new();
        for (path, mask) in &wanted {
            match watches.add(path, *mask | WatchMask::ONLYDIR | WatchMask::MASK_ADD) {
                Ok(descriptor) => drop(current.insert(descriptor)),
                // gone since it was looked up, or hidden from us: the next look finds the one above it
                Err(error) if is_absent(&error) || error.kind() == ErrorKind::PermissionDenied => (),
                Err(error) => return Err(watch_error(path, &error)),
            }
        }
        // a directory may have come or gone before its watch was set
        let again = directories(watched);
        if again == wanted {
            break current;
        }
        wanted = again;
    };
    for stale in descriptors.difference(&current) {
        if let Err(error) = watches.remove(stale.clone()) {
            tracing::trace!(%error, "the kernel had already dropped the watch of a directory that is gone");
        }
    }
    *descriptors = current;
    Ok(())
}

/// For each folder: the nearest existing directory above it, for what comes and goes there, and those further up, for
/// being moved themselves.
fn directories(watched: &[Watched]) -> BTreeMap<PathBuf, WatchMask> {
    let inside = WatchMask::CREATE | WatchMask::DELETE | WatchMask::MOVE;
    let itself = WatchMask::MOVE_SELF | WatchMask::DELETE_SELF;
    let mut wanted = BTreeMap::new();
    for Watched { folder, .. } in watched {
        let existing = folder.path.ancestors().skip(1).filter(|path| path.is_dir());
        for (at, directory) in existing.enumerate() {
            let mask = if at == 0 { inside | itself } else { itself };
            *wanted.entry(directory.to_owned()).or_insert(mask) |= mask;
        }
    }
    wanted
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn identity(path: &Path) -> io::Result<Option<Identity>> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Ok(Some((found.dev(), found.ino(), found.created().ok()))),
        Ok(_) => Err(ErrorKind::NotADirectory.into()),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Watched {
    /// Says that a directory isn't there, which may be a mistake in its name.
    fn warn_of_absence(&self) {
        if self.announced.is_none() && self.trouble.is_none() {
            tracing::warn!(
                path = %self.folder.path.display(),
                "there is no directory of this name, which is to stand for a player; if the name is right, make or mount \
                 it, and it is a player from then on; if not, correct --folder or [[folder]] in the configuration"
            );
        }
    }

    /// What has changed since the last look.
    fn look(&mut self) -> Vec<Presence> {
        let path = &self.folder.path;
        let (found, trouble) = match identity(path) {
            Ok(found) => (found, None),
            Err(error) => {
                if self.trouble != Some(error.kind()) {
                    tracing::warn!(path = %path.display(), %error, "a folder player can't be used");
                }
                (None, Some(error.kind()))
            }
        };
        self.trouble = trouble;
        let before = std::mem::replace(&mut self.announced, found);
        if before == found {
            return Vec::new();
        }
        let departure = before.map(|_| Presence::Departed(self.folder.arrival.key.clone()));
        let arrival = found.map(|_| Presence::Arrived(self.folder.arrival.clone()));
        departure.into_iter().chain(arrival).collect()
    }
}

#[cfg(test)]
mod tests;
