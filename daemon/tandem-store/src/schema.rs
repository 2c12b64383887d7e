//! The SQL of a manifest: its tables, how a connection is set up, how a new file is made.
//!
//! It doesn't decide what to do about a file that isn't as it should be; `manifest_store` does.

use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// The format that this version writes, and the newest that it reads; `PRAGMA user_version`.
pub(crate) const FORMAT: u32 = 5;

/// `PRAGMA application_id` of our files: "TNDM".
pub(crate) const APPLICATION: i32 = 0x544e_444d;

/// Statements that a run uses over and over, with room to spare.
const CACHED_STATEMENTS: usize = 24;

/// KiB of pages kept in memory; 10,000 entries are read through once, so more would only be held, not used.
const CACHE_KIB: u32 = 256;

const TABLES: &str = "
CREATE TABLE entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    origin_kind INTEGER NOT NULL,
    origin TEXT NOT NULL,
    path TEXT NOT NULL,
    persistent_id TEXT NOT NULL,
    size INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,
    source_size INTEGER NOT NULL,
    source_modified_ns INTEGER NOT NULL,
    hash BLOB NOT NULL,
    audio_hash BLOB,
    state INTEGER NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;
CREATE INDEX entries_origin ON entries (origin);
CREATE TABLE folders (
    path TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
CREATE TABLE intents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind INTEGER NOT NULL,
    entry INTEGER REFERENCES entries (id),
    origin_kind INTEGER,
    origin TEXT,
    path TEXT,
    temporary TEXT,
    size INTEGER,
    modified_ns INTEGER,
    checksum INTEGER NOT NULL
) STRICT;
CREATE INDEX intents_entry ON intents (entry);
CREATE TABLE results (
    position INTEGER PRIMARY KEY,
    media TEXT NOT NULL,
    error TEXT,
    message TEXT NOT NULL
) STRICT;
CREATE INDEX results_media ON results (media);
";

/// The run that isn't closed; none or one row.
const RUNS: &str = "
CREATE TABLE runs (
    id BLOB PRIMARY KEY,
    began INTEGER NOT NULL,
    changes INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// When the open run last recorded something.
const RUNS_LAST: &str = "ALTER TABLE runs ADD COLUMN last INTEGER NOT NULL DEFAULT 0";

/// Fills an empty file. It is in rollback mode, so that the one file holds everything when it is closed.
pub(crate) fn create(path: &Path) -> rusqlite::Result<()> {
    let mut connection = open_file(path)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let transaction = connection.transaction()?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.execute_batch(TABLES)?;
    transaction.execute_batch(RUNS)?;
    transaction.execute_batch(RUNS_LAST)?;
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)
}

/// A connection to a file that exists; nothing has been read from it yet.
pub(crate) fn open_file(path: &Path) -> rusqlite::Result<Connection> {
    // one thread at a time holds a connection, so SQLite's own locks would only cost
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // where a file can't be opened for writing, SQLite opens it for reading, and all that is recorded would fail for good
    if connection.is_readonly(rusqlite::MAIN_DB)? {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_READONLY),
            None,
        ));
    }
    Ok(connection)
}

/// Application and format of the file.
pub(crate) fn identity(connection: &Connection) -> rusqlite::Result<(i32, u32)> {
    let application = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let format = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok((application, format))
}

/// Makes a file of an earlier format one of this, in one step. What of an entry's bytes isn't tags is not known in one of
/// format 1, of no run in one of 1 or 2 whether it is open, and in one of 3 when the open one last recorded something. One
/// of 4 has no albums, and those who know no later format can't read them.
pub(crate) fn upgrade(connection: &mut Connection, format: u32) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    if format < 2 {
        transaction.execute_batch("ALTER TABLE entries ADD COLUMN audio_hash BLOB")?;
    }
    if format < 3 {
        transaction.execute_batch(RUNS)?;
    }
    if format < 4 {
        transaction.execute_batch(RUNS_LAST)?;
    }
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

/// Sets the connection up: a commit that returned survives a power cut, and memory stays bounded.
pub(crate) fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cache_size", -i64::from(CACHE_KIB))?;
    // the tables and columns that we rely on; a file without them is not a manifest
    for statement in [
        "SELECT id, origin_kind, origin, path, persistent_id, size, modified_ns, source_size, source_modified_ns, hash, \
         audio_hash, state, checksum FROM entries LIMIT 0",
        "SELECT id, kind, entry, origin_kind, origin, path, temporary, size, modified_ns, checksum FROM intents LIMIT 0",
        "SELECT path FROM folders LIMIT 0",
        "SELECT position, media, error, message FROM results LIMIT 0",
        "SELECT id, began, changes, bytes, last FROM runs LIMIT 0",
    ] {
        connection.prepare(statement)?;
    }
    Ok(())
}

/// What `PRAGMA quick_check` finds wrong, reading the whole file; `None` for nothing.
pub(crate) fn quick_check(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let finding: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    Ok((finding != "ok").then_some(finding))
}
