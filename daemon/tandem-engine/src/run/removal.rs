//! Takes away what we put on a device when its partnership ends, and folders of ours that have become empty. Only
//! what the manifest names is touched.

use super::error::RunError;
use super::journal::Journal;
use super::ours;
use super::prepare::Prepared;
use super::recover;
use super::temporary::{TEMPORARY_FOLDER, TemporaryNames};
use crate::parts::Parts;
use foldhash::HashSet;
use std::sync::Arc;
use tandem_model::error::PlayerError;
use tandem_model::id::Guid;
use tandem_model::manifest::{Correction, Entry, EntryState, Intent, Manifest, Outcome};
use tandem_model::path::DevicePath;
use tandem_model::player::{Player, Storage, Transfer};
use tracing::{debug, warn};

/// Entries deleted between two records.
const GROUP: usize = 64;

/// Deletes from the device everything that this partnership put there and that is still as it was; in words for the user
/// what could not be deleted.
pub(crate) async fn remove_content(
    parts: &Parts,
    player: &dyn Player,
    relationship: Guid,
    transfer: &Arc<Transfer>,
) -> Result<Option<String>, RunError> {
    let journal = Journal::open(parts, relationship).await?;
    let removed = remove_recorded(parts, &*player.storage(), &journal, transfer).await;
    journal.close().await;
    removed
}

async fn remove_recorded(
    parts: &Parts,
    storage: &dyn Storage,
    journal: &Journal,
    transfer: &Arc<Transfer>,
) -> Result<Option<String>, RunError> {
    let entries = journal.with(|manifest| manifest.entries()).await?;
    recover::recover(journal, storage, &entries, None, true).await?;
    let entries = journal.with(|manifest| manifest.entries()).await?;
    let removal = Removal { journal, storage, names: TemporaryNames::new(&parts.new_guid), transfer };
    let present = entries.into_iter().filter(|entry| entry.state == EntryState::Present).collect();
    // nobody comes back for what stays, so what was refused is asked for twice
    let refused = removal.remove(present).await?.into_iter().map(|(entry, _)| entry).collect();
    let stays = removal.remove(refused).await?;
    for (entry, _) in &stays {
        warn!(id = entry.id, "a file of an ended partnership stays on the device");
    }
    let made = journal.with(|manifest| manifest.folders()).await?;
    remove_folders(journal, storage, made).await?;
    storage.flush().await?;
    Ok(stays.first().map(|(_, error)| {
        format!(
            "{} of the files that were put on the device could not be deleted and stay there, one because of: {error}; \
             delete them yourself",
            stays.len()
        )
    }))
}

/// What removing works with.
struct Removal<'a> {
    journal: &'a Journal,
    storage: &'a dyn Storage,
    names: TemporaryNames,
    transfer: &'a Arc<Transfer>,
}

impl Removal<'_> {
    /// Deletes the files of these entries, and tells for which that was refused, and why.
    async fn remove(&self, entries: Vec<Entry>) -> Result<Vec<(Entry, PlayerError)>, RunError> {
        let mut refused = Vec::new();
        for group in entries.chunks(GROUP) {
            if self.transfer.is_cancelled() {
                return Err(RunError::cancelled());
            }
            let asides: Vec<DevicePath> = group.iter().map(|_| self.names.next()).collect();
            let intend = |(entry, aside): (&Entry, &DevicePath)| Intent::Delete {
                entry: entry.id,
                aside: aside.clone(),
            };
            let intents = group.iter().zip(&asides).map(intend).collect();
            let numbers = self.journal.commit(Vec::new(), intents).await?;
            let mut outcomes = Vec::with_capacity(group.len());
            for ((entry, aside), intent) in group.iter().zip(asides).zip(numbers) {
                let deleted = ours::delete(self.storage, entry, aside, self.transfer).await;
                outcomes.push(match deleted {
                    Ok(()) | Err(PlayerError::NotFound(_)) => Outcome::Deleted { intent },
                    Err(error) if error.ends_run() => return Err(error.into()),
                    Err(error) => {
                        debug!(id = entry.id, "a file was not deleted: {}", error.item_error().as_str());
                        refused.push((entry.clone(), error));
                        Outcome::Abandoned { intent }
                    }
                });
            }
            self.storage.settle(group.iter().map(|entry| entry.path.clone()).collect()).await?;
            self.journal.commit(outcomes, Vec::new()).await?;
        }
        Ok(refused)
    }
}

/// Settles what a run of this partnership left in flight when it was cut, and removes folders that it made in vain.
pub(crate) async fn settle(parts: &Parts, player: &dyn Player, relationship: Guid) -> Result<(), RunError> {
    let journal = Journal::open(parts, relationship).await?;
    let settled = settle_recorded(&*player.storage(), &journal).await;
    journal.close().await;
    settled
}

async fn settle_recorded(storage: &dyn Storage, journal: &Journal) -> Result<(), RunError> {
    let entries = journal.with(|manifest| manifest.entries()).await?;
    if !recover::recover(journal, storage, &entries, None, true).await? {
        return Ok(());
    }
    remove_folders(journal, storage, unneeded_folders(journal).await?).await?;
    Ok(storage.flush().await?)
}

/// Whether the folders above an entry's file are needed: it is on the device.
fn needs_folders(entry: &Entry) -> bool {
    entry.state != EntryState::Skipped
}

/// Folders of ours that by the record nothing of ours lies in any more. The entries are looked at one by one: a run has
/// them already.
async fn unneeded_folders(journal: &Journal) -> Result<Vec<DevicePath>, RunError> {
    let unneeded = |manifest: &mut dyn Manifest| {
        let made = manifest.folders()?;
        let mut unneeded: HashSet<&str> = made.iter().map(DevicePath::as_str).collect();
        manifest.each_entry(&mut |entry| {
            if needs_folders(&entry) {
                for folder in entry.path.ancestors() {
                    unneeded.remove(folder);
                }
            }
        })?;
        Ok(made.iter().filter(|folder| unneeded.contains(folder.as_str())).cloned().collect())
    };
    journal.with(unneeded).await
}

/// Whether a cut, or the user, has left folders of ours that nothing of ours lies in.
pub(crate) async fn is_untidy(prepared: &Prepared) -> Result<bool, RunError> {
    let made = prepared.journal.with(|manifest| manifest.folders()).await?;
    let there = prepared.entries.iter().filter(|entry| needs_folders(entry));
    let needed: HashSet<&str> = there.flat_map(|entry| entry.path.ancestors()).collect();
    if made.iter().any(|folder| !needed.contains(folder.as_str())) {
        return Ok(true);
    }
    Ok(prepared.storage.missing_folders(vec![prepared.names.next()]).await?.is_empty())
}

/// Removes folders of ours that nothing of ours lies in any more.
pub(crate) async fn tidy_folders(prepared: &Prepared) -> Result<(), RunError> {
    let unneeded = unneeded_folders(&prepared.journal).await?;
    remove_folders(&prepared.journal, &*prepared.storage, unneeded).await
}

async fn remove_folders(
    journal: &Journal,
    storage: &dyn Storage,
    unneeded: Vec<DevicePath>,
) -> Result<(), RunError> {
    let mut folders = unneeded.clone();
    folders.extend(DevicePath::parse(TEMPORARY_FOLDER));
    storage.remove_empty_folders(folders).await?;
    if !unneeded.is_empty() {
        // what a cut brings back must still be known as ours
        storage.settle(unneeded.clone()).await?;
        journal.with(move |manifest| manifest.correct(&[Correction::ForgetFolders(unneeded)])).await?;
    }
    Ok(())
}
