//! The rows that scans read and write: folders, tracks and playlist files.
//!
//! It decides nothing; what is to be written is `pass`'s business.

use super::moves::{Vanished, VanishedDir};
use super::tags::Tags;
use super::walk::{Facts, Root};
use crate::failure::Result;
use crate::formats::PlaylistFormat;
use crate::index;
use crate::playlists::parse::{self, Entry};
use crate::playlists::{identity, location};
use crate::text;
use rusqlite::{Connection, OptionalExtension, Row, Statement, Transaction, params};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A track that is to be written.
#[derive(Debug, Clone)]
pub(super) struct NewTrack {
    pub(super) dir: i64,
    pub(super) path: Vec<u8>,
    pub(super) facts: Facts,
    pub(super) changed_ns: i64,
    /// Seconds since 1970, where it is new.
    pub(super) added: u64,
}

/// A folder that is to be written.
#[derive(Debug, Clone)]
pub(super) struct NewDir {
    pub(super) id: i64,
    pub(super) parent: Option<i64>,
    pub(super) path: Vec<u8>,
}

/// What the index knows of a track.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownTrack {
    pub(super) id: i64,
    pub(super) facts: Facts,
    pub(super) changed_ns: i64,
}

/// What the index knows of a folder, by file name.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) dir: Option<i64>,
    pub(super) parent: Option<i64>,
    pub(super) tracks: HashMap<Vec<u8>, KnownTrack>,
    pub(super) playlists: HashMap<Vec<u8>, (i64, Facts)>,
    pub(super) folders: HashMap<Vec<u8>, i64>,
}

/// A folder's path and a name in it.
pub(super) fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    [folder.strip_suffix(b"/").unwrap_or(folder), b"/", name].concat()
}

/// These folders without those that lie in another one, and without repetitions.
pub(super) fn outermost(mut folders: Vec<PathBuf>) -> Vec<PathBuf> {
    folders.sort();
    let mut kept: Vec<PathBuf> = Vec::new();
    for folder in folders {
        if !kept.iter().any(|outer| folder.starts_with(outer)) {
            kept.push(folder);
        }
    }
    kept
}

pub(super) fn facts(row: &Row<'_>, first: usize) -> rusqlite::Result<Facts> {
    Ok(Facts { size: row.get(first)?, modified_ns: row.get(first + 1)?, inode: row.get(first + 2)? })
}

fn name_of(row: &Row<'_>) -> rusqlite::Result<Vec<u8>> {
    Ok(text::file_name(row.get_ref(1)?.as_blob().unwrap_or_default()).to_vec())
}

