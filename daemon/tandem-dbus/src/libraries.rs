//! The objects of libraries and playlists: made when first asked for, kept in step with what the library says, and
//! announced to its owner alone.
//!
//! What others may learn: the bus shows everybody which paths exist, so a path holds a user id and a playlist's id,
//! which tells nothing of its name. Values go to nobody else; the guard sees to reading, and changes are sent to the
//! owner's connections one by one. A library is held open only while a connection that uses it is on the bus, or
//! while it scans.

use crate::authorization::About;
use crate::context::Context;
use crate::errors::{contract, from_bus, from_library};
use crate::guard::Guard;
use crate::library::Library;
use crate::library_changes::{library_changes, playlist_changes};
use crate::paths;
use crate::playlist::Playlist;
use dbus_interfaces::{Error, names};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tandem_model::id::{PlaylistId, Uid};
use tandem_model::library::{Library as OwnersLibrary, LibraryState};
use tandem_model::media::PlaylistInfo;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;
use zbus::message::Header;

/// How far apart announcements of a changing library are at least.
const PACE: Duration = Duration::from_millis(250);

/// How often all playlists are asked for while single ones are changed.
const LOOKS: u32 = 3;

/// A lock whose holders never panic halfway through a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everybody's libraries, as far as they were asked for.
#[derive(Default)]
pub(crate) struct Libraries {
    shelves: Mutex<HashMap<Uid, Arc<Shelf>>>,
}

impl Libraries {
    /// This user's.
    pub(crate) fn shelf(&self, owner: Uid) -> Arc<Shelf> {
        let mut shelves = lock(&self.shelves);
        Arc::clone(shelves.entry(owner).or_insert_with(|| Arc::new(Shelf::new(owner))))
    }

    fn all(&self) -> Vec<Arc<Shelf>> {
        lock(&self.shelves).values().cloned().collect()
    }

    /// Notes that this user's assignments are others.
    pub(crate) fn assignments_changed(&self, owner: Uid) {
        if let Some(shelf) = lock(&self.shelves).get(&owner) {
            shelf.look.notify_one();
        }
    }

    /// Notes that this connection has left the bus.
    pub(crate) fn left(&self, connection: &str) {
        for shelf in self.all() {
            if lock(&shelf.users).remove(connection) {
                shelf.look.notify_one();
            }
        }
    }

    /// Lets go of all libraries.
    pub(crate) async fn close(&self) {
        for shelf in self.all() {
            shelf.opened.lock().await.take();
        }
    }
}

/// The folders as text.
pub(crate) fn folders(state: &LibraryState) -> Vec<String> {
    state.folders.iter().map(|folder| folder.to_string_lossy().into_owned()).collect()
}

/// What getters tell.
#[derive(Default)]
struct Shown {
    state: LibraryState,
    /// Told to readers since the last announcement: whoever saw a value must hear that it is another again, even if it
    /// is what was announced before.
    told: Vec<LibraryState>,
    playlists: BTreeMap<PlaylistId, PlaylistInfo>,
}

/// What is on the bus and was announced.
#[derive(Default)]
struct Announced {
    state: LibraryState,
    /// How often a playlist was taken note of for itself.
    noted: u64,
    playlists: BTreeMap<PlaylistId, (PlaylistInfo, BTreeMap<u32, u32>)>,
}

struct Opened {
    library: Arc<dyn OwnersLibrary>,
    /// Ends with the library's use.
    _watcher: AbortOnDropHandle<()>,
}

/// One owner's library on the bus.
pub(crate) struct Shelf {
    owner: Uid,
    opened: tokio::sync::Mutex<Option<Opened>>,
    /// Connections that use the library.
    users: Mutex<HashSet<String>>,
    shown: Mutex<Shown>,
    announced: tokio::sync::Mutex<Announced>,
    /// Held from the question for all playlists until its answer is announced: an older one comes before a newer one.
    refreshing: tokio::sync::Mutex<()>,
    /// Wakes the watcher.
    look: Notify,
}

