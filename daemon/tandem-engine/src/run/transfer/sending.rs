//! One step on the device: a file is deleted, or a track is sent under its temporary name. What is left of it is
//! `finishing`'s.

use super::finishing::Batch;
use super::naming::all_taken;
use super::{Course, Step};
use crate::run::cancel::unless_cancelled;
use crate::run::error::RunError;
use crate::run::ours;
use std::pin::pin;
use std::time::Duration;
use tandem_model::BoxFuture;
use tandem_model::error::{ItemError, LibraryError, PlayerError};
use tandem_model::id::TrackId;
use tandem_model::library::{Library, OpenedTrack};
use tandem_model::manifest::{Origin, Outcome};
use tandem_model::media::Track;
use tandem_model::path::DevicePath;
use tandem_model::player::{Expect, ObjectFacts, Sent, Source, Tags, Transfer, WriteRequest};
use tracing::debug;

/// How long what was sent waits for the library to hand out the next source.
const PATIENCE: Duration = Duration::from_millis(200);

/// One track on its way.
pub(super) struct Item {
    pub(super) track: u32,
    pub(super) path: DevicePath,
    pub(super) replaces: Option<usize>,
    pub(super) intent: i64,
    pub(super) temporary: DevicePath,
    /// How often it was sent.
    pub(super) sent: u8,
    /// It wasn't on the device as it was sent, and is sent once more.
    pub(super) is_second: bool,
    /// What the device told of it when it had its name, if it isn't there as it was sent.
    pub(super) named: Option<ObjectFacts>,
}

enum Attempt {
    Sent(Sent),
    /// Somebody else's file has the name.
    Taken,
}

enum Failure {
    /// This item fails; others may not.
    Item(ItemError, String),
    /// The run is over.
    Run(RunError),
}

