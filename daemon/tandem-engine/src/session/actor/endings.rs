//! What follows the end of each job: the record is brought up to date, then the snapshot, then events go out.

use super::running::Course;
use super::waiting::Waiting;
use super::{Done, Held, KEPT_FOR_FIRST_RUN, Session};
use crate::session::jobs::{Created, Deleted};
use crate::session::look::Found;
use crate::session::machine::{Event, Phase};
use crate::session::run_job::release;
use crate::session::view;
use std::sync::Arc;
use tandem_model::device::{Status, SyncState};
use tandem_model::error::{ItemError, RequestError};
use tandem_model::event::EngineEvent;
use tandem_model::library::Library;
use tandem_model::manifest::ItemResult;
use tokio::task::JoinError;
use tokio::time::Instant;
use tracing::{error, info, warn};

impl Session {
    pub(super) async fn ended(&mut self, done: Result<Done, JoinError>) {
        let done = match done {
            Ok(done) => done,
            Err(failure) => return self.crashed(&failure).await,
        };
        match done {
            Done::Initialized(found) => self.initialized(found).await,
            Done::Run(report) => self.run_ended(*report).await,
            Done::Estimated(result) => self.estimated(result).await,
            Done::Created(result) => self.created(result).await,
            Done::Deleted(deleted) => self.deleted(deleted).await,
            Done::Previewed => self.happen(Event::JobEnded).await,
            Done::Renamed(result) => {
                if let Err(error) = result {
                    warn!("the device did not take its new name, which is kept here: {error}");
                }
                self.happen(Event::JobEnded).await;
            }
            Done::Closed(event) => {
                let is_safe = self.safe_to_remove(true);
                self.publisher.update(|snapshot| snapshot.safe_to_remove = is_safe).await;
                self.happen(event).await;
            }
            Done::Ejected(result) => {
                if let Err(error) = &result {
                    warn!("the device could not be ejected: {error}");
                    self.announce_not_ejected(error).await;
                }
                self.ejected = result.is_ok();
                let is_safe = self.ejecting.take().unwrap_or(true) || result.is_ok();
                self.publisher.update(|snapshot| snapshot.safe_to_remove = is_safe).await;
                self.happen(Event::JobEnded).await;
            }
            Done::Fingerprint(fingerprint) => {
                if fingerprint != self.fingerprint && self.state.phase == Phase::Stopped {
                    self.happen(Event::RunWanted).await;
                }
            }
        }
    }

    /// The end of a job while the daemon ends: the record is all that matters.
    pub(super) async fn ended_last(&mut self, done: Result<Done, JoinError>) {
        match done {
            Ok(Done::Run(mut report)) => {
                self.record_run(&mut report).await;
            }
            Ok(
                Done::Initialized(Ok(Found { opened: Some(player), .. }))
                | Done::Created(Ok(Created { opened: player, .. })),
            ) => release(&*player).await,
            _ => {}
        }
    }

    /// A job panicked: that is a defect of ours, and costs this device's job alone.
    async fn crashed(&mut self, failure: &JoinError) {
        error!("a job on this device failed: {failure}");
        if self.job != Some(failure.id()) {
            return;
        }
        let event = match self.state.phase {
            Phase::Initializing => Event::Initialized,
            Phase::Synchronizing | Phase::Stopping => Event::RunEnded,
            Phase::Estimating => Event::EstimateEnded,
            Phase::Absent | Phase::Stopped => Event::JobEnded,
        };
        self.watched = None;
        self.course = Course::default();
        self.run_again = false;
        let flushed = !matches!(self.state.phase, Phase::Synchronizing | Phase::Stopping);
        if self.state.phase == Phase::Estimating {
            let device = self.device.clone();
            self.publisher.announce(EngineEvent::EstimationComplete { device, result: None }).await;
        }
        self.whole_run_failed(ItemError::DeviceWriteFailed, format!("the job failed: {failure}")).await;
        self.happen(event).await;
        self.delete_after_creation().await;
        let connected = self.state.phase != Phase::Absent;
        let is_safe = self.safe_to_remove(flushed || !connected);
        self.publisher
            .update(|snapshot| {
                snapshot.connected = connected;
                snapshot.sync_state = if connected { SyncState::Stopped } else { SyncState::Unknown };
                snapshot.safe_to_remove = is_safe;
            })
            .await;
    }

