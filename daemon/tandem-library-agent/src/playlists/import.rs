//! Makes a static playlist of a playlist file anywhere in the owner's reach.
//!
//! Only tracks of the library become items; every other entry is reported.

use super::parse::{self, Entry};
use super::{items, location, store};
use crate::failure::{Failure, Result};
use crate::{formats, text};
use rusqlite::{Connection, OptionalExtension, Transaction};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tandem_model::error::LibraryError;
use tandem_model::media::{PlaylistInfo, PlaylistKind};

/// What a playlist file says.
pub(crate) struct PlaylistText {
    name: String,
    folder: Vec<u8>,
    entries: Vec<Entry>,
}

/// Reads a playlist file.
pub(crate) fn read(path: &Path) -> Result<PlaylistText> {
    let bytes = text::bytes(path);
    if !path.is_absolute() {
        return Err(Failure::invalid(format!(
            "`{}` is not an absolute path; give the whole path",
            path.display()
        )));
    }
    let format = formats::playlist_format(text::file_name(bytes)).ok_or_else(|| {
        Failure::invalid(format!(
            "`{}` is not a playlist; known are .m3u, .m3u8, .pls, .xspf and .wpl",
            path.display()
        ))
    })?;
    let content = read_bounded(path)?;
    let folder = path.parent().map_or(&b"/"[..], text::bytes).to_vec();
    Ok(PlaylistText { name: text::stem(bytes), folder, entries: parse::parse(format, &content) })
}

/// A playlist file's content.
pub(crate) fn read_bounded(path: &Path) -> Result<Vec<u8>> {
    let unreadable =
        |why: String| LibraryError::Unreadable(format!("`{}` can't be read: {why}", path.display()));
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let opened = std::fs::OpenOptions::new().read(true).custom_flags(nonblocking).open(path);
    let file: File = opened.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            LibraryError::NotFound(format!("there is no file `{}`", path.display()))
        }
        _ => unreadable(error.to_string()),
    })?;
    let facts = file.metadata().map_err(|error| unreadable(error.to_string()))?;
    if !facts.is_file() {
        return Err(unreadable("it is not a file".into()).into());
    }
    let mut content = Vec::new();
    let read = file.take(parse::MAX_FILE + 1).read_to_end(&mut content);
    read.map_err(|error| unreadable(error.to_string()))?;
    if content.len() as u64 > parse::MAX_FILE {
        return Err(unreadable(format!("it is longer than {} bytes", parse::MAX_FILE)).into());
    }
    Ok(content)
}

/// Makes the static playlist; also returns the entries that are no tracks.
pub(crate) fn store(
    transaction: &Transaction<'_>,
    file: &PlaylistText,
    folders: &[PathBuf],
    now: u64,
) -> Result<(PlaylistInfo, Vec<String>)> {
    let name: String =
        file.name.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    let name = if name.trim().is_empty() { "Imported playlist" } else { &name };
    let new = store::New { name, kind: PlaylistKind::Static, rule: "", sync_only: false, preset: None };
    let playlist = store::create(transaction, &new)?;
    let roots: Vec<&[u8]> = folders.iter().map(|folder| text::bytes(folder)).collect();
    let (mut paths, mut unresolved) = (Vec::new(), Vec::new());
    for entry in &file.entries {
        match track_of(transaction, &location::candidates(entry, &file.folder, &roots))? {
            Some(path) => paths.push(path),
            None => unresolved.push(entry.text()),
        }
    }
    items::insert(transaction, playlist.number, 0, &paths)?;
    Ok((store::info(transaction, &playlist, now)?, unresolved))
}

/// The path of the first candidate that is a track.
fn track_of(connection: &Connection, candidates: &[Vec<u8>]) -> Result<Option<Vec<u8>>> {
    let mut exact = connection.prepare_cached("SELECT path FROM main.track WHERE path = ?1")?;
    let mut similar =
        connection.prepare_cached("SELECT path FROM main.track WHERE key = ?1 ORDER BY path LIMIT 1")?;
    for path in candidates {
        let found: Option<Vec<u8>> = exact.query_row([path], |row| row.get(0)).optional()?;
        let found = match found {
            None => similar.query_row([text::path_key(path)], |row| row.get(0)).optional()?,
            found => found,
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}
