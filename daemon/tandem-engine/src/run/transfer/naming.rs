//! Names for new files: another one where somebody else's file has the wanted one. It writes nothing.

use super::{Course, NAME_TRIES, Step};
use crate::plan::names::{TakenNames, numbered};
use crate::run::error::RunError;
use crate::run::prepare::Prepared;
use tandem_model::error::ItemError;
use tandem_model::manifest::EntryState;
use tandem_model::path::DevicePath;

impl Course<'_> {
    /// These steps, with another name for each new file whose name somebody else's has. No intent may name a file that
    /// isn't ours: after a cut, what is found under a recorded name counts as sent.
    pub(super) async fn with_free_names(&mut self, steps: &[Step]) -> Result<Vec<Step>, RunError> {
        let fresh = |step: &Step| match step {
            Step::Write { path, replaces: None, .. } => Some(path.clone()),
            Step::Write { .. } | Step::Delete(_) | Step::UpdateMetadata { .. } => None,
        };
        let paths = steps.iter().filter_map(fresh).collect();
        let mut facts = self.prepared.storage.facts(paths).await?.into_iter();
        let mut named = Vec::with_capacity(steps.len());
        for step in steps {
            let taken = fresh(step).filter(|path| facts.next().flatten().is_some() && !self.is_ours(path));
            match (step, taken) {
                (Step::Write { track, .. }, Some(taken)) => match self.free_name(&taken, &mut 2).await? {
                    Some(path) => named.push(Step::Write { track: *track, path, replaces: None }),
                    None => {
                        let track = &self.prepared.library.tracks[*track as usize];
                        self.observer.transfer.add(track.size);
                        let (media, message) = (track.uri.0.to_string(), all_taken(&taken));
                        self.results.fail(self.observer, &media, ItemError::NameRejected, message).await;
                    }
                },
                (step, _) => named.push(step.clone()),
            }
        }
        Ok(named)
    }

    /// Whether what is at this path is ours, there to be deleted before the new file is written.
    fn is_ours(&self, path: &DevicePath) -> bool {
        self.prepared.entries.iter().any(|entry| entry.state == EntryState::Present && entry.path == *path)
    }

    /// The next numbered name that neither this run nor anybody else uses; none when too many are taken.
    pub(super) async fn free_name(
        &mut self,
        wanted: &DevicePath,
        number: &mut u32,
    ) -> Result<Option<DevicePath>, RunError> {
        let used = self.used.get_or_insert_with(|| used_names(self.prepared));
        while *number <= NAME_TRIES {
            let path = numbered(wanted, *number);
            *number += 1;
            if !used.contains(&path) && self.prepared.storage.object(&path).facts().await?.is_none() {
                used.insert(&path);
                return Ok(Some(path));
            }
        }
        Ok(None)
    }
}

/// Names that are recorded or planned for tracks.
pub(crate) fn used_names(prepared: &Prepared) -> TakenNames {
    let recorded = prepared.entries.iter().map(|entry| &entry.path);
    recorded.chain(prepared.plan.writes.iter().map(|write| &write.path)).collect()
}

/// What the user is told when all names are taken.
pub(super) fn all_taken(wanted: &DevicePath) -> String {
    format!("`{wanted}` and {NAME_TRIES} names like it are taken by other files")
}
