//! Carries out deletions and writes, in groups: a group's intents are recorded together before it begins, its names
//! are made to last together, and its outcomes are recorded with the next group's intents. A cut leaves at most one
//! file half-written, and the record tells which group it was in.

use super::cancel::unless_cancelled;
use super::error::RunError;
use super::folders::MadeFolders;
use super::ours;
use super::prepare::Prepared;
use super::{Observer, Results};
use crate::plan::TrackWrite;
use crate::plan::names::numbered;
use std::collections::HashMap;
use tandem_model::error::{ItemError, LibraryError, PlayerError};
use tandem_model::id::TrackId;
use tandem_model::library::{Library, OpenedTrack};
use tandem_model::manifest::{EntryState, Intent, Origin, Outcome};
use tandem_model::path::DevicePath;
use tandem_model::player::{Expect, Source, Transfer, WriteRequest, Written};

/// Items recorded together, at most.
const GROUP_ITEMS: usize = 16;
/// Bytes recorded together, at most, unless one item alone is larger.
const GROUP_BYTES: u64 = 64 << 20;
/// Names that are tried when others have the wanted one.
pub(crate) const NAME_TRIES: u32 = 100;

/// One thing to do on the device.
#[derive(Clone)]
enum Step {
    /// Delete the file of the entry at this position.
    Delete(usize),
    /// Write a track; the position is that of its entry if it replaces one.
    Write { track: u32, path: DevicePath, replaces: Option<usize> },
}

impl Step {
    /// Where a file is written.
    fn written(&self) -> Option<&DevicePath> {
        match self {
            Self::Write { path, .. } => Some(path),
            Self::Delete(_) => None,
        }
    }
}

/// Carries out the plan's deletions and writes, and leaves in `prepared.entries` what is true after them.
pub(crate) async fn carry_out(
    prepared: &mut Prepared,
    owner: &dyn Library,
    observer: &Observer,
    results: &mut Results,
) -> Result<(), RunError> {
    let steps = steps(prepared);
    if steps.is_empty() {
        return Ok(());
    }
    let mut group = Group {
        prepared,
        owner,
        observer,
        results,
        outcomes: Vec::new(),
        full_above: u64::MAX,
        opened: None,
    };
    let mut next = 0;
    let mut end = Ok(());
    while next < steps.len() && end.is_ok() {
        let count = group.count(&steps[next..]);
        end = group.carry_out(&steps[next..next + count], steps.get(next + count)).await;
        next += count;
    }
    let outcomes = std::mem::take(&mut group.outcomes);
    let recorded = group.prepared.journal.commit(outcomes, Vec::new()).await;
    group.observer.progress.send_modify(|progress| progress.current = None);
    let entries = group.prepared.journal.with(|manifest| manifest.entries()).await;
    end?;
    recorded?;
    prepared.entries = entries?;
    Ok(())
}

/// The plan as steps in their order.
fn steps(prepared: &Prepared) -> Vec<Step> {
    let mut steps: Vec<Step> =
        prepared.plan.deletions.iter().map(|deletion| Step::Delete(deletion.entry)).collect();
    for TrackWrite { track, path, replaces, delete_first } in &prepared.plan.writes {
        let mut replaces = *replaces;
        if *delete_first {
            steps.extend(replaces.take().map(Step::Delete));
        }
        steps.push(Step::Write { track: *track, path: path.clone(), replaces });
    }
    steps
}

/// The steps that are recorded together, and what they share.
struct Group<'a> {
    prepared: &'a mut Prepared,
    owner: &'a dyn Library,
    observer: &'a Observer,
    results: &'a mut Results,
    /// Done on the device, not yet recorded.
    outcomes: Vec<Outcome>,
    /// The device had no space for a file of this size.
    full_above: u64,
    /// The next source, opened while the one before it was written.
    opened: Option<(TrackId, Result<OpenedTrack, LibraryError>)>,
}