/// What the index knows of a folder.
pub(super) fn known(connection: &Connection, path: &[u8]) -> Result<Known> {
    let mut find = connection.prepare_cached("SELECT id, parent FROM dir WHERE path = ?1")?;
    let found: Option<(i64, Option<i64>)> =
        find.query_row([path], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((dir, parent)) = found else { return Ok(Known::default()) };
    let mut known = Known { dir: Some(dir), parent, ..Known::default() };
    let sql = "SELECT id, path, size, modified_ns, inode, changed_ns FROM track WHERE dir = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([dir])?;
    while let Some(row) = rows.next()? {
        let track = KnownTrack { id: row.get(0)?, facts: facts(row, 2)?, changed_ns: row.get(5)? };
        known.tracks.insert(name_of(row)?, track);
    }
    let sql = "SELECT number, path, size, modified_ns, inode FROM playlist_file WHERE dir = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([dir])?;
    while let Some(row) = rows.next()? {
        known.playlists.insert(name_of(row)?, (row.get(0)?, facts(row, 2)?));
    }
    let mut statement = connection.prepare_cached("SELECT id, path FROM dir WHERE parent = ?1")?;
    let mut rows = statement.query([dir])?;
    while let Some(row) = rows.next()? {
        known.folders.insert(name_of(row)?, row.get(0)?);
    }
    Ok(known)
}

/// A folder's number.
pub(super) fn dir_id(connection: &Connection, path: &[u8]) -> Result<Option<i64>> {
    let mut statement = connection.prepare_cached("SELECT id FROM dir WHERE path = ?1")?;
    Ok(statement.query_row([path], |row| row.get(0)).optional()?)
}

/// A number that no folder has, and none above it.
pub(super) fn next_dir(connection: &Connection) -> Result<i64> {
    Ok(connection
        .prepare_cached("SELECT ifnull(max(id), 0) + 1 FROM dir")?
        .query_row([], |row| row.get(0))?)
}

/// Writes new folders.
pub(super) fn put_dirs(transaction: &Transaction<'_>, dirs: &[NewDir]) -> Result<()> {
    let mut insert = transaction.prepare_cached("INSERT INTO dir (id, parent, path) VALUES (?1, ?2, ?3)")?;
    for dir in dirs {
        insert.execute((dir.id, dir.parent, &dir.path))?;
    }
    Ok(())
}

/// Gives a folder another parent.
pub(super) fn set_parent(transaction: &Transaction<'_>, dir: i64, parent: Option<i64>) -> Result<()> {
    transaction.prepare_cached("UPDATE dir SET parent = ?2 WHERE id = ?1")?.execute((dir, parent))?;
    Ok(())
}

/// Writes tracks. Numbers of tracks are never used again, so that a number that is out of date means no other track.
pub(super) fn put_tracks(transaction: &Transaction<'_>, tracks: &[(NewTrack, Tags)]) -> Result<()> {
    let first = index::meta(transaction, "next_track")?;
    let mut put = transaction.prepare_cached(PUT_TRACK)?;
    for (id, (track, tags)) in (first..).zip(tracks) {
        put_track(&mut put, i64::try_from(id).unwrap_or(i64::MAX), track, tags)?;
    }
    index::set_meta(transaction, "next_track", first + tracks.len() as u64)
}

/// Writes a track; one that is there keeps its number and when it was added. A change that left size and modification time
/// as they were is known by the same file's time of change, and in another file's place by other tags: a restored
/// backup is no change. A modification time that goes back may be one that the track had with other content.
const PUT_TRACK: &str = "INSERT INTO track (dir, path, key, size, modified_ns, inode, added, mime, title, artist, album_artist,
        album, genre, composer, comment, label, date, track_number, disc_number, duration_ms, bitrate, id, changed_ns,
        untold)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, 0)
        ON CONFLICT (path) DO UPDATE SET untold = untold OR excluded.modified_ns < modified_ns
        OR (size = excluded.size AND modified_ns = excluded.modified_ns
        AND ((inode = excluded.inode AND changed_ns NOT IN (0, excluded.changed_ns))
        OR (title, artist, album_artist, album, genre, composer, comment, label, date, track_number, disc_number)
        <> (excluded.title, excluded.artist, excluded.album_artist, excluded.album, excluded.genre, excluded.composer,
        excluded.comment, excluded.label, excluded.date, excluded.track_number, excluded.disc_number))),
        changed_ns = excluded.changed_ns, dir = excluded.dir, size = excluded.size, modified_ns = excluded.modified_ns,
        inode = excluded.inode, mime = excluded.mime, title = excluded.title, artist = excluded.artist,
        album_artist = excluded.album_artist, album = excluded.album, genre = excluded.genre,
        composer = excluded.composer, comment = excluded.comment, label = excluded.label, date = excluded.date,
        track_number = excluded.track_number, disc_number = excluded.disc_number, duration_ms = excluded.duration_ms,
        bitrate = excluded.bitrate";

