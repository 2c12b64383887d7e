//! What was in flight when the last run was cut: finished where it was complete, cleaned up where it wasn't. Only
//! names that the journal recorded are touched.

use super::error::RunError;
use super::journal::Journal;
use std::sync::Arc;
use tandem_model::error::PlayerError;
use tandem_model::manifest::{Entry, Intent, Outcome};
use tandem_model::path::DevicePath;
use tandem_model::player::{ObjectFacts, Storage, Transfer};
use tracing::info;

/// Settles every pending intent. Afterwards none is pending.
pub(crate) async fn recover(
    journal: &Journal,
    storage: &dyn Storage,
    entries: &[Entry],
) -> Result<bool, RunError> {
    let pending = journal.with(|manifest| manifest.pending()).await?;
    if pending.is_empty() {
        return Ok(false);
    }
    info!(in_flight = pending.len(), "cleaning up after a run that was cut");
    let mut outcomes = Vec::with_capacity(pending.len());
    let mut paths = Vec::with_capacity(pending.len());
    for (intent, what) in pending {
        let known = |id: i64| entries.iter().find(|entry| entry.id == id);
        match what {
            Intent::Write { path, temporary, size, modified_ns, replaces, .. } => {
                let old = replaces.and_then(known).map(|entry| entry.facts);
                let sent = ObjectFacts { size, modified_ns };
                let object = storage.object(&path);
                let arrived =
                    object.facts().await?.filter(|facts| sent.matches(facts) && old != Some(*facts));
                // once a replacement has arrived, its temporary name has what was there before
                let changed_names = arrived.is_some() && old.is_some();
                let kept = if changed_names { old } else { None };
                if clear(storage, &temporary, &path, kept).await? {
                    paths.push(temporary);
                }
                outcomes.push(match arrived {
                    Some(facts) => {
                        let hash = object.hash(&Arc::new(Transfer::default())).await?;
                        Outcome::Written { intent, persistent_id: path.as_str().to_owned(), facts, hash }
                    }
                    None => Outcome::Abandoned { intent },
                });
                paths.push(path);
            }
            Intent::Delete { entry, aside } => {
                let mut still_there = false;
                if let Some(entry) = known(entry) {
                    if clear(storage, &aside, &entry.path, Some(entry.facts)).await? {
                        paths.push(aside);
                    }
                    let now = storage.object(&entry.path).facts().await?;
                    still_there = now.is_some_and(|now| entry.facts.matches(&now));
                    paths.push(entry.path.clone());
                }
                outcomes.push(if still_there {
                    Outcome::Abandoned { intent }
                } else {
                    Outcome::Deleted { intent }
                });
            }
        }
    }
    storage.settle(paths).await?;
    journal.commit(outcomes, Vec::new()).await?;
    Ok(true)
}

/// Frees a temporary name. Only the file with these facts is deleted where some are given; any other is a stranger's that
/// was moved there, and goes back to its own name. Tells whether there was any.
async fn clear(
    storage: &dyn Storage,
    temporary: &DevicePath,
    path: &DevicePath,
    only: Option<ObjectFacts>,
) -> Result<bool, RunError> {
    let object = storage.object(temporary);
    let Some(there) = object.facts().await? else { return Ok(false) };
    if only.is_none_or(|only| only.matches(&there)) {
        return match object.discard().await {
            Ok(()) | Err(PlayerError::NotFound(_)) => Ok(true),
            Err(error) => Err(error.into()),
        };
    }
    object.restore(path.clone()).await?;
    Ok(true)
}
