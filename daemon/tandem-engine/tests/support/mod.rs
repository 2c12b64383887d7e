//! An engine on the real store and the real folder player, with a library whose files lie in a directory and whose
//! playlists the test sets.

#![allow(
    dead_code,
    missing_docs,
    clippy::unwrap_used,
    reason = "each test uses a part of it, and fails by panicking"
)]

mod door;
mod manifests;

use door::Door;
use manifests::{Closed, WatchedManifests};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tandem_engine::{Engine, EngineOptions, Inputs, Parts};
use tandem_model::BoxFuture;
use tandem_model::clock::{Clock, SystemClock};
use tandem_model::device::{DeviceDescription, Kind, SyncState};
use tandem_model::error::LibraryError;
use tandem_model::event::EngineEvent;
use tandem_model::id::{DeviceId, Guid, MediaUri, PlaylistId, TrackId, Uid};
use tandem_model::library::{ImportedPlaylist, Libraries, Library, LibraryState, OpenedTrack, Resolved};
use tandem_model::manifest::ManifestStore;
use tandem_model::media::{MediaValue, PlaylistEdit, PlaylistInfo, PlaylistKind, ResolvedPlaylist, Track};
use tandem_model::partnership::PartnershipStore;
use tandem_model::presence::{Arrival, Locator, Presence};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub(crate) const OWNER: Uid = 1000;
const LIMIT: Duration = Duration::from_secs(20);

/// A library of files in a directory; `playlists` names them by file name.
pub(crate) struct FakeLibrary {
    pub(crate) folder: PathBuf,
    pub(crate) playlists: Mutex<BTreeMap<String, Vec<String>>>,
    pub(crate) trouble: Mutex<Option<String>>,
    /// Resolves nothing and finds no playlist, like an agent that hangs.
    pub(crate) silent: AtomicBool,
    /// How often a silent library was asked for a playlist.
    pub(crate) asked: watch::Sender<u64>,
    /// Changes whenever it is asked what its playlists hold.
    pub(crate) restless: AtomicBool,
    /// How often it was asked that.
    pub(crate) resolved: AtomicU64,
    /// Tracks that may be opened; a run that wants more stands still.
    pub(crate) may_open: watch::Sender<u64>,
    /// How many tracks were asked for.
    pub(crate) opened: watch::Sender<u64>,
    /// Which ones, in that order; a track may be asked for again when it took long.
    pub(crate) tracks_opened: Mutex<Vec<TrackId>>,
    state: watch::Sender<LibraryState>,
}

impl FakeLibrary {
    pub(crate) fn changed(&self) {
        self.state.send_modify(|state| state.generation += 1);
    }

    /// Begins or ends a scan.
    pub(crate) fn scan_goes_on(&self, goes_on: bool) {
        self.state.send_modify(|state| state.scanning = goes_on);
    }

    pub(crate) fn set(&self, playlist: &str, files: &[&str]) {
        let files = files.iter().map(|&file| file.to_owned()).collect();
        self.playlists.lock().unwrap().insert(playlist.to_owned(), files);
        self.changed();
    }

    /// The URI of a file of the library, there or not.
    pub(crate) fn uri(&self, name: &str) -> MediaUri {
        MediaUri(format!("file://{}", self.folder.join(name).display()).into())
    }

    /// The id of a file that is there.
    pub(crate) fn id(&self, name: &str) -> TrackId {
        self.track(name).unwrap().id
    }

    fn track(&self, name: &str) -> Option<Track> {
        let path = self.folder.join(name);
        let meta = std::fs::metadata(&path).ok()?;
        Some(Track {
            id: TrackId(i64::try_from(meta.ino()).unwrap()),
            uri: MediaUri(format!("file://{}", path.display()).into()),
            file_name: name.into(),
            size: meta.len(),
            modified_ns: meta.mtime() * 1_000_000_000 + meta.mtime_nsec(),
            mime: "audio/mpeg".into(),
            title: name.into(),
            artist: "Ann".into(),
            album_artist: "".into(),
            album: "Live".into(),
            duration_ms: 1000,
            genre: "Jazz".into(),
            track_number: 3,
        })
    }

