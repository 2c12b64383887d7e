//! For this crate's tests: an engine without devices, over libraries that are kept in memory.
//!
//! It counts how many libraries are open, and changes only when a test says so.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tandem_engine::{Engine, EngineOptions, Inputs, Parts, Started};
use tandem_model::BoxFuture;
use tandem_model::clock::SystemClock;
use tandem_model::error::{LibraryError, PlayerError, RequestError, StoreError};
use tandem_model::id::{DeviceId, Guid, MediaUri, PlaylistId, TrackId, Uid};
use tandem_model::library::{ImportedPlaylist, Libraries, Library, LibraryState, OpenedTrack, Resolved};
use tandem_model::manifest::{Manifest, ManifestStore};
use tandem_model::media::{MediaValue, PlaylistEdit, PlaylistInfo, PlaylistKind, ResolvedPlaylist};
use tandem_model::partnership::{PartnershipStore, Partnerships};
use tandem_model::player::{Player, PlayerOpener};
use tandem_model::presence::{Arrival, Presence};
use tandem_model::usb::{UsbDevices, UsbReport};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// The name of an imported playlist.
const IMPORTED: &str = "Imported";
/// The entry that every imported playlist leaves out.
pub(crate) const UNRESOLVED: &str = "none.mp3";

struct NoStore;

impl PartnershipStore for NoStore {
    fn load(&self) -> Result<Partnerships, StoreError> {
        Ok(Partnerships::default())
    }
    fn save(&self, _: &Partnerships) -> Result<(), StoreError> {
        Ok(())
    }
}

impl ManifestStore for NoStore {
    fn open(&self, relationship: Guid) -> Result<Box<dyn Manifest>, StoreError> {
        Err(StoreError::Io {
            path: relationship.to_string(),
            cause: "this engine has no manifests".to_owned(),
        })
    }
    fn remove(&self, _: Guid) -> Result<(), StoreError> {
        Ok(())
    }
}

impl PlayerOpener for NoStore {
    fn open<'a>(&'a self, arrival: &'a Arrival) -> BoxFuture<'a, Result<Arc<dyn Player>, PlayerError>> {
        Box::pin(async { Err(PlayerError::Other(format!("{} can't be opened", arrival.key))) })
    }
}

/// Playlists with their items.
type Playlists = Vec<(PlaylistInfo, Vec<MediaUri>)>;

/// The one library, whoever asks.
#[derive(Clone)]
pub(crate) struct MemoryLibraries {
    playlists: Arc<Mutex<Playlists>>,
    pub(crate) state: watch::Sender<LibraryState>,
    /// How many handles there are.
    open: Arc<AtomicUsize>,
    closed: watch::Sender<usize>,
    /// Whether the question for all playlists is answered.
    pub(crate) lists: watch::Sender<bool>,
}

impl MemoryLibraries {
    pub(crate) fn new() -> Self {
        let state = LibraryState { last_scan_time: 1, ..LibraryState::default() };
        Self {
            playlists: Arc::default(),
            state: watch::Sender::new(state),
            open: Arc::default(),
            closed: watch::Sender::new(0),
            lists: watch::Sender::new(true),
        }
    }

    /// How many handles are open now.
    pub(crate) fn open_now(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Returns when this many handles were closed.
    pub(crate) async fn closed(&self, count: usize) {
        let mut closed = self.closed.subscribe();
        closed.wait_for(|now| *now >= count).await.unwrap();
    }

    /// Makes a playlist as if a file had appeared.
    pub(crate) fn appear(&self, id: &str, name: &str) {
        let info = PlaylistInfo {
            id: PlaylistId(id.to_owned()),
            name: name.to_owned(),
            kind: PlaylistKind::Static,
            rule: String::new(),
            count: 0,
            sync_only: false,
        };
        self.playlists.lock().unwrap().push((info, Vec::new()));
        self.changed();
    }

    fn changed(&self) {
        let count = u32::try_from(self.playlists.lock().unwrap().len()).unwrap();
        self.state.send_modify(|state| {
            state.generation += 1;
            state.playlist_count = count;
        });
    }
}

impl Libraries for MemoryLibraries {
    fn open(&self, _: Uid) -> BoxFuture<'_, Result<Arc<dyn Library>, LibraryError>> {
        self.open.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(Arc::new(Handle(self.clone())) as Arc<dyn Library>) })
    }
}

