//! Which playlist a playlist file is. Its id follows from its path; one that was moved keeps the id that it had, which the
//! library file remembers, so that no index that is made again forgets what it is assigned to.

use crate::failure::Result;
use rusqlite::{Connection, OptionalExtension, Transaction};
use tandem_model::id::PlaylistId;
use xxhash_rust::xxh3::xxh3_128;

/// What ids of playlist files begin with.
const PREFIX: &str = "f-";

/// Whether this is the id of a playlist file.
pub(crate) fn is_file(id: &PlaylistId) -> bool {
    id.0.starts_with(PREFIX)
}

/// The id of the playlist file at a path, whether it is in the index or not.
pub(crate) fn id_at(connection: &Connection, path: &[u8]) -> Result<PlaylistId> {
    let mut statement = connection.prepare_cached("SELECT id FROM main.playlist_file WHERE path = ?1")?;
    let known: Option<PlaylistId> =
        statement.query_row([path], |row| row.get(0).map(PlaylistId)).optional()?;
    known.map_or_else(|| new_id(connection, path), Ok)
}

/// The id of a file that is new at this path.
pub(crate) fn new_id(connection: &Connection, path: &[u8]) -> Result<PlaylistId> {
    let mut moved = connection.prepare_cached("SELECT id FROM lib.playlist_path WHERE path = ?1")?;
    let moved: Option<PlaylistId> = moved.query_row([path], |row| row.get(0).map(PlaylistId)).optional()?;
    if let Some(id) = moved {
        return Ok(id);
    }
    let mut is_taken = connection.prepare_cached("SELECT 1 FROM lib.playlist_path WHERE id = ?1")?;
    let mut name = path.to_vec();
    loop {
        let id = format!("{PREFIX}{:032x}", xxh3_128(&name));
        if !is_taken.exists([&id])? {
            return Ok(PlaylistId(id));
        }
        // the file that was here before has taken its id along; no path holds a zero
        name.push(0);
    }
}

/// Remembers that the file with this id is at this path now.
pub(crate) fn moved(transaction: &Transaction<'_>, id: &PlaylistId, path: &[u8]) -> Result<()> {
    let sql = "DELETE FROM lib.playlist_path WHERE id = ?1 OR path = ?2";
    transaction.prepare_cached(sql)?.execute((&id.0, path))?;
    if new_id(transaction, path)? != *id {
        let sql = "INSERT INTO lib.playlist_path (path, id) VALUES (?1, ?2)";
        transaction.prepare_cached(sql)?.execute((path, &id.0))?;
    }
    Ok(())
}
