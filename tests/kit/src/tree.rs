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
    try_tree(dir).unwrap_or_else(|error| panic!("{error}"))
}

/// The tree below `dir`, which may be changing meanwhile.
///
/// # Errors
/// What can't be read, and why.
pub fn try_tree(dir: &Path) -> Result<Tree, String> {
    let mut found = Tree::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(relative) = waiting.pop() {
        let folder = dir.join(&relative);
        let trouble = |error| format!("{}: {error}", folder.display());
        for entry in std::fs::read_dir(&folder).map_err(trouble)? {
            let entry = entry.map_err(trouble)?;
            let path = relative.join(entry.file_name());
            let kind = entry.file_type().map_err(trouble)?;
            if kind.is_dir() {
                waiting.push(path);
            } else {
                let facts = facts_of(&entry.path(), kind.is_symlink());
                let facts = facts.map_err(|error| format!("{}: {error}", path.display()))?;
                found.insert(path, facts);
            }
        }
    }
    Ok(found)
}

/// The size of a file and the XXH3-128 of its bytes.
///
/// # Errors
/// When it can't be read.
pub fn file_facts(path: &Path) -> std::io::Result<(u64, u128)> {
    facts_of(path, false)
}

fn facts_of(path: &Path, link: bool) -> std::io::Result<(u64, u128)> {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    let mut size = 0;
    if link {
        let target = std::fs::read_link(path)?;
        hash.update(target.as_os_str().as_bytes());
        return Ok((target.as_os_str().len() as u64, hash.digest128()));
    }
    let mut file = std::fs::File::open(path)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok((size, hash.digest128()));
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
