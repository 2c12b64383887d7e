//! Brings the albums' objects on the device up to date: in groups, each recorded as intended before, and as done with the
//! group after it. An album that can't be written is told of, and the others go on.

use super::adopt::{FoundList, List};
use super::cancel::unless_cancelled;
use super::error::RunError;
use super::folders::MadeFolders;
use super::ours;
use super::prepare::Prepared;
use super::transfer::{NAME_TRIES, on_device};
use super::{Observer, Results};
use crate::plan::albums::{AlbumChanges, AlbumObject, CoverStamps, changes, representatives};
use crate::plan::names::{TakenNames, numbered};
use std::sync::Arc;
use tandem_model::error::{ItemError, LibraryError, PlayerError};
use tandem_model::id::TrackId;
use tandem_model::library::{Cover, Library, Resolved};
use tandem_model::manifest::{Entry, Intent, Origin, Outcome};
use tandem_model::path::DevicePath;
use tandem_model::player::{Capabilities, Expect, Source, Transfer, WriteRequest, Written};

/// Albums that are recorded together.
const GROUP: usize = 32;

/// What lies beside the tracks of each album, where the player takes pictures.
pub(super) async fn cover_stamps(
    owner: &dyn Library,
    library: &Resolved,
    capabilities: &Capabilities,
    cancel: &Transfer,
) -> Result<CoverStamps, RunError> {
    if capabilities.albums.as_ref().is_none_or(|style| style.cover.is_none()) {
        return Ok(CoverStamps::default());
    }
    let (albums, tracks): (Vec<_>, Vec<_>) = representatives(library).into_iter().unzip();
    let stamps = unless_cancelled(cancel, owner.cover_stamps(tracks)).await??;
    Ok(albums.into_iter().zip(stamps).collect())
}

/// What is done with one album.
enum Step {
    Delete(Entry),
    Write(Box<AlbumObject>),
}

/// Deletes the albums of which no track is there any more, and writes those that are new or others than before.
pub(crate) async fn carry_out(
    prepared: &mut Prepared,
    owner: &dyn Library,
    now: u64,
    observer: &Observer,
    results: &mut Results,
) -> Result<(), RunError> {
    let style = prepared.player.capabilities().albums.as_ref();
    if style.is_none() && !prepared.entries.iter().any(|entry| matches!(entry.origin, Origin::Album(_))) {
        return Ok(());
    }
    let places = on_device(prepared);
    let AlbumChanges { stale, fresh, outdated } =
        changes(&prepared.library, &prepared.entries, style, &places, &prepared.covers);
    ours::forget(&prepared.journal, outdated).await?;
    let recorded = || prepared.entries.iter().map(|entry| &entry.path);
    let used = recorded().chain(fresh.iter().map(|object| &object.path)).collect();
    let taken = recorded().collect();
    let steps: Vec<Step> = stale
        .into_iter()
        .map(Step::Delete)
        .chain(fresh.into_iter().map(|object| Step::Write(Box::new(object))))
        .collect();
    if steps.is_empty() {
        return Ok(());
    }
    let mut course = Course { prepared, owner, now, observer, results, outcomes: Vec::new(), used, taken };
    let end = course.carry_out(steps).await;
    let outcomes = std::mem::take(&mut course.outcomes);
    let recorded = prepared.journal.commit(outcomes, Vec::new()).await;
    end?;
    recorded.map(drop)
}

/// What the groups share.
struct Course<'a> {
    prepared: &'a mut Prepared,
    owner: &'a dyn Library,
    now: u64,
    observer: &'a Observer,
    results: &'a mut Results,
    /// Done on the device for good, not yet recorded.
    outcomes: Vec<Outcome>,
    /// Names that are recorded, or wanted by an object.
    used: TakenNames,
    /// Names that are recorded, or about to be.
    taken: TakenNames,
}

/// A step of a group with what was recorded of it.
struct Begun {
    step: Step,
    /// Where an object is written, or moved to before it goes.
    place: DevicePath,
    temporary: DevicePath,
    intent: i64,
}

