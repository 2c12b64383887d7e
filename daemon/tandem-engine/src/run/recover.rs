//! What was in flight when the last run was cut: finished where it was complete, cleaned up where it wasn't. Only
//! names that the journal recorded are touched, and of what has them only what is surely ours is deleted. A file that was
//! sent whole and had no final name yet gets it, if its bytes are still those of its source.

use super::cancel::unless_cancelled;
use super::error::RunError;
use super::journal::Journal;
use super::ours::{self, can_be, clear};
use super::temporary::short_name;
use std::sync::Arc;
use tandem_model::error::ItemError;
use tandem_model::library::{Library, Resolved};
use tandem_model::manifest::{Correction, Entry, EntryState, Intent, Origin, Outcome};
use tandem_model::media::Track;
use tandem_model::path::DevicePath;
use tandem_model::player::{ObjectFacts, Storage, Transfer};
use tracing::info;

/// The library that files were sent from, to hold them against.
pub(crate) struct Sources<'a> {
    pub(crate) library: &'a Resolved,
    pub(crate) owner: &'a dyn Library,
    pub(crate) cancel: &'a Transfer,
}

impl Sources<'_> {
    /// The hash of the source, if it is still what was sent.
    async fn hash_of(&self, origin: &Origin, sent: ObjectFacts) -> Result<Option<u128>, RunError> {
        let Origin::Track(uri) = origin else { return Ok(None) };
        let is_source = |track: &&Track| {
            track.uri == *uri && track.size == sent.size && track.modified_ns == sent.modified_ns
        };
        let Some(track) = self.library.tracks.iter().find(is_source) else { return Ok(None) };
        let hashes = unless_cancelled(self.cancel, self.owner.hash(vec![track.id])).await?;
        // without the library it is sent again
        Ok(hashes.ok().and_then(|hashes| hashes.first().copied().flatten()))
    }
}

/// Settles every pending intent. Afterwards none is pending but those of unfinished files that the device refuses to delete.
/// Without `sources`, what has no final name yet goes; of a
/// partnership that has `ended` no part of a file stays, for no plan comes to replace it.
pub(crate) async fn recover(
    journal: &Journal,
    storage: &dyn Storage,
    entries: &[Entry],
    sources: Option<Sources<'_>>,
    ended: bool,
) -> Result<bool, RunError> {
    let pending = journal.with(|manifest| manifest.pending()).await?;
    if pending.is_empty() {
        return Ok(false);
    }
    info!(in_flight = pending.len(), "cleaning up after a run that was cut");
    let mut outcomes = Vec::with_capacity(pending.len());
    let mut recovery = Recovery {
        storage,
        sources,
        ended,
        transfer: Arc::new(Transfer::default()),
        paths: Vec::with_capacity(pending.len()),
        remains: Vec::new(),
    };
    let written = |(_, what): &(i64, Intent)| match what {
        Intent::Write { path, .. } if ours::of_remains(what).is_none() => Some(path.clone()),
        _ => None,
    };
    let written: Vec<DevicePath> = pending.iter().filter_map(written).collect();
    for (intent, what) in pending {
        let known = |id: i64| entries.iter().find(|entry| entry.id == id);
        if let Some(temporary) = ours::of_remains(&what) {
            outcomes.extend(recovery.discarded(intent, temporary).await?);
            continue;
        }
        let what = under_its_name(storage, what).await?;
        outcomes.push(match what {
            Intent::Write { path, temporary, size, modified_ns, replaces, origin } => {
                // an album has no bytes of its own, and its size says nothing: whatever has its name is a part of it
                let size = if matches!(origin, Origin::Album(_)) { u64::MAX } else { size };
                let sent = ObjectFacts { size, modified_ns };
                let names = Names { path, temporary };
                match recovery.adopted(&origin, &names, sent, replaces.is_some()).await? {
                    Some((facts, hash)) => recovery.is_there(intent, names.path, facts, hash),
                    None => {
                        let old = replaces.and_then(known);
                        recovery.written(intent, names, (&origin, sent), old).await?
                    }
                }
            }
            Intent::Delete { entry, aside } => recovery.deleted(intent, aside, known(entry)).await?,
            Intent::UpdateMetadata { entry, .. } => recovery.updated(intent, known(entry)).await?,
        });
    }
    // folders that were recorded for these files and aren't there: whoever makes them now, they are not ours
    let missing = if written.is_empty() { Vec::new() } else { storage.missing_folders(written).await? };
    recovery.paths.extend_from_slice(&missing);
    let remains = recovery.remains;
    storage.settle(recovery.paths).await?;
    let corrections = if missing.is_empty() { Vec::new() } else { vec![Correction::ForgetFolders(missing)] };
    journal.record(corrections, outcomes, remains).await?;
    Ok(true)
}

