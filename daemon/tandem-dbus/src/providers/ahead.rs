//! Files that are sent before the provider has answered for those before them: while it has the device keep
//! one, the next is on its way. What is left of them is `finish`'s.
//!
//! It must not replace anything: what replaces is written alone.

use super::fault::{Fault, Word};
use super::peer::Peer;
use super::pipe;
use super::playlists::is_by_references;
use super::pour::{self, Failed, Poured};
use super::send::{Prepared, beside};
use super::session::Session;
use super::tree::name;
use std::collections::HashMap;
use std::sync::Arc;
use tandem_model::error::PlayerError;
use tandem_model::path::DevicePath;
use tandem_model::player::{Expect, Sent, Transfer, Waiting, WriteRequest, Written};
use zbus::OwnedObjectPath;

/// What was sent ahead, by its temporary name.
#[derive(Default)]
pub(super) struct Ahead {
    files: HashMap<DevicePath, Underway>,
    /// A file has got its name by renaming.
    pub(super) has_renamed: bool,
    /// The device does one thing at a time, and takes no file before it has the one before it.
    pub(super) is_refused: bool,
}

/// One file.
pub(super) struct Underway {
    pub(super) request: WriteRequest,
    /// Where it is written.
    pub(super) at: String,
    /// Its object, where that was made before its bytes were sent.
    pub(super) object: Option<OwnedObjectPath>,
    pub(super) poured: Poured,
    pub(super) made_folders: Vec<DevicePath>,
}

/// Where a file's bytes were handed over: its path, its object where that is known, and the answer to come.
type Handed = (String, Option<OwnedObjectPath>, Poured);

impl Ahead {
    /// Whether the object is one of them.
    pub(super) fn knows(&self, object: &OwnedObjectPath) -> bool {
        self.files.values().any(|file| file.object.as_ref() == Some(object))
    }

    async fn wait(&mut self, peer: &Peer) {
        for file in self.files.values_mut() {
            file.poured.wait(peer).await;
        }
    }
}

impl Session {
    /// Hands a new file's bytes over. What can't be sent ahead is written.
    pub(super) async fn send(
        &mut self,
        request: WriteRequest,
        transfer: &Arc<Transfer>,
    ) -> Result<Sent, PlayerError> {
        let is_new = request.expect == Expect::Nothing && !is_by_references(&request.path);
        if !is_new || !self.renames || !self.ahead.has_renamed || self.ahead.is_refused {
            return self.write(&request, transfer).await.map(Sent::Written);
        }
        let before = transfer.bytes();
        match self.send_ahead(&request, transfer).await {
            Ok(((at, object, poured), made_folders)) => {
                let temporary = request.temporary.clone();
                let file = Underway { request, at, object, poured, made_folders: made_folders.clone() };
                self.ahead.files.insert(temporary.clone(), file);
                Ok(Sent::Underway { temporary, made_folders })
            }
            Err(PlayerError::Busy(_)) if !self.ahead.files.is_empty() => {
                tracing::debug!("the device takes one file at a time");
                self.ahead.is_refused = true;
                self.ahead.wait(&self.peer).await;
                transfer.set(before);
                self.write(&request, transfer).await.map(Sent::Written)
            }
            Err(error) => Err(error),
        }
    }

    async fn send_ahead(
        &mut self,
        request: &WriteRequest,
        transfer: &Arc<Transfer>,
    ) -> Result<(Handed, Vec<DevicePath>), PlayerError> {
        let Prepared { folder, made_folders, .. } = self.prepare(request, transfer).await?;
        let sent = self.send_to(request, &folder, transfer).await;
        let sent = self.or_without(&made_folders, sent).await?;
        Ok((sent, made_folders))
    }

    /// Sends a new file's bytes under its temporary name: by one call where the provider has that.
    async fn send_to(
        &mut self,
        request: &WriteRequest,
        folder: &OwnedObjectPath,
        transfer: &Arc<Transfer>,
    ) -> Result<Handed, PlayerError> {
        let at = beside(&request.path, &request.temporary);
        self.check_free(request, &at).await?;
        let (object, poured) = match self.insert(request, folder, &at, transfer).await {
            Some(poured) => (None, poured),
            None => {
                let object = self.create(folder, request, &at).await?;
                let chunk = self.parameters.optimal_transfer_size;
                let poured = pour::write(&self.peer, &object, request, chunk, transfer).await;
                (Some(object), poured)
            }
        };
        let error = match poured {
            Ok(mut poured) => match pipe::check_length(&request.source, request.size) {
                Ok(()) => return Ok((at, object, poured)),
                Err(error) => {
                    // until then the file is in use
                    poured.wait(&self.peer).await;
                    error
                }
            },
            Err(failed) => failed.told(request.path.as_str()),
        };
        self.drop_sent(object.as_ref(), &at, &request.path).await?;
        Err(error)
    }

    /// Has the provider make the file with its bytes; `None` where it doesn't do so.
    async fn insert(
        &mut self,
        request: &WriteRequest,
        folder: &OwnedObjectPath,
        at: &str,
        transfer: &Arc<Transfer>,
    ) -> Option<Result<Poured, Failed>> {
        if !self.inserts {
            return None;
        }
        let (chunk, before) = (self.parameters.optimal_transfer_size, transfer.bytes());
        let file = (name(at), self.metadata(request));
        match pour::insert(&self.peer, folder, file, request, chunk, transfer).await {
            Err(Failed::Fault(fault)) if is_no_insert(&fault) => {
                self.inserts = false;
                transfer.set(before);
                None
            }
            poured => Some(poured),
        }
    }

    /// Deletes what was made of a file that was sent.
    pub(super) async fn drop_sent(
        &mut self,
        object: Option<&OwnedObjectPath>,
        at: &str,
        path: &DevicePath,
    ) -> Result<(), PlayerError> {
        match object {
            Some(object) => self.drop_remains(object, (at, path)).await,
            None => self.drop_unanswered(at).await,
        }
    }

    /// A file that was sent ahead; of any other what is known of it.
    pub(super) fn taken(&mut self, sent: Sent) -> Result<Underway, Result<Written, PlayerError>> {
        match sent {
            Sent::Written(written) => Err(Ok(written)),
            Sent::Underway { temporary, .. } | Sent::Waiting(Waiting { temporary, .. }) => {
                let known = self.ahead.files.remove(&temporary);
                known.ok_or_else(|| Err(PlayerError::sent_elsewhere(&temporary)))
            }
        }
    }
}

/// Whether a fault says that the provider doesn't make files with their bytes by one call.
pub(super) fn is_no_insert(fault: &Fault) -> bool {
    matches!(fault, Fault::Missing(_) | Fault::Refused(Word::NotSupported, _))
}
