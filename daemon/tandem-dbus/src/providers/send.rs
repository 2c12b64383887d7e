//! Puts files and playlists on a provider's device: new under a temporary name where it can rename, looked
//! at, and only then in the place of what was there.
//!
//! It must not delete anything but what it made itself, what it was told to replace, and that only as it was
//! expected.

use super::answers::{self, LAST_MODIFIED};
use super::fault::{Fault, Word};
use super::link::SLOW;
use super::pipe;
use super::playlists::is_by_references;
use super::pour::{self, Failed, Metadata};
use super::session::Session;
use super::tree::{Known, parent};
use dbus_interfaces::provider::{OBJECT, STORAGE};
use std::sync::Arc;
use tandem_model::error::PlayerError;
use tandem_model::formats;
use tandem_model::path::DevicePath;
use tandem_model::player::{Expect, Tags, Transfer, WriteRequest, Written};
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

impl Session {
    /// Writes a file, or a playlist by its references.
    pub(super) async fn write(
        &mut self,
        request: &WriteRequest,
        transfer: &Arc<Transfer>,
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
        transfer: &Arc<Transfer>,
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
        self.tree.touch(parent(request.path.as_str()));
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
        transfer: &Arc<Transfer>,
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

    /// What is told of a new file.
    pub(super) fn metadata(&self, request: &WriteRequest) -> Metadata {
        let mut metadata = tag_metadata(&request.tags);
        let format = formats::of_file(request.path.name(), &self.formats);
        metadata.insert("WMDM/FormatCode", Variant::from(u32::from(format)));
        metadata.insert(LAST_MODIFIED, Variant::from(seconds(request.modified_ns)));
        metadata
    }

    /// Makes an empty file.
    pub(super) async fn create(
        &mut self,
        place: &OwnedObjectPath,
        request: &WriteRequest,
        at: &str,
    ) -> Result<OwnedObjectPath, PlayerError> {
        let metadata = self.metadata(request);
        let object =
            self.announce(place, "file", (at, request.path.as_str()), metadata, request.size).await?;
        self.check_new(&object, at, true).await?;
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
    pub(super) async fn announce(
        &mut self,
        place: &OwnedObjectPath,
        attribute: &str,
        (at, about): (&str, &str),
        metadata: Metadata,
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
                self.drop_unanswered(at).await?;
                Err(fault.told("making a file", about))
            }
        }
    }

    /// Sees that what was answered as a new file is one, before anything is done to it: folders that aren't listed
    /// hold files that nothing is known of.
    pub(super) async fn check_new(
        &mut self,
        object: &OwnedObjectPath,
        at: &str,
        is_of_bytes: bool,
    ) -> Result<(), PlayerError> {
        let wrong = match self.peer.entry(object).await {
            Ok(Some(new)) => {
                let is_new = new.name == super::tree::name(at) && !new.is_folder;
                if is_new && !(is_of_bytes && new.facts.size > 0) {
                    return Ok(());
                }
                Fault::Lie(format!("`{}`, which is another file, as a new one", object.as_str()))
            }
            Ok(None) => Fault::Lie(format!("`{}`, which isn't there, as a new file", object.as_str())),
            Err(fault) => fault,
        };
        self.drop_unanswered(at).await?;
        Err(wrong.told("making a file", at))
    }

    /// Deletes what was made under a temporary name without a proper answer: nobody else has such a name.
    pub(super) async fn drop_unanswered(&mut self, at: &str) -> Result<(), PlayerError> {
        self.tree.forget(parent(at));
        self.check_asked(at)?;
        if !is_temporary(super::tree::name(at)) {
            return Ok(());
        }
        match self.find(at).await.map_err(|fault| fault.told("looking", at))? {
            Some(made) if !made.is_folder => self.delete_listed(at, &made).await,
            _ => Ok(()),
        }
    }

    /// Sends a new file's bytes and sees that they arrived.
    async fn fill(
        &mut self,
        request: &WriteRequest,
        object: &OwnedObjectPath,
        at: &str,
        transfer: &Arc<Transfer>,
    ) -> Result<(Known, u128), PlayerError> {
        let chunk = self.parameters.optimal_transfer_size;
        let told = |failed: Failed| failed.told(request.path.as_str());
        let poured = pour::write(&self.peer, object, request, chunk, transfer).await.map_err(told)?;
        let (_, hash) = poured.answered(&self.peer).await.map_err(|fault| told(Failed::Fault(fault)))?;
        pipe::check_length(&request.source, request.size)?;
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

    /// Whether the provider is still asked. Where it isn't, what it has of a file isn't known, whatever else went
    /// wrong with that: the next run finds out.
    fn check_asked(&self, at: &str) -> Result<(), PlayerError> {
        self.peer.link.loss().map_or(Ok(()), |fault| Err(fault.told("writing a file", at)))
    }

    /// Deletes what was made of a file of our own, whichever of its two names it has by now.
    pub(super) async fn drop_remains(
        &mut self,
        object: &OwnedObjectPath,
        (at, path): (&str, &DevicePath),
    ) -> Result<(), PlayerError> {
        self.tree.forget(parent(at));
        for name in [at, path.as_str()] {
            self.check_asked(at)?;
            let looked = self.peer.look(object, super::tree::name(name)).await;
            if let Some(remains) = looked.map_err(|fault| fault.told("looking", at))? {
                return self.delete_object(name, &remains).await;
            }
        }
        Ok(())
    }
}

/// What a track's tags say, by WMDM's names; nothing where that isn't known.
pub(super) fn tag_metadata(tags: &Tags) -> Metadata {
    let texts = [
        ("WMDM/Title", &tags.title),
        ("WMDM/Author", &tags.artist),
        ("WMDM/AlbumArtist", &tags.album_artist),
        ("WMDM/AlbumTitle", &tags.album),
        ("WMDM/Genre", &tags.genre),
    ];
    let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
    let mut metadata: Metadata = texts.map(|(name, text)| (name, Variant::from(text.to_string()))).collect();
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
pub(super) fn seconds(nanoseconds: i64) -> u64 {
    u64::try_from(nanoseconds / 1_000_000_000).unwrap_or(0)
}

/// Where a file is while it is written: in its own folder, for not every device can move.
pub(super) fn beside(path: &DevicePath, temporary: &DevicePath) -> String {
    path.parent()
        .map_or_else(|| temporary.name().to_owned(), |folder| format!("{folder}/{}", temporary.name()))
}

/// Names that the contract can't say are refused here.
fn check_names(path: &DevicePath) -> Result<(), PlayerError> {
    match path.as_str().split('/').find(|part| part.len() > MOST_IN_NAME) {
        Some(part) => Err(PlayerError::NameRejected(part.to_owned())),
        None => Ok(()),
    }
}

/// Whether a name is of those that nobody else makes.
pub(super) fn is_temporary(name: &str) -> bool {
    let number = name.strip_suffix(".part").unwrap_or("");
    number.len() == 32 && number.bytes().all(|byte| byte.is_ascii_hexdigit())
}
