//! Stores that lie in memory and say what the real ones say, at a fraction of their cost; `tests/stores.rs` holds them
//! against those. A daemon that is killed leaves them as they are, as it leaves a disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tandem_model::error::{ItemError, StoreError};
use tandem_model::id::{Guid, MediaUri};
use tandem_model::manifest::{
    Correction, Entry, EntryState, Intent, ItemResult, Manifest, ManifestStore, OpenRun, Origin, Outcome,
    Record,
};
use tandem_model::partnership::{PartnershipStore, Partnerships};
use tandem_model::path::DevicePath;
use tandem_model::player::ObjectFacts;

/// The largest size that the real manifest's integers hold.
const LARGEST: u64 = i64::MAX.cast_unsigned();

/// Partnerships in memory.
#[derive(Debug, Default)]
pub struct MemoryPartnerships(Mutex<Partnerships>);

impl PartnershipStore for MemoryPartnerships {
    fn may_block(&self) -> bool {
        false
    }
    fn load(&self) -> Result<Partnerships, StoreError> {
        Ok(lock(&self.0).clone())
    }
    fn save(&self, partnerships: &Partnerships) -> Result<(), StoreError> {
        lock(&self.0).clone_from(partnerships);
        Ok(())
    }
}

/// Manifests in memory; `None` until the first of them was made.
#[derive(Debug, Default)]
pub struct MemoryManifests(Mutex<Option<BTreeMap<Guid, Shared>>>);

type Shared = Arc<Mutex<Content>>;

impl MemoryManifests {
    /// All of them are lost; tells whether there ever were any.
    pub fn lose(&self) -> bool {
        lock(&self.0).take().is_some()
    }
}

impl ManifestStore for MemoryManifests {
    fn may_block(&self) -> bool {
        false
    }
    fn open(&self, relationship: Guid) -> Result<Box<dyn Manifest>, StoreError> {
        let mut all = lock(&self.0);
        let content = all.get_or_insert_default().entry(relationship).or_default();
        Ok(Box::new(MemoryManifest { content: Arc::clone(content), run: None }))
    }
    fn remove(&self, relationship: Guid) -> Result<(), StoreError> {
        if let Some(all) = lock(&self.0).as_mut() {
            all.remove(&relationship);
        }
        Ok(())
    }
}

struct MemoryManifest {
    content: Shared,
    /// Whose doing is what is committed, and when that began.
    run: Option<(Guid, u64)>,
}

/// What a manifest holds; copying it is cheap.
#[derive(Debug, Clone, Default)]
struct Content {
    entries: BTreeMap<i64, Arc<Entry>>,
    last_entry: i64,
    intents: BTreeMap<i64, Arc<Intent>>,
    last_intent: i64,
    folders: Arc<BTreeSet<DevicePath>>,
    results: Arc<Vec<ItemResult>>,
    /// The run that isn't closed; its items are counted when it is asked for.
    open_run: Option<OpenRun>,
}

/// A run that has done nothing yet.
const NOTHING_DONE: OpenRun =
    OpenRun { id: Guid::ZERO, began: 0, last: 0, change_count: 0, written_bytes: 0, item_count: 0 };

/// Why nothing is recorded.
type Refused = String;

impl MemoryManifest {
    /// Makes a change whole, or not at all.
    fn change<T>(&self, change: impl FnOnce(&mut Content) -> Result<T, Refused>) -> Result<T, StoreError> {
        let mut content = lock(&self.content);
        let mut changed = content.clone();
        let answer = change(&mut changed).map_err(|what| StoreError::Io {
            path: "memory".to_owned(),
            cause: format!("not recorded: {what}"),
        })?;
        *content = changed;
        Ok(answer)
    }
}

