//! What is left of files that were sent ahead: the provider's answers, the device keeping them together, and
//! their names. Each gets its name when the device has it, as one that is written alone.
//!
//! It must not rename what isn't whole, nor touch an object that is another file's.

use super::ahead::{Underway, is_no_insert};
use super::answers;
use super::fault::{Fault, Word};
use super::peer::{self, Peer, not_renamed};
use super::pour::Taken;
use super::session::{Session, Shared, closed};
use super::tree::Known;
use futures_util::{StreamExt, stream};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tandem_model::error::PlayerError;
use tandem_model::pace;
use tandem_model::path::DevicePath;
use tandem_model::player::{Sent, WriteRequest, Written};
use zbus::OwnedObjectPath;

/// Files that are asked for, or get their names, at the same time.
const AT_ONCE: usize = 8;

/// Files that get their names by one call, at most; by the contract.
const MOST_RENAMED: usize = 128;

/// A file that the provider has answered for.
struct Answered {
    request: WriteRequest,
    at: String,
    /// Its object, where that is known and no other file's.
    object: Option<OwnedObjectPath>,
    /// Whether the provider has told, when it had the bytes, that the file is whole.
    is_seen: bool,
    made_folders: Vec<DevicePath>,
    /// The hash of its bytes if it has them.
    hash: Result<u128, Fault>,
}

impl Answered {
    /// Its object, if that holds the whole file under its temporary name, and the device has kept it.
    async fn ready(
        &self,
        peer: &Peer,
        kept: &Result<(), PlayerError>,
    ) -> Result<&OwnedObjectPath, PlayerError> {
        let WriteRequest { path, size, .. } = &self.request;
        self.hash.clone().map_err(|fault| not_written(fault, path))?;
        kept.clone()?;
        let object = self.object.as_ref();
        let object = object.ok_or_else(|| PlayerError::VerifyFailed(path.as_str().to_owned()))?;
        if !self.is_seen {
            peer.whole(object, &self.at, path, *size).await?;
        }
        Ok(object)
    }

    /// Gives it its name by a call of its own.
    async fn rename(&self, peer: &Peer, object: &OwnedObjectPath) -> Result<Known, PlayerError> {
        let WriteRequest { path, size, .. } = &self.request;
        if !peer.rename(object, path).await? {
            return Err(not_renamed(Fault::Refused(Word::NotSupported, String::new()), path));
        }
        peer.whole(object, path.as_str(), path, *size).await
    }
}

impl Session {
    /// Refuses objects that are another file's: nothing may be done to those.
    fn refuse_others(&self, files: &mut [Answered]) {
        let mut seen = HashSet::new();
        for file in files {
            let Some(object) = &file.object else { continue };
            let is_listed = self.tree.get(&file.at).is_some_and(|known| known.object == *object);
            let is_others = self.tree.knows(object) && !is_listed || self.ahead.knows(object);
            if !seen.insert(object.clone()) || is_others {
                file.hash = Err(Fault::Lie(format!("`{}`, which is another file", object.as_str())));
                file.object = None;
            }
        }
    }

    /// Takes in what came of a file. What is only taken when no other is on its way, or by other calls, is
    /// written now.
    async fn named(
        &mut self,
        file: Answered,
        named: Result<Known, PlayerError>,
    ) -> Result<Written, PlayerError> {
        let Answered { request, at, object, made_folders, hash, .. } = file;
        let path = &request.path;
        match (named, hash) {
            (Ok(known), Ok(hash)) => {
                let id = if known.id.is_empty() { path.as_str() } else { &known.id };
                let (persistent_id, facts) = (id.to_owned(), known.facts);
                self.tree.put(path.as_str(), known);
                Ok(Written { facts, hash, persistent_id, made_folders })
            }
            (named, hash) => {
                self.drop_sent(object.as_ref(), &at, path).await?;
                match hash {
                    Err(Fault::Refused(Word::Busy, _)) => self.ahead.is_refused = true,
                    Err(fault) if object.is_none() && is_no_insert(&fault) => self.inserts = false,
                    hash => {
                        return Err(named
                            .err()
                            .or(hash.err().map(|fault| not_written(fault, path)))
                            .unwrap_or_else(closed));
                    }
                }
                tracing::debug!("the device takes files one at a time, or by other calls");
                let written = self.write(&request, &Arc::default()).await?;
                Ok(Written { made_folders, ..written })
            }
        }
    }
}

