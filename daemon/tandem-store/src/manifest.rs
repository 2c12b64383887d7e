//! One partnership's manifest: what is on the device, what is about to be done there, how the last run went.
//!
//! Each call is one transaction. Whether a file may be opened at all is `manifest_store`'s business.

use crate::damage;
use crate::manifest_store::Suspects;
use crate::rows::{self, ENTRY_COLUMNS, INTENT_COLUMNS};
use crate::runs::{self, Done};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::path::PathBuf;
use std::sync::Arc;
use tandem_model::error::{ItemError, StoreError};
use tandem_model::id::{Guid, MediaUri};
use tandem_model::manifest::{
    Correction, Entry, EntryState, Intent, ItemResult, Manifest, OpenRun, Outcome, Record,
};
use tandem_model::path::DevicePath;

/// An open manifest.
pub(crate) struct SqliteManifest {
    pub(crate) path: PathBuf,
    pub(crate) relationship: Guid,
    pub(crate) connection: Connection,
    /// Where damage is reported that opening didn't see, so that the next opening looks closer.
    pub(crate) suspects: Arc<Suspects>,
    /// Whose doing is what is committed: a run's id, and when it began.
    pub(crate) run: Option<(Guid, u64)>,
}

/// Why a transaction isn't committed.
enum Refusal {
    Sqlite(rusqlite::Error),
    /// The caller names something that isn't there, or can't be done.
    Request(String),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn request<T>(what: String) -> Result<T, Refusal> {
    Err(Refusal::Request(what))
}

impl SqliteManifest {
    fn error(&self, error: &rusqlite::Error) -> StoreError {
        let error = damage::store_error(&self.path, error);
        if matches!(error, StoreError::Damaged { .. }) {
            self.suspects.add(self.relationship);
        }
        error
    }

    fn read<T>(
        &self,
        query: &str,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let rows =
            || self.connection.prepare_cached(query)?.query_map([], read)?.collect::<rusqlite::Result<_>>();
        rows().map_err(|error| self.error(&error))
    }

    fn transact<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Refusal>,
    ) -> Result<T, StoreError> {
        let result = (|| {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        })();
        result.map_err(|refusal| match refusal {
            Refusal::Sqlite(error) => self.error(&error),
            Refusal::Request(what) => StoreError::Io {
                path: self.path.display().to_string(),
                cause: format!("not recorded: {what}"),
            },
        })
    }

    /// Reads every row as if to use it; for a file that is suspected.
    pub(crate) fn check_rows(&self) -> Result<(), StoreError> {
        self.each_entry(&mut drop)?;
        self.folders()?;
        self.pending()?;
        self.results()?;
        self.open_run()?;
        Ok(())
    }
}