    pub(super) async fn whole_run_failed(&self, error: ItemError, message: String) {
        self.announce_failure(ItemResult { media: String::new(), error: Some(error), message }).await;
    }

    async fn initialized(&mut self, mut found: Result<Found, RequestError>) {
        self.opened = found.as_mut().ok().and_then(|found| found.opened.take());
        if self.state.phase != Phase::Initializing || self.state.open_wanted {
            return match self.opened {
                Some(_) => self.close_opened(Event::Initialized),
                None => self.happen(Event::Initialized).await,
            };
        }
        let known = self.context.ledger.device(&self.device);
        let partnership = self.partnership();
        let verify = self.context.parts.options.verify;
        let failure = found.as_ref().err().cloned();
        self.looked = failure.is_none();
        let status = match &found {
            Ok(found) => found.status,
            Err(RequestError::ManualDevice(..)) => Status::ManualDevice,
            Err(_) => view::status(known.as_ref(), partnership.as_ref(), None),
        };
        let announce =
            (!self.publisher.snapshot().connected).then(|| EngineEvent::Connected(self.device.clone()));
        let library = found.as_ref().ok().and_then(|found| found.library.clone());
        let is_safe = self.safe_to_remove(self.opened.is_none());
        self.publisher
            .update_with(announce, |snapshot| {
                snapshot.connected = true;
                snapshot.status = status;
                snapshot.manual = None;
                snapshot.sync_state = SyncState::Stopped;
                if let Err(RequestError::ManualDevice(_, missing)) = &found {
                    snapshot.manual = Some(missing.clone());
                    snapshot.sync_state = SyncState::Unknown;
                }
                snapshot.safe_to_remove = is_safe;
                if let Ok(found) = found {
                    snapshot.description = found.description;
                    snapshot.total_space = found.space.total;
                    snapshot.free_space = found.space.free;
                    snapshot.battery_level = found.battery_level;
                    snapshot.formats = found.capabilities.formats;
                    snapshot.supports_audio = found.capabilities.audio;
                    snapshot.supports_video = found.capabilities.video;
                    snapshot.supports_photo = found.capabilities.photo;
                    snapshot.has_skipped_files = found.has_skipped_files;
                }
                let skipped = snapshot.has_skipped_files;
                view::show_record(
                    snapshot,
                    known.as_ref(),
                    view::shown(status, partnership.as_ref()),
                    verify,
                );
                snapshot.has_skipped_files = skipped;
            })
            .await;
        self.hold(library);
        self.happen(Event::Initialized).await;
        match failure {
            Some(RequestError::ManualDevice(_, missing)) => {
                self.retry_at = None;
                info!("the device supports manual transfer only: {missing}");
            }
            Some(failure) => {
                warn!("the device could not be looked at: {failure}");
                self.whole_run_failed(ItemError::DeviceBusy, failure.to_string()).await;
            }
            None => {}
        }
        if let Some(partnership) = partnership.filter(|_| status == Status::PartnershipExists) {
            if partnership.removing {
                info!("what was asked for before goes on: the content is removed, and the partnership ends");
                self.wait(Waiting::Delete { partnership: Box::new(partnership), remove: true, reply: None });
            } else if self.runs_by_itself(&partnership) {
                self.happen(Event::RunWanted).await;
            }
        }
    }

    /// Keeps the owner's library agent while the device is there.
    fn hold(&mut self, library: Option<Arc<dyn Library>>) {
        self.held = library.map(|library| {
            let mut state = library.state();
            let generation = state.borrow_and_update().generation;
            Held { state, generation, _library: library }
        });
    }

