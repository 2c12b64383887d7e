//! Takes away what vanished, and finds out which of it was only moved: a file that is new elsewhere with the same
//! inode, size and time keeps its number, its rating and its places in playlists. A playlist file keeps what it is
//! assigned to, also where only its entries tell that it is the same.
//!
//! It works on what a scan has found; it reads no folder.

use super::entries;
use super::walk::Facts;
use crate::failure::Result;
use crate::playlists::identity;
use crate::text;
use rusqlite::{Connection, OptionalExtension, Transaction};
use std::collections::{HashMap, HashSet};
use tandem_model::id::PlaylistId;
use xxhash_rust::xxh3::Xxh3Default;

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
        for sql in ["UPDATE playlist_file SET dir = 0 WHERE dir = ?1", "DELETE FROM dir WHERE id = ?1"] {
            transaction.prepare_cached(sql)?.execute([dir.id])?;
        }
    }
    Ok(())
}

fn move_track(transaction: &Transaction<'_>, gone: &Vanished, path: &[u8]) -> Result<()> {
    let find = "SELECT added, untold FROM track WHERE id = ?1";
    let old: Option<(i64, bool)> = transaction
        .prepare_cached(find)?
        .query_row([gone.id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    transaction.prepare_cached("DELETE FROM track WHERE id = ?1")?.execute([gone.id])?;
    let Some((added, untold)) = old else { return Ok(()) };
    // the new row holds what was just read; it has the old one's number from now on, and when that was added
    let update = "UPDATE track SET id = ?2, added = ?3, untold = ?4 WHERE path = ?1";
    if transaction.prepare_cached(update)?.execute((path, gone.id, added, untold))? == 0 {
        return Ok(());
    }
    transaction
        .prepare_cached("UPDATE OR REPLACE lib.media SET path = ?2 WHERE path = ?1")?
        .execute((&gone.path, path))?;
    transaction
        .prepare_cached("UPDATE lib.playlist_item SET path = ?2 WHERE path = ?1")?
        .execute((&gone.path, path))?;
    Ok(())
}

/// A playlist file that was not in the index where it is.
#[derive(Debug, Clone)]
pub(super) struct FreshPlaylist {
    pub(super) path: Vec<u8>,
    pub(super) dir: i64,
    pub(super) facts: Facts,
}

/// A playlist file that is no longer where it was: the folder that it is in has the number 0.
struct GonePlaylist {
    number: i64,
    id: PlaylistId,
    facts: Facts,
}

/// Whether playlist files were let go of that are still in the index.
pub(super) fn has_gone_playlists(connection: &Connection) -> Result<bool> {
    Ok(connection.prepare_cached("SELECT 1 FROM playlist_file WHERE dir = 0")?.exists([])?)
}

/// Lets go of a playlist file; it stays in the index until it is known whether it was moved.
pub(super) fn let_go(transaction: &Transaction<'_>, number: i64) -> Result<()> {
    transaction.prepare_cached("UPDATE playlist_file SET dir = 0 WHERE number = ?1")?.execute([number])?;
    Ok(())
}

/// Has the playlist files that were let go of be those that are new elsewhere, or removes them.
pub(super) fn settle_playlists(transaction: &Transaction<'_>, fresh: Vec<FreshPlaylist>) -> Result<()> {
    let mut fresh = still_there(transaction, fresh)?;
    let mut others = Vec::new();
    for gone in gone_playlists(transaction)? {
        match fresh.iter().position(|fresh| fresh.facts == gone.facts) {
            Some(at) => move_playlist(transaction, &gone, &fresh.swap_remove(at))?,
            None => others.push(gone),
        }
    }
    if others.is_empty() {
        return Ok(());
    }
    let mut hashed = Vec::with_capacity(fresh.len());
    for fresh in fresh {
        if let Some(number) = number_at(transaction, &fresh.path)?
            && let Some(hash) = hash_of_entries(transaction, number)?
        {
            hashed.push((hash, fresh));
        }
    }
    for gone in others {
        let hash = if hashed.is_empty() { None } else { hash_of_entries(transaction, gone.number)? };
        match hashed.iter().position(|(there, _)| Some(*there) == hash) {
            Some(at) => move_playlist(transaction, &gone, &hashed.swap_remove(at).1)?,
            None => remove_playlist(transaction, gone.number)?,
        }
    }
    Ok(())
}

/// The playlist files that were let go of.
fn gone_playlists(connection: &Connection) -> Result<Vec<GonePlaylist>> {
    let sql = "SELECT number, id, size, modified_ns, inode FROM playlist_file WHERE dir = 0 ORDER BY number";
    let mut statement = connection.prepare_cached(sql)?;
    let gone = statement.query_map([], |row| {
        let id = PlaylistId(row.get(1)?);
        Ok(GonePlaylist { number: row.get(0)?, id, facts: entries::facts(row, 2)? })
    })?;
    Ok(gone.collect::<rusqlite::Result<_>>()?)
}

/// Each of these once, without those that were let go of again because they were moved on.
fn still_there(connection: &Connection, mut fresh: Vec<FreshPlaylist>) -> Result<Vec<FreshPlaylist>> {
    fresh.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    fresh.dedup_by(|again, first| again.path == first.path);
    let mut is_gone = connection.prepare_cached("SELECT 1 FROM playlist_file WHERE path = ?1 AND dir = 0")?;
    let mut there = Vec::with_capacity(fresh.len());
    for fresh in fresh {
        if !is_gone.exists([&fresh.path])? {
            there.push(fresh);
        }
    }
    Ok(there)
}

/// A hash of a playlist file's entries as they are written there; none of one that has none.
fn hash_of_entries(connection: &Connection, playlist: i64) -> Result<Option<u128>> {
    let sql = "SELECT text FROM playlist_entry WHERE playlist = ?1 AND rank = 0 ORDER BY position";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([playlist])?;
    let (mut hasher, mut is_empty) = (Xxh3Default::new(), true);
    while let Some(row) = rows.next()? {
        hasher.update(row.get_ref(0)?.as_bytes().unwrap_or_default());
        hasher.update(b"\n");
        is_empty = false;
    }
    Ok((!is_empty).then(|| hasher.digest128()))
}

/// The number of the playlist file at a path.
fn number_at(connection: &Connection, path: &[u8]) -> Result<Option<i64>> {
    let mut statement = connection.prepare_cached("SELECT number FROM playlist_file WHERE path = ?1")?;
    Ok(statement.query_row([path], |row| row.get(0)).optional()?)
}

fn remove_playlist(transaction: &Transaction<'_>, number: i64) -> Result<()> {
    transaction.prepare_cached("DELETE FROM playlist_entry WHERE playlist = ?1")?.execute([number])?;
    transaction.prepare_cached("DELETE FROM playlist_file WHERE number = ?1")?.execute([number])?;
    Ok(())
}

fn move_playlist(transaction: &Transaction<'_>, gone: &GonePlaylist, to: &FreshPlaylist) -> Result<()> {
    match number_at(transaction, &to.path)? {
        // the new row holds what was just read
        Some(number) => {
            remove_playlist(transaction, gone.number)?;
            let sql = "UPDATE playlist_file SET id = ?2 WHERE number = ?1";
            transaction.prepare_cached(sql)?.execute((number, &gone.id.0))?;
        }
        // it could not be read there, so what it held is kept, and the next scan reads it
        None => {
            let sql = "UPDATE playlist_file SET path = ?2, dir = ?3, name = ?4, size = -1 WHERE number = ?1";
            let name = text::stem(&to.path);
            transaction.prepare_cached(sql)?.execute((gone.number, &to.path, to.dir, name))?;
        }
    }
    identity::moved(transaction, &gone.id, &to.path)
}
