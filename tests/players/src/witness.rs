//! Holds a player's objects against what should be there: every track once with its bytes, every playlist with its tracks,
//! what others put there as it was, and nothing besides. It asks neither the engine nor the player.

use crate::facts::{Facts, Playlists};
use crate::shelf::{Copy, Shelf, Wanted};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tandem_model::manifest::{Entry, EntryState, Origin};
use tandem_mtp::codec::value::Value;
use tandem_mtp::codes::{FormatCode, ObjectHandle, ObjectPropertyCode, StorageId};
use tandem_mtp::responder::SimulatedPlayer;

/// Names for what is unfinished.
const UNFINISHED: [&str; 2] = [".part", ".new"];
const MARK: &str = "WMPInfo.xml";

/// An object without its handle, which may be another one each time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thing {
    storage: u32,
    path: String,
    format: u16,
    size: u64,
    hash: u128,
    /// Paths of what it refers to.
    references: Vec<String>,
    /// What the player was told that it is called, where it keeps that.
    title: Option<String>,
    /// Its picture.
    cover: Option<Vec<u8>>,
}

impl Thing {
    /// From the storage's root.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// Everything on a player, in a stable order.
#[must_use]
pub fn things(player: &SimulatedPlayer) -> Vec<Thing> {
    let objects = player.objects();
    let paths: HashMap<ObjectHandle, String> =
        objects.iter().map(|object| (object.handle, object.path.clone())).collect();
    let thing = |object: &tandem_mtp::responder::Snapshot| Thing {
        storage: object.storage.0,
        path: object.path.clone(),
        format: object.format.0,
        size: object.size,
        hash: xxhash_rust::xxh3::xxh3_128(&player.bytes(object.handle).unwrap_or_default()),
        references: object
            .references
            .iter()
            .map(|handle| paths.get(handle).cloned().unwrap_or_default())
            .collect(),
        title: match player.property(object.handle, ObjectPropertyCode::NAME) {
            Some(Value::String(title)) => Some(title),
            _ => None,
        },
        cover: match player.property(object.handle, ObjectPropertyCode::REPRESENTATIVE_SAMPLE_DATA) {
            Some(Value::U8Array(bytes)) if !bytes.is_empty() => Some(bytes),
            _ => None,
        },
    };
    let mut things: Vec<Thing> = objects.iter().map(thing).collect();
    things.sort();
    things
}

/// Puts what is somebody else's on every storage that can be written: songs, one of them under the name that a track of the
/// library would get, and a playlist and an album that refer to one.
///
/// # Errors
/// As the player would refuse it.
pub fn seed(player: &SimulatedPlayer, storages: &[StorageId]) -> Result<(), String> {
    let root = ObjectHandle::ROOT;
    for storage in storages.iter().copied() {
        let put = |parent, format, name: &str, bytes: &[u8]| {
            player.put(storage, parent, format, name, bytes).map_err(|code| format!("{name}: {code}"))
        };
        let folder = |parent, name| put(parent, FormatCode::ASSOCIATION, name, b"");
        put(root, FormatCode::MP3, "Own song.mp3", b"somebody's own")?;
        let music = folder(root, "Music")?;
        let own = folder(music, "Own")?;
        let song = put(own, FormatCode::MP3, "own.mp3", b"somebody's own as well")?;
        put(own, FormatCode::UNDEFINED, "0123456789abcdef0123456789abcdef.part", b"named like ours")?;
        let artist = folder(music, "Artist 00")?;
        let album = folder(artist, "Album 00")?;
        put(album, FormatCode::MP3, "00003 Title.mp3", b"not ours, but so named")?;
        let playlists = folder(root, "Playlists")?;
        let playlist = put(playlists, FormatCode::ABSTRACT_AUDIO_VIDEO_PLAYLIST, "Own.pla", b"")?;
        player.refer(playlist, &[song]).map_err(|code| format!("Own.pla: {code}"))?;
        let albums = folder(root, "Albums")?;
        let album = put(albums, FormatCode::ABSTRACT_AUDIO_ALBUM, "Artist 00 - Album 00.alb", b"")?;
        player.refer(album, &[song]).map_err(|code| format!("an album: {code}"))?;
    }
    Ok(())
}

/// What should be on a player.
pub struct Expectation<'a> {
    /// The player's facts.
    pub facts: &'a Facts,
    /// What was there before, and is somebody else's.
    pub foreign: &'a [Thing],
    /// The assigned playlists.
    pub playlists: Vec<Wanted>,
    /// The library's pictures, by the number of the album.
    pub covers: BTreeMap<usize, Vec<u8>>,
    /// Tracks that did not come out, by their URI, with the word for it.
    pub left_out: Vec<(String, String)>,
}

