//! Which folders the library holds: those that the user set, else the user's music directory.
//!
//! Folders are checked when they are set; whether one is there later is the scan's concern.

use crate::failure::{Failure, Result};
use crate::index;
use crate::scan::walk::PLAYER_MARK;
use crate::text;
use rusqlite::{Connection, Transaction};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// The most folders of one library.
const MAX_FOLDERS: usize = 1000;

/// The folders that the user has set; none: the default counts.
pub(crate) fn stored(connection: &Connection) -> Result<Vec<PathBuf>> {
    let mut statement = connection.prepare_cached("SELECT path FROM lib.folder ORDER BY position")?;
    let rows = statement.query_map([], |row| Ok(PathBuf::from(OsString::from_vec(row.get(0)?))))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Checks folders that the user wants to set; gives them without what means nothing in a path.
pub(crate) fn check(folders: Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    if folders.is_empty() || folders.len() > MAX_FOLDERS {
        let words = format!("a library has 1 to {MAX_FOLDERS} folders; {} were given", folders.len());
        return Err(Failure::invalid(words));
    }
    let mut checked: Vec<PathBuf> = Vec::new();
    for folder in folders {
        let shown = folder.display();
        let plain = |part: Component<'_>| {
            matches!(part, Component::RootDir | Component::Normal(_) | Component::CurDir)
        };
        if !folder.is_absolute() || !folder.components().all(plain) || text::bytes(&folder).contains(&0) {
            return Err(Failure::invalid(format!(
                "`{shown}` is not an absolute path without `..`; give the whole path"
            )));
        }
        let facts = folder.metadata().map_err(|error| {
            Failure::invalid(format!(
                "`{shown}` can't be a folder of the library ({error}); give a directory that is there"
            ))
        })?;
        if !facts.is_dir() {
            return Err(Failure::invalid(format!(
                "`{shown}` is not a directory; give the directory that holds the music"
            )));
        }
        if holds_mark(&folder) {
            return Err(Failure::invalid(format!(
                "`{shown}` is a player, for it holds {PLAYER_MARK}; give the directory that holds the music"
            )));
        }
        if let Some(player) = player_above(&folder) {
            let player = player.display();
            return Err(Failure::invalid(format!(
                "`{shown}` lies in the player `{player}`, for that holds {PLAYER_MARK}; choose a folder outside of it"
            )));
        }
        let folder: PathBuf = folder.components().collect();
        if !checked.contains(&folder) {
            checked.push(folder);
        }
    }
    Ok(checked)
}

/// The player that a folder lies in: a directory above it, links resolved. What is on a player came from a library.
pub(crate) fn player_above(folder: &Path) -> Option<PathBuf> {
    let real = folder.canonicalize().ok()?;
    real.ancestors().skip(1).find(|above| holds_mark(above)).map(Path::to_owned)
}

/// Whether a directory is a player. One that can't be listed holds its mark by its usual name alone.
fn holds_mark(directory: &Path) -> bool {
    let is_mark = |entry: &std::fs::DirEntry| {
        entry.file_name().eq_ignore_ascii_case(PLAYER_MARK)
            && entry.file_type().is_ok_and(|kind| kind.is_file())
    };
    directory.join(PLAYER_MARK).is_file()
        || directory.read_dir().is_ok_and(|entries| entries.flatten().any(|entry| is_mark(&entry)))
}

/// Stores the folders. It also confirms that playlists which were lost with a damaged file are to stay lost.
pub(crate) fn store(transaction: &Transaction<'_>, folders: &[PathBuf]) -> Result<()> {
    transaction.execute("DELETE FROM lib.folder", [])?;
    let mut insert = transaction.prepare_cached("INSERT INTO lib.folder VALUES (?1, ?2)")?;
    for (position, folder) in (0i64..).zip(folders) {
        insert.execute((position, text::bytes(folder)))?;
    }
    index::set_lib_meta(transaction, "damage", None)?;
    index::set_lib_meta(transaction, "confirmed", Some("1"))
}

/// The user's music directory by the XDG rules: `user-dirs.dirs`, else `Music` at home.
pub(crate) fn music_directory(home: &Path, config: Option<&OsStr>) -> PathBuf {
    let config =
        config.map(PathBuf::from).filter(|path| path.is_absolute()).unwrap_or_else(|| home.join(".config"));
    let set = std::fs::read(config.join("user-dirs.dirs")).ok().and_then(|text| from_user_dirs(&text, home));
    set.unwrap_or_else(|| home.join("Music"))
}

