//! Players as the engine sees them: [`Player`], [`Storage`] and [`Object`] are the counterparts of WMDM's
//! IMDSPDevice3, IMDSPStorage4 and IMDSPObject2. What a player can't do is a capability, not an error at use.
//!
//! Everything that comes back from an implementation has been checked by it: what it got from the device is hostile.

pub mod ahead;
mod transfer;

use crate::BoxFuture;
use crate::device::DeviceDescription;
use crate::error::PlayerError;
use crate::id::Guid;
use crate::library::{Apart, CoverLimits, OpenedTrack};
use crate::path::DevicePath;
use crate::presence::Arrival;
use serde::Deserialize;
use std::sync::Arc;
pub use transfer::{Expect, Sent, Source, Tags, Transfer, Waiting, WriteRequest, Written};

/// The partnership's mark on a device, as `WMPInfo.xml` holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// DeviceID: the device's own GUID, made once.
    pub device: Guid,
    /// RelationshipID: the partnership's GUID; zero for none.
    pub relationship: Guid,
}

/// How playlists are written to a player.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaylistStyle {
    /// Where they go; `None` is the storage's root.
    pub folder: Option<DevicePath>,
    /// Of the file, or what the player gives to a list that isn't a file.
    pub extension: &'static str,
    /// What a list is.
    pub form: PlaylistForm,
}

impl PlaylistStyle {
    /// Whether the player keeps what a list refers to, and no file.
    #[must_use]
    pub fn is_by_reference(&self) -> bool {
        self.form == PlaylistForm::References
    }
}

/// What a playlist is to a player.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaylistForm {
    /// A file of M3U in UTF-8 without a byte order mark, with paths that lead from its folder.
    M3u {
        /// Between the parts of a path.
        separator: char,
        /// After each line.
        line_ending: &'static str,
    },
    /// No file: the player keeps which objects a list refers to, and not its text. A track that is replaced leaves the list,
    /// which then has to be written again.
    References,
    /// A file of Samsung's own form, in UTF-16, with paths from the storage's root.
    Spl(SplVersion),
}

impl PlaylistForm {
    /// M3U as most players read it.
    pub const M3U: Self = Self::M3u { separator: '/', line_ending: "\n" };
}

/// Which version of Samsung's playlist files a player reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum SplVersion {
    /// 1.00: paths alone.
    #[serde(rename = "spl-1")]
    V1,
    /// 2.00: a place for sound settings behind them.
    #[serde(rename = "spl-2")]
    V2,
}

/// How albums are told to a player that has objects for them, which refer to their tracks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlbumStyle {
    /// Where they go; `None` is the storage's root.
    pub folder: Option<DevicePath>,
    /// What their pictures may be at most; `None` where it takes none.
    pub cover: Option<CoverLimits>,
}

/// What a player can do and wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// MIME types that it plays, as it declares them; empty when it declares none, and then nothing is refused.
    pub formats: Vec<String>,
    /// Whether it plays sound, shows video, shows photos.
    pub audio: bool,
    /// See `audio`.
    pub video: bool,
    /// See `audio`.
    pub photo: bool,
    /// Where music goes; `None` is the storage's root.
    pub audio_folder: Option<DevicePath>,
    /// How many folders deep below `audio_folder` a track may lie; `None`: as deep as we like.
    pub folder_depth: Option<u8>,
    /// How playlists are written; `None` when it takes none.
    pub playlists: Option<PlaylistStyle>,
    /// How albums are told to it; `None` when it has no objects for them.
    pub albums: Option<AlbumStyle>,
    /// Whether the device itself keeps the user's name for it.
    pub holds_friendly_name: bool,
    /// Whether no two files on it may have the same name, whatever folders they are in.
    pub unique_file_names: bool,
}

impl Capabilities {
    /// What a player like this is told apart from a track's bytes, where it goes by what it is told.
    #[must_use]
    pub fn told_apart(&self) -> Apart {
        match &self.albums {
            Some(AlbumStyle { cover: Some(_), .. }) => Apart::TagsAndPicture,
            _ => Apart::Tags,
        }
    }
}