impl Shelf {
    fn new(owner: Uid) -> Self {
        Self {
            owner,
            opened: tokio::sync::Mutex::default(),
            users: Mutex::default(),
            shown: Mutex::default(),
            announced: tokio::sync::Mutex::default(),
            refreshing: tokio::sync::Mutex::default(),
            look: Notify::new(),
        }
    }

    pub(crate) fn owner(&self) -> Uid {
        self.owner
    }

    pub(crate) fn about(&self) -> About {
        About { owner: Some(self.owner), name: format!("the library of user {}", self.owner) }
    }

    /// What was seen of the library last.
    pub(crate) fn state(&self) -> LibraryState {
        lock(&self.shown).state.clone()
    }

    /// What was seen of a playlist last.
    pub(crate) fn playlist(&self, id: &PlaylistId) -> Option<PlaylistInfo> {
        lock(&self.shown).playlists.get(id).cloned()
    }

    /// `SyncPriorities` of a playlist.
    pub(crate) fn priorities(&self, context: &Context, id: &PlaylistId) -> BTreeMap<u32, u32> {
        let assigned = context.engine.assignments(self.owner, id);
        assigned.into_iter().map(|(index, priority)| (u32::from(index.get()), priority)).collect()
    }

    /// Shows a playlist as it is now; the watcher announces it.
    pub(crate) fn show(&self, playlist: PlaylistInfo) {
        lock(&self.shown).playlists.insert(playlist.id.clone(), playlist);
        self.look.notify_one();
    }

    /// The library, for this caller, until he leaves the bus.
    ///
    /// # Errors
    /// As the engine says when it can't be started.
    pub(crate) async fn open(
        self: &Arc<Self>,
        context: &Arc<Context>,
        header: &Header<'_>,
    ) -> Result<Arc<dyn OwnersLibrary>, Error> {
        if let Some(sender) = header.sender() {
            lock(&self.users).insert(sender.to_string());
            // he may have left in the meantime, and leaves but once
            if !context.callers().knows(sender) {
                lock(&self.users).remove(sender.as_str());
            }
        }
        self.opened(context).await
    }

    /// The library, for as long as somebody else uses it.
    async fn opened(self: &Arc<Self>, context: &Arc<Context>) -> Result<Arc<dyn OwnersLibrary>, Error> {
        let mut opened = self.opened.lock().await;
        if let Some(opened) = &*opened {
            return Ok(Arc::clone(&opened.library));
        }
        let library = context.engine.library(self.owner).await.map_err(contract)?;
        let watcher = tokio::spawn(watch(Arc::clone(self), Arc::clone(context), Arc::clone(&library)));
        *opened = Some(Opened { library: Arc::clone(&library), _watcher: AbortOnDropHandle::new(watcher) });
        Ok(library)
    }

    /// Takes note of what is true now of the library, and of one playlist. What can't be told stays as it was seen.
    pub(crate) async fn freshen(self: &Arc<Self>, context: &Arc<Context>, playlist: Option<&PlaylistId>) {
        let library = match self.opened(context).await {
            Ok(library) => library,
            Err(error) => return tracing::debug!(%error, "the library can't be asked"),
        };
        let state = library.state().borrow().clone();
        {
            let mut shown = lock(&self.shown);
            shown.state = state.clone();
            if !shown.told.contains(&state) {
                shown.told.push(state);
            }
        }
        let Some(id) = playlist else { return };
        match library.playlist(id.clone()).await {
            Ok(info) => {
                lock(&self.shown).playlists.insert(id.clone(), info);
            }
            Err(error) => tracing::debug!(%error, "the playlist can't be asked"),
        }
    }

    /// Puts the library and its playlists on the bus.
    ///
    /// # Errors
    /// As [`Shelf::open`] and [`Shelf::refresh`].
    pub(crate) async fn publish(
        self: &Arc<Self>,
        context: &Arc<Context>,
        header: &Header<'_>,
    ) -> Result<(), Error> {
        let library = self.open(context, header).await?;
        let state = library.state().borrow().clone();
        lock(&self.shown).state = state.clone();
        let object = Guard::new(Library::new(Arc::clone(self), Arc::clone(context)), Arc::clone(context));
        let there = context
            .connection
            .object_server()
            .at(paths::library(self.owner), object)
            .await
            .map_err(|error| from_bus("adding the library's object", &error))?;
        if there.is_none() {
            self.announced.lock().await.state = state;
        }
        self.refresh(context, &*library).await.map(|_| ())
    }

