//! An owner's library as the engine and the bus see it. The other process, or its simulation, is behind [`Library`].

use crate::BoxFuture;
use crate::error::LibraryError;
use crate::id::{DeviceId, MediaUri, PlaylistId, TrackId, Uid};
use crate::media::{MediaValue, PlaylistEdit, PlaylistInfo, ResolvedPlaylist, Track};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// What is true of a library now.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LibraryState {
    /// Grows with every change of a track or playlist, over restarts too.
    pub generation: u64,
    /// The directories that it holds.
    pub folders: Vec<PathBuf>,
    /// How many tracks.
    pub track_count: u32,
    /// How many playlists, those for synchronisation only among them.
    pub playlist_count: u32,
    /// Whether a scan runs.
    pub scanning: bool,
    /// When the last scan ended, seconds since 1970; 0: never.
    pub last_scan_time: u64,
    /// Why it looks wrong (a folder that is missing, empty or not mounted, a scan that failed, a playlist file that can't be
    /// read), in words for the user; empty: it doesn't.
    pub trouble: String,
}

/// Playlists with their tracks, each track once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Resolved {
    /// The library's generation that this is true of.
    pub generation: u64,
    /// Every track that occurs, once.
    pub tracks: Vec<Track>,
    /// The playlists that were asked for, in that order, less those in `missing`.
    pub playlists: Vec<ResolvedPlaylist>,
    /// Playlists that were asked for and don't exist.
    pub missing: Vec<PlaylistId>,
    /// Why this library looks wrong (a folder that is missing or empty, a scan that failed, one of these playlists that
    /// can't be read), in words for the user. Nothing may be deleted from a device then.
    pub trouble: Option<String>,
}

/// A library's file, open for reading.
#[derive(Debug)]
pub struct OpenedTrack {
    /// Positioned at its start.
    pub file: File,
    /// Its size now.
    pub size: u64,
    /// Its modification time now, nanoseconds since 1970.
    pub modified_ns: i64,
    /// The time of its last change of any kind, nanoseconds since 1970.
    pub changed_ns: i64,
}

impl OpenedTrack {
    /// Whether the file is still as the library listed it.
    #[must_use]
    pub fn is_as_listed(&self, track: &Track) -> bool {
        self.size == track.size && [self.modified_ns, self.changed_ns].contains(&track.modified_ns)
    }
}

/// What came of importing a playlist file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedPlaylist {
    /// The static playlist that was made.
    pub playlist: PlaylistInfo,
    /// Entries that name no file of the library, as written there.
    pub unresolved: Vec<String>,
}

/// One owner's library.
pub trait Library: Send + Sync {
    /// What is true of it, as it changes.
    fn state(&self) -> watch::Receiver<LibraryState>;

    /// Sets which directories it holds, and scans them. Refused: a path that isn't absolute or isn't a directory.
    fn set_folders(&self, folders: Vec<PathBuf>) -> BoxFuture<'_, Result<(), LibraryError>>;

    /// Starts a scan; returns when it has started. A scan that runs already is not started again.
    fn scan(&self) -> BoxFuture<'_, Result<(), LibraryError>>;

    /// All playlists, by name.
    fn playlists(&self) -> BoxFuture<'_, Result<Vec<PlaylistInfo>, LibraryError>>;

    /// One playlist.
    fn playlist(&self, id: PlaylistId) -> BoxFuture<'_, Result<PlaylistInfo, LibraryError>>;