impl Group<'_> {
    /// How many of these steps belong to the next group.
    fn count(&self, steps: &[Step]) -> usize {
        let mut bytes = 0u64;
        let fits = |step: &&Step| {
            if let Step::Write { track, .. } = step {
                bytes = bytes.saturating_add(self.prepared.library.tracks[*track as usize].size);
            }
            bytes <= GROUP_BYTES
        };
        steps.iter().take(GROUP_ITEMS).take_while(fits).count().max(1)
    }

    async fn carry_out(&mut self, steps: &[Step], after: Option<&Step>) -> Result<(), RunError> {
        if self.observer.transfer.is_cancelled() {
            return Err(RunError::cancelled());
        }
        let steps = self.with_free_names(steps).await?;
        let written = steps.iter().filter_map(Step::written).cloned().collect();
        let folders = MadeFolders::intend(self.prepared, written).await?;
        let names: Vec<DevicePath> = steps.iter().map(|_| self.prepared.names.next()).collect();
        let intents = steps.iter().zip(&names).map(|(step, name)| self.intent(step, name)).collect();
        let outcomes = std::mem::take(&mut self.outcomes);
        let numbers = self.prepared.journal.commit(outcomes, intents).await?;
        let mut touched = Vec::new();
        let mut made_folders = Vec::new();
        let mut end = Ok(());
        for (slot, ((step, temporary), intent)) in steps.iter().zip(names).zip(numbers).enumerate() {
            if end.is_ok() {
                let following = steps.get(slot + 1).or(after);
                end = match step {
                    Step::Delete(entry) => self.delete(*entry, temporary, intent, &mut touched).await,
                    Step::Write { track, path, replaces } => {
                        let (path, replaces) = (path.clone(), *replaces);
                        let item = Item { track: *track, path, replaces, intent, temporary };
                        self.write(item, following, &mut touched, &mut made_folders).await
                    }
                };
            } else {
                self.outcomes.push(Outcome::Abandoned { intent });
            }
        }
        if let Err(error) = self.prepared.storage.settle(touched).await {
            // Nothing of this group is known to last; the next run looks at each.
            self.outcomes.clear();
            return Err(error.into());
        }
        match end {
            // what was made for the last item can't be told
            Err(error) if error.error == ItemError::DeviceRemoved => Err(error),
            end => {
                let forgotten = folders.forget_others(self.prepared, &made_folders).await;
                end.and(forgotten)
            }
        }
    }

    /// These steps, with another name for each new file whose name somebody else's has. No intent may name a file that
    /// isn't ours: after a cut, what is found under a recorded name counts as sent.
    async fn with_free_names(&mut self, steps: &[Step]) -> Result<Vec<Step>, RunError> {
        let fresh = |step: &Step| match step {
            Step::Write { path, replaces: None, .. } => Some(path.clone()),
            Step::Write { .. } | Step::Delete(_) => None,
        };
        let paths = steps.iter().filter_map(fresh).collect();
        let mut facts = self.prepared.storage.facts(paths).await?.into_iter();
        let mut named = Vec::with_capacity(steps.len());
        for step in steps {
            let taken = fresh(step).filter(|path| facts.next().flatten().is_some() && !self.is_ours(path));
            match (step, taken) {
                (Step::Write { track, .. }, Some(taken)) => match self.free_name(&taken, &mut 2).await? {
                    Some(path) => named.push(Step::Write { track: *track, path, replaces: None }),
                    None => {
                        let track = &self.prepared.library.tracks[*track as usize];
                        self.observer.transfer.add(track.size);
                        let (media, message) = (track.uri.0.to_string(), all_taken(&taken));
                        self.results.fail(self.observer, &media, ItemError::NameRejected, message).await;
                    }
                },
                (step, _) => named.push(step.clone()),
            }
        }
        Ok(named)
    }

    /// Whether what is at this path is ours, there to be deleted before the new file is written.
    fn is_ours(&self, path: &DevicePath) -> bool {
        self.prepared.entries.iter().any(|entry| entry.state == EntryState::Present && entry.path == *path)
    }

    fn intent(&self, step: &Step, name: &DevicePath) -> Intent {
        match step {
            Step::Delete(entry) => {
                Intent::Delete { entry: self.prepared.entries[*entry].id, aside: name.clone() }
            }
            Step::Write { track, path, replaces } => self.write_intent(*track, path, *replaces, name),
        }
    }

    fn write_intent(
        &self,
        track: u32,
        path: &DevicePath,
        replaces: Option<usize>,
        temporary: &DevicePath,
    ) -> Intent {
        let track = &self.prepared.library.tracks[track as usize];
        Intent::Write {
            origin: Origin::Track(track.uri.clone()),
            path: path.clone(),
            temporary: temporary.clone(),
            size: track.size,
            modified_ns: track.modified_ns,
            replaces: replaces.map(|entry| self.prepared.entries[entry].id),
        }
    }

    async fn delete(
        &mut self,
        entry: usize,
        aside: DevicePath,
        intent: i64,
        touched: &mut Vec<DevicePath>,
    ) -> Result<(), RunError> {
        let entry = &self.prepared.entries[entry];
        let deleted = ours::delete(&*self.prepared.storage, entry, aside, &self.observer.transfer).await;
        if let Err(PlayerError::Changed(_)) = &deleted {
            ours::disown(&self.prepared.journal, entry).await?;
        }
        match deleted {
            Ok(()) | Err(PlayerError::NotFound(_)) => {
                touched.push(entry.path.clone());
                self.outcomes.push(Outcome::Deleted { intent });
                self.results.changed_files += 1;
                Ok(())
            }
            Err(error) if error.ends_run() => Err(error.into()),
            Err(error) => {
                self.outcomes.push(Outcome::Abandoned { intent });
                let media = match &entry.origin {
                    Origin::Track(uri) => uri.0.to_string(),
                    Origin::Playlist(_) => String::new(),
                };
                self.results
                    .fail(self.observer, &media, error.item_error(), format!("not deleted: {error}"))
                    .await;
                Ok(())
            }
        }
    }

    async fn write(
        &mut self,
        mut item: Item,
        following: Option<&Step>,
        touched: &mut Vec<DevicePath>,
        made_folders: &mut Vec<DevicePath>,
    ) -> Result<(), RunError> {
        let track = &self.prepared.library.tracks[item.track as usize];
        let (uri, size) = (track.uri.clone(), track.size);
        self.observer.progress.send_modify(|progress| progress.current = Some(uri.clone()));
        let before = self.observer.transfer.bytes();
        let written = self.try_names(&mut item, before, following).await;
        self.observer.transfer.set(before + size);
        match written {
            Ok(written) => {
                touched.push(item.path);
                made_folders.extend(written.made_folders);
                let Written { facts, hash, persistent_id, .. } =
                    Written { made_folders: Vec::new(), ..written };
                self.outcomes.push(Outcome::Written { intent: item.intent, persistent_id, facts, hash });
                self.results.changed_files += 1;
                Ok(())
            }
            Err(Failure::Run(error)) => {
                if error.error == ItemError::Cancelled {
                    self.observer.transfer.set(before);
                    self.outcomes.push(Outcome::Abandoned { intent: item.intent });
                }
                Err(error)
            }
            Err(Failure::Item(error, message)) => {
                self.outcomes.push(Outcome::Abandoned { intent: item.intent });
                if error == ItemError::DeviceFull {
                    self.full_above = self.full_above.min(size);
                }
                self.results.fail(self.observer, &uri.0, error, message).await;
                Ok(())
            }
        }
    }

    /// Writes one file, under another name while somebody else's has the wanted one.
    async fn try_names(
        &mut self,
        item: &mut Item,
        before: u64,
        following: Option<&Step>,
    ) -> Result<Written, Failure> {
        let size = self.prepared.library.tracks[item.track as usize].size;
        if size >= self.full_above {
            return Err(Failure::Item(ItemError::DeviceFull, "the device is full".to_owned()));
        }
        let wanted = item.path.clone();
        let mut number = 2;
        loop {
            match self.attempt(item, following).await? {
                Attempt::Written(written) => return Ok(written),
                Attempt::Taken => {
                    self.observer.transfer.set(before);
                    let free = self.free_name(&wanted, &mut number).await.map_err(Failure::Run)?;
                    let taken = || Failure::Item(ItemError::NameRejected, all_taken(&wanted));
                    item.path = free.ok_or_else(taken)?;
                    let intent = self.write_intent(item.track, &item.path, item.replaces, &item.temporary);
                    let abandoned = vec![Outcome::Abandoned { intent: item.intent }];
                    let numbers =
                        self.prepared.journal.commit(abandoned, vec![intent]).await.map_err(Failure::Run)?;
                    item.intent = numbers.first().copied().unwrap_or(item.intent);
                }
            }
        }
    }

    /// The next numbered name that neither this run nor anybody else uses; none when too many are taken.
    async fn free_name(&self, wanted: &DevicePath, number: &mut u32) -> Result<Option<DevicePath>, RunError> {
        while *number <= NAME_TRIES {
            let path = numbered(wanted, *number);
            *number += 1;
            let planned = self.prepared.plan.writes.iter().any(|write| write.path == path);
            let recorded = self.prepared.entries.iter().any(|entry| entry.path == path);
            if !planned && !recorded && self.prepared.storage.object(&path).facts().await?.is_none() {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// What has to be at the item's final name.
    async fn expectation(&self, item: &Item) -> Result<Expect, Failure> {
        let Some(entry) = item.replaces.map(|entry| &self.prepared.entries[entry]) else {
            return Ok(Expect::Nothing);
        };
        match ours::facts_now(&*self.prepared.storage, entry, &self.observer.transfer).await {
            Ok(now) => Ok(Expect::This(now)),
            Err(error) if error.ends_run() => Err(Failure::Run(error.into())),
            Err(error) => {
                if let PlayerError::Changed(_) = &error {
                    ours::disown(&self.prepared.journal, entry).await.map_err(Failure::Run)?;
                }
                Err(Failure::Item(error.item_error(), error.to_string()))
            }
        }
    }

    async fn attempt(&mut self, item: &Item, following: Option<&Step>) -> Result<Attempt, Failure> {
        let expect = self.expectation(item).await?;
        let track = &self.prepared.library.tracks[item.track as usize];
        let opened = match self.opened.take() {
            Some((id, opened)) if id == track.id => opened,
            _ => unless_cancelled(&self.observer.transfer, self.owner.open(track.id))
                .await
                .map_err(Failure::Run)?,
        };
        let opened = opened.map_err(|error| match error {
            LibraryError::NotFound(text) => Failure::Item(ItemError::SourceMissing, text),
            LibraryError::Unavailable(_) => Failure::Run(error.into()),
            other => Failure::Item(ItemError::SourceUnreadable, other.to_string()),
        })?;
        if opened.size != track.size || opened.modified_ns != track.modified_ns {
            let message = "the file changed after its copying was planned; it is copied with the next plan";
            return Err(Failure::Item(ItemError::SourceUnreadable, message.to_owned()));
        }
        let request = WriteRequest {
            path: item.path.clone(),
            temporary: item.temporary.clone(),
            expect,
            size: track.size,
            modified_ns: track.modified_ns,
            source: Source::File(opened.file),
        };
        let write = self.prepared.storage.write(request, &self.observer.transfer);
        let (written, next) = tokio::join!(
            write,
            open_next(self.owner, &self.prepared.library.tracks, following, &self.observer.transfer)
        );
        self.opened = next;
        match written {
            Ok(written) => Ok(Attempt::Written(written)),
            Err(PlayerError::Exists(_)) if item.replaces.is_none() => Ok(Attempt::Taken),
            Err(error) if error.ends_run() => Err(Failure::Run(error.into())),
            Err(error) => Err(Failure::Item(error.item_error(), error.to_string())),
        }
    }
}

fn all_taken(wanted: &DevicePath) -> String {
    format!("`{wanted}` and {NAME_TRIES} names like it are taken by other files")
}

/// Opens the source of the step that follows, so that the device needn't wait for it.
async fn open_next(
    owner: &dyn Library,
    tracks: &[tandem_model::media::Track],
    following: Option<&Step>,
    transfer: &Transfer,
) -> Option<(TrackId, Result<OpenedTrack, LibraryError>)> {
    let Some(Step::Write { track, .. }) = following else { return None };
    let id = tracks[*track as usize].id;
    unless_cancelled(transfer, owner.open(id)).await.ok().map(|opened| (id, opened))
}

/// One track on its way.
struct Item {
    track: u32,
    path: DevicePath,
    replaces: Option<usize>,
    intent: i64,
    temporary: DevicePath,
}

enum Attempt {
    Written(Written),
    /// Somebody else's file has the name.
    Taken,
}

enum Failure {
    /// This item fails; others may not.
    Item(ItemError, String),
    /// The run is over.
    Run(RunError),
}

/// Where the library's tracks are on the device, by their position.
pub(crate) fn on_device(prepared: &Prepared) -> HashMap<u32, DevicePath> {
    let by_uri: HashMap<&str, &DevicePath> = prepared
        .entries
        .iter()
        .filter(|entry| entry.state == EntryState::Present)
        .filter_map(|entry| match &entry.origin {
            Origin::Track(uri) => Some((&*uri.0, &entry.path)),
            Origin::Playlist(_) => None,
        })
        .collect();
    let tracks = prepared.library.tracks.iter().zip(0..);
    let found = tracks
        .filter_map(|(track, position)| by_uri.get(&*track.uri.0).map(|&path| (position, path.clone())));
    found.collect()
}
