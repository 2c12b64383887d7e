//! Puts files, folders and playlists on a player: new under a temporary name where it can rename, verified, and only then
//! in the place of what was there.
//!
//! It must not delete anything but what it made itself, what it was told to replace, and that only as it was expected.

use super::error::{Fail, failed};
use super::formats::{self, ABSTRACT_PLAYLISTS, REFERENCES};
use super::session::{Session, ask, was_too_busy};
use super::source::Outgoing;
use super::times;
use super::tree::{Known, parent};
use tandem_model::error::PlayerError;
use tandem_model::path::DevicePath;
use tandem_model::player::{Expect, ObjectFacts, Source, Transfer, WriteRequest, Written};
use tandem_mtp::codec::MAX_STRING_UNITS;
use tandem_mtp::codec::object_info::ObjectInfo;
use tandem_mtp::codec::property_list::PropertyElement;
use tandem_mtp::codec::value::Value;
use tandem_mtp::codes::{
    FormatCode, ObjectHandle, ObjectPropertyCode as Property, OperationCode, ResponseCode,
};
use tandem_mtp::initiator::{Error, Parent};

/// The most bytes that ObjectInfo can tell of; its dates are what ObjectInfo answers later, so it is preferred up to here.
const MOST_IN_INFO: u64 = 0xFFFF_FFFE;

/// An object that is about to be announced.
struct Announcement<'a> {
    place: Parent,
    format: FormatCode,
    name: &'a str,
    size: u64,
    modified_ns: i64,
}

impl Session {
    /// Writes a file, or a playlist by its references.
    pub(crate) async fn write(
        &mut self,
        request: &WriteRequest,
        transfer: &Transfer,
    ) -> Result<Written, Fail> {
        check_names(&request.path)?;
        self.check_temporary(&request.temporary).await?;
        let old = self.check_expected(&request.path, request.expect).await?;
        let source = Outgoing::new(&request.source, request.size, transfer).await?;
        if transfer.is_cancelled() {
            return Err(PlayerError::Cancelled.into());
        }
        let mut made_folders = Vec::new();
        let done = match self.make_folders(&request.path, &mut made_folders).await {
            Ok(place) if is_by_references(&request.path) => {
                self.write_playlist(request, place, old, source).await
            }
            Ok(place) => self.write_file(request, place, old, source, transfer).await,
            Err(error) => Err(error),
        };
        match done {
            Ok((facts, hash)) => {
                let persistent_id = request.path.as_str().to_owned();
                Ok(Written { facts, hash, persistent_id, made_folders })
            }
            Err(error) => {
                if !self.initiator.is_gone() {
                    self.remove_empty(made_folders).await?;
                }
                Err(error)
            }
        }
    }

    async fn write_file(
        &mut self,
        request: &WriteRequest,
        place: Parent,
        old: Option<Known>,
        mut source: Outgoing<'_>,
        transfer: &Transfer,
    ) -> Result<(ObjectFacts, u128), Fail> {
        let format = formats::of_file(request.path.name(), self.formats());
        let rename = self.ability(format).await?.rename;
        let beside = beside(&request.path, &request.temporary);
        if self.find(request.temporary.as_str()).await?.is_some() || self.find(&beside).await?.is_some() {
            return Err(
                PlayerError::Other(format!("the temporary name `{}` is taken", request.temporary)).into()
            );
        }
        if let (Some(old), false) = (old, rename) {
            // two objects can't share the name, and the new one can't get it later
            self.delete_known(&request.path, old).await?;
        }
        let name = if rename { request.temporary.name() } else { request.path.name() };
        let announcement =
            Announcement { place, format, name, size: request.size, modified_ns: request.modified_ns };
        let handle = self.announce(&announcement, &request.path).await?;
        let at = if rename { beside.as_str() } else { request.path.as_str() };
        match self.fill(request, handle, at, &mut source, transfer).await {
            Ok(known) => {
                let known = if rename { self.take_place(request, known, old).await? } else { known };
                self.tree.put(request.path.as_str(), known);
                Ok((known.facts, source.hash()))
            }
            Err(error) => {
                self.drop_remains(handle, at).await?;
                Err(error)
            }
        }
    }

