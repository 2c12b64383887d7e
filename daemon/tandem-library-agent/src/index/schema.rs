//! The tables of both database files.
//!
//! Paths are absolute, as bytes. `key` is a path's hash without regard to case and composition. Times are seconds since
//! 1970, `modified_ns` and `changed_ns` nanoseconds. A track is `untold` when it changed last while its size and
//! `modified_ns` stayed as they were.

use rusqlite::Transaction;
use std::time::Duration;

/// `user_version` of the index; a later one means that it is made again.
pub(super) const INDEX_VERSION: i64 = 2;
/// `user_version` of the library file.
pub(super) const LIBRARY_VERSION: i64 = 4;

const INDEX: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE dir (id INTEGER PRIMARY KEY, parent INTEGER, path BLOB NOT NULL UNIQUE);
CREATE INDEX dir_parent ON dir (parent);
CREATE TABLE track (
  id INTEGER PRIMARY KEY, dir INTEGER NOT NULL, path BLOB NOT NULL UNIQUE, key INTEGER NOT NULL,
  size INTEGER NOT NULL, modified_ns INTEGER NOT NULL, inode INTEGER NOT NULL, added INTEGER NOT NULL,
  mime TEXT NOT NULL, title TEXT NOT NULL, artist TEXT NOT NULL, album_artist TEXT NOT NULL, album TEXT NOT NULL,
  genre TEXT NOT NULL, composer TEXT NOT NULL, comment TEXT NOT NULL, label TEXT NOT NULL, date TEXT NOT NULL,
  track_number INTEGER NOT NULL, disc_number INTEGER NOT NULL, duration_ms INTEGER NOT NULL, bitrate INTEGER NOT NULL);
CREATE INDEX track_dir ON track (dir);
CREATE INDEX track_key ON track (key);
CREATE TABLE playlist_file (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, dir INTEGER NOT NULL, path BLOB NOT NULL UNIQUE,
  name TEXT NOT NULL, size INTEGER NOT NULL, modified_ns INTEGER NOT NULL, inode INTEGER NOT NULL);
CREATE INDEX playlist_file_dir ON playlist_file (dir);
CREATE TABLE playlist_entry (
  playlist INTEGER NOT NULL, position INTEGER NOT NULL, rank INTEGER NOT NULL, text TEXT NOT NULL, path BLOB NOT NULL,
  key INTEGER NOT NULL, PRIMARY KEY (playlist, position, rank)) WITHOUT ROWID;
";

/// What version 2 has that version 1 has not. A time of 0 has the next scan read a track again.
const INDEX_2: &str = "
ALTER TABLE track ADD COLUMN changed_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE track ADD COLUMN untold INTEGER NOT NULL DEFAULT 0;
";

const LIBRARY: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE folder (position INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE);
CREATE TABLE folder_seen (path BLOB PRIMARY KEY, tracks INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE playlist (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, kind TEXT NOT NULL, rule TEXT NOT NULL,
  sync_only INTEGER NOT NULL, preset TEXT UNIQUE);
CREATE TABLE playlist_item (
  playlist INTEGER NOT NULL, position INTEGER NOT NULL, path BLOB NOT NULL, PRIMARY KEY (playlist, position))
  WITHOUT ROWID;
CREATE INDEX playlist_item_path ON playlist_item (path);
CREATE TABLE media (
  path BLOB PRIMARY KEY, rating INTEGER NOT NULL DEFAULT 0, play_count INTEGER NOT NULL DEFAULT 0,
  last_played INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
";

/// What version 2 has that version 1 has not.
const LIBRARY_2: &str = "CREATE TABLE mount (path BLOB PRIMARY KEY) WITHOUT ROWID;";

/// What version 3 has that version 2 has not: where the file system is mounted that a library's folder lies on.
const LIBRARY_3: &str =
    "CREATE TABLE folder_mount (folder BLOB PRIMARY KEY, mount BLOB NOT NULL) WITHOUT ROWID;";

/// What version 4 has that version 3 has not: ids of playlist files that are not where they were when they got them.
const LIBRARY_4: &str =
    "CREATE TABLE playlist_path (path BLOB PRIMARY KEY, id TEXT NOT NULL UNIQUE) WITHOUT ROWID;";

/// Makes the index's tables. `again`: the library was scanned before, so this index replaces a lost one.
///
/// Generations and track numbers go on from the time in microseconds, so that they are beyond those of a lost index.
pub(super) fn create_index(
    transaction: &Transaction<'_>,
    now: Duration,
    again: bool,
) -> rusqlite::Result<()> {
    transaction.execute_batch(INDEX)?;
    let start = i64::try_from(now.as_micros()).unwrap_or(i64::MAX / 2);
    transaction.execute(
        "INSERT INTO main.meta VALUES ('generation', ?1), ('next_track', ?1), ('last_scan', 0), ('again', ?2)",
        (start, again),
    )?;
    upgrade_index(transaction)
}

/// Makes an index of version 1 one of this version.
pub(super) fn upgrade_index(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(INDEX_2)?;
    transaction.pragma_update(None, "user_version", INDEX_VERSION)
}

/// Makes the library file's tables.
pub(super) fn create_library(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(LIBRARY)?;
    upgrade_library(transaction, 1)
}

/// Makes a library file of an earlier version one of this version.
pub(super) fn upgrade_library(transaction: &Transaction<'_>, from: i64) -> rusqlite::Result<()> {
    if from < 2 {
        transaction.execute_batch(LIBRARY_2)?;
    }
    if from < 3 {
        transaction.execute_batch(LIBRARY_3)?;
    }
    transaction.execute_batch(LIBRARY_4)?;
    transaction.pragma_update(None, "user_version", LIBRARY_VERSION)
}
