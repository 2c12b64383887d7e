//! A run as its session sees it: its beginning, its progress, its end, and whether it plans again before that because
//! what it was planned from has changed. The work itself is `crate::run`'s.

use super::{Done, Session};
use crate::run::error::RunError;
use crate::run::interrupted::{self, Begun};
use crate::run::{self, Observer, Progress, RunReport};
use crate::session::machine::{Event, Phase};
use crate::session::meter::{Meter, percent};
use crate::session::run_job::run_job;
use crate::session::settings::Passing;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tandem_model::device::SyncState;
use tandem_model::error::{ItemError, PlayerError};
use tandem_model::manifest::ItemResult;
use tandem_model::partnership::{LastSync, PastRun};
use tandem_model::player::Transfer;
use tandem_model::presence::Locator;
use tandem_model::snapshot::Snapshot;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{Instrument, error, info, info_span, warn};

/// Failures of items that wait to be announced, at most.
const FAILURES: usize = 64;
/// How often a run's progress is looked at.
const TICK: Duration = Duration::from_millis(250);
/// How often a run plans again because of changes that nobody asked a run for. A library that changes all the time gets
/// its next run when it has been quiet for a while.
const MOST_PLANS: u32 = 4;

/// How often a run opens a device anew whose file system turns read-only.
const MOST_OPENED_ANEW: u32 = 4;

/// What the session watches of the job that carries a plan out.
pub(super) struct Watched {
    transfer: Arc<Transfer>,
    progress: watch::Receiver<Progress>,
    pub(super) failures: mpsc::Receiver<ItemResult>,
    began: Instant,
    pub(super) next_look: Instant,
    meter: Meter,
}

/// What a run came to before it planned again.
#[derive(Default)]
pub(super) struct Course {
    /// Plans that were carried out.
    plans: u32,
    /// Bytes of those plans.
    bytes: u64,
    /// The run, from the first of them on.
    begun: Option<Begun>,
    /// Items that did not come out.
    rows: Vec<ItemResult>,
    /// The user's word for this run.
    allow_mass_deletion: bool,
    /// The run takes music.
    takes_music: bool,
    /// What the user wants of this run.
    asked: Passing,
    /// How often the device's file system turned read-only, and the run went on with the device opened anew.
    opened_anew: u32,
}

impl Session {
    /// Begins a run, or the next plan of the one in progress.
    pub(super) async fn start_run(&mut self) {
        let (failures, failed) = mpsc::channel(FAILURES);
        let progress = watch::Sender::new(Progress::default());
        let watching = progress.subscribe();
        // what is set from here on is for what is planned after this
        let background_sync_state = self.passing.background_sync_state;
        let mut passing =
            std::mem::replace(&mut self.passing, Passing { background_sync_state, ..Passing::default() });
        self.settle_at = None;
        self.retry_at = None;
        self.run_again = false;
        passing.allow_mass_deletion |= self.course.allow_mass_deletion;
        self.course.allow_mass_deletion = passing.allow_mass_deletion;
        self.course.takes_music = passing.takes_music();
        self.course.asked = passing.clone();
        let earlier = self.course.rows.clone();
        let parts = &self.context.parts;
        let begun =
            *self.course.begun.get_or_insert_with(|| Begun { id: (parts.new_guid)(), at: parts.clock.now() });
        let opened = self.opened.take();
        self.start_job(|bench, transfer| {
            let observer = Observer { transfer, progress, failures };
            async move { Done::Run(Box::new(run_job(bench, begun, passing, opened, observer, earlier).await)) }
                .instrument(info_span!("run"))
        });
        let now = Instant::now();
        self.watched = Some(Watched {
            transfer: Arc::clone(&self.cancel),
            progress: watching,
            failures: failed,
            began: now,
            next_look: now + TICK,
            meter: Meter::default(),
        });
        let is_first = self.course.plans == 0;
        self.publisher
            .update(|snapshot| {
                snapshot.sync_state = SyncState::Synchronizing;
                snapshot.safe_to_remove = false;
                if is_first {
                    clear_progress(snapshot);
                }
            })
            .await;
    }