/// What was found right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Tracks that are there.
    pub tracks: usize,
    /// Tracks in formats that the player doesn't take.
    pub unsupported: usize,
    /// Tracks for which there was no space.
    pub no_fit: usize,
}

/// What on the player is ours, and what is wrong with it so far.
struct Search<'a> {
    ours: Vec<&'a Thing>,
    /// Folders that something lies in.
    needed: BTreeSet<&'a str>,
    wrong: Vec<String>,
}

/// What is wrong with foreign objects; empty when all is as it was.
#[must_use]
pub fn foreign_damage(player: &SimulatedPlayer, foreign: &[Thing]) -> Vec<String> {
    let there: BTreeSet<Thing> = things(player).into_iter().collect();
    let gone = foreign.iter().filter(|thing| !there.contains(*thing));
    gone.map(|thing| format!("somebody else's `{}` is not as it was", thing.path)).collect()
}

/// Checks everything.
///
/// # Errors
/// All that is wrong, one a line.
pub fn check(
    player: &SimulatedPlayer,
    expected: &Expectation<'_>,
    entries: &[Entry],
) -> Result<Tally, String> {
    let all = things(player);
    let files = all.iter().filter(|thing| thing.format != FormatCode::ASSOCIATION.0);
    let needed =
        files.flat_map(|thing| thing.path.match_indices('/').map(|(at, _)| &thing.path[..at])).collect();
    let wrong = foreign_damage(player, expected.foreign);
    let mut search = Search { ours: Vec::new(), needed, wrong };
    let mut foreign: Vec<&Thing> = expected.foreign.iter().collect();
    for thing in &all {
        match foreign.iter().position(|known| *known == thing) {
            Some(at) => {
                foreign.swap_remove(at);
            }
            None => search.ours.push(thing),
        }
    }
    let (places, tally) = search.tracks(expected);
    search.playlists(expected, &places);
    search.albums(expected, &places);
    search.nothing_else();
    search.manifest(entries, &all);
    if search.wrong.is_empty() { Ok(tally) } else { Err(search.wrong.join("\n")) }
}

