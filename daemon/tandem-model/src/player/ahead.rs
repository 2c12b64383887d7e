//! Reads and hashes the beginning of the source that comes next, while the device takes the one before. It writes nothing,
//! and what it has read counts only for that file as it was then.

use crate::BoxFuture;
use crate::library::OpenedTrack;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Arc, Mutex, PoisonError};
use xxhash_rust::xxh3::Xxh3;

/// Bytes that are read ahead: a small track whole.
const AHEAD: usize = 512 << 10;
/// Buffers that are kept: one is written from while another is filled.
const KEPT: usize = 2;

/// Copying buffers that nobody uses now.
#[derive(Debug, Default)]
pub struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// One of any length, the longest there is.
    pub fn take(&self) -> Vec<u8> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let longest = (0..kept.len()).max_by_key(|at| kept[*at].len());
        longest.map(|at| kept.swap_remove(at)).unwrap_or_default()
    }

    /// Keeps one for the next who needs one.
    pub fn give_back(&self, buffer: Vec<u8>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(buffer);
        }
    }
}

/// The beginning of a source.
pub struct Begun {
    of: Identity,
    /// Its first bytes; all of them, of a small file.
    pub bytes: Vec<u8>,
    /// Has taken these bytes.
    pub hasher: Xxh3,
}

/// Which file it is, and as it was when.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

fn identity(file: &File) -> Option<Identity> {
    let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some(Identity {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
    })
}

/// Bytes of a file from an offset; 0 at its end.
///
/// # Errors
/// What reading says; an interruption isn't told.
pub fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, at) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Room for one beginning, and what copying needs.
#[derive(Default)]
pub struct Ahead {
    begun: Mutex<Option<Begun>>,
    /// Buffers that nobody uses now.
    pub buffers: Buffers,
}

impl Ahead {
    /// Reads the beginning of a file beside what goes on.
    #[must_use]
    pub fn beside(self: &Arc<Self>, source: &OpenedTrack) -> BoxFuture<'static, ()> {
        let (ahead, source) = (Arc::clone(self), source.file.try_clone());
        Box::pin(async move {
            if let Ok(source) = source {
                // whoever sends it finds nothing then, and reads it
                let _ = tokio::task::spawn_blocking(move || ahead.read(&source)).await;
            }
        })
    }

    /// Reads the beginning of a file. One that can't be read is left to whoever sends it.
    pub fn read(&self, source: &File) {
        let Some(of) = identity(source) else { return };
        let mut bytes = self.buffers.take();
        bytes.resize(usize::try_from(of.size).unwrap_or(AHEAD).min(AHEAD), 0);
        let mut filled = 0;
        while filled < bytes.len() {
            match read_at(source, &mut bytes[filled..], filled as u64) {
                Ok(count) if count > 0 => filled += count,
                Ok(_) | Err(_) => return,
            }
        }
        let mut hasher = Xxh3::new();
        hasher.update(&bytes);
        let begun = Begun { of, bytes, hasher };
        let before = self.begun.lock().unwrap_or_else(PoisonError::into_inner).replace(begun);
        if let Some(unused) = before {
            self.buffers.give_back(unused.bytes);
        }
    }

    /// What was read of this file, if it has the size and is as it was then.
    pub fn take(&self, source: &File, size: u64) -> Option<Begun> {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(begun)
            .filter(|begun| begun.of.size == size && identity(source).is_some_and(|now| now == begun.of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use xxhash_rust::xxh3::xxh3_128;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn the_beginning_of_a_file_is_had_once() {
        let ahead = Ahead::default();
        let content: Vec<u8> = (0..AHEAD + 5).map(|at| (at % 251) as u8).collect();
        let source = file(&content);
        ahead.read(&source);
        let begun = ahead.take(&source, content.len() as u64).unwrap();
        assert_eq!(begun.bytes, content[..AHEAD]);
        assert_eq!(begun.hasher.digest128(), xxh3_128(&content[..AHEAD]));
        assert!(ahead.take(&source, content.len() as u64).is_none());
    }

    #[test]
    fn what_was_read_counts_for_that_file_as_it_was() {
        let ahead = Ahead::default();
        let (source, other) = (file(b"abc"), file(b"abc"));
        ahead.read(&source);
        assert!(ahead.take(&other, 3).is_none());
        ahead.read(&source);
        assert!(ahead.take(&source, 4).is_none(), "another size was planned");
        ahead.read(&source);
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(9);
        source.set_modified(later).unwrap();
        assert!(ahead.take(&source, 3).is_none(), "it has changed since");
    }
}