fn put_track(put: &mut Statement<'_>, id: i64, track: &NewTrack, tags: &Tags) -> Result<()> {
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    put.execute(params![
        track.dir,
        track.path,
        text::path_key(&track.path),
        track.facts.size,
        track.facts.modified_ns,
        track.facts.inode,
        signed(track.added),
        tags.mime,
        tags.title,
        tags.artist,
        tags.album_artist,
        tags.album,
        tags.genre,
        tags.composer,
        tags.comment,
        tags.label,
        tags.date,
        tags.track_number,
        tags.disc_number,
        signed(tags.duration_ms),
        tags.bitrate,
        id,
        track.changed_ns,
    ])?;
    Ok(())
}

/// How many tracks the index has.
pub(crate) fn track_count(connection: &Connection) -> Result<u32> {
    Ok(connection.prepare_cached("SELECT count(*) FROM track")?.query_row([], |row| row.get(0))?)
}

/// How many tracks the index has below a folder.
pub(super) fn tracks_below(connection: &Connection, folder: &Path) -> Result<u64> {
    let (low, high) = text::below(text::bytes(folder));
    let sql = "SELECT count(*) FROM track WHERE path > ?1 AND path < ?2";
    let count: i64 = connection.prepare_cached(sql)?.query_row((low, high), |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Whether the index has more than so many tracks below a folder. No more of them are counted than it takes.
pub(super) fn has_more_tracks(connection: &Connection, folder: &Path, than: u64) -> Result<bool> {
    let (low, high) = text::below(text::bytes(folder));
    let sql = "SELECT EXISTS (SELECT 1 FROM track WHERE path > ?1 AND path < ?2 LIMIT 1 OFFSET ?3)";
    let than = i64::try_from(than).unwrap_or(i64::MAX);
    Ok(connection.prepare_cached(sql)?.query_row((low, high, than), |row| row.get(0))?)
}

/// Whether the index has any track.
pub(super) fn has_tracks(connection: &Connection) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM track)";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// How many tracks a folder of the library held when it was last scanned, whatever became of the index since.
pub(super) fn tracks_seen(connection: &Connection, folder: &Path) -> Result<u64> {
    let sql = "SELECT tracks FROM lib.folder_seen WHERE path = ?1";
    let seen: Option<i64> =
        connection.prepare_cached(sql)?.query_row([text::bytes(folder)], |row| row.get(0)).optional()?;
    Ok(seen.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
}

/// Remembers how many tracks a folder of the library holds.
pub(super) fn remember_tracks(transaction: &Transaction<'_>, folder: &Path) -> Result<()> {
    let count = tracks_below(transaction, folder)?;
    let sql = "INSERT INTO lib.folder_seen VALUES (?1, ?2) ON CONFLICT (path) DO UPDATE SET tracks = excluded.tracks";
    transaction
        .prepare_cached(sql)?
        .execute((text::bytes(folder), i64::try_from(count).unwrap_or(i64::MAX)))?;
    Ok(())
}

/// All tracks and folders of the index below a folder, itself among them.
pub(super) fn all_below(connection: &Connection, folder: &Path) -> Result<(Vec<Vanished>, Vec<VanishedDir>)> {
    let path = text::bytes(folder);
    let (low, high) = text::below(path);
    let sql = "SELECT id, path, size, modified_ns, inode FROM track WHERE path > ?1 AND path < ?2";
    let vanished = |row: &Row<'_>| Ok(Vanished { id: row.get(0)?, path: row.get(1)?, facts: facts(row, 2)? });
    let tracks = connection
        .prepare_cached(sql)?
        .query_map((&low, &high), vanished)?
        .collect::<rusqlite::Result<_>>()?;
    let sql = "SELECT id, path FROM dir WHERE path = ?1 OR (path > ?2 AND path < ?3)";
    let mut statement = connection.prepare_cached(sql)?;
    let gone = |row: &Row<'_>| Ok(VanishedDir { id: row.get(0)?, path: row.get(1)? });
    let dirs = statement.query_map((path, &low, &high), gone)?.collect::<rusqlite::Result<_>>()?;
    Ok((tracks, dirs))
}

/// The folders without a parent that are none of the library's.
pub(super) fn outside(connection: &Connection, folders: &[PathBuf]) -> Result<Vec<i64>> {
    let mut statement = connection.prepare_cached("SELECT id, path FROM dir WHERE parent IS NULL")?;
    let mut rows = statement.query([])?;
    let mut outside = Vec::new();
    while let Some(row) = rows.next()? {
        let path = row.get_ref(1)?.as_blob().unwrap_or_default();
        if !folders.iter().any(|folder| text::bytes(folder) == path) {
            outside.push(row.get(0)?);
        }
    }
    Ok(outside)
}

/// Removes a folder with all that hangs on it; its playlist files are let go of.
pub(super) fn remove_tree(transaction: &Transaction<'_>, dir: i64) -> Result<()> {
    let tree = "WITH RECURSIVE tree (id) AS (SELECT ?1 UNION SELECT dir.id FROM dir JOIN tree ON dir.parent = tree.id)";
    for rest in [
        "UPDATE playlist_file SET dir = 0 WHERE dir IN tree",
        "DELETE FROM track WHERE dir IN tree",
        "DELETE FROM dir WHERE id IN tree",
    ] {
        transaction.prepare_cached(&format!("{tree} {rest}"))?.execute([dir])?;
    }
    Ok(())
}

/// Reads a playlist file of the library.
pub(super) fn read_playlist(root: &Root, relative: &Path) -> io::Result<Vec<Entry>> {
    let too_long = || io::Error::other(format!("it is longer than {} bytes", parse::MAX_FILE));
    let file = File::from(root.open_file(relative)?);
    if file.metadata()?.len() > parse::MAX_FILE {
        return Err(too_long());
    }
    let mut content = Vec::new();
    file.take(parse::MAX_FILE + 1).read_to_end(&mut content)?;
    if content.len() as u64 > parse::MAX_FILE {
        return Err(too_long());
    }
    Ok(parse::parse(PlaylistFormat::M3u, &content))
}

/// A playlist file that is to be written.
pub(super) struct PlaylistFile<'a> {
    pub(super) dir: i64,
    pub(super) path: &'a [u8],
    pub(super) facts: Facts,
}

/// Writes a playlist file and its entries.
pub(super) fn put_playlist(
    transaction: &Transaction<'_>,
    file: &PlaylistFile<'_>,
    entries: &[Entry],
    roots: &[&[u8]],
) -> Result<()> {
    let sql = "INSERT INTO playlist_file (id, dir, path, name, size, modified_ns, inode)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (path) DO UPDATE SET dir = excluded.dir, size = excluded.size,
        modified_ns = excluded.modified_ns, inode = excluded.inode RETURNING number";
    let facts = file.facts;
    let id = identity::new_id(transaction, file.path)?.0;
    let values = (id, file.dir, file.path, text::stem(file.path), facts.size, facts.modified_ns, facts.inode);
    let number: i64 = transaction.prepare_cached(sql)?.query_row(values, |row| row.get(0))?;
    transaction.prepare_cached("DELETE FROM playlist_entry WHERE playlist = ?1")?.execute([number])?;
    let folder = &file.path[..file.path.len() - text::file_name(file.path).len()];
    let mut insert =
        transaction.prepare_cached("INSERT INTO playlist_entry VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for (position, entry) in (0i64..).zip(entries) {
        let mut candidates = location::candidates(entry, folder, roots);
        if candidates.is_empty() {
            // a path that no track has: the entry is kept to be reported
            candidates.push(Vec::new());
        }
        for (rank, path) in (0i64..).zip(&candidates) {
            // only the first is ever shown
            let text = if rank == 0 { entry.text() } else { String::new() };
            insert.execute((number, position, rank, text, path, text::path_key(path)))?;
        }
    }
    Ok(())
}

/// Whether a playlist file has entries in the index.
pub(super) fn has_entries(connection: &Connection, playlist: i64) -> Result<bool> {
    Ok(connection.prepare_cached("SELECT 1 FROM playlist_entry WHERE playlist = ?1")?.exists([playlist])?)
}
