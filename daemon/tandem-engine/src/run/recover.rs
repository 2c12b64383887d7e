//! What was in flight when the last run was cut: finished where it was complete, cleaned up where it wasn't. Only
//! names that the journal recorded are touched.

use super::error::RunError;
use super::journal::Journal;
use std::sync::Arc;
use tandem_model::error::PlayerError;
use tandem_model::manifest::{Entry, Intent, Outcome};
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
        match what {
            Intent::Write { path, temporary, size, modified_ns, replaces, .. } => {
                match storage.object(&temporary).delete(None).await {
                    Ok(()) | Err(PlayerError::NotFound(_)) => {}
                    Err(error) => return Err(error.into()),
                }
                let old = replaces
                    .and_then(|id| entries.iter().find(|entry| entry.id == id))
                    .map(|entry| entry.facts);
                let sent = ObjectFacts { size, modified_ns };
                let object = storage.object(&path);
                let outcome = match object.facts().await? {
                    Some(facts) if sent.matches(&facts) && old != Some(facts) => {
                        let hash = object.hash(&Arc::new(Transfer::default())).await?;
                        Outcome::Written { intent, persistent_id: path.as_str().to_owned(), facts, hash }
                    }
                    _ => Outcome::Abandoned { intent },
                };
                paths.push(path);
                outcomes.push(outcome);
            }
            Intent::Delete { entry } => {
                let entry = entries.iter().find(|candidate| candidate.id == entry);
                let still_there = match entry {
                    Some(entry) => storage
                        .object(&entry.path)
                        .facts()
                        .await?
                        .is_some_and(|now| entry.facts.matches(&now)),
                    None => false,
                };
                paths.extend(entry.map(|entry| entry.path.clone()));
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