impl Manifest for SqliteManifest {
    fn each_entry(&self, see: &mut dyn FnMut(Entry)) -> Result<(), StoreError> {
        let query = format!("SELECT {ENTRY_COLUMNS} FROM entries ORDER BY id");
        let mut read = || {
            let mut statement = self.connection.prepare_cached(&query)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                see(rows::read_entry(row)?);
            }
            Ok(())
        };
        let read: rusqlite::Result<()> = read();
        read.map_err(|error| self.error(&error))
    }

    fn was_filled(&self) -> Result<bool, StoreError> {
        // the numbers of entries go on from there, so it stays when all entries are gone
        let query = "SELECT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'entries')";
        let filled = || self.connection.prepare_cached(query)?.query_row([], |row| row.get(0));
        filled().map_err(|error| self.error(&error))
    }

    fn folders(&self) -> Result<Vec<DevicePath>, StoreError> {
        self.read("SELECT path FROM folders ORDER BY path", |row| rows::path(row, 0))
    }

    fn media_state(&self, media: &MediaUri) -> Result<(bool, bool), StoreError> {
        let query =
            "SELECT EXISTS (SELECT 1 FROM entries WHERE origin_kind = ?1 AND origin = ?2 AND state IN (?3, ?5)),
                            EXISTS (SELECT 1 FROM results WHERE media = ?2 AND error = ?4)";
        let values = params![rows::TRACK, &*media.0, rows::PRESENT, ItemError::NoFit.as_str(), rows::FOREIGN];
        let state = || {
            let mut statement = self.connection.prepare_cached(query)?;
            statement.query_row(values, |row| Ok((row.get(0)?, row.get(1)?)))
        };
        state().map_err(|error| self.error(&error))
    }

    fn pending(&self) -> Result<Vec<(i64, Intent)>, StoreError> {
        self.read(&format!("SELECT {INTENT_COLUMNS} FROM intents ORDER BY id"), rows::read_intent)
    }

    fn record(&mut self, record: Record<'_>) -> Result<Vec<i64>, StoreError> {
        let run = self.run;
        let Record { at, corrections, outcomes, intents } = record;
        self.transact(|transaction| {
            corrections.iter().try_for_each(|correction| apply(transaction, correction))?;
            let mut done = Done::default();
            for outcome in outcomes {
                done.add(settle(transaction, outcome)?);
            }
            if let Some((id, began)) = run {
                runs::note(transaction, id, began, at, done)?;
            }
            intents.iter().map(|intent| intend(transaction, intent)).collect()
        })
    }

    fn correct(&mut self, corrections: &[Correction]) -> Result<(), StoreError> {
        self.transact(|transaction| {
            corrections.iter().try_for_each(|correction| apply(transaction, correction))
        })
    }

    fn results(&self) -> Result<Vec<ItemResult>, StoreError> {
        self.read("SELECT media, error, message FROM results ORDER BY position", |row| {
            let word: Option<String> = row.get(1)?;
            let error = word.map(|word| {
                ItemError::parse(&word)
                    .ok_or_else(|| rows::bad(1, Type::Text, format!("no item error `{word}`")))
            });
            Ok(ItemResult { media: row.get(0)?, error: error.transpose()?, message: row.get(2)? })
        })
    }

    fn set_results(&mut self, results: &[ItemResult]) -> Result<(), StoreError> {
        self.transact(|transaction| {
            transaction.execute("DELETE FROM results", [])?;
            let mut insert = transaction.prepare_cached(
                "INSERT INTO results (position, media, error, message) VALUES (?1, ?2, ?3, ?4)",
            )?;
            for (position, result) in (0i64..).zip(results) {
                let error = result.error.map(ItemError::as_str);
                insert.execute(params![position, result.media, error, result.message])?;
            }
            Ok(())
        })
    }

    fn begin_run(&mut self, id: Guid, began: u64) {
        self.run = Some((id, began));
    }

    fn open_run(&self) -> Result<Option<OpenRun>, StoreError> {
        runs::open(&self.connection).map_err(|error| self.error(&error))
    }

    fn close_run(&mut self, id: Guid) -> Result<(), StoreError> {
        if self.open_run()?.is_none_or(|open| open.id != id) {
            return Ok(());
        }
        self.transact(|transaction| Ok(transaction.execute("DELETE FROM runs", []).map(drop)?))
    }
}

/// Takes an intent out of the journal.
fn take_intent(transaction: &Transaction<'_>, id: i64) -> Result<Intent, Refusal> {
    let query = format!("DELETE FROM intents WHERE id = ?1 RETURNING {INTENT_COLUMNS}");
    let taken = transaction.prepare_cached(&query)?.query_row([id], rows::read_intent).optional()?;
    taken.map_or_else(|| request(format!("there is no pending intent {id}")), |(_, intent)| Ok(intent))
}

/// Takes a change of tags out of the journal: its entry, and the source's size and time.
fn take_update(transaction: &Transaction<'_>, id: i64) -> Result<(Entry, u64, i64), Refusal> {
    match take_intent(transaction, id)? {
        Intent::UpdateMetadata { entry, size, modified_ns } => {
            Ok((find(transaction, entry)?, size, modified_ns))
        }
        Intent::Write { .. } | Intent::Delete { .. } => {
            request(format!("intent {id} is not to change tags, and can't end with changed ones"))
        }
    }
}