    fn by_id(&self, id: TrackId) -> Option<PathBuf> {
        let mut files = std::fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap());
        files
            .find(|entry| i64::try_from(entry.metadata().unwrap().ino()).unwrap() == id.0)
            .map(|entry| entry.path())
    }

    fn info(&self, name: &str) -> PlaylistInfo {
        PlaylistInfo {
            id: PlaylistId(name.to_owned()),
            name: name.to_owned(),
            kind: PlaylistKind::Static,
            rule: String::new(),
            count: 0,
            sync_only: false,
        }
    }
}

fn never<T>() -> Result<T, LibraryError> {
    Err(LibraryError::Failed("not part of this library".to_owned()))
}

impl Library for FakeLibrary {
    fn state(&self) -> watch::Receiver<LibraryState> {
        self.state.subscribe()
    }
    fn set_folders(&self, _: Vec<PathBuf>) -> BoxFuture<'_, Result<(), LibraryError>> {
        Box::pin(async { never() })
    }
    fn scan(&self) -> BoxFuture<'_, Result<(), LibraryError>> {
        Box::pin(async { never() })
    }
    fn playlists(&self) -> BoxFuture<'_, Result<Vec<PlaylistInfo>, LibraryError>> {
        Box::pin(async { never() })
    }
    fn playlist(&self, id: PlaylistId) -> BoxFuture<'_, Result<PlaylistInfo, LibraryError>> {
        if self.silent.load(Ordering::Relaxed) {
            self.asked.send_modify(|count| *count += 1);
            return Box::pin(std::future::pending());
        }
        let known = self.playlists.lock().unwrap().contains_key(&id.0);
        let answer = if known {
            Ok(self.info(&id.0))
        } else {
            Err(LibraryError::NotFound(format!("no playlist `{id}`")))
        };
        Box::pin(async { answer })
    }
    fn playlist_items(
        &self,
        id: PlaylistId,
        _: u32,
        _: u32,
    ) -> BoxFuture<'_, Result<Vec<MediaUri>, LibraryError>> {
        let files = self.playlists.lock().unwrap().get(&id.0).cloned().unwrap_or_default();
        let items = files.iter().map(|file| self.uri(file)).collect();
        Box::pin(async { Ok(items) })
    }
    fn create_playlist(
        &self,
        _: String,
        _: Vec<MediaUri>,
    ) -> BoxFuture<'_, Result<PlaylistInfo, LibraryError>> {
        Box::pin(async { never() })
    }
    fn create_auto_playlist(
        &self,
        _: String,
        _: String,
    ) -> BoxFuture<'_, Result<PlaylistInfo, LibraryError>> {
        Box::pin(async { never() })
    }
    fn import_playlist(&self, _: PathBuf) -> BoxFuture<'_, Result<ImportedPlaylist, LibraryError>> {
        Box::pin(async { never() })
    }
    fn edit_playlist(
        &self,
        id: PlaylistId,
        edit: PlaylistEdit,
    ) -> BoxFuture<'_, Result<PlaylistInfo, LibraryError>> {
        if let PlaylistEdit::Append(media) = edit {
            let names = media.iter().map(|uri| uri.0.rsplit('/').next().unwrap().to_owned());
            self.playlists.lock().unwrap().entry(id.0.clone()).or_default().extend(names);
        }
        let info = self.info(&id.0);
        Box::pin(async { Ok(info) })
    }
    fn delete_playlist(&self, _: PlaylistId) -> BoxFuture<'_, Result<(), LibraryError>> {
        Box::pin(async { never() })
    }
    fn search(&self, _: String) -> BoxFuture<'_, Result<Vec<MediaUri>, LibraryError>> {
        Box::pin(async { never() })
    }
    fn media_info(
        &self,
        media: MediaUri,
    ) -> BoxFuture<'_, Result<BTreeMap<String, MediaValue>, LibraryError>> {
        let known = self.track(media.0.rsplit('/').next().unwrap()).map(|_| BTreeMap::new());
        Box::pin(async move { known.ok_or_else(|| LibraryError::NotFound(format!("no media {media}"))) })
    }
    fn set_media_info(
        &self,
        _: MediaUri,
        _: String,
        _: MediaValue,
    ) -> BoxFuture<'_, Result<(), LibraryError>> {
        Box::pin(async { never() })
    }
    fn default_playlists(&self) -> BoxFuture<'_, Result<Vec<PlaylistId>, LibraryError>> {
        let all = self.playlists.lock().unwrap().keys().cloned().map(PlaylistId).collect();
        Box::pin(async { Ok(all) })
    }
    fn transfer_playlist(
        &self,
        _: DeviceId,
        name: String,
    ) -> BoxFuture<'_, Result<PlaylistInfo, LibraryError>> {
        let info = self.info(&format!("Transferred to {name}"));
        Box::pin(async { Ok(info) })
    }
    fn resolve(&self, wanted: Vec<PlaylistId>) -> BoxFuture<'_, Result<Resolved, LibraryError>> {
        if self.silent.load(Ordering::Relaxed) {
            return Box::pin(std::future::pending());
        }
        self.resolved.fetch_add(1, Ordering::Relaxed);
        if self.restless.load(Ordering::Relaxed) {
            self.changed();
        }
        let mut resolved = Resolved { trouble: self.trouble.lock().unwrap().clone(), ..Resolved::default() };
        let mut positions = BTreeMap::new();
        for id in wanted {
            let Some(files) = self.playlists.lock().unwrap().get(&id.0).cloned() else {
                resolved.missing.push(id);
                continue;
            };
            let mut playlist =
                ResolvedPlaylist { name: id.0.clone(), id, tracks: Vec::new(), unresolved: Vec::new() };
            for file in files {
                let Some(track) = self.track(&file) else {
                    playlist.unresolved.push(file);
                    continue;
                };
                let tracks = &mut resolved.tracks;
                let position = *positions.entry(file).or_insert_with(|| {
                    tracks.push(track);
                    u32::try_from(tracks.len() - 1).unwrap()
                });
                playlist.tracks.push(position);
            }
            resolved.playlists.push(playlist);
        }
        Box::pin(async { Ok(resolved) })
    }
    fn open(&self, track: TrackId) -> BoxFuture<'_, Result<OpenedTrack, LibraryError>> {
        let opened = self.by_id(track).map(|path| {
            let file = File::open(path).unwrap();
            let meta = file.metadata().unwrap();
            OpenedTrack {
                file,
                size: meta.len(),
                modified_ns: meta.mtime() * 1_000_000_000 + meta.mtime_nsec(),
                changed_ns: meta.ctime() * 1_000_000_000 + meta.ctime_nsec(),
            }
        });
        Box::pin(async move {
            self.tracks_opened.lock().unwrap().push(track);
            self.opened.send_modify(|count| *count += 1);
            let number = *self.opened.borrow();
            let mut may_open = self.may_open.subscribe();
            may_open.wait_for(|most| number <= *most).await.unwrap();
            opened.ok_or_else(|| LibraryError::NotFound("the file is gone".to_owned()))
        })
    }
    fn hash(&self, tracks: Vec<TrackId>) -> BoxFuture<'_, Result<Vec<Option<u128>>, LibraryError>> {
        let hash = |id| self.by_id(id).map(|path| xxhash_rust::xxh3::xxh3_128(&std::fs::read(path).unwrap()));
        let hashes = tracks.into_iter().map(hash).collect();
        Box::pin(async { Ok(hashes) })
    }
}

