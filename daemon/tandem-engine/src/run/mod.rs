//! One run over one open device: prepare (recover, compare, plan), carry the plan out, flush, report.
//!
//! A run owns nothing of the session's state. It tells its progress, and what failed, through [`Observer`].

pub(crate) mod cancel;
pub(crate) mod error;
pub(crate) mod journal;
pub(crate) mod playlists;
pub(crate) mod prepare;
mod recover;
mod removal;
pub(crate) mod transfer;

pub(crate) use removal::remove_content;

use crate::parts::Parts;
use crate::plan::guard;
use error::RunError;
use prepare::{Prepared, Question};
use std::sync::Arc;
use tandem_model::error::ItemError;
use tandem_model::id::MediaUri;
use tandem_model::library::Library;
use tandem_model::manifest::{EntryState, ItemResult, Origin};
use tandem_model::partnership::{LastSync, Partnership};
use tandem_model::player::{Close, Space, Transfer};
use tandem_model::presence::Arrival;
use tokio::sync::{mpsc, watch};
use tracing::{debug, info, warn};

/// What a run needs to know.
pub(crate) struct RunInput {
    pub(crate) parts: Arc<Parts>,
    pub(crate) arrival: Arrival,
    pub(crate) device_guid: tandem_model::id::Guid,
    pub(crate) partnership: Partnership,
    /// The mark of an ended partnership that the device may still carry; a run puts ours in its place.
    pub(crate) ended_relationship: Option<tandem_model::id::Guid>,
    /// The size of the device's storage when it was last seen for sure; 0: not known.
    pub(crate) known_size: u64,
    pub(crate) library: Arc<dyn Library>,
    pub(crate) include_skipped: bool,
    pub(crate) allow_mass_deletion: bool,
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
}

/// Collects what becomes of the items.
#[derive(Default)]
pub(crate) struct Results {
    /// Items that did not come out.
    pub(crate) rows: Vec<ItemResult>,
    pub(crate) errors: u32,
    pub(crate) no_fit: u32,
    pub(crate) changed_files: u32,
}

impl Results {
    /// Notes an item that did not come out, and announces it if that is an error.
    pub(crate) async fn fail(&mut self, observer: &Observer, media: &str, error: ItemError, message: String) {
        match error {
            ItemError::NoFit => self.no_fit += 1,
            _ => self.errors += 1,
        }
        let row = ItemResult { media: media.to_owned(), error: Some(error), message };
        if error != ItemError::NoFit && observer.failures.send(row.clone()).await.is_err() {
            debug!("nobody listens to this run's failures any more");
        }
        self.rows.push(row);
    }
}

/// Carries out a run. Whatever happens, the device is closed and the results are recorded.
pub(crate) async fn run(input: RunInput, observer: Observer) -> RunReport {
    let mut results = Results::default();
    let mut report = RunReport {
        failure: None,
        last_sync: LastSync::default(),
        space: None,
        has_skipped_files: false,
        fingerprint: None,
        flushed: true,
    };
    let player = match input.parts.opener.open(&input.arrival).await {
        Ok(player) => player,
        Err(error) => {
            report.failure = Some(error.into());
            report.last_sync.error_count = 1;
            return report;
        }
    };
    let prepared = prepare::prepare(&input, Arc::clone(&player), Question::Run, &observer.transfer).await;
    match prepared {
        Ok(mut prepared) => {
            let outcome = carry_out(&input, &mut prepared, &observer, &mut results).await;
            report.failure = outcome.err();
            report.fingerprint = report.failure.is_none().then_some(prepared.fingerprint);
            finish(&mut prepared, &mut results, &mut report).await;
        }
        Err(error) => report.failure = Some(error),
    }
    if let Err(error) = player.close(Close::Release).await {
        warn!(%error, "the device could not be closed cleanly");
        report.flushed = false;
        report.failure.get_or_insert(error.into());
    }
    let failed_whole = report.failure.as_ref().is_some_and(|failure| failure.error != ItemError::Cancelled);
    report.last_sync.error_count = results.errors + u32::from(failed_whole);
    report.last_sync.no_fit_count = results.no_fit;
    report.last_sync.change_count = results.changed_files;
    info!(
        written_and_deleted = results.changed_files,
        errors = report.last_sync.error_count,
        no_fit = results.no_fit,
        "run ended"
    );
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
    if !input.allow_mass_deletion
        && let Some(objection) =
            guard::objection(&prepared.plan, &prepared.entries, prepared.library.trouble.as_deref())
    {
        return Err(RunError { error: ItemError::WouldDeleteTooMuch, message: objection });
    }
    for playlist in &prepared.library.playlists {
        if let Some(first) = playlist.unresolved.first() {
            let message = format!(
                "{} entries of the playlist `{}` name no file of the library, among them `{first}`",
                playlist.unresolved.len(),
                playlist.name
            );
            results.fail(observer, first, ItemError::SourceMissing, message).await;
        }
    }
    for left_out in std::mem::take(&mut prepared.plan.left_out) {
        let media = prepared.library.tracks[left_out.track as usize].uri.0.to_string();
        match left_out.error {
            Some(error) => results.fail(observer, &media, error, left_out.message).await,
            None => results.rows.push(ItemResult {
                media,
                error: Some(ItemError::Cancelled),
                message: left_out.message,
            }),
        }
    }
    observer.progress.send_modify(|progress| progress.total = prepared.plan.bytes);
    transfer::carry_out(prepared, &*input.library, observer, results).await?;
    playlists::carry_out(prepared, input.parts.clock.now(), observer, results).await?;
    if results.changed_files > 0 {
        removal::tidy_folders(prepared).await?;
        prepared.storage.flush().await?;
    }
    Ok(())
}

/// Records the results and reads the closing figures, as far as the device still answers.
async fn finish(prepared: &mut Prepared, results: &mut Results, report: &mut RunReport) {
    let mut rows = std::mem::take(&mut results.rows);
    if let Some(RunError { error, message }) = report.failure.clone() {
        rows.push(ItemResult { media: String::new(), error: Some(error), message });
    }
    if let Err(error) = prepared.journal.with(move |manifest| manifest.set_results(&rows)).await {
        report.failure.get_or_insert(error);
    }
    report.space = prepared.storage.space().await.ok();
    // a run that came to its end knows what is there; one that was cut may have recorded more than it knows
    let entries = match report.failure {
        None => Ok(std::mem::take(&mut prepared.entries)),
        Some(_) => prepared.journal.with(|manifest| manifest.entries()).await,
    };
    match entries {
        Ok(entries) => {
            let present = |entry: &&tandem_model::manifest::Entry| {
                entry.state == EntryState::Present && matches!(entry.origin, Origin::Track(_))
            };
            report.last_sync.item_count =
                u32::try_from(entries.iter().filter(present).count()).unwrap_or(u32::MAX);
            report.has_skipped_files = entries.iter().any(|entry| entry.state == EntryState::Skipped);
        }
        Err(error) => {
            report.failure.get_or_insert(error);
        }
    }
}
