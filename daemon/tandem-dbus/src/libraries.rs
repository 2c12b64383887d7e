//! Everybody's libraries as the bus has them: whose they are, who uses them, when they are looked at. What is shown and
//! announced of one is `objects`'.
//!
//! What others may learn: the bus shows everybody which paths exist, so a path holds a user id and a playlist's id,
//! which tells nothing of its name. Values go to nobody else; the guard sees to reading, and changes are sent to the
//! owner's connections one by one. A library is held open only while a connection that uses it is on the bus, or
//! while it scans.

mod objects;

use crate::authorization::About;
use crate::context::Context;
use crate::errors::{contract, from_bus};
use crate::guard::Guard;
use crate::library::Library;
use crate::paths;
use dbus_interfaces::Error;
use objects::Announced;
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