impl Manifest for MemoryManifest {
    fn each_entry(&self, see: &mut dyn FnMut(Entry)) -> Result<(), StoreError> {
        lock(&self.content).entries.values().for_each(|entry| see((**entry).clone()));
        Ok(())
    }
    fn was_filled(&self) -> Result<bool, StoreError> {
        Ok(lock(&self.content).last_entry > 0)
    }
    fn folders(&self) -> Result<Vec<DevicePath>, StoreError> {
        Ok(lock(&self.content).folders.iter().cloned().collect())
    }
    fn media_state(&self, media: &MediaUri) -> Result<(bool, bool), StoreError> {
        let content = lock(&self.content);
        let is_there = |entry: &Arc<Entry>| {
            matches!(entry.state, EntryState::Present | EntryState::Foreign)
                && matches!(&entry.origin, Origin::Track(uri) if uri == media)
        };
        let did_not_fit =
            |result: &ItemResult| *result.media == *media.0 && result.error == Some(ItemError::NoFit);
        Ok((content.entries.values().any(is_there), content.results.iter().any(did_not_fit)))
    }
    fn pending(&self) -> Result<Vec<(i64, Intent)>, StoreError> {
        Ok(lock(&self.content).intents.iter().map(|(id, intent)| (*id, (**intent).clone())).collect())
    }
    fn record(&mut self, record: Record<'_>) -> Result<Vec<i64>, StoreError> {
        let run = self.run;
        let Record { at, corrections, outcomes, intents } = record;
        self.change(|content| {
            corrections.iter().try_for_each(|correction| content.correct(correction))?;
            let deletions = content.deletions();
            outcomes.iter().try_for_each(|outcome| content.settle(outcome))?;
            if let Some((id, began)) = run {
                content.note(OpenRun { id, began, last: at, ..NOTHING_DONE }, outcomes, &deletions);
            }
            intents.iter().map(|intent| content.intend(intent)).collect()
        })
    }
    fn correct(&mut self, corrections: &[Correction]) -> Result<(), StoreError> {
        self.change(|content| corrections.iter().try_for_each(|correction| content.correct(correction)))
    }
    fn results(&self) -> Result<Vec<ItemResult>, StoreError> {
        Ok(lock(&self.content).results.to_vec())
    }
    fn set_results(&mut self, results: &[ItemResult]) -> Result<(), StoreError> {
        self.change(|content| {
            content.results = Arc::new(results.to_vec());
            Ok(())
        })
    }
    fn begin_run(&mut self, id: Guid, began: u64) {
        self.run = Some((id, began));
    }
    fn open_run(&self) -> Result<Option<OpenRun>, StoreError> {
        let content = lock(&self.content);
        let is_item = |entry: &&Arc<Entry>| {
            matches!(entry.state, EntryState::Present | EntryState::Foreign)
                && matches!(entry.origin, Origin::Track(_))
        };
        let count = content.entries.values().filter(is_item).count();
        let item_count = u32::try_from(count).unwrap_or(u32::MAX);
        Ok(content.open_run.map(|open| OpenRun { item_count, ..open }))
    }
    fn close_run(&mut self, id: Guid) -> Result<(), StoreError> {
        self.change(|content| {
            content.open_run.take_if(|open| open.id == id);
            Ok(())
        })
    }
}

impl Content {
    fn intend(&mut self, intent: &Intent) -> Result<i64, Refused> {
        match intent {
            Intent::Write { replaces, size, .. } => {
                replaces.map(|entry| self.entry(entry)).transpose()?;
                storable(*size)?;
            }
            Intent::Delete { entry, .. } => drop(self.entry(*entry)?),
            Intent::UpdateMetadata { entry, size, .. } => {
                self.entry(*entry)?;
                storable(*size)?;
            }
        }
        self.last_intent += 1;
        self.intents.insert(self.last_intent, Arc::new(intent.clone()));
        Ok(self.last_intent)
    }

    fn take_intent(&mut self, id: i64) -> Result<Intent, Refused> {
        let taken = self.intents.remove(&id).ok_or_else(|| format!("there is no pending intent {id}"))?;
        Ok(Arc::unwrap_or_clone(taken))
    }