    /// A playlist's items from position `first`, `count` of them; 0: to the end.
    fn playlist_items(
        &self,
        id: PlaylistId,
        first: u32,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<MediaUri>, LibraryError>>;

    /// Makes a static playlist.
    fn create_playlist(
        &self,
        name: String,
        media: Vec<MediaUri>,
    ) -> BoxFuture<'_, Result<PlaylistInfo, LibraryError>>;

    /// Makes an auto playlist.
    fn create_auto_playlist(
        &self,
        name: String,
        rule: String,
    ) -> BoxFuture<'_, Result<PlaylistInfo, LibraryError>>;

    /// Makes a static playlist of a playlist file.
    fn import_playlist(&self, path: PathBuf) -> BoxFuture<'_, Result<ImportedPlaylist, LibraryError>>;

    /// Changes a playlist; tells what it is then.
    fn edit_playlist(
        &self,
        id: PlaylistId,
        edit: PlaylistEdit,
    ) -> BoxFuture<'_, Result<PlaylistInfo, LibraryError>>;

    /// Deletes a static or auto playlist. A file playlist is `ReadOnly`: the file is the user's.
    fn delete_playlist(&self, id: PlaylistId) -> BoxFuture<'_, Result<(), LibraryError>>;

    /// Media that match a rule.
    fn search(&self, rule: String) -> BoxFuture<'_, Result<Vec<MediaUri>, LibraryError>>;

    /// A media file's attributes by WMP's names, but `SyncState`, which the engine knows.
    fn media_info(
        &self,
        media: MediaUri,
    ) -> BoxFuture<'_, Result<BTreeMap<String, MediaValue>, LibraryError>>;

    /// Sets one attribute in the library's index: `UserRating` or `UserPlayCount`.
    fn set_media_info(
        &self,
        media: MediaUri,
        name: String,
        value: MediaValue,
    ) -> BoxFuture<'_, Result<(), LibraryError>>;

    /// WMP's default set in priority order, made where it isn't there yet: the user's own static playlists, then the
    /// auto playlists for synchronisation only.
    fn default_playlists(&self) -> BoxFuture<'_, Result<Vec<PlaylistId>, LibraryError>>;

    /// The playlist that collects what is transferred by hand to this device; made where it isn't there yet, and then
    /// called after the device's `name`.
    fn transfer_playlist(
        &self,
        device: DeviceId,
        name: String,
    ) -> BoxFuture<'_, Result<PlaylistInfo, LibraryError>>;

    /// Playlists with their tracks.
    fn resolve(&self, playlists: Vec<PlaylistId>) -> BoxFuture<'_, Result<Resolved, LibraryError>>;

    /// Opens a track for reading.
    fn open(&self, track: TrackId) -> BoxFuture<'_, Result<OpenedTrack, LibraryError>>;

    /// XXH3-128 of each of these tracks' bytes; `None` where one can't be read.
    fn hash(&self, tracks: Vec<TrackId>) -> BoxFuture<'_, Result<Vec<Option<u128>>, LibraryError>>;

    /// Hashes of each of these tracks' bytes, with and without what is told `apart`; `None` where one can't be read.
    fn track_hashes(
        &self,
        tracks: Vec<TrackId>,
        _apart: Apart,
    ) -> BoxFuture<'_, Result<Vec<Option<TrackHashes>>, LibraryError>> {
        Box::pin(async move {
            let whole = self.hash(tracks).await?.into_iter();
            Ok(whole.map(|whole| whole.map(|whole| TrackHashes { whole, audio: None })).collect())
        })
    }

    /// The picture of the album that a track belongs to: one in its file, or else one beside it. `None` where there is none
    /// that can be shown within these limits.
    fn cover(
        &self,
        _track: TrackId,
        _limits: CoverLimits,
    ) -> BoxFuture<'_, Result<Option<Cover>, LibraryError>> {
        Box::pin(async { Ok(None) })
    }

    /// For each of these tracks a number that is another one when another picture lies beside it; 0 where none does.
    fn cover_stamps(&self, tracks: Vec<TrackId>) -> BoxFuture<'_, Result<Vec<u64>, LibraryError>> {
        Box::pin(async move { Ok(vec![0; tracks.len()]) })
    }
}

/// What a picture may be at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverLimits {
    /// Bytes.
    pub bytes: u32,
    /// Pixels.
    pub width: u16,
    /// Pixels.
    pub height: u16,
}

/// A picture, as a JPEG file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cover {
    /// The file.
    pub jpeg: Vec<u8>,
    /// Pixels.
    pub width: u16,
    /// Pixels.
    pub height: u16,
}

impl fmt::Debug for Cover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { jpeg, width, height } = self;
        write!(f, "Cover({width}x{height}, {} bytes)", jpeg.len())
    }
}

/// What of a track's file a player is told apart from its bytes, and so can change without another copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Apart {
    /// What its tags say, but not the picture in them.
    Tags,
    /// What its tags say, and the picture as its album's.
    TagsAndPicture,
}

/// Hashes of a track's file, read once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackHashes {
    /// XXH3-128 of all its bytes.
    pub whole: u128,
    /// XXH3-128 of what in them isn't told apart; `None` where it isn't known which that is.
    pub audio: Option<u128>,
}

/// Everybody's libraries. A library's agent runs while somebody holds what `open` returned.
pub trait Libraries: Send + Sync {
    /// This user's library, starting its agent if none runs.
    fn open(&self, owner: Uid) -> BoxFuture<'_, Result<Arc<dyn Library>, LibraryError>>;
}

/// Starts the unit in which a user's library agent runs; systemd behind a trait, because only the D-Bus crate knows
/// the bus.
pub trait AgentStarter: Send + Sync {
    /// Starts `tandem-library@OWNER.service`; returns when systemd has accepted the job.
    fn start(&self, owner: Uid) -> BoxFuture<'_, Result<(), LibraryError>>;
}
