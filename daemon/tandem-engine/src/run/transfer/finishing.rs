//! What was sent is finished together: kept by the device, given its names, and the names made to last. Only then it counts
//! as done.

use super::sending::Item;
use super::{Course, Step};
use crate::run::error::RunError;
use crate::run::folders::MadeFolders;
use std::sync::Arc;
use tandem_model::error::PlayerError;
use tandem_model::manifest::Outcome;
use tandem_model::path::DevicePath;
use tandem_model::player::{Sent, Storage, Written};

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
    /// Names that changed besides those of what was sent.
    pub(super) touched: Vec<DevicePath>,
    /// Folders that were recorded as about to be made.
    pub(super) folders: MadeFolders,
    /// Those that were.
    pub(super) made: Vec<DevicePath>,
    /// The device went while it was sent: what was made for the last item can't be told.
    pub(super) is_lost: bool,
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

/// Has the device keep all of a group, under its final names.
pub(super) async fn finish(storage: Arc<dyn Storage>, batch: Batch) -> Finished {
    let Batch { sent, outcomes, mut touched, folders, made, is_lost, undone: _ } = batch;
    let (items, sent): (Vec<Item>, Vec<Sent>) = sent.into_iter().unzip();
    touched.extend(items.iter().map(|item| item.path.clone()));
    let finish = async {
        let written = if sent.is_empty() { Vec::new() } else { storage.finish(sent).await? };
        if !touched.is_empty() || !made.is_empty() {
            storage.settle(touched).await?;
        }
        Ok(items.into_iter().zip(written).collect())
    };
    Finished { files: finish.await, outcomes, folders, made, is_lost }
}

impl Course<'_> {
    /// Notes what came of a finished group. When it isn't known to last nothing is: the next run looks at each file.
    pub(super) async fn take_in(&mut self, finished: Finished) -> Result<(), RunError> {
        let Finished { files, outcomes, folders, made, is_lost } = finished;
        let files = files?;
        self.outcomes.extend(outcomes);
        let mut end = Ok(());
        for (item, written) in files {
            let intent = item.intent;
            match written {
                Ok(Written { facts, hash, persistent_id, .. }) => {
                    self.outcomes.push(Outcome::Written { intent, persistent_id, facts, hash });
                    self.results.written(facts);
                }
                Err(PlayerError::Exists(_)) if item.sent < MOST_SENT => {
                    let size = self.prepared.library.tracks[item.track as usize].size;
                    let bytes = self.observer.transfer.bytes();
                    self.observer.transfer.set(bytes.saturating_sub(size));
                    self.again.push(item);
                }
                Err(error) if error.ends_run() => end = end.and(Err(error.into())),
                Err(error) => {
                    // its folders stay for those that may still need them
                    self.prepared.untidy = true;
                    let outcome = self.failed_write(&item).await?;
                    self.outcomes.push(outcome);
                    self.fail(&item, error.item_error(), error.to_string()).await;
                }
            }
        }
        if !is_lost {
            folders.forget_others(self.prepared, &made).await?;
        }
        end
    }
}
