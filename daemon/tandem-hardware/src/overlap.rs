//! Makes folder players out of the options: absolute paths, names, identifiers, and no two that share files.
//!
//! It looks at the file system only to see through symbolic links; a folder that isn't there yet is fine.

use crate::text::shown;
use crate::{FolderPlayer, HardwareError};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use tandem_model::device::{DeviceDescription, Kind};
use tandem_model::id::DeviceId;
use tandem_model::presence::{Arrival, Locator};
use xxhash_rust::xxh3::xxh3_64;

/// A folder that stands for a player.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folder {
    /// Absolute, without `.` and `..`.
    pub(crate) path: PathBuf,
    /// What is announced when it is there.
    pub(crate) arrival: Arrival,
}

/// The folders of the options, or what is wrong with them.
pub(crate) fn folders(players: Vec<FolderPlayer>) -> Result<Vec<Folder>, HardwareError> {
    let folders: Vec<Folder> = players.into_iter().map(folder).collect::<Result<_, _>>()?;
    let real: Vec<PathBuf> = folders.iter().map(|folder| real(&folder.path)).collect();
    for (at, first) in folders.iter().enumerate() {
        for (other, second) in folders.iter().enumerate().skip(at + 1) {
            if overlap(&first.path, &second.path) || overlap(&real[at], &real[other]) {
                return Err(HardwareError::Overlap {
                    first: first.path.clone(),
                    second: second.path.clone(),
                });
            }
        }
    }
    Ok(folders)
}

fn overlap(a: &Path, b: &Path) -> bool {
    a.starts_with(b) || b.starts_with(a)
}

/// The path with the links of its existing part resolved.
fn real(path: &Path) -> PathBuf {
    let resolve = |ancestor: &Path| {
        let missing = path.strip_prefix(ancestor).ok()?;
        std::fs::canonicalize(ancestor).ok().map(|ancestor| ancestor.join(missing))
    };
    path.ancestors().find_map(resolve).unwrap_or_else(|| path.to_owned())
}

fn folder(player: FolderPlayer) -> Result<Folder, HardwareError> {
    let FolderPlayer { path: given, name } = player;
    let wrong = |cause: String| HardwareError::Folder { path: given.clone(), cause };
    let path =
        std::path::absolute(&given).map_err(|error| wrong(format!("{error}; give it an absolute path")))?;
    let path = without_dots(&path);
    let Some(own_name) = path.file_name() else {
        return Err(wrong("it is the root of all files; name a directory below it".to_owned()));
    };
    let names = [name.unwrap_or_default(), own_name.to_string_lossy().into_owned()];
    let name = names.iter().map(|name| shown(name)).find(|name| !name.is_empty());
    let key = path.to_str().map_or_else(|| format!("{path:?}"), str::to_owned);
    let id = DeviceId(format!("folder-{:016x}", xxh3_64(path.as_os_str().as_bytes())));
    let description = DeviceDescription {
        name: name.unwrap_or_else(|| id.to_string()),
        id,
        kind: Kind::Folder,
        manufacturer: String::new(),
        model: String::new(),
        serial_number: String::new(),
        firmware: String::new(),
    };
    let arrival =
        Arrival { port: key.clone(), key, description, locator: Locator::Folder { path: path.clone() } };
    Ok(Folder { path, arrival })
}

/// Resolves `..` by the path's text, so that it is the same whether or not the directory exists.
fn without_dots(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut clean, component| {
        match component {
            Component::ParentDir => drop(clean.pop()),
            Component::CurDir => (),
            other => clean.push(other),
        }
        clean
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn player(path: impl Into<PathBuf>) -> FolderPlayer {
        FolderPlayer { path: path.into(), name: None }
    }

    fn one(path: impl Into<PathBuf>) -> Folder {
        folders(vec![player(path)]).unwrap().remove(0)
    }

    #[test]
    fn a_folder_is_named_by_itself_or_by_the_options() {
        let folder = one("/players/Clip Zip/");
        assert_eq!(folder.arrival.description.name, "Clip Zip");
        assert_eq!(folder.arrival.key, "/players/Clip Zip");
        assert_eq!(folder.arrival.locator, Locator::Folder { path: "/players/Clip Zip".into() });
        let named =
            folders(vec![FolderPlayer { path: "/p".into(), name: Some(" Kitchen\n".to_owned()) }]).unwrap();
        assert_eq!(named[0].arrival.description.name, "Kitchen");
    }

    #[test]
    fn the_identifier_depends_on_the_path_alone() {
        let id = |path: &str| one(path).arrival.description.id.0;
        assert_eq!(id("/players/a"), id("/players/./b/../a/"));
        assert_ne!(id("/players/a"), id("/players/b"));
        // kept partnerships are found by it, so it may never change
        assert_eq!(id("/players/a"), format!("folder-{:016x}", xxh3_64(b"/players/a")));
        let digits = id("/players/a");
        assert_eq!(digits.len(), "folder-".len() + 16);
    }

    #[test]
    fn names_that_are_not_unicode_stay_apart() {
        let path = |byte: u8| PathBuf::from(OsStr::from_bytes(&[b'/', byte]));
        let both = folders(vec![player(path(0xfe)), player(path(0xff))]).unwrap();
        assert_ne!(both[0].arrival.key, both[1].arrival.key);
        assert_ne!(both[0].arrival.description.id, both[1].arrival.description.id);
        assert!(!both[0].arrival.description.name.is_empty());
    }

    #[test]
    fn folders_that_share_files_are_refused_and_both_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let inside = directory.path().join("real");
        std::fs::create_dir(&inside).unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&inside, &link).unwrap();
        let pairs = [
            ("/a".into(), "/a/".into()),
            ("/a/b".into(), "/a".into()),
            ("/a".into(), "/b/../a/c".into()),
            (link.join("new"), inside),
        ];
        for (first, second) in pairs {
            let error = folders(vec![player("/other"), player(first), player(second)]).unwrap_err();
            let HardwareError::Overlap { first, second } = &error else { panic!("{error}") };
            let message = error.to_string();
            assert!(
                message.contains(first.to_str().unwrap()) && message.contains(second.to_str().unwrap()),
                "{message}"
            );
        }
        assert!(folders(vec![player("/ab"), player("/a")]).is_ok());
    }

    #[test]
    fn the_root_and_nothing_at_all_are_refused() {
        for path in ["/", "/..", ""] {
            assert!(matches!(folders(vec![player(path)]), Err(HardwareError::Folder { .. })), "{path:?}");
        }
    }
}