    /// Asks the library for its playlists, and brings objects and announcements in step. Tells the playlists in the
    /// library's order.
    ///
    /// # Errors
    /// As the library says, or when the bus refuses an object.
    pub(crate) async fn refresh(
        self: &Arc<Self>,
        context: &Arc<Context>,
        library: &dyn OwnersLibrary,
    ) -> Result<Vec<PlaylistInfo>, Error> {
        let _one_at_a_time = self.refreshing.lock().await;
        for _ in 0..LOOKS {
            let noted = self.announced.lock().await.noted;
            let state = library.state().borrow().clone();
            // counting what rules find takes a while, in which others are made and changed
            let playlists = library.playlists().await.map_err(from_library)?;
            let mut announced = self.announced.lock().await;
            if announced.noted == noted {
                self.take_in(context, &mut announced, state, &playlists).await?;
                return Ok(playlists);
            }
        }
        // changes don't end: they wait for this look
        let mut announced = self.announced.lock().await;
        let state = library.state().borrow().clone();
        let playlists = library.playlists().await.map_err(from_library)?;
        self.take_in(context, &mut announced, state, &playlists).await?;
        Ok(playlists)
    }

    /// Puts a playlist on the bus that has just been made; the watcher looks at the others.
    ///
    /// # Errors
    /// When the bus refuses the object.
    pub(crate) async fn publish_playlist(
        self: &Arc<Self>,
        context: &Arc<Context>,
        library: &dyn OwnersLibrary,
        playlist: PlaylistInfo,
    ) -> Result<(), Error> {
        let mut announced = self.announced.lock().await;
        if announced.playlists.contains_key(&playlist.id) {
            return Ok(());
        }
        let state = self.note(&mut announced, library, &playlist);
        self.add_object(context, &mut announced, playlist)
            .await
            .map_err(|error| from_bus("adding a playlist's object", &error))?;
        // it may have been deleted in the meantime
        self.look.notify_one();
        self.announce_library(context, &mut announced, state)
            .await
            .map_err(|error| from_bus("announcing changes", &error))
    }

    /// Shows and announces a playlist that has just been changed; the watcher looks at the others.
    ///
    /// # Errors
    /// When the bus takes no announcement.
    pub(crate) async fn announce_playlist(
        &self,
        context: &Context,
        library: &dyn OwnersLibrary,
        playlist: PlaylistInfo,
    ) -> Result<(), Error> {
        let mut announced = self.announced.lock().await;
        if !announced.playlists.contains_key(&playlist.id) {
            return Ok(());
        }
        let state = self.note(&mut announced, library, &playlist);
        let done = async {
            self.announce_one(context, &mut announced, playlist).await?;
            self.announce_library(context, &mut announced, state).await
        };
        done.await.map_err(|error| from_bus("announcing changes", &error))
    }

    /// Shows a playlist and the library's state; an answer that is on its way is older than this.
    fn note(
        &self,
        announced: &mut Announced,
        library: &dyn OwnersLibrary,
        playlist: &PlaylistInfo,
    ) -> LibraryState {
        announced.noted += 1;
        let state = library.state().borrow().clone();
        let mut shown = lock(&self.shown);
        shown.playlists.insert(playlist.id.clone(), playlist.clone());
        shown.state = state.clone();
        state
    }

    async fn take_in(
        self: &Arc<Self>,
        context: &Arc<Context>,
        announced: &mut Announced,
        state: LibraryState,
        playlists: &[PlaylistInfo],
    ) -> Result<(), Error> {
        {
            let mut shown = lock(&self.shown);
            shown.playlists =
                playlists.iter().map(|playlist| (playlist.id.clone(), playlist.clone())).collect();
            shown.state = state.clone();
        }
        self.bring_objects_in_step(context, announced)
            .await
            .map_err(|error| from_bus("changing playlist objects", &error))?;
        self.announce(context, announced, state).await.map_err(|error| from_bus("announcing changes", &error))
    }

