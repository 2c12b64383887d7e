//! Albums for a player that has objects for them: which tracks that are on the device belong together, and what is to be
//! done so that there is one object for each. Pure.

use super::names::{Namer, artist_of, legal_name};
use super::playlists::{Place, write_lines};
use foldhash::{HashMap, HashSet};
use std::collections::BTreeMap;
use std::fmt::Write;
use tandem_model::formats::ALBUM;
use tandem_model::id::{AlbumId, TrackId};
use tandem_model::library::{CoverLimits, Resolved};
use tandem_model::manifest::{Entry, EntryState, Origin};
use tandem_model::media::Track;
use tandem_model::path::DevicePath;
use tandem_model::player::{AlbumStyle, PlaylistForm, PlaylistStyle, Tags};

/// Tracks of an album whose files are looked at for its picture, at most.
const COVER_TRIES: usize = 3;

/// What tells that another picture lies beside an album's tracks.
pub(crate) type CoverStamps = HashMap<AlbumId, u64>;

/// What is to be done with the albums' objects.
#[derive(Debug, Default)]
pub(crate) struct AlbumChanges {
    /// Objects that go.
    pub(crate) stale: Vec<Entry>,
    /// Objects to write.
    pub(crate) fresh: Vec<AlbumObject>,
    /// Entries of objects of the user's that were what belongs there, and aren't any more.
    pub(crate) outdated: Vec<i64>,
}

/// An album's object that is to be written.
#[derive(Debug)]
pub(crate) struct AlbumObject {
    pub(crate) id: AlbumId,
    /// Its name where no other object has that.
    pub(crate) plain: DevicePath,
    pub(crate) path: DevicePath,
    pub(crate) replaces: Option<Entry>,
    /// What it refers to, and all that another object would be written for.
    pub(crate) text: String,
    pub(crate) tags: Tags,
    /// Tracks whose files may have its picture.
    pub(crate) pictured: Vec<TrackId>,
}

/// The album that a track's tags name.
pub(crate) fn album_of(track: &Track) -> Option<AlbumId> {
    let title = track.album.trim();
    (!title.is_empty()).then(|| AlbumId::new(artist_of(track).trim(), title))
}

/// For each album the track that stands for it: what lies beside its file may be the album's picture.
pub(crate) fn representatives(library: &Resolved) -> Vec<(AlbumId, TrackId)> {
    let albums = gather(library.tracks.iter().zip(0..));
    let first = |(id, positions): (AlbumId, Vec<u32>)| {
        positions.first().map(|position| (id, library.tracks[*position as usize].id))
    };
    albums.into_iter().filter_map(first).collect()
}

/// Tracks by album, each album's in its order.
fn gather<'a>(tracks: impl Iterator<Item = (&'a Track, u32)>) -> BTreeMap<AlbumId, Vec<u32>> {
    let mut albums: BTreeMap<AlbumId, Vec<(u32, &str, u32)>> = BTreeMap::new();
    for (track, position) in tracks {
        if let Some(id) = album_of(track) {
            albums.entry(id).or_default().push((track.track_number, &track.file_name, position));
        }
    }
    let in_order = |mut tracks: Vec<(u32, &str, u32)>| {
        tracks.sort_unstable();
        tracks.into_iter().map(|(_, _, position)| position).collect()
    };
    albums.into_iter().map(|(id, tracks)| (id, in_order(tracks))).collect()
}

