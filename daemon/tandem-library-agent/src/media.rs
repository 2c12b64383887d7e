//! A media file's attributes by WMP's names, and the two that can be set.
//!
//! What is set is kept in the library file; the user's music is never written to.

use crate::failure::{Failure, Result};
use crate::playlists::resolve::unsigned;
use crate::text;
use rusqlite::{Connection, OptionalExtension, Row, Transaction};
use tandem_library::uri;
use tandem_model::error::LibraryError;
use tandem_model::id::MediaUri;
use tandem_model::media::MediaValue;

/// The highest rating.
const MAX_RATING: u64 = 99;

/// Attributes that are told but can't be set.
const READ_ONLY: [&str; 18] = [
    "Title",
    "Author",
    "WM/AlbumTitle",
    "WM/AlbumArtist",
    "WM/Genre",
    "WM/Composer",
    "WM/Publisher",
    "WM/Year",
    "WM/TrackNumber",
    "WM/PartOfSet",
    "Description",
    "Duration",
    "FileSize",
    "Bitrate",
    "MediaType",
    "SourceURL",
    "AcquisitionTime",
    "UserLastPlayedTime",
];

/// All that is known of a media file.
pub(crate) fn info(connection: &Connection, media: &MediaUri) -> Result<Vec<(String, MediaValue)>> {
    let path = uri::decode(media)?;
    let sql = "SELECT title, artist, album, album_artist, genre, composer, label, date, comment, track_number,
        disc_number, duration_ms, size, bitrate, added, ifnull(rating, 0), ifnull(play_count, 0), ifnull(last_played, 0)
        FROM main.track AS t LEFT JOIN lib.media AS m ON m.path = t.path WHERE t.path = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row([text::bytes(&path)], attributes).optional()?;
    let mut attributes = found.ok_or_else(|| unknown(media))?;
    attributes.push(("MediaType".into(), MediaValue::Text("audio".into())));
    attributes.push(("SourceURL".into(), MediaValue::Text(uri::encode(&path).to_string())));
    Ok(attributes)
}

fn unknown(media: &MediaUri) -> Failure {
    Failure::not_found(format!("`{media}` is not in the library; scan it if the file is new"))
}

fn attributes(row: &Row<'_>) -> rusqlite::Result<Vec<(String, MediaValue)>> {
    let mut found = Vec::new();
    let texts = [
        "Title",
        "Author",
        "WM/AlbumTitle",
        "WM/AlbumArtist",
        "WM/Genre",
        "WM/Composer",
        "WM/Publisher",
        "WM/Year",
        "Description",
    ];
    for (index, name) in texts.into_iter().enumerate() {
        let text: String = row.get(index)?;
        if !text.is_empty() {
            found.push((name.into(), MediaValue::Text(text::shown(&text))));
        }
    }
    let numbers = [
        "WM/TrackNumber",
        "WM/PartOfSet",
        "Duration",
        "FileSize",
        "Bitrate",
        "AcquisitionTime",
        "UserRating",
        "UserPlayCount",
        "UserLastPlayedTime",
    ];
    for (index, name) in numbers.into_iter().enumerate() {
        let number = unsigned(row.get(9 + index)?);
        // the index has kbit/s, WMP's attribute is in bit/s
        let number = if name == "Bitrate" { number.saturating_mul(1000) } else { number };
        let always = index >= 2 && name != "UserLastPlayedTime";
        if number > 0 || always {
            found.push((name.into(), MediaValue::Number(number)));
        }
    }
    Ok(found)
}

/// Sets `UserRating` or `UserPlayCount`. A play count that grows also means that it was played now.
pub(crate) fn set(
    transaction: &Transaction<'_>,
    media: &MediaUri,
    name: &str,
    value: &MediaValue,
    now: u64,
) -> Result<()> {
    let path = uri::decode(media)?;
    let path = text::bytes(&path);
    if !transaction.prepare_cached("SELECT 1 FROM main.track WHERE path = ?1")?.exists([path])? {
        return Err(unknown(media));
    }
    let number = |most: u64| {
        let number = match value {
            MediaValue::Number(number) => Some(*number),
            MediaValue::Text(text) => text.trim().parse().ok(),
        };
        number.filter(|number| *number <= most).and_then(|number| i64::try_from(number).ok()).ok_or_else(
            || {
                let shown = match value {
                    MediaValue::Number(number) => number.to_string(),
                    MediaValue::Text(text) => format!("`{}`", text.escape_debug()),
                };
                Failure::invalid(format!("{name} can't be {shown}; give a number from 0 to {most}"))
            },
        )
    };
    let insert = transaction.prepare_cached("INSERT OR IGNORE INTO lib.media (path) VALUES (?1)")?;
    match name {
        "UserRating" => {
            let rating = number(MAX_RATING)?;
            { insert }.execute([path])?;
            transaction
                .prepare_cached("UPDATE lib.media SET rating = ?2 WHERE path = ?1")?
                .execute((path, rating))?;
        }
        "UserPlayCount" => {
            let count = number(u64::from(u32::MAX))?;
            { insert }.execute([path])?;
            let sql = "UPDATE lib.media SET last_played = iif(?2 > play_count, ?3, last_played), play_count = ?2 WHERE path = ?1";
            let now = i64::try_from(now).unwrap_or(i64::MAX);
            transaction.prepare_cached(sql)?.execute((path, count, now))?;
        }
        name if READ_ONLY.contains(&name) => {
            let words = format!(
                "{name} comes from the file; change the file's tags, or set UserRating or UserPlayCount here"
            );
            return Err(LibraryError::ReadOnly(words).into());
        }
        name => {
            let words = format!(
                "there is no attribute `{}`; UserRating and UserPlayCount can be set",
                name.escape_debug()
            );
            return Err(Failure::invalid(words));
        }
    }
    Ok(())
}
