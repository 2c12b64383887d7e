//! Whether a file on the device is still the one that we put there. Facts that are equal say so; facts that differ only
//! as rounding and shifted zones explain say nothing, and then the bytes are looked at. Nothing is read without need.

use super::error::RunError;
use super::journal::Journal;
use std::sync::Arc;
use tandem_model::error::PlayerError;
use tandem_model::manifest::{Correction, Entry, EntryState, Intent, Origin, Outcome};
use tandem_model::path::DevicePath;
use tandem_model::player::{ObjectFacts, Storage, Transfer};

/// Whether `now` can be what `recorded` tells of, as far as facts can say.
pub(crate) fn can_be(storage: &dyn Storage, recorded: ObjectFacts, now: ObjectFacts) -> bool {
    recorded == now || (!storage.keeps_exact_times() && recorded.matches(&now))
}

/// Whether the file at `path`, of which the device tells `now`, is the entry's. Facts alone say so, or say that it can't be;
/// else its bytes do.
async fn is_same(
    storage: &dyn Storage,
    path: &DevicePath,
    now: ObjectFacts,
    entry: &Entry,
    transfer: &Arc<Transfer>,
) -> Result<bool, PlayerError> {
    // of nothing there are no bytes to look at: a list of references has none
    if now == entry.facts || now.size == 0 && can_be(storage, entry.facts, now) {
        return Ok(true);
    }
    Ok(can_be(storage, entry.facts, now) && storage.object(path).hash(transfer).await? == entry.hash)
}

/// Whether the file at `path`, of which the device tells `now`, is surely the entry's.
pub(crate) async fn is_entry(
    storage: &dyn Storage,
    path: &DevicePath,
    now: ObjectFacts,
    entry: &Entry,
    transfer: &Arc<Transfer>,
) -> Result<bool, PlayerError> {
    match is_same(storage, path, now, entry, transfer).await {
        // what can't be read can't be known as ours
        Err(error) if !error.ends_run() => Ok(false),
        same => same,
    }
}

/// What the device tells now of the entry's file, which is surely still ours. One that can't be read is an error of its
/// own: it isn't known as changed either.
pub(crate) async fn facts_now(
    storage: &dyn Storage,
    entry: &Entry,
    transfer: &Arc<Transfer>,
) -> Result<ObjectFacts, PlayerError> {
    let path = || entry.path.as_str().to_owned();
    let now = storage.object(&entry.path).facts().await?.ok_or_else(|| PlayerError::NotFound(path()))?;
    if is_same(storage, &entry.path, now, entry, transfer).await? {
        return Ok(now);
    }
    Err(PlayerError::Changed(path()))
}

/// Deletes the entry's file if it is surely still ours.
pub(crate) async fn delete(
    storage: &dyn Storage,
    entry: &Entry,
    aside: DevicePath,
    transfer: &Arc<Transfer>,
) -> Result<(), PlayerError> {
    let now = facts_now(storage, entry, transfer).await?;
    storage.object(&entry.path).delete(now, aside).await
}

/// What a write comes to that failed: where a replacement isn't one step, the old file may be gone before the new one is
/// there, and must not count as deleted by the user then.
pub(crate) async fn failed_write(
    storage: &dyn Storage,
    path: &DevicePath,
    replaces: bool,
    intent: i64,
) -> Result<Outcome, PlayerError> {
    let may_be_gone = replaces && !storage.is_atomic();
    let is_gone = may_be_gone && storage.object(path).facts().await?.is_none();
    Ok(if is_gone { Outcome::Deleted { intent } } else { Outcome::Abandoned { intent } })
}

/// What is left of a file under its temporary name, for a device that refused to delete it: the next run does that. It has no
/// other name, and no size that says it is whole.
pub(crate) fn remains(origin: Origin, temporary: DevicePath) -> Intent {
    let (path, size) = (temporary.clone(), i64::MAX.unsigned_abs());
    Intent::Write { origin, path, temporary, size, modified_ns: 0, replaces: None }
}

/// Whether that is what this is about; tells the name.
pub(crate) fn of_remains(intent: &Intent) -> Option<&DevicePath> {
    match intent {
        Intent::Write { path, temporary, .. } if path == temporary => Some(temporary),
        _ => None,
    }
}

/// Records what a write that failed has left under its temporary name. Where files get their names in one step they are also
/// deleted as any other.
pub(crate) async fn keep_remains(
    journal: &Journal,
    storage: &dyn Storage,
    origin: Origin,
    temporary: &DevicePath,
) -> Result<(), RunError> {
    if storage.is_atomic() || storage.object(temporary).facts().await?.is_none() {
        return Ok(());
    }
    tracing::warn!("the device keeps an unfinished file that it was to delete; the next run tries again");
    journal.commit(Vec::new(), vec![remains(origin, temporary.clone())]).await.map(drop)
}

/// Notes that the entry's file has turned out to be the user's.
pub(crate) async fn disown(journal: &Journal, entry: &Entry) -> Result<(), RunError> {
    let disowned = Correction::State { entry: entry.id, state: EntryState::Disowned };
    journal.with(move |manifest| manifest.correct(&[disowned])).await
}

/// Forgets entries.
pub(crate) async fn forget(journal: &Journal, entries: Vec<i64>) -> Result<(), RunError> {
    if entries.is_empty() {
        return Ok(());
    }
    let forgotten: Vec<_> = entries.into_iter().map(|entry| Correction::Forget { entry }).collect();
    journal.with(move |manifest| manifest.correct(&forgotten)).await
}

/// Frees a temporary name. Only what `is_ours` says may go is deleted; anything else is somebody else's that was moved
/// there, and goes back to `path`.
pub(crate) async fn clear(
    storage: &dyn Storage,
    temporary: &DevicePath,
    path: &DevicePath,
    is_ours: bool,
) -> Result<(), RunError> {
    let object = storage.object(temporary);
    if !is_ours {
        object.restore(path.clone()).await?;
        return Ok(());
    }
    match object.discard().await {
        Ok(()) | Err(PlayerError::NotFound(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
