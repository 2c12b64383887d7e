//! Whether a folder's file system answers at all: one whose server is away makes whoever looks at it wait without end.
//!
//! A thread of its own looks, and is left to itself where it takes too long. A folder has one such thread at most.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a folder may take to answer. A disk that has to start turning needs some seconds.
const LIMIT: Duration = Duration::from_secs(15);

/// Looks at a folder. [`look`] but for tests.
pub(super) type Look = fn(&Path);

/// Reads the first name of a folder, whatever comes of it: an error is an answer.
fn look(folder: &Path) {
    drop(std::fs::read_dir(folder).map(|mut names| names.next()));
}

/// The folders that were asked and have not answered yet.
pub(super) struct Answering {
    pub(super) look: Look,
    pub(super) limit: Duration,
    waiting: Mutex<BTreeMap<PathBuf, Receiver<()>>>,
}

impl Default for Answering {
    fn default() -> Self {
        Self { look, limit: LIMIT, waiting: Mutex::default() }
    }
}

impl Answering {
    /// Whether a folder answers within the limit; one that was asked before and has not answered yet is not waited for.
    /// `later` is called when an answer comes too late.
    pub(super) fn answers(&self, folder: &Path, later: impl FnOnce() + Send + 'static) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(asked) = waiting.get(folder) {
            if asked.try_recv() == Err(TryRecvError::Empty) {
                return false;
            }
            waiting.remove(folder);
        }
        let (answer, answered) = sync_channel(1);
        let is_late = Arc::new(AtomicBool::new(false));
        let (look, path, late) = (self.look, folder.to_owned(), is_late.clone());
        let started = thread::Builder::new().name("answers".into()).spawn(move || {
            look(&path);
            // an answer that nobody waits for is one that came too late
            let unheard = answer.send(()).is_err();
            if unheard || late.load(Ordering::SeqCst) {
                later();
            }
        });
        if let Err(error) = started {
            tracing::warn!(%error, "no thread to look at a folder of the library with");
            return false;
        }
        if answered.recv_timeout(self.limit) != Err(RecvTimeoutError::Timeout) {
            return true;
        }
        is_late.store(true, Ordering::SeqCst);
        // it may have come between the two
        if answered.try_recv() != Err(TryRecvError::Empty) {
            return true;
        }
        waiting.insert(folder.to_owned(), answered);
        false
    }
}
