//! The messages between the daemon and a library agent, and the version that both must share.
//!
//! Long lists travel in parts of at most [`PART_BYTES`], before the message that they belong to. Paths are bytes here,
//! because file names are.

use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use tandem_model::error::LibraryError;
use tandem_model::id::{DeviceId, MediaUri, PlaylistId, TrackId};
use tandem_model::library::{Apart, Cover, CoverLimits, LibraryState, TrackHashes};
use tandem_model::media::{MediaValue, PlaylistEdit, PlaylistInfo, Track};

/// Grows with every change of a message. Daemon and agent are installed together, so there is no negotiation.
pub const VERSION: u32 = 8;

/// About how many bytes of a long list go into one frame.
pub const PART_BYTES: usize = 48 * 1024;

/// How many tracks one [`Request::Hash`] or [`Request::TrackHashes`] may name.
pub const HASH_BATCH: usize = 8;

/// How many tracks one [`Request::CoverStamps`] may name.
pub const STAMP_BATCH: usize = 256;

/// The most bytes that a [`Answer::Cover`] may have; the rest of its frame is small.
pub const MOST_COVER_BYTES: u32 = 512 * 1024;

/// A path as bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WirePath(pub Vec<u8>);

impl From<&Path> for WirePath {
    fn from(path: &Path) -> Self {
        Self(path.as_os_str().as_bytes().to_vec())
    }
}

impl From<WirePath> for PathBuf {
    fn from(path: WirePath) -> Self {
        Self::from(OsString::from_vec(path.0))
    }
}

/// From the daemon to the agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToAgent {
    /// Media that the request of the same number, which follows, is about.
    Media {
        /// The request's number.
        id: u32,
        /// In order, after those of earlier parts.
        media: Vec<MediaUri>,
    },
    /// A request.
    Request {
        /// Chosen by the daemon; the answer carries it.
        id: u32,
        /// What is asked.
        request: Request,
    },
}

/// What the daemon asks; each is the method of `tandem_model::library::Library` with that name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the trait's methods document them")]
pub enum Request {
    SetFolders(Vec<WirePath>),
    Scan,
    Playlists,
    Playlist(PlaylistId),
    PlaylistItems { id: PlaylistId, first: u32, count: u32 },
    CreatePlaylist { name: String },
    CreateAutoPlaylist { name: String, rule: String },
    ImportPlaylist(WirePath),
    EditPlaylist { id: PlaylistId, edit: PlaylistEdit },
    DeletePlaylist(PlaylistId),
    Search(String),
    MediaInfo(MediaUri),
    SetMediaInfo { media: MediaUri, name: String, value: MediaValue },
    DefaultPlaylists,
    TransferPlaylist { device: DeviceId, name: String },
    Resolve(Vec<PlaylistId>),
    Open(TrackId),
    Hash(Vec<TrackId>),
    TrackHashes(Vec<TrackId>, Apart),
    Cover { track: TrackId, limits: CoverLimits },
    CoverStamps(Vec<TrackId>),
}

/// From the agent to the daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToDaemon {
    /// What is true of the library; sent first and after each change.
    State(WireState),
    /// A piece of an answer.
    Part {
        /// The request's number.
        id: u32,
        /// The piece.
        part: Part,
    },
    /// An answer's end.
    Done {
        /// The request's number.
        id: u32,
        /// What came of it.
        result: Result<Answer, LibraryError>,
    },
    /// Why the library can't be opened; sent in place of the first state, and the agent ends with it.
    Unable(String),
}

/// A piece of a long answer, in the order in which the pieces are put together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Part {
    /// Of media, in order.
    Media(Vec<MediaUri>),
    /// Of playlists, in order.
    Playlists(Vec<PlaylistInfo>),
    /// Of texts: the unresolved entries of an imported playlist, or of the resolved playlist begun last.
    Texts(Vec<String>),
    /// Of a resolution's tracks, in order.
    Tracks(Vec<Track>),
    /// Begins a resolved playlist: its id and name.
    Resolved(PlaylistId, String),
    /// Positions among the tracks, for the resolved playlist begun last.
    Positions(Vec<u32>),
}

/// The end of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// There is nothing to tell, or the parts told it.
    Nothing,
    /// A playlist as it is now.
    Playlist(PlaylistInfo),
    /// Playlists by their ids.
    PlaylistIds(Vec<PlaylistId>),
    /// Attributes of a media file.
    Info(Vec<(String, MediaValue)>),
    /// The track's descriptor comes with this frame.
    Opened,
    /// One for each track asked for.
    Hashes(Vec<Option<u128>>),
    /// One for each track asked for.
    TrackHashes(Vec<Option<TrackHashes>>),
    /// The picture of the track's album, if it has one.
    Cover(Option<Cover>),
    /// One for each track asked for.
    CoverStamps(Vec<u64>),
    /// Ends a resolution; tracks and playlists came in parts.
    Resolved {
        /// The generation that it is true of.
        generation: u64,
        /// Playlists that don't exist.
        missing: Vec<PlaylistId>,
        /// Why the library looks wrong.
        trouble: Option<String>,
    },
}

/// [`LibraryState`] with paths as bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireState {
    folders: Vec<WirePath>,
    generation: u64,
    track_count: u32,
    playlist_count: u32,
    scanning: bool,
    last_scan_time: u64,
    trouble: String,
}

impl From<&LibraryState> for WireState {
    fn from(state: &LibraryState) -> Self {
        Self {
            folders: state.folders.iter().map(|path| WirePath::from(path.as_path())).collect(),
            generation: state.generation,
            track_count: state.track_count,
            playlist_count: state.playlist_count,
            scanning: state.scanning,
            last_scan_time: state.last_scan_time,
            trouble: state.trouble.clone(),
        }
    }
}

impl From<WireState> for LibraryState {
    fn from(state: WireState) -> Self {
        Self {
            generation: state.generation,
            folders: state.folders.into_iter().map(PathBuf::from).collect(),
            track_count: state.track_count,
            playlist_count: state.playlist_count,
            scanning: state.scanning,
            last_scan_time: state.last_scan_time,
            trouble: state.trouble,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_keeps_folders_that_are_not_text() {
        let folder = PathBuf::from(OsString::from_vec(b"/m/\xff\xfe".to_vec()));
        let state = LibraryState {
            generation: 7,
            folders: vec![folder],
            scanning: true,
            trouble: "empty".into(),
            ..LibraryState::default()
        };
        let bytes = postcard::to_stdvec(&WireState::from(&state)).unwrap();
        let back: WireState = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(LibraryState::from(back), state);
    }
}
