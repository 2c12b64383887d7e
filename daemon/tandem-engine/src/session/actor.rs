//! The task that owns a device's state: it feeds the machine with what happens, carries out its effects, and
//! publishes. Commands are in `commands`, the ends of jobs in `endings`.

mod commands;
mod endings;
mod running;
mod waiting;

use super::handle::{Command, Reply, SessionHandle};
use super::jobs::{self, Bench};
use super::look;
use super::machine::{Effect, Event, Phase, State, step};
use super::publisher::Publisher;
use super::requests::{self, Request};
use super::retries::Retries;
use super::run_job::{fingerprint_now, release, run_input};
use super::settings::{Passing, allows_background};
use crate::ledger::Ledger;
use crate::parts::Parts;
use crate::registry::Registry;
use crate::run::RunReport;
use crate::run::cancel::unless_cancelled;
use running::{Course, Watched};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tandem_model::device::{Status, SyncState};
use tandem_model::error::{ItemError, RequestError};
use tandem_model::event::EngineEvent;
use tandem_model::id::{DeviceId, PlaylistId};
use tandem_model::library::{Library, LibraryState};
use tandem_model::manifest::ItemResult;
use tandem_model::partnership::Partnership;
use tandem_model::player::{Player, Transfer};
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
/// How long a job may take to notice that the daemon ends.
const LAST_CALL: Duration = Duration::from_millis(1500);
/// How long a player that was just partnered is kept open for its first run.
const KEPT_FOR_FIRST_RUN: Duration = Duration::from_secs(5);

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
    Initialized(Result<look::Found, RequestError>),
    Run(Box<RunReport>),
    Estimated(Result<(u64, u64), RequestError>),
    Created(Result<jobs::Created, RequestError>),
    Deleted(jobs::Deleted),
    Previewed,
    Ejected(Result<(), RequestError>),
    Renamed(Result<(), RequestError>),
    /// The player that was kept open for a run that did not begin is closed; what that is for the machine.
    Closed(Event),
    /// What the assigned playlists hold now.
    Fingerprint(Option<u64>),
}

/// A job that is given up when the user wants something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GivingWay {
    Preview,
    Creation,
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

