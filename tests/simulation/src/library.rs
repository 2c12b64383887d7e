//! The owner's library: files with bytes and times, playlists, and folders that can go away. The engine sees it through
//! the same trait as the real one.

use crate::event::LibraryEdit;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tandem_model::BoxFuture;
use tandem_model::error::LibraryError;
use tandem_model::id::{DeviceId, MediaUri, PlaylistId, TrackId, Uid};
use tandem_model::library::{
    Apart, ImportedPlaylist, Libraries, Library, LibraryState, OpenedTrack, Resolved, TrackHashes,
};
use tandem_model::media::{MediaValue, PlaylistEdit, PlaylistInfo, PlaylistKind, ResolvedPlaylist, Track};
use tokio::sync::watch;

/// How many playlists there are.
pub(crate) const PLAYLISTS: usize = 3;

/// A file of the library.
#[derive(Debug, Clone)]
pub(crate) struct Song {
    /// The library's number of it.
    pub(crate) id: i64,
    /// Its name.
    pub(crate) file_name: String,
    /// Artist and album, which are also its folders.
    pub(crate) artist: &'static str,
    /// See `artist`.
    pub(crate) album: String,
    /// Its content.
    pub(crate) bytes: Arc<[u8]>,
    /// What of that isn't tags, as a number that no other music has.
    pub(crate) music: u64,
    /// What its tags say.
    pub(crate) title: String,
    /// When it was changed last, nanoseconds since 1970.
    pub(crate) modified_ns: i64,
    /// The disk that it lies on.
    pub(crate) disk: u64,
    /// Which of the two folders it lies in.
    pub(crate) second_folder: bool,
    /// It can't be opened.
    pub(crate) locked: bool,
    /// The playlists that hold it.
    pub(crate) playlists: [bool; PLAYLISTS],
}

impl Song {
    /// Its URI.
    #[must_use]
    pub(crate) fn uri(&self) -> String {
        let folder = if self.second_folder { "more" } else { "music" };
        let disk = self.disk;
        format!("file:///{disk}{folder}/{}/{}/{}", self.artist, self.album, self.file_name)
    }

    /// Where it would be put on a player where nothing is in the way.
    #[must_use]
    pub(crate) fn place(&self) -> String {
        format!("Music/{}/{}/{}", self.artist, self.album, self.file_name)
    }

    /// What it is.
    #[must_use]
    pub(crate) fn mime(&self) -> &'static str {
        if self.file_name.ends_with(".flac") { "audio/flac" } else { "audio/mpeg" }
    }

    /// It lies where that one lies.
    fn lie_at(&mut self, place: &Self) {
        self.file_name.clone_from(&place.file_name);
        self.album.clone_from(&place.album);
        (self.artist, self.disk, self.second_folder) = (place.artist, place.disk, place.second_folder);
    }

    fn track(&self) -> Track {
        Track {
            id: TrackId(self.id),
            uri: MediaUri(self.uri().into()),
            file_name: self.file_name.as_str().into(),
            size: self.bytes.len() as u64,
            modified_ns: self.modified_ns,
            mime: self.mime().into(),
            title: self.title.as_str().into(),
            artist: self.artist.into(),
            album_artist: "".into(),
            album: self.album.as_str().into(),
            duration_ms: 1000,
            genre: "Jazz".into(),
            track_number: 3,
        }
    }
}

/// What the library holds.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    /// Its files.
    pub(crate) songs: Vec<Song>,
    /// The playlists' names.
    pub(crate) names: Vec<String>,
    /// Which of the two folders are gone.
    pub(crate) unmounted: [bool; 2],
    contents: u64,
    /// Which music each content holds, by its hash.
    musics: BTreeMap<u128, u64>,
    last_id: i64,
    clock_ns: i64,
    disk: u64,
}

impl Shelf {
    fn new() -> Self {
        let names = (0..PLAYLISTS).map(|number| format!("P{number}")).collect();
        Self { names, clock_ns: 1_600_000_000_123_456_789, ..Self::default() }
    }

    /// Bytes that nothing else ever had.
    pub(crate) fn fresh(&mut self, size: usize) -> Arc<[u8]> {
        self.contents += 1;
        let mut bytes = vec![0; size.max(8)];
        bytes[..8].copy_from_slice(&self.contents.to_le_bytes());
        bytes.into()
    }

    /// Remembers which music this content holds.
    fn know(&mut self, song: &Song) {
        self.musics.insert(crate::device::hash(&song.bytes), song.music);
    }

