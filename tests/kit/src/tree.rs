//! Directory trees as values, so that a test can say file by file what a run changed. It follows no links.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Every file below a directory by its relative path, with its size and the XXH3-128 of its bytes. A symbolic link
/// stands with the length and hash of its target's name; directories have no entry of their own.
pub type Tree = BTreeMap<PathBuf, (u64, u128)>;

/// The tree below `dir`.
///
/// # Panics
/// When something below it can't be read.
#[must_use]
pub fn tree(dir: &Path) -> Tree {
    let mut found = Tree::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(relative) = waiting.pop() {
        let folder = dir.join(&relative);
        let entries =
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let entry = entry.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
            let path = relative.join(entry.file_name());
            let kind = entry.file_type().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            if kind.is_dir() {
                waiting.push(path);
            } else {
                let facts = file_facts(&entry.path(), kind.is_symlink());
                found.insert(path, facts);
            }
        }
    }
    found
}

fn file_facts(path: &Path, link: bool) -> (u64, u128) {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    let mut size = 0;
    if link {
        let target = std::fs::read_link(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        hash.update(target.as_os_str().as_bytes());
        return (target.as_os_str().len() as u64, hash.digest128());
    }
    let mut file = std::fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = file.read(&mut buffer).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if count == 0 {
            return (size, hash.digest128());
        }
        hash.update(&buffer[..count]);
        size += count as u64;
    }
}

/// What differs between two trees, one line for each file, for a failed test's message; empty when they are equal.
#[must_use]
pub fn differences(before: &Tree, after: &Tree) -> String {
    let mut text = String::new();
    let all: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for path in all {
        let word = match (before.get(path), after.get(path)) {
            (Some(old), Some(new)) if old == new => continue,
            (Some(_), Some(_)) => "changed",
            (Some(_), None) => "gone",
            (None, _) => "new",
        };
        writeln!(text, "{word}: {}", path.display()).expect("writing to a String can't fail");
    }
    text
}

/// A directory that stands for a player, with a file of its user's own: a song, and a folder with a photo.
///
/// # Panics
/// When the temporary directory can't be written.
#[must_use]
pub fn player_dir() -> TempDir {
    let dir = TempDir::with_prefix("tandem-player-").expect("the temporary directory can be written");
    crate::music::write_file(&dir.path().join("Music/Own song.mp3"), b"the user's own song");
    crate::music::write_file(&dir.path().join("DCIM/0001.jpg"), b"the user's own photo");
    dir
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_name_each_file_once() {
        let player = player_dir();
        let before = tree(player.path());
        assert_eq!(before.len(), 2);
        assert_eq!(differences(&before, &before), "");
        crate::music::write_file(&player.path().join("new"), b"");
        crate::music::write_file(&player.path().join("DCIM/0001.jpg"), b"other");
        std::fs::remove_file(player.path().join("Music/Own song.mp3")).unwrap();
        let text = differences(&before, &tree(player.path()));
        assert_eq!(text, "changed: DCIM/0001.jpg\ngone: Music/Own song.mp3\nnew: new\n");
    }
}