/// The intent with the temporary name under which its file is found now: after a power cut, FAT may have the short one alone.
async fn under_its_name(storage: &dyn Storage, mut what: Intent) -> Result<Intent, RunError> {
    let (Intent::Write { temporary: name, .. } | Intent::Delete { aside: name, .. }) = &mut what else {
        return Ok(what);
    };
    if let Some(short) = short_name(name).filter(|_| storage.is_atomic())
        && let [None, Some(_)] = storage.facts(vec![name.clone(), short.clone()]).await?[..]
    {
        *name = short;
    }
    Ok(what)
}

/// Whether this is what the repair of a file system has left of a file that was in flight: shorter, and with its time.
/// Whoever else writes to a file gives it another one.
fn is_torn(storage: &dyn Storage, whole: ObjectFacts, now: ObjectFacts) -> bool {
    let is_told = whole.modified_ns != 0 && now.modified_ns != 0;
    let has_its_time = is_told && can_be(storage, whole, ObjectFacts { size: whole.size, ..now });
    storage.is_atomic() && now.size < whole.size && has_its_time
}

/// The same of what was sent, or of the file that was to be replaced. A new name without content is ours too: the kernel's FAT
/// writes a name first, and later where its file lies.
fn torn_write(storage: &dyn Storage, sent: ObjectFacts, old: Option<&Entry>, now: ObjectFacts) -> bool {
    let is_whole = now.size == sent.size || old.is_some_and(|old| old.facts == now);
    let is_torn_old = old.is_some_and(|old| is_torn(storage, old.facts, now));
    let is_bare_name = storage.is_atomic() && old.is_none() && now.size == 0;
    !is_whole && (is_bare_name || is_torn(storage, sent, now) || is_torn_old)
}

/// What recovering works with.
struct Recovery<'a> {
    storage: &'a dyn Storage,
    sources: Option<Sources<'a>>,
    /// No plan comes after this.
    ended: bool,
    transfer: Arc<Transfer>,
    /// Names that were touched, to be made to last.
    paths: Vec<DevicePath>,
    /// Unfinished files that the device refuses to delete.
    remains: Vec<Intent>,
}

/// The names of a file that was being written.
struct Names {
    path: DevicePath,
    temporary: DevicePath,
}

