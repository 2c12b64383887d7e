//! One run over one open device: prepare (recover, compare, plan), carry the plan out, flush, report.
//!
//! A run owns nothing of the session's state. It tells its progress, and what failed, through [`Observer`].

pub(crate) mod adopt;
mod albums;
pub(crate) mod cancel;
mod compare;
pub(crate) mod error;
mod folders;
pub(crate) mod interrupted;
pub(crate) mod journal;
mod ours;
mod planned;
pub(crate) mod playlists;
pub(crate) mod prepare;
mod recover;
mod removal;
pub(crate) mod temporary;
mod told;
pub(crate) mod transfer;

pub(crate) use removal::{remove_content, settle};

use crate::ledger::Ledger;
use crate::parts::Parts;
use crate::plan::guard;
use cancel::{unless_cancelled, unless_stopped};
use error::RunError;
use interrupted::Begun;
use journal::Journal;
use prepare::{Prepared, Question};
use std::collections::HashSet;
use std::sync::Arc;
use tandem_model::error::ItemError;
use tandem_model::id::{Guid, MediaUri};
use tandem_model::library::Library;
use tandem_model::manifest::{Entry, EntryState, ItemResult, Manifest, OpenRun, Origin};
use tandem_model::partnership::{LastSync, Partnership};
use tandem_model::player::{Close, Player, Space, Transfer};
use tandem_model::presence::Arrival;
use tokio::sync::{mpsc, watch};
use tracing::{debug, warn};

/// What a run needs to know.
pub(crate) struct RunInput {
    pub(crate) parts: Arc<Parts>,
    pub(crate) ledger: Arc<Ledger>,
    /// The run that this is for; `None` for a preview or an estimate.
    pub(crate) begun: Option<Begun>,
    pub(crate) arrival: Arrival,
    pub(crate) device_guid: Guid,
    pub(crate) partnership: Partnership,
    /// The mark of an ended partnership that the device may still carry; a run puts ours in its place.
    pub(crate) ended_relationship: Option<Guid>,
    /// The size of the device's storage when it was last seen for sure; 0: not known.
    pub(crate) known_size: u64,
    pub(crate) library: Arc<dyn Library>,
    pub(crate) include_skipped: bool,
    /// Media that the user named by hand, whatever he did with them on the device before.
    pub(crate) by_hand: HashSet<MediaUri>,
    pub(crate) allow_mass_deletion: bool,
    /// What is copied is read back and compared.
    pub(crate) verify: bool,
    /// The file system turned read-only in this run, which reading an unfinished file alone can bring about: those go unread.
    pub(crate) turned_read_only: bool,
}

/// How a run tells of itself while it goes on.
#[derive(Clone)]
pub(crate) struct Observer {
    /// Bytes done, and the wish to stop.
    pub(crate) transfer: Arc<Transfer>,
    /// What is being done.
    pub(crate) progress: watch::Sender<Progress>,
    /// Items that failed, as they do.
    pub(crate) failures: mpsc::Sender<ItemResult>,
}

/// What a run is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Bytes of the whole run; 0 until there is a plan.
    pub(crate) total: u64,
    /// What is being copied.
    pub(crate) current: Option<MediaUri>,
    /// How full the device's battery is, in percent, where that is known.
    pub(crate) battery_level: Option<u8>,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct RunReport {
    /// What ended the run early.
    pub(crate) failure: Option<RunError>,
    /// For the partnership's record, without the time.
    pub(crate) last_sync: LastSync,
    /// Space at the end, when the device could still tell.
    pub(crate) space: Option<Space>,
    /// Whether there are files that the user deleted on the device.
    pub(crate) has_skipped_files: bool,
    /// What the assigned playlists held.
    pub(crate) fingerprint: Option<u64>,
    /// Everything that was written is on the device.
    pub(crate) flushed: bool,
    /// Items that did not come out.
    pub(crate) rows: Vec<ItemResult>,
    /// Bytes of the files that were written since the run began.
    pub(crate) written_bytes: u64,
    /// The device held something else than was sent.
    pub(crate) verify_failed: bool,
    /// It failed because the file system turned read-only; opened anew, the device may be written again.
    pub(crate) turned_read_only: bool,
    /// Where the run is open until its end is in the history.
    pub(crate) journal: Option<Journal>,
}

impl RunReport {
    /// A run that ended so before it did anything.
    pub(crate) fn of(failure: Option<RunError>) -> Self {
        Self {
            failure,
            last_sync: LastSync::default(),
            space: None,
            has_skipped_files: false,
            fingerprint: None,
            flushed: true,
            rows: Vec::new(),
            written_bytes: 0,
            verify_failed: false,
            turned_read_only: false,
            journal: None,
        }
    }

    /// Takes what the record says that the run has done.
    fn take_counts(&mut self, begun: Option<Begun>, open: Option<OpenRun>) {
        if let Some(open) = open.filter(|open| begun.is_some_and(|begun| begun.id == open.id)) {
            self.last_sync.change_count = open.change_count;
            self.written_bytes = open.written_bytes;
        }
    }

