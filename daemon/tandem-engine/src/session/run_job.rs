//! What a run, a preview or an estimate works with, and a run from the owner's library to its report. It decides
//! nothing about when a run begins, and knows nothing of the session's state.

use super::jobs::Bench;
use super::settings::Passing;
use super::view;
use crate::ledger::{Ledger, default_assignments};
use crate::parts::Parts;
use crate::run::cancel::unless_cancelled;
use crate::run::error::RunError;
use crate::run::interrupted::Begun;
use crate::run::{self, Observer, RunInput, RunReport};
use std::sync::Arc;
use std::time::Duration;
use tandem_model::error::{ItemError, RequestError};
use tandem_model::id::{DeviceId, PlaylistId};
use tandem_model::library::Library;
use tandem_model::manifest::ItemResult;
use tandem_model::partnership::{Partnership, Partnerships};
use tandem_model::player::{Close, Player, Transfer};
use tokio::time::timeout;

/// How long a player stays open for a run that still waits for its library.
const KEPT_OPEN: Duration = Duration::from_secs(5);

/// Assigns the default set as the library has it now, if that is what is assigned.
pub(crate) async fn assign_default_set(
    ledger: &Ledger,
    library: &dyn Library,
    device: &DeviceId,
) -> Result<(), RequestError> {
    assign(ledger, library.default_playlists().await?, device).await
}

async fn assign(ledger: &Ledger, set: Vec<PlaylistId>, device: &DeviceId) -> Result<(), RequestError> {
    let set = default_assignments(set);
    let anew = |record: &mut Partnerships| {
        let own = record.partnerships.iter_mut().filter(|p| p.device == *device && p.auto_sync_default_rules);
        own.for_each(|partnership| partnership.assignments.clone_from(&set));
        Ok(())
    };
    ledger.change(anew).await
}

/// What a run, a preview or an estimate works with. Waits for a scan that is going on, so that nothing is taken for
/// gone that has only not been found yet.
pub(super) async fn run_input(bench: &Bench, passing: &Passing) -> Result<RunInput, RunError> {
    let unpartnered = || RunError {
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
        assign(&bench.ledger, library.default_playlists().await?, &bench.device).await.map_err(|error| {
            RunError {
                error: ItemError::DeviceWriteFailed,
                message: format!("the default playlists could not be recorded: {error}"),
            }
        })?;
    }
    let partnership = bench.ledger.partnership(&bench.device).ok_or_else(unpartnered)?;
    let known = bench.ledger.device(&bench.device);
    Ok(RunInput {
        parts: Arc::clone(&bench.parts),
        ledger: Arc::clone(&bench.ledger),
        begun: None,
        arrival: bench.arrival.clone(),
        device_guid: bench.device_guid(),
        partnership: partnership.clone(),
        ended_relationship: known.as_ref().and_then(|known| known.ended_relationship),
        known_size: known.as_ref().map_or(0, |known| known.total_space),
        verify: view::reads_back(bench.parts.options.verify, known.as_ref(), &partnership),
        turned_read_only: passing.turned_read_only,
        library,
        include_skipped: passing.include_skipped,
        by_hand: passing.by_hand.clone(),
        allow_mass_deletion: passing.allow_mass_deletion,
    })
}

/// A run, from the owner's library to the report, on the player that is open already or on one to be opened. `earlier`
/// are the failures that the same run has told of before it planned again.
pub(super) async fn run_job(
    bench: Bench,
    begun: Begun,
    passing: Passing,
    opened: Option<Arc<dyn Player>>,
    observer: Observer,
    earlier: Vec<ItemResult>,
) -> RunReport {
    let (input, opened) = input_for(&bench, &passing, opened, &observer.transfer).await;
    let failure = match input {
        Ok(input) if passing.takes_music() => {
            let input = RunInput { begun: Some(begun), ..input };
            return run::run(input, opened, observer, earlier).await;
        }
        Ok(_) => None,
        Err(error) => Some(error),
    };
    if let Some(player) = opened {
        release(&*player).await;
    }
    match bench.ledger.partnership(&bench.device) {
        Some(partnership) => {
            let relationship = partnership.relationship;
            run::record_early_end(&bench.parts, relationship, Some(begun), failure, earlier).await
        }
        None => RunReport::of(failure),
    }
}

/// What a run works with, and the player if it is still open: while the library is scanned for long, it isn't kept.
async fn input_for(
    bench: &Bench,
    passing: &Passing,
    opened: Option<Arc<dyn Player>>,
    transfer: &Transfer,
) -> (Result<RunInput, RunError>, Option<Arc<dyn Player>>) {
    let mut input = std::pin::pin!(unless_cancelled(transfer, run_input(bench, passing)));
    let Some(player) = opened else { return (input.await.flatten(), None) };
    match timeout(KEPT_OPEN, &mut input).await {
        Ok(input) => (input.flatten(), Some(player)),
        Err(_) => {
            release(&*player).await;
            (input.await.flatten(), None)
        }
    }
}

/// Closes a player that nothing was written to.
pub(super) async fn release(player: &dyn Player) {
    if let Err(error) = player.close(Close::Release).await {
        tracing::warn!("the device could not be closed cleanly: {error}");
    }
}

/// What the assigned playlists hold now; `None` when that can't be told.
pub(super) async fn fingerprint_now(parts: &Parts, ledger: &Ledger, partnership: Partnership) -> Option<u64> {
    let library = parts.libraries.open(partnership.owner).await.ok()?;
    let playlists = if partnership.auto_sync_default_rules {
        library.default_playlists().await.ok()?
    } else {
        run::prepare::in_priority_order(&ledger.partnership(&partnership.device)?)
    };
    Some(run::prepare::fingerprint(&library.resolve(playlists).await.ok()?))
}
