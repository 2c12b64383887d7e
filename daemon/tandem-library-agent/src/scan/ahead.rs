//! Lets a descent go ahead of the scan, on a thread of its own, while the scan compares what it has listed with the
//! index. It must not decide which folders are listed, nor conclude anything from what is in them.

use super::descent::{Descent, Listed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;

/// Names that wait for the scan, at which no more are listed: about 100 KB.
const MOST_NAMES: usize = 1000;
/// Names that are handed over at once, so that threads need not wake one another for each folder.
const AT_ONCE: usize = 200;

#[derive(Default)]
struct Queue {
    listed: Vec<Listed>,
    names: usize,
    /// No more will be listed.
    is_done: bool,
    /// The scan wants no more.
    is_left: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while(&self, condition: impl Fn(&Queue) -> bool) -> MutexGuard<'_, Queue> {
        let waited = self.changed.wait_while(self.queue(), |queue| condition(queue));
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands folders over; false where nobody wants them.
    fn put(&self, listed: &mut Vec<Listed>, names: usize) -> bool {
        let mut queue = self.wait_while(|queue| queue.names >= MOST_NAMES && !queue.is_left);
        queue.listed.append(listed);
        queue.names += names;
        self.changed.notify_all();
        !queue.is_left
    }

    fn take(&self) -> Option<Vec<Listed>> {
        let mut queue = self.wait_while(|queue| queue.listed.is_empty() && !queue.is_done);
        queue.names = 0;
        self.changed.notify_all();
        Some(std::mem::take(&mut queue.listed)).filter(|listed| !listed.is_empty())
    }

    fn set(&self, change: impl FnOnce(&mut Queue)) {
        change(&mut self.queue());
        self.changed.notify_all();
    }
}

/// The thread's end of the queue. However the thread ends, the scan doesn't wait for it any more.
struct Feed(Arc<Shared>);

impl Feed {
    fn serve(&self, descent: Descent<'_>) {
        let (mut ready, mut names) = (Vec::new(), 0);
        for listed in descent {
            names += listed.names();
            ready.push(listed);
            if names >= AT_ONCE {
                if !self.0.put(&mut ready, names) {
                    return;
                }
                names = 0;
            }
        }
        self.0.put(&mut ready, names);
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.0.set(|queue| queue.is_done = true);
    }
}

/// What a descent lists, some folders at a time.
pub(super) enum Ahead<'a> {
    /// On the scan's own thread.
    Here(Descent<'a>),
    /// On another one.
    There(Listings),
}

/// The scan's end of the queue. The thread lists no more once it is dropped.
pub(super) struct Listings(Arc<Shared>);

impl Drop for Listings {
    fn drop(&mut self) {
        self.0.set(|queue| queue.is_left = true);
    }
}

impl<'a> Ahead<'a> {
    /// Begins a descent on a thread of its own; where there is none to be had, on this one.
    pub(super) fn start<'scope>(scope: &'scope Scope<'scope, 'a>, descent: Descent<'a>) -> Self {
        let shared = Arc::<Shared>::default();
        let (feed, ahead) = (Feed(Arc::clone(&shared)), descent.clone());
        let thread = std::thread::Builder::new().name("listing".to_owned());
        match thread.spawn_scoped(scope, move || feed.serve(ahead)) {
            Ok(_) => Self::There(Listings(shared)),
            Err(error) => {
                tracing::debug!(%error, "folders are listed and compared in turn");
                Self::Here(descent)
            }
        }
    }

    /// The next folders; none when all have been listed.
    pub(super) fn next(&mut self) -> Option<Vec<Listed>> {
        match self {
            Self::Here(descent) => descent.next().map(|listed| vec![listed]),
            Self::There(listings) => listings.0.take(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::mounts::is_mount;
    use super::super::walk::Root;
    use super::*;
    use crate::watch::Watcher;
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    /// So many folders with a file in each.
    fn library(folders: usize) -> (tempfile::TempDir, Root, Watcher) {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..folders {
            let below = folder.path().join(number.to_string());
            fs::create_dir(&below).unwrap();
            fs::File::create(below.join("a.mp3")).unwrap();
        }
        let root = Root::open(folder.path()).unwrap();
        (folder, root, Watcher::new().0)
    }

    fn descent<'a>(folder: &'a Path, root: &'a Root, watcher: &'a Watcher) -> Descent<'a> {
        let first = (folder.to_owned(), true);
        Descent::new((root, folder), watcher, is_mount, BTreeSet::new(), first)
    }

    #[test]
    fn the_order_is_the_same_on_either_thread() {
        let (folder, root, watcher) = library(300);
        let descent = descent(folder.path(), &root, &watcher);
        let mut here = Ahead::Here(descent.clone());
        let mut turns = Vec::new();
        while let Some(listed) = here.next() {
            turns.extend(listed.into_iter().map(|listed| (listed.path, listed.above)));
        }
        std::thread::scope(|scope| {
            let mut there = Ahead::start(scope, descent);
            let mut order = Vec::new();
            while let Some(listed) = there.next() {
                order.extend(listed.into_iter().map(|listed| (listed.path, listed.above)));
            }
            assert_eq!(order, turns);
        });
        assert_eq!(turns.len(), 301);
    }

    #[test]
    fn no_more_waits_than_memory_is_meant_for() {
        let (folder, root, watcher) = library(MOST_NAMES);
        std::thread::scope(|scope| {
            let mut ahead = Ahead::start(scope, descent(folder.path(), &root, &watcher));
            let mut folders = 0;
            while let Some(listed) = ahead.next() {
                let names: usize = listed.iter().map(Listed::names).sum();
                // the first folder's own names come at once
                assert!(names <= MOST_NAMES * 2 + AT_ONCE + 2, "{names}");
                folders += listed.len();
            }
            assert_eq!(folders, MOST_NAMES + 1);
        });
    }

    #[test]
    fn a_scan_that_ends_early_waits_for_nothing() {
        let (ended, end) = std::sync::mpsc::channel();
        let scan = std::thread::spawn(move || {
            let (folder, root, watcher) = library(MOST_NAMES * 2);
            std::thread::scope(|scope| {
                let Ahead::There(listings) = Ahead::start(scope, descent(folder.path(), &root, &watcher))
                else {
                    panic!("there is a thread to be had");
                };
                // the next that the thread hands over has no room any more
                while listings.0.queue().names < MOST_NAMES {
                    std::thread::yield_now();
                }
            });
            ended.send(()).unwrap();
        });
        end.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
        scan.join().unwrap();
    }
}
