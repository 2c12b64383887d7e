//! A library whose files lie in a directory that many libraries share: each says which of its tracks are there, in which
//! of their versions, and what its playlists hold.
//!
//! It must not change a file once it is there: a changed track is another version.

use kit::{Asset, MusicLibrary};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tandem_model::BoxFuture;
use tandem_model::error::LibraryError;
use tandem_model::id::{DeviceId, MediaUri, PlaylistId, TrackId, Uid};
use tandem_model::library::{
    Apart, Cover, CoverLimits, ImportedPlaylist, Libraries, Library, LibraryState, OpenedTrack, Resolved,
    TrackHashes,
};
use tandem_model::media::{MediaValue, PlaylistEdit, PlaylistInfo, PlaylistKind, ResolvedPlaylist, Track};
use tokio::sync::watch;

/// Versions of each track: as it is first, with other music, and with the first one's music and other tags.
const VERSIONS: usize = 3;
/// See [`VERSIONS`].
pub const FIRST: usize = 0;
/// See [`VERSIONS`].
pub const OTHER_MUSIC: usize = 1;
/// See [`VERSIONS`].
pub const OTHER_TAGS: usize = 2;

/// Extension and MIME type of the track with this number: five formats, half of the tracks MP3.
fn kind(number: usize) -> (&'static str, &'static str) {
    match number % 8 {
        2 => ("flac", "audio/flac"),
        4 => ("wav", "audio/x-wav"),
        6 => ("ogg", "audio/ogg"),
        7 => ("m4a", "audio/mp4"),
        _ => ("mp3", "audio/mpeg"),
    }
}

/// A version of a track.
#[derive(Debug, Clone)]
pub struct Copy {
    path: PathBuf,
    /// Bytes.
    pub size: u64,
    modified_ns: i64,
    /// XXH3-128 of its bytes.
    pub hash: u128,
    /// Stands for the hash of its music.
    audio_hash: u128,
    /// What its tags call it.
    pub title: String,
    /// Size and hash of the version with the same music, whose bytes a player may keep that was told the other tags.
    pub retagged: Option<(u64, u128)>,
}

/// The files that libraries are made of.
#[derive(Debug)]
pub struct Pool {
    _dir: MusicLibrary,
    tracks: Vec<[Copy; VERSIONS]>,
}

impl Pool {
    /// A pool of so many tracks, each in all versions.
    #[must_use]
    pub fn new(count: usize) -> Arc<Self> {
        let dir = MusicLibrary::new();
        let versions = |number| {
            let [first, other_music, other_tags] =
                [FIRST, OTHER_MUSIC, OTHER_TAGS].map(|version| copy(&dir, number, version));
            let retagged = Some((first.size, first.hash));
            let other_tags = Copy { audio_hash: first.audio_hash, retagged, ..other_tags };
            [first, other_music, other_tags]
        };
        let tracks = (0..count).map(versions).collect();
        Arc::new(Self { _dir: dir, tracks })
    }

    /// A pool of so many tracks that never change: each is the same in all versions.
    #[must_use]
    pub fn unchanging(count: usize) -> Arc<Self> {
        let dir = MusicLibrary::new();
        let same = |number| {
            let copy = copy(&dir, number, FIRST);
            [copy.clone(), copy.clone(), copy]
        };
        let tracks = (0..count).map(same).collect();
        Arc::new(Self { _dir: dir, tracks })
    }

    /// How many tracks there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.tracks.len()
    }
}

