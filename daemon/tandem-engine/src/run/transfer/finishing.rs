//! What was sent is finished together: kept by the device, given its names, and the names made to last. Only then it counts
//! as done.

use super::sending::Item;
use super::{Course, Step};
use crate::run::error::RunError;
use crate::run::folders::MadeFolders;
use crate::run::prepare::track_hashes;
use foldhash::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tandem_model::error::PlayerError;
use tandem_model::library::TrackHashes;
use tandem_model::manifest::Outcome;
use tandem_model::path::DevicePath;
use tandem_model::player::{Sent, Storage, Transfer, Written};
use tracing::debug;

/// How long the library may take to tell of what was copied when the run is stopped, which has to end soon.
const AFTER_STOP: Duration = Duration::from_secs(1);
/// How often a track is sent that somebody else's file takes the name from.
const MOST_SENT: u8 = 3;

/// What a group has done so far: its files are sent, its deletions are made.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) sent: Vec<(Item, Sent)>,
    /// What came of the others, once it lasts.
    pub(super) outcomes: Vec<Outcome>,
    /// Steps for which nothing was done yet.
    pub(super) undone: Vec<Step>,
    /// Steps in the place of others that the device doesn't take.
    pub(super) instead: Vec<Step>,
    /// Names that changed besides those of what was sent.
    pub(super) touched: Vec<DevicePath>,
    /// Folders that were recorded as about to be made.
    pub(super) folders: MadeFolders,
    /// Those that were.
    pub(super) made: Vec<DevicePath>,
    /// The device went while it was sent: what was made for the last item can't be told.
    pub(super) is_lost: bool,
}

impl Batch {
    /// Notes that an item has put nothing there. That its temporary name is free has to last before it is recorded: a device
    /// that is gone takes deletions as long as nothing is written.
    pub(super) fn put_nothing(&mut self, item: Item, outcome: Outcome) {
        self.touched.push(item.temporary);
        self.outcomes.push(outcome);
    }
}

/// What came of a file.
type Told = (Item, Result<Written, PlayerError>);

/// A group that is finished, as far as the device is concerned.
pub(super) struct Finished {
    /// What came of the files; an error is that of all.
    files: Result<Vec<Told>, PlayerError>,
    outcomes: Vec<Outcome>,
    folders: MadeFolders,
    made: Vec<DevicePath>,
    is_lost: bool,
}

/// Has the device keep all of a group, under its final names. With `read_back` each file is read from there and compared.
pub(super) async fn finish(
    storage: Arc<dyn Storage>,
    batch: Batch,
    read_back: Option<Arc<Transfer>>,
) -> Finished {
    let Batch { sent, outcomes, mut touched, folders, made, is_lost, undone: _, instead: _ } = batch;
    let (items, sent): (Vec<Item>, Vec<Sent>) = sent.into_iter().unzip();
    touched.extend(items.iter().map(|item| item.path.clone()));
    let finish = async {
        let written = if sent.is_empty() { Vec::new() } else { storage.finish(sent).await? };
        if !touched.is_empty() || !made.is_empty() {
            storage.settle(touched).await?;
        }
        let mut told: Vec<Told> = items.into_iter().zip(written).collect();
        if let Some(transfer) = read_back {
            for (item, written) in &mut told {
                let Ok(sent) = written else { continue };
                match compare(&*storage, &item.path, sent.hash, &transfer).await {
                    Ok(()) => {}
                    Err(error) if error.ends_run() => return Err(error),
                    Err(error) => {
                        item.named = Some(sent.facts);
                        *written = Err(error);
                    }
                }
            }
        }
        Ok(told)
    };
    Finished { files: finish.await, outcomes, folders, made, is_lost }
}

/// Whether what is on the device is what was sent, byte for byte. A file that can't be read isn't known to be, which says
/// nothing of what the device holds.
async fn compare(
    storage: &dyn Storage,
    path: &DevicePath,
    sent: u128,
    transfer: &Arc<Transfer>,
) -> Result<(), PlayerError> {
    match storage.object(path).hash(transfer).await {
        Ok(found) if found == sent => Ok(()),
        Ok(_) => Err(PlayerError::VerifyFailed(path.as_str().to_owned())),
        Err(error) => Err(error),
    }
}