impl Course<'_> {
    /// Deletes an entry's file.
    pub(super) async fn delete(
        &mut self,
        entry: usize,
        aside: DevicePath,
        intent: i64,
        batch: &mut Batch,
    ) -> Result<(), RunError> {
        let entry = &self.prepared.entries[entry];
        let deleted = ours::delete(&*self.prepared.storage, entry, aside, &self.observer.transfer).await;
        if let Err(PlayerError::Changed(_)) = &deleted {
            ours::disown(&self.prepared.journal, entry).await?;
        }
        match deleted {
            Ok(()) | Err(PlayerError::NotFound(_)) => {
                batch.touched.push(entry.path.clone());
                batch.outcomes.push(Outcome::Deleted { intent });
                self.results.changed = true;
                Ok(())
            }
            Err(error) if error.ends_run() => Err(error.into()),
            Err(error) => {
                // it may have been aside, and is back for good before that is forgotten
                batch.touched.push(entry.path.clone());
                batch.outcomes.push(Outcome::Abandoned { intent });
                let media = match &entry.origin {
                    Origin::Track(uri) => uri.0.to_string(),
                    Origin::Playlist(_) | Origin::Album(_) => String::new(),
                };
                self.results
                    .fail(self.observer, &media, error.item_error(), format!("not deleted: {error}"))
                    .await;
                Ok(())
            }
        }
    }

    /// Tells the device what a track's tags say now. Where it takes none after all, the file is replaced.
    pub(super) async fn update_metadata(
        &mut self,
        track: u32,
        entry: usize,
        intent: i64,
        batch: &mut Batch,
    ) -> Result<(), RunError> {
        let (storage, track_) = (&*self.prepared.storage, &self.prepared.library.tracks[track as usize]);
        let entry_ = &self.prepared.entries[entry];
        let updated = async {
            let now = ours::facts_now(storage, entry_, &self.observer.transfer).await?;
            match storage.update_metadata(entry_.path.clone(), tags_of(track_)).await {
                Err(PlayerError::Unsupported(_)) => {
                    Ok::<_, PlayerError>((storage.object(&entry_.path).facts().await?.unwrap_or(now), true))
                }
                updated => Ok((updated?, false)),
            }
        };
        match updated.await {
            Ok((facts, false)) => {
                batch.outcomes.push(Outcome::MetadataUpdated { intent, facts });
                self.results.changed = true;
                Ok(())
            }
            Ok((facts, true)) => {
                let unknown = Outcome::MetadataUnknown { intent, facts, refused: true };
                self.prepared.journal.commit(vec![unknown], Vec::new()).await?;
                let path = entry_.path.clone();
                self.prepared.entries[entry].facts = facts;
                batch.instead.push(Step::Write { track, path, replaces: Some(entry) });
                Ok(())
            }
            Err(error) if error.ends_run() => Err(error.into()),
            Err(error) => {
                if let PlayerError::Changed(_) = &error {
                    ours::disown(&self.prepared.journal, entry_).await?;
                }
                batch.outcomes.push(Outcome::Abandoned { intent });
                let media = track_.uri.0.to_string();
                let message = format!("the new tags were not told: {error}");
                self.results.fail(self.observer, &media, error.item_error(), message).await;
                Ok(())
            }
        }
    }

    /// Whether files that were sent would wait for the library to hand out what this step needs.
    pub(super) fn would_wait(&self, step: &Step, batch: &Batch) -> bool {
        let Step::Write { track, .. } = step else { return false };
        let id = self.prepared.library.tracks[*track as usize].id;
        !batch.sent.is_empty() && self.opened.as_ref().is_none_or(|(opened, _)| *opened != id)
    }

    /// Sends a track.
    pub(super) async fn send_track(
        &mut self,
        mut item: Item,
        following: Option<&Step>,
        batch: &mut Batch,
    ) -> Result<(), RunError> {
        let track = &self.prepared.library.tracks[item.track as usize];
        let (uri, size) = (track.uri.clone(), track.size);
        let battery_level = self.prepared.player.battery_level();
        self.observer.progress.send_modify(|progress| {
            progress.current = Some(uri.clone());
            progress.battery_level = battery_level;
        });
        let before = self.observer.transfer.bytes();
        let sent = self.try_names(&mut item, before, following).await;
        self.observer.transfer.set(before + size);
        match sent {
            Ok(sent) => {
                item.sent += 1;
                batch.made.extend_from_slice(sent.made_folders());
                batch.sent.push((item, sent));
                Ok(())
            }
            Err(Failure::Run(error)) => {
                if error.error == ItemError::Cancelled {
                    self.observer.transfer.set(before);
                    let outcome = self.failed_write(&item, error.error).await?;
                    batch.put_nothing(item, outcome);
                }
                batch.is_lost = matches!(error.error, ItemError::DeviceRemoved | ItemError::TimedOut);
                Err(error)
            }
            Err(Failure::Item(ItemError::VerifyFailed, _)) => {
                let failure = PlayerError::VerifyFailed(item.path.as_str().to_owned());
                if let Some((item, error)) = self.send_once_more(item, failure).await? {
                    let outcome = self.failed_write(&item, error.item_error()).await?;
                    self.fail(&item, error.item_error(), error.to_string()).await;
                    batch.put_nothing(item, outcome);
                }
                Ok(())
            }
            Err(Failure::Item(error, message)) => {
                let outcome = self.failed_write(&item, error).await?;
                self.fail(&item, error, message).await;
                batch.put_nothing(item, outcome);
                Ok(())
            }
        }
    }

    /// What came of an item that put nothing there, but what the device may have kept of it after this error.
    pub(super) async fn failed_write(&self, item: &Item, error: ItemError) -> Result<Outcome, RunError> {
        let (storage, replaces) = (&*self.prepared.storage, item.replaces.is_some());
        if matches!(error, ItemError::DeviceWriteFailed | ItemError::DeviceFull) {
            let origin = Origin::Track(self.prepared.library.tracks[item.track as usize].uri.clone());
            ours::keep_remains(&self.prepared.journal, storage, origin, &item.temporary).await?;
        }
        Ok(ours::failed_write(storage, &item.path, replaces, item.intent).await?)
    }

    /// Tells that a track does not come.
    pub(super) async fn fail(&mut self, item: &Item, error: ItemError, message: String) {
        let track = &self.prepared.library.tracks[item.track as usize];
        if error == ItemError::DeviceFull {
            self.full_above = self.full_above.min(track.size);
        }
        self.results.fail(self.observer, &track.uri.0, error, message).await;
    }

    /// Sends one file, under another name while somebody else's has the wanted one.
    async fn try_names(
        &mut self,
        item: &mut Item,
        before: u64,
        following: Option<&Step>,
    ) -> Result<Sent, Failure> {
        let size = self.prepared.library.tracks[item.track as usize].size;
        if size >= self.full_above {
            return Err(Failure::Item(ItemError::DeviceFull, "the device is full".to_owned()));
        }
        let wanted = item.path.clone();
        let mut number = 2;
        loop {
            match self.attempt(item, following).await? {
                Attempt::Sent(sent) => return Ok(sent),
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
        if !opened.is_as_listed(track) {
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
            tags: tags_of(track),
            cover: None,
        };
        let mut next =
            pin!(open_next(self.owner, &self.prepared.library.tracks, following, &self.observer.transfer));
        let mut opened = None;
        let mut reading: BoxFuture<'_, ()> = Box::pin(std::future::pending());
        let mut is_reading = false;
        let mut send = self.prepared.storage.send(request, &self.observer.transfer);
        let sent = loop {
            tokio::select! {
                biased;
                sent = &mut send => break sent,
                next = &mut next, if opened.is_none() => {
                    if let Some((_, Ok(source))) = &next {
                        reading = self.prepared.storage.read_ahead(source);
                        is_reading = true;
                    }
                    opened = Some(next);
                }
                () = &mut reading, if is_reading => is_reading = false,
            }
        };
        if opened.is_none() {
            opened = tokio::time::timeout(PATIENCE, next).await.ok();
        } else if is_reading && tokio::time::timeout(PATIENCE, reading).await.is_err() {
            debug!("the library is slow to hand out the next source");
        }
        self.opened = opened.flatten();
        match sent {
            Ok(sent) => Ok(Attempt::Sent(sent)),
            Err(PlayerError::Exists(_)) if item.replaces.is_none() => Ok(Attempt::Taken),
            Err(error) if error.ends_run() => Err(Failure::Run(error.into())),
            Err(error) => Err(Failure::Item(error.item_error(), error.to_string())),
        }
    }
}

fn tags_of(track: &Track) -> Tags {
    Tags {
        title: track.title.clone(),
        artist: (*track.artist).into(),
        album_artist: (*track.album_artist).into(),
        album: (*track.album).into(),
        duration_ms: track.duration_ms,
        genre: (*track.genre).into(),
        track_number: track.track_number,
    }
}

/// Opens the source of the step that follows, so that the device needn't wait for it.
async fn open_next(
    owner: &dyn Library,
    tracks: &[Track],
    following: Option<&Step>,
    transfer: &Transfer,
) -> Option<(TrackId, Result<OpenedTrack, LibraryError>)> {
    let Some(Step::Write { track, .. }) = following else { return None };
    let id = tracks[*track as usize].id;
    unless_cancelled(transfer, owner.open(id)).await.ok().map(|opened| (id, opened))
}