    /// Sends an announced object's bytes and sees that they arrived.
    async fn fill(
        &mut self,
        request: &WriteRequest,
        handle: ObjectHandle,
        at: &str,
        source: &mut Outgoing<'_>,
        transfer: &Transfer,
    ) -> Result<Known, Fail> {
        match self.initiator.send_object(request.size, source).await {
            Ok(()) => {}
            // what has no bytes is complete with its announcement
            Err(Error::Refused { .. }) if request.size == 0 => {}
            Err(_) if transfer.is_cancelled() => return Err(PlayerError::Cancelled.into()),
            Err(Error::SourceEnded { .. }) => return Err(PlayerError::SourceChanged.into()),
            Err(Error::Source(error)) => return Err(PlayerError::Source(error.to_string()).into()),
            Err(error) => return Err(failed("sending a file", &error)),
        }
        source.check(request.size).await?;
        let known = match self.look(handle).await? {
            Some(known) => Some(known),
            // some devices give another handle to what was sent
            None => {
                self.tree.forget_folder(parent(at));
                self.find(at).await?
            }
        };
        match known {
            Some(known) if known.facts.size == request.size && !known.is_folder => Ok(known),
            _ => Err(PlayerError::VerifyFailed(request.path.as_str().to_owned()).into()),
        }
    }

    /// Gives a file that is complete its final name, in the place of the old one where there is one.
    async fn take_place(
        &mut self,
        request: &WriteRequest,
        new: Known,
        old: Option<Known>,
    ) -> Result<Known, Fail> {
        if let Some(old) = old
            && let Err(error) = self.delete_known(&request.path, old).await
        {
            self.drop_remains(new.handle, &beside(&request.path, &request.temporary)).await?;
            return Err(error);
        }
        if let Err(error) = self.rename(new.handle, request.path.name()).await {
            self.drop_remains(new.handle, &beside(&request.path, &request.temporary)).await?;
            return Err(match error {
                Fail::Player(PlayerError::Other(_) | PlayerError::NotPermitted(_)) => {
                    PlayerError::NameRejected(request.path.name().to_owned()).into()
                }
                error => error,
            });
        }
        Ok(new)
    }

    pub(crate) async fn rename(&mut self, handle: ObjectHandle, name: &str) -> Result<(), Fail> {
        let value = Value::from(name);
        let property = Property::OBJECT_FILE_NAME;
        ask!(self, "renaming", self.initiator.set_object_property(handle, property, &value))
    }

