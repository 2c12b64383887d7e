//! Makes the folders that files need, and removes those that are empty.
//!
//! It must not remove a folder that anything lies in: a folder goes with all that is below it.

use super::announce::{Announcement, Unmade};
use super::error::Fail;
use super::session::{Session, ask};
use super::tree::{Known, parent};
use tandem_model::error::PlayerError;
use tandem_model::path::DevicePath;
use tandem_model::player::ObjectFacts;
use tandem_mtp::codes::{FormatCode, ObjectHandle};
use tandem_mtp::initiator::{ObjectFilter, Parent};

impl Session {
    /// Makes the folders above a file that aren't there, and tells which.
    pub(super) async fn make_folders(
        &mut self,
        path: &DevicePath,
        made: &mut Vec<DevicePath>,
    ) -> Result<Parent, Fail> {
        let mut place = Parent::Root;
        for folder in path.ancestors().map(str::to_owned).collect::<Vec<_>>() {
            let handle = match self.find(&folder).await? {
                Some(there) if there.is_folder => there.handle,
                Some(_) => {
                    return Err(
                        PlayerError::Other(format!("`{folder}` on the device is not a folder")).into()
                    );
                }
                None => {
                    let path = DevicePath::parse(&folder)
                        .ok_or_else(|| PlayerError::NameRejected(folder.clone()))?;
                    let (format, name) = (FormatCode::ASSOCIATION, path.name());
                    let folder_here =
                        Announcement { place, format, name, title: None, size: 0, modified_ns: None };
                    let announced = self.announce(&folder_here, &path).await;
                    let handle = match announced {
                        Ok(handle) => Some(handle),
                        Err(Unmade { unsettled: true, .. }) => None,
                        Err(Unmade { why, .. }) => return Err(why),
                    };
                    if !made.contains(&path) {
                        made.push(path);
                    }
                    match self.made_folder(handle, &folder).await {
                        Ok(handle) => handle,
                        Err(error) => {
                            // what was listed before it was made says that it isn't there, and so it would stay
                            self.tree.forget_folder(parent(&folder));
                            return Err(error);
                        }
                    }
                }
            };
            place = Parent::Folder(handle);
        }
        Ok(place)
    }

    /// The handle of a folder that was just made. Some devices give it another one than they answered with, or no answer.
    async fn made_folder(
        &mut self,
        handle: Option<ObjectHandle>,
        folder: &str,
    ) -> Result<ObjectHandle, Fail> {
        let made = match handle {
            Some(handle) => self.arrived(handle, folder, |known| known.is_folder).await?,
            None => {
                self.ready_again().await?;
                self.tree.forget_folder(parent(folder));
                self.find(folder).await?.filter(|known| known.is_folder)
            }
        };
        let made = made.ok_or_else(|| PlayerError::VerifyFailed(folder.to_owned()))?;
        if Some(made.handle) == handle {
            let facts = ObjectFacts { size: 0, modified_ns: 0 };
            self.tree.put(folder, Known { handle: made.handle, is_folder: true, facts, persistent: None });
        }
        Ok(made.handle)
    }

    /// Removes those of these folders that are empty, innermost first.
    pub(crate) async fn remove_empty(&mut self, mut folders: Vec<DevicePath>) -> Result<(), Fail> {
        folders.sort_by_key(|folder| std::cmp::Reverse(folder.ancestors().count()));
        for folder in folders {
            let Some(there) = self.find(folder.as_str()).await?.filter(|there| there.is_folder) else {
                continue;
            };
            // a folder goes with all that is in it, so the device is asked twice
            self.tree.forget_folder(folder.as_str());
            if !self.children(folder.as_str()).await?.is_empty() || !self.counts_none(there).await? {
                continue;
            }
            self.delete_object(there.handle).await?;
            self.tree.take(folder.as_str());
        }
        Ok(())
    }

    async fn counts_none(&mut self, folder: Known) -> Result<bool, Fail> {
        let filter = ObjectFilter::children(self.storage, Parent::Folder(folder.handle));
        Ok(ask!(self, "listing a folder", self.initiator.object_handles(filter))?.is_empty())
    }
}
