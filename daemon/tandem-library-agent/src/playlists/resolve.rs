//! What tracks a playlist stands for now.
//!
//! Rows are streamed; nothing here holds a whole playlist. All reads of one call are of one moment.

use super::store::Stored;
use crate::failure::Result;
use crate::rules::{self, Limit, Query};
use rusqlite::{CachedStatement, Connection, Row, params_from_iter};
use tandem_model::media::PlaylistKind;

/// The columns of a track that resolving and listing need, from `main.track AS t`; the fourth tells that it has changed.
pub(crate) const TRACK_COLUMNS: &str = concat!(
    "t.id, t.path, t.size, iif(t.untold, t.changed_ns, t.modified_ns), t.mime, t.title, t.artist, t.album_artist, t.album, t.duration_ms, ",
    "t.genre, t.track_number"
);
/// The first column after those.
const AFTER_TRACK: usize = 12;

/// One item of a playlist.
pub(crate) enum Item<'a, 'row> {
    /// A track of the index; the row has [`TRACK_COLUMNS`].
    Track(&'a Row<'row>),
    /// An item of a static playlist that isn't in the index.
    MissingPath(&'a [u8]),
    /// An entry of a playlist file that names no track, as written there.
    MissingText(&'a str),
}

/// What to ask a rule with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// Seconds since 1970.
    pub(crate) now: u64,
    /// Decides a random order.
    pub(crate) seed: i64,
}

/// Calls `take` with each item, in order, until it returns false.
pub(crate) fn for_each(
    connection: &Connection,
    playlist: &Stored,
    moment: Moment,
    take: &mut dyn FnMut(Item<'_, '_>) -> Result<bool>,
) -> Result<()> {
    match playlist.kind {
        PlaylistKind::Static => each_static(connection, playlist.number, take),
        PlaylistKind::File => each_entry(connection, playlist.number, take),
        PlaylistKind::Auto => {
            let query = rules::compile(&rules::parse(&playlist.rule)?, moment.now, moment.seed);
            each_match(connection, &query, &mut |row| take(Item::Track(row)))
        }
    }
}

fn each_static(
    connection: &Connection,
    number: i64,
    take: &mut dyn FnMut(Item<'_, '_>) -> Result<bool>,
) -> Result<()> {
    let sql = format!(
        "SELECT {TRACK_COLUMNS}, i.path FROM lib.playlist_item AS i LEFT JOIN main.track AS t ON t.path = i.path
         WHERE i.playlist = ?1 ORDER BY i.position"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([number])?;
    while let Some(row) = rows.next()? {
        let found: Option<i64> = row.get(0)?;
        let item = match found {
            Some(_) => Item::Track(row),
            None => Item::MissingPath(row.get_ref(AFTER_TRACK)?.as_blob().unwrap_or_default()),
        };
        if !take(item)? {
            break;
        }
    }
    Ok(())
}

/// Each entry of a playlist file: the first of its candidates that is a track, by its bytes or else without regard to
/// case and composition.
fn each_entry(
    connection: &Connection,
    number: i64,
    take: &mut dyn FnMut(Item<'_, '_>) -> Result<bool>,
) -> Result<()> {
    let sql = format!(
        "SELECT {TRACK_COLUMNS}, e.position, e.text FROM main.playlist_entry AS e LEFT JOIN main.track AS t
         ON t.id = ifnull((SELECT id FROM main.track WHERE path = e.path),
                          (SELECT id FROM main.track WHERE key = e.key ORDER BY path LIMIT 1))
         WHERE e.playlist = ?1 ORDER BY e.position, e.rank"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([number])?;
    let mut open: Option<(i64, String)> = None;
    let mut done = -1;
    while let Some(row) = rows.next()? {
        let position: i64 = row.get(AFTER_TRACK)?;
        if let Some((_, text)) = open.take_if(|(before, _)| *before != position)
            && !take(Item::MissingText(&text))?
        {
            return Ok(());
        }
        if position == done {
            continue;
        }
        let found: Option<i64> = row.get(0)?;
        if found.is_some() {
            done = position;
            open = None;
            if !take(Item::Track(row))? {
                return Ok(());
            }
        } else if open.is_none() {
            open = Some((position, row.get(AFTER_TRACK + 1)?));
        }
    }
    if let Some((_, text)) = open {
        take(Item::MissingText(&text))?;
    }
    Ok(())
}

/// Calls `take` with each track that a rule's query finds, up to its limit, until it returns false.
pub(crate) fn each_match(
    connection: &Connection,
    query: &Query,
    take: &mut dyn FnMut(&Row<'_>) -> Result<bool>,
) -> Result<()> {
    let mut statement = prepare(connection, query)?;
    let mut rows = statement.query(params_from_iter(&query.parameters))?;
    let mut used = 0u64;
    while let Some(row) = rows.next()? {
        let (cost, most) = match query.limit {
            None => (0, u64::MAX),
            Some(Limit::Items(most)) => (1, most),
            Some(Limit::Bytes(most)) => (unsigned(row.get(2)?), most),
            Some(Limit::Milliseconds(most)) => (unsigned(row.get(9)?), most),
        };
        used = used.saturating_add(cost);
        if used > most || !take(row)? {
            break;
        }
    }
    Ok(())
}

fn prepare<'a>(connection: &'a Connection, query: &Query) -> Result<CachedStatement<'a>> {
    Ok(connection.prepare_cached(&format!("SELECT {TRACK_COLUMNS} {} {}", query.matches, query.order))?)
}

/// A number that is never negative in the index.
pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// How many items a playlist has: of a static one all, of others those that are tracks.
pub(crate) fn count(connection: &Connection, playlist: &Stored, now: u64) -> Result<u32> {
    if playlist.kind == PlaylistKind::Static {
        let items = super::items::count(connection, playlist.number)?;
        return Ok(u32::try_from(items).unwrap_or(u32::MAX));
    }
    if playlist.kind == PlaylistKind::Auto {
        let query = rules::compile(&rules::parse(&playlist.rule)?, now, 0);
        match query.limit {
            None => return count_matches(connection, &query),
            Some(Limit::Items(most)) => {
                let most = u32::try_from(most).unwrap_or(u32::MAX);
                return Ok(count_matches(connection, &query)?.min(most));
            }
            // which tracks come first decides how many there is room for
            Some(Limit::Bytes(_) | Limit::Milliseconds(_)) => {}
        }
    }
    let mut tracks = 0u32;
    for_each(connection, playlist, Moment { now, seed: 0 }, &mut |item| {
        tracks = tracks.saturating_add(u32::from(matches!(item, Item::Track(_))));
        Ok(true)
    })?;
    Ok(tracks)
}

/// How many tracks a rule's query finds, in no order, which takes longest.
fn count_matches(connection: &Connection, query: &Query) -> Result<u32> {
    let mut statement = connection.prepare_cached(&format!("SELECT count(*) {}", query.matches))?;
    let parameters = params_from_iter(query.parameters.iter().take(query.of_condition));
    let count: i64 = statement.query_row(parameters, |row| row.get(0))?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}
