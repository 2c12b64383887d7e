//! Playlists on a provider's device: objects that refer to their tracks, with no bytes of their own.
//!
//! It must not leave a list behind that nothing knows of: a new one gets its name when it refers to its
//! tracks, and what it refers to is asked for, whatever was answered when that was set.

use super::answers::{self, LAST_MODIFIED};
use super::fault::{Fault, Word};
use super::link::SLOW;
use super::pour::Metadata;
use super::send::{beside, seconds};
use super::session::Session;
use super::tree::{Known, name};
use dbus_interfaces::provider::STORAGE;
use tandem_model::error::PlayerError;
use tandem_model::formats::{self, ABSTRACT_PLAYLISTS, REFERENCES};
use tandem_model::path::DevicePath;
use tandem_model::player::{Source, WriteRequest};
use xxhash_rust::xxh3::xxh3_128;
use zbus::{OwnedObjectPath, Variant};

impl Session {
    /// A playlist as an object that refers to its tracks. One that is there already refers to the new ones in
    /// one step.
    pub(super) async fn write_playlist(
        &mut self,
        request: &WriteRequest,
        place: OwnedObjectPath,
        old: Option<Known>,
    ) -> Result<(Known, u128), PlayerError> {
        let path = request.path.as_str();
        let text = text_of(&request.source)?;
        let mut tracks = Vec::new();
        for track in formats::playlist_items(&text, request.path.parent().as_ref()) {
            // a playlist holds what is there
            let found =
                self.find(track.as_str()).await.map_err(|fault| fault.told("looking for a track", path))?;
            tracks.extend(found.map(|track| track.object));
        }
        let known = match old {
            Some(old) => self.refer(&old.object, &tracks, path).await?,
            None => self.make_playlist(request, &place, &tracks).await?,
        };
        self.tree.put(path, known.clone());
        Ok((known, xxh3_128(text.as_bytes())))
    }

    /// Makes a playlist under its temporary name, so that one that wasn't answered for can go again.
    async fn make_playlist(
        &mut self,
        request: &WriteRequest,
        place: &OwnedObjectPath,
        tracks: &[OwnedObjectPath],
    ) -> Result<Known, PlayerError> {
        let (path, beside) = (request.path.as_str(), beside(&request.path, &request.temporary));
        self.check_free(request, &beside).await?;
        let listed = ABSTRACT_PLAYLISTS.into_iter().find(|format| self.formats.contains(format));
        let format = listed.unwrap_or(ABSTRACT_PLAYLISTS[0]);
        let title = request.path.name().rsplit_once('.').map_or(path, |(title, _)| title);
        loop {
            let metadata = Metadata::from([
                ("WMDM/FormatCode", Variant::from(u32::from(format))),
                (LAST_MODIFIED, Variant::from(seconds(request.modified_ns))),
                ("WMDM/Title", Variant::from(title.to_owned())),
            ]);
            let renames = self.renames;
            let at = if renames { beside.as_str() } else { path };
            let object = self.announce(place, "file", (at, path), metadata, 0).await?;
            self.check_new(&object, at, false).await?;
            let made = match self.refer(&object, tracks, at).await {
                Ok(_) if renames => self.name_playlist(&object, &request.path).await,
                made => made,
            };
            let Err(error) = made else { return made };
            self.drop_remains(&object, (at, &request.path)).await?;
            if renames == self.renames {
                return Err(error);
            }
        }
    }

    /// Has a playlist refer to these, and sees that it does.
    async fn refer(
        &self,
        playlist: &OwnedObjectPath,
        tracks: &[OwnedObjectPath],
        at: &str,
    ) -> Result<Known, PlayerError> {
        let told = |fault: Fault| fault.told("filling a playlist", at);
        let set = self.peer.call::<_, ()>(playlist, (STORAGE, "SetReferences"), &tracks, SLOW).await;
        set.map_err(told)?;
        let found = self.references(playlist).await.map_err(told)?;
        // whoever doesn't tell is believed
        if found.is_some_and(|found| !found.are(tracks)) {
            return Err(PlayerError::VerifyFailed(at.to_owned()));
        }
        let known = self.peer.look(playlist, name(at)).await.map_err(told)?;
        known.ok_or_else(|| PlayerError::VerifyFailed(at.to_owned()))
    }

    /// What a playlist refers to; `None` where the provider doesn't tell.
    async fn references(&self, playlist: &OwnedObjectPath) -> Result<Option<References>, Fault> {
        let told = self.peer.call(playlist, (STORAGE, "GetReferences"), &(), SLOW).await;
        let (objects, is_partial): (Vec<OwnedObjectPath>, bool) = match told {
            Err(Fault::Missing(_) | Fault::Refused(Word::NotSupported, _)) => return Ok(None),
            told => told?,
        };
        Ok(Some(References { objects: answers::references(objects, &self.peer.root)?, is_partial }))
    }

    /// Whether the playlist at a path refers to exactly these files.
    pub(super) async fn refers_to(
        &mut self,
        path: &DevicePath,
        files: &[DevicePath],
    ) -> Result<bool, PlayerError> {
        let told = |fault: Fault| fault.told("asking what a playlist refers to", path.as_str());
        let there = self.find(path.as_str()).await.map_err(told)?;
        let Some(there) = there.filter(|there| !there.is_folder) else { return Ok(false) };
        let mut wanted = Vec::with_capacity(files.len());
        for file in files {
            match self.find(file.as_str()).await.map_err(told)? {
                Some(file) => wanted.push(file.object),
                None => return Ok(false),
            }
        }
        let found = match self.references(&there.object).await {
            Err(Fault::Refused(word, _)) if word != Word::InterfaceDead => None,
            found => self.peer.unless_none(found).await.map_err(told)?.flatten(),
        };
        Ok(found.is_some_and(|found| found.are(&wanted)))
    }

    async fn name_playlist(
        &mut self,
        playlist: &OwnedObjectPath,
        path: &DevicePath,
    ) -> Result<Known, PlayerError> {
        self.renames = self.peer.rename(playlist, path).await?;
        if !self.renames {
            return Err(PlayerError::Other("the device can't rename".to_owned()));
        }
        let known = self.peer.look(playlist, path.name()).await;
        let known = known.map_err(|fault| fault.told("looking at a new playlist", path.as_str()))?;
        known.ok_or_else(|| PlayerError::VerifyFailed(path.as_str().to_owned()))
    }
}

/// What a provider says that a playlist refers to.
struct References {
    objects: Vec<OwnedObjectPath>,
    /// There are more, which it can't tell.
    is_partial: bool,
}

impl References {
    /// Whether that is these in their order, and no more.
    fn are(&self, wanted: &[OwnedObjectPath]) -> bool {
        !self.is_partial && self.objects == wanted
    }
}

/// Whether the file is a playlist that a device keeps as references.
pub(super) fn is_by_references(path: &DevicePath) -> bool {
    path.name().rsplit_once('.').is_some_and(|(_, ending)| ending == REFERENCES)
}

/// A playlist's text: of our own making, so it is small and UTF-8.
fn text_of(source: &Source) -> Result<String, PlayerError> {
    match source {
        Source::Bytes(bytes) => String::from_utf8(bytes.to_vec())
            .map_err(|error| PlayerError::Source(format!("a playlist that isn't text: {error}"))),
        Source::File(_) => Err(PlayerError::Source("a playlist that is a file".to_owned())),
    }
}
