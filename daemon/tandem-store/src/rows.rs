//! Entries and intents as rows of a manifest, and back: the codes of their kinds, the checksum over a row, and the
//! refusal of rows that can't be what they should be.
//!
//! A row is guarded by a checksum because SQLite has none: a changed path would be a stranger's file to delete.

use rusqlite::types::{Type, ValueRef};
use rusqlite::{Row, Statement, params};
use tandem_model::id::{AlbumId, MediaUri, PlaylistId};
use tandem_model::manifest::{Entry, EntryState, Intent, Origin};
use tandem_model::path::DevicePath;
use tandem_model::player::ObjectFacts;
use xxhash_rust::xxh3::Xxh3;

/// An entry's columns, in the order in which they are read and written.
pub(crate) const ENTRY_COLUMNS: &str = "id, origin_kind, origin, path, persistent_id, size, modified_ns, source_size, \
                                        source_modified_ns, hash, audio_hash, state, checksum";

/// An intent's columns, in the order in which they are read and written.
pub(crate) const INTENT_COLUMNS: &str =
    "id, kind, entry, origin_kind, origin, path, temporary, size, modified_ns, checksum";

/// Code of an entry that was made from a track.
pub(crate) const TRACK: i64 = 0;
const PLAYLIST: i64 = 1;
const ALBUM: i64 = 2;

/// Code of the state of an entry whose file is there.
pub(crate) const PRESENT: i64 = 0;
const SKIPPED: i64 = 1;
const DISOWNED: i64 = 2;
/// See [`PRESENT`].
pub(crate) const FOREIGN: i64 = 3;

const WRITE: i64 = 0;
const DELETE: i64 = 1;
const UPDATE_METADATA: i64 = 2;

/// XXH3-64 over fields, each with its length before it, so that no two rows run together into one.
struct Checksum(Xxh3);

impl Checksum {
    fn new() -> Self {
        Self(Xxh3::new())
    }

    fn text(mut self, field: &str) -> Self {
        self.0.update(&(field.len() as u64).to_le_bytes());
        self.0.update(field.as_bytes());
        self
    }

    fn number(mut self, field: i64) -> Self {
        self.0.update(&field.to_le_bytes());
        self
    }

    fn hash(mut self, field: u128) -> Self {
        self.0.update(&field.to_le_bytes());
        self
    }

    fn value(self) -> i64 {
        self.0.digest().cast_signed()
    }
}

fn origin_fields(origin: &Origin) -> (i64, &str) {
    match origin {
        Origin::Track(uri) => (TRACK, &uri.0),
        Origin::Playlist(id) => (PLAYLIST, &id.0),
        Origin::Album(id) => (ALBUM, &id.0),
    }
}

fn origin(kind: i64, text: String) -> Option<Origin> {
    match kind {
        TRACK => Some(Origin::Track(MediaUri(text.into()))),
        PLAYLIST => Some(Origin::Playlist(PlaylistId(text))),
        ALBUM => Some(Origin::Album(AlbumId(text))),
        _ => None,
    }
}

/// The code of an entry's state.
fn state_code(state: EntryState) -> i64 {
    match state {
        EntryState::Present => PRESENT,
        EntryState::Skipped => SKIPPED,
        EntryState::Disowned => DISOWNED,
        EntryState::Foreign => FOREIGN,
    }
}

fn state(code: i64) -> Option<EntryState> {
    match code {
        PRESENT => Some(EntryState::Present),
        SKIPPED => Some(EntryState::Skipped),
        DISOWNED => Some(EntryState::Disowned),
        FOREIGN => Some(EntryState::Foreign),
        _ => None,
    }
}

fn entry_checksum(entry: &Entry, size: i64, source_size: i64) -> i64 {
    let (kind, origin) = origin_fields(&entry.origin);
    let checksum = Checksum::new()
        .number(entry.id)
        .number(kind)
        .text(origin)
        .text(entry.path.as_str())
        .text(&entry.persistent_id)
        .number(size)
        .number(entry.facts.modified_ns)
        .number(source_size)
        .number(entry.source_modified_ns)
        .hash(entry.hash);
    let checksum = match entry.audio_hash {
        Some(audio_hash) => checksum.hash(audio_hash),
        None => checksum,
    };
    checksum.number(state_code(entry.state)).value()
}

fn intent_checksum(id: i64, intent: &Intent, size: i64) -> i64 {
    match intent {
        Intent::Write { origin, path, temporary, modified_ns, replaces, .. } => {
            let (kind, origin) = origin_fields(origin);
            Checksum::new()
                .number(id)
                .number(WRITE)
                .number(replaces.unwrap_or(0))
                .number(kind)
                .text(origin)
                .text(path.as_str())
                .text(temporary.as_str())
                .number(size)
                .number(*modified_ns)
                .value()
        }
        Intent::Delete { entry, aside } => {
            Checksum::new().number(id).number(DELETE).number(*entry).text(aside.as_str()).value()
        }
        Intent::UpdateMetadata { entry, modified_ns, .. } => Checksum::new()
            .number(id)
            .number(UPDATE_METADATA)
            .number(*entry)
            .number(size)
            .number(*modified_ns)
            .value(),
    }
}

/// A size as SQLite holds it. Beyond its signed integers there is no file.
fn stored_size(size: u64) -> rusqlite::Result<i64> {
    i64::try_from(size).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// The error for a row that can't be what it should be.
pub(crate) fn bad(column: usize, kind: Type, what: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, kind, what.into())
}

/// Reads a number that can't be negative.
pub(crate) fn size(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| bad(column, Type::Integer, format!("{value} is not a size")))
}

