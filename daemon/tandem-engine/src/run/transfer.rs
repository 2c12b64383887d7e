//! Carries out deletions and writes, in groups: a group's intents are recorded together before it begins, its files are
//! sent one after the other and finished together while the next group is sent, and its outcomes are recorded after that.
//! A cut leaves at most two groups in flight, and the record names all that is in them.

mod finishing;
mod naming;
mod sending;

use super::error::RunError;
use super::folders::MadeFolders;
use super::prepare::Prepared;
use super::{Observer, Results};
use crate::plan::entries::TrackEntries;
use crate::plan::names::TakenNames;
use crate::plan::playlists::Place;
use crate::plan::{MetadataUpdate, TrackWrite};
use finishing::{Batch, finish};
use foldhash::HashMap;
pub(crate) use naming::used_names;
use sending::Item;
use std::collections::VecDeque;
use std::sync::Arc;
use tandem_model::error::{LibraryError, StoreError};
use tandem_model::id::TrackId;
use tandem_model::library::{Library, OpenedTrack};
use tandem_model::manifest::{Correction, Entry, Intent, Manifest, Origin, Outcome};
use tandem_model::media::Track;
use tandem_model::path::DevicePath;

/// Items recorded together, at most. Two groups of files are open at once.
const GROUP_ITEMS: usize = 64;
/// Bytes recorded together, at most, unless one item alone is larger.
const GROUP_BYTES: u64 = 64 << 20;
/// Names that are tried when others have the wanted one.
pub(crate) const NAME_TRIES: u32 = 100;

/// One thing to do on the device.
#[derive(Clone)]
enum Step {
    /// Delete the file of the entry at this position.
    Delete(usize),
    /// Tell the device the tags of a track whose entry is at this position.
    UpdateMetadata { track: u32, entry: usize },
    /// Write a track; the position is that of its entry if it replaces one.
    Write { track: u32, path: DevicePath, replaces: Option<usize> },
}

impl Step {
    /// Where a file is written.
    fn written(&self) -> Option<&DevicePath> {
        match self {
            Self::Write { path, .. } => Some(path),
            Self::Delete(_) | Self::UpdateMetadata { .. } => None,
        }
    }
}

/// Carries out the plan's deletions and writes, and leaves in `prepared.entries` what is true after them.
pub(crate) async fn carry_out(
    prepared: &mut Prepared,
    owner: &dyn Library,
    observer: &Observer,
    results: &mut Results,
    verify: bool,
) -> Result<(), RunError> {
    let steps = steps(prepared);
    if steps.is_empty() {
        return Ok(());
    }
    let mut course = Course {
        prepared,
        owner,
        observer,
        results,
        outcomes: Vec::new(),
        vain: Vec::new(),
        again: Vec::new(),
        full_above: u64::MAX,
        used: None,
        opened: None,
        verify,
    };
    let end = course.carry_out(steps.into()).await;
    let (outcomes, vain) = (std::mem::take(&mut course.outcomes), course.forget_vain());
    let recorded = course.prepared.journal.record(vain, outcomes, Vec::new()).await;
    course.observer.progress.send_modify(|progress| progress.current = None);
    end?;
    recorded?;
    // what was planned from goes before what is true now comes: of very many tracks both at once would be much
    (prepared.plan.writes, prepared.entries) = (Vec::new(), Vec::new());
    let library = std::mem::take(&mut prepared.library);
    let read = prepared.journal.with(move |manifest| {
        let entries = entries_beside(manifest, &library.tracks);
        Ok((library, entries))
    });
    let entries;
    (prepared.library, entries) = read.await?;
    prepared.entries = entries?;
    Ok(())
}