    /// Shows how far the run is.
    pub(super) async fn show_progress(&mut self) {
        let Some(watched) = &mut self.watched else { return };
        let now = Instant::now();
        let elapsed = now - watched.began;
        watched.next_look = now + TICK;
        let Progress { total, current, battery_level } = watched.progress.borrow().clone();
        let (done, total) = (self.course.bytes + watched.transfer.bytes(), self.course.bytes + total);
        watched.meter.note(elapsed, done);
        let rate = watched.meter.rate();
        let clock = self.context.parts.clock.now();
        let left = watched.meter.seconds_left(total.saturating_sub(done));
        self.publisher
            .update(|snapshot| {
                snapshot.bytes_total = total;
                snapshot.bytes_done = snapshot.bytes_done.max(done.min(total));
                snapshot.progress = snapshot.progress.max(percent(done, total));
                snapshot.current_item = current;
                show_battery(snapshot, battery_level);
                snapshot.rate = rate;
                snapshot.expected_end = left.map_or(0, |left| clock + left);
            })
            .await;
    }

    /// A plan was carried out, or could not be: the run plans again, or is over.
    pub(super) async fn run_ended(&mut self, report: RunReport) {
        if let Some(mut watched) = self.watched.take() {
            while let Ok(failure) = watched.failures.try_recv() {
                self.announce_failure(failure).await;
            }
            let Progress { total, battery_level, .. } = watched.progress.borrow().clone();
            let (done, total) = (self.course.bytes + watched.transfer.bytes(), self.course.bytes + total);
            self.publisher
                .update(|snapshot| {
                    snapshot.bytes_total = total;
                    snapshot.bytes_done = snapshot.bytes_done.max(done.min(total));
                    show_battery(snapshot, battery_level);
                })
                .await;
            self.course.bytes = total;
        }
        self.fingerprint = report.fingerprint;
        let opens_anew = self.opens_anew(&report);
        if opens_anew || self.plans_again(&report) {
            if opens_anew {
                warn!(
                    "the device's file system turned read-only; the device is opened anew, and the run goes on"
                );
                self.course.opened_anew += 1;
                self.passing.turned_read_only = true;
                let Passing { include_skipped, by_hand, .. } = std::mem::take(&mut self.course.asked);
                self.passing.include_skipped |= include_skipped;
                self.passing.by_hand.extend(by_hand);
            } else {
                info!("what the run was planned from has changed; it plans again");
            }
            self.course.plans += 1;
            if let Some(journal) = report.journal {
                journal.close().await;
            }
            self.course.rows = report.rows;
            if opens_anew {
                // the last is of the run as a whole, which hasn't ended yet
                self.course.rows.pop();
            }
            return self.happen(Event::RunGoesOn).await;
        }
        self.run_again = false;
        self.run_is_over(report).await;
    }

    /// Whether the run goes on with the device opened anew: a file system that turned read-only for the damage that it came
    /// upon is written again when it is mounted anew. Each unfinished file can cost that once.
    fn opens_anew(&self, report: &RunReport) -> bool {
        report.turned_read_only
            && self.course.opened_anew < MOST_OPENED_ANEW
            && self.state.phase == Phase::Synchronizing
            && self.partnership().is_some()
    }

    /// Whether the run goes on: all went well, but somebody has asked for a run meanwhile, or something has changed.
    fn plans_again(&self, report: &RunReport) -> bool {
        let changed =
            self.settle_at.is_some() && self.course.takes_music && self.course.plans + 1 < MOST_PLANS;
        report.failure.is_none()
            && self.state.phase == Phase::Synchronizing
            && self.partnership().is_some()
            && (self.run_again || changed)
    }

    async fn run_is_over(&mut self, mut report: RunReport) {
        let complete = report.failure.is_none();
        let still_here = matches!(self.state.phase, Phase::Synchronizing | Phase::Stopping);
        // who knows how it went says that better
        let is_known =
            report.failure.as_ref().is_some_and(|failure| failure.error == ItemError::DeviceRemoved);
        if !complete && !still_here && !is_known {
            run::ends_because_of(&mut report, PlayerError::Removed.into()).await;
        }
        let last_sync = self.record_run(&mut report).await;
        self.course = Course::default();
        info!(
            "the run has ended: {} files written and deleted, {} errors, no space for {}",
            last_sync.change_count, last_sync.error_count, last_sync.no_fit_count
        );
        if let Some(failure) = report.failure.clone() {
            match failure.error {
                ItemError::Cancelled => info!("the run was stopped"),
                error => warn!("the run did not come to its end: {}: {}", error.as_str(), failure.message),
            }
            self.whole_run_failed(failure.error, failure.message).await;
        }
        let pause = self.retries.after(report.failure.as_ref().map(|failure| failure.error), &report.rows);
        if self.state.phase == Phase::Synchronizing && !self.ejected {
            self.retry_at = pause.map(|pause| Instant::now() + pause);
        }
        let next_filter = self.passing.sync_filter.clone();
        let is_safe = self.safe_to_remove(report.flushed);
        self.publisher
            .update(|snapshot| {
                snapshot.last_sync = last_sync;
                snapshot.verify |= report.verify_failed;
                snapshot.has_skipped_files = report.has_skipped_files;
                snapshot.current_item = None;
                snapshot.rate = 0;
                snapshot.expected_end = 0;
                snapshot.sync_filter = next_filter;
                if let Some(space) = report.space {
                    snapshot.total_space = space.total;
                    snapshot.free_space = space.free;
                }
                if complete {
                    snapshot.progress = 100;
                }
                if still_here {
                    snapshot.sync_state = SyncState::Stopped;
                    snapshot.safe_to_remove = is_safe;
                }
            })
            .await;
        let is_another = report.failure.is_some_and(|failure| self.is_another_now(&failure));
        self.happen(Event::RunEnded).await;
        if is_another {
            self.happen(Event::LookAgain).await;
        }
    }

