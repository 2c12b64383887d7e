//! The tables of playlists: finding, making and deleting them, and reading their items.
//!
//! Static and auto playlists are in the library file, playlist files in the index.

use crate::failure::{Failure, Result};
use crate::index::Index;
use crate::playlists::{identity, items, resolve};
use crate::{formats, rules, text};
use rusqlite::{Connection, OptionalExtension, Row, Transaction};
use std::hash::{BuildHasher, Hasher};
use tandem_library::uri;
use tandem_model::error::LibraryError;
use tandem_model::id::{MediaUri, PlaylistId};
use tandem_model::media::{PlaylistInfo, PlaylistKind};

/// The longest name, in characters.
const MAX_NAME: usize = 255;

/// A playlist's row.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    /// Its number in its table.
    pub(crate) number: i64,
    pub(crate) id: PlaylistId,
    pub(crate) name: String,
    pub(crate) kind: PlaylistKind,
    pub(crate) rule: String,
    pub(crate) sync_only: bool,
}

const COLUMNS: &str = "SELECT number, id, name, kind, rule, sync_only FROM lib.playlist";
const FILE_COLUMNS: &str = "SELECT number, id, name, 'file', '', 0 FROM main.playlist_file";

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let kind: String = row.get(3)?;
    let kind = match kind.as_str() {
        "static" => PlaylistKind::Static,
        "auto" => PlaylistKind::Auto,
        _ => PlaylistKind::File,
    };
    Ok(Stored {
        number: row.get(0)?,
        id: PlaylistId(row.get(1)?),
        name: row.get(2)?,
        kind,
        rule: row.get(4)?,
        sync_only: row.get(5)?,
    })
}

/// The playlist with this id.
pub(crate) fn find(connection: &Connection, id: &PlaylistId) -> Result<Stored> {
    existing(connection, id)?.ok_or_else(|| Failure::not_found(format!("there is no playlist `{id}`")))
}

/// The playlist with this id, if there is one.
pub(crate) fn existing(connection: &Connection, id: &PlaylistId) -> Result<Option<Stored>> {
    let table = if identity::is_file(id) { FILE_COLUMNS } else { COLUMNS };
    let mut statement = connection.prepare_cached(&format!("{table} WHERE id = ?1"))?;
    Ok(statement.query_row([&id.0], stored).optional()?)
}

/// The playlist that was made for this purpose, if it is there.
pub(crate) fn preset(connection: &Connection, preset: &str) -> Result<Option<Stored>> {
    let mut statement = connection.prepare_cached(&format!("{COLUMNS} WHERE preset = ?1"))?;
    Ok(statement.query_row([preset], stored).optional()?)
}

/// Makes an existing playlist the one that was made for this purpose.
pub(crate) fn set_preset(transaction: &Transaction<'_>, number: i64, preset: &str) -> Result<()> {
    let mut statement =
        transaction.prepare_cached("UPDATE lib.playlist SET preset = ?2 WHERE number = ?1")?;
    statement.execute((number, preset))?;
    Ok(())
}

/// Whether a static or auto playlist is called so.
pub(crate) fn is_name_taken(connection: &Connection, name: &str) -> Result<bool> {
    Ok(connection.prepare_cached("SELECT 1 FROM lib.playlist WHERE name = ?1")?.exists([name])?)
}

/// All playlists, by name.
pub(crate) fn all(connection: &Connection) -> Result<Vec<Stored>> {
    let mut statement = connection.prepare_cached(&format!("{COLUMNS} UNION ALL {FILE_COLUMNS}"))?;
    let mut playlists = statement.query_map([], stored)?.collect::<rusqlite::Result<Vec<_>>>()?;
    playlists.sort_by_cached_key(|playlist| (text::fold(&playlist.name).into_owned(), playlist.id.clone()));
    Ok(playlists)
}

/// The user's own static playlists in the order in which they were made.
pub(crate) fn own_static(connection: &Connection) -> Result<Vec<PlaylistId>> {
    let sql = "SELECT id FROM lib.playlist WHERE kind = 'static' AND preset IS NULL AND NOT sync_only ORDER BY number";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_map([], |row| row.get(0).map(PlaylistId))?.collect::<rusqlite::Result<_>>()?)
}