    /// The music of the content with this hash.
    pub(crate) fn music_of(&self, hash: u128) -> Option<u64> {
        self.musics.get(&hash).copied()
    }

    fn tick(&mut self) -> i64 {
        self.clock_ns += 61_000_000_777;
        self.clock_ns
    }

    /// The files that are there now.
    pub(crate) fn there(&self) -> impl Iterator<Item = &Song> {
        self.songs.iter().filter(|song| !self.unmounted[usize::from(song.second_folder)])
    }

    /// Why it looks wrong.
    #[must_use]
    pub(crate) fn trouble(&self) -> Option<String> {
        self.unmounted.contains(&true).then(|| "a folder is not mounted".to_owned())
    }

    /// The place of one of the files, of which there is one at least.
    fn at(&self, number: u8) -> usize {
        usize::from(number) % self.songs.len()
    }

    fn song(&mut self, number: u8) -> Option<&mut Song> {
        let count = self.songs.len().max(1);
        self.songs.get_mut(usize::from(number) % count)
    }

    fn is_free(&self, song: &Song) -> bool {
        self.songs.iter().all(|other| other.id == song.id || other.uri() != song.uri())
    }

    fn add(&mut self, playlist: u8, size: u16) {
        self.last_id += 1;
        let number = self.last_id;
        let ending = if number % 9 == 0 { "flac" } else { "mp3" };
        // names repeat, so that tracks of both folders want the same one on the player
        let name = if number % 7 == 0 { "Same".to_owned() } else { format!("{number:02}") };
        let mut playlists = [false; PLAYLISTS];
        playlists[usize::from(playlist) % PLAYLISTS] = true;
        let song = Song {
            id: number,
            file_name: format!("{name}.{ending}"),
            artist: if number % 2 == 0 { "Ann" } else { "Bob" },
            album: if number % 3 == 0 { "Live".to_owned() } else { "Best".to_owned() },
            bytes: self.fresh(usize::from(size)),
            music: self.contents,
            title: name,
            disk: self.disk,
            modified_ns: self.tick(),
            second_folder: number % 5 == 0,
            locked: false,
            playlists,
        };
        if self.is_free(&song) {
            self.know(&song);
            self.songs.push(song);
        }
    }

    /// Makes the change.
    pub(crate) fn edit(&mut self, edit: &LibraryEdit) {
        let now = self.tick();
        match edit {
            LibraryEdit::Add { playlist, size } => self.add(*playlist, *size),
            LibraryEdit::Delete(track) if !self.songs.is_empty() => {
                self.songs.remove(self.at(*track));
            }
            LibraryEdit::Rename(track) => {
                if let Some(song) = self.song(*track) {
                    let (_, ending) = song.file_name.rsplit_once('.').unwrap_or_default();
                    song.file_name = format!("r{}-{}.{ending}", now % 1_000_003, song.id);
                }
            }
            LibraryEdit::MoveAlbum(track) => {
                let Some(one) = self.song(*track).cloned() else { return };
                let album = format!("Moved {}", now % 1_000_003);
                let same = |song: &&mut Song| song.artist == one.artist && song.album == one.album;
                self.songs.iter_mut().filter(same).for_each(|song| song.album.clone_from(&album));
            }
            LibraryEdit::Retag { track, longer } => {
                let Some(size) = self.song(*track).map(|song| song.bytes.len()) else { return };
                let bytes = self.fresh(if *longer { size + 37 } else { size });
                if let Some(song) = self.song(*track) {
                    (song.bytes, song.modified_ns, song.title) = (bytes, now, format!("T{now}"));
                    let song = song.clone();
                    self.know(&song);
                }
            }
            LibraryEdit::Reencode(track) => {
                let Some(size) = self.song(*track).map(|song| song.bytes.len()) else { return };
                let bytes = self.fresh(size + 5);
                let music = self.contents;
                if let Some(song) = self.song(*track) {
                    (song.bytes, song.modified_ns, song.music) = (bytes, now, music);
                    let song = song.clone();
                    self.know(&song);
                }
            }
            LibraryEdit::NewDisk => {
                self.disk += 1;
                let disk = self.disk;
                for song in &mut self.songs {
                    (song.disk, song.modified_ns) = (disk, song.modified_ns + now % 1009 + 1);
                }
            }
            LibraryEdit::Touch(track) => {
                if let Some(song) = self.song(*track) {
                    song.modified_ns = now;
                }
            }
            LibraryEdit::TouchAll => self.songs.iter_mut().for_each(|song| song.modified_ns += now % 977 + 1),
            LibraryEdit::Unmount(second) => self.unmounted[usize::from(*second)] = true,
            LibraryEdit::Mount => self.unmounted = [false; 2],
            LibraryEdit::Toggle { playlist, track } => {
                if let Some(song) = self.song(*track) {
                    song.playlists[usize::from(*playlist) % PLAYLISTS] ^= true;
                }
            }
            LibraryEdit::RenamePlaylist(playlist) => {
                let at = usize::from(*playlist) % PLAYLISTS;
                self.names[at] = format!("P{at} of {}", now % 1_000_003);
            }
            LibraryEdit::Lock(track) => {
                if let Some(song) = self.song(*track) {
                    song.locked ^= true;
                }
            }
            LibraryEdit::MoveOver { track, over } if !self.songs.is_empty() => {
                let (track, over) = (self.at(*track), self.at(*over));
                if track != over {
                    let place = self.songs[over].clone();
                    self.songs[track].lie_at(&place);
                    self.songs.remove(over);
                }
            }
            LibraryEdit::Exchange { one, other } if !self.songs.is_empty() => {
                let (one, other) = (self.at(*one), self.at(*other));
                let places = (self.songs[one].clone(), self.songs[other].clone());
                self.songs[one].lie_at(&places.1);
                self.songs[other].lie_at(&places.0);
            }
            LibraryEdit::Delete(_) | LibraryEdit::MoveOver { .. } | LibraryEdit::Exchange { .. } => {}
        }
    }
}