/// All entries; where a track is of the library, its URI is the library's own text.
fn entries_beside(manifest: &dyn Manifest, tracks: &[Track]) -> Result<Vec<Entry>, StoreError> {
    let mut entries = Vec::with_capacity(tracks.len());
    // most are recorded in the order in which the library tells of them
    let mut next = 0;
    let mut by_uri = None;
    manifest.each_entry(&mut |mut entry| {
        if let Origin::Track(uri) = &mut entry.origin {
            if tracks.get(next).is_none_or(|track| track.uri != *uri) {
                let by_uri = by_uri.get_or_insert_with(|| {
                    let all = tracks.iter().enumerate().map(|(position, track)| (&*track.uri.0, position));
                    all.collect::<HashMap<&str, usize>>()
                });
                next = by_uri.get(&*uri.0).copied().unwrap_or(tracks.len());
            }
            if let Some(track) = tracks.get(next) {
                *uri = track.uri.clone();
            }
            next += 1;
        }
        entries.push(entry);
    })?;
    Ok(entries)
}

/// The plan as steps in their order.
fn steps(prepared: &Prepared) -> Vec<Step> {
    let deletions = prepared.plan.deletions.iter().map(|deletion| Step::Delete(deletion.entry));
    let mut steps = Vec::new();
    if !prepared.plan.deletes_last {
        steps.extend(deletions.clone());
    }
    for TrackWrite { track, path, replaces, delete_first } in &prepared.plan.writes {
        let mut replaces = *replaces;
        if *delete_first {
            steps.extend(replaces.take().map(Step::Delete));
        }
        steps.push(Step::Write { track: *track, path: path.clone(), replaces });
    }
    let update = |update: &MetadataUpdate| Step::UpdateMetadata { track: update.track, entry: update.entry };
    steps.extend(prepared.plan.updates.iter().map(update));
    if prepared.plan.deletes_last {
        steps.extend(deletions);
    }
    steps
}

/// What the groups of a run share.
struct Course<'a> {
    prepared: &'a mut Prepared,
    owner: &'a dyn Library,
    observer: &'a Observer,
    results: &'a mut Results,
    /// Done on the device for good, not yet recorded.
    outcomes: Vec<Outcome>,
    /// Folders that were recorded for steps that were not begun. Whoever makes them now, they are not ours.
    vain: Vec<DevicePath>,
    /// Files that lost their name to somebody else's while they were sent: they are sent once more.
    again: Vec<Item>,
    /// The device had no space for a file of this size.
    full_above: u64,
    /// Names that others can't have; made when one is needed, which is rare.
    used: Option<TakenNames>,
    /// The next source, opened while the one before it was written.
    opened: Option<(TrackId, Result<OpenedTrack, LibraryError>)>,
    /// What is sent is read back and compared.
    verify: bool,
}

