//! A few threads that parse files, so that a scan uses the processor and one hostile file costs only itself.
//!
//! A file whose parsing takes too long is given up: its thread is left to itself and replaced. Threads exist only while
//! a scan parses.

use super::tags::{self, Tags};
use super::walk::Root;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Files that may wait for a thread: enough that none is idle while a batch of rows is written.
const WAITING: usize = 2048;
/// Threads that may be left to themselves before parsing is given up for this scan.
const MAX_LOST: usize = 4;

/// Opens and reads a file beneath a folder; nothing where it can't be opened. [`tags::read_beneath`] but for tests.
pub(super) type Parser = fn(&Root, &Path) -> Option<Tags>;

struct Job {
    ticket: u64,
    root: Arc<Root>,
    relative: PathBuf,
}

/// What a thread is at, and since when.
type Slot = Arc<Mutex<Option<(u64, Instant)>>>;

struct Worker {
    slot: Slot,
    thread: JoinHandle<()>,
}

/// The threads.
pub(super) struct ParsePool {
    jobs: SyncSender<Job>,
    shared_jobs: Arc<Mutex<Receiver<Job>>>,
    results: Receiver<(u64, Outcome)>,
    answer: SyncSender<(u64, Outcome)>,
    workers: Vec<Worker>,
    lost: usize,
    limit: Duration,
    parser: Parser,
}

/// What came of a file.
pub(super) enum Outcome {
    /// It was parsed.
    Parsed(Box<Tags>),
    /// It can't be opened.
    Unreadable,
    /// It took too long.
    GivenUp,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ParsePool {
    /// Starts the threads; a file may take `limit`.
    pub(super) fn start(threads: usize, limit: Duration, parser: Parser) -> io::Result<Self> {
        let (jobs, shared_jobs) = sync_channel(WAITING);
        let (answer, results) = sync_channel(WAITING * 2);
        let shared_jobs = Arc::new(Mutex::new(shared_jobs));
        let mut pool =
            Self { jobs, shared_jobs, results, answer, workers: Vec::new(), lost: 0, limit, parser };
        for _ in 0..threads {
            pool.add_worker()?;
        }
        Ok(pool)
    }

    fn add_worker(&mut self) -> io::Result<()> {
        let slot = Slot::default();
        let (jobs, answer, own, parser) =
            (self.shared_jobs.clone(), self.answer.clone(), slot.clone(), self.parser);
        let thread = std::thread::Builder::new()
            .name("tags".into())
            .spawn(move || work(&jobs, &answer, &own, parser))?;
        self.workers.push(Worker { slot, thread });
        Ok(())
    }

    /// Whether files can still be parsed; not when too many were given up.
    pub(super) fn is_usable(&self) -> bool {
        self.lost < MAX_LOST && !self.workers.is_empty()
    }

    /// Hands a file over; fewer than [`Self::capacity`] may be under way.
    pub(super) fn push(&self, ticket: u64, root: Arc<Root>, relative: PathBuf) -> bool {
        self.jobs.try_send(Job { ticket, root, relative }).is_ok()
    }

    /// How many files may be under way at once.
    pub(super) fn capacity() -> usize {
        WAITING
    }

    /// Waits for the next outcome. Only called while files are under way.
    pub(super) fn wait(&mut self) -> (u64, Outcome) {
        loop {
            match self.results.recv_timeout(self.limit / 4) {
                Ok(done) => return done,
                // the pool holds a sender itself, so it is never disconnected
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    if let Some(ticket) = self.give_up().or_else(|| self.take_back()) {
                        return (ticket, Outcome::GivenUp);
                    }
                }
            }
        }
    }

    /// Leaves the first thread to itself that is at one file for too long; tells which file's ticket that is.
    fn give_up(&mut self) -> Option<u64> {
        let overdue = |slot: &Slot| {
            lock(slot).filter(|(_, since)| since.elapsed() > self.limit).map(|(ticket, _)| ticket)
        };
        let (index, ticket) = self
            .workers
            .iter()
            .enumerate()
            .find_map(|(index, worker)| Some((index, overdue(&worker.slot)?)))?;
        let worker = self.workers.swap_remove(index);
        // taking the ticket back tells the thread that nobody waits for it
        *lock(&worker.slot) = None;
        drop(worker.thread);
        self.lost += 1;
        if self.lost < MAX_LOST
            && let Err(error) = self.add_worker()
        {
            tracing::warn!(%error, "no further thread for reading tags can be started");
        }
        Some(ticket)
    }