    fn settle(&mut self, outcome: &Outcome) -> Result<(), Refused> {
        match outcome {
            Outcome::Written { intent, persistent_id, facts, hash, audio_hash } => {
                let source = self.take_write(*intent)?;
                let entry = source.entry(persistent_id, *facts, *hash, *audio_hash);
                self.put(source.replaces, entry)
            }
            Outcome::Found { intent, persistent_id, facts, hash } => {
                let source = Source { modified_ns: 0, ..self.take_write(*intent)? };
                let entry = source.entry(persistent_id, *facts, *hash, None);
                self.put(source.replaces, entry)
            }
            Outcome::Deleted { intent } => match self.take_intent(*intent)? {
                Intent::Delete { entry, .. } | Intent::Write { replaces: Some(entry), .. } => {
                    self.forget(entry)
                }
                Intent::Write { replaces: None, .. } => {
                    Err(format!("intent {intent} is to write a new file, and can't end with a deleted one"))
                }
                Intent::UpdateMetadata { .. } => {
                    Err(format!("intent {intent} is to change tags, and can't end with a deleted file"))
                }
            },
            Outcome::MetadataUpdated { intent, facts } => {
                let (entry, source_size, source_modified_ns) = self.take_update(*intent)?;
                self.put(Some(entry.id), Entry { facts: *facts, source_size, source_modified_ns, ..entry })
            }
            Outcome::MetadataUnknown { intent, facts, refused } => {
                let (entry, source_size, _) = self.take_update(*intent)?;
                let audio_hash = entry.audio_hash.filter(|_| !refused);
                let changed =
                    Entry { facts: *facts, source_size, source_modified_ns: 0, audio_hash, ..entry };
                self.put(Some(changed.id), changed)
            }
            Outcome::Abandoned { intent } => self.take_intent(*intent).map(drop),
        }
    }

    /// Intents that are to delete an entry's file.
    fn deletions(&self) -> BTreeSet<i64> {
        let deletes =
            |(id, intent): (&i64, &Arc<Intent>)| matches!(**intent, Intent::Delete { .. }).then_some(*id);
        self.intents.iter().filter_map(deletes).collect()
    }

    /// Adds what these say was done on the device to the run, which takes the place of another.
    fn note(&mut self, now: OpenRun, outcomes: &[Outcome], deletions: &BTreeSet<i64>) {
        let open = self.open_run.take_if(|open| open.id == now.id).unwrap_or(now);
        let mut run = OpenRun { began: now.began, last: now.last.max(now.began), ..open };
        for outcome in outcomes {
            let (changes, bytes) = match outcome {
                Outcome::Written { facts, .. } | Outcome::Found { facts, .. } => (1, facts.size),
                Outcome::MetadataUpdated { .. } => (1, 0),
                Outcome::Deleted { intent } => (u32::from(deletions.contains(intent)), 0),
                Outcome::MetadataUnknown { .. } | Outcome::Abandoned { .. } => (0, 0),
            };
            run.change_count = run.change_count.saturating_add(changes);
            run.written_bytes = run.written_bytes.saturating_add(bytes);
        }
        self.open_run = Some(run);
    }

    fn take_write(&mut self, id: i64) -> Result<Source, Refused> {
        match self.take_intent(id)? {
            Intent::Write { origin, path, size, modified_ns, replaces, .. } => {
                Ok(Source { origin, path, size, modified_ns, replaces })
            }
            Intent::Delete { .. } | Intent::UpdateMetadata { .. } => {
                Err(format!("intent {id} is to delete, and can't end with a written file"))
            }
        }
    }

    fn take_update(&mut self, id: i64) -> Result<(Entry, u64, i64), Refused> {
        match self.take_intent(id)? {
            Intent::UpdateMetadata { entry, size, modified_ns } => {
                Ok((self.entry(entry)?, size, modified_ns))
            }
            Intent::Write { .. } | Intent::Delete { .. } => {
                Err(format!("intent {id} is not to change tags, and can't end with changed ones"))
            }
        }
    }