    /// Takes the rows that are recorded; the last one is of what ended the run, if something did.
    fn take_rows(&mut self, rows: &[ItemResult]) {
        let of_items = &rows[..rows.len().saturating_sub(usize::from(self.failure.is_some()))];
        (self.last_sync.error_count, self.last_sync.no_fit_count) = counts(of_items);
        self.rows = rows.to_vec();
    }
}

/// Collects what becomes of the items.
#[derive(Default)]
pub(crate) struct Results {
    /// Items that did not come out.
    pub(crate) rows: Vec<ItemResult>,
    /// Items that this run has told of before it planned again.
    earlier: Vec<ItemResult>,
    /// Something was written to the device or deleted there.
    pub(crate) changed: bool,
    /// The device held something else than was sent.
    pub(crate) verify_failed: bool,
}

impl Results {
    /// Notes an item that did not come out, and announces it if that is an error that was not told of yet.
    pub(crate) async fn fail(&mut self, observer: &Observer, media: &str, error: ItemError, message: String) {
        let row = ItemResult { media: media.to_owned(), error: Some(error), message };
        let is_news = error != ItemError::NoFit && !self.earlier.contains(&row);
        if is_news && observer.failures.send(row.clone()).await.is_err() {
            debug!("nobody listens to this run's failures any more");
        }
        self.rows.push(row);
    }
}

/// The rows to record: one that came to its end looked at everything again, one that was cut has not, so what it said
/// before still holds for what isn't on the device.
fn rows_of(
    rows: Vec<ItemResult>,
    earlier: Vec<ItemResult>,
    failure: Option<&RunError>,
    is_there: impl Fn(&str) -> bool,
) -> Vec<ItemResult> {
    let Some(RunError { error, message }) = failure else { return rows };
    let told: HashSet<&str> = rows.iter().map(|row| row.media.as_str()).collect();
    let still = |row: &ItemResult| !told.contains(row.media.as_str()) && !is_there(&row.media);
    let mut all: Vec<ItemResult> = earlier.into_iter().filter(still).collect();
    all.extend(rows);
    all.push(ItemResult { media: String::new(), error: Some(*error), message: message.clone() });
    all
}

/// How many of these are errors, and for how many there was no space. What ended the whole run is neither.
fn counts(rows: &[ItemResult]) -> (u32, u32) {
    let count = |counts: fn(ItemError) -> bool| {
        let counted = rows.iter().filter(|row| row.error.is_some_and(counts)).count();
        u32::try_from(counted).unwrap_or(u32::MAX)
    };
    let is_error = |error| !matches!(error, ItemError::NoFit | ItemError::Cancelled);
    (count(is_error), count(|error| error == ItemError::NoFit))
}

/// Records how a run ended that never came to plan, so that nobody takes the rows of the run before for its own.
pub(crate) async fn record_early_end(
    parts: &Parts,
    relationship: Guid,
    begun: Option<Begun>,
    failure: Option<RunError>,
    earlier: Vec<ItemResult>,
) -> RunReport {
    let mut report = RunReport::of(failure);
    let rows = rows_of(Vec::new(), earlier, report.failure.as_ref(), |_| false);
    report.take_rows(&rows);
    let recorded = async {
        let journal = Journal::open(parts, relationship).await?;
        let record = move |manifest: &mut dyn Manifest| {
            manifest.set_results(&rows)?;
            manifest.open_run()
        };
        Ok::<_, RunError>((journal.with(record).await?, journal))
    };
    match recorded.await {
        Ok((open, journal)) => {
            report.take_counts(begun, open);
            report.journal = Some(journal);
        }
        Err(error) => warn!("the end of the run could not be recorded: {}", error.message),
    }
    report
}

/// Has a run end because of this and not what it noticed itself: a device that was pulled out asks its job to stop.
pub(crate) async fn ends_because_of(report: &mut RunReport, cause: RunError) {
    let Some(noticed) = report.failure.replace(cause.clone()) else { return };
    let is_of_the_run = |row: &&mut ItemResult| row.media.is_empty() && row.error == Some(noticed.error);
    let Some(last) = report.rows.last_mut().filter(is_of_the_run) else { return };
    (last.error, last.message) = (Some(cause.error), cause.message);
    let (Some(journal), rows) = (&report.journal, report.rows.clone()) else { return };
    if let Err(error) = journal.with(move |manifest| manifest.set_results(&rows)).await {
        warn!("why the run ended could not be recorded: {}", error.message);
    }
}