    /// Takes back a file that no thread will begin, because there is none any more.
    fn take_back(&self) -> Option<u64> {
        let none = self.workers.is_empty();
        none.then(|| lock(&self.shared_jobs).try_recv().ok().map(|job| job.ticket)).flatten()
    }

    /// Ends the threads, but for those that were left to themselves.
    pub(super) fn finish(self) {
        drop(self.jobs);
        for worker in self.workers {
            if worker.thread.join().is_err() {
                tracing::warn!("a thread for reading tags failed");
            }
        }
    }
}

fn work(jobs: &Mutex<Receiver<Job>>, answer: &SyncSender<(u64, Outcome)>, slot: &Slot, parser: Parser) {
    tags::bound_parser();
    loop {
        let Ok(job) = lock(jobs).recv() else { return };
        *lock(slot) = Some((job.ticket, Instant::now()));
        let tags = parser(&job.root, &job.relative);
        let outcome = tags.map_or(Outcome::Unreadable, |tags| Outcome::Parsed(Box::new(tags)));
        // a thread that was given up has no ticket any more, and ends
        if lock(slot).take().is_none() || answer.send((job.ticket, outcome)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, OFlags, mknodat};

    /// Opens a pipe, and so waits until the test opens its other end.
    fn stubborn(root: &Root, relative: &Path) -> Option<Tags> {
        let name = relative.as_os_str().as_encoded_bytes();
        if name.starts_with(b"pipe") {
            drop(root.open_beneath(relative, OFlags::RDONLY));
        }
        (!name.starts_with(b"closed")).then(|| tags::of_name(name))
    }

    #[test]
    fn a_file_that_takes_too_long_is_given_up_and_the_others_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe.mp3");
        mknodat(CWD, &pipe, FileType::Fifo, 0o600.into(), 0).unwrap();
        let root = Arc::new(Root::open(folder.path()).unwrap());
        let mut pool = ParsePool::start(1, Duration::from_millis(80), stubborn).unwrap();
        assert!(pool.push(1, root.clone(), "pipe.mp3".into()));
        assert!(pool.push(2, root.clone(), "closed.mp3".into()));
        for ticket in 3..20 {
            assert!(pool.push(ticket, root.clone(), "b.mp3".into()));
        }
        let (mut parsed, mut given_up, mut closed) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..19 {
            match pool.wait() {
                (ticket, Outcome::Parsed(tags)) => {
                    assert_eq!(tags.title, "b");
                    parsed.push(ticket);
                }
                (ticket, Outcome::GivenUp) => given_up.push(ticket),
                (ticket, Outcome::Unreadable) => closed.push(ticket),
            }
        }
        assert_eq!((given_up, closed, parsed), (vec![1], vec![2], (3..20).collect()));
        pool.finish();
        // lets the lost thread end
        drop(std::fs::OpenOptions::new().write(true).open(&pipe));
    }

    #[test]
    fn without_a_thread_left_all_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let root = Arc::new(Root::open(folder.path()).unwrap());
        let names: Vec<PathBuf> = (0..MAX_LOST + 3).map(|n| format!("pipe{n}.mp3").into()).collect();
        let mut pool = ParsePool::start(1, Duration::from_millis(40), stubborn).unwrap();
        for (ticket, name) in (0..).zip(&names) {
            mknodat(CWD, folder.path().join(name), FileType::Fifo, 0o600.into(), 0).unwrap();
            assert!(pool.push(ticket, root.clone(), name.clone()));
        }
        for _ in &names {
            assert!(matches!(pool.wait(), (_, Outcome::GivenUp)));
        }
        assert!(!pool.is_usable());
        pool.finish();
        for name in &names[..MAX_LOST] {
            drop(std::fs::OpenOptions::new().write(true).open(folder.path().join(name)));
        }
    }
}
