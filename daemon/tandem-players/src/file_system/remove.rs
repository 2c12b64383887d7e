//! Takes a file of ours away, or puts a stranger's back. Between a look at a name and what is done to it, another
//! program may put its own file there; so the file is moved to a name that nobody else uses, and looked at there.
//!
//! It must not delete what isn't as it was expected.

use crate::file_system::errno::During;
use crate::file_system::root::{Tree, facts_of, parent_of, status_in};
use rustix::fs::{AtFlags, RenameFlags, Stat};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use tandem_model::error::PlayerError;
use tandem_model::path::DevicePath;
use tandem_model::player::ObjectFacts;

/// Names that are tried for a stranger's file whose own name was taken meanwhile.
const MOST_NAMES: u32 = 100;

/// Deletes the file if it is what is expected.
pub(crate) fn delete(
    tree: &Tree,
    path: &DevicePath,
    expected: ObjectFacts,
    aside: &DevicePath,
) -> Result<(), PlayerError> {
    let failed = |errno| tree.error(errno, During::Use(path.as_str()));
    let folder = folder_of(tree, path)?;
    let there = status_in(&folder, path.name()).map_err(failed)?.ok_or_else(|| failed(Errno::NOENT))?;
    if !is(&there, expected) {
        return Err(PlayerError::Changed(path.as_str().into()));
    }
    take(tree, &folder, path, expected, aside)
}

/// Deletes whatever has this name.
pub(crate) fn discard(tree: &Tree, path: &DevicePath) -> Result<(), PlayerError> {
    let folder = folder_of(tree, path)?;
    unlink(tree, &folder, path)
}

/// Gives a file the name `to`, or a numbered one like it where that is taken, once the device keeps its bytes. Tells which.
pub(crate) fn restore(tree: &Tree, from: &DevicePath, to: &DevicePath) -> Result<DevicePath, PlayerError> {
    let source = folder_of(tree, from)?;
    let target = tree.make_folder(parent_of(to), &mut Vec::new())?;
    let failed = |errno| tree.error(errno, During::Use(from.as_str()));
    if let Some(file) = tree.open_file(from.as_str()).map_err(failed)? {
        rustix::fs::fsync(file).map_err(failed)?;
    }
    for number in 1..=MOST_NAMES {
        let place = if number == 1 { Some(to.clone()) } else { numbered(to, number) };
        let Some(place) = place else { break };
        match rename_new(&source, from.name(), &target, place.name()) {
            Ok(()) => {
                tree.note_change(parent_of(from));
                tree.note_change(parent_of(&place));
                return Ok(place);
            }
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(failed(errno)),
        }
    }
    Err(PlayerError::Exists(to.as_str().into()))
}

/// Renames where the new name is free: `EEXIST` where it isn't.
pub(crate) fn rename_new(from: impl AsFd, old: &str, to: impl AsFd, new: &str) -> Result<(), Errno> {
    match rustix::fs::renameat_with(&from, old, &to, new, RenameFlags::NOREPLACE) {
        // a file system that can't refuse to replace, or a name that it doesn't take
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match status_in(&to, new)? {
            Some(_) => Err(Errno::EXIST),
            None => rustix::fs::renameat(from, old, to, new),
        },
        result => result,
    }
}

/// Whether this is the file that is expected.
pub(crate) fn is(stat: &Stat, expected: ObjectFacts) -> bool {
    facts_of(stat) == Some(expected)
}

