//! Takes new and changed files in: has them parsed side by side, and writes their rows in batches.
//!
//! A bounded number of files is under way at once, so a large library needs no more memory than a small one.

use super::entries::{self, NewDir, NewTrack};
use super::pool::{Outcome, ParsePool};
use super::tags::{self, Tags};
use super::walk::Root;
use crate::failure::{Failure, Result};
use crate::index::Index;
use crate::text;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Rows in one transaction.
const BATCH: usize = 1000;
/// How long one file may be parsed.
const PARSE_LIMIT: Duration = Duration::from_secs(20);

/// Files on their way into the index.
pub(super) struct Intake<'a> {
    index: &'a Index,
    pool: Option<ParsePool>,
    under_way: HashMap<u64, NewTrack>,
    tickets: u64,
    batch: Vec<(NewTrack, Tags)>,
    new_dirs: Vec<NewDir>,
    next_dir: i64,
}

impl<'a> Intake<'a> {
    /// Writes into this index.
    pub(super) fn new(index: &'a Index) -> Result<Self> {
        let next_dir = index.read(entries::next_dir)?;
        let (under_way, batch, new_dirs) = (HashMap::new(), Vec::new(), Vec::new());
        Ok(Self { index, pool: None, under_way, tickets: 0, batch, new_dirs, next_dir })
    }

    /// Whether no folder has a number yet.
    pub(super) fn knows_no_folder(&self) -> bool {
        self.next_dir == 1
    }

    /// Gives a new folder its number, and has its row written before those of its files.
    pub(super) fn add_dir(&mut self, path: &[u8], parent: Option<i64>) -> i64 {
        let id = self.next_dir;
        self.next_dir += 1;
        self.new_dirs.push(NewDir { id, parent, path: path.to_vec() });
        id
    }

    /// Has a file parsed, and its row written then.
    pub(super) fn parse(&mut self, track: NewTrack, root: &Arc<Root>, relative: PathBuf) -> Result<()> {
        let pool = match &mut self.pool {
            Some(pool) => pool,
            None => {
                let threads =
                    std::thread::available_parallelism().map_or(2, std::num::NonZero::get).clamp(1, 4);
                let started = ParsePool::start(threads, PARSE_LIMIT, tags::read_beneath);
                let failed = |error| Failure::Io("no thread for reading tags can be started".into(), error);
                self.pool.insert(started.map_err(failed)?)
            }
        };
        self.tickets += 1;
        if !pool.is_usable() || !pool.push(self.tickets, root.clone(), relative) {
            let tags = tags::of_name(text::file_name(&track.path));
            return self.store(track, tags);
        }
        self.under_way.insert(self.tickets, track);
        if self.under_way.len() >= ParsePool::capacity() {
            // half of them at once, so that threads need not wake one another for each file
            while self.under_way.len() > ParsePool::capacity() / 2 {
                self.take_parsed()?;
            }
        }
        Ok(())
    }

    /// Waits for one file that is under way.
    fn take_parsed(&mut self) -> Result<()> {
        let Some(pool) = &mut self.pool else { return Ok(()) };
        let (ticket, outcome) = pool.wait();
        let Some(mut track) = self.under_way.remove(&ticket) else { return Ok(()) };
        let by_name = || tags::of_name(text::file_name(&track.path));
        let tags = match outcome {
            Outcome::Parsed(tags) => *tags,
            Outcome::Unreadable => {
                let tags = by_name();
                // an inode that no file has, so that it is tried again with the next scan
                track.facts.inode = 0;
                tags
            }
            Outcome::GivenUp => {
                tracing::warn!(
                    "a file took more than {} s to parse; it is listed by its name",
                    PARSE_LIMIT.as_secs()
                );
                by_name()
            }
        };
        self.store(track, tags)
    }

    /// Has a row written.
    fn store(&mut self, track: NewTrack, tags: Tags) -> Result<()> {
        self.batch.push((track, tags));
        if self.batch.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    /// Waits for all files that are under way, and writes them.
    pub(super) fn drain(&mut self) -> Result<()> {
        while !self.under_way.is_empty() {
            self.take_parsed()?;
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        let (batch, dirs) = (std::mem::take(&mut self.batch), std::mem::take(&mut self.new_dirs));
        if !dirs.is_empty() {
            // a folder alone changes nothing that anyone is told
            self.index.write_index(|transaction| entries::put_dirs(transaction, &dirs))?;
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.index.change_index(|transaction| entries::put_tracks(transaction, &batch))
    }

    /// Writes what is left, and ends the threads.
    pub(super) fn finish(mut self) -> Result<()> {
        let outcome = self.drain();
        if let Some(pool) = self.pool.take() {
            pool.finish();
        }
        outcome
    }
}