impl Search<'_> {
    /// Takes every track's object out of what is ours; where each is.
    fn tracks(&mut self, expected: &Expectation<'_>) -> (BTreeMap<usize, String>, Tally) {
        let mut places = BTreeMap::new();
        let mut tally = Tally::default();
        let tracks: BTreeMap<usize, _> =
            expected.playlists.iter().flat_map(|(_, items)| items).map(|(n, copy)| (*n, copy)).collect();
        let sizes = || tracks.iter().filter(|(n, _)| expected.facts.takes(Shelf::extension(**n)));
        let albums: BTreeSet<usize> = tracks.keys().map(|number| Shelf::album(*number)).collect();
        let fits = expected.facts.surely_fits(sizes().map(|(_, copy)| copy.size), albums.len());
        for (number, copy) in &tracks {
            let extension = Shelf::extension(*number);
            let ours = std::mem::take(&mut self.ours).into_iter();
            let (same, others): (Vec<_>, Vec<_>) = ours.partition(|thing| is_copy(thing, copy));
            let uri = Shelf::uri(*number);
            let words: Vec<&str> = expected
                .left_out
                .iter()
                .filter(|(media, _)| *media == uri)
                .map(|(_, word)| &**word)
                .collect();
            match (&same[..], &words[..]) {
                ([one], []) => {
                    let codes = expected.facts.codes(extension);
                    if !one.path.ends_with(extension) || !codes.contains(&u64::from(one.format)) {
                        self.wrong.push(format!("`{}` has format 0x{:04x}", one.path, one.format));
                    }
                    places.insert(*number, one.path.clone());
                    tally.tracks += 1;
                }
                ([], ["unsupported-format"]) if !expected.facts.takes(extension) => tally.unsupported += 1,
                ([], ["no-fit"]) if !fits => tally.no_fit += 1,
                _ => self.wrong.push(format!(
                    "track {number} ({extension}) is there {} times, and told as {words:?}",
                    same.len()
                )),
            }
            if !expected.facts.takes(extension) && !same.is_empty() {
                self.wrong.push(format!("track {number} ({extension}) is no format of this player"));
            }
            self.ours = others;
        }
        let known = |uri: &str| tracks.keys().any(|number| Shelf::uri(*number) == uri);
        let strange = expected.left_out.iter().filter(|(media, _)| !known(media));
        self.wrong.extend(strange.map(|(media, word)| format!("`{media}` is told as {word}")));
        (places, tally)
    }

    /// Takes every playlist's object out of what is ours.
    fn playlists(&mut self, expected: &Expectation<'_>, places: &BTreeMap<usize, String>) {
        let form = expected.facts.playlists();
        for (name, items) in &expected.playlists {
            let wanted: Vec<&str> =
                items.iter().filter_map(|(number, _)| places.get(number).map(String::as_str)).collect();
            let is_named = |thing: &Thing| {
                let file = thing.path.rsplit('/').next().unwrap_or_default();
                file.rsplit_once('.').is_some_and(|(stem, _)| stem == name)
            };
            let ours = std::mem::take(&mut self.ours).into_iter();
            let (same, others): (Vec<&Thing>, Vec<&Thing>) = ours.partition(|thing| is_named(thing));
            match (&same[..], form) {
                ([], _) if wanted.is_empty() || form == Playlists::None => {}
                ([one], Playlists::References) => {
                    let is_list = [0xBA05, 0xBA09].contains(&one.format);
                    if !is_list || one.references != wanted {
                        self.wrong
                            .push(format!("playlist `{name}` refers to {} others", one.references.len()));
                    }
                }
                // a file's lines are looked at where its bytes are: see `resolves`
                ([_], Playlists::Files) => {}
                ([one], Playlists::Spl) if one.format == FormatCode::UNDEFINED.0 => {}
                (same, _) => self.wrong.push(format!("playlist `{name}` is there {} times", same.len())),
            }
            self.ours = others;
        }
    }

    /// Takes every album's object out of what is ours: one for each album of which a track is there.
    fn albums(&mut self, expected: &Expectation<'_>, places: &BTreeMap<usize, String>) {
        if !expected.facts.albums() {
            return;
        }
        let ours = std::mem::take(&mut self.ours).into_iter();
        let (mut objects, others): (Vec<&Thing>, Vec<&Thing>) =
            ours.partition(|thing| thing.format == FormatCode::ABSTRACT_AUDIO_ALBUM.0);
        self.ours = others;
        let mut albums: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for (number, place) in places {
            albums.entry(Shelf::album(*number)).or_default().push(place);
        }
        for (album, wanted) in albums {
            let Some(at) = objects.iter().position(|object| object.references == wanted) else {
                self.wrong.push(format!("no album refers to the {} tracks of album {album}", wanted.len()));
                continue;
            };
            let object = objects.swap_remove(at);
            if !object.path.contains(&format!("Album {album:02}")) {
                self.wrong.push(format!("album {album} is called `{}`", object.path));
            }
            let cover = expected.covers.get(&album).filter(|_| expected.facts.covers());
            if object.cover.as_ref() != cover {
                self.wrong.push(format!("album {album} has another picture"));
            }
        }
        self.wrong.extend(objects.iter().map(|object| format!("the album `{}` is left over", object.path)));
    }

    /// What is left of ours can only be the mark, and folders that something of ours lies in.
    fn nothing_else(&mut self) {
        for thing in &self.ours {
            let is_mark = thing.path == MARK;
            let is_needed = self.needed.contains(&*thing.path);
            let is_unfinished = UNFINISHED.iter().any(|ending| thing.path.ends_with(ending));
            if is_unfinished || !(is_mark || is_needed) {
                self.wrong.push(format!("`{}` is left over", thing.path));
            }
        }
    }

    /// The manifest is what is on the player.
    fn manifest(&mut self, entries: &[Entry], all: &[Thing]) {
        for entry in entries {
            let named = |thing: &&Thing| thing.path == entry.path.as_str();
            let there: Vec<&Thing> = all.iter().filter(named).collect();
            let is_track = matches!(entry.origin, Origin::Track(_));
            let right = match (entry.state, &there[..]) {
                (EntryState::Present | EntryState::Foreign, [one]) => {
                    !is_track || (one.size, one.hash) == (entry.facts.size, entry.hash)
                }
                // of several storages, one has it
                (EntryState::Present, [_, ..]) => true,
                (
                    EntryState::Present | EntryState::Skipped | EntryState::Disowned | EntryState::Foreign,
                    _,
                ) => false,
            };
            if !right {
                let (state, count) = (entry.state, there.len());
                self.wrong.push(format!("the manifest has `{}` as {state:?}, {count} are there", entry.path));
            }
        }
    }
}

