//! Folders that are made for files: recorded before they are, so that a cut leaves none that nobody knows of.

use super::error::RunError;
use super::prepare::Prepared;
use foldhash::HashSet;
use tandem_model::manifest::Correction;
use tandem_model::path::DevicePath;

/// Folders that are recorded as ours and about to be made.
#[derive(Clone, Default)]
pub(crate) struct MadeFolders(Vec<DevicePath>);

impl MadeFolders {
    /// Records the folders that files at these paths need and that aren't there.
    pub(crate) async fn intend(prepared: &Prepared, paths: Vec<DevicePath>) -> Result<Self, RunError> {
        if paths.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let missing = prepared.storage.missing_folders(paths).await?;
        if !missing.is_empty() {
            let folders = Correction::MadeFolders(missing.clone());
            prepared.journal.with(move |manifest| manifest.correct(&[folders])).await?;
        }
        Ok(Self(missing))
    }

    /// Forgets those that were not made after all: somebody else was faster, or no file came. What is wanted `still`, by
    /// files that were begun meanwhile, is left to those.
    pub(crate) async fn forget_others(
        self,
        prepared: &Prepared,
        made: &[DevicePath],
        still: &Self,
    ) -> Result<(), RunError> {
        let made: HashSet<&DevicePath> = made.iter().chain(&still.0).collect();
        let others: Vec<DevicePath> = self.0.into_iter().filter(|folder| !made.contains(folder)).collect();
        if others.is_empty() {
            return Ok(());
        }
        let others = Correction::ForgetFolders(others);
        prepared.journal.with(move |manifest| manifest.correct(&[others])).await
    }
}