/// Records an outcome; tells what was done on the device.
fn settle(transaction: &Transaction<'_>, outcome: &Outcome) -> Result<Done, Refusal> {
    match outcome {
        Outcome::Written { intent: id, persistent_id, facts, hash, .. }
        | Outcome::Found { intent: id, persistent_id, facts, hash } => {
            let Intent::Write { origin, path, size, modified_ns, replaces, .. } =
                take_intent(transaction, *id)?
            else {
                return request(format!("intent {id} is to delete, and can't end with a written file"));
            };
            let entry = Entry {
                id: replaces.map_or_else(|| next_number(transaction, "entries"), Ok)?,
                origin,
                path,
                persistent_id: persistent_id.as_str().into(),
                facts: *facts,
                source_size: size,
                source_modified_ns: if matches!(outcome, Outcome::Found { .. }) { 0 } else { modified_ns },
                hash: *hash,
                audio_hash: match outcome {
                    Outcome::Written { audio_hash, .. } => *audio_hash,
                    _ => None,
                },
                state: EntryState::Present,
            };
            match replaces {
                Some(_) => update(transaction, &entry)?,
                None => insert(transaction, &entry)?,
            }
            Ok(Done::written(facts.size))
        }
        Outcome::Deleted { intent: id } => match take_intent(transaction, *id)? {
            Intent::Delete { entry, .. } => forget(transaction, entry).map(|()| Done::written(0)),
            Intent::Write { replaces: Some(entry), .. } => {
                forget(transaction, entry).map(|()| Done::default())
            }
            Intent::Write { replaces: None, .. } => {
                request(format!("intent {id} is to write a new file, and can't end with a deleted one"))
            }
            Intent::UpdateMetadata { .. } => {
                request(format!("intent {id} is to change tags, and can't end with a deleted file"))
            }
        },
        Outcome::MetadataUpdated { intent: id, facts } => {
            let (entry, size, modified_ns) = take_update(transaction, *id)?;
            let entry = Entry { facts: *facts, source_size: size, source_modified_ns: modified_ns, ..entry };
            update(transaction, &entry).map(|()| Done::written(0))
        }
        Outcome::MetadataUnknown { intent: id, facts, refused } => {
            let (entry, size, _) = take_update(transaction, *id)?;
            let audio_hash = entry.audio_hash.filter(|_| !refused);
            let entry =
                Entry { facts: *facts, source_size: size, source_modified_ns: 0, audio_hash, ..entry };
            update(transaction, &entry).map(|()| Done::default())
        }
        Outcome::Abandoned { intent } => take_intent(transaction, *intent).map(|_| Done::default()),
    }
}

/// The number of the table's next row. Numbers are never used again, so that an old one can't mean a new row.
fn next_number(transaction: &Transaction<'_>, table: &str) -> Result<i64, Refusal> {
    let mut query = transaction.prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = ?1")?;
    let last: Option<i64> = query.query_row([table], |row| row.get(0)).optional()?;
    match last.unwrap_or(0).checked_add(1) {
        Some(next) => Ok(next),
        None => request(format!("the numbers of table {table} are used up")),
    }
}

fn insert(transaction: &Transaction<'_>, entry: &Entry) -> Result<(), Refusal> {
    let query = format!(
        "INSERT INTO entries ({ENTRY_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
    );
    Ok(rows::write_entry(&mut *transaction.prepare_cached(&query)?, entry)?)
}

/// Puts an entry in the place of the one with its number.
fn update(transaction: &Transaction<'_>, entry: &Entry) -> Result<(), Refusal> {
    let query = format!(
        "UPDATE entries SET ({ENTRY_COLUMNS}) = (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) WHERE id = ?1"
    );
    Ok(rows::write_entry(&mut *transaction.prepare_cached(&query)?, entry)?)
}

