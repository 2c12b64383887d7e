//! Puts files and playlists on a provider's device: new under a temporary name where it can rename, looked at, and only
//! then in the place of what was there.
//!
//! It must not delete anything but what it made itself, what it was told to replace, and that only as it was expected.

use super::answers::{self, LAST_MODIFIED};
use super::fault::{Fault, Word};
use super::link::SLOW;
use super::pipe;
use super::pour::pour;
use super::session::Session;
use super::tree::{Known, parent};
use dbus_interfaces::provider::{OBJECT, STORAGE};
use std::collections::HashMap;
use tandem_model::error::PlayerError;
use tandem_model::formats::{self, ABSTRACT_PLAYLISTS, REFERENCES};
use tandem_model::path::DevicePath;
use tandem_model::player::{Expect, Source, Tags, Transfer, WriteRequest, Written};
use xxhash_rust::xxh3::xxh3_128;
use zbus::{OwnedObjectPath, Variant};

/// Bytes of a name at most, by the contract.
const MOST_IN_NAME: usize = 255;

/// Units of 100 nanoseconds in a millisecond.
const DURATION_UNITS: u64 = 10_000;

/// Where a file is about to be put.
pub(super) struct Prepared {
    pub(super) folder: OwnedObjectPath,
    /// What is to be replaced.
    old: Option<Known>,
    /// Folders that were made for it, outermost first.
    pub(super) made_folders: Vec<DevicePath>,
}

/// Metadata by WMDM's names.
pub(super) type Metadata<'a> = HashMap<&'static str, Variant<'a>>;

impl Session {
    /// Writes a file, or a playlist by its references.
    pub(super) async fn write(
        &mut self,
        request: &WriteRequest,
        transfer: &Transfer,
    ) -> Result<Written, PlayerError> {
        let Prepared { folder, old, made_folders } = self.prepare(request, transfer).await?;
        let written = if is_by_references(&request.path) {
            self.write_playlist(request, folder, old).await
        } else {
            self.write_file(request, folder, old, transfer).await
        };
        let (known, hash) = self.or_without(&made_folders, written).await?;
        let id = if known.id.is_empty() { request.path.as_str() } else { &known.id };
        Ok(Written { facts: known.facts, hash, persistent_id: id.to_owned(), made_folders })
    }

    /// Looks whether a file can be sent, and makes the folders for it.
    pub(super) async fn prepare(
        &mut self,
        request: &WriteRequest,
        transfer: &Transfer,
    ) -> Result<Prepared, PlayerError> {
        check_names(&request.path)?;
        self.check_temporary(&request.temporary).await?;
        let old = self.check_expected(&request.path, request.expect).await?;
        pipe::check_length(&request.source, request.size)?;
        if transfer.is_cancelled() {
            return Err(PlayerError::Cancelled);
        }
        let mut made_folders = Vec::new();
        let folder = self.make_folders(&request.path, &mut made_folders).await;
        let folder = self.or_without(&made_folders, folder).await?;
        Ok(Prepared { folder, old, made_folders })
    }

    /// What came of a file; after an error the folders that were made for it go again.
    pub(super) async fn or_without<T>(
        &mut self,
        made_folders: &[DevicePath],
        result: Result<T, PlayerError>,
    ) -> Result<T, PlayerError> {
        if result.is_err() && !self.peer.link.is_lost() {
            self.remove_empty(made_folders.to_vec()).await?;
        }
        result
    }