struct OneLibrary(Arc<FakeLibrary>);

impl Libraries for OneLibrary {
    fn open(&self, _: Uid) -> BoxFuture<'_, Result<Arc<dyn Library>, LibraryError>> {
        let library: Arc<dyn Library> = self.0.clone();
        Box::pin(async { Ok(library) })
    }
}

/// A running engine with everything around it.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) library: Arc<FakeLibrary>,
    pub(crate) door: Arc<Door>,
    pub(crate) clock: Arc<AnyClock>,
    pub(crate) closed: Closed,
    pub(crate) engine: Engine,
    pub(crate) seen: Vec<EngineEvent>,
    events: mpsc::Receiver<EngineEvent>,
    presence: mpsc::Sender<Presence>,
    stop: CancellationToken,
    task: Option<tokio::task::JoinHandle<()>>,
}

/// The computer's clock, right or set to something else.
#[derive(Default)]
pub(crate) struct AnyClock(AtomicU64);

impl AnyClock {
    /// Sets it, to seconds since 1970; 0: right.
    pub(crate) fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::Relaxed);
    }
}

impl Clock for AnyClock {
    fn now(&self) -> u64 {
        match self.0.load(Ordering::Relaxed) {
            0 => SystemClock.now(),
            set => set,
        }
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::within(tempfile::tempdir().unwrap()).await
    }

