//! The run that a manifest's commits belong to: what it has done so far, so that one that is cut can still be told of.
//!
//! It is recorded with the commits themselves and costs no step of its own. How runs went in the end is not kept here.

use crate::rows;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use tandem_model::id::Guid;
use tandem_model::manifest::OpenRun;

/// What outcomes say was done on the device.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Done {
    changes: u32,
    bytes: u64,
}

impl Done {
    /// One file, of which so many bytes were written.
    pub(crate) fn written(bytes: u64) -> Self {
        Self { changes: 1, bytes }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.changes = self.changes.saturating_add(other.changes);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// Adds what was done by now to the run, which takes the place of another.
pub(crate) fn note(
    transaction: &Transaction<'_>,
    id: Guid,
    began: u64,
    at: u64,
    done: Done,
) -> rusqlite::Result<()> {
    let key = id.0.to_be_bytes();
    let before = transaction
        .prepare_cached("SELECT changes, bytes FROM runs WHERE id = ?1")?
        .query_row([key], |row| Ok(Done { changes: row.get(0)?, bytes: rows::size(row, 1)? }))
        .optional()?;
    if before.is_none() {
        transaction.prepare_cached("DELETE FROM runs")?.execute([])?;
    }
    let mut all = before.unwrap_or_default();
    all.add(done);
    let most = i64::MAX.cast_unsigned();
    let [began, last, bytes] = [began, at, all.bytes].map(|number| number.min(most).cast_signed());
    let query = "INSERT OR REPLACE INTO runs (id, began, changes, bytes, last) VALUES (?1, ?2, ?3, ?4, ?5)";
    transaction.prepare_cached(query)?.execute(params![key, began, all.changes, bytes, last])?;
    Ok(())
}

/// The run that isn't closed.
pub(crate) fn open(connection: &Connection) -> rusqlite::Result<Option<OpenRun>> {
    let read = |row: &Row<'_>| {
        let id = row.get(0)?;
        let began = rows::size(row, 1)?;
        Ok(OpenRun {
            id: Guid(u128::from_be_bytes(id)),
            began,
            // the clock may have been set back meanwhile
            last: rows::size(row, 5)?.max(began),
            change_count: row.get(2)?,
            written_bytes: rows::size(row, 3)?,
            item_count: row.get(4)?,
        })
    };
    let query = "SELECT id, began, changes, bytes,
                        (SELECT COUNT(*) FROM entries WHERE origin_kind = ?1 AND state IN (?2, ?3)), last
                 FROM runs";
    connection
        .prepare_cached(query)?
        .query_row(params![rows::TRACK, rows::PRESENT, rows::FOREIGN], read)
        .optional()
}