impl Recovery<'_> {
    fn is_there(&mut self, intent: i64, path: DevicePath, facts: ObjectFacts, hash: u128) -> Outcome {
        let persistent_id = path.as_str().to_owned();
        self.paths.push(path);
        Outcome::Written { intent, persistent_id, facts, hash, audio_hash: None }
    }

    /// Gives a new file its name that lies whole under its temporary one. Its size and time say that all was sent; that it
    /// was also kept, over a power cut, only its bytes can say.
    async fn adopted(
        &mut self,
        origin: &Origin,
        names: &Names,
        sent: ObjectFacts,
        replaces: bool,
    ) -> Result<Option<(ObjectFacts, u128)>, RunError> {
        let Some(sources) = self.sources.as_ref().filter(|_| !replaces && self.storage.is_atomic()) else {
            return Ok(None);
        };
        let Names { path, temporary } = names;
        let waiting = self.storage.object(temporary);
        let is_whole = waiting.facts().await?.is_some_and(|facts| can_be(self.storage, sent, facts));
        if !is_whole || self.storage.object(path).facts().await?.is_some() {
            return Ok(None);
        }
        let Some(hash) = sources.hash_of(origin, sent).await? else { return Ok(None) };
        match unless_cancelled(sources.cancel, waiting.hash(&self.transfer)).await? {
            Ok(found) if found == hash => {}
            Err(error) if error.ends_run() => return Err(error.into()),
            Ok(_) | Err(_) => return Ok(None),
        }
        let placed = waiting.restore(path.clone()).await?;
        self.paths.push(temporary.clone());
        if placed != *path {
            // somebody else was faster; no record says that what lies there now is ours
            self.storage.object(&placed).discard().await?;
            return Ok(None);
        }
        Ok(self.storage.object(path).facts().await?.map(|facts| (facts, hash)))
    }

    /// Another write that was in flight.
    async fn written(
        &mut self,
        intent: i64,
        names: Names,
        (origin, sent): (&Origin, ObjectFacts),
        old: Option<&Entry>,
    ) -> Result<Outcome, RunError> {
        let Names { path, temporary } = names;
        let object = self.storage.object(&path);
        // it may have turned out to be the user's after it was recorded that it would be replaced
        let is_his = old.is_some_and(|old| old.state != EntryState::Present);
        let there = if is_his {
            object.facts().await?
        } else {
            self.settle_name(&path, &temporary, sent, old).await?
        };
        let may_be_it = |facts| self.was_sent(sent, facts, old) || self.may_be_either(sent, facts, old);
        let mut arrived = there.filter(|&facts| !is_his && may_be_it(facts));
        if !is_his && there.is_some_and(|facts| self.is_useless(sent, facts, old)) {
            clear(self.storage, &path, &path, true).await?;
            arrived = None;
        }
        if let Some(aside) = self.storage.object(&temporary).facts().await? {
            let is_ours = match old {
                // without a file to replace, nothing but what was sent ever gets that name
                None => true,
                Some(_) if aside.size == 0 || self.was_sent(sent, aside, old) => true,
                Some(old) => self.still_or_was(&path, there, &temporary, aside, old).await?,
            };
            match clear(self.storage, &temporary, &path, is_ours).await {
                // it keeps nobody from synchronising
                Err(error) if is_ours && self.may_stay(&error) => {
                    self.remains.push(ours::remains(origin.clone(), temporary.clone()));
                }
                cleared => cleared?,
            }
            self.paths.push(temporary);
        }
        let Some(facts) = arrived else {
            let outcome = ours::failed_write(self.storage, &path, old.is_some(), intent).await?;
            self.paths.push(path);
            return Ok(outcome);
        };
        let hash = match object.hash(&self.transfer).await {
            Err(error) if error.ends_run() => return Err(error.into()),
            // what can't be read has the hash of nothing that is in the library
            hash => hash.unwrap_or_default(),
        };
        if old.is_some_and(|old| old.facts == facts && old.hash == hash) {
            // the names had not been changed yet
            self.paths.push(path);
            return Ok(Outcome::Abandoned { intent });
        }
        if self.may_be_changed(origin, sent, old, (facts, hash)).await? {
            self.paths.push(path);
            return Ok(Outcome::Abandoned { intent });
        }
        let persistent_id = path.as_str().to_owned();
        self.paths.push(path);
        Ok(Outcome::Found { intent, persistent_id, facts, hash })
    }

    /// Whether a device that didn't delete an unfinished file, and told this, may keep it until the next run.
    fn may_stay(&self, error: &RunError) -> bool {
        !self.storage.is_atomic() && error.error == ItemError::DeviceWriteFailed
    }

    /// An unfinished file that a device refused to delete; nothing where it still does.
    async fn discarded(&mut self, intent: i64, temporary: &DevicePath) -> Result<Option<Outcome>, RunError> {
        match clear(self.storage, temporary, temporary, true).await {
            Err(error) if self.may_stay(&error) => return Ok(None),
            cleared => cleared?,
        }
        self.paths.push(temporary.clone());
        Ok(Some(Outcome::Abandoned { intent }))
    }

    /// Whether this track may be the one that was to be replaced, as the user has changed it: to the same size, and with a time
    /// that says nothing. It isn't what was sent, as far as the source can be had.
    async fn may_be_changed(
        &self,
        origin: &Origin,
        sent: ObjectFacts,
        old: Option<&Entry>,
        (facts, hash): (ObjectFacts, u128),
    ) -> Result<bool, RunError> {
        let is_like_old = |old: &Entry| old.facts != facts && can_be(self.storage, old.facts, facts);
        let may_be_old = !self.storage.is_atomic() && old.is_some_and(is_like_old);
        if !may_be_old || !matches!(origin, Origin::Track(_)) {
            return Ok(false);
        }
        match &self.sources {
            Some(sources) => Ok(sources.hash_of(origin, sent).await? != Some(hash)),
            None => Ok(true),
        }
    }

    /// Whether this is the file that was in flight, as far as facts can say, whole or as a cut has left it: a device tells
    /// of the whole size before it has the bytes, and after a power cut it may have lost the last of them.
    fn was_sent(&self, sent: ObjectFacts, there: ObjectFacts, old: Option<&Entry>) -> bool {
        if old.is_some_and(|old| old.facts == there) {
            return false;
        }
        can_be(self.storage, sent, there)
            || torn_write(self.storage, sent, old, there)
            || !self.storage.is_atomic() && there.size == sent.size
    }

    /// Whether facts don't say if this is the file that was to be replaced or the one in its place: a source whose time says
    /// nothing of its bytes is sent again under the same time.
    fn may_be_either(&self, sent: ObjectFacts, there: ObjectFacts, old: Option<&Entry>) -> bool {
        old.is_some_and(|old| old.facts == there) && can_be(self.storage, sent, there)
    }

    /// Whether what has the final name is a part of what was sent that nothing can come of.
    fn is_useless(&self, sent: ObjectFacts, there: ObjectFacts, old: Option<&Entry>) -> bool {
        if self.storage.is_atomic() {
            // unless the partnership has ended, a plan comes to replace it
            return self.ended && torn_write(self.storage, sent, old, there);
        }
        // nobody else had that name when it was recorded, unless it is the file that was to be replaced, which may have
        // been changed with care; what is larger than what was sent is no part of it
        there.size < sent.size && !old.is_some_and(|old| can_be(self.storage, old.facts, there))
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

    /// A change of tags that was in flight. The device may have given the file another time with it.
    async fn updated(&self, intent: i64, entry: Option<&Entry>) -> Result<Outcome, RunError> {
        let Some(entry) = entry else { return Ok(Outcome::Abandoned { intent }) };
        let object = self.storage.object(&entry.path);
        let now = object.facts().await?;
        let Some(facts) = now.filter(|now| *now != entry.facts && now.size == entry.facts.size) else {
            return Ok(Outcome::Abandoned { intent });
        };
        match object.hash(&self.transfer).await {
            Ok(hash) if hash == entry.hash => Ok(Outcome::MetadataUnknown { intent, facts, refused: false }),
            Err(error) if error.ends_run() => Err(error.into()),
            Ok(_) | Err(_) => Ok(Outcome::Abandoned { intent }),
        }
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
            let is_ours = facts.size == 0
                || is_torn(self.storage, entry.facts, facts)
                || ours::is_entry(self.storage, &aside, facts, entry, &self.transfer).await?;
            clear(self.storage, &aside, &entry.path, is_ours).await?;
            self.paths.push(aside);
        }
        let now = self.storage.object(&entry.path).facts().await?;
        self.paths.push(entry.path.clone());
        if now.is_some_and(|now| is_torn(self.storage, entry.facts, now)) {
            clear(self.storage, &entry.path, &entry.path, true).await?;
            return Ok(Outcome::Deleted { intent });
        }
        let still_there = now.is_some_and(|now| can_be(self.storage, entry.facts, now));
        Ok(if still_there { Outcome::Abandoned { intent } } else { Outcome::Deleted { intent } })
    }
}