    /// A playlist as an object that refers to its tracks. One that is there already refers to the new ones in one step.
    async fn write_playlist(
        &mut self,
        request: &WriteRequest,
        place: Parent,
        old: Option<Known>,
        mut source: Outgoing<'_>,
    ) -> Result<(ObjectFacts, u128), Fail> {
        let mut text = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut source, &mut text)
            .await
            .map_err(|error| PlayerError::Source(error.to_string()))?;
        let mut tracks = Vec::new();
        for path in formats::playlist_items(&text, request.path.parent().as_ref()) {
            // a playlist holds what is there
            if let Some(track) = self.find(path.as_str()).await? {
                tracks.push(track.handle);
            }
        }
        let handle = match old {
            Some(old) => old.handle,
            None => {
                let listed = self.formats();
                let format = ABSTRACT_PLAYLISTS.into_iter().find(|format| listed.contains(format));
                let format = format.unwrap_or(FormatCode::ABSTRACT_AUDIO_VIDEO_PLAYLIST);
                let (name, modified_ns) = (request.path.name(), request.modified_ns);
                self.announce(&Announcement { place, format, name, size: 0, modified_ns }, &request.path)
                    .await?
            }
        };
        let set = ask!(self, "filling a playlist", self.initiator.set_object_references(handle, &tracks));
        let looked = match set {
            Ok(()) => self.look(handle).await,
            Err(error) => Err(error),
        };
        let known = match looked {
            Ok(Some(known)) => known,
            other => {
                if old.is_none() {
                    self.drop_remains(handle, request.path.as_str()).await?;
                }
                let failed = PlayerError::VerifyFailed(request.path.as_str().to_owned());
                return Err(other.err().unwrap_or(Fail::Player(failed)));
            }
        };
        self.tree.put(request.path.as_str(), known);
        Ok((known.facts, source.hash()))
    }

    /// Announces an object, with its properties where the device takes them, and returns its handle.
    async fn announce(&mut self, what: &Announcement<'_>, path: &DevicePath) -> Result<ObjectHandle, Fail> {
        let lists = self.initiator.supports(OperationCode::SEND_OBJECT_PROP_LIST)
            && !self.traits.no_send_property_list
            && !self.lists_refused
            && (what.size > MOST_IN_INFO || ABSTRACT_PLAYLISTS.contains(&what.format));
        if lists {
            let elements = self.elements(what).await?;
            let sent = self.initiator.send_object_property_list(
                self.storage,
                what.place,
                what.format,
                what.size,
                &elements,
            );
            match sent.await {
                Ok(created) => return Ok(created.handle),
                Err(error) if is_final(&error) => return Err(failed("announcing a file", &error)),
                Err(error) => {
                    tracing::debug!(
                        "a property list was not taken, the object is announced without: {error}"
                    );
                    self.lists_refused = true;
                }
            }
        }
        let mut info = ObjectInfo::new(what.format, what.size, what.name);
        info.modified = times::to_text(what.modified_ns);
        info.created.clone_from(&info.modified);
        self.announce_info(what.place, &info, path).await
    }

    async fn announce_info(
        &mut self,
        place: Parent,
        info: &ObjectInfo,
        path: &DevicePath,
    ) -> Result<ObjectHandle, Fail> {
        let mut attempt = 0;
        loop {
            match self.initiator.send_object_info(self.storage, place, info).await {
                Ok(created) => return Ok(created.handle),
                Err(error) if was_too_busy(&error, &mut attempt).await => {}
                Err(error) => {
                    return Err(rejected(&error, path).unwrap_or_else(|| failed("announcing a file", &error)));
                }
            }
        }
    }

    /// The properties that go with an announcement. No date is among them: some devices then tell another one by
    /// ObjectInfo than by their property lists.
    async fn elements(&mut self, what: &Announcement<'_>) -> Result<Vec<PropertyElement>, Fail> {
        let ability = self.ability(what.format).await?;
        let mut elements = vec![PropertyElement::of_new(Property::OBJECT_FILE_NAME, Value::from(what.name))];
        if ABSTRACT_PLAYLISTS.contains(&what.format) && ability.properties.contains(&Property::NAME) {
            let title = what.name.rsplit_once('.').map_or(what.name, |(title, _)| title);
            elements.push(PropertyElement::of_new(Property::NAME, Value::from(title)));
        }
        Ok(elements)
    }

    /// What must be true of the final name, with what is there.
    async fn check_expected(&mut self, path: &DevicePath, expect: Expect) -> Result<Option<Known>, Fail> {
        let there = self.find(path.as_str()).await?;
        match (expect, there) {
            (Expect::Nothing, None) if !self.is_taken(path.as_str()) => Ok(None),
            (Expect::Nothing, _) => Err(PlayerError::Exists(path.as_str().to_owned()).into()),
            (Expect::This(expected), Some(there)) => {
                self.check_unchanged(path, there, expected).await.map(Some)
            }
            (Expect::This(_), None) => Err(PlayerError::Changed(path.as_str().to_owned()).into()),
        }
    }

    /// The object as the device tells of it now, if that is what is expected.
    pub(crate) async fn check_unchanged(
        &mut self,
        path: &DevicePath,
        there: Known,
        expected: ObjectFacts,
    ) -> Result<Known, Fail> {
        match self.look(there.handle).await? {
            Some(now) if !now.is_folder && expected.matches(&now.facts) => Ok(now),
            _ => Err(PlayerError::Changed(path.as_str().to_owned()).into()),
        }
    }

    /// Deletes an object if it is still as it was looked at.
    pub(crate) async fn delete_known(&mut self, path: &DevicePath, there: Known) -> Result<(), Fail> {
        let there = self.check_unchanged(path, there, there.facts).await?;
        ask!(self, "deleting a file", self.initiator.delete_object(there.handle))?;
        self.tree.take(path.as_str());
        Ok(())
    }

    /// Deletes what was sent of an object of our own.
    async fn drop_remains(&mut self, handle: ObjectHandle, at: &str) -> Result<(), Fail> {
        if self.initiator.is_gone() {
            return Ok(());
        }
        self.ready().await?;
        let deleted = ask!(self, "deleting remains", self.initiator.delete_object(handle));
        self.tree.forget_folder(parent(at));
        match deleted {
            // the device keeps no remains, or gave them another handle
            Err(Fail::Stale(_)) if self.initiator.has_session() => match self.find(at).await? {
                Some(remains) => ask!(self, "deleting remains", self.initiator.delete_object(remains.handle)),
                None => Ok(()),
            },
            deleted => deleted,
        }?;
        self.tree.forget_folder(parent(at));
        Ok(())
    }

    /// Whether the folder of temporary names is one, or can become one.
    pub(crate) async fn check_temporary(&mut self, temporary: &DevicePath) -> Result<(), Fail> {
        for folder in temporary.ancestors().map(str::to_owned).collect::<Vec<_>>() {
            if self.find(&folder).await?.is_some_and(|there| !there.is_folder) {
                return Err(PlayerError::InTheWay(folder).into());
            }
        }
        Ok(())
    }

    async fn make_folders(&mut self, path: &DevicePath, made: &mut Vec<DevicePath>) -> Result<Parent, Fail> {
        let mut place = Parent::Root;
        for folder in path.ancestors().map(str::to_owned).collect::<Vec<_>>() {
            let handle = match self.find(&folder).await? {
                Some(there) if there.is_folder => there.handle,
                Some(_) => {
                    return Err(
                        PlayerError::Other(format!("`{folder}` on the device is not a folder")).into()
                    );
                }
                None => {
                    let path = DevicePath::parse(&folder)
                        .ok_or_else(|| PlayerError::NameRejected(folder.clone()))?;
                    let info = ObjectInfo::new(FormatCode::ASSOCIATION, 0, path.name());
                    let handle = self.announce_info(place, &info, &path).await?;
                    made.push(path);
                    self.made_folder(handle, &folder).await?
                }
            };
            place = Parent::Folder(handle);
        }
        Ok(place)
    }

    /// The handle of a folder that was just made. Some devices give it another one than they answered with.
    async fn made_folder(&mut self, handle: ObjectHandle, folder: &str) -> Result<ObjectHandle, Fail> {
        if self.look(handle).await?.is_some_and(|known| known.is_folder) {
            let facts = ObjectFacts { size: 0, modified_ns: 0 };
            self.tree.put(folder, Known { handle, is_folder: true, facts });
            return Ok(handle);
        }
        self.tree.forget_folder(parent(folder));
        let found = self.find(folder).await?.filter(|known| known.is_folder);
        found.map(|known| known.handle).ok_or_else(|| PlayerError::VerifyFailed(folder.to_owned()).into())
    }

    /// Removes those of these folders that are empty, innermost first.
    pub(crate) async fn remove_empty(&mut self, mut folders: Vec<DevicePath>) -> Result<(), Fail> {
        folders.sort_by_key(|folder| std::cmp::Reverse(folder.ancestors().count()));
        for folder in folders {
            let Some(there) = self.find(folder.as_str()).await?.filter(|there| there.is_folder) else {
                continue;
            };
            // a folder goes with all that is in it, so the device is asked twice
            self.tree.forget_folder(folder.as_str());
            if !self.children(folder.as_str()).await?.is_empty() || !self.counts_none(there).await? {
                continue;
            }
            ask!(self, "removing a folder", self.initiator.delete_object(there.handle))?;
            self.tree.take(folder.as_str());
        }
        Ok(())
    }

    async fn counts_none(&mut self, folder: Known) -> Result<bool, Fail> {
        let filter =
            tandem_mtp::initiator::ObjectFilter::children(self.storage, Parent::Folder(folder.handle));
        Ok(ask!(self, "listing a folder", self.initiator.object_handles(filter))?.is_empty())
    }
}