/// Space on a storage, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What is free for us.
    pub free: u64,
    /// What a file's size is rounded up to; at least 1.
    pub cluster: u64,
    /// Whether `cluster` is what the storage says. Where it isn't, files may take less than it makes of them.
    pub cluster_is_known: bool,
    /// What a folder takes, in bytes; `None` where the storage doesn't say.
    pub folder: Option<u64>,
}

/// What the device tells of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectFacts {
    /// Bytes.
    pub size: u64,
    /// Modification time as the device reports it, nanoseconds since 1970; its grain and zone are the device's. 0 where it
    /// tells none.
    pub modified_ns: i64,
}

/// What closing is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// The run is over: flush, and give back what we took (a mount of our own, the session).
    Release,
    /// The user wants to take it away: flush, unmount, power off where possible.
    Eject,
}

/// An open device; IMDSPDevice3.
pub trait Player: Send + Sync {
    /// What it tells of itself, now that it is open; IMDSPDevice::GetName, GetManufacturer, GetSerialNumber.
    fn description(&self) -> &DeviceDescription;

    /// What it can do; IMDSPDevice3::GetFormatCapability and GetProperty.
    fn capabilities(&self) -> &Capabilities;

    /// The storage that is synchronised to; IMDSPDevice::EnumStorage.
    fn storage(&self) -> Arc<dyn Storage>;

    /// The partnership's mark; `None` when there is none that can be read. IMDSPDevice3::GetProperty of
    /// g_wszWMDMSyncRelationshipID.
    fn mark(&self) -> BoxFuture<'_, Result<Option<Mark>, PlayerError>>;

    /// Writes the mark beside whatever else its file holds; IMDSPDevice3::SetProperty.
    fn set_mark(&self, mark: Mark) -> BoxFuture<'_, Result<(), PlayerError>>;

    /// Takes this mark away, and its file with it if that holds nothing else; otherwise the mark stays there without a
    /// partnership.
    fn remove_mark(&self, mark: Mark) -> BoxFuture<'_, Result<(), PlayerError>>;

    /// The user's name for it, where the device holds one.
    fn friendly_name(&self) -> BoxFuture<'_, Result<Option<String>, PlayerError>>;

    /// Writes the user's name for it to a device that `holds_friendly_name`.
    fn set_friendly_name(&self, name: String) -> BoxFuture<'_, Result<(), PlayerError>>;

    /// How full its battery is, in percent, as it has told last; `None` where it doesn't tell. The device isn't asked for
    /// it. IMDSPDevice::GetPowerSource.
    fn battery_level(&self) -> Option<u8> {
        None
    }

    /// Whether it could be written when it was opened and can't be any more, for its file system was found damaged. Opened
    /// anew it can be written again, as far as the damage goes.
    fn turned_read_only(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { false })
    }

    /// From now on this tells when the job that has the device is to end. Calls that may hang are then waited for a moment at
    /// most, and count as calls that were late: what came of them isn't known.
    fn heed(&self, _transfer: &Arc<Transfer>) {}

    /// Flushes and lets go of the device. Nothing may be called after it.
    fn close(&self, close: Close) -> BoxFuture<'_, Result<(), PlayerError>>;
}

/// A storage of an open device; IMDSPStorage4.
pub trait Storage: Send + Sync {
    /// Its lasting id; IMDSPStorage4's persistent unique id.
    fn id(&self) -> &str;

    /// Whether a file gets its final name in one step, complete and with its time, also where it replaces another. Where
    /// that isn't so, a cut can leave a part of a file under its final name, a whole one with another time, or a whole
    /// one under its temporary name and nothing under its final one.
    fn is_atomic(&self) -> bool {
        true
    }

    /// Whether a modification time stays to the nanosecond what it was told to be, so that any other time is a change.
    /// False where it may be rounded or shifted, or where that isn't known.
    fn keeps_exact_times(&self) -> bool {
        false
    }

    /// Whether the device takes what a track's tags say apart from the file's bytes ([`Storage::update_metadata`]) and goes
    /// by that. Where it doesn't, a file whose tags have changed has to be replaced.
    fn updates_metadata(&self) -> bool {
        false
    }