    async fn within(dir: tempfile::TempDir) -> Self {
        let folder = dir.path().join("library");
        std::fs::create_dir_all(&folder).unwrap();
        let library = Arc::new(FakeLibrary {
            folder,
            playlists: Mutex::default(),
            trouble: Mutex::default(),
            silent: AtomicBool::default(),
            asked: watch::Sender::new(0),
            restless: AtomicBool::default(),
            resolved: AtomicU64::default(),
            may_open: watch::Sender::new(u64::MAX),
            opened: watch::Sender::new(0),
            tracks_opened: Mutex::default(),
            state: watch::Sender::new(LibraryState::default()),
        });
        Self::with_library(dir, library).await
    }

    async fn with_library(dir: tempfile::TempDir, library: Arc<FakeLibrary>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let state = dir.path().join("state");
        let (presence, arrivals) = mpsc::channel(16);
        let door = Arc::new(Door::new());
        let clock = Arc::new(AnyClock::default());
        let stop = CancellationToken::new();
        let closed = Closed::default();
        let inner = tandem_store::SqliteManifests::new(state.clone());
        let parts = Parts {
            store: Arc::new(tandem_store::PartnershipFile::new(state)),
            manifests: Arc::new(WatchedManifests { inner, closed: Arc::clone(&closed) }),
            opener: Arc::<Door>::clone(&door),
            libraries: Arc::new(OneLibrary(Arc::clone(&library))),
            clock: Arc::<AnyClock>::clone(&clock),
            // such as are made at random don't share their beginning
            new_guid: Arc::new(|| Guid(u128::from(NEXT.fetch_add(1, Ordering::Relaxed)) << 104 | 1)),
            options: EngineOptions { settle: Duration::from_millis(20), ..EngineOptions::default() },
        };
        let started = Engine::start(parts, Inputs { presence: arrivals, stop: stop.clone() }).await.unwrap();
        let (engine, events, task) = (started.engine, started.events, Some(started.task));
        Self { dir, library, door, clock, closed, engine, seen: Vec::new(), events, presence, stop, task }
    }

    /// Ends the engine and starts another on the same state.
    pub(crate) async fn restart(self) -> Self {
        self.restart_with(|| ()).await
    }

    /// The same, with something done while no engine runs.
    pub(crate) async fn restart_with(mut self, meanwhile: impl FnOnce()) -> Self {
        self.stop.cancel();
        self.task.take().unwrap().await.unwrap();
        meanwhile();
        let World { dir, library, .. } = self;
        Self::with_library(dir, library).await
    }

    /// Ends the engine as a power cut would, and starts another on the same state.
    pub(crate) async fn cut(mut self) -> Self {
        let task = self.task.take().unwrap();
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        let World { dir, library, .. } = self;
        Self::with_library(dir, library).await
    }

