//! Sends long answers in parts while they are read from the index, so that no whole list is held here.
//!
//! It blocks while the daemon doesn't read.

use crate::failure::{Failure, Result};
use crate::playlists::resolve::{self, Item, Moment, unsigned};
use crate::playlists::store::{self, Stored};
use crate::text;
use rusqlite::{Connection, Row};
use std::collections::HashMap;
use tandem_library::message::{PART_BYTES, Part, ToDaemon};
use tandem_library::uri;
use tandem_library::wire::Frame;
use tandem_model::id::{MediaUri, PlaylistId, TrackId};
use tandem_model::media::{PlaylistInfo, Track};
use tokio::sync::mpsc;

/// What a track takes besides its texts, in bytes.
const TRACK_BYTES: usize = 48;

/// The way of one request's parts to the daemon.
pub(crate) struct Parts {
    id: u32,
    frames: mpsc::Sender<Frame>,
}

impl Parts {
    /// Parts of the answer to this request.
    pub(crate) fn new(id: u32, frames: mpsc::Sender<Frame>) -> Self {
        Self { id, frames }
    }

    /// Sends one part.
    pub(crate) fn send(&self, part: Part) -> Result<()> {
        let frame = Frame::new(&ToDaemon::Part { id: self.id, part }, None);
        let frame = frame.map_err(|error| Failure::invalid(error.to_string()))?;
        self.frames.blocking_send(frame).map_err(|_| Failure::Gone)
    }
}

/// Gathers what one part holds, and sends it when it is long enough.
struct Gathered<'a, T> {
    parts: &'a Parts,
    wrap: fn(Vec<T>) -> Part,
    values: Vec<T>,
    bytes: usize,
}

impl<'a, T> Gathered<'a, T> {
    fn new(parts: &'a Parts, wrap: fn(Vec<T>) -> Part) -> Self {
        Self { parts, wrap, values: Vec::new(), bytes: 0 }
    }

    fn push(&mut self, value: T, bytes: usize) -> Result<()> {
        self.values.push(value);
        self.bytes += bytes;
        if self.bytes >= PART_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.bytes = 0;
        if self.values.is_empty() {
            return Ok(());
        }
        let values = std::mem::take(&mut self.values);
        self.values.reserve(values.len());
        self.parts.send((self.wrap)(values))
    }
}

/// Sends texts.
pub(crate) fn send_texts(parts: &Parts, texts: Vec<String>) -> Result<()> {
    let mut gathered = Gathered::new(parts, Part::Texts);
    for text in texts {
        let bytes = text.len() + 4;
        gathered.push(text, bytes)?;
    }
    gathered.flush()
}

/// Sends what clients are told of playlists.
pub(crate) fn send_playlists(parts: &Parts, playlists: Vec<PlaylistInfo>) -> Result<()> {
    let mut gathered = Gathered::new(parts, Part::Playlists);
    for playlist in playlists {
        let bytes = playlist.id.0.len() + playlist.name.len() + playlist.rule.len() + 16;
        gathered.push(playlist, bytes)?;
    }
    gathered.flush()
}

/// Sends the URIs that `each` calls its argument with.
pub(crate) fn send_media(
    parts: &Parts,
    each: impl FnOnce(&mut dyn FnMut(MediaUri) -> Result<()>) -> Result<()>,
) -> Result<()> {
    let mut gathered = Gathered::new(parts, Part::Media);
    each(&mut |uri| {
        let bytes = uri.0.len() + 4;
        gathered.push(uri, bytes)
    })?;
    gathered.flush()
}

/// The URI of a row with a track's columns.
pub(crate) fn row_uri(row: &Row<'_>) -> Result<MediaUri> {
    Ok(uri::encode(text::path(row.get_ref(1)?.as_blob().unwrap_or_default())))
}

/// Sends playlists with their tracks; tells which of them don't exist.
pub(crate) fn send_resolved(
    connection: &Connection,
    parts: &Parts,
    ids: &[PlaylistId],
    moment: Moment,
) -> Result<Vec<PlaylistId>> {
    let mut resolution =
        Resolution { parts, positions: HashMap::new(), tracks: Gathered::new(parts, Part::Tracks) };
    let mut missing = Vec::new();
    for id in ids {
        match store::existing(connection, id)? {
            Some(playlist) => resolution.send(connection, playlist, moment)?,
            None => missing.push(id.clone()),
        }
    }
    resolution.tracks.flush()?;
    Ok(missing)
}

struct Resolution<'a> {
    parts: &'a Parts,
    /// A track's number to its position in the answer.
    positions: HashMap<i64, u32>,
    tracks: Gathered<'a, Track>,
}

impl Resolution<'_> {
    fn send(&mut self, connection: &Connection, playlist: Stored, moment: Moment) -> Result<()> {
        self.parts.send(Part::Resolved(playlist.id.clone(), playlist.name.clone()))?;
        let mut places = Gathered::new(self.parts, Part::Positions);
        let mut unresolved = Gathered::new(self.parts, Part::Texts);
        resolve::for_each(connection, &playlist, moment, &mut |item| {
            match item {
                Item::Track(row) => places.push(self.position(row)?, 3)?,
                Item::MissingPath(path) => {
                    let uri = uri::encode(text::path(path)).to_string();
                    let bytes = uri.len();
                    unresolved.push(uri, bytes)?;
                }
                Item::MissingText(entry) => unresolved.push(entry.to_owned(), entry.len())?,
            }
            Ok(true)
        })?;
        places.flush()?;
        unresolved.flush()
    }

    /// The position of a row's track in the answer; sends the track where it is new.
    fn position(&mut self, row: &Row<'_>) -> Result<u32> {
        let id: i64 = row.get(0)?;
        if let Some(position) = self.positions.get(&id) {
            return Ok(*position);
        }
        let position =
            u32::try_from(self.positions.len()).map_err(|_| Failure::invalid("there are too many tracks"))?;
        self.positions.insert(id, position);
        let track = track(row)?;
        let texts = [
            &*track.uri.0,
            &track.file_name,
            &track.mime,
            &track.title,
            &track.artist,
            &track.album_artist,
            &track.album,
        ];
        let bytes = TRACK_BYTES + texts.iter().map(|text| text.len()).sum::<usize>();
        self.tracks.push(track, bytes)?;
        Ok(position)
    }
}

fn track(row: &Row<'_>) -> Result<Track> {
    let path = row.get_ref(1)?.as_blob().unwrap_or_default();
    let text = |index: usize| -> Result<&str> { Ok(row.get_ref(index)?.as_str().unwrap_or_default()) };
    Ok(Track {
        id: TrackId(row.get(0)?),
        uri: uri::encode(text::path(path)),
        file_name: String::from_utf8_lossy(text::file_name(path)).into(),
        size: unsigned(row.get(2)?),
        modified_ns: row.get(3)?,
        mime: text(4)?.into(),
        title: text::shown(text(5)?).into(),
        artist: text::shown(text(6)?).into(),
        album_artist: text::shown(text(7)?).into(),
        album: text::shown(text(8)?).into(),
        duration_ms: unsigned(row.get(9)?),
        genre: text::shown(text(10)?).into(),
        track_number: row.get(11)?,
    })
}
