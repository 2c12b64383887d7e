//! Puts files on a player, and sees to it that folders and what refers to files come along: new under a temporary name where it can rename, verified, and only then
//! in the place of what was there.
//!
//! It must not delete anything but what it made itself, what it was told to replace, and that only as it was expected.

use super::announce::Announcement;
use super::error::{Fail, failed};
use super::formats;
use super::references::Referring;
use super::session::{Session, ask};
use super::source::Outgoing;
use super::tree::{Known, parent};
use std::time::Duration;
use tandem_model::error::PlayerError;
use tandem_model::path::DevicePath;
use tandem_model::player::{Expect, ObjectFacts, Source, Tags, Transfer, WriteRequest, Written};
use tandem_mtp::codec::MAX_STRING_UNITS;
use tandem_mtp::codec::value::Value;
use tandem_mtp::codes::{ObjectHandle, ObjectPropertyCode as Property};
use tandem_mtp::initiator::{Error, Parent};

/// How often an object that isn't there as it was sent is looked at, with pauses that double from the first.
const LATE_TRIES: u32 = 9;
const LATE_PAUSE: Duration = Duration::from_millis(2);

impl Session {
    /// Writes a file, or a playlist or an album by its references. Folders that it makes are added to `made_folders`, which may hold those
    /// of an attempt before.
    pub(crate) async fn write(
        &mut self,
        request: &WriteRequest,
        transfer: &Transfer,
        made_folders: &mut Vec<DevicePath>,
    ) -> Result<Written, Fail> {
        check_names(&request.path)?;
        self.check_temporary(&request.temporary).await?;
        let old = self.check_expected(&request.path, request.expect).await?;
        let source = Outgoing::new(&request.source, request.size, transfer).await?;
        if transfer.is_cancelled() {
            return Err(PlayerError::Cancelled.into());
        }
        let done = match self.make_folders(&request.path, made_folders).await {
            Ok(place) => match Referring::of(&request.path) {
                Some(kind) => self.write_references(request, kind, place, old, source).await,
                None => self.write_file(request, place, old, source, transfer).await,
            },
            Err(error) => Err(error),
        };
        match done {
            Ok((known, hash)) => {
                // what is there is there, though a session is lost before its id is told
                let asked = self.persistent_id(&request.path, known).await;
                let persistent_id = asked.unwrap_or_else(|_| request.path.as_str().to_owned());
                let made_folders = std::mem::take(made_folders);
                Ok(Written { facts: known.facts, hash, persistent_id, made_folders })
            }
            Err(error) => {
                if !self.initiator.is_gone() {
                    self.remove_empty(made_folders.clone()).await?;
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
    ) -> Result<(Known, u128), Fail> {
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
        let modified_ns = Some(request.modified_ns);
        let size = request.size;
        let announcement = Announcement { place, format, name, title: None, size, modified_ns };
        let session = self.number;
        let at = if rename { beside.as_str() } else { request.path.as_str() };
        let handle = self.announced(&announcement, &request.path, at).await?;
        match self.fill(request, handle, at, &mut source, transfer).await {
            Ok(known) => {
                let known = if rename { self.take_place(request, known, old).await? } else { known };
                self.tree.put(request.path.as_str(), known);
                Ok((known, source.hash()))
            }
            Err(error) => {
                self.drop_remains(session, handle, at).await?;
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
        // before the look, for some devices take it for a change of the file
        let format = formats::of_file(request.path.name(), self.formats());
        self.tell_tags(handle, format, &request.tags).await?;
        let whole = |known: &Known| known.facts.size == request.size && !known.is_folder;
        let failed = || PlayerError::VerifyFailed(request.path.as_str().to_owned());
        let known = self.arrived(handle, at, whole).await?.ok_or_else(failed)?;
        let known = self.dated(known, format, request.modified_ns).await?;
        if whole(&known) { Ok(known) } else { Err(failed().into()) }
    }

    /// What was just made, as the device tells of it; `None` when it isn't there as it should be. Some devices give it
    /// another handle, and some say that it is there a little before they know it themselves.
    pub(super) async fn arrived(
        &mut self,
        handle: ObjectHandle,
        at: &str,
        is_right: impl Fn(&Known) -> bool,
    ) -> Result<Option<Known>, Fail> {
        let mut pause = LATE_PAUSE;
        for attempt in 0..LATE_TRIES {
            if attempt > 0 {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            let known = match self.look(handle).await? {
                Some(known) => Some(known),
                None => {
                    self.tree.forget_folder(parent(at));
                    self.find(at).await?
                }
            };
            if known.as_ref().is_some_and(&is_right) {
                return Ok(known);
            }
        }
        // what was listed meanwhile may lack what comes yet
        self.tree.forget_folder(parent(at));
        Ok(None)
    }

    /// Gives a file that is complete its final name, in the place of the old one where there is one.
    async fn take_place(
        &mut self,
        request: &WriteRequest,
        new: Known,
        old: Option<Known>,
    ) -> Result<Known, Fail> {
        let session = self.number;
        if let Some(old) = old
            && let Err(error) = self.delete_known(&request.path, old).await
        {
            self.drop_remains(session, new.handle, &beside(&request.path, &request.temporary)).await?;
            return Err(error);
        }
        if let Err(error) = self.rename(new.handle, request.path.name()).await {
            self.drop_remains(session, new.handle, &beside(&request.path, &request.temporary)).await?;
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
        let deleted = self.delete_object(there.handle).await;
        if deleted.is_err() {
            self.tree.forget_folder(parent(path.as_str()));
        }
        deleted?;
        self.tree.take(path.as_str());
        Ok(())
    }

    /// Deletes what was sent of an object of our own, in the session that has this number. In another one its handle may be
    /// another object's, and its place alone tells it.
    pub(super) async fn drop_remains(
        &mut self,
        session: u32,
        handle: ObjectHandle,
        at: &str,
    ) -> Result<(), Fail> {
        if self.initiator.is_gone() {
            return Ok(());
        }
        self.ready_again().await?;
        self.tree.forget_folder(parent(at));
        let name = at.rsplit_once('/').map_or(at, |(_, name)| name);
        // a device may have answered with the handle of somebody else's
        if self.number == session && self.name_of(handle).await?.as_deref() == Some(name) {
            match self.delete_object(handle).await {
                // the device keeps no remains, or gave them another handle
                Ok(()) | Err(Fail::Stale(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.ready_again().await?;
        if let Some(remains) = self.find(at).await? {
            self.delete_object(remains.handle).await?;
            self.tree.forget_folder(parent(at));
        }
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
}

/// Where a file is while it is written: in its own folder, for not every device can move.
pub(crate) fn beside(path: &DevicePath, temporary: &DevicePath) -> String {
    path.parent()
        .map_or_else(|| temporary.name().to_owned(), |folder| format!("{folder}/{}", temporary.name()))
}

/// Names that the protocol can't say are refused here.
fn check_names(path: &DevicePath) -> Result<(), PlayerError> {
    match path.as_str().split('/').find(|part| part.encode_utf16().count() > MAX_STRING_UNITS) {
        Some(part) => Err(PlayerError::NameRejected(part.to_owned())),
        None => Ok(()),
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
    let tags = Tags::default();
    WriteRequest { path, temporary, expect: Expect::Nothing, size, modified_ns, source, tags, cover: None }
}
