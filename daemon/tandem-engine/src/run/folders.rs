//! Folders that are made for files: recorded before they are, so that a cut leaves none that nobody knows of.

use super::error::RunError;
use super::prepare::Prepared;
use foldhash::HashSet;
use tandem_model::manifest::Correction;
use tandem_model::path::DevicePath;

/// Folders that are about to be made, and recorded as ours before.
#[derive(Clone, Default)]
pub(crate) struct MadeFolders(Vec<DevicePath>);

impl MadeFolders {
    /// The folders that files at these paths need and that aren't there.
    pub(crate) async fn for_files(prepared: &Prepared, paths: Vec<DevicePath>) -> Result<Self, RunError> {
        if paths.is_empty() {
            return Ok(Self(Vec::new()));
        }
        Ok(Self(prepared.storage.missing_folders(paths).await?))
    }

    /// What has to be recorded before they are made, with the intents of their files.
    pub(crate) fn intended(&self) -> Vec<Correction> {
        if self.0.is_empty() { Vec::new() } else { vec![Correction::MadeFolders(self.0.clone())] }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether this is one of them.
    pub(crate) fn contains(&self, folder: &DevicePath) -> bool {
        self.0.contains(folder)
    }

    /// Hands out those that files at these paths don't need.
    pub(crate) fn without<'a>(&mut self, paths: impl Iterator<Item = &'a DevicePath>) -> Vec<DevicePath> {
        let needed: HashSet<&str> = paths.flat_map(DevicePath::ancestors).collect();
        self.0.extract_if(.., |folder| !needed.contains(folder.as_str())).collect()
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