    /// Tells the device what the tags of a file that it has say now, without touching the file's bytes; tells what the
    /// device tells of the file then. IMDSPStorage4::SetMetadata.
    ///
    /// It may be done twice, and be cut at any point. `Unsupported` when the device does not take it for this file after
    /// all: the file is as it was, or has some of the new values, and is to be replaced. Other errors as for a write.
    fn update_metadata(
        &self,
        path: DevicePath,
        _tags: Tags,
    ) -> BoxFuture<'_, Result<ObjectFacts, PlayerError>> {
        Box::pin(async move { Err(PlayerError::Unsupported(path.to_string())) })
    }

    /// Where the files with these lasting ids ([`Written::persistent_id`]) are now, in their order; `None` where the device
    /// has none, or the id is no more than a path. Asked only for files that are not where they were put.
    fn find(&self, ids: Vec<String>) -> BoxFuture<'_, Result<Vec<Option<DevicePath>>, PlayerError>> {
        Box::pin(async move { Ok(vec![None; ids.len()]) })
    }

    /// Whether what is at this path refers to exactly these files, in this order; false where nothing is there, or it refers to
    /// nothing. IMDSPStorage4::GetReferences.
    fn refers_to(
        &self,
        _path: DevicePath,
        _files: Vec<DevicePath>,
    ) -> BoxFuture<'_, Result<bool, PlayerError>> {
        Box::pin(async { Ok(false) })
    }

    /// Space now; IMDSPStorageGlobals::GetTotalSize, GetTotalFree.
    fn space(&self) -> BoxFuture<'_, Result<Space, PlayerError>>;

    /// What is at each of these paths, in their order; `None` for nothing, or for what isn't a file.
    /// IMDSPStorage4::GetSpecifiedMetadata over whole folders.
    fn facts(&self, paths: Vec<DevicePath>) -> BoxFuture<'_, Result<Vec<Option<ObjectFacts>>, PlayerError>>;

    /// The file at this path; IMDSPStorage4::FindStorage.
    fn object(&self, path: &DevicePath) -> Box<dyn Object>;

    /// The folders that would have to be made for files at these paths, outermost first.
    fn missing_folders(&self, paths: Vec<DevicePath>) -> BoxFuture<'_, Result<Vec<DevicePath>, PlayerError>>;

    /// Writes a file under its temporary name, has the device keep it, checks its size, and gives it its final name.
    /// IMDSPStorage4::CreateStorageWithMetadata and IMDSPObject2::WriteOnClearChannel.
    ///
    /// On an error nothing is at the final name that wasn't there before, and the temporary name is free again
    /// unless the device is gone or doesn't answer. Where that isn't one step, what was to be replaced may be gone.
    fn write<'a>(
        &'a self,
        request: WriteRequest,
        transfer: &'a Arc<Transfer>,
    ) -> BoxFuture<'a, Result<Written, PlayerError>>;

    /// Bytes that may be sent before they are finished, so that stopping never waits long; it follows the device's speed.
    /// 0 where a file that was sent is finished.
    fn most_unfinished(&self) -> u64 {
        0
    }

    /// Reads of a source that is sent next, while another is sent. Nothing depends on it.
    fn read_ahead(&self, _source: &OpenedTrack) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }

    /// Hands a new file's bytes to the device under its temporary name. Others may be sent before it is finished, also
    /// while that goes on. One that replaces another is written as by [`Storage::write`]. Errors leave behind what that
    /// method's do.
    fn send<'a>(
        &'a self,
        request: WriteRequest,
        transfer: &'a Arc<Transfer>,
    ) -> BoxFuture<'a, Result<Sent, PlayerError>> {
        Box::pin(async move { Ok(Sent::Written(self.write(request, transfer).await?)) })
    }

    /// Has the device keep what was sent, checks the sizes, and gives each file its final name. Tells what came of each,
    /// in their order; where that is an error, the temporary name is free again unless the device is gone, and folders
    /// that were made for the file stay.
    fn finish(
        &self,
        sent: Vec<Sent>,
    ) -> BoxFuture<'_, Result<Vec<Result<Written, PlayerError>>, PlayerError>> {
        let finished = |sent| match sent {
            Sent::Written(written) => Ok(written),
            Sent::Waiting(Waiting { temporary, .. }) | Sent::Underway { temporary, .. } => {
                Err(PlayerError::sent_elsewhere(&temporary))
            }
        };
        Box::pin(async move { Ok(sent.into_iter().map(finished).collect()) })
    }

    /// Makes the names of these files last: after this a cut can't undo their creation, renaming or deletion.
    fn settle(&self, paths: Vec<DevicePath>) -> BoxFuture<'_, Result<(), PlayerError>>;

    /// Removes those of these folders that are empty, innermost first; folders that aren't empty stay, without error.
    fn remove_empty_folders(&self, folders: Vec<DevicePath>) -> BoxFuture<'_, Result<(), PlayerError>>;

    /// Returns when everything written so far is on the device.
    fn flush(&self) -> BoxFuture<'_, Result<(), PlayerError>>;
}