fn not_written(fault: Fault, path: &DevicePath) -> PlayerError {
    fault.told("writing a file", path.as_str())
}

/// Waits until the provider has answered for a file.
async fn answered(peer: &Peer, file: Underway) -> Answered {
    let Underway { request, at, mut object, poured, made_folders } = file;
    let answer = poured.answered(peer).await;
    let mut is_seen = false;
    let hash = answer.and_then(|(taken, hash)| {
        if let Taken::Inserted(made, told) = taken {
            let entry = answers::entry(&told)?;
            is_seen = peer::whole(&made, entry, &at, request.size).is_some();
            object = Some(made);
        }
        Ok(hash)
    });
    Answered { request, at, object, is_seen, made_folders, hash }
}

/// Waits until the device keeps these files, and gives them their names. The session is free for others
/// meanwhile. `window` is what may be unfinished, in bytes; it follows the device's speed.
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
    let (begun, mut finished, mut waited) = (Instant::now(), Vec::with_capacity(files.len()), Vec::new());
    for file in files {
        match file {
            Ok(file) => {
                finished.push(None);
                waited.push(answered(&peer, file).await);
            }
            Err(written) => finished.push(Some(written)),
        }
    }
    shared.lock().await.as_ref().ok_or_else(closed)?.refuse_others(&mut waited);
    let kept = peer.flush().await;
    if let Err(error) = &kept
        && error.ends_run()
    {
        return Err(error.clone());
    }
    let bytes: u64 = waited.iter().filter(|file| file.hash.is_ok()).map(|file| file.request.size).sum();
    let old = window.load(Ordering::Relaxed);
    // less says little of the device's speed
    if bytes >= old / 2 {
        window.store(pace::next_window(old, begun.elapsed()), Ordering::Relaxed);
    }
    let named = give_names(&peer, &waited, &kept).await;
    let mut guard = shared.lock().await;
    let session = guard.as_mut().ok_or_else(closed)?;
    let (mut waited, places) = (waited.into_iter().zip(named), finished.iter_mut());
    for place in places.filter(|place| place.is_none()) {
        if let Some((file, named)) = waited.next() {
            *place = Some(session.named(file, named).await);
        }
    }
    Ok(finished.into_iter().flatten().collect())
}

/// Gives files that the device keeps their names.
async fn give_names(
    peer: &Peer,
    files: &[Answered],
    kept: &Result<(), PlayerError>,
) -> Vec<Result<Known, PlayerError>> {
    let looks: Vec<_> = files.iter().map(|file| file.ready(peer, kept)).collect();
    let looked: Vec<Result<&OwnedObjectPath, PlayerError>> =
        stream::iter(looks).buffered(AT_ONCE).collect().await;
    let ready = looked.iter().zip(files).filter_map(|(object, file)| Some((*object.as_ref().ok()?, file)));
    let ready: Vec<(&OwnedObjectPath, &Answered)> = ready.collect();
    let mut named = Vec::with_capacity(ready.len());
    for some in ready.chunks(MOST_RENAMED) {
        named.extend(rename(peer, some).await);
    }
    let mut named = named.into_iter();
    looked.into_iter().map(|one| one.and_then(|_| named.next().unwrap_or_else(|| Err(closed())))).collect()
}

async fn rename(peer: &Peer, files: &[(&OwnedObjectPath, &Answered)]) -> Vec<Result<Known, PlayerError>> {
    let names: Vec<_> = files.iter().map(|(object, file)| (*object, &file.request.path)).collect();
    match peer.rename_all(&names).await {
        Ok(Some(told)) => {
            let named = told.into_iter().zip(files).map(|(told, (object, file))| {
                let WriteRequest { path, size, .. } = &file.request;
                let entry = told.map_err(|fault| not_renamed(fault, path))?;
                let whole = peer::whole(object, entry, path.as_str(), *size);
                whole.ok_or_else(|| PlayerError::VerifyFailed(path.as_str().to_owned()))
            });
            named.collect()
        }
        Ok(None) => {
            let renames: Vec<_> = files.iter().map(|(object, file)| file.rename(peer, object)).collect();
            stream::iter(renames).buffered(AT_ONCE).collect().await
        }
        Err(fault) => names.iter().map(|(_, path)| Err(not_renamed(fault.clone(), path))).collect(),
    }
}