pub(super) struct Session {
    context: Context,
    device: DeviceId,
    publisher: Publisher,
    mailbox: mpsc::Receiver<Command>,
    state: State,
    arrival: Option<Arrival>,
    /// The player as the look or the partnering left it, for the run that follows.
    opened: Option<Arc<dyn Player>>,
    /// Until when it is kept for a run that is due.
    kept_until: Option<Instant>,
    tasks: JoinSet<Done>,
    /// The task of the job that holds the device.
    job: Option<tokio::task::Id>,
    /// The device was looked at since it came: what is told of it isn't the record's word alone.
    looked: bool,
    /// The user wants to take the device away: nothing begins by itself until it comes again.
    ejected: bool,
    /// While an ejection is in line or under way: whether the device is safe to remove should that fail.
    ejecting: Option<bool>,
    watched: Option<Watched>,
    /// What the run in progress came to before it planned again.
    course: Course,
    /// Providers changed while it was looked at: what was found may be different now.
    look_again: bool,
    /// Somebody asked for a run while one went on: what was there then is to be on the player when it ends.
    run_again: bool,
    /// Asks the job that holds the device to end.
    cancel: Arc<Transfer>,
    waiting: VecDeque<Waiting>,
    /// What the job that holds the device is, if it can be given up.
    giving_way: Option<GivingWay>,
    /// Who wants the partnership to end that is just being made.
    after_creation: Vec<(bool, Reply<()>)>,
    held: Option<Held>,
    /// When changes will have been quiet for long enough.
    settle_at: Option<Instant>,
    /// When a run that did not come out is tried again.
    retry_at: Option<Instant>,
    retries: Retries,
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
        opened: None,
        kept_until: None,
        tasks: JoinSet::new(),
        job: None,
        looked: false,
        ejected: false,
        ejecting: None,
        watched: None,
        course: Course::default(),
        look_again: false,
        run_again: false,
        cancel: Arc::new(Transfer::default()),
        waiting: VecDeque::new(),
        giving_way: None,
        after_creation: Vec::new(),
        held: None,
        settle_at: None,
        retry_at: None,
        retries: Retries::default(),
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
                () = reached(self.kept_until) => self.kept_until = None,
                () = reached(self.retry_at), if self.state.phase == Phase::Stopped => self.try_again().await,
            }
            self.start_waiting().await;
            self.start_next_estimate().await;
            self.look_again_if_due().await;
            self.let_go().await;
        }
        self.wind_down().await;
    }

    /// Ends what still goes on, at its next safe point.
    async fn wind_down(&mut self) {
        self.cancel.cancel();
        let last = Instant::now() + LAST_CALL;
        while let Ok(Some(done)) = tokio::time::timeout_at(last, self.tasks.join_next()).await {
            let ended = tokio::time::timeout_at(last, self.ended_last(done)).await;
            if ended.is_err() {
                tracing::warn!("the device did not answer before the daemon ended");
            }
        }
        if let Some(player) = self.opened.take()
            && tokio::time::timeout_at(last, release(&*player)).await.is_err()
        {
            tracing::warn!("the device did not answer before the daemon ended");
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
                    self.start_job(|bench, _| async { Done::Initialized(look::initialize(bench).await) });
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
            cancel: Arc::clone(&self.cancel),
        }
    }

    /// Starts a job on the device. Without a device there is none to start.
    fn start_job<F: Future<Output = Done> + Send + 'static>(
        &mut self,
        job: impl FnOnce(Bench, Arc<Transfer>) -> F,
    ) {
        let Some(arrival) = self.arrival.clone() else { return };
        self.cancel = Arc::new(Transfer::default());
        self.giving_way = None;
        let job = job(self.bench(arrival), Arc::clone(&self.cancel));
        // kept for a run, and this is another job
        let opened = self.opened.take();
        let task = async move {
            if let Some(player) = opened {
                release(&*player).await;
            }
            job.await
        };
        self.job = Some(self.tasks.spawn(task.in_current_span()).id());
    }

    /// Closes a player that was kept open for a run that isn't due any more.
    async fn let_go(&mut self) {
        let is_due =
            self.state.phase == Phase::Stopped && self.settle_at.is_some() && self.kept_until.is_some();
        if self.opened.is_none() || self.state.job || is_due {
            return;
        }
        self.happen(Event::JobStarted).await;
        self.close_opened(Event::JobEnded);
    }

    /// Closes the player that was kept open for a run, where none has begun; `then` is what that is for the machine.
    fn close_opened(&mut self, then: Event) {
        let Some(player) = self.opened.take() else { return };
        let close = async move {
            release(&*player).await;
            Done::Closed(then)
        };
        self.job = Some(self.tasks.spawn(close.in_current_span()).id());
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

    async fn announce_failure(&self, failure: ItemResult) {
        let (Some(error), Some((_, owner))) = (failure.error, self.publisher.snapshot().partnership) else {
            return;
        };
        let ItemResult { media, message, .. } = failure;
        let (device, owner) = (self.device.clone(), Some(owner));
        self.publisher.announce(EngineEvent::SyncError { device, owner, media, error, message }).await;
    }

    /// What clients are told of a device that is `safe` to remove or not: while it is ejected it isn't, for that may mount it
    /// and write to it.
    fn safe_to_remove(&mut self, safe: bool) -> bool {
        match &mut self.ejecting {
            Some(otherwise) => {
                *otherwise = safe;
                false
            }
            None => safe,
        }
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
        let status = self.publisher.snapshot().status;
        if self.ejected || matches!(status, Status::ManualDevice | Status::PartnershipAnother) {
            return;
        }
        let partnership = self.partnership().filter(|partnership| self.runs_by_itself(partnership));
        let Some(partnership) = partnership else { return };
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

    /// After an error, and a pause: the cause may have passed.
    async fn try_again(&mut self) {
        self.retry_at = None;
        if self.partnership().is_some_and(|partnership| self.runs_by_itself(&partnership)) {
            tracing::info!("the run that did not come out is tried again");
            self.happen(Event::RunWanted).await;
        }
    }

    /// Whether the user lets runs begin that he doesn't start.
    fn runs_by_itself(&self, partnership: &Partnership) -> bool {
        partnership.sync_on_connect && allows_background(self.passing.background_sync_state)
    }

    fn partnership(&self) -> Option<Partnership> {
        self.context.ledger.partnership(&self.device)
    }

    /// Looks again at a device that no provider served, when nothing holds it.
    async fn look_again_if_due(&mut self) {
        if self.look_again && self.state.phase == Phase::Stopped && !self.state.job {
            self.look_again = false;
            if self.publisher.snapshot().status == Status::ManualDevice {
                self.happen(Event::LookAgain).await;
            }
        }
    }

    /// Whether this request may go ahead now.
    fn admit(&self, request: Request) -> Result<(), RequestError> {
        let snapshot = self.publisher.snapshot();
        let facts = requests::Facts {
            name: &snapshot.friendly_name,
            phase: self.state.phase,
            status: snapshot.status,
            missing: snapshot.manual.as_deref().unwrap_or_default(),
        };
        requests::admit(request, &facts)
    }
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
