//! What a partnership put on its device, and the journal of what it is about to do there. The manifest alone decides
//! what is ours; nothing that it doesn't name is ever deleted or replaced.

use crate::error::{ItemError, StoreError};
use crate::id::{AlbumId, Guid, MediaUri, PlaylistId};
use crate::path::DevicePath;
use crate::player::ObjectFacts;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a file on the device was made from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// A track of the library.
    Track(MediaUri),
    /// A playlist of the library.
    Playlist(PlaylistId),
    /// An album of the library.
    Album(AlbumId),
}

/// What is true of a file that we put on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryState {
    /// It is there.
    Present,
    /// The user deleted it on the device: it isn't copied again.
    Skipped,
    /// The user changed it on the device: it is his now, left alone, and not copied again.
    Disowned,
    /// The user's own file, which was there with the name and the content that ours would have: it counts as there, and is
    /// left alone.
    Foreign,
}

/// A file that we put on the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number in the manifest.
    pub id: i64,
    /// What it was made from.
    pub origin: Origin,
    /// Where it is.
    pub path: DevicePath,
    /// The device's lasting id of it.
    pub persistent_id: Arc<str>,
    /// What the device told of it after it was written.
    pub facts: ObjectFacts,
    /// The source's size then.
    pub source_size: u64,
    /// The source's modification time then, nanoseconds since 1970.
    pub source_modified_ns: i64,
    /// XXH3-128 of its bytes.
    pub hash: u128,
    /// XXH3-128 of what in them the device isn't told apart; `None`: not known.
    pub audio_hash: Option<u128>,
    /// What is true of it.
    pub state: EntryState,
}

/// Something that is about to be done on the device, recorded before it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// Write a file, replacing entry `replaces` if there is one.
    Write {
        /// What it is made from.
        origin: Origin,
        /// Its final name.
        path: DevicePath,
        /// Its name while it is written.
        temporary: DevicePath,
        /// The size it will have.
        size: u64,
        /// The source's modification time, which the file gets too, nanoseconds since 1970.
        modified_ns: i64,
        /// The entry whose file it replaces.
        replaces: Option<i64>,
    },
    /// Delete an entry's file.
    Delete {
        /// The entry.
        entry: i64,
        /// The name that it is moved to, to be looked at before it is gone.
        aside: DevicePath,
    },
    /// Tell the device what the tags of an entry's file say now; its bytes stay.
    UpdateMetadata {
        /// The entry.
        entry: i64,
        /// The source's size now.
        size: u64,
        /// The source's modification time now, nanoseconds since 1970.
        modified_ns: i64,
    },
}

/// What came of an intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The file is on the device for good.
    Written {
        /// The intent.
        intent: i64,
        /// The device's lasting id of it.
        persistent_id: String,
        /// What the device tells of it.
        facts: ObjectFacts,
        /// XXH3-128 of its bytes.
        hash: u128,
        /// XXH3-128 of what in them the device isn't told apart; `None`: not known.
        audio_hash: Option<u128>,
    },
    /// A run was cut, and a file of the right size is under the final name. Whether it has the bytes that were sent is
    /// not known, so the source's time isn't recorded (it is 0): the next plan compares the bytes with the source's.
    Found {
        /// The intent.
        intent: i64,
        /// The device's lasting id of it.
        persistent_id: String,
        /// What the device tells of it.
        facts: ObjectFacts,
        /// XXH3-128 of its bytes.
        hash: u128,
    },
    /// The device goes by the new tags.
    MetadataUpdated {
        /// The intent.
        intent: i64,
        /// What the device tells of the file now.
        facts: ObjectFacts,
    },
    /// A run was cut, or the device takes no new tags: the file is still ours, and whether it has them isn't known. The
    /// source's time isn't recorded (it is 0), nor what of the bytes isn't tags, if the device `refused`: it is replaced.
    MetadataUnknown {
        /// The intent.
        intent: i64,
        /// What the device tells of the file now.
        facts: ObjectFacts,
        /// The device takes no tags alone for this file.
        refused: bool,
    },
    /// The entry's file is gone for good, and so is the entry: it was to be deleted, or replaced by one that never came.
    Deleted {
        /// The intent.
        intent: i64,
    },
    /// Nothing was changed on the device.
    Abandoned {
        /// The intent.
        intent: i64,
    },
}

/// A change of the record alone: nothing on the device is touched by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Correction {
    /// The entry's file is as it was, but its source is known by this now (touched, or moved).
    Source {
        /// The entry.
        entry: i64,
        /// What it is made from.
        origin: Origin,
        /// The source's size.
        size: u64,
        /// The source's modification time, nanoseconds since 1970.
        modified_ns: i64,
    },
    /// The user moved the entry's file on the device: it is here now.
    Place {
        /// The entry.
        entry: i64,
        /// Where it is.
        path: DevicePath,
    },
    /// The entry's state is this now.
    State {
        /// The entry.
        entry: i64,
        /// The new state.
        state: EntryState,
    },
    /// A file of the user's was found that has the name and the content that ours would have: a `Foreign` entry.
    Found {
        /// What ours would be made from.
        origin: Origin,
        /// Where it is.
        path: DevicePath,
        /// What the device tells of it.
        facts: ObjectFacts,
        /// The source's size.
        size: u64,
        /// The source's modification time, nanoseconds since 1970.
        modified_ns: i64,
        /// XXH3-128 of its bytes.
        hash: u128,
    },
    /// The entry is forgotten.
    Forget {
        /// The entry.
        entry: i64,
    },
    /// No skipped or disowned entry is kept: the next run copies those again.
    ForgetSkipped,
    /// These folders were made by us, so they are removed when they are empty.
    MadeFolders(Vec<DevicePath>),
    /// These folders are gone, or somebody else's.
    ForgetFolders(Vec<DevicePath>),
}

