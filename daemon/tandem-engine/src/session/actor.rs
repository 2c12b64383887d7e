//! The task that owns a device's state: it feeds the machine with what happens, carries out its effects, and
//! publishes. Commands are in `commands`, the ends of jobs in `endings`.

mod commands;
mod endings;
mod waiting;

use super::handle::{Command, SessionHandle};
use super::jobs::{self, Bench};
use super::machine::{Effect, Event, Phase, State, step};
use super::meter::{Meter, percent};
use super::publisher::Publisher;
use super::requests::{self, Request};
use super::settings::Passing;
use crate::ledger::Ledger;
use crate::parts::Parts;
use crate::registry::Registry;
use crate::run::cancel::unless_cancelled;
use crate::run::{self, Observer, Progress, RunInput, RunReport};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tandem_model::device::SyncState;
use tandem_model::error::{ItemError, RequestError};
use tandem_model::event::EngineEvent;
use tandem_model::id::{DeviceId, PlaylistId};
use tandem_model::library::{Library, LibraryState};
use tandem_model::manifest::ItemResult;
use tandem_model::partnership::{LastSync, Partnership};
use tandem_model::player::Transfer;
use tandem_model::presence::Arrival;
use tandem_model::snapshot::Snapshot;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info_span};
use waiting::Waiting;

/// Commands that wait, at most; who sends more waits too.
const MAILBOX: usize = 16;
/// Failures of items that wait to be announced, at most.
const FAILURES: usize = 64;
/// How often a run's progress is looked at.
const TICK: Duration = Duration::from_millis(250);
/// How long a job may take to notice that the daemon ends.
const LAST_CALL: Duration = Duration::from_millis(1500);

/// What a session is made from.
pub(crate) struct Context {
    pub(crate) parts: Arc<Parts>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) events: mpsc::Sender<EngineEvent>,
    /// Where a session says that its device need not be known any more.
    pub(crate) forget: mpsc::Sender<DeviceId>,
    pub(crate) stop: CancellationToken,
}

/// How a task of the session ended.
#[expect(clippy::large_enum_variant, reason = "one at a time")]
pub(super) enum Done {
    Initialized(Result<jobs::Found, RequestError>),
    Run(Box<RunReport>),
    Estimated(Result<(u64, u64), RequestError>),
    Created(Result<Arc<dyn Library>, RequestError>),
    Deleted(Result<(), RequestError>),
    Previewed,
    Ejected(Result<(), RequestError>),
    Renamed(Result<(), RequestError>),
    /// What the assigned playlists hold now.
    Fingerprint(Option<u64>),
}

/// The estimate that was asked for last.
#[derive(Clone, Default)]
struct EstimateRequest {
    non_rule: Option<PlaylistId>,
    rules: Option<PlaylistId>,
}

/// The owner's library while the device is there.
struct Held {
    state: watch::Receiver<LibraryState>,
    generation: u64,
    _library: Arc<dyn Library>,
}

/// A run as its session sees it.
struct Watched {
    transfer: Arc<Transfer>,
    progress: watch::Receiver<Progress>,
    failures: mpsc::Receiver<ItemResult>,
    began: Instant,
    next_look: Instant,
    meter: Meter,
}

pub(super) struct Session {
    context: Context,
    device: DeviceId,
    publisher: Publisher,
    mailbox: mpsc::Receiver<Command>,
    state: State,
    arrival: Option<Arrival>,
    tasks: JoinSet<Done>,
    /// The task of the job that holds the device.
    job: Option<tokio::task::Id>,
    /// The user wants to take the device away: nothing begins by itself until it comes again.
    ejected: bool,
    watched: Option<Watched>,
    /// Asks the job that holds the device to end.
    cancel: Arc<Transfer>,
    waiting: VecDeque<Waiting>,
    /// The job that holds the device is a preview.
    previewing: bool,
    held: Option<Held>,
    /// When changes will have been quiet for long enough.
    settle_at: Option<Instant>,
    passing: Passing,
    fingerprint: Option<u64>,
    estimate: EstimateRequest,
    estimate_cancelled: bool,
    next_estimate: Option<EstimateRequest>,
}

