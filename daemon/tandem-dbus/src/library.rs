//! `org.tandemd.Sync1.Library`: one owner's library, for its owner and root alone; the guard sees to that.
//!
//! Properties are what the library says of itself; methods ask it.

use crate::arguments::{self};
use crate::authorization::About;
use crate::context::Context;
use crate::errors::{contract, from_library};
use crate::guard::Guarded;
use crate::libraries::Shelf;
use crate::paths;
use dbus_interfaces::Error;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use tandem_model::error::RequestError;
use tandem_model::media::{MediaValue, PlaylistInfo};
use zbus::message::Header;
use zbus::{OwnedObjectPath, Variant, interface};

/// The one attribute of a media item that the engine knows and not the library.
const SYNC_STATE: &str = "SyncState";

/// A library's object.
pub(crate) struct Library {
    shelf: Arc<Shelf>,
    context: Arc<Context>,
}

impl Library {
    pub(crate) fn new(shelf: Arc<Shelf>, context: Arc<Context>) -> Self {
        Self { shelf, context }
    }

    async fn open(&self, header: &Header<'_>) -> Result<Arc<dyn tandem_model::library::Library>, Error> {
        self.shelf.open(&self.context, header).await
    }

    /// The object of a playlist that was just made.
    async fn made(
        &self,
        library: &dyn tandem_model::library::Library,
        playlist: PlaylistInfo,
    ) -> Result<OwnedObjectPath, Error> {
        let path = paths::playlist(self.shelf.owner(), &playlist.id);
        self.shelf.publish_playlist(&self.context, library, playlist).await?;
        Ok(path)
    }

    /// The object of a playlist made of a file, and the entries that name no media of the library.
    async fn import(
        &self,
        path: String,
        header: &Header<'_>,
    ) -> Result<(OwnedObjectPath, Vec<String>), Error> {
        let library = self.open(header).await?;
        let imported = library.import_playlist(PathBuf::from(path)).await.map_err(from_library)?;
        Ok((self.made(&*library, imported.playlist).await?, imported.unresolved))
    }
}

impl Guarded for Library {
    const PRIVATE: bool = true;

    fn about(&self) -> About {
        self.shelf.about()
    }

    async fn freshen(&self) {
        self.shelf.freshen(&self.context, None).await;
    }
}

fn variant(value: MediaValue) -> Variant<'static> {
    match value {
        MediaValue::Text(text) => Variant::from(text),
        MediaValue::Number(number) => Variant::from(number),
    }
}

#[interface(name = "org.tandemd.Sync1.Library", introspection_docs = false)]
impl Library {
    #[zbus(property)]
    fn folders(&self) -> Vec<String> {
        crate::libraries::folders(&self.shelf.state())
    }

    #[zbus(property)]
    fn track_count(&self) -> u32 {
        self.shelf.state().track_count
    }

    #[zbus(property)]
    fn playlist_count(&self) -> u32 {
        self.shelf.state().playlist_count
    }

    #[zbus(property)]
    fn scanning(&self) -> bool {
        self.shelf.state().scanning
    }

    #[zbus(property)]
    fn last_scan_time(&self) -> u64 {
        self.shelf.state().last_scan_time
    }

    #[zbus(property)]
    fn trouble(&self) -> String {
        self.shelf.state().trouble
    }

    async fn set_folders(&self, paths: Vec<String>, #[zbus(header)] header: Header<'_>) -> Result<(), Error> {
        let folders = paths.into_iter().map(PathBuf::from).collect();
        self.open(&header).await?.set_folders(folders).await.map_err(from_library)
    }

    async fn scan(&self, #[zbus(header)] header: Header<'_>) -> Result<(), Error> {
        self.open(&header).await?.scan().await.map_err(from_library)
    }

    #[zbus(out_args("playlists"))]
    async fn get_playlists(&self, #[zbus(header)] header: Header<'_>) -> Result<Vec<OwnedObjectPath>, Error> {
        let library = self.open(&header).await?;
        let playlists = self.shelf.refresh(&self.context, &*library).await?;
        Ok(playlists.iter().map(|playlist| paths::playlist(self.shelf.owner(), &playlist.id)).collect())
    }

    #[zbus(out_args("playlist"))]
    async fn get_playlist(
        &self,
        name: &str,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<OwnedObjectPath, Error> {
        let library = self.open(&header).await?;
        let playlists = self.shelf.refresh(&self.context, &*library).await?;
        let found = playlists.iter().find(|playlist| playlist.name == name);
        let found = found.ok_or_else(|| {
            contract(RequestError::NotFound(format!("there is no playlist `{name}`; see GetPlaylists")))
        })?;
        Ok(paths::playlist(self.shelf.owner(), &found.id))
    }

    #[zbus(out_args("playlist"))]
    async fn create_playlist(
        &self,
        name: String,
        media: Vec<String>,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<OwnedObjectPath, Error> {
        let media = arguments::media_list(&media).map_err(contract)?;
        let library = self.open(&header).await?;
        let made = library.create_playlist(name, media).await.map_err(from_library)?;
        self.made(&*library, made).await
    }

    #[zbus(out_args("playlist"))]
    async fn create_auto_playlist(
        &self,
        name: String,
        rule: String,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<OwnedObjectPath, Error> {
        let library = self.open(&header).await?;
        let made = library.create_auto_playlist(name, rule).await.map_err(from_library)?;
        self.made(&*library, made).await
    }

    #[zbus(out_args("playlist"))]
    async fn import_playlist(
        &self,
        path: String,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<OwnedObjectPath, Error> {
        let (playlist, unresolved) = self.import(path, &header).await?;
        if !unresolved.is_empty() {
            tracing::warn!(
                owner = self.shelf.owner(),
                left_out = unresolved.len(),
                "entries of an imported playlist name no media of the library"
            );
            tracing::debug!(entries = ?unresolved, "entries that were left out");
        }
        Ok(playlist)
    }

    #[zbus(out_args("playlist", "unresolved"))]
    async fn import_playlist_with_report(
        &self,
        path: String,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(OwnedObjectPath, Vec<String>), Error> {
        self.import(path, &header).await
    }

    #[zbus(out_args("media"))]
    async fn search(&self, rule: String, #[zbus(header)] header: Header<'_>) -> Result<Vec<String>, Error> {
        let found = self.open(&header).await?.search(rule).await.map_err(from_library)?;
        Ok(found.into_iter().map(|media| media.to_string()).collect())
    }

    #[zbus(out_args("info"))]
    async fn get_media_info(
        &self,
        media: &str,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<HashMap<String, Variant<'static>>, Error> {
        let media = arguments::media(media).map_err(contract)?;
        let info = self.open(&header).await?.media_info(media.clone()).await.map_err(from_library)?;
        let mut info: HashMap<_, _> = info.into_iter().map(|(name, value)| (name, variant(value))).collect();
        let state =
            self.context.engine.media_sync_state(self.shelf.owner(), &media).await.map_err(contract)?;
        info.insert(SYNC_STATE.to_owned(), Variant::from(state));
        Ok(info)
    }

    async fn set_media_info(
        &self,
        media: &str,
        name: String,
        value: Variant<'_>,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let media = arguments::media(media).map_err(contract)?;
        if name == SYNC_STATE {
            return Err(contract(RequestError::ReadOnly(format!(
                "{SYNC_STATE} of `{media}` can only be read; it follows from what is on the devices"
            ))));
        }
        let value = arguments::media_value(&name, &value).map_err(contract)?;
        self.open(&header).await?.set_media_info(media, name, value).await.map_err(from_library)
    }
}