    pub(crate) fn player(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn add_file(&self, name: &str, bytes: &[u8]) {
        File::create(self.library.folder.join(name))
            .and_then(|mut f| std::io::Write::write_all(&mut f, bytes))
            .unwrap();
    }

    pub(crate) fn arrival(&self, name: &str) -> Arrival {
        let path = self.player(name);
        Arrival {
            key: path.display().to_string(),
            description: DeviceDescription::named(DeviceId(name.to_owned()), Kind::Folder, name),
            port: String::new(),
            locator: Locator::Folder { path },
        }
    }

    /// Plugs in a folder player.
    pub(crate) async fn come(&self, name: &str) -> DeviceId {
        std::fs::create_dir_all(self.player(name)).unwrap();
        self.presence.send(Presence::Arrived(self.arrival(name))).await.unwrap();
        DeviceId(name.to_owned())
    }

    /// Plugs in a folder player and waits until it is initialised.
    pub(crate) async fn plug(&mut self, name: &str) -> DeviceId {
        let id = self.come(name).await;
        self.wait_for(|event| matches!(event, EngineEvent::Connected(device) if *device == id)).await;
        id
    }

    /// Service providers came, went or changed.
    pub(crate) async fn change_providers(&self) {
        self.presence.send(Presence::ProvidersChanged).await.unwrap();
    }

    /// Tells of an arrival or a departure.
    pub(crate) async fn presence(&self, presence: Presence) {
        self.presence.send(presence).await.unwrap();
    }

    pub(crate) async fn unplug(&mut self, name: &str) {
        self.presence.send(Presence::Departed(self.player(name).display().to_string())).await.unwrap();
        let id = DeviceId(name.to_owned());
        self.wait_for(|event| matches!(event, EngineEvent::Disconnected(device) if *device == id)).await;
    }

    /// Reads events until one fits; all are kept in `seen`.
    pub(crate) async fn wait_for(&mut self, fits: impl Fn(&EngineEvent) -> bool) -> EngineEvent {
        loop {
            let event = tokio::time::timeout(LIMIT, self.events.recv()).await;
            let event =
                event.unwrap_or_else(|_| panic!("the event did not come; seen: {:#?}", self.seen)).unwrap();
            self.seen.push(event.clone());
            if fits(&event) {
                return event;
            }
        }
    }

    pub(crate) async fn wait_stopped(&mut self, device: &DeviceId) {
        self.wait_for(
            |event| matches!(event, EngineEvent::SyncStateChanged(d, SyncState::Stopped) if d == device),
        )
        .await;
    }

    pub(crate) async fn wait_synchronizing(&mut self, device: &DeviceId) {
        self.wait_for(|event| matches!(event, EngineEvent::SyncStateChanged(d, SyncState::Synchronizing) if d == device)).await;
    }

    /// Partners the device with these playlists and waits for the run that follows.
    pub(crate) async fn partner(&mut self, device: &DeviceId, playlists: &[&str]) {
        let playlists = playlists.iter().map(|name| PlaylistId((*name).to_owned())).collect();
        self.engine.create_partnership(device, OWNER, Some(playlists)).await.unwrap();
        let complete = |event: &EngineEvent| matches!(event, EngineEvent::CreatePartnershipComplete { .. });
        let event = self.wait_for(complete).await;
        assert!(matches!(&event, EngineEvent::CreatePartnershipComplete { result: Ok(()), .. }), "{event:?}");
        self.wait_synchronizing(device).await;
        self.wait_stopped(device).await;
    }

    /// Starts a run that stands still after so many tracks.
    pub(crate) async fn start_and_hold(&mut self, device: &DeviceId, after: u64) {
        let most = *self.library.opened.borrow() + after;
        self.library.may_open.send_replace(most);
        self.engine.start_sync(device).await.unwrap();
        let mut opened = self.library.opened.subscribe();
        tokio::time::timeout(LIMIT, opened.wait_for(|now| *now > most)).await.unwrap().unwrap();
    }

    /// Lets a run go on.
    pub(crate) fn release(&self) {
        self.library.may_open.send_replace(u64::MAX);
    }

    /// The manifests, for what a cut would have left in them. No run may go on.
    pub(crate) fn manifest(&self) -> Box<dyn tandem_model::manifest::Manifest> {
        let state = self.dir.path().join("state");
        let record = tandem_store::PartnershipFile::new(state.clone()).load().unwrap();
        tandem_store::SqliteManifests::new(state).open(record.partnerships[0].relationship).unwrap()
    }

    /// Starts a run and waits for its end.
    pub(crate) async fn sync(&mut self, device: &DeviceId) {
        self.engine.start_sync(device).await.unwrap();
        self.wait_synchronizing(device).await;
        self.wait_stopped(device).await;
    }

    /// Every file below the player, with its content.
    pub(crate) fn tree(&self, player: &str) -> BTreeMap<String, Vec<u8>> {
        let root = self.player(player);
        let mut files = BTreeMap::new();
        collect(&root, &root, &mut files);
        files
    }
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            files.insert(name, std::fs::read(&path).unwrap());
        }
    }
}
