//! Files that are sent before the provider has answered for those before them: while it has the device keep one, the next is
//! on its way. Each gets its name when the device has it, as one that is written alone.
//!
//! It must not replace anything: what replaces is written alone.

use super::fault::Fault;
use super::peer::Peer;
use super::pipe;
use super::pour::{Poured, pour};
use super::send::{Prepared, beside, is_by_references};
use super::session::{Session, Shared, closed};
use super::tree::Known;
use futures_util::{StreamExt, stream};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tandem_model::error::PlayerError;
use tandem_model::pace;
use tandem_model::path::DevicePath;
use tandem_model::player::{Expect, Sent, Transfer, Waiting, WriteRequest, Written};
use zbus::OwnedObjectPath;

/// Files that get their names at the same time.
const AT_ONCE: usize = 8;

/// What was sent ahead, by its temporary name.
#[derive(Default)]
pub(super) struct Ahead {
    files: HashMap<DevicePath, Underway>,
    /// A file has got its name by renaming.
    pub(super) has_renamed: bool,
    /// The device does one thing at a time, and takes no file before it has the one before it.
    is_refused: bool,
}

/// One file.
struct Underway {
    path: DevicePath,
    at: String,
    size: u64,
    object: OwnedObjectPath,
    poured: Poured,
    made_folders: Vec<DevicePath>,
}

impl Ahead {
    /// Whether the object is one of them.
    pub(super) fn knows(&self, object: &OwnedObjectPath) -> bool {
        self.files.values().any(|file| file.object == *object)
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
        request: &WriteRequest,
        transfer: &Transfer,
    ) -> Result<Sent, PlayerError> {
        let is_new = request.expect == Expect::Nothing && !is_by_references(&request.path);
        if is_new && self.renames && self.ahead.has_renamed && !self.ahead.is_refused {
            let before = transfer.bytes();
            let sent = self.send_ahead(request, transfer).await;
            let (Err(PlayerError::Busy(_)), false) = (&sent, self.ahead.files.is_empty()) else {
                return sent;
            };
            tracing::debug!("the device takes one file at a time");
            self.ahead.is_refused = true;
            self.ahead.wait(&self.peer).await;
            transfer.set(before);
        }
        self.write(request, transfer).await.map(Sent::Written)
    }

    async fn send_ahead(&mut self, request: &WriteRequest, transfer: &Transfer) -> Result<Sent, PlayerError> {
        let Prepared { folder, made_folders, .. } = self.prepare(request, transfer).await?;
        let sent = self.send_to(request, folder, transfer).await;
        let mut file = self.or_without(&made_folders, sent).await?;
        file.made_folders.clone_from(&made_folders);
        let temporary = request.temporary.clone();
        self.ahead.files.insert(temporary.clone(), file);
        Ok(Sent::Underway { temporary, made_folders })
    }

    async fn send_to(
        &mut self,
        request: &WriteRequest,
        folder: OwnedObjectPath,
        transfer: &Transfer,
    ) -> Result<Underway, PlayerError> {
        let at = beside(&request.path, &request.temporary);
        self.check_free(request, &at).await?;
        let object = self.create(&folder, request, &at).await?;
        let chunk = self.parameters.optimal_transfer_size;
        let poured = pour(&self.peer, &object, request, chunk, transfer).await;
        match poured.and_then(|poured| pipe::check_length(&request.source, request.size).map(|()| poured)) {
            Ok(poured) => {
                let (path, size) = (request.path.clone(), request.size);
                Ok(Underway { path, at, size, object, poured, made_folders: Vec::new() })
            }
            Err(error) => {
                self.drop_remains(&object, (&at, &request.path)).await?;
                Err(error)
            }
        }
    }

