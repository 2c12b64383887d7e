//! What was in flight when the last run was cut: finished where it was complete, cleaned up where it wasn't. Only
//! names that the journal recorded are touched, and of what has them only what is surely ours is deleted.

use super::error::RunError;
use super::journal::Journal;
use super::ours::{self, can_be, clear};
use std::sync::Arc;
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
    let mut recovery = Recovery {
        storage,
        transfer: Arc::new(Transfer::default()),
        paths: Vec::with_capacity(pending.len()),
    };
    for (intent, what) in pending {
        let known = |id: i64| entries.iter().find(|entry| entry.id == id);
        outcomes.push(match what {
            Intent::Write { path, temporary, size, modified_ns, replaces, .. } => {
                let sent = ObjectFacts { size, modified_ns };
                recovery.written(intent, path, temporary, sent, replaces.and_then(known)).await?
            }
            Intent::Delete { entry, aside } => recovery.deleted(intent, aside, known(entry)).await?,
        });
    }
    storage.settle(recovery.paths).await?;
    journal.commit(outcomes, Vec::new()).await?;
    Ok(true)
}

/// What recovering works with.
struct Recovery<'a> {
    storage: &'a dyn Storage,
    transfer: Arc<Transfer>,
    /// Names that were touched, to be made to last.
    paths: Vec<DevicePath>,
}

impl Recovery<'_> {
    /// A write that was in flight.
    async fn written(
        &mut self,
        intent: i64,
        path: DevicePath,
        temporary: DevicePath,
        sent: ObjectFacts,
        old: Option<&Entry>,
    ) -> Result<Outcome, RunError> {
        let object = self.storage.object(&path);
        let there = self.settle_name(&path, &temporary, sent, old).await?;
        let complete = |facts: ObjectFacts| {
            can_be(self.storage, sent, facts) || (!self.storage.is_atomic() && facts.size == sent.size)
        };
        let arrived = there.filter(|&facts| complete(facts) && old.map(|old| old.facts) != Some(facts));
        if arrived.is_none() && there.is_some() && old.is_none() && !self.storage.is_atomic() {
            // a part of what was sent: nobody else had that name when it was recorded
            clear(self.storage, &path, &path, true).await?;
        }
        if let Some(aside) = self.storage.object(&temporary).facts().await? {
            let is_ours = match old {
                // without a file to replace, nothing but what was sent ever gets that name
                None => true,
                Some(old) => aside == sent || self.still_or_was(&path, there, &temporary, aside, old).await?,
            };
            clear(self.storage, &temporary, &path, is_ours).await?;
            self.paths.push(temporary);
        }
        self.paths.push(path.clone());
        let Some(facts) = arrived else { return Ok(Outcome::Abandoned { intent }) };
        let hash = object.hash(&self.transfer).await?;
        Ok(Outcome::Written { intent, persistent_id: path.as_str().to_owned(), facts, hash })
    }

    /// What has the final name. Where a replacement deletes before it renames, a cut between the two leaves the name free
    /// and the new file whole under its temporary one: it gets its name now. The names were recorded while nobody else
    /// had them.
    async fn settle_name(
        &self,
        path: &DevicePath,
        temporary: &DevicePath,
        sent: ObjectFacts,
        old: Option<&Entry>,
    ) -> Result<Option<ObjectFacts>, RunError> {
        let there = self.storage.object(path).facts().await?;
        if there.is_some() || old.is_none() || self.storage.is_atomic() {
            return Ok(there);
        }
        let object = self.storage.object(temporary);
        if object.facts().await?.is_none_or(|facts| facts.size != sent.size) {
            return Ok(None);
        }
        let placed = object.restore(path.clone()).await?;
        if placed == *path { Ok(self.storage.object(path).facts().await?) } else { Ok(None) }
    }

    /// Whether the names have not been changed yet, so that the temporary one has our unfinished file; or they have, and
    /// it has the file that was replaced.
    async fn still_or_was(
        &self,
        path: &DevicePath,
        there: Option<ObjectFacts>,
        temporary: &DevicePath,
        aside: ObjectFacts,
        old: &Entry,
    ) -> Result<bool, RunError> {
        if let Some(there) = there
            && ours::is_entry(self.storage, path, there, old, &self.transfer).await?
        {
            return Ok(true);
        }
        Ok(ours::is_entry(self.storage, temporary, aside, old, &self.transfer).await?)
    }

    /// A deletion that was in flight.
    async fn deleted(
        &mut self,
        intent: i64,
        aside: DevicePath,
        entry: Option<&Entry>,
    ) -> Result<Outcome, RunError> {
        let Some(entry) = entry else { return Ok(Outcome::Deleted { intent }) };
        if let Some(facts) = self.storage.object(&aside).facts().await? {
            let is_ours = ours::is_entry(self.storage, &aside, facts, entry, &self.transfer).await?;
            clear(self.storage, &aside, &entry.path, is_ours).await?;
            self.paths.push(aside);
        }
        let now = self.storage.object(&entry.path).facts().await?;
        self.paths.push(entry.path.clone());
        let still_there = now.is_some_and(|now| can_be(self.storage, entry.facts, now));
        Ok(if still_there { Outcome::Abandoned { intent } } else { Outcome::Deleted { intent } })
    }
}