    async fn estimated(&mut self, result: Result<(u64, u64), RequestError>) {
        if let Err(error) = &result {
            warn!("the estimate failed: {error}");
        }
        let result = result.ok().filter(|_| !self.estimate_cancelled);
        let still_here = self.state.phase == Phase::Estimating;
        self.publisher
            .update(|snapshot| {
                if still_here {
                    snapshot.sync_state = SyncState::Stopped;
                }
            })
            .await;
        self.publisher
            .announce(EngineEvent::EstimationComplete { device: self.device.clone(), result })
            .await;
        self.happen(Event::EstimateEnded).await;
    }

    /// Tells of an accepted estimate that will never begin.
    pub(super) async fn forget_next_estimate(&mut self) {
        if self.next_estimate.take().is_some() {
            let device = self.device.clone();
            self.publisher.announce(EngineEvent::EstimationComplete { device, result: None }).await;
        }
    }

    /// Begins an estimate that had to wait, if nothing holds the device.
    pub(super) async fn start_next_estimate(&mut self) {
        if self.state.phase == Phase::Stopped
            && !self.state.job
            && let Some(next) = self.next_estimate.take()
        {
            self.estimate = next;
            self.happen(Event::EstimateWanted).await;
        }
    }

    async fn created(&mut self, result: Result<Created, RequestError>) {
        let mut opened = None;
        let mut result = result.map(|created| {
            opened = Some(created.opened);
            created.library
        });
        if result.is_err() && self.state.phase == Phase::Absent {
            result = Err(RequestError::NotConnected(self.publisher.snapshot().friendly_name.clone()));
        }
        if result.is_ok() {
            self.looked = true;
            let known = self.context.ledger.device(&self.device);
            let partnership = self.partnership();
            let verify = self.context.parts.options.verify;
            self.publisher
                .update(|snapshot| {
                    view::show_record(snapshot, known.as_ref(), partnership.as_ref(), verify);
                    snapshot.has_skipped_files = false;
                    if partnership.is_some() {
                        snapshot.status = Status::PartnershipExists;
                    }
                })
                .await;
        }
        let event = EngineEvent::CreatePartnershipComplete {
            device: self.device.clone(),
            result: result.as_ref().map(|_| ()).map_err(Clone::clone),
        };
        self.publisher.announce(event).await;
        if let Ok(library) = result
            && self.state.phase != Phase::Absent
        {
            self.hold(Some(library));
            self.fingerprint = None;
            self.schedule();
            self.kept_until = Some(Instant::now() + KEPT_FOR_FIRST_RUN);
        }
        self.opened = opened;
        self.happen(Event::JobEnded).await;
        self.delete_after_creation().await;
        if self.state.phase == Phase::Absent && self.partnership().is_none() {
            self.be_forgotten().await;
        }
    }

    /// Ends the partnership that was just made, for those who asked for that while it was.
    async fn delete_after_creation(&mut self) {
        for (remove, reply) in std::mem::take(&mut self.after_creation) {
            self.delete_partnership(remove, reply).await;
        }
    }

    /// The content was not removed, and that is told: it isn't tried again by itself.
    pub(super) async fn forget_removal(&self) {
        if let Err(error) = self.note_removal(false).await {
            warn!("a removal that failed could not be forgotten, and is tried again: {error}");
        }
    }

    async fn deleted(&mut self, Deleted { result, space }: Deleted) {
        match &result {
            Ok(None) => {}
            Ok(Some(stays)) => self.whole_run_failed(ItemError::DeviceWriteFailed, stays.clone()).await,
            Err(error) => {
                self.forget_removal().await;
                let message = format!("the partnership could not be ended: {error}");
                self.whole_run_failed(ItemError::DeviceWriteFailed, message).await;
            }
        }
        self.show_record().await;
        if self.partnership().is_none() {
            self.held = None;
            self.fingerprint = None;
        }
        let is_safe = self.safe_to_remove(true);
        self.publisher
            .update(|snapshot| {
                snapshot.safe_to_remove = is_safe;
                if let Some(space) = space {
                    (snapshot.total_space, snapshot.free_space) = (space.total, space.free);
                }
            })
            .await;
        self.announce_deleted(result.map(|_| ())).await;
        self.happen(Event::JobEnded).await;
    }
}
