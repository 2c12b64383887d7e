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
        if folder.join(PLAYER_MARK).is_file() {
            return Err(Failure::invalid(format!(
                "`{shown}` is a player, for it holds {PLAYER_MARK}; give the directory that holds the music"
            )));
        }
        let folder: PathBuf = folder.components().collect();
        if !checked.contains(&folder) {
            checked.push(folder);
        }
    }
    Ok(checked)
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
}