/// The library that both computers have.
#[derive(Debug)]
pub(crate) struct SimulatedLibrary {
    shelf: Mutex<Shelf>,
    state: watch::Sender<LibraryState>,
}

impl Default for SimulatedLibrary {
    fn default() -> Self {
        Self { shelf: Mutex::new(Shelf::new()), state: watch::Sender::new(LibraryState::default()) }
    }
}

/// The playlist with this number.
#[must_use]
pub(crate) fn playlist_id(number: usize) -> PlaylistId {
    PlaylistId(format!("p{number}"))
}

fn number_of(id: &PlaylistId) -> Option<usize> {
    (0..PLAYLISTS).find(|&number| playlist_id(number) == *id)
}

impl SimulatedLibrary {
    /// What it holds.
    pub(crate) fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a change, and tells of it.
    pub(crate) fn edit(&self, edit: &LibraryEdit) {
        self.shelf().edit(edit);
        self.state.send_modify(|state| state.generation += 1);
    }

    fn resolved(&self, wanted: &[PlaylistId]) -> Resolved {
        let shelf = self.shelf();
        let mut resolved = Resolved { trouble: shelf.trouble(), ..Resolved::default() };
        let mut positions = BTreeMap::new();
        for id in wanted {
            let Some(number) = number_of(id) else {
                resolved.missing.push(id.clone());
                continue;
            };
            let name = shelf.names[number].clone();
            let mut playlist =
                ResolvedPlaylist { id: id.clone(), name, tracks: Vec::new(), unresolved: Vec::new() };
            for song in shelf.there().filter(|song| song.playlists[number]) {
                let tracks = &mut resolved.tracks;
                let position = *positions.entry(song.id).or_insert_with(|| {
                    tracks.push(song.track());
                    u32::try_from(tracks.len() - 1).unwrap_or(u32::MAX)
                });
                playlist.tracks.push(position);
            }
            resolved.playlists.push(playlist);
        }
        resolved
    }

    fn opened(&self, id: TrackId) -> Result<OpenedTrack, LibraryError> {
        let shelf = self.shelf();
        let song = shelf.there().find(|song| song.id == id.0);
        let song = song.ok_or_else(|| LibraryError::NotFound("the file is gone".to_owned()))?;
        if song.locked {
            return Err(LibraryError::Unreadable("the file can't be read".to_owned()));
        }
        let failed = |error: std::io::Error| LibraryError::Failed(error.to_string());
        let memory = rustix::fs::memfd_create("song", rustix::fs::MemfdFlags::CLOEXEC)
            .map_err(|errno| failed(errno.into()))?;
        let mut file = File::from(memory);
        file.write_all(&song.bytes).and_then(|()| file.rewind()).map_err(failed)?;
        let (size, modified_ns) = (song.bytes.len() as u64, song.modified_ns);
        Ok(OpenedTrack { file, size, modified_ns, changed_ns: modified_ns })
    }