/// The folder of temporary names, made where it isn't there yet. What has its name and isn't a folder ends the run.
pub(crate) fn temporary_folder(
    tree: &Tree,
    name: &DevicePath,
    made: &mut Vec<DevicePath>,
) -> Result<OwnedFd, PlayerError> {
    let folder = parent_of(name);
    match tree.folder(folder) {
        Err(Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => Err(PlayerError::InTheWay(folder.into())),
        Ok(folder) => Ok(folder),
        Err(_) => tree.make_folder(folder, made),
    }
}

fn folder_of(tree: &Tree, path: &DevicePath) -> Result<OwnedFd, PlayerError> {
    match tree.folder(parent_of(path)) {
        Err(Errno::NOTDIR) => Err(Errno::NOENT),
        result => result,
    }
    .map_err(|errno| tree.error(errno, During::Use(path.as_str())))
}

fn unlink(tree: &Tree, folder: &OwnedFd, path: &DevicePath) -> Result<(), PlayerError> {
    rustix::fs::unlinkat(folder, path.name(), AtFlags::empty())
        .map_err(|errno| tree.error(errno, During::Use(path.as_str())))?;
    tree.note_change(parent_of(path));
    Ok(())
}

/// Moves what has this name aside, and deletes it there if it is what is expected.
fn take(
    tree: &Tree,
    folder: &OwnedFd,
    path: &DevicePath,
    expected: ObjectFacts,
    aside: &DevicePath,
) -> Result<(), PlayerError> {
    let place = match temporary_folder(tree, aside, &mut Vec::new()) {
        // without space for another name, the look before is all there can be
        Err(PlayerError::Full) => return unlink(tree, folder, path),
        place => place?,
    };
    match rename_new(folder, path.name(), &place, aside.name()) {
        Err(Errno::NOSPC | Errno::DQUOT) => return unlink(tree, folder, path),
        moved => moved.map_err(|errno| tree.error(errno, During::Use(path.as_str())))?,
    }
    tree.note_change(parent_of(path));
    let moved = status_in(&place, aside.name());
    let ended = match moved {
        Ok(Some(stat)) if is(&stat, expected) => unlink(tree, &place, aside),
        Ok(_) => Err(PlayerError::Changed(path.as_str().into())),
        Err(errno) => Err(tree.error(errno, During::Use(aside.as_str()))),
    };
    if let Err(error) = &ended
        && *error != PlayerError::Removed
    {
        restore(tree, aside, path)?;
    }
    ended
}

/// `a/b.mp3` as `a/b (2).mp3`.
fn numbered(path: &DevicePath, number: u32) -> Option<DevicePath> {
    let (stem, end) =
        path.as_str().rsplit_once('.').filter(|(_, end)| !end.contains('/')).unwrap_or((path.as_str(), ""));
    let dot = if end.is_empty() { "" } else { "." };
    DevicePath::parse(&format!("{stem} ({number}){dot}{end}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file_system::root::{Root, open_root};

    fn path(text: &str) -> DevicePath {
        DevicePath::parse(text).unwrap()
    }

    fn names(directory: &std::path::Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn put(at: &std::path::Path, bytes: &[u8]) {
        std::fs::File::create(at).and_then(|mut file| std::io::Write::write_all(&mut file, bytes)).unwrap();
    }

    #[tokio::test]
    async fn a_file_that_came_between_the_look_and_the_act_is_put_back() {
        let directory = tempfile::tempdir().unwrap();
        put(&directory.path().join("a.mp3"), b"somebody else's");
        let root = Root::new(open_root(directory.path()).unwrap(), None);
        let ours = ObjectFacts { size: 5, modified_ns: 0 };
        let take = |expected: ObjectFacts| {
            root.run(move |tree| {
                take(tree, &tree.folder("").unwrap(), &path("a.mp3"), expected, &path("t/1.part"))
            })
        };
        assert_eq!(take(ours).await, Err(PlayerError::Changed("a.mp3".into())));
        assert_eq!(std::fs::read(directory.path().join("a.mp3")).unwrap(), b"somebody else's");
        assert!(names(&directory.path().join("t")).is_empty());
        let there =
            root.run(|tree| Ok(facts_of(&tree.status("a.mp3").unwrap().unwrap()).unwrap())).await.unwrap();
        assert_eq!(take(there).await, Ok(()));
        assert_eq!(names(directory.path()), ["t"]);
    }

    #[tokio::test]
    async fn what_is_put_back_takes_no_name_from_others() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("t")).unwrap();
        for name in ["t/1", "a.mp3", "a (2).mp3"] {
            put(&directory.path().join(name), name.as_bytes());
        }
        let root = Root::new(open_root(directory.path()).unwrap(), None);
        let placed = root.run(|tree| restore(tree, &path("t/1"), &path("a.mp3"))).await;
        assert_eq!(placed, Ok(path("a (3).mp3")));
        assert_eq!(std::fs::read(directory.path().join("a (3).mp3")).unwrap(), b"t/1");
        assert_eq!(std::fs::read(directory.path().join("a.mp3")).unwrap(), b"a.mp3");
    }
}