/// Reads a path on a device.
pub(crate) fn path(row: &Row<'_>, column: usize) -> rusqlite::Result<DevicePath> {
    let text: String = row.get(column)?;
    DevicePath::try_from(text).map_err(|error| bad(column, Type::Text, error))
}

fn hash(row: &Row<'_>, column: usize) -> rusqlite::Result<u128> {
    let bytes = row.get_ref(column)?.as_blob()?;
    let bytes =
        bytes.try_into().map_err(|_| bad(column, Type::Blob, format!("a hash of {} bytes", bytes.len())))?;
    Ok(u128::from_be_bytes(bytes))
}

fn optional_hash(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u128>> {
    if row.get_ref(column)? == ValueRef::Null { Ok(None) } else { hash(row, column).map(Some) }
}

fn row_origin(row: &Row<'_>, kind_column: usize) -> rusqlite::Result<Origin> {
    let kind = row.get(kind_column)?;
    origin(kind, row.get(kind_column + 1)?)
        .ok_or_else(|| bad(kind_column, Type::Integer, format!("there is no origin of kind {kind}")))
}

fn compare(row: &Row<'_>, column: usize, checksum: i64) -> rusqlite::Result<()> {
    if row.get::<_, i64>(column)? == checksum {
        return Ok(());
    }
    let id: i64 = row.get(0)?;
    Err(bad(column, Type::Integer, format!("the checksum of row {id} does not match")))
}

/// Reads an entry from a row of `ENTRY_COLUMNS`.
pub(crate) fn read_entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let code = row.get(11)?;
    let path = path(row, 3)?;
    let persistent_id = row.get_ref(4)?.as_str()?;
    // where a file is known by its path, one text is both
    let persistent_id = if persistent_id == path.as_str() { path.shared() } else { persistent_id.into() };
    let entry = Entry {
        id: row.get(0)?,
        origin: row_origin(row, 1)?,
        path,
        persistent_id,
        facts: ObjectFacts { size: size(row, 5)?, modified_ns: row.get(6)? },
        source_size: size(row, 7)?,
        source_modified_ns: row.get(8)?,
        hash: hash(row, 9)?,
        audio_hash: optional_hash(row, 10)?,
        state: state(code).ok_or_else(|| bad(11, Type::Integer, format!("there is no state {code}")))?,
    };
    compare(row, 12, entry_checksum(&entry, row.get(5)?, row.get(7)?))?;
    Ok(entry)
}

/// Writes an entry by a statement with one parameter for each of `ENTRY_COLUMNS`.
pub(crate) fn write_entry(statement: &mut Statement<'_>, entry: &Entry) -> rusqlite::Result<()> {
    let (origin_kind, origin) = origin_fields(&entry.origin);
    let (size, source_size) = (stored_size(entry.facts.size)?, stored_size(entry.source_size)?);
    statement.execute(params![
        entry.id,
        origin_kind,
        origin,
        entry.path.as_str(),
        &*entry.persistent_id,
        size,
        entry.facts.modified_ns,
        source_size,
        entry.source_modified_ns,
        entry.hash.to_be_bytes(),
        entry.audio_hash.map(u128::to_be_bytes),
        state_code(entry.state),
        entry_checksum(entry, size, source_size),
    ])?;
    Ok(())
}

/// Reads an intent and its number from a row of `INTENT_COLUMNS`.
pub(crate) fn read_intent(row: &Row<'_>) -> rusqlite::Result<(i64, Intent)> {
    let (intent, size) = match row.get(1)? {
        WRITE => {
            let intent = Intent::Write {
                origin: row_origin(row, 3)?,
                path: path(row, 5)?,
                temporary: path(row, 6)?,
                size: size(row, 7)?,
                modified_ns: row.get(8)?,
                replaces: row.get(2)?,
            };
            (intent, row.get(7)?)
        }
        DELETE => (Intent::Delete { entry: row.get(2)?, aside: path(row, 6)? }, 0),
        UPDATE_METADATA => {
            let (entry, modified_ns) = (row.get(2)?, row.get(8)?);
            (Intent::UpdateMetadata { entry, size: size(row, 7)?, modified_ns }, row.get(7)?)
        }
        kind => return Err(bad(1, Type::Integer, format!("there is no intent of kind {kind}"))),
    };
    let id = row.get(0)?;
    compare(row, 9, intent_checksum(id, &intent, size))?;
    Ok((id, intent))
}

/// Writes an intent by a statement with one parameter for each of `INTENT_COLUMNS`.
pub(crate) fn write_intent(statement: &mut Statement<'_>, id: i64, intent: &Intent) -> rusqlite::Result<()> {
    match intent {
        Intent::Write { origin, path, temporary, size, modified_ns, replaces } => {
            let (kind, origin) = origin_fields(origin);
            let size = stored_size(*size)?;
            let checksum = intent_checksum(id, intent, size);
            let (path, temporary) = (path.as_str(), temporary.as_str());
            statement.execute(params![
                id,
                WRITE,
                replaces,
                kind,
                origin,
                path,
                temporary,
                size,
                modified_ns,
                checksum
            ])?;
        }
        Intent::Delete { entry, aside } => {
            let none = None::<i64>;
            let checksum = intent_checksum(id, intent, 0);
            let aside = aside.as_str();
            statement.execute(params![id, DELETE, entry, none, none, none, aside, none, none, checksum])?;
        }
        Intent::UpdateMetadata { entry, size, modified_ns } => {
            let none = None::<i64>;
            let size = stored_size(*size)?;
            let checksum = intent_checksum(id, intent, size);
            statement.execute(params![
                id,
                UPDATE_METADATA,
                entry,
                none,
                none,
                none,
                none,
                size,
                modified_ns,
                checksum
            ])?;
        }
    }
    Ok(())
}