/// Whether a player has this copy of a track: its bytes, or those of one with other tags when it was told the new ones.
fn is_copy(thing: &Thing, copy: &Copy) -> bool {
    let is_told = thing.title.as_ref() == Some(&copy.title);
    (thing.size, thing.hash) == (copy.size, copy.hash)
        || is_told && copy.retagged == Some((thing.size, thing.hash))
}

/// Whether the lines of the playlist files lead to their tracks.
///
/// # Errors
/// Which don't.
pub fn resolves(player: &SimulatedPlayer, playlists: &[Wanted]) -> Result<(), String> {
    let objects = player.objects();
    let hash = |handle| xxhash_rust::xxh3::xxh3_128(&player.bytes(handle).unwrap_or_default());
    for (name, items) in playlists {
        let called =
            |ending| objects.iter().find(|object| object.path.ends_with(&format!("/{name}.{ending}")));
        let Some(file) = called("spl").or_else(|| called("m3u8")) else { continue };
        let bytes = player.bytes(file.handle).unwrap_or_default();
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let paths = if file.path.ends_with(".spl") { spl_paths(&bytes) } else { m3u_paths(bytes, folder) };
        let mut found = Vec::new();
        for path in paths.map_err(|error| format!("playlist `{name}`: {error}"))? {
            let track = objects.iter().find(|object| object.path == path && object.storage == file.storage);
            let track =
                track.ok_or_else(|| format!("playlist `{name}` names `{path}`, which isn't there"))?;
            found.push(hash(track.handle));
        }
        let is = |hash: u128, copy: &Copy| {
            hash == copy.hash || copy.retagged.is_some_and(|(_, retagged)| retagged == hash)
        };
        let there = items.iter().filter(|(_, copy)| found.iter().any(|hash| is(*hash, copy)));
        let there: Vec<&Copy> = there.map(|(_, copy)| copy).collect();
        if found.len() != there.len() || found.iter().zip(there).any(|(hash, copy)| !is(*hash, copy)) {
            return Err(format!("playlist `{name}` has its tracks in another order"));
        }
    }
    Ok(())
}

/// Where the lines of an M3U file lead.
fn m3u_paths(bytes: Vec<u8>, folder: &str) -> Result<Vec<String>, String> {
    let text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
    let resolved = |line: &str| {
        let mut parts: Vec<&str> = folder.split('/').collect();
        for part in line.split('/') {
            match part {
                ".." => parts.truncate(parts.len().saturating_sub(1)),
                part => parts.push(part),
            }
        }
        parts.join("/")
    };
    Ok(text.lines().filter(|line| !line.starts_with('#')).map(resolved).collect())
}

/// Where the lines of one of Samsung's files lead, which has to be whole.
fn spl_paths(bytes: &[u8]) -> Result<Vec<String>, String> {
    let units = bytes.chunks(2).map(|unit| unit.try_into().map(u16::from_le_bytes));
    let units: Vec<u16> = units.collect::<Result<_, _>>().map_err(|_| "it has half a unit".to_owned())?;
    let text = String::from_utf16(&units).map_err(|error| error.to_string())?;
    let lines: Vec<&str> = text.split("\r\n").collect();
    let end = lines.iter().position(|line| *line == "END PLAYLIST").ok_or("it has no end")?;
    let ["\u{feff}SPL PLAYLIST", version, "", paths @ .., ""] = &lines[..end] else {
        return Err(format!("it begins otherwise: {lines:?}"));
    };
    let is_whole = match *version {
        "VERSION 1.00" => lines[end + 1..] == [""],
        "VERSION 2.00" => lines[end + 1..] == ["", "myDNSe DATA", "", "", "END myDNSe", ""],
        _ => false,
    };
    let path = |line: &&str| line.strip_prefix('\\').map(|path| path.replace('\\', "/"));
    let paths: Option<Vec<String>> = paths.iter().map(path).collect();
    paths.filter(|_| is_whole).ok_or_else(|| format!("it holds other lines: {lines:?}"))
}
