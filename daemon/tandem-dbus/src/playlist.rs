//! `org.tandemd.Sync1.Playlist`: one playlist, for its library's owner and root alone; the guard sees to that.
//!
//! Properties are what the library says now; methods ask it, and the engine for assignments.

use crate::arguments::{self, PlaylistAttribute};
use crate::authorization::About;
use crate::boolean;
use crate::context::Context;
use crate::errors::{contract, from_library};
use crate::guard::Guarded;
use crate::libraries::Shelf;
use dbus_interfaces::Error;
use std::collections::BTreeMap;
use std::sync::Arc;
use tandem_model::id::PlaylistId;
use tandem_model::media::{PlaylistEdit, PlaylistInfo};
use zbus::interface;
use zbus::message::Header;

/// A playlist's object.
pub(crate) struct Playlist {
    id: PlaylistId,
    shelf: Arc<Shelf>,
    context: Arc<Context>,
}

impl Playlist {
    pub(crate) fn new(id: PlaylistId, shelf: Arc<Shelf>, context: Arc<Context>) -> Self {
        Self { id, shelf, context }
    }

    fn info(&self) -> Result<PlaylistInfo, Error> {
        self.shelf.playlist(&self.id).ok_or_else(|| Error::NotFound("the playlist was deleted".to_owned()))
    }

    async fn edit(&self, header: &Header<'_>, edit: PlaylistEdit) -> Result<(), Error> {
        let library = self.shelf.open(&self.context, header).await?;
        let edited = library.edit_playlist(self.id.clone(), edit).await.map_err(from_library)?;
        self.shelf.announce_playlist(&self.context, &*library, edited).await
    }

    fn priorities(&self) -> BTreeMap<u32, u32> {
        self.shelf.priorities(&self.context, &self.id)
    }
}

impl Guarded for Playlist {
    const PRIVATE: bool = true;

    fn about(&self) -> About {
        self.shelf.about()
    }

    async fn freshen(&self) {
        self.shelf.freshen(&self.context, Some(&self.id)).await;
    }
}

#[interface(name = "org.tandemd.Sync1.Playlist", introspection_docs = false)]
impl Playlist {
    #[zbus(property)]
    fn name(&self) -> Result<String, Error> {
        Ok(self.info()?.name)
    }

    #[zbus(property)]
    async fn set_name(&self, name: String, #[zbus(header)] header: Option<Header<'_>>) -> Result<(), Error> {
        let header = header.ok_or_else(|| Error::NotAuthorized("a name is set by a caller".to_owned()))?;
        let library = self.shelf.open(&self.context, &header).await?;
        let edited =
            library.edit_playlist(self.id.clone(), PlaylistEdit::Rename(name)).await.map_err(from_library)?;
        // what follows needs the lock that this call holds: see the guard
        self.shelf.show(edited);
        Ok(())
    }

    #[zbus(property)]
    fn kind(&self) -> Result<String, Error> {
        Ok(self.info()?.kind.as_str().to_owned())
    }

    #[zbus(property)]
    fn rule(&self) -> Result<String, Error> {
        Ok(self.info()?.rule)
    }

    #[zbus(property)]
    fn count(&self) -> Result<u32, Error> {
        Ok(self.info()?.count)
    }

    #[zbus(property)]
    fn sync_priorities(&self) -> BTreeMap<u32, u32> {
        self.priorities()
    }

    #[zbus(property)]
    fn sync_only(&self) -> Result<bool, Error> {
        Ok(self.info()?.sync_only)
    }

    #[zbus(out_args("media"))]
    async fn get_items(
        &self,
        first: u32,
        count: u32,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Vec<String>, Error> {
        let library = self.shelf.open(&self.context, &header).await?;
        let items = library.playlist_items(self.id.clone(), first, count).await.map_err(from_library)?;
        Ok(items.into_iter().map(|media| media.to_string()).collect())
    }

    #[zbus(out_args("entries"))]
    async fn get_unresolved(&self, #[zbus(header)] header: Header<'_>) -> Result<Vec<String>, Error> {
        let library = self.shelf.open(&self.context, &header).await?;
        let resolved = library.resolve(vec![self.id.clone()]).await.map_err(from_library)?;
        let playlist = resolved.playlists.into_iter().next();
        let playlist = playlist.ok_or_else(|| Error::NotFound("the playlist was deleted".to_owned()))?;
        Ok(playlist.unresolved)
    }

    async fn append(&self, media: Vec<String>, #[zbus(header)] header: Header<'_>) -> Result<(), Error> {
        let media = arguments::media_list(&media).map_err(contract)?;
        self.edit(&header, PlaylistEdit::Append(media)).await
    }

    async fn insert(
        &self,
        index: u32,
        media: Vec<String>,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let media = arguments::media_list(&media).map_err(contract)?;
        self.edit(&header, PlaylistEdit::Insert(index, media)).await
    }

    async fn remove(&self, index: u32, count: u32, #[zbus(header)] header: Header<'_>) -> Result<(), Error> {
        self.edit(&header, PlaylistEdit::Remove(index, count)).await
    }

    #[zbus(name = "Move")]
    async fn move_item(&self, from: u32, to: u32, #[zbus(header)] header: Header<'_>) -> Result<(), Error> {
        self.edit(&header, PlaylistEdit::Move(from, to)).await
    }

    async fn clear(&self, #[zbus(header)] header: Header<'_>) -> Result<(), Error> {
        self.edit(&header, PlaylistEdit::Clear).await
    }

    #[zbus(out_args("value"))]
    fn get_item_info(&self, name: &str) -> Result<String, Error> {
        Ok(match arguments::playlist_attribute(name).map_err(contract)? {
            PlaylistAttribute::Name => self.info()?.name,
            PlaylistAttribute::SyncOnly => boolean::write(self.info()?.sync_only),
            PlaylistAttribute::Sync(index) => {
                self.priorities().get(&u32::from(index.get())).copied().unwrap_or(0).to_string()
            }
        })
    }

    async fn set_item_info(
        &self,
        name: &str,
        value: &str,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        match arguments::playlist_attribute(name).map_err(contract)? {
            PlaylistAttribute::Name => self.edit(&header, PlaylistEdit::Rename(value.to_owned())).await,
            PlaylistAttribute::SyncOnly => {
                let sync_only = arguments::sync_only(value).map_err(contract)?;
                self.edit(&header, PlaylistEdit::SyncOnly(sync_only)).await
            }
            PlaylistAttribute::Sync(index) => {
                let priority = arguments::priority(name, value).map_err(contract)?;
                let owner = self.shelf.owner();
                self.context.engine.assign(owner, index, self.id.clone(), priority).await.map_err(contract)
            }
        }
    }

    async fn delete(&self, #[zbus(header)] header: Header<'_>) -> Result<(), Error> {
        let library = self.shelf.open(&self.context, &header).await?;
        library.delete_playlist(self.id.clone()).await.map_err(from_library)?;
        self.context.engine.forget_playlist(self.shelf.owner(), &self.id).await.map_err(contract)?;
        self.shelf.refresh(&self.context, &*library).await.map(|_| ())
    }
}