/// What is to be done, given where the tracks are or will be. A player without a style has no albums.
pub(crate) fn changes(
    library: &Resolved,
    entries: &[Entry],
    style: Option<&AlbumStyle>,
    places: &HashMap<u32, Place>,
    stamps: &CoverStamps,
) -> AlbumChanges {
    let known: HashMap<&AlbumId, &Entry> = entries.iter().filter_map(album_entry).collect();
    let Some(style) = style else {
        let present = known.into_values().filter(|entry| entry.state == EntryState::Present);
        return AlbumChanges { stale: in_order(present.cloned().collect()), ..AlbumChanges::default() };
    };
    let there = library.tracks.iter().zip(0..).filter(|(_, position)| places.contains_key(position));
    let albums = gather(there);
    let mut changes = AlbumChanges::default();
    let is_over = |id: &AlbumId| !albums.contains_key(id);
    let over = || known.iter().filter(|(id, _)| is_over(id)).map(|(_, entry)| *entry);
    let is_ours = |entry: &&Entry| entry.state == EntryState::Present;
    changes.stale = in_order(over().filter(is_ours).cloned().collect());
    changes.outdated =
        over().filter(|entry| entry.state == EntryState::Foreign).map(|entry| entry.id).collect();
    // made when an album needs a name
    let mut namer = None;
    for (id, tracks) in albums {
        let entry = known.get(&id).copied();
        if entry.is_some_and(|entry| matches!(entry.state, EntryState::Skipped | EntryState::Disowned)) {
            continue;
        }
        let stamp = stamps.get(&id).copied().unwrap_or(0);
        let text = text(library, &tracks, style, places, stamp);
        if entry.is_some_and(|entry| entry.hash == xxhash_rust::xxh3::xxh3_128(text.as_bytes())) {
            continue;
        }
        changes.outdated.extend(entry.filter(|entry| !is_ours(entry)).map(|entry| entry.id));
        let entry = entry.filter(is_ours);
        let first = &library.tracks[tracks[0] as usize];
        let folder = style.folder.as_ref().map_or("", DevicePath::as_str);
        let new_path = || {
            let namer = namer.get_or_insert_with(|| Namer::new(entries.iter().map(|entry| &entry.path)));
            namer.claim(folder, &file_name(first))
        };
        changes.fresh.push(AlbumObject {
            plain: Namer::new(std::iter::empty()).claim(folder, &file_name(first)),
            path: entry.map_or_else(new_path, |entry| entry.path.clone()),
            replaces: entry.cloned(),
            text,
            tags: tags(first),
            pictured: tracks.iter().take(COVER_TRIES).map(|at| library.tracks[*at as usize].id).collect(),
            id,
        });
    }
    changes
}

fn album_entry(entry: &Entry) -> Option<(&AlbumId, &Entry)> {
    match &entry.origin {
        Origin::Album(id) => Some((id, entry)),
        Origin::Track(_) | Origin::Playlist(_) => None,
    }
}

fn in_order(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_unstable_by_key(|entry| entry.id);
    entries
}

fn file_name(track: &Track) -> String {
    let (artist, title) = (artist_of(track).trim(), track.album.trim());
    let name = if artist.is_empty() { title.to_owned() } else { format!("{artist} - {title}") };
    legal_name(&format!("{}.{ALBUM}", legal_name(&name)))
}

fn tags(track: &Track) -> Tags {
    let (artist, title): (Box<str>, Box<str>) = (artist_of(track).into(), (&*track.album).into());
    Tags {
        title: title.clone(),
        artist: artist.clone(),
        album_artist: artist,
        album: title,
        genre: (&*track.genre).into(),
        ..Tags::default()
    }
}

/// Which files the object refers to, with their versions, for another version is another object on the device; and what is
/// told of it.
fn text(
    library: &Resolved,
    tracks: &[u32],
    style: &AlbumStyle,
    places: &HashMap<u32, Place>,
    stamp: u64,
) -> String {
    let lines =
        PlaylistStyle { folder: style.folder.clone(), extension: ALBUM, form: PlaylistForm::References };
    let items = tracks.iter().filter_map(|at| Some((&library.tracks[*at as usize], places.get(at)?)));
    let mut text = String::new();
    write_lines(&mut text, items, &lines);
    let genre = library.tracks[tracks[0] as usize].genre.replace(char::is_control, " ");
    writeln!(text, "#EXTGENRE:{genre}").expect("a string refuses no text");
    if let Some(CoverLimits { bytes, width, height }) = style.cover {
        writeln!(text, "#EXT-X-TANDEM-COVER:{stamp:x},{bytes},{width},{height}")
            .expect("a string refuses no text");
    }
    text
}

/// How many albums of these tracks have no object yet.
pub(crate) fn unwritten(library: &Resolved, entries: &[Entry]) -> u64 {
    let known: HashSet<&AlbumId> = entries.iter().filter_map(album_entry).map(|(id, _)| id).collect();
    let albums: HashSet<AlbumId> = library.tracks.iter().filter_map(album_of).collect();
    albums.iter().filter(|id| !known.contains(id)).count() as u64
}

#[cfg(test)]
mod tests;
