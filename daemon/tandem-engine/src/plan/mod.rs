//! What a run is going to do: a pure function from the library, the manifest, the space and the player's
//! capabilities to a list of steps. No clock, no randomness, no waiting.
//!
//! Order of the steps: deletions, replacements, copies by priority, metadata changes, playlists, albums. What was in flight is
//! cleaned up before there is a plan.

pub(crate) mod albums;
mod build;
pub(crate) mod changes;
pub(crate) mod entries;
pub(crate) mod guard;
pub(crate) mod names;
pub(crate) mod playlists;
#[cfg(test)]
mod properties;

pub(crate) use build::{build, round_up, taken};

use foldhash::HashSet;
use tandem_model::error::ItemError;
use tandem_model::library::Resolved;
use tandem_model::manifest::Entry;
use tandem_model::path::DevicePath;
use tandem_model::player::{Capabilities, Space};

/// All that a plan is made from.
pub(crate) struct PlanInput<'a> {
    /// The assigned playlists in priority order, with their tracks.
    pub(crate) library: &'a Resolved,
    /// What the manifest says, after it was compared with the device.
    pub(crate) entries: &'a [Entry],
    /// Space now.
    pub(crate) space: Space,
    /// 0 to 95: this share of the storage is left to others.
    pub(crate) percent_reserved: u8,
    /// Tracks (by position in the library) of which only the tags have changed since they were put on the device, where
    /// that takes tags apart from the rest.
    pub(crate) retagged: &'a HashSet<u32>,
    /// What the player can do.
    pub(crate) capabilities: &'a Capabilities,
}

/// What is going to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Entries (by position in the input) whose files are deleted.
    pub(crate) deletions: Vec<Deletion>,
    /// There is room for everything that is written before anything is deleted.
    pub(crate) deletes_last: bool,
    /// Files to write: replacements, then copies by priority.
    pub(crate) writes: Vec<TrackWrite>,
    /// Files whose tags the device is told.
    pub(crate) updates: Vec<MetadataUpdate>,
    /// Assigned tracks that are not written, with the reason.
    pub(crate) left_out: Vec<LeftOut>,
    /// Tracks (by position in the library) that are on the device already.
    pub(crate) kept: Vec<u32>,
    /// Bytes of all writes.
    pub(crate) bytes: u64,
    /// Bytes that the tracks take on the storage when the plan has been carried out, the user's own not counted.
    pub(crate) used: u64,
}

/// One file to delete.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Deletion {
    /// Position of the entry.
    pub(crate) entry: usize,
    /// Why, for the user.
    pub(crate) reason: &'static str,
}

/// One track to write.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TrackWrite {
    /// Position of the track in the library.
    pub(crate) track: u32,
    /// Where to.
    pub(crate) path: DevicePath,
    /// Position of the entry that it replaces.
    pub(crate) replaces: Option<usize>,
    /// The entry's file is deleted first, because old and new don't fit side by side.
    pub(crate) delete_first: bool,
}

/// One file whose tags the device is told; its bytes stay.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MetadataUpdate {
    /// Position of the track in the library.
    pub(crate) track: u32,
    /// Position of its entry.
    pub(crate) entry: usize,
}

/// One track that is not written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// Position of the track in the library.
    pub(crate) track: u32,
    /// Why; `None`: the user deleted or changed it on the device.
    pub(crate) error: Option<ItemError>,
    /// For the user.
    pub(crate) message: String,
}
