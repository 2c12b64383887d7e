//! A plan made beside everything else, and held against what of the user's own lies on the device already. What it decides is
//! `plan`'s.

use super::adopt::{Adoption, BOUNDLESS};
use super::error::RunError;
use super::prepare::fingerprint;
use crate::plan::{self, Plan, PlanInput};
use foldhash::{HashMap, HashSet};
use std::time::Instant;
use tandem_model::error::ItemError;
use tandem_model::library::Resolved;
use tandem_model::manifest::Entry;
use tandem_model::path::DevicePath;
use tandem_model::player::{Capabilities, Space, Storage};
use tracing::debug;

/// Tracks and entries that are planned within a millisecond.
const QUICKLY_PLANNED: usize = 200;

/// The plan without what lies on the device already as the user's own; what the plan has no space for may lie there too. What
/// is no run reads none of his files, and says what may be.
pub(super) async fn without_his(
    planned: Planned,
    scope: Scope,
    capabilities: Capabilities,
    adoption: &Adoption<'_>,
    for_run: bool,
) -> Result<Planned, RunError> {
    let Planned { mut plan, fingerprint, mut library, mut entries } = planned;
    let is_short = plan.left_out.iter().any(|left| left.error == Some(ItemError::NoFit));
    let mut wider = None;
    if is_short {
        let boundless = Scope { space: BOUNDLESS, ..scope.clone() };
        let planned = plan_aside(library, entries, boundless, capabilities.clone()).await?;
        (library, entries) = (planned.library, planned.entries);
        wider = Some(planned.plan);
    }
    if !for_run {
        if let Some(wider) = &wider {
            tell_what_may_be_his(&mut plan, wider, adoption.storage).await?;
        }
        return Ok(Planned { plan, fingerprint, library, entries });
    }
    if !adoption.find_his(&library, &entries, wider.as_ref().unwrap_or(&plan)).await? {
        return Ok(Planned { plan, fingerprint, library, entries });
    }
    let entries = adoption.journal.with(|manifest| manifest.entries()).await?;
    plan_aside(library, entries, scope, capabilities).await
}

/// Says of what has no space that a file lies under its name, which may be exactly that; `wider` has the names.
async fn tell_what_may_be_his(plan: &mut Plan, wider: &Plan, storage: &dyn Storage) -> Result<(), RunError> {
    let names: HashMap<u32, &DevicePath> =
        wider.writes.iter().map(|write| (write.track, &write.path)).collect();
    let short = plan.left_out.iter_mut().filter(|left| left.error == Some(ItemError::NoFit));
    let (short, paths): (Vec<_>, Vec<_>) =
        short.filter_map(|left| names.get(&left.track).map(|&path| (left, path.clone()))).unzip();
    for ((left, path), there) in short.into_iter().zip(&paths).zip(storage.facts(paths.clone()).await?) {
        if there.is_some() {
            left.message += &format!(
                "; another file has the name `{path}`: if it is exactly this one, it counts as there"
            );
        }
    }
    Ok(())
}

/// A plan, and what it was made from.
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    pub(crate) fingerprint: u64,
    pub(crate) library: Resolved,
    pub(crate) entries: Vec<Entry>,
}

/// What a plan is made from besides the library, the manifest and what the player can do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    pub(crate) space: Space,
    pub(crate) percent_reserved: u8,
    /// Tracks of which only the tags have changed.
    pub(crate) retagged: HashSet<u32>,
}

/// Plans, on a thread of its own if that takes a while, for the bus shares this one.
pub(crate) async fn plan_aside(
    library: Resolved,
    entries: Vec<Entry>,
    scope: Scope,
    capabilities: Capabilities,
) -> Result<Planned, RunError> {
    let is_quick = library.tracks.len() + entries.len() <= QUICKLY_PLANNED;
    let plan = move || {
        let input = PlanInput {
            library: &library,
            entries: &entries,
            space: scope.space,
            percent_reserved: scope.percent_reserved,
            retagged: &scope.retagged,
            capabilities: &capabilities,
        };
        let begun = Instant::now();
        let plan = plan::build(&input);
        debug!(tracks = library.tracks.len(), microseconds = begun.elapsed().as_micros(), "planned");
        Planned { plan, fingerprint: fingerprint(&library), library, entries }
    };
    if is_quick {
        return Ok(plan());
    }
    tokio::task::spawn_blocking(plan).await.map_err(|failure| RunError {
        error: ItemError::DeviceWriteFailed,
        message: format!("no plan could be made: {failure}"),
    })
}