/// Starts a session in `tasks`.
pub(crate) fn spawn(tasks: &mut JoinSet<()>, context: Context, snapshot: Snapshot) -> SessionHandle {
    let (sender, mailbox) = mpsc::channel(MAILBOX);
    let device = snapshot.description.id.clone();
    let span = info_span!("device", id = %device);
    let publisher = Publisher::new(snapshot, Arc::clone(&context.registry), context.events.clone());
    let session = Session {
        context,
        device,
        publisher,
        mailbox,
        state: State::default(),
        arrival: None,
        tasks: JoinSet::new(),
        job: None,
        ejected: false,
        watched: None,
        cancel: Arc::new(Transfer::default()),
        waiting: VecDeque::new(),
        previewing: false,
        held: None,
        settle_at: None,
        passing: Passing::default(),
        fingerprint: None,
        estimate: EstimateRequest::default(),
        estimate_cancelled: false,
        next_estimate: None,
    };
    tasks.spawn(session.work().instrument(span));
    SessionHandle::new(sender)
}

impl Session {
    async fn work(mut self) {
        let stop = self.context.stop.clone();
        loop {
            let look = self.watched.as_ref().map(|watched| watched.next_look);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(done) = self.tasks.join_next() => self.ended(done).await,
                failure = next_failure(&mut self.watched) => self.announce_failure(failure).await,
                command = self.mailbox.recv() => match command {
                    Some(command) => self.command(command).await,
                    None => break,
                },
                () = reached(look) => self.show_progress().await,
                () = library_changed(&mut self.held) => self.schedule(),
                () = reached(self.settle_at), if self.state.phase == Phase::Stopped => self.consider_run().await,
            }
            self.start_waiting().await;
            self.start_next_estimate().await;
        }
        self.wind_down().await;
    }

    /// Ends what still goes on, at its next safe point.
    async fn wind_down(&mut self) {
        self.cancel.cancel();
        let last = Instant::now() + LAST_CALL;
        while let Ok(Some(done)) = tokio::time::timeout_at(last, self.tasks.join_next()).await {
            self.ended_last(done).await;
        }
        self.tasks.abort_all();
    }

    /// Feeds the machine and carries out what it says.
    async fn happen(&mut self, event: Event) {
        let (state, effects) = step(self.state, event);
        self.state = state;
        for effect in effects {
            match effect {
                Effect::Initialize => {
                    self.start_job(|bench, _| async { Done::Initialized(jobs::initialize(bench).await) });
                }
                Effect::StartRun => self.start_run().await,
                Effect::StartEstimate => self.start_estimate().await,
                Effect::CancelJob => {
                    self.estimate_cancelled = true;
                    self.cancel.cancel();
                }
            }
        }
    }

    fn bench(&self, arrival: Arrival) -> Bench {
        Bench {
            parts: Arc::clone(&self.context.parts),
            ledger: Arc::clone(&self.context.ledger),
            arrival,
            device: self.device.clone(),
        }
    }

    /// Starts a job on the device. Without a device there is none to start.
    fn start_job<F: Future<Output = Done> + Send + 'static>(
        &mut self,
        job: impl FnOnce(Bench, Arc<Transfer>) -> F,
    ) {
        let Some(arrival) = self.arrival.clone() else { return };
        self.cancel = Arc::new(Transfer::default());
        self.previewing = false;
        let bench = self.bench(arrival);
        let task = self.tasks.spawn(job(bench, Arc::clone(&self.cancel)).in_current_span());
        self.job = Some(task.id());
    }

    async fn start_run(&mut self) {
        let (failures, failed) = mpsc::channel(FAILURES);
        let progress = watch::Sender::new(Progress::default());
        let watching = progress.subscribe();
        // what is set from here on is for the run after this one
        let background_sync_state = self.passing.background_sync_state;
        let passing =
            std::mem::replace(&mut self.passing, Passing { background_sync_state, ..Passing::default() });
        self.settle_at = None;
        self.start_job(|bench, transfer| {
            let observer = Observer { transfer, progress, failures };
            async move { Done::Run(Box::new(run_job(bench, passing, observer).await)) }
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
        self.publisher
            .update(|snapshot| {
                snapshot.sync_state = SyncState::Synchronizing;
                snapshot.safe_to_remove = false;
                clear_progress(snapshot);
            })
            .await;
    }

    async fn start_estimate(&mut self) {
        let EstimateRequest { non_rule, rules } = self.estimate.clone();
        self.estimate_cancelled = false;
        self.start_job(|bench, transfer| async move {
            let input = unless_cancelled(&transfer, run_input(&bench, &Passing::default())).await;
            Done::Estimated(match input.flatten() {
                Ok(input) => jobs::estimate(input, rules.map(|rules| vec![rules]), non_rule, &transfer).await,
                Err(error) => Err(RequestError::Failed(error.message)),
            })
        });
        self.publisher.update(|snapshot| snapshot.sync_state = SyncState::Estimating).await;
    }

    /// Shows how far the run is.
    async fn show_progress(&mut self) {
        let Some(watched) = &mut self.watched else { return };
        let now = Instant::now();
        let elapsed = now - watched.began;
        watched.next_look = now + TICK;
        let done = watched.transfer.bytes();
        let Progress { total, current } = watched.progress.borrow().clone();
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
                snapshot.rate = rate;
                snapshot.expected_end = left.map_or(0, |left| clock + left);
            })
            .await;
    }

    async fn announce_failure(&self, failure: ItemResult) {
        let (Some(error), Some((_, owner))) = (failure.error, self.publisher.snapshot().partnership) else {
            return;
        };
        let ItemResult { media, message, .. } = failure;
        let (device, owner) = (self.device.clone(), Some(owner));
        self.publisher.announce(EngineEvent::SyncError { device, owner, media, error, message }).await;
    }

    /// A device that is nobody's can be ejected by anybody, so everybody learns that it wasn't.
    async fn announce_not_ejected(&self, failure: &RequestError) {
        let owner = self.publisher.snapshot().partnership.as_ref().map(|(_, owner)| *owner);
        let (error, message) = (ItemError::DeviceBusy, format!("not ejected: {failure}"));
        let (device, media) = (self.device.clone(), String::new());
        self.publisher.announce(EngineEvent::SyncError { device, owner, media, error, message }).await;
    }

    /// Lets changes settle before they start a run.
    fn schedule(&mut self) {
        self.settle_at = Some(Instant::now() + self.context.parts.options.settle);
    }

    /// After changes have settled: starts a run if they matter to this device.
    async fn consider_run(&mut self) {
        self.settle_at = None;
        if self.ejected {
            return;
        }
        let partnership = self.partnership();
        let Some(partnership) = partnership.filter(|partnership| partnership.sync_on_connect) else { return };
        let Some(known) = self.fingerprint else {
            return self.happen(Event::RunWanted).await;
        };
        let parts = Arc::clone(&self.context.parts);
        let ledger = Arc::clone(&self.context.ledger);
        tracing::debug!(known, "the library changed; looking whether that matters to this device");
        self.tasks.spawn(
            async move { Done::Fingerprint(fingerprint_now(&parts, &ledger, partnership).await) }
                .in_current_span(),
        );
    }

    fn partnership(&self) -> Option<Partnership> {
        self.context.ledger.partnership(&self.device)
    }

    /// Whether this request may go ahead now.
    fn admit(&self, request: Request) -> Result<(), RequestError> {
        let snapshot = self.publisher.snapshot();
        let facts = requests::Facts {
            name: &snapshot.friendly_name,
            phase: self.state.phase,
            status: snapshot.status,
        };
        requests::admit(request, &facts)
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

async fn next_failure(watched: &mut Option<Watched>) -> ItemResult {
    if let Some(watched) = watched
        && let Some(failure) = watched.failures.recv().await
    {
        return failure;
    }
    std::future::pending().await
}

/// Returns at that time; never without one.
async fn reached(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Returns when the library holds something else and no scan runs any more.
async fn library_changed(held: &mut Option<Held>) {
    while let Some(library) = held {
        if library.state.changed().await.is_err() {
            *held = None;
            break;
        }
        let state = library.state.borrow_and_update();
        if !state.scanning && state.generation != library.generation {
            library.generation = state.generation;
            return;
        }
    }
    std::future::pending::<()>().await;
}

/// What a run, a preview or an estimate works with. Waits for a scan that is going on, so that nothing is taken for
/// gone that has only not been found yet.
async fn run_input(bench: &Bench, passing: &Passing) -> Result<RunInput, run::error::RunError> {
    let unpartnered = || run::error::RunError {
        error: ItemError::Cancelled,
        message: "the partnership was ended in the meantime".to_owned(),
    };
    let partnership = bench.ledger.partnership(&bench.device).ok_or_else(unpartnered)?;
    let library = bench.parts.libraries.open(partnership.owner).await?;
    let mut state = library.state();
    if state.wait_for(|state| !state.scanning).await.is_err() {
        tracing::debug!("the library agent ended while it was scanning");
    }
    if partnership.auto_sync_default_rules {
        let defaults = crate::ledger::default_assignments(library.default_playlists().await?);
        let device = bench.device.clone();
        let changed = bench.ledger.change(move |record| {
            for partnership in
                record.partnerships.iter_mut().filter(|p| p.device == device && p.auto_sync_default_rules)
            {
                partnership.assignments.clone_from(&defaults);
            }
            Ok(())
        });
        changed.await.map_err(|error| run::error::RunError {
            error: ItemError::DeviceWriteFailed,
            message: format!("the default playlists could not be recorded: {error}"),
        })?;
    }
    let partnership = bench.ledger.partnership(&bench.device).ok_or_else(unpartnered)?;
    let known = bench.ledger.device(&bench.device);
    Ok(RunInput {
        parts: Arc::clone(&bench.parts),
        arrival: bench.arrival.clone(),
        device_guid: bench.device_guid(),
        partnership,
        ended_relationship: known.as_ref().and_then(|known| known.ended_relationship),
        known_size: known.map_or(0, |known| known.total_space),
        library,
        include_skipped: passing.include_skipped,
        allow_mass_deletion: passing.allow_mass_deletion,
    })
}

/// A run, from the owner's library to the report.
async fn run_job(bench: Bench, passing: Passing, observer: Observer) -> RunReport {
    let ended = |failure: Option<run::error::RunError>| RunReport {
        last_sync: LastSync { error_count: u32::from(failure.is_some()), ..LastSync::default() },
        failure,
        space: None,
        has_skipped_files: false,
        fingerprint: None,
        flushed: true,
    };
    let cancelled = Arc::clone(&observer.transfer);
    let input = tokio::select! {
        input = run_input(&bench, &passing) => input,
        () = run::cancel::cancellation(&cancelled) => Err(run::error::RunError::cancelled()),
    };
    match input {
        Ok(_) if !passing.takes_music() => ended(None),
        Ok(input) => run::run(input, observer).await,
        Err(error) => ended(Some(error)),
    }
}

/// What the assigned playlists hold now; `None` when that can't be told.
async fn fingerprint_now(parts: &Parts, ledger: &Ledger, partnership: Partnership) -> Option<u64> {
    let library = parts.libraries.open(partnership.owner).await.ok()?;
    let playlists = if partnership.auto_sync_default_rules {
        library.default_playlists().await.ok()?
    } else {
        let current = ledger.partnership(&partnership.device)?;
        current.assignments.into_iter().map(|assignment| assignment.playlist).collect()
    };
    Some(run::prepare::fingerprint(&library.resolve(playlists).await.ok()?))
}