impl Course<'_> {
    /// What files are read back with, where they are.
    pub(super) fn read_back(&self) -> Option<Arc<Transfer>> {
        let is_wanted = self.verify || self.results.verify_failed;
        is_wanted.then(|| Arc::clone(&self.observer.transfer))
    }

    /// A file is not on the device as it was sent, or that can't be told. What came of it goes, and the file is sent once
    /// more; hands it back with the reason where that was done before, or where somebody has changed it since: then it is
    /// the user's.
    pub(super) async fn send_once_more(
        &mut self,
        mut item: Item,
        failure: PlayerError,
    ) -> Result<Option<(Item, PlayerError)>, RunError> {
        let storage = Arc::clone(&self.prepared.storage);
        let object = storage.object(&item.path);
        let (there, named) = (object.facts().await?, item.named.take());
        if named.is_some() && named != there {
            let changed = PlayerError::Changed(item.path.as_str().to_owned());
            return Ok(Some((item, changed)));
        }
        self.results.verify_failed |= matches!(failure, PlayerError::VerifyFailed(_));
        let is_old = |entry: usize| named.is_none() && there == Some(self.prepared.entries[entry].facts);
        if item.replaces.take_if(|entry| !is_old(*entry)).is_some() {
            // its entry's file is gone: what comes is a new one
            let intent = self.write_intent(item.track, &item.path, None, &item.temporary);
            let deleted = vec![Outcome::Deleted { intent: item.intent }];
            let numbers = self.prepared.journal.commit(deleted, vec![intent]).await?;
            item.intent = numbers.first().copied().unwrap_or(item.intent);
        }
        if let Some(ours) = named {
            match object.delete(ours, item.temporary.clone()).await {
                Ok(()) | Err(PlayerError::NotFound(_) | PlayerError::Changed(_)) => {}
                // what lies there is settled by the next run
                Err(error) => return Err(error.into()),
            }
            storage.settle(vec![item.path.clone()]).await?;
        }
        if item.is_second {
            return Ok(Some((item, failure)));
        }
        item.is_second = true;
        let size = self.prepared.library.tracks[item.track as usize].size;
        let bytes = self.observer.transfer.bytes();
        self.observer.transfer.set(bytes.saturating_sub(size));
        self.again.push(item);
        Ok(None)
    }

    /// What of the files that were written isn't tags, where the device takes those apart from the rest. When the run is
    /// stopped, the library has a moment left to tell. What it doesn't tell stays unknown: what is on the device is recorded
    /// all the same.
    async fn audio_hashes(&self, files: &[Told]) -> HashMap<u32, TrackHashes> {
        let written = files.iter().filter(|(_, written)| written.is_ok()).map(|(item, _)| item.track);
        let written: Vec<u32> = written.filter(|_| self.prepared.storage.updates_metadata()).collect();
        let transfer = Transfer::default();
        let apart = self.prepared.player.capabilities().told_apart();
        let hashes = track_hashes(self.owner, &self.prepared.library, &written, apart, &transfer);
        let too_late = async {
            self.observer.transfer.cancelled().await;
            tokio::time::sleep(AFTER_STOP).await;
        };
        let hashes = tokio::select! {
            biased;
            hashes = hashes => hashes,
            () = too_late => Err(RunError::cancelled()),
        };
        hashes.unwrap_or_else(|error| {
            debug!("what isn't tags is not known of {} files: {}", written.len(), error.message);
            HashMap::default()
        })
    }

    /// Notes what came of a finished group, while those folders were `begun` by the next. When it isn't known to last
    /// nothing is: the next run looks at each file.
    pub(super) async fn take_in(&mut self, finished: Finished, begun: &MadeFolders) -> Result<(), RunError> {
        let Finished { files, outcomes, folders, made, is_lost } = finished;
        self.vain.retain(|folder| !folders.contains(folder));
        let files = files?;
        self.outcomes.extend(outcomes);
        let mut end = Ok(());
        let audio_hashes = self.audio_hashes(&files).await;
        for (item, written) in files {
            let intent = item.intent;
            match written {
                Ok(Written { facts, hash, persistent_id, .. }) => {
                    let audio_hash = audio_hashes.get(&item.track).filter(|known| known.whole == hash);
                    let audio_hash = audio_hash.and_then(|known| known.audio);
                    self.outcomes.push(Outcome::Written { intent, persistent_id, facts, hash, audio_hash });
                    self.results.changed = true;
                }
                Err(PlayerError::Exists(_)) if item.sent < MOST_SENT => {
                    let size = self.prepared.library.tracks[item.track as usize].size;
                    let bytes = self.observer.transfer.bytes();
                    self.observer.transfer.set(bytes.saturating_sub(size));
                    self.again.push(item);
                }
                Err(error) if error.ends_run() => end = end.and(Err(error.into())),
                Err(error) if item.named.is_some() || matches!(error, PlayerError::VerifyFailed(_)) => {
                    self.prepared.untidy = true;
                    if let Some((item, error)) = self.send_once_more(item, error).await? {
                        let outcome = self.failed_write(&item, error.item_error()).await?;
                        self.outcomes.push(outcome);
                        self.fail(&item, error.item_error(), error.to_string()).await;
                    }
                }
                Err(error) => {
                    // its folders stay for those that may still need them
                    self.prepared.untidy = true;
                    let outcome = self.failed_write(&item, error.item_error()).await?;
                    self.outcomes.push(outcome);
                    self.fail(&item, error.item_error(), error.to_string()).await;
                }
            }
        }
        if !is_lost {
            folders.forget_others(self.prepared, &made, begun).await?;
        }
        end
    }
}