    fn info(&self, number: usize) -> PlaylistInfo {
        PlaylistInfo {
            id: playlist_id(number),
            name: self.shelf().names[number].clone(),
            kind: PlaylistKind::Static,
            rule: String::new(),
            count: 0,
            sync_only: false,
        }
    }
}

type Answer<'a, T> = BoxFuture<'a, Result<T, LibraryError>>;

fn unused<'a, T: Send + 'a>() -> Answer<'a, T> {
    Box::pin(async { Err(LibraryError::Failed("not part of the simulation".to_owned())) })
}

impl Library for SimulatedLibrary {
    fn state(&self) -> watch::Receiver<LibraryState> {
        self.state.subscribe()
    }
    fn set_folders(&self, _: Vec<PathBuf>) -> Answer<'_, ()> {
        unused()
    }
    fn scan(&self) -> Answer<'_, ()> {
        unused()
    }
    fn playlists(&self) -> Answer<'_, Vec<PlaylistInfo>> {
        unused()
    }
    fn playlist(&self, id: PlaylistId) -> Answer<'_, PlaylistInfo> {
        let info = number_of(&id).map(|number| self.info(number));
        Box::pin(async move { info.ok_or_else(|| LibraryError::NotFound(format!("no playlist `{id}`"))) })
    }
    fn playlist_items(&self, _: PlaylistId, _: u32, _: u32) -> Answer<'_, Vec<MediaUri>> {
        unused()
    }
    fn create_playlist(&self, _: String, _: Vec<MediaUri>) -> Answer<'_, PlaylistInfo> {
        unused()
    }
    fn create_auto_playlist(&self, _: String, _: String) -> Answer<'_, PlaylistInfo> {
        unused()
    }
    fn import_playlist(&self, _: PathBuf) -> Answer<'_, ImportedPlaylist> {
        unused()
    }
    fn edit_playlist(&self, _: PlaylistId, _: PlaylistEdit) -> Answer<'_, PlaylistInfo> {
        unused()
    }
    fn delete_playlist(&self, _: PlaylistId) -> Answer<'_, ()> {
        unused()
    }
    fn search(&self, _: String) -> Answer<'_, Vec<MediaUri>> {
        unused()
    }
    fn media_info(&self, _: MediaUri) -> Answer<'_, BTreeMap<String, MediaValue>> {
        unused()
    }
    fn set_media_info(&self, _: MediaUri, _: String, _: MediaValue) -> Answer<'_, ()> {
        unused()
    }
    fn default_playlists(&self) -> Answer<'_, Vec<PlaylistId>> {
        unused()
    }
    fn transfer_playlist(&self, _: DeviceId, _: String) -> Answer<'_, PlaylistInfo> {
        unused()
    }
    fn resolve(&self, playlists: Vec<PlaylistId>) -> Answer<'_, Resolved> {
        let resolved = self.resolved(&playlists);
        Box::pin(async { Ok(resolved) })
    }
    fn open(&self, track: TrackId) -> Answer<'_, OpenedTrack> {
        let opened = self.opened(track);
        Box::pin(async { opened })
    }
    fn hash(&self, tracks: Vec<TrackId>) -> Answer<'_, Vec<Option<u128>>> {
        let shelf = self.shelf();
        let hash = |id: &TrackId| {
            let song = shelf.there().find(|song| song.id == id.0 && !song.locked);
            song.map(|song| crate::device::hash(&song.bytes))
        };
        let hashes = tracks.iter().map(hash).collect();
        Box::pin(async { Ok(hashes) })
    }
    fn track_hashes(&self, tracks: Vec<TrackId>, _: Apart) -> Answer<'_, Vec<Option<TrackHashes>>> {
        let shelf = self.shelf();
        let hashes = |id: &TrackId| {
            let song = shelf.there().find(|song| song.id == id.0 && !song.locked)?;
            let audio = Some(crate::device::hash(&song.music.to_le_bytes()));
            Some(TrackHashes { whole: crate::device::hash(&song.bytes), audio })
        };
        let hashes = tracks.iter().map(hashes).collect();
        Box::pin(async { Ok(hashes) })
    }
}

/// The library of the only user.
pub(crate) struct OneLibrary(pub(crate) Arc<SimulatedLibrary>);

impl Libraries for OneLibrary {
    fn open(&self, _: Uid) -> BoxFuture<'_, Result<Arc<dyn Library>, LibraryError>> {
        let library: Arc<dyn Library> = Arc::<SimulatedLibrary>::clone(&self.0);
        Box::pin(async { Ok(library) })
    }
}