/// The music directory that `user-dirs.dirs` names. The home directory itself means that there is none.
fn from_user_dirs(text: &[u8], home: &Path) -> Option<PathBuf> {
    let line = text.split(|&byte| byte == b'\n').rev().find_map(|line| {
        let value =
            line.trim_ascii().strip_prefix(b"XDG_MUSIC_DIR")?.trim_ascii_start().strip_prefix(b"=")?;
        value.trim_ascii().strip_prefix(b"\"")?.strip_suffix(b"\"")
    })?;
    let mut value = Vec::new();
    let mut rest = line.iter();
    while let Some(&byte) = rest.next() {
        value.push(if byte == b'\\' { *rest.next()? } else { byte });
    }
    let path = match value.strip_prefix(b"$HOME") {
        Some(rest) => home.join(OsStr::from_bytes(rest.strip_prefix(b"/").unwrap_or(rest))),
        None => PathBuf::from(OsString::from_vec(value)),
    };
    let path: PathBuf = path.components().collect();
    (path.is_absolute() && path != home).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_dirs_as_desktops_write_it() {
        let home = Path::new("/home/ann");
        let read = |text: &str| from_user_dirs(text.as_bytes(), home);
        assert_eq!(read("# c\nXDG_MUSIC_DIR=\"$HOME/Musik\"\n"), Some("/home/ann/Musik".into()));
        assert_eq!(read("XDG_MUSIC_DIR=\"/data/My \\\"Music\\\"/\""), Some("/data/My \"Music\"".into()));
        for text in [
            "XDG_MUSIC_DIR=\"$HOME/\"",
            "XDG_MUSIC_DIR=\"Music\"",
            "XDG_MUSIC_DIR=$HOME/x",
            "#XDG_MUSIC_DIR=\"/x\"",
            "",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(music_directory(home, Some(OsStr::new("/nonexistent"))), Path::new("/home/ann/Music"));
    }

    #[test]
    fn folders_are_checked_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::File::create(&file).unwrap();
        let with_dots = folder.path().join("./");
        assert_eq!(check(vec![with_dots, folder.path().into()]).unwrap(), [folder.path()]);
        for bad in ["Music".into(), file, folder.path().join("b"), folder.path().join("x/../")] {
            let error = check(vec![bad.clone()]).unwrap_err().to_string();
            assert!(error.contains(&*bad.to_string_lossy()), "{error}");
        }
        assert!(check(Vec::new()).is_err());
        std::fs::File::create(folder.path().join(PLAYER_MARK)).unwrap();
        assert!(check(vec![folder.path().into()]).unwrap_err().to_string().contains("is a player"));
    }

    #[test]
    fn a_folder_in_a_player_is_refused() {
        let outer = tempfile::tempdir().unwrap();
        let (player, link) = (outer.path().join("player"), outer.path().join("link"));
        let (music, deep) = (player.join("Music"), player.join("Music/a/b"));
        std::fs::create_dir_all(&deep).unwrap();
        std::os::unix::fs::symlink(&deep, &link).unwrap();
        assert_eq!(check(vec![music.clone(), link.clone()]).unwrap().len(), 2);
        for mark in [PLAYER_MARK, "wmpinfo.XML"] {
            std::fs::File::create(player.join(mark)).unwrap();
            for folder in [&music, &deep, &link] {
                let error = check(vec![folder.clone()]).unwrap_err().to_string();
                let named =
                    [folder, &player.canonicalize().unwrap()].map(|path| format!("`{}`", path.display()));
                assert!(named.iter().all(|name| error.contains(name)), "{error}");
                assert!(error.contains("choose a folder outside"), "{error}");
            }
            std::fs::remove_file(player.join(mark)).unwrap();
        }
        // a link on the player that leads out of it is the owner's way to what lies there
        std::fs::File::create(player.join(PLAYER_MARK)).unwrap();
        let (out, outside) = (player.join("out"), outer.path().join("outside"));
        std::fs::create_dir(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, &out).unwrap();
        assert_eq!(check(vec![out.clone()]).unwrap(), [out]);
    }
}