    fn entry(&self, id: i64) -> Result<Entry, Refused> {
        self.entries.get(&id).map(|entry| (**entry).clone()).ok_or_else(|| format!("there is no entry {id}"))
    }

    /// Puts an entry in the place of that one, or behind all others.
    fn put(&mut self, replaces: Option<i64>, mut entry: Entry) -> Result<(), Refused> {
        storable(entry.facts.size)?;
        storable(entry.source_size)?;
        entry.id = replaces.unwrap_or_else(|| {
            self.last_entry += 1;
            self.last_entry
        });
        self.entries.insert(entry.id, Arc::new(entry));
        Ok(())
    }

    fn forget(&mut self, id: i64) -> Result<(), Refused> {
        let names = |intent: &Intent| match intent {
            Intent::Write { replaces, .. } => *replaces == Some(id),
            Intent::Delete { entry, .. } | Intent::UpdateMetadata { entry, .. } => *entry == id,
        };
        if let Some((intent, _)) = self.intents.iter().find(|(_, intent)| names(intent)) {
            return Err(format!("entry {id} can't be forgotten while intent {intent} is pending"));
        }
        self.entries.remove(&id).map(drop).ok_or_else(|| format!("there is no entry {id}"))
    }

    fn correct(&mut self, correction: &Correction) -> Result<(), Refused> {
        match correction {
            Correction::Source { entry, origin, size, modified_ns } => {
                let (source_size, source_modified_ns) = (*size, *modified_ns);
                let old = self.entry(*entry)?;
                let origin = origin.clone();
                self.put(Some(*entry), Entry { origin, source_size, source_modified_ns, ..old })
            }
            Correction::Place { entry, path } => {
                let old = self.entry(*entry)?;
                self.put(Some(*entry), Entry { path: path.clone(), ..old })
            }
            Correction::State { entry, state } => {
                let old = self.entry(*entry)?;
                self.put(Some(*entry), Entry { state: *state, ..old })
            }
            Correction::Found { origin, path, facts, size, modified_ns, hash } => {
                let (origin, path) = (origin.clone(), path.clone());
                let source = Source { origin, path, size: *size, modified_ns: *modified_ns, replaces: None };
                let entry = source.entry(source.path.as_str(), *facts, *hash, None);
                self.put(None, Entry { state: EntryState::Foreign, ..entry })
            }
            Correction::Forget { entry } => self.forget(*entry),
            Correction::ForgetSkipped => {
                let is_skipped = |entry: &&Arc<Entry>| entry.state != EntryState::Present;
                let skipped: Vec<i64> =
                    self.entries.values().filter(is_skipped).map(|entry| entry.id).collect();
                skipped.into_iter().try_for_each(|id| self.forget(id))
            }
            Correction::MadeFolders(folders) => {
                Arc::make_mut(&mut self.folders).extend(folders.iter().cloned());
                Ok(())
            }
            Correction::ForgetFolders(folders) => {
                let made = Arc::make_mut(&mut self.folders);
                made.retain(|folder| !folders.contains(folder));
                Ok(())
            }
        }
    }
}

/// What a file was to be written from.
struct Source {
    origin: Origin,
    path: DevicePath,
    size: u64,
    modified_ns: i64,
    replaces: Option<i64>,
}

impl Source {
    /// The file as an entry that has no number yet.
    fn entry(&self, persistent_id: &str, facts: ObjectFacts, hash: u128, audio_hash: Option<u128>) -> Entry {
        Entry {
            id: 0,
            origin: self.origin.clone(),
            path: self.path.clone(),
            persistent_id: persistent_id.into(),
            facts,
            source_size: self.size,
            source_modified_ns: self.modified_ns,
            hash,
            audio_hash,
            state: EntryState::Present,
        }
    }
}

fn storable(size: u64) -> Result<(), Refused> {
    if size <= LARGEST { Ok(()) } else { Err(format!("{size} is more than any file has")) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
