//! The agent's two database files: `index.sqlite`, which a scan can make again, and `library.sqlite`, which holds what
//! the user made (playlists, ratings, folders) and is attached to it as `lib`.
//!
//! A damaged index is thrown away; a damaged library file is set aside under another name, and that is remembered.
//! Damaged is what SQLite calls so, and nothing else that keeps a file from being opened.

mod functions;
mod health;
mod schema;

use crate::failure::{Failure, Result};
use crate::scan::tags;
use health::{check_kinds, prepare_index, prepare_library};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

/// Connections for reading that are kept open.
const KEPT_READERS: usize = 2;

/// A scan's batch is written from memory, in KiB.
const WRITER_CACHE: &str = "PRAGMA main.cache_size = -8192";

/// Which reader of tags filled the index.
const TAG_READER: &str = "tag_reader";

/// The library's folders, shared with the SQL function that makes paths relative.
pub(crate) type Folders = Arc<RwLock<Vec<PathBuf>>>;

/// The database files, open.
pub(crate) struct Index {
    file: PathBuf,
    library_file: PathBuf,
    folders: Folders,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
    /// How many transactions were committed, and how many of them are on the disk.
    committed: AtomicU64,
    synced: Mutex<u64>,
}

impl Index {
    /// Opens or makes the files in this directory.
    pub(crate) fn open(directory: &Path, folders: Folders) -> Result<Self> {
        let io =
            |error| Failure::Io(format!("the state directory {} can't be made", directory.display()), error);
        fs::create_dir_all(directory).map_err(io)?;
        let file = directory.join("index.sqlite");
        let library_file = directory.join("library.sqlite");
        check_kinds(&library_file, "put the file from a backup in its place")?;
        check_kinds(&file, "it is made again")?;
        prepare_library(&library_file).map_err(|failure| failure.about(&library_file))?;
        prepare_index(&file).map_err(|failure| failure.about(&file))?;
        let writer = open_writer(&file, &library_file, &folders).map_err(|failure| failure.about(&file))?;
        Ok(Self {
            file,
            library_file,
            folders,
            writer: Mutex::new(writer),
            readers: Mutex::default(),
            committed: AtomicU64::new(0),
            synced: Mutex::default(),
        })
    }

    /// Runs `work` in one read transaction, so that all that it reads is of one moment.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let kept = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match kept {
            Some(connection) => connection,
            None => connect(&self.file, &self.library_file, &self.folders)?,
        };
        let transaction = connection.transaction()?;
        let outcome = work(&transaction);
        transaction.finish()?;
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < KEPT_READERS {
            readers.push(connection);
        }
        outcome
    }

    /// Runs `work` in one write transaction, which is undone where it fails and on the disk where it doesn't.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let (outcome, number) = self.commit(work)?;
        self.sync(number)?;
        Ok(outcome)
    }

    /// Like `write`, and the generation grows with it.
    pub(crate) fn change<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        self.write(|transaction| grow(transaction, work))
    }

    /// Like `write` for what is the index's alone: a power cut may undo it, and the next scan makes it again.
    pub(crate) fn write_index<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        Ok(self.commit(work)?.0)
    }

    /// Like `write_index`, and the generation grows with it.
    pub(crate) fn change_index<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        self.write_index(|transaction| grow(transaction, work))
    }

    fn commit<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<(T, u64)> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let outcome = work(&transaction)?;
        transaction.commit()?;
        Ok((outcome, self.committed.fetch_add(1, Ordering::SeqCst) + 1))
    }

    /// Waits until the transaction of this number is on the disk. One wait serves all that were committed before it
    /// begins, so that many changes at once cost few.
    fn sync(&self, number: u64) -> Result<()> {
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        if *synced >= number {
            return Ok(());
        }
        let committed = self.committed.load(Ordering::SeqCst);
        let mut log = self.library_file.clone().into_os_string();
        log.push("-wal");
        let is_first = *synced == 0;
        let outcome = fs::File::open(&log).and_then(|log| log.sync_data()).and_then(|()| {
            // the log's own name is new in its directory
            let directory = self.library_file.parent().filter(|_| is_first);
            directory.map_or(Ok(()), |directory| fs::File::open(directory)?.sync_all())
        });
        match outcome {
            // a file system that can't have a log has the file itself written with each commit
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let words = format!("{} can't be written to the disk", self.library_file.display());
                return Err(Failure::Io(words, error));
            }
            _ => *synced = committed,
        }
        Ok(())
    }

    /// The library's folders now.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        self.folders.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes these the library's folders for path functions; storing them is the caller's.
    pub(crate) fn show_folders(&self, folders: Vec<PathBuf>) {
        *self.folders.write().unwrap_or_else(PoisonError::into_inner) = folders;
    }
}