    /// Whether the device isn't what the last look found: somebody else's now, or without its service provider.
    fn is_another_now(&self, failure: &RunError) -> bool {
        let locator = self.arrival.as_ref().map(|arrival| &arrival.locator);
        let is_provided = matches!(locator, Some(Locator::Provider(_)));
        *failure == RunError::partnership_lost() || is_provided && failure.error == ItemError::DeviceRemoved
    }

    /// Records how a run went. A run that was stopped before it could look at the device keeps the old item count.
    pub(super) async fn record_run(&mut self, report: &mut RunReport) -> LastSync {
        let before = self.publisher.snapshot().last_sync.clone();
        let item_count = if report.space.is_some() { report.last_sync.item_count } else { before.item_count };
        let time = self.context.parts.clock.now();
        let last_sync = LastSync { time, item_count, ..report.last_sync.clone() };
        let (device, recorded) = (self.device.clone(), last_sync.clone());
        let past = self.past_run(report, &last_sync);
        let has_lied = report.verify_failed;
        let kept = self.context.ledger.change(move |record| {
            for partnership in
                record.partnerships.iter_mut().filter(|partnership| partnership.device == device)
            {
                partnership.last_sync.clone_from(&recorded);
                partnership.remember(past.clone());
            }
            let known = record.devices.iter_mut().find(|known| known.description.id == device);
            if let Some(known) = known.filter(|_| has_lied) {
                known.verify_failed = time;
            }
            Ok(())
        });
        let kept = kept.await;
        if let Err(failure) = &kept {
            error!("how the run went could not be recorded: {failure}");
        }
        if let Some(journal) = report.journal.take() {
            if let Some(begun) = self.course.begun.filter(|_| kept.is_ok()) {
                interrupted::close(&journal, begun.id).await;
            }
            journal.close().await;
        }
        last_sync
    }

    /// The run that has ended so, as it is remembered.
    fn past_run(&self, report: &RunReport, last_sync: &LastSync) -> PastRun {
        let failure = report.failure.as_ref();
        PastRun {
            id: self.course.begun.map(|begun| begun.id),
            began: self.course.begun.map_or(last_sync.time, |begun| begun.at),
            ended: last_sync.time,
            failure: failure.map(|failure| failure.error),
            message: failure.map(|failure| failure.message.clone()).unwrap_or_default(),
            item_count: last_sync.item_count,
            change_count: last_sync.change_count,
            written_bytes: report.written_bytes,
            errors: count_errors(&report.rows),
        }
    }
}

/// How many items did not come out, for each reason. What the user deleted or changed himself is none of them.
fn count_errors(rows: &[ItemResult]) -> BTreeMap<ItemError, u32> {
    let mut errors = BTreeMap::new();
    let items = rows.iter().filter(|row| !row.media.is_empty());
    for error in items.filter_map(|row| row.error).filter(|error| *error != ItemError::Cancelled) {
        *errors.entry(error).or_default() += 1;
    }
    errors
}

/// What a run knows of the battery counts while the device is there.
fn show_battery(snapshot: &mut Snapshot, level: Option<u8>) {
    if snapshot.connected && level.is_some() {
        snapshot.battery_level = level;
    }
}

/// Nothing is being done.
fn clear_progress(snapshot: &mut Snapshot) {
    snapshot.progress = 0;
    snapshot.current_item = None;
    snapshot.bytes_done = 0;
    snapshot.bytes_total = 0;
    snapshot.rate = 0;
    snapshot.expected_end = 0;
}
