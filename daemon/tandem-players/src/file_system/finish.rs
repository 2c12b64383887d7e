//! Finishes files that were sent: the device keeps them all with one sync where it can, then each is looked at and gets its
//! final name.
//!
//! No file gets its name before it is kept. What fails leaves nothing at either name.

use crate::file_system::errno::During;
use crate::file_system::root::{FAT, Tree, parent_of};
use crate::file_system::write::{discard, facts_kept, give_new_name};
use rustix::fs::Advice;
use rustix::io::Errno;
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tandem_model::error::PlayerError;
use tandem_model::pace;
use tandem_model::player::{ObjectFacts, Sent, Waiting, Written};

/// Finishes these, in their order. `window` is what may be unfinished, in bytes; it follows the device's speed.
pub(crate) fn finish(tree: &Tree, sent: Vec<Sent>, window: &AtomicU64) -> Vec<Result<Written, PlayerError>> {
    let waiting = sent.iter().filter_map(|sent| match sent {
        Sent::Waiting(waiting) => Some(waiting),
        Sent::Written(_) | Sent::Underway { .. } => None,
    });
    let mut kept = keep(tree, &waiting.collect::<Vec<_>>(), window).into_iter();
    let mut files = Vec::with_capacity(sent.len());
    let mut finished = Vec::with_capacity(sent.len());
    for sent in sent {
        finished.push(match sent {
            Sent::Written(written) => Ok(written),
            Sent::Underway { temporary, .. } => Err(PlayerError::sent_elsewhere(&temporary)),
            Sent::Waiting(waiting) => {
                let named = name(tree, &waiting, kept.next().unwrap_or(Err(Errno::IO)));
                let Waiting { path, hash, made_folders, file, .. } = waiting;
                files.push(file);
                named.map(|facts| Written {
                    facts,
                    hash,
                    persistent_id: path.as_str().to_owned(),
                    made_folders,
                })
            }
        });
    }
    close(tree, files);
    finished
}

/// Has the device keep them; tells what came of each.
fn keep(tree: &Tree, waiting: &[&Waiting], window: &AtomicU64) -> Vec<Result<(), Errno>> {
    let begun = Instant::now();
    let together = match waiting {
        [first, _, ..] if tree.has_device_to_itself() => tree.sync_all(&first.file).is_ok(),
        _ => false,
    };
    let kept = waiting.iter().map(|waiting| if together { Ok(()) } else { rustix::fs::fsync(&waiting.file) });
    let kept = kept.collect();
    let bytes: u64 = waiting.iter().map(|waiting| waiting.size).sum();
    let old = window.load(Ordering::Relaxed);
    // less says little of the device's speed
    if bytes >= old / 2 {
        window.store(pace::next_window(old, begun.elapsed()), Ordering::Relaxed);
    }
    kept
}

/// Looks at a file that is kept, and gives it its name.
fn name(tree: &Tree, waiting: &Waiting, kept: Result<(), Errno>) -> Result<ObjectFacts, PlayerError> {
    let Waiting { path, temporary, size, file, .. } = waiting;
    let failed = |errno| tree.error(errno, During::Use(path.as_str()));
    let folder = tree.folder(parent_of(temporary)).map_err(failed)?;
    tree.note_change(parent_of(temporary));
    let named = kept
        .map_err(failed)
        .and_then(|()| facts_kept(tree, file, path.as_str(), *size))
        .and_then(|facts| give_new_name(tree, &folder, temporary, path).map(|()| facts));
    match &named {
        Ok(_) => tree.note_change(parent_of(path)),
        Err(error) => discard(tree, &folder, temporary, file, error),
    }
    // what the device has needn't stay in memory; advice
    let _ = rustix::fs::fadvise(file, 0, None, Advice::DontNeed);
    named
}

/// Closes files. Where FAT is mounted with `flush`, each closing waits a tenth of a second, so some wait together.
fn close(tree: &Tree, files: Vec<File>) {
    /// Threads that wait.
    const AT_ONCE: usize = 16;
    if !tree.has_device_to_itself() || !tree.is(FAT) {
        return;
    }
    let share = files.len().div_ceil(AT_ONCE);
    let mut files = files.into_iter();
    std::thread::scope(|scope| {
        while files.len() > 0 {
            let some: Vec<File> = files.by_ref().take(share).collect();
            // without another thread they are closed here
            let _ = std::thread::Builder::new().spawn_scoped(scope, move || drop(some));
        }
    });
}
