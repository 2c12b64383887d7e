//! The objects of a library and of its playlists on the bus: brought in step with what the library says, and their changes
//! announced to its owner alone.
//!
//! It must not hold a library open, nor decide when it is looked at.

use super::{Shelf, lock};
use crate::context::Context;
use crate::errors::{from_bus, from_library};
use crate::guard::Guard;
use crate::library_changes::{library_changes, playlist_changes};
use crate::paths;
use crate::playlist::Playlist;
use dbus_interfaces::{Error, names};
use std::collections::BTreeMap;
use std::sync::Arc;
use tandem_model::id::PlaylistId;
use tandem_model::library::{Library as OwnersLibrary, LibraryState};
use tandem_model::media::PlaylistInfo;

/// How often all playlists are asked for while single ones are changed.
const LOOKS: u32 = 3;

/// What is on the bus and was announced.
#[derive(Default)]
pub(super) struct Announced {
    pub(super) state: LibraryState,
    /// How often a playlist was taken note of for itself.
    noted: u64,
    playlists: BTreeMap<PlaylistId, (PlaylistInfo, BTreeMap<u32, u32>)>,
}

impl Shelf {
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
}
