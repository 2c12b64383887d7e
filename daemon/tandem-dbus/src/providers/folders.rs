//! Folders on a provider's device: those that files need are made, and those that were made and are empty go
//! again.
//!
//! It must not remove a folder that holds anything.

use super::fault::Fault;
use super::pour::Metadata;
use super::session::Session;
use super::tree::name;
use tandem_model::error::PlayerError;
use tandem_model::path::DevicePath;
use zbus::OwnedObjectPath;

impl Session {
    /// The folders that would have to be made for files at these paths, outermost first.
    pub(super) async fn missing(&mut self, paths: &[DevicePath]) -> Result<Vec<DevicePath>, PlayerError> {
        let mut missing: Vec<DevicePath> = Vec::new();
        for folder in paths.iter().flat_map(DevicePath::ancestors).filter_map(DevicePath::parse) {
            let told = |fault: Fault| fault.told("listing", folder.as_str());
            if !missing.contains(&folder) && self.find(folder.as_str()).await.map_err(told)?.is_none() {
                missing.push(folder);
            }
        }
        missing.sort_by_key(|folder| folder.ancestors().count());
        Ok(missing)
    }

    /// Whether the folder of temporary names is one, or can become one.
    pub(super) async fn check_temporary(&mut self, temporary: &DevicePath) -> Result<(), PlayerError> {
        for folder in temporary.ancestors() {
            let found = self.find(folder).await.map_err(|fault| fault.told("looking", folder))?;
            if found.is_some_and(|there| !there.is_folder) {
                return Err(PlayerError::InTheWay(folder.to_owned()));
            }
        }
        Ok(())
    }

    /// Makes the folders above a file that aren't there, and tells which.
    pub(super) async fn make_folders(
        &mut self,
        path: &DevicePath,
        made: &mut Vec<DevicePath>,
    ) -> Result<OwnedObjectPath, PlayerError> {
        let mut place = self.storage.clone();
        for folder in path.ancestors() {
            let found = self.find(folder).await.map_err(|fault| fault.told("looking", folder))?;
            place = match found {
                Some(there) if there.is_folder => there.object,
                Some(_) => {
                    return Err(PlayerError::Other(format!("`{folder}` on the device is not a folder")));
                }
                None => {
                    let object =
                        self.announce(&place, "folder", (folder, folder), Metadata::new(), 0).await?;
                    made.extend(DevicePath::parse(folder));
                    let looked = self.peer.look(&object, name(folder)).await;
                    let known = looked.map_err(|fault| fault.told("looking at a new folder", folder))?;
                    let known = known.filter(|known| known.is_folder);
                    let known = known.ok_or_else(|| PlayerError::VerifyFailed(folder.to_owned()))?;
                    self.tree.put(folder, known);
                    object
                }
            };
        }
        Ok(place)
    }

    /// Removes those of these folders that are empty, innermost first.
    pub(super) async fn remove_empty(&mut self, mut folders: Vec<DevicePath>) -> Result<(), PlayerError> {
        folders.sort_by_key(|folder| std::cmp::Reverse(folder.ancestors().count()));
        for folder in folders {
            let told = |fault: Fault| fault.told("removing an empty folder", folder.as_str());
            let Some(there) = self.find(folder.as_str()).await.map_err(told)?.filter(|there| there.is_folder)
            else {
                continue;
            };
            self.tree.forget(folder.as_str());
            if self.children(folder.as_str()).await.map_err(told)?.is_empty() {
                self.delete_listed(folder.as_str(), &there).await?;
            }
        }
        Ok(())
    }
}
