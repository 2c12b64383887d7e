//! Takes away what vanished, and finds out which of it was only moved: a file that is new elsewhere with the same
//! inode, size and time keeps its number, its rating and its places in playlists.
//!
//! It works on what a scan has found; it reads no folder.

use super::walk::Facts;
use crate::failure::Result;
use crate::text;
use rusqlite::{OptionalExtension, Transaction};
use std::collections::{HashMap, HashSet};

/// A track that is no longer where it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Vanished {
    pub(super) id: i64,
    pub(super) path: Vec<u8>,
    pub(super) facts: Facts,
}

/// A folder that is no longer where it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VanishedDir {
    pub(super) id: i64,
    pub(super) path: Vec<u8>,
}

/// Removes tracks and folders from the index, or moves tracks to where they are now.
pub(super) fn take_away(
    transaction: &Transaction<'_>,
    vanished: &[Vanished],
    dirs: &[VanishedDir],
    fresh: &HashMap<Facts, Vec<u8>>,
) -> Result<()> {
    let mut remove = transaction.prepare_cached("DELETE FROM track WHERE id = ?1")?;
    // what was moved twice while the scan was there is not where it was found
    let left: HashSet<&[u8]> = vanished.iter().map(|gone| gone.path.as_slice()).collect();
    for gone in vanished {
        match fresh.get(&gone.facts).filter(|path| !left.contains(path.as_slice())) {
            Some(path) => move_track(transaction, gone, path)?,
            None => drop(remove.execute([gone.id])?),
        }
    }
    for dir in dirs {
        for sql in [
            "DELETE FROM playlist_entry WHERE playlist IN (SELECT number FROM playlist_file WHERE dir = ?1)",
            "DELETE FROM playlist_file WHERE dir = ?1",
            "DELETE FROM dir WHERE id = ?1",
        ] {
            transaction.prepare_cached(sql)?.execute([dir.id])?;
        }
    }
    Ok(())
}

fn move_track(transaction: &Transaction<'_>, gone: &Vanished, path: &[u8]) -> Result<()> {
    let find = "SELECT id, dir FROM track WHERE path = ?1";
    let found: Option<(i64, i64)> = transaction
        .prepare_cached(find)?
        .query_row([path], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((new, dir)) = found else {
        transaction.prepare_cached("DELETE FROM track WHERE id = ?1")?.execute([gone.id])?;
        return Ok(());
    };
    // the new row holds what was just read; the old one keeps its number and when it was added
    transaction.prepare_cached("DELETE FROM track WHERE id = ?1")?.execute([new])?;
    let update = "UPDATE track SET path = ?2, dir = ?3, key = ?4 WHERE id = ?1";
    transaction.prepare_cached(update)?.execute((gone.id, path, dir, text::path_key(path)))?;
    transaction
        .prepare_cached("UPDATE OR REPLACE lib.media SET path = ?2 WHERE path = ?1")?
        .execute((&gone.path, path))?;
    transaction
        .prepare_cached("UPDATE lib.playlist_item SET path = ?2 WHERE path = ?1")?
        .execute((&gone.path, path))?;
    Ok(())
}