    async fn bring_objects_in_step(
        self: &Arc<Self>,
        context: &Arc<Context>,
        announced: &mut Announced,
    ) -> Result<(), zbus::Error> {
        let server = context.connection.object_server();
        let shown = lock(&self.shown).playlists.clone();
        let gone: Vec<_> = announced.playlists.keys().filter(|id| !shown.contains_key(id)).cloned().collect();
        for id in gone {
            server.remove::<Guard<Playlist>, _>(paths::playlist(self.owner, &id)).await?;
            announced.playlists.remove(&id);
        }
        for (id, info) in shown {
            if !announced.playlists.contains_key(&id) {
                self.add_object(context, announced, info).await?;
            }
        }
        Ok(())
    }

    async fn add_object(
        self: &Arc<Self>,
        context: &Arc<Context>,
        announced: &mut Announced,
        info: PlaylistInfo,
    ) -> Result<(), zbus::Error> {
        let id = info.id.clone();
        let priorities = self.priorities(context, &id);
        let object = Playlist::new(id.clone(), Arc::clone(self), Arc::clone(context));
        let server = context.connection.object_server();
        server.at(paths::playlist(self.owner, &id), Guard::new(object, Arc::clone(context))).await?;
        announced.playlists.insert(id, (info, priorities));
        Ok(())
    }

    async fn announce(
        &self,
        context: &Context,
        announced: &mut Announced,
        state: LibraryState,
    ) -> Result<(), zbus::Error> {
        let shown = lock(&self.shown).playlists.clone();
        for (_, info) in shown {
            self.announce_one(context, announced, info).await?;
        }
        self.announce_library(context, announced, state).await
    }

    /// Announces what has changed of a playlist that is on the bus.
    async fn announce_one(
        &self,
        context: &Context,
        announced: &mut Announced,
        info: PlaylistInfo,
    ) -> Result<(), zbus::Error> {
        let path = paths::playlist(self.owner, &info.id);
        let priorities = self.priorities(context, &info.id);
        let Some(known) = announced.playlists.get_mut(&info.id) else { return Ok(()) };
        let now = (info, priorities);
        let changes = playlist_changes(known, &now);
        *known = now;
        context.announce(&context.emitters_to_owner(self.owner, &path), names::PLAYLIST, &changes).await
    }

    async fn announce_library(
        &self,
        context: &Context,
        announced: &mut Announced,
        state: LibraryState,
    ) -> Result<(), zbus::Error> {
        let told = std::mem::take(&mut lock(&self.shown).told);
        let changes = library_changes(&announced.state, &told, &state);
        announced.state = state;
        let path = paths::library(self.owner);
        context.announce(&context.emitters_to_owner(self.owner, &path), names::LIBRARY, &changes).await
    }

    /// Lets go of the library if nobody uses it; whether it did.
    async fn close_if_unused(&self, scanning: bool) -> bool {
        let mut opened = self.opened.lock().await;
        let unused = !scanning && lock(&self.users).is_empty();
        if unused {
            opened.take();
        }
        unused
    }
}

/// Follows a library until nobody uses it.
async fn watch(shelf: Arc<Shelf>, context: Arc<Context>, library: Arc<dyn OwnersLibrary>) {
    let mut state = library.state();
    loop {
        let scanning = state.borrow_and_update().scanning;
        if shelf.close_if_unused(scanning).await {
            return;
        }
        if let Err(error) = shelf.refresh(&context, &*library).await {
            tracing::warn!(owner = shelf.owner, %error, "the library's objects are not in step");
        }
        tokio::time::sleep(PACE).await;
        tokio::select! {
            changed = state.changed() => if changed.is_err() {
                tracing::warn!(owner = shelf.owner, "the library has ended; it is started again when it is asked for");
                shelf.opened.lock().await.take();
                return;
            },
            () = shelf.look.notified() => {}
        }
    }
}