struct Handle(MemoryLibraries);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
        self.0.closed.send_modify(|closed| *closed += 1);
    }
}

fn ready<'a, T: Send + 'a>(value: Result<T, LibraryError>) -> BoxFuture<'a, Result<T, LibraryError>> {
    Box::pin(std::future::ready(value))
}

fn refused<'a, T: Send + 'a>() -> BoxFuture<'a, Result<T, LibraryError>> {
    ready(Err(LibraryError::Failed("kept in memory".to_owned())))
}

impl Library for Handle {
    fn state(&self) -> watch::Receiver<LibraryState> {
        self.0.state.subscribe()
    }
    fn set_folders(&self, folders: Vec<PathBuf>) -> BoxFuture<'_, Result<(), LibraryError>> {
        self.0.state.send_modify(|state| state.folders = folders);
        ready(Ok(()))
    }
    fn scan(&self) -> BoxFuture<'_, Result<(), LibraryError>> {
        self.0.state.send_modify(|state| state.scanning = true);
        ready(Ok(()))
    }
    fn playlists(&self) -> BoxFuture<'_, Result<Vec<PlaylistInfo>, LibraryError>> {
        let list = self.0.playlists.lock().unwrap().iter().map(|(info, _)| info.clone()).collect();
        let mut lists = self.0.lists.subscribe();
        Box::pin(async move {
            lists.wait_for(|lists| *lists).await.map_err(|_| LibraryError::Failed("ended".to_owned()))?;
            Ok(list)
        })
    }
    fn playlist(&self, id: PlaylistId) -> BoxFuture<'_, Result<PlaylistInfo, LibraryError>> {
        let found = self.0.playlists.lock().unwrap().iter().find(|(info, _)| info.id == id).cloned();
        ready(found.map(|(info, _)| info).ok_or_else(|| LibraryError::NotFound(format!("no playlist {id}"))))
    }
    fn playlist_items(
        &self,
        id: PlaylistId,
        first: u32,
        count: u32,
    ) -> BoxFuture<'_, Result<Vec<MediaUri>, LibraryError>> {
        let found = self.0.playlists.lock().unwrap().iter().find(|(info, _)| info.id == id).cloned();
        let items = found.map(|(_, items)| items).unwrap_or_default();
        let count = if count == 0 { items.len() } else { count as usize };
        ready(Ok(items.into_iter().skip(first as usize).take(count).collect()))
    }
    fn create_playlist(
        &self,
        name: String,
        media: Vec<MediaUri>,
    ) -> BoxFuture<'_, Result<PlaylistInfo, LibraryError>> {
        let id = format!("p-{}", self.0.playlists.lock().unwrap().len());
        self.0.appear(&id, &name);
        self.edit_playlist(PlaylistId(id), PlaylistEdit::Append(media))
    }
    fn create_auto_playlist(
        &self,
        _: String,
        rule: String,
    ) -> BoxFuture<'_, Result<PlaylistInfo, LibraryError>> {
        ready(Err(LibraryError::InvalidArgument(format!("`{rule}`: column 1: expected `(`"))))
    }
    fn import_playlist(&self, path: PathBuf) -> BoxFuture<'_, Result<ImportedPlaylist, LibraryError>> {
        if !path.ends_with("list.m3u") {
            return refused();
        }
        Box::pin(async {
            let playlist = self.create_playlist(IMPORTED.into(), Vec::new()).await?;
            Ok(ImportedPlaylist { playlist, unresolved: vec![UNRESOLVED.into()] })
        })
    }
    fn edit_playlist(
        &self,
        id: PlaylistId,
        edit: PlaylistEdit,
    ) -> BoxFuture<'_, Result<PlaylistInfo, LibraryError>> {
        let edited = {
            let mut playlists = self.0.playlists.lock().unwrap();
            playlists.iter_mut().find(|(info, _)| info.id == id).map(|(info, items)| {
                match edit {
                    PlaylistEdit::Append(media) => items.extend(media),
                    PlaylistEdit::Rename(name) => info.name = name,
                    PlaylistEdit::SyncOnly(on) => info.sync_only = on,
                    _ => items.clear(),
                }
                info.count = u32::try_from(items.len()).unwrap();
                info.clone()
            })
        };
        self.0.changed();
        ready(edited.ok_or_else(|| LibraryError::NotFound(format!("no playlist {id}"))))
    }
    fn delete_playlist(&self, id: PlaylistId) -> BoxFuture<'_, Result<(), LibraryError>> {
        self.0.playlists.lock().unwrap().retain(|(info, _)| info.id != id);
        self.0.changed();
        ready(Ok(()))
    }
    fn search(&self, _: String) -> BoxFuture<'_, Result<Vec<MediaUri>, LibraryError>> {
        ready(Ok(Vec::new()))
    }
    fn media_info(&self, _: MediaUri) -> BoxFuture<'_, Result<BTreeMap<String, MediaValue>, LibraryError>> {
        let text = |text: &str| MediaValue::Text(text.to_owned());
        ready(Ok(BTreeMap::from([("Title".into(), text("T")), ("Duration".into(), MediaValue::Number(5))])))
    }
    fn set_media_info(
        &self,
        _: MediaUri,
        name: String,
        _: MediaValue,
    ) -> BoxFuture<'_, Result<(), LibraryError>> {
        ready(Err(LibraryError::ReadOnly(format!("{name} can't be set"))))
    }
    fn default_playlists(&self) -> BoxFuture<'_, Result<Vec<PlaylistId>, LibraryError>> {
        refused()
    }
    fn transfer_playlist(&self, _: DeviceId, _: String) -> BoxFuture<'_, Result<PlaylistInfo, LibraryError>> {
        refused()
    }
    fn resolve(&self, ids: Vec<PlaylistId>) -> BoxFuture<'_, Result<Resolved, LibraryError>> {
        let playlists = self.0.playlists.lock().unwrap();
        let imported = playlists.iter().find(|(info, _)| info.name == IMPORTED && ids.contains(&info.id));
        let Some((PlaylistInfo { id, name, .. }, _)) = imported else { return refused() };
        let (id, name, unresolved) = (id.clone(), name.clone(), vec![UNRESOLVED.into()]);
        let playlists = vec![ResolvedPlaylist { id, name, tracks: Vec::new(), unresolved }];
        ready(Ok(Resolved { playlists, ..Resolved::default() }))
    }
    fn open(&self, _: TrackId) -> BoxFuture<'_, Result<OpenedTrack, LibraryError>> {
        refused()
    }
    fn hash(&self, _: Vec<TrackId>) -> BoxFuture<'_, Result<Vec<Option<u128>>, LibraryError>> {
        refused()
    }
}

/// An engine over these libraries. `stop` ends it.
pub(crate) async fn engine(
    libraries: &MemoryLibraries,
    stop: &CancellationToken,
) -> (Started, mpsc::Sender<Presence>) {
    let (presence, arrivals) = mpsc::channel(4);
    let parts = Parts {
        store: Arc::new(NoStore),
        manifests: Arc::new(NoStore),
        opener: Arc::new(NoStore),
        libraries: Arc::new(libraries.clone()),
        clock: Arc::new(SystemClock),
        new_guid: Arc::new(|| Guid(1)),
        options: EngineOptions::default(),
    };
    let started = Engine::start(parts, Inputs { presence: arrivals, stop: stop.clone() }).await.unwrap();
    (started, presence)
}

/// A machine on which nobody looks for USB devices.
#[derive(Debug)]
pub(crate) struct NoUsb;

impl UsbDevices for NoUsb {
    fn probe(&self, device: String, _: bool) -> BoxFuture<'_, Result<Vec<UsbReport>, RequestError>> {
        Box::pin(async move { Err(RequestError::NotFound(format!("no USB device `{device}`"))) })
    }
}