/// Where a file is while it is written: in its own folder, for not every device can move.
pub(crate) fn beside(path: &DevicePath, temporary: &DevicePath) -> String {
    path.parent()
        .map_or_else(|| temporary.name().to_owned(), |folder| format!("{folder}/{}", temporary.name()))
}

fn is_by_references(path: &DevicePath) -> bool {
    path.name().rsplit_once('.').is_some_and(|(_, ending)| ending == REFERENCES)
}

/// Names that the protocol can't say are refused here.
fn check_names(path: &DevicePath) -> Result<(), PlayerError> {
    match path.as_str().split('/').find(|part| part.encode_utf16().count() > MAX_STRING_UNITS) {
        Some(part) => Err(PlayerError::NameRejected(part.to_owned())),
        None => Ok(()),
    }
}

/// A refusal that can only mean the name.
fn rejected(error: &Error, path: &DevicePath) -> Option<Fail> {
    let of_name = [
        ResponseCode::INVALID_PARAMETER,
        ResponseCode::INVALID_DATASET,
        ResponseCode::INVALID_OBJECT_PROP_VALUE,
    ];
    let code = error.code().filter(|code| of_name.contains(code));
    code.map(|_| PlayerError::NameRejected(path.name().to_owned()).into())
}

/// Whether another way of announcing would fail alike.
fn is_final(error: &Error) -> bool {
    match error {
        Error::Refused { code, .. } => matches!(
            *code,
            ResponseCode::STORE_FULL
                | ResponseCode::STORE_READ_ONLY
                | ResponseCode::INVALID_PARENT_OBJECT
                | ResponseCode::DEVICE_BUSY
                | ResponseCode::OBJECT_TOO_LARGE
        ),
        _ => true,
    }
}

/// A write that can be carried out once more: its source is read from the start each time.
pub(crate) fn bytes_request(
    path: DevicePath,
    temporary: DevicePath,
    bytes: Vec<u8>,
    modified_ns: i64,
) -> WriteRequest {
    let size = bytes.len() as u64;
    let source = Source::Bytes(bytes.into());
    WriteRequest { path, temporary, expect: Expect::Nothing, size, modified_ns, source }
}