impl Course<'_> {
    async fn carry_out(&mut self, steps: Vec<Step>) -> Result<(), RunError> {
        let mut steps = steps.into_iter();
        loop {
            let group: Vec<Step> = steps.by_ref().take(GROUP).collect();
            if group.is_empty() {
                return Ok(());
            }
            self.group(group).await?;
        }
    }

    /// Records what a group is about to do, and does it.
    async fn group(&mut self, group: Vec<Step>) -> Result<(), RunError> {
        if self.observer.transfer.is_cancelled() {
            return Err(RunError::cancelled());
        }
        let named = self.with_places(group).await?;
        let written = named.iter().filter(|(step, _)| matches!(step, Step::Write(_)));
        let written = written.map(|(_, place)| place.clone()).collect();
        let folders = MadeFolders::for_files(self.prepared, written).await?;
        let temporary: Vec<DevicePath> = named.iter().map(|_| self.prepared.names.next()).collect();
        let intents =
            named.iter().zip(&temporary).map(|((step, place), name)| self.intent(step, place, name));
        let intents = intents.collect();
        let outcomes = std::mem::take(&mut self.outcomes);
        let numbers = self.prepared.journal.record(folders.intended(), outcomes, intents).await?;
        let begun = named.into_iter().zip(temporary).zip(numbers);
        let (mut touched, mut made, mut done, mut end) = (Vec::new(), Vec::new(), Vec::new(), Ok(()));
        for (((step, place), temporary), intent) in begun {
            if end.is_err() {
                done.push(Outcome::Abandoned { intent });
                continue;
            }
            touched.push(place.clone());
            let begun = Begun { step, place, temporary, intent };
            match self.one(begun, &mut made).await {
                Ok(outcome) => done.push(outcome),
                // what became of this one is settled by the next run; of the others nothing was begun
                Err(error) => end = Err(error),
            }
        }
        let settled = self.prepared.storage.settle(touched).await;
        if settled.is_ok() {
            self.outcomes.extend(done);
        }
        end?;
        settled?;
        folders.forget_others(self.prepared, &made, &MadeFolders::default()).await
    }

    /// Finds names that nobody else has for new objects, before they are recorded. One for which there is none is told of; one
    /// that the user has exactly so stays his, and counts as there.
    async fn with_places(&mut self, group: Vec<Step>) -> Result<Vec<(Step, DevicePath)>, RunError> {
        let mut named = Vec::with_capacity(group.len());
        for step in group {
            let object = match step {
                Step::Delete(entry) => {
                    let place = entry.path.clone();
                    named.push((Step::Delete(entry), place));
                    continue;
                }
                Step::Write(object) => object,
            };
            if self.is_his(&object).await? {
                continue;
            }
            match self.free_name(&object).await? {
                Some(place) => {
                    self.used.insert(&place);
                    self.taken.insert(&place);
                    named.push((Step::Write(object), place));
                }
                None => {
                    let taken = PlayerError::Exists(object.path.as_str().to_owned());
                    self.fail(&object, ItemError::NameRejected, &taken).await;
                }
            }
        }
        Ok(named)
    }

    /// Whether the user has exactly this object, which is recorded then.
    async fn is_his(&mut self, object: &AlbumObject) -> Result<bool, RunError> {
        if object.replaces.is_some() {
            return Ok(false);
        }
        let (storage, cancel) = (&*self.prepared.storage, &self.observer.transfer);
        let his = FoundList::find(storage, List::of_album(object), &mut self.taken, cancel).await?;
        let is_his = his.is_some();
        if let Some(his) = his {
            his.record(&self.prepared.journal).await?;
        }
        Ok(is_his)
    }

    async fn free_name(&self, object: &AlbumObject) -> Result<Option<DevicePath>, RunError> {
        if object.replaces.is_some() {
            return Ok(Some(object.path.clone()));
        }
        let numbers = (2..=NAME_TRIES).map(|number| numbered(&object.plain, number));
        let others = numbers.filter(|path| !self.used.contains(path));
        for place in std::iter::once(object.path.clone()).chain(others) {
            if self.prepared.storage.object(&place).facts().await?.is_none() {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    fn intent(&self, step: &Step, place: &DevicePath, temporary: &DevicePath) -> Intent {
        match step {
            Step::Delete(entry) => Intent::Delete { entry: entry.id, aside: temporary.clone() },
            Step::Write(object) => Intent::Write {
                origin: Origin::Album(object.id.clone()),
                path: place.clone(),
                temporary: temporary.clone(),
                size: object.text.len() as u64,
                modified_ns: self.modified_ns(),
                replaces: object.replaces.as_ref().map(|entry| entry.id),
            },
        }
    }

    fn modified_ns(&self) -> i64 {
        i64::try_from(self.now.saturating_mul(1_000_000_000)).unwrap_or(i64::MAX)
    }

    /// What came of one step; an error is one that ends the run, and leaves the step in flight.
    async fn one(&mut self, begun: Begun, made: &mut Vec<DevicePath>) -> Result<Outcome, RunError> {
        let Begun { step, place, temporary, intent } = begun;
        let object = match step {
            Step::Delete(entry) => return self.delete(&entry, temporary, intent).await,
            Step::Write(object) => object,
        };
        let before = self.observer.transfer.bytes();
        let written = self.write(&object, &place, temporary).await;
        self.observer.transfer.set(before);
        match written {
            Ok(Written { facts, hash, persistent_id, made_folders }) => {
                made.extend(made_folders);
                self.results.changed = true;
                Ok(Outcome::Written { intent, persistent_id, facts, hash, audio_hash: None })
            }
            Err(error) if error.ends_run() => Err(error.into()),
            Err(error) => {
                self.fail(&object, error.item_error(), &error).await;
                self.failed(&object, &place, intent, &error).await
            }
        }
    }

    async fn write(
        &self,
        object: &AlbumObject,
        place: &DevicePath,
        temporary: DevicePath,
    ) -> Result<Written, PlayerError> {
        let expect = match &object.replaces {
            None => Expect::Nothing,
            Some(entry) => {
                Expect::This(ours::facts_now(&*self.prepared.storage, entry, &self.observer.transfer).await?)
            }
        };
        let text: Arc<[u8]> = object.text.as_bytes().into();
        let request = WriteRequest {
            path: place.clone(),
            temporary,
            expect,
            size: text.len() as u64,
            modified_ns: self.modified_ns(),
            source: Source::Bytes(text),
            tags: object.tags.clone(),
            cover: self.cover(&object.pictured).await?,
        };
        self.prepared.storage.write(request, &self.observer.transfer).await
    }

    /// The first picture that one of these tracks has. Where the library can't tell, the album goes without until it is written
    /// again.
    async fn cover(&self, tracks: &[TrackId]) -> Result<Option<Cover>, PlayerError> {
        let style = self.prepared.player.capabilities().albums.as_ref();
        let Some(limits) = style.and_then(|style| style.cover) else { return Ok(None) };
        for track in tracks {
            let asked = unless_cancelled(&self.observer.transfer, self.owner.cover(*track, limits)).await;
            match asked.map_err(|_| PlayerError::Cancelled)? {
                Ok(Some(cover)) => return Ok(Some(cover)),
                // what a picture does to its reader costs the album no more than the picture
                Ok(None)
                | Err(LibraryError::NotFound(_) | LibraryError::Unreadable(_) | LibraryError::Failed(_)) => {}
                Err(error) => return Err(PlayerError::Source(error.to_string())),
            }
        }
        Ok(None)
    }

    /// What a write comes to that failed. An object that has been written to is still ours, whatever the device tells of it now,
    /// and is written again by the next run.
    async fn failed(
        &self,
        object: &AlbumObject,
        place: &DevicePath,
        intent: i64,
        error: &PlayerError,
    ) -> Result<Outcome, RunError> {
        let storage = &*self.prepared.storage;
        let Some(entry) = &object.replaces else {
            return Ok(ours::failed_write(storage, place, false, intent).await?);
        };
        if let PlayerError::Changed(_) = error {
            ours::disown(&self.prepared.journal, entry).await?;
            return Ok(Outcome::Abandoned { intent });
        }
        let now = storage.object(place).facts().await?;
        let Some(facts) = now.filter(|now| *now != entry.facts) else {
            return Ok(ours::failed_write(storage, place, true, intent).await?);
        };
        let persistent_id = entry.persistent_id.to_string();
        Ok(Outcome::Written { intent, persistent_id, facts, hash: 0, audio_hash: None })
    }

    async fn delete(&mut self, entry: &Entry, aside: DevicePath, intent: i64) -> Result<Outcome, RunError> {
        let storage = &*self.prepared.storage;
        match ours::delete(storage, entry, aside, &self.observer.transfer).await {
            Ok(()) | Err(PlayerError::NotFound(_)) => {
                self.results.changed = true;
                Ok(Outcome::Deleted { intent })
            }
            Err(error) if error.ends_run() => Err(error.into()),
            Err(error) => {
                if let PlayerError::Changed(_) = &error {
                    ours::disown(&self.prepared.journal, entry).await?;
                }
                let message = format!("`{}` could not be deleted: {error}", entry.path);
                self.results.fail(self.observer, "", error.item_error(), message).await;
                Ok(Outcome::Abandoned { intent })
            }
        }
    }

    async fn fail(&mut self, object: &AlbumObject, word: ItemError, error: &PlayerError) {
        let message = format!("the album `{}` could not be written: {error}", object.id.title());
        self.results.fail(self.observer, "", word, message).await;
    }
}
