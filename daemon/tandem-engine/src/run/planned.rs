//! The plan, made beside everything else, and without what lies on the device already as the user's own. What it decides is
//! `plan`'s, and what is found of his `adopt`'s.

use super::adopt::Adoption;
use super::error::RunError;
use super::prepare::fingerprint;
use crate::plan::names::{TakenNames, own_places};
use crate::plan::{self, Plan, PlanInput};
use foldhash::{HashMap, HashSet};
use std::time::Instant;
use tandem_model::error::ItemError;
use tandem_model::library::Resolved;
use tandem_model::manifest::{Entry, Origin};
use tandem_model::path::DevicePath;
use tandem_model::player::{Capabilities, Space, Storage};
use tracing::debug;

/// Tracks and entries that are planned within a millisecond.
const QUICKLY_PLANNED: usize = 200;

/// A plan, and what it was made from.
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    pub(crate) fingerprint: u64,
    pub(crate) library: Resolved,
    pub(crate) entries: Vec<Entry>,
    /// What has no space, with the place where it would lie.
    unfit: Vec<(u32, DevicePath)>,
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
        let unfit = unfit(&plan, &input);
        debug!(tracks = library.tracks.len(), microseconds = begun.elapsed().as_micros(), "planned");
        Planned { plan, fingerprint: fingerprint(&library), library, entries, unfit }
    };
    if is_quick {
        return Ok(plan());
    }
    tokio::task::spawn_blocking(plan).await.map_err(|failure| RunError {
        error: ItemError::DeviceWriteFailed,
        message: format!("no plan could be made: {failure}"),
    })
}

/// The plan without what lies on the device already as the user's own, be it that it would be copied or that there is no space
/// for it. What is found makes room for others, which may lie there too. What is no run reads none of his files, and says what
/// may be.
pub(super) async fn plan_beside_his(
    library: Resolved,
    entries: Vec<Entry>,
    scope: Scope,
    capabilities: Capabilities,
    adoption: &mut Adoption<'_>,
    for_run: bool,
) -> Result<Planned, RunError> {
    let mut planned = plan_aside(library, entries, scope.clone(), capabilities.clone()).await?;
    loop {
        let unfit = std::mem::take(&mut planned.unfit);
        if !for_run {
            tell_what_may_be_his(&mut planned, &unfit, adoption.storage).await?;
            return Ok(planned);
        }
        if !adoption.find_his(&planned.library, &planned.entries, &planned.plan, unfit).await? {
            let (his, Planned { plan, library, .. }) = (adoption.will_be_his(), &mut planned);
            let origin = |track: u32| Origin::Track(library.tracks[track as usize].uri.clone());
            plan.left_out.retain(|left| his.is_empty() || !his.contains(&origin(left.track)));
            return Ok(planned);
        }
        let entries = adoption.journal.with(|manifest| manifest.entries()).await?;
        planned = plan_aside(planned.library, entries, scope.clone(), capabilities.clone()).await?;
    }
}

/// What has no space, with the place where it would lie: one that no other track of the library would have and nothing of ours
/// has, so that what is found there in one run is not found by the next alone.
fn unfit(plan: &Plan, input: &PlanInput<'_>) -> Vec<(u32, DevicePath)> {
    let is_unfit = |left: &&plan::LeftOut| left.error == Some(ItemError::NoFit);
    if !plan.left_out.iter().any(|left| is_unfit(&left)) {
        return Vec::new();
    }
    let ours =
        input.entries.iter().map(|entry| &entry.path).chain(plan.writes.iter().map(|write| &write.path));
    let ours: TakenNames = ours.collect();
    let mut places = own_places(&input.library.tracks, input.capabilities);
    let unfit = plan.left_out.iter().filter(is_unfit);
    let place = |left: &plan::LeftOut| Some((left.track, places.remove(&left.track)?));
    unfit.filter_map(place).filter(|(_, path)| !ours.contains(path)).collect()
}

/// Says of what has no space that a file of its size lies in its place, which may be exactly that.
async fn tell_what_may_be_his(
    planned: &mut Planned,
    unfit: &[(u32, DevicePath)],
    storage: &dyn Storage,
) -> Result<(), RunError> {
    if unfit.is_empty() {
        return Ok(());
    }
    let facts = storage.facts(unfit.iter().map(|(_, path)| path.clone()).collect()).await?;
    let size = |track: u32| planned.library.tracks[track as usize].size;
    let there = unfit.iter().zip(facts).filter_map(|((track, path), facts)| Some((*track, path, facts?)));
    let alike: HashMap<u32, &DevicePath> = there
        .filter(|(track, _, facts)| facts.size == size(*track))
        .map(|(track, path, _)| (track, path))
        .collect();
    for left in &mut planned.plan.left_out {
        if let Some(path) = alike.get(&left.track) {
            left.message +=
                &format!("; a file as large lies at `{path}`: if it is exactly this one, it counts as there");
        }
    }
    Ok(())
}
