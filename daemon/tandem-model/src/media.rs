//! Tracks and playlists as the owner's library tells of them, and what becomes of each in a run.

use crate::id::{MediaUri, PlaylistId, TrackId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One file of the library, with what planning and naming need of its tags. Empty text: no such tag. What many tracks have
/// alike can be shared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// Its number in the agent's index.
    pub id: TrackId,
    /// What it is known by.
    pub uri: MediaUri,
    /// Its file name, as Unicode: bytes that aren't are replaced by U+FFFD.
    pub file_name: Box<str>,
    /// Bytes.
    pub size: u64,
    /// Modification time, nanoseconds since 1970; after a change that left size and modification time as they were, the time
    /// of that change.
    pub modified_ns: i64,
    /// MIME type, from the content or else the name.
    #[serde(with = "crate::shared_text")]
    pub mime: Arc<str>,
    /// `Title`.
    pub title: Box<str>,
    /// `Author`.
    #[serde(with = "crate::shared_text")]
    pub artist: Arc<str>,
    /// `WM/AlbumArtist`.
    #[serde(with = "crate::shared_text")]
    pub album_artist: Arc<str>,
    /// `WM/AlbumTitle`.
    #[serde(with = "crate::shared_text")]
    pub album: Arc<str>,
    /// Milliseconds; 0 when not known.
    pub duration_ms: u64,
    /// `WM/Genre`.
    #[serde(with = "crate::shared_text")]
    pub genre: Arc<str>,
    /// `WM/TrackNumber`; 0 when not known.
    pub track_number: u32,
}

/// How a playlist gets its items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlaylistKind {
    /// Made over the bus; its items are edited there.
    Static,
    /// A rule, asked anew each time.
    Auto,
    /// A playlist file in the library's folders.
    File,
}

impl PlaylistKind {
    /// The contract's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Auto => "auto",
            Self::File => "file",
        }
    }
}

/// A playlist without its items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaylistInfo {
    /// Stable within the library.
    pub id: PlaylistId,
    /// As the user sees it; two playlists may share one.
    pub name: String,
    /// How it gets its items.
    pub kind: PlaylistKind,
    /// The rule of an auto playlist, else empty.
    pub rule: String,
    /// How many items it has now.
    pub count: u32,
    /// For synchronisation only; hidden from ordinary lists.
    pub sync_only: bool,
}

/// A change of a static playlist's items. Positions count from 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlaylistEdit {
    /// At the end.
    Append(Vec<MediaUri>),
    /// Before the item at this position; the count itself is the end.
    Insert(u32, Vec<MediaUri>),
    /// From this position, so many.
    Remove(u32, u32),
    /// From one position to another.
    Move(u32, u32),
    /// All items.
    Clear,
    /// Its name; allowed for auto playlists too.
    Rename(String),
    /// Whether it is for synchronisation only; allowed for auto playlists too.
    SyncOnly(bool),
}

/// A media attribute's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MediaValue {
    /// Text.
    Text(String),
    /// A number: sizes in bytes, durations in milliseconds, times in seconds since 1970.
    Number(u64),
}

/// A playlist with its tracks, as an assignment asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedPlaylist {
    /// Which one.
    pub id: PlaylistId,
    /// Its name now.
    pub name: String,
    /// Positions in [`crate::library::Resolved::tracks`], in the playlist's order; one may occur more than once.
    pub tracks: Vec<u32>,
    /// Entries that name no file of the library, as written there.
    pub unresolved: Vec<String>,
}