/// The connection that changes are made with; the index has its tables then.
fn open_writer(file: &Path, library_file: &Path, folders: &Folders) -> Result<Connection> {
    let mut writer = connect(file, library_file, folders)?;
    let version = index_version(&writer)?;
    if version != schema::INDEX_VERSION {
        let transaction = writer.transaction()?;
        if version == 0 {
            let known = lib_meta(&transaction, "scanned")?.is_some();
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            schema::create_index(&transaction, now, known)?;
        } else {
            schema::upgrade_index(&transaction)?;
        }
        transaction.commit()?;
    }
    if meta(&writer, TAG_READER)? != tags::READER {
        let transaction = writer.transaction()?;
        read_tags_again(&transaction)?;
        transaction.commit()?;
    }
    writer.execute_batch(WRITER_CACHE)?;
    Ok(writer)
}

/// Has the next scan find every track changed; each keeps its number and when it was added.
fn read_tags_again(transaction: &Transaction<'_>) -> Result<()> {
    transaction.execute("UPDATE main.track SET inode = -1", [])?;
    set_meta(transaction, TAG_READER, tags::READER)
}

fn grow<T>(transaction: &Transaction<'_>, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
    let outcome = work(transaction)?;
    transaction.prepare_cached("UPDATE meta SET value = value + 1 WHERE key = 'generation'")?.execute([])?;
    Ok(outcome)
}

/// A number of the index's meta table; 0 where it has none.
pub(crate) fn meta(connection: &Connection, key: &str) -> Result<u64> {
    let value: Option<i64> = connection
        .prepare_cached("SELECT value FROM main.meta WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    Ok(value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0))
}

/// Sets a number of the index's meta table.
pub(crate) fn set_meta(connection: &Connection, key: &str, value: u64) -> Result<()> {
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "INSERT INTO main.meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )?
        .execute((key, value))?;
    Ok(())
}

/// A text of the library file's meta table.
pub(crate) fn lib_meta(connection: &Connection, key: &str) -> Result<Option<String>> {
    let mut statement = connection.prepare_cached("SELECT value FROM lib.meta WHERE key = ?1")?;
    Ok(statement.query_row([key], |row| row.get(0)).optional()?)
}

/// Sets or removes a text of the library file's meta table.
pub(crate) fn set_lib_meta(connection: &Connection, key: &str, value: Option<&str>) -> Result<()> {
    match value {
        Some(value) => connection
            .prepare_cached(
                "INSERT INTO lib.meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            )?
            .execute((key, value))?,
        None => connection.prepare_cached("DELETE FROM lib.meta WHERE key = ?1")?.execute([key])?,
    };
    Ok(())
}

/// A connection to both files. That commits don't wait for the disk is no harm: [`Index::sync`] does, once for many.
fn connect(file: &Path, library_file: &Path, folders: &Folders) -> Result<Connection> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(std::time::Duration::from_secs(20))?;
    connection.execute("ATTACH ?1 AS lib", [library_file.to_str().ok_or_else(|| not_text(library_file))?])?;
    connection.execute_batch(
        "PRAGMA main.journal_mode = WAL; PRAGMA main.synchronous = NORMAL; PRAGMA main.cache_size = -2048;
         PRAGMA lib.journal_mode = WAL; PRAGMA lib.synchronous = NORMAL; PRAGMA lib.cache_size = -512;
         PRAGMA temp_store = FILE; PRAGMA main.journal_size_limit = 4194304; PRAGMA trusted_schema = OFF;",
    )?;
    connection.set_prepared_statement_cache_capacity(48);
    functions::register(&connection, folders)?;
    Ok(connection)
}

/// SQLite takes the name of an attached file as text.
fn not_text(file: &Path) -> Failure {
    Failure::invalid(format!("{} is not UTF-8 text; choose another state directory", file.display()))
}

fn index_version(connection: &Connection) -> Result<i64> {
    Ok(connection.query_row("PRAGMA main.user_version", [], |row| row.get(0))?)
}

#[cfg(test)]
mod tests;
