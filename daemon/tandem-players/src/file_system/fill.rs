//! Copies a source into a temporary file, and hashes it on the way: each byte is read once. The device begins with each
//! piece of a large file at once, and what it has not taken yet stays bounded.
//!
//! It gives no names, and leaves the file as it is when something fails.

use crate::file_system::errno::{During, errno_of};
use crate::file_system::root::Tree;
use crate::file_system::write::Stop;
use rustix::fs::Advice;
use rustix::io::Errno;
use std::fs::File;
use std::io::Write;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tandem_model::error::PlayerError;
use tandem_model::pace;
use tandem_model::player::ahead::read_at;
use tandem_model::player::{Source, WriteRequest};
use xxhash_rust::xxh3::Xxh3;

/// Bytes that are read and written at once.
pub(crate) const CHUNK: usize = 1 << 20;

/// Bytes of a file that is written at once.
const SMALL: u64 = 1 << 20;

/// Copies the source; tells its XXH3-128.
pub(super) fn fill(
    tree: &Tree,
    file: &mut File,
    request: &WriteRequest,
    stop: &Stop<'_>,
    window: &AtomicU64,
) -> Result<u128, PlayerError> {
    let mut hasher = Xxh3::new();
    let mut sink = Sink { tree, file, request, stop, window, written: 0, synced: 0 };
    match &request.source {
        Source::Bytes(bytes) => {
            for chunk in bytes.chunks(CHUNK) {
                hasher.update(chunk);
                sink.put(chunk)?;
            }
        }
        Source::File(source) => {
            let wanted = usize::try_from(request.size).unwrap_or(CHUNK).clamp(1, CHUNK);
            let mut buffer = match tree.ahead.take(source, request.size) {
                Some(begun) => {
                    hasher = begun.hasher;
                    sink.put(&begun.bytes)?;
                    begun.bytes
                }
                None => tree.ahead.buffers.take(),
            };
            if sink.written < request.size && buffer.len() < wanted {
                buffer.resize(wanted, 0);
            }
            let copied = copy(source, &mut buffer, request.size, &mut hasher, &mut sink);
            tree.ahead.buffers.give_back(buffer);
            copied?;
        }
    }
    Ok(hasher.digest128())
}

fn unread(error: std::io::Error) -> PlayerError {
    PlayerError::Source(error.to_string())
}

/// Hands exactly `size` bytes of the source on; a source that ends before or goes on after that has changed.
fn copy(
    source: &File,
    buffer: &mut [u8],
    size: u64,
    hasher: &mut Xxh3,
    sink: &mut Sink<'_>,
) -> Result<(), PlayerError> {
    while sink.written < size {
        let wanted = usize::try_from(size - sink.written).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = read_at(source, &mut buffer[..wanted], sink.written).map_err(unread)?;
        if count == 0 {
            return Err(PlayerError::SourceChanged);
        }
        hasher.update(&buffer[..count]);
        sink.put(&buffer[..count])?;
    }
    if read_at(source, &mut [0], size).map_err(unread)? != 0 {
        return Err(PlayerError::SourceChanged);
    }
    Ok(())
}

/// The temporary as it grows.
struct Sink<'a> {
    tree: &'a Tree,
    file: &'a mut File,
    request: &'a WriteRequest,
    stop: &'a Stop<'a>,
    window: &'a AtomicU64,
    written: u64,
    synced: u64,
}

impl Sink<'_> {
    fn put(&mut self, chunk: &[u8]) -> Result<(), PlayerError> {
        self.stop.check()?;
        self.file.write_all(chunk).map_err(|error| self.failed(errno_of(&error)))?;
        let count = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        // has the device begin with it at once, so that little is left when it must keep it all; advice. Of a small file that
        // is all left to those who finish it, beside the next ones
        if self.request.size > SMALL {
            let _ = rustix::fs::fadvise(&*self.file, self.written, NonZeroU64::new(count), Advice::DontNeed);
        }
        self.written = self.written.saturating_add(count);
        self.stop.transfer.add(count);
        let window = self.window.load(Ordering::Relaxed);
        if self.written - self.synced >= window && self.written < self.request.size {
            let begun = Instant::now();
            rustix::fs::fdatasync(&*self.file).map_err(|errno| self.failed(errno))?;
            self.window.store(pace::next_window(window, begun.elapsed()), Ordering::Relaxed);
            self.forget_synced();
        }
        Ok(())
    }

    /// What the device has needn't stay in memory; advice, so no harm where it isn't taken.
    fn forget_synced(&mut self) {
        let length = NonZeroU64::new(self.written - self.synced);
        let _ = rustix::fs::fadvise(&*self.file, self.synced, length, Advice::DontNeed);
        self.synced = self.written;
    }

    fn failed(&self, errno: Errno) -> PlayerError {
        self.tree.error(errno, During::Use(self.request.path.as_str()))
    }
}
