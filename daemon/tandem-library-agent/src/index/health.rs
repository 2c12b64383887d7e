//! Whether the two database files can be used, before they are: what isn't a file is refused, a damaged index thrown away, a
//! damaged library file set aside.
//!
//! Nothing is read from them here but their health and version.

use super::schema;
use crate::failure::{Failure, Result};
use rusqlite::Connection;
use std::fs;
use std::path::{Path, PathBuf};
use tandem_model::clock::{Clock, SystemClock};

/// What is wrong with a database file; `None` where it is sound, new or missing.
fn damage_of(file: &Path) -> Option<String> {
    if !file.exists() {
        return None;
    }
    let check = || -> rusqlite::Result<String> {
        let connection = Connection::open(file)?;
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
    };
    match check() {
        Ok(answer) if answer == "ok" => None,
        Ok(answer) => Some(answer),
        Err(error) => Some(error.to_string()),
    }
}

/// Refuses what is no file in a database's place or beside it, with what comes after it was moved away.
pub(super) fn check_kinds(file: &Path, then: &str) -> Result<()> {
    for suffix in SUFFIXES {
        let name = beside(file, suffix);
        if name.metadata().is_ok_and(|facts| !facts.is_file()) {
            let words = format!("{} is no file, so the library can't be kept there", name.display());
            return Err(Failure::invalid(format!("{words}; move it away, and {then}")));
        }
    }
    Ok(())
}

/// What SQLite keeps besides a database's name.
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The version that a database file says it has.
pub(super) fn version_of(file: &Path) -> Result<i64> {
    Ok(Connection::open(file)?.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

/// Removes a database file and what SQLite keeps beside it.
pub(super) fn remove(file: &Path) -> Result<()> {
    for name in SUFFIXES.map(|suffix| beside(file, suffix)) {
        match fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::Io(format!("{} can't be removed", name.display()), error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Throws the index away where it is damaged or of another version.
pub(super) fn prepare_index(file: &Path) -> Result<()> {
    if let Some(damage) = damage_of(file) {
        tracing::warn!(file = %file.display(), damage, "the index is damaged and is made again");
        return remove(file);
    }
    if file.exists() && ![0, schema::INDEX_VERSION].contains(&version_of(file)?) {
        tracing::info!("the index is of another version and is made again");
        return remove(file);
    }
    Ok(())
}

/// Sets a damaged library file aside; tells so in words for the user. Makes the tables where there are none.
pub(super) fn prepare_library(file: &Path) -> Result<Option<String>> {
    let mut set_aside = None;
    if let Some(damage) = damage_of(file) {
        let kept = file.with_extension(format!("sqlite.damaged-{}", SystemClock.now()));
        let io = |error| Failure::Io(format!("{} can't be set aside", file.display()), error);
        fs::rename(file, &kept).map_err(io)?;
        remove(file)?;
        tracing::error!(file = %file.display(), kept = %kept.display(), damage, "the library file is damaged");
        set_aside = Some(format!(
            "the file with the library's playlists and ratings was damaged and is kept as {}; make the playlists again, \
             then set the library's folders to confirm",
            kept.display()
        ));
    }
    let mut connection = Connection::open(file)?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match version {
        schema::LIBRARY_VERSION => {}
        0..schema::LIBRARY_VERSION => {
            let transaction = connection.transaction()?;
            if version == 0 {
                schema::create_library(&transaction)?;
            } else {
                schema::upgrade_library(&transaction, version)?;
            }
            transaction.commit()?;
        }
        newer => {
            let (file, known) = (file.display(), schema::LIBRARY_VERSION);
            return Err(Failure::Refused(tandem_model::error::LibraryError::Failed(format!(
                "{file} is of format {newer}, and this version reads {known}; install the version that wrote it"
            ))));
        }
    }
    Ok(set_aside)
}
