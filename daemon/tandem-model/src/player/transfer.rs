//! What is handed over when a file is put on a player: the request, what may come of it, and what the two sides share
//! meanwhile. How it is sent is each player's own.

use super::ObjectFacts;
use crate::library::Cover;
use crate::path::DevicePath;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// How often the wish to stop is looked for while it is awaited.
const LOOK: Duration = Duration::from_millis(100);

/// What becomes a file on the device.
#[derive(Debug)]
pub enum Source {
    /// An open file, read from its start.
    File(File),
    /// Bytes of our own making.
    Bytes(Arc<[u8]>),
}

/// What must hold of the final name for a write to go ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing has that name.
    Nothing,
    /// What has that name is still exactly this; it is replaced.
    This(ObjectFacts),
}

/// What a player is told of a track beside its bytes, where it goes by that. Empty text and 0: not known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tags {
    /// `Title`.
    pub title: Box<str>,
    /// `Author`.
    pub artist: Box<str>,
    /// `WM/AlbumArtist`.
    pub album_artist: Box<str>,
    /// `WM/AlbumTitle`.
    pub album: Box<str>,
    /// Milliseconds.
    pub duration_ms: u64,
    /// `WM/Genre`.
    pub genre: Box<str>,
    /// `WM/TrackNumber`.
    pub track_number: u32,
}

/// One file to write.
#[derive(Debug)]
pub struct WriteRequest {
    /// Its final name.
    pub path: DevicePath,
    /// Its name while it is being written, where the device can rename. Nobody else uses it.
    pub temporary: DevicePath,
    /// What must hold of `path`.
    pub expect: Expect,
    /// Bytes that the source must have.
    pub size: u64,
    /// Modification time to set, nanoseconds since 1970.
    pub modified_ns: i64,
    /// What to write.
    pub source: Source,
    /// What its tags say; a player that reads them itself ignores this.
    pub tags: Tags,
    /// An album's picture; a player that takes none goes without.
    pub cover: Option<Cover>,
}

/// A file that is on the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// What the device tells of it now.
    pub facts: ObjectFacts,
    /// XXH3-128 of the bytes that were sent; 0 for an album whose picture has no space now, so that it is written again.
    pub hash: u128,
    /// The device's lasting id of it; the path where it has no other.
    pub persistent_id: String,
    /// Folders that had to be made for it, outermost first.
    pub made_folders: Vec<DevicePath>,
}

/// A new file whose bytes were handed to the device; [`Storage::finish`] does what is left.
#[derive(Debug)]
pub enum Sent {
    /// Nothing is left to do: the device keeps it, under its final name.
    Written(Written),
    /// It lies whole under its temporary name; whether the device keeps it isn't known yet.
    Waiting(Waiting),
    /// Its bytes are on their way, and the device hasn't said yet that it keeps them. The player knows the rest by the
    /// temporary name.
    Underway {
        /// The name that it has.
        temporary: DevicePath,
        /// Folders that had to be made for it, outermost first.
        made_folders: Vec<DevicePath>,
    },
}

/// A file that waits to be kept and to get its final name.
#[derive(Debug)]
pub struct Waiting {
    /// Its final name.
    pub path: DevicePath,
    /// The name that it has.
    pub temporary: DevicePath,
    /// Bytes that it must have.
    pub size: u64,
    /// XXH3-128 of the bytes that were sent.
    pub hash: u128,
    /// Folders that had to be made for it, outermost first.
    pub made_folders: Vec<DevicePath>,
    /// The file, as it was written.
    pub file: File,
}

impl Sent {
    /// Folders that had to be made for it, outermost first.
    #[must_use]
    pub fn made_folders(&self) -> &[DevicePath] {
        match self {
            Self::Written(written) => &written.made_folders,
            Self::Waiting(waiting) => &waiting.made_folders,
            Self::Underway { made_folders, .. } => made_folders,
        }
    }
}

/// The two things a transfer and its observer share: bytes done, and the wish to stop.
#[derive(Debug, Default)]
pub struct Transfer {
    bytes: AtomicU64,
    cancelled: AtomicBool,
}

impl Transfer {
    /// Counts bytes that were handed to the device.
    pub fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Sets the count, when an item's share of the run is over, whatever it came to.
    pub fn set(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Bytes handed to the device so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Asks the transfer to end at the next safe point.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked to end.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Returns when it was asked to end.
    pub async fn cancelled(&self) {
        while !self.is_cancelled() {
            tokio::time::sleep(LOOK).await;
        }
    }
}