/// How many playlists there are.
pub(crate) fn count(connection: &Connection) -> Result<u32> {
    let sql = "SELECT (SELECT count(*) FROM lib.playlist) + (SELECT count(*) FROM main.playlist_file)";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// What clients are told of a playlist; counts its items.
pub(crate) fn info(connection: &Connection, playlist: &Stored, now: u64) -> Result<PlaylistInfo> {
    Ok(PlaylistInfo {
        id: playlist.id.clone(),
        name: playlist.name.clone(),
        kind: playlist.kind,
        rule: playlist.rule.clone(),
        count: resolve::count(connection, playlist, now)?,
        sync_only: playlist.sync_only,
    })
}

/// Refuses names that can't be shown.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let shown = name.trim();
    if shown.is_empty() {
        return Err(Failure::invalid("a playlist needs a name; give one that isn't empty"));
    }
    if name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        let words = format!(
            "a playlist's name has at most {MAX_NAME} characters and no control characters: `{}`",
            name.escape_debug()
        );
        return Err(Failure::invalid(words));
    }
    Ok(())
}

/// What a new playlist is to be.
pub(crate) struct New<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: PlaylistKind,
    pub(crate) rule: &'a str,
    pub(crate) sync_only: bool,
    /// For playlists that are made once: what for.
    pub(crate) preset: Option<&'a str>,
}

/// Makes a playlist without items.
pub(crate) fn create(transaction: &Transaction<'_>, new: &New<'_>) -> Result<Stored> {
    check_name(new.name)?;
    if new.kind == PlaylistKind::Auto {
        rules::parse(new.rule)?;
    }
    let id = format!("p-{:016x}", std::hash::RandomState::new().build_hasher().finish());
    let sql =
        "INSERT INTO lib.playlist (id, name, kind, rule, sync_only, preset) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let values = (&id, new.name, new.kind.as_str(), new.rule, new.sync_only, new.preset);
    transaction.prepare_cached(sql)?.execute(values)?;
    find(transaction, &PlaylistId(id))
}

/// Refuses a file below a folder of the library that will never be one of its tracks.
fn check_candidate(uri: &MediaUri, path: &[u8]) -> Result<()> {
    let facts = text::path(path).symlink_metadata().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::not_found(format!(
            "there is no file `{uri}`; check its name, and that its disk is mounted"
        )),
        _ => LibraryError::Unreadable(format!("`{uri}` can't be looked at: {error}")).into(),
    })?;
    if facts.is_dir() {
        return Err(Failure::invalid(format!("`{uri}` is a directory; give the files in it")));
    }
    if facts.is_symlink() {
        return Err(Failure::invalid(format!(
            "`{uri}` is a symbolic link, which the library doesn't follow; give the file that it leads to"
        )));
    }
    if !facts.is_file() || formats::by_name(text::file_name(path)).is_none() {
        return Err(Failure::invalid(format!(
            "`{uri}` is not a music file; give files such as .mp3 or .flac"
        )));
    }
    Ok(())
}

/// The paths of media URIs; refused where one is neither in the index nor a music file below a folder of the library.
///
/// It looks at files while nothing of the index is held: a file system that doesn't answer holds nobody else up.
pub(crate) fn media_paths(index: &Index, media: &[MediaUri]) -> Result<Vec<Vec<u8>>> {
    if media.is_empty() {
        return Ok(Vec::new());
    }
    let decode = |uri: &MediaUri| Ok(text::bytes(&uri::decode(uri)?).to_vec());
    let paths = media.iter().map(decode).collect::<Result<Vec<_>>>()?;
    let known: Vec<bool> = index.read(|connection| {
        let mut known = connection.prepare_cached("SELECT 1 FROM main.track WHERE path = ?1")?;
        Ok(paths.iter().map(|path| known.exists([path])).collect::<rusqlite::Result<_>>()?)
    })?;
    let folders = index.folders();
    for ((uri, path), _) in media.iter().zip(&paths).zip(known).filter(|(_, known)| !known) {
        if !folders.iter().any(|folder| text::is_below(path, text::bytes(folder))) {
            let folders: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
            return Err(Failure::invalid(format!(
                "`{uri}` is not below a folder of the library ({}); add its folder to the library first",
                folders.join(", ")
            )));
        }
        check_candidate(uri, path)?;
    }
    Ok(paths)
}

/// Deletes a playlist; a file is the user's.
pub(crate) fn delete(transaction: &Transaction<'_>, id: &PlaylistId) -> Result<()> {
    let playlist = find(transaction, id)?;
    if playlist.kind == PlaylistKind::File {
        return Err(read_only(&playlist));
    }
    items::clear(transaction, playlist.number)?;
    transaction.execute("DELETE FROM lib.playlist WHERE number = ?1", [playlist.number])?;
    Ok(())
}

/// The refusal to change a playlist that is a file or a rule.
pub(crate) fn read_only(playlist: &Stored) -> Failure {
    let words = match playlist.kind {
        PlaylistKind::File => format!("the playlist `{}` is a file of yours; change the file", playlist.name),
        _ => format!(
            "the items of `{}` follow from its rule; make a static playlist to choose them",
            playlist.name
        ),
    };
    Failure::Refused(LibraryError::ReadOnly(words))
}