/// Carries out a run, on the player that is open already or on one that is opened now. Whatever happens, it is closed
/// and the results are recorded.
pub(crate) async fn run(
    input: RunInput,
    opened: Option<Arc<dyn Player>>,
    observer: Observer,
    earlier: Vec<ItemResult>,
) -> RunReport {
    let relationship = input.partnership.relationship;
    let opened = match opened {
        Some(player) => Ok(player),
        // a device that is locked is waited for, but not against the user's will
        None => {
            let opening = input.parts.opener.open(&input.arrival);
            unless_cancelled(&observer.transfer, opening).await.and_then(|opened| Ok(opened?))
        }
    };
    let player = match opened {
        Ok(player) => player,
        Err(error) => {
            return record_early_end(&input.parts, relationship, input.begun, Some(error), earlier).await;
        }
    };
    player.heed(&observer.transfer);
    observer.progress.send_modify(|progress| progress.battery_level = player.battery_level());
    let stopped = |error| unless_stopped(&observer.transfer, error);
    let prepared = prepare::prepare(&input, Arc::clone(&player), Question::Run, &observer.transfer).await;
    let mut freed = None;
    let mut report = match prepared {
        Ok(mut prepared) => {
            let mut results = Results { earlier, ..Results::default() };
            let outcome = carry_out(&input, &mut prepared, &observer, &mut results).await;
            let mut report = RunReport::of(outcome.err().map(stopped));
            report.fingerprint = report.failure.is_none().then_some(prepared.fingerprint);
            finish(&mut prepared, &input, results, &mut report).await;
            // so many small pieces take a while to free
            let Prepared { library, entries, plan, .. } = prepared;
            freed = Some(tokio::task::spawn_blocking(move || drop((library, entries, plan))));
            report
        }
        Err(error) => {
            let error = stopped(error);
            record_early_end(&input.parts, relationship, input.begun, Some(error), earlier).await
        }
    };
    report.turned_read_only = report.failure.is_some() && player.turned_read_only().await;
    if let Err(error) = player.close(Close::Release).await {
        warn!("the device could not be closed cleanly: {error}");
        report.flushed = false;
        if report.failure.is_none() {
            report.failure = Some(stopped(error.into()));
        }
    }
    if let Some(freed) = freed
        && let Err(failure) = freed.await
    {
        warn!("what a run worked with could not be freed: {failure}");
    }
    report
}

async fn carry_out(
    input: &RunInput,
    prepared: &mut Prepared,
    observer: &Observer,
    results: &mut Results,
) -> Result<(), RunError> {
    if let Some(trouble) = &prepared.library.trouble {
        results.fail(observer, "", ItemError::LibraryUnavailable, trouble.clone()).await;
    }
    told::gone_playlists(prepared, observer, results).await;
    if !input.allow_mass_deletion
        && let Some(objection) =
            guard::objection(&prepared.plan, &prepared.entries, prepared.library.trouble.as_deref())
    {
        return Err(RunError { error: ItemError::WouldDeleteTooMuch, message: objection });
    }
    if let Some(message) = prepared.lost_record.take() {
        results.fail(observer, "", ItemError::VerifyFailed, message).await;
    }
    told::unresolved_entries(prepared, observer, results).await;
    told::left_out(prepared, observer, results).await;
    observer.progress.send_modify(|progress| progress.total = prepared.plan.bytes);
    transfer::carry_out(prepared, &*input.library, observer, results, input.verify).await?;
    adopt::record_his(prepared).await?;
    let now = input.parts.clock.now();
    playlists::carry_out(prepared, now, observer, results, input.verify).await?;
    albums::carry_out(prepared, &*input.library, now, observer, results).await?;
    let changed = results.changed || prepared.untidy;
    if changed || removal::is_untidy(prepared).await? {
        removal::tidy_folders(prepared).await?;
        prepared.storage.flush().await?;
    }
    Ok(())
}

/// Records the results and reads the closing figures, as far as the device still answers.
async fn finish(prepared: &mut Prepared, input: &RunInput, results: Results, report: &mut RunReport) {
    report.space = prepared.storage.space().await.ok();
    let mut is_known = true;
    if report.failure.is_some() {
        // one that was cut may have recorded more than it knows
        prepared.entries = Vec::new();
        let recorded = prepared.journal.with(|manifest| manifest.entries()).await;
        prepared.entries = recorded.unwrap_or_else(|error| {
            warn!("what is on the device after the run can't be told: {}", error.message);
            is_known = false;
            Vec::new()
        });
    }
    let entries = &prepared.entries;
    let is_there = |entry: &&Entry| matches!(entry.state, EntryState::Present | EntryState::Foreign);
    let there = entries.iter().filter(is_there).filter_map(|entry| match &entry.origin {
        Origin::Track(uri) => Some(&*uri.0),
        Origin::Playlist(_) | Origin::Album(_) => None,
    });
    let there: foldhash::HashSet<&str> = there.collect();
    let Results { rows, earlier, verify_failed, .. } = results;
    let rows = rows_of(rows, earlier, report.failure.as_ref(), |media| there.contains(media));
    report.take_rows(&rows);
    report.verify_failed = verify_failed;
    let before = input.partnership.last_sync.item_count;
    report.last_sync.item_count =
        if is_known { u32::try_from(there.len()).unwrap_or(u32::MAX) } else { before };
    report.has_skipped_files = entries.iter().any(|entry| entry.state == EntryState::Skipped);
    let record = move |manifest: &mut dyn Manifest| {
        manifest.set_results(&rows)?;
        manifest.open_run()
    };
    match prepared.journal.with(record).await {
        Ok(open) => report.take_counts(input.begun, open),
        Err(error) => {
            report.failure.get_or_insert(error);
        }
    }
    report.journal = Some(prepared.journal.clone());
    debug!(microseconds = prepared.journal.spent().as_micros(), "recorded");
}