impl Course<'_> {
    /// Carries out all steps: each group is finished while the one after it is sent. What was sent is finished also when
    /// the run ends before the last step.
    async fn carry_out(&mut self, mut steps: VecDeque<Step>) -> Result<(), RunError> {
        let mut sent = Batch::default();
        let mut end = Ok(());
        while !steps.is_empty() && end.is_ok() {
            let count = self.count(steps.make_contiguous());
            let group: Vec<Step> = steps.drain(..count).collect();
            let after = steps.front();
            let storage = Arc::clone(&self.prepared.storage);
            let mut sending = Batch::default();
            let finishing = finish(storage, sent, self.read_back());
            let (finished, ended) = tokio::join!(finishing, self.send_group(&group, after, &mut sending));
            let (instead, undone) = (sending.instead.drain(..), sending.undone.drain(..));
            for step in instead.chain(undone).rev() {
                steps.push_front(step);
            }
            end = self.take_in(finished, &sending.folders).await.and(ended);
            sent = sending;
        }
        let finished = finish(Arc::clone(&self.prepared.storage), sent, self.read_back()).await;
        let last = self.take_in(finished, &MadeFolders::default()).await;
        end.and(last)?;
        while let Some(item) = self.again.pop() {
            let mut sending = Batch::default();
            let ended = self.send_track(item, None, &mut sending).await;
            let finished = finish(Arc::clone(&self.prepared.storage), sending, self.read_back()).await;
            self.take_in(finished, &MadeFolders::default()).await.and(ended)?;
        }
        Ok(())
    }

    /// How many of these steps belong to the next group.
    fn count(&self, steps: &[Step]) -> usize {
        let most = match self.prepared.storage.most_unfinished() {
            0 => GROUP_BYTES,
            most => most.min(GROUP_BYTES),
        };
        let mut bytes = 0u64;
        let fits = |step: &&Step| {
            if let Step::Write { track, .. } = step {
                bytes = bytes.saturating_add(self.prepared.library.tracks[*track as usize].size);
            }
            bytes <= most
        };
        steps.iter().take(GROUP_ITEMS).take_while(fits).count().max(1)
    }

    /// Records what a group is about to do, deletes, and sends its files. Where the library keeps it waiting, what was sent
    /// does not wait with it: the rest is left undone.
    async fn send_group(
        &mut self,
        steps: &[Step],
        after: Option<&Step>,
        batch: &mut Batch,
    ) -> Result<(), RunError> {
        if self.observer.transfer.is_cancelled() {
            return Err(RunError::cancelled());
        }
        let steps = self.with_free_names(steps).await?;
        let written = steps.iter().filter_map(Step::written).cloned().collect();
        let folders = MadeFolders::for_files(self.prepared, written).await?;
        let names: Vec<DevicePath> = steps.iter().map(|_| self.prepared.names.next()).collect();
        let intents = steps.iter().zip(&names).map(|(step, name)| self.intent(step, name)).collect();
        let outcomes = std::mem::take(&mut self.outcomes);
        let corrections = [self.forget_vain(), folders.intended()].concat();
        let numbers = self.prepared.journal.record(corrections, outcomes, intents).await?;
        batch.folders = folders;
        let mut end = Ok(());
        let mut begun = 0;
        for (slot, ((step, temporary), intent)) in steps.iter().zip(names).zip(numbers).enumerate() {
            if end.is_ok() && batch.undone.is_empty() && self.would_wait(step, batch) {
                batch.undone.extend_from_slice(&steps[slot..]);
            }
            if end.is_err() || !batch.undone.is_empty() {
                // recorded with the next intents: until then a step that is put back in line would be in flight twice
                self.outcomes.push(Outcome::Abandoned { intent });
                continue;
            }
            begun = slot + 1;
            let following = steps.get(slot + 1).or(after);
            end = match step {
                Step::Delete(entry) => self.delete(*entry, temporary, intent, batch).await,
                Step::UpdateMetadata { track, entry } => {
                    self.update_metadata(*track, *entry, intent, batch).await
                }
                Step::Write { track, path, replaces } => {
                    let (path, replaces) = (path.clone(), *replaces);
                    let item = Item {
                        track: *track,
                        path,
                        replaces,
                        intent,
                        temporary,
                        sent: 0,
                        is_second: false,
                        named: None,
                    };
                    self.send_track(item, following, batch).await
                }
            };
        }
        self.vain.extend(batch.folders.without(steps[..begun].iter().filter_map(Step::written)));
        end
    }

    /// The correction for folders that were recorded in vain.
    fn forget_vain(&mut self) -> Vec<Correction> {
        let vain = std::mem::take(&mut self.vain);
        if vain.is_empty() { Vec::new() } else { vec![Correction::ForgetFolders(vain)] }
    }

    fn intent(&self, step: &Step, name: &DevicePath) -> Intent {
        match step {
            Step::Delete(entry) => {
                Intent::Delete { entry: self.prepared.entries[*entry].id, aside: name.clone() }
            }
            Step::UpdateMetadata { track, entry } => {
                let track = &self.prepared.library.tracks[*track as usize];
                let (size, modified_ns) = (track.size, track.modified_ns);
                Intent::UpdateMetadata { entry: self.prepared.entries[*entry].id, size, modified_ns }
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
}

/// Where the library's tracks are on the device, by their position.
pub(crate) fn on_device(prepared: &Prepared) -> HashMap<u32, Place> {
    let there = TrackEntries::there(&prepared.entries);
    let tracks = &prepared.library.tracks;
    let mut places = HashMap::with_capacity_and_hasher(tracks.len(), Default::default());
    for (track, position) in tracks.iter().zip(0..) {
        if let Some(entry) = there.position(&track.uri.0) {
            places.insert(position, Place::of_entry(&prepared.entries[entry]));
        }
    }
    places
}