    /// Takes in what came of a file.
    async fn named(
        &mut self,
        file: Answered,
        named: Result<(Known, u128), PlayerError>,
    ) -> Result<Written, PlayerError> {
        let Answered { path, at, object, made_folders, .. } = file;
        match named {
            Ok((known, hash)) => {
                let id = if known.id.is_empty() { path.as_str() } else { &known.id };
                let (persistent_id, facts) = (id.to_owned(), known.facts);
                self.tree.put(path.as_str(), known);
                Ok(Written { facts, hash, persistent_id, made_folders })
            }
            Err(error) => {
                self.drop_remains(&object, (&at, &path)).await?;
                Err(error)
            }
        }
    }
}

/// Waits until the device keeps these files, and gives them their names. The session is free for others meanwhile.
pub(super) async fn finish(
    shared: &Shared,
    sent: Vec<Sent>,
    window: &AtomicU64,
) -> Result<Vec<Result<Written, PlayerError>>, PlayerError> {
    let (peer, files) = {
        let mut guard = shared.lock().await;
        let session = guard.as_mut().ok_or_else(closed)?;
        let files: Vec<_> = sent.into_iter().map(|one| session.taken(one)).collect();
        (Arc::clone(&session.peer), files)
    };
    let peer = &peer;
    let answered = stream::iter(files).map(async |file| {
        let Underway { path, at, size, object, poured, made_folders } = file?;
        let answer = poured.answered(peer).await;
        Ok(Answered { path, at, size, object, made_folders, answer })
    });
    let answered: Vec<Result<Answered, _>> = answered.buffered(AT_ONCE).collect().await;
    let bytes = answered.iter().flatten().filter(|file| file.answer.is_ok()).map(|file| file.size).sum();
    let kept = keep(peer, bytes, window).await;
    if let Err(error) = &kept
        && error.ends_run()
    {
        return Err(error.clone());
    }
    let finished = stream::iter(answered).map(async |file| {
        let file = match file {
            Ok(file) => file,
            Err(written) => return written,
        };
        let named = match file.answer.clone().and_then(|hash| kept.clone().map(|()| hash)) {
            Ok(hash) => name(peer, &file).await.map(|known| (known, hash)),
            Err(error) => Err(error),
        };
        let mut guard = shared.lock().await;
        let session = guard.as_mut().ok_or_else(closed)?;
        session.named(file, named).await
    });
    Ok(finished.buffered(AT_ONCE).collect().await)
}

/// A file that the provider has answered for, with the hash of its bytes if it has them.
struct Answered {
    path: DevicePath,
    at: String,
    size: u64,
    object: OwnedObjectPath,
    made_folders: Vec<DevicePath>,
    answer: Result<u128, PlayerError>,
}

/// Has the device keep what it was sent. `window` is what may be unfinished, in bytes; it follows the device's speed.
async fn keep(peer: &Peer, bytes: u64, window: &AtomicU64) -> Result<(), PlayerError> {
    let begun = Instant::now();
    peer.flush().await?;
    let old = window.load(Ordering::Relaxed);
    // less says little of the device's speed
    if peer.keeps_later.load(Ordering::Relaxed) && bytes >= old / 2 {
        window.store(pace::next_window(old, begun.elapsed()), Ordering::Relaxed);
    }
    Ok(())
}

impl Session {
    /// A file that was sent ahead; of any other what is known of it.
    fn taken(&mut self, sent: Sent) -> Result<Underway, Result<Written, PlayerError>> {
        match sent {
            Sent::Written(written) => Err(Ok(written)),
            Sent::Underway { temporary, .. } | Sent::Waiting(Waiting { temporary, .. }) => {
                let known = self.ahead.files.remove(&temporary);
                known.ok_or_else(|| Err(PlayerError::sent_elsewhere(&temporary)))
            }
        }
    }
}

/// Has a file that the device keeps get its name.
async fn name(peer: &Peer, file: &Answered) -> Result<Known, PlayerError> {
    let Answered { path, at, size, object, .. } = file;
    peer.whole(object, at, path, *size).await?;
    if !peer.rename(object, path).await? {
        let text = "it can't rename any more".to_owned();
        return Err(Fault::Lie(text).told("renaming a file", path.as_str()));
    }
    peer.whole(object, path.as_str(), path, *size).await
}