fn intend(transaction: &Transaction<'_>, intent: &Intent) -> Result<i64, Refusal> {
    let entry = match intent {
        Intent::Write { replaces, .. } => *replaces,
        Intent::Delete { entry, .. } | Intent::UpdateMetadata { entry, .. } => Some(*entry),
    };
    if let Some(entry) = entry {
        find(transaction, entry)?;
    }
    let id = next_number(transaction, "intents")?;
    let query =
        format!("INSERT INTO intents ({INTENT_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
    rows::write_intent(&mut *transaction.prepare_cached(&query)?, id, intent)?;
    Ok(id)
}

fn find(transaction: &Transaction<'_>, id: i64) -> Result<Entry, Refusal> {
    let query = format!("SELECT {ENTRY_COLUMNS} FROM entries WHERE id = ?1");
    let entry = transaction.prepare_cached(&query)?.query_row([id], rows::read_entry).optional()?;
    entry.map_or_else(|| request(format!("there is no entry {id}")), Ok)
}

/// Removes an entry, which no intent may still name.
fn forget(transaction: &Transaction<'_>, id: i64) -> Result<(), Refusal> {
    let intent: Option<i64> = transaction
        .prepare_cached("SELECT id FROM intents WHERE entry = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    if let Some(intent) = intent {
        return request(format!("entry {id} can't be forgotten while intent {intent} is pending"));
    }
    match transaction.prepare_cached("DELETE FROM entries WHERE id = ?1")?.execute([id])? {
        0 => request(format!("there is no entry {id}")),
        _ => Ok(()),
    }
}

fn apply(transaction: &Transaction<'_>, correction: &Correction) -> Result<(), Refusal> {
    match correction {
        Correction::Source { entry, origin, size, modified_ns } => {
            let old = find(transaction, *entry)?;
            let new =
                Entry { origin: origin.clone(), source_size: *size, source_modified_ns: *modified_ns, ..old };
            update(transaction, &new)
        }
        Correction::Place { entry, path } => {
            let old = find(transaction, *entry)?;
            update(transaction, &Entry { path: path.clone(), ..old })
        }
        Correction::State { entry, state } => {
            let old = find(transaction, *entry)?;
            update(transaction, &Entry { state: *state, ..old })
        }
        Correction::Found { origin, path, facts, size, modified_ns, hash } => insert(
            transaction,
            &Entry {
                id: next_number(transaction, "entries")?,
                origin: origin.clone(),
                path: path.clone(),
                persistent_id: path.shared(),
                facts: *facts,
                source_size: *size,
                source_modified_ns: *modified_ns,
                hash: *hash,
                audio_hash: None,
                state: EntryState::Foreign,
            },
        ),
        Correction::Forget { entry } => forget(transaction, *entry),
        Correction::ForgetSkipped => forget_skipped(transaction),
        Correction::MadeFolders(folders) => {
            let mut insert =
                transaction.prepare_cached("INSERT OR IGNORE INTO folders (path) VALUES (?1)")?;
            Ok(folders.iter().try_for_each(|folder| insert.execute([folder.as_str()]).map(drop))?)
        }
        Correction::ForgetFolders(folders) => {
            let mut delete = transaction.prepare_cached("DELETE FROM folders WHERE path = ?1")?;
            Ok(folders.iter().try_for_each(|folder| delete.execute([folder.as_str()]).map(drop))?)
        }
    }
}

fn forget_skipped(transaction: &Transaction<'_>) -> Result<(), Refusal> {
    let skipped: Vec<i64> = transaction
        .prepare_cached("SELECT id FROM entries WHERE state <> ?1")?
        .query_map([rows::PRESENT], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    skipped.into_iter().try_for_each(|id| forget(transaction, id))
}

#[cfg(test)]
mod tests;
