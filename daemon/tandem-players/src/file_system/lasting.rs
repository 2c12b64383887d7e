//! Makes and removes folders so that a cut can't leave broken ones under their names. FAT writes a folder's name, what makes
//! it a folder (its entries `.` and `..`) and which space is free in any order, and what a checker makes of a name alone can't
//! be looked at, not even to be removed: each try turns the file system read-only.
//!
//! So nothing gets its name before the device has what it names, nothing is put into it before the device has its name, and
//! no space is freed before the device has forgotten the name.

use crate::file_system::errno::During;
use crate::file_system::remove::rename_new;
use crate::file_system::root::Tree;
use rustix::fs::Mode;
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::time::SystemTime;
use tandem_model::error::PlayerError;
use tandem_model::path::DevicePath;

/// Before the rest of a name that folders have while they are made.
const FRESH: &str = ".tandem-";

/// A name that nothing had before: what a cut has left under an old one may be broken.
fn fresh_name() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{FRESH}{:x}", now.as_nanos())
}

impl Tree {
    /// Makes the folder and all above it, as far as they aren't there yet, and adds them to `made`, outermost first. Where
    /// somebody else is faster, his are left as they are.
    pub(super) fn make_lasting(&self, folder: &str, made: &mut Vec<DevicePath>) -> Result<(), PlayerError> {
        let failed = |errno| self.error(errno, During::Create(folder));
        let ends = folder.match_indices('/').map(|(at, _)| at).chain([folder.len()]);
        let paths: Vec<&str> = ends.map(|end| &folder[..end]).collect();
        let mut there = 0;
        for path in &paths {
            match self.folder(path) {
                Ok(_) => there += 1,
                Err(Errno::NOENT) => break,
                Err(errno) => return Err(failed(errno)),
            }
        }
        let Some((top, inner)) = paths[there..].split_first() else { return Ok(()) };
        let (above, name) = top.rsplit_once('/').unwrap_or(("", top));
        let parent = self.folder(above).map_err(failed)?;
        let fresh = fresh_name();
        let beside = format!("{}{fresh}", &top[..top.len() - name.len()]);
        let making: Vec<String> =
            inner.iter().map(|path| format!("{beside}{}", &path[top.len()..])).collect();
        let made_one = |folder: &OwnedFd, name: &str| {
            rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o777))?;
            Ok::<_, Errno>(())
        };
        let named = made_one(&parent, &fresh)
            .and_then(|()| {
                making.iter().try_for_each(|path| {
                    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
                    made_one(&self.folder(above)?, name)
                })
            })
            .and_then(|()| self.sync_root())
            .and_then(|()| rename_new(&parent, &fresh, &parent, name));
        match named {
            Ok(()) => {
                self.note_change(above);
                // whoever is told of a failure takes back what was made
                made.extend(paths[there..].iter().filter_map(|path| DevicePath::parse(path)));
                self.sync_root().map_err(failed)
            }
            Err(errno) => {
                for path in making.iter().map(String::as_str).rev().chain([beside.as_str()]) {
                    self.take_back(path);
                }
                if errno == Errno::EXIST { Ok(()) } else { Err(failed(errno)) }
            }
        }
    }

    /// Removes those of these folders, all at one depth, that are empty.
    pub(super) fn remove_lastingly(&self, folders: &[&DevicePath]) -> Result<(), Errno> {
        // what is open keeps its space
        let mut removed = Vec::new();
        let outcome = folders.iter().try_for_each(|folder| {
            removed.extend(self.remove_empty(folder)?);
            Ok(())
        });
        if removed.is_empty() { outcome } else { outcome.and(self.sync_root()) }
    }

    /// Removes a folder that was made in vain.
    fn take_back(&self, path: &str) {
        let removed = DevicePath::parse(path).map_or(Ok(()), |path| self.remove_if_empty(&path));
        if let Err(errno) = removed {
            tracing::warn!("a folder that was made in vain could not be removed: {errno}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file_system::root::{Root, open_root};

    async fn made(directory: &std::path::Path, folder: &'static str) -> Vec<String> {
        let root = Root::new(open_root(directory).unwrap(), None);
        let make = move |tree: &Tree| {
            let mut made = Vec::new();
            tree.make_lasting(folder, &mut made).map(|()| made)
        };
        root.run(make).await.unwrap().iter().map(ToString::to_string).collect()
    }

    fn names(directory: &std::path::Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[tokio::test]
    async fn what_is_missing_is_made_and_told() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(
            made(directory.path(), "Music/Band/Album").await,
            ["Music", "Music/Band", "Music/Band/Album"]
        );
        assert!(directory.path().join("Music/Band/Album").is_dir());
        assert_eq!(made(directory.path(), "Music/Band/Other").await, ["Music/Band/Other"]);
        assert_eq!(made(directory.path(), "Music/Band/Other").await, [""; 0]);
        assert_eq!(made(directory.path(), ".tandem").await, [".tandem"]);
        let mut there = names(directory.path());
        there.sort();
        assert_eq!(there, [".tandem", "Music"]);
        assert_eq!(names(&directory.path().join("Music")), ["Band"]);
    }

    #[tokio::test]
    async fn empty_folders_go_and_others_stay() {
        let directory = tempfile::tempdir().unwrap();
        for folder in ["empty", "also", "full/inner"] {
            std::fs::create_dir_all(directory.path().join(folder)).unwrap();
        }
        std::fs::File::create(directory.path().join("file")).unwrap();
        let root = Root::new(open_root(directory.path()).unwrap(), None);
        let remove = |tree: &Tree| {
            let folders =
                ["empty", "also", "full", "file", "none"].map(|name| DevicePath::parse(name).unwrap());
            tree.remove_lastingly(&folders.each_ref()).map_err(|errno| PlayerError::Other(errno.to_string()))
        };
        root.run(remove).await.unwrap();
        let mut there = names(directory.path());
        there.sort();
        assert_eq!(there, ["file", "full"]);
        assert_eq!(names(&directory.path().join("full")), ["inner"]);
    }

    #[tokio::test]
    async fn what_cannot_be_made_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let long = Box::leak(format!("Music/{}", "n".repeat(300)).into_boxed_str());
        let root = Root::new(open_root(directory.path()).unwrap(), None);
        let outcome = root.run(|tree| tree.make_lasting(long, &mut Vec::new())).await;
        assert!(outcome.is_err(), "{outcome:?}");
        assert_eq!(names(directory.path()), [""; 0]);
    }
}