/// A file on a storage; IMDSPObject2.
pub trait Object: Send + Sync {
    /// What the device tells of it; `None` when it isn't there.
    fn facts(&self) -> BoxFuture<'_, Result<Option<ObjectFacts>, PlayerError>>;

    /// Its bytes, at most `limit`; IMDSPObject2::ReadOnClearChannel.
    fn read(&self, limit: u64) -> BoxFuture<'_, Result<Vec<u8>, PlayerError>>;

    /// XXH3-128 of its bytes, read back from the device.
    fn hash<'a>(&'a self, transfer: &'a Arc<Transfer>) -> BoxFuture<'a, Result<u128, PlayerError>>;

    /// Deletes it if it is still exactly what is expected; IMDSPObject::Delete. It is moved to `aside`, a name that nobody else
    /// uses, looked at there, and put back when it isn't what was expected.
    fn delete(&self, expected: ObjectFacts, aside: DevicePath) -> BoxFuture<'_, Result<(), PlayerError>>;

    /// Deletes whatever it is: for temporary names that were recorded before they were made, and for no others.
    fn discard(&self) -> BoxFuture<'_, Result<(), PlayerError>>;

    /// Gives it back a name that it has lost to us, or that it waits for: `to`, or a numbered one like it if that is taken.
    /// The device keeps its bytes before that. Tells which.
    fn restore(&self, to: DevicePath) -> BoxFuture<'_, Result<DevicePath, PlayerError>>;
}

/// Opens what the hardware announced.
pub trait PlayerOpener: Send + Sync {
    /// Opens the device: mounts it or starts a session, and reads what it is.
    fn open<'a>(&'a self, arrival: &'a Arrival) -> BoxFuture<'a, Result<Arc<dyn Player>, PlayerError>>;
}

impl ObjectFacts {
    /// Whether `now` can be the same file as this record of it: equal size, and a modification time that differs by
    /// no more than FAT's two seconds, or by whole hours besides (FAT keeps local time, so a change of zone or of
    /// daylight saving shifts it), or that one of the two doesn't tell. Equal facts are the same file; of others that match,
    /// only the bytes can tell.
    #[must_use]
    pub fn matches(&self, now: &Self) -> bool {
        const SECOND: u64 = 1_000_000_000;
        const HOUR: u64 = 3600 * SECOND;
        let apart = self.modified_ns.abs_diff(now.modified_ns);
        let off_the_hour = (apart % HOUR).min(HOUR - apart % HOUR);
        let untold = self.modified_ns == 0 || now.modified_ns == 0;
        self.size == now.size && (untold || apart <= 26 * HOUR && off_the_hour <= 2 * SECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_match_over_fat_rounding_and_zone_shifts_and_nothing_else() {
        let second = 1_000_000_000;
        let facts = |size, seconds: i64| ObjectFacts { size, modified_ns: seconds * second };
        let recorded = facts(5, 1_700_000_001);
        assert!(recorded.matches(&facts(5, 1_700_000_000)));
        assert!(recorded.matches(&facts(5, 1_700_003_600)));
        assert!(recorded.matches(&facts(5, 1_700_000_001 - 7200)));
        assert!(recorded.matches(&facts(5, 0)) && facts(5, 0).matches(&recorded));
        assert!(!recorded.matches(&facts(6, 0)));
        assert!(!recorded.matches(&facts(6, 1_700_000_001)));
        assert!(!recorded.matches(&facts(5, 1_700_000_601)));
        assert!(!recorded.matches(&facts(5, 1_700_000_001 + 30 * 3600)));
    }
}