    async fn write_file(
        &mut self,
        request: &WriteRequest,
        place: OwnedObjectPath,
        mut old: Option<Known>,
        transfer: &Transfer,
    ) -> Result<(Known, u128), PlayerError> {
        let beside = beside(&request.path, &request.temporary);
        self.check_free(request, &beside).await?;
        let before = transfer.bytes();
        loop {
            let renames = self.renames;
            if !renames && let Some(there) = old.take() {
                // two files can't share the name, and the new one can't get it later
                self.delete_known(&request.path, &there).await?;
            }
            let at = if renames { beside.as_str() } else { request.path.as_str() };
            let object = self.create(&place, request, at).await?;
            let done = match self.fill(request, &object, at, transfer).await {
                Ok((known, hash)) if renames => {
                    self.take_place(request, known, &mut old).await.map(|known| (known, hash))
                }
                done => done,
            };
            match done {
                Ok((known, hash)) => {
                    self.tree.put(request.path.as_str(), known.clone());
                    return Ok((known, hash));
                }
                Err(error) => {
                    self.drop_remains(&object, (at, &request.path)).await?;
                    if renames && !self.renames {
                        // it can't rename, as has only now shown: once more, under the final name
                        transfer.set(before);
                        continue;
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Whether both temporary names are free.
    pub(super) async fn check_free(
        &mut self,
        request: &WriteRequest,
        beside: &str,
    ) -> Result<(), PlayerError> {
        for temporary in [request.temporary.as_str(), beside] {
            if self.find(temporary).await.map_err(|fault| fault.told("looking", temporary))?.is_some() {
                let taken = format!("the temporary name `{temporary}` is taken");
                return Err(PlayerError::Other(taken));
            }
        }
        Ok(())
    }

    /// Makes an empty file.
    pub(super) async fn create(
        &mut self,
        place: &OwnedObjectPath,
        request: &WriteRequest,
        at: &str,
    ) -> Result<OwnedObjectPath, PlayerError> {
        let mut metadata = tag_metadata(&request.tags);
        let format = formats::of_file(request.path.name(), &self.formats);
        metadata.insert("WMDM/FormatCode", Variant::from(u32::from(format)));
        metadata.insert(LAST_MODIFIED, Variant::from(seconds(request.modified_ns)));
        let object =
            self.announce(place, "file", (at, request.path.as_str()), metadata, request.size).await?;
        if !self.files_are_objects {
            let looked = self.peer.has_interface(&object, OBJECT).await;
            if !looked.map_err(|fault| fault.told("looking at a new file", at))? {
                return Err(PlayerError::Manual(format!(
                    "its provider's files lack the interface `{OBJECT}`; it has to serve that on each of them"
                )));
            }
            self.files_are_objects = true;
        }
        Ok(object)
    }

    /// Makes a file or folder at a path; `about` is what errors name.
    async fn announce(
        &mut self,
        place: &OwnedObjectPath,
        attribute: &str,
        (at, about): (&str, &str),
        metadata: Metadata<'_>,
        size: u64,
    ) -> Result<OwnedObjectPath, PlayerError> {
        let attributes: &[&str] = &[attribute];
        let name = super::tree::name(at);
        let body = (attributes, name, metadata, size);
        let made = self.peer.call(place, (STORAGE, "CreateStorageWithMetadata"), &body, SLOW).await;
        let made = made.and_then(|object| answers::path(object, &self.peer.root));
        match made {
            // that is another's: nothing may be done to it
            Ok(object) if self.tree.knows(&object) || self.ahead.knows(&object) => {
                Err(PlayerError::VerifyFailed(about.to_owned()))
            }
            Ok(object) => Ok(object),
            Err(Fault::Refused(Word::InvalidArgument, _)) => {
                Err(PlayerError::NameRejected(super::tree::name(about).to_owned()))
            }
            Err(fault) => {
                self.tree.forget(parent(at));
                self.drop_unanswered(at).await?;
                Err(fault.told("making a file", about))
            }
        }
    }

    /// Deletes what was made under a temporary name without a proper answer: nobody else has such a name.
    async fn drop_unanswered(&mut self, at: &str) -> Result<(), PlayerError> {
        if self.peer.link.is_lost() || !is_temporary(super::tree::name(at)) {
            return Ok(());
        }
        match self.find(at).await.map_err(|fault| fault.told("looking", at))? {
            Some(made) if !made.is_folder => self.delete_object(at, &made).await,
            _ => Ok(()),
        }
    }

    /// Sends a new file's bytes and sees that they arrived.
    async fn fill(
        &mut self,
        request: &WriteRequest,
        object: &OwnedObjectPath,
        at: &str,
        transfer: &Transfer,
    ) -> Result<(Known, u128), PlayerError> {
        let chunk = self.parameters.optimal_transfer_size;
        let poured = pour(&self.peer, object, request, chunk, transfer).await?;
        pipe::check_length(&request.source, request.size)?;
        let hash = poured.answered(&self.peer).await?;
        self.peer.flush().await?;
        let known = self.peer.whole(object, at, &request.path, request.size).await?;
        Ok((known, hash))
    }

    /// Gives a file that is complete its final name, in the place of the old one where there is one.
    async fn take_place(
        &mut self,
        request: &WriteRequest,
        new: Known,
        old: &mut Option<Known>,
    ) -> Result<Known, PlayerError> {
        if let Some(there) = &old {
            self.delete_known(&request.path, there).await?;
            *old = None;
        }
        self.renames = self.peer.rename(&new.object, &request.path).await?;
        if !self.renames {
            return Err(PlayerError::Other("the device can't rename".to_owned()));
        }
        self.ahead.has_renamed = true;
        // renaming may have given it another id, and a provider may say that it has renamed what it hasn't
        self.peer.whole(&new.object, request.path.as_str(), &request.path, request.size).await
    }

    /// A playlist as an object that refers to its tracks. One that is there already refers to the new ones in one step.
    async fn write_playlist(
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
        let is_new = old.is_none();
        let object = match old {
            Some(old) => old.object,
            None => {
                let listed = ABSTRACT_PLAYLISTS.into_iter().find(|format| self.formats.contains(format));
                let format = listed.unwrap_or(ABSTRACT_PLAYLISTS[0]);
                let title = request.path.name().rsplit_once('.').map_or(path, |(title, _)| title);
                let metadata = Metadata::from([
                    ("WMDM/FormatCode", Variant::from(u32::from(format))),
                    (LAST_MODIFIED, Variant::from(seconds(request.modified_ns))),
                    ("WMDM/Title", Variant::from(title)),
                ]);
                self.announce(&place, "file", (path, path), metadata, 0).await?
            }
        };
        let set = self.peer.call::<_, ()>(&object, (STORAGE, "SetReferences"), &tracks, SLOW).await;
        let known = match set {
            Ok(()) => self.peer.look(&object, request.path.name()).await,
            Err(fault) => Err(fault),
        };
        match known.map_err(|fault| fault.told("filling a playlist", path)) {
            Ok(Some(known)) => {
                self.tree.put(path, known.clone());
                Ok((known, xxh3_128(text.as_bytes())))
            }
            other => {
                if is_new {
                    self.drop_remains(&object, (path, &request.path)).await?;
                }
                Err(other.err().unwrap_or_else(|| PlayerError::VerifyFailed(path.to_owned())))
            }
        }
    }

    /// What must be true of the final name, with what is there.
    async fn check_expected(
        &mut self,
        path: &DevicePath,
        expect: Expect,
    ) -> Result<Option<Known>, PlayerError> {
        let there = self.find(path.as_str()).await.map_err(|fault| fault.told("looking", path.as_str()))?;
        match (expect, there) {
            (Expect::Nothing, None) if !self.tree.is_taken(path.as_str()) => Ok(None),
            (Expect::Nothing, _) => Err(PlayerError::Exists(path.as_str().to_owned())),
            (Expect::This(expected), Some(there)) => {
                self.check_unchanged(path, &there, expected).await.map(Some)
            }
            (Expect::This(_), None) => Err(PlayerError::Changed(path.as_str().to_owned())),
        }
    }

    /// Deletes what was made of a file of our own, whichever of its two names it has by now. Where the provider doesn't
    /// answer, the next run does.
    pub(super) async fn drop_remains(
        &mut self,
        object: &OwnedObjectPath,
        (at, path): (&str, &DevicePath),
    ) -> Result<(), PlayerError> {
        self.tree.forget(parent(at));
        for name in [at, path.as_str()] {
            if self.peer.link.is_lost() {
                return Ok(());
            }
            let looked = self.peer.look(object, super::tree::name(name)).await;
            if let Some(remains) = looked.map_err(|fault| fault.told("looking", at))? {
                return self.delete_object(name, &remains).await;
            }
        }
        Ok(())
    }

    /// Whether the folder of temporary names is one, or can become one.
    pub(super) async fn check_temporary(&mut self, temporary: &DevicePath) -> Result<(), PlayerError> {
        for folder in temporary.ancestors() {
            let found = self.find(folder).await.map_err(|fault| fault.told("looking", folder))?;
            if found.is_some_and(|there| !there.is_folder) {
                return Err(PlayerError::InTheWay(folder.to_owned()));
            }
        }
        Ok(())
    }

    /// Makes the folders above a file that aren't there, and tells which.
    async fn make_folders(
        &mut self,
        path: &DevicePath,
        made: &mut Vec<DevicePath>,
    ) -> Result<OwnedObjectPath, PlayerError> {
        let mut place = self.storage.clone();
        for folder in path.ancestors() {
            let found = self.find(folder).await.map_err(|fault| fault.told("looking", folder))?;
            place = match found {
                Some(there) if there.is_folder => there.object,
                Some(_) => {
                    return Err(PlayerError::Other(format!("`{folder}` on the device is not a folder")));
                }
                None => {
                    let object =
                        self.announce(&place, "folder", (folder, folder), Metadata::new(), 0).await?;
                    made.extend(DevicePath::parse(folder));
                    let looked = self.peer.look(&object, super::tree::name(folder)).await;
                    let known = looked.map_err(|fault| fault.told("looking at a new folder", folder))?;
                    let known = known.filter(|known| known.is_folder);
                    let known = known.ok_or_else(|| PlayerError::VerifyFailed(folder.to_owned()))?;
                    self.tree.put(folder, known);
                    object
                }
            };
        }
        Ok(place)
    }

    /// Removes those of these folders that are empty, innermost first.
    pub(super) async fn remove_empty(&mut self, mut folders: Vec<DevicePath>) -> Result<(), PlayerError> {
        folders.sort_by_key(|folder| std::cmp::Reverse(folder.ancestors().count()));
        for folder in folders {
            let told = |fault: Fault| fault.told("removing an empty folder", folder.as_str());
            let Some(there) = self.find(folder.as_str()).await.map_err(told)?.filter(|there| there.is_folder)
            else {
                continue;
            };
            self.tree.forget(folder.as_str());
            if self.children(folder.as_str()).await.map_err(told)?.is_empty() {
                self.delete_object(folder.as_str(), &there).await?;
            }
        }
        Ok(())
    }
}

/// What a track's tags say, by WMDM's names; nothing where that isn't known.
pub(super) fn tag_metadata(tags: &Tags) -> Metadata<'_> {
    let texts = [
        ("WMDM/Title", &tags.title),
        ("WMDM/Author", &tags.artist),
        ("WMDM/AlbumArtist", &tags.album_artist),
        ("WMDM/AlbumTitle", &tags.album),
        ("WMDM/Genre", &tags.genre),
    ];
    let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
    let mut metadata: Metadata<'_> = texts.map(|(name, text)| (name, Variant::from(&**text))).collect();
    if tags.duration_ms > 0 {
        let duration = tags.duration_ms.saturating_mul(DURATION_UNITS);
        metadata.insert("WMDM/Duration", Variant::from(duration));
    }
    if tags.track_number > 0 {
        metadata.insert("WMDM/Track", Variant::from(tags.track_number));
    }
    metadata
}

/// A time as the contract has it: whole seconds since 1970, and nothing before that.
fn seconds(nanoseconds: i64) -> u64 {
    u64::try_from(nanoseconds / 1_000_000_000).unwrap_or(0)
}

/// Where a file is while it is written: in its own folder, for not every device can move.
pub(super) fn beside(path: &DevicePath, temporary: &DevicePath) -> String {
    path.parent()
        .map_or_else(|| temporary.name().to_owned(), |folder| format!("{folder}/{}", temporary.name()))
}

pub(super) fn is_by_references(path: &DevicePath) -> bool {
    path.name().rsplit_once('.').is_some_and(|(_, ending)| ending == REFERENCES)
}

/// Names that the contract can't say are refused here.
fn check_names(path: &DevicePath) -> Result<(), PlayerError> {
    match path.as_str().split('/').find(|part| part.len() > MOST_IN_NAME) {
        Some(part) => Err(PlayerError::NameRejected(part.to_owned())),
        None => Ok(()),
    }
}

/// A playlist's text: of our own making, so it is small and UTF-8.
fn text_of(source: &Source) -> Result<String, PlayerError> {
    match source {
        Source::Bytes(bytes) => String::from_utf8(bytes.to_vec())
            .map_err(|error| PlayerError::Source(format!("a playlist that isn't text: {error}"))),
        Source::File(_) => Err(PlayerError::Source("a playlist that is a file".to_owned())),
    }
}

/// Whether a name is of those that nobody else makes.
pub(super) fn is_temporary(name: &str) -> bool {
    let number = name.strip_suffix(".part").unwrap_or("");
    number.len() == 32 && number.bytes().all(|byte| byte.is_ascii_hexdigit())
}
