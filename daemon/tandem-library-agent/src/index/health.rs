//! Whether the two database files can be used, before they are: what isn't a file is refused, a damaged index thrown away, a
//! damaged library file set aside.
//!
//! Nothing is read from them here but their health and version.

use super::schema;
use crate::failure::{Failure, Result, tells_of_damage};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ffi};
use std::fs;
use std::path::{Path, PathBuf};
use tandem_model::clock::{Clock, SystemClock};

/// What is damaged in a database file; `None` where it is sound, new or missing. Any other reason why it can't be read is
/// an error: it says nothing of what the file holds.
fn damage_of(file: &Path) -> Result<Option<String>> {
    let length = |name: &Path| name.metadata().map_or(0, |facts| facts.len());
    if length(file) == 0 {
        // SQLite would delete the log of an empty file
        let has_log = length(&beside(file, LOG)) > 0;
        return Ok(has_log.then(|| "it is empty or missing, and its log is not".to_owned()));
    }
    let check = || -> rusqlite::Result<String> {
        let connection = Connection::open(file)?;
        // the log of a damaged file stays as it is
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
    };
    match check() {
        Ok(answer) if answer == "ok" => Ok(None),
        Ok(answer) => unread(&answer).map_or(Ok(Some(answer)), |error| Err(error.into())),
        Err(error) if tells_of_damage(&error) => Ok(Some(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// The error that a check's answer hides: a page that the disk did not give is no damaged one.
fn unread(answer: &str) -> Option<rusqlite::Error> {
    let (_, rest) = answer.split_once("unable to get the page. error code=")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    let error =
        rusqlite::Error::SqliteFailure(ffi::Error::new(digits.parse().ok()?), Some(answer.to_owned()));
    (!tells_of_damage(&error)).then_some(error)
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

/// What a database's log has behind its name.
const LOG: &str = "-wal";

/// A database and what SQLite keeps beside it. The file itself is the first to go: without its log it would be used
/// as it was before, and a log that is left alone is noticed.
const SUFFIXES: [&str; 4] = ["", LOG, "-shm", "-journal"];

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
    if let Some(damage) = damage_of(file)? {
        tracing::warn!(file = %file.display(), damage, "the index is damaged and is made again");
        return remove(file);
    }
    if file.exists() && !(0..=schema::INDEX_VERSION).contains(&version_of(file)?) {
        tracing::info!("the index is of another version and is made again");
        return remove(file);
    }
    Ok(())
}

/// Renames a database file and what SQLite keeps beside it; gives the new name.
fn set_aside(file: &Path) -> Result<PathBuf> {
    let name = |time| file.with_extension(format!("sqlite.damaged-{time}"));
    let is_free = |kept: &PathBuf| SUFFIXES.iter().all(|suffix| !beside(kept, suffix).exists());
    let kept = (SystemClock.now()..).map(name).find(is_free);
    let kept = kept.expect("a directory doesn't hold a name for each second that is to come");
    for suffix in SUFFIXES {
        match fs::rename(beside(file, suffix), beside(&kept, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::Io(format!("{} can't be set aside", file.display()), error));
            }
            _ => {}
        }
    }
    Ok(kept)
}

/// Sets a damaged library file aside; remembers that in words for the user. Makes the tables where there are none.
pub(super) fn prepare_library(file: &Path) -> Result<()> {
    let mut words = None;
    if let Some(damage) = damage_of(file)? {
        let kept = set_aside(file)?;
        tracing::error!(file = %file.display(), kept = %kept.display(), damage, "the library file is damaged");
        words = Some(format!(
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
                if let Some(words) = words {
                    transaction.execute("INSERT INTO meta VALUES ('damage', ?1)", [words])?;
                }
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
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_the_disk_did_not_give_is_no_damaged_one() {
        let answer = |code: i32| {
            format!("*** in database main ***\nTree 2 page 5: unable to get the page. error code={code}")
        };
        assert!(unread(&answer(ffi::SQLITE_IOERR_READ)).is_some());
        assert!(unread(&answer(ffi::SQLITE_CORRUPT)).is_none());
        assert!(
            unread("*** in database main ***\nTree 2 page 5: btreeInitPage() returns error code 11")
                .is_none()
        );
    }
}