fn copy(dir: &MusicLibrary, number: usize, version: usize) -> Copy {
    let (extension, _) = kind(number);
    let name = format!("{number}-{version}.{extension}");
    let title = format!("Title {number:05}, take {version}");
    let album = format!("Album {:02}", number / 10);
    let path = match extension {
        "ogg" | "m4a" => {
            let asset = if extension == "ogg" { Asset::Ogg } else { Asset::M4a };
            dir.add_bytes(&name, &[asset.bytes(), title.as_bytes()].concat())
        }
        // lengths on both sides of what packets and buffers hold, and one that is larger than a buffer
        _ => {
            let padding = if number % 40 == 3 { 300_000 } else { number * 37 % 16_384 + version * 500 };
            dir.add(&name, "Artist", &album, &title, padding as u64)
        }
    };
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let meta = std::fs::metadata(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let modified_ns = meta.mtime() * 1_000_000_000 + meta.mtime_nsec();
    let hash = xxhash_rust::xxh3::xxh3_128(&bytes);
    let told = if version == OTHER_TAGS { ", as it is called now" } else { "" };
    let title = format!("Title {number:05}{told}");
    Copy { path, size: bytes.len() as u64, modified_ns, hash, audio_hash: hash, title, retagged: None }
}

#[derive(Debug, Default)]
struct Content {
    /// Tracks by number, with their version.
    tracks: BTreeMap<usize, usize>,
    playlists: Vec<(String, Vec<usize>)>,
    /// Pictures that lie beside albums' tracks, by the number of the album.
    covers: BTreeMap<usize, Vec<u8>>,
    /// Tracks whose times were set, and nothing else.
    touched: BTreeSet<usize>,
}

/// A library over a pool. It tells of no change by itself: runs are asked for.
#[derive(Debug)]
pub struct Shelf {
    pool: Arc<Pool>,
    content: Mutex<Content>,
    state: watch::Sender<LibraryState>,
}

/// A playlist as it is in the library: its name, and of each item the number of the track and its copy.
pub type Wanted = (String, Vec<(usize, Copy)>);

impl Shelf {
    /// A library that holds these tracks in their first version.
    #[must_use]
    pub fn new(pool: Arc<Pool>, tracks: impl IntoIterator<Item = usize>) -> Self {
        let tracks = tracks.into_iter().map(|number| (number, FIRST)).collect();
        let covers = (0..pool.count().div_ceil(10)).filter(|album| album % 3 != 2);
        let covers = covers.map(|album| (album, picture(format!("of album {album}").as_bytes()))).collect();
        let content = Mutex::new(Content { tracks, covers, ..Content::default() });
        Self { pool, content, state: watch::Sender::new(LibraryState::default()) }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The track is there in this version.
    pub fn add(&self, number: usize, version: usize) {
        self.content().tracks.insert(number, version);
    }

    /// The track's file has another time and the same bytes.
    pub fn touch(&self, number: usize) {
        self.content().touched.insert(number);
    }

    /// The track is there no longer, and in no playlist.
    pub fn remove(&self, number: usize) {
        let mut content = self.content();
        content.tracks.remove(&number);
        for (_, items) in &mut content.playlists {
            items.retain(|item| *item != number);
        }
    }

    /// Takes an album's picture away.
    pub fn remove_cover(&self, album: usize) {
        self.content().covers.remove(&album);
    }

    /// Another picture lies beside this album's tracks.
    pub fn set_cover(&self, album: usize, content: &[u8]) {
        self.content().covers.insert(album, picture(content));
    }

    /// All pictures, by the number of the album.
    #[must_use]
    pub fn covers(&self) -> BTreeMap<usize, Vec<u8>> {
        self.content().covers.clone()
    }

    /// The number of the album that the track with this number is of.
    #[must_use]
    pub fn album(number: usize) -> usize {
        number / 10
    }

    fn cover_of(&self, track: TrackId) -> Option<Vec<u8>> {
        let album = Self::album(usize::try_from(track.0).ok()?);
        self.content().covers.get(&album).cloned()
    }

    /// Sets what a playlist holds, made where it isn't there yet.
    pub fn set_playlist(&self, name: &str, items: Vec<usize>) {
        let mut content = self.content();
        match content.playlists.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = items,
            None => content.playlists.push((name.to_owned(), items)),
        }
    }

    /// What a playlist holds, by numbers.
    #[must_use]
    pub fn items(&self, name: &str) -> Vec<usize> {
        let content = self.content();
        content.playlists.iter().find(|(known, _)| known == name).map_or_else(Vec::new, |(_, i)| i.clone())
    }

    /// These playlists as they are now.
    #[must_use]
    pub fn wanted(&self, names: &[&str]) -> Vec<Wanted> {
        let wanted = |name: &&str| {
            let copy = |number: usize| {
                let version = self.content().tracks[&number];
                (number, self.pool.tracks[number][version].clone())
            };
            ((*name).to_owned(), self.items(name).into_iter().map(copy).collect())
        };
        names.iter().map(wanted).collect()
    }

    /// What the track with this number is known by.
    #[must_use]
    pub fn uri(number: usize) -> String {
        format!("file:///music/{number:05}.{}", kind(number).0)
    }

    /// The extension of the track with this number.
    #[must_use]
    pub fn extension(number: usize) -> &'static str {
        kind(number).0
    }

    fn copy(&self, track: TrackId) -> Option<Copy> {
        let number = usize::try_from(track.0).ok()?;
        let content = self.content();
        let copy = self.pool.tracks[number][*content.tracks.get(&number)?].clone();
        let later = if content.touched.contains(&number) { 5_000_000_000 } else { 0 };
        Some(Copy { modified_ns: copy.modified_ns + later, ..copy })
    }

    fn track(&self, number: usize) -> Option<Track> {
        let id = TrackId(i64::try_from(number).ok()?);
        let copy = self.copy(id)?;
        let (extension, mime) = kind(number);
        Some(Track {
            id,
            uri: MediaUri(Self::uri(number).into()),
            file_name: format!("{number:05} Title.{extension}").into(),
            size: copy.size,
            modified_ns: copy.modified_ns,
            mime: mime.into(),
            title: copy.title.as_str().into(),
            artist: format!("Artist {:02}", number / 100).into(),
            album_artist: "".into(),
            album: format!("Album {:02}", Self::album(number)).into(),
            duration_ms: 1000,
            genre: "Jazz".into(),
            track_number: u32::try_from(number % 10).unwrap_or_default() + 1,
        })
    }

    fn resolved(&self, wanted: Vec<PlaylistId>) -> Resolved {
        let mut resolved = Resolved::default();
        let mut positions = BTreeMap::new();
        for id in wanted {
            let known = self.content().playlists.iter().any(|(name, _)| *name == id.0);
            if !known {
                resolved.missing.push(id);
                continue;
            }
            let mut tracks = Vec::new();
            for number in self.items(&id.0) {
                let Some(track) = self.track(number) else { continue };
                let all = &mut resolved.tracks;
                tracks.push(*positions.entry(number).or_insert_with(|| {
                    all.push(track);
                    u32::try_from(all.len() - 1).expect("a test's library has fewer tracks")
                }));
            }
            let (name, unresolved) = (id.0.clone(), Vec::new());
            resolved.playlists.push(ResolvedPlaylist { id, name, tracks, unresolved });
        }
        resolved
    }
}