/// What became of one item in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemResult {
    /// The media's URI; empty for the run as a whole.
    pub media: String,
    /// `None`: it is on the device.
    pub error: Option<ItemError>,
    /// For the user; empty when there is nothing to say.
    pub message: String,
}

/// A run that has begun to change the device and was not closed: it goes on, or it was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenRun {
    /// Tells it from every other run.
    pub id: Guid,
    /// When it began, seconds since 1970.
    pub began: u64,
    /// When it last recorded something, seconds since 1970; never before it began.
    pub last: u64,
    /// Files that it wrote, told new tags of and deleted, as far as that is recorded.
    pub change_count: u32,
    /// Bytes of those that it wrote.
    pub written_bytes: u64,
    /// Items that are on the device by the record.
    pub item_count: u32,
}

/// What is recorded together, in this order.
#[derive(Debug, Clone, Copy, Default)]
pub struct Record<'a> {
    /// Now, seconds since 1970; 0: not told.
    pub at: u64,
    /// Of the record alone.
    pub corrections: &'a [Correction],
    /// What came of earlier intents.
    pub outcomes: &'a [Outcome],
    /// What is about to be done.
    pub intents: &'a [Intent],
}

/// One partnership's manifest and journal. Calls block: they belong on a thread that may.
pub trait Manifest: Send {
    /// Whether anything was ever recorded as on the device, also when nothing of it is left.
    ///
    /// # Errors
    /// When the file can't be read.
    fn was_filled(&self) -> Result<bool, StoreError>;

    /// Shows each entry, in the order of their numbers: of very many, most callers keep little.
    ///
    /// # Errors
    /// When the file can't be read; then some may have been shown.
    fn each_entry(&self, see: &mut dyn FnMut(Entry)) -> Result<(), StoreError>;

    /// All entries.
    ///
    /// # Errors
    /// As [`Manifest::each_entry`].
    fn entries(&self) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        self.each_entry(&mut |entry| entries.push(entry))?;
        Ok(entries)
    }

    /// Folders that we made.
    ///
    /// # Errors
    /// When the file can't be read.
    fn folders(&self) -> Result<Vec<DevicePath>, StoreError>;

    /// Whether this media is on the device, and whether the last run had no space for it.
    ///
    /// # Errors
    /// When the file can't be read.
    fn media_state(&self, media: &MediaUri) -> Result<(bool, bool), StoreError>;

    /// Intents without an outcome: what was in flight when the last run was cut.
    ///
    /// # Errors
    /// When the file can't be read.
    fn pending(&self) -> Result<Vec<(i64, Intent)>, StoreError>;

    /// Records all of it, together and for good; tells the new intents' numbers in their order.
    ///
    /// # Errors
    /// When it can't be recorded; then nothing was.
    fn record(&mut self, record: Record<'_>) -> Result<Vec<i64>, StoreError>;

    /// Records outcomes and new intents, at a time that isn't told.
    ///
    /// # Errors
    /// As [`Manifest::record`].
    fn commit(&mut self, outcomes: &[Outcome], intents: &[Intent]) -> Result<Vec<i64>, StoreError> {
        self.record(Record { outcomes, intents, ..Record::default() })
    }

    /// Corrects the record.
    ///
    /// # Errors
    /// When it can't be; then nothing was.
    fn correct(&mut self, corrections: &[Correction]) -> Result<(), StoreError>;

    /// What did not come out in the last run; every other entry that is present did.
    ///
    /// # Errors
    /// When the file can't be read.
    fn results(&self) -> Result<Vec<ItemResult>, StoreError>;

    /// Replaces the last run's results.
    ///
    /// # Errors
    /// When they can't be recorded; then the old ones stay.
    fn set_results(&mut self, results: &[ItemResult]) -> Result<(), StoreError>;

    /// What is committed from now on is this run's doing. It is recorded with the first commit, in the place of the one
    /// that was open; a run that commits nothing leaves that open.
    fn begin_run(&mut self, id: Guid, began: u64);

    /// The run that was recorded last, unless it was closed.
    ///
    /// # Errors
    /// When the file can't be read.
    fn open_run(&self) -> Result<Option<OpenRun>, StoreError>;

    /// Forgets the open run, whose end is recorded elsewhere now, if it is this one.
    ///
    /// # Errors
    /// When it can't be; then it stays.
    fn close_run(&mut self, id: Guid) -> Result<(), StoreError>;
}

/// Opens partnerships' manifests. Calls block.
pub trait ManifestStore: Send + Sync {
    /// Whether calls of this and of the manifests may wait for a disk, so that they belong on a thread that may. Memory
    /// never does.
    fn may_block(&self) -> bool {
        true
    }

    /// The manifest of this partnership, made where it isn't there yet.
    ///
    /// # Errors
    /// `Damaged` when there is one that can't be read: the file is set aside under another name, and the next call
    /// starts anew, with everything on the device foreign.
    fn open(&self, relationship: Guid) -> Result<Box<dyn Manifest>, StoreError>;

    /// Removes the manifest of a partnership that has ended. None there is no error.
    ///
    /// # Errors
    /// When it can't be removed.
    fn remove(&self, relationship: Guid) -> Result<(), StoreError>;
}