/// Looks like a JPEG file to whoever doesn't decode it.
fn picture(content: &[u8]) -> Vec<u8> {
    [b"\xFF\xD8\xFF\xE0", content].concat()
}

fn info(name: &str) -> PlaylistInfo {
    PlaylistInfo {
        id: PlaylistId(name.to_owned()),
        name: name.to_owned(),
        kind: PlaylistKind::Static,
        rule: String::new(),
        count: 0,
        sync_only: false,
    }
}

fn never<T: Send + 'static>() -> BoxFuture<'static, Result<T, LibraryError>> {
    Box::pin(async { Err(LibraryError::Failed("this library is a stand-in without that".to_owned())) })
}

impl Library for Shelf {
    fn state(&self) -> watch::Receiver<LibraryState> {
        self.state.subscribe()
    }
    fn set_folders(&self, _: Vec<PathBuf>) -> BoxFuture<'_, Result<(), LibraryError>> {
        never()
    }
    fn scan(&self) -> BoxFuture<'_, Result<(), LibraryError>> {
        never()
    }
    fn playlists(&self) -> BoxFuture<'_, Result<Vec<PlaylistInfo>, LibraryError>> {
        never()
    }
    fn playlist(&self, id: PlaylistId) -> BoxFuture<'_, Result<PlaylistInfo, LibraryError>> {
        Box::pin(async move { Ok(info(&id.0)) })
    }
    fn playlist_items(
        &self,
        _: PlaylistId,
        _: u32,
        _: u32,
    ) -> BoxFuture<'_, Result<Vec<MediaUri>, LibraryError>> {
        never()
    }
    fn create_playlist(
        &self,
        _: String,
        _: Vec<MediaUri>,
    ) -> BoxFuture<'_, Result<PlaylistInfo, LibraryError>> {
        never()
    }
    fn create_auto_playlist(
        &self,
        _: String,
        _: String,
    ) -> BoxFuture<'_, Result<PlaylistInfo, LibraryError>> {
        never()
    }
    fn import_playlist(&self, _: PathBuf) -> BoxFuture<'_, Result<ImportedPlaylist, LibraryError>> {
        never()
    }
    fn edit_playlist(
        &self,
        _: PlaylistId,
        _: PlaylistEdit,
    ) -> BoxFuture<'_, Result<PlaylistInfo, LibraryError>> {
        never()
    }
    fn delete_playlist(&self, _: PlaylistId) -> BoxFuture<'_, Result<(), LibraryError>> {
        never()
    }
    fn search(&self, _: String) -> BoxFuture<'_, Result<Vec<MediaUri>, LibraryError>> {
        never()
    }
    fn media_info(&self, _: MediaUri) -> BoxFuture<'_, Result<BTreeMap<String, MediaValue>, LibraryError>> {
        never()
    }
    fn set_media_info(
        &self,
        _: MediaUri,
        _: String,
        _: MediaValue,
    ) -> BoxFuture<'_, Result<(), LibraryError>> {
        never()
    }
    fn default_playlists(&self) -> BoxFuture<'_, Result<Vec<PlaylistId>, LibraryError>> {
        never()
    }
    fn transfer_playlist(&self, _: DeviceId, _: String) -> BoxFuture<'_, Result<PlaylistInfo, LibraryError>> {
        never()
    }
    fn resolve(&self, wanted: Vec<PlaylistId>) -> BoxFuture<'_, Result<Resolved, LibraryError>> {
        let resolved = self.resolved(wanted);
        Box::pin(async { Ok(resolved) })
    }
    fn open(&self, track: TrackId) -> BoxFuture<'_, Result<OpenedTrack, LibraryError>> {
        let opened = self.copy(track).and_then(|copy| {
            let file = File::open(&copy.path).ok()?;
            let (size, modified_ns) = (copy.size, copy.modified_ns);
            Some(OpenedTrack { file, size, modified_ns, changed_ns: modified_ns })
        });
        Box::pin(async { opened.ok_or_else(|| LibraryError::NotFound("the file is gone".to_owned())) })
    }
    fn hash(&self, tracks: Vec<TrackId>) -> BoxFuture<'_, Result<Vec<Option<u128>>, LibraryError>> {
        let hashes = tracks.into_iter().map(|track| self.copy(track).map(|copy| copy.hash)).collect();
        Box::pin(async { Ok(hashes) })
    }
    fn track_hashes(
        &self,
        tracks: Vec<TrackId>,
        _apart: Apart,
    ) -> BoxFuture<'_, Result<Vec<Option<TrackHashes>>, LibraryError>> {
        let hashes = |copy: Copy| TrackHashes { whole: copy.hash, audio: Some(copy.audio_hash) };
        let hashes = tracks.into_iter().map(|track| self.copy(track).map(hashes)).collect();
        Box::pin(async { Ok(hashes) })
    }
    fn cover(
        &self,
        track: TrackId,
        limits: CoverLimits,
    ) -> BoxFuture<'_, Result<Option<Cover>, LibraryError>> {
        let cover = self.cover_of(track);
        let cover =
            cover.map(|jpeg| Cover { jpeg, width: limits.width.min(90), height: limits.height.min(90) });
        Box::pin(async { Ok(cover) })
    }
    fn cover_stamps(&self, tracks: Vec<TrackId>) -> BoxFuture<'_, Result<Vec<u64>, LibraryError>> {
        let stamp = |jpeg: Vec<u8>| xxhash_rust::xxh3::xxh3_64(&jpeg).max(1);
        let stamps = tracks.into_iter().map(|track| self.cover_of(track).map_or(0, stamp)).collect();
        Box::pin(async { Ok(stamps) })
    }
}

/// The only library there is.
pub struct OneShelf(pub Arc<Shelf>);

impl Libraries for OneShelf {
    fn open(&self, _: Uid) -> BoxFuture<'_, Result<Arc<dyn Library>, LibraryError>> {
        let library: Arc<dyn Library> = Arc::<Shelf>::clone(&self.0);
        Box::pin(async { Ok(library) })
    }
}
